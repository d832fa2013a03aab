/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Stays: who was on this node, from when to when, with which addresses. Each inventory that comes
 * into force is compared with the one before; what differs begins, changes or ends a stay. Flows
 * are written with the numbers of stays, so that they go on meaning who it was when its name and
 * its address are somebody else's.
 *
 * What the run before left open is compared with the first inventory of this one: a stay goes on if
 * the workload is the same by its mark (boot, network namespace, process, interface); else it ended
 * unseen, and is closed with the last time that run is known to have been there.
 */
#include "history/history.h"

#include "answer/clock.h"
#include "core/state.h"

static void stop(struct bh_history *h, struct bh_history_entry *e, int64_t now)
{
	int64_t at = e->resumed ? h->seen : e->left ? e->left : now;
	e->unseen = e->resumed;
	e->there = e->resumed = false;
	e->stopped = at > e->started ? at : e->started;
	for (size_t i = 0; i < e->n_addrs; i++)
		if (!e->addr[i].until)
			e->addr[i].until = e->stopped;
	e->ended = bh_clock_steady();
	h->n_gone++;
	bh_history_dirty(h, e);
}

static void start(struct bh_core *c, struct bh_workload *w, int64_t now)
{
	struct bh_history_entry *e = bh_history_add(c, w);
	e->number = bh_store_new_stay(c->store);
	e->started = now;
	e->early = !c->history.begun;
	bh_history_note_addrs(e, w, now);
}

/* What a file names and does not exist is listed, but it is not there. */
static bool is_there(const struct bh_workload *w)
{
	return w->netns || w->pid > 0;
}

static bool same_stay(
	const struct bh_core *c, const struct bh_history_entry *e, const struct bh_workload *w)
{
	char bh_autofree *mark = bh_history_mark(c, w);
	if (bh_streq(mark, e->mark))
		return true;
	if (e->resumed)
		return false;
	if (!w->netns) /* its process is ending, or nobody may look into it */
		return true;
	if (!e->w->netns && !e->left) /* now it can be looked into */
		return true;
	/* It changed hands, or another interface is its first by now. A namespace that a file names
	 * may be made anew between two looks: then no interface is left of the one before. */
	return e->generation == w->generation &&
	       (w->pid > 0 || !bh_history_first_ifindex(w) || !bh_history_first_ifindex(e->w));
}

static void go_on(struct bh_core *c, struct bh_history_entry *e, struct bh_workload *w, int64_t now)
{
	bool seen = w->netns != 0;
	if (!seen && e->w->netns && !e->left)
		e->left = now;
	if (seen) {
		free(e->mark);
		e->mark = bh_history_mark(c, w);
		e->generation = w->generation;
		e->left = 0;
		bh_history_note_addrs(e, w, now);
	}
	e->resumed = false;
	bh_workload_ref(w);
	bh_workload_unref(e->w);
	e->w = w;
	bh_history_note_images(e, w);
	bh_history_dirty(&c->history, e);
}

static void came(struct bh_core *c, struct bh_workload *w, int64_t now)
{
	struct bh_history_entry *e = bh_history_there(c, w);
	if (e && is_there(w) && same_stay(c, e, w)) {
		go_on(c, e, w, now);
		return;
	}
	if (e)
		stop(&c->history, e, now);
	if (is_there(w))
		start(c, w, now);
}

static void went(struct bh_core *c, const struct bh_workload *w, int64_t now)
{
	struct bh_history_entry *e = bh_history_there(c, w);
	if (e && e->w == w) /* else it goes on, under another name or in another state */
		stop(&c->history, e, now);
}

static void close_resumed(struct bh_core *c, struct bh_history_entry *e, void *now)
{
	if (e->resumed)
		stop(&c->history, e, *(int64_t *)now);
}

/* A workload that did not change is the same object in both. Those that are not in `to` are given
 * to the array, borrowed. */
static size_t compare(struct bh_core *c, const struct bh_inventory *from,
	const struct bh_inventory *to, int64_t now, const struct bh_workload **gone)
{
	size_t i = 0, k = 0, n = 0;
	while (i < from->n || k < to->n) {
		const struct bh_workload *old = i < from->n ? from->workload[i] : NULL;
		struct bh_workload *new = k < to->n ? to->workload[k] : NULL;
		if (old == new) {
			i++;
			k++;
			continue;
		}
		int at = old ? bh_inventory_find(to, old) : BH_OWNER_NONE;
		if (old && at == BH_OWNER_NONE) {
			gone[n++] = old;
			i++;
			continue;
		}
		i += old && (size_t)at == k;
		came(c, new, now);
		k++;
	}
	return n;
}

static void count_resumed(struct bh_core *c BH_UNUSED, struct bh_history_entry *e, void *n)
{
	*(size_t *)n += e->resumed;
}

/* A source that stays away: what it had is neither there nor gone, as long as that is so. */
static void begin(struct bh_core *c, bool complete, int64_t now)
{
	struct bh_history *h = &c->history;
	if (complete)
		bh_history_each(c, close_resumed, &now);
	h->begun = complete;
	h->n_resumed = 0;
	bh_history_each(c, count_resumed, &h->n_resumed);
}

void bh_core_history_follow(struct bh_core *c, const struct bh_inventory *from,
	const struct bh_inventory *to, bool complete)
{
	int64_t now = bh_clock_now();
	if (from) {
		const struct bh_workload **gone = bh_xcalloc(from->n + 1, sizeof(*gone));
		size_t n = compare(c, from, to, now, gone);
		for (size_t i = 0; i < n; i++)
			went(c, gone[i], now);
		free(gone);
	}
	for (size_t i = 0; !from && i < to->n; i++)
		came(c, to->workload[i], now);
	if (!c->history.begun)
		begin(c, complete, now);
}
