/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Feeds that are added by command. */
#pragma once

#include <stdbool.h>

struct bh_core;

void bh_core_feeds_load_added(struct bh_core *c);
void bh_core_feeds_configure(struct bh_core *c); /* what the file and commands say */
bool bh_core_feed_is_added(const struct bh_core *c, const char *name);
