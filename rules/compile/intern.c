/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Interning. The compiler recognises equal selectors, label sets and rule lists by a canonical byte
 * string instead of comparing structures pairwise, which keeps compilation linear.
 */
#include "internal.h"

static void grow(struct bh_intern *t)
{
	size_t size = t->slot ? (t->mask + 1) * 2 : 64;
	free(t->slot);
	t->slot = bh_xcalloc(size, sizeof(*t->slot));
	t->mask = size - 1;
	for (size_t i = 0; i < t->n; i++) {
		size_t at = t->key[i].hash & t->mask;
		while (t->slot[at])
			at = (at + 1) & t->mask;
		t->slot[at] = (uint32_t)i + 1;
	}
}

uint32_t bh_intern(struct bh_intern *t, const void *key, size_t len, bool *ret_new)
{
	uint64_t hash = bh_hash(key, len, BH_HASH_SEED);
	if (!t->slot || t->n * 2 >= t->mask)
		grow(t);
	size_t at = hash & t->mask;
	for (; t->slot[at]; at = (at + 1) & t->mask) {
		const struct bh_intern_key *k = &t->key[t->slot[at] - 1];
		if (k->hash == hash && k->len == len &&
			(!len || memcmp(t->bytes.s + k->off, key, len) == 0)) {
			*ret_new = false;
			return t->slot[at] - 1;
		}
	}
	BH_GROW(t->key, t->n, t->cap);
	t->key[t->n] = (struct bh_intern_key){.off = t->bytes.len, .len = len, .hash = hash};
	bh_buf_add(&t->bytes, key, len);
	t->slot[at] = (uint32_t)++t->n;
	*ret_new = true;
	return (uint32_t)t->n - 1;
}

void bh_intern_finish(struct bh_intern *t)
{
	free(t->slot);
	free(t->key);
	bh_buf_finish(&t->bytes);
	*t = (struct bh_intern){0};
}
