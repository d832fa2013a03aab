/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * How well each role was seen: how long and at which hours it was observed while it learned, and
 * how often one of its containers started. Bounded: BH_LEARN_ROLES roles; the one not seen for the
 * longest time goes for a new one. Of a role's containers the last BH_ROLE_INSTANCES are known:
 * one that is not among them has started.
 */
#include "learn/internal.h"

/* Observations come once a minute; of a longer gap (a machine that slept) no more is counted. */
#define GAP_MAX_S 120

static size_t search(const struct bh_learn_roles *r, const struct bh_end *end, bool *ret_found)
{
	size_t lo = 0, hi = r->n;
	*ret_found = false;
	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		int c = bh_end_cmp(&r->item[mid].row.end, end);
		if (c == 0) {
			*ret_found = true;
			return mid;
		}
		if (c < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

static void drop_at(struct bh_learn_roles *r, size_t at)
{
	bh_end_finish(&r->item[at].row.end);
	memmove(&r->item[at], &r->item[at + 1], (--r->n - at) * sizeof(*r->item));
}

static void make_room(struct bh_learn_roles *r, struct bh_store *store)
{
	size_t oldest = 0;
	if (r->n < BH_LEARN_ROLES)
		return;
	for (size_t i = 1; i < r->n; i++)
		if (r->item[i].row.last < r->item[oldest].row.last)
			oldest = i;
	bh_store_drop_role(store, &r->item[oldest].row.end);
	drop_at(r, oldest);
}

/* The role's place; *ret_new: it was made just now. */
static struct bh_learn_role *get(struct bh_learn_roles *r, struct bh_store *store,
	const struct bh_end *end, int64_t now, bool *ret_new)
{
	bool found;
	size_t at = search(r, end, &found);
	*ret_new = !found;
	if (found)
		return &r->item[at];
	make_room(r, store);
	at = search(r, end, &found);
	BH_GROW(r->item, r->n, r->cap);
	memmove(&r->item[at + 1], &r->item[at], (r->n++ - at) * sizeof(*r->item));
	r->item[at] = (struct bh_learn_role){.row = {.since = now}};
	bh_end_copy(&r->item[at].row.end, end);
	return &r->item[at];
}

void bh_learn_roles_load(struct bh_learn_roles *r, const struct bh_role_row *row)
{
	bool found;
	size_t at = search(r, &row->end, &found);
	if (found || r->n == BH_LEARN_ROLES || row->end.kind != BH_END_ROLE)
		return;
	BH_GROW(r->item, r->n, r->cap);
	memmove(&r->item[at + 1], &r->item[at], (r->n++ - at) * sizeof(*r->item));
	r->item[at] = (struct bh_learn_role){.row = *row};
	bh_end_copy(&r->item[at].row.end, &row->end);
}

void bh_learn_roles_finish(struct bh_learn_roles *r)
{
	while (r->n)
		drop_at(r, r->n - 1);
	free(r->item);
}

/* A container that was not there before; `first`: all there are when the role is met first. */
static void note_instance(struct bh_role_row *row, uint64_t hash, bool first)
{
	for (size_t i = 0; i < row->n_instances; i++)
		if (row->instance[i] == hash)
			return;
	if (row->n_instances == BH_ROLE_INSTANCES)
		memmove(row->instance, row->instance + 1,
			--row->n_instances * sizeof(row->instance[0]));
	row->instance[row->n_instances++] = hash;
	row->starts += !first;
}

static void note(struct bh_learn_roles *r, struct bh_store *store,
	const struct bh_learn_instance *in, int64_t now)
{
	bool is_new;
	struct bh_learn_role *x = get(r, store, in->role, now, &is_new);
	if (x->row.last != now || is_new) { /* the first of its containers this time */
		x->first = is_new;
		x->learning = false;
	}
	if (in->learning && !x->learning) {
		int64_t s = r->observed ? (now - r->observed) / 1000000 : 0;
		x->learning = true;
		x->row.learned_s += (uint64_t)(s < 0 ? 0 : s > GAP_MAX_S ? GAP_MAX_S : s);
		bh_hours_mark(x->row.hours, now);
	}
	x->row.last = now;
	x->dirty = true;
	note_instance(&x->row, in->hash, x->first);
}

void bh_learn_roles_observe(struct bh_learn_roles *r, struct bh_store *store,
	const struct bh_learn_instance *in, size_t n, int64_t now)
{
	for (size_t i = 0; i < n; i++)
		note(r, store, &in[i], now);
	r->observed = now;
}

int bh_learn_roles_put(const struct bh_learn_roles *r, struct bh_store *store)
{
	int e = 0;
	for (size_t i = 0; e == 0 && i < r->n; i++)
		if (r->item[i].dirty)
			e = bh_store_put_role(store, &r->item[i].row);
	return e;
}

void bh_learn_roles_saved(struct bh_learn_roles *r)
{
	for (size_t i = 0; i < r->n; i++)
		r->item[i].dirty = false;
}

const struct bh_role_row *bh_learn_roles_find(
	const struct bh_learn_roles *r, const struct bh_end *end)
{
	bool found;
	size_t at = search(r, end, &found);
	return found ? &r->item[at].row : NULL;
}

int bh_learn_forget_role(struct bh_learn *l, const struct bh_end *end)
{
	bool found;
	int e = bh_store_drop_role(l->store, end);
	size_t at = search(&l->roles, end, &found);
	if (e == 0 && found)
		drop_at(&l->roles, at);
	return e;
}
