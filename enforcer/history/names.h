/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What DNS answers call outside addresses. */
#pragma once

#include <bulkhead/baseline.h>
#include <jansson.h>

#include "learn/names.h"

struct bh_core;

int bh_core_names_start(struct bh_core *c); /* 0 or −errno of the store */
bool bh_core_names_wanted(const struct bh_core *c); /* DNS is to be copied to us */
void bh_core_names_stop(struct bh_core *c); /* closes the handle, saves */
void bh_core_names_finish(struct bh_core *c);
int bh_core_names_save(struct bh_core *c); /* and commits */
void bh_core_names_forget(struct bh_core *c, const struct bh_end *end);
/* What `end`, else the node, was told; borrowed until the next packet. How many. */
size_t bh_core_names_of(struct bh_core *c, const struct bh_end *end, const struct bh_addr *addr,
	const char *ret[static BH_NAMES_PER_ADDR]);
json_t *bh_core_names_json(/* an array; NULLs: empty */
	struct bh_core *c, const struct bh_end *end, const struct bh_addr *addr);
/* The role of whoever it was; NULL: not known. Borrowed until the next call. */
const struct bh_end *bh_core_stay_end(struct bh_core *c, uint64_t stay);
json_t *bh_core_names_status(const struct bh_core *c);
const char *bh_core_names_problem(const struct bh_core *c); /* NULL: none */
