/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What was decided, by packet threads or by the kernel: recorded, learned, counted. */
#pragma once

#include <bulkhead/baseline.h>

#include "config/config.h"

struct bh_core;
struct bh_ended;
struct bh_event;

void bh_core_events_init(struct bh_core *c);
size_t bh_core_events_take(struct bh_core *c); /* some of the ring's; how many */
void bh_core_learned(const struct bh_tuple *t, const struct bh_flow *f, void *arg);
/* Records, learns and counts what was decided. */
void bh_core_event(struct bh_core *c, const struct bh_event *e);
/* Records it only. */
void bh_core_audit_event(struct bh_core *c, const struct bh_event *e);
void bh_core_audit_end(struct bh_core *c, const struct bh_event *e, const struct bh_ended *end);
/* What `audit.flows` says of its ends; the most of the two. end may be NULL. */
enum bh_audit_flows bh_core_flows_level(
	const struct bh_core *c, const struct bh_event *e, const struct bh_ended *end);
void bh_core_learn_ended(
	struct bh_core *c, const struct bh_event *e, const struct bh_volume *volume);
bool bh_core_learns(const struct bh_decision *d); /* may a side learn from it? */
/* The queue never saw this very flow of a cached tuple: it is told of and answered at once. */
void bh_core_learn_answered(struct bh_core *c, const struct bh_event *e);
