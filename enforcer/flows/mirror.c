/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A dense array for walking, with a table of indexes for finding. The table is built anew when
 * entries go, which they do many at a time. */
#include "flows/mirror.h"

#include <sys/random.h>

#define FIRST 256

void bh_mirror_init(struct bh_mirror *m, bool by_sport)
{
	*m = (struct bh_mirror){.seed = BH_HASH_SEED, .by_sport = by_sport};
	uint64_t seed;
	if (getrandom(&seed, sizeof(seed), GRND_NONBLOCK) == sizeof(seed))
		m->seed ^= seed;
}

void bh_mirror_finish(struct bh_mirror *m)
{
	free(m->item);
	free(m->slot);
	*m = (struct bh_mirror){0};
}

void bh_mirror_clear(struct bh_mirror *m)
{
	uint64_t seed = m->seed;
	bool by_sport = m->by_sport;
	bh_mirror_finish(m); /* a flood's memory is given back */
	m->seed = seed;
	m->by_sport = by_sport;
}

uint64_t bh_mirror_hash(const struct bh_flow *f, bool by_sport, uint64_t seed)
{
	uint64_t h = bh_hash(&f->src, sizeof(f->src), seed);
	h = bh_hash(&f->dst, sizeof(f->dst), h);
	const uint16_t rest[] = {f->proto, f->dport, by_sport ? f->sport : 0};
	return bh_hash(rest, sizeof(rest), h);
}

static uint64_t hash(const struct bh_mirror *m, const struct bh_flow *f)
{
	return bh_mirror_hash(f, m->by_sport, m->seed);
}

static bool same(const struct bh_mirror *m, const struct bh_flow *a, const struct bh_flow *b)
{
	return a->dport == b->dport && a->proto == b->proto &&
	       (!m->by_sport || a->sport == b->sport) && bh_addr_eq(&a->src, &b->src) &&
	       bh_addr_eq(&a->dst, &b->dst);
}

static size_t place(const struct bh_mirror *m, const struct bh_flow *f)
{
	size_t i = hash(m, f) & m->mask;
	while (m->slot[i] && !same(m, &m->item[m->slot[i] - 1].flow, f))
		i = (i + 1) & m->mask;
	return i;
}

struct bh_cached *bh_mirror_find(const struct bh_mirror *m, const struct bh_flow *f)
{
	if (m->n == 0)
		return NULL;
	size_t i = place(m, f);
	return m->slot[i] ? &m->item[m->slot[i] - 1] : NULL;
}

static void index_all(struct bh_mirror *m)
{
	memset(m->slot, 0, (m->mask + 1) * sizeof(*m->slot));
	for (size_t i = 0; i < m->n; i++)
		m->slot[place(m, &m->item[i].flow)] = (uint32_t)i + 1;
}

static void grow(struct bh_mirror *m)
{
	size_t cap = m->cap ? 2 * m->cap : FIRST;
	m->item = bh_xrealloc(m->item, cap, sizeof(*m->item));
	m->slot = bh_xrealloc(m->slot, 2 * cap, sizeof(*m->slot));
	m->cap = cap;
	m->mask = 2 * cap - 1;
	index_all(m);
}

struct bh_cached *bh_mirror_add(struct bh_mirror *m, const struct bh_flow *f)
{
	if (m->n == BH_MIRROR_MAX)
		return NULL;
	if (m->n == m->cap)
		grow(m);
	struct bh_cached *c = &m->item[m->n];
	*c = (struct bh_cached){.flow = *f};
	m->slot[place(m, f)] = (uint32_t)++m->n;
	return c;
}

uint64_t bh_mirror_expire(struct bh_mirror *m, uint64_t now_ms)
{
	uint64_t next = UINT64_MAX;
	size_t kept = 0;

	for (size_t i = 0; i < m->n; i++) {
		const struct bh_cached *c = &m->item[i];
		if (c->sent && c->expires_ms <= now_ms)
			continue;
		if (c->sent && c->expires_ms < next)
			next = c->expires_ms;
		if (kept != i)
			m->item[kept] = *c;
		kept++;
	}
	if (kept == 0) {
		bh_mirror_clear(m);
	} else if (kept < m->n) {
		m->n = kept;
		index_all(m);
	}
	return next;
}

uint64_t bh_cached_advance(struct bh_cached *c, uint64_t packets)
{
	uint64_t more = packets < c->packets ? packets : packets - c->packets;
	c->packets = packets;
	return more;
}
