/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What the audit log says of itself: a heartbeat with what was written and lost, and steps of the
 * clock.
 */
#include "core/pulse.h"

#include <errno.h>

#include "answer/clock.h"
#include "audit/audit.h"
#include "core/state.h"
#include "feeds/feeds.h"
#include "flows/ends.h"
#include "history/history.h"
#include "modes/modes.h"
#include "policies/confirm.h"
#include "store/store.h"

#define HEARTBEAT_US 60000000
#define STEP_US 1000000 /* what the clock may gain or lose within one tick */

#define BOOT "clock_boot" /* a hash of the boot's id */
#define OFFSET "clock_offset"
#define LEAP "clock_leap" /* when it was set forward by a day or more, by itself */

static uint64_t this_boot(const struct bh_core *c)
{
	const char *id = c->boot_id ? c->boot_id : "";
	return bh_hash(id, strlen(id), BH_HASH_SEED);
}

static bool is_step(int64_t us)
{
	return us >= STEP_US || us <= -STEP_US;
}

/* In one transaction with the ends: what is on disk fits together, whatever the disk says. */
static void note_offset(struct bh_core *c, int64_t offset)
{
	if (bh_store_put_u64(c->store, BOOT, this_boot(c)) == 0)
		bh_store_put_u64(c->store, OFFSET, (uint64_t)offset);
	bh_store_commit(c->store);
}

/* 0, −ENOENT (nothing was noted in this boot) or −errno. The store is asked each time: a
 * transaction that could not be written moved nothing, one that waits for somebody else has. */
static int noted_offset(const struct bh_core *c, int64_t *ret)
{
	uint64_t boot = 0, was = 0;
	int r = bh_store_get_u64(c->store, BOOT, &boot);
	if (r == 0)
		r = boot == this_boot(c) ? bh_store_get_u64(c->store, OFFSET, &was) : -ENOENT;
	*ret = (int64_t)was;
	return r;
}

static void move_on_disk(struct bh_core *c, int64_t offset)
{
	int64_t was, by;
	int r = noted_offset(c, &was);
	if (r < 0 && r != -ENOENT)
		return;
	by = offset - (r == 0 ? was : c->pulse.first_offset);
	if (r == 0 && !is_step(by))
		return;
	bh_store_commit(c->store); /* what others have put is not to be lost with this */
	if (is_step(by)) {
		bh_store_shift_modes(c->store, by);
		bh_core_confirm_shift(c, by);
	}
	note_offset(c, offset);
}

/* Also at the start: for a day nothing is forgotten for its age. */
static void note_leap(struct bh_core *c, int64_t now)
{
	c->pulse.leapt = bh_clock_steady();
	if (c->store)
		bh_store_put_u64(c->store, LEAP, (uint64_t)now);
}

static void load_leap(struct bh_core *c, int64_t now)
{
	uint64_t at = 0;
	int64_t seen = bh_core_history_seen(c), ago;

	if (bh_store_get_u64(c->store, LEAP, &at) == 0) {
		ago = now - (int64_t)at;
		if (ago >= 0 && ago < BH_LEAP_US)
			c->pulse.leapt = bh_clock_steady() - ago;
	}
	/* Nobody was here for a day, or it was set meanwhile: which of both can't be told. */
	if (seen && now - seen >= BH_LEAP_US)
		note_leap(c, now);
}

void bh_core_clock_load(struct bh_core *c)
{
	int64_t now = bh_clock_now(), offset = now - bh_clock_steady(), was;

	c->pulse.clock_offset = c->pulse.kept_offset = c->pulse.first_offset = offset;
	if (noted_offset(c, &was) == -ENOENT) {
		/* A machine may boot with a clock that is years behind until somebody tells it:
		 * moved with that clock, ends of before the boot would be as far ahead. */
		bh_store_rebase_modes(c->store, now);
		bh_core_confirm_rebase(c, now);
	}
	move_on_disk(c, offset);
	load_leap(c, now);
}

/* Steps, and what the clock gained bit by bit. */
static void move_ends(struct bh_core *c, int64_t offset)
{
	int64_t by = offset - c->pulse.kept_offset;
	if (is_step(by)) {
		c->pulse.kept_offset = offset;
		bh_core_modes_shift(c, by);
		if (c->confirm.version)
			c->confirm.deadline += by;
		if (c->feeds)
			bh_feeds_clock_set(c->feeds);
	}
	move_on_disk(c, offset);
}

static void tell_step(struct bh_core *c, int64_t now, int64_t step)
{
	json_t *o = json_pack("{s:I}", "step_us", (json_int_t)step);
	json_object_set_new(o, "from", bh_clock_json(now - step));
	json_object_set_new(o, "to", bh_clock_json(now));
	bh_audit_event(c->audit, "clock.step", NULL,
		step > 0 ? "the clock was set forward" : "the clock was set back", NULL, o);
}

/* The kernel stamps flows with the same clock: what begins now seems to be of before whoever came
 * lately. */
static void note_back(struct bh_core *c, int64_t step, int64_t boot)
{
	c->pulse.back -= step;
	c->pulse.back_at = boot;
	bh_core_ends_set_back(c, step);
}

void bh_core_clock_check(struct bh_core *c, int64_t now, int64_t boot)
{
	int64_t offset = now - boot, step = offset - c->pulse.clock_offset;
	bool first = c->pulse.clock_offset == 0;

	c->pulse.clock_offset = offset;
	if (first) {
		c->pulse.kept_offset = c->pulse.first_offset = offset;
		return;
	}
	if (is_step(step))
		tell_step(c, now, step);
	if (step >= BH_LEAP_US)
		note_leap(c, now);
	if (step <= -STEP_US)
		note_back(c, step, boot);
	if (c->store)
		move_ends(c, offset);
}

static void beat(struct bh_core *c, int64_t now)
{
	struct bh_audit_stats a;

	if (c->pulse.beat && now - c->pulse.beat < HEARTBEAT_US)
		return;
	bh_audit_get_stats(c->audit, &a);
	c->pulse.beat = now;
	bh_audit_event(c->audit, "heartbeat", NULL, NULL, NULL,
		json_pack("{s:I, s:I, s:I, s:I, s:I, s:I}", "written", (json_int_t)a.written,
			"aggregated", (json_int_t)a.aggregated, "lost",
			(json_int_t)(a.lost + c->events_lost), "waiting", (json_int_t)a.waiting,
			"signed_sequence", (json_int_t)a.signed_sequence, "uptime",
			(json_int_t)((bh_clock_steady() - c->pulse.started) / 1000000)));
}

void bh_core_clock_look(struct bh_core *c)
{
	bh_core_clock_check(c, bh_clock_now(), bh_clock_steady());
}

void bh_core_pulse_tick(struct bh_core *c)
{
	int64_t now = bh_clock_now();
	bh_core_clock_check(c, now, bh_clock_steady());
	beat(c, bh_clock_steady());
	c->pulse.ticked = now;
}
