/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What the audit log says of itself: a heartbeat with what was written and lost, and steps of the
 * clock.
 */
#include "core/pulse.h"

#include "answer/clock.h"
#include "audit/audit.h"
#include "core/state.h"
#include "feeds/feeds.h"
#include "flows/ends.h"
#include "modes/modes.h"
#include "policies/confirm.h"
#include "store/store.h"

#define HEARTBEAT_US 60000000
#define STEP_US 1000000 /* what the clock may gain or lose within one tick */

#define BOOT "clock_boot" /* a hash of the boot's id */
#define OFFSET "clock_offset"

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
	int r = bh_store_put_u64(c->store, BOOT, this_boot(c));
	if (r == 0)
		r = bh_store_put_u64(c->store, OFFSET, (uint64_t)offset);
	int done = bh_store_commit(c->store);
	if (r == 0 && done == 0)
		c->pulse.disk_offset = offset;
}

static void move_on_disk(struct bh_core *c, int64_t offset)
{
	int64_t by = offset - c->pulse.disk_offset;
	if (!is_step(by))
		return;
	bh_store_commit(c->store); /* what others have put is not to be lost with this */
	bh_store_shift_modes(c->store, by);
	bh_core_confirm_shift(c, by);
	note_offset(c, offset);
}

void bh_core_clock_load(struct bh_core *c)
{
	int64_t offset = bh_clock_now() - bh_clock_steady();
	uint64_t boot = 0, was = 0;

	c->pulse.clock_offset = c->pulse.kept_offset = offset;
	if (bh_store_get_u64(c->store, BOOT, &boot) < 0 || boot != this_boot(c) ||
		bh_store_get_u64(c->store, OFFSET, &was) < 0) {
		note_offset(c, offset);
		return;
	}
	c->pulse.disk_offset = (int64_t)was;
	move_on_disk(c, offset);
}

/* Steps, and what the clock gained bit by bit. */
static void move_ends(struct bh_core *c, int64_t offset)
{
	int64_t by = offset - c->pulse.kept_offset;
	if (is_step(by)) {
		c->pulse.kept_offset = offset;
		bh_core_modes_shift(c, by);
		c->confirm.deadline += by;
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
	if (!first && is_step(step))
		tell_step(c, now, step);
	if (!first && step >= BH_LEAP_US)
		c->pulse.leapt = boot;
	if (!first && step <= -STEP_US)
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

void bh_core_pulse_tick(struct bh_core *c)
{
	int64_t now = bh_clock_now();
	bh_core_clock_check(c, now, bh_clock_steady());
	beat(c, bh_clock_steady());
	c->pulse.ticked = now;
}
