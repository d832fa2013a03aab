/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Dropped for their destination before DNAT. */
#pragma once

#include <bulkhead/flow.h>

struct bh_core;

#define BH_DIVERTED_MAX 256
struct bh_diverted {
	struct bh_flow flow; /* dst: before DNAT */
	uint64_t packets;
};

void bh_core_diverted_tick(struct bh_core *c);
