/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Building and sealing. Invariants after sealing: workloads are sorted by namespace, name and id;
 * every workload's namespace is in ns; an address has one owner.
 */
#include "inventory_private.h"

struct bh_inventory *bh_inventory_new(void)
{
	struct bh_inventory *inv = bh_xcalloc(1, sizeof(*inv));
	inv->refs = 1;
	return inv;
}

void *bh_inventory_grow(void *p, size_t n, size_t size)
{
	return (n & (n - 1)) == 0 ? bh_xrealloc(p, n ? n * 2 : 1, size) : p;
}

void bh_inventory_add(struct bh_inventory *inv, struct bh_workload *w)
{
	inv->workload = bh_inventory_grow(inv->workload, inv->n, sizeof(struct bh_workload *));
	inv->workload[inv->n++] = w;
}

int bh_workload_order(const struct bh_workload *a, const struct bh_workload *b)
{
	int c = bh_strcmp0(a->namespace, b->namespace);
	if (c == 0)
		c = bh_strcmp0(a->name, b->name);
	return c ? c : bh_strcmp0(a->id, b->id);
}

static int workload_cmp(const void *pa, const void *pb)
{
	return bh_workload_order(
		*(struct bh_workload *const *)pa, *(struct bh_workload *const *)pb);
}

size_t bh_inventory_lower_bound(const struct bh_inventory *inv, const struct bh_workload *w)
{
	size_t lo = 0, hi = inv->n;
	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		if (bh_workload_order(inv->workload[mid], w) < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

/* Each claim there is; false: how many there are of an address is not known now. */
static bool claim_all(struct bh_inventory *inv, bool count)
{
	struct bh_addr_table *t = inv->by_addr;
	int32_t loser;
	int r = 0;
	for (size_t i = 0; i < inv->n_hosts; i++)
		if (count)
			bh_addrs_count(t, &inv->host[i], 0, BH_OWNER_HOST);
		else
			r |= bh_addrs_claim(t, &inv->host[i], 0, BH_OWNER_HOST, inv->index, &loser);
	for (int32_t w = 0; w < (int32_t)inv->n; w++)
		for (size_t i = 0; i < inv->workload[w]->n_ifaces; i++) {
			const struct bh_interface *f = &inv->workload[w]->iface[i];
			for (size_t k = 0; k < f->n_addrs; k++)
				if (count)
					bh_addrs_count(t, &f->addr[k], bh_interface_since(f, k), w);
				else
					r |= bh_addrs_claim(t, &f->addr[k],
						bh_interface_since(f, k), w, inv->index, &loser);
		}
	return r == 0;
}

static void seal_addresses(struct bh_inventory *inv)
{
	size_t total = inv->n_hosts;
	for (size_t w = 0; w < inv->n; w++)
		for (size_t i = 0; i < inv->workload[w]->n_ifaces; i++)
			total += inv->workload[w]->iface[i].n_addrs;
	inv->by_addr = bh_addrs_new(inv->seed, total);
	if (!claim_all(inv, false)) {
		bh_addrs_uncount(inv->by_addr);
		claim_all(inv, true);
	}
	inv->n_conflicts = inv->by_addr->n_conflicts;
}

int bh_if_owner_cmp(const void *pa, const void *pb)
{
	const struct bh_if_owner *a = pa, *b = pb;
	if (a->ifindex != b->ifindex)
		return a->ifindex < b->ifindex ? -1 : 1;
	return (a->place > b->place) - (a->place < b->place);
}

static void seal_interfaces(struct bh_inventory *inv)
{
	size_t n = 0;
	for (size_t w = 0; w < inv->n; w++)
		n += inv->workload[w]->n_ifaces;
	struct bh_if_owner *o = inv->by_ifindex = bh_xcalloc(n, sizeof(*o));
	n = 0;
	for (size_t w = 0; w < inv->n; w++)
		for (size_t i = 0; i < inv->workload[w]->n_ifaces; i++)
			if (inv->workload[w]->iface[i].host_ifindex)
				o[n++] = (struct bh_if_owner){
					inv->workload[w]->iface[i].host_ifindex, (uint32_t)w};
	if (n > 1)
		qsort(o, n, sizeof(*o), bh_if_owner_cmp);
	inv->n_by_ifindex = n;
}

void bh_inventory_index(struct bh_inventory *inv)
{
	if (inv->n > 1)
		qsort(inv->workload, inv->n, sizeof(*inv->workload), workload_cmp);
	inv->n_places = inv->n;
	inv->place = bh_xcalloc(inv->n, sizeof(*inv->place));
	inv->index = bh_xcalloc(inv->n, sizeof(*inv->index));
	for (uint32_t i = 0; i < inv->n; i++)
		inv->place[i] = inv->index[i] = i;
	bh_namespaces_imply(inv);
	seal_addresses(inv);
	seal_interfaces(inv);
}

void bh_inventory_settle(struct bh_inventory *inv)
{
	bh_frame_seal(inv);
	bh_holds_make(inv, NULL);
	for (size_t i = 0; i < inv->n; i++)
		bh_workload_unref(inv->workload[i]); /* held by the runs from now on */
}

void bh_inventory_seal(struct bh_inventory *inv)
{
	bh_inventory_index(inv);
	bh_inventory_settle(inv);
}

struct bh_inventory *bh_inventory_ref(struct bh_inventory *inv)
{
	__atomic_add_fetch(&inv->refs, 1, __ATOMIC_RELAXED);
	return inv;
}

void bh_inventory_unref(struct bh_inventory *inv)
{
	if (!inv || __atomic_sub_fetch(&inv->refs, 1, __ATOMIC_ACQ_REL) > 0)
		return;
	bool sealed = inv->by_addr != NULL; /* then the runs hold the workloads */
	for (size_t i = 0; i < inv->n && !sealed; i++)
		bh_workload_unref(inv->workload[i]);
	bh_holds_drop(inv);
	bh_frame_drop(inv);
	bh_addrs_free(inv->by_addr);
	free(inv->workload);
	free(inv->place);
	free(inv->index);
	free(inv->by_ifindex);
	free(inv);
}
