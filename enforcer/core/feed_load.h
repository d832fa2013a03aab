/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The feeds' way into the kernel. The sets of a million elements are no part of the ruleset's IR:
 * they change by what differs between two indexes, in transactions small enough that a change of
 * policy never waits long for one, and without a moment in which something listed before and after
 * is in no set.
 *
 * Invariant: the kernel's sets hold at least what the index in force says. So additions come first,
 * then the index is published, then the rest is taken out.
 */
#pragma once

#include <bulkhead/engine.h>
#include <uv.h>

#include "feeds/feeds.h"
#include "nft/nft.h"

struct bh_core;

enum bh_feed_phase {
	BH_LOAD_IDLE,
	BH_LOAD_ADD, /* hosts; a set that is made anew gets those of before as well */
	BH_LOAD_NETS, /* behind the change of the rules to such a set */
	BH_LOAD_DELETE, /* hosts; behind the publication */
};

struct bh_feed_grace {
	uv_work_t work;
	struct bh_core *c; /* NULL: nobody waits any more */
};

struct bh_feed_load {
	struct bh_feed_index *in_force; /* NULL before the first commit */
	struct bh_feed_index *target, *old; /* while one is on its way */
	struct bh_emit_feeds sets; /* as the rules know them */
	enum bh_feed_phase phase;
	bool second; /* ADD to a new set: those of before */
	bool clean; /* DELETE: a rebuild left nothing to take out */
	struct bh_feed_grace *grace; /* packets that saw the sets as they were are waited for */
	int set; /* direction * 2 + (IPv6) */
	size_t i, j; /* how far in its lists */
	uint64_t began; /* ms */
	/* of the last load */
	uint64_t took_ms, added, removed;
	uv_timer_t timer;
};

void bh_core_feeds_init(struct bh_core *c);
void bh_core_feeds_finish(struct bh_core *c);
/* The index in force, a reference. Before the first commit: what there is, sets sized for it. */
struct bh_feed_index *bh_core_feeds_in_force(struct bh_core *c);
/* The feeds have another index: bring it into the kernel. */
void bh_core_feeds_changed(struct bh_core *c);
#define BH_FEED_BULKS (BH_FEED_SETS * 4)
/* What the kernel's sets are to hold after a rebuild. */
size_t bh_core_feeds_bulk(struct bh_core *c, struct bh_nft_bulk ret[static BH_FEED_BULKS],
	char name[static BH_FEED_BULKS][BH_FEED_SET_NAME_MAX]);
/* A rebuild put exactly that there: what was under way begins again. */
void bh_core_feeds_rebuilt(struct bh_core *c);
