/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The decision on one new flow, with the semantics of NetworkPolicy: being selected isolates, per
 * direction; policies add up; the source's egress and the destination's ingress must both allow.
 *
 * Runs on packet threads: reads the immutable artefact, allocates nothing, takes no lock. Cost is
 * two hash look-ups and the rules of two groups, each a port comparison and one bit per peer.
 */
#include "internal.h"

#include <netinet/in.h>

/* RFC 4861 and RFC 3810; a host that can't do these has no IPv6 at all. */
static bool is_icmpv6_plumbing(const struct bh_flow *f)
{
	return f->proto == IPPROTO_ICMPV6 && f->src.family == BH_IPV6 &&
	       ((f->icmp_type >= 130 && f->icmp_type <= 137) || f->icmp_type == 143);
}

/*
 * DHCP with the node itself, and DHCPv6 on the link. Both ports have to be DHCP's: one alone would
 * be a hole that any program could use. Between workloads or to the outside the two ports would be
 * one as well (any root in a container can bind them); what DHCP needs there is broadcast.
 */
static bool is_dhcp(const struct bh_flow *f, bool node)
{
	uint16_t first = f->src.family == BH_IPV4 ? 67 : 546;
	if (!node && !(f->dst.family == BH_IPV6 && bh_addr_is_link_local(&f->dst)))
		return false;
	return f->proto == IPPROTO_UDP && (f->sport == first || f->sport == first + 1) &&
	       (f->dport == first || f->dport == first + 1);
}

static bool is_exempt(const struct bh_engine *e, const struct bh_flow *f, const int owner[2])
{
	bool node = owner[0] == BH_OWNER_HOST || owner[1] == BH_OWNER_HOST;
	return is_icmpv6_plumbing(f) || is_dhcp(f, node) || bh_addr_is_multicast(&f->dst) ||
	       bh_ranges_contain(&e->ungoverned, &f->dst);
}

bool bh_engine_is_self(const struct bh_engine *e, const struct bh_flow *f, int src, int dst)
{
	if (src < 0 || src != dst)
		return false;
	return !e->many[f->src.family == BH_IPV6][src] || bh_addr_eq(&f->src, &f->dst);
}

static bool serves(const struct bh_named_set *s, uint16_t port, int workload)
{
	size_t lo = 0, hi = s->n;
	if (workload < 0)
		return false; /* a name means nothing outside a workload */
	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		const struct bh_named_target *t = &s->target[mid];
		if (t->port < port || (t->port == port && t->workload < (uint32_t)workload))
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo < s->n && s->target[lo].port == port &&
	       s->target[lo].workload == (uint32_t)workload;
}

static bool port_matches(
	const struct bh_engine *e, const struct bh_erule *r, const struct bh_flow *f, int dst)
{
	if (r->any_port)
		return true;
	for (size_t i = 0; i < r->n_ports; i++) {
		const struct bh_eport *p = &r->port[i];
		if (p->proto != f->proto)
			continue;
		if (p->named >= 0 ? serves(&e->named[p->named], f->dport, dst)
				  : f->dport >= p->first && f->dport <= p->last)
			return true;
	}
	return false;
}

/* Index of the first peer that is meant by the other end; -1 if none. */
static int peer_matches(const struct bh_engine *e, const struct bh_erule *r,
	const struct bh_addr *addr, int workload)
{
	for (size_t i = 0; i < r->n_peers; i++) {
		const struct bh_peer_set *s = &e->peer[r->peer[i]];
		if (s->member ? workload >= 0 && (s->member[workload / 64] >> (workload % 64) & 1)
			      : bh_ranges_contain(&s->ranges, addr))
			return (int)i;
	}
	return -1;
}

static bool allowed(const struct bh_engine *e, const struct bh_group *g, const struct bh_flow *f,
	const int owner[2], struct bh_rule_ref *ret)
{
	enum bh_direction d = g->direction;
	const struct bh_addr *addr = d == BH_EGRESS ? &f->dst : &f->src;
	for (size_t i = 0; i < g->n_rules; i++) {
		const struct bh_erule *r = &g->rule[i];
		int peer = -1;
		if (!port_matches(e, r, f, owner[BH_INGRESS]))
			continue;
		if (r->n_peers && (peer = peer_matches(e, r, addr, owner[!d])) < 0)
			continue;
		*ret = (struct bh_rule_ref){r->policy, (int)r->rule, peer};
		return true;
	}
	return false;
}

/* owner: who has the source's address, who the destination's, in the order of bh_direction. */
static void decide_side(const struct bh_engine *e, const struct bh_flow *f, enum bh_direction d,
	const int owner[2], bool exempt, struct bh_side *ret)
{
	int me = owner[d];
	ret->workload = me;
	ret->verdict = BH_SIDE_UNGOVERNED;
	if (me < 0)
		return;
	int32_t at = e->group_of[d][me];
	ret->mode = e->inv->workload[me]->mode;
	if (at == BH_GROUP_UNGOVERNED || exempt)
		return;
	if (bh_engine_is_self(e, f, owner[0], owner[1])) {
		ret->verdict = BH_SIDE_SELF;
	} else if (owner[!d] == BH_OWNER_HOST && !e->opts.host_policy) {
		ret->verdict = BH_SIDE_HOST;
	} else if (at == BH_GROUP_NONE) {
		ret->verdict = BH_SIDE_OPEN;
	} else if (allowed(e, e->group[at], f, owner, &ret->rule)) {
		ret->verdict = BH_SIDE_ALLOWED;
	} else {
		static const enum bh_side_verdict unmatched[] = {
			[BH_MODE_LEARN] = BH_SIDE_LEARN,
			[BH_MODE_AUDIT] = BH_SIDE_WOULD_DENY,
			[BH_MODE_ENFORCE] = BH_SIDE_DENIED,
		};
		ret->verdict = unmatched[ret->mode];
	}
}

static bool has(const struct bh_decision *d, enum bh_side_verdict v)
{
	return d->side[BH_EGRESS].verdict == v || d->side[BH_INGRESS].verdict == v;
}

/* Denied because isolated? Otherwise only `unselected: deny` did it. */
static bool denied_by_isolation(const struct bh_engine *e, const struct bh_decision *dec)
{
	for (int d = 0; d < 2; d++) {
		const struct bh_side *s = &dec->side[d];
		if (s->verdict == BH_SIDE_DENIED &&
			bh_engine_isolated(e, (size_t)s->workload, (enum bh_direction)d))
			return true;
	}
	return false;
}

static bool is_unknown(const struct bh_engine *e, const struct bh_addr *a, int owner)
{
	return owner == BH_OWNER_NONE && bh_inventory_in_network(e->inv, a);
}

static enum bh_reason allow_reason(const struct bh_engine *e, const struct bh_flow *f,
	const struct bh_decision *d, bool exempt)
{
	if (d->would_deny)
		return BH_REASON_UNMATCHED;
	if (d->learn)
		return BH_REASON_LEARNED;
	if (has(d, BH_SIDE_HOST))
		return BH_REASON_HOST;
	if (has(d, BH_SIDE_SELF))
		return BH_REASON_SELF;
	if (has(d, BH_SIDE_ALLOWED))
		return BH_REASON_POLICY;
	if (has(d, BH_SIDE_OPEN))
		return BH_REASON_UNSELECTED;
	if (!exempt && (is_unknown(e, &f->src, d->side[BH_EGRESS].workload) ||
			       is_unknown(e, &f->dst, d->side[BH_INGRESS].workload)))
		return BH_REASON_UNKNOWN_WORKLOAD;
	return BH_REASON_NONE;
}

void bh_engine_evaluate(const struct bh_engine *e, const struct bh_flow *f, struct bh_decision *ret)
{
	const int owner[2] = {
		[BH_EGRESS] = bh_inventory_owner(e->inv, &f->src),
		[BH_INGRESS] = bh_inventory_owner(e->inv, &f->dst),
	};
	bool exempt = is_exempt(e, f, owner);
	*ret = (struct bh_decision){.verdict = BH_ALLOW};
	decide_side(e, f, BH_EGRESS, owner, exempt, &ret->side[BH_EGRESS]);
	decide_side(e, f, BH_INGRESS, owner, exempt, &ret->side[BH_INGRESS]);
	if (has(ret, BH_SIDE_DENIED)) {
		ret->verdict = e->opts.reject ? BH_REJECT : BH_DROP;
		ret->reason =
			denied_by_isolation(e, ret) ? BH_REASON_UNMATCHED : BH_REASON_UNSELECTED;
		return;
	}
	ret->would_deny = has(ret, BH_SIDE_WOULD_DENY);
	ret->learn = has(ret, BH_SIDE_LEARN);
	ret->reason = allow_reason(e, f, ret, exempt);
}
