/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The decision on one new flow. Per direction the tiers are asked in order. ClusterNetworkPolicy's
 * Admin tier: the first rule that matches accepts, denies, or passes to the next tier.
 * NetworkPolicy: being selected isolates, policies add up, and the answer is final. Baseline tier:
 * as Admin, for those whom no NetworkPolicy isolates. The source's egress and the destination's
 * ingress must both allow.
 *
 * Runs on packet threads: reads the immutable artefact, allocates nothing, takes no lock. Cost is
 * two hash look-ups and, in two groups, the columns of whom the other end is (see index.c).
 */
#include "internal.h"

#include <netinet/in.h>

/*
 * RFC 4861 and RFC 3810; a host that can't do these has no IPv6 at all. Neighbours are on the link,
 * and receivers take nothing that has been forwarded: what is (its hop limit tells) is somebody's
 * data. MLD is for groups of the link.
 */
static bool is_icmpv6_plumbing(const struct bh_flow *f, bool node)
{
	if (f->proto != IPPROTO_ICMPV6 || f->src.family != BH_IPV6)
		return false;
	if (f->icmp_type >= 133 && f->icmp_type <= 137)
		return node || !f->hops || f->hops == 255;
	return ((f->icmp_type >= 130 && f->icmp_type <= 132) || f->icmp_type == 143) &&
	       (node || (f->dst.b[0] == 0xff && f->dst.b[1] == 0x02));
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

/* Without these a host has no network at all; quarantine leaves them. */
static bool is_plumbing(const struct bh_flow *f, const int owner[2])
{
	bool node = owner[0] == BH_OWNER_HOST || owner[1] == BH_OWNER_HOST;
	return is_icmpv6_plumbing(f, node) || is_dhcp(f, node);
}

static bool is_flooded(const struct bh_engine *e, const struct bh_flow *f)
{
	return bh_addr_is_multicast(&f->dst) || bh_ranges_contain(&e->ungoverned, &f->dst);
}

static bool quarantined(const struct bh_engine *e, int workload)
{
	return workload >= 0 && e->place[workload].quarantined;
}

/* Has it more addresses of a family than the kernel's list of own pairs takes? */
bool bh_self_by_pair(const struct bh_workload *w, uint8_t family)
{
	size_t n = 0;
	for (size_t i = 0; i < w->n_ifaces; i++)
		for (size_t k = 0; k < w->iface[i].n_addrs; k++)
			n += w->iface[i].addr[k].family == family;
	return n <= BH_SELF_MAX;
}

bool bh_engine_is_self(const struct bh_engine *e, const struct bh_flow *f, int src, int dst)
{
	if (src < 0 || src != dst)
		return false;
	return bh_addr_eq(&f->src, &f->dst) ||
	       bh_self_by_pair(e->inv->workload[src], f->src.family);
}

struct query {
	const struct bh_engine *e;
	const struct bh_flow *f;
	const struct bh_addr *addr; /* the other end's */
	const struct bh_class *other; /* NULL: not a workload */
	int dst; /* workload that is the destination */
};

struct best {
	int64_t order; /* −1 = none yet */
	int32_t peer;
};

static bool names_match(const struct query *q, const struct bh_row *r)
{
	if (r->proto != q->f->proto)
		return false;
	return bh_serves(
		q->e->inv->workload[q->dst], &q->e->plan->port_name[r->named], q->f->dport);
}

static bool port_matches(const struct query *q, const struct bh_row *r)
{
	if (r->proto && r->proto != q->f->proto)
		return false;
	if (!r->n_ports)
		return true;
	size_t lo = 0, hi = r->n_ports;
	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		if (r->port[mid].last < q->f->dport)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo < r->n_ports && r->port[lo].first <= q->f->dport;
}

/* The peer is among the row's. Without a branch, as in bh_piece_of. */
static int32_t index_of(const struct bh_row *r, uint32_t peer)
{
	size_t at = 0, n = r->n_hits;
	while (n > 1) {
		size_t half = n / 2;
		at += half & -(size_t)(r->hit[at + half].peer <= peer);
		n -= half;
	}
	return r->hit[at].index;
}

static void consider(
	struct best *b, const struct bh_tier_rows *t, const struct bh_talk *talk, uint32_t peer)
{
	if (b->order >= 0 && b->order < talk->order)
		return;
	int32_t index =
		talk->index == BH_TALK_PEER ? index_of(&t->row[talk->row], peer) : talk->index;
	if (b->order == talk->order && b->peer <= index)
		return;
	*b = (struct best){talk->order, index};
}

/* Names of ports, if the destination serves this one under any; and it has to be a workload. */
static bool asks_names(const struct query *q)
{
	if (q->dst < 0)
		return false;
	const struct bh_workload *w = q->e->inv->workload[q->dst];
	for (size_t i = 0; i < w->n_ports; i++)
		if (w->port[i].port == q->f->dport)
			return true;
	return false;
}

/* peer: whose column it is, if it is of one. */
static void ask_column(const struct query *q, const struct bh_tier_rows *t, uint32_t column,
	uint32_t peer, struct best *b)
{
	const struct bh_index *x = &t->index;
	const struct bh_column *c = &x->column[column];
	const struct bh_talk *talk = x->talk + c->talk, *end = talk + c->n;
	if (c->piece[BH_SEGS]) {
		const uint32_t *p = c->piece + bh_segment_of(q->f->proto);
		uint32_t w =
			x->winner[p[0] + bh_piece_of(x->first + p[0], p[1] - p[0], q->f->dport)];
		if (w != BH_NO_TALK)
			consider(b, t, &x->talk[w], peer);
		talk = end;
	}
	for (; talk < end; talk++)
		if (port_matches(q, &t->row[talk->row])) {
			consider(b, t, talk, peer);
			break;
		}
	if (!c->n_named || !asks_names(q))
		return;
	for (talk = end, end += c->n_named; talk < end; talk++)
		if (names_match(q, &t->row[talk->row])) {
			consider(b, t, talk, peer);
			break;
		}
}

static void ask_peers(const struct query *q, const struct bh_tier_rows *t, struct best *b)
{
	for (size_t i = 0; i < t->index.n_words; i++) {
		const struct bh_word *w = &t->index.word[i];
		uint64_t bits = q->other->peer[w->at] & w->bits;
		for (; bits; bits &= bits - 1) {
			uint64_t before = w->bits & ((bits & -bits) - 1);
			uint32_t rank = w->rank + (uint32_t)__builtin_popcountll(before);
			ask_column(q, t, t->index.column_of[rank],
				w->at * 64 + (uint32_t)__builtin_ctzll(bits), b);
		}
	}
}

static void ask_addresses(const struct query *q, const struct bh_tier_rows *t, struct best *b)
{
	const struct bh_cuts *c = &t->index.cuts[q->addr->family == BH_IPV6];
	const uint32_t *column;
	if (!c->n)
		return;
	size_t n = bh_cuts_find(c, q->addr, &column);
	for (size_t i = 0; i < n; i++)
		ask_column(q, t, column[i], 0, b);
}

/* The first rule of the tier, in order, that matches the flow. */
static bool ask_tier(
	const struct query *q, const struct bh_group *g, enum bh_tier tier, struct bh_step *ret)
{
	const struct bh_tier_rows *t = &g->tier[tier];
	struct best best = {-1, -1};
	*ret = (struct bh_step){.asked = true};
	if (!t->n)
		return false;
	if (t->index.any >= 0)
		ask_column(q, t, (uint32_t)t->index.any, 0, &best);
	if (q->other)
		ask_peers(q, t, &best);
	ask_addresses(q, t, &best);
	ret->matched = best.order >= 0;
	if (!ret->matched)
		return false;
	const struct bh_order *o = &g->order[best.order];
	ret->rule = (struct bh_rule_ref){o->policy, (int)o->rule, best.peer};
	ret->action = o->action;
	return o->action != BH_RULE_PASS;
}

enum bh_outcome bh_group_decide(const struct bh_engine *e, const struct bh_group *g,
	const struct bh_flow *f, const int owner[2], struct bh_step step[static 3])
{
	int other = owner[!g->direction];
	const struct query q = {
		.e = e,
		.f = f,
		.addr = g->direction == BH_EGRESS ? &f->dst : &f->src,
		.other = other >= 0 ? e->class[e->place[other].class] : NULL,
		.dst = owner[BH_INGRESS],
	};
	for (int tier = 0; tier < 3; tier++) {
		if (ask_tier(&q, g, (enum bh_tier)tier, &step[tier]))
			return step[tier].action == BH_RULE_ACCEPT ? BH_OUT_ACCEPT : BH_OUT_DENY;
		if (tier == BH_TIER_NETWORK_POLICY && (g->selection->n_np || g->quarantine))
			return BH_OUT_UNMATCHED;
	}
	return BH_OUT_DEFAULT;
}

/* A rule that denies is no gap that learning may fill. */
static enum bh_side_verdict denied_by_rule(enum bh_mode mode)
{
	return mode == BH_MODE_ENFORCE ? BH_SIDE_DENIED : BH_SIDE_WOULD_DENY;
}

static enum bh_side_verdict uncovered(enum bh_mode mode)
{
	static const enum bh_side_verdict verdict[] = {
		[BH_MODE_LEARN] = BH_SIDE_LEARN,
		[BH_MODE_AUDIT] = BH_SIDE_WOULD_DENY,
		[BH_MODE_ENFORCE] = BH_SIDE_DENIED,
	};
	return verdict[mode];
}

static void ask_group(const struct bh_engine *e, const struct bh_group *g, const struct bh_flow *f,
	const int owner[2], struct bh_side *ret)
{
	struct bh_step step[3] = {0};
	switch (bh_group_decide(e, g, f, owner, step)) {
	case BH_OUT_ACCEPT:
		ret->verdict = BH_SIDE_ALLOWED;
		break;
	case BH_OUT_DENY:
		ret->verdict = denied_by_rule(g->mode);
		break;
	case BH_OUT_UNMATCHED:
		ret->verdict = uncovered(g->mode);
		return;
	case BH_OUT_DEFAULT:
		ret->verdict = g->mode == BH_MODE_LEARN || e->plan->opts.unselected_deny
				       ? uncovered(g->mode)
				       : BH_SIDE_OPEN;
		return;
	}
	for (int tier = 0; tier < 3; tier++)
		if (step[tier].matched)
			ret->rule = step[tier].rule; /* the last one asked decided */
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
	int32_t at = e->place[me].group[d];
	ret->mode = (enum bh_mode)e->place[me].mode;
	bool quarantine = quarantined(e, me);
	if (at == BH_GROUP_UNGOVERNED || is_plumbing(f, owner) || (exempt && !quarantine))
		return;
	if (bh_engine_is_self(e, f, owner[0], owner[1])) {
		ret->verdict = BH_SIDE_SELF;
	} else if (owner[!d] == BH_OWNER_HOST && !e->plan->opts.host_policy && !quarantine) {
		ret->verdict = BH_SIDE_HOST;
	} else if (at == BH_GROUP_NONE) {
		ret->verdict = BH_SIDE_OPEN;
	} else {
		ask_group(e, e->group[at], f, owner, ret);
	}
}

static bool has(const struct bh_decision *d, enum bh_side_verdict v)
{
	return d->side[BH_EGRESS].verdict == v || d->side[BH_INGRESS].verdict == v;
}

/* Why a flow is (or would be) denied: a Deny rule says more than isolation, and that more than
 * `unselected: deny`. */
static enum bh_reason deny_reason(
	const struct bh_engine *e, const struct bh_decision *dec, enum bh_side_verdict v)
{
	enum bh_reason reason = BH_REASON_UNSELECTED;
	for (int d = 0; d < 2; d++)
		if (dec->side[d].verdict == v && quarantined(e, dec->side[d].workload))
			return BH_REASON_QUARANTINE;
	for (int d = 0; d < 2; d++) {
		const struct bh_side *s = &dec->side[d];
		if (s->verdict != v)
			continue;
		if (s->rule.policy)
			return BH_REASON_POLICY;
		if (bh_engine_isolated(e, (size_t)s->workload, (enum bh_direction)d))
			reason = BH_REASON_UNMATCHED;
	}
	return reason;
}

static bool is_unknown(const struct bh_engine *e, const struct bh_addr *a, int owner)
{
	return owner == BH_OWNER_NONE && bh_inventory_in_network(e->inv, a);
}

static enum bh_reason allow_reason(const struct bh_engine *e, const struct bh_flow *f,
	const struct bh_decision *d, bool exempt)
{
	if (d->would_deny) {
		enum bh_reason r = deny_reason(e, d, BH_SIDE_WOULD_DENY);
		return r == BH_REASON_UNSELECTED ? BH_REASON_UNMATCHED : r;
	}
	if (d->learn)
		return BH_REASON_LEARNED;
	for (int k = 0; k < 2; k++)
		if (d->side[k].verdict == BH_SIDE_ALLOWED && !d->side[k].rule.policy)
			return BH_REASON_QUARANTINE;
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
	bool exempt = is_plumbing(f, owner) || is_flooded(e, f);
	*ret = (struct bh_decision){.verdict = BH_ALLOW};
	decide_side(e, f, BH_EGRESS, owner, exempt, &ret->side[BH_EGRESS]);
	decide_side(e, f, BH_INGRESS, owner, exempt, &ret->side[BH_INGRESS]);
	if (has(ret, BH_SIDE_DENIED)) {
		ret->verdict = e->plan->opts.reject ? BH_REJECT : BH_DROP;
		ret->reason = deny_reason(e, ret, BH_SIDE_DENIED);
		return;
	}
	ret->would_deny = has(ret, BH_SIDE_WOULD_DENY);
	ret->learn = has(ret, BH_SIDE_LEARN);
	ret->reason = allow_reason(e, f, ret, exempt);
}
