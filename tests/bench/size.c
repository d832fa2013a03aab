/* SPDX-License-Identifier: GPL-3.0-or-later */
/* One size of world: compile, load, starts, memory, and nft -f beside it. Runs in a child. */
#include "bench/policy.h"

#include <err.h>

#define STARTS_MIN 25
#define TOOL_BUDGET 60000.0 /* ms for one kind of measurement of nft -f */

const struct bh_emit_opts bench_emit_opts = {.have_nfqueue = false};

static void count(const struct bh_ruleset *rs, struct bench_size_result *ret)
{
	ret->sets = rs->n_sets;
	ret->chains = rs->n_chains;
	for (size_t i = 0; i < rs->n_sets; i++)
		ret->elements += rs->set[i].n;
	for (size_t i = 0; i < rs->n_chains; i++)
		ret->rules += rs->chain[i].n;
}

/* Making the workloads is the sources' work, not the compiler's: outside what is timed. */
static struct bh_inventory *unsealed(const struct bench_world *w)
{
	struct bh_inventory *inv = bh_inventory_new();
	for (size_t i = 0; i < w->workloads; i++)
		bh_inventory_add(inv, bench_world_workload(w, i));
	bench_world_surroundings(w, inv);
	return inv;
}

static struct bh_ruleset *compile_once(
	const struct bench_size *s, struct bh_policy_set *policies, struct bench_size_result *ret)
{
	static const struct bh_engine_opts opts;
	struct bh_inventory *inv = unsealed(&s->world);
	double cpu = bench_cpu(), a = bench_now();
	bh_inventory_seal(inv);
	double b = bench_now();
	struct bh_engine *e = bh_engine_compile(policies, inv, &opts);
	double c = bench_now();
	struct bh_ruleset *rs = bh_engine_emit(e, &bench_emit_opts);
	double d = bench_now();
	bench_add(&ret->full_cpu, bench_cpu() - cpu);
	bench_add(&ret->seal, b - a);
	bench_add(&ret->compile, c - b);
	bench_add(&ret->emit, d - c);
	bench_add(&ret->full, d - a);
	bh_engine_unref(e);
	bh_inventory_unref(inv);
	return rs;
}

static void load_once(
	struct bench_kernel *k, const struct bh_ruleset *rs, struct bench_size_result *ret)
{
	struct bh_nft_error e;
	bench_kernel_clear(k);
	double cpu = bench_cpu(), start = bench_now();
	int r = bh_nft_rebuild(k->nft, rs, &e);
	bench_add(&ret->load, bench_now() - start);
	bench_add(&ret->load_cpu, bench_cpu() - cpu);
	if (r < 0)
		errx(1, "load: %s: %s %s", strerror(-r), e.object, e.kernel);
}

/* False once it takes too long to go on. */
static bool tool_once(struct bench_kernel *k, struct bench_stat *s, struct bench_size_result *ret)
{
	double took = bench_kernel_tool(k);
	if (took < 0) {
		ret->tool_capped = true;
		return false;
	}
	bench_add(s, took);
	return bench_median(s) * (double)(s->n + 1) < TOOL_BUDGET;
}

static void run_tool(struct bench_kernel *k, const struct bench_size *s,
	const struct bh_ruleset *rs, struct bench_size_result *ret)
{
	ret->text = bench_kernel_write(k, rs, false);
	for (unsigned i = 0; i < s->opts.rounds; i++) {
		bench_kernel_tool_clear(k);
		if (!tool_once(k, &ret->tool_load, ret))
			break;
	}
	if (ret->tool_capped)
		return;
	bench_kernel_write(k, rs, true);
	for (unsigned i = 0; i < s->opts.rounds; i++)
		if (!tool_once(k, &ret->tool_start, ret))
			break;
}

static struct bh_policy_set *parse(const struct bench_size *s, struct bench_size_result *ret)
{
	bh_autobuf struct bh_buf text = {0};
	struct bh_policy_set *set = NULL;
	bench_world_policies(&s->world, &text);
	for (unsigned i = 0; i < s->opts.rounds; i++) {
		bh_policy_set_unref(set);
		double start = bench_now();
		set = bench_parse(&text);
		bench_add(&ret->parse, bench_now() - start);
	}
	return set;
}

void bench_size_run(const void *arg, void *out)
{
	const struct bench_size *s = arg;
	struct bench_size_result *ret = out;
	struct bench_kernel k;
	struct bench_live live;
	struct bh_ruleset *rs = NULL;
	unsigned starts = s->opts.rounds > STARTS_MIN ? s->opts.rounds : STARTS_MIN;
	bench_kernel_open(&k);
	struct bh_policy_set *policies = parse(s, ret);
	struct bh_inventory *inv = bench_world_inventory(&s->world);
	bench_reset_peak();
	ret->given = bench_peak();
	bh_inventory_unref(inv);
	for (unsigned i = 0; i < s->opts.rounds; i++) {
		bh_ruleset_free(rs);
		rs = compile_once(s, policies, ret);
	}
	count(rs, ret);
	for (unsigned i = 0; i < s->opts.rounds; i++)
		load_once(&k, rs, ret);
	bh_ruleset_free(rs);
	bench_kernel_clear(&k);
	bench_live_open(&live, k.nft, policies, &s->world);
	bench_live_starts(&live, starts, &ret->starts);
	ret->peak = bench_peak();
	if (s->opts.tool)
		run_tool(&k, s, live.installed, ret);
	bench_live_close(&live);
	bh_policy_set_unref(policies);
	bench_kernel_close(&k);
}
