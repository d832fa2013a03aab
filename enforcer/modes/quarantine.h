/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Who is in quarantine. */
#pragma once

#include <bulkhead/workload.h>
#include <jansson.h>

#include "store/store.h"

struct bh_core;

/* Why a workload is cut off: the same container, or the one that has its name now. */
#define BH_QUARANTINE_BY_ID 1
#define BH_QUARANTINE_BY_NAME 2
unsigned bh_core_quarantine_match(const struct bh_quarantine_row *q, const struct bh_workload *w);

int bh_core_quarantine_load(struct bh_core *c);
void bh_core_quarantine_finish(struct bh_core *c);
/* What is decided of the workload; NULL: it is in none. Borrowed. */
struct bh_quarantine *bh_core_quarantine_of(const struct bh_core *c, const struct bh_workload *w);

/* --- quarantine_view.c --- */
json_t *bh_core_allow_json(const struct bh_quarantine *q);
json_t *bh_core_quarantine_json(const struct bh_core *c, json_t *problems); /* for status */
json_t *bh_core_quarantine_row_json(const struct bh_core *c, const struct bh_quarantine_row *q);

/* --- between quarantine.c and quarantine_set.c --- */
void bh_quarantine_row_finish(struct bh_quarantine_row *q);
void bh_quarantine_keep(struct bh_core *c, const struct bh_quarantine_row *q); /* copies it */
