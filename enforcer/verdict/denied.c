/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What a state denies, by policy or because a blocking feed lists an end; and exceptions from the
 * feeds: a namespace that may talk to something listed until a day that is written down.
 */
#include "answer/clock.h"
#include "feeds/feeds.h"
#include "verdict/snapshot.h"

static bool covers(const struct bh_feed_exception *x, const char *feed)
{
	return !x->feed || bh_streq(x->feed, feed);
}

static bool excepted_by(const struct bh_config_exceptions *list, const char *namespace,
	const char *feed, const struct bh_addr *a, int64_t now_s)
{
	for (size_t i = 0; i < list->n; i++) {
		const struct bh_feed_exception *x = &list->item[i];
		if (now_s < x->until && bh_streq(x->namespace, namespace) && covers(x, feed) &&
			bh_ranges_contain(&x->addrs, a))
			return true;
	}
	return false;
}

/* Every blocking feed that lists the address in this direction has to be excepted. */
bool bh_snapshot_excepts(const struct bh_snapshot *s, const struct bh_addr *listed, unsigned as,
	const struct bh_addr *other, int64_t now_us)
{
	struct bh_feed_hit hit[64];
	const struct bh_inventory *inv = bh_engine_inventory(s->engine);
	if (!s->exceptions.n)
		return false;
	int owner = bh_inventory_owner(inv, other);
	if (owner < 0)
		return false;
	size_t n = bh_feed_index_lookup(s->feeds, listed, hit, BH_ARRAY_SIZE(hit));
	if (n == BH_ARRAY_SIZE(hit))
		return false; /* there may be more */
	for (size_t i = 0; i < n; i++)
		if (!hit[i].alert_only && (hit[i].directions & as) &&
			!excepted_by(&s->exceptions, inv->workload[owner]->namespace, hit[i].feed,
				listed, now_us / 1000000))
			return false;
	return true;
}

static bool listed(const struct bh_snapshot *s, const struct bh_addr *a, unsigned as,
	const struct bh_addr *other)
{
	return (bh_feed_index_blocked(s->feeds, a) & as) &&
	       !bh_snapshot_excepts(s, a, as, other, bh_clock_now());
}

bool bh_snapshot_denies(const struct bh_snapshot *s, const struct bh_flow *f)
{
	struct bh_decision d;

	if (listed(s, &f->src, BH_FEED_IN, &f->dst) || listed(s, &f->dst, BH_FEED_OUT, &f->src))
		return true;
	bh_engine_evaluate(s->engine, f, &d);
	return d.verdict != BH_ALLOW;
}
