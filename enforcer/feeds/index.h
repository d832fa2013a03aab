/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The index from inside: build.c makes it, index.c reads it. */
#pragma once

#include "feeds/internal.h"

/* What lists a segment: the feed alone, whose indicator is the segment itself; or a group of
 * entries in ref4 or ref6, from the index on. */
#define BH_REF_FEED 0x80000000u

struct bh_ref4 {
	uint32_t first, last; /* the indicator */
	uint16_t feed;
	uint8_t more; /* entries of the group behind this one */
	uint8_t mask; /* of the group: BH_FEED_IN | BH_FEED_OUT if a blocking feed lists it */
};

struct bh_ref6 {
	bh_u128 first, last;
	uint16_t feed;
	uint8_t more, mask;
};

struct bh_index_feed {
	char *name;
	bool alert_only;
	uint8_t directions;
};

struct bh_feed_index {
	int refs;
	struct bh_index_feed *feed;
	size_t n_feeds;
	/* Segments: ascending, disjoint. */
	uint32_t *first4, *last4, *of4;
	size_t n4, cap4;
	bh_u128 *first6, *last6;
	uint32_t *of6;
	size_t n6, cap6;
	struct bh_ref4 *ref4;
	size_t n_ref4, cap_ref4;
	struct bh_ref6 *ref6;
	size_t n_ref6, cap_ref6;
	uint64_t *listed; /* a bit for each IPv4 /24 that a segment touches: 2 MiB */
	/* A bit for each /29 that a segment touches, hashed: most of what shares a /24 with a
	 * segment ends here. Of segments as wide as a /16 only `wide` knows: a bit for each. */
	uint64_t *fine;
	unsigned fine_shift; /* 32 − log2 of its bits */
	uint64_t wide[65536 / 64];
	uint32_t *upper; /* [h]: the first IPv4 segment that ends at h << 16 or behind; 65537 */
	struct bh_feed_elems elems[BH_FEEDS_CLASSES];
	size_t count;
	uint32_t expires;
};

static inline uint32_t bh_fine_bit(const struct bh_feed_index *x, uint32_t a)
{
	return ((a >> 3) * 0x9e3779b1u) >> x->fine_shift;
}
