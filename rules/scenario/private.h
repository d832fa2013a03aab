/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Between the files that read a scenario. */
#pragma once

#include <bulkhead/scenario.h>

/* The parts of a state, each the latest value given; NULL: never given. */
struct sections {
	const struct bh_node *namespaces, *external, *nodes, *workloads, *networks, *host, *mode;
	const struct bh_node *policies, *options, *expect;
};

struct loader {
	struct bh_reader r;
	const char *text; /* of the file, for places inside of block scalars */
	size_t len;
	size_t *line; /* offsets of its lines, made when first needed */
	size_t n_lines;
	size_t budget; /* objects that may still be built, over all states */
	bool broke; /* that was said */
	bool faulty; /* the present state's world has errors: ends may be missing for them */
};

/* read.c. A list of addresses. Owned; *ret_n is 0 after any error. `one`: at most one per family.
 */
struct bh_addr *scenario_read_addrs(
	struct loader *l, const struct bh_node *seq, const char *path, bool one, size_t *ret_n);
void scenario_read_labels(
	struct loader *l, const struct bh_node *map, const char *path, struct bh_labels *out);
/* Takes n from the budget; false (said once) when it is used up. */
bool scenario_spend(struct loader *l, const struct bh_node *n, size_t cost);

#define MAX_ADDRS 64 /* of one list */

struct scenario_name {
	const char *name;
	const struct bh_node *key, *value; /* NULL: only a workload names it */
};
int scenario_name_cmp(const void *a, const void *b); /* of names alike those with a key first */
/* The children of a map in the order of their keys; owned. NULL: there are none. */
struct scenario_name *scenario_sorted_names(
	struct loader *l, const struct bh_node *map, const char *path, size_t *ret_n);

void scenario_add_end(
	struct bh_scenario_state *st, char *name, struct bh_addr *addr, size_t n_addrs);

/* workload.c. NULL after an error. A workload on the host's network has no interface; its
 * addresses go to *host (owned). */
struct workload_host {
	struct bh_addr *addr;
	size_t n;
	bool is; /* it is on the host's network */
};
struct bh_workload *scenario_read_workload(
	struct loader *l, const struct bh_node *n, enum bh_mode mode, struct workload_host *host);

/* world.c: sets inv and ends. */
void scenario_read_world(struct loader *l, const struct sections *s, struct bh_scenario_state *st);
/* policies.c: NULL after an error. */
struct bh_policy_set *scenario_read_policies(
	struct loader *l, const struct bh_node *seq, const struct bh_policy_parse_opts *opts);
/* probe.c: needs inv and ends. */
void scenario_read_probes(
	struct loader *l, const struct bh_node *seq, struct bh_scenario_state *st);
