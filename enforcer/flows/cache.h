/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The kernel's verdict cache, from this side. */
#pragma once

#include <jansson.h>
#include <uv.h>

#include "flows/mirror.h"
#include "nft/nft.h"

struct bh_core;
struct bh_event;

struct bh_verdict_cache {
	struct bh_mirror mirror;
	uint32_t *wanted; /* indexes of entries that wait to be sent; BH_MIRROR_MAX */
	size_t n_wanted;
	struct bh_value *value; /* scratch */
	uint64_t added, hits, full, errors;
	uv_timer_t send_timer, read_timer;
};

void bh_core_cache_init(struct bh_core *c);
void bh_core_cache_finish(struct bh_core *c);
void bh_core_cache_offer(struct bh_core *c, const struct bh_event *e); /* if it can be cached */
struct bh_cached *bh_core_cached(const struct bh_core *c, const struct bh_flow *f); /* or NULL */
void bh_core_cache_read(struct bh_core *c); /* counters → records */
/* Around a transaction: counts are taken before, everything is forgotten once the sets are empty.
 * Flush empties them where no transaction did. */
void bh_core_cache_before_commit(struct bh_core *c);
int bh_core_cache_flush(struct bh_core *c, struct bh_nft_error *err);
void bh_core_cache_forget(struct bh_core *c);
json_t *bh_core_cache_json(const struct bh_core *c);
