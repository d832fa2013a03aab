/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * One workload starts, another ends: the daemon's own sequence (bh_core_reconcile) with the
 * daemon's own functions, without its sources, its audit log and the few milliseconds that it waits
 * for further events. What grows with the world is all here.
 */
#include "bench/policy.h"

#include <err.h>

const char *const bench_step_name[STEPS] = {
	"inventory", "compile", "emit", "diff", "commit", "freeing the old"};

static const struct bh_engine_opts engine_opts;

static struct bh_inventory *build_inventory(const struct bench_live *l)
{
	struct bh_inventory *inv = bh_inventory_new();
	for (size_t i = 0; i < l->n; i++)
		bh_inventory_add(inv, bh_workload_ref(l->workload[i]));
	bench_world_surroundings(l->world, inv);
	bh_inventory_seal(inv);
	return inv;
}

void bench_live_open(struct bench_live *l, struct bh_nft *nft, struct bh_policy_set *policies,
	const struct bench_world *world)
{
	struct bh_nft_error e;
	*l = (struct bench_live){.nft = nft, .policies = policies, .world = world};
	l->workload = bh_xcalloc(world->workloads + 1, sizeof(struct bh_workload *));
	for (; l->n < world->workloads; l->n++)
		l->workload[l->n] = bench_world_workload(world, l->n);
	l->inv = build_inventory(l);
	l->engine = bh_engine_compile(policies, l->inv, &engine_opts);
	l->installed = bh_engine_emit(l->engine, &bench_emit_opts);
	int r = bh_nft_rebuild(nft, l->installed, &e);
	if (r < 0)
		errx(1, "load: %s: %s %s", strerror(-r), e.object, e.kernel);
}

void bench_live_close(struct bench_live *l)
{
	bh_engine_unref(l->engine);
	bh_inventory_unref(l->inv);
	bh_ruleset_free(l->installed);
	for (size_t i = 0; i < l->n; i++)
		bh_workload_unref(l->workload[i]);
	free(l->workload);
}

static size_t changed(const struct bh_diff *d)
{
	size_t n = 0;
	for (size_t i = 0; i < d->n; i++) {
		const struct bh_change *c = &d->change[i];
		n += c->n_elems;
		if (c->kind == BH_CHANGE_ADD_RULES)
			n += c->chain->n;
	}
	return n;
}

/* Times of the steps in ms. Returns the sum up to the acknowledgement. */
static double reconcile(struct bench_live *l, double step[STEPS], size_t *ret_changed)
{
	struct bh_nft_error e;
	struct bh_diff diff;
	double t[STEPS + 1];
	t[0] = bench_now();
	struct bh_inventory *inv = build_inventory(l);
	t[1] = bench_now();
	struct bh_engine *engine = bh_engine_compile(l->policies, inv, &engine_opts);
	t[2] = bench_now();
	struct bh_ruleset *to = bh_engine_emit(engine, &bench_emit_opts);
	t[3] = bench_now();
	bh_ruleset_diff(l->installed, to, &diff);
	t[4] = bench_now();
	int r = bh_nft_apply(l->nft, &diff, &e);
	t[5] = bench_now();
	if (r < 0)
		errx(1, "commit: %s: %s %s", strerror(-r), e.object, e.kernel);
	*ret_changed = changed(&diff);
	bh_diff_finish(&diff);
	bh_ruleset_free(l->installed);
	bh_engine_unref(l->engine);
	bh_inventory_unref(l->inv);
	l->installed = to;
	l->engine = engine;
	l->inv = inv;
	t[6] = bench_now();
	for (int i = 0; i < STEPS; i++)
		step[i] = t[i + 1] - t[i];
	return t[5] - t[0];
}

/* Each in another namespace and of another app; every fifth of an app that was not there before. */
static struct bh_workload *newcomer(const struct bench_world *w, unsigned k)
{
	struct bh_workload *wl = bench_world_workload(w, w->workloads + k * (w->namespaces + 1));
	if (k % 5 == 4) {
		char app[32];
		snprintf(app, sizeof(app), "new%u", k);
		bh_labels_set(&wl->labels, "app", app);
	}
	return wl;
}

void bench_live_starts(struct bench_live *l, unsigned n, struct bench_starts *ret)
{
	double step[STEPS];
	size_t count;
	for (unsigned k = 0; k < n; k++) {
		l->workload[l->n++] = newcomer(l->world, k);
		bench_add(&ret->start, reconcile(l, step, &count));
		for (int i = 0; i < STEPS; i++)
			bench_add(&ret->step[i], step[i]);
		if (!count)
			errx(1, "a start that changed nothing");
		if (count > ret->changed)
			ret->changed = count;
		bh_workload_unref(l->workload[--l->n]);
		bench_add(&ret->removal, reconcile(l, step, &count));
	}
}
