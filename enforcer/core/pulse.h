/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the audit log says of itself: heartbeats, steps of the clock. */
#pragma once

#include <stdint.h>

struct bh_core;

struct bh_pulse { /* µs since the epoch but for the offset */
	int64_t ticked, beat;
	int64_t clock_offset; /* of the clock to the time since boot */
};

void bh_core_pulse_tick(struct bh_core *c);
/* The clock says `now`, the time since boot is `boot`; both µs. What it gained or lost since the
 * last call, if that is more than a second, goes on record. */
void bh_core_clock_check(struct bh_core *c, int64_t now, int64_t boot);
