/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What an operator says of tuples: accepted, rejected, widened, forgotten. */
#include "learn/internal.h"

size_t bh_learn_review(struct bh_learn *l, bh_learn_pick_fn fn, void *arg,
	const enum bh_review *review, const struct bh_prefix *widened)
{
	size_t n = 0;
	for (size_t i = 0; i < l->table.n; i++) {
		struct bh_learn_entry *e = l->table.item[i];
		if (!fn(&e->t, arg))
			continue;
		if (review)
			e->t.review = *review;
		if (widened) {
			e->t.is_widened = widened->addr.family != 0;
			e->t.widened = *widened;
		}
		bh_learn_mark_dirty(l, e);
		n++;
	}
	return n;
}

struct pick {
	bh_learn_pick_fn fn;
	void *arg;
};

static bool is_picked(struct bh_learn_entry *e, void *arg)
{
	const struct pick *p = arg;
	return p->fn(&e->t, p->arg);
}

/* Flows of them that still wait for an answer are forgotten too. */
static void forget_waiting(struct bh_learn *l, const struct pick *p)
{
	for (int stage = 0; stage < BH_WAITING_STAGES; stage++)
		for (uint32_t i = l->pending.oldest[stage], next; i != BH_WAITING_NONE; i = next) {
			struct bh_learn_entry *e = l->pending.slot[i].entry;
			next = l->pending.slot[i].newer;
			if (!p->fn(&e->t, p->arg))
				continue;
			bh_waitings_remove(&l->pending, i);
			if (!e->listed)
				bh_learn_entry_free(e);
		}
}

static void forget_dirty(struct bh_learn *l, const struct pick *p)
{
	size_t kept = 0;
	for (size_t i = 0; i < l->n_dirty; i++)
		if (!p->fn(&l->dirty[i]->t, p->arg))
			l->dirty[kept++] = l->dirty[i];
	l->n_dirty = kept;
}

static int drop_rows(struct bh_learn *l, const struct pick *p)
{
	int r = 0;
	for (size_t i = 0; r == 0 && i < l->table.n; i++)
		if (p->fn(&l->table.item[i]->t, p->arg))
			r = bh_store_drop_tuple(l->store, l->table.item[i]->key);
	return r;
}

int64_t bh_learn_forget(struct bh_learn *l, bh_learn_pick_fn fn, void *arg)
{
	struct pick p = {fn, arg};
	struct bh_learn_entry **taken bh_autofree =
		bh_xcalloc(l->table.n + 1, sizeof(struct bh_learn_entry *));
	bh_store_commit(l->store); /* what others could not write is not ours to fail with */
	int r = drop_rows(l, &p);
	int done = bh_store_commit(l->store);
	if (r < 0 || done < 0)
		return r < 0 ? r : done;
	forget_waiting(l, &p);
	forget_dirty(l, &p);
	size_t n = bh_learn_table_take(&l->table, is_picked, &p, taken);
	for (size_t i = 0; i < n; i++)
		bh_learn_entry_free(taken[i]);
	return (int64_t)n;
}
