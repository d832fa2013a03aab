/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A change on trial: taken back unless somebody confirms it in time. */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

struct bh_answer;
struct bh_core;
struct bh_policy_change;

struct bh_confirm { /* version 0: there is none */
	uint64_t version, back; /* which is on trial; which comes back (0: no policies) */
	int64_t deadline; /* µs since the epoch */
	int64_t within; /* µs */
	bool expired; /* its time is over, but it could not be taken back everywhere yet */
};

/* Into the running transaction: what is to be confirmed now. −errno. */
int bh_core_confirm_put(struct bh_core *c, const struct bh_confirm *what);
/* Into the running transaction: the deadline on disk moves by so many µs. */
void bh_core_confirm_shift(struct bh_core *c, int64_t step);
/* Likewise: one that began after `now` (µs) begins now. */
void bh_core_confirm_rebase(struct bh_core *c, int64_t now);
void bh_core_confirm_load(struct bh_core *c); /* from the store */
void bh_core_confirm_start(struct bh_core *c); /* after the version is in force: the time runs */
json_t *bh_core_confirm_json(const struct bh_core *c); /* null if there is nothing to confirm */
/* Waits for it, or rolls back at once if its time is over; before the directory is first read. */
void bh_core_confirm_resume(struct bh_core *c);
/* An apply while another awaits confirmation: true, with the answer. */
bool bh_core_confirm_pending(const struct bh_core *c, struct bh_answer *ret_error);
