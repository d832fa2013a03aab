/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Looks again, unasked: a safety net for what no notice tells (that a path leads to another
 * namespace by now) or should have told. One container after the other, spread over minutes, so
 * that it is never felt; the same way, but as soon as is bearable, when notices were lost.
 */
#include "inventory/manager.h"

#define STEP_MS 200 /* at least between two steps: a node that is idle sleeps */
#define HURRY_WORK_US 2000 /* then others have their turn … */
#define HURRY_PAUSE_MS 4 /* … for so long */

static struct bh_mgr_id *next(struct bh_inventory_mgr *m)
{
	struct bh_mgr_id *id = m->ring;
	m->ring = id->next;
	return id;
}

/* True: it is not what it was. What failed is for the tick to try again. */
static bool visit(struct bh_inventory_mgr *m, struct bh_mgr_id *id)
{
	struct bh_record *r = bh_mgr_record(m, id);
	bool inspect = ++id->visits % BH_MGR_ROUNDS == 0;
	if (!r || bh_record_failing(r))
		return false;
	return (inspect || bh_record_moved(r)) && bh_mgr_inspect(m, id);
}

static bool stroll(struct bh_inventory_mgr *m, uint64_t passed_ms)
{
	size_t n = (m->ids.n * passed_ms + BH_MGR_ROUND_MS - 1) / BH_MGR_ROUND_MS;
	bool news = false;
	for (size_t i = 0; i < n; i++)
		news |= visit(m, next(m));
	return news;
}

static bool run(struct bh_inventory_mgr *m)
{
	uint64_t end = uv_hrtime() + HURRY_WORK_US * 1000;
	bool news = false;
	for (; m->hurry > 0 && uv_hrtime() < end; m->hurry--)
		news |= bh_mgr_inspect(m, next(m));
	return news;
}

static uint64_t stroll_ms(const struct bh_inventory_mgr *m)
{
	size_t ms = m->ids.n ? BH_MGR_ROUND_MS / m->ids.n : BH_MGR_TICK_MS;
	return ms < STEP_MS ? STEP_MS : ms > BH_MGR_TICK_MS ? BH_MGR_TICK_MS : ms;
}

static void on_walk(uv_timer_t *t)
{
	struct bh_inventory_mgr *m = t->data;
	bool news = false;
	if (m->hurry > m->ids.n)
		m->hurry = m->ids.n;
	if (m->hurry > 0)
		news = run(m);
	else if (m->ids.n > 0)
		news = stroll(m, stroll_ms(m));
	uv_timer_start(t, on_walk, m->hurry > 0 ? HURRY_PAUSE_MS : stroll_ms(m), 0);
	if (news)
		m->fn(m->arg);
}

void bh_mgr_walk_start(struct bh_inventory_mgr *m)
{
	uv_timer_start(&m->walk, on_walk, BH_MGR_TICK_MS, 0);
}

void bh_mgr_hurry(struct bh_inventory_mgr *m)
{
	if (m->hurry == 0)
		uv_timer_start(&m->walk, on_walk, 0, 0);
	m->hurry = m->ids.n;
}
