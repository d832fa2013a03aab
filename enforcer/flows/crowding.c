/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A workload that opens very many flows would fill connection tracking, and the kernel then drops
 * the new flows of everybody. While there is room nobody is hindered, and no rule knows of this.
 *
 * From half full on it is counted, by a thread, who opened what, and looked at ten times a second
 * how full it is. From three quarters on who holds more than his share (crowding.share) is paced:
 * to the rate that keeps him there if his flows live two minutes, so that a busy proxy slows down
 * and a flood stops to matter. From seven eighths on who holds more than half a share opens none
 * (several may do it together), and his flows beyond that which nobody answered or that are closed
 * are ended. Only if the table is all but full, which takes
 * a flood that is faster than the count or one of before the daemon's start, open ones are ended as
 * well: otherwise nobody could open any until his time out, of TCP in five days. It ends when he
 * holds clearly less than his share, or the table is no longer crowded.
 *
 * It goes by who opened the flow, by the address that the guard has bound to his veth. A server
 * that many come to has opened nothing.
 */
#include "flows/crowding.h"

#include "answer/clock.h"
#include "config/config.h"
#include "conntrack/conntrack.h"
#include "core/reconcile.h"
#include "core/state.h"
#include "flows/tracking.h"
#include "verdict/snapshot.h"

#define LOOK_MS 100
#define DROPPING_US 2000000
#define STALE_US 5000000 /* a count of longer ago says nothing of who floods now */

/* --- what the rules are told --- */

uint32_t bh_core_crowding_share(const struct bh_core *c)
{
	return bh_crowding_share(c->tracking.max, c->conf->crowding_share, c->crowding.level);
}

static int find_workload(const struct bh_inventory *inv, const struct bh_crowder *w)
{
	for (size_t i = 0; i < inv->n; i++)
		if (inv->workload[i]->generation == w->generation &&
			bh_streq(inv->workload[i]->id, w->id))
			return (int)i;
	return -1;
}

static void list_workload(struct bh_emit_crowding *l, size_t *cap, const struct bh_inventory *inv,
	int at, const char *name)
{
	const struct bh_workload *w = inv->workload[at];

	for (size_t i = 0; i < w->n_ifaces; i++)
		for (size_t k = 0; k < w->iface[i].n_addrs; k++) {
			const struct bh_addr *a = &w->iface[i].addr[k];
			if (bh_inventory_owner(inv, a) != at)
				continue;
			BH_GROW(l->item, l->n, *cap);
			l->item[l->n++] = (struct bh_crowding_addr){*a, bh_xstrdup(name)};
		}
}

struct bh_emit_crowding bh_core_crowding_list(const struct bh_core *c, const struct bh_engine *e)
{
	const struct bh_crowding *x = &c->crowding;
	const struct bh_inventory *inv = bh_engine_inventory(e);
	struct bh_emit_crowding l = {0};
	size_t cap = 0;

	for (size_t i = 0; i < x->n; i++) {
		int at = find_workload(inv, &x->who[i]);
		if (at >= 0)
			list_workload(&l, &cap, inv, at, x->who[i].name);
	}
	if (l.n > 0 && x->level == BH_CROWDING_PACED)
		l.rate = bh_crowding_rate(bh_core_crowding_share(c));
	return l;
}

void bh_crowding_list_free(struct bh_emit_crowding *l)
{
	for (size_t i = 0; i < l->n; i++)
		free((char *)l->item[i].who);
	free(l->item);
	*l = (struct bh_emit_crowding){0};
}

bool bh_crowding_list_equal(const struct bh_emit_crowding *a, const struct bh_emit_crowding *b)
{
	bool equal = a->n == b->n && a->rate == b->rate;

	for (size_t i = 0; equal && i < a->n; i++)
		equal = bh_addr_eq(&a->item[i].addr, &b->item[i].addr) &&
			bh_streq(a->item[i].who, b->item[i].who);
	return equal;
}

/* --- who it is --- */

static void free_crowder(struct bh_crowder *w)
{
	free(w->id);
	free(w->name);
}

static void add(struct bh_crowding *x, const struct bh_workload *w)
{
	BH_GROW(x->who, x->n, x->cap);
	x->who[x->n++] = (struct bh_crowder){.id = bh_xstrdup(w->id),
		.name = bh_xasprintf("%s/%s", w->namespace, w->name),
		.generation = w->generation,
		.since = bh_clock_now()};
	x->times++;
}

static struct bh_crowder *find(struct bh_crowding *x, const struct bh_workload *w)
{
	for (size_t i = 0; i < x->n; i++)
		if (x->who[i].generation == w->generation && bh_streq(x->who[i].id, w->id))
			return &x->who[i];
	return NULL;
}

/* Where a flow stands in the table is a matter of a hash that nobody knows: a part of it is like
 * the whole. */
static size_t of_all(const struct bh_crowding *x, size_t n)
{
	size_t seen = x->last.seen;

	return seen > 0 && x->entries > seen ? (size_t)((double)n * x->entries / seen) : n;
}

/* Of who is known already a part says what is gone of his. */
static void note(const struct bh_crowding *x, struct bh_crowder *w, const struct bh_census_of *of)
{
	if (!x->last.part) {
		w->flows = of->flows;
		w->spare = of->spare;
	} else if (w->told) {
		w->flows -= of->cut < w->flows ? of->cut : w->flows;
		w->spare -= of->cut_spare < w->spare ? of->cut_spare : w->spare;
	} else {
		w->flows = of_all(x, of->flows);
		w->spare = of_all(x, of->spare);
	}
}

/* Those who hold too much by the last count, if it is of now. */
static void count_in(struct bh_core *c)
{
	struct bh_crowding *x = &c->crowding;
	const struct bh_census *s = &x->last;
	uint32_t share = bh_core_crowding_share(c);

	if (!s->snap || bh_clock_steady() - s->began > STALE_US + s->took)
		return;
	const struct bh_inventory *inv = bh_engine_inventory(s->snap->engine);
	for (size_t i = 0; i < inv->n; i++) {
		struct bh_crowder *w = find(x, inv->workload[i]);
		bool more = !w && bh_crowding_too_many(s->of[i].flows, share, false);
		if (more) {
			add(x, inv->workload[i]);
			w = &x->who[x->n - 1];
		}
		if (more || (w && x->fresh))
			note(x, w, &s->of[i]);
	}
	x->fresh = false;
}

/* Those who are let go, or are gone: they are put behind the others. How many stay. */
static size_t stay(struct bh_core *c)
{
	struct bh_crowding *x = &c->crowding;
	const struct bh_inventory *inv = bh_engine_inventory(c->snap->engine);
	uint32_t share = bh_core_crowding_share(c);
	size_t n = 0;

	for (size_t i = 0; i < x->n; i++) {
		struct bh_crowder w = x->who[i];
		if (x->level == BH_CROWDING_NONE || !bh_crowding_too_many(w.flows, share, true) ||
			find_workload(inv, &w) < 0)
			continue;
		x->who[i] = x->who[n];
		x->who[n++] = w;
	}
	return n;
}

/* First the rules, then the record. */
static void follow(struct bh_core *c)
{
	struct bh_crowding *x = &c->crowding;

	if (x->level > BH_CROWDING_NONE)
		count_in(c);
	size_t all = x->n;
	x->n = stay(c);
	bh_core_crowding_commit(c);
	for (size_t i = 0; i < x->n; i++)
		if (!x->who[i].told)
			bh_core_crowding_begun(c, &x->who[i]);
	for (size_t i = x->n; i < all; i++) {
		if (x->who[i].told)
			bh_core_crowding_ended(c, &x->who[i]);
		free_crowder(&x->who[i]);
	}
}

/* --- the count --- */

static bool is_on(const struct bh_core *c)
{
	return c->conf->crowding_share < BH_CROWDING_OFF;
}

static bool is_rising(const struct bh_core *c, const struct bh_ct_fill *f)
{
	return f->entries > c->crowding.ticked + f->max / 64;
}

static int64_t longest(int64_t a, int64_t b)
{
	return a > b ? a : b;
}

static bool may_cut(const struct bh_core *c)
{
	const struct bh_crowding *x = &c->crowding;
	bool any = false;

	for (size_t i = 0; i < x->n; i++)
		any |= x->who[i].flows > bh_core_crowding_share(c);
	return any;
}

/* Whose the flows are is asked again the sooner the more depends on it; a fifth of a CPU at most.
 */
static bool count_is_due(const struct bh_core *c, const struct bh_ct_fill *f, int64_t now)
{
	const struct bh_crowding *x = &c->crowding;
	int64_t age = now - x->last.began;
	bool held = x->level > BH_CROWDING_NONE;

	if (!is_on(c) ? !bh_crowding_at_least(f, 9, 10) && x->level != BH_CROWDING_CUT
		      : !bh_crowding_at_least(f, 1, 2) && !held)
		return false;
	if (x->last.began < x->risen_at)
		return true;
	if (x->level == BH_CROWDING_CUT && may_cut(c))
		return true; /* nobody has room until it is done */
	if (age < longest(500000, 4 * x->last.took))
		return false;
	if (is_on(c) && (f->entries >= x->entries + f->max / 16 || x->level == BH_CROWDING_CUT))
		return true;
	return age >= (x->n ? 2000000 : held && is_on(c) ? 5000000 : 60000000);
}

static void set_quotas(const struct bh_core *c, struct bh_census_task *t)
{
	const struct bh_crowding *x = &c->crowding;
	const struct bh_inventory *inv = bh_engine_inventory(c->snap->engine);

	if (x->n == 0 || x->level < BH_CROWDING_REFUSED)
		return;
	t->quota = bh_xcalloc(inv->n + 1, sizeof(*t->quota));
	for (size_t i = 0; i < x->n; i++) {
		int at = find_workload(inv, &x->who[i]);
		if (at < 0)
			continue;
		t->quota[at] = bh_crowding_quota(
			x->level, x->who[i].flows, x->who[i].spare, bh_core_crowding_share(c));
		if (x->level == BH_CROWDING_CUT)
			t->left += t->quota[at].spare + t->quota[at].open;
	}
}

/* As long as nobody is known it is enough to find one, which takes a flood's own part of the table;
 * and where there is no room, to make some. */
static void count(struct bh_core *c, const struct bh_ct_fill *f)
{
	struct bh_crowding *x = &c->crowding;
	struct bh_census_task t = {0};

	set_quotas(c, &t);
	if (is_on(c) && x->n == 0 && (x->level > BH_CROWDING_NONE || is_rising(c, f)))
		t.enough = bh_core_crowding_share(c);
	if (bh_census_begin(&x->thread, c->snap, &t))
		x->entries = f->entries;
	else
		x->last.began = bh_clock_steady(); /* another time */
}

static void on_counted(uv_async_t *a)
{
	struct bh_core *c = a->data;
	struct bh_crowding *x = &c->crowding;
	struct bh_census got;

	if (c->stopping || !bh_census_take(&x->thread, &got))
		return;
	x->cut += got.cut;
	x->uncut += got.cut;
	bh_census_finish(&x->last);
	x->last = got;
	x->fresh = true;
	if (got.err < 0) {
		bh_census_finish(&x->last);
		x->last.began = got.began;
		return;
	}
	const struct bh_ct_fill f = {.entries = c->tracking.entries, .max = c->tracking.max};
	if (!got.part)
		bh_core_tracking_counted(c, &x->last);
	if (c->snap)
		bh_core_crowding_look(c, &f, false);
}

/* --- from time to time --- */

static void on_timer(uv_timer_t *t)
{
	struct bh_core *c = t->data;
	bh_core_tracking_look(c);
}

void bh_core_crowding_look(struct bh_core *c, const struct bh_ct_fill *f, bool dropping)
{
	struct bh_crowding *x = &c->crowding;
	int64_t now = bh_clock_steady();

	if (dropping)
		x->dropped_at = now;
	if (!c->snap || !c->installed || c->stopping)
		return;
	dropping = x->dropped_at && now - x->dropped_at < DROPPING_US;
	enum bh_crowding_level before = x->level;
	x->level = bh_crowding_next(before, f, dropping);
	if (x->level > before || x->risen_at == 0)
		x->risen_at = now;
	follow(c);
	if (!x->thread.walking && count_is_due(c, f, now))
		count(c, f);
	if (is_on(c) &&
		(x->level > BH_CROWDING_NONE || bh_crowding_at_least(f, 1, 2) || is_rising(c, f)))
		uv_timer_start(&x->timer, on_timer, LOOK_MS, 0);
}

void bh_core_crowding_tick(struct bh_core *c)
{
	c->crowding.ticked = c->tracking.entries;
	bh_core_crowding_goes_on(c);
}

void bh_core_crowding_init(struct bh_core *c)
{
	uv_timer_init(c->loop, &c->crowding.timer);
	c->crowding.timer.data = c;
	bh_census_thread_init(&c->crowding.thread, c->loop, on_counted, c);
}

/* The rules stay, and with them who is held back, until the first commit of the next run, which has
 * yet to count. */
void bh_core_crowding_stop(struct bh_core *c)
{
	struct bh_census got;

	if (bh_census_take(&c->crowding.thread, &got)) {
		c->crowding.uncut += got.cut;
		bh_census_finish(&got);
	}
	bh_core_crowding_stays(c);
}

void bh_core_crowding_finish(struct bh_core *c)
{
	struct bh_crowding *x = &c->crowding;

	for (size_t i = 0; i < x->n; i++)
		free_crowder(&x->who[i]);
	free(x->who);
	bh_crowding_list_free(&x->in_force);
	bh_census_finish(&x->last);
}
