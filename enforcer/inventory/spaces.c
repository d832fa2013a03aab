/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Keeps the containers sorted into network namespaces, one workload each, and makes inventories:
 * only what a source or the kernel spoke of since the last one is looked at, and a workload that
 * comes out equal stays the same object. A container whose namespace could not be inspected, or is
 * the node's, has a space of its own: it shares nothing that could be governed.
 */
#include "inventory/manager.h"

struct build {
	struct bh_inventory_mgr *m;
	const struct bh_inventory_settings *settings;
	uint32_t *removed; /* indexes in m->last */
	struct bh_workload **added; /* borrowed from their spaces */
	size_t n_removed, cap_removed, n_added, cap_added;
};

void bh_mgr_mark(struct bh_inventory_mgr *m, const char *id)
{
	struct bh_mgr_id *i = bh_idmap_get(&m->ids, id);
	if (!i) {
		i = bh_xcalloc(1, sizeof(*i));
		i->id = bh_xstrdup(id);
		bh_idmap_set(&m->ids, id, i);
	}
	if (i->dirty)
		return;
	i->dirty = true;
	BH_GROW(m->dirty_id, m->n_dirty_ids, m->cap_dirty_ids);
	m->dirty_id[m->n_dirty_ids++] = i;
}

static void mark_space(struct bh_inventory_mgr *m, struct bh_space *s)
{
	if (s->dirty)
		return;
	s->dirty = true;
	BH_GROW(m->dirty_space, m->n_dirty_spaces, m->cap_dirty_spaces);
	m->dirty_space[m->n_dirty_spaces++] = s;
}

static void free_id(void *id)
{
	struct bh_mgr_id *i = id;
	free(i->id);
	free(i);
}

static void free_space(void *space)
{
	struct bh_space *s = space;
	bh_workload_unref(s->built);
	free(s->member);
	free(s->who);
	free(s->key);
	free(s);
}

void bh_mgr_spaces_finish(struct bh_inventory_mgr *m)
{
	bh_idmap_finish(&m->ids, free_id);
	bh_idmap_finish(&m->spaces, free_space);
	free(m->dirty_id);
	free(m->dirty_space);
	bh_inventory_unref(m->last);
}

/* --- which container is in which space --- */

static int in_order(const void *a, const void *b)
{
	const struct bh_record *x = *(struct bh_record *const *)a;
	const struct bh_record *y = *(struct bh_record *const *)b;
	if (x->container->joined != y->container->joined)
		return x->container->joined - y->container->joined;
	if (x->source != y->source)
		return x->source < y->source ? -1 : 1;
	return strcmp(x->container->id, y->container->id);
}

/* The record that counts, of the sources that have the container; NULL: none has it any more. */
static struct bh_record *record_of(const struct bh_inventory_mgr *m, const char *id)
{
	struct bh_record *best = NULL;
	for (size_t i = 0; i < m->n_sources; i++) {
		struct bh_record *r = bh_idmap_get(&m->source[i]->records, id);
		if (r && (!best || in_order(&r, &best) < 0))
			best = r;
	}
	return best;
}

/* Its space; NULL: it is left out. A container that has just died is, until its source says so;
 * what the operator listed, and what stays like this, is shown with the reason. */
static char *key_of(const struct bh_inventory_mgr *m, const struct bh_record *r)
{
	if (!r)
		return NULL;
	if (r->seen && r->seen->netns != bh_link_own_netns(m->link))
		return bh_xasprintf("%llu", (unsigned long long)r->seen->netns);
	if (!r->seen && bh_record_failing(r) && !r->persists &&
		!bh_streq(r->container->runtime, "static"))
		return NULL;
	return bh_xasprintf("alone %s", r->container->id);
}

static void leave(struct bh_inventory_mgr *m, struct bh_mgr_id *id)
{
	struct bh_space *s = id->space;
	size_t i = 0;
	if (!s)
		return;
	while (s->member[i] != id)
		i++;
	s->member[i] = s->member[--s->n];
	id->space = NULL;
	mark_space(m, s);
}

static void join(struct bh_inventory_mgr *m, struct bh_mgr_id *id, char *key)
{
	struct bh_space *s = bh_idmap_get(&m->spaces, key);
	if (!s) {
		s = bh_xcalloc(1, sizeof(*s));
		s->key = bh_xstrdup(key);
		bh_idmap_set(&m->spaces, key, s);
	}
	BH_GROW(s->member, s->n, s->cap);
	s->member[s->n++] = id;
	id->space = s;
	mark_space(m, s);
}

static void place(struct bh_inventory_mgr *m, struct bh_mgr_id *id)
{
	struct bh_record *r = record_of(m, id->id);
	if (r)
		bh_record_refresh(m, r);
	bh_autofree char *key = key_of(m, r);
	id->dirty = false;
	if (id->space && bh_streq(id->space->key, key)) {
		mark_space(m, id->space);
	} else {
		leave(m, id);
		if (key)
			join(m, id, key);
	}
	if (!r)
		free_id(bh_idmap_remove(&m->ids, id->id));
}

/* After a notice that does not say whom it concerns. */
static void refresh_all(struct bh_inventory_mgr *m)
{
	for (size_t i = 0; i < m->ids.n_buckets; i++) {
		for (struct bh_idmap_slot *s = m->ids.bucket[i]; s; s = s->next) {
			struct bh_record *r = record_of(m, s->key);
			if (r && bh_record_refresh(m, r))
				bh_mgr_mark(m, s->key);
		}
	}
	m->all_stale = false;
}

/* --- the workload of a space --- */

static struct bh_quarantine *quarantine_of(const struct build *b, const struct bh_workload *w)
{
	return b->settings->quarantine ? b->settings->quarantine(w, b->settings->arg) : NULL;
}

static struct bh_workload *make(struct build *b, struct bh_space *s)
{
	bh_autofree struct bh_record **r = bh_xcalloc(s->n, sizeof(struct bh_record *));
	for (size_t i = 0; i < s->n; i++)
		r[i] = record_of(b->m, s->member[i]->id);
	qsort(r, s->n, sizeof(struct bh_record *), in_order);
	struct bh_workload *w = bh_mgr_make(b->m, s, r, s->n);
	w->mode = b->settings->mode(w, b->settings->arg);
	w->quarantine = bh_quarantine_ref(quarantine_of(b, w));
	return w;
}

static void update(struct build *b, struct bh_space *s)
{
	struct bh_workload *w = s->n ? make(b, s) : NULL;
	s->dirty = false;
	if (w && s->built && bh_workload_equal(w, s->built)) {
		bh_workload_unref(w);
		return;
	}
	if (w) {
		BH_GROW(b->added, b->n_added, b->cap_added);
		b->added[b->n_added++] = w;
		bh_mgr_attach(b->m, w, 1);
	}
	if (s->built) {
		/* By name: the inventory may have a copy of it. */
		BH_GROW(b->removed, b->n_removed, b->cap_removed);
		b->removed[b->n_removed++] = (uint32_t)bh_inventory_find(b->m->last, s->built);
		bh_mgr_attach(b->m, s->built, -1);
		bh_workload_unref(s->built);
	}
	s->built = w;
	if (s->n == 0)
		free_space(bh_idmap_remove(&b->m->spaces, s->key));
}

static bool decided_otherwise(const struct build *b, const struct bh_workload *w)
{
	return b->settings->mode(w, b->settings->arg) != w->mode ||
	       !bh_quarantine_equal(quarantine_of(b, w), w->quarantine);
}

/* Another mode or quarantine for whom other settings mean another. */
static void mark_decided(struct build *b)
{
	struct bh_idmap *spaces = &b->m->spaces;
	for (size_t i = 0; i < spaces->n_buckets; i++) {
		for (struct bh_idmap_slot *k = spaces->bucket[i]; k; k = k->next) {
			struct bh_space *s = k->value;
			if (s->built && decided_otherwise(b, s->built))
				mark_space(b->m, s);
		}
	}
}

/* --- the inventory --- */

static struct bh_inventory *nobody(void)
{
	struct bh_inventory *inv = bh_inventory_new();
	uv_random(NULL, NULL, &inv->seed, sizeof(inv->seed), 0, NULL);
	bh_inventory_seal(inv);
	return inv;
}

static void find_changes(struct build *b)
{
	struct bh_inventory_mgr *m = b->m;
	if (m->all_stale)
		refresh_all(m);
	for (size_t i = 0; i < m->n_dirty_ids; i++)
		place(m, m->dirty_id[i]);
	m->n_dirty_ids = 0;
	if (m->settings_changed)
		mark_decided(b);
	for (size_t i = 0; i < m->n_dirty_spaces; i++)
		update(b, m->dirty_space[i]);
	m->n_dirty_spaces = 0;
}

static struct bh_inventory *frame(struct build *b)
{
	if (!b->m->host_stale && !b->m->settings_changed)
		return NULL;
	struct bh_inventory *inv = bh_inventory_new();
	bh_mgr_host(b->m, inv);
	b->settings->frame(inv, b->settings->arg);
	b->m->settings_changed = false;
	return inv;
}

struct bh_inventory *bh_inventory_mgr_build(
	struct bh_inventory_mgr *m, const struct bh_inventory_settings *settings)
{
	struct build b = {.m = m, .settings = settings};
	uint64_t start = uv_hrtime();
	if (!m->last)
		m->last = nobody();
	find_changes(&b);
	struct bh_inventory *f = frame(&b);
	if (f || b.n_removed || b.n_added) {
		struct bh_inventory *inv =
			bh_inventory_derive(m->last, f, b.removed, b.n_removed, b.added, b.n_added);
		bh_inventory_unref(m->last);
		m->last = inv;
	}
	free(b.removed);
	free(b.added);
	m->cost_ms = (uv_hrtime() - start) / 1000000;
	return bh_inventory_ref(m->last);
}
