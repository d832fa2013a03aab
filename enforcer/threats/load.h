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
#include "threats/nets.h"

struct bh_core;

enum bh_feed_phase {
	BH_LOAD_IDLE,
	BH_LOAD_ADD, /* hosts and where networks are; a set that is made anew gets those of before
			as well */
	BH_LOAD_NETS, /* behind the change of the rules to such a set */
	BH_LOAD_DELETE, /* what ADD added; behind the publication */
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
	int set; /* ADD, DELETE: direction * BH_FEED_SIZED + kind; NETS: 0 IPv4, 1 IPv6 */
	size_t i, j; /* how far in its lists */
	size_t net_i[BH_FEED_NETS_SIDES],
		net_j[BH_FEED_NETS_SIDES]; /* NETS: in those of each set */
	bool sent; /* something in this phase */
	bool added_hosts; /* ADD sent something */
	size_t chunk; /* addresses in a transaction: as many as take a few ms */
	uint64_t began; /* ms */
	/* of the last load */
	uint64_t took_ms, added, removed;
	uint64_t enforced_ms; /* from when its text was there until it was in force */
	uv_timer_t timer;
};

void bh_core_feeds_init(struct bh_core *c);
void bh_core_feeds_finish(struct bh_core *c);
/* The index in force, a reference. Before the first commit: what there is, sets sized for it. */
struct bh_feed_index *bh_core_feeds_in_force(struct bh_core *c);
/* The feeds have another index: bring it into the kernel. */
void bh_core_feeds_changed(struct bh_core *c);

/* --- sets.c: which sets there are, and what each is to hold --- */
#define BH_FEED_CHUNK_MIN 256 /* powers of two */
#define BH_FEED_CHUNK_MAX 4096
#define BH_FEED_BULKS (BH_FEED_SETS * BH_FEED_KINDS)
/* What the kernel's sets are to hold after a rebuild. */
size_t bh_core_feeds_bulk(struct bh_core *c, struct bh_nft_bulk ret[static BH_FEED_BULKS],
	char name[static BH_FEED_BULKS][BH_FEED_SET_NAME_MAX]);
/* enum bh_feed_class and enum bh_feed_direction name the same three. Without an index: nothing. */
struct bh_nft_bulk bh_feed_list(
	const struct bh_feed_index *x, enum bh_feed_direction d, enum bh_feed_kind kind);
bool bh_feed_sets_has(const struct bh_feed_load *l, int direction);
/* Sizes for what an index holds, before anything is in force. */
void bh_feed_sets_init(struct bh_feed_load *l, const struct bh_feed_index *x);
/* Which sets have to be made anew for the way from l->old to l->target; true: some have. */
bool bh_feed_sets_plan(struct bh_feed_load *l);
bool bh_feed_sets_switch(struct bh_feed_load *l); /* to those that were filled; true: there are */
/* A set that is to be filled is made by a commit, which can be late. */
bool bh_feed_sets_are_there(const struct bh_core *c);

/* --- chunks.c: what differs, a transaction at a time --- */
/* 1: sent, come again; 0: this set is done; −errno: c->commit_error says which. */
int bh_feed_chunk(struct bh_core *c);
/* How many there are at the most while both are in the set. */
size_t bh_feed_count_both(const struct bh_feed_index *old, const struct bh_feed_index *new,
	enum bh_feed_direction d, enum bh_feed_kind kind);
/* Does a network of l->old have to go or to change? */
bool bh_feed_nets_shrink(const struct bh_feed_load *l);

/* A rebuild put exactly that there: what was under way begins again. */
void bh_core_feeds_rebuilt(struct bh_core *c);
