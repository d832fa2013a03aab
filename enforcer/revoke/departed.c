/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Whoever gets the address of a container that is gone inherits nothing of it. Rules go by address
 * and follow the inventory, but connection tracking does not: an established flow of the one that
 * is gone would let the next one in, or out, by the rights of the first, if only it used the same
 * ports. So the flows of an address are removed when it is no longer behind the interface that it
 * was behind. (An interface's index is not given again, as names, MACs and the numbers of
 * namespaces are.) Before the daemon knows the next one, the guard lets nobody else speak from that
 * address.
 *
 * What was there at the daemon's start is not known: there the flows that the new state denies are
 * cut, as after every change.
 */
#include "revoke/departed.h"

#include "audit/audit.h"
#include "conntrack/conntrack.h"
#include "core/state.h"

struct holder {
	uint64_t generation;
	unsigned ifindex; /* 0: nobody */
};

static struct holder holder_of(const struct bh_inventory *inv, const struct bh_addr *a)
{
	int i = bh_inventory_owner(inv, a);
	const struct bh_workload *w = i >= 0 ? inv->workload[i] : NULL;
	for (size_t k = 0; w && k < w->n_ifaces; k++) {
		const struct bh_interface *f = &w->iface[k];
		for (size_t j = 0; j < f->n_addrs; j++)
			if (bh_addr_eq(&f->addr[j], a))
				return (struct holder){w->generation,
					f->host_ifindex ? f->host_ifindex : f->ifindex};
	}
	return (struct holder){0};
}

static void add(struct bh_departed *d, const struct bh_addr *a)
{
	BH_GROW(d->addr, d->n, d->cap);
	d->addr[d->n++] = *a;
}

/* The addresses of a workload that is not the same object in `to`. */
static void look(struct bh_departed *d, const struct bh_inventory *from,
	const struct bh_inventory *to, const struct bh_workload *w)
{
	for (size_t i = 0; i < w->n_ifaces; i++)
		for (size_t k = 0; k < w->iface[i].n_addrs; k++) {
			const struct bh_addr *a = &w->iface[i].addr[k];
			struct holder was = holder_of(from, a), is = holder_of(to, a);
			if (was.ifindex && !bh_addr_is_link_local(a) &&
				(was.ifindex != is.ifindex || was.generation != is.generation))
				add(d, a);
		}
}

static int by_addr(const void *a, const void *b)
{
	return bh_addr_cmp(a, b);
}

/* Those that did not change are the same objects, in the same order. */
void bh_departed_collect(
	struct bh_departed *d, const struct bh_inventory *from, const struct bh_inventory *to)
{
	size_t k = 0;
	for (size_t i = 0; i < from->n; i++) {
		const struct bh_workload *w = from->workload[i];
		if (k < to->n && to->workload[k] == w) {
			k++;
			continue;
		}
		int at = bh_inventory_find(to, w);
		if (at >= 0)
			k = (size_t)at + 1;
		if (at < 0 || to->workload[at] != w)
			look(d, from, to, w);
	}
	if (d->n > 1)
		qsort(d->addr, d->n, sizeof(*d->addr), by_addr);
}

void bh_core_departed_purge(struct bh_core *c)
{
	struct bh_departed *d = &c->departed;
	if (d->n == 0)
		return;
	int n = bh_ct_forget(c->ct, d->addr, d->n);
	if (n < 0) { /* the tick tries again */
		bh_audit_event(c->audit, "revoke", "failure",
			"connections of workloads that are gone could not be removed", NULL,
			json_pack("{s:s}", "error", strerror(-n)));
		return;
	}
	c->departed_flows += (uint64_t)n;
	d->n = 0;
}

bool bh_core_departs(const struct bh_inventory *from, const struct bh_inventory *to)
{
	struct bh_departed d = {0};
	if (from)
		bh_departed_collect(&d, from, to);
	free(d.addr);
	return d.n > 0;
}

void bh_core_departed_follow(
	struct bh_core *c, const struct bh_inventory *from, const struct bh_inventory *to)
{
	if (from)
		bh_departed_collect(&c->departed, from, to);
	bh_core_departed_purge(c);
}
