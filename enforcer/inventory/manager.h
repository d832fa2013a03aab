/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The manager's inside: manager.c listens, record.c looks at one container's network namespace,
 * build.c makes inventories. */
#pragma once

#include "inventory/idmap.h"
#include "inventory/inventory.h"

#define BH_MGR_DELAY_MS 10 /* changes are gathered for so long after the last one … */
#define BH_MGR_DELAY_MAX_MS 50 /* … and this at most, unless building takes long itself */
#define BH_MGR_TICK_MS 1000
#define BH_MGR_SWEEP_TICKS 10 /* every so often all namespaces are checked by inode */
#define BH_MGR_PERSISTS_MS                                                                         \
	3000 /* before a container that cannot be inspected is listed as such                      \
	      */

struct bh_mgr_source {
	struct bh_inventory_mgr *mgr;
	struct bh_source *source;
	bool synced, ok;
	char *message;
	struct bh_idmap records; /* id → struct bh_record */
};

/* A container and what the kernel said of its namespace. */
struct bh_record {
	struct bh_container *container;
	size_t source; /* index: earlier sources go first */
	bool stale; /* to be inspected (again) */
	int err; /* of the last inspection */
	struct bh_workload *seen; /* interfaces, netns and unenforceable; NULL = nothing good */
	uint64_t start_time; /* of the process, clock ticks since boot; 0 = unknown */
	uint64_t failing_since; /* loop time; 0 = it could be inspected */
	bool persists; /* has been announced as failing for BH_MGR_PERSISTS_MS */
};

/* Who holds a network namespace. */
struct bh_mgr_owner {
	char *who;
	uint64_t generation;
	uint64_t build; /* the last one that saw it */
};

struct bh_inventory_mgr {
	uv_loop_t *loop;
	struct bh_link *link;
	bh_inventory_changed_fn fn;
	void *arg;
	uv_timer_t gather, tick;
	uv_poll_t poll;
	bool polling;
	unsigned handles;
	unsigned ticks;
	uint64_t pending_since; /* loop time of the first change not yet told; 0 = none */
	uint64_t cost_ms; /* of the last build */
	struct bh_mgr_source **source;
	size_t n_sources, cap_sources;
	struct bh_idmap owners; /* netns inode in decimal → struct bh_mgr_owner */
	uint64_t generation, builds;
	bool host_failed; /* the node's own addresses are those of an earlier build */
	struct bh_prefix *network;
	struct bh_addr *host;
	size_t n_networks, n_hosts;
};

/* record.c */
struct bh_record *bh_record_new(struct bh_container *c, size_t source); /* takes c */
void bh_record_free(void *record);
/* Keeps of an earlier record of the same container what still holds. */
void bh_record_inherit(struct bh_record *r, struct bh_record *from);
/* Inspects it if it is stale. */
void bh_record_refresh(struct bh_inventory_mgr *m, struct bh_record *r);
/* Whether another attempt may give another result. */
bool bh_record_failing(const struct bh_record *r);
/* Whether its path leads to another namespace than was inspected. */
bool bh_record_moved(const struct bh_record *r);
/* Why it cannot be inspected, for people. Owned. */
char *bh_record_reason(const struct bh_record *r);

/* build.c */
void bh_mgr_owner_free(void *owner);
