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

void bh_mgr_mark_space(struct bh_inventory_mgr *m, struct bh_space *s)
{
	if (s->dirty)
		return;
	s->dirty = true;
	BH_GROW(m->dirty_space, m->n_dirty_spaces, m->cap_dirty_spaces);
	m->dirty_space[m->n_dirty_spaces++] = s;
}

static void forget_claims(struct bh_space *s)
{
	while (s->n_told > 0)
		free(s->told[--s->n_told]);
}

static void free_space(void *space)
{
	struct bh_space *s = space;
	bh_workload_unref(s->built);
	free(s->member);
	free(s->mac);
	forget_claims(s);
	bh_space_forget_who(s);
	free(s->key);
	free(s);
}

struct bh_space *bh_mgr_space(const struct bh_inventory_mgr *m, uint64_t netns)
{
	char key[24];
	snprintf(key, sizeof(key), "%llu", (unsigned long long)netns);
	return bh_idmap_get(&m->spaces, key);
}

void bh_mgr_spaces_finish(struct bh_inventory_mgr *m)
{
	bh_idmap_finish(&m->spaces, free_space);
	free(m->dirty_space);
	bh_inventory_unref(m->last);
}

/* --- which container is in which space --- */

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
	bh_mgr_mark_space(m, s);
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
	bh_mgr_mark_space(m, s);
}

static void place(struct bh_inventory_mgr *m, struct bh_mgr_id *id)
{
	struct bh_record *r = bh_mgr_record(m, id);
	if (r)
		bh_record_refresh(m, r);
	bh_autofree char *key = key_of(m, r);
	id->dirty = false;
	if (id->space && bh_streq(id->space->key, key)) {
		bh_mgr_mark_space(m, id->space);
	} else {
		leave(m, id);
		if (key)
			join(m, id, key);
	}
	if (!r)
		bh_mgr_id_remove(m, id);
}

/* --- the workload of a space --- */

static struct bh_quarantine *quarantine_of(const struct build *b, const struct bh_workload *w)
{
	return b->settings->quarantine ? b->settings->quarantine(w, b->settings->arg) : NULL;
}

/* In their order. Array owned by the caller (free). */
static struct bh_record **records(const struct bh_inventory_mgr *m, const struct bh_space *s)
{
	struct bh_record **r = bh_xcalloc(s->n, sizeof(struct bh_record *));
	for (size_t i = 0; i < s->n; i++)
		r[i] = bh_mgr_record(m, s->member[i]);
	if (s->n > 1)
		qsort(r, s->n, sizeof(struct bh_record *), bh_record_order);
	return r;
}

struct claims {
	const struct build *b;
	struct bh_space *s;
	const struct bh_workload *w;
};

static void tell_claim(const char *what, void *arg)
{
	const struct claims *c = arg;
	struct bh_space *s = c->s;
	for (size_t i = 0; i < s->n_told; i++)
		if (strcmp(s->told[i], what) == 0)
			return;
	if (s->n_told == BH_CLAIMS_TOLD)
		return;
	s->told[s->n_told++] = bh_xstrdup(what);
	c->b->settings->claims(c->w, what, c->b->settings->arg);
}

/* Each once, and not without end: a container may claim as often as it likes. */
static void tell_claims(const struct build *b, struct bh_space *s, const struct bh_workload *w)
{
	struct claims c = {b, s, w};
	if (s->built && s->built->generation != w->generation)
		forget_claims(s); /* another's */
	if (b->settings->claims)
		bh_workload_claims(w, tell_claim, &c);
}

static struct bh_workload *make(struct build *b, struct bh_space *s)
{
	bh_autofree struct bh_record **r = records(b->m, s);
	struct bh_workload *w = bh_mgr_make(b->m, s, r, s->n);
	w->mode = b->settings->mode(w, b->settings->arg);
	w->quarantine = bh_quarantine_ref(quarantine_of(b, w));
	return w;
}

static void remove_space(struct bh_inventory_mgr *m, struct bh_space *s)
{
	uint64_t netns = strtoull(s->key, NULL, 10);
	if (netns)
		bh_link_forget(m->link, netns);
	free_space(bh_idmap_remove(&m->spaces, s->key));
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
		tell_claims(b, s, w);
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
		remove_space(b->m, s);
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
				bh_mgr_mark_space(b->m, s);
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

static void claim_macs(struct bh_inventory_mgr *m, struct bh_space *s)
{
	bh_autofree struct bh_record **r = records(m, s);
	bh_mgr_macs_claim(m, s, r, s->n);
}

static void find_changes(struct build *b)
{
	struct bh_inventory_mgr *m = b->m;
	for (size_t i = 0; i < m->dirty_id.n; i++)
		place(m, m->dirty_id.item[i]);
	m->dirty_id.n = 0;
	if (m->settings_changed)
		mark_decided(b);
	/* What one gives up another may have: that one is among them then. */
	for (size_t i = 0; i < m->n_dirty_spaces; i++)
		claim_macs(m, m->dirty_space[i]);
	for (size_t i = 0; i < m->n_dirty_spaces; i++)
		update(b, m->dirty_space[i]);
	m->n_dirty_spaces = 0;
}

static struct bh_inventory *frame(struct build *b)
{
	struct bh_inventory_mgr *m = b->m;
	if (m->host_stale)
		bh_mgr_host_look(m);
	if (!m->host_changed && !m->settings_changed)
		return NULL;
	struct bh_inventory *inv = bh_inventory_new();
	bh_mgr_host(m, inv);
	b->settings->frame(inv, b->settings->arg);
	m->settings_changed = m->host_changed = false;
	return inv;
}

struct bh_inventory *bh_inventory_mgr_build(
	struct bh_inventory_mgr *m, const struct bh_inventory_settings *settings)
{
	struct build b = {.m = m, .settings = settings};
	uint64_t start = uv_hrtime();
	if (!m->last)
		m->last = nobody();
	m->builds++;
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
	if (m->n_dirty_spaces)
		bh_mgr_tell(m); /* subnets turned out to be others meanwhile */
	m->build_us = (uv_hrtime() - start) / 1000;
	return bh_inventory_ref(m->last);
}
