/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the learning files share. Not for other modules. */
#pragma once

#include "learn/learn.h"

struct bh_learn_entry {
	struct bh_tuple t;
	char *key; /* bh_tuple_key() */
	uint64_t hash;
	uint64_t owner; /* a hash of the role that it is of */
	uint32_t waiting; /* flows of it that wait for their answer */
	bool stored; /* the store may have it */
	bool folding; /* chosen to be put together */
	bool listed; /* in the table; else owned by the one flow that waits */
	bool dirty; /* differs from the store */
};

/* table.c: tuples by key. */
struct bh_learn_table {
	struct bh_learn_entry **item;
	size_t n, cap;
	uint32_t *slot; /* index + 1 into item; 0 = empty; open addressing */
	size_t mask;
	size_t answered;
	size_t n_folded; /* put together from others… */
	uint64_t folded; /* …so many */
	uint64_t seed;
};
void bh_learn_table_init(struct bh_learn_table *t, uint64_t seed);
void bh_learn_table_finish(struct bh_learn_table *t);
struct bh_learn_entry *bh_learn_table_find(const struct bh_learn_table *t, const char *key);
void bh_learn_table_add(struct bh_learn_table *t, struct bh_learn_entry *e); /* takes e */
/* Takes out those of which fn says so; they are the caller's, `taken` has room for all. */
size_t bh_learn_table_take(struct bh_learn_table *t,
	bool (*fn)(struct bh_learn_entry *e, void *arg), void *arg, struct bh_learn_entry **taken);

/* Copies the ends; owned by the caller until it is added. Takes `key`. */
struct bh_learn_entry *bh_learn_entry_new(const struct bh_tuple *t, char *key);
void bh_learn_entry_free(struct bh_learn_entry *e); /* NULL is fine */
void bh_learn_entry_add_image(struct bh_learn_entry *e, const char *image);

/* roles.c: sorted by end. */
struct bh_learn_role {
	struct bh_role_row row; /* owns its end */
	bool dirty;
	bool first, learning; /* in this observation: just made; already counted as learning */
};
struct bh_learn_roles {
	struct bh_learn_role *item;
	size_t n, cap;
	int64_t observed; /* µs, last; 0 = not yet in this run */
};
void bh_learn_roles_load(struct bh_learn_roles *r, const struct bh_role_row *row); /* copies */
void bh_learn_roles_finish(struct bh_learn_roles *r);
void bh_learn_roles_observe(struct bh_learn_roles *r, struct bh_store *store,
	const struct bh_learn_instance *in, size_t n, int64_t now);
int bh_learn_roles_put(const struct bh_learn_roles *r, struct bh_store *store);
void bh_learn_roles_saved(struct bh_learn_roles *r);
const struct bh_role_row *bh_learn_roles_find(
	const struct bh_learn_roles *r, const struct bh_end *end);

/*
 * waiting.c: at most `cap` flows by 5-tuple. Each goes through stages, in each of which it waits
 * its time and is asked for at the end; within a stage they are in the order of arrival.
 */
#define BH_WAITING_NONE 0 /* memory that was never touched is empty */
#define BH_WAITING_STAGES 8
struct bh_waiting {
	struct bh_flow flow;
	struct bh_learn_entry *entry;
	int64_t at, since; /* µs, when it was added and when it came to its stage */
	uint32_t older, newer; /* in its stage */
	uint32_t next; /* same bucket; free list */
	uint8_t stage;
};
struct bh_waitings {
	struct bh_waiting *slot;
	uint32_t *bucket;
	uint32_t cap, used; /* slots from 1 on; those from `used` on never were used */
	uint32_t n;
	uint32_t oldest[BH_WAITING_STAGES], newest[BH_WAITING_STAGES];
	uint32_t free;
	uint64_t seed;
};
void bh_waitings_init(struct bh_waitings *w, uint32_t cap, uint64_t seed); /* cap: power of two */
void bh_waitings_finish(struct bh_waitings *w);
/* Index of the slot, or BH_WAITING_NONE. */
uint32_t bh_waitings_find(const struct bh_waitings *w, const struct bh_flow *f);
/* Who waits longest; BH_WAITING_NONE: nobody waits. */
uint32_t bh_waitings_oldest(const struct bh_waitings *w);
/* Whose stage is over at `now`; BH_WAITING_NONE. */
uint32_t bh_waitings_due(const struct bh_waitings *w, int64_t now);
/* To the next stage, or through the last one again. */
void bh_waitings_advance(struct bh_waitings *w, uint32_t i, int64_t now);
/* Must not be full and must not hold the flow. */
void bh_waitings_add(
	struct bh_waitings *w, const struct bh_flow *f, struct bh_learn_entry *e, int64_t now);
/* Returns the entry that waited there. */
struct bh_learn_entry *bh_waitings_remove(struct bh_waitings *w, uint32_t i);

/* learn.c */
struct bh_learn {
	struct bh_store *store;
	bh_learned_fn fn;
	void *arg;
	struct bh_learn_table table;
	struct bh_learn_roles roles;
	struct bh_waitings pending;
	struct bh_learn_entry **dirty; /* listed ones */
	size_t n_dirty, cap_dirty;
	bool last_new_dirty;
	size_t max; /* in the table */
	char **gone; /* keys that the store is still to forget; owned */
	size_t n_gone, cap_gone;
	bool rewrite; /* too many of them: the store is to have what the table has */
	int64_t no_room_until; /* µs: before, there is no use in looking */
	uint64_t pending_evicted, tuples_refused;
	int64_t started, last_new;
};
/* fold.c */
/* Puts tuples together, unanswered ones alone if so wanted. False: no room was made. */
bool bh_learn_make_room(struct bh_learn *l, bool unanswered, int64_t now);
/* Adds it to what it is put together into. False: there is no place, or it cannot be. */
bool bh_learn_absorb(struct bh_learn *l, const struct bh_tuple *t);
/* Takes an entry that is in no list any more: the store forgets it too. */
void bh_learn_gone(struct bh_learn *l, struct bh_learn_entry *e);
int bh_learn_put_gone(struct bh_learn *l); /* into the store's transaction */
void bh_learn_clear_gone(struct bh_learn *l); /* it is done */
void bh_learn_mark_dirty(struct bh_learn *l, struct bh_learn_entry *e);
