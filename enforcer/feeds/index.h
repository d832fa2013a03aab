/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The index from inside: build.c makes it, index.c reads it. */
#pragma once

#include "feeds/internal.h"

struct bh_segment4 {
	uint32_t first, last;
	uint32_t ref, n; /* ref[ref..ref+n) */
};

struct bh_segment6 {
	bh_u128 first, last;
	uint32_t ref, n;
};

struct bh_feed_ref {
	uint32_t feed;
	uint32_t item; /* in item4 or item6, by the family of the segment */
};

struct bh_item4 {
	uint32_t first, last;
};

struct bh_item6 {
	bh_u128 first, last;
};

struct bh_index_feed {
	char *name;
	bool alert_only;
	uint32_t base4, n4, base6;
};

struct bh_feed_index {
	int refs;
	struct bh_index_feed *feed;
	size_t n_feeds;
	struct bh_segment4 *seg4;
	size_t n4, cap4;
	struct bh_segment6 *seg6;
	size_t n6, cap6;
	struct bh_feed_ref *ref;
	size_t n_refs, cap_refs;
	struct bh_item4 *item4;
	struct bh_item6 *item6;
	uint32_t *upper; /* [h]: the first IPv4 segment that ends at h << 16 or behind; 65537 */
	struct bh_ranges ranges;
	size_t count;
};
