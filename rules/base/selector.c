/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Label selectors. Requirements and their values are kept sorted and unique, so that selectors that
 * mean the same and were written in another order are equal.
 */
#include <bulkhead/labels.h>

static int req_cmp(const struct bh_requirement *a, const struct bh_requirement *b)
{
	int c = strcmp(a->key, b->key);
	if (c)
		return c;
	if (a->op != b->op)
		return a->op < b->op ? -1 : 1;
	for (size_t i = 0; i < a->n_values && i < b->n_values; i++) {
		c = strcmp(a->value[i], b->value[i]);
		if (c)
			return c;
	}
	return (a->n_values > b->n_values) - (a->n_values < b->n_values);
}

static int string_cmp(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static void req_init(struct bh_requirement *r, const char *key, enum bh_selector_op op,
	const char *const *values, size_t n)
{
	*r = (struct bh_requirement){.key = bh_xstrdup(key), .op = op};
	if (n == 0)
		return;
	r->value = bh_xcalloc(n, sizeof(*r->value));
	for (size_t i = 0; i < n; i++)
		r->value[i] = bh_xstrdup(values[i]);
	qsort(r->value, n, sizeof(*r->value), string_cmp);
	for (size_t i = 0; i < n; i++) {
		if (r->n_values && strcmp(r->value[r->n_values - 1], r->value[i]) == 0)
			free(r->value[i]);
		else
			r->value[r->n_values++] = r->value[i];
	}
}

static void req_finish(struct bh_requirement *r)
{
	for (size_t i = 0; i < r->n_values; i++)
		free(r->value[i]);
	free(r->value);
	free(r->key);
}

void bh_selector_add(struct bh_selector *s, const char *key, enum bh_selector_op op,
	const char *const *values, size_t n)
{
	struct bh_requirement r;
	size_t lo = 0, hi = s->n;
	req_init(&r, key, op, values, n);
	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		int c = req_cmp(&s->req[mid], &r);
		if (c == 0) {
			req_finish(&r);
			return;
		}
		if (c < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	BH_GROW(s->req, s->n, s->cap);
	memmove(&s->req[lo + 1], &s->req[lo], (s->n - lo) * sizeof(*s->req));
	s->req[lo] = r;
	s->n++;
}

static bool has_value(const struct bh_requirement *r, const char *value)
{
	return bsearch(&value, r->value, r->n_values, sizeof(*r->value), string_cmp) != NULL;
}

static bool req_matches(const struct bh_requirement *r, const struct bh_labels *l)
{
	const char *value = bh_labels_get(l, r->key);
	switch (r->op) {
	case BH_SEL_IN:
		return value && r->n_values && has_value(r, value);
	case BH_SEL_NOT_IN: /* an absent key is not in the list either */
		return !value || !r->n_values || !has_value(r, value);
	case BH_SEL_EXISTS:
		return value;
	case BH_SEL_NOT_EXISTS:
		return !value;
	}
	return false;
}

bool bh_selector_matches(const struct bh_selector *s, const struct bh_labels *l)
{
	for (size_t i = 0; i < s->n; i++)
		if (!req_matches(&s->req[i], l))
			return false;
	return true;
}

bool bh_selector_equal(const struct bh_selector *a, const struct bh_selector *b)
{
	if (a->n != b->n)
		return false;
	for (size_t i = 0; i < a->n; i++)
		if (req_cmp(&a->req[i], &b->req[i]) != 0)
			return false;
	return true;
}

void bh_selector_copy(struct bh_selector *to, const struct bh_selector *from)
{
	struct bh_selector s = {0};
	if (from->n)
		s.req = bh_xcalloc(from->n, sizeof(*s.req));
	s.cap = from->n;
	for (; s.n < from->n; s.n++) {
		const struct bh_requirement *r = &from->req[s.n];
		req_init(&s.req[s.n], r->key, r->op, (const char *const *)r->value, r->n_values);
	}
	*to = s;
}

static void format_req(const struct bh_requirement *r, struct bh_buf *out)
{
	if (r->op == BH_SEL_NOT_EXISTS)
		bh_buf_str(out, "!");
	bh_buf_str(out, r->key);
	if (r->op == BH_SEL_EXISTS || r->op == BH_SEL_NOT_EXISTS)
		return;
	if (r->op == BH_SEL_IN && r->n_values == 1) {
		bh_buf_printf(out, "=%s", r->value[0]);
		return;
	}
	bh_buf_str(out, r->op == BH_SEL_IN ? " in (" : " notin (");
	for (size_t i = 0; i < r->n_values; i++)
		bh_buf_printf(out, i ? ",%s" : "%s", r->value[i]);
	bh_buf_str(out, ")");
}

void bh_selector_format(const struct bh_selector *s, struct bh_buf *out)
{
	if (s->n == 0)
		bh_buf_str(out, "<all>");
	for (size_t i = 0; i < s->n; i++) {
		if (i)
			bh_buf_str(out, ",");
		format_req(&s->req[i], out);
	}
}

void bh_selector_finish(struct bh_selector *s)
{
	for (size_t i = 0; i < s->n; i++)
		req_finish(&s->req[i]);
	free(s->req);
	*s = (struct bh_selector){0};
}
