/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Merge keys ("<<: *defaults", yaml.org/type/merge): YAML 1.1's, not in YAML 1.2, but understood by
 * the reader of Kubernetes' tools (sigs.k8s.io/yaml), so policies that use them exist. A mapping's
 * own keys win over merged ones, and earlier mappings of a list over later ones. Only what readers
 * disagree about is refused: an own key that stands before the "<<" loses in some of them.
 */
#include "doc_private.h"

#include <errno.h>

struct pair {
	struct bh_node *key, *value;
	size_t rank; /* the lower one wins */
};

struct merge {
	const char *file;
	struct bh_diags *diags;
	struct pair *pair;
	size_t n, cap;
	size_t n_own; /* ranks below are the mapping's own keys */
	size_t before; /* ranks below stand before the merge key */
};

static int fault(struct merge *m, const struct bh_node *n, const char *remedy, const char *what)
{
	bh_diag_add(m->diags, BH_ERROR, m->file, n->line, n->column, NULL, remedy, "%s", what);
	return -EINVAL;
}

static void add(struct merge *m, struct bh_node *key, struct bh_node *value)
{
	BH_GROW(m->pair, m->n, m->cap);
	m->pair[m->n] = (struct pair){key, value, m->n};
	m->n++;
}

static int add_source(struct merge *m, const struct bh_node *source)
{
	if (source->kind != BH_NODE_MAP)
		return fault(m, source, NULL, "a merge key takes a mapping or a list of mappings");
	for (size_t i = 0; i < source->n; i++)
		add(m, source->key[i], source->child[i]);
	return 0;
}

static int compare_keys(const void *pa, const void *pb)
{
	const struct pair *a = pa, *b = pb;
	int c = doc_compare_keys(a->key, b->key);
	return c ? c : (a->rank > b->rank) - (a->rank < b->rank);
}

static int compare_ranks(const void *pa, const void *pb)
{
	const struct pair *a = pa, *b = pb;
	return (a->rank > b->rank) - (a->rank < b->rank);
}

/* Keeps of equal keys the first, and all own ones: those are told apart later. */
static int drop_overridden(struct merge *m)
{
	size_t kept = 0;
	int r = 0;
	qsort(m->pair, m->n, sizeof(*m->pair), compare_keys);
	for (size_t i = 0; i < m->n; i++) {
		const struct pair *last = kept ? &m->pair[kept - 1] : NULL;
		if (!last || m->pair[i].rank < m->n_own ||
			doc_compare_keys(last->key, m->pair[i].key) != 0) {
			m->pair[kept++] = m->pair[i];
			continue;
		}
		if (last->rank < m->before)
			r = fault(m, last->key, "write the merge key (<<) first",
				"YAML readers disagree whether this or the merged value counts");
	}
	m->n = kept;
	qsort(m->pair, m->n, sizeof(*m->pair), compare_ranks);
	return r;
}

int doc_merge(const char *file, struct bh_node *const *item, size_t n, size_t at,
	struct bh_diags *diags, struct bh_node ***ret, size_t *ret_n)
{
	struct merge m = {.file = file, .diags = diags, .n_own = n / 2 - 1, .before = at / 2};
	const struct bh_node *value = item[at + 1];
	int r = 0;
	for (size_t i = 0; i < n; i += 2)
		if (i != at)
			add(&m, item[i], item[i + 1]);
	if (value->kind == BH_NODE_SEQ)
		for (size_t i = 0; r == 0 && i < value->n; i++)
			r = add_source(&m, value->child[i]);
	else
		r = add_source(&m, value);
	if (r == 0 && m.n)
		r = drop_overridden(&m);
	if (r == 0) {
		*ret = bh_xcalloc(m.n * 2, sizeof(**ret));
		*ret_n = m.n * 2;
		for (size_t i = 0; i < m.n; i++) {
			(*ret)[2 * i] = m.pair[i].key;
			(*ret)[2 * i + 1] = m.pair[i].value;
		}
	}
	free(m.pair);
	return r;
}
