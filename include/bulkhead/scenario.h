/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Scenarios: a small world in a file (namespaces, workloads, nodes, outside addresses, policies),
 * with or without the verdicts that new connections must get. The format of `bulkhead policy test`,
 * of `--state` files and of what `bulkhead state` prints; examples/policy-tests/README.md describes
 * it. Pure: text in, text out. Implemented in rules/scenario.
 */
#pragma once

#include <bulkhead/diag.h>
#include <bulkhead/engine.h>

struct bh_scenario_probe {
	char *from, *to; /* as written; see bh_scenario_resolve */
	struct bh_flow flow; /* of the family asked for, else one that both ends have */
	bool allow; /* expected verdict */
	int line, column; /* in the scenario's file */
};

/* An end that the inventory does not know: an outside name, a workload on the host's network. */
struct bh_scenario_end {
	char *name; /* "external:NAME" or "NAMESPACE/NAME" */
	struct bh_addr *addr;
	size_t n_addrs; /* may be 0 */
};

struct bh_scenario_state {
	char *name; /* NULL for the first */
	int line; /* where it begins */
	struct bh_inventory *inv; /* sealed; states may share it */
	struct bh_policy_set *policies; /* states may share it; lines are those of the scenario's
					   file wherever that can be said */
	struct bh_engine_opts opts;
	struct bh_scenario_end *end; /* sorted by name */
	size_t n_ends;
	struct bh_scenario_probe *probe;
	size_t n_probes;
};

struct bh_scenario {
	char *file, *name; /* name: as the file says, else the file's name without ".yaml" */
	struct bh_scenario_state *state;
	size_t n_states; /* at least 1 */
};

enum bh_scenario_use {
	BH_SCENARIO_STATE, /* a world to look at: expectations may be there, are not needed */
	BH_SCENARIO_TEST, /* for `policy test`: without any expectation it is an error */
};

/*
 * Parses text[0..len), named `file` in diagnostics. 0, or -EINVAL with all problems (of the
 * policies as well) in `diags` and ret untouched. What a hostile file costs is bounded.
 */
int bh_scenario_parse(const char *file, const char *text, size_t len, enum bh_scenario_use use,
	struct bh_diags *diags, struct bh_scenario **ret);
void bh_scenario_free(struct bh_scenario *s); /* NULL is fine */
/* By the state's name; NULL or "" is the first. NULL if there is none. */
const struct bh_scenario_state *bh_scenario_find(const struct bh_scenario *s, const char *name);

/*
 * The address of an end: "NAMESPACE/NAME", "external:NAME", "node:NAME" or a bare address. The
 * first in `family` (0: any). 0; -ENOENT: no such end; -EAFNOSUPPORT: it has none in this family.
 */
int bh_scenario_resolve(
	const struct bh_scenario_state *st, const char *what, uint8_t family, struct bh_addr *ret);
/* Both ends in one family: the given one, or with 0 IPv4 before IPv6. Errors as above. */
int bh_scenario_resolve_pair(const struct bh_scenario_state *st, const char *from, const char *to,
	uint8_t family, struct bh_addr *ret_from, struct bh_addr *ret_to);

/*
 * Policies as sources for bh_policy_set_parse that `st` could say something about: with its nodes
 * known or not. To compile other policies than the state's own against it.
 */
struct bh_policy_parse_opts bh_scenario_policy_opts(const struct bh_scenario_state *st);

/*
 * The other way round: text in this format, which bh_scenario_parse reads as an equal world. Of a
 * workload it keeps what decides about flows: names, labels, addresses, ports, mode.
 */
void bh_scenario_print(const char *name, const struct bh_inventory *inv,
	const struct bh_policy_set *policies, const struct bh_engine_opts *opts,
	struct bh_buf *out);
