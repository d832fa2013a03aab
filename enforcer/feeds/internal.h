/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the feed files share, and the builder of the index for tests. Not for other modules. */
#pragma once

#include "feeds/feeds.h"

/* --- address arithmetic: both families as numbers --- */
typedef unsigned __int128 bh_u128;

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

/* "192.0.2.1", "192.0.2.0/24" or "192.0.2.1-192.0.2.9". */
#define BH_INDICATOR_STRLEN (2 * BH_ADDR_STRLEN + 2)
const char *bh_indicator_format(const struct bh_range *r, char buf[static BH_INDICATOR_STRLEN]);

/* --- build.c --- */
/* Sorts by address, wider first, and drops repetitions (the first line that says it stays). */
void bh_indicators_sort(struct bh_indicators *i);

struct bh_feed_input {
	const char *name;
	bool alert_only;
	const struct bh_indicators *indicators; /* sorted */
	/* out: indicators that `protect` cuts into, and the first few of them (indexes) */
	size_t subtracted;
	size_t example[3];
};
/* protect: normalised; a hit or a kernel range never lies in it. Returns owned. */
struct bh_feed_index *bh_feed_index_build(
	struct bh_feed_input *in, size_t n, const struct bh_ranges *protect);

/* sweep.c: a piece of address space in which the same indicator of one feed is the most specific.
 */
struct bh_piece {
	bh_u128 first, last;
	uint32_t feed;
	uint32_t item; /* index among that feed's indicators */
};
struct bh_pieces {
	struct bh_piece *item;
	size_t n, cap;
};
/* Cuts the indicators [from, to) of one feed, sorted and of one family, into disjoint pieces,
 * ascending, at most two for each. */
void bh_sweep_feed(struct bh_pieces *out, const struct bh_indicators *ind, size_t from, size_t to,
	uint32_t feed);

/* protect.c */
/* What is never blocked: RFC 6890's special ranges but for documentation, and `extra` (may be
 * NULL). Normalised. */
void bh_feeds_protected_ranges(const struct bh_ranges *extra, struct bh_ranges *ret);
