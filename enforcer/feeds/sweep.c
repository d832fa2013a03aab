/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * One feed's indicators, which may nest and overlap in any way, cut into disjoint pieces that each
 * know the most specific indicator there, less what is protected. A sweep over the starts with a
 * heap of the open indicators, smallest on top; those that have ended leave the heap when they come
 * to its top. O(n log n) whatever the overlap, so a hostile list cannot make it slow; pieces come
 * one by one, so that nothing is held for a million of them. Where only some windows of address
 * space are of interest, all else costs one look at each indicator.
 */
#include "feeds/internal.h"

#define END (~(bh_u128)0)

/* Ties go to the one that stands first in the sorted list. */
static bool before(const struct bh_open_item *a, const struct bh_open_item *b)
{
	return a->size != b->size ? a->size < b->size : a->item < b->item;
}

static void push(struct bh_sweep *s, struct bh_open_item x)
{
	BH_GROW(s->heap, s->n_heap, s->cap_heap);
	size_t i = s->n_heap++;
	for (; i > 0 && before(&x, &s->heap[(i - 1) / 2]); i = (i - 1) / 2)
		s->heap[i] = s->heap[(i - 1) / 2];
	s->heap[i] = x;
}

static void pop(struct bh_sweep *s)
{
	struct bh_open_item x = s->heap[--s->n_heap];
	size_t i = 0;
	for (;;) {
		size_t child = 2 * i + 1;
		if (child >= s->n_heap)
			break;
		if (child + 1 < s->n_heap && before(&s->heap[child + 1], &s->heap[child]))
			child++;
		if (!before(&s->heap[child], &x))
			break;
		s->heap[i] = s->heap[child];
		i = child;
	}
	if (s->n_heap)
		s->heap[i] = x;
}

static bool expired(const struct bh_sweep *s, size_t i)
{
	uint32_t expires = s->v6 ? s->ind->v6[i].expires : s->ind->v4[i].expires;
	return expires && s->now && expires <= s->now;
}

static void skip_expired(struct bh_sweep *s)
{
	while (s->i < s->n && expired(s, s->i))
		s->i++;
}

void bh_sweep_start(struct bh_sweep *s, const struct bh_indicators *ind,
	const struct bh_ranges *protect, enum bh_family family, int64_t now,
	const struct bh_windows *only)
{
	*s = (struct bh_sweep){
		.ind = ind, .protect = protect, .only = only, .v6 = family == BH_IPV6, .now = now};
	s->n = s->v6 ? ind->n6 : ind->n4;
	while (s->next_protected < protect->n &&
		protect->item[s->next_protected].first.family != (uint8_t)family)
		s->next_protected++;
	skip_expired(s);
}

void bh_sweep_finish(struct bh_sweep *s)
{
	free(s->heap);
	s->heap = NULL;
}

static void admit(struct bh_sweep *s)
{
	bh_u128 first = bh_sweep_first(s, s->i), last = bh_sweep_last(s, s->i);
	push(s, (struct bh_open_item){last - first, last, (uint32_t)s->i});
}

/* Past all that ends before `from`; what reaches over it is open there. */
static void skip_to(struct bh_sweep *s, bh_u128 from)
{
	const struct bh_indicator4 *v4 = s->v6 ? NULL : s->ind->v4;
	for (; s->v6 && s->i < s->n && bh_sweep_first(s, s->i) < from; s->i++)
		if (bh_sweep_last(s, s->i) >= from && !expired(s, s->i))
			admit(s);
	/* the same; a million are passed here */
	for (uint32_t at = (uint32_t)from; v4 && s->i < s->n && v4[s->i].first < at; s->i++)
		if (v4[s->i].last >= at && !expired(s, s->i))
			admit(s);
	skip_expired(s);
	s->at = from;
}

/* Into the window that is at, or the next; false: there is none. */
static bool enter_window(struct bh_sweep *s)
{
	const struct bh_windows *w = s->only;
	if (!w)
		return true;
	while (s->window < w->n && w->item[s->window].last < s->at)
		s->window++;
	if (s->window == w->n)
		return false;
	if (s->at < w->item[s->window].first)
		skip_to(s, w->item[s->window].first);
	return true;
}

/* Where an indicator is open; false: there is no such place any more. */
static bool next_place(struct bh_sweep *s)
{
	while (!s->over && enter_window(s)) {
		while (s->n_heap && s->heap[0].last < s->at)
			pop(s);
		if (s->n_heap)
			return true;
		if (s->i == s->n)
			return false;
		bh_u128 first = bh_sweep_first(s, s->i);
		if (!s->only || first <= s->only->item[s->window].last) {
			s->at = first > s->at ? first : s->at;
			return true;
		}
		s->at = first;
	}
	return false;
}

/* The next piece, protected or not. */
static bool next_raw(struct bh_sweep *s, struct bh_piece *ret)
{
	if (!next_place(s))
		return false;
	for (; s->i < s->n && bh_sweep_first(s, s->i) <= s->at; skip_expired(s)) {
		admit(s);
		s->i++;
	}
	const struct bh_open_item *top = &s->heap[0];
	bh_u128 last = top->last;
	if (s->i < s->n && bh_sweep_first(s, s->i) <= last)
		last = bh_sweep_first(s, s->i) - 1;
	if (s->only && s->only->item[s->window].last < last)
		last = s->only->item[s->window].last;
	*ret = (struct bh_piece){
		s->at, last, top->item, s->at == bh_sweep_first(s, top->item) && last == top->last};
	s->over = last == END;
	s->at = last + 1;
	return true;
}

/* Cuts the front off what is left; false: nothing of it is free. */
static bool cut(struct bh_sweep *s, struct bh_piece *ret)
{
	const struct bh_ranges *p = s->protect;
	while (s->has_raw) {
		size_t i = s->next_protected;
		bool more = i < p->n && p->item[i].first.family == (s->v6 ? BH_IPV6 : BH_IPV4);
		bh_u128 from = more ? bh_addr_number(&p->item[i].first) : 0;
		bh_u128 to = more ? bh_addr_number(&p->item[i].last) : 0;
		if (more && to < s->raw.first) {
			s->next_protected++; /* pieces ascend: never needed again */
			continue;
		}
		*ret = s->raw;
		if (!more || from > s->raw.last) {
			s->has_raw = false;
			return true;
		}
		s->has_raw = to < s->raw.last;
		bool front = from > s->raw.first;
		ret->last = from - 1;
		ret->whole = s->raw.whole = false;
		s->raw.first = to + 1;
		if (front)
			return true;
	}
	return false;
}

bool bh_sweep_next(struct bh_sweep *s, struct bh_piece *ret)
{
	for (;;) {
		if (cut(s, ret))
			return true;
		s->has_raw = next_raw(s, &s->raw);
		if (!s->has_raw)
			return false;
	}
}
