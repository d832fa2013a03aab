/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Learning: queued flows wait here until conntrack, asked again and again, says that they were
 * answered, then become baseline tuples in the store. Bounded: at most BH_LEARN_PENDING flows wait
 * (oldest go, counted), five minutes at most, and `max` tuples are kept, unanswered ones at most
 * half of that. Beyond it the least used and oldest of the roles that have the most are put
 * together, so that a scan cannot push out what is known of others, nor stop learning; what cannot
 * be put together either is refused and counted. On the loop's thread.
 */
#pragma once

#include <bulkhead/baseline.h>

#include "store/store.h"

#define BH_LEARN_PENDING 65536
#define BH_LEARN_TUPLES 200000 /* unless configured */
#define BH_LEARN_ROLES 4096

struct bh_learn;
/* fn: a tuple became answered for the first time (for the audit log); borrowed for the call. */
typedef void (*bh_learned_fn)(const struct bh_tuple *t, const struct bh_flow *f, void *arg);
/* max: at least 64. What the store has beyond it is put together at once. */
int bh_learn_new(
	struct bh_store *store, size_t max, bh_learned_fn fn, void *arg, struct bh_learn **ret);
void bh_learn_free(struct bh_learn *l);

/*
 * A flow passed because a side learns. src and dst are the ends as tuples name them (borrowed).
 * egress/ingress: which side is learning. Not yet answered: kept as an unanswered tuple (shown
 * apart) and pending. now: µs since the epoch.
 */
struct bh_learn_flow {
	const struct bh_flow *flow;
	const struct bh_end *src, *dst;
	bool egress, ingress;
	const char *src_image, *dst_image; /* may be NULL */
	int64_t now;
	bool counted; /* its connection is counted elsewhere: by bh_learn_more */
};
void bh_learn_seen(struct bh_learn *l, const struct bh_learn_flow *f);
/* n more connections of a tuple that was seen before; no news otherwise. True: it was answered. */
bool bh_learn_more(struct bh_learn *l, const struct bh_learn_flow *f, uint64_t n);
/* Such flows have ended: what they carried. Nothing if their tuple is not known. */
void bh_learn_ended(
	struct bh_learn *l, const struct bh_learn_flow *f, const struct bh_volume *volume);
/*
 * Flows for which it is time to ask whether they were answered; each comes again later, at longer
 * and longer intervals, until it was or has waited too long. Returns how many of at most max.
 */
struct bh_learn_due {
	struct bh_flow flow;
	unsigned tries; /* so often it was asked for before */
};
size_t bh_learn_due(struct bh_learn *l, int64_t now, struct bh_learn_due *ret, size_t max);
/* Conntrack says this flow (original direction, after DNAT) was answered. Nothing if none waits. */
void bh_learn_answered(struct bh_learn *l, const struct bh_flow *f, int64_t now);
/* Writes changed tuples to the store and commits it (called about once a second and before exit).
 * After a failure everything not yet on disk is written again the next time. */
int bh_learn_save(struct bh_learn *l);

/*
 * Which containers there are, told about once a minute: how well roles were seen comes from it.
 * hash: of what changes when a container starts anew. learning: it is in learn mode. The order does
 * not matter; `now` must not repeat.
 */
struct bh_learn_instance {
	const struct bh_end *role; /* borrowed for the call */
	uint64_t hash;
	bool learning;
};
void bh_learn_observe(
	struct bh_learn *l, const struct bh_learn_instance *in, size_t n, int64_t now);
/* NULL: it was never observed. Borrowed until the next call into this module. */
const struct bh_role_row *bh_learn_role(const struct bh_learn *l, const struct bh_end *end);
size_t bh_learn_n_roles(const struct bh_learn *l);
const struct bh_role_row *bh_learn_role_at(const struct bh_learn *l, size_t i);

/* What an operator says of tuples. fn picks them; it must not call this module. */
typedef bool (*bh_learn_pick_fn)(const struct bh_tuple *t, void *arg);
/* How many there were. widened NULL: stays as it is; an empty prefix (family 0) takes it back. */
size_t bh_learn_review(struct bh_learn *l, bh_learn_pick_fn fn, void *arg,
	const enum bh_review *review, const struct bh_prefix *widened);
/* Forgets them, on disk with the next save too. How many, or −errno with nothing forgotten. */
int64_t bh_learn_forget(struct bh_learn *l, bh_learn_pick_fn fn, void *arg);
/* Forgets how well a role was seen. −errno. */
int bh_learn_forget_role(struct bh_learn *l, const struct bh_end *end);

struct bh_learn_stats {
	size_t tuples, answered, pending, max;
	size_t folded_rows; /* of the tuples: put together from… */
	uint64_t folded; /* …so many */
	uint64_t pending_evicted, tuples_refused;
	int64_t started; /* µs: first tuple ever, 0 = none */
	int64_t last_new; /* µs: last newly answered tuple */
};
void bh_learn_get_stats(const struct bh_learn *l, struct bh_learn_stats *ret);
/* All tuples, sorted by key; the array is owned by the caller (free), its content borrowed until
 * the next call into this module. Values (not pointers to internal structs) so that export can
 * take it as it is. */
struct bh_tuple *bh_learn_tuples(const struct bh_learn *l, size_t *ret_n);
