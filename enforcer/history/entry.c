/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A stay as long as it is there: its marks, addresses and images, and where it is found. */
#include "answer/clock.h"
#include "core/state.h"
#include "history/history.h"
#include "inventory/idmap.h"
#include "store/store.h"

#define CLOSED_ADDRS_MAX 64 /* addresses that a stay had and gave up */

unsigned bh_history_first_ifindex(const struct bh_workload *w)
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
char *bh_history_mark(const struct bh_core *c, const struct bh_workload *w)
{
	return bh_xasprintf("%s %llu %d %u", c->boot_id ? c->boot_id : "",
		(unsigned long long)w->netns, w->pid, bh_history_first_ifindex(w));
}

void bh_history_entry_free(struct bh_history_entry *e)
{
	bh_workload_unref(e->w);
	bh_workload_unref(e->images);
	free(e->mark);
	free(e->addr);
	free(e);
}

void bh_history_dirty(struct bh_history *h, struct bh_history_entry *e)
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

void bh_history_note_addrs(struct bh_history_entry *e, const struct bh_workload *w, int64_t now)
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

static struct bh_run_image image_at(const struct bh_workload *w, size_t i)
{
	return i ? w->others.item[i - 1] : (struct bh_run_image){w->image, w->digest};
}

/* All that b says of one of its images, a says as well. */
static bool says(const struct bh_workload *a, const struct bh_run_image *b)
{
	bool found = !b->image && !b->digest;
	for (size_t i = 0; i <= a->others.n && !found; i++) {
		const struct bh_run_image x = image_at(a, i);
		found = (!b->image || bh_streq(x.image, b->image)) &&
			(!b->digest || bh_streq(x.digest, b->digest));
	}
	return found;
}

static bool says_all(const struct bh_workload *a, const struct bh_workload *b)
{
	bool all = true;
	for (size_t i = 0; i <= b->others.n && all; i++) {
		const struct bh_run_image x = image_at(b, i);
		all = says(a, &x);
	}
	return all;
}

/* A stand-in with the images of both, those of w first. */
static struct bh_workload *with_images_of(
	const struct bh_workload *w, const struct bh_workload *old)
{
	struct bh_workload *both = bh_workload_new();
	const struct bh_run_image first = image_at(w, 0);
	both->image = bh_xstrdup(w->image);
	both->digest = bh_xstrdup(w->digest);
	bh_images_copy(&both->others, &w->others);
	for (size_t i = 0; i <= old->others.n; i++) {
		const struct bh_run_image x = image_at(old, i);
		if (!says(w, &x))
			bh_images_add(&both->others, &first, &x);
	}
	return both;
}

/* The containers of a pod end one by one, and may be gone from the runtime's list before the pod
 * is: what is told of it last is not all that it was. */
void bh_history_note_images(struct bh_history_entry *e, struct bh_workload *w)
{
	struct bh_workload *old = e->images;
	if (says_all(w, old))
		e->images = bh_workload_ref(w);
	else if (says_all(old, w))
		return;
	else
		e->images = with_images_of(w, old);
	bh_workload_unref(old);
}

struct bh_history_entry *bh_history_add(struct bh_core *c, struct bh_workload *w)
{
	struct bh_history_entry *e = bh_xcalloc(1, sizeof(*e));
	e->w = bh_workload_ref(w);
	e->images = bh_workload_ref(w);
	e->generation = w->generation;
	e->mark = bh_history_mark(c, w);
	e->there = true;
	e->came = bh_clock_steady();
	e->older = bh_idmap_set(&c->history.by_id, w->id, e);
	bh_history_dirty(&c->history, e);
	return e;
}

struct bh_history_entry *bh_history_there(const struct bh_core *c, const struct bh_workload *w)
{
	struct bh_history_entry *e = bh_idmap_get(&c->history.by_id, w->id);
	return e && e->there ? e : NULL;
}

void bh_history_each(struct bh_core *c,
	void (*fn)(struct bh_core *, struct bh_history_entry *, void *), void *arg)
{
	for (size_t i = 0; i < c->history.by_id.n_buckets; i++)
		for (struct bh_idmap_slot *s = c->history.by_id.bucket[i]; s; s = s->next)
			for (struct bh_history_entry *e = s->value; e; e = e->older)
				fn(c, e, arg);
}
