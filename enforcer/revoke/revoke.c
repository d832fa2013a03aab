/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Revocation: after a change of what is enforced, connections that conntrack still holds open but
 * the new state denies are cut. Established packets skip every rule, so the entry itself has to go;
 * the groups' rule against mid-stream pick-up keeps it from coming back. Done again 100 ms and a
 * second later: a packet that had passed the old rules may wait behind them (another program's
 * queue, an interface's) and be entered in conntrack only then.
 *
 * For one walk the kernel goes through all of its table, which takes it milliseconds even where
 * that is empty. So a thread waits for it, and the loop has its turn meanwhile: a container that
 * starts now is not kept waiting. What the thread finds is decided again on the loop, by the state
 * in force then.
 */
#include "revoke/revoke.h"

#include "audit/audit.h"
#include "conntrack/conntrack.h"
#include "core/state.h"
#include "revoke/echo.h"
#include "verdict/snapshot.h"

/* How long after the one before each further sweep comes. */
static const unsigned sweep_ms[] = {100, 900};

static void on_timer(uv_timer_t *t);

struct looking {
	const struct bh_snapshot *snap;
	const struct bh_echo_filter *echoes; /* NULL: there are none */
};

static bool may_be_denied(const struct bh_ct_entry *ct, void *arg)
{
	const struct looking *l = arg;
	return bh_snapshot_denies(l->snap, &ct->flow) ||
	       (l->echoes && bh_echo_filter_takes(l->echoes, &ct->flow));
}

static bool denied_now(const struct bh_flow *f, void *arg)
{
	struct bh_core *c = arg;
	if (!bh_snapshot_denies(c->snap, f))
		return bh_core_echo_is(c, f); /* it came back in the meantime */
	bh_core_echo_cut(c, f);
	return true;
}

/* err: of the walk; takes found. */
static int cut(struct bh_core *c, int err, struct bh_ct_found *found)
{
	int n = err;
	if (err == 0) {
		bh_ct_found_keep(found, denied_now, c);
		n = bh_ct_delete(c->ct, found);
	}
	bh_ct_found_free(found);
	bh_core_echo_send(c);
	if (n < 0)
		bh_audit_event(c->audit, "revoke", "failure", strerror(-n), NULL, NULL);
	else if (n > 0)
		bh_audit_event(c->audit, "revoke", "success",
			"established connections that the state in force denies were cut", NULL,
			json_pack("{s:i}", "connections", n));
	return n;
}

static void look(struct bh_revoking *r, const struct bh_snapshot *s)
{
	struct looking l = {s, r->echoes};
	r->err = bh_ct_find(r->ct, may_be_denied, &l, NULL, &r->found);
}

static void thread(void *arg)
{
	struct bh_revoking *r = arg;
	look(r, r->snap);
	uv_async_send(&r->done);
}

static void ended(struct bh_core *c)
{
	struct bh_revoking *r = &c->revoking;
	bh_echo_filter_free(BH_TAKE_PTR(r->echoes));
	cut(c, r->err, BH_TAKE_PTR(r->found));
	if (!uv_is_active((uv_handle_t *)&r->timer) && r->sweeps < BH_ARRAY_SIZE(sweep_ms))
		uv_timer_start(&r->timer, on_timer, sweep_ms[r->sweeps++], 0);
}

static void begin(struct bh_core *c)
{
	struct bh_revoking *r = &c->revoking;
	r->echoes = bh_core_echo_filter(c);
	r->again = false;
	r->snap = bh_snapshot_ref(c->snap);
	r->walking = uv_thread_create(&r->thread, thread, r) == 0;
	if (r->walking)
		return;
	bh_snapshot_unref(BH_TAKE_PTR(r->snap));
	look(r, c->snap);
	ended(c);
}

static void on_timer(uv_timer_t *t)
{
	struct bh_core *c = t->data;
	if (c->revoking.walking)
		c->revoking.again = true; /* by the state of before */
	else if (c->snap)
		begin(c);
}

static void join(struct bh_revoking *r)
{
	uv_thread_join(&r->thread);
	r->walking = false;
	bh_snapshot_unref(BH_TAKE_PTR(r->snap));
}

static void on_done(uv_async_t *a)
{
	struct bh_core *c = a->data;
	if (!c->revoking.walking) /* stopped */
		return;
	join(&c->revoking);
	ended(c);
	if (c->revoking.again)
		begin(c);
}

static int at_once(struct bh_core *c)
{
	struct bh_echo_filter *echoes = bh_core_echo_filter(c);
	struct looking l = {c->snap, echoes};
	struct bh_ct_found *found = NULL;
	int r = bh_ct_find(c->ct, may_be_denied, &l, NULL, &found);
	bh_echo_filter_free(echoes);
	return cut(c, r, found);
}

int bh_core_revoke_now(struct bh_core *c)
{
	if (!c->snap)
		return 0;
	c->revoking.sweeps = 1;
	uv_timer_start(&c->revoking.timer, on_timer, sweep_ms[0], 0);
	return at_once(c);
}

void bh_core_revoke(struct bh_core *c)
{
	c->revoking.sweeps = 0;
	uv_timer_start(&c->revoking.timer, on_timer, 0, 0);
}

void bh_core_revoke_init(struct bh_core *c)
{
	uv_timer_init(c->loop, &c->revoking.timer);
	uv_async_init(c->loop, &c->revoking.done, on_done);
	c->revoking.timer.data = c->revoking.done.data = c;
}

/* Nobody else would cut what a change has denied that is in force already. */
void bh_core_revoke_stop(struct bh_core *c)
{
	struct bh_revoking *r = &c->revoking;
	bool due = r->again || (r->sweeps == 0 && uv_is_active((uv_handle_t *)&r->timer));
	if (r->walking) {
		join(r);
		bh_echo_filter_free(BH_TAKE_PTR(r->echoes));
		cut(c, r->err, BH_TAKE_PTR(r->found));
	}
	if (due && c->snap)
		at_once(c);
}
