/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Which flows were answered, for learning. Conntrack is asked for those that wait, one by one; its
 * events would tell as well, but they are made for every change of every connection of the node,
 * at half of what a connection costs.
 *
 * Where one cannot be asked for (ICMP, translated at both ends, of a tuple that the verdict cache
 * let pass) the whole table is walked, with pauses long enough that it takes a fiftieth of the
 * time.
 */
#include "flows/answered.h"

#include "answer/clock.h"
#include "conntrack/conntrack.h"
#include "core/state.h"
#include "flows/cache.h"
#include "flows/events.h"
#include "learn/learn.h"
#include "verdict/shared.h"

#define ASK_MS 50
#define ASK_MAX 512 /* flows at a time: a few ms */
#define ASK_MORE_MS 5 /* where more are due than that */
#define WALK_PAUSE_MS 1000
#define WALK_SHARE 50
#define CHECKS_MAX 5 /* of a tuple in the cache, each after twice the time */

void bh_core_answered(struct bh_core *c, const struct bh_flow *f)
{
	struct bh_cached *cached = bh_core_cached(c, f);
	if (cached && !cached->deny && !cached->answered && bh_core_learns(&cached->decision)) {
		cached->answered = true;
		struct bh_event e = {
			.kind = BH_EVENT_DECISION,
			.snap = c->snap,
			.flow = *f,
			.decision = cached->decision,
			.when = bh_clock_now(),
		};
		bh_core_learn_answered(c, &e);
		return;
	}
	bh_learn_answered(c->learn, f, bh_clock_now());
}

struct asking {
	struct bh_core *c;
	const struct bh_learn_due *due;
	bool walk;
};

static void on_answer(size_t i, const struct bh_ct_entry *e, void *arg)
{
	struct asking *a = arg;
	if (e && e->answered)
		bh_core_answered(a->c, &a->due[i].flow);
	else if (!e && (a->due[i].tries == 1 || a->due[i].tries == 4))
		a->walk = true; /* at first it may still be on its way; or it was refused */
}

/* True: more may be due. */
static bool ask(struct bh_core *c)
{
	static struct bh_learn_due due[ASK_MAX]; /* the loop's thread only */
	static struct bh_flow flow[ASK_MAX];
	struct asking a = {.c = c, .due = due};
	size_t n = bh_learn_due(c->learn, bh_clock_now(), due, ASK_MAX);
	for (size_t i = 0; i < n; i++)
		flow[i] = due[i].flow;
	/* A failure is no answer; they are asked for again. */
	if (n && bh_ct_ask(c->ct, flow, n, on_answer, &a) < 0)
		a.walk = true;
	c->answers.walk |= a.walk;
	return n == ASK_MAX;
}

static bool on_entry(const struct bh_ct_entry *ct, void *arg)
{
	if (ct->answered)
		bh_core_answered(arg, &ct->flow);
	return false;
}

static void walk(struct bh_core *c)
{
	uint64_t now = uv_now(c->loop);
	if (!c->answers.walk || now < c->answers.walk_at)
		return;
	uint64_t begin = uv_hrtime();
	c->answers.walk = false;
	bh_ct_sweep(c->ct, on_entry, c, NULL);
	uint64_t pause = (uv_hrtime() - begin) / 1000000 * WALK_SHARE;
	c->answers.walk_at = now + (pause > WALK_PAUSE_MS ? pause : WALK_PAUSE_MS);
}

static void on_timer(uv_timer_t *t)
{
	struct bh_core *c = t->data;
	struct bh_learn_stats st;
	bool more = false;
	if (c->snap) {
		more = ask(c);
		walk(c);
	}
	bh_learn_get_stats(c->learn, &st);
	if (st.pending || c->answers.walk)
		uv_timer_start(t, on_timer, more ? ASK_MORE_MS : ASK_MS, 0);
}

void bh_core_answers_wait(struct bh_core *c)
{
	if (!c->stopping && !uv_is_active((uv_handle_t *)&c->answers.timer))
		uv_timer_start(&c->answers.timer, on_timer, ASK_MS, 0);
}

void bh_core_answers_check(struct bh_core *c, const struct bh_flow *f)
{
	struct bh_cached *x = bh_core_cached(c, f);
	uint64_t now = uv_now(c->loop);
	if (!x || x->answered || x->checks == CHECKS_MAX || now < x->check_ms)
		return;
	x->check_ms = now + ((uint64_t)WALK_PAUSE_MS << ++x->checks);
	c->answers.walk = true;
	bh_core_answers_wait(c);
}

void bh_core_answers_init(struct bh_core *c)
{
	uv_timer_init(c->loop, &c->answers.timer);
	c->answers.timer.data = c;
}
