/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A flow as the packet threads see it and the decision on it. Names in rules/base/flow.c. */
#pragma once

#include <bulkhead/addr.h>
#include <bulkhead/workload.h>

struct bh_flow {
	struct bh_addr src, dst; /* same family; conntrack's original direction, after DNAT */
	uint8_t proto; /* IANA number, after IPv6 extension headers */
	uint16_t sport, dport; /* host order; TCP, UDP, SCTP; else 0 */
	uint8_t icmp_type, icmp_code; /* ICMP and ICMPv6 */
	uint8_t hops; /* ICMPv6: the hop limit of this packet, where it matters; 0: not known */
};

/* What conntrack counted of flows whose end it told: packets, and bytes from the IP header on. */
struct bh_volume {
	uint64_t flows;
	uint64_t packets[2], bytes[2]; /* the original direction, replies */
	uint64_t duration; /* µs, of all of them together */
};
void bh_volume_add(struct bh_volume *to, const struct bh_volume *v); /* stops at INT64_MAX */

enum bh_verdict { BH_ALLOW, BH_DROP, BH_REJECT };
const char *bh_verdict_name(enum bh_verdict v);

enum bh_reason {
	BH_REASON_NONE, /* no side of the flow is governed */
	BH_REASON_POLICY, /* a policy's rule allows it, or its Deny rule denies it */
	BH_REASON_UNSELECTED, /* no policy selects the workload (allowed, or denied if configured)
			       */
	BH_REASON_LEARNED, /* passes because a side learns; becomes a baseline tuple */
	BH_REASON_UNMATCHED, /* isolated, no rule allows: denied (enforce) or would be (audit) */
	BH_REASON_THREAT,
	BH_REASON_QUARANTINE,
	BH_REASON_SPOOF,
	BH_REASON_HOST, /* node and its own workload, host: allow */
	BH_REASON_SELF, /* a workload reaching its own address */
	BH_REASON_UNKNOWN_WORKLOAD,
};
const char *bh_reason_name(enum bh_reason r); /* "policy", "unmatched", "unknown-workload" … */
const char *bh_direction_name(enum bh_direction d); /* "egress" | "ingress" */

/* "tcp", "udp", "sctp", "icmp", "icmpv6"; else the number in buf. */
const char *bh_proto_name(uint8_t proto, char buf[static 4]);
int bh_proto_parse(const char *s, uint8_t *ret); /* those names in any case, or 0..255 */

/* What one side (the source's egress or the destination's ingress) says of a flow. */
enum bh_side_verdict {
	BH_SIDE_UNGOVERNED, /* not a workload here, or unenforceable */
	BH_SIDE_OPEN, /* not isolated in this direction (and not in learn mode) */
	BH_SIDE_ALLOWED, /* `rule` allows it */
	BH_SIDE_LEARN, /* learn mode, no rule covers it: passes, is learned */
	/* audit mode, isolated, no rule; or a Deny rule (`rule`) in learn or audit mode: passes */
	BH_SIDE_WOULD_DENY,
	/* enforce mode: a Deny rule (`rule`), or isolated (or unselected: deny) and no rule */
	BH_SIDE_DENIED,
	BH_SIDE_HOST, /* the other end is the node and host: allow */
	BH_SIDE_SELF, /* own address */
};

struct bh_rule_ref { /* borrowed from the engine's policy set */
	const struct bh_policy *policy;
	int rule; /* index in policy->rule[direction] */
	int peer; /* index in rule->peer, the first that means the other end; -1: no peers */
};

struct bh_side {
	enum bh_side_verdict verdict;
	int32_t workload; /* index in the inventory, BH_OWNER_HOST or BH_OWNER_NONE */
	enum bh_mode mode;
	/* The first rule in order that decides: ALLOWED's, or the Deny rule. policy NULL: none. */
	struct bh_rule_ref rule;
};

/* "ungoverned", "open", "allowed", "learn", "would-deny", "denied", "host", "self" */
const char *bh_side_verdict_name(enum bh_side_verdict v);
/* "shop/web ingress rule 0 peer 1", of a rule that decided; NULL if none did. Owned. */
char *bh_side_rule_name(const struct bh_side *s, enum bh_direction d);

struct bh_decision {
	enum bh_verdict verdict; /* policy only; the caller adds threat and spoof before */
	enum bh_reason reason;
	bool would_deny; /* allowed only because a side is in audit mode */
	bool learn; /* a side in learn mode saw nothing that covers it */
	struct bh_side side[2]; /* by enum bh_direction: [EGRESS] is the source's */
};
