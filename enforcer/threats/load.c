/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The course of a load, one chunk each turn of the loop. See load.h. */
#include "threats/load.h"

#include <linux/membarrier.h>
#include <sys/syscall.h>

#include "core/reconcile.h"
#include "core/state.h"
#include "revoke/revoke.h"
#include "threats/lookback.h"

#define PAUSE_MS 1 /* between chunks: what others do takes several turns of the loop */
#define AGAIN_MS 200
#define GRACE_MS 300
#define FAILED_MS 5000

static void on_timer(uv_timer_t *t);

void bh_core_feeds_init(struct bh_core *c)
{
	struct bh_feed_load *l = &c->feed_load;
	bh_feed_sets_init(l, NULL);
	l->chunk = BH_FEED_CHUNK_MAX;
	uv_timer_init(c->loop, &l->timer);
	l->timer.data = c;
}

void bh_core_feeds_finish(struct bh_core *c)
{
	if (c->feed_load.grace)
		c->feed_load.grace->c = NULL;
	bh_feed_index_unref(c->feed_load.in_force);
	bh_feed_index_unref(c->feed_load.target);
	bh_feed_index_unref(c->feed_load.old);
	c->feed_load.in_force = c->feed_load.target = c->feed_load.old = NULL;
}

struct bh_feed_index *bh_core_feeds_in_force(struct bh_core *c)
{
	struct bh_feed_load *l = &c->feed_load;
	if (!l->in_force) {
		l->in_force = bh_feeds_settle(c->feeds);
		bh_feed_sets_init(l, l->in_force);
	}
	return bh_feed_index_ref(l->in_force);
}

static void again(struct bh_core *c, uint64_t ms)
{
	uv_timer_start(&c->feed_load.timer, on_timer, ms, 0);
}

/* --- the grace period, on another thread --- */

/* This command is a synchronize_rcu(), which waits for every packet that is on its way through the
 * rules now (kernel/sched/membarrier.c). Refused with nohz_full: then time has to do. */
static void wait_grace(uv_work_t *w BH_UNUSED)
{
	if (syscall(SYS_membarrier, MEMBARRIER_CMD_GLOBAL, 0, 0) < 0)
		uv_sleep(GRACE_MS);
}

static void after_grace(uv_work_t *w, int status BH_UNUSED)
{
	struct bh_feed_grace *g = w->data;
	if (g->c) {
		g->c->feed_load.grace = NULL;
		again(g->c, 0);
	}
	free(g);
}

static void begin_grace(struct bh_core *c)
{
	struct bh_feed_grace *g = bh_xcalloc(1, sizeof(*g));
	g->work.data = g;
	g->c = c;
	c->feed_load.grace = g;
	uv_queue_work(c->loop, &g->work, wait_grace, after_grace);
}

static void begin_set(struct bh_feed_load *l)
{
	l->i = l->j = 0;
	memset(l->net_i, 0, sizeof(l->net_i));
	memset(l->net_j, 0, sizeof(l->net_j));
}

static void begin_phase(struct bh_feed_load *l, enum bh_feed_phase phase)
{
	l->phase = phase;
	l->set = 0;
	begin_set(l);
	l->second = l->clean = l->sent = false;
}

static void begin(struct bh_core *c, struct bh_feed_index *target)
{
	struct bh_feed_load *l = &c->feed_load;
	l->target = target;
	l->old = bh_feed_index_ref(l->in_force);
	l->began = uv_now(c->loop);
	l->added = l->removed = 0;
	l->added_hosts = false;
	begin_phase(l, BH_LOAD_ADD);
	if (bh_feed_sets_plan(l)) {
		c->options_changed = true;
		bh_core_reconcile(c);
	}
	again(c, 0);
}

static void end(struct bh_core *c)
{
	struct bh_feed_load *l = &c->feed_load;
	l->phase = BH_LOAD_IDLE;
	l->took_ms = uv_now(c->loop) - l->began;
	bh_feed_index_unref(BH_TAKE_PTR(l->target));
	bh_feed_index_unref(BH_TAKE_PTR(l->old));
	bh_core_feeds_changed(c); /* it may have changed again meanwhile */
}

void bh_core_feeds_changed(struct bh_core *c)
{
	struct bh_feed_load *l = &c->feed_load;
	if (!c->installed || c->stopping) {
		/* The first commit takes what there is then. */
		bh_feed_index_unref(BH_TAKE_PTR(l->in_force));
		bh_core_schedule(c);
		return;
	}
	if (l->phase != BH_LOAD_IDLE)
		return;
	struct bh_feed_index *x = bh_feeds_index(c->feeds);
	if (x == l->in_force)
		bh_feed_index_unref(x);
	else
		begin(c, x);
}

/* The rules ask the new sets from here on, which hold what the old ones did. */
static void switch_sets(struct bh_core *c)
{
	struct bh_feed_load *l = &c->feed_load;
	begin_phase(l, BH_LOAD_NETS);
	if (!bh_feed_sets_switch(l))
		return;
	c->options_changed = true;
	bh_core_reconcile(c);
}

/* From here on packet threads and conntrack's sweep go by the new index. */
static void publish(struct bh_core *c)
{
	struct bh_feed_load *l = &c->feed_load;
	bh_feed_index_unref(l->in_force);
	l->in_force = bh_feed_index_ref(l->target);
	if (bh_feed_index_since(l->target))
		l->enforced_ms = (uv_hrtime() - bh_feed_index_since(l->target)) / 1000000;
	begin_phase(l, BH_LOAD_DELETE);
	bh_core_reconcile(c);
	bh_core_revoke(c);
	bh_core_lookback_start(c, l->old);
}

static bool is_last_set(const struct bh_feed_load *l)
{
	return l->set + 1 == (l->phase == BH_LOAD_NETS ? 2 : BH_FEED_SETS * BH_FEED_SIZED);
}

static void next_set(struct bh_core *c)
{
	struct bh_feed_load *l = &c->feed_load;
	begin_set(l);
	l->second = false;
	if (!is_last_set(l)) {
		l->set++;
		return;
	}
	if (l->phase == BH_LOAD_ADD)
		switch_sets(c);
	else if (l->phase == BH_LOAD_NETS)
		publish(c);
	else
		end(c);
}

/* An address that goes from one set to another is put into the one before it is taken out of the
 * other; a packet that asked the one too early must have asked the other before that. */
static bool needs_grace(const struct bh_feed_load *l)
{
	if (l->phase == BH_LOAD_ADD)
		return l->sent && bh_feed_nets_shrink(l);
	/* from the set of one direction to that of another, too */
	return l->phase == BH_LOAD_NETS && (l->sent || (l->added_hosts && l->sets.directed));
}

static void on_timer(uv_timer_t *t)
{
	struct bh_core *c = t->data;
	struct bh_feed_load *l = &c->feed_load;
	if (l->phase == BH_LOAD_IDLE || c->stopping || l->grace)
		return;
	bool waits = c->options_changed || !bh_feed_sets_are_there(c) ||
		     (l->phase == BH_LOAD_DELETE && c->snap->feeds != l->in_force);
	if (waits) {
		again(c, AGAIN_MS);
		return;
	}
	int r = 0;
	bool next = false, grace = false;
	while (r == 0 && !next && l->phase != BH_LOAD_IDLE) {
		enum bh_feed_phase phase = l->phase;
		r = bh_feed_chunk(c);
		l->sent |= r > 0;
		l->added_hosts |= r > 0 && l->phase == BH_LOAD_ADD;
		if (r == 0 && is_last_set(l))
			grace = needs_grace(l);
		if (r == 0)
			next_set(c);
		next = l->phase != phase;
	}
	if (l->phase == BH_LOAD_IDLE)
		return;
	/* What the kernel holds is not what we think: make it whole, which begins this anew. */
	if (r < 0)
		again(c, bh_core_rebuild(c) < 0 ? FAILED_MS : AGAIN_MS);
	else if (next && grace)
		begin_grace(c);
	else
		again(c, next ? 0 : PAUSE_MS);
}

void bh_core_feeds_rebuilt(struct bh_core *c)
{
	struct bh_feed_load *l = &c->feed_load;
	if (l->phase == BH_LOAD_ADD || l->phase == BH_LOAD_NETS)
		begin_phase(l, BH_LOAD_ADD); /* the sets hold what is in force and no more */
	else if (l->phase == BH_LOAD_DELETE)
		l->clean = true;
}
