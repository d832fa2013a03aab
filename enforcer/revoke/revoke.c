/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Revocation: after a change of what is enforced, connections that conntrack still holds open but
 * the new state denies are cut. Established packets skip every rule, so the entry itself has to go;
 * the groups' rule against mid-stream pick-up keeps it from coming back. Done again 100 ms and a
 * second later: a packet that had passed the old rules may wait behind them (another program's
 * queue, an interface's) and be entered in conntrack only then.
 */
#include "revoke/revoke.h"

#include "audit/audit.h"
#include "conntrack/conntrack.h"
#include "core/state.h"
#include "revoke/echo.h"
#include "verdict/snapshot.h"

/* How long after the one before each further sweep comes. */
static const unsigned sweep_ms[] = {100, 900};

static bool denied_now(const struct bh_ct_entry *ct, void *arg)
{
	struct bh_core *c = arg;
	if (!bh_snapshot_denies(c->snap, &ct->flow))
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

static void sweep_cb(uv_timer_t *t)
{
	struct bh_core *c = t->data;
	sweep(c);
	if (c->sweeps < BH_ARRAY_SIZE(sweep_ms))
		uv_timer_start(t, sweep_cb, sweep_ms[c->sweeps++], 0);
}

int bh_core_revoke_now(struct bh_core *c)
{
	c->sweeps = 1;
	uv_timer_start(&c->sweep_timer, sweep_cb, sweep_ms[0], 0);
	return sweep(c);
}

void bh_core_revoke(struct bh_core *c)
{
	c->sweeps = 0;
	uv_timer_start(&c->sweep_timer, sweep_cb, 0, 0);
}
