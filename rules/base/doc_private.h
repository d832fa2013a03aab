/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Shared by the parts of the document reader only. */
#pragma once

#include <bulkhead/doc.h>

/* The text of a stream after the checks that come before YAML, and where its lines start. */
struct doc_text {
	const char *s; /* without a byte order mark */
	size_t len;
	char *copy; /* owned; s points into it if it had to be changed */
	size_t *line_start; /* owned; offset of each line */
	size_t n_lines, cap_lines;
	bool ascii;
	struct { /* the last answer of doc_text_column, so that a long line costs linear time */
		size_t line, chars, bytes;
	} last;
};

/* Borrows s. Refuses what is not text: bad UTF-8, control characters, too many directives. */
int doc_text_init(
	struct doc_text *t, const char *file, const char *s, size_t len, struct bh_diags *diags);
void doc_text_finish(struct doc_text *t);
/* Turns a line and column in characters (both from 0, as libyaml counts) into a column in bytes
 * (from 1). */
int doc_text_column(struct doc_text *t, size_t line, size_t column);
char doc_text_byte(struct doc_text *t, size_t line, size_t column); /* there; '\0' at the end */

#define DOC_CORE_TAG "tag:yaml.org,2002:"

/* What a plain scalar is. */
enum bh_scalar_type doc_scalar_type(const char *s, size_t len);
/* What a scalar with an explicit tag is: −ENOENT if we don't know the tag, −EINVAL if the text is
 * not of that type. */
int doc_scalar_tagged(const char *tag, const char *s, size_t len, enum bh_scalar_type *ret);
/* Memory that lives as long as d, zeroed. */
void *doc_alloc(struct bh_docs *d, size_t n);
/* By their texts, byte by byte. */
int doc_compare_keys(const struct bh_node *a, const struct bh_node *b);
/*
 * Keys and values of a mapping, alternating, with its merge key, which is item[at], replaced by
 * what it merges: an owned array in *ret, *ret_n nodes. −EINVAL with a diagnostic.
 */
int doc_merge(const char *file, struct bh_node *const *item, size_t n, size_t at,
	struct bh_diags *diags, struct bh_node ***ret, size_t *ret_n);
/* Reports keys that stand twice in a map: then −EINVAL. */
int doc_check_keys(const char *file, const struct bh_node *map, struct bh_diags *diags);
