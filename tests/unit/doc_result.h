/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Parsing a text in a test and throwing the result away. */
#pragma once

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <bulkhead/doc.h>

struct result {
	int r;
	struct bh_docs *docs;
	struct bh_diags diags;
};

static inline struct result parse_n(
	const char *text, size_t len, const struct bh_doc_limits *limits)
{
	struct result x = {0};
	char *copy = bh_xmemdup(text, len); /* exact size: reading beyond it is seen by ASan */
	x.r = bh_docs_parse("f", copy, len, limits, &x.diags, &x.docs);
	free(copy);
	assert_true((x.r == 0) == (x.docs != NULL));
	assert_true((x.r == 0) == (x.diags.n_errors == 0));
	return x;
}

static inline struct result parse(const char *text)
{
	return parse_n(text, strlen(text), NULL);
}

static inline void finish(struct result *x)
{
	bh_docs_free(x->docs);
	bh_diags_finish(&x->diags);
}
