/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Flows seen a moment ago; for one thread. Zero-initialised is empty. */
#pragma once

#include <bulkhead/flow.h>

#define BH_RECENT_SLOTS 256

struct bh_recent_slot {
	uint64_t hash;
	int64_t until_ms; /* CLOCK_MONOTONIC */
};

struct bh_recent {
	struct bh_recent_slot slot[BH_RECENT_SLOTS];
};

void bh_recent_put(struct bh_recent *r, const struct bh_flow *f, unsigned for_ms);
/* Is its time not over yet? It may have been pushed out by another. */
bool bh_recent_has(const struct bh_recent *r, const struct bh_flow *f);
