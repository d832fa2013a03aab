/* SPDX-License-Identifier: GPL-3.0-or-later */
/* `fast_path: true`: who takes it, and at which interfaces (fastpath/fastpath.h). */
#pragma once

#include <jansson.h>
#include <uv.h>

#include "fastpath/fastpath.h"
#include "flows/mirror.h"

struct bh_core;

struct bh_fast_path {
	struct bh_fast *fast; /* NULL: nothing takes it */
	char *error; /* why it is not there although it is wanted */
	struct bh_inventory *followed; /* by which it is what it is; a reference, or NULL */
	bool again; /* all of it once more, in a second: something else changed, or went wrong */
	bool looked; /* for what an earlier run left at interfaces */
	bool noted, left; /* that there are programs; it left some that can't be seen */
	struct bh_fast_port {
		unsigned ifindex, bridge;
		int plain; /* enum bh_link_plain, or −errno */
		bool attached, stale; /* it may be an earlier run's */
	} * port; /* by ifindex */
	size_t n_ports, next; /* whose turn it is to be looked at again */
	size_t at; /* up to here programs are where they are to be */
	uv_timer_t timer; /* further ones */
	unsigned ticks;
	struct bh_mirror permits; /* that are given, and what was told of their counts */
	uint64_t begun; /* connections that were opened with them, since the start */
};

void bh_core_fast_path_init(struct bh_core *c);
/* Addresses that are somewhere else in `to`, or nobody's, take it no more: before that is in force.
 */
void bh_core_fast_path_before_commit(struct bh_core *c, const struct bh_inventory *to);
/* After each commit, and once a second: what the kernel has of it is what the state in force and
 * the configuration say. Flows that take it no more go on the usual way. */
void bh_core_fast_path_follow(struct bh_core *c);
void bh_core_fast_path_tick(struct bh_core *c);
void bh_core_fast_path_again(struct bh_core *c); /* a failure is no reason not to try any more */
void bh_core_fast_path_finish(struct bh_core *c); /* what is in the kernel stays */
/* All 0 where there is none, or it can't be asked. */
void bh_core_fast_path_counts(const struct bh_core *c, struct bh_fast_counts *ret);
/* fast_left.c: before programs are put at interfaces; after it was looked for them, to take them
 * away (`all`), and some may not have been seen. */
void bh_core_fast_left_note(struct bh_core *c);
void bh_core_fast_left_looked(struct bh_core *c, bool all, bool unseen);
void bh_core_fast_left_problem(const struct bh_core *c, json_t *problems);
/* {"wanted", "on", "interfaces", "addresses", "packets", "bytes", "connections", "left_out": [{…}],
 * "error"} */
json_t *bh_core_fast_path_json(struct bh_core *c, json_t *problems);
