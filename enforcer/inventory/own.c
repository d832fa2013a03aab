/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Which of the addresses that a container has given itself are its own. What its source declares
 * is; anything else counts only inside the subnets of the bridge that it is on: with an address
 * from elsewhere it would enter whatever others open to that address. Of a bridge without a subnet
 * nothing is known, and neither of a veth without a bridge; there routes decide what comes back.
 */
#include "inventory/manager.h"

static bool is_declared(const struct bh_addr *a, struct bh_record *const *r, size_t n)
{
	for (size_t i = 0; i < n; i++)
		for (size_t k = 0; k < r[i]->container->n_addrs; k++)
			if (bh_addr_eq(&r[i]->container->addr[k], a))
				return true;
	return false;
}

static void read_networks(struct bh_inventory_mgr *m, struct bh_mgr_networks *n)
{
	int r = bh_link_networks(m->link, n->ifindex, &n->item);
	n->n = r > 0 ? (size_t)r : 0;
}

static const struct bh_mgr_networks *networks(struct bh_inventory_mgr *m, unsigned ifindex)
{
	for (size_t i = 0; i < m->n_bridges; i++)
		if (m->networks[i].ifindex == ifindex)
			return &m->networks[i];
	BH_GROW(m->networks, m->n_bridges, m->cap_bridges);
	struct bh_mgr_networks *n = &m->networks[m->n_bridges++];
	*n = (struct bh_mgr_networks){.ifindex = ifindex};
	read_networks(m, n);
	return n;
}

/* Whether an address may be its own behind this interface of the node. */
static bool fits(struct bh_inventory_mgr *m, const struct bh_interface *f, const struct bh_addr *a)
{
	if (!f->bridge_ifindex)
		return true;
	const struct bh_mgr_networks *n = networks(m, f->bridge_ifindex);
	for (size_t i = 0; i < n->n; i++)
		if (bh_prefix_contains(&n->item[i], a))
			return true;
	return n->n == 0;
}

/* What has no host side speaks through what has one. */
static bool fits_any(
	struct bh_inventory_mgr *m, const struct bh_workload *seen, const struct bh_addr *a)
{
	bool any = false;
	for (size_t i = 0; i < seen->n_ifaces; i++) {
		const struct bh_interface *f = &seen->iface[i];
		if (!f->host_ifindex && !f->bridge_ifindex)
			continue;
		if (fits(m, f, a))
			return true;
		any = true;
	}
	return !any;
}

void bh_mgr_take_addrs(struct bh_inventory_mgr *m, const struct bh_workload *seen, size_t iface,
	struct bh_record *const *r, size_t n, struct bh_interface *to)
{
	const struct bh_interface *f = &seen->iface[iface];
	bool inner = !f->host_ifindex && !f->bridge_ifindex;
	for (size_t i = 0; i < f->n_addrs; i++) {
		const struct bh_addr *a = &f->addr[i];
		bool everywhere = a->family == BH_IPV6 && bh_addr_is_link_local(a);
		if (is_declared(a, r, n))
			bh_interface_add_addr(to, a);
		else if (everywhere || (inner ? fits_any(m, seen, a) : fits(m, f, a)))
			bh_interface_add_addr_since(to, a, bh_interface_since(f, i));
		else
			bh_interface_refuse(to, a);
	}
}

/* --- when subnets change --- */

static bool on_bridge(const struct bh_space *s, unsigned ifindex)
{
	for (size_t i = 0; s->built && i < s->built->n_ifaces; i++)
		if (s->built->iface[i].bridge_ifindex == ifindex)
			return true;
	return false;
}

/* True: somebody is on it. */
static bool mark_bridge(struct bh_inventory_mgr *m, unsigned ifindex)
{
	bool any = false;
	for (size_t i = 0; i < m->spaces.n_buckets; i++)
		for (struct bh_idmap_slot *k = m->spaces.bucket[i]; k; k = k->next)
			if (on_bridge(k->value, ifindex)) {
				bh_mgr_mark_space(m, k->value);
				any = true;
			}
	return any;
}

static bool same(const struct bh_mgr_networks *a, const struct bh_mgr_networks *b)
{
	for (size_t i = 0; a->n == b->n && i < a->n; i++)
		if (a->item[i].len != b->item[i].len ||
			!bh_addr_eq(&a->item[i].addr, &b->item[i].addr))
			return false;
	return a->n == b->n;
}

bool bh_mgr_networks_look(struct bh_inventory_mgr *m)
{
	bool news = false;
	size_t kept = 0;
	for (size_t i = 0; i < m->n_bridges; i++) {
		struct bh_mgr_networks *was = &m->networks[i], now = {.ifindex = was->ifindex};
		read_networks(m, &now);
		bool used = true;
		if (!same(was, &now))
			used = mark_bridge(m, now.ifindex);
		news |= used && !same(was, &now);
		free(was->item);
		if (used)
			m->networks[kept++] = now;
		else
			free(now.item); /* nobody is on it any more */
	}
	m->n_bridges = kept;
	return news;
}

void bh_mgr_networks_finish(struct bh_inventory_mgr *m)
{
	for (size_t i = 0; i < m->n_bridges; i++)
		free(m->networks[i].item);
	free(m->networks);
}

/* --- for people --- */

void bh_workload_claims(
	const struct bh_workload *w, void (*fn)(const char *what, void *arg), void *arg)
{
	char text[BH_ADDR_STRLEN], what[160];
	for (size_t i = 0; i < w->n_ifaces; i++) {
		const struct bh_interface *f = &w->iface[i];
		const uint8_t *x = f->refused_mac;
		if (f->mac_refused) {
			snprintf(what, sizeof(what),
				"claims the MAC %02x:%02x:%02x:%02x:%02x:%02x, which another port "
				"of its bridge has",
				x[0], x[1], x[2], x[3], x[4], x[5]);
			fn(what, arg);
		}
		for (size_t k = 0; k < f->n_refused; k++) {
			snprintf(what, sizeof(what), "claims %s, which is not on its network",
				bh_addr_format(&f->refused[k], text));
			fn(what, arg);
		}
	}
}
