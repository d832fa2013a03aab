/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Sources that ask the daemon faster than they may. */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

struct bh_core;
struct bh_paced;

#define BH_PACED_MAX 1024
struct bh_pace {
	struct bh_paced *source; /* BH_PACED_MAX */
	size_t n;
	uint64_t packets; /* of all sources, since the start */
	bool crowded; /* more sources than there is room for */
	int64_t crowded_told; /* µs since the epoch */
	uv_timer_t timer;
};

void bh_core_pace_init(struct bh_core *c);
void bh_core_pace_finish(struct bh_core *c);
void bh_core_pace_stop(struct bh_core *c); /* tells all that is counted */
json_t *bh_core_pace_json(const struct bh_core *c);
