/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What the node itself contributes: its own addresses, and the subnets of the interfaces behind
 * which its workloads live. Looked at when a notice was about them, or when the first workload is
 * behind an interface or the last one gone.
 */
#include "inventory/manager.h"

static size_t find(const struct bh_inventory_mgr *m, unsigned ifindex)
{
	size_t lo = 0, hi = m->n_attached;
	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		if (m->attached[mid].ifindex < ifindex)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

static void attach(struct bh_inventory_mgr *m, unsigned ifindex, int by)
{
	size_t i = find(m, ifindex);
	bool known = i < m->n_attached && m->attached[i].ifindex == ifindex;
	if (!known)
		BH_GROW(m->attached, m->n_attached, m->cap_attached);
	struct bh_mgr_attached *a = &m->attached[i];
	if (!known) {
		memmove(a + 1, a, (m->n_attached++ - i) * sizeof(*a));
		*a = (struct bh_mgr_attached){.ifindex = ifindex};
		m->host_stale = true;
	}
	a->n += by;
	if (a->n == 0) {
		memmove(a, a + 1, (--m->n_attached - i) * sizeof(*a));
		m->host_stale = true;
	}
}

void bh_mgr_attach(struct bh_inventory_mgr *m, const struct bh_workload *w, int by)
{
	for (size_t i = 0; i < w->n_ifaces; i++) {
		const struct bh_interface *f = &w->iface[i];
		unsigned ifindex = f->bridge_ifindex ? f->bridge_ifindex : f->host_ifindex;
		if (ifindex)
			attach(m, ifindex, by);
	}
}

/* What bh_link_host looks at: the interfaces, each once. */
static struct bh_inventory *attached(const struct bh_inventory_mgr *m)
{
	struct bh_inventory *inv = bh_inventory_new();
	struct bh_workload *w = bh_workload_new();
	w->n_ifaces = m->n_attached;
	w->iface = bh_xcalloc(m->n_attached, sizeof(*w->iface));
	for (size_t i = 0; i < m->n_attached; i++)
		w->iface[i].host_ifindex = m->attached[i].ifindex;
	bh_inventory_add(inv, w);
	return inv;
}

static bool same_networks(const struct bh_inventory_mgr *m, const struct bh_inventory *inv)
{
	if (m->n_networks != inv->n_networks)
		return false;
	for (size_t i = 0; i < inv->n_networks; i++) {
		const struct bh_prefix *a = &m->network[i], *b = &inv->network[i];
		if (a->len != b->len || !bh_addr_eq(&a->addr, &b->addr))
			return false;
	}
	return true;
}

static bool same_hosts(const struct bh_inventory_mgr *m, const struct bh_inventory *inv)
{
	if (m->n_hosts != inv->n_hosts)
		return false;
	for (size_t i = 0; i < inv->n_hosts; i++) {
		if (!bh_addr_eq(&m->host[i], &inv->host[i]))
			return false;
	}
	return true;
}

static void keep(struct bh_inventory_mgr *m, const struct bh_inventory *inv)
{
	free(m->network);
	free(m->host);
	m->network = bh_xmemdup(inv->network, inv->n_networks * sizeof(*inv->network));
	m->host = bh_xmemdup(inv->host, inv->n_hosts * sizeof(*inv->host));
	m->n_networks = inv->n_networks;
	m->n_hosts = inv->n_hosts;
	m->host_changed = true;
}

bool bh_mgr_host_look(struct bh_inventory_mgr *m)
{
	struct bh_inventory *inv = attached(m);
	/* A passing fault must not make the node's own addresses strangers: the last good ones
	 * stay, the tick tries again. */
	m->host_failed = bh_link_host(m->link, inv, m->host_anew) < 0;
	m->host_stale = m->host_failed;
	m->host_anew &= m->host_failed;
	bool news = !m->host_failed && !(same_networks(m, inv) && same_hosts(m, inv));
	if (news)
		keep(m, inv);
	if (!m->host_failed)
		news |= bh_mgr_networks_look(m);
	bh_inventory_unref(inv);
	return news;
}

void bh_mgr_host(struct bh_inventory_mgr *m, struct bh_inventory *frame)
{
	for (size_t i = 0; i < m->n_networks; i++)
		bh_inventory_add_network(frame, &m->network[i]);
	for (size_t i = 0; i < m->n_hosts; i++)
		bh_inventory_add_host(frame, &m->host[i]);
}
