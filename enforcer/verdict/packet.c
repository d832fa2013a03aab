/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The verdict on one queued packet. Runs on the queues' threads: reads the published snapshot,
 * decides, tells the loop through the ring once the verdicts are sent, and never waits for
 * anything.
 *
 * Three queues, three ways to be in doubt. What comes by the unmatched queue comes from an
 * enforcing group or a feed's rule: in doubt it is dropped. What comes by the observed queue passes
 * by definition of learn and audit: in doubt it passes, except that a listed address never does.
 * What comes by the hold queue has an end that the rules don't know: in doubt it is for the node's
 * mode.
 *
 * By whichever queue, a packet of an unknown workload waits until that workload is known, then
 * meets the rules again; the queue bounds how many wait, and for how long.
 */
#include "verdict/packet.h"

#include "answer/clock.h"
#include "feeds/feeds.h"
#include "verdict/snapshot.h"

#define REPEATED_MS 2000
#define VAIN_MS 60000

/* Do the blocking feeds list this end for what it is? The kernel's sets hold the same. */
static bool blocked(const struct bh_snapshot *s, const struct bh_addr *a, unsigned as)
{
	return bh_feed_index_blocked(s->feeds, a) & as;
}

/* The hit that is meant: of those that count in this direction the first. */
static bool find_hit(
	const struct bh_snapshot *s, const struct bh_addr *a, unsigned as, struct bh_feed_hit *ret)
{
	struct bh_feed_hit hit[8];
	size_t n = bh_feed_index_lookup(s->feeds, a, hit, BH_ARRAY_SIZE(hit));
	for (size_t i = 0; i < n; i++)
		if (hit[i].directions & as) {
			*ret = hit[i];
			return true;
		}
	return false;
}

static bool match_feeds(struct bh_snapshot *s, struct bh_event *e)
{
	const struct bh_addr *end[2] = {&e->flow.src, &e->flow.dst};
	static const unsigned as[2] = {BH_FEED_IN, BH_FEED_OUT};
	struct bh_feed_hit hit;
	bool found = false;

	for (int i = 0; i < 2; i++) {
		if (!find_hit(s, end[i], as[i], &hit))
			continue;
		bool block = blocked(s, end[i], as[i]) &&
			     !bh_snapshot_excepts(s, end[i], as[i], end[!i], e->when);
		if (found && !block)
			continue;
		snprintf(e->feed, sizeof(e->feed), "%s", hit.feed);
		snprintf(e->indicator, sizeof(e->indicator), "%s", hit.indicator);
		e->kind = block ? BH_EVENT_THREAT : BH_EVENT_ALERT;
		found = true;
		if (block)
			break;
	}
	return found;
}

void bh_verdict_match_alerts(struct bh_event *e)
{
	/* Blocked only since: it passed. */
	if (match_feeds(e->snap, e) && e->kind == BH_EVENT_THREAT)
		e->kind = BH_EVENT_DECISION;
}

/* A bridged packet names the port it came in by: the veth is the identity, the address a claim. */
static bool spoofed(const struct bh_inventory *inv, const struct bh_packet *p, struct bh_event *e)
{
	if (!p->physindev)
		return false;
	int w = bh_inventory_by_ifindex(inv, p->physindev);
	int32_t owner = e->decision.side[BH_EGRESS].workload;
	if (w < 0 || owner == w)
		return false;
	/* Containers that route for others (a VPN, nested engines) carry foreign addresses; only
	 * the address of another workload, or of the node, is certainly a lie. */
	if (owner == BH_OWNER_NONE)
		return false;
	e->kind = BH_EVENT_SPOOF;
	e->spoofer = w;
	return inv->workload[w]->mode == BH_MODE_ENFORCE;
}

/* An address where workloads live, of nobody we know: of one that has just started, as a rule. */
static bool unknown(const struct bh_inventory *inv, const struct bh_addr *a, int owner)
{
	if (owner != BH_OWNER_NONE || bh_addr_is_multicast(a) || !bh_inventory_in_network(inv, a))
		return false;
	for (size_t i = 0; i < inv->n_broadcast; i++)
		if (bh_addr_eq(&inv->broadcast[i], a))
			return false;
	return true;
}

/* NULL: both ends are known, or no business of ours. */
static const struct bh_addr *unknown_end(const struct bh_inventory *inv, const struct bh_event *e)
{
	if (unknown(inv, &e->flow.src, e->decision.side[BH_EGRESS].workload))
		return &e->flow.src;
	if (unknown(inv, &e->flow.dst, e->decision.side[BH_INGRESS].workload))
		return &e->flow.dst;
	return NULL;
}

/* Waiting once is enough: an address that stayed unknown (a machine of the same subnet that is no
 * container) is not waited for again until something has changed. */
static bool worth_waiting(const struct bh_snapshot *s, const struct bh_packet *p,
	const struct bh_addr *a, struct bh_queue_ctx *ctx)
{
	const struct bh_flow address = {.src = *a};
	if (ctx->vain_epoch != s->epoch) {
		ctx->vain = (struct bh_recent){0};
		ctx->vain_epoch = s->epoch;
	}
	if (p->held && p->expired)
		bh_recent_put(&ctx->vain, &address, VAIN_MS);
	return !p->expired && !bh_recent_has(&ctx->vain, &address) &&
	       !bh_recent_has(&ctx->repeated, &p->flow);
}

/* Nobody has told us of it in time. Who is known may still deny it; else it is for the node's own
 * mode, except that what an enforcing group did not allow is not to be trusted. */
static enum bh_packet_verdict give_up(
	const struct bh_snapshot *s, const struct bh_queue_ctx *ctx, struct bh_event *e)
{
	e->decision.reason = BH_REASON_UNKNOWN_WORKLOAD;
	if (e->decision.verdict == BH_REJECT)
		return BH_PACKET_REJECT;
	if (e->decision.verdict == BH_DROP || s->node_mode == BH_MODE_ENFORCE ||
		ctx->purpose == BH_QUEUE_UNMATCHED)
		return BH_PACKET_DROP;
	return BH_PACKET_ACCEPT;
}

static enum bh_packet_verdict decide(struct bh_snapshot *s, const struct bh_packet *p,
	struct bh_queue_ctx *ctx, struct bh_event *e)
{
	const struct bh_inventory *inv = bh_engine_inventory(s->engine);

	bh_engine_evaluate(s->engine, &p->flow, &e->decision);
	if (match_feeds(s, e) && e->kind == BH_EVENT_THREAT)
		return BH_PACKET_DROP;
	if (spoofed(inv, p, e))
		return BH_PACKET_DROP;
	const struct bh_addr *nobody = unknown_end(inv, e);
	if (nobody)
		return worth_waiting(s, p, nobody, ctx) ? BH_PACKET_HOLD : give_up(s, ctx, e);
	if (p->held && !p->expired) {
		/* Known by now: let it meet the rules that are in force since. */
		bh_recent_put(&ctx->repeated, &p->flow, REPEATED_MS);
		return BH_PACKET_REPEAT;
	}
	if (e->decision.verdict == BH_REJECT)
		return BH_PACKET_REJECT;
	if (e->decision.verdict == BH_DROP)
		return BH_PACKET_DROP;
	/* The kernel took it for a packet of an enforcing group and nobody here knows its ends:
	 * the inventory has moved on, and the address is not to be trusted. */
	if (ctx->purpose == BH_QUEUE_UNMATCHED && e->decision.reason == BH_REASON_UNKNOWN_WORKLOAD)
		return BH_PACKET_DROP;
	return BH_PACKET_ACCEPT;
}

/* Before the first snapshot of this run, while the rules of the run before are in force. */
static enum bh_packet_verdict too_early(const struct bh_packet *p, const struct bh_queue_ctx *ctx)
{
	if (ctx->purpose == BH_QUEUE_OBSERVED)
		return BH_PACKET_ACCEPT;
	if (!p->expired)
		return BH_PACKET_HOLD;
	return ctx->purpose == BH_QUEUE_HOLD && !ctx->closed ? BH_PACKET_ACCEPT : BH_PACKET_DROP;
}

enum bh_packet_verdict bh_verdict_packet(const struct bh_packet *p, void *arg)
{
	struct bh_queue_ctx *ctx = arg;

	if (p->fault == BH_PACKET_MALFORMED || p->fault == BH_PACKET_TRUNCATED)
		return BH_PACKET_DROP; /* counted by the queue; no stack would take it either */
	struct bh_snapshot *s = bh_shared_current(ctx->shared);
	if (!s)
		return too_early(p, ctx);
	if (ctx->n_untold == BH_UNTOLD_MAX)
		bh_verdict_sent(ctx);
	struct bh_event *e = &ctx->untold[ctx->n_untold];
	*e = (struct bh_event){
		.kind = BH_EVENT_DECISION,
		.snap = s, /* the reference goes to the ring */
		.flow = p->flow,
		.tcp_flags = p->tcp_flags,
		.spoofer = BH_OWNER_NONE,
		.when = bh_clock_now(),
	};
	enum bh_packet_verdict v = decide(s, p, ctx, e);
	if (s->stopped && v == BH_PACKET_ACCEPT) { /* it could not be recorded */
		__atomic_add_fetch(&ctx->shared->stopped, 1, __ATOMIC_RELAXED);
		bh_snapshot_unref(s);
		return BH_PACKET_DROP;
	}
	if (v == BH_PACKET_HOLD || v == BH_PACKET_REPEAT) {
		bh_snapshot_unref(s); /* told when it is decided */
		return v;
	}
	e->dropped = v != BH_PACKET_ACCEPT;
	ctx->n_untold++;
	return v;
}

void bh_verdict_sent(void *arg)
{
	struct bh_queue_ctx *ctx = arg;

	if (ctx->n_untold > 0)
		bh_shared_push(ctx->shared, ctx->untold, ctx->n_untold);
	ctx->n_untold = 0;
}
