/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * metav1.LabelSelector with the API server's rules (pkg/apis/meta/v1/validation). Plain scalars
 * that YAML readers disagree about (y, on, 1_000) are refused by bh_read_string: a selector that
 * means one thing here and another in a cluster is worse than an error.
 */
#include "private.h"

#include <bulkhead/doc_labels.h>

/* Counts towards the limit; reports once, at the first requirement beyond it. */
static bool has_room(struct bh_policy_ctx *c, const struct bh_node *n, size_t *count)
{
	if (++*count == BH_POLICY_MAX_REQUIREMENTS + 1)
		bh_policy_error(c, n, NULL, "more than %d requirements in one selector",
			BH_POLICY_MAX_REQUIREMENTS);
	return *count <= BH_POLICY_MAX_REQUIREMENTS;
}

static void read_match_labels(
	struct bh_policy_ctx *c, const struct bh_node *map, struct bh_selector *ret, size_t *count)
{
	if (bh_read_map(&c->r, map, c->path.s) < 0)
		return;
	for (size_t i = 0; i < map->n && has_room(c, map->key[i], count); i++) {
		size_t at = bh_policy_push_quoted(c, map->key[i]);
		const char *key, *value;
		int good = bh_read_label_key(&c->r, map->key[i], c->path.s, &key);
		if (bh_read_label_value(&c->r, map->child[i], c->path.s, &value) == 0 && good == 0)
			bh_selector_add(ret, key, BH_SEL_IN, &value, 1);
		bh_policy_pop(c, at);
	}
}

static bool read_operator(
	struct bh_policy_ctx *c, const struct bh_node *map, enum bh_selector_op *ret)
{
	static const char remedy[] = "In, NotIn, Exists or DoesNotExist";
	static const char *const name[] = {
		[BH_SEL_IN] = "In",
		[BH_SEL_NOT_IN] = "NotIn",
		[BH_SEL_EXISTS] = "Exists",
		[BH_SEL_NOT_EXISTS] = "DoesNotExist",
	};
	const char *text;
	bool found = false;
	const struct bh_node *n = bh_policy_required(c, map, "operator", remedy);
	if (!n)
		return false;
	size_t at = bh_policy_push(c, "operator");
	if (bh_read_word(&c->r, n, c->path.s, remedy, &text) == 0) {
		for (size_t i = 0; i < BH_ARRAY_SIZE(name) && !found; i++)
			if ((found = bh_streq(text, name[i])))
				*ret = (enum bh_selector_op)i;
		if (!found) {
			bh_autofree char *quoted = bh_diag_quote(n->str, n->len);
			bh_policy_error(c, n, remedy, "unknown operator \"%s\"", quoted);
		}
	}
	bh_policy_pop(c, at);
	return found;
}

/* The values that are good; *ret_n is how many. Owned array of borrowed strings. */
static const char **read_values(struct bh_policy_ctx *c, const struct bh_node *seq, size_t *ret_n)
{
	if (bh_read_seq(&c->r, seq, c->path.s) < 0)
		return NULL;
	if (seq->n > BH_POLICY_MAX_VALUES) {
		bh_policy_error(c, seq, NULL, "more than %d values", BH_POLICY_MAX_VALUES);
		return NULL;
	}
	const char **value = bh_xcalloc(seq->n, sizeof(*value));
	for (size_t i = 0; i < seq->n; i++) {
		size_t at = bh_policy_push_index(c, i);
		if (bh_read_label_value(&c->r, seq->child[i], c->path.s, &value[*ret_n]) == 0)
			(*ret_n)++;
		bh_policy_pop(c, at);
	}
	return value;
}

/* What the operator demands of the list: items for In and NotIn, none for the others. */
static void check_values(struct bh_policy_ctx *c, const struct bh_node *map,
	const struct bh_node *values, enum bh_selector_op op)
{
	bool wanted = op == BH_SEL_IN || op == BH_SEL_NOT_IN;
	bool given = values && values->n > 0;
	if (values && values->kind != BH_NODE_SEQ)
		return; /* already reported */
	if (wanted && !given) {
		const struct bh_node *at = values ? values : bh_node_get_key(map, "values");
		bh_policy_error(c, at ? at : map, "list at least one value",
			"operator %s needs values", op == BH_SEL_IN ? "In" : "NotIn");
	}
	if (!wanted && given)
		bh_policy_error(c, values, "remove the values, or use In or NotIn",
			"operator %s takes no values",
			op == BH_SEL_EXISTS ? "Exists" : "DoesNotExist");
}

struct expressions {
	struct bh_selector *selector;
	size_t *count;
};

static void read_expression(struct bh_policy_ctx *c, const struct bh_node *n, void *arg)
{
	static const char *const keys[] = {"key", "operator", "values", NULL};
	struct expressions *x = arg;
	enum bh_selector_op op = BH_SEL_IN;
	const char *key = NULL;
	size_t n_values = 0;
	const char **value = NULL;

	if (!has_room(c, n, x->count) || !bh_policy_is_map(c, n, keys))
		return;
	const struct bh_node *k = bh_policy_required(c, n, "key", "a label key");
	if (k) {
		size_t at = bh_policy_push(c, "key");
		bh_read_label_key(&c->r, k, c->path.s, &key);
		bh_policy_pop(c, at);
	}
	bool good_op = read_operator(c, n, &op);
	const struct bh_node *values = bh_policy_field(n, "values");
	size_t at = bh_policy_push(c, "values");
	if (values)
		value = read_values(c, values, &n_values);
	if (good_op)
		check_values(c, n, values, op);
	bh_policy_pop(c, at);
	if (key && good_op)
		bh_selector_add(x->selector, key, op, value, n_values);
	free(value);
}

void bh_policy_read_selector(
	struct bh_policy_ctx *c, const struct bh_node *n, struct bh_selector *ret)
{
	static const char *const keys[] = {"matchLabels", "matchExpressions", NULL};
	size_t count = 0;
	if (!bh_policy_is_map(c, n, keys))
		return;
	const struct bh_node *labels = bh_policy_field(n, "matchLabels");
	if (labels) {
		size_t at = bh_policy_push(c, "matchLabels");
		read_match_labels(c, labels, ret, &count);
		bh_policy_pop(c, at);
	}
	struct expressions x = {ret, &count};
	bh_policy_each(c, n, "matchExpressions", read_expression, &x);
}
