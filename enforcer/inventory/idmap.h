/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A hash table from strings to pointers, with removal, for container and image ids. */
#pragma once

#include <bulkhead/util.h>

struct bh_idmap_slot {
	char *key;
	void *value;
	struct bh_idmap_slot *next;
};

/* Zero-initialised is empty. Owns the keys, not the values. */
struct bh_idmap {
	struct bh_idmap_slot **bucket;
	size_t n_buckets, n;
};

void *bh_idmap_get(const struct bh_idmap *m, const char *key); /* NULL if absent */
void *bh_idmap_set(struct bh_idmap *m, const char *key, void *value); /* the value replaced */
void *bh_idmap_remove(struct bh_idmap *m, const char *key); /* the value removed, or NULL */
/* All values in the order of their keys. Array owned by the caller (free), n in m->n. */
void **bh_idmap_values(const struct bh_idmap *m);
void bh_idmap_finish(struct bh_idmap *m, void (*free_value)(void *)); /* NULL: values stay */
