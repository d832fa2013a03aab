/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Cutting established connections that the state in force denies. */
#pragma once

#include <stdbool.h>
#include <uv.h>

struct bh_core;
struct bh_ct;
struct bh_ct_found;
struct bh_echo_filter;
struct bh_snapshot;

/* Conntrack is walked, by a thread, for connections that are denied by now. */
struct bh_revoking {
	uv_timer_t timer;
	unsigned sweeps; /* further ones that are under way or done */
	bool again; /* at once when the thread is back */
	bool walking; /* the thread is; then what follows is its own */
	uv_thread_t thread;
	uv_async_t done;
	struct bh_ct *ct;
	struct bh_snapshot *snap;
	struct bh_echo_filter *echoes; /* ways back were cut before: see echo.h; NULL: none */
	struct bh_ct_found *found;
	int err;
};

void bh_core_revoke(struct bh_core *c); /* from the loop at once, and again after 100 ms */
int bh_core_revoke_now(struct bh_core *c); /* before it returns: how many, or −errno */
void bh_core_revoke_init(struct bh_core *c);
void bh_core_revoke_stop(struct bh_core *c); /* waits for the thread, cuts what is due */
