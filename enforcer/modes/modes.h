/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Which mode a workload is in. */
#pragma once

#include <bulkhead/workload.h>

#include "store/store.h"

struct bh_core;

/* A mode set at run time, for the node, a namespace, a selector, or a selector in a namespace. */
struct bh_mode_override {
	struct bh_mode_row row; /* its scope is owned */
	char *namespace; /* NULL = any */
	bool has_selector;
	struct bh_selector selector;
	uint64_t ends; /* the loop's time, ms; 0 = never */
};

void bh_core_modes_load(struct bh_core *c);
void bh_core_modes_shift(struct bh_core *c, int64_t step); /* the clock was set by so many µs */
void bh_core_modes_tick(struct bh_core *c); /* those whose time is over */
void bh_core_modes_finish(struct bh_core *c);
/* The one with this scope, or NULL. */
struct bh_mode_override *bh_core_mode_find(const struct bh_core *c, const char *scope);
void bh_core_mode_keep(struct bh_core *c, const struct bh_mode_row *r); /* adds or replaces */
void bh_core_mode_drop(struct bh_core *c, struct bh_mode_override *o);
/* What decides the workload's mode, "set for namespace shop until …", for people. */
void bh_core_mode_origin(const struct bh_core *c, const struct bh_workload *w, struct bh_buf *out);
enum bh_mode bh_core_node_mode(const struct bh_core *c);
enum bh_mode bh_core_mode_of(const struct bh_core *c, const struct bh_workload *w);
