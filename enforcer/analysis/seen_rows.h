/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * For who walks the flow table in steps: a row that changes meanwhile moves to the end, with
 * another sequence, and would be met again.
 */
#pragma once

#include "store/store.h"

struct bh_seen_rows {
	uint64_t *hash;
	size_t mask, n;
};
void bh_seen_rows_init(struct bh_seen_rows *s, size_t rows); /* there can be; 16 to 32 bytes each */
void bh_seen_rows_finish(struct bh_seen_rows *s);
bool bh_seen_rows_add(
	struct bh_seen_rows *s, const struct bh_flow_row *row); /* false: met before */
