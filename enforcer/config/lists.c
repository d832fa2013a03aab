/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The keys of the configuration that hold lists: modes and namespaces. */
#include <errno.h>

#include "config/private.h"

static void read_mode_rule(
	struct conf_ctx *x, const struct bh_node *map, const char *path, struct bh_mode_rule *ret)
{
	static const char *const keys[] = {"namespace", "selector", "mode", NULL};
	static const char *const names[] = {"learn", "audit", "enforce", NULL};
	bh_autofree char *ns = NULL, *selector = NULL, *mode = NULL;
	const struct bh_node *n;
	const char *s;

	if (bh_read_map(&x->r, map, path) < 0)
		return;
	bh_read_known_keys(&x->r, map, path, keys);
	if ((n = conf_field(map, path, "namespace", false, &ns)) &&
		conf_namespace(x, n, ns, &s) == 0)
		ret->namespace = bh_xstrdup(s);
	if ((n = conf_field(map, path, "selector", false, &selector))) {
		ret->has_selector = true;
		conf_read_selector(x, n, selector, &ret->selector);
	}
	if (!(n = conf_field(map, path, "mode", false, &mode))) {
		bh_read_error(&x->r, map, path, "learn, audit or enforce", "mode is missing");
		return;
	}
	int i = conf_choice(x, n, mode, names);
	if (i >= 0)
		ret->mode = (enum bh_mode)i;
}

void conf_read_modes(struct conf_ctx *x, const struct bh_node *n, const char *path)
{
	if (bh_read_seq(&x->r, n, path) < 0)
		return;
	x->c->modes = bh_xcalloc(n->n, sizeof(*x->c->modes));
	x->c->n_modes = n->n;
	for (size_t i = 0; i < n->n; i++) {
		bh_autofree char *item = bh_xasprintf("%s[%zu]", path, i);
		read_mode_rule(x, n->child[i], item, &x->c->modes[i]);
	}
}

static void set_label(void *arg, const char *key, const char *value)
{
	bh_labels_set(arg, key, value);
}

/* The name's own label is given by the daemon; another value would make it pass for a namespace
 * that policies mean. */
static void check_name_label(struct conf_ctx *x, const struct bh_node *labels, const char *path,
	const struct bh_namespace_conf *ns)
{
	static const char key[] = "kubernetes.io/metadata.name";
	const char *value = bh_labels_get(&ns->labels, key);
	if (value && strcmp(value, ns->name) != 0)
		bh_read_error(&x->r, bh_node_get(labels, key), path, "remove it, it is set anyway",
			"the label %s must be the namespace's name", key);
}

void conf_read_namespaces(struct conf_ctx *x, const struct bh_node *n, const char *path)
{
	if (bh_read_map(&x->r, n, path) < 0)
		return;
	x->c->namespaces = bh_xcalloc(n->n, sizeof(*x->c->namespaces));
	for (size_t i = 0; i < n->n; i++) {
		struct bh_namespace_conf *ns = &x->c->namespaces[x->c->n_namespaces];
		const char *name;
		if (conf_namespace(x, n->key[i], path, &name) < 0)
			continue;
		x->c->n_namespaces++;
		ns->name = bh_xstrdup(name);
		if (bh_node_is_null(n->child[i]))
			continue;
		bh_autofree char *item = bh_xasprintf("%s.%s", path, name);
		conf_read_labels(x, n->child[i], item, set_label, &ns->labels);
		check_name_label(x, n->child[i], item, ns);
	}
}
