/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The tuples by key. Peers choose what the keys are made of, so the hash is seeded per process. */
#include "learn/internal.h"

#define IMAGES_MAX 16 /* of one tuple: enough to see a roll-out, bounded if tags never repeat */

void bh_learn_table_init(struct bh_learn_table *t, uint64_t seed)
{
	*t = (struct bh_learn_table){.mask = 255, .seed = seed};
	t->slot = bh_xcalloc(t->mask + 1, sizeof(*t->slot));
}

void bh_learn_table_finish(struct bh_learn_table *t)
{
	for (size_t i = 0; i < t->n; i++)
		bh_learn_entry_free(t->item[i]);
	free(t->item);
	free(t->slot);
	*t = (struct bh_learn_table){0};
}

struct bh_learn_entry *bh_learn_table_find(const struct bh_learn_table *t, const char *key)
{
	uint64_t hash = bh_hash_str(key, t->seed);
	for (size_t i = hash & t->mask; t->slot[i]; i = (i + 1) & t->mask) {
		struct bh_learn_entry *e = t->item[t->slot[i] - 1];
		if (e->hash == hash && bh_streq(e->key, key))
			return e;
	}
	return NULL;
}

static void place(struct bh_learn_table *t, size_t at)
{
	size_t i = t->item[at]->hash & t->mask;
	while (t->slot[i])
		i = (i + 1) & t->mask;
	t->slot[i] = (uint32_t)at + 1;
}

static void grow(struct bh_learn_table *t)
{
	free(t->slot);
	t->mask = t->mask * 2 + 1;
	t->slot = bh_xcalloc(t->mask + 1, sizeof(*t->slot));
	for (size_t i = 0; i < t->n; i++)
		place(t, i);
}

void bh_learn_table_add(struct bh_learn_table *t, struct bh_learn_entry *e)
{
	if (t->n * 2 > t->mask)
		grow(t);
	e->hash = bh_hash_str(e->key, t->seed);
	e->listed = true;
	BH_GROW(t->item, t->n, t->cap);
	t->item[t->n++] = e;
	t->answered += e->t.answered;
	t->n_folded += e->t.folded > 0;
	t->folded += e->t.folded;
	place(t, t->n - 1);
}

size_t bh_learn_table_take(struct bh_learn_table *t,
	bool (*fn)(struct bh_learn_entry *e, void *arg), void *arg, struct bh_learn_entry **taken)
{
	size_t kept = 0, n = 0;
	for (size_t i = 0; i < t->n; i++) {
		struct bh_learn_entry *e = t->item[i];
		if (!fn(e, arg)) {
			t->item[kept++] = e;
			continue;
		}
		t->answered -= e->t.answered;
		t->n_folded -= e->t.folded > 0;
		t->folded -= e->t.folded;
		e->listed = false;
		taken[n++] = e;
	}
	t->n = kept;
	memset(t->slot, 0, (t->mask + 1) * sizeof(*t->slot));
	for (size_t i = 0; i < t->n; i++)
		place(t, i);
	return n;
}

struct bh_learn_entry *bh_learn_entry_new(const struct bh_tuple *t, char *key)
{
	struct bh_learn_entry *e = bh_xcalloc(1, sizeof(*e));
	e->key = key;
	e->t = *t;
	bh_end_copy(&e->t.src, &t->src);
	bh_end_copy(&e->t.dst, &t->dst);
	e->t.image = NULL;
	e->t.n_images = 0;
	for (size_t i = 0; i < t->n_images; i++)
		bh_learn_entry_add_image(e, t->image[i]);
	const struct bh_end *role = t->src.kind == BH_END_ROLE ? &t->src : &t->dst;
	e->owner = bh_hash_str(role->namespace ? role->namespace : "", BH_HASH_SEED);
	e->owner = bh_labels_hash(&role->selector, e->owner);
	return e;
}

void bh_learn_entry_free(struct bh_learn_entry *e)
{
	if (!e)
		return;
	bh_tuple_finish(&e->t);
	free(e->key);
	free(e);
}

void bh_learn_entry_add_image(struct bh_learn_entry *e, const char *image)
{
	struct bh_tuple *t = &e->t;
	size_t at = 0;
	if (!image || !*image)
		return;
	while (at < t->n_images && strcmp(t->image[at], image) < 0)
		at++;
	if (t->n_images == IMAGES_MAX || (at < t->n_images && bh_streq(t->image[at], image)))
		return;
	t->image = bh_xrealloc(t->image, t->n_images + 1, sizeof(*t->image));
	memmove(t->image + at + 1, t->image + at, (t->n_images - at) * sizeof(*t->image));
	t->image[at] = bh_xstrdup(image);
	t->n_images++;
}
