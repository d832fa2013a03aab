/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Looking back: when an address is listed, who talked to it before that? Recorded flows are gone
 * through in pieces, so that nothing waits for them; what is found is put on record and kept for
 * `feed show`. Looked at is what was listed since the index before, never all again at a restart.
 */
#pragma once

#include <bulkhead/flow.h>
#include <jansson.h>
#include <uv.h>

#include "feeds/feeds.h"

#define BH_FINDINGS_MAX 512

struct bh_finding {
	char *feed, *indicator, *workload, *address;
	bool to; /* the workload went there; else it came from there */
	int64_t first, last, at; /* µs since the epoch */
	uint64_t count;
	struct bh_volume volume; /* as the workload sees it: what it sent, what it received */
};

struct bh_lookback {
	struct bh_feed_index *old, *new; /* while it runs */
	uint64_t seq; /* of the store's rows: looked at up to there */
	uint64_t told; /* records of this look */
	struct bh_finding *item; /* a ring of BH_FINDINGS_MAX, the oldest is overwritten */
	size_t n, next;
	uv_timer_t timer;
};

struct bh_core;
void bh_core_lookback_init(struct bh_core *c);
void bh_core_lookback_finish(struct bh_core *c);
/* The index in force was `old`, and is another now. Takes a reference. */
void bh_core_lookback_start(struct bh_core *c, struct bh_feed_index *old);
json_t *bh_core_lookback_json(const struct bh_core *c, const char *feed);
