/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The same world in enforce mode, in which policies mean what they say. */
#include "private.h"

struct bh_inventory *bh_delta_inventory(const struct bh_inventory *inv)
{
	struct bh_inventory *copy = bh_inventory_new();
	for (size_t i = 0; i < inv->n_ns; i++)
		bh_inventory_add_namespace(copy, inv->ns[i].name, &inv->ns[i].labels);
	for (size_t i = 0; i < inv->n; i++) {
		struct bh_workload *w = bh_workload_copy(inv->workload[i]);
		w->mode = BH_MODE_ENFORCE;
		bh_inventory_add(copy, w);
	}
	for (size_t i = 0; i < inv->n_hosts; i++)
		bh_inventory_add_host(copy, &inv->host[i]);
	for (size_t i = 0; i < inv->n_nodes; i++) {
		const struct bh_node_info *n = &inv->node[i];
		bh_inventory_add_node(copy, n->name, &n->labels, n->addr, n->n_addrs);
	}
	for (size_t i = 0; i < inv->n_networks; i++)
		bh_inventory_add_network(copy, &inv->network[i]);
	bh_inventory_seal(copy);
	return copy;
}
