/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What is valid in policies but can hardly be meant: rules that another one makes pointless,
 * selectors that nothing can match, things said twice, allow-alls; and, where somebody says who
 * lives on the node, policies and peers that mean nobody. Implemented in rules/lint.
 *
 * A warning is given only when it is provable from the text (and the inventory) alone; what is not
 * provable is not reported. So no warning is a false alarm, and no silence is a promise.
 */
#pragma once

#include <bulkhead/diag.h>
#include <bulkhead/policy.h>
#include <bulkhead/workload.h>

/*
 * Adds warnings (BH_WARNING, each with file, line, column, path and remedy) to diags, policy by
 * policy. inv must be sealed; NULL leaves out what needs it. Nothing is kept of the arguments.
 *
 * The cost is bounded: each policy, and all together, get a number of comparisons. When they are
 * used up, a last warning says at how many policies and which is the first.
 */
void bh_lint(
	const struct bh_policy_set *set, const struct bh_inventory *inv, struct bh_diags *diags);

/*
 * Does whatever `a` matches match `b` as well, of all label sets there can be? true is proven;
 * false may also mean that it takes more than one requirement of `a` to see it.
 */
bool bh_selector_implies(const struct bh_selector *a, const struct bh_selector *b);
/* A key (borrowed) on which the requirements contradict each other, so that no labels can match;
 * NULL if some can. Exact. */
const char *bh_selector_contradiction(const struct bh_selector *s);
