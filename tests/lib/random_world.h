/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Random worlds from a seed: namespaces, nodes, workloads in every mode, named ports with a
 * different number in each workload, conflicting and many addresses, policies that use every
 * feature of NetworkPolicy and ClusterNetworkPolicy, and flows aimed at the edges of all that. The
 * same seed gives the same world on every machine.
 *
 * A world is a plain description that tests may edit (take a workload away, another label, other
 * policies) and build again.
 */
#pragma once

#include <bulkhead/engine.h>

enum random_features {
	RANDOM_CLUSTER = 1, /* ClusterNetworkPolicy too */
	RANDOM_ENFORCE = 2, /* nearly everybody enforces: so that a kernel alone shows verdicts */
};

enum { RANDOM_WORKLOADS_MAX = 14 }; /* named w0 … w13 */

struct random_world {
	uint64_t state;
	unsigned features; /* enum random_features */
	unsigned named; /* policies made so far: their names never repeat */
	struct bh_engine_opts opts;
	/* The description. All owned. */
	struct bh_namespace *ns;
	size_t n_ns;
	struct bh_workload **workload; /* unsealed, without bulkhead.io/name */
	size_t n_workloads, cap_workloads;
	struct bh_node_info *node; /* the first is this node; its addresses are the node's own */
	size_t n_nodes;
	char **policy; /* one document each */
	size_t n_policies, cap_policies;
	/* What random_world_build makes of it. Owned. */
	char *policy_text; /* all documents */
	struct bh_inventory *inv; /* sealed */
	struct bh_policy_set *policies;
};

/* False (and the diagnostics on stderr) if the parser refuses the policies. */
bool random_world_init(struct random_world *w, uint64_t seed); /* RANDOM_CLUSTER */
bool random_world_make(struct random_world *w, uint64_t seed, unsigned features);
/* Changes what changes while a node runs: workloads that come and go, labels, addresses, named
 * ports, modes; and in half of the cases labels of namespaces and policies. Builds. */
bool random_world_change(struct random_world *w);
/* Makes inv, policies and policy_text anew. diags may be NULL: then errors go to stderr. */
bool random_world_build(struct random_world *w, struct bh_diags *diags);
void random_world_copy(struct random_world *to, const struct random_world *from); /* unbuilt */
void random_world_drop_workload(struct random_world *w, size_t i);
void random_world_drop_policy(struct random_world *w, size_t i);
void random_world_drop_node(struct random_world *w, size_t i);
void random_world_finish(struct random_world *w);
void random_world_flow(struct random_world *w, struct bh_flow *ret);
unsigned random_below(struct random_world *w, unsigned n);
bool random_chance(struct random_world *w, unsigned percent);
