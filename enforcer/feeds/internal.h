/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the feed files share, and the builder of the index for tests. Not for other modules. */
#pragma once

#include "feeds/feeds.h"

/* --- address arithmetic: both families as numbers --- */
static inline bh_u128 bh_addr_number(const struct bh_addr *a)
{
	bh_u128 v = 0;
	size_t n = bh_addr_size(a);
	for (size_t i = 0; i < n; i++)
		v = v << 8 | a->b[i];
	return v;
}

static inline struct bh_addr bh_addr_of_number(enum bh_family family, bh_u128 v)
{
	struct bh_addr a = {.family = (uint8_t)family};
	for (size_t i = bh_addr_size(&a); i-- > 0; v >>= 8)
		a.b[i] = (uint8_t)v;
	return a;
}

static inline struct bh_range bh_range_of_numbers(enum bh_family family, bh_u128 a, bh_u128 b)
{
	return (struct bh_range){bh_addr_of_number(family, a), bh_addr_of_number(family, b)};
}

/* --- indicators.c --- */
/* Sorts by address, wider first, and drops repetitions (the first line that says it stays, and the
 * latest expiry). */
void bh_indicators_sort(struct bh_indicators *i);
/* All sorted: `old` without what is in `minus` as the very same range, and with `plus`. Owned. */
void bh_indicators_changed(const struct bh_indicators *old, const struct bh_indicators *minus,
	const struct bh_indicators *plus, struct bh_indicators *ret);

/* --- build.c --- */
#define BH_FEED_CUTS_MAX 64
struct bh_feed_input {
	const char *name;
	bool alert_only;
	uint8_t directions; /* 0: both */
	const struct bh_indicators *indicators; /* sorted */
	const struct bh_ranges *protect; /* normalised; no hit and no element lies in it */
	/* out */
	size_t subtracted; /* indicators that `protect` cuts into… */
	struct bh_feed_cut cut[BH_FEED_CUTS_MAX]; /* …and the first of them */
};
/* now: what has expired by then is left out; 0: nothing is. Returns owned. */
struct bh_feed_index *bh_feed_index_build(struct bh_feed_input *in, size_t n, int64_t now);
/*
 * The same, from an index that was built of `before` as of `then`, and differs little: at the cost
 * of copying it. Of the feeds only the indicators may differ. NULL: so much differs that building
 * anew is as cheap.
 */
struct bh_feed_index *bh_feed_index_change(const struct bh_feed_index *old,
	const struct bh_feed_input *before, int64_t then, struct bh_feed_input *in, size_t n,
	int64_t now);

/* sweep.c: address space of one feed in disjoint pieces, each with its most specific indicator. */
struct bh_piece {
	bh_u128 first, last;
	uint32_t item; /* index in v4 or v6 */
	bool whole; /* the indicator, no more and no less */
};
struct bh_open_item {
	bh_u128 size, last;
	uint32_t item;
};
struct bh_window { /* of address space */
	bh_u128 first, last;
};
struct bh_windows { /* ascending, disjoint, not adjacent */
	struct bh_window *item;
	size_t n, cap;
};
struct bh_sweep {
	const struct bh_indicators *ind;
	const struct bh_ranges *protect;
	const struct bh_windows *only; /* NULL: everywhere */
	size_t window; /* the one that it is in, or comes to */
	bool v6;
	int64_t now;
	size_t i, n, next_protected;
	bh_u128 at;
	bool over;
	struct bh_open_item *heap;
	size_t n_heap, cap_heap;
	struct bh_piece raw; /* what is left of the piece that is being cut */
	bool has_raw;
};
/* only (NULL: everywhere): no piece lies outside. Borrowed, as the others are. */
void bh_sweep_start(struct bh_sweep *s, const struct bh_indicators *ind,
	const struct bh_ranges *protect, enum bh_family family, int64_t now,
	const struct bh_windows *only);
/* Ascending; at most two for each indicator and one more for each protected range. */
bool bh_sweep_next(struct bh_sweep *s, struct bh_piece *ret);
void bh_sweep_finish(struct bh_sweep *s);
static inline bh_u128 bh_sweep_first(const struct bh_sweep *s, size_t i)
{
	return s->v6 ? s->ind->v6[i].first : s->ind->v4[i].first;
}
static inline bh_u128 bh_sweep_last(const struct bh_sweep *s, size_t i)
{
	return s->v6 ? s->ind->v6[i].last : s->ind->v4[i].last;
}

/* protect.c */
/* What is never blocked: RFC 6890's special ranges but for documentation, and `extra` (may be
 * NULL). Normalised. */
void bh_feeds_protected_ranges(const struct bh_ranges *extra, struct bh_ranges *ret);
void bh_feeds_add_ranges(struct bh_ranges *to, const struct bh_ranges *from); /* at its end */
bool bh_feeds_same_ranges(const struct bh_ranges *a, const struct bh_ranges *b); /* normalised */
