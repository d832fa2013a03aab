/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Ways back of flows that were cut. */
#pragma once

#include <bulkhead/flow.h>

#include "flows/mirror.h"

struct bh_core;
struct bh_nft_beside;
struct bh_nft_keys;
struct bh_ruleset;
struct bh_snapshot;

struct bh_echo {
	struct bh_mirror mirror; /* by both ports; sent: the kernel has it */
	uint16_t *held; /* how many of it by whom, see echo.c; NULL: none yet */
	size_t beyond; /* there was no room for, since the last record */
	bool stale; /* the kernel has some that are over */
	bool due; /* the kernel refused what it was sent: the tick tries again */
};

void bh_core_echo_init(struct bh_core *c);
void bh_core_echo_finish(struct bh_core *c);
void bh_core_echo_cut(struct bh_core *c, const struct bh_flow *cut);

/* What may be held, for another thread: never says no of what was held when it was made, and yes of
 * little else, for it is what of a whole conntrack table is remembered. */
struct bh_echo_filter;
struct bh_echo_filter *bh_core_echo_filter(const struct bh_core *c); /* owned; NULL: nothing is */
bool bh_echo_filter_takes(const struct bh_echo_filter *x, const struct bh_flow *f);
void bh_echo_filter_free(struct bh_echo_filter *x); /* NULL is fine */

bool bh_core_echo_is(const struct bh_core *c, const struct bh_flow *f);
void bh_core_echo_send(struct bh_core *c); /* those that the kernel does not know yet */
void bh_core_echo_refresh(struct bh_core *c); /* the state in force is another */
void bh_core_echo_tick(struct bh_core *c);
/* At the start, before the first rules: reads back what a run before left in sets such as rs's. */
void bh_core_echo_recall(struct bh_core *c, const struct bh_ruleset *rs);

/* For a rebuild, which begins with empty sets: all there are, for rs. */
struct bh_echo_keys;
struct bh_echo_keys *bh_core_echo_keys(
	const struct bh_core *c, const struct bh_ruleset *rs, struct bh_nft_beside *beside);
void bh_core_echo_rebuilt(struct bh_core *c, struct bh_echo_keys *k, bool done); /* frees k */
