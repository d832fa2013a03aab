/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Flows that were dropped because of where they were meant to go before a DNAT rewrote it: the
 * kernel counts them by that address and their source; here they are put on record with the feed.
 */
#include "flows/diverted.h"

#include "answer/clock.h"
#include "audit/audit.h"
#include "core/state.h"
#include "feeds/feeds.h"
#include "nft/nft.h"

#define READ_EVERY 2 /* ticks of a second */

struct reading {
	struct bh_core *c;
	enum bh_family family;
};

static struct bh_diverted *find(struct bh_core *c, const struct bh_flow *f)
{
	for (size_t i = 0; i < c->n_diverted; i++) {
		struct bh_diverted *d = &c->diverted[i];
		if (bh_addr_eq(&d->flow.src, &f->src) && bh_addr_eq(&d->flow.dst, &f->dst) &&
			d->flow.proto == f->proto)
			return d;
	}
	struct bh_diverted *d = &c->diverted[c->n_diverted < BH_DIVERTED_MAX
						     ? c->n_diverted++
						     : c->next_diverted++ % BH_DIVERTED_MAX];
	*d = (struct bh_diverted){.flow = *f};
	return d;
}

static const struct bh_workload *workload(const struct bh_inventory *inv, int owner)
{
	return owner >= 0 ? inv->workload[owner] : NULL;
}

static void report(struct bh_core *c, const struct bh_flow *f, uint64_t times)
{
	const struct bh_inventory *inv = bh_engine_inventory(c->snap->engine);
	int src = bh_inventory_owner(inv, &f->src);
	struct bh_feed_hit hit;
	bool known = bh_feed_index_lookup(c->snap->feeds, &f->dst, &hit, 1) > 0;
	bh_audit_flow(
		c->audit, &(struct bh_audit_flow){.action = "threat-block",
				  .flow = f,
				  .src = workload(inv, src),
				  .src_host = src == BH_OWNER_HOST,
				  .verdict = BH_DROP,
				  .reason = BH_REASON_THREAT,
				  .mode = src >= 0 ? inv->workload[src]->mode : c->snap->node_mode,
				  .direction = BH_EGRESS,
				  .rule = "destination before DNAT",
				  .feed = known ? hit.feed : NULL,
				  .indicator = known ? hit.indicator : NULL,
				  .generation = c->generation,
				  .policy_sha256 = c->sha256,
				  .when = bh_clock_now(),
				  .times = times});
}

static void on_element(const struct bh_nft_elem *el, void *arg)
{
	const struct reading *r = arg;
	struct bh_flow f = {.dst = bh_addr_from_bytes(r->family, el->value[0].b),
		.src = bh_addr_from_bytes(r->family, el->value[1].b),
		.proto = el->value[2].b[0]};
	if (!el->packets)
		return;
	struct bh_diverted *d = find(r->c, &f);
	if (el->packets < d->packets)
		d->packets = 0; /* the kernel had forgotten it */
	if (el->packets != d->packets)
		report(r->c, &f, el->packets - d->packets);
	d->packets = el->packets;
}

void bh_core_diverted_tick(struct bh_core *c)
{
	if (!c->snap || !c->installed || c->diverted_ticks++ % READ_EVERY)
		return;
	for (int v6 = 0; v6 < 2; v6++) {
		struct reading r = {c, v6 ? BH_IPV6 : BH_IPV4};
		const struct bh_set *set =
			bh_ruleset_find_set(c->installed, v6 ? "diverted6" : "diverted4");
		if (set)
			bh_nft_elems_read(c->nft, set, on_element, &r);
	}
}
