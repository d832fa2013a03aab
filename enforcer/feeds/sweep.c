/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * One feed's indicators, which may nest and overlap in any way, cut into disjoint pieces that each
 * know the most specific indicator there. A sweep over the starts with a heap of the open
 * indicators, smallest on top; those that have ended leave the heap when they come to its top.
 * O(n log n) whatever the overlap, so a hostile list cannot make it slow.
 */
#include "feeds/internal.h"

struct open_item {
	bh_u128 size, last;
	uint32_t item;
};

struct heap {
	struct open_item *item;
	size_t n, cap;
};

/* Ties go to the one that stands first in the sorted list. */
static bool before(const struct open_item *a, const struct open_item *b)
{
	return a->size != b->size ? a->size < b->size : a->item < b->item;
}

static void push(struct heap *h, struct open_item x)
{
	BH_GROW(h->item, h->n, h->cap);
	size_t i = h->n++;
	for (; i > 0 && before(&x, &h->item[(i - 1) / 2]); i = (i - 1) / 2)
		h->item[i] = h->item[(i - 1) / 2];
	h->item[i] = x;
}

static void pop(struct heap *h)
{
	struct open_item x = h->item[--h->n];
	size_t i = 0;
	for (;;) {
		size_t child = 2 * i + 1;
		if (child >= h->n)
			break;
		if (child + 1 < h->n && before(&h->item[child + 1], &h->item[child]))
			child++;
		if (!before(&h->item[child], &x))
			break;
		h->item[i] = h->item[child];
		i = child;
	}
	if (h->n)
		h->item[i] = x;
}

static void emit(struct bh_pieces *out, size_t mine, struct bh_piece x)
{
	struct bh_piece *top = out->n > mine ? &out->item[out->n - 1] : NULL;
	if (top && top->item == x.item && top->last + 1 == x.first) {
		top->last = x.last;
		return;
	}
	BH_GROW(out->item, out->n, out->cap);
	out->item[out->n++] = x;
}

void bh_sweep_feed(struct bh_pieces *out, const struct bh_indicators *ind, size_t from, size_t to,
	uint32_t feed)
{
	struct heap h = {0};
	size_t i = from, mine = out->n;
	bh_u128 at = 0;
	const bh_u128 end = ~(bh_u128)0;

	while (i < to || h.n) {
		while (h.n && h.item[0].last < at)
			pop(&h);
		if (!h.n) {
			if (i == to)
				break;
			at = bh_addr_number(&ind->item[i].range.first);
		}
		for (; i < to && bh_addr_number(&ind->item[i].range.first) <= at; i++) {
			bh_u128 first = bh_addr_number(&ind->item[i].range.first);
			bh_u128 last = bh_addr_number(&ind->item[i].range.last);
			push(&h, (struct open_item){last - first, last, (uint32_t)i});
		}
		bh_u128 last = h.item[0].last;
		if (i < to && bh_addr_number(&ind->item[i].range.first) <= last)
			last = bh_addr_number(&ind->item[i].range.first) - 1;
		emit(out, mine, (struct bh_piece){at, last, feed, h.item[0].item});
		if (last == end)
			break;
		at = last + 1;
	}
	free(h.item);
}
