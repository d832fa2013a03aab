/* SPDX-License-Identifier: GPL-3.0-or-later */
/* See idmap.h. Chained; doubles at one entry a bucket. */
#include "inventory/idmap.h"

#define FIRST_BUCKETS 64

static struct bh_idmap_slot **find(const struct bh_idmap *m, const char *key)
{
	size_t i = bh_hash_str(key, BH_HASH_SEED) & (m->n_buckets - 1);
	struct bh_idmap_slot **at = &m->bucket[i];
	while (*at && strcmp((*at)->key, key) != 0)
		at = &(*at)->next;
	return at;
}

static void grow(struct bh_idmap *m)
{
	struct bh_idmap old = *m;
	m->n_buckets = old.n_buckets ? old.n_buckets * 2 : FIRST_BUCKETS;
	m->bucket = bh_xcalloc(m->n_buckets, sizeof(*m->bucket));
	for (size_t i = 0; i < old.n_buckets; i++) {
		struct bh_idmap_slot *next;
		for (struct bh_idmap_slot *s = old.bucket[i]; s; s = next) {
			next = s->next;
			s->next = NULL;
			*find(m, s->key) = s;
		}
	}
	free(old.bucket);
}

void *bh_idmap_get(const struct bh_idmap *m, const char *key)
{
	struct bh_idmap_slot *s = m->n ? *find(m, key) : NULL;
	return s ? s->value : NULL;
}

void *bh_idmap_set(struct bh_idmap *m, const char *key, void *value)
{
	if (m->n >= m->n_buckets)
		grow(m);
	struct bh_idmap_slot **at = find(m, key);
	if (*at) {
		void *old = (*at)->value;
		(*at)->value = value;
		return old;
	}
	*at = bh_xcalloc(1, sizeof(**at));
	(*at)->key = bh_xstrdup(key);
	(*at)->value = value;
	m->n++;
	return NULL;
}

void *bh_idmap_remove(struct bh_idmap *m, const char *key)
{
	struct bh_idmap_slot **at = m->n ? find(m, key) : NULL;
	if (!at || !*at)
		return NULL;
	struct bh_idmap_slot *s = *at;
	void *value = s->value;
	*at = s->next;
	free(s->key);
	free(s);
	m->n--;
	return value;
}

static int by_key(const void *a, const void *b)
{
	const struct bh_idmap_slot *const *x = a, *const *y = b;
	return strcmp((*x)->key, (*y)->key);
}

void **bh_idmap_values(const struct bh_idmap *m)
{
	struct bh_idmap_slot **slot = bh_xcalloc(m->n, sizeof(struct bh_idmap_slot *));
	size_t n = 0;
	for (size_t i = 0; i < m->n_buckets; i++) {
		for (struct bh_idmap_slot *s = m->bucket[i]; s; s = s->next)
			slot[n++] = s;
	}
	qsort(slot, n, sizeof(struct bh_idmap_slot *), by_key);
	void **value = bh_xcalloc(n, sizeof(*value));
	for (size_t i = 0; i < n; i++)
		value[i] = slot[i]->value;
	free(slot);
	return value;
}

void bh_idmap_finish(struct bh_idmap *m, void (*free_value)(void *))
{
	for (size_t i = 0; i < m->n_buckets; i++) {
		struct bh_idmap_slot *next;
		for (struct bh_idmap_slot *s = m->bucket[i]; s; s = next) {
			next = s->next;
			if (free_value)
				free_value(s->value);
			free(s->key);
			free(s);
		}
	}
	free(m->bucket);
	*m = (struct bh_idmap){0};
}
