/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Forged frames and packets that the guard counted. */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct bh_core;
struct bh_forged;

#define BH_FORGED_MAX 512
struct bh_forgeries {
	struct bh_forged *item; /* BH_FORGED_MAX */
	size_t n;
	uint64_t packets; /* since the start */
	unsigned ticks;
};

void bh_core_forged_tick(struct bh_core *c);
void bh_core_forged_finish(struct bh_core *c);
