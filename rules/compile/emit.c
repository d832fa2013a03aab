/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The kernel's form of the artefact: table inet bulkhead.
 *
 * The base chains and the names of their sets depend on the options alone, never on policies or
 * inventory, so that a container that starts or a policy that changes touches set elements and
 * group chains only (removing a base chain would flush every queued packet; verified on 6.18).
 *
 * Enforcing groups are asked before observing ones, in both directions: the queue of the observed
 * has bypass, and a bypassed packet skips the rest of its chain. The other order would let a
 * learning source into an enforcing destination whenever the daemon is down.
 */
#include "internal.h"

#include <netinet/in.h>
#include <netinet/ip.h>

#define PRIORITY (-10) /* filter - 10: before Docker's own chains, whose drops still count */

void bh_emit_set_match(
	struct bh_rule *r, enum bh_match_kind kind, enum bh_family family, const char *set)
{
	struct bh_match *m = bh_rule_match(r, kind);
	m->family = family;
	m->set = bh_xstrdup(set);
}

void bh_emit_go(struct bh_rule *r, enum bh_action action, const char *target)
{
	r->action = action;
	r->target = bh_xstrdup(target);
}

static void range_match(
	struct bh_rule *r, enum bh_match_kind kind, uint8_t proto, uint16_t first, uint16_t last)
{
	struct bh_match *m = bh_rule_match(r, kind);
	m->proto = proto;
	m->port = bh_xcalloc(1, sizeof(*m->port));
	m->port[0] = (struct bh_port_range){first, last};
	m->n_ports = 1;
}

/* Between others, where data could travel as such: discovery that no router has forwarded, which
 * receivers demand too (RFC 4861), and MLD to groups of the link. */
static void emit_icmpv6(struct bh_chain *c, bool node)
{
	static const struct bh_port_range types[] = {{130, 130}, {131, 131}, {132, 132}, {143, 143},
		{133, 133}, {134, 134}, {135, 135}, {136, 136}, {137, 137}};
	static const struct bh_port_range all[] = {{130, 130}, {131, 131}, {132, 132}, {133, 133},
		{134, 134}, {135, 135}, {136, 136}, {137, 137}, {143, 143}};
	static const struct {
		const struct bh_port_range *type;
		size_t n;
		const char *comment;
	} rule[] = {{types + 4, 5, "neighbour discovery"}, {types, 4, "MLD"},
		{all, 9, "neighbour discovery, MLD"}};
	for (int k = node ? 2 : 0; k < (node ? 3 : 2); k++) {
		struct bh_rule *r = bh_chain_add(c, rule[k].comment);
		struct bh_match *m = bh_rule_match(r, BH_MATCH_ICMPV6_TYPES);
		m->port = bh_xmemdup(rule[k].type, rule[k].n * sizeof(*all));
		m->n_ports = rule[k].n;
		if (k == 0) {
			bh_rule_match(r, BH_MATCH_IP6_HOPS)->proto = 255;
		} else if (k == 1) {
			m = bh_rule_match(r, BH_MATCH_DADDR_PREFIX);
			m->family = BH_IPV6;
			bh_prefix_parse("ff02::/16", &m->prefix);
		}
		r->action = BH_ACT_ACCEPT;
	}
}

static void emit_dhcp(struct bh_chain *c, enum bh_family family, uint16_t first, bool node)
{
	struct bh_rule *r = bh_chain_add(c, "DHCP");
	if (node) {
		bh_rule_match(r, BH_MATCH_NFPROTO)->family = family;
	} else {
		struct bh_match *m = bh_rule_match(r, BH_MATCH_DADDR_PREFIX);
		m->family = family;
		bh_prefix_parse("fe80::/10", &m->prefix);
	}
	range_match(r, BH_MATCH_SPORT, IPPROTO_UDP, first, first + 1);
	range_match(r, BH_MATCH_DPORT, IPPROTO_UDP, first, first + 1);
	r->action = BH_ACT_ACCEPT;
}

static void emit_multicast(struct bh_chain *c, enum bh_family family)
{
	static const char *const text[] = {[BH_IPV4] = "224.0.0.0/4", [BH_IPV6] = "ff00::/8"};
	struct bh_rule *r = bh_chain_add(c, NULL);
	struct bh_match *m = bh_rule_match(r, BH_MATCH_DADDR_PREFIX);
	m->family = family;
	bh_prefix_parse(text[family], &m->prefix);
	r->action = BH_ACT_ACCEPT;
}

/* Without these a host has no network at all; is_plumbing says the same to the evaluator. `node`:
 * the chain sees only the node's own traffic. */
static void emit_plumbing(struct bh_chain *c, bool node)
{
	emit_icmpv6(c, node);
	if (node)
		emit_dhcp(c, BH_IPV4, 67, node);
	emit_dhcp(c, BH_IPV6, 546, node);
}

/* is_flooded in the evaluator. */
static void emit_flooded(struct bh_chain *c)
{
	emit_multicast(c, BH_IPV4);
	emit_multicast(c, BH_IPV6);
	struct bh_rule *r = bh_chain_add(c, NULL);
	bh_emit_set_match(r, BH_MATCH_DADDR_SET, BH_IPV4, "broadcast4");
	r->action = BH_ACT_ACCEPT;
}

/* A flow whose destination was rewritten is looked at by where it was meant to go as well. Few are:
 * the others pay for one look at a flag. */
static void emit_diverted_jump(struct bh_chain *c)
{
	struct bh_rule *r = bh_chain_add(c, NULL);
	bh_rule_match(r, BH_MATCH_CT_DNAT);
	bh_emit_go(r, BH_ACT_JUMP, "diverted");
}

static void emit_vmaps(struct bh_chain *c, enum bh_map map, enum bh_direction d)
{
	char name[24];
	for (int family = BH_IPV4; family <= BH_IPV6; family += 2) {
		struct bh_rule *r = bh_chain_add(c, NULL);
		r->family = (uint8_t)family;
		bh_emit_go(r, d == BH_EGRESS ? BH_ACT_VMAP_SADDR : BH_ACT_VMAP_DADDR,
			bh_emit_map_name(map, d, (enum bh_family)family, name));
	}
}

static void emit_self(struct bh_chain *c)
{
	for (int family = BH_IPV4; family <= BH_IPV6; family += 2) {
		struct bh_rule *r = bh_chain_add(c, NULL);
		bh_emit_set_match(r, BH_MATCH_PAIR_SET, (enum bh_family)family,
			family == BH_IPV4 ? "self4" : "self6");
		bh_emit_go(r, BH_ACT_GOTO, "passed");
	}
}

/* After a revocation a packet in mid-stream must not make the flow new again, from either side:
 * conntrack picks up streams (nf_conntrack_tcp_loose), so they are refused where somebody enforces.
 * Where it does not, they are invalid, and the way back that a policy allows would still bring what
 * the server has to send. */
static void emit_mid_stream(struct bh_chain *c)
{
	struct bh_rule *r = bh_chain_add(c, "no mid-stream pick-up");
	bh_rule_match(r, BH_MATCH_CT_UNKNOWN);
	bh_rule_match(r, BH_MATCH_TCP_NOT_SYN)->proto = IPPROTO_TCP;
	bh_emit_go(r, BH_ACT_JUMP, "mid-stream");
}

/* Errors alone. A connection that a helper expects (FTP's data) is decided like any other that is
 * new: whom to expect is what a packet said, and what a rule can see of it names its own two ends,
 * not those of the flow that announced it. */
static void emit_related_jump(struct bh_chain *c, uint8_t proto)
{
	struct bh_rule *r = bh_chain_add(c, NULL);
	bh_rule_match(r, BH_MATCH_CT_RELATED);
	bh_rule_match(r, BH_MATCH_L4PROTO)->proto = proto;
	bh_emit_go(r, BH_ACT_JUMP, "related");
}

static struct bh_chain *base_chain(struct bh_emit *m, const char *name, enum bh_hook hook)
{
	struct bh_chain *c = bh_ruleset_add_chain(m->rs, name, hook, PRIORITY, NULL);
	bh_emit_names_jump(m, c);
	struct bh_rule *r = bh_chain_add(c, NULL);
	bh_rule_match(r, BH_MATCH_CT_ESTABLISHED);
	r->action = BH_ACT_ACCEPT;
	if (hook != BH_HOOK_OUTPUT)
		bh_emit_crowding_jump(m, c);
	emit_related_jump(c, IPPROTO_ICMP);
	emit_related_jump(c, IPPROTO_ICMPV6);
	emit_mid_stream(c);
	if (m->e->plan->opts.reject) {
		struct bh_match *mark;
		r = bh_chain_add(c, "denied by the daemon");
		mark = bh_rule_match(r, BH_MATCH_MARK);
		mark->mark = mark->mask = BH_MARK_REFUSE;
		bh_emit_go(r, BH_ACT_GOTO, "refuse");
	}
	return c;
}

/* Beyond all that decides: nothing new, whoever allows it, while it could not be recorded. Who
 * lives nowhere that is known is for the daemon, in the hold queue. */
static void emit_stop(const struct bh_emit *m, struct bh_chain *c, enum bh_match_kind kind)
{
	if (!m->opts->stopped)
		return;
	for (int family = BH_IPV4; family <= BH_IPV6; family += 2) {
		struct bh_rule *r = bh_chain_add(c, NULL);
		bh_emit_set_match(r, kind, (enum bh_family)family,
			family == BH_IPV4 ? "inhabited4" : "inhabited6");
		bh_emit_go(r, BH_ACT_GOTO, "stopped");
	}
}

/* Its counter goes on for as long as the table stands. */
static void emit_stopped(const struct bh_emit *m)
{
	if (!m->opts->stoppable)
		return;
	struct bh_chain *c = bh_ruleset_add_chain(
		m->rs, "stopped", BH_HOOK_NONE, 0, "new flows, while they could not be recorded");
	struct bh_rule *r = bh_chain_add(c, NULL);
	r->counter = true;
	r->action = BH_ACT_DROP;
}

/* The header names the node here, and the next address in the option behind this hook. */
static void emit_source_routes(struct bh_chain *c)
{
	for (int k = 0; k < 2; k++) {
		struct bh_rule *r = bh_chain_add(c, "source route");
		bh_rule_match(r, BH_MATCH_IP_OPTION)->proto = k ? IPOPT_SSRR : IPOPT_LSRR;
		r->counter = true;
		r->action = BH_ACT_DROP;
	}
}

static void emit_forward(struct bh_emit *m)
{
	struct bh_chain *c = base_chain(m, "forward", BH_HOOK_FORWARD);
	emit_source_routes(c);
	emit_plumbing(c, false);
	emit_stop(m, c, BH_MATCH_SADDR_SET);
	emit_stop(m, c, BH_MATCH_DADDR_SET);
	emit_vmaps(c, BH_MAP_QUARANTINE, BH_EGRESS);
	emit_vmaps(c, BH_MAP_QUARANTINE, BH_INGRESS);
	emit_flooded(c);
	emit_diverted_jump(c);
	bh_emit_threat(c, BH_MATCH_SADDR_SET);
	bh_emit_threat(c, BH_MATCH_DADDR_SET);
	emit_self(c);
	bh_emit_cache(m, c);
	emit_vmaps(c, BH_MAP_ENFORCE, BH_EGRESS);
	emit_vmaps(c, BH_MAP_ENFORCE, BH_INGRESS);
	emit_vmaps(c, BH_MAP_OBSERVE, BH_EGRESS);
	emit_vmaps(c, BH_MAP_OBSERVE, BH_INGRESS);
	bh_emit_unknown(c, BH_MATCH_SADDR_SET);
	bh_emit_unknown(c, BH_MATCH_DADDR_SET);
	bh_emit_passed(c, BH_MATCH_SADDR_SET);
	bh_emit_passed(c, BH_MATCH_DADDR_SET);
}

/* Container → host (input) is the container's egress, host → container (output) its ingress. */
static void emit_host(struct bh_emit *m, const char *name, enum bh_hook hook)
{
	bool in = hook == BH_HOOK_INPUT;
	enum bh_match_kind kind = in ? BH_MATCH_SADDR_SET : BH_MATCH_DADDR_SET;
	enum bh_direction d = in ? BH_EGRESS : BH_INGRESS;
	struct bh_chain *c = base_chain(m, name, hook);
	emit_diverted_jump(c); /* before lo: a local proxy may be what it was diverted to */
	struct bh_rule *r = bh_chain_add(c, NULL);
	bh_rule_match(r, in ? BH_MATCH_IIF_LO : BH_MATCH_OIF_LO);
	r->action = BH_ACT_ACCEPT;
	emit_plumbing(c, true);
	emit_stop(m, c, kind);
	emit_vmaps(c, BH_MAP_QUARANTINE, d);
	emit_flooded(c);
	bh_emit_threat(c, kind);
	bh_emit_cache(m, c);
	if (m->e->plan->opts.host_policy) {
		emit_vmaps(c, BH_MAP_ENFORCE, d);
		emit_vmaps(c, BH_MAP_OBSERVE, d);
		bh_emit_unknown(c, kind);
		bh_emit_passed(c, kind);
		return;
	}
	for (int family = BH_IPV4; family <= BH_IPV6; family += 2) {
		r = bh_chain_add(c, NULL);
		bh_emit_set_match(
			r, kind, (enum bh_family)family, family == BH_IPV4 ? "known4" : "known6");
		bh_emit_go(r, BH_ACT_GOTO, "host");
	}
}

struct bh_ruleset *bh_engine_emit(const struct bh_engine *e, const struct bh_emit_opts *opts)
{
	struct bh_emit m = {e, opts, bh_ruleset_new()};
	emit_forward(&m);
	emit_host(&m, "input", BH_HOOK_INPUT);
	emit_host(&m, "output", BH_HOOK_OUTPUT);
	bh_emit_threats(&m);
	bh_emit_names(&m);
	emit_stopped(&m);
	bh_emit_crowding(&m);
	bh_emit_ends(&m);
	bh_emit_guard(&m);
	bh_emit_surroundings(&m);
	bh_emit_workloads(m.rs, e, NULL, e->inv->n);
	struct bh_emit_use use = {.e = e, .rs = m.rs};
	for (size_t i = 0; i < e->n_groups; i++)
		if (e->members[i])
			bh_emit_group(&use, e->group[i]);
	bh_emit_use_finish(&use);
	bh_ruleset_seal(m.rs);
	return m.rs;
}

struct bh_ruleset *bh_engine_emit_crowding(
	const struct bh_engine *e, const struct bh_emit_opts *opts)
{
	struct bh_emit m = {e, opts, bh_ruleset_new()};
	emit_forward(&m);
	emit_host(&m, "input", BH_HOOK_INPUT);
	bh_emit_crowding(&m);
	bh_ruleset_seal(m.rs);
	return m.rs;
}
