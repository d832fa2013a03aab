/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Who holds too much of connection tracking while it fills up is kept from opening more, so that
 * there is room left for the others.
 */
#pragma once

#include <bulkhead/engine.h>

#include <jansson.h>

#include "flows/census.h"

struct bh_buf;
struct bh_core;
struct bh_ct_fill;

/* By how full it is; what each says of the crowding ones. */
enum bh_crowding_level {
	BH_CROWDING_NONE, /* there is room: nothing */
	BH_CROWDING_PACED, /* new flows at the rate that keeps them at their share */
	BH_CROWDING_REFUSED, /* no new flow; the spare ones beyond their share end */
	BH_CROWDING_CUT, /* there is no room: of open ones too */
};

struct bh_crowder {
	char *id, *name; /* of the workload; "shop/web" */
	uint64_t generation;
	size_t flows, spare; /* when they were counted last */
	int64_t since; /* µs since the epoch */
	bool told; /* on record */
};

struct bh_crowding {
	enum bh_crowding_level level;
	struct bh_crowder *who;
	size_t n, cap;
	struct bh_emit_crowding in_force; /* as the kernel was told; owned with its texts */
	struct bh_census last; /* of the last walk; without a snapshot: there is none */
	int64_t risen_at; /* the level: what was counted before is not enough; µs since the boot */
	bool fresh; /* nobody has looked at it yet */
	uint32_t entries; /* in the table, when that was begun */
	struct bh_census_thread thread;
	uv_timer_t timer; /* looks more often than the tick */
	uint32_t ticked; /* entries when the tick looked */
	int64_t dropped_at; /* when the kernel dropped for want of room; likewise, 0: never */
	uint64_t counted; /* of the kernel's counter, told already */
	uint64_t untold; /* packets and flows that no record has yet */
	uint64_t uncut;
	int64_t told_at; /* likewise */
	uint64_t packets, cut, times; /* since the start: dropped, ended; who was held back */
};

/* --- crowding_rule.c --- */

#define BH_CROWDING_OFF 100 /* percent: nobody can hold more */
/* Is it part / of full? */
bool bh_crowding_at_least(const struct bh_ct_fill *f, unsigned part, unsigned of);
enum bh_crowding_level bh_crowding_next(
	enum bh_crowding_level now, const struct bh_ct_fill *f, bool dropping);
/* Flows that are a workload's share then; UINT32_MAX: without limit. share: percent. */
uint32_t bh_crowding_share(uint32_t max, uint32_t share, enum bh_crowding_level level);
/* Does it hold too much? `already`: it did until now, and has to hold clearly less. */
bool bh_crowding_too_many(size_t flows, uint32_t share, bool already);
/* New flows a second that keep who is at his share there, if they live two minutes each. */
uint32_t bh_crowding_rate(uint32_t share);
struct bh_census_quota bh_crowding_quota(
	enum bh_crowding_level level, size_t flows, size_t spare, uint32_t share);

/* --- in the daemon --- */

void bh_core_crowding_init(struct bh_core *c);
/* After each look at how full it is. */
void bh_core_crowding_look(struct bh_core *c, const struct bh_ct_fill *f, bool dropping);
void bh_core_crowding_tick(struct bh_core *c); /* once a second, after that */
void bh_core_crowding_stop(struct bh_core *c); /* waits for the thread, tells what is counted */
void bh_core_crowding_finish(struct bh_core *c);

uint32_t bh_core_crowding_share(const struct bh_core *c); /* flows, as things are */
/* What the rules are to say of an engine's workloads; owned, for _free. */
struct bh_emit_crowding bh_core_crowding_list(const struct bh_core *c, const struct bh_engine *e);
void bh_crowding_list_free(struct bh_emit_crowding *l);
bool bh_crowding_list_equal(const struct bh_emit_crowding *a, const struct bh_emit_crowding *b);

/* --- crowding_tell.c --- */
/* Reads what the kernel dropped; the counter is gone when the rules change. */
void bh_core_crowding_count(struct bh_core *c);
void bh_core_crowding_begun(struct bh_core *c, struct bh_crowder *w); /* puts it on record */
void bh_core_crowding_ended(struct bh_core *c, const struct bh_crowder *w);
void bh_core_crowding_stays(
	struct bh_core *c); /* the daemon stops: a record, if any is held back */
void bh_core_crowding_goes_on(struct bh_core *c); /* a record each minute */
json_t *bh_core_crowding_json(const struct bh_core *c, json_t *problems);
void bh_core_crowding_metrics(const struct bh_core *c, struct bh_buf *b);
