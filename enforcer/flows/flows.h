/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Flow rows: collected by what they have in common, written to the store once a second. */
#pragma once

#include <bulkhead/engine.h>
#include <jansson.h>

#include "store/store.h"

struct bh_core;
struct bh_event;

#define BH_FLOW_BATCH_MAX 8192
struct bh_flow_batch { /* waiting for the next write to the store */
	struct bh_flow_row *row;
	size_t n, cap;
	uint32_t *slot; /* hash → row index + 1 */
	size_t mask;
};

void bh_core_flow_row(struct bh_core *c, struct bh_flow_row *r); /* takes what is in r */
void bh_core_flow_note(struct bh_core *c, const struct bh_event *e);
/* The row of such an event; owned. */
void bh_core_flow_fill(const struct bh_core *c, const struct bh_event *e, struct bh_flow_row *r);
void bh_core_flows_save(struct bh_core *c);
/* Connections that may be of that time (µs), and have no row of their own any more. */
uint64_t bh_core_flows_folded_since(struct bh_core *c, int64_t since);
/* The end of a flow as people read it: "ns/name", "host" or the address. */
void bh_core_end_name(
	const struct bh_inventory *inv, int32_t owner, const struct bh_addr *a, struct bh_buf *out);
/* "shop/web egress rule 0 peer 1", "cnp:no-db ingress rule 2 \"name\" peer 0 (Deny)": the rule
 * that decides the side; NULL if none does. Owned. */
char *bh_core_rule_name(const struct bh_side *s, enum bh_direction d);
json_t *bh_core_volume_json(const struct bh_volume *v); /* null: no flow's end was seen */
/* Adds a flow's volume as one of its ends sees it: its source, or (the two ways exchanged) not. */
void bh_core_volume_add(struct bh_volume *to, const struct bh_volume *v, bool source);
