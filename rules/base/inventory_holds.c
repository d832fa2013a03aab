/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The references that inventories have on their workloads. They are held in runs, and a run that
 * is the same in the next inventory is shared: counting ten thousand workloads one by one at every
 * change would cost more than all the rest of it.
 */
#include "inventory_private.h"

#define RUN 64
#define RUN_MAX 128

struct bh_inventory_hold {
	int refs;
	uint32_t n;
	struct bh_workload *workload[];
};

static void add(struct bh_inventory *inv, struct bh_inventory_hold *h)
{
	inv->hold = bh_inventory_grow(inv->hold, inv->n_holds, sizeof(*inv->hold));
	inv->hold[inv->n_holds++] = h;
}

/* References of their own on the workloads [from, to). */
static void hold(struct bh_inventory *inv, size_t from, size_t to)
{
	while (from < to) {
		size_t n = to - from > RUN_MAX ? RUN : to - from;
		struct bh_inventory_hold *h =
			bh_xcalloc(1, sizeof(*h) + n * sizeof(struct bh_workload *));
		h->refs = 1;
		h->n = (uint32_t)n;
		for (size_t i = 0; i < n; i++)
			h->workload[i] = bh_workload_ref(inv->workload[from + i]);
		add(inv, h);
		from += n;
	}
}

/* Where workload `i` of `old` is in `inv`; n if it is not. */
static size_t place_of(const struct bh_inventory *inv, const struct bh_inventory *old, size_t i)
{
	uint32_t at = i < old->n ? inv->index[old->place[i]] : BH_PLACE_NONE;
	return at < inv->n && inv->workload[at] == old->workload[i] ? at : inv->n;
}

void bh_holds_make(struct bh_inventory *inv, const struct bh_inventory *old)
{
	size_t at = 0, old_at = 0;
	for (size_t k = 0; old && k < old->n_holds; k++) {
		struct bh_inventory_hold *h = old->hold[k];
		old_at += h->n;
		if (at + h->n <= inv->n &&
			memcmp(&inv->workload[at], h->workload, h->n * sizeof(*h->workload)) == 0) {
			__atomic_add_fetch(&h->refs, 1, __ATOMIC_RELAXED);
			add(inv, h);
			at += h->n;
			continue;
		}
		/* Up to where the two are in step again. */
		size_t next = place_of(inv, old, old_at);
		while (next == inv->n && k + 1 < old->n_holds) {
			old_at += old->hold[++k]->n;
			next = place_of(inv, old, old_at);
		}
		hold(inv, at, next);
		at = next;
	}
	hold(inv, at, inv->n);
}

void bh_holds_drop(struct bh_inventory *inv)
{
	for (size_t k = 0; k < inv->n_holds; k++) {
		struct bh_inventory_hold *h = inv->hold[k];
		if (__atomic_sub_fetch(&h->refs, 1, __ATOMIC_ACQ_REL) > 0)
			continue;
		for (size_t i = 0; i < h->n; i++)
			bh_workload_unref(h->workload[i]);
		free(h);
	}
	free(inv->hold);
}
