/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A sorted array from numbers to pointers, for some thousands of entries. Owns no value. */
#include "link/private.h"

/* Where the key is, or would be. */
static size_t find(const struct bh_link_table *t, uint64_t key)
{
	size_t lo = 0, hi = t->n;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		if (t->item[mid].key < key)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

void *bh_link_table_get(const struct bh_link_table *t, uint64_t key)
{
	size_t i = find(t, key);

	return i < t->n && t->item[i].key == key ? t->item[i].value : NULL;
}

void bh_link_table_set(struct bh_link_table *t, uint64_t key, void *value)
{
	size_t i = find(t, key);

	if (i == t->n || t->item[i].key != key) {
		BH_GROW(t->item, t->n, t->cap);
		memmove(&t->item[i + 1], &t->item[i], (t->n++ - i) * sizeof(*t->item));
	}
	t->item[i] = (struct bh_link_entry){key, value};
}

void bh_link_table_remove(struct bh_link_table *t, uint64_t key)
{
	size_t i = find(t, key);

	if (i == t->n || t->item[i].key != key)
		return;
	t->n--;
	memmove(&t->item[i], &t->item[i + 1], (t->n - i) * sizeof(*t->item));
}
