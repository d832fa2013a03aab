/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What we put into the kernel's verdict cache: the tuples, what was decided, and how much of their
 * counters was told already. Bounded. Only for the loop's thread; touches nothing of the world.
 */
#pragma once

#include <bulkhead/flow.h>

#define BH_MIRROR_MAX 16384

struct bh_cached {
	struct bh_flow flow; /* of the packet that was decided */
	struct bh_decision decision; /* indexes belong to the snapshot in force */
	bool deny;
	bool sent; /* else it waits to be */
	bool answered; /* learning was told of an answer */
	int64_t sent_at; /* µs since the boot */
	uint64_t expires_ms; /* the loop's time; from when it was sent */
	uint64_t packets; /* of its counter, told already */
	uint64_t check_ms; /* the loop's time: when conntrack may be walked for it again */
	uint8_t checks; /* so often it was */
};

struct bh_mirror {
	struct bh_cached *item;
	size_t n, cap;
	uint32_t *slot; /* index + 1; 0 = empty */
	size_t mask;
	uint64_t seed;
	bool by_sport; /* the source port is part of the key */
};

/* Of what makes a flow the same to a mirror. */
uint64_t bh_mirror_hash(const struct bh_flow *f, bool by_sport, uint64_t seed);
void bh_mirror_init(struct bh_mirror *m, bool by_sport);
void bh_mirror_finish(struct bh_mirror *m);
void bh_mirror_clear(struct bh_mirror *m);
/* By addresses, protocol and destination port (by_sport: both ports). Valid until the next add,
 * expire or clear. */
struct bh_cached *bh_mirror_find(const struct bh_mirror *m, const struct bh_flow *f);
/* Must not be there. NULL: full. Indexes stay until expire. */
struct bh_cached *bh_mirror_add(struct bh_mirror *m, const struct bh_flow *f);
/* Forgets what was sent and is over. Returns when the next one is; UINT64_MAX: none. */
uint64_t bh_mirror_expire(struct bh_mirror *m, uint64_t now_ms);
/* How far a counter has come since it was told last; it begins anew when the kernel made the
 * element again. */
uint64_t bh_cached_advance(struct bh_cached *c, uint64_t packets);
