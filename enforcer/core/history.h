/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Who was on this node and when: follows the inventories, keeps stays in the store. history.c */
#pragma once

#include "inventory/idmap.h"
#include "store/store.h"

/* A stay that is there, or was a moment ago: packets of it may still be on their way to us. */
struct bh_history_entry {
	uint64_t number;
	struct bh_workload *w; /* a reference: as it was last seen */
	uint64_t generation; /* of the last network namespace that it was seen with; 0: none */
	char *mark; /* of the same; see history.c */
	int64_t started, stopped; /* µs */
	int64_t ended; /* when we noticed */
	int64_t left; /* µs: since when its network namespace is not seen any more; 0: it is */
	bool early, dirty, there;
	bool resumed; /* left open by the run before; nobody has seen it yet */
	bool unseen; /* it ended while nobody looked: stopped is when it was last known to be there
		      */
	struct bh_stay_addr *addr;
	size_t n_addrs;
	struct bh_history_entry *older; /* of the same id */
};

struct bh_history {
	struct bh_idmap by_id; /* → struct bh_history_entry, the newest of its id */
	int64_t seen; /* µs: when the run before last wrote that it was alive; 0 = never */
	int64_t told; /* µs: the same of this run */
	uint64_t losses; /* of the store, when all was last put */
	size_t n_dirty, n_gone, n_resumed;
	unsigned ticks;
	bool begun; /* the first inventory of all sources was there */
};
