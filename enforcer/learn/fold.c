/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Making room: the least used and oldest tuples are put together (rules/baseline/fold.c), many at a
 * time, so that each new one pays little. It is taken from the roles that have the most, so that
 * whoever scans the world crowds out himself; never what a person said something about, nor what
 * still waits for its answer.
 */
#include "learn/internal.h"

#define BATCH_PART 8 /* of the table: how much room is made at a time */
#define ROUNDS 3 /* addresses first, then ports, of what is put together already too */
#define PAUSE_US 1000000LL /* after an attempt that found nothing */

struct owner {
	uint64_t hash;
	size_t n; /* what could be put together */
};

struct owners {
	struct owner *item; /* open addressing; n 0: free */
	size_t mask, n;
};

struct candidate {
	uint64_t owner, value;
	struct bh_learn_entry *e;
};

struct candidates {
	struct candidate *item;
	size_t n, cap;
};

static bool can_fold(const struct bh_learn_entry *e, bool unanswered)
{
	return !e->waiting && e->t.review == BH_REVIEW_NONE && !e->t.is_widened &&
	       !(unanswered && e->t.answered) && bh_tuple_can_fold(&e->t);
}

/* --- whose they are --- */

static struct owner *owner_of(const struct owners *o, uint64_t hash)
{
	size_t i = (hash ^ hash >> 32) & o->mask;
	while (o->item[i].n && o->item[i].hash != hash)
		i = (i + 1) & o->mask;
	return &o->item[i];
}

static void grow(struct owners *o)
{
	struct owners bigger = {.mask = o->mask * 2 + 1, .n = o->n};
	bigger.item = bh_xcalloc(bigger.mask + 1, sizeof(*bigger.item));
	for (size_t i = 0; o->item && i <= o->mask; i++)
		if (o->item[i].n)
			*owner_of(&bigger, o->item[i].hash) = o->item[i];
	free(o->item);
	*o = bigger;
}

static struct owners count_owners(const struct bh_learn *l, bool unanswered)
{
	struct owners o = {.mask = 127};
	grow(&o);
	for (size_t i = 0; i < l->table.n; i++) {
		const struct bh_learn_entry *e = l->table.item[i];
		if (!can_fold(e, unanswered))
			continue;
		struct owner *x = owner_of(&o, e->owner);
		x->hash = e->owner;
		if (x->n++ == 0 && ++o.n * 2 > o.mask)
			grow(&o);
	}
	return o;
}

static int most_first(const void *a, const void *b)
{
	const size_t *x = a, *y = b;
	return (*x < *y) - (*x > *y);
}

/* How many an owner may keep, so that `need` of all go. */
static size_t level_of(const struct owners *o, size_t need)
{
	size_t bh_autofree *n = bh_xcalloc(o->n + 1, sizeof(*n));
	size_t k = 0, sum = 0;
	for (size_t i = 0; i <= o->mask; i++)
		if (o->item[i].n)
			n[k++] = o->item[i].n;
	qsort(n, k, sizeof(*n), most_first);
	for (size_t i = 0; i < k; i++) { /* the i + 1 largest come down to one level */
		sum += n[i];
		size_t next = i + 1 < k ? n[i + 1] : 0;
		if (sum - (i + 1) * next >= need)
			return sum > need ? (sum - need) / (i + 1) : 0;
	}
	return 0;
}

/* --- which of them --- */

/*
 * What is worth less is given up first: unanswered ones; then those with an address, or put
 * together already, since between roles there are few, and they are worth the most; then those that
 * were used less often, by powers of two; then the older ones.
 */
static uint64_t value_of(const struct bh_tuple *t)
{
	uint64_t used = t->connections ? 64 - (uint64_t)__builtin_clzll(t->connections) : 0;
	uint64_t last = t->last_seen < 0 ? 0 : (uint64_t)t->last_seen;
	bool between = t->src.kind == BH_END_ROLE && t->dst.kind == BH_END_ROLE && !t->folded;
	if (last >> 54)
		last = (1ULL << 54) - 1;
	return (uint64_t)t->answered << 63 | (uint64_t)between << 62 | used << 54 | last;
}

static int compare(const void *a, const void *b)
{
	const struct candidate *x = a, *y = b;
	if (x->owner != y->owner)
		return x->owner < y->owner ? -1 : 1;
	return (x->value > y->value) - (x->value < y->value);
}

static void mark(struct bh_learn *l, const struct owners *o, size_t level, bool unanswered)
{
	struct candidates c = {0};
	for (size_t i = 0; i < l->table.n; i++) {
		struct bh_learn_entry *e = l->table.item[i];
		if (!can_fold(e, unanswered) || owner_of(o, e->owner)->n <= level)
			continue;
		BH_GROW(c.item, c.n, c.cap);
		c.item[c.n++] = (struct candidate){e->owner, value_of(&e->t), e};
	}
	if (c.n)
		qsort(c.item, c.n, sizeof(*c.item), compare);
	for (size_t i = 0, of = 0; i < c.n; i++) {
		of = i && c.item[i - 1].owner == c.item[i].owner ? of + 1 : 0;
		c.item[i].e->folding = of < owner_of(o, c.item[i].owner)->n - level;
	}
	free(c.item);
}

/* --- and away --- */

static bool is_marked(struct bh_learn_entry *e, void *arg BH_UNUSED)
{
	return e->folding;
}

static void forget_dirty(struct bh_learn *l)
{
	size_t kept = 0;
	for (size_t i = 0; i < l->n_dirty; i++)
		if (!l->dirty[i]->folding)
			l->dirty[kept++] = l->dirty[i];
	l->n_dirty = kept;
}

void bh_learn_clear_gone(struct bh_learn *l)
{
	for (size_t i = 0; i < l->n_gone; i++)
		free(l->gone[i]);
	l->n_gone = 0;
}

/* More than that, because the store could not be written or was another's: all is written anew. */
void bh_learn_gone(struct bh_learn *l, struct bh_learn_entry *e)
{
	if (e->stored && l->n_gone == l->max) {
		l->rewrite = true;
		bh_learn_clear_gone(l);
	}
	if (e->stored && !l->rewrite) {
		BH_GROW(l->gone, l->n_gone, l->cap_gone);
		l->gone[l->n_gone++] = BH_TAKE_PTR(e->key);
	}
	bh_learn_entry_free(e);
}

int bh_learn_put_gone(struct bh_learn *l)
{
	int r = 0;
	if (l->rewrite) {
		r = bh_store_clear_tuples(l->store);
		for (size_t i = 0; i < l->table.n; i++)
			bh_learn_mark_dirty(l, l->table.item[i]);
	}
	for (size_t i = 0; r == 0 && i < l->n_gone; i++)
		r = bh_store_drop_tuple(l->store, l->gone[i]);
	return r;
}

bool bh_learn_absorb(struct bh_learn *l, const struct bh_tuple *t)
{
	struct bh_tuple f;
	if (!bh_tuple_fold(t, &f))
		return false;
	char bh_autofree *key = bh_tuple_key(&f);
	struct bh_learn_entry *e = bh_learn_table_find(&l->table, key);
	if (!e && l->table.n >= l->max)
		return false;
	l->table.folded += f.folded;
	if (e) {
		bh_tuple_absorb(&e->t, &f);
	} else {
		e = bh_learn_entry_new(&f, BH_TAKE_PTR(key));
		bh_learn_table_add(&l->table, e);
		l->table.folded -= f.folded; /* which the table counted by itself */
	}
	for (size_t i = 0; i < t->n_images; i++)
		bh_learn_entry_add_image(e, t->image[i]);
	bh_learn_mark_dirty(l, e);
	return true;
}

static size_t fold_marked(struct bh_learn *l)
{
	struct bh_learn_entry **taken bh_autofree =
		bh_xcalloc(l->table.n + 1, sizeof(struct bh_learn_entry *));
	size_t before = l->table.n;
	forget_dirty(l);
	size_t n = bh_learn_table_take(&l->table, is_marked, NULL, taken);
	for (size_t i = 0; i < n; i++) {
		if (!bh_learn_absorb(l, &taken[i]->t))
			l->tuples_refused++;
		bh_learn_gone(l, taken[i]);
	}
	return before - l->table.n;
}

bool bh_learn_make_room(struct bh_learn *l, bool unanswered, int64_t now)
{
	size_t need = l->max / BATCH_PART + 1, freed = 0;
	if (now < l->no_room_until && now > l->no_room_until - PAUSE_US)
		return false;
	for (int round = 0; round < ROUNDS && freed < need; round++) {
		struct owners o = count_owners(l, unanswered);
		if (o.n)
			mark(l, &o, level_of(&o, need - freed), unanswered);
		free(o.item);
		freed += fold_marked(l);
	}
	l->no_room_until = freed ? 0 : now + PAUSE_US;
	return freed > 0;
}
