/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * ObjectMeta: name and namespace are used, the rest is what `kubectl get -o yaml` adds and what
 * people annotate. It is checked as far as an API server would refuse it (pkg/api/validation,
 * apimachinery's ValidateObjectMeta), so that a file that passes here applies there.
 */
#include <ctype.h>

#include "private.h"

#define ANNOTATIONS_MAX (256u * 1024) /* total bytes, TotalAnnotationSizeLimitB */

/* RFC 1123 label of at most 63 characters. */
static bool is_dns_label(const char *s, size_t n)
{
	if (n == 0 || n > 63)
		return false;
	for (size_t i = 0; i < n; i++) {
		bool alnum = (s[i] >= 'a' && s[i] <= 'z') || (s[i] >= '0' && s[i] <= '9');
		if (!alnum && (s[i] != '-' || i == 0 || i == n - 1))
			return false;
	}
	return true;
}

/* As IsDNS1123Subdomain: labels joined by dots, 253 in all; a single label may exceed 63. */
static bool is_dns_subdomain(const char *s)
{
	size_t n = strlen(s);
	if (n == 0 || n > 253)
		return false;
	for (size_t i = 0; i < n; i++) {
		bool alnum = (s[i] >= 'a' && s[i] <= 'z') || (s[i] >= '0' && s[i] <= '9');
		bool edge = i == 0 || i == n - 1 || s[i - 1] == '.' || s[i + 1] == '.';
		if (!alnum && ((s[i] != '-' && s[i] != '.') || edge))
			return false;
	}
	return true;
}

static void read_name(struct bh_policy_ctx *c, const struct bh_node *meta, struct bh_policy *p)
{
	const char *text;
	const struct bh_node *n = bh_policy_required(c, meta, "name", "give the policy a name");
	if (!n)
		return;
	size_t at = bh_policy_push(c, "name");
	if (bh_read_string(&c->r, n, c->path.s, &text) == 0) {
		bh_autofree char *quoted = bh_diag_quote(n->str, n->len);
		if (is_dns_subdomain(text))
			p->name = bh_xstrdup(text);
		else
			bh_policy_error(c, n,
				"lower-case letters, digits, '-' and '.', beginning and ending "
				"with a letter or digit, at most 253",
				"\"%s\" is not a name", quoted);
	}
	bh_policy_pop(c, at);
}

static void read_namespace(struct bh_policy_ctx *c, const struct bh_node *meta, struct bh_policy *p)
{
	const char *text;
	const struct bh_node *n = bh_policy_field(meta, "namespace");
	bool cluster = p->tier != BH_TIER_NETWORK_POLICY;
	if (!n)
		return;
	size_t at = bh_policy_push(c, "namespace");
	if (bh_read_string(&c->r, n, c->path.s, &text) == 0 && *text) {
		bh_autofree char *quoted = bh_diag_quote(n->str, n->len);
		if (cluster)
			bh_policy_error(c, n, "remove it; spec.subject selects namespaces",
				"a ClusterNetworkPolicy has no namespace");
		else if (is_dns_label(text, strlen(text)))
			p->namespace = bh_xstrdup(text);
		else
			bh_policy_error(c, n,
				"lower-case letters, digits and '-', beginning and ending with a "
				"letter or digit, at most 63",
				"\"%s\" is not a namespace", quoted);
	}
	bh_policy_pop(c, at);
}

static void check_string_value(struct bh_policy_ctx *c, const struct bh_node *n)
{
	const char *text;
	if (!bh_node_is_null(n)) /* an API server reads null as "" here */
		bh_read_string(&c->r, n, c->path.s, &text);
}

static void check_label(
	struct bh_policy_ctx *c, const struct bh_node *key, const struct bh_node *value)
{
	const char *text, *wrong;
	if (bh_read_string(&c->r, key, c->path.s, &text) == 0 && (wrong = bh_label_key_check(text)))
		bh_policy_error(c, key, NULL, "not a label key: %s", wrong);
	if (bh_node_is_null(value) || bh_read_string(&c->r, value, c->path.s, &text) < 0)
		return;
	if ((wrong = bh_label_value_check(text)))
		bh_policy_error(c, value, NULL, "not a label value: %s", wrong);
}

/* Annotation keys have the syntax of label keys, but in any case; values are free. */
static void check_annotation(
	struct bh_policy_ctx *c, const struct bh_node *key, const struct bh_node *value)
{
	const char *text, *wrong;
	if (bh_read_string(&c->r, key, c->path.s, &text) == 0) {
		bh_autofree char *lower = bh_xstrdup(text);
		for (char *s = lower; *s; s++)
			if (*s >= 'A' && *s <= 'Z')
				*s = (char)(*s - 'A' + 'a');
		if ((wrong = bh_label_key_check(lower)))
			bh_policy_error(c, key, NULL, "not an annotation key: %s", wrong);
	}
	check_string_value(c, value);
}

static void check_string_map(struct bh_policy_ctx *c, const struct bh_node *meta, const char *field,
	void (*check)(struct bh_policy_ctx *, const struct bh_node *, const struct bh_node *),
	size_t max_bytes)
{
	const struct bh_node *map = bh_policy_field(meta, field);
	size_t bytes = 0;
	if (!map)
		return;
	size_t at = bh_policy_push(c, field);
	if (bh_read_map(&c->r, map, c->path.s) == 0) {
		for (size_t i = 0; i < map->n; i++) {
			size_t item = bh_policy_push_quoted(c, map->key[i]);
			check(c, map->key[i], map->child[i]);
			bytes += map->key[i]->len + map->child[i]->len;
			bh_policy_pop(c, item);
		}
		if (bytes > max_bytes)
			bh_policy_error(c, map, NULL, "%zu bytes, at most %zu are allowed", bytes,
				max_bytes);
	}
	bh_policy_pop(c, at);
}

static void check_string(struct bh_policy_ctx *c, const struct bh_node *n)
{
	const char *text;
	bh_read_string(&c->r, n, c->path.s, &text);
}

static void check_count(struct bh_policy_ctx *c, const struct bh_node *n)
{
	int64_t v;
	bh_read_int(&c->r, n, c->path.s, 0, INT64_MAX, &v);
}

/* RFC 3339. Plain or quoted: YAML 1.1 readers turn a plain one into the same string again. */
static void check_time(struct bh_policy_ctx *c, const struct bh_node *n)
{
	static const char pattern[] = "0000-00-00T00:00:00";
	bool good = n->kind == BH_NODE_SCALAR && n->len >= strlen(pattern) + 1;
	for (size_t i = 0; good && pattern[i]; i++)
		good = pattern[i] == '0' ? isdigit((unsigned char)n->str[i]) != 0
					 : n->str[i] == pattern[i];
	if (!good)
		bh_policy_error(c, n, "a time like 2006-01-02T15:04:05Z", "not a time");
}

static void check_finalizer(struct bh_policy_ctx *c, const struct bh_node *n, void *arg BH_UNUSED)
{
	check_string(c, n);
}

static void check_owner(struct bh_policy_ctx *c, const struct bh_node *n, void *arg BH_UNUSED)
{
	static const char *const keys[] = {
		"apiVersion", "kind", "name", "uid", "controller", "blockOwnerDeletion", NULL};
	if (!bh_policy_is_map(c, n, keys))
		return;
	for (size_t i = 0; i < 4; i++)
		bh_policy_required(c, n, keys[i], NULL);
}

static void check_managed(struct bh_policy_ctx *c, const struct bh_node *n, void *arg BH_UNUSED)
{
	static const char *const keys[] = {"manager", "operation", "apiVersion", "time",
		"fieldsType", "fieldsV1", "subresource", NULL};
	bh_policy_is_map(c, n, keys);
}

static void check_bookkeeping(struct bh_policy_ctx *c, const struct bh_node *meta)
{
	static const struct {
		const char *key;
		void (*check)(struct bh_policy_ctx *, const struct bh_node *);
	} field[] = {{"generateName", check_string}, {"selfLink", check_string},
		{"uid", check_string}, {"resourceVersion", check_string},
		{"generation", check_count}, {"deletionGracePeriodSeconds", check_count},
		{"creationTimestamp", check_time}, {"deletionTimestamp", check_time}};
	for (size_t i = 0; i < BH_ARRAY_SIZE(field); i++) {
		const struct bh_node *n = bh_policy_field(meta, field[i].key);
		if (!n)
			continue;
		size_t at = bh_policy_push(c, field[i].key);
		field[i].check(c, n);
		bh_policy_pop(c, at);
	}
	bh_policy_each(c, meta, "finalizers", check_finalizer, NULL);
	bh_policy_each(c, meta, "ownerReferences", check_owner, NULL);
	bh_policy_each(c, meta, "managedFields", check_managed, NULL);
}

void bh_policy_read_metadata(
	struct bh_policy_ctx *c, const struct bh_node *doc, struct bh_policy *p)
{
	static const char *const keys[] = {"name", "namespace", "labels", "annotations",
		"generateName", "selfLink", "uid", "resourceVersion", "generation",
		"creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds",
		"ownerReferences", "finalizers", "managedFields", NULL};
	const struct bh_node *meta = bh_policy_required(c, doc, "metadata", "metadata: {name: …}");
	if (meta) {
		size_t at = bh_policy_push(c, "metadata");
		if (bh_policy_is_map(c, meta, keys)) {
			read_name(c, meta, p);
			read_namespace(c, meta, p);
			check_string_map(c, meta, "labels", check_label, SIZE_MAX);
			check_string_map(c, meta, "annotations", check_annotation, ANNOTATIONS_MAX);
			check_bookkeeping(c, meta);
		}
		bh_policy_pop(c, at);
	}
	const char *name = p->name ? p->name : "?";
	if (p->tier != BH_TIER_NETWORK_POLICY) {
		p->namespace = bh_xstrdup("");
		p->ref = bh_xasprintf("cnp:%s", name);
		return;
	}
	if (!p->namespace)
		p->namespace = bh_xstrdup(c->opts->default_ns ? c->opts->default_ns : "default");
	p->ref = bh_xasprintf("%s/%s", p->namespace, name);
}

void bh_policy_check_list_metadata(struct bh_policy_ctx *c, const struct bh_node *doc)
{
	static const char *const keys[] = {
		"selfLink", "resourceVersion", "continue", "remainingItemCount", NULL};
	const struct bh_node *meta = bh_policy_field(doc, "metadata");
	if (!meta)
		return;
	size_t at = bh_policy_push(c, "metadata");
	bh_policy_is_map(c, meta, keys);
	bh_policy_pop(c, at);
}
