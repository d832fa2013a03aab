/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Recorded flows against policies that are not in force: what they would deny, and which of their
 * rules nothing recorded needs. A job of the event loop in small steps; one at a time.
 */
#pragma once

#include <bulkhead/engine.h>
#include <jansson.h>

#include "analysis/seen_rows.h"

struct bh_core;

#define BH_REPLAY_FINDINGS 1000
#define BH_REPLAY_NAMES 8 /* workloads and images of a finding */

struct bh_replay_finding {
	char *src, *dst; /* roles, addresses or "host" */
	uint8_t proto;
	uint16_t port;
	char *why; /* which side denies */
	uint64_t connections, flows;
	int64_t last; /* µs */
	char *workload[BH_REPLAY_NAMES], *image[BH_REPLAY_NAMES];
	size_t n_workloads, n_images;
};

struct bh_replay {
	uint64_t id;
	struct bh_policy_set *set;
	int64_t since; /* µs */
	uint64_t cursor; /* sequence of the last row looked at */
	struct bh_seen_rows seen;
	bool done;
	char *error;
	int64_t ended;
	struct bh_replay_finding *item;
	size_t n, cap;
	uint64_t flows, connections; /* recorded and passed in that time */
	uint64_t denied_flows, denied_connections;
	uint64_t unlisted; /* denied flows that no finding had room for */
	uint64_t unknown; /* flows of workloads of which nothing is recorded */
	bool **used; /* [policy][rule and peer, egress before ingress] */
};

/* Recorded flows against a set of policies (a reference of it is taken); since: µs. Its number. */
uint64_t bh_core_replay_start(struct bh_core *c, struct bh_policy_set *set, int64_t since);
void bh_core_replay_tick(struct bh_core *c); /* forgets an old result */
void bh_core_replay_finish(struct bh_core *c);

/* --- among the replay's files --- */
/* One step: some rows. */
void bh_core_replay_step(struct bh_core *c, struct bh_replay *r);
/* The rule that decided was needed. */
void bh_core_replay_use(struct bh_replay *r, const struct bh_decision *d);
json_t *bh_core_replay_unused(const struct bh_replay *r); /* [{"policy","rule"}] */
void bh_core_replay_alloc_uses(struct bh_replay *r);
