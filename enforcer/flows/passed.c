/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Flows that rules allow: the kernel counts them by who talks to whom
 * (rules/compile/emit_passed.c), and here the counts become flow rows. They are read often enough
 * that no count goes with its element, and before every change of the rules, so that each is told
 * with the rule that allowed it.
 */
#include "flows/passed.h"

#include "answer/clock.h"
#include "core/fast_permits.h"
#include "core/state.h"
#include "flows/events.h"
#include "flows/flows.h"
#include "flows/gap.h"
#include "nft/nft.h"
#include "verdict/packet.h"
#include "verdict/shared.h"

#define READ_MS 1000
#define READ_SHARE 50 /* of the time; with many elements readings are further apart */
#define READ_MAX_MS (BH_PASSED_S * 1000 / 3)
#define READ_BEFORE_COMMIT 4096 /* elements, a few ms; more would keep the change waiting */
#define KEEP_MS (2 * BH_PASSED_S * 1000) /* longer than the kernel does */

struct source {
	const char *set;
	uint8_t family; /* 0: not listed any more, by protocol */
	bool ports;
};
static const struct source sources[] = {{"passed4", BH_IPV4, true}, {"passed6", BH_IPV6, true},
	{"passed4-icmp", BH_IPV4, false}, {"passed6-icmp", BH_IPV6, false},
	{"passed-beyond", 0, false}};

struct reading {
	struct bh_core *c;
	const struct source *s;
	uint64_t beyond;
};

static void note(struct bh_core *c, const struct bh_flow *f, uint64_t times)
{
	struct bh_event e = {
		.kind = BH_EVENT_DECISION,
		.snap = c->snap,
		.flow = *f,
		.when = bh_clock_now(),
		.cached = times,
	};
	bh_engine_evaluate(c->snap->engine, f, &e.decision);
	bh_verdict_match_alerts(&e);
	bh_core_audit_event(c, &e);
	bh_core_flow_note(c, &e);
	bh_core_fast_permit(c, &e);
}

static bool has_ports(uint8_t proto)
{
	return proto == BH_TCP || proto == BH_UDP || proto == BH_SCTP;
}

static void on_element(const struct bh_nft_elem *el, void *arg)
{
	struct reading *r = arg;
	struct bh_core *c = r->c;
	if (!r->s->family) {
		r->beyond += el->packets;
		return;
	}
	struct bh_flow f = {
		.src = bh_addr_from_bytes(r->s->family, el->value[0].b),
		.dst = bh_addr_from_bytes(r->s->family, el->value[1].b),
		.proto = el->value[2].b[0],
	};
	if (r->s->ports)
		f.dport = (uint16_t)(el->value[3].b[0] << 8 | el->value[3].b[1]);
	struct bh_cached *x = bh_mirror_find(&c->passed.mirror, &f);
	if (!x && !(x = bh_mirror_add(&c->passed.mirror, &f)))
		return; /* when there is room: the count stays */
	x->sent = true;
	x->expires_ms = uv_now(c->loop) + KEEP_MS;
	uint64_t more = bh_cached_advance(x, el->packets);
	if (!has_ports(f.proto))
		f.dport = 0; /* whatever stands there in other protocols */
	if (more)
		note(c, &f, more);
}

/* More talk to each other than the kernel's sets hold. */
static void tell_beyond(struct bh_core *c, uint64_t total)
{
	uint64_t more = total < c->passed.beyond ? total : total - c->passed.beyond;
	c->passed.beyond = total;
	if (more == 0)
		return;
	c->passed.unlisted += more;
	bh_core_gap(c, "allowed", (int64_t)more, c->pulse.ticked,
		"allowed flows are missing from the flow list: too many different ones at a time");
}

void bh_core_passed_read(struct bh_core *c)
{
	struct reading r = {.c = c};
	if (!c->snap || !c->installed)
		return;
	for (size_t i = 0; i < BH_ARRAY_SIZE(sources); i++) {
		const struct bh_set *set = bh_ruleset_find_set(c->installed, sources[i].set);
		r.s = &sources[i];
		if (set)
			bh_nft_elems_read(c->nft, set, on_element, &r);
	}
	tell_beyond(c, r.beyond);
	bh_mirror_expire(&c->passed.mirror, uv_now(c->loop));
}

void bh_core_passed_before_commit(struct bh_core *c, bool departs)
{
	if (departs || c->passed.mirror.n <= READ_BEFORE_COMMIT)
		bh_core_passed_read(c);
}

void bh_core_passed_forget(struct bh_core *c)
{
	bh_mirror_clear(&c->passed.mirror);
	c->passed.beyond = 0;
}

static void on_timer(uv_timer_t *t)
{
	struct bh_core *c = t->data;
	uint64_t begin = uv_hrtime();
	bh_core_passed_read(c);
	uint64_t pause = (uv_hrtime() - begin) / 1000000 * READ_SHARE;
	pause = pause < READ_MS ? READ_MS : pause > READ_MAX_MS ? READ_MAX_MS : pause;
	uv_timer_start(t, on_timer, pause, 0);
}

void bh_core_passed_init(struct bh_core *c)
{
	bh_mirror_init(&c->passed.mirror, false);
	uv_timer_init(c->loop, &c->passed.timer);
	c->passed.timer.data = c;
	uv_timer_start(&c->passed.timer, on_timer, READ_MS, 0);
}

void bh_core_passed_finish(struct bh_core *c)
{
	bh_mirror_finish(&c->passed.mirror);
}
