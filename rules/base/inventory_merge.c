/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The arrays of a derived inventory: old's in runs, with what goes left out and what comes put in.
 */
#include "inventory_private.h"

/* A free place; *from is where to look on. */
static uint32_t free_place(const struct bh_derive *d, uint32_t *from)
{
	while (*from < d->old->n_places && d->old->index[*from] != BH_PLACE_NONE)
		++*from;
	return (*from)++;
}

/* Old's workloads [from, to) go on behind what inv has. */
static void copy_run(struct bh_derive *d, size_t from, size_t to)
{
	struct bh_inventory *inv = d->inv;
	size_t n = to - from;
	memcpy(&inv->workload[inv->n], &d->old->workload[from], n * sizeof(*inv->workload));
	memcpy(&inv->place[inv->n], &d->old->place[from], n * sizeof(*inv->place));
	inv->n += n;
}

static void put(struct bh_derive *d, struct bh_workload *w, uint32_t place)
{
	d->inv->workload[d->inv->n] = w;
	d->inv->place[d->inv->n++] = place;
}

void bh_derive_workloads(struct bh_derive *d)
{
	struct bh_inventory *inv = d->inv;
	size_t n = d->old->n + d->n_come, at = 0, gone = 0;
	uint32_t look = 0;
	inv->workload = bh_xcalloc(n, sizeof(struct bh_workload *));
	inv->place = bh_xcalloc(n, sizeof(*inv->place));
	for (size_t i = 0; i <= d->n_come; i++) {
		struct bh_workload *w = i < d->n_come ? d->come[i] : NULL;
		size_t to = w ? bh_inventory_lower_bound(d->old, w) : d->old->n;
		for (; gone < d->n_gone && d->gone[gone].index < to; gone++) {
			copy_run(d, at, d->gone[gone].index);
			at = d->gone[gone].index + 1;
		}
		if (to > at) {
			copy_run(d, at, to);
			at = to;
		}
		bool replaces = w && gone < d->n_gone && d->gone[gone].by == w;
		if (replaces)
			copy_run(d, at, d->gone[gone].index);
		if (w)
			d->come_at[i] = (uint32_t)d->inv->n;
		if (replaces) {
			put(d, w, d->old->place[d->gone[gone].index]);
			at = d->gone[gone++].index + 1;
		} else if (w) {
			put(d, w, free_place(d, &look));
		}
	}
	inv->n_places = look > d->old->n_places ? look : d->old->n_places;
	inv->index = bh_xcalloc(inv->n_places, sizeof(*inv->index));
	memset(inv->index, 0xff, inv->n_places * sizeof(*inv->index));
	for (uint32_t i = 0; i < inv->n; i++)
		inv->index[inv->place[i]] = i;
}

/* Those of a workload, at a place. */
static size_t interfaces(const struct bh_workload *w, uint32_t place, struct bh_if_owner *ret)
{
	size_t n = 0;
	for (size_t i = 0; i < w->n_ifaces; i++)
		if (w->iface[i].host_ifindex) {
			if (ret)
				ret[n] = (struct bh_if_owner){w->iface[i].host_ifindex, place};
			n++;
		}
	return n;
}

static struct bh_if_owner *changed_interfaces(const struct bh_derive *d, bool come, size_t *ret_n)
{
	size_t n = 0, total = come ? d->n_come : d->n_gone;
	struct bh_if_owner *o = NULL;
	for (int pass = 0; pass < 2; pass++) {
		if (pass)
			o = bh_xcalloc(n, sizeof(*o));
		n = 0;
		for (size_t i = 0; i < total; i++) {
			size_t at = come ? d->come_at[i] : d->gone[i].index;
			n += interfaces(come ? d->come[i] : d->old->workload[at],
				come ? d->inv->place[at] : d->old->place[at], o ? o + n : NULL);
		}
	}
	if (n > 1)
		qsort(o, n, sizeof(*o), bh_if_owner_cmp);
	*ret_n = n;
	return o;
}

void bh_derive_interfaces(struct bh_derive *d)
{
	const struct bh_inventory *old = d->old;
	size_t n_less, n_more, n = 0, less = 0, more = 0;
	struct bh_if_owner *l = changed_interfaces(d, false, &n_less);
	struct bh_if_owner *m = changed_interfaces(d, true, &n_more);
	struct bh_if_owner *o = bh_xcalloc(old->n_by_ifindex + n_more, sizeof(*o));
	for (size_t i = 0; i < old->n_by_ifindex; i++) {
		const struct bh_if_owner *from = &old->by_ifindex[i];
		while (more < n_more && bh_if_owner_cmp(&m[more], from) < 0)
			o[n++] = m[more++];
		if (less < n_less && bh_if_owner_cmp(&l[less], from) == 0)
			less++;
		else
			o[n++] = *from;
	}
	while (more < n_more)
		o[n++] = m[more++];
	d->inv->by_ifindex = o;
	d->inv->n_by_ifindex = n;
	free(l);
	free(m);
}
