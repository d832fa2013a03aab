/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Tells the learner which workloads there are. */
#pragma once

#include <stdint.h>

struct bh_core;

void bh_core_observe(struct bh_core *c, int64_t after); /* if the last time was so many µs ago */
void bh_core_observe_tick(struct bh_core *c);
