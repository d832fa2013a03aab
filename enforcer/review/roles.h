/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Roles as the views show them: from the workloads there are, what was observed and the tuples. */
#pragma once

#include <bulkhead/baseline.h>

#include "learn/learn.h"

struct bh_core;

#define BH_HISTORY 32 /* equal parts of the time since a role was observed first */

struct bh_role_view {
	struct bh_end end; /* owned */
	char *name; /* owned */
	size_t workloads, edges_in, edges_out, unanswered;
	uint64_t folded; /* tuples that are not kept one by one any more */
	uint64_t connections;
	int64_t since; /* µs: observed first, or first seen in a flow; 0 = never */
	int64_t last_new; /* µs: last new edge; 0 = none */
	bool mixed; /* its workloads are in different modes */
	enum bh_mode mode;
	const struct bh_role_row *seen; /* borrowed; NULL: never observed */
	uint32_t history[BH_HISTORY]; /* new edges */
};

struct bh_role_views {
	struct bh_role_view *item; /* sorted by end once built */
	size_t n, cap;
	uint32_t *slot; /* index + 1; open addressing */
	size_t mask;
};

/* `tuple` are bh_learn_tuples(). */
void bh_core_role_views(struct bh_core *c, const struct bh_tuple *tuple, size_t n, int64_t now,
	struct bh_role_views *ret);
void bh_core_role_views_finish(struct bh_role_views *v);
void bh_core_role_ready(const struct bh_role_view *x, int64_t now, struct bh_ready *ret);
/* Does the role have this namespace and name? NULL: any. */
bool bh_core_role_is(const struct bh_role_view *x, const char *ns, const char *name);
