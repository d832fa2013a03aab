/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What packet threads report, turned into audit records, flow rows and learned
 * tuples. On the loop's thread, a few milliseconds' worth at a time, bounded so that a flood cannot
 * starve the rest.
 */
#include "flows/events.h"

#include "answer/digest.h"
#include "audit/audit.h"
#include "core/state.h"
#include "flows/answered.h"
#include "flows/cache.h"
#include "flows/flows.h"
#include "flows/gap.h"
#include "learn/learn.h"
#include "modes/drift_watch.h"
#include "verdict/shared.h"
#include "verdict/snapshot.h"

#define EVENTS_PER_WAKE 1024
#define EVENTS_AT_ONCE 64 /* while they are copied, the packet threads wait */
/* One wake-up for many packets: a switch between threads costs as much as several verdicts. */
#define COLLECT_MS 5
#define MORE_MS 1 /* where there are more than EVENTS_PER_WAKE: others have their turn first */

static const struct bh_workload *workload(const struct bh_inventory *inv, int32_t owner)
{
	return owner >= 0 ? inv->workload[owner] : NULL;
}

static bool quarantined(const struct bh_inventory *inv, const struct bh_side *s)
{
	return s->workload >= 0 && inv->workload[s->workload]->quarantine;
}

/* The side that speaks for the decision: the one whose verdict caused it, a quarantined one and
 * egress first. */
static enum bh_direction deciding_side(const struct bh_inventory *inv, const struct bh_decision *d)
{
	static const enum bh_side_verdict order[] = {BH_SIDE_DENIED, BH_SIDE_WOULD_DENY,
		BH_SIDE_LEARN, BH_SIDE_HOST, BH_SIDE_ALLOWED, BH_SIDE_OPEN};
	for (int side = BH_EGRESS; d->reason == BH_REASON_QUARANTINE && side <= BH_INGRESS; side++)
		if (d->side[side].verdict == BH_SIDE_DENIED && quarantined(inv, &d->side[side]))
			return side;
	for (size_t i = 0; i < BH_ARRAY_SIZE(order); i++)
		for (int side = BH_EGRESS; side <= BH_INGRESS; side++)
			if (d->side[side].verdict == order[i])
				return side;
	return d->side[BH_EGRESS].workload >= 0 ? BH_EGRESS : BH_INGRESS;
}

/* Who isolates the deciding side: an auditor wants the policies' names, not only "unmatched". */
static const char *isolating_policy(
	const struct bh_engine *e, const struct bh_side *s, enum bh_direction d, struct bh_buf *buf)
{
	const struct bh_policy *const *p;
	if (s->workload < 0)
		return NULL;
	if (s->rule.policy) /* a rule denies: nobody else had a say */
		return s->rule.policy->ref;
	size_t n = bh_engine_policies_of(e, (size_t)s->workload, d, &p);
	if (n == 0)
		return NULL;
	for (size_t i = 0; i < n && i < 3; i++)
		bh_buf_printf(buf, "%s%s", i ? "," : "", p[i]->ref);
	if (n > 3)
		bh_buf_printf(buf, ",+%zu", n - 3);
	return buf->s;
}

static enum bh_audit_flows level_of(const struct bh_config *conf, const struct bh_workload *w)
{
	for (size_t i = 0; w && i < conf->n_flows_of; i++)
		if (bh_streq(conf->flows_of[i].namespace, w->namespace))
			return conf->flows_of[i].flows;
	return w ? conf->audit_flows : BH_AUDIT_FLOWS_NONE;
}

enum bh_audit_flows bh_core_flows_level(
	const struct bh_core *c, const struct bh_event *e, const struct bh_ended *end)
{
	const struct bh_inventory *inv = bh_engine_inventory(e->snap->engine);
	enum bh_audit_flows most = BH_AUDIT_FLOWS_NONE;
	if (!c->conf->n_flows_of && !c->conf->audit_flows)
		return most;
	for (int i = 0; i < 2; i++) {
		int side = i ? BH_INGRESS : BH_EGRESS;
		enum bh_audit_flows level = level_of(c->conf,
			end && end->other[i] ? end->who[i]
					     : workload(inv, e->decision.side[side].workload));
		most = level > most ? level : most;
	}
	return most;
}

static const char *action_of(const struct bh_core *c, const struct bh_event *e)
{
	switch (e->kind) {
	case BH_EVENT_THREAT:
		return "threat-block";
	case BH_EVENT_ALERT:
		return "threat-alert";
	case BH_EVENT_SPOOF:
		return "spoof-drop";
	case BH_EVENT_DECISION:
		break;
	}
	if (e->dropped)
		return "policy-deny";
	if (e->decision.reason == BH_REASON_UNKNOWN_WORKLOAD)
		return "policy-allow"; /* of nobody we know: worth a line */
	if (e->decision.would_deny)
		return "would-deny";
	return bh_core_flows_level(c, e, NULL) >= BH_AUDIT_FLOWS_NEW ? "policy-allow" : NULL;
}

static void audit(
	struct bh_core *c, const struct bh_event *e, const char *action, const struct bh_ended *end)
{
	static const char unknown[] = "the address was another's by the time it was told";
	const struct bh_inventory *inv = bh_engine_inventory(e->snap->engine);
	const struct bh_decision *d = &e->decision;
	enum bh_direction dir = deciding_side(inv, d);
	const struct bh_side *side = &d->side[dir];
	struct bh_buf bh_autobuf policies = {0};
	bool threat = e->kind == BH_EVENT_THREAT || e->kind == BH_EVENT_ALERT;
	bool above = threat || d->reason == BH_REASON_QUARANTINE; /* no policy had a say */
	char bh_autofree *rule = bh_core_rule_name(side, dir);

	struct bh_audit_flow f = {
		.action = action,
		.flow = &e->flow,
		.src = workload(inv, d->side[BH_EGRESS].workload),
		.dst = workload(inv, d->side[BH_INGRESS].workload),
		.src_host = d->side[BH_EGRESS].workload == BH_OWNER_HOST,
		.dst_host = d->side[BH_INGRESS].workload == BH_OWNER_HOST,
		.verdict = e->dropped ? (d->verdict == BH_REJECT && !threat ? BH_REJECT : BH_DROP)
				      : BH_ALLOW,
		.reason = threat                      ? BH_REASON_THREAT
			  : e->kind == BH_EVENT_SPOOF ? BH_REASON_SPOOF
						      : d->reason,
		.mode = side->mode,
		.direction = dir,
		.policy = above ? NULL : isolating_policy(e->snap->engine, side, dir, &policies),
		.rule = rule,
		.feed = threat ? e->feed : NULL,
		.indicator = threat ? e->indicator : NULL,
		.generation = c->generation,
		.policy_sha256 = c->sha256,
		.when = e->when,
		.times = e->cached,
	};
	char sha256[65];
	if (end) {
		bh_digest_hex(bh_engine_policies(e->snap->engine)->sha256, sha256);
		f.generation = end->generation;
		f.policy_sha256 = sha256;
		f.volume = &end->volume;
		f.begin = end->begin;
		f.end = end->last;
		if (end->other[0])
			f.src = end->who[0], f.src_reason = unknown;
		if (end->other[1])
			f.dst = end->who[1], f.dst_reason = unknown;
		if (end->other[0] || end->other[1])
			f.policy = f.rule = NULL;
	}
	bh_audit_flow(c->audit, &f);
}

void bh_core_audit_event(struct bh_core *c, const struct bh_event *e)
{
	const char *action = action_of(c, e);
	if (action) /* learned tuples are recorded once answered; the rest are flow rows */
		audit(c, e, action, NULL);
}

void bh_core_audit_end(struct bh_core *c, const struct bh_event *e, const struct bh_ended *end)
{
	audit(c, e, "flow-end", end);
}

static void make_end(
	const struct bh_inventory *inv, int32_t owner, const struct bh_addr *a, struct bh_end *ret)
{
	*ret = (struct bh_end){0};
	if (owner >= 0) {
		ret->kind = BH_END_ROLE;
		ret->namespace = bh_xstrdup(inv->workload[owner]->namespace);
		bh_role_of(inv->workload[owner], &ret->selector);
	} else if (owner == BH_OWNER_HOST) {
		ret->kind = BH_END_HOST;
	} else {
		ret->kind = BH_END_ADDR;
		ret->addr = *a;
	}
}

static bool learns(const struct bh_side *s)
{
	return s->verdict == BH_SIDE_LEARN ||
	       (s->verdict == BH_SIDE_HOST && s->workload >= 0 && s->mode == BH_MODE_LEARN);
}

bool bh_core_learns(const struct bh_decision *d)
{
	return learns(&d->side[BH_EGRESS]) || learns(&d->side[BH_INGRESS]);
}

static void learn_with(struct bh_core *c, const struct bh_event *e,
	void (*fn)(struct bh_core *c, struct bh_learn_flow *f, const struct bh_event *e,
		const void *arg),
	const void *arg)
{
	const struct bh_decision *d = &e->decision;
	const struct bh_inventory *inv = bh_engine_inventory(e->snap->engine);
	const struct bh_workload *ws = workload(inv, d->side[BH_EGRESS].workload);
	const struct bh_workload *wd = workload(inv, d->side[BH_INGRESS].workload);
	struct bh_end src, dst;

	make_end(inv, d->side[BH_EGRESS].workload, &e->flow.src, &src);
	make_end(inv, d->side[BH_INGRESS].workload, &e->flow.dst, &dst);
	struct bh_learn_flow f = {
		.flow = &e->flow,
		.src = &src,
		.dst = &dst,
		.egress = learns(&d->side[BH_EGRESS]),
		.ingress = learns(&d->side[BH_INGRESS]),
		.src_image = ws ? ws->image : NULL,
		.dst_image = wd ? wd->image : NULL,
		.now = e->when,
	};
	fn(c, &f, e, arg);
	bh_end_finish(&src);
	bh_end_finish(&dst);
}

static void learn_queued(struct bh_core *c, struct bh_learn_flow *f, const struct bh_event *e,
	const void *arg BH_UNUSED)
{
	if (!e->cached)
		bh_learn_seen(c->learn, f);
	else if (!bh_learn_more(c->learn, f, e->cached))
		bh_core_answers_check(c, &e->flow);
}

static void learn_answered(struct bh_core *c, struct bh_learn_flow *f, const struct bh_event *e,
	const void *arg BH_UNUSED)
{
	f->counted = true; /* by the element's counter */
	bh_learn_seen(c->learn, f);
	bh_learn_answered(c->learn, &e->flow, e->when);
}

void bh_core_learn_answered(struct bh_core *c, const struct bh_event *e)
{
	learn_with(c, e, learn_answered, NULL);
}

static void learn_ended(struct bh_core *c, struct bh_learn_flow *f,
	const struct bh_event *e BH_UNUSED, const void *volume)
{
	bh_learn_ended(c->learn, f, volume);
}

void bh_core_learn_ended(
	struct bh_core *c, const struct bh_event *e, const struct bh_volume *volume)
{
	if (e->kind == BH_EVENT_DECISION && bh_core_learns(&e->decision))
		learn_with(c, e, learn_ended, volume);
}

/* Learning takes what a learning side saw, and the node's own traffic with a learning workload
 * (so that turning on `host: policy` later has a baseline too). Listed addresses never enter. */
static void learn_event(struct bh_core *c, const struct bh_event *e)
{
	if (e->kind != BH_EVENT_DECISION || e->dropped || !bh_core_learns(&e->decision))
		return;
	learn_with(c, e, learn_queued, NULL);
	bh_core_answers_wait(c);
}

void bh_core_learned(const struct bh_tuple *t, const struct bh_flow *f, void *arg)
{
	struct bh_core *c = arg;
	if (!c->snap)
		return;
	const struct bh_inventory *inv = bh_engine_inventory(c->snap->engine);
	int src = bh_inventory_owner(inv, &f->src), dst = bh_inventory_owner(inv, &f->dst);
	bh_audit_flow(c->audit, &(struct bh_audit_flow){
					.action = "learned",
					.flow = f,
					.src = workload(inv, src),
					.dst = workload(inv, dst),
					.src_host = src == BH_OWNER_HOST,
					.dst_host = dst == BH_OWNER_HOST,
					.verdict = BH_ALLOW,
					.reason = BH_REASON_LEARNED,
					.mode = BH_MODE_LEARN,
					.direction = t->egress ? BH_EGRESS : BH_INGRESS,
					.generation = c->generation,
					.policy_sha256 = c->sha256,
					.when = t->last_seen,
				});
}

static void lost(struct bh_core *c, const uint64_t n[2])
{
	for (int dropped = 0; dropped < 2; dropped++) {
		if (!n[dropped])
			continue;
		c->events_lost += n[dropped];
		bh_core_gap(c, dropped ? "denied" : "passed", (int64_t)n[dropped], c->pulse.ticked,
			dropped ? "denials not recorded: the event ring was full"
				: "passed flows not recorded: the event ring was full");
	}
}

void bh_core_event(struct bh_core *c, const struct bh_event *e)
{
	bh_core_audit_event(c, e);
	learn_event(c, e);
	bh_core_flow_note(c, e);
	bh_core_drift_event(c, e);
}

size_t bh_core_events_take(struct bh_core *c)
{
	static struct bh_event some[EVENTS_AT_ONCE]; /* the loop's thread only */
	size_t all = 0, n;

	do {
		uint64_t dropped[2];
		n = bh_shared_take(&c->shared, some, EVENTS_AT_ONCE, dropped);
		int same = 0;
		for (size_t i = 0; i < n; i++) {
			bh_core_event(c, &some[i]);
			bh_core_cache_offer(c, &some[i]);
			same++; /* almost always all of them */
			if (i + 1 < n && some[i + 1].snap == some[i].snap)
				continue;
			bh_snapshot_unref_many(some[i].snap, same);
			same = 0;
		}
		lost(c, dropped);
		all += n;
	} while (n == EVENTS_AT_ONCE && all < EVENTS_PER_WAKE);
	return all;
}

/* As long as there are some it looks by itself, and nobody has to wake it. */
static void on_timer(uv_timer_t *t)
{
	size_t n = bh_core_events_take(t->data);
	if (n > 0)
		uv_timer_start(t, on_timer, n < EVENTS_PER_WAKE ? COLLECT_MS : MORE_MS, 0);
}

static void on_wake(uv_poll_t *p, int status BH_UNUSED, int events BH_UNUSED)
{
	struct bh_core *c = p->data;
	uint64_t ignored;

	(void)!read(c->shared.wake, &ignored, sizeof(ignored));
	if (bh_shared_hurry(&c->shared))
		uv_timer_start(&c->events_timer, on_timer, 0, 0);
	else if (!uv_is_active((uv_handle_t *)&c->events_timer))
		uv_timer_start(&c->events_timer, on_timer, COLLECT_MS, 0);
}

void bh_core_events_init(struct bh_core *c)
{
	uv_timer_init(c->loop, &c->events_timer);
	uv_poll_init(c->loop, &c->wake, c->shared.wake);
	c->events_timer.data = c->wake.data = c;
	uv_poll_start(&c->wake, UV_READABLE, on_wake);
}
