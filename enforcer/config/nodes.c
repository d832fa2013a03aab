/* SPDX-License-Identifier: GPL-3.0-or-later */
/* nodes: {NAME: {labels: {…}, ips: […]}}: the machines that `nodes` peers can mean. Nobody tells a
 * node without a cluster who its neighbours are, so the operator does. */
#include <errno.h>

#include "config/private.h"

#define NODES_MAX 10000
#define IPS_MAX 64

/* RFC 1123 subdomain, as Kubernetes names its nodes. */
static bool is_node_name(const char *s)
{
	size_t len = strlen(s);
	char before = '.';
	for (const char *c = s; *c; before = *c++) {
		bool alnum = (*c >= 'a' && *c <= 'z') || (*c >= '0' && *c <= '9');
		bool good = alnum || (*c == '-' && before != '.') ||
			    (*c == '.' && before != '.' && before != '-');
		if (!good)
			return false;
	}
	return len > 0 && len <= 253 && before != '.' && before != '-';
}

static int read_name(
	struct conf_ctx *x, const struct bh_node *n, const char *path, const char **ret)
{
	if (bh_read_string(&x->r, n, path, ret) < 0)
		return -EINVAL;
	if (is_node_name(*ret))
		return 0;
	bh_autofree char *quoted = bh_diag_quote(*ret, strlen(*ret));
	bh_read_error(&x->r, n, path,
		"lower case letters, digits, '-' and '.', at most 253, as in a host name",
		"\"%s\" is not the name of a node", quoted);
	return -EINVAL;
}

static void add_ip(
	struct conf_ctx *x, const struct bh_node *n, const char *path, struct bh_node_conf *ret)
{
	const char *s;
	struct bh_addr a;
	if (bh_read_string(&x->r, n, path, &s) < 0)
		return;
	if (bh_addr_parse(s, &a) < 0) {
		bh_autofree char *quoted = bh_diag_quote(s, strlen(s));
		bh_read_error(&x->r, n, path, "an IPv4 or IPv6 address", "\"%s\" is not an address",
			quoted);
		return;
	}
	ret->addr[ret->n_addrs++] = a;
}

static void read_ips(
	struct conf_ctx *x, const struct bh_node *n, const char *path, struct bh_node_conf *ret)
{
	if (bh_read_seq(&x->r, n, path) < 0)
		return;
	if (n->n > IPS_MAX) {
		bh_read_error(&x->r, n, path, NULL, "more than %d addresses", IPS_MAX);
		return;
	}
	ret->addr = bh_xcalloc(n->n, sizeof(*ret->addr));
	for (size_t i = 0; i < n->n; i++) {
		bh_autofree char *item = bh_xasprintf("%s[%zu]", path, i);
		add_ip(x, n->child[i], item, ret);
	}
}

static void set_label(void *arg, const char *key, const char *value)
{
	bh_labels_set(arg, key, value);
}

static void read_node(
	struct conf_ctx *x, const struct bh_node *map, const char *path, struct bh_node_conf *ret)
{
	static const char *const keys[] = {"labels", "ips", NULL};
	bh_autofree char *labels = NULL, *ips = NULL;
	const struct bh_node *n;

	if (bh_read_map(&x->r, map, path) < 0)
		return;
	bh_read_known_keys(&x->r, map, path, keys);
	if ((n = conf_field(map, path, "labels", true, &labels)))
		conf_read_labels(x, n, labels, set_label, &ret->labels);
	if ((n = conf_field(map, path, "ips", true, &ips)))
		read_ips(x, n, ips, ret);
	else
		bh_read_error(&x->r, map, path, "ips: the node's addresses", "ips is missing");
}

void conf_read_nodes(struct conf_ctx *x, const struct bh_node *n, const char *path)
{
	if (bh_read_map(&x->r, n, path) < 0)
		return;
	if (n->n > NODES_MAX) {
		bh_read_error(&x->r, n, path, NULL, "more than %d nodes", NODES_MAX);
		return;
	}
	x->c->nodes = bh_xcalloc(n->n, sizeof(*x->c->nodes));
	for (size_t i = 0; i < n->n; i++) {
		struct bh_node_conf *node = &x->c->nodes[x->c->n_nodes];
		const char *name;
		if (read_name(x, n->key[i], path, &name) < 0)
			continue;
		x->c->n_nodes++;
		node->name = bh_xstrdup(name);
		bh_autofree char *item = bh_xasprintf("%s.%s", path, name);
		read_node(x, n->child[i], item, node);
	}
}
