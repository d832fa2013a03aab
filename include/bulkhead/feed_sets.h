/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The kernel's sets of threat feeds: what the compiler names, and the enforcer fills. */
#pragma once

#include <bulkhead/addr.h>

/*
 * The sets of threat feeds as the daemon has them: BH_VOLATILE_BULK. Those of single addresses have
 * a size, since the kernel then makes them in a third of the time; one that becomes too small is
 * filled anew beside the old one, under another name, before the rules refer to it.
 */
enum bh_feed_direction { /* in which a set is asked for an address */
	BH_FEED_SET_BOTH,
	BH_FEED_SET_IN, /* as a source */
	BH_FEED_SET_OUT, /* as a destination */
	BH_FEED_SETS
};
enum bh_feed_kind {
	BH_FEED_HOSTS4,
	BH_FEED_HOSTS6,
	BH_FEED_NEAR4, /* where IPv4 networks are, so that few packets search for one: see below */
	BH_FEED_SIZED, /* the kinds before have a size */
	BH_FEED_NETS4 = BH_FEED_SIZED,
	BH_FEED_NETS6,
	BH_FEED_KINDS
};
#define BH_FEED_SET_MIN 4096u
struct bh_emit_feeds {
	bool directed; /* the sets IN and OUT are there as well */
	/* powers of two, BH_FEED_SET_MIN at least */
	uint32_t size[BH_FEED_SETS][BH_FEED_SIZED];
	/* one that no rule asks yet; 0: there is none */
	uint32_t filling[BH_FEED_SETS][BH_FEED_SIZED];
};
/* "feeds4", "feeds6-in.64k", "feeds4-near", "feeds4-out-net". size: of a kind that has one. */
#define BH_FEED_SET_NAME_MAX 32
void bh_feed_set_name(enum bh_feed_direction d, enum bh_feed_kind kind, uint32_t size,
	char ret[static BH_FEED_SET_NAME_MAX]);
/*
 * The kernel finds an address among 50,000 networks in ten times the time that a hash takes, and
 * hardly any is in one. So the networks are asked only for addresses near one: whose first 24 bits,
 * if the network lies within a /24, else whose first 16, are in the set NEAR4. Ascending keys of
 * one network, `first`..`last` in host order: *ret_step is 256 or 65536.
 */
static inline uint32_t bh_feed_near_first(uint32_t first, uint32_t last, uint32_t *ret_step)
{
	*ret_step = first >> 8 == last >> 8 ? 1u << 8 : 1u << 16;
	return first & ~(*ret_step - 1);
}
