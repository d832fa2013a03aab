/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * YAML (and JSON, its subset) read into trees that remember where everything stood. Built on
 * libyaml's event parser, which gives the marks; everything a hostile document can inflate is
 * bounded. Implemented in rules/base/doc.c.
 */
#pragma once

#include <bulkhead/diag.h>

enum bh_node_kind { BH_NODE_SCALAR, BH_NODE_MAP, BH_NODE_SEQ };

/*
 * What a plain scalar is to YAML 1.2's core schema. Quoted and block scalars are always STRING.
 * AMBIGUOUS: a plain word or number that YAML 1.1 readers take for something else (y, on, yes, off,
 * 012, 1_000, 12:30 …); callers that expect a string refuse it and ask for quotes.
 */
enum bh_scalar_type {
	BH_SCALAR_STRING,
	BH_SCALAR_NULL,
	BH_SCALAR_BOOL,
	BH_SCALAR_INT,
	BH_SCALAR_FLOAT,
	BH_SCALAR_AMBIGUOUS,
};

struct bh_node {
	enum bh_node_kind kind;
	enum bh_scalar_type type; /* scalars */
	int line, column; /* 1-based, where the node starts */
	char *str; /* scalars: text, NUL-terminated (may hold NULs: see len) */
	size_t len;
	struct bh_node **child; /* SEQ: items; MAP: values */
	struct bh_node **key; /* MAP: scalar keys, same index; no two alike */
	size_t n;
};

struct bh_doc_limits {
	size_t max_bytes; /* of one stream */
	size_t max_nodes; /* of one stream, aliases counted as often as they are used */
	size_t max_depth;
	size_t max_documents;
};
extern const struct bh_doc_limits bh_doc_default_limits; /* 4 MiB, 400k nodes, 64, 10k */

/* A stream of documents. An empty document in the middle gives a NULL root. */
struct bh_docs {
	char *file; /* as named by the caller */
	struct bh_node **root;
	size_t n;
	void *arena;
};

/*
 * Parses text[0..len). Merge keys (<<) are resolved: a node may then stand in several maps. Errors
 * (syntax, encoding, control characters, duplicate keys, local tags, alias cycles, limits) are
 * added to `diags` with their place; then -EINVAL is returned and ret is untouched. A stream with
 * no document at all is n = 0 and success: the caller decides.
 */
int bh_docs_parse(const char *file, const char *text, size_t len,
	const struct bh_doc_limits *limits, struct bh_diags *diags, struct bh_docs **ret);
void bh_docs_free(struct bh_docs *d);

/* Value of `key` in a map, or NULL. */
const struct bh_node *bh_node_get(const struct bh_node *map, const char *key);
const struct bh_node *bh_node_get_key(
	const struct bh_node *map, const char *key); /* the key node */
static inline bool bh_node_is_null(const struct bh_node *n)
{
	return !n || (n->kind == BH_NODE_SCALAR && n->type == BH_SCALAR_NULL);
}

/*
 * Typed readers used by every loader (configuration, inventory file, policies): each adds a
 * diagnostic "must be a string" and so on at the node and returns -EINVAL when it does not fit.
 * `path` is the path of the node inside its document.
 */
struct bh_reader {
	const char *file;
	struct bh_diags *diags;
};
int bh_read_string(const struct bh_reader *r, const struct bh_node *n, const char *path,
	const char **ret); /* borrowed from n; refuses NULs inside */
/* The same where only certain words will do: who wrote 6 is told those, not to write "6". */
int bh_read_word(const struct bh_reader *r, const struct bh_node *n, const char *path,
	const char *words, const char **ret);
int bh_read_int(const struct bh_reader *r, const struct bh_node *n, const char *path, int64_t min,
	int64_t max, int64_t *ret);
int bh_read_bool(const struct bh_reader *r, const struct bh_node *n, const char *path, bool *ret);
int bh_read_map(const struct bh_reader *r, const struct bh_node *n, const char *path);
int bh_read_seq(const struct bh_reader *r, const struct bh_node *n, const char *path);
/* Every key of map must be in the NULL-terminated list; unknown ones are errors at the key that
 * suggest the nearest known name. Returns the number of unknown keys. */
int bh_read_known_keys(const struct bh_reader *r, const struct bh_node *map, const char *path,
	const char *const *known);
void bh_read_error(const struct bh_reader *r, const struct bh_node *n, const char *path,
	const char *remedy, const char *fmt, ...) BH_PRINTF(5, 6);
