/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the node itself contributes to an inventory: its own addresses, and the subnets in which its
 * workloads live. */
#include "link/private.h"

struct ifindexes {
	unsigned *item;
	size_t n, cap;
};

static int compare(const void *a, const void *b)
{
	unsigned x = *(const unsigned *)a, y = *(const unsigned *)b;

	return x < y ? -1 : x > y;
}

/* The interfaces of this node whose subnets are the workloads': the bridges, and veths without one.
 */
static void collect(const struct bh_inventory *inv, struct ifindexes *ret)
{
	for (size_t i = 0; i < inv->n; i++)
		for (size_t k = 0; k < inv->workload[i]->n_ifaces; k++) {
			const struct bh_interface *f = &inv->workload[i]->iface[k];
			unsigned ifindex = f->bridge_ifindex ? f->bridge_ifindex : f->host_ifindex;
			if (ifindex == 0)
				continue;
			BH_GROW(ret->item, ret->n, ret->cap);
			ret->item[ret->n++] = ifindex;
		}
	if (ret->n > 1)
		qsort(ret->item, ret->n, sizeof(*ret->item), compare);
}

/* A subnet that holds somebody else than the node itself. */
static bool is_network(const struct bh_addr_info *a)
{
	if (a->subnet.addr.family == BH_IPV6 && bh_addr_is_link_local(&a->local))
		return false;
	return a->subnet.len < bh_addr_bits(&a->local) || !bh_addr_eq(&a->subnet.addr, &a->local);
}

int bh_link_host(struct bh_link *l, struct bh_inventory *inv, bool anew)
{
	struct ifindexes ours = {};
	int r = anew || !l->addrs_known ? bh_own_addrs_ask(l) : 0;

	if (r < 0)
		return r;
	collect(inv, &ours);
	for (size_t i = 0; i < l->n_addrs; i++) {
		const struct bh_addr_info *a = &l->addr[i];
		if (!bh_addr_is_loopback(&a->local))
			bh_inventory_add_host(inv, &a->local);
		if (ours.n > 0 && is_network(a) &&
			bsearch(&a->ifindex, ours.item, ours.n, sizeof(*ours.item), compare))
			bh_inventory_add_network(inv, &a->subnet);
	}
	free(ours.item);
	return 0;
}

/* Of the sorted addresses, the first of the interface. */
static size_t first_of(const struct bh_link *l, unsigned ifindex)
{
	size_t lo = 0, hi = l->n_addrs;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		if (l->addr[mid].ifindex < ifindex)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

int bh_link_networks(struct bh_link *l, unsigned ifindex, struct bh_prefix **ret)
{
	struct bh_prefix *p = NULL;
	size_t n = 0, cap = 0;
	int r = l->addrs_known ? 0 : bh_own_addrs_ask(l);

	if (r < 0)
		return r;
	for (size_t i = first_of(l, ifindex); i < l->n_addrs && l->addr[i].ifindex == ifindex; i++)
		if (is_network(&l->addr[i])) {
			BH_GROW(p, n, cap);
			p[n++] = l->addr[i].subnet;
		}
	*ret = p;
	return (int)n;
}
