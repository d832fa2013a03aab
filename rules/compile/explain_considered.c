/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What else was considered: rules that match as well, and rules that miss by the peer or by the
 * port alone. That is what a person looks for who expected another answer.
 */
#include "internal.h"

#define SHOWN_MAX 8

struct look {
	const struct bh_explain *x;
	enum bh_direction d;
	const struct bh_class *other; /* NULL: not a workload */
	size_t shown, left;
};

static bool peer_means(const struct look *l, uint32_t peer)
{
	const struct bh_peer *p = &l->x->e->plan->peer[peer];
	if (p->addresses)
		return bh_ranges_contain(
			&p->ranges, bh_explain_addr(l->x, (enum bh_direction) !l->d));
	return l->other && bh_bit(l->other->peer, peer);
}

static bool peers_match(
	const struct look *l, const struct bh_policy_rule *r, const struct bh_plan_rule *pr)
{
	for (size_t i = 0; i < r->n_peers; i++)
		if (peer_means(l, pr->peer[i]))
			return true;
	return !r->n_peers;
}

static bool port_matches(const struct look *l, const struct bh_policy_port *p)
{
	const struct bh_flow *f = l->x->f;
	int dst = l->x->d.side[BH_INGRESS].workload;
	struct bh_port_name name = {p->name, f->proto};
	if (p->proto && p->proto != f->proto)
		return false;
	if (p->name)
		return dst >= 0 && bh_serves(l->x->e->inv->workload[dst], &name, f->dport);
	return p->any || (f->dport >= p->first && f->dport <= p->last);
}

static bool ports_match(const struct look *l, const struct bh_policy_rule *r)
{
	for (size_t i = 0; i < r->n_ports; i++)
		if (port_matches(l, &r->port[i]))
			return true;
	return !r->n_ports;
}

static void ports_text(const struct bh_policy_rule *r, struct bh_buf *out)
{
	enum { SHOWN = 6 };
	char number[4];
	for (size_t i = 0; i < r->n_ports && i < SHOWN; i++) {
		const struct bh_policy_port *p = &r->port[i];
		bh_buf_printf(out, "%s%s", i ? ", " : "",
			p->proto ? bh_proto_name(p->proto, number) : "port");
		if (p->name)
			bh_buf_printf(out, "/%s", p->name);
		else if (!p->any && p->last != p->first)
			bh_buf_printf(out, "/%u-%u", p->first, p->last);
		else if (!p->any)
			bh_buf_printf(out, "/%u", p->first);
	}
	if (r->n_ports > SHOWN)
		bh_buf_printf(out, " and %zu more", r->n_ports - SHOWN);
}

static void peers_text(const struct look *l, const struct bh_policy_rule *r,
	const struct bh_plan_rule *pr, struct bh_buf *out)
{
	enum { SHOWN = 3 };
	for (size_t i = 0; i < r->n_peers && i < SHOWN; i++)
		bh_buf_printf(out, "%s%s", i ? ", " : "", l->x->e->plan->peer[pr->peer[i]].text);
	if (r->n_peers > SHOWN)
		bh_buf_printf(out, " and %zu more", r->n_peers - SHOWN);
}

static void consider(
	struct look *l, const struct bh_policy *p, size_t rule, const struct bh_plan_rule *pr)
{
	const struct bh_policy_rule *r = &p->rule[l->d][rule];
	const struct bh_rule_ref *decided = &l->x->d.side[l->d].rule;
	struct bh_buf *out = l->x->out;
	bool peers = peers_match(l, r, pr), ports = ports_match(l, r);
	if ((!peers && !ports) || (decided->policy == p && decided->rule == (int)rule))
		return;
	if (l->shown == SHOWN_MAX) {
		l->left++;
		return;
	}
	l->shown++;
	bh_buf_printf(out, "  considered: %s %s rule %zu", p->ref, bh_direction_name(l->d), rule);
	if (p->tier != BH_TIER_NETWORK_POLICY)
		bh_buf_printf(out, " (%s)", bh_rule_action_name(r->action));
	if (peers && ports) {
		bh_buf_str(out, " matches too\n");
	} else if (peers) {
		bh_buf_str(out, " means this peer, but only ");
		ports_text(r, out);
		bh_buf_str(out, "\n");
	} else {
		bh_buf_str(out, " covers this port, but only for ");
		peers_text(l, r, pr, out);
		bh_buf_str(out, "\n");
	}
}

void bh_explain_considered(const struct bh_explain *x, enum bh_direction d)
{
	const struct bh_engine *e = x->e;
	int w = x->d.side[d].workload, other = x->d.side[!d].workload;
	const struct bh_selection *s = e->selection[e->class[e->place[w].class] -> selection[d]];
	struct look l = {.x = x, .d = d};
	l.other = other >= 0 ? e->class[e->place[other].class] : NULL;
	for (size_t i = 0; i < s->n; i++)
		for (size_t k = 0; k < s->policy[i]->n_rules[d]; k++)
			consider(&l, s->policy[i], k, &e->plan->policy[s->index[i]].rule[d][k]);
	if (l.left)
		bh_buf_printf(x->out, "  considered: %zu more rules\n", l.left);
}
