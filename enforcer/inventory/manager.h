/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The manager's inside: manager.c listens to sources, heard.c to the kernel, walk.c looks again
 * unasked, record.c looks at one container's network namespace, ids.c knows the containers,
 * spaces.c sorts them into namespaces and makes inventories, build.c makes a workload, own.c and
 * macs.c say what is its own, node.c looks at the node. */
#pragma once

#include "inventory/idmap.h"
#include "inventory/inventory.h"

#define BH_MGR_DELAY_MS 5 /* at least so long between two looks at what notices spoke of … */
#define BH_MGR_DELAY_MAX_MS 500 /* … and this at most, when they take long */
#define BH_MGR_TICK_MS 1000
#define BH_MGR_SWEEP_TICKS 10 /* every so often the node's addresses are asked for anew */
#define BH_MGR_ROUND_MS 10000 /* once in this time every namespace is checked by inode … */
#define BH_MGR_ROUNDS 18 /* … and in so many of them inspected once */
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
	enum bh_source_rank rank; /* of its source */
	size_t source; /* index: of one rank earlier sources go first */
	bool stale; /* to be inspected (again) before it counts */
	int err; /* of the last inspection */
	struct bh_workload *seen; /* interfaces, netns and unenforceable; NULL = nothing good */
	uint64_t start_time; /* of the process, clock ticks since boot; 0 = unknown */
	uint64_t failing_since; /* loop time; 0 = it could be inspected */
	bool persists; /* has been announced as failing for BH_MGR_PERSISTS_MS */
};

/* A container, whichever sources have it. */
struct bh_mgr_id {
	char *id;
	struct bh_space *space; /* NULL = left out */
	size_t source; /* whose record counts; SIZE_MAX = none yet */
	bool dirty; /* in dirty_id */
	bool heard; /* in heard_id */
	unsigned visits; /* of the walk */
	struct bh_mgr_id *prev, *next; /* in the ring that is walked */
};

struct bh_mgr_ids {
	struct bh_mgr_id **item;
	size_t n, cap;
};

/* A network namespace and the workload it is. */
struct bh_space {
	char *key; /* its inode in decimal, or "alone " and the id of a container */
	struct bh_mgr_id **member;
	size_t n, cap;
	bool dirty; /* in dirty_space */
	struct bh_workload *built; /* as in the last inventory; NULL = not in it */
	char **who; /* live in it: when none of them is left, it is another generation */
	size_t n_who;
	uint64_t generation;
	struct bh_mgr_mac *mac; /* those it claims, each once on a bridge */
	size_t n_macs;
	char *told[BH_CLAIMS_TOLD]; /* claims that it was told of */
	size_t n_told;
};

struct bh_mgr_mac {
	unsigned bridge; /* ifindex */
	struct bh_mac mac;
	unsigned port; /* ifindex of the host side of the veth */
	bool declared; /* by its source */
};

/* The subnets of a bridge, as they were when workloads on it were made. */
struct bh_mgr_networks {
	unsigned ifindex;
	struct bh_prefix *item;
	size_t n;
};

/* An interface of this node behind which workloads live. */
struct bh_mgr_attached {
	unsigned ifindex;
	int n;
};

struct bh_inventory_mgr {
	uv_loop_t *loop;
	struct bh_link *link;
	bh_inventory_changed_fn fn;
	void *arg;
	uv_timer_t tell, look, walk, tick;
	uv_poll_t poll;
	unsigned handles;
	unsigned ticks;
	uint64_t looked_at; /* loop time */
	uint64_t look_us, build_us; /* the last took so long */
	struct bh_mgr_source **source;
	size_t n_sources, cap_sources;
	struct bh_inventory *last; /* NULL before the first */
	struct bh_idmap ids; /* → struct bh_mgr_id */
	struct bh_idmap spaces; /* key → struct bh_space */
	struct bh_mgr_ids dirty_id; /* to be placed anew */
	struct bh_mgr_ids heard_id; /* to be looked at, then dirty if it is not what it was */
	struct bh_mgr_id *ring; /* the next to be walked to */
	size_t hurry; /* so many are to be inspected soon */
	struct bh_space **dirty_space; /* to be made anew */
	size_t n_dirty_spaces, cap_dirty_spaces;
	bool settings_changed;
	char **namespace_label; /* NULL-terminated; NULL = the usual */
	uint64_t generation;
	struct bh_mgr_attached *attached; /* sorted */
	size_t n_attached, cap_attached;
	struct bh_mgr_networks *networks; /* of bridges */
	size_t n_bridges, cap_bridges;
	struct bh_idmap macs; /* bridge and MAC → who claims it, the one who has it first */
	uint64_t builds;
	bool host_stale; /* look at the node's own addresses … */
	bool host_anew; /* … and don't rely on notices */
	bool host_failed; /* those known are from an earlier time */
	bool host_changed; /* since the last inventory */
	struct bh_prefix *network;
	struct bh_addr *host;
	size_t n_networks, n_hosts;
};

/* record.c */
struct bh_record *bh_record_new(
	struct bh_container *c, enum bh_source_rank rank, size_t source); /* takes c */
void bh_record_free(void *record);
/* Keeps of an earlier record of the same container what still holds. */
void bh_record_inherit(struct bh_record *r, struct bh_record *from);
/* Inspects it if it is stale. True: what is known of it is not what it was. */
bool bh_record_refresh(struct bh_inventory_mgr *m, struct bh_record *r);
/* Whether another attempt may give another result. */
bool bh_record_failing(const struct bh_record *r);
/* Whether its path leads to another namespace than was inspected. */
bool bh_record_moved(const struct bh_record *r);
/* Why it cannot be inspected, for people. Owned. */
char *bh_record_reason(const struct bh_record *r);

/* ids.c */
void bh_mgr_mark(struct bh_inventory_mgr *m, const char *id); /* something about it is new */
void bh_mgr_mark_all(struct bh_inventory_mgr *m); /* they are to be inspected as well */
/* The record that counts, of the sources that have the container; NULL: none has it any more. */
struct bh_record *bh_mgr_record(const struct bh_inventory_mgr *m, struct bh_mgr_id *id);
int bh_record_order(const void *a, const void *b); /* of pointers to records; for qsort */
/* Inspects it in any case. True: it is not what it was, and marked. */
bool bh_mgr_inspect(struct bh_inventory_mgr *m, struct bh_mgr_id *id);
void bh_mgr_id_add(struct bh_mgr_ids *to, struct bh_mgr_id *id);
void bh_mgr_id_remove(struct bh_inventory_mgr *m, struct bh_mgr_id *id);
void bh_mgr_ids_finish(struct bh_inventory_mgr *m);

/* heard.c */
void bh_mgr_listen(struct bh_inventory_mgr *m);
void bh_mgr_on_look(uv_timer_t *t);

/* walk.c */
void bh_mgr_walk_start(struct bh_inventory_mgr *m);
void bh_mgr_hurry(struct bh_inventory_mgr *m); /* everybody, as soon as is bearable */

/* manager.c */
void bh_mgr_tell(
	struct bh_inventory_mgr *m); /* there is something new, when the loop comes round */

/* own.c: which of its addresses are a workload's own */
void bh_mgr_take_addrs(struct bh_inventory_mgr *m, const struct bh_workload *seen, size_t iface,
	struct bh_record *const *r, size_t n, struct bh_interface *to);
/* The node's addresses may be others: workloads whose bridges have other subnets are marked. True:
 * there are some. */
bool bh_mgr_networks_look(struct bh_inventory_mgr *m);
void bh_mgr_networks_finish(struct bh_inventory_mgr *m);

/* macs.c: who has a MAC on a bridge. Spaces whose answer is another are marked. */
void bh_mgr_macs_claim(
	struct bh_inventory_mgr *m, struct bh_space *s, struct bh_record *const *r, size_t n);
bool bh_mgr_mac_is_own(
	const struct bh_inventory_mgr *m, const struct bh_space *s, const struct bh_interface *f);
void bh_mgr_macs_finish(struct bh_inventory_mgr *m);

/* spaces.c */
void bh_mgr_mark_space(struct bh_inventory_mgr *m, struct bh_space *s);
struct bh_space *bh_mgr_space(const struct bh_inventory_mgr *m, uint64_t netns); /* or NULL */
void bh_mgr_spaces_finish(struct bh_inventory_mgr *m);

void bh_space_forget_who(struct bh_space *s); /* build.c */
/* build.c: the workload of a space; records in order, at least one. Mode and quarantine not set. */
struct bh_workload *bh_mgr_make(
	struct bh_inventory_mgr *m, struct bh_space *s, struct bh_record *const *r, size_t n);

/* node.c */
void bh_mgr_attach(struct bh_inventory_mgr *m, const struct bh_workload *w, int by); /* +1, −1 */
/* True: they are not what they were, and host_changed is set. */
bool bh_mgr_host_look(struct bh_inventory_mgr *m);
void bh_mgr_host(struct bh_inventory_mgr *m, struct bh_inventory *frame);
