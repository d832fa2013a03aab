/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The containers, whichever sources have them, and which source's record counts. What is heard of a
 * container marks the record that counts, and no other: one that comes to count is inspected first.
 */
#include "inventory/manager.h"

/* --- the ring --- */

/* As the last to be walked to. */
static void ring_add(struct bh_inventory_mgr *m, struct bh_mgr_id *i)
{
	if (!m->ring) {
		m->ring = i->prev = i->next = i;
		return;
	}
	i->next = m->ring;
	i->prev = m->ring->prev;
	i->prev->next = i->next->prev = i;
}

static void ring_remove(struct bh_inventory_mgr *m, struct bh_mgr_id *i)
{
	if (m->ring == i)
		m->ring = i->next == i ? NULL : i->next;
	i->prev->next = i->next;
	i->next->prev = i->prev;
}

/* --- the ids --- */

static struct bh_mgr_id *get(struct bh_inventory_mgr *m, const char *id)
{
	struct bh_mgr_id *i = bh_idmap_get(&m->ids, id);
	if (i)
		return i;
	i = bh_xcalloc(1, sizeof(*i));
	i->id = bh_xstrdup(id);
	i->source = SIZE_MAX;
	i->visits = (unsigned)(m->ids.n % BH_MGR_ROUNDS); /* not all in the same round */
	bh_idmap_set(&m->ids, id, i);
	ring_add(m, i);
	return i;
}

void bh_mgr_id_add(struct bh_mgr_ids *to, struct bh_mgr_id *id)
{
	BH_GROW(to->item, to->n, to->cap);
	to->item[to->n++] = id;
}

static void mark(struct bh_inventory_mgr *m, struct bh_mgr_id *i)
{
	if (i->dirty)
		return;
	i->dirty = true;
	bh_mgr_id_add(&m->dirty_id, i);
}

void bh_mgr_mark(struct bh_inventory_mgr *m, const char *id)
{
	mark(m, get(m, id));
}

void bh_mgr_mark_all(struct bh_inventory_mgr *m)
{
	for (size_t i = 0; i < m->ids.n_buckets; i++) {
		for (struct bh_idmap_slot *s = m->ids.bucket[i]; s; s = s->next) {
			struct bh_record *r = bh_mgr_record(m, s->value);
			if (r)
				r->stale = true;
			mark(m, s->value);
		}
	}
}

static void free_id(void *id)
{
	struct bh_mgr_id *i = id;
	free(i->id);
	free(i);
}

void bh_mgr_id_remove(struct bh_inventory_mgr *m, struct bh_mgr_id *id)
{
	for (size_t i = 0; id->heard && i < m->heard_id.n; i++) {
		if (m->heard_id.item[i] == id) {
			m->heard_id.item[i] = m->heard_id.item[--m->heard_id.n];
			break;
		}
	}
	ring_remove(m, id);
	free_id(bh_idmap_remove(&m->ids, id->id));
}

void bh_mgr_ids_finish(struct bh_inventory_mgr *m)
{
	bh_idmap_finish(&m->ids, free_id);
	free(m->dirty_id.item);
	free(m->heard_id.item);
}

/* --- records --- */

int bh_record_order(const void *a, const void *b)
{
	const struct bh_record *x = *(struct bh_record *const *)a;
	const struct bh_record *y = *(struct bh_record *const *)b;
	if (x->container->joined != y->container->joined)
		return x->container->joined - y->container->joined;
	if (x->rank != y->rank)
		return x->rank < y->rank ? -1 : 1;
	if (x->source != y->source)
		return x->source < y->source ? -1 : 1;
	return strcmp(x->container->id, y->container->id);
}

struct bh_record *bh_mgr_record(const struct bh_inventory_mgr *m, struct bh_mgr_id *id)
{
	struct bh_record *best = NULL;
	for (size_t i = 0; i < m->n_sources; i++) {
		struct bh_record *r = bh_idmap_get(&m->source[i]->records, id->id);
		if (r && (!best || bh_record_order(&r, &best) < 0))
			best = r;
	}
	if (best && best->source != id->source) {
		id->source = best->source;
		best->stale = true; /* nobody told it anything while it did not count */
	}
	return best;
}

bool bh_mgr_inspect(struct bh_inventory_mgr *m, struct bh_mgr_id *id)
{
	struct bh_record *r = bh_mgr_record(m, id);
	if (!r)
		return false;
	r->stale = true;
	if (!bh_record_refresh(m, r))
		return false;
	mark(m, id);
	return true;
}
