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

struct bh_pulse { /* µs since the epoch but for the offset */
	int64_t ticked, beat;
	int64_t clock_offset; /* of the clock to the time since boot; 0: not known */
	int64_t kept_offset, disk_offset; /* the one that ends are by; those on disk */
	int64_t started; /* since the boot */
	int64_t back,
		back_at; /* by how much it was set back in all, and when last: since the boot */
	int64_t leapt; /* since the boot: when it was set forward by a day or more; 0: never */
};

void bh_core_pulse_tick(struct bh_core *c);
/* At the start: ends that are on disk are moved by what the clock was set meanwhile, if this is
 * still the boot in which they were written. Before they are read. */
void bh_core_clock_load(struct bh_core *c);
/* The clock says `now`, the time since boot is `boot`; both µs. What it gained or lost since the
 * last call, if that is more than a second, goes on record, and ends move with it. */
void bh_core_clock_check(struct bh_core *c, int64_t now, int64_t boot);
