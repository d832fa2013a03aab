/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The packet queues as the loop sees them. */
#pragma once

#include <bulkhead/util.h>
#include <jansson.h>

struct bh_core;

int bh_core_queues_start(struct bh_core *c, char **why); /* 0 or −errno with *why, owned */
void bh_core_queues_stop(struct bh_core *c);
void bh_core_queues_recheck(struct bh_core *c); /* held packets are asked for again */
void bh_core_queues_tick(struct bh_core *c);
json_t *bh_core_queues_json(struct bh_core *c);
void bh_core_queues_metrics(struct bh_core *c, struct bh_buf *b);
