/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The verdict on one queued packet. Runs on the queues' threads: reads the published snapshot,
 * decides, tells the loop through the ring, and never waits for anything.
 *
 * Two queues, two ways to be in doubt. What comes by the unmatched queue comes from an enforcing
 * group or a feed's rule: in doubt it is dropped. What comes by the observed queue passes by
 * definition of learn and audit: in doubt it passes, except that a listed address never does.
 */
#include "core/private.h"

/* Which end the blocking feeds list; the kernel's sets hold the same ranges. */
static bool blocked(const struct bh_snapshot *s, const struct bh_addr *a)
{
	return bh_ranges_contain(bh_feed_index_ranges(s->feeds), a);
}

static bool match_feeds(struct bh_snapshot *s, struct bh_event *e)
{
	const struct bh_addr *end[2] = {&e->flow.src, &e->flow.dst};
	struct bh_feed_hit hit;
	bool found = false;

	for (int i = 0; i < 2; i++) {
		if (bh_feed_index_lookup(s->feeds, end[i], &hit, 1) == 0)
			continue;
		bool block = blocked(s, end[i]);
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

/* A bridged packet names the port it came in by: the veth is the identity, the address a claim. */
static bool spoofed(const struct bh_inventory *inv, const struct bh_packet *p, struct bh_event *e)
{
	if (!p->physindev)
		return false;
	int w = bh_inventory_by_ifindex(inv, p->physindev);
	if (w < 0 || bh_inventory_owner(inv, &p->flow.src) == w)
		return false;
	/* Containers that route for others (a VPN, nested engines) carry foreign addresses; only
	 * the address of another workload, or of the node, is certainly a lie. */
	if (bh_inventory_owner(inv, &p->flow.src) == BH_OWNER_NONE)
		return false;
	e->kind = BH_EVENT_SPOOF;
	e->spoofer = w;
	return inv->workload[w]->mode == BH_MODE_ENFORCE;
}

static enum bh_packet_verdict decide(
	struct bh_snapshot *s, const struct bh_packet *p, bool observed, struct bh_event *e)
{
	const struct bh_inventory *inv = bh_engine_inventory(s->engine);

	bh_engine_evaluate(s->engine, &p->flow, &e->decision);
	if (match_feeds(s, e) && e->kind == BH_EVENT_THREAT)
		return BH_PACKET_DROP;
	if (spoofed(inv, p, e))
		return BH_PACKET_DROP;
	if (e->decision.verdict == BH_REJECT)
		return BH_PACKET_REJECT;
	if (e->decision.verdict == BH_DROP)
		return BH_PACKET_DROP;
	/* The kernel took it for a packet of an enforcing group and nobody here knows its ends:
	 * the inventory has moved on, and the address is not to be trusted. */
	if (!observed && e->decision.reason == BH_REASON_UNKNOWN_WORKLOAD)
		return BH_PACKET_DROP;
	return BH_PACKET_ACCEPT;
}

enum bh_packet_verdict bh_core_packet(const struct bh_packet *p, void *arg)
{
	struct bh_queue_ctx *ctx = arg;
	enum bh_packet_verdict in_doubt = ctx->observed ? BH_PACKET_ACCEPT : BH_PACKET_DROP;

	if (p->fault == BH_PACKET_MALFORMED || p->fault == BH_PACKET_TRUNCATED)
		return BH_PACKET_DROP; /* counted by the queue; no stack would take it either */
	struct bh_snapshot *s = bh_shared_current(ctx->shared);
	if (!s)
		return in_doubt;
	struct bh_event e = {
		.kind = BH_EVENT_DECISION,
		.snap = s, /* the reference goes to the ring */
		.flow = p->flow,
		.spoofer = BH_OWNER_NONE,
		.queued_observed = ctx->observed,
		.when = bh_core_now(),
	};
	enum bh_packet_verdict v = decide(s, p, ctx->observed, &e);
	e.dropped = v != BH_PACKET_ACCEPT;
	bh_shared_push(ctx->shared, &e);
	return v;
}
