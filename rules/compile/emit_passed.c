/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Flows that rules allow never meet the daemon; the kernel counts them by who talks to whom, and
 * the daemon reads the counts. Of each flow only the first packet counts, so that a stream without
 * answers costs one look-up of its state. Events of conntrack would tell the same, at half the cost
 * of a connection: they are made for all changes of all connections of the node, one by one.
 */
#include "internal.h"

#include <netinet/in.h>

/* Together below what the daemon remembers (BH_MIRROR_MAX). */
#define SIZE4 10240
#define SIZE6 4096
#define SIZE_OTHER 512 /* ICMP has no ports; protocols: 256 */

static const uint8_t read_tuple[] = {BH_READ_SADDR, BH_READ_DADDR, BH_READ_L4PROTO, BH_READ_DPORT};
static const uint8_t part_tuple[] = {BH_PART_ADDR, BH_PART_ADDR, BH_PART_PROTO, BH_PART_SERVICE};
static const uint8_t read_rest[] = {BH_READ_L4PROTO}, part_rest[] = {BH_PART_PROTO};

static const struct {
	const char *set;
	uint8_t family, proto, parts;
	uint32_t size;
} kinds[] = {
	{"passed4-icmp", BH_IPV4, IPPROTO_ICMP, 3, SIZE_OTHER},
	{"passed6-icmp", BH_IPV6, IPPROTO_ICMPV6, 3, SIZE_OTHER},
	{"passed4", BH_IPV4, 0, 4, SIZE4},
	{"passed6", BH_IPV6, 0, 4, SIZE6},
};

/* At the end of a base chain: `kind` says which end is a workload. */
void bh_emit_passed(struct bh_chain *c, enum bh_match_kind kind)
{
	for (int family = BH_IPV4; family <= BH_IPV6; family += 2) {
		struct bh_rule *r = bh_chain_add(c, NULL);
		bh_emit_set_match(r, kind, (enum bh_family)family,
			family == BH_IPV4 ? "inhabited4" : "inhabited6");
		bh_emit_go(r, BH_ACT_GOTO, "passed");
	}
}

/* A dynamic set and the rule that puts the first packets of flows into it. Full, it lets the next
 * rule have them. */
static void count_in(struct bh_ruleset *rs, struct bh_chain *c, const char *set, uint8_t family,
	uint8_t proto, const uint8_t *part, const uint8_t *read, size_t n, uint32_t size)
{
	struct bh_set *s = bh_ruleset_add_concat_set(
		rs, set, BH_TABLE_INET, family, part, n, "flows that rules allowed lately");
	s->volatile_ = BH_VOLATILE_DYNAMIC;
	s->timeout_s = BH_PASSED_S;
	s->size = size;
	struct bh_rule *r = bh_chain_add(c, NULL);
	if (proto)
		bh_rule_match(r, BH_MATCH_L4PROTO)->proto = proto;
	bh_rule_match_parts(r, BH_MATCH_UPDATE, family, set, read, n)->counter = true;
	r->action = BH_ACT_ACCEPT;
}

void bh_emit_passed_chain(struct bh_ruleset *rs)
{
	struct bh_chain *c = bh_ruleset_add_chain(
		rs, "passed", BH_HOOK_NONE, 0, "allowed: counted by who talks to whom");
	struct bh_rule *r = bh_chain_add(c, "not the first of its flow");
	bh_rule_match(r, BH_MATCH_CT_CONFIRMED);
	r->action = BH_ACT_ACCEPT;
	for (size_t i = 0; i < BH_ARRAY_SIZE(kinds); i++)
		count_in(rs, c, kinds[i].set, kinds[i].family, kinds[i].proto, part_tuple,
			read_tuple, kinds[i].parts, kinds[i].size);
	count_in(rs, c, "passed-beyond", 0, 0, part_rest, read_rest, 1, SIZE_OTHER);
}
