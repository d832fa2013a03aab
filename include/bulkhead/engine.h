/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The policy engine: policies × inventory compiled into groups, peer sets and rules. One artefact
 * serves both the packet threads (evaluate), people (explain) and the kernel (the ruleset), so that
 * they cannot disagree. Immutable, reference counted (atomic). Implemented in rules/compile.
 */
#pragma once

#include <bulkhead/feed_sets.h>
#include <bulkhead/flow.h>
#include <bulkhead/policy.h>
#include <bulkhead/ruleset.h>
#include <bulkhead/workload.h>

struct bh_engine_opts {
	bool unselected_deny; /* unselected: deny */
	bool host_policy; /* host: policy */
	bool reject; /* deny: reject */
};

struct bh_engine; /* opaque */

/* Takes references on both. Never fails: what policies can't say is refused when they are parsed.
 * Cost grows with policies × distinct label sets, not with policies × workloads. */
struct bh_engine *bh_engine_compile(struct bh_policy_set *policies, struct bh_inventory *inv,
	const struct bh_engine_opts *opts);
/*
 * The engine for an inventory that was derived from the other's: the same as compiling it, at the
 * cost of the workloads that changed. NULL: something changed that needs a full compilation
 * (namespaces' labels, networks, nodes, under which numbers named ports are served), or it is time
 * for one. Compiling and deriving is for one thread at a time.
 */
struct bh_engine *bh_engine_derive(const struct bh_engine *from, struct bh_inventory *inv);
/* Is the one derived from the other, or from what that was derived from? Then what differs in the
 * kernel can be emitted alone. */
bool bh_engine_is_derived(const struct bh_engine *e, const struct bh_engine *from);
bool bh_engine_same_options(const struct bh_engine_opts *a, const struct bh_engine_opts *b);
struct bh_engine *bh_engine_ref(struct bh_engine *e);
void bh_engine_unref(struct bh_engine *e);
const struct bh_policy_set *bh_engine_policies(const struct bh_engine *e);
const struct bh_inventory *bh_engine_inventory(const struct bh_engine *e);
const struct bh_engine_opts *bh_engine_options(const struct bh_engine *e);

/* Decides a NEW flow. Thread-safe, no allocation, never blocks. */
void bh_engine_evaluate(
	const struct bh_engine *e, const struct bh_flow *f, struct bh_decision *ret);

/* Is the workload selected by a policy that isolates this direction? */
bool bh_engine_isolated(const struct bh_engine *e, size_t workload, enum bh_direction d);
/* Policies that select the workload for this direction; borrowed, in policy-set order. */
size_t bh_engine_policies_of(const struct bh_engine *e, size_t workload, enum bh_direction d,
	const struct bh_policy *const **ret);
/* How many workloads a policy selects. */
size_t bh_engine_selected(const struct bh_engine *e, const struct bh_policy *p);
/* Policies that select no workload, by their indexes in the set. Owned; *ret_n: how many. Costs
 * one walk over the workloads, whatever the policies. */
size_t *bh_engine_idle_policies(const struct bh_engine *e, size_t *ret_n);

/*
 * A person's explanation, one line per fact, both directions: who the ends are, which policies
 * isolate each side, which rule and peer allows or that none does, the mode's consequence, the
 * verdict, and what would have to be added for the opposite.
 */
void bh_engine_explain(const struct bh_engine *e, const struct bh_flow *f, struct bh_buf *out);

/* The kernel's ruleset of this artefact (returns owned). See ruleset.h and rules/compile/emit.c. */
struct bh_emit_crowding {
	struct bh_crowding_addr {
		struct bh_addr addr;
		const char *who; /* "shop/web"; borrowed */
	} * item;
	size_t n;
	uint32_t rate; /* new flows per second, and at once; 0: none */
};
#define BH_CACHE_DENY_S 10 /* how long the kernel answers for the daemon, seconds */
#define BH_ECHO_S 86400 /* and denies the way back of a flow that was cut */
#define BH_CACHE_ALLOW_S 60
#define BH_PASSED_S 30 /* how long the kernel remembers a flow that a rule allowed, seconds */
struct bh_emit_opts {
	uint16_t queue_unmatched; /* NFQUEUE number without bypass: enforce, threats */
	uint16_t queue_observed; /* NFQUEUE number with bypass: learn, audit, host record */
	uint16_t queue_hold; /* NFQUEUE number: ends where workloads live, but of no known one */
	bool hold_closed; /* without bypass: the node's own mode is enforce */
	bool have_nfqueue; /* false: neither queue nor compat target: unmatched just drops */
	/* New flows of workloads can be stopped, all of them, or are. Both change base chains. */
	bool stoppable, stopped;
	bool names; /* DNS questions and answers are copied to NFLOG's group names_group */
	uint16_t names_group;
	/* What one source may send to each of the ends that queue: packets per second, and how many
	 * at once. 0: no limit. */
	uint32_t pace_rate, pace_burst;
	/* Addresses that hold too much of connection tracking: of them nothing new, or so many
	 * flows a second each. None: the rules know nothing of it. Changes base chains. May be
	 * NULL. */
	const struct bh_emit_crowding *crowding;
	/* Threat feeds: merged, disjoint, normalised. Single addresses may be separated by the
	 * caller (bh_emit puts ranges of one address into the hash sets). May be NULL. */
	const struct bh_ranges *feeds;
	/* Instead of `feeds`: sets whose elements come otherwise. May be NULL. */
	const struct bh_emit_feeds *feed_sets;
};
struct bh_ruleset *bh_engine_emit(const struct bh_engine *e, const struct bh_emit_opts *opts);
/* Of that only what opts->crowding has a part in, to compare two of them. */
struct bh_ruleset *bh_engine_emit_crowding(
	const struct bh_engine *e, const struct bh_emit_opts *opts);
/*
 * What differs between the rulesets of an engine and of one derived from it, emitted with the same
 * options: two rulesets (owned) that hold the differing parts only, for bh_ruleset_diff.
 */
void bh_engine_emit_change(const struct bh_engine *from, const struct bh_engine *to,
	struct bh_ruleset **ret_from, struct bh_ruleset **ret_to);
