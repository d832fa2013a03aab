/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The audit log's other receivers. */
#pragma once

#include <bulkhead/util.h>
#include <jansson.h>

struct bh_core;

int bh_core_sinks_start(struct bh_core *c, char **why); /* 0 or −errno with *why, owned */
void bh_core_sinks_stop(struct bh_core *c);
json_t *bh_core_sinks_json(struct bh_core *c);
void bh_core_sinks_metrics(struct bh_core *c, struct bh_buf *b);
