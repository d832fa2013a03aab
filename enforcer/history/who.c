/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Stays asked: whose number, and who had an address at that time. */
#include "answer/clock.h"
#include "core/state.h"
#include "history/history.h"
#include "inventory/idmap.h"
#include "store/store.h"

#define HOLDERS_MAX 256 /* of one address that are looked at */
/* A packet may be this much older than our knowing of its sender: it waits for us, and an inventory
 * takes its time. */
#define LATE_US 5000000
#define UNSEEN_US 15000000 /* a run that was killed said that it was alive before that */

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
	const struct bh_history_entry *e = bh_history_there(c, w);
	json_object_set_new(o, "state", json_string("running"));
	json_object_set_new(o, "stay", json_integer(e ? (json_int_t)e->number : 0));
	json_object_set_new(o, "started", bh_clock_json(e ? e->started : 0));
	json_object_set_new(o, "started_before", json_boolean(e && e->early));
	json_object_set_new(o, "stopped", json_null());
}

struct bh_workload *bh_history_workload(const struct bh_stay *y)
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
			h->w = bh_history_workload(y);
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
	/* The clock was set back since it came: then who else had the address at that time is no
	 * answer. */
	int64_t back = e->came < c->pulse.back_at ? c->pulse.back : 0;
	bool in_doubt = back && since - back <= at;
	*ret_other = find_holder(c, a, at, number);
	if (in_doubt && *ret_other) {
		bh_workload_unref(*ret_other);
		*ret_other = NULL;
		return false;
	}
	return !*ret_other && (in_doubt || e->early || since - LATE_US <= at);
}

struct bh_workload *bh_core_history_holder(struct bh_core *c, const struct bh_addr *a, int64_t at)
{
	return find_holder(c, a, at, 0);
}
