/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What a document is: a NetworkPolicy, or a list of them as kubectl prints (v1 List,
 * NetworkPolicyList). Anything else is refused at its kind: a file of policies in which half is
 * skipped in silence would leave open what its author closed.
 */
#include "private.h"

#define API_GROUP "networking.k8s.io/v1"

struct list {
	bh_policy_found_fn fn;
	void *arg;
	bool typed; /* NetworkPolicyList: items need not repeat apiVersion and kind */
};

static const char *string_field(struct bh_policy_ctx *c, const struct bh_node *root,
	const char *key, bool required, const char *remedy)
{
	const char *text = NULL;
	const struct bh_node *n =
		required ? bh_policy_required(c, root, key, remedy) : bh_policy_field(root, key);
	if (!n)
		return NULL;
	size_t at = bh_policy_push(c, key);
	if (bh_read_string(&c->r, n, c->path.s, &text) < 0)
		text = NULL;
	bh_policy_pop(c, at);
	return text;
}

static void refuse_kind(struct bh_policy_ctx *c, const struct bh_node *root)
{
	static const char *const planned[] = {
		"ClusterNetworkPolicy", "AdminNetworkPolicy", "BaselineAdminNetworkPolicy"};
	const struct bh_node *kind = bh_node_get(root, "kind");
	bh_autofree char *quoted = bh_diag_quote(kind->str, kind->len);
	size_t at = bh_policy_push(c, "kind");
	for (size_t i = 0; i < BH_ARRAY_SIZE(planned); i++)
		if (bh_streq(kind->str, planned[i])) {
			bh_policy_error(c, kind, "use a NetworkPolicy", "%s is not supported yet",
				planned[i]);
			bh_policy_pop(c, at);
			return;
		}
	bh_policy_error(
		c, kind, "NetworkPolicy, or a List of them", "\"%s\" is not a policy", quoted);
	bh_policy_pop(c, at);
}

static void check_api(struct bh_policy_ctx *c, const struct bh_node *root, const char *given,
	const char *kind, const char *wanted)
{
	if (!given || bh_streq(given, wanted))
		return;
	const struct bh_node *n = bh_node_get(root, "apiVersion");
	bh_autofree char *quoted = bh_diag_quote(n->str, n->len);
	size_t at = bh_policy_push(c, "apiVersion");
	bh_policy_error(c, n, wanted, "\"%s\" has no %s", quoted, kind);
	bh_policy_pop(c, at);
}

static void read_policy(struct bh_policy_ctx *c, const struct bh_node *root, const char *text,
	bh_policy_found_fn fn, void *arg)
{
	static const char *const keys[] = {
		"apiVersion", "kind", "metadata", "spec", "status", NULL};
	struct bh_policy *p = bh_xcalloc(1, sizeof(*p));
	p->tier = BH_TIER_NETWORK_POLICY;
	p->file = bh_xstrdup(c->r.file);
	p->line = root->line;
	p->column = root->column;
	p->text = bh_xstrdup(text);
	bh_read_known_keys(&c->r, root, c->path.s, keys);
	bh_policy_read_metadata(c, root, p);
	const struct bh_node *spec =
		bh_policy_required(c, root, "spec", "spec: {podSelector: …, …}");
	if (spec) {
		size_t at = bh_policy_push(c, "spec");
		bh_policy_read_spec(c, spec, p);
		bh_policy_pop(c, at);
	}
	const struct bh_node *status = bh_policy_field(root, "status");
	if (status) {
		size_t at = bh_policy_push(c, "status");
		bh_read_map(&c->r, status, c->path.s); /* content is the cluster's, ignored */
		bh_policy_pop(c, at);
	}
	fn(p, arg);
}

static void read_item(struct bh_policy_ctx *c, const struct bh_node *n, void *arg)
{
	struct list *l = arg;
	if (bh_read_map(&c->r, n, c->path.s) < 0)
		return;
	const char *api = string_field(c, n, "apiVersion", !l->typed, API_GROUP);
	const char *kind = string_field(c, n, "kind", !l->typed, "NetworkPolicy");
	if (kind && !bh_streq(kind, "NetworkPolicy")) {
		refuse_kind(c, n);
		return;
	}
	check_api(c, n, api, "NetworkPolicy", API_GROUP);
	read_policy(c, n, NULL, l->fn, l->arg);
}

static void read_list(struct bh_policy_ctx *c, const struct bh_node *root, struct list *l)
{
	static const char *const keys[] = {"apiVersion", "kind", "metadata", "items", NULL};
	bh_read_known_keys(&c->r, root, c->path.s, keys);
	bh_policy_required(c, root, "items", "items: [] is an empty list");
	bh_policy_each(c, root, "items", read_item, l);
}

void bh_policy_read_document(struct bh_policy_ctx *c, const struct bh_node *root, const char *text,
	bh_policy_found_fn fn, void *arg)
{
	struct list l = {.fn = fn, .arg = arg};
	if (bh_node_is_null(root) || bh_read_map(&c->r, root, c->path.s) < 0)
		return;
	const char *api = string_field(c, root, "apiVersion", true, API_GROUP);
	const char *kind = string_field(c, root, "kind", true, "NetworkPolicy");
	if (!kind) {
		if (!bh_policy_field(root, "kind")) /* most likely meant, so check the rest too */
			read_policy(c, root, text, fn, arg);
	} else if (bh_streq(kind, "NetworkPolicy")) {
		check_api(c, root, api, kind, API_GROUP);
		read_policy(c, root, text, fn, arg);
	} else if (bh_streq(kind, "NetworkPolicyList")) {
		l.typed = true;
		check_api(c, root, api, kind, API_GROUP);
		read_list(c, root, &l);
	} else if (bh_streq(kind, "List")) {
		check_api(c, root, api, kind, "v1");
		read_list(c, root, &l);
	} else {
		refuse_kind(c, root);
	}
}
