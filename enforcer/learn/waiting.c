/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Flows that wait for their answer, by 5-tuple: an array of slots threaded by lists (bucket, stage,
 * free), so that adding, finding, removing, dropping the oldest and finding who is to be asked for
 * are all O(1) and memory is bounded from the start. What floods it is chosen by others: the hash
 * is seeded.
 *
 * The stages last longer and longer: a flow that was answered is noticed soon, one of a scan costs
 * eight questions in five minutes. Whoever is in a later stage has waited longer than all in the
 * earlier ones.
 */
#include "learn/internal.h"

#define MS 1000LL
static const int64_t stage_us[BH_WAITING_STAGES] = {
	50 * MS, 150 * MS, 500 * MS, 1500 * MS, 5000 * MS, 15000 * MS, 60000 * MS, 210000 * MS};

void bh_waitings_init(struct bh_waitings *w, uint32_t cap, uint64_t seed)
{
	*w = (struct bh_waitings){.cap = cap, .used = 1, .seed = seed};
	w->slot = bh_xcalloc(cap + 1, sizeof(*w->slot));
	w->bucket = bh_xcalloc(cap, sizeof(*w->bucket));
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

static void append(struct bh_waitings *w, uint32_t i, uint8_t stage, int64_t now)
{
	struct bh_waiting *s = &w->slot[i];
	s->stage = stage;
	s->since = now;
	s->older = w->newest[stage];
	s->newer = BH_WAITING_NONE;
	if (s->older != BH_WAITING_NONE)
		w->slot[s->older].newer = i;
	else
		w->oldest[stage] = i;
	w->newest[stage] = i;
}

static void unlink_from_stage(struct bh_waitings *w, const struct bh_waiting *s)
{
	if (s->older != BH_WAITING_NONE)
		w->slot[s->older].newer = s->newer;
	else
		w->oldest[s->stage] = s->newer;
	if (s->newer != BH_WAITING_NONE)
		w->slot[s->newer].older = s->older;
	else
		w->newest[s->stage] = s->older;
}

uint32_t bh_waitings_oldest(const struct bh_waitings *w)
{
	for (int stage = BH_WAITING_STAGES - 1; stage >= 0; stage--)
		if (w->oldest[stage] != BH_WAITING_NONE)
			return w->oldest[stage];
	return BH_WAITING_NONE;
}

/* The clock may have been set back: whoever seems to come from the future is due as well. */
uint32_t bh_waitings_due(const struct bh_waitings *w, int64_t now)
{
	for (int stage = 0; stage < BH_WAITING_STAGES; stage++) {
		uint32_t i = w->oldest[stage];
		if (i != BH_WAITING_NONE &&
			(now - w->slot[i].since >= stage_us[stage] || now < w->slot[i].since))
			return i;
	}
	return BH_WAITING_NONE;
}

void bh_waitings_advance(struct bh_waitings *w, uint32_t i, int64_t now)
{
	uint8_t stage = w->slot[i].stage;
	unlink_from_stage(w, &w->slot[i]);
	append(w, i, stage + 1 < BH_WAITING_STAGES ? stage + 1 : stage, now);
}

void bh_waitings_add(
	struct bh_waitings *w, const struct bh_flow *f, struct bh_learn_entry *e, int64_t now)
{
	uint32_t b = bucket_of(w, f), i = w->free;
	if (i != BH_WAITING_NONE)
		w->free = w->slot[i].next;
	else
		i = w->used++;
	w->slot[i] = (struct bh_waiting){.flow = *f, .entry = e, .at = now, .next = w->bucket[b]};
	w->bucket[b] = i;
	append(w, i, 0, now);
	e->waiting++;
	w->n++;
}

struct bh_learn_entry *bh_waitings_remove(struct bh_waitings *w, uint32_t i)
{
	struct bh_waiting *s = &w->slot[i];
	uint32_t *link = &w->bucket[bucket_of(w, &s->flow)];
	while (*link != i)
		link = &w->slot[*link].next;
	*link = s->next;
	unlink_from_stage(w, s);
	s->next = w->free;
	w->free = i;
	w->n--;
	s->entry->waiting--;
	return BH_TAKE_PTR(s->entry);
}
