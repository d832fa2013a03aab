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
#include "core/history.h"

#include "core/private.h"

#define HOLDERS_MAX 256 /* of one address that are looked at */

#define LINGER_US 60000000 /* an ended stay's flows may still come in */
#define ALIVE_US 10000000 /* how often at least it is written that we are there */
#define PUT_MAX 1000 /* rows in a tick */
#define CLOSED_ADDRS_MAX 64 /* addresses that a stay had and gave up */
#define ALIVE "history_seen"

/* --- entries --- */

static unsigned first_ifindex(const struct bh_workload *w)
{
	unsigned least = 0;
	for (size_t i = 0; i < w->n_ifaces; i++) {
		unsigned x = w->iface[i].host_ifindex;
		if (x && (!least || x < least))
			least = x;
	}
	return least;
}

/* Inode numbers of namespaces are soon given again, those of interfaces are not. */
static char *mark_of(const struct bh_core *c, const struct bh_workload *w)
{
	return bh_xasprintf("%s %llu %d %u", c->boot_id ? c->boot_id : "",
		(unsigned long long)w->netns, w->pid, first_ifindex(w));
}

static void free_entry(struct bh_history_entry *e)
{
	bh_workload_unref(e->w);
	free(e->mark);
	free(e->addr);
	free(e);
}

static void set_dirty(struct bh_history *h, struct bh_history_entry *e)
{
	h->n_dirty += !e->dirty;
	e->dirty = true;
}

static bool has_addr(const struct bh_workload *w, const struct bh_addr *a)
{
	for (size_t i = 0; i < w->n_ifaces; i++)
		for (size_t k = 0; k < w->iface[i].n_addrs; k++)
			if (bh_addr_eq(&w->iface[i].addr[k], a))
				return true;
	return false;
}

static bool knows_addr(const struct bh_history_entry *e, const struct bh_addr *a)
{
	for (size_t i = 0; i < e->n_addrs; i++)
		if (!e->addr[i].until && bh_addr_eq(&e->addr[i].addr, a))
			return true;
	return false;
}

/* Those that were given up first go, when they are too many. */
static void bound_addrs(struct bh_history_entry *e)
{
	size_t closed = 0, n = 0;
	for (size_t i = 0; i < e->n_addrs; i++)
		closed += e->addr[i].until != 0;
	for (size_t i = 0; i < e->n_addrs; i++) {
		if (e->addr[i].until && closed > CLOSED_ADDRS_MAX)
			closed--;
		else
			e->addr[n++] = e->addr[i];
	}
	e->n_addrs = n;
}

static void add_addr(struct bh_history_entry *e, const struct bh_addr *a, int64_t since)
{
	e->addr = bh_xrealloc(e->addr, e->n_addrs + 1, sizeof(*e->addr));
	e->addr[e->n_addrs++] = (struct bh_stay_addr){.addr = *a, .since = since};
}

static void note_addrs(struct bh_history_entry *e, const struct bh_workload *w, int64_t now)
{
	for (size_t i = 0; i < e->n_addrs; i++)
		if (!e->addr[i].until && !has_addr(w, &e->addr[i].addr))
			e->addr[i].until = now;
	bound_addrs(e);
	for (size_t i = 0; i < w->n_ifaces; i++)
		for (size_t k = 0; k < w->iface[i].n_addrs; k++)
			if (!knows_addr(e, &w->iface[i].addr[k]))
				add_addr(e, &w->iface[i].addr[k], now);
}

static void stop(struct bh_history *h, struct bh_history_entry *e, int64_t now)
{
	int64_t at = e->resumed ? h->seen : e->left ? e->left : now;
	e->unseen = e->resumed;
	e->there = e->resumed = false;
	e->stopped = at > e->started ? at : e->started;
	for (size_t i = 0; i < e->n_addrs; i++)
		if (!e->addr[i].until)
			e->addr[i].until = e->stopped;
	e->ended = now;
	h->n_gone++;
	set_dirty(h, e);
}

static struct bh_history_entry *add_entry(struct bh_core *c, struct bh_workload *w)
{
	struct bh_history_entry *e = bh_xcalloc(1, sizeof(*e));
	e->w = bh_workload_ref(w);
	e->generation = w->generation;
	e->mark = mark_of(c, w);
	e->there = true;
	e->older = bh_idmap_set(&c->history.by_id, w->id, e);
	set_dirty(&c->history, e);
	return e;
}

static void start(struct bh_core *c, struct bh_workload *w, int64_t now)
{
	struct bh_history_entry *e = add_entry(c, w);
	e->number = bh_store_new_stay(c->store);
	e->started = now;
	e->early = !c->history.begun;
	note_addrs(e, w, now);
}

/* --- what the run before left open --- */

static struct bh_workload *workload_of(const struct bh_stay *y)
{
	struct bh_workload *w = bh_workload_new();
	w->id = bh_xstrdup(y->id);
	w->runtime = bh_xstrdup(y->runtime);
	w->name = bh_xstrdup(y->name);
	w->namespace = bh_xstrdup(y->namespace);
	w->image = bh_xstrdup(y->image);
	w->digest = bh_xstrdup(y->digest);
	bh_images_copy(&w->others, &y->others);
	bh_labels_copy(&w->labels, &y->labels);
	return w;
}

static bool resume(const struct bh_stay *y, void *core)
{
	struct bh_core *c = core;
	struct bh_workload *w = workload_of(y);
	struct bh_history_entry *e = add_entry(c, w);
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

int bh_core_history_load(struct bh_core *c)
{
	uint64_t seen = 0;
	if (bh_store_get_u64(c->store, ALIVE, &seen) == 0)
		c->history.seen = (int64_t)seen;
	return bh_store_list_stays(c->store, BH_STAY_OPEN, NULL, SIZE_MAX, resume, c);
}

/* --- following the inventory --- */

/* What a file names and does not exist is listed, but it is not there. */
static bool is_there(const struct bh_workload *w)
{
	return w->netns || w->pid > 0;
}

static bool same_stay(
	const struct bh_core *c, const struct bh_history_entry *e, const struct bh_workload *w)
{
	char bh_autofree *mark = mark_of(c, w);
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
	       (w->pid > 0 || !first_ifindex(w) || !first_ifindex(e->w));
}

static void go_on(struct bh_core *c, struct bh_history_entry *e, struct bh_workload *w, int64_t now)
{
	bool seen = w->netns != 0;
	if (!seen && e->w->netns && !e->left)
		e->left = now;
	if (seen) {
		free(e->mark);
		e->mark = mark_of(c, w);
		e->generation = w->generation;
		e->left = 0;
		note_addrs(e, w, now);
	}
	e->resumed = false;
	bh_workload_ref(w);
	bh_workload_unref(e->w);
	e->w = w;
	set_dirty(&c->history, e);
}

static struct bh_history_entry *there(const struct bh_core *c, const struct bh_workload *w)
{
	struct bh_history_entry *e = bh_idmap_get(&c->history.by_id, w->id);
	return e && e->there ? e : NULL;
}

static void came(struct bh_core *c, struct bh_workload *w, int64_t now)
{
	struct bh_history_entry *e = there(c, w);
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
	struct bh_history_entry *e = there(c, w);
	if (e && e->w == w) /* else it goes on, under another name or in another state */
		stop(&c->history, e, now);
}

static void each_entry(struct bh_core *c,
	void (*fn)(struct bh_core *, struct bh_history_entry *, void *), void *arg)
{
	for (size_t i = 0; i < c->history.by_id.n_buckets; i++)
		for (struct bh_idmap_slot *s = c->history.by_id.bucket[i]; s; s = s->next)
			for (struct bh_history_entry *e = s->value; e; e = e->older)
				fn(c, e, arg);
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
		each_entry(c, close_resumed, &now);
	h->begun = complete;
	h->n_resumed = 0;
	each_entry(c, count_resumed, &h->n_resumed);
}

void bh_core_history_follow(struct bh_core *c, const struct bh_inventory *from,
	const struct bh_inventory *to, bool complete)
{
	int64_t now = bh_core_now();
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

uint64_t bh_core_stay_of(const struct bh_core *c, const struct bh_workload *w)
{
	struct bh_history_entry *newest = bh_idmap_get(&c->history.by_id, w->id);
	for (struct bh_history_entry *e = newest; e; e = e->older)
		if (e->generation == w->generation && !e->resumed)
			return e->number;
	return newest ? newest->number : 0;
}

void bh_core_started_json(const struct bh_core *c, const struct bh_workload *w, json_t *o)
{
	const struct bh_history_entry *e = there(c, w);
	json_object_set_new(o, "state", json_string("running"));
	json_object_set_new(o, "stay", json_integer(e ? (json_int_t)e->number : 0));
	json_object_set_new(o, "started", bh_core_time_json(e ? e->started : 0));
	json_object_set_new(o, "started_before", json_boolean(e && e->early));
	json_object_set_new(o, "stopped", json_null());
}

/* --- who it was --- */

/* A packet may be this much older than our knowing of its sender: it waits for us, and an inventory
 * takes its time. */
#define LATE_US 5000000
#define UNSEEN_US 15000000 /* a run that was killed said that it was alive before that */

struct holder {
	const struct bh_addr *addr;
	int64_t at;
	uint64_t except; /* whose number it is not */
	struct bh_workload *w;
};

static bool is_holder(const struct bh_stay *y, void *arg)
{
	struct holder *h = arg;
	int64_t more = y->unseen ? UNSEEN_US : 0;
	if (y->number == h->except || (y->stopped && h->at > y->stopped + more))
		return true;
	for (size_t i = 0; i < y->n_addrs && !h->w; i++) {
		const struct bh_stay_addr *a = &y->addr[i];
		if (bh_addr_eq(&a->addr, h->addr) && a->since <= h->at &&
			(!a->until || h->at <= a->until + more))
			h->w = workload_of(y);
	}
	return !h->w;
}

static struct bh_workload *find_holder(
	struct bh_core *c, const struct bh_addr *a, int64_t at, uint64_t except)
{
	struct holder h = {.addr = a, .at = at, .except = except};
	const struct bh_range r = {*a, *a};
	bh_core_history_save(c);
	bh_store_stays_of_range(c->store, &r, HOLDERS_MAX, is_holder, &h);
	return h.w;
}

/* When it came to the address, as far as is known; 0: nobody knows that. */
static int64_t had_since(const struct bh_history_entry *e, const struct bh_addr *a)
{
	for (size_t i = 0; i < e->n_addrs; i++)
		if (bh_addr_eq(&e->addr[i].addr, a))
			return e->addr[i].since;
	return 0;
}

bool bh_core_history_had(struct bh_core *c, const struct bh_workload *w, const struct bh_addr *a,
	int64_t at, struct bh_workload **ret_other)
{
	uint64_t number = bh_core_stay_of(c, w);
	const struct bh_history_entry *e = bh_idmap_get(&c->history.by_id, w->id);
	while (e && e->number != number)
		e = e->older;
	int64_t since = e ? had_since(e, a) : 0;
	if (since <= at)
		return true;
	*ret_other = find_holder(c, a, at, number);
	return !*ret_other && (e->early || since - LATE_US <= at);
}

struct bh_workload *bh_core_history_holder(struct bh_core *c, const struct bh_addr *a, int64_t at)
{
	return find_holder(c, a, at, 0);
}

/* --- writing --- */

static int put(struct bh_core *c, const struct bh_history_entry *e)
{
	const struct bh_workload *w = e->w;
	return bh_store_put_stay(c->store, &(struct bh_stay){
						   .number = e->number,
						   .id = w->id,
						   .runtime = w->runtime,
						   .name = w->name,
						   .namespace = w->namespace,
						   .image = w->image,
						   .digest = w->digest,
						   .others = w->others,
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
	set_dirty(&c->history, e);
}

static void complain(struct bh_core *c)
{
	if (!c->store_error)
		c->store_error = bh_xstrdup(bh_store_message(c->store));
}

void bh_core_history_save(struct bh_core *c)
{
	struct bh_history *h = &c->history;
	struct saving s = {.left = PUT_MAX};
	if (h->losses != bh_store_losses(c->store)) { /* nobody knows what of ours was lost */
		h->losses = bh_store_losses(c->store);
		each_entry(c, again, NULL);
	}
	if (h->n_dirty)
		each_entry(c, save_one, &s);
	if (s.err < 0)
		complain(c);
}

/* Ended ones of which nothing more can come, once they are on disk. */
static void forget_ended(struct bh_core *c, int64_t now)
{
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
			free_entry(e);
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

void bh_core_history_tick(struct bh_core *c)
{
	int64_t now = bh_core_now();
	bh_core_history_save(c);
	if (c->history.n_gone && c->history.ticks++ % 10 == 0)
		forget_ended(c, now);
	int r = bh_store_trim_stays(
		c->store, now - (int64_t)c->conf->history_keep_s * 1000000, c->conf->history_max);
	if (r < 0)
		complain(c);
	tell_alive(c, now);
}

void bh_core_history_stop(struct bh_core *c)
{
	bh_core_history_save(c);
	c->history.told = 0;
	tell_alive(c, bh_core_now());
}

static void free_chain(void *first)
{
	struct bh_history_entry *e = first;
	while (e) {
		struct bh_history_entry *older = e->older;
		free_entry(e);
		e = older;
	}
}

void bh_core_history_finish(struct bh_core *c)
{
	bh_idmap_finish(&c->history.by_id, free_chain);
}
