/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * How full the kernel's connection tracking is. When it is full the kernel drops every new flow of
 * the node, whatever rules say: one workload that opens many takes the network from all the others.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

struct bh_core;
struct bh_census;
struct bh_buf;

struct bh_tracking {
	bool known; /* the kernel told */
	uint32_t entries, max; /* flows now, and at most; max 0: it does not say */
	uint64_t kernel; /* its counter of drops when it was read last */
	uint64_t dropped; /* packets, for want of room, since the daemon's start */
	uint64_t untold; /* of these */
	int64_t dropped_at; /* µs since the epoch; 0: never */
	int64_t dropped_steady, told_at; /* µs since the boot; 0: never */
	char *who; /* the workload that most flows are of: "shop/web"; owned; NULL: none, not known
		    */
	size_t whose; /* flows of it, when they were counted */
	size_t others, to_target; /* then: of nobody here, and of these to… */
	char *target; /* …the workload that most of them are to; owned; NULL: none */
};

void bh_core_tracking_look(struct bh_core *c); /* how full is it now? */
void bh_core_tracking_counted(struct bh_core *c, const struct bh_census *s);
/* Once a second: looks, and puts drops on record, once a minute while they go on. */
void bh_core_tracking_tick(struct bh_core *c);
void bh_core_tracking_stop(struct bh_core *c); /* tells all that is counted */
void bh_core_tracking_finish(struct bh_core *c);
json_t *bh_core_tracking_json(const struct bh_core *c, json_t *problems); /* for status */
void bh_core_tracking_metrics(const struct bh_core *c, struct bh_buf *b);
