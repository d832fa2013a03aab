/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Ends of flows, as conntrack tells them: what each carried goes to its flow row, to its learned
 * edge, and where `audit.flows` is full, on record. Conntrack is listened to only while something
 * of this is wanted, because it costs every connection of the node a message.
 *
 * Who it was is decided by the state in force when the flow began, for by now its container may be
 * gone and its address another's. The last states are kept for that. For older flows the oldest of
 * them does: connections of an address are removed when it changes hands (revoke/departed.c), and
 * told here before the next state is in force; and those that a change denies are cut, so that the
 * state in force until then is one that allowed them. What began before that (the daemon's start, a
 * container that was replaced meanwhile) is looked up in the history of stays.
 */
#include "flows/ends.h"

#include "answer/clock.h"
#include "config/config.h"
#include "conntrack/conntrack.h"
#include "core/state.h"
#include "flows/events.h"
#include "flows/flows.h"
#include "flows/gap.h"
#include "history/history.h"
#include "store/store.h"
#include "verdict/packet.h"
#include "verdict/snapshot.h"

#define READ_MS 100
#define READ_MAX 4096 /* messages at a time, some 10 ms; then the loop has its turn */
#define READ_NOW_MAX 65536 /* before a new state and at the end: more than the socket holds */
#define PAST_US 300000000 /* so long an earlier state is kept */

/* --- which state a flow began in --- */

static void forget_first(struct bh_ends *x)
{
	bh_snapshot_unref(x->past[0].snap);
	memmove(x->past, x->past + 1, --x->n_past * sizeof(x->past[0]));
}

static void keep(struct bh_ends *x, struct bh_snapshot *s, int64_t since)
{
	if (x->n_past == BH_PAST_MAX)
		forget_first(x);
	x->past[x->n_past++] = (struct bh_past){.snap = bh_snapshot_ref(s), .since = since};
}

static void forget_old(struct bh_ends *x, int64_t now)
{
	while (x->n_past > 1 && now - x->past[1].since > PAST_US)
		forget_first(x);
}

/* Time of the beginning not known: it is told before the next state, so it was in this one. */
static size_t state_at(const struct bh_core *c, int64_t begin)
{
	const struct bh_ends *x = &c->ends;
	size_t i = x->n_past - 1;
	if (!begin)
		while (i > 0 && x->past[i].snap != c->snap)
			i--;
	else
		while (i > 0 && x->past[i].since > begin)
			i--;
	return i;
}

static void decide_in(const struct bh_core *c, size_t i, struct bh_event *e, struct bh_ended *end)
{
	const struct bh_ends *x = &c->ends;
	e->snap = x->past[i].snap;
	end->generation = i + 1 == x->n_past ? c->generation : x->past[i].generation;
	bh_engine_evaluate(e->snap->engine, &e->flow, &e->decision);
}

/* What allowed it: a flow that was denied has no entry. */
static void decide(const struct bh_core *c, struct bh_event *e, struct bh_ended *end)
{
	const struct bh_ends *x = &c->ends;
	size_t at = state_at(c, end->begin);
	for (size_t k = 0; k < x->n_past; k++) {
		decide_in(c, (at + k) % x->n_past, e, end);
		if (e->decision.verdict == BH_ALLOW)
			return;
	}
	/* Older than all that is known: who it was can be told, what allowed it can't. */
	decide_in(c, at, e, end);
	e->decision = (struct bh_decision){.side = {{.workload = e->decision.side[0].workload,
							    .mode = e->decision.side[0].mode},
						   {.workload = e->decision.side[1].workload,
							   .mode = e->decision.side[1].mode}}};
}

/* --- flows that ended, put together for their record --- */

static uint64_t hash(const struct bh_event *e)
{
	const struct bh_flow *f = &e->flow;
	uint64_t h = bh_hash(&f->src, sizeof(f->src), BH_HASH_SEED);
	h = bh_hash(&f->dst, sizeof(f->dst), h);
	const uint16_t rest[] = {f->proto, f->dport, f->icmp_type, f->icmp_code};
	h = bh_hash(rest, sizeof(rest), h);
	return bh_hash(&e->snap, sizeof(e->snap), h);
}

static bool same(const struct bh_event *a, const struct bh_event *b)
{
	return a->snap == b->snap && a->flow.proto == b->flow.proto &&
	       a->flow.dport == b->flow.dport && a->flow.icmp_type == b->flow.icmp_type &&
	       a->flow.icmp_code == b->flow.icmp_code && bh_addr_eq(&a->flow.src, &b->flow.src) &&
	       bh_addr_eq(&a->flow.dst, &b->flow.dst);
}

static void tell_sums(struct bh_core *c)
{
	struct bh_ends *x = &c->ends;
	for (size_t i = 0; i < x->n_sums; i++) {
		struct bh_end_sum *s = &x->sum[i];
		s->event.when = bh_clock_now();
		bh_core_audit_end(c, &s->event, &s->end);
		bh_snapshot_unref(s->event.snap);
	}
	x->n_sums = 0;
	if (x->slot)
		memset(x->slot, 0, 2 * BH_END_SUMS_MAX * sizeof(*x->slot));
}

static void add_to_sum(struct bh_end_sum *s, const struct bh_event *e, const struct bh_ended *end)
{
	bh_volume_add(&s->end.volume, &end->volume);
	if (!s->end.begin || (end->begin && end->begin < s->end.begin))
		s->end.begin = end->begin;
	if (end->last > s->end.last)
		s->end.last = end->last;
	if (s->event.flow.sport != e->flow.sport)
		s->event.flow.sport = 0;
}

static void sum_up(struct bh_core *c, const struct bh_event *e, const struct bh_ended *end)
{
	struct bh_ends *x = &c->ends;
	const size_t mask = 2 * BH_END_SUMS_MAX - 1;

	if (!x->sum) {
		x->sum = bh_xcalloc(BH_END_SUMS_MAX, sizeof(*x->sum));
		x->slot = bh_xcalloc(mask + 1, sizeof(*x->slot));
	}
	if (x->n_sums == BH_END_SUMS_MAX)
		tell_sums(c); /* sooner than asked for, and nothing is lost */
	size_t i = hash(e) & mask;
	for (; x->slot[i]; i = (i + 1) & mask)
		if (same(&x->sum[x->slot[i] - 1].event, e)) {
			add_to_sum(&x->sum[x->slot[i] - 1], e, end);
			return;
		}
	if (x->n_sums == 0)
		x->summed_since = uv_now(c->loop);
	x->sum[x->n_sums] = (struct bh_end_sum){.event = *e, .end = *end};
	bh_snapshot_ref(e->snap);
	x->slot[i] = (uint32_t)++x->n_sums;
}

/* --- one end --- */

/* Whether those are who the state says, by when they came to their addresses; else who it was. */
static bool identify(
	struct bh_core *c, const struct bh_event *e, int64_t begin, struct bh_ended *end)
{
	const struct bh_inventory *inv = bh_engine_inventory(e->snap->engine);
	const struct bh_addr *addr[2] = {&e->flow.src, &e->flow.dst};
	bool good = true;
	for (int i = 0; i < 2; i++) {
		/* side[] is by direction: the source's is its egress */
		int side = i == 0 ? BH_EGRESS : BH_INGRESS;
		int32_t w = e->decision.side[side].workload;
		if (!begin ||
			(w < 0 && (w == BH_OWNER_HOST || !bh_inventory_in_network(inv, addr[i]))))
			continue;
		if (w >= 0 &&
			bh_core_history_had(c, inv->workload[w], addr[i], begin, &end->who[i]))
			continue;
		if (w < 0)
			end->who[i] = bh_core_history_holder(c, addr[i], begin);
		end->other[i] = true;
		good = false;
	}
	return good;
}

static void note_row(struct bh_core *c, const struct bh_event *e, const struct bh_volume *v)
{
	struct bh_flow_row r;
	bh_core_flow_fill(c, e, &r);
	r.count = 0; /* it was counted when it began */
	r.volume = *v;
	bh_core_flow_row(c, &r);
}

static void record(struct bh_core *c, const struct bh_event *e, const struct bh_ended *end)
{
	if (bh_core_flows_level(c, e, end) < BH_AUDIT_FLOWS_FULL)
		return;
	if (c->conf->audit_aggregate_s && !end->other[0] && !end->other[1])
		sum_up(c, e, end);
	else
		bh_core_audit_end(c, e, end);
}

static void on_end(const struct bh_ct_entry *ct, void *arg)
{
	struct bh_core *c = arg;
	struct bh_event e = {
		.kind = BH_EVENT_DECISION,
		.flow = ct->flow,
		.spoofer = BH_OWNER_NONE,
		.when = ct->last ? ct->last : bh_clock_now(),
	};
	struct bh_ended end = {
		.volume = {.flows = 1,
			.packets = {ct->packets[0], ct->packets[1]},
			.bytes = {ct->bytes[0], ct->bytes[1]},
			.duration = ct->start && ct->last > ct->start
					    ? (uint64_t)(ct->last - ct->start)
					    : 0},
		.begin = ct->start,
		.last = ct->last,
	};
	decide(c, &e, &end);
	bool known = identify(c, &e, ct->start, &end);
	if (e.decision.side[BH_EGRESS].workload < 0 && e.decision.side[BH_INGRESS].workload < 0 &&
		!end.who[0] && !end.who[1])
		return; /* nothing of ours */
	c->ends.seen++;
	if (known) {
		bh_verdict_match_alerts(&e);
		note_row(c, &e, &end.volume);
		if (c->conf->learn_volume)
			bh_core_learn_ended(c, &e, &end.volume);
	}
	record(c, &e, &end);
	bh_workload_unref(end.who[0]);
	bh_workload_unref(end.who[1]);
}

/* --- reading --- */

/* Returns whether there may be more. */
static bool read_some(struct bh_core *c, size_t max)
{
	uint64_t lost = 0;
	if (!bh_ct_listens(c->ct) || !c->ends.n_past)
		return false;
	int n = bh_ct_drain(c->ct, max, on_end, c, &lost);
	if (lost) {
		c->ends.lost += lost;
		bh_core_gap(c, "flow-ends", (int64_t)lost, c->ends.read_at,
			"ends of flows of the node were lost: more at once than there was room "
			"for");
	}
	c->ends.read_at = bh_clock_now();
	return n >= (int)max;
}

static void on_timer(uv_timer_t *t)
{
	struct bh_core *c = t->data;
	bool more = read_some(c, READ_MAX);
	if (c->ends.n_sums &&
		(uv_now(c->loop) - c->ends.summed_since) / 1000 >= c->conf->audit_aggregate_s)
		tell_sums(c);
	forget_old(&c->ends, c->ends.read_at);
	uv_timer_start(t, on_timer, more ? 1 : READ_MS, 0);
}

void bh_core_ends_read(struct bh_core *c)
{
	read_some(c, READ_NOW_MAX);
}

void bh_core_ends_state(struct bh_core *c, struct bh_snapshot *s, int64_t since)
{
	if (!bh_ct_listens(c->ct))
		return;
	tell_sums(c);
	if (c->ends.n_past)
		c->ends.past[c->ends.n_past - 1].generation = c->generation;
	keep(&c->ends, s, since);
}

void bh_core_ends_set_back(struct bh_core *c, int64_t step)
{
	for (size_t i = 0; i < c->ends.n_past; i++)
		c->ends.past[i].since += step;
}

/* --- whether to listen --- */

static bool wants_full(const struct bh_config *conf)
{
	for (size_t i = 0; i < conf->n_flows_of; i++)
		if (conf->flows_of[i].flows == BH_AUDIT_FLOWS_FULL)
			return true;
	return conf->audit_flows == BH_AUDIT_FLOWS_FULL;
}

static bool wants_volume(const struct bh_core *c)
{
	const struct bh_inventory *inv = bh_engine_inventory(c->snap->engine);
	if (!c->conf->learn_volume)
		return false;
	for (size_t i = 0; i < inv->n; i++)
		if (inv->workload[i]->mode == BH_MODE_LEARN)
			return true;
	return false;
}

static void finish(struct bh_core *c)
{
	uv_timer_stop(&c->ends.timer);
	bh_core_ends_read(c);
	tell_sums(c);
	while (c->ends.n_past)
		forget_first(&c->ends);
}

void bh_core_ends_follow(struct bh_core *c)
{
	struct bh_ends *x = &c->ends;
	bool want = c->snap && (wants_full(c->conf) || wants_volume(c));
	if (want == bh_ct_listens(c->ct))
		return;
	if (!want) {
		finish(c);
		bh_ct_deafen(c->ct);
		return;
	}
	int r = bh_ct_listen(c->ct);
	x->error = r < 0 ? -r : 0;
	if (r < 0)
		return; /* status says so; tried again with the next state */
	x->missing = r;
	x->read_at = bh_clock_now();
	keep(x, c->snap, x->read_at);
	uv_timer_start(&x->timer, on_timer, READ_MS, 0);
}

void bh_core_ends_init(struct bh_core *c)
{
	uv_timer_init(c->loop, &c->ends.timer);
	c->ends.timer.data = c;
}

void bh_core_ends_stop(struct bh_core *c)
{
	finish(c);
}

void bh_core_ends_finish(struct bh_core *c)
{
	free(c->ends.sum);
	free(c->ends.slot);
}

json_t *bh_core_ends_json(const struct bh_core *c, json_t *problems)
{
	const struct bh_ends *x = &c->ends;
	bool on = bh_ct_listens(c->ct);
	char bh_autofree *why = NULL;
	if (x->error)
		why = bh_xasprintf("the ends of flows can't be read, what they carried is not "
				   "recorded: %s",
			x->error == EOPNOTSUPP ? "this kernel has no conntrack events"
					       : strerror(x->error));
	else if (on && x->missing)
		why = bh_xasprintf("net.netfilter.nf_conntrack_%s can't be switched on: what flows "
				   "carried is not known in full",
			x->missing & BH_CT_NO_COUNTS ? "acct" : "timestamp");
	if (why)
		json_array_append_new(problems, json_string(why));
	return json_pack("{s:b, s:I, s:I, s:s?}", "listening", on, "seen", (json_int_t)x->seen,
		"lost", (json_int_t)x->lost, "error", why);
}
