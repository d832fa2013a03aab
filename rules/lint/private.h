/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Between the files of this folder. */
#pragma once

#include <bulkhead/lint.h>

/*
 * What comparing may cost, in steps of some ten nanoseconds: of one policy, and of all. A file of
 * 8 MiB can be made of thousands of rules that have to be compared each with each.
 */
#define BH_LINT_STEPS_POLICY ((size_t)2000000)
#define BH_LINT_STEPS_ALL ((size_t)20000000)

struct bh_lint_world; /* world.c: indexes of an inventory */

struct bh_lint {
	const struct bh_policy_set *set;
	struct bh_diags *diags;
	struct bh_lint_world *world; /* NULL: no inventory */
	const struct bh_policy *policy; /* at hand */
	size_t left_all, left; /* steps */
	bool exhausted; /* of the policy at hand something was not compared */
	size_t n_unfinished; /* policies of which that is so */
	const struct bh_policy *first_unfinished;
};

/* Takes n steps; false: they are not there any more, and what depends on them stays unsaid. */
static inline bool bh_lint_spend(struct bh_lint *l, size_t n)
{
	if (n > l->left || n > l->left_all) {
		l->exhausted = true;
		return false;
	}
	l->left -= n;
	l->left_all -= n;
	return true;
}

/* A place in the policy at hand, as far as the model knows it. */
struct bh_lint_at {
	enum bh_direction direction;
	const struct bh_policy_rule *rule; /* NULL: the policy itself */
	const struct bh_policy_peer *peer; /* NULL: the rule itself */
	const struct bh_policy_port *port; /* NULL: not about a port */
	const char *field; /* behind all that, ".podSelector"; of the policy itself, whom it
			      selects; may be NULL */
};
/* lint.c. `remedy` may be NULL. */
void bh_lint_warn(struct bh_lint *l, const struct bh_lint_at *at, const char *remedy,
	const char *fmt, ...) BH_PRINTF(4, 5);
/* "spec.ingress[0].from[1]"; owned. */
char *bh_lint_path(const struct bh_policy *p, const struct bh_lint_at *at);
/* For people: "ingress" or "egress"; "from" or "to"; and how the policy's kind calls ports. */
const char *bh_lint_field(enum bh_direction d);
const char *bh_lint_peers(enum bh_direction d);
const char *bh_lint_ports(const struct bh_policy *p);

/* cover.c: is all that `inner` means also meant by `outer`? true is proven. Each peer is one of its
 * policy, because without namespaceSelector it means that policy's namespace. */
bool bh_lint_selector_covers(
	struct bh_lint *l, const struct bh_selector *outer, const struct bh_selector *inner);
bool bh_lint_block_covers(
	struct bh_lint *l, const struct bh_ip_block *outer, const struct bh_ip_block *inner);
bool bh_lint_peer_covers(struct bh_lint *l, const struct bh_policy *outer_of,
	const struct bh_policy_peer *outer, const struct bh_policy *inner_of,
	const struct bh_policy_peer *inner);
bool bh_lint_port_covers(const struct bh_policy_port *outer, const struct bh_policy_port *inner);
bool bh_lint_rule_covers(struct bh_lint *l, const struct bh_policy *outer_of,
	const struct bh_policy_rule *outer, const struct bh_policy *inner_of,
	const struct bh_policy_rule *inner);
bool bh_lint_subject_covers(
	struct bh_lint *l, const struct bh_policy *outer, const struct bh_policy *inner);

/* rule.c: what a policy or a rule says by itself. */
void bh_lint_subject(struct bh_lint *l);
void bh_lint_rule(struct bh_lint *l, enum bh_direction d, const struct bh_policy_rule *r);
/* A NetworkPolicy's rule that allows all flows of its direction. */
bool bh_lint_allows_all(const struct bh_policy *p, const struct bh_policy_rule *r);

/* repeated.c: what stands twice in one rule. */
void bh_lint_repeated(struct bh_lint *l, enum bh_direction d, const struct bh_policy_rule *r);

/* shadow.c: rules that other rules leave nothing to decide. */
struct bh_lint_index; /* which policies may have a subject as wide as another's */
struct bh_lint_index *bh_lint_index_new(const struct bh_policy_set *set);
void bh_lint_index_free(struct bh_lint_index *x);
void bh_lint_shadowed(struct bh_lint *l, const struct bh_lint_index *x);

/* world.c: who is there. */
struct bh_lint_world *bh_lint_world_new(const struct bh_inventory *inv);
void bh_lint_world_free(struct bh_lint_world *w);
const struct bh_inventory *bh_lint_inventory(const struct bh_lint *l);
/* Workloads meant by a subject or a selector peer. namespace: of this one only, else NULL and
 * `namespaces` says of which. pods NULL: all of them. */
struct bh_lint_meant {
	const char *namespace;
	const struct bh_selector *namespaces, *pods;
};
enum bh_lint_who {
	BH_LINT_SOMEBODY, /* or not known: the steps are used up */
	BH_LINT_NO_NAMESPACE, /* not even a namespace */
	BH_LINT_NOBODY,
};
enum bh_lint_who bh_lint_who(struct bh_lint *l, const struct bh_lint_meant *m);
bool bh_lint_node_exists(struct bh_lint *l, const struct bh_selector *nodes);
/* Does a workload that `is_meant` says yes to serve the port? true also when not known. */
bool bh_lint_is_served(struct bh_lint *l, const struct bh_policy_port *port,
	bool (*is_meant)(struct bh_lint *l, const struct bh_workload *w, const void *arg),
	const void *arg);
bool bh_lint_means(struct bh_lint *l, const struct bh_lint_meant *m, const struct bh_workload *w);

/* meant.c: what the inventory has nobody for. */
void bh_lint_meant(struct bh_lint *l);
