/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Byte strings by number. */
#include "private.h"

static bool is(
	const struct bh_delta_intern *t, uint32_t i, const void *p, size_t len, uint64_t hash)
{
	const struct bh_delta_interned *x = &t->item[i];
	return x->hash == hash && x->len == len && memcmp(t->bytes.s + x->at, p, len) == 0;
}

static size_t find_slot(const struct bh_delta_intern *t, uint64_t hash, const void *p, size_t len)
{
	size_t s = hash & (t->n_slots - 1);
	while (t->slot[s] && !(p && is(t, t->slot[s] - 1, p, len, hash)))
		s = (s + 1) & (t->n_slots - 1);
	return s;
}

/* At most half full, so that a search always ends. */
static void grow(struct bh_delta_intern *t)
{
	t->n_slots = t->n_slots ? t->n_slots * 2 : 16;
	free(t->slot);
	t->slot = bh_xcalloc(t->n_slots, sizeof(*t->slot));
	for (size_t i = 0; i < t->n; i++)
		t->slot[find_slot(t, t->item[i].hash, NULL, 0)] = (uint32_t)i + 1;
}

uint32_t bh_delta_intern(struct bh_delta_intern *t, const void *p, size_t len)
{
	uint64_t hash = bh_hash(p, len, BH_HASH_SEED);
	if (t->n * 2 >= t->n_slots)
		grow(t);
	size_t s = find_slot(t, hash, p, len);
	if (!t->slot[s]) {
		BH_GROW(t->item, t->n, t->cap);
		t->item[t->n] = (struct bh_delta_interned){t->bytes.len, len, hash};
		bh_buf_add(&t->bytes, p, len);
		t->slot[s] = (uint32_t)++t->n;
	}
	return t->slot[s] - 1;
}

const void *bh_delta_interned(const struct bh_delta_intern *t, uint32_t i)
{
	return t->bytes.s + t->item[i].at;
}

void bh_delta_intern_finish(struct bh_delta_intern *t)
{
	bh_buf_finish(&t->bytes);
	free(t->item);
	free(t->slot);
	*t = (struct bh_delta_intern){0};
}
