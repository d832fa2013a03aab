/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What the audit log says of itself: a heartbeat with what was written and lost, and steps of the
 * clock.
 */
#include "core/pulse.h"

#include <time.h>

#include "answer/clock.h"
#include "audit/audit.h"
#include "core/state.h"

#define HEARTBEAT_US 60000000
#define STEP_US 1000000 /* what the clock may gain or lose within one tick */

/* Time since the machine booted, also while it slept; nobody can set it. */
static int64_t since_boot(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_BOOTTIME, &ts);
	return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

void bh_core_clock_check(struct bh_core *c, int64_t now, int64_t boot)
{
	int64_t offset = now - boot, step = offset - c->pulse.clock_offset;
	bool first = c->pulse.clock_offset == 0;

	c->pulse.clock_offset = offset;
	if (first || (step < STEP_US && step > -STEP_US))
		return;
	json_t *o = json_pack("{s:I}", "step_us", (json_int_t)step);
	json_object_set_new(o, "from", bh_clock_json(now - step));
	json_object_set_new(o, "to", bh_clock_json(now));
	bh_audit_event(c->audit, "clock.step", NULL,
		step > 0 ? "the clock was set forward" : "the clock was set back", NULL, o);
}

static void beat(struct bh_core *c, int64_t now)
{
	struct bh_audit_stats a;

	if (c->pulse.beat && now - c->pulse.beat < HEARTBEAT_US && now >= c->pulse.beat)
		return;
	bh_audit_get_stats(c->audit, &a);
	c->pulse.beat = now;
	bh_audit_event(c->audit, "heartbeat", NULL, NULL, NULL,
		json_pack("{s:I, s:I, s:I, s:I, s:I, s:I}", "written", (json_int_t)a.written,
			"aggregated", (json_int_t)a.aggregated, "lost",
			(json_int_t)(a.lost + c->events_lost), "waiting", (json_int_t)a.waiting,
			"signed_sequence", (json_int_t)a.signed_sequence, "uptime",
			(json_int_t)((now - c->started) / 1000000)));
}

void bh_core_pulse_tick(struct bh_core *c)
{
	int64_t now = bh_clock_now();
	bh_core_clock_check(c, now, since_boot());
	beat(c, now);
	c->pulse.ticked = now;
}
