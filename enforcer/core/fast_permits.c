/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Which TCP connections the fast path may open by itself: of pairs that the state in force allows,
 * by policy or because they are learned, and that the kernel has just been seen to let pass. A
 * permit is a verdict that is kept, like those of the kernel's cache: only decisions of the
 * snapshot in force become one, and before another takes its place the gate is shut. What is opened
 * with permits is counted by them, and told of like what rules and cache count.
 */
#include "core/fast_permits.h"

#include <netinet/in.h>

#include "answer/clock.h"
#include "core/fast_path.h"
#include "core/state.h"
#include "flows/events.h"
#include "verdict/packet.h"
#include "verdict/snapshot.h"

#define KEEP_MS 60000 /* unused */
#define DNS 53 /* the program leaves it alone */

static bool on_one_bridge(const struct bh_fast *fast, const struct bh_flow *f)
{
	const struct bh_fast_homes *h = bh_fast_in_force(fast);
	const struct bh_fast_home *from = bh_fast_home(h, &f->src), *to = bh_fast_home(h, &f->dst);
	return from && to && from->bridge == to->bridge && from->port != to->port;
}

/* Final, and the same for every connection of the pair, whatever of it is seen. */
static bool may_have_one(const struct bh_core *c, const struct bh_event *e)
{
	const struct bh_decision *d = &e->decision;
	return e->kind == BH_EVENT_DECISION && e->snap == c->snap && !e->dropped &&
	       e->flow.proto == IPPROTO_TCP && e->flow.dport != DNS && d->verdict == BH_ALLOW &&
	       !d->would_deny && d->reason != BH_REASON_QUARANTINE &&
	       d->side[BH_EGRESS].workload >= 0 && d->side[BH_INGRESS].workload >= 0 &&
	       on_one_bridge(c->fast_path.fast, &e->flow) &&
	       !bh_snapshot_denies(c->snap, &e->flow); /* a feed */
}

void bh_core_fast_permit(struct bh_core *c, const struct bh_event *e)
{
	struct bh_fast_path *x = &c->fast_path;
	if (!x->fast || c->stopping || !may_have_one(c, e))
		return;
	struct bh_cached *k = bh_mirror_find(&x->permits, &e->flow);
	if (!k) {
		if (bh_fast_permit(x->fast, &e->flow) < 0)
			return; /* no room: it goes by the rules */
		k = bh_mirror_add(&x->permits, &e->flow); /* which has more */
		k->decision = e->decision;
		k->sent = true;
	}
	k->expires_ms = uv_now(c->loop) + KEEP_MS;
}

static void note(struct bh_core *c, struct bh_cached *k, int64_t begun)
{
	uint64_t more = begun > 0 ? bh_cached_advance(k, (uint64_t)begun) : 0;
	if (more == 0)
		return;
	struct bh_event e = {
		.kind = BH_EVENT_DECISION,
		.snap = c->snap,
		.flow = k->flow,
		.decision = k->decision,
		.when = bh_clock_now(),
		.cached = more,
	};
	k->expires_ms = uv_now(c->loop) + KEEP_MS;
	c->fast_path.begun += more;
	bh_verdict_match_alerts(&e);
	bh_core_event(c, &e);
}

void bh_core_fast_permits_read(struct bh_core *c)
{
	struct bh_fast_path *x = &c->fast_path;
	for (size_t i = 0; i < x->permits.n; i++) {
		struct bh_cached *k = &x->permits.item[i];
		note(c, k, bh_fast_permit_read(x->fast, &k->flow));
		if (k->expires_ms > uv_now(c->loop))
			continue;
		note(c, k, bh_fast_permit_take(x->fast, &k->flow));
		k->expires_ms = 0; /* whatever began meanwhile */
	}
	bh_mirror_expire(&x->permits, uv_now(c->loop));
}

void bh_core_fast_gate_shut(struct bh_core *c)
{
	struct bh_fast_path *x = &c->fast_path;
	if (!x->fast)
		return;
	bh_fast_gate_shut(x->fast);
	for (size_t i = 0; i < x->permits.n; i++) {
		struct bh_cached *k = &x->permits.item[i];
		note(c, k, bh_fast_permit_take(x->fast, &k->flow));
	}
	bh_mirror_clear(&x->permits);
}

/* While somebody is held back for what he holds of conntrack, all new flows meet the rules. */
void bh_core_fast_gate_hold(struct bh_core *c)
{
	if (c->fast_path.fast && !c->stopping && c->snap && !c->snap->stopped &&
		c->crowding.in_force.n == 0)
		bh_fast_gate_hold(c->fast_path.fast);
}
