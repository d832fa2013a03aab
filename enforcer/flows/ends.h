/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Ends of flows, as conntrack tells them. */
#pragma once

#include <jansson.h>
#include <uv.h>

#include "verdict/shared.h"

struct bh_core;

#define BH_PAST_MAX 8
struct bh_past { /* a state that is or was in force */
	struct bh_snapshot *snap;
	int64_t since; /* µs since the epoch */
	uint64_t generation; /* of its policies; of the newest it is the core's */
};
struct bh_ended {
	struct bh_volume volume;
	int64_t begin, last; /* µs since the epoch; 0: not known */
	uint64_t generation; /* of the policies that decided it */
	/* By end (source, destination): not who the state says; then who it was, owned by whoever
	 * made it, NULL: not known. */
	bool other[2];
	struct bh_workload *who[2];
};
struct bh_end_sum {
	struct bh_event event; /* owns its snapshot; flow.sport 0: they differ */
	struct bh_ended end;
};
#define BH_END_SUMS_MAX 4096
struct bh_ends {
	struct bh_past
		past[BH_PAST_MAX]; /* the newest last; none unless conntrack is listened to */
	size_t n_past;
	struct bh_end_sum *sum; /* BH_END_SUMS_MAX */
	uint32_t *slot; /* hash → index + 1; twice as many */
	size_t n_sums;
	uint64_t summed_since; /* the loop's time, ms */
	uint64_t seen, lost; /* since the start; of our workloads, of the node */
	int64_t read_at; /* µs since the epoch */
	int error; /* errno: it can't be listened to */
	int missing; /* BH_CT_NO_* */
	uv_timer_t timer;
};

void bh_core_ends_init(struct bh_core *c);
void bh_core_ends_stop(struct bh_core *c);
void bh_core_ends_finish(struct bh_core *c);
/* Around a new state: it is in the kernel since `since` (µs); what ended until now is read, while
 * c->snap is still the one before; then, whether ends are wanted at all. */
void bh_core_ends_state(struct bh_core *c, struct bh_snapshot *s, int64_t since);
void bh_core_ends_set_back(struct bh_core *c, int64_t step); /* the clock was, by −step µs */
void bh_core_ends_read(struct bh_core *c);
void bh_core_ends_follow(struct bh_core *c);
json_t *bh_core_ends_json(const struct bh_core *c, json_t *problems);
