/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * From an address to the rules that list it. The addresses of a family are cut where some range
 * begins or ends; over the pieces stands a segment tree (de Berg et al., Computational Geometry,
 * 10.3), in which each range is noted at O(log n) nodes, so that blocks that overlap cost n log n
 * places and not n². Of the tree is kept, for each piece, the nodes above it that say something.
 */
#include "internal.h"

struct tree {
	struct bh_tier_rows *t;
	struct bh_intern *seen;
	const struct bh_block *part;
	size_t n;
	struct bh_key *edge;
	size_t n_edges;
	struct note {
		uint32_t node, part;
	} * note;
	size_t n_notes, cap_notes;
	uint32_t *column; /* by node: its column + 1 */
};

static struct bh_key key_of(const struct bh_addr *a)
{
	uint64_t hi = 0, lo = 0;
	size_t size = bh_addr_size(a);
	for (size_t i = 0; i < size; i++) {
		hi = hi << 8 | lo >> 56;
		lo = lo << 8 | a->b[i];
	}
	return (struct bh_key){hi, lo};
}

/* Without a branch: see bh_piece_of. */
static bool upto(const struct bh_key *a, const struct bh_key *b)
{
	return (a->hi < b->hi) | ((a->hi == b->hi) & (a->lo <= b->lo));
}

static int compare_keys(const void *a, const void *b)
{
	return !upto(b, a) ? -1 : !upto(a, b);
}

static void find_edges(struct tree *x)
{
	size_t n = 0;
	x->edge = bh_xcalloc(2 * x->n, sizeof(*x->edge));
	for (size_t i = 0; i < x->n; i++) {
		struct bh_addr behind = x->part[i].range.last;
		x->edge[n++] = key_of(&x->part[i].range.first);
		if (bh_addr_next(&behind))
			x->edge[n++] = key_of(&behind);
	}
	qsort(x->edge, n, sizeof(*x->edge), compare_keys);
	for (size_t i = 0; i < n; i++)
		if (!x->n_edges || !upto(&x->edge[i], &x->edge[x->n_edges - 1]))
			x->edge[x->n_edges++] = x->edge[i];
}

/* Number of edges that are not above the key. */
static size_t edges_upto(const struct bh_key *edge, size_t n, const struct bh_key *k)
{
	size_t at = 0;
	if (!n || !upto(&edge[0], k))
		return 0;
	while (n > 1) {
		size_t half = n / 2;
		at += half & -(size_t)upto(&edge[at + half], k);
		n -= half;
	}
	return at + 1;
}

static void note(struct tree *x, size_t node, size_t part)
{
	BH_GROW(x->note, x->n_notes, x->cap_notes);
	x->note[x->n_notes++] = (struct note){(uint32_t)node, (uint32_t)part};
}

/* Leaf i is node n_edges + i; a node's parent is half of it. */
static void note_part(struct tree *x, size_t part)
{
	const struct bh_key first = key_of(&x->part[part].range.first),
			    last = key_of(&x->part[part].range.last);
	size_t from = x->n_edges + edges_upto(x->edge, x->n_edges, &first) - 1;
	size_t to = x->n_edges + edges_upto(x->edge, x->n_edges, &last);
	for (; from < to; from /= 2, to /= 2) {
		if (from & 1)
			note(x, from++, part);
		if (to & 1)
			note(x, --to, part);
	}
}

static int compare_notes(const void *a, const void *b)
{
	const struct note *x = a, *y = b;
	return (x->node > y->node) - (x->node < y->node);
}

static void make_columns(struct tree *x)
{
	bh_autofree struct bh_talk *talk = bh_xcalloc(x->n, sizeof(*talk));
	x->column = bh_xcalloc(2 * x->n_edges, sizeof(*x->column));
	qsort(x->note, x->n_notes, sizeof(*x->note), compare_notes);
	for (size_t i = 0, n = 0; i < x->n_notes; i++) {
		talk[n++] = x->part[x->note[i].part].talk;
		if (i + 1 < x->n_notes && x->note[i + 1].node == x->note[i].node)
			continue;
		x->column[x->note[i].node] = bh_column_of(x->t, x->seen, talk, n) + 1;
		n = 0;
	}
}

static void flatten(struct tree *x, struct bh_cuts *ret)
{
	size_t n = 0, cap = 0;
	ret->start = bh_xcalloc(x->n_edges + 1, sizeof(*ret->start));
	for (size_t i = 0; i < x->n_edges; i++) {
		ret->start[i] = (uint32_t)n;
		for (size_t node = x->n_edges + i; node; node /= 2) {
			if (!x->column[node])
				continue;
			BH_GROW(ret->column, n, cap);
			ret->column[n++] = x->column[node] - 1;
		}
	}
	ret->start[x->n_edges] = (uint32_t)n;
	ret->n = x->n_edges;
	ret->edge = BH_TAKE_PTR(x->edge);
}

void bh_compile_cuts(struct bh_tier_rows *t, struct bh_intern *seen, const struct bh_block *part,
	size_t n, struct bh_cuts *ret)
{
	struct tree x = {.t = t, .seen = seen, .part = part, .n = n};
	find_edges(&x);
	for (size_t i = 0; i < n; i++)
		note_part(&x, i);
	make_columns(&x);
	flatten(&x, ret);
	free(x.edge);
	free(x.note);
	free(x.column);
}

size_t bh_cuts_find(const struct bh_cuts *c, const struct bh_addr *a, const uint32_t **ret)
{
	const struct bh_key k = key_of(a);
	size_t at = edges_upto(c->edge, c->n, &k);
	if (!at)
		return 0;
	*ret = c->column + c->start[at - 1];
	return c->start[at] - c->start[at - 1];
}
