/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Revocation: after a change of what is enforced, connections that conntrack still holds open but
 * the new state denies are cut. Established packets skip every rule, so the entry itself has to go;
 * the groups' rule against mid-stream pick-up keeps it from coming back. Done again 100 ms and a
 * second later: a packet that had passed the old rules may wait behind them (another program's
 * queue, an interface's) and be entered in conntrack only then.
 */
#include "core/private.h"

/* How long after the one before each further sweep comes. */
static const unsigned sweep_ms[] = {100, 900};

static bool listed(const struct bh_snapshot *s, const struct bh_addr *a, unsigned as,
	const struct bh_addr *other)
{
	return (bh_feed_index_blocked(s->feeds, a) & as) &&
	       !bh_core_feeds_excepted(s, a, as, other, bh_core_now());
}

bool bh_core_denied(const struct bh_snapshot *s, const struct bh_flow *f)
{
	struct bh_decision d;

	if (listed(s, &f->src, BH_FEED_IN, &f->dst) || listed(s, &f->dst, BH_FEED_OUT, &f->src))
		return true;
	bh_engine_evaluate(s->engine, f, &d);
	return d.verdict != BH_ALLOW;
}

static bool denied_now(const struct bh_ct_entry *ct, void *arg)
{
	struct bh_core *c = arg;
	if (!bh_core_denied(c->snap, &ct->flow))
		return bh_core_echo_is(c, &ct->flow); /* it came back in the meantime */
	bh_core_echo_cut(c, &ct->flow);
	return true;
}

static int sweep(struct bh_core *c)
{
	if (!c->snap)
		return 0;
	int n = bh_ct_sweep(c->ct, denied_now, c, NULL);
	bh_core_echo_send(c);
	if (n < 0)
		bh_audit_event(c->audit, "revoke", "failure", strerror(-n), NULL, NULL);
	else if (n > 0)
		bh_audit_event(c->audit, "revoke", "success",
			"established connections that the state in force denies were cut", NULL,
			json_pack("{s:i}", "connections", n));
	return n;
}

void bh_core_sweep_cb(uv_timer_t *t)
{
	struct bh_core *c = t->data;
	sweep(c);
	if (c->sweeps < BH_ARRAY_SIZE(sweep_ms))
		uv_timer_start(t, bh_core_sweep_cb, sweep_ms[c->sweeps++], 0);
}

int bh_core_revoke_now(struct bh_core *c)
{
	c->sweeps = 1;
	uv_timer_start(&c->sweep_timer, bh_core_sweep_cb, sweep_ms[0], 0);
	return sweep(c);
}

void bh_core_revoke(struct bh_core *c)
{
	c->sweeps = 0;
	uv_timer_start(&c->sweep_timer, bh_core_sweep_cb, 0, 0);
}
