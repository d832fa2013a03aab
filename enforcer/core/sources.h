/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Which sources of workloads there are. */
#pragma once

#include <stdbool.h>

struct bh_core;

void bh_core_sources_start(struct bh_core *c);
void bh_core_sources_settings(struct bh_core *c); /* the configuration is another */
void bh_core_sources_tick(struct bh_core *c); /* looks for new ones */
/* Whether to commit what they say: all were heard once, or there is no earlier run's rules to be
 * kept for those that are not. */
bool bh_core_sources_enough(const struct bh_core *c);
