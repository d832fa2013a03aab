/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What the files of this folder share: the compiled artefact.
 *
 * Invariants, once bh_engine_compile has returned: nothing in an engine changes but its reference
 * count; every index is in range; everything borrowed is borrowed from the policy set or the
 * inventory that the engine holds references on.
 */
#pragma once

#include <bulkhead/engine.h>

/* --- interning: byte strings → dense indexes, in order of first appearance --- */
struct bh_intern_key {
	size_t off, len;
	uint64_t hash;
};
struct bh_intern {
	uint32_t *slot; /* index + 1; 0 = empty */
	size_t mask;
	struct bh_intern_key *key;
	size_t n, cap;
	struct bh_buf bytes;
};
uint32_t bh_intern(struct bh_intern *t, const void *key, size_t len, bool *ret_new);
void bh_intern_finish(struct bh_intern *t);

/* --- peers --- */

/* The workloads behind one selector, or the addresses of one ipBlock. Shared by every rule, of
 * whatever policy, that says the same. */
struct bh_peer_set {
	const struct bh_policy_peer *peer; /* the first one that said it */
	const char *namespace; /* podSelector alone: the policy's own namespace; else NULL */
	uint64_t *member; /* selectors: bit per workload */
	struct bh_ranges ranges; /* ipBlock */
	char *text; /* for people: "app=web in shop", "203.0.113.0/24 except …" */
	char *slug; /* name of the nft set behind "pods4-", "pods6-", "block4-", "block6-" */
};

/* Where a named port of an egress rule leads: which workload serves it under which number. */
struct bh_named_target {
	uint16_t port;
	uint32_t workload;
};
struct bh_named_set {
	const char *name;
	uint8_t proto;
	struct bh_named_target *target; /* sorted by port, workload; unique */
	size_t n, cap;
};

/* --- rules and groups --- */
struct bh_eport {
	uint8_t proto;
	uint16_t first, last;
	int32_t named; /* egress by name: index of the bh_named_set; else -1 */
};

struct bh_erule {
	const struct bh_policy *policy;
	uint32_t rule;
	bool any_port; /* no ports given: every protocol */
	struct bh_eport *port;
	size_t n_ports;
	uint32_t *peer; /* peer sets, in the rule's own order */
	size_t n_peers; /* 0 = any peer */
};

/* Policies that isolate in one direction, in policy-set order. */
struct bh_selection {
	const struct bh_policy **policy;
	size_t n;
};

/* Workloads of one namespace that no selector of any policy can tell apart. */
struct bh_class {
	uint32_t ns;
	uint32_t example; /* a workload of it */
	uint32_t selection[2];
};

struct bh_group {
	enum bh_direction direction;
	enum bh_mode mode;
	const struct bh_selection *selection;
	struct bh_erule *rule;
	size_t n_rules;
	char *chain, *comment;
	size_t n_members;
};

enum { BH_GROUP_NONE = -1, BH_GROUP_UNGOVERNED = -2 };

/* More addresses of one family than this, and only an address reaching itself counts as SELF. */
#define BH_SELF_MAX 16

struct bh_engine {
	int refs;
	struct bh_policy_set *policies;
	struct bh_inventory *inv;
	struct bh_engine_opts opts;

	struct bh_peer_set *peer;
	size_t n_peers, cap_peers;
	struct bh_intern peer_key;
	struct bh_named_set *named;
	size_t n_named, cap_named;
	struct bh_intern named_key;

	struct bh_class *class;
	size_t n_classes, cap_classes;
	uint32_t *class_of; /* by workload */
	struct bh_selection **selection;
	size_t n_selections, cap_selections;
	size_t *selected; /* by policy: workloads */

	struct bh_group **group;
	size_t n_groups, cap_groups;
	int32_t *group_of[2]; /* by direction, workload: index or BH_GROUP_* */
	struct bh_intern names; /* chain and set names given so far */

	struct bh_ranges ungoverned; /* broadcast addresses */
	bool *many[2]; /* by family (v4, v6), workload: more than BH_SELF_MAX addresses */
};

/* peers.c: the set of a peer of `p`; made on first use. */
uint32_t bh_compile_peer(
	struct bh_engine *e, const struct bh_policy *p, const struct bh_policy_peer *peer);
uint32_t bh_compile_named(struct bh_engine *e, const char *name, uint8_t proto);
void bh_compile_fill_peers(struct bh_engine *e); /* once all are known */
void bh_peers_finish(struct bh_engine *e);

/* classes.c */
void bh_compile_classes(struct bh_engine *e);
void bh_classes_finish(struct bh_engine *e);

/* groups.c */
void bh_compile_groups(struct bh_engine *e);
void bh_groups_finish(struct bh_engine *e);

/* names.c: a readable part of `text` behind `prefix`, and a hash of `identity`; unique in `e`. */
char *bh_compile_name(struct bh_engine *e, const char *prefix, const char *text,
	const void *identity, size_t len);

/* evaluate.c */
bool bh_engine_is_self(const struct bh_engine *e, const struct bh_flow *f, int src, int dst);

/* emit_groups.c */
void bh_emit_groups(const struct bh_engine *e, struct bh_ruleset *rs);
/* Adds the workload's addresses of the set's family that are its own (not claimed by an earlier
 * workload or the node) to a set or, with `chain`, to a verdict map. */
void bh_emit_addresses(
	const struct bh_engine *e, size_t workload, struct bh_set *set, const char *chain);
