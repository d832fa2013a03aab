/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The index of a tier: what a flow's other end is leads to columns (of the peers that mean a
 * workload, of the blocks that hold an address, of the rules for anybody), and in each of them the
 * port leads to the rule that decides. So the cost of a decision grows with the peers that mean the
 * other end, not with the rules.
 */
#include "internal.h"

struct pair {
	uint32_t peer;
	struct bh_talk talk;
};

struct build {
	const struct bh_plan *plan;
	struct bh_tier_rows *t;
	struct bh_intern seen; /* columns */
	struct bh_talk *any;
	size_t n_any, cap_any;
	struct pair *pair;
	size_t n_pairs, cap_pairs;
	struct bh_block *part[2]; /* by family */
	size_t n_parts[2], cap_parts[2];
};

static void add_part(struct build *b, const struct bh_range *r, const struct bh_talk *talk)
{
	int f = r->first.family == BH_IPV6;
	BH_GROW(b->part[f], b->n_parts[f], b->cap_parts[f]);
	b->part[f][b->n_parts[f]++] = (struct bh_block){*r, *talk};
}

static void add_hit(struct build *b, uint32_t row, const struct bh_hit *h)
{
	const struct bh_peer *peer = &b->plan->peer[h->peer];
	struct bh_talk talk = {h->order, row, h->index};
	for (size_t i = 0; peer->addresses && i < peer->ranges.n; i++)
		add_part(b, &peer->ranges.item[i], &talk);
	if (peer->addresses)
		return;
	BH_GROW(b->pair, b->n_pairs, b->cap_pairs);
	b->pair[b->n_pairs++] = (struct pair){h->peer, talk};
}

static void collect(struct build *b)
{
	for (size_t i = 0; i < b->t->n; i++) {
		const struct bh_row *r = &b->t->row[i];
		if (r->any >= 0) {
			BH_GROW(b->any, b->n_any, b->cap_any);
			b->any[b->n_any++] = (struct bh_talk){(uint32_t)r->any, (uint32_t)i, -1};
		}
		for (size_t k = 0; k < r->n_hits; k++)
			add_hit(b, (uint32_t)i, &r->hit[k]);
	}
}

static int compare_pairs(const void *a, const void *b)
{
	const struct pair *x = a, *y = b;
	return (x->peer > y->peer) - (x->peer < y->peer);
}

static void add_peer(struct build *b, uint32_t peer, uint32_t column, size_t *cap, size_t *rank)
{
	struct bh_index *x = &b->t->index;
	uint32_t at = peer / 64;
	if (!x->n_words || x->word[x->n_words - 1].at != at) {
		BH_GROW(x->word, x->n_words, *cap);
		x->word[x->n_words++] = (struct bh_word){.at = at, .rank = (uint32_t)*rank};
	}
	x->word[x->n_words - 1].bits |= UINT64_C(1) << (peer % 64);
	x->column_of[(*rank)++] = column;
}

/* Peers of whom the same rules speak share a column if it is long; then the row has to be asked for
 * the peer's index in the rule. */
static void make_peers(struct build *b)
{
	bh_autofree struct bh_talk *talk = bh_xcalloc(b->n_pairs, sizeof(*talk));
	size_t cap = 0, rank = 0;
	if (!b->n_pairs)
		return;
	qsort(b->pair, b->n_pairs, sizeof(*b->pair), compare_pairs);
	b->t->index.column_of = bh_xcalloc(b->n_pairs, sizeof(uint32_t));
	for (size_t i = 0, n = 0; i < b->n_pairs; i++) {
		uint32_t peer = b->pair[i].peer;
		talk[n++] = b->pair[i].talk;
		if (i + 1 < b->n_pairs && b->pair[i + 1].peer == peer)
			continue;
		for (size_t k = 0; n > BH_COLUMN_SHORT && k < n; k++)
			talk[k].index = BH_TALK_PEER;
		add_peer(b, peer, bh_column_of(b->t, &b->seen, talk, n), &cap, &rank);
		n = 0;
	}
}

void bh_compile_index(
	const struct bh_plan *p, struct bh_tier_rows *t, const struct bh_block *part, size_t n)
{
	struct build b = {.plan = p, .t = t};
	collect(&b);
	for (size_t i = 0; i < n; i++)
		add_part(&b, &part[i].range, &part[i].talk);
	t->index.any = b.n_any ? (int64_t)bh_column_of(t, &b.seen, b.any, b.n_any) : -1;
	make_peers(&b);
	for (int f = 0; f < 2; f++) {
		if (b.n_parts[f])
			bh_compile_cuts(t, &b.seen, b.part[f], b.n_parts[f], &t->index.cuts[f]);
		free(b.part[f]);
	}
	free(b.any);
	free(b.pair);
	bh_intern_finish(&b.seen);
}

void bh_index_finish(struct bh_index *x)
{
	free(x->talk);
	free(x->column);
	free(x->first);
	free(x->winner);
	free(x->word);
	free(x->column_of);
	for (int f = 0; f < 2; f++) {
		free(x->cuts[f].edge);
		free(x->cuts[f].start);
		free(x->cuts[f].column);
	}
}
