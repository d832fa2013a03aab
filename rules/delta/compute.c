/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The whole diff: all pairs of parties of which one has other policies than before. */
#include <errno.h>

#include "private.h"

static void compare(struct bh_delta_world *w, const struct bh_delta_party *src,
	const struct bh_delta_party *dst)
{
	struct bh_delta *d = w->out;
	if (!src->changed[BH_EGRESS] && !dst->changed[BH_INGRESS])
		return;
	if (!src->n_atoms || !dst->n_atoms)
		return;
	if (d->n >= w->max_edges || d->evaluations >= w->max_evaluations ||
		!bh_delta_compare(w, src, dst)) {
		d->truncated = true;
		d->skipped++;
	}
}

static void compare_outside(struct bh_delta_world *w, struct bh_delta_party *p)
{
	struct bh_delta_party outside;
	if (!p->changed[BH_EGRESS] && !p->changed[BH_INGRESS])
		return;
	bh_delta_outside_of(w, p, &outside);
	compare(w, p, &outside);
	compare(w, &outside, p);
	bh_delta_party_finish(&outside);
}

/* Roles to roles first: if a limit cuts something off, it is the rest. */
static void compare_all(struct bh_delta_world *w)
{
	for (size_t i = 0; i < w->n_roles; i++)
		for (size_t k = 0; k < w->n_roles; k++)
			compare(w, &w->party[i], &w->party[k]);
	for (size_t i = 0; i < w->n_roles; i++)
		for (size_t k = w->n_roles; k < w->n_parties; k++) {
			compare(w, &w->party[i], &w->party[k]);
			compare(w, &w->party[k], &w->party[i]);
		}
	for (size_t i = 0; i < w->n_roles; i++)
		compare_outside(w, &w->party[i]);
}

static void world_finish(struct bh_delta_world *w)
{
	for (size_t i = 0; i < w->n_parties; i++)
		bh_delta_party_finish(&w->party[i]);
	free(w->party);
	free(w->role);
	free(w->point);
	bh_ranges_finish(&w->outside);
}

int bh_delta_compute(const struct bh_engine *before, const struct bh_engine *after,
	const struct bh_delta_opts *opts, struct bh_delta *ret)
{
	static const struct bh_delta_opts defaults = {0};
	struct bh_delta d = {0};
	struct bh_delta_world w = {.engine = {before, after}, .out = &d};
	w.inv = bh_engine_inventory(before);
	if (w.inv != bh_engine_inventory(after))
		return -EINVAL;
	opts = opts ? opts : &defaults;
	w.no_pruning = opts->no_pruning;
	w.max_edges = opts->max_edges ? opts->max_edges : BH_DELTA_MAX_EDGES;
	w.max_evaluations =
		opts->max_evaluations ? opts->max_evaluations : BH_DELTA_MAX_EVALUATIONS;
	d.inv = bh_inventory_ref((struct bh_inventory *)w.inv);
	bh_delta_find_parties(&w);
	bh_delta_find_atoms(&w);
	bh_delta_find_policies(&w);
	compare_all(&w);
	world_finish(&w);
	bh_delta_sort_edges(d.edge, d.n);
	for (size_t i = 0; i < d.n; i++)
		d.n_opens += d.edge[i].opens;
	d.n_closes = d.n - d.n_opens;
	*ret = d;
	return 0;
}

int bh_delta_policies(struct bh_policy_set *before, struct bh_policy_set *after,
	struct bh_inventory *inv, const struct bh_engine_opts *engine_opts, bool as_enforced,
	const struct bh_delta_opts *opts, struct bh_delta *ret)
{
	struct bh_inventory *world = as_enforced ? bh_delta_inventory(inv) : bh_inventory_ref(inv);
	struct bh_engine *a = bh_engine_compile(before, world, engine_opts);
	struct bh_engine *b = bh_engine_compile(after, world, engine_opts);
	int r = bh_delta_compute(a, b, opts, ret);
	bh_engine_unref(a);
	bh_engine_unref(b);
	bh_inventory_unref(world);
	return r;
}

void bh_delta_finish(struct bh_delta *d)
{
	for (size_t i = 0; i < d->n; i++)
		bh_delta_edge_finish(&d->edge[i]);
	free(d->edge);
	bh_inventory_unref(d->inv);
	*d = (struct bh_delta){0};
}
