/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The node's own addresses: asked for once, then kept up by notices, which tell all of the address
 * that they are about. A notice from before the asking does no harm: if the address has changed
 * since, another follows it.
 */
#include "link/private.h"

/* What the kernel tells addresses of an interface apart by. */
static int compare(const void *a, const void *b)
{
	const struct bh_addr_info *x = a, *y = b;

	if (x->ifindex != y->ifindex)
		return x->ifindex < y->ifindex ? -1 : 1;
	int r = bh_addr_cmp(&x->local, &y->local);
	if (r != 0 || x->local.family == BH_IPV6) /* whose subnet may be changed */
		return r;
	r = bh_addr_cmp(&x->subnet.addr, &y->subnet.addr);
	return r != 0 ? r : x->subnet.len - y->subnet.len;
}

int bh_own_addrs_ask(struct bh_link *l)
{
	struct bh_addr_infos addrs = {};
	int r = bh_link_dump_addrs(l, BH_NSID_NONE, &addrs);

	if (r < 0) {
		bh_addr_infos_finish(&addrs);
		return r;
	}
	if (addrs.n > 1)
		qsort(addrs.item, addrs.n, sizeof(*addrs.item), compare);
	free(l->addr);
	l->addr = addrs.item;
	l->n_addrs = addrs.n;
	l->cap_addrs = addrs.cap;
	l->addrs_known = true;
	return 0;
}

static size_t find(const struct bh_link *l, const struct bh_addr_info *i)
{
	size_t lo = 0, hi = l->n_addrs;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		if (compare(&l->addr[mid], i) < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

static bool same_subnet(const struct bh_addr_info *a, const struct bh_addr_info *b)
{
	return a->subnet.len == b->subnet.len && bh_addr_eq(&a->subnet.addr, &b->subnet.addr);
}

bool bh_own_addrs_hear(struct bh_link *l, const struct bh_addr_info *i, bool gone)
{
	if (!l->addrs_known)
		return true; /* nobody has asked yet */
	size_t at = find(l, i);
	bool there = at < l->n_addrs && compare(&l->addr[at], i) == 0;

	gone |= i->failed;
	if (gone ? !there : there && same_subnet(&l->addr[at], i))
		return false;
	if (gone) {
		l->n_addrs--;
		memmove(&l->addr[at], &l->addr[at + 1], (l->n_addrs - at) * sizeof(*l->addr));
		return true;
	}
	if (!there) {
		BH_GROW(l->addr, l->n_addrs, l->cap_addrs);
		memmove(&l->addr[at + 1], &l->addr[at], (l->n_addrs++ - at) * sizeof(*l->addr));
	}
	l->addr[at] = *i;
	return true;
}
