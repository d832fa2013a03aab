/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What a document is: a NetworkPolicy, a ClusterNetworkPolicy, or a list of them as kubectl prints
 * (v1 List, NetworkPolicyList, ClusterNetworkPolicyList). Anything else is refused at its kind: a
 * file of policies in which half is skipped in silence would leave open what its author closed.
 */
#include "private.h"

#define API_GROUP "networking.k8s.io/v1"
#define CLUSTER_GROUP "policy.networking.k8s.io/v1alpha2"

struct kind {
	const char *name, *list, *api;
	enum bh_tier tier; /* until the document says more */
	void (*read_spec)(struct bh_policy_ctx *c, const struct bh_node *spec, struct bh_policy *p);
	const char *spec_remedy;
};

static const struct kind kinds[] = {
	{"NetworkPolicy", "NetworkPolicyList", API_GROUP, BH_TIER_NETWORK_POLICY,
		bh_policy_read_spec, "spec: {podSelector: …, …}"},
	{"ClusterNetworkPolicy", "ClusterNetworkPolicyList", CLUSTER_GROUP, BH_TIER_ADMIN,
		bh_policy_read_cluster_spec, "spec: {tier: …, priority: …, subject: …, …}"},
};

struct list {
	bh_policy_found_fn fn;
	void *arg;
	const struct kind *kind; /* of a typed list: items need not repeat apiVersion and kind */
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
	if (bh_read_word(&c->r, n, c->path.s, remedy, &text) < 0)
		text = NULL;
	bh_policy_pop(c, at);
	return text;
}

/* The kinds before ClusterNetworkPolicy, which took over from both with other fields. */
static const char *successor(const char *kind)
{
	if (bh_streq(kind, "AdminNetworkPolicy"))
		return "write it as a ClusterNetworkPolicy of " CLUSTER_GROUP ", tier: Admin";
	if (bh_streq(kind, "BaselineAdminNetworkPolicy"))
		return "write it as a ClusterNetworkPolicy of " CLUSTER_GROUP ", tier: Baseline";
	return NULL;
}

static void refuse_kind(struct bh_policy_ctx *c, const struct bh_node *root)
{
	const struct bh_node *kind = bh_node_get(root, "kind");
	bh_autofree char *quoted = bh_diag_quote(kind->str, kind->len);
	size_t at = bh_policy_push(c, "kind");
	const char *instead = successor(kind->str);
	if (instead)
		bh_policy_error(c, kind, instead, "%s is no longer a kind", quoted);
	else
		bh_policy_error(c, kind, "NetworkPolicy, ClusterNetworkPolicy, or a List of them",
			"\"%s\" is not a policy", quoted);
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

static void read_policy(struct bh_policy_ctx *c, const struct bh_node *root,
	const struct kind *kind, const char *text, const struct list *l)
{
	static const char *const keys[] = {
		"apiVersion", "kind", "metadata", "spec", "status", NULL};
	struct bh_policy *p = bh_xcalloc(1, sizeof(*p));
	p->tier = kind->tier;
	p->file = bh_xstrdup(c->r.file);
	p->line = root->line;
	p->column = root->column;
	p->text = bh_xstrdup(text);
	bh_read_known_keys(&c->r, root, c->path.s, keys);
	bh_policy_read_metadata(c, root, p);
	const struct bh_node *spec = bh_policy_required(c, root, "spec", kind->spec_remedy);
	if (spec) {
		size_t at = bh_policy_push(c, "spec");
		kind->read_spec(c, spec, p);
		bh_policy_pop(c, at);
	}
	const struct bh_node *status = bh_policy_field(root, "status");
	if (status) {
		size_t at = bh_policy_push(c, "status");
		bh_read_map(&c->r, status, c->path.s); /* content is the cluster's, ignored */
		bh_policy_pop(c, at);
	}
	l->fn(p, l->arg);
}

static const struct kind *find_kind(const char *name)
{
	for (size_t i = 0; i < BH_ARRAY_SIZE(kinds); i++)
		if (bh_streq(name, kinds[i].name))
			return &kinds[i];
	return NULL;
}

static void read_item(struct bh_policy_ctx *c, const struct bh_node *n, void *arg)
{
	const struct list *l = arg;
	if (bh_read_map(&c->r, n, c->path.s) < 0)
		return;
	const struct kind *kind = l->kind;
	const char *api = string_field(c, n, "apiVersion", !kind, kind ? kind->api : API_GROUP);
	const char *name = string_field(c, n, "kind", !kind, kind ? kind->name : "NetworkPolicy");
	if (!kind && name)
		kind = find_kind(name);
	if (name && (!kind || !bh_streq(name, kind->name))) {
		refuse_kind(c, n);
		return;
	}
	if (!kind)
		return; /* reported */
	check_api(c, n, api, kind->name, kind->api);
	read_policy(c, n, kind, NULL, l);
}

static void read_list(struct bh_policy_ctx *c, const struct bh_node *root, struct list *l)
{
	static const char *const keys[] = {"apiVersion", "kind", "metadata", "items", NULL};
	bh_read_known_keys(&c->r, root, c->path.s, keys);
	bh_policy_check_list_metadata(c, root);
	bh_policy_required(c, root, "items", "items: [] is an empty list");
	bh_policy_each(c, root, "items", read_item, l);
}

/* The kind that a document without one most likely means, so that the rest is checked too. */
static const struct kind *guess_kind(const char *api)
{
	return &kinds[bh_streq(api, CLUSTER_GROUP)];
}

void bh_policy_read_document(struct bh_policy_ctx *c, const struct bh_node *root, const char *text,
	bh_policy_found_fn fn, void *arg)
{
	struct list l = {.fn = fn, .arg = arg};
	if (bh_node_is_null(root) || bh_read_map(&c->r, root, c->path.s) < 0)
		return;
	const char *api = string_field(c, root, "apiVersion", true, API_GROUP);
	const char *name = string_field(c, root, "kind", true, "NetworkPolicy");
	const struct kind *kind = name ? find_kind(name) : guess_kind(api);
	for (size_t i = 0; i < BH_ARRAY_SIZE(kinds); i++)
		if (name && bh_streq(name, kinds[i].list))
			l.kind = &kinds[i];
	if (!name && bh_policy_field(root, "kind"))
		return; /* reported */
	if (kind) {
		if (name)
			check_api(c, root, api, kind->name, kind->api);
		read_policy(c, root, kind, text, &l);
	} else if (l.kind || bh_streq(name, "List")) {
		check_api(c, root, api, name, l.kind ? l.kind->api : "v1");
		read_list(c, root, &l);
	} else {
		refuse_kind(c, root);
	}
}
