/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the tests of the policy reader share: beginnings of documents, and a reader for them. */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <string.h>

#include <bulkhead/policy.h>

#define HEAD "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\n"
#define META HEAD "metadata: {name: p, namespace: x}\n"
#define SPEC META "spec:\n" /* the spec's first line is line 5 */
#define IN SPEC "  podSelector: {}\n  ingress:\n" /* rules begin in line 7 */

#define CLUSTER_HEAD "apiVersion: policy.networking.k8s.io/v1alpha2\nkind: ClusterNetworkPolicy\n"
#define CLUSTER CLUSTER_HEAD "metadata: {name: p}\nspec:\n" /* the spec begins in line 5 */
static inline int parse_with(
	const char *text, size_t len, bool strict, struct bh_diags *d, struct bh_policy_set **ret)
{
	const struct bh_policy_source src = {.file = "f.yaml", .text = text, .len = len};
	const struct bh_policy_parse_opts opts = {.default_ns = "dflt", .strict_empty = strict};
	return bh_policy_set_parse(&src, 1, &opts, d, ret);
}

static inline char *show(const struct bh_diags *d)
{
	struct bh_buf b = {0};
	bh_diags_format(d, &b);
	return bh_buf_take(&b);
}

/* Line of the error that a person sees first; 0 if there is none. */
static inline int first_error(struct bh_diags *d)
{
	bh_diags_sort(d);
	for (size_t i = 0; i < d->n; i++)
		if (d->item[i].severity == BH_ERROR)
			return d->item[i].column > 0 ? d->item[i].line : 0;
	return 0;
}

/* Parses what must be good, with no diagnostics at all. */
static inline struct bh_policy_set *good(const char *text)
{
	bh_autodiags struct bh_diags d = {0};
	struct bh_policy_set *s = NULL;
	int r = parse_with(text, strlen(text), false, &d, &s);
	bh_autofree char *all = show(&d);
	if (r != 0 || d.n)
		fail_msg("refused: %s\n%s", all, text);
	return s;
}

/* Must be refused with an error in this line whose text contains `what`. */
static inline void refused(const char *text, int line, const char *what)
{
	bh_autodiags struct bh_diags d = {0};
	struct bh_policy_set *s = NULL;
	int r = parse_with(text, strlen(text), true, &d, &s);
	bh_autofree char *all = show(&d);
	if (r != -EINVAL || s)
		fail_msg("accepted (%d):\n%s", r, text);
	for (size_t i = 0; i < d.n; i++) {
		struct bh_buf one = {0};
		bh_diag_format(&d.item[i], &one);
		bool hit = d.item[i].severity == BH_ERROR && d.item[i].line == line &&
			   d.item[i].column > 0 && strstr(one.s, what);
		bh_buf_finish(&one);
		if (hit)
			return;
	}
	fail_msg("no error with \"%s\" in line %d, but:\n%s\nof\n%s", what, line, all, text);
}

struct bad {
	const char *text;
	size_t len;
	int first, last; /* line of the first error */
};

#define AT(line, text)                                                                             \
	{                                                                                          \
		text, sizeof(text) - 1, line, line                                                 \
	}
#define IN_LINES(first, last, text)                                                                \
	{                                                                                          \
		text, sizeof(text) - 1, first, last                                                \
	}

/* All that come out wrong are shown. */
static inline void check_bad(const struct bad *t, size_t n)
{
	size_t wrong = 0;
	for (size_t i = 0; i < n; i++) {
		bh_autodiags struct bh_diags d = {0};
		struct bh_policy_set *s = NULL;
		int r = parse_with(t[i].text, t[i].len, true, &d, &s);
		int line = first_error(&d);
		bh_autofree char *all = show(&d);
		if (r == -EINVAL && !s && line >= t[i].first && line <= t[i].last)
			continue;
		print_error("%d, not an error in line %d..%d but:\n%.1000s\nof\n%.400s\n", r,
			t[i].first, t[i].last, all, t[i].text);
		bh_policy_set_unref(s);
		wrong++;
	}
	assert_int_equal(wrong, 0);
}

#define CHECK_BAD(t) check_bad(t, BH_ARRAY_SIZE(t))
