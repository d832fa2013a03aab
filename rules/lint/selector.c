/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What can be said of label selectors without looking at any labels. Requirements are sorted by
 * key, and values are sorted, so that everything here is a merge.
 */
#include <bulkhead/lint.h>

/* How many of a's values are also b's. */
static size_t n_common(const struct bh_requirement *a, const struct bh_requirement *b)
{
	size_t i = 0, j = 0, n = 0;
	while (i < a->n_values && j < b->n_values) {
		int c = strcmp(a->value[i], b->value[j]);
		n += c == 0;
		i += c <= 0;
		j += c >= 0;
	}
	return n;
}

/* Does a, of the same key, say at least what b says? */
static bool req_implies(const struct bh_requirement *a, const struct bh_requirement *b)
{
	switch (b->op) {
	case BH_SEL_IN:
		return a->op == BH_SEL_IN && n_common(a, b) == a->n_values;
	case BH_SEL_NOT_IN: /* an absent key is not in the list either */
		return a->op == BH_SEL_NOT_EXISTS || (a->op == BH_SEL_IN && n_common(a, b) == 0) ||
		       (a->op == BH_SEL_NOT_IN && n_common(a, b) == b->n_values);
	case BH_SEL_EXISTS:
		return a->op == BH_SEL_EXISTS || a->op == BH_SEL_IN;
	case BH_SEL_NOT_EXISTS:
		return a->op == BH_SEL_NOT_EXISTS;
	}
	return false;
}

bool bh_selector_implies(const struct bh_selector *a, const struct bh_selector *b)
{
	size_t from = 0; /* the first requirement of a whose key is not before the one at hand */
	for (size_t j = 0; j < b->n; j++) {
		const struct bh_requirement *wanted = &b->req[j];
		bool found = false;
		while (from < a->n && strcmp(a->req[from].key, wanted->key) < 0)
			from++;
		for (size_t i = from; !found && i < a->n && strcmp(a->req[i].key, wanted->key) == 0;
			i++)
			found = req_implies(&a->req[i], wanted);
		if (!found)
			return false;
	}
	return true;
}

/* Adds one to seen[i] for each value of `of` that `r` lists too. */
static void mark(const struct bh_requirement *of, const struct bh_requirement *r, uint32_t *seen)
{
	size_t i = 0, j = 0;
	while (i < of->n_values && j < r->n_values) {
		int c = strcmp(of->value[i], r->value[j]);
		seen[i] += c == 0;
		i += c <= 0;
		j += c >= 0;
	}
}

/* Is a value of `in`, one of the n requirements, listed by every other In and by no NotIn? */
static bool has_good_value(
	const struct bh_requirement *req, size_t n, const struct bh_requirement *in)
{
	bh_autofree uint32_t *wanted = bh_xcalloc(in->n_values, sizeof(*wanted));
	bh_autofree uint32_t *unwanted = bh_xcalloc(in->n_values, sizeof(*unwanted));
	uint32_t n_in = 0;
	for (size_t i = 0; i < n; i++) {
		n_in += req[i].op == BH_SEL_IN;
		if (req[i].op == BH_SEL_IN)
			mark(in, &req[i], wanted);
		else if (req[i].op == BH_SEL_NOT_IN)
			mark(in, &req[i], unwanted);
	}
	for (size_t v = 0; v < in->n_values; v++)
		if (wanted[v] == n_in && !unwanted[v])
			return true;
	return false;
}

/* The n requirements on one key: absence satisfies them, or a value does. Without an In there are
 * always values that no NotIn lists. */
static bool satisfiable(const struct bh_requirement *req, size_t n)
{
	const struct bh_requirement *in = NULL;
	bool absent = true, present = true;
	for (size_t i = 0; i < n; i++) {
		absent &= req[i].op == BH_SEL_NOT_IN || req[i].op == BH_SEL_NOT_EXISTS;
		present &= req[i].op != BH_SEL_NOT_EXISTS;
		if (req[i].op == BH_SEL_IN && (!in || req[i].n_values < in->n_values))
			in = &req[i];
	}
	if (absent || !present || !in)
		return absent || present;
	return has_good_value(req, n, in);
}

const char *bh_selector_contradiction(const struct bh_selector *s)
{
	for (size_t i = 0, n; i < s->n; i += n) {
		n = 1;
		while (i + n < s->n && bh_streq(s->req[i].key, s->req[i + n].key))
			n++;
		if (!satisfiable(&s->req[i], n))
			return s->req[i].key;
	}
	return NULL;
}
