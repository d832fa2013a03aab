/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Who was on this node and when: follows the inventories, keeps stays in the store. */
#pragma once

#include <jansson.h>

#include "inventory/idmap.h"
#include "store/store.h"

/* A stay that is there, or was a moment ago: packets of it may still be on their way to us. */
struct bh_history_entry {
	uint64_t number;
	struct bh_workload *w; /* a reference: as it was last seen */
	struct bh_workload *images; /* a reference, mostly to the same: all that ran in it */
	uint64_t generation; /* of the last network namespace that it was seen with; 0: none */
	char *mark; /* of the same; see bh_history_mark */
	int64_t started, stopped; /* µs */
	int64_t came, ended; /* when we noticed; µs since the boot */
	int64_t left; /* µs: since when its network namespace is not seen any more; 0: it is */
	bool early, dirty, there;
	bool resumed; /* left open by the run before; nobody has seen it yet */
	bool unseen; /* it ended while nobody looked: stopped is when it was last known to be there
		      */
	struct bh_stay_addr *addr;
	size_t n_addrs;
	struct bh_history_entry *older; /* of the same id */
};

struct bh_core;
struct bh_history {
	struct bh_idmap by_id; /* → struct bh_history_entry, the newest of its id */
	int64_t seen; /* µs: when the run before last wrote that it was alive; 0 = never */
	int64_t told; /* µs: the same of this run */
	uint64_t losses; /* of the store, when all was last put */
	size_t n_dirty, n_gone, n_resumed;
	unsigned ticks;
	bool begun; /* the first inventory of all sources was there */
};

/* --- history.c --- */
/* Another inventory is in force; from NULL: it is the first one. complete: all sources have told.
 */
void bh_core_history_follow(struct bh_core *c, const struct bh_inventory *from,
	const struct bh_inventory *to, bool complete);

/* --- who.c --- */
uint64_t bh_core_stay_of(const struct bh_core *c, const struct bh_workload *w); /* 0: none */
/* Had it the address at that time (µs), as far as is known? Else *ret_other is who had, owned, or
 * NULL: nobody that is known. */
bool bh_core_history_had(struct bh_core *c, const struct bh_workload *w, const struct bh_addr *a,
	int64_t at, struct bh_workload **ret_other);
/* Who had it then, by the stays; owned. NULL: nobody that is known. */
struct bh_workload *bh_core_history_holder(struct bh_core *c, const struct bh_addr *a, int64_t at);
/* Adds "state", "stay", "started", "started_before" and "stopped" of one that is there. */
void bh_core_started_json(const struct bh_core *c, const struct bh_workload *w, json_t *o);

/* --- keep.c --- */
int64_t bh_core_history_seen(struct bh_core *c); /* when a run was there last; µs, 0: not known */
int bh_core_history_load(struct bh_core *c); /* what the run before left open */
void bh_core_history_save(struct bh_core *c); /* what changed, into the store's transaction */
void bh_core_history_tick(struct bh_core *c);
void bh_core_history_stop(struct bh_core *c);
void bh_core_history_finish(struct bh_core *c);

/* --- among these files --- */
/* entry.c */
/* Boot, network namespace, process, interface: another mark is another stay, as a rule. Owned. */
char *bh_history_mark(const struct bh_core *c, const struct bh_workload *w);
unsigned bh_history_first_ifindex(const struct bh_workload *w); /* 0: it has none */
/* A new entry for w, the newest of its id, without number and times. Borrowed. */
struct bh_history_entry *bh_history_add(struct bh_core *c, struct bh_workload *w);
void bh_history_entry_free(struct bh_history_entry *e); /* not the older ones */
void bh_history_dirty(struct bh_history *h, struct bh_history_entry *e); /* is to be written */
/* Its addresses are those of w, from now (µs) on. */
void bh_history_note_addrs(struct bh_history_entry *e, const struct bh_workload *w, int64_t now);
/* The images of w run in it, too. */
void bh_history_note_images(struct bh_history_entry *e, struct bh_workload *w);
/* Its entry, if it is there; NULL: it is not. */
struct bh_history_entry *bh_history_there(const struct bh_core *c, const struct bh_workload *w);
void bh_history_each(struct bh_core *c,
	void (*fn)(struct bh_core *, struct bh_history_entry *, void *), void *arg);
/* who.c: who it was; a reference of the caller's. */
struct bh_workload *bh_history_workload(const struct bh_stay *y);
