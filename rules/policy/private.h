/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Between the files that parse policies. Each reader takes a node that is there and not null
 * (bh_policy_field), reports what is wrong with it and fills what it can: a policy is used only if
 * no error was reported at all, so that readers need not return success.
 */
#pragma once

#include <bulkhead/policy.h>

/* Selectors of policies are evaluated per label set; more requirements than this are no policy. */
#define BH_POLICY_MAX_REQUIREMENTS 1000
#define BH_POLICY_MAX_VALUES 10000

/* Of any list in a ClusterNetworkPolicy (its CRD). */
#define BH_CLUSTER_MAX_ITEMS 25

struct bh_policy_ctx {
	struct bh_reader r;
	struct bh_buf path; /* of the node at hand; never NULL */
	const struct bh_policy_parse_opts *opts; /* never NULL */
	size_t errors; /* in diags before the first document */
};

void bh_policy_ctx_init(struct bh_policy_ctx *c, const char *file,
	const struct bh_policy_parse_opts *opts, struct bh_diags *diags);
void bh_policy_ctx_finish(struct bh_policy_ctx *c);

/* An error was found in this source: nothing of it will be used, so that what is read from here on
 * need not be kept. Keeps a hostile file from costing more than its own tree. */
static inline bool bh_policy_has_failed(const struct bh_policy_ctx *c)
{
	return c->r.diags->n_errors != c->errors;
}

/* Extends the path by .key or [i] or [key]; returns what pop needs to take it back. */
size_t bh_policy_push(struct bh_policy_ctx *c, const char *key);
size_t bh_policy_push_index(struct bh_policy_ctx *c, size_t i);
size_t bh_policy_push_quoted(struct bh_policy_ctx *c, const struct bh_node *key);
void bh_policy_pop(struct bh_policy_ctx *c, size_t at);

/* Value of a key, NULL when it is missing or null (the API does not tell these apart). */
const struct bh_node *bh_policy_field(const struct bh_node *map, const char *key);
/* The same; reports a missing or null one, at the key if there is one, else at the map. */
const struct bh_node *bh_policy_required(
	struct bh_policy_ctx *c, const struct bh_node *map, const char *key, const char *remedy);
/* Is a mapping with none but these keys. */
bool bh_policy_is_map(
	struct bh_policy_ctx *c, const struct bh_node *n, const char *const *known_keys);
/* Is a mapping with exactly one of these keys, which is returned; else NULL, and reported. Who gave
 * two is told to put them `apart`. */
const char *bh_policy_one_of(struct bh_policy_ctx *c, const struct bh_node *n,
	const char *const *keys, const char *apart);
/* Reports a list (field `key`, which may be missing) with no or with too many items. */
void bh_policy_check_count(struct bh_policy_ctx *c, const struct bh_node *map, const char *key,
	size_t min, size_t max);
/* A string that is one of these words; its index in *ret. Reports others. */
bool bh_policy_read_word(struct bh_policy_ctx *c, const struct bh_node *n, const char *const *words,
	const char *remedy, size_t *ret);
/* Reports a null item of a list. */
bool bh_policy_is_item(struct bh_policy_ctx *c, const struct bh_node *n);
/* Calls fn for each item of field `key`, which may be missing, with the path at the item. */
void bh_policy_each(struct bh_policy_ctx *c, const struct bh_node *map, const char *key,
	void (*fn)(struct bh_policy_ctx *c, const struct bh_node *item, void *arg), void *arg);

#define bh_policy_error(c, node, remedy, ...)                                                      \
	bh_read_error(&(c)->r, (node), (c)->path.s, (remedy), __VA_ARGS__)
#define bh_policy_warning(c, node, remedy, ...)                                                    \
	bh_diag_add((c)->r.diags, BH_WARNING, (c)->r.file, (node)->line, (node)->column,           \
		(c)->path.s, (remedy), __VA_ARGS__)

/* p->tier says whether the kind has a namespace. */
void bh_policy_read_metadata(
	struct bh_policy_ctx *c, const struct bh_node *doc, struct bh_policy *p);
/* metadata of a list: read and checked, not used. */
void bh_policy_check_list_metadata(struct bh_policy_ctx *c, const struct bh_node *doc);
void bh_policy_read_spec(struct bh_policy_ctx *c, const struct bh_node *spec, struct bh_policy *p);
void bh_policy_read_cluster_spec(
	struct bh_policy_ctx *c, const struct bh_node *spec, struct bh_policy *p);
void bh_policy_read_selector(
	struct bh_policy_ctx *c, const struct bh_node *n, struct bh_selector *ret);
void bh_policy_read_peer(
	struct bh_policy_ctx *c, const struct bh_node *n, struct bh_policy_peer *ret);
void bh_policy_read_port(
	struct bh_policy_ctx *c, const struct bh_node *n, struct bh_policy_port *ret);
void bh_policy_read_cluster_peer(struct bh_policy_ctx *c, const struct bh_node *n,
	enum bh_direction d, struct bh_policy_peer *ret);
/* `pods` of a subject or peer: both selectors, of which namespaceSelector may be missing. */
void bh_policy_read_namespaced_pods(struct bh_policy_ctx *c, const struct bh_node *n,
	struct bh_selector *ret_namespaces, struct bh_selector *ret_pods);
void bh_policy_read_cluster_port(
	struct bh_policy_ctx *c, const struct bh_node *n, struct bh_policy_port *ret);
bool bh_policy_read_cidr(struct bh_policy_ctx *c, const struct bh_node *n, struct bh_prefix *ret);
bool bh_policy_read_port_number(struct bh_policy_ctx *c, const struct bh_node *n, uint16_t *ret);
bool bh_policy_read_port_name(struct bh_policy_ctx *c, const struct bh_node *n, char **ret);

/* One document or list item that is a NetworkPolicy; the set takes it. */
typedef void (*bh_policy_found_fn)(struct bh_policy *p, void *arg);
/* Reads a document of any kind. `text` is its own text, NULL if unknown. */
void bh_policy_read_document(struct bh_policy_ctx *c, const struct bh_node *root, const char *text,
	bh_policy_found_fn fn, void *arg);

/* Parts of the canonical form. */
void bh_policy_canonical_selector(const struct bh_selector *s, struct bh_buf *out);
void bh_policy_canonical_cluster(const struct bh_policy *p, struct bh_buf *out);
/* The policy's meaning as JSON that parses to the same policy; no file, line or comment in it. */
void bh_policy_canonical(const struct bh_policy *p, struct bh_buf *out);
void bh_policy_free(struct bh_policy *p);
void bh_policy_free_peer(struct bh_policy_peer *p);
void bh_policy_free_rule(struct bh_policy_rule *r);
void bh_policy_free_rules(struct bh_policy *p, enum bh_direction d);

/* Warns about cluster policies of one tier and priority that may meet on a workload. The policies
 * are sorted as in a set. */
void bh_policy_warn_equal_priorities(
	struct bh_policy *const *policy, size_t n, struct bh_diags *diags);

/* Walks a stream's text beside its parsed documents, to cut out the text of each. */
struct bh_policy_slicer {
	const char *text, *end;
	const char *pos; /* start of line `line` */
	const char *segment; /* where the document at pos began */
	int line;
};
void bh_policy_slicer_init(struct bh_policy_slicer *s, const char *text, size_t len);
/* The text of the document whose root starts in `line`; lines must not decrease. Owned. */
char *bh_policy_slice(struct bh_policy_slicer *s, int line);
