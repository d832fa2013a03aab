/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the parts of the policy benchmark share. */
#pragma once

#include "bench/kernel.h"
#include "bench/measure.h"
#include "bench/world.h"

#include <bulkhead/engine.h>

struct bench_opts {
	unsigned rounds; /* of every measurement; starts: at least 20 */
	unsigned cnp;
	uint64_t seed;
	bool tool; /* measure nft -f beside it */
};

/* The kernel decides alone in these rulesets: not every kernel that runs this has nft_queue,
 * without which nft -f could not load them. Four rules of each ruleset depend on it. */
extern const struct bh_emit_opts bench_emit_opts;

/* --- start.c: what the daemon does when a workload starts or ends (enforcer/core/reconcile.c) ---
 */
struct bench_live {
	struct bh_nft *nft;
	struct bh_policy_set *policies;
	const struct bench_world *world;
	struct bh_inventory *inv;
	struct bh_engine *engine;
	struct bh_ruleset *installed;
};

enum { STEP_INVENTORY, STEP_COMPILE, STEP_EMIT, STEP_DIFF, STEP_COMMIT, STEP_AFTER, STEPS };
extern const char *const bench_step_name[STEPS];

struct bench_starts {
	struct bench_stat start, removal; /* until the transaction is acknowledged */
	struct bench_stat cpu; /* of starts */
	struct bench_stat step[STEPS]; /* of starts; AFTER comes after the commit */
	size_t changed; /* elements and rules that the largest of the starts changed */
	size_t full; /* starts that needed a full compilation */
};

void bench_live_open(struct bench_live *l, struct bh_nft *nft, struct bh_policy_set *policies,
	const struct bench_world *world);
void bench_live_close(struct bench_live *l);
void bench_live_starts(struct bench_live *l, unsigned n, struct bench_starts *ret);

/* --- size.c: one size of world --- */
struct bench_size {
	struct bench_opts opts;
	struct bench_world world;
};
struct bench_size_result {
	size_t sets, elements, chains, rules, text;
	struct bench_stat parse, seal, compile, emit, full; /* full: seal to emit */
	struct bench_stat full_cpu, load_cpu;
	struct bench_stat load, tool_load, tool_start;
	bool tool_capped;
	struct bench_starts starts;
	double given, peak; /* MiB: with policies and inventory only; at most */
};
void bench_size_run(const void *size, void *ret);

/* --- eval.c: the decision on one flow --- */
enum { KIND_FIRST, KIND_LAST, KIND_ALLOWED, KIND_DENIED, KIND_OPEN, KIND_OUTSIDE, KINDS };
extern const char *const bench_kind_name[KINDS];
#define BENCH_FLOWS 1024

struct bench_flows {
	struct bh_flow flow[KINDS][BENCH_FLOWS];
	size_t n[KINDS];
};
struct bench_eval {
	struct bench_opts opts;
	const char *shape; /* of shapes.c; NULL: policies spread over a world */
	size_t policies, workloads;
};
struct bench_eval_result {
	struct bench_stat ns[KINDS];
	struct bench_stat naive; /* all kinds alike */
	double naive_worst; /* of one flow */
};
/* Exits if the engine and the naive evaluator disagree on a flow. */
void bench_eval_run(const void *eval, void *ret);

/* --- shapes.c: every policy selects the same workload --- */
extern const char *const bench_shapes[]; /* names, NULL at the end */
struct bh_engine *bench_shape_engine(const char *shape, size_t policies);
void bench_shape_flows(
	const char *shape, const struct bh_engine *e, struct bench_rng *r, struct bench_flows *ret);
