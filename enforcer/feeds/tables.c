/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What is made of an index's segments and elements once they are all there: the tables in front of
 * the search, and the keys by which the kernel knows where networks are. */
#include "feeds/index.h"

#define LISTED_WORDS ((1u << 24) / 64)

static void mark_listed(struct bh_feed_index *x, size_t from, size_t to)
{
	for (size_t i = from; i < to; i++)
		for (uint32_t k = x->first4[i] >> 8; k <= x->last4[i] >> 8; k++)
			x->listed[k >> 6] |= 1ull << (k & 63);
}

#define WIDE 65536u /* addresses */

static uint32_t count_fine(const struct bh_feed_index *x)
{
	uint64_t n = 0;
	for (size_t i = 0; i < x->n4; i++)
		if (x->last4[i] - x->first4[i] < WIDE)
			n += (x->last4[i] >> 3) - (x->first4[i] >> 3) + 1;
	return n < 1u << 24 ? (uint32_t)n : 1u << 24;
}

static size_t fine_words(const struct bh_feed_index *x)
{
	return (1u << (32 - x->fine_shift)) / 64;
}

/* Eight bits for each /29, from 8 KiB to 16 MiB. */
static void size_fine(struct bh_feed_index *x)
{
	uint32_t n = count_fine(x);
	unsigned bits = 16;
	while (bits < 27 && 1u << bits < 8 * n)
		bits++;
	x->fine_shift = 32 - bits;
}

static void mark_fine(struct bh_feed_index *x, size_t from, size_t to)
{
	for (size_t i = from; i < to; i++) {
		uint32_t first = x->first4[i], last = x->last4[i];
		if (last - first >= WIDE) {
			for (uint32_t k = first >> 16; k <= last >> 16; k++)
				x->wide[k >> 6] |= 1ull << (k & 63);
			continue;
		}
		for (uint32_t k = first >> 3; k <= last >> 3; k++) {
			uint32_t bit = bh_fine_bit(x, k << 3);
			x->fine[bit >> 6] |= 1ull << (bit & 63);
		}
	}
}

static void fill_upper(struct bh_feed_index *x)
{
	size_t i = 0;
	x->upper = bh_xcalloc(65537, sizeof(*x->upper));
	for (uint32_t h = 0; h < 65536; h++) {
		while (i < x->n4 && x->last4[i] < h << 16)
			i++;
		if (i > 0) /* without feeds none of the table is touched */
			x->upper[h] = (uint32_t)i;
	}
	x->upper[65536] = (uint32_t)x->n4;
}

/* Ascending, like the networks: keys of those within a /24, and of the wider ones; merged. */
static void fill_near(struct bh_feed_elems *e)
{
	struct bh_feed_elems wide = {0};
	uint32_t step;
	for (size_t i = 0; i < e->n_net4; i++) {
		const struct bh_net4 *n = &e->net4[i];
		uint64_t key = bh_feed_near_first(n->first, n->last, &step);
		struct bh_feed_elems *to = step == 1u << 8 ? e : &wide;
		for (; key <= n->last; key += step) {
			if (to->n_near4 && to->near4[to->n_near4 - 1] == key)
				continue;
			BH_GROW(to->near4, to->n_near4, to->cap_near4);
			to->near4[to->n_near4++] = (uint32_t)key;
		}
	}
	uint32_t *all = bh_xcalloc(e->n_near4 + wide.n_near4, sizeof(*all));
	size_t n = 0, i = 0, k = 0;
	while (i < e->n_near4 || k < wide.n_near4) {
		bool fine = k == wide.n_near4 || (i < e->n_near4 && e->near4[i] <= wide.near4[k]);
		uint32_t key = fine ? e->near4[i++] : wide.near4[k++];
		if (n == 0 || all[n - 1] != key)
			all[n++] = key;
	}
	free(e->near4);
	free(wide.near4);
	e->near4 = all;
	e->n_near4 = n;
}

/* Doubling leaves room that nothing will fill. */
static void trim(struct bh_feed_index *x)
{
	x->first4 = bh_xrealloc(x->first4, x->n4, sizeof(*x->first4));
	x->last4 = bh_xrealloc(x->last4, x->n4, sizeof(*x->last4));
	x->of4 = bh_xrealloc(x->of4, x->n4, sizeof(*x->of4));
	x->ref4 = bh_xrealloc(x->ref4, x->n_ref4, sizeof(*x->ref4));
	for (size_t c = 0; c < BH_FEEDS_CLASSES; c++) {
		struct bh_feed_elems *e = &x->elems[c];
		e->host4 = bh_xrealloc(e->host4, e->n_host4, sizeof(*e->host4));
		e->net4 = bh_xrealloc(e->net4, e->n_net4, sizeof(*e->net4));
		fill_near(e);
	}
}

/* Marks of what is gone do no harm: they cost a search. */
static void copy_marks(struct bh_feed_index *x, const struct bh_index_copy *c)
{
	const struct bh_feed_index *old = c->old;
	x->fine_shift = old->fine_shift;
	x->listed = bh_xmemdup(old->listed, LISTED_WORDS * sizeof(*x->listed));
	x->fine = bh_xmemdup(old->fine, fine_words(old) * sizeof(*x->fine));
	memcpy(x->wide, old->wide, sizeof(x->wide));
	for (size_t i = 0, at = 0; i < c->window[0].n; i++) {
		const struct bh_window *w = &c->window[0].item[i];
		size_t lo = at, hi = x->n4;
		while (lo < hi) {
			size_t mid = lo + (hi - lo) / 2;
			if (x->first4[mid] < w->first)
				lo = mid + 1;
			else
				hi = mid;
		}
		for (at = lo; at < x->n4 && x->last4[at] <= w->last;)
			at++;
		mark_listed(x, lo, at);
		mark_fine(x, lo, at);
	}
}

static void make_marks(struct bh_feed_index *x)
{
	size_fine(x);
	x->listed = bh_xcalloc(LISTED_WORDS, sizeof(*x->listed));
	x->fine = bh_xcalloc(fine_words(x), sizeof(*x->fine));
	mark_listed(x, 0, x->n4);
	mark_fine(x, 0, x->n4);
}

void bh_index_fill_tables(struct bh_feed_index *x, const struct bh_index_copy *copy)
{
	trim(x);
	if (copy)
		copy_marks(x, copy);
	else
		make_marks(x);
	fill_upper(x);
}
