/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The world of a case: namespaces, workloads and nodes become a sealed inventory. */
#include "lib/case_private.h"

#include <errno.h>

static void read_labels(struct bh_case_loader *l, const struct bh_node *map, const char *path,
	struct bh_labels *out)
{
	if (bh_node_is_null(map) || bh_read_map(&l->r, map, path) < 0)
		return;
	for (size_t i = 0; i < map->n; i++) {
		const char *value;
		if (bh_read_string(&l->r, map->child[i], path, &value) == 0)
			bh_labels_set(out, map->key[i]->str, value);
	}
}

void bh_case_read_addrs(struct bh_case_loader *l, const struct bh_node *seq, const char *path,
	void (*fn)(void *arg, const struct bh_addr *a), void *arg)
{
	if (bh_read_seq(&l->r, seq, path) < 0)
		return;
	for (size_t i = 0; i < seq->n; i++) {
		const char *text;
		struct bh_addr a;
		if (bh_read_string(&l->r, seq->child[i], path, &text) < 0)
			continue;
		if (bh_addr_parse(text, &a) < 0)
			bh_read_error(&l->r, seq->child[i], path, NULL, "not an IP address");
		else
			fn(arg, &a);
	}
}

static void add_interface_addr(void *arg, const struct bh_addr *a)
{
	bh_interface_add_addr(arg, a);
}

static void add_host_addr(void *arg, const struct bh_addr *a)
{
	bh_inventory_add_host(arg, a);
}

int bh_case_read_proto(
	struct bh_case_loader *l, const struct bh_node *n, const char *path, uint8_t *ret)
{
	const char *text;
	int r = bh_read_string(&l->r, n, path, &text);
	if (r < 0)
		return r;
	if (bh_proto_parse(text, ret) < 0) {
		bh_read_error(&l->r, n, path, "TCP, UDP or SCTP", "unknown protocol");
		return -EINVAL;
	}
	return 0;
}

static void read_workload_port(
	struct bh_case_loader *l, const struct bh_node *n, struct bh_workload *w, size_t *cap)
{
	static const char *const keys[] = {"port", "protocol", "name", NULL};
	const char *path = "workloads[].ports[]", *name = NULL;
	struct bh_named_port p = {0};
	int64_t port;
	if (bh_read_map(&l->r, n, path) < 0)
		return;
	bh_read_known_keys(&l->r, n, path, keys);
	if (bh_read_int(&l->r, bh_node_get(n, "port"), path, 1, 65535, &port) < 0 ||
		bh_case_read_proto(l, bh_node_get(n, "protocol"), path, &p.proto) < 0)
		return;
	if (bh_node_get(n, "name") &&
		bh_read_string(&l->r, bh_node_get(n, "name"), path, &name) < 0)
		return;
	p.port = (uint16_t)port;
	p.name = bh_xstrdup(name);
	BH_GROW(w->port, w->n_ports, *cap);
	w->port[w->n_ports++] = p;
}

static void read_workload(
	struct bh_case_loader *l, const struct bh_node *n, struct bh_inventory *inv)
{
	static const char *const keys[] = {
		"name", "namespace", "labels", "ips", "ports", "hostNetwork", NULL};
	const char *path = "workloads[]", *name, *namespace;
	if (bh_read_map(&l->r, n, path) < 0)
		return;
	bh_read_known_keys(&l->r, n, path, keys);
	if (bh_read_string(&l->r, bh_node_get(n, "name"), path, &name) < 0 ||
		bh_read_string(&l->r, bh_node_get(n, "namespace"), path, &namespace) < 0)
		return;

	struct bh_workload *w = bh_workload_new();
	w->id = bh_xasprintf("static:%s/%s", namespace, name);
	w->runtime = bh_xstrdup("static");
	w->name = bh_xstrdup(name);
	w->namespace = bh_xstrdup(namespace);
	w->mode = BH_MODE_ENFORCE;
	read_labels(l, bh_node_get(n, "labels"), "workloads[].labels", &w->labels);
	struct bh_interface *i = bh_workload_add_interface(w);
	i->name = bh_xstrdup("eth0");
	bh_case_read_addrs(l, bh_node_get(n, "ips"), "workloads[].ips", add_interface_addr, i);
	const struct bh_node *ports = bh_node_get(n, "ports");
	size_t cap = 0;
	if (!bh_node_is_null(ports) && bh_read_seq(&l->r, ports, "workloads[].ports") == 0)
		for (size_t k = 0; k < ports->n; k++)
			read_workload_port(l, ports->child[k], w, &cap);
	bh_inventory_add(inv, w);
}

/*
 * A case lists a namespace's labels completely, a real inventory implies metadata.name. Take it
 * away again where the case does not have it, so that policies see what the case says.
 */
static void trim_namespaces(const struct bh_node *namespaces, struct bh_inventory *inv)
{
	static const char implied[] = "kubernetes.io/metadata.name";
	for (size_t i = 0; i < inv->n_ns; i++) {
		const struct bh_node *labels = bh_node_is_null(namespaces)
						       ? NULL
						       : bh_node_get(namespaces, inv->ns[i].name);
		if (labels && (bh_node_is_null(labels) || !bh_node_get(labels, implied)))
			bh_labels_remove(&inv->ns[i].labels, implied);
	}
}

static void read_nodes(
	struct bh_case_loader *l, const struct bh_node *nodes, struct bh_inventory *inv)
{
	static const char *const keys[] = {"labels", "ips", "local", NULL};
	if (bh_node_is_null(nodes) || bh_read_map(&l->r, nodes, "nodes") < 0)
		return;
	for (size_t i = 0; i < nodes->n; i++) {
		const struct bh_node *n = nodes->child[i];
		bool local = false;
		if (bh_read_map(&l->r, n, "nodes") < 0)
			continue;
		bh_read_known_keys(&l->r, n, "nodes", keys);
		if (bh_node_get(n, "local"))
			bh_read_bool(&l->r, bh_node_get(n, "local"), "nodes.local", &local);
		if (local)
			bh_case_read_addrs(
				l, bh_node_get(n, "ips"), "nodes.ips", add_host_addr, inv);
	}
}

struct bh_inventory *bh_case_read_inventory(
	struct bh_case_loader *l, const struct bh_case_sections *s)
{
	struct bh_inventory *inv = bh_inventory_new();
	if (!bh_node_is_null(s->namespaces) && bh_read_map(&l->r, s->namespaces, "namespaces") == 0)
		for (size_t i = 0; i < s->namespaces->n; i++) {
			struct bh_labels labels = {0};
			read_labels(l, s->namespaces->child[i], "namespaces", &labels);
			bh_inventory_add_namespace(inv, s->namespaces->key[i]->str, &labels);
			bh_labels_finish(&labels);
		}
	if (!bh_node_is_null(s->workloads) && bh_read_seq(&l->r, s->workloads, "workloads") == 0)
		for (size_t i = 0; i < s->workloads->n; i++)
			read_workload(l, s->workloads->child[i], inv);
	read_nodes(l, s->nodes, inv);
	bh_inventory_seal(inv);
	trim_namespaces(s->namespaces, inv);
	return inv;
}
