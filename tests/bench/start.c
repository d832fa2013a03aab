/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * One workload starts, another ends: the daemon's own sequence (bh_core_reconcile) with the
 * daemon's own functions, without its sources, its audit log and the few milliseconds that it waits
 * for further events. What grows with the world is all here.
 */
#include "bench/policy.h"

#include <err.h>

const char *const bench_step_name[STEPS] = {
	"inventory", "compile", "emit", "diff", "commit", "afterwards"};

static const struct bh_engine_opts engine_opts;

static void load(struct bench_live *l)
{
	struct bh_nft_error e;
	l->engine = bh_engine_compile(l->policies, l->inv, &engine_opts);
	l->installed = bh_engine_emit(l->engine, &bench_emit_opts);
	int r = bh_nft_rebuild(l->nft, l->installed, &e);
	if (r < 0)
		errx(1, "load: %s: %s %s", strerror(-r), e.object, e.kernel);
}

void bench_live_open(struct bench_live *l, struct bh_nft *nft, struct bh_policy_set *policies,
	const struct bench_world *world)
{
	*l = (struct bench_live){.nft = nft, .policies = policies, .world = world};
	l->inv = bench_world_inventory(world);
	load(l);
}

void bench_live_close(struct bench_live *l)
{
	bh_engine_unref(l->engine);
	bh_inventory_unref(l->inv);
	bh_ruleset_free(l->installed);
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

/* With `added`, or without the one that has its first address (then added is NULL). The frame is
 * what the daemon reads anew every time: networks, the node's addresses, namespaces' labels. */
static struct bh_inventory *derive(
	const struct bench_live *l, struct bh_workload *added, const struct bh_addr *removed)
{
	struct bh_inventory *frame = bh_inventory_new();
	bench_world_surroundings(l->world, frame);
	uint32_t at = added ? 0 : (uint32_t)bh_inventory_owner(l->inv, removed);
	return bh_inventory_derive(l->inv, frame, &at, !added, &added, added != NULL);
}

struct once {
	double step[STEPS]; /* ms */
	double total, cpu; /* until the acknowledgement */
	size_t changed;
	bool full; /* compiled and emitted as a whole */
};

/* What took the place of what, once the kernel has said that it is in force. */
static void settle(struct bench_live *l, struct bh_inventory *inv, struct bh_engine *engine,
	struct bh_ruleset *from, struct bh_ruleset *to, struct bh_diff *diff)
{
	if (from)
		bh_ruleset_patch(l->installed, diff);
	bh_diff_finish(diff);
	if (from) {
		bh_ruleset_free(from);
		bh_ruleset_free(to);
	} else {
		bh_ruleset_free(l->installed);
		l->installed = to;
	}
	bh_engine_unref(l->engine);
	bh_inventory_unref(l->inv);
	l->engine = engine;
	l->inv = inv;
}

static void reconcile(struct bench_live *l, struct bh_workload *added,
	const struct bh_addr *removed, struct once *ret)
{
	double cpu = bench_cpu(), t[STEPS + 1];
	struct bh_ruleset *from = NULL, *to;
	struct bh_nft_error e;
	struct bh_diff diff;
	t[0] = bench_now();
	struct bh_inventory *inv = derive(l, added, removed);
	t[1] = bench_now();
	struct bh_engine *engine = bh_engine_derive(l->engine, inv);
	ret->full = !engine;
	if (ret->full)
		engine = bh_engine_compile(l->policies, inv, &engine_opts);
	t[2] = bench_now();
	if (ret->full)
		to = bh_engine_emit(engine, &bench_emit_opts);
	else
		bh_engine_emit_change(l->engine, engine, &from, &to);
	t[3] = bench_now();
	bh_ruleset_diff(from ? from : l->installed, to, &diff);
	t[4] = bench_now();
	int r = bh_nft_apply(l->nft, &diff, &e);
	t[5] = bench_now();
	bh_nft_watch_drain(l->nft);
	ret->cpu = bench_cpu() - cpu;
	if (r < 0)
		errx(1, "commit: %s: %s %s", strerror(-r), e.object, e.kernel);
	ret->total = t[5] - t[0];
	ret->changed = changed(&diff);
	settle(l, inv, engine, from, to, &diff);
	t[6] = bench_now();
	for (int i = 0; i < STEPS; i++)
		ret->step[i] = t[i + 1] - t[i];
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
	struct once one;
	for (unsigned k = 0; k < n; k++) {
		struct bh_workload *w = newcomer(l->world, k);
		struct bh_addr addr = w->iface[0].addr[0];
		reconcile(l, w, NULL, &one);
		bh_workload_unref(w);
		bench_add(&ret->start, one.total);
		bench_add(&ret->cpu, one.cpu);
		for (int i = 0; i < STEPS; i++)
			bench_add(&ret->step[i], one.step[i]);
		if (!one.changed)
			errx(1, "a start that changed nothing");
		if (one.changed > ret->changed)
			ret->changed = one.changed;
		ret->full += one.full;
		reconcile(l, NULL, &addr, &one);
		bench_add(&ret->removal, one.total);
	}
}
