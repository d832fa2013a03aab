/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The order in which policies are asked, and what follows from their answers; see reference.h. The
 * sentence in quotes is from sigs.k8s.io/network-policy-api apis/v1alpha2/
 * clusternetworkpolicy_types.go.
 */
#include "lib/reference_private.h"

static bool is_exempt(const struct world *x, const int owner[2])
{
	const struct bh_flow *f = x->f;
	bool v6 = f->dst.family == BH_IPV6;
	unsigned t = f->icmp_type;
	for (size_t i = 0; i < x->inv->n_broadcast; i++)
		if (reference_same(&x->inv->broadcast[i], &f->dst))
			return true;
	if (v6 ? f->dst.b[0] == 0xff : (f->dst.b[0] & 0xf0) == 0xe0)
		return true;
	if (!v6 && memcmp(f->dst.b, "\xff\xff\xff\xff", 4) == 0)
		return true;
	bool node = owner[0] == BH_OWNER_HOST || owner[1] == BH_OWNER_HOST;
	if (v6 && f->proto == 58 && t >= 133 && t <= 137 &&
		(node || f->hops == 0 || f->hops == 255))
		return true;
	if (v6 && f->proto == 58 && node && (t == 143 || (t >= 130 && t <= 132)))
		return true;
	unsigned a = v6 ? 546 : 67, b = v6 ? 547 : 68;
	bool on_link = v6 && f->dst.b[0] == 0xfe && (f->dst.b[1] & 0xc0) == 0x80;
	if (owner[0] != BH_OWNER_HOST && owner[1] != BH_OWNER_HOST && !on_link)
		return false;
	return f->proto == BH_UDP && (f->sport == a || f->sport == b) &&
	       (f->dport == a || f->dport == b);
}

static bool is_self(const struct world *x, const struct bh_workload *w)
{
	size_t n = 0;
	for (size_t i = 0; i < w->n_ifaces; i++)
		for (size_t k = 0; k < w->iface[i].n_addrs; k++)
			n += w->iface[i].addr[k].family == x->f->src.family;
	return n <= 16 || reference_same(&x->f->src, &x->f->dst);
}

/* What the policies say of one side. */
enum answer { SILENT, ACCEPT, DENY, PASS };

/* The first rule of p that matches. */
static enum answer ask(const struct world *x, const struct bh_policy *p, enum bh_direction d,
	const int owner[2], struct bh_rule_ref *ret)
{
	static const enum answer answers[] = {
		[BH_RULE_ACCEPT] = ACCEPT, [BH_RULE_DENY] = DENY, [BH_RULE_PASS] = PASS};
	const struct bh_addr *addr = d == BH_EGRESS ? &x->f->dst : &x->f->src;
	for (size_t k = 0; k < p->n_rules[d]; k++) {
		const struct bh_policy_rule *r = &p->rule[d][k];
		int peer;
		if (!reference_rule_matches(x, p, r, addr, owner[!d], owner[BH_INGRESS], &peer))
			continue;
		if (r->action != BH_RULE_PASS)
			*ret = (struct bh_rule_ref){p, (int)k, peer};
		return answers[r->action];
	}
	return SILENT;
}

/* "Policies with lower priority values have higher precedence"; ours: equal ones by name. */
static bool comes_before(const struct bh_policy *a, const struct bh_policy *b)
{
	return a->priority != b->priority ? a->priority < b->priority
					  : strcmp(a->name, b->name) < 0;
}

static bool means(const struct world *x, const struct bh_policy *p, const struct bh_workload *me)
{
	return reference_selects(
		       &p->namespaces, reference_namespace_labels(x->inv, me->namespace)) &&
	       reference_selects(&p->pods, &me->labels);
}

/* Admin or Baseline: policy after policy in order of precedence, the first match decides. */
static enum answer ask_tier(const struct world *x, enum bh_tier tier, enum bh_direction d,
	const int owner[2], struct bh_rule_ref *ret)
{
	const struct bh_workload *me = x->inv->workload[owner[d]];
	const struct bh_policy *last = NULL;
	for (;;) {
		const struct bh_policy *next = NULL;
		for (size_t i = 0; i < x->policies->n; i++) {
			const struct bh_policy *p = x->policies->policy[i];
			if (p->tier == tier && (!last || comes_before(last, p)) &&
				(!next || comes_before(p, next)))
				next = p;
		}
		if (!next)
			return SILENT;
		enum answer a = means(x, next, me) ? ask(x, next, d, owner, ret) : SILENT;
		if (a != SILENT)
			return a;
		last = next;
	}
}

/* Is `me` isolated in direction d, and if so, does some NetworkPolicy allow the flow? */
static bool consult(const struct world *x, enum bh_direction d, const int owner[2],
	bool *ret_isolated, struct bh_rule_ref *ret)
{
	const struct bh_workload *me = x->inv->workload[owner[d]];
	*ret_isolated = false;
	for (size_t i = 0; i < x->policies->n; i++) {
		const struct bh_policy *p = x->policies->policy[i];
		if (p->tier != BH_TIER_NETWORK_POLICY || !p->isolates[d] ||
			strcmp(p->namespace, me->namespace) != 0 ||
			!reference_selects(&p->pods, &me->labels))
			continue;
		*ret_isolated = true;
		if (ask(x, p, d, owner, ret) == ACCEPT)
			return true;
	}
	return false;
}

/* All tiers. *ret_isolated: a NetworkPolicy isolates and none allows, which decides it. */
static enum answer ask_all(const struct world *x, enum bh_direction d, const int owner[2],
	bool *ret_isolated, struct bh_rule_ref *ret)
{
	*ret_isolated = false;
	enum answer a = ask_tier(x, BH_TIER_ADMIN, d, owner, ret);
	if (a == ACCEPT || a == DENY)
		return a;
	if (consult(x, d, owner, ret_isolated, ret))
		return ACCEPT;
	return *ret_isolated ? SILENT : ask_tier(x, BH_TIER_BASELINE, d, owner, ret);
}

static bool governable(const struct bh_workload *w)
{
	for (size_t i = 0; i < w->n_ifaces; i++)
		if (w->iface[i].host_ifindex)
			return true;
	return !w->unenforceable;
}

static void decide(const struct world *x, enum bh_direction d, const int owner[2],
	struct bh_side *ret, bool *ret_isolated)
{
	*ret = (struct bh_side){.workload = owner[d], .verdict = BH_SIDE_UNGOVERNED};
	*ret_isolated = false;
	if (owner[d] < 0)
		return;
	const struct bh_workload *me = x->inv->workload[owner[d]];
	ret->mode = me->mode;
	if (!governable(me) || is_exempt(x, owner))
		return;
	if (owner[0] == owner[1] && is_self(x, me)) {
		ret->verdict = BH_SIDE_SELF;
		return;
	}
	if (owner[!d] == BH_OWNER_HOST && !x->opts->host_policy) {
		ret->verdict = BH_SIDE_HOST;
		return;
	}
	enum answer a = ask_all(x, d, owner, ret_isolated, &ret->rule);
	bool deny = a == DENY || *ret_isolated || x->opts->unselected_deny;
	if (a == ACCEPT)
		ret->verdict = BH_SIDE_ALLOWED;
	else if (a != DENY && me->mode == BH_MODE_LEARN)
		ret->verdict = BH_SIDE_LEARN;
	else if (!deny)
		ret->verdict = BH_SIDE_OPEN;
	else
		ret->verdict = me->mode == BH_MODE_ENFORCE ? BH_SIDE_DENIED : BH_SIDE_WOULD_DENY;
}

static bool either(const struct bh_decision *d, enum bh_side_verdict v)
{
	return d->side[0].verdict == v || d->side[1].verdict == v;
}

static bool unknown(const struct world *x, const struct bh_addr *a, int owner)
{
	for (size_t i = 0; owner == BH_OWNER_NONE && i < x->inv->n_networks; i++)
		if (reference_inside(&x->inv->network[i], a))
			return true;
	return false;
}

/* Why sides with this verdict deny or would: a rule's word comes before a rule's absence. */
static enum bh_reason why_denied(
	const struct bh_decision *d, enum bh_side_verdict v, const bool isolated[2])
{
	enum bh_reason reason = BH_REASON_UNSELECTED;
	for (int i = 0; i < 2; i++) {
		if (d->side[i].verdict == v && d->side[i].rule.policy)
			return BH_REASON_POLICY;
		if (d->side[i].verdict == v && isolated[i])
			reason = BH_REASON_UNMATCHED;
	}
	return reason;
}

static enum bh_reason reason(
	const struct world *x, const struct bh_decision *d, const bool isolated[2])
{
	static const struct {
		enum bh_side_verdict side;
		enum bh_reason reason;
	} order[] = {
		{BH_SIDE_LEARN, BH_REASON_LEARNED},
		{BH_SIDE_HOST, BH_REASON_HOST},
		{BH_SIDE_SELF, BH_REASON_SELF},
		{BH_SIDE_ALLOWED, BH_REASON_POLICY},
		{BH_SIDE_OPEN, BH_REASON_UNSELECTED},
	};
	if (d->would_deny)
		return why_denied(d, BH_SIDE_WOULD_DENY, isolated) == BH_REASON_POLICY
			       ? BH_REASON_POLICY
			       : BH_REASON_UNMATCHED;
	for (size_t i = 0; i < BH_ARRAY_SIZE(order); i++)
		if (either(d, order[i].side))
			return order[i].reason;
	const int owner[2] = {d->side[0].workload, d->side[1].workload};
	if (!is_exempt(x, owner) && (unknown(x, &x->f->src, d->side[0].workload) ||
					    unknown(x, &x->f->dst, d->side[1].workload)))
		return BH_REASON_UNKNOWN_WORKLOAD;
	return BH_REASON_NONE;
}

void reference_evaluate(const struct bh_policy_set *policies, const struct bh_inventory *inv,
	const struct bh_engine_opts *opts, const struct bh_flow *f, struct bh_decision *ret)
{
	const struct world x = {policies, inv, opts, f};
	const int owner[2] = {reference_owner(inv, &f->src), reference_owner(inv, &f->dst)};
	bool isolated[2];
	*ret = (struct bh_decision){.verdict = BH_ALLOW};
	for (int d = 0; d < 2; d++)
		decide(&x, (enum bh_direction)d, owner, &ret->side[d], &isolated[d]);
	if (either(ret, BH_SIDE_DENIED)) {
		ret->verdict = opts->reject ? BH_REJECT : BH_DROP;
		ret->reason = why_denied(ret, BH_SIDE_DENIED, isolated);
		return;
	}
	ret->would_deny = either(ret, BH_SIDE_WOULD_DENY);
	ret->learn = either(ret, BH_SIDE_LEARN);
	ret->reason = reason(&x, ret, isolated);
}
