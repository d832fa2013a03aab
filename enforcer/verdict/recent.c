/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Flows seen a moment ago, in a table of fixed size: a later one takes the place of another. */
#include "verdict/recent.h"

#include <time.h>

static int64_t now_ms(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC_COARSE, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static uint64_t hash(const struct bh_flow *f)
{
	uint64_t h = bh_hash(&f->src, sizeof(f->src), BH_HASH_SEED);
	h = bh_hash(&f->dst, sizeof(f->dst), h);
	const uint16_t rest[] = {f->proto, f->sport, f->dport, f->icmp_type, f->icmp_code};
	return bh_hash(rest, sizeof(rest), h);
}

void bh_recent_put(struct bh_recent *r, const struct bh_flow *f, unsigned for_ms)
{
	uint64_t h = hash(f);
	r->slot[h % BH_RECENT_SLOTS].hash = h;
	r->slot[h % BH_RECENT_SLOTS].until_ms = now_ms() + for_ms;
}

bool bh_recent_has(const struct bh_recent *r, const struct bh_flow *f)
{
	uint64_t h = hash(f);
	const struct bh_recent_slot *s = &r->slot[h % BH_RECENT_SLOTS];
	return s->hash == h && now_ms() < s->until_ms;
}
