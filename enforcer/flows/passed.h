/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Flows that rules allow, as the kernel counts them. */
#pragma once

#include <uv.h>

#include "flows/mirror.h"

struct bh_core;

struct bh_passed {
	struct bh_mirror mirror;
	uint64_t beyond; /* of the kernel's count of what it does not list, told already */
	uint64_t unlisted; /* since the start */
	uv_timer_t timer;
};

void bh_core_passed_init(struct bh_core *c);
void bh_core_passed_finish(struct bh_core *c);
void bh_core_passed_read(struct bh_core *c);
/* As of the cache: while the rules that allowed them are in force. */
/* departs: somebody's address is going to be another's. */
void bh_core_passed_before_commit(struct bh_core *c, bool departs);
void bh_core_passed_forget(struct bh_core *c); /* the sets were emptied */
