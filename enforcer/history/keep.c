/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Stays in the store: what the run before left open is read at the start, what changed is written,
 * what ended is forgotten once it is on disk, and it is noted that we are there.
 */
#include "answer/clock.h"
#include "core/state.h"
#include "history/history.h"
#include "inventory/idmap.h"
#include "store/store.h"

#define LINGER_US 60000000 /* an ended stay's flows may still come in */
#define ALIVE_US 10000000 /* how often at least it is written that we are there */
#define PUT_MAX 1000 /* rows in a tick */
#define ALIVE "history_seen"

/* --- what the run before left open --- */

static bool resume(const struct bh_stay *y, void *core)
{
	struct bh_core *c = core;
	struct bh_workload *w = bh_history_workload(y);
	struct bh_history_entry *e = bh_history_add(c, w);
	bh_workload_unref(w);
	free(e->mark);
	e->mark = bh_xstrdup(y->mark);
	e->number = y->number;
	e->started = y->started;
	e->early = y->early;
	e->resumed = true;
	c->history.n_resumed++;
	e->addr = y->n_addrs ? bh_xcalloc(y->n_addrs, sizeof(*e->addr)) : NULL;
	e->n_addrs = y->n_addrs;
	if (y->n_addrs)
		memcpy(e->addr, y->addr, y->n_addrs * sizeof(*e->addr));
	return true;
}

int64_t bh_core_history_seen(struct bh_core *c)
{
	uint64_t seen = 0;
	return bh_store_get_u64(c->store, ALIVE, &seen) == 0 ? (int64_t)seen : 0;
}

int bh_core_history_load(struct bh_core *c)
{
	c->history.seen = bh_core_history_seen(c);
	return bh_store_list_stays(c->store, BH_STAY_OPEN, NULL, SIZE_MAX, resume, c);
}

/* --- writing --- */

static int put(struct bh_core *c, const struct bh_history_entry *e)
{
	const struct bh_workload *w = e->w, *images = e->images;
	return bh_store_put_stay(c->store, &(struct bh_stay){
						   .number = e->number,
						   .id = w->id,
						   .runtime = w->runtime,
						   .name = w->name,
						   .namespace = w->namespace,
						   .image = images->image,
						   .digest = images->digest,
						   .others = images->others,
						   .labels = w->labels,
						   .mark = e->mark,
						   .started = e->started,
						   .early = e->early,
						   .stopped = e->stopped,
						   .unseen = e->unseen,
						   .addr = e->addr,
						   .n_addrs = e->n_addrs,
					   });
}

struct saving {
	size_t left;
	int err;
};

static void save_one(struct bh_core *c, struct bh_history_entry *e, void *arg)
{
	struct saving *s = arg;
	if (!e->dirty || s->left == 0 || s->err < 0)
		return;
	s->err = put(c, e);
	if (s->err < 0)
		return;
	s->left--;
	e->dirty = false;
	c->history.n_dirty--;
}

static void again(struct bh_core *c, struct bh_history_entry *e, void *arg BH_UNUSED)
{
	bh_history_dirty(&c->history, e);
}

void bh_core_history_save(struct bh_core *c)
{
	struct bh_history *h = &c->history;
	struct saving s = {.left = PUT_MAX};
	if (h->losses != bh_store_losses(c->store)) { /* nobody knows what of ours was lost */
		h->losses = bh_store_losses(c->store);
		bh_history_each(c, again, NULL);
	}
	if (h->n_dirty)
		bh_history_each(c, save_one, &s);
}

/* Ended ones of which nothing more can come, once they are on disk. */
static void forget_ended(struct bh_core *c)
{
	int64_t now = bh_clock_steady();
	struct bh_history *h = &c->history;
	void **value = bh_idmap_values(&h->by_id);
	size_t n = h->by_id.n;
	for (size_t i = 0; i < n && h->n_gone; i++) {
		struct bh_history_entry *first = value[i], **at = &first;
		char bh_autofree *id = bh_xstrdup(first->w->id);
		while (*at) {
			struct bh_history_entry *e = *at;
			if (e->there || e->dirty || now - e->ended < LINGER_US) {
				at = &e->older;
				continue;
			}
			*at = e->older;
			h->n_gone--;
			bh_history_entry_free(e);
		}
		if (first)
			bh_idmap_set(&h->by_id, id, first);
		else
			bh_idmap_remove(&h->by_id, id);
	}
	free(value);
}

/* Together with what is written anyway, so that an idle node's disk may sleep for a while. */
static void tell_alive(struct bh_core *c, int64_t now)
{
	struct bh_history *h = &c->history;
	/* Of those that nobody has seen yet it is not known that they were there now. */
	if (h->n_resumed ||
		(!bh_store_has_changes(c->store) && now - h->told < ALIVE_US && now >= h->told))
		return;
	if (bh_store_put_u64(c->store, ALIVE, (uint64_t)now) == 0)
		h->told = now;
}

/* The clock was set forward so far, and so lately, that nothing should be forgotten for its age: it
 * may be wrong, and be set back soon. */
static bool is_in_doubt(const struct bh_core *c)
{
	return c->pulse.leapt && bh_clock_steady() - c->pulse.leapt < BH_LEAP_US;
}

void bh_core_history_tick(struct bh_core *c)
{
	int64_t now = bh_clock_now();
	bh_core_history_save(c);
	if (c->history.n_gone && c->history.ticks++ % 10 == 0)
		forget_ended(c);
	int64_t oldest = now - (int64_t)c->conf->history_keep_s * 1000000;
	bh_store_trim_stays(c->store, is_in_doubt(c) ? 0 : oldest, c->conf->history_max);
	tell_alive(c, now);
}

void bh_core_history_stop(struct bh_core *c)
{
	bh_core_history_save(c);
	c->history.told = 0;
	tell_alive(c, bh_clock_now());
}

static void free_chain(void *first)
{
	struct bh_history_entry *e = first;
	while (e) {
		struct bh_history_entry *older = e->older;
		bh_history_entry_free(e);
		e = older;
	}
}

void bh_core_history_finish(struct bh_core *c)
{
	bh_idmap_finish(&c->history.by_id, free_chain);
}
