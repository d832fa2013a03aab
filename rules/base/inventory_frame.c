/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What inventories have besides workloads, compared. */
#include <bulkhead/workload.h>

static unsigned namespace_changes(const struct bh_inventory *a, const struct bh_inventory *b)
{
	size_t i = 0, j = 0;
	unsigned r = 0;
	while (i < a->n_ns || j < b->n_ns) {
		int c = i == a->n_ns ? 1 : j == b->n_ns ? -1 : strcmp(a->ns[i].name, b->ns[j].name);
		if (c == 0 && !bh_labels_equal(&a->ns[i].labels, &b->ns[j].labels))
			r |= BH_FRAME_NS_LABELS;
		else if (c != 0)
			r |= c < 0 ? BH_FRAME_NS_REMOVED : BH_FRAME_NS_ADDED;
		i += c <= 0;
		j += c >= 0;
	}
	return r;
}

static bool same_bytes(const void *a, size_t n_a, const void *b, size_t n_b, size_t size)
{
	return n_a == n_b && (a == b || n_a == 0 || memcmp(a, b, n_a * size) == 0);
}

static bool same_nodes(const struct bh_inventory *a, const struct bh_inventory *b)
{
	if (a->n_nodes != b->n_nodes)
		return false;
	for (size_t i = 0; i < a->n_nodes && a->node != b->node; i++) {
		const struct bh_node_info *x = &a->node[i], *y = &b->node[i];
		if (!bh_streq(x->name, y->name) || !bh_labels_equal(&x->labels, &y->labels) ||
			!same_bytes(x->addr, x->n_addrs, y->addr, y->n_addrs, sizeof(*x->addr)))
			return false;
	}
	return true;
}

unsigned bh_inventory_frame_changes(const struct bh_inventory *a, const struct bh_inventory *b)
{
	unsigned r = a->ns == b->ns ? 0 : namespace_changes(a, b);
	if (!same_bytes(a->host, a->n_hosts, b->host, b->n_hosts, sizeof(*a->host)))
		r |= BH_FRAME_HOSTS;
	if (!same_bytes(a->network, a->n_networks, b->network, b->n_networks, sizeof(*a->network)))
		r |= BH_FRAME_NETWORKS; /* the broadcast addresses follow from them */
	if (!same_nodes(a, b))
		r |= BH_FRAME_NODES;
	return r;
}

bool bh_inventory_same_frame(const struct bh_inventory *a, const struct bh_inventory *b)
{
	return bh_inventory_frame_changes(a, b) == 0;
}

void bh_inventory_map_namespaces(
	const struct bh_inventory *from, const struct bh_inventory *to, uint32_t *map)
{
	for (size_t i = 0, j = 0; i < from->n_ns; i++) {
		while (j < to->n_ns && strcmp(to->ns[j].name, from->ns[i].name) < 0)
			j++;
		bool there = j < to->n_ns && bh_streq(to->ns[j].name, from->ns[i].name);
		map[i] = there ? (uint32_t)j : UINT32_MAX;
	}
}
