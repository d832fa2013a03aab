/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The index from inside: build.c, change.c and tables.c make it, index.c reads it. */
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
	uint64_t since; /* the manager's */
	size_t full_refs; /* entries of ref4 and ref6 when it was built anew the last time */
	size_t changes; /* places that were changed since */
};

/* --- making one --- */
struct bh_run { /* adjacent segments that are blocked alike, on their way to the kernel */
	bh_u128 first, last;
	unsigned mask; /* 0: none */
	bool net; /* one of them is more than a single address */
	size_t hosts; /* where its single addresses begin in the list */
};

/* change.c: what is taken over from another index. */
struct bh_index_copy {
	const struct bh_feed_index *old;
	/* Of IPv4 and IPv6: what is built anew. No segment or element of the old index, and none of
	 * the new, lies across a window's end or touches it from outside. */
	struct bh_windows window[2];
	size_t w; /* windows that are behind */
	size_t segment; /* of the old index: taken over or left out up to there… */
	struct {
		size_t host, net;
	} at[BH_FEEDS_CLASSES]; /* …and elements */
};

struct bh_builder {
	struct bh_feed_index *x;
	const struct bh_feed_input *in;
	struct bh_sweep *sweep;
	struct bh_piece *cur; /* of each feed; the rest of its piece */
	bool *open; /* has it one? */
	uint32_t *active; /* feeds, at most 256 */
	size_t n_active;
	enum bh_family family;
	struct bh_run run;
	struct bh_index_copy *copy; /* NULL: all is built anew */
};
struct bh_feed_index *bh_builder_run(
	struct bh_feed_input *in, size_t n, int64_t now, struct bh_index_copy *copy);
void bh_builder_end_run(struct bh_builder *b);
/* Room for so many more segments. */
void bh_index_room4(struct bh_feed_index *x, size_t more);
void bh_index_room6(struct bh_feed_index *x, size_t more);
void bh_builder_copy_begin(struct bh_builder *b);
/* The next that is built anew begins at `first`: takes over what comes before. */
void bh_builder_copy(struct bh_builder *b, bh_u128 first);
void bh_builder_copy_rest(struct bh_builder *b); /* of the family, which ends */
/* copy: what of the old index is built anew, whose tables serve for the rest; or NULL. */
void bh_index_fill_tables(struct bh_feed_index *x, const struct bh_index_copy *copy);

static inline uint32_t bh_fine_bit(const struct bh_feed_index *x, uint32_t a)
{
	return ((a >> 3) * 0x9e3779b1u) >> x->fine_shift;
}
