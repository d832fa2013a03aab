/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What packet threads read: immutable once published. */
#pragma once

#include <bulkhead/engine.h>

#include "config/config.h"
#include "feeds/feeds.h"

struct bh_snapshot {
	int refs;
	char apart[64]; /* what changes all the time is in another cache line than what is read */
	struct bh_engine *engine;
	struct bh_feed_index *feeds;
	struct bh_config_exceptions exceptions; /* from feeds; without reasons */
	enum bh_mode node_mode;
	bool reject;
	bool stopped; /* nothing new passes, for it could not be recorded */
	uint64_t epoch; /* of the run's snapshots, ascending from 1 */
};
struct bh_snapshot *bh_snapshot_ref(struct bh_snapshot *s);
void bh_snapshot_unref(struct bh_snapshot *s);
void bh_snapshot_unref_many(struct bh_snapshot *s, int n);

/* --- denied.c: asked of any thread --- */
/* May the namespace of `other` talk to what blocking feeds list in this direction (BH_FEED_IN,
 * BH_FEED_OUT)? now: µs. */
bool bh_snapshot_excepts(const struct bh_snapshot *s, const struct bh_addr *listed, unsigned as,
	const struct bh_addr *other, int64_t now);
bool bh_snapshot_denies(
	const struct bh_snapshot *s, const struct bh_flow *f); /* by policy or feed */
