/* SPDX-License-Identifier: GPL-3.0-or-later */
/* See roles.h. */
#include "review/roles.h"

#include "core/state.h"

static size_t hash_of(const struct bh_core *c, const struct bh_end *e)
{
	uint64_t seed = BH_HASH_SEED ^ (uint64_t)c->started;
	return bh_labels_hash(&e->selector, bh_hash_str(e->namespace, seed));
}

static void grow(const struct bh_core *c, struct bh_role_views *v)
{
	free(v->slot);
	v->mask = v->mask ? v->mask * 2 + 1 : 255;
	v->slot = bh_xcalloc(v->mask + 1, sizeof(*v->slot));
	for (size_t i = 0; i < v->n; i++) {
		size_t at = hash_of(c, &v->item[i].end) & v->mask;
		while (v->slot[at])
			at = (at + 1) & v->mask;
		v->slot[at] = (uint32_t)i + 1;
	}
}

static struct bh_role_view *get(struct bh_core *c, struct bh_role_views *v, const struct bh_end *e)
{
	if (v->n * 2 >= v->mask)
		grow(c, v);
	size_t at = hash_of(c, e) & v->mask;
	for (; v->slot[at]; at = (at + 1) & v->mask)
		if (bh_end_equal(&v->item[v->slot[at] - 1].end, e))
			return &v->item[v->slot[at] - 1];
	BH_GROW(v->item, v->n, v->cap);
	struct bh_role_view *x = &v->item[v->n++];
	v->slot[at] = (uint32_t)v->n;
	*x = (struct bh_role_view){
		.name = bh_role_name(&e->selector), .seen = bh_learn_role(c->learn, e)};
	bh_end_copy(&x->end, e);
	if (x->seen)
		x->since = x->seen->since;
	return x;
}

static void add_workloads(struct bh_core *c, struct bh_role_views *v)
{
	const struct bh_inventory *inv = bh_engine_inventory(c->snap->engine);
	for (size_t i = 0; i < inv->n; i++) {
		struct bh_end e = {.kind = BH_END_ROLE, .namespace = inv->workload[i]->namespace};
		bh_role_of(inv->workload[i], &e.selector);
		struct bh_role_view *x = get(c, v, &e);
		x->mixed |= x->workloads > 0 && x->mode != inv->workload[i]->mode;
		x->mode = inv->workload[i]->mode;
		x->workloads++;
		bh_labels_finish(&e.selector);
	}
}

static void add_end(struct bh_core *c, struct bh_role_views *v, const struct bh_tuple *t, bool out)
{
	const struct bh_end *e = out ? &t->src : &t->dst;
	if (e->kind != BH_END_ROLE)
		return;
	struct bh_role_view *x = get(c, v, e);
	if (!x->since || (t->first_seen && t->first_seen < x->since))
		x->since = t->first_seen;
	if (!t->answered) {
		x->unanswered += t->folded ? t->folded : 1;
		x->folded += t->folded;
		return;
	}
	x->folded += t->folded;
	x->edges_out += out;
	x->edges_in += !out;
	x->connections += t->connections;
	if (t->answered_at > x->last_new)
		x->last_new = t->answered_at;
}

static void add_history(
	struct bh_core *c, struct bh_role_views *v, const struct bh_tuple *t, bool out, int64_t now)
{
	const struct bh_end *e = out ? &t->src : &t->dst;
	if (e->kind != BH_END_ROLE || !t->answered)
		return;
	struct bh_role_view *x = get(c, v, e);
	int64_t span = now - x->since, at = t->answered_at - x->since;
	if (span <= 0 || at < 0 || at > span)
		return;
	size_t part = (size_t)((double)at / (double)span * BH_HISTORY);
	x->history[part < BH_HISTORY ? part : BH_HISTORY - 1]++;
}

static int compare(const void *a, const void *b)
{
	const struct bh_role_view *x = a, *y = b;
	return bh_end_cmp(&x->end, &y->end);
}

void bh_core_role_views(struct bh_core *c, const struct bh_tuple *tuple, size_t n, int64_t now,
	struct bh_role_views *ret)
{
	struct bh_role_views v = {0};
	grow(c, &v);
	if (c->snap)
		add_workloads(c, &v);
	for (size_t i = 0; i < bh_learn_n_roles(c->learn); i++)
		get(c, &v, &bh_learn_role_at(c->learn, i)->end);
	for (size_t i = 0; i < n; i++) {
		add_end(c, &v, &tuple[i], true);
		add_end(c, &v, &tuple[i], false);
	}
	for (size_t i = 0; i < n; i++) {
		add_history(c, &v, &tuple[i], true, now);
		add_history(c, &v, &tuple[i], false, now);
	}
	if (v.n)
		qsort(v.item, v.n, sizeof(*v.item), compare);
	free(BH_TAKE_PTR(v.slot)); /* it spoke of the order of before */
	*ret = v;
}

void bh_core_role_views_finish(struct bh_role_views *v)
{
	for (size_t i = 0; i < v->n; i++) {
		bh_end_finish(&v->item[i].end);
		free(v->item[i].name);
	}
	free(v->item);
	*v = (struct bh_role_views){0};
}

void bh_core_role_ready(const struct bh_role_view *x, int64_t now, struct bh_ready *ret)
{
	struct bh_ready_facts f = {
		.edges = x->edges_in + x->edges_out,
		.unanswered = x->unanswered,
		.connections = x->connections,
		.quiet_s = x->last_new ? (now - x->last_new) / 1000000 : 0,
	};
	if (x->seen) {
		f.learned_s = x->seen->learned_s;
		f.starts = x->seen->starts;
		bh_hours_count(x->seen->hours, &f.hours, &f.weekdays);
	}
	bh_ready_judge(&f, ret);
}

bool bh_core_role_is(const struct bh_role_view *x, const char *ns, const char *name)
{
	return (!ns || bh_streq(ns, x->end.namespace)) && (!name || bh_streq(name, x->name));
}
