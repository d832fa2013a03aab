/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What the policies that select a party look at, and whether they are others after than before.
 * Only flows of which one side's policies have changed can open or close: the inventory and the
 * engine's options are the same, so equal policies say the same.
 */
#include "private.h"

/* Policies of `before` that stand in `after` with the same meaning. */
struct twin {
	const struct bh_policy *before, *after;
};
struct twins {
	struct twin *item; /* sorted by before */
	size_t n;
};

struct gathered {
	const struct bh_policy **item;
	size_t n, cap;
};

static int compare_twins(const void *a, const void *b)
{
	uintptr_t x = (uintptr_t)((const struct twin *)a)->before;
	uintptr_t y = (uintptr_t)((const struct twin *)b)->before;
	return (x > y) - (x < y);
}

static void find_twins(const struct bh_delta_world *w, struct twins *t)
{
	const struct bh_policy_set *before = bh_engine_policies(w->engine[BH_DELTA_BEFORE]);
	const struct bh_policy_set *after = bh_engine_policies(w->engine[BH_DELTA_AFTER]);
	t->item = bh_xcalloc(before->n, sizeof(*t->item));
	for (size_t i = 0; i < before->n; i++) {
		const struct bh_policy *p = before->policy[i];
		const struct bh_policy *q = bh_policy_set_find(after, p->namespace, p->name);
		if (q && bh_policy_equal(p, q))
			t->item[t->n++] = (struct twin){p, q};
	}
	if (t->n)
		qsort(t->item, t->n, sizeof(*t->item), compare_twins);
}

static const struct bh_policy *twin_of(const struct twins *t, const struct bh_policy *before)
{
	const struct twin key = {.before = before};
	const struct twin *x =
		t->n ? bsearch(&key, t->item, t->n, sizeof(*t->item), compare_twins) : NULL;
	return x ? x->after : NULL;
}

static bool same_options(const struct bh_delta_world *w)
{
	const struct bh_engine_opts *a = bh_engine_options(w->engine[0]);
	const struct bh_engine_opts *b = bh_engine_options(w->engine[1]);
	return a->unselected_deny == b->unselected_deny && a->host_policy == b->host_policy;
}

static size_t count_peers(const struct bh_policy *p, enum bh_direction d)
{
	size_t n = 0;
	for (size_t i = 0; i < p->n_rules[d]; i++)
		n += p->rule[d][i].n_peers;
	return n;
}

static void add(struct gathered *g, const struct bh_policy *p)
{
	BH_GROW(g->item, g->n, g->cap);
	g->item[g->n++] = p;
}

/* All workloads of an atom are selected by the same policies: the first speaks for them. */
static void ask_atom(const struct bh_delta_world *w, const struct twins *t, struct bh_delta_atom *a,
	enum bh_direction d, struct gathered *all)
{
	const struct bh_policy *const *list[2];
	size_t n[2], peers = 0;
	for (int e = 0; e < 2; e++) {
		n[e] = bh_engine_policies_of(w->engine[e], (size_t)a->workload[0], d, &list[e]);
		for (size_t i = 0; i < n[e]; i++) {
			peers += count_peers(list[e][i], d);
			add(all, list[e][i]);
		}
	}
	a->changed[d] = n[0] != n[1];
	for (size_t i = 0; i < n[0] && !a->changed[d]; i++)
		a->changed[d] = twin_of(t, list[0][i]) != list[1][i];
	a->weight[d] = (uint32_t)(peers / 64);
}

static void add_block(struct bh_delta_party *p, const struct bh_prefix *x)
{
	BH_GROW(p->block, p->n_blocks, p->cap_blocks);
	p->block[p->n_blocks++] = *x;
}

static void add_peer(struct bh_delta_party *p, const struct bh_policy_peer *peer)
{
	for (size_t i = 0; i < peer->n_networks; i++)
		add_block(p, &peer->network[i]);
	if (!peer->block)
		return;
	add_block(p, &peer->block->cidr);
	for (size_t i = 0; i < peer->block->n_except; i++)
		add_block(p, &peer->block->except[i]);
}

/* A name in an ingress rule means what the party itself serves; in an egress rule, what the other
 * end does, which is another one for each. */
static void add_named(
	struct bh_delta_party *p, enum bh_direction d, const struct bh_policy_port *port)
{
	if (d == BH_EGRESS) {
		BH_GROW(p->asks.item, p->asks.n, p->asks.cap);
		p->asks.item[p->asks.n++] =
			(struct bh_delta_named){.name = port->name, .proto = port->proto};
		return;
	}
	for (size_t i = 0; i < p->serves.n; i++) {
		const struct bh_delta_named *s = &p->serves.item[i];
		if (bh_streq(s->name, port->name) && (!port->proto || port->proto == s->proto))
			bh_delta_starts_add(&p->starts[d], s->proto, s->port, s->port);
	}
}

static void add_policy(
	struct bh_delta_party *p, enum bh_direction d, const struct bh_policy *policy)
{
	for (size_t i = 0; i < policy->n_rules[d]; i++) {
		const struct bh_policy_rule *r = &policy->rule[d][i];
		for (size_t k = 0; k < r->n_peers; k++)
			add_peer(p, &r->peer[k]);
		for (size_t k = 0; k < r->n_ports; k++)
			if (r->port[k].name)
				add_named(p, d, &r->port[k]);
			else
				bh_delta_starts_add(&p->starts[d], r->port[k].proto,
					r->port[k].any ? 0 : r->port[k].first,
					r->port[k].any ? UINT16_MAX : r->port[k].last);
	}
}

static int compare_pointers(const void *a, const void *b)
{
	uintptr_t x = (uintptr_t) * (const struct bh_policy *const *)a;
	uintptr_t y = (uintptr_t) * (const struct bh_policy *const *)b;
	return (x > y) - (x < y);
}

static void add_all(struct bh_delta_party *p, enum bh_direction d, struct gathered *g)
{
	if (g->n)
		qsort(g->item, g->n, sizeof(*g->item), compare_pointers);
	for (size_t i = 0; i < g->n; i++)
		if (i == 0 || g->item[i] != g->item[i - 1])
			add_policy(p, d, g->item[i]);
	g->n = 0;
}

static int compare_prefixes(const void *a, const void *b)
{
	const struct bh_prefix *x = a, *y = b;
	int r = bh_addr_cmp(&x->addr, &y->addr);
	return r ? r : (int)x->len - (int)y->len;
}

/* Policies before and after, and rules of one policy, mostly have the same blocks. */
static void sort_blocks(struct bh_delta_party *p)
{
	size_t n = 0;
	if (p->n_blocks)
		qsort(p->block, p->n_blocks, sizeof(*p->block), compare_prefixes);
	for (size_t i = 0; i < p->n_blocks; i++)
		if (n == 0 || compare_prefixes(&p->block[i], &p->block[n - 1]) != 0)
			p->block[n++] = p->block[i];
	p->n_blocks = n;
}

static int compare_asked(const void *a, const void *b)
{
	const struct bh_delta_named *x = a, *y = b;
	int r = strcmp(x->name, y->name);
	return r ? r : (int)x->proto - (int)y->proto;
}

static void sort_asks(struct bh_delta_names *s)
{
	size_t n = 0;
	if (s->n)
		qsort(s->item, s->n, sizeof(*s->item), compare_asked);
	for (size_t i = 0; i < s->n; i++)
		if (n == 0 || compare_asked(&s->item[i], &s->item[n - 1]) != 0)
			s->item[n++] = s->item[i];
	s->n = n;
}

static void ask_party(struct bh_delta_world *w, const struct twins *t, struct bh_delta_party *p,
	struct gathered *all)
{
	bool pruning = !w->no_pruning && same_options(w);
	for (int d = 0; d < 2; d++) {
		for (size_t i = 0; i < p->n_atoms; i++) {
			struct bh_delta_atom *a = &p->atom[i];
			ask_atom(w, t, a, (enum bh_direction)d, all);
			a->changed[d] |= !pruning;
			p->changed[d] |= a->changed[d];
		}
		add_all(p, (enum bh_direction)d, all);
		bh_delta_starts_sort(&p->starts[d]);
	}
	sort_blocks(p);
	sort_asks(&p->asks);
}

void bh_delta_find_policies(struct bh_delta_world *w)
{
	struct twins t = {0};
	struct gathered all = {0};
	find_twins(w, &t);
	for (size_t i = 0; i < w->n_roles; i++)
		ask_party(w, &t, &w->party[i], &all);
	free(t.item);
	free(all.item);
}
