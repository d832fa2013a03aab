/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Labels and label selectors in the configuration, as a policy writes them (metav1.LabelSelector).
 */
#include <bulkhead/doc_labels.h>

#include "config/private.h"

#define REQUIREMENTS_MAX 1000

static bool is_sane(struct conf_ctx *x, const struct bh_node *n, const char *path)
{
	if (n->n > REQUIREMENTS_MAX)
		bh_read_error(&x->r, n, path, NULL, "more than %d entries", REQUIREMENTS_MAX);
	return n->n <= REQUIREMENTS_MAX;
}

void conf_read_labels(struct conf_ctx *x, const struct bh_node *n, const char *path,
	void (*fn)(void *arg, const char *key, const char *value), void *arg)
{
	if (bh_read_map(&x->r, n, path) < 0 || !is_sane(x, n, path))
		return;
	for (size_t i = 0; i < n->n; i++) {
		const char *key, *value;
		bh_autofree char *quoted = bh_diag_quote(n->key[i]->str, n->key[i]->len);
		bh_autofree char *item = bh_xasprintf("%s.%s", path, quoted);
		int good = bh_read_label_key(&x->r, n->key[i], path, &key);
		if (bh_read_label_value(&x->r, n->child[i], item, &value) == 0 && good == 0)
			fn(arg, key, value);
	}
}

static void require_label(void *arg, const char *key, const char *value)
{
	bh_selector_add(arg, key, BH_SEL_IN, &value, 1);
}

/* The list of an expression, as the operator wants it. Owned array of borrowed strings. */
static const char **read_values(struct conf_ctx *x, const struct bh_node *map, const char *path,
	enum bh_selector_op op, size_t *ret_n)
{
	bh_autofree char *values_path = NULL;
	const struct bh_node *n = conf_field(map, path, "values", true, &values_path);
	bool wanted = op == BH_SEL_IN || op == BH_SEL_NOT_IN;
	if (n && bh_read_seq(&x->r, n, values_path) < 0)
		return NULL;
	if (wanted != (n && n->n > 0)) {
		bh_read_error(&x->r, n ? n : map, n ? values_path : path, NULL,
			wanted ? "In and NotIn need values"
			       : "Exists and DoesNotExist take no values");
		return NULL;
	}
	const char **value = bh_xcalloc(n ? n->n : 0, sizeof(*value));
	for (size_t i = 0; n && i < n->n; i++) {
		bh_autofree char *item = bh_xasprintf("%s[%zu]", values_path, i);
		if (bh_read_label_value(&x->r, n->child[i], item, &value[*ret_n]) == 0)
			(*ret_n)++;
	}
	return value;
}

static void read_expression(
	struct conf_ctx *x, const struct bh_node *map, const char *path, struct bh_selector *ret)
{
	static const char *const keys[] = {"key", "operator", "values", NULL};
	static const char *const operators[] = {"In", "NotIn", "Exists", "DoesNotExist", NULL};
	bh_autofree char *key_path = NULL, *operator_path = NULL;
	const char *key = NULL;
	size_t n_values = 0;

	if (bh_read_map(&x->r, map, path) < 0)
		return;
	bh_read_known_keys(&x->r, map, path, keys);
	const struct bh_node *k = conf_field(map, path, "key", false, &key_path);
	const struct bh_node *o = conf_field(map, path, "operator", false, &operator_path);
	if (!k || !o) {
		bh_read_error(&x->r, map, path, NULL, "%s is missing", k ? "operator" : "key");
		return;
	}
	int good = bh_read_label_key(&x->r, k, key_path, &key);
	int op = conf_choice(x, o, operator_path, operators);
	if (op < 0)
		return;
	const char **value = read_values(x, map, path, (enum bh_selector_op)op, &n_values);
	if (good == 0 && value)
		bh_selector_add(ret, key, (enum bh_selector_op)op, value, n_values);
	free(value);
}

void conf_read_selector(
	struct conf_ctx *x, const struct bh_node *n, const char *path, struct bh_selector *ret)
{
	static const char *const keys[] = {"matchLabels", "matchExpressions", NULL};
	bh_autofree char *labels_path = NULL, *list_path = NULL;

	if (bh_read_map(&x->r, n, path) < 0)
		return;
	bh_read_known_keys(&x->r, n, path, keys);
	const struct bh_node *labels = conf_field(n, path, "matchLabels", true, &labels_path);
	const struct bh_node *list = conf_field(n, path, "matchExpressions", true, &list_path);
	if (labels)
		conf_read_labels(x, labels, labels_path, require_label, ret);
	if (!list || bh_read_seq(&x->r, list, list_path) < 0 || !is_sane(x, list, list_path))
		return;
	for (size_t i = 0; i < list->n; i++) {
		bh_autofree char *item = bh_xasprintf("%s[%zu]", list_path, i);
		read_expression(x, list->child[i], item, ret);
	}
}
