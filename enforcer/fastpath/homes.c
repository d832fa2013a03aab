/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Whose addresses live where: from the inventory alone. */
#include "fastpath/fastpath.h"

static int by_addr(const void *a, const void *b)
{
	return bh_addr_cmp(
		&((const struct bh_fast_at *)a)->addr, &((const struct bh_fast_at *)b)->addr);
}

static bool has_mac(const struct bh_interface *f)
{
	static const uint8_t none[6];
	return memcmp(f->mac, none, sizeof(none)) != 0 && !(f->mac[0] & 1);
}

static void add(struct bh_fast_homes *h, const struct bh_interface *f, const struct bh_addr *a)
{
	struct bh_fast_at at = {.addr = *a};

	if (bh_addr_is_link_local(a) || bh_addr_is_multicast(a) || bh_addr_is_loopback(a))
		return;
	at.home.port = f->host_ifindex;
	at.home.bridge = f->bridge_ifindex;
	memcpy(at.home.mac, f->mac, sizeof(at.home.mac));
	BH_GROW(h->item, h->n, h->cap);
	h->item[h->n++] = at;
}

/* An address that two interfaces have is at none of them. */
static void keep_single(struct bh_fast_homes *h)
{
	size_t kept = 0, of[2] = {0};

	for (size_t i = 0; i < h->n;) {
		size_t k = i + 1;
		while (k < h->n && bh_addr_eq(&h->item[k].addr, &h->item[i].addr))
			k++;
		size_t *n = &of[h->item[i].addr.family == BH_IPV6];
		if (k == i + 1 && *n < BH_FAST_HOMES_MAX) {
			h->item[kept++] = h->item[i];
			++*n;
		}
		i = k;
	}
	h->n = kept;
}

void bh_fast_find_homes(const struct bh_inventory *inv,
	bool (*want)(const struct bh_workload *, void *), void *arg, struct bh_fast_homes *ret)
{
	*ret = (struct bh_fast_homes){0};
	for (size_t i = 0; i < inv->n; i++) {
		const struct bh_workload *w = inv->workload[i];
		if (!want(w, arg))
			continue;
		for (size_t k = 0; k < w->n_ifaces; k++) {
			const struct bh_interface *f = &w->iface[k];
			if (!f->host_ifindex || !f->bridge_ifindex || !has_mac(f))
				continue;
			for (size_t a = 0; a < f->n_addrs; a++)
				if (bh_inventory_owner(inv, &f->addr[a]) == (int)i)
					add(ret, f, &f->addr[a]);
		}
	}
	if (ret->n)
		qsort(ret->item, ret->n, sizeof(*ret->item), by_addr);
	keep_single(ret);
}

bool bh_fast_lives_there(const struct bh_inventory *inv, const struct bh_fast_at *at)
{
	int i = bh_inventory_owner(inv, &at->addr);
	const struct bh_workload *w = i >= 0 ? inv->workload[i] : NULL;

	for (size_t k = 0; w && k < w->n_ifaces; k++) {
		const struct bh_interface *f = &w->iface[k];
		if (f->host_ifindex != at->home.port || f->bridge_ifindex != at->home.bridge ||
			memcmp(f->mac, at->home.mac, sizeof(at->home.mac)) != 0)
			continue;
		for (size_t a = 0; a < f->n_addrs; a++)
			if (bh_addr_eq(&f->addr[a], &at->addr))
				return true;
	}
	return false;
}

const struct bh_fast_home *bh_fast_home(const struct bh_fast_homes *h, const struct bh_addr *a)
{
	const struct bh_fast_at key = {.addr = *a};
	const struct bh_fast_at *at =
		h->n ? bsearch(&key, h->item, h->n, sizeof(key), by_addr) : NULL;
	return at ? &at->home : NULL;
}

void bh_fast_homes_finish(struct bh_fast_homes *h)
{
	free(h->item);
	*h = (struct bh_fast_homes){0};
}
