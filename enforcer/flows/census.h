/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Whose the flows in connection tracking are: counted by a thread, since a walk through a full
 * table takes some tenths of a second. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

struct bh_ct_entry;
struct bh_snapshot;

struct bh_census_of {
	size_t flows; /* that it opened, without those that are deleted */
	size_t spare; /* of these: nobody answered, or they are closed */
	size_t cut, cut_spare; /* that are deleted; of these */
};

struct bh_census {
	struct bh_snapshot *snap; /* whose workloads are counted; a reference; NULL: nothing is */
	struct bh_census_of *of; /* by workload of its inventory */
	size_t *towards; /* likewise: flows to it that are… */
	size_t others; /* …of no workload's opening: the outside's, the node's */
	size_t seen; /* all of the table */
	size_t cut; /* deleted, as the quotas said */
	bool part; /* it ended early: of what is there only so much was counted */
	int64_t began, took; /* µs since the boot, µs */
	int err; /* −errno: none of it is known */
};

/* What is to be deleted of a workload's flows while they are counted. */
struct bh_census_quota {
	size_t spare, open;
};

/* What else than counting all there is. */
struct bh_census_task {
	struct bh_census_quota *quota; /* by workload, used up; NULL: nothing is to be deleted */
	size_t left; /* when so many were deleted it ends; 0: it goes on to the end of the table */
	size_t enough; /* when it has so many flows of one it ends; 0: likewise */
};

void bh_census_init(struct bh_census *s, struct bh_snapshot *snap); /* takes a reference */
void bh_census_finish(struct bh_census *s);
/* One flow. true: it is one of those to be deleted. */
bool bh_census_count(
	struct bh_census *s, const struct bh_census_task *t, const struct bh_ct_entry *e);

/* The thread. Nothing of it is there but while it walks. */
struct bh_census_thread {
	bool walking; /* then the rest is its own */
	uv_thread_t thread;
	uv_async_t done;
	struct bh_census result;
	struct bh_census_task task;
};
void bh_census_thread_init(
	struct bh_census_thread *t, uv_loop_t *loop, uv_async_cb done, void *data);
/* Takes the task's quota. False: there is no thread to be had. */
bool bh_census_begin(
	struct bh_census_thread *t, struct bh_snapshot *snap, const struct bh_census_task *task);
/* Waits for it, if it walks; the caller owns the result. False: it did not. */
bool bh_census_take(struct bh_census_thread *t, struct bh_census *ret);
