/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Cluster policies of one tier and one priority: upstream leaves open which of them is asked first.
 * Here their names decide, and a pair for which that may make a difference is warned about.
 */
#include "private.h"

/* Pairs are compared, so of more policies than this at one place only the number is reported. */
#define GROUP_MAX 200

static bool has_value(const struct bh_requirement *r, const char *value)
{
	for (size_t i = 0; i < r->n_values; i++)
		if (bh_streq(r->value[i], value))
			return true;
	return false;
}

/* Can no value, and not its absence either, satisfy both? The two are about the same key. */
static bool exclude(const struct bh_requirement *a, const struct bh_requirement *b)
{
	if (a->op != BH_SEL_IN && b->op == BH_SEL_IN)
		return exclude(b, a);
	if (a->op == BH_SEL_IN && b->op != BH_SEL_EXISTS) {
		for (size_t i = 0; b->op != BH_SEL_NOT_EXISTS && i < a->n_values; i++)
			if (has_value(b, a->value[i]) == (b->op == BH_SEL_IN))
				return false;
		return true;
	}
	return (a->op == BH_SEL_EXISTS && b->op == BH_SEL_NOT_EXISTS) ||
	       (a->op == BH_SEL_NOT_EXISTS && b->op == BH_SEL_EXISTS);
}

/* True only if nothing can match both. Both are sorted by key. */
static bool are_disjoint(const struct bh_selector *a, const struct bh_selector *b)
{
	for (size_t i = 0, start = 0; i < a->n; i++) {
		while (start < b->n && strcmp(b->req[start].key, a->req[i].key) < 0)
			start++;
		for (size_t k = start; k < b->n && bh_streq(b->req[k].key, a->req[i].key); k++)
			if (exclude(&a->req[i], &b->req[k]))
				return true;
	}
	return false;
}

/* Bits of the actions that the rules of one direction take. */
static unsigned actions(const struct bh_policy *p, int direction)
{
	unsigned bits = 0;
	for (size_t i = 0; i < p->n_rules[direction]; i++)
		bits |= 1u << p->rule[direction][i].action;
	return bits;
}

/* Where all rules of both do the same, the order changes nothing. */
static bool can_conflict(const struct bh_policy *a, const struct bh_policy *b)
{
	for (int d = 0; d < 2; d++) {
		unsigned x = actions(a, d), y = actions(b, d);
		if (x && y && ((x | y) & ((x | y) - 1)))
			return !are_disjoint(&a->namespaces, &b->namespaces) &&
			       !are_disjoint(&a->pods, &b->pods);
	}
	return false;
}

static int compare(const void *pa, const void *pb)
{
	const struct bh_policy *a = *(struct bh_policy *const *)pa;
	const struct bh_policy *b = *(struct bh_policy *const *)pb;
	if (a->tier != b->tier)
		return a->tier < b->tier ? -1 : 1;
	if (a->priority != b->priority)
		return a->priority < b->priority ? -1 : 1;
	return strcmp(a->name, b->name);
}

/* Each policy is named with the nearest one before it, so that N equal ones make N - 1 warnings. */
static void warn_group(struct bh_policy *const *p, size_t n, struct bh_diags *diags)
{
	if (n > GROUP_MAX)
		bh_diag_add(diags, BH_WARNING, p[0]->file, p[0]->line, p[0]->column,
			"spec.priority", "give them different priorities",
			"%zu policies of tier %s have priority %u; their names decide which is "
			"asked first",
			n, bh_tier_name(p[0]->tier), p[0]->priority);
	for (size_t i = 1; n <= GROUP_MAX && i < n; i++) {
		size_t k = i;
		while (k > 0 && !can_conflict(p[k - 1], p[i]))
			k--;
		if (k == 0)
			continue;
		bh_diag_add(diags, BH_WARNING, p[i]->file, p[i]->line, p[i]->column,
			"spec.priority", "give them different priorities",
			"%s has the priority of %s (%s:%d) and may select the same workloads; the "
			"latter is asked first here, because of its name",
			p[i]->ref, p[k - 1]->ref, p[k - 1]->file, p[k - 1]->line);
	}
}

void bh_policy_warn_equal_priorities(
	struct bh_policy *const *policy, size_t n, struct bh_diags *diags)
{
	size_t m = 0;
	bh_autofree struct bh_policy **p = bh_xcalloc(n, sizeof(struct bh_policy *));
	for (size_t i = 0; i < n; i++)
		if (policy[i]->tier != BH_TIER_NETWORK_POLICY)
			p[m++] = policy[i];
	qsort(p, m, sizeof(*p), compare);
	for (size_t i = 0, end; i < m; i = end) {
		for (end = i + 1;
			end < m && p[end]->tier == p[i]->tier && p[end]->priority == p[i]->priority;
			end++)
			;
		warn_group(p + i, end - i, diags);
	}
}
