/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Which flows were answered: asked of conntrack, for learning. */
#pragma once

#include <bulkhead/flow.h>
#include <uv.h>

struct bh_core;

struct bh_answers {
	uv_timer_t timer;
	bool walk; /* the whole table is to be walked */
	uint64_t walk_at; /* not before; the loop's time, ms */
};

void bh_core_answers_init(struct bh_core *c);
void bh_core_answers_wait(struct bh_core *c); /* flows wait for their answer */
/* The kernel's cache let more flows of this one's tuple pass: one may have been answered. */
void bh_core_answers_check(struct bh_core *c, const struct bh_flow *f);
void bh_core_answered(struct bh_core *c, const struct bh_flow *f);
