/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Whose turn it is. Answers are made on the event loop, which has containers to govern; who may
 * only look must not be able to keep it from that, nor from what root asks for. Readers are
 * answered one after the other, in the order in which they asked, and between two of them the loop
 * has as long to itself as the first one took. Root waits for nobody's turn.
 */
#include "api/private.h"

#define NS_PER_MS 1000000ull

static void schedule(struct bh_api *a);

static struct bh_api_conn *take_first(struct bh_api *a)
{
	struct bh_api_conn *c = a->waiting;
	a->waiting = c->next_waiting;
	if (!a->waiting)
		a->last_waiting = NULL;
	return c;
}

static void resume(struct bh_api_conn *c)
{
	c->next_waiting = NULL;
	MHD_resume_connection(BH_TAKE_PTR(c->suspended));
}

static void on_turn(uv_timer_t *t)
{
	struct bh_api *a = t->data;
	if (!a->waiting)
		return;
	struct bh_api_conn *c = take_first(a);
	c->turn = true;
	resume(c);
	bh_api_run(a);
	schedule(a);
}

static void schedule(struct bh_api *a)
{
	uint64_t now = uv_hrtime();
	if (!a->waiting)
		return;
	uint64_t ms = a->readers_at > now ? (a->readers_at - now) / NS_PER_MS + 1 : 0;
	uv_update_time(a->loop);
	uv_timer_start(&a->turn, on_turn, ms, 0);
}

bool bh_api_turn(struct bh_api *a, struct bh_api_conn *c, struct MHD_Connection *mhd)
{
	bool root = c->known && c->who.uid == 0;
	if (root || c->turn || (!a->waiting && uv_hrtime() >= a->readers_at)) {
		c->turn = false;
		return true;
	}
	c->suspended = mhd;
	*(a->last_waiting ? &a->last_waiting->next_waiting : &a->waiting) = c;
	a->last_waiting = c;
	MHD_suspend_connection(mhd);
	schedule(a);
	return false;
}

void bh_api_turn_over(struct bh_api *a, const struct bh_api_conn *c, uint64_t began)
{
	uint64_t now = uv_hrtime();
	if (!c->known || c->who.uid != 0)
		a->readers_at = now + (now - began);
}

void bh_api_turns_end(struct bh_api *a)
{
	uv_timer_stop(&a->turn);
	while (a->waiting)
		resume(take_first(a));
}
