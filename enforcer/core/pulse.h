/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What the audit log says of itself: heartbeats, steps of the clock. And what a step must not
 * change: a mode that was set for half an hour, or a change on trial, ends when that has passed,
 * whatever the clock says meanwhile. On disk such an end is a time of day, since it holds over a
 * boot; it is moved with the clock, and beside it stands what the clock was by, so that the next
 * run finds a step that nobody saw.
 */
#pragma once

#include <stdint.h>

struct bh_core;

#define BH_LEAP_US (86400 * INT64_C(1000000)) /* a day */

struct bh_pulse { /* µs */
	int64_t ticked; /* since the epoch */
	int64_t beat, started; /* since the boot */
	int64_t clock_offset; /* of the clock to the time since boot; 0: not known */
	int64_t first_offset, kept_offset; /* at the start; the one that ends in memory are by */
	int64_t back,
		back_at; /* by how much it was set back in all, and when last: since the boot */
	/* Since the boot: when it was set forward by a day or more, maybe while nobody ran, or in
	 * the boot before (then it is negative); 0: never. */
	int64_t leapt;
};

void bh_core_pulse_tick(struct bh_core *c);
/* At the start: ends that are on disk are moved by what the clock was set meanwhile, if this is
 * still the boot in which they were written; in another one, those that were set by a clock ahead
 * of ours count from now. Before they are read. */
void bh_core_clock_load(struct bh_core *c);
/* The clock says `now`, the time since boot is `boot`; both µs. What it gained or lost since the
 * last call, if that is more than a second, goes on record, and ends move with it. */
void bh_core_clock_check(struct bh_core *c, int64_t now, int64_t boot);
/* The same, now: before something is put that ends at a time by the clock, since a step that is
 * seen later would move it as well. */
void bh_core_clock_look(struct bh_core *c);
