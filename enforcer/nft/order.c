/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * In which order sets are made. The kernel finds a set by walking the table's list of them, once
 * for each rule that names one and each message of elements (nft_set_lookup), so those that are
 * asked for most go to the front.
 */
#include "private.h"

struct weight {
	size_t set, weight;
};

static int heavier(const void *a, const void *b)
{
	const struct weight *x = a, *y = b;
	if (x->weight != y->weight)
		return x->weight > y->weight ? -1 : 1;
	return (x->set > y->set) - (x->set < y->set);
}

static void count(const struct bh_ruleset *rs, const char *name, struct weight *w)
{
	const struct bh_set *s = name ? bh_ruleset_find_set(rs, name) : NULL;
	if (s)
		w[s - rs->set].weight++;
}

static void count_rule(const struct bh_ruleset *rs, const struct bh_rule *r, struct weight *w)
{
	for (size_t i = 0; i < r->n; i++)
		count(rs, r->match[i].set, w);
	if (r->action == BH_ACT_VMAP_SADDR || r->action == BH_ACT_VMAP_DADDR)
		count(rs, r->target, w);
}

size_t *bh_nft_set_order(const struct bh_ruleset *rs)
{
	struct weight *w = bh_xcalloc(rs->n_sets, sizeof(*w));
	size_t *order = bh_xcalloc(rs->n_sets, sizeof(*order));
	for (size_t i = 0; i < rs->n_sets; i++) /* a workload that starts is in big sets */
		w[i] = (struct weight){i, rs->set[i].volatile_ ? 0 : rs->set[i].n};
	for (size_t i = 0; i < rs->n_chains; i++)
		for (size_t k = 0; k < rs->chain[i].n; k++)
			count_rule(rs, &rs->chain[i].rule[k], w);
	if (rs->n_sets)
		qsort(w, rs->n_sets, sizeof(*w), heavier);
	for (size_t i = 0; i < rs->n_sets; i++)
		order[i] = w[i].set;
	free(w);
	return order;
}
