/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Who had to do with something: gathered by impact_find.c from recorded flows and stays, whatever
 * the question was, and rendered by impact.c. Bounded: rows that are read, ends that are kept.
 */
#pragma once

#include <bulkhead/image.h>
#include <jansson.h>

#include "inventory/idmap.h"
#include "store/store.h"

struct bh_core;

#define BH_IMPACT_ROWS 10000 /* flow rows that one question reads */
#define BH_IMPACT_ENDS 500 /* ends that it answers with */
#define BH_IMPACT_PEERS 5 /* for each of them */

struct bh_impact_peer {
	bool to; /* the flow went to it */
	char *name, *addr; /* owned */
	uint8_t proto;
	uint16_t port;
	char *verdict; /* owned */
	uint64_t connections;
	int64_t last_seen;
};

/* A workload, the node, or an address that is affected. */
struct bh_impact_end {
	uint64_t stay; /* 0: no workload, or one whose flows are older than stays are kept */
	char *name; /* "shop/web", "host", an address; owned */
	char *id; /* owned; NULL: no workload */
	int64_t first_seen, last_seen; /* 0: no flow */
	uint64_t allowed, would_deny, denied, rows;
	struct bh_volume volume; /* as the end sees it: what it sent, what it received */
	struct bh_impact_peer peer[BH_IMPACT_PEERS]; /* those of the newest rows */
	size_t n_peers;
};

struct bh_impact {
	struct bh_core *c;
	struct bh_impact_end *end;
	size_t n, cap;
	struct bh_idmap by_key; /* → index + 1 */
	json_t *owners; /* stays that had one of the addresses */
	size_t budget; /* rows that may still be read */
	bool truncated;
};
void bh_impact_init(struct bh_impact *x, struct bh_core *c);
void bh_impact_finish(struct bh_impact *x);
/* Each adds to x; 0 or −errno of the store. */
int bh_impact_add_range(struct bh_impact *x, const struct bh_range *r);
/* Of all that the feed lists, what recorded flows have. Rows of all addresses together are bounded
 * as those of one question are. */
int bh_impact_add_feed(struct bh_impact *x, const char *feed);
int bh_impact_add_image(struct bh_impact *x, const struct bh_image *want, const char *text);
int bh_impact_add_digest(struct bh_impact *x, const char *digest);
