/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What differs between two indexes, as transactions that keep nobody waiting. See load.h. */
#include "core/state.h"
#include "nft/nft.h"
#include "threats/load.h"
#include "threats/nets.h"

#define NETS_SHARE 8 /* a network costs the kernel so many times as much */
#define LONG_MS 10
#define BLOCK 64 /* elements that are compared at once */

/* --- what differs: both lists ascend --- */

#define ONLY_IN(name, type)                                                                        \
	/* At most max of b that a does not have, from *i and *j on. */                            \
	static size_t name(const type *a, size_t na, const type *b, size_t nb, size_t *i,          \
		size_t *j, type *out, size_t max)                                                  \
	{                                                                                          \
		size_t n = 0;                                                                      \
		while (*j < nb && n < max) {                                                       \
			/* nearly all is the same in both */                                       \
			if (na - *i >= BLOCK && nb - *j >= BLOCK &&                                \
				memcmp(a + *i, b + *j, BLOCK * sizeof(*a)) == 0) {                 \
				*i += BLOCK;                                                       \
				*j += BLOCK;                                                       \
				continue;                                                          \
			}                                                                          \
			for (size_t end = nb - *j > BLOCK ? *j + BLOCK : nb; *j < end && n < max;  \
				++*j) {                                                            \
				while (*i < na && a[*i] < b[*j])                                   \
					++*i;                                                      \
				if (*i < na && a[*i] == b[*j])                                     \
					++*i;                                                      \
				else                                                               \
					out[n++] = b[*j];                                          \
			}                                                                          \
		}                                                                                  \
		return n;                                                                          \
	}
ONLY_IN(only_in4, uint32_t)
ONLY_IN(only_in6, bh_u128)

size_t bh_feed_count_both(const struct bh_feed_index *old, const struct bh_feed_index *new,
	enum bh_feed_direction d, enum bh_feed_kind kind)
{
	const struct bh_nft_bulk a = bh_feed_list(old, d, kind), b = bh_feed_list(new, d, kind);
	size_t i = 0, j = 0, n = b.n, k;
	uint32_t v4[64];
	bh_u128 v6[64];
	do {
		k = a.kind == BH_NFT_HOST6
			    ? only_in6(b.elem, b.n, a.elem, a.n, &i, &j, v6, BH_ARRAY_SIZE(v6))
			    : only_in4(b.elem, b.n, a.elem, a.n, &i, &j, v4, BH_ARRAY_SIZE(v4));
		n += k;
	} while (k);
	return n;
}

/* The sides of a family's networks, as far as they have come. */
static void nets_sides(const struct bh_feed_load *l, enum bh_feed_kind kind,
	struct bh_feed_nets_side ret[static BH_FEED_NETS_SIDES])
{
	for (int d = 0; d < BH_FEED_SETS; d++)
		ret[d] = (struct bh_feed_nets_side){
			.old = bh_feed_list(l->old, (enum bh_feed_direction)d, kind),
			.new = bh_feed_list(l->target, (enum bh_feed_direction)d, kind),
		};
}

bool bh_feed_nets_shrink(const struct bh_feed_load *l)
{
	bool shrink = false;
	for (int is6 = 0; is6 < 2 && !shrink; is6++) {
		struct bh_feed_nets_side side[BH_FEED_NETS_SIDES];
		nets_sides(l, is6 ? BH_FEED_NETS6 : BH_FEED_NETS4, side);
		while (!shrink && bh_feed_nets_step(side, 1))
			for (int d = 0; d < BH_FEED_SETS; d++)
				shrink |= side[d].del.n > 0;
		bh_feed_nets_finish(side);
	}
	return shrink;
}

/* --- to the kernel --- */

static int send_bulk(struct bh_core *c, const struct bh_nft_bulk *bulk, size_t n)
{
	struct bh_nft_error err = {0};
	int r = bh_nft_bulk_apply(c->nft, bulk, n, &err);
	if (r == 0)
		return 1;
	free(c->commit_error);
	c->commit_error = bh_xasprintf("threat feeds: %s: %s", err.object, strerror(-r));
	return r;
}

/* Of `to`, what `from` (NULL: nothing) does not have. */
static int send_hosts(struct bh_core *c, const struct bh_feed_index *from,
	const struct bh_feed_index *to, uint32_t size, bool del)
{
	struct bh_feed_load *l = &c->feed_load;
	static uint32_t v4[BH_FEED_CHUNK_MAX]; /* the loop's thread only */
	static bh_u128 v6[BH_FEED_CHUNK_MAX];
	enum bh_feed_direction d = (enum bh_feed_direction)(l->set / BH_FEED_SIZED);
	enum bh_feed_kind kind = (enum bh_feed_kind)(l->set % BH_FEED_SIZED);
	const struct bh_nft_bulk a = bh_feed_list(from, d, kind);
	struct bh_nft_bulk b = bh_feed_list(to, d, kind);
	char name[BH_FEED_SET_NAME_MAX];
	bool is6 = b.kind == BH_NFT_HOST6;
	b.n = is6 ? only_in6(a.elem, a.n, b.elem, b.n, &l->i, &l->j, v6, l->chunk)
		  : only_in4(a.elem, a.n, b.elem, b.n, &l->i, &l->j, v4, l->chunk);
	if (b.n == 0)
		return 0;
	if (kind != BH_FEED_NEAR4)
		*(del ? &l->removed : &l->added) += b.n;
	bh_feed_set_name(d, kind, size, name);
	b.set = name;
	b.del = del;
	b.elem = is6 ? (void *)v6 : v4;
	return send_bulk(c, &b, 1);
}

static int add_hosts(struct bh_core *c)
{
	struct bh_feed_load *l = &c->feed_load;
	uint32_t filling = l->sets.filling[l->set / BH_FEED_SIZED][l->set % BH_FEED_SIZED];
	uint32_t size = l->sets.size[l->set / BH_FEED_SIZED][l->set % BH_FEED_SIZED];
	if (!filling)
		return send_hosts(c, l->old, l->target, size, false);
	int r = l->second ? 0 : send_hosts(c, NULL, l->target, filling, false);
	if (r == 0 && !l->second) {
		l->second = true;
		l->i = l->j = 0;
	}
	return r == 0 ? send_hosts(c, l->target, l->old, filling, false) : r;
}

static int delete_hosts(struct bh_core *c)
{
	struct bh_feed_load *l = &c->feed_load;
	uint32_t size = l->sets.size[l->set / BH_FEED_SIZED][l->set % BH_FEED_SIZED];
	return l->clean ? 0 : send_hosts(c, l->target, l->old, size, true);
}

/* Of all sets of a family at once: a network may go from one to another. */
static int change_nets(struct bh_core *c)
{
	struct bh_feed_load *l = &c->feed_load;
	enum bh_feed_kind kind = l->set ? BH_FEED_NETS6 : BH_FEED_NETS4;
	struct bh_feed_nets_side side[BH_FEED_NETS_SIDES];
	struct bh_nft_bulk bulk[2 * BH_FEED_NETS_SIDES];
	char name[BH_FEED_NETS_SIDES][BH_FEED_SET_NAME_MAX];
	size_t n = 0;
	nets_sides(l, kind, side);
	for (int d = 0; d < BH_FEED_SETS; d++) {
		side[d].i = l->net_i[d];
		side[d].j = l->net_j[d];
	}
	bh_feed_nets_step(side, l->chunk / NETS_SHARE);
	for (int d = 0; d < BH_FEED_SETS; d++) {
		const struct bh_feed_nets_side *x = &side[d];
		bh_feed_set_name((enum bh_feed_direction)d, kind, 0, name[d]);
		if (x->del.n)
			bulk[n++] = (struct bh_nft_bulk){
				name[d], x->old.kind, true, x->del.elem, x->del.n};
		if (x->add.n)
			bulk[n++] = (struct bh_nft_bulk){
				name[d], x->new.kind, false, x->add.elem, x->add.n};
		l->net_i[d] = x->i;
		l->net_j[d] = x->j;
		l->removed += x->del.n;
		l->added += x->add.n;
	}
	int r = n ? send_bulk(c, bulk, n) : 0;
	bh_feed_nets_finish(side);
	return r;
}

static int send_chunk(struct bh_core *c)
{
	const struct bh_feed_load *l = &c->feed_load;
	if (l->phase != BH_LOAD_NETS && !bh_feed_sets_has(l, l->set / BH_FEED_SIZED))
		return 0;
	switch (l->phase) {
	case BH_LOAD_ADD:
		return add_hosts(c);
	case BH_LOAD_NETS:
		return change_nets(c);
	case BH_LOAD_DELETE:
		return delete_hosts(c);
	default:
		return 0;
	}
}

/* Who waits, waits for some chunks, as a request takes some turns of the loop: so they are short in
 * time, however busy or slow the machine. */
int bh_feed_chunk(struct bh_core *c)
{
	struct bh_feed_load *l = &c->feed_load;
	uint64_t begin = uv_hrtime();
	int r = send_chunk(c);
	uint64_t took_ms = (uv_hrtime() - begin) / 1000000;
	if (took_ms > LONG_MS && l->chunk > BH_FEED_CHUNK_MIN)
		l->chunk /= 2;
	else if (took_ms < LONG_MS / 2 && l->chunk < BH_FEED_CHUNK_MAX)
		l->chunk *= 2;
	return r;
}
