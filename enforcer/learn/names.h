/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Names of outside addresses, by the role that was told them: what one is told says nothing to
 * another. Bounded: `max` in all, an eighth of that for one role, BH_NAMES_PER_ADDR for an address
 * of it; the ones that were told longest ago go, of the role that has the most. On the loop's
 * thread; kept in the store.
 */
#pragma once

#include "store/store.h"

#define BH_NAMES_PER_ADDR 4
#define BH_NAMES_ROLES 1024 /* further ones are told nothing */

struct bh_names;
/* max: 0: nothing is kept, what the store has stays there. 0 or −errno. */
int bh_names_new(struct bh_store *store, size_t max, struct bh_names **ret);
void bh_names_free(struct bh_names *n); /* NULL is fine; saves nothing */
/* `end` (a role or the host) was told that `name` has the address. now: µs since the epoch. */
void bh_names_add(struct bh_names *n, const struct bh_end *end, const struct bh_addr *addr,
	const char *name, int64_t now);
/* Names that `end` was told for the address, in the alphabet's order; borrowed until the next
 * call that changes something. How many. */
size_t bh_names_find(const struct bh_names *n, const struct bh_end *end, const struct bh_addr *addr,
	const char *ret[static BH_NAMES_PER_ADDR]);
void bh_names_forget(struct bh_names *n, const struct bh_end *end);
/* Writes what changed and commits it. 0 or −errno: then all is written again the next time. */
int bh_names_save(struct bh_names *n);
size_t bh_names_count(const struct bh_names *n);
uint64_t bh_names_evicted(const struct bh_names *n); /* since it was made */
