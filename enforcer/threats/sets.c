/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The kernel's sets of feeds: which there are, how large, and what each is to hold. See
 * load.h. */
#include "core/state.h"
#include "feeds/feeds.h"
#include "nft/nft.h"
#include "threats/load.h"

struct bh_nft_bulk bh_feed_list(
	const struct bh_feed_index *x, enum bh_feed_direction d, enum bh_feed_kind kind)
{
	static const struct bh_feed_elems nothing;
	const struct bh_feed_elems *e =
		x ? bh_feed_index_elems(x, (enum bh_feed_class)d) : &nothing;
	switch (kind) {
	case BH_FEED_HOSTS4:
		return (struct bh_nft_bulk){
			.kind = BH_NFT_HOST4, .elem = e->host4, .n = e->n_host4};
	case BH_FEED_HOSTS6:
		return (struct bh_nft_bulk){
			.kind = BH_NFT_HOST6, .elem = e->host6, .n = e->n_host6};
	case BH_FEED_NEAR4:
		return (struct bh_nft_bulk){
			.kind = BH_NFT_HOST4, .elem = e->near4, .n = e->n_near4};
	case BH_FEED_NETS4:
		return (struct bh_nft_bulk){.kind = BH_NFT_NET4, .elem = e->net4, .n = e->n_net4};
	default:
		return (struct bh_nft_bulk){.kind = BH_NFT_NET6, .elem = e->net6, .n = e->n_net6};
	}
}

bool bh_feed_sets_has(const struct bh_feed_load *l, int direction)
{
	return direction == BH_FEED_SET_BOTH || l->sets.directed;
}

/* --- sizes --- */

static uint32_t size_for(size_t n)
{
	uint32_t size = BH_FEED_SET_MIN;
	while (size < n + n / 8 && size < 1u << 30)
		size *= 2;
	return size;
}

static bool any_directed(const struct bh_feed_index *x)
{
	size_t n = 0;
	for (int d = BH_FEED_SET_IN; d <= BH_FEED_SET_OUT; d++)
		for (int k = 0; k < BH_FEED_KINDS; k++)
			n += bh_feed_list(x, (enum bh_feed_direction)d, (enum bh_feed_kind)k).n;
	return n > 0;
}

void bh_feed_sets_init(struct bh_feed_load *l, const struct bh_feed_index *x)
{
	l->sets.directed = x && any_directed(x);
	for (int d = 0; d < BH_FEED_SETS; d++)
		for (int k = 0; k < BH_FEED_SIZED; k++)
			l->sets.size[d][k] = size_for(
				bh_feed_list(x, (enum bh_feed_direction)d, (enum bh_feed_kind)k).n);
}

/* One that is too large is so once what made it large is gone from both indexes. */
bool bh_feed_sets_plan(struct bh_feed_load *l)
{
	bool changed = !l->sets.directed && any_directed(l->target);
	l->sets.directed |= changed;
	for (int d = 0; d < BH_FEED_SETS; d++)
		for (int k = 0; k < BH_FEED_SIZED; k++) {
			uint32_t size = l->sets.size[d][k];
			if (!bh_feed_sets_has(l, d))
				continue;
			size_t most = bh_feed_count_both(
				l->old, l->target, (enum bh_feed_direction)d, (enum bh_feed_kind)k);
			if (most <= size && (size == BH_FEED_SET_MIN || most > size / 8))
				continue;
			l->sets.filling[d][k] = size_for(most);
			changed = true;
		}
	return changed;
}

bool bh_feed_sets_switch(struct bh_feed_load *l)
{
	bool any = false;
	for (int d = 0; d < BH_FEED_SETS; d++)
		for (int k = 0; k < BH_FEED_SIZED; k++) {
			uint32_t *filling = &l->sets.filling[d][k];
			if (!*filling)
				continue;
			l->sets.size[d][k] = *filling;
			*filling = 0;
			any = true;
		}
	return any;
}

bool bh_feed_sets_are_there(const struct bh_core *c)
{
	const struct bh_feed_load *l = &c->feed_load;
	char name[BH_FEED_SET_NAME_MAX];
	for (int d = 0; d < BH_FEED_SETS; d++)
		for (int k = 0; bh_feed_sets_has(l, d) && k < BH_FEED_KINDS; k++) {
			uint32_t filling = k < BH_FEED_SIZED ? l->sets.filling[d][k] : 0;
			if (k < BH_FEED_SIZED && !filling)
				filling = l->sets.size[d][k];
			bh_feed_set_name(
				(enum bh_feed_direction)d, (enum bh_feed_kind)k, filling, name);
			if (!bh_ruleset_find_set(c->installed, name))
				return false;
		}
	return true;
}

size_t bh_core_feeds_bulk(struct bh_core *c, struct bh_nft_bulk ret[static BH_FEED_BULKS],
	char name[static BH_FEED_BULKS][BH_FEED_SET_NAME_MAX])
{
	const struct bh_feed_load *l = &c->feed_load;
	size_t n = 0;
	for (int d = 0; l->in_force && d < BH_FEED_SETS; d++)
		for (int k = 0; bh_feed_sets_has(l, d) && k < BH_FEED_KINDS; k++, n++) {
			enum bh_feed_direction dir = (enum bh_feed_direction)d;
			enum bh_feed_kind kind = (enum bh_feed_kind)k;
			bh_feed_set_name(
				dir, kind, k < BH_FEED_SIZED ? l->sets.size[d][k] : 0, name[n]);
			ret[n] = bh_feed_list(l->in_force, dir, kind);
			ret[n].set = name[n];
		}
	return n;
}
