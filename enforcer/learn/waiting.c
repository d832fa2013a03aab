/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Flows that wait for their other half, by 5-tuple: an array of slots threaded by three lists
 * (bucket, order of arrival, free), so that adding, finding, removing and dropping the oldest are
 * all O(1) and memory is bounded from the start. What floods it is chosen by others: the hash is
 * seeded.
 */
#include "learn/internal.h"

void bh_waitings_init(struct bh_waitings *w, uint32_t cap, uint64_t seed)
{
	*w = (struct bh_waitings){.cap = cap,
		.seed = seed,
		.oldest = BH_WAITING_NONE,
		.newest = BH_WAITING_NONE,
		.free = BH_WAITING_NONE};
	w->slot = bh_xcalloc(cap, sizeof(*w->slot));
	w->bucket = bh_xcalloc(cap, sizeof(*w->bucket));
	memset(w->bucket, 0xff, cap * sizeof(*w->bucket)); /* BH_WAITING_NONE */
}

void bh_waitings_finish(struct bh_waitings *w)
{
	free(w->slot);
	free(w->bucket);
	*w = (struct bh_waitings){0};
}

/* The ICMP type is not hashed: see same_flow(). */
static uint32_t bucket_of(const struct bh_waitings *w, const struct bh_flow *f)
{
	uint64_t h = bh_hash(&f->src, sizeof(f->src), w->seed);
	h = bh_hash(&f->dst, sizeof(f->dst), h);
	h = bh_hash(&f->proto, sizeof(f->proto), h);
	h = bh_hash(&f->sport, sizeof(f->sport), h);
	h = bh_hash(&f->dport, sizeof(f->dport), h);
	return (uint32_t)(h ^ h >> 32) & (w->cap - 1);
}

/* Types that have an answer are never 0 in the original direction, so 0 means that the one who
 * reports does not know it. */
static bool same_flow(const struct bh_flow *a, const struct bh_flow *b)
{
	return a->proto == b->proto && a->sport == b->sport && a->dport == b->dport &&
	       bh_addr_eq(&a->src, &b->src) && bh_addr_eq(&a->dst, &b->dst) &&
	       (a->icmp_type == b->icmp_type || !a->icmp_type || !b->icmp_type);
}

uint32_t bh_waitings_find(const struct bh_waitings *w, const struct bh_flow *f)
{
	uint32_t i = w->bucket[bucket_of(w, f)];
	while (i != BH_WAITING_NONE && !same_flow(&w->slot[i].flow, f))
		i = w->slot[i].next;
	return i;
}

void bh_waitings_add(
	struct bh_waitings *w, const struct bh_flow *f, struct bh_learn_entry *e, int64_t now)
{
	uint32_t b = bucket_of(w, f), i = w->free;
	if (i != BH_WAITING_NONE)
		w->free = w->slot[i].next;
	else
		i = w->used++;
	w->slot[i] = (struct bh_waiting){.flow = *f,
		.entry = e,
		.at = now,
		.older = w->newest,
		.newer = BH_WAITING_NONE,
		.next = w->bucket[b]};
	w->bucket[b] = i;
	if (w->newest != BH_WAITING_NONE)
		w->slot[w->newest].newer = i;
	else
		w->oldest = i;
	w->newest = i;
	w->n++;
}

struct bh_learn_entry *bh_waitings_remove(struct bh_waitings *w, uint32_t i)
{
	struct bh_waiting *s = &w->slot[i];
	uint32_t *link = &w->bucket[bucket_of(w, &s->flow)];
	while (*link != i)
		link = &w->slot[*link].next;
	*link = s->next;
	if (s->older != BH_WAITING_NONE)
		w->slot[s->older].newer = s->newer;
	else
		w->oldest = s->newer;
	if (s->newer != BH_WAITING_NONE)
		w->slot[s->newer].older = s->older;
	else
		w->newest = s->older;
	s->next = w->free;
	w->free = i;
	w->n--;
	return BH_TAKE_PTR(s->entry);
}
