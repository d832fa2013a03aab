/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The directories that are listened to. */
#pragma once

struct bh_core;

void bh_core_watches_start(struct bh_core *c);
void bh_core_watches_stop(struct bh_core *c);
/* Watches a directory that was not there before. */
void bh_core_watch_policies(struct bh_core *c);
void bh_core_watches_tick(struct bh_core *c); /* directories that were replaced, or came */
