/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What has to change in the kernel's sets of networks, of one address family, step by step: each
 * step is one transaction over all sets, and an address that is listed for a direction before and
 * after all steps is so after each. (A network may change its set: its feed's `direction` did.)
 */
#pragma once

#include "feeds/feeds.h"
#include "nft/nft.h"

#define BH_FEED_NETS_SIDES BH_FEED_SETS /* the sets of a family: see enum bh_feed_direction */

struct bh_feed_nets_list {
	void *elem; /* as in struct bh_nft_bulk; owned */
	size_t n, cap;
};

struct bh_feed_nets_side {
	/* In: both of one kind, BH_NFT_NET4 or BH_NFT_NET6; ascending, neither overlapping nor
	 * touching; borrowed. */
	struct bh_nft_bulk old, new;
	size_t i, j; /* how far in them: 0 at the beginning, and kept from step to step */
	/* Out: what this step takes out and puts in. */
	struct bh_feed_nets_list del, add;
	bool taken; /* used by bh_feed_nets_step */
	bh_u128 end;
};

/*
 * The next step, of about max elements (what overlaps changes together, however much that is): how
 * many there are in all del and add; 0: nothing differs any more.
 */
size_t bh_feed_nets_step(struct bh_feed_nets_side side[static BH_FEED_NETS_SIDES], size_t max);
/* Frees del and add. */
void bh_feed_nets_finish(struct bh_feed_nets_side side[static BH_FEED_NETS_SIDES]);
