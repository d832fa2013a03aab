/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What belonged to workloads that are gone. */
#pragma once

#include <bulkhead/workload.h>

struct bh_core;

struct bh_departed { /* addresses whose flows are to be removed */
	struct bh_addr *addr; /* sorted */
	size_t n, cap;
};

bool bh_core_departs(const struct bh_inventory *from, const struct bh_inventory *to);
/* Adds the addresses that are behind another interface in `to`, or behind none. */
void bh_departed_collect(
	struct bh_departed *d, const struct bh_inventory *from, const struct bh_inventory *to);
void bh_core_departed_follow(/* from: NULL at the start */
	struct bh_core *c, const struct bh_inventory *from, const struct bh_inventory *to);
void bh_core_departed_purge(struct bh_core *c); /* what is left to be removed */
