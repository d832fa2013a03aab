/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Random worlds from a seed: namespaces, workloads in every mode, named ports, conflicting and
 * many addresses, policies that use every feature of NetworkPolicy, and flows aimed at the edges of
 * all that. The same seed gives the same world on every machine.
 */
#pragma once

#include <bulkhead/engine.h>

struct random_world {
	uint64_t state;
	char *policy_text; /* owned */
	struct bh_inventory *inv; /* sealed */
	struct bh_policy_set *policies;
	struct bh_engine_opts opts;
};

/* False (and the diagnostics on stderr) if the parser refuses the policies. */
bool random_world_init(struct random_world *w, uint64_t seed);
void random_world_finish(struct random_world *w);
void random_world_flow(struct random_world *w, struct bh_flow *ret);
unsigned random_below(struct random_world *w, unsigned n);
