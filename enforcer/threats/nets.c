/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "threats/nets.h"

#include <bulkhead/util.h>
#include <stdlib.h>
#include <string.h>

#define BLOCK 64 /* elements that are compared at once: nearly all is the same in both */

static size_t size_of(const struct bh_nft_bulk *l)
{
	return l->kind == BH_NFT_NET4 ? sizeof(struct bh_net4) : sizeof(struct bh_net6);
}

static const void *place(const struct bh_nft_bulk *l, size_t i)
{
	return (const char *)l->elem + i * size_of(l);
}

static struct bh_net6 net(const struct bh_nft_bulk *l, size_t i)
{
	if (l->kind == BH_NFT_NET6)
		return *(const struct bh_net6 *)place(l, i);
	const struct bh_net4 *n = place(l, i);
	return (struct bh_net6){n->first, n->last};
}

static bool same(const struct bh_feed_nets_side *s)
{
	return s->i < s->old.n && s->j < s->new.n &&memcmp(place(&s->old, s->i),
						 place(&s->new, s->j), size_of(&s->old)) ==
					  0;
}

static void skip_same(struct bh_feed_nets_side *s)
{
	while (s->old.n - s->i >= BLOCK &&
		s->new.n - s->j >= BLOCK &&memcmp(place(&s->old, s->i), place(&s->new, s->j),
					   BLOCK * size_of(&s->old)) ==
			0) {
		s->i += BLOCK;
		s->j += BLOCK;
	}
	while (same(s)) {
		s->i++;
		s->j++;
	}
}

/* The lists' next: whose, and where it begins. */
static bool next(const struct bh_feed_nets_side *s, bool *ret_old, bh_u128 *ret_first)
{
	bool a = s->i < s->old.n, b = s->j < s->new.n;
	bh_u128 first_a = a ? net(&s->old, s->i).first : 0;
	bh_u128 first_b = b ? net(&s->new, s->j).first : 0;
	*ret_old = a && (!b || first_a <= first_b);
	*ret_first = *ret_old ? first_a : first_b;
	return a || b;
}

static void push(struct bh_feed_nets_list *l, const struct bh_nft_bulk *from, size_t i)
{
	size_t size = size_of(from);
	if (l->n == l->cap) {
		l->cap = l->cap ? 2 * l->cap : 64;
		l->elem = bh_xrealloc(l->elem, l->cap, size);
	}
	memcpy((char *)l->elem + l->n++ * size, place(from, i), size);
}

static bool reaches(bh_u128 end, bh_u128 first)
{
	return first <= end || first - end == 1;
}

/* Takes what overlaps the step's addresses, which end at *end, or touches what this set changes,
 * and moves the end on. What only touches another set's waits: else feeds of different directions
 * with networks side by side would make one transaction of all. What is in both lists and beside
 * nothing that this set changes may stay. */
static bool take(struct bh_feed_nets_side *s, bh_u128 *end)
{
	bool any = false, old;
	bh_u128 first;
	while (next(s, &old, &first)) {
		bool touches = s->taken && reaches(s->end, first);
		if (first > *end && !touches)
			break;
		if (same(s) && !touches) {
			s->i++;
			s->j++;
			continue;
		}
		bh_u128 last = old ? net(&s->old, s->i).last : net(&s->new, s->j).last;
		if (old)
			push(&s->del, &s->old, s->i++);
		else
			push(&s->add, &s->new, s->j++);
		s->end = s->taken && s->end > last ? s->end : last;
		s->taken = any = true;
		*end = last > *end ? last : *end;
	}
	return any;
}

/* Where the next difference begins, in any set. */
static bool next_difference(struct bh_feed_nets_side *side, bh_u128 *ret)
{
	bool any = false, old;
	bh_u128 first;
	for (int k = 0; k < BH_FEED_NETS_SIDES; k++) {
		skip_same(&side[k]);
		side[k].taken = false;
		if (next(&side[k], &old, &first) && (!any || first < *ret)) {
			*ret = first;
			any = true;
		}
	}
	return any;
}

size_t bh_feed_nets_step(struct bh_feed_nets_side side[static BH_FEED_NETS_SIDES], size_t max)
{
	size_t n = 0;
	bh_u128 end = 0;
	for (int k = 0; k < BH_FEED_NETS_SIDES; k++)
		side[k].del.n = side[k].add.n = 0;
	while (n < max && next_difference(side, &end)) {
		for (bool more = true; more;) {
			more = false;
			for (int k = 0; k < BH_FEED_NETS_SIDES; k++)
				more |= take(&side[k], &end);
		}
		n = 0;
		for (int k = 0; k < BH_FEED_NETS_SIDES; k++)
			n += side[k].del.n + side[k].add.n;
	}
	return n;
}

void bh_feed_nets_finish(struct bh_feed_nets_side side[static BH_FEED_NETS_SIDES])
{
	for (int k = 0; k < BH_FEED_NETS_SIDES; k++) {
		free(side[k].del.elem);
		free(side[k].add.elem);
		side[k].del = side[k].add = (struct bh_feed_nets_list){0};
	}
}
