/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Atoms that change alike, put together: an edge is a product, all its sources to all its
 * destinations. Pairs between which there is no flow (another family, the same workload) fit
 * anywhere, so that a role reaching itself or a dual-stack role is one edge and not many.
 */
#include "private.h"

#define TRIED 64 /* how many products a source is tried with; more edges, but bounded work */

struct product {
	uint64_t *sources, *must, *must_not; /* must_not: there is a flow, and it does not change */
};

struct products {
	const struct bh_delta_pair *p;
	struct product *item;
	size_t n, cap;
	size_t words[2]; /* of a set of sources, of destinations */
};

static bool meet(const uint64_t *a, const uint64_t *b, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (a[i] & b[i])
			return true;
	return false;
}

static void unite(uint64_t *to, const uint64_t *from, size_t n)
{
	for (size_t i = 0; i < n; i++)
		to[i] |= from[i];
}

static void add_row(struct products *s, size_t a, const uint64_t *must, const uint64_t *must_not)
{
	size_t n = s->words[1], i = s->n > TRIED ? s->n - TRIED : 0;
	while (i < s->n &&
		(meet(must, s->item[i].must_not, n) || meet(must_not, s->item[i].must, n)))
		i++;
	if (i == s->n) {
		BH_GROW(s->item, s->n, s->cap);
		s->item[s->n++] = (struct product){bh_xcalloc(s->words[0], sizeof(uint64_t)),
			bh_xcalloc(n, sizeof(uint64_t)), bh_xcalloc(n, sizeof(uint64_t))};
	}
	bh_delta_set_bit(s->item[i].sources, a);
	unite(s->item[i].must, must, n);
	unite(s->item[i].must_not, must_not, n);
}

/* Cells of one change and one source. */
static void add_cells(
	struct products *s, const struct bh_delta_cell *cell, size_t n, uint64_t *scratch)
{
	const struct bh_delta_party *dst = s->p->dst;
	const struct bh_delta_atom *a = &s->p->src->atom[cell->a];
	uint64_t *must = scratch, *must_not = scratch + s->words[1];
	memset(scratch, 0, 2 * s->words[1] * sizeof(*scratch));
	for (size_t i = 0; i < n; i++)
		bh_delta_set_bit(must, cell[i].b);
	for (size_t b = 0; b < dst->n_atoms; b++)
		if (!bh_delta_bit(must, b) && bh_delta_possible(a, &dst->atom[b]))
			bh_delta_set_bit(must_not, b);
	add_row(s, cell->a, must, must_not);
}

/* Is there a flow with any of these (listed by index)? With most there is. */
static bool reaches(const struct bh_delta_atom *a, const struct bh_delta_party *p,
	const uint32_t *list, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (bh_delta_possible(a, &p->atom[list[i]]))
			return true;
	return false;
}

/* The members of a set of atoms. Owned. */
static uint32_t *list_atoms(const struct bh_delta_party *p, const uint64_t *set, size_t *ret_n)
{
	uint32_t *list = bh_xcalloc(p->n_atoms, sizeof(*list));
	*ret_n = 0;
	for (size_t i = 0; i < p->n_atoms; i++)
		if (bh_delta_bit(set, i))
			list[(*ret_n)++] = (uint32_t)i;
	return list;
}

/* Are the stretches of addresses that are meant more than those that are left out? Atoms of the
 * outside are in the order of their addresses. */
static bool mostly_meant(const struct bh_delta_party *p, const uint64_t *set, const uint64_t *more)
{
	size_t runs[2] = {0}; /* left out, meant */
	int last = -1;
	for (size_t i = 0; i < p->n_atoms; i++) {
		int meant = bh_delta_bit(set, i);
		if (bh_delta_bit(more, i))
			continue;
		runs[meant] += meant != last;
		last = meant;
	}
	return runs[1] > runs[0];
}

/* Takes in what has no flow with the other end as it is: that claims nothing, and what is whole
 * reads better than its part. Not where it would stay a part of the outside: "203.0.113.0/24 IPv6"
 * reads as if somebody without IPv6 came to reach all of that. */
static void fill_end(const struct bh_delta_party *p, uint64_t *set,
	const struct bh_delta_party *other, const uint64_t *other_set)
{
	size_t n, words = (p->n_atoms + 63) / 64;
	bh_autofree uint32_t *list = list_atoms(other, other_set, &n);
	bh_autofree uint64_t *more = bh_xcalloc(words, sizeof(*more));
	for (size_t i = 0; i < p->n_atoms; i++)
		if (!bh_delta_bit(set, i) && !reaches(&p->atom[i], other, list, n))
			bh_delta_set_bit(more, i);
	if (p->kind != BH_DELTA_OUTSIDE || mostly_meant(p, set, more))
		unite(set, more, words);
}

/* One after the other, or flows would come in that do not change. A role first: "outside IPv4" says
 * which family is meant. */
static void fill(const struct products *s, struct product *x)
{
	const struct bh_delta_party *src = s->p->src, *dst = s->p->dst;
	if (src->kind == BH_DELTA_ROLE)
		fill_end(src, x->sources, dst, x->must);
	fill_end(dst, x->must, src, x->sources);
	if (src->kind != BH_DELTA_ROLE)
		fill_end(src, x->sources, dst, x->must);
}

static void put_product(const struct products *s, struct product *x, uint32_t change)
{
	struct bh_delta_world *w = s->p->w;
	struct bh_delta_edge e = {0};
	fill(s, x);
	bh_delta_put_change(s->p, change, &e);
	bh_delta_put_end(s->p->src, x->sources, &e.src);
	bh_delta_put_end(s->p->dst, x->must, &e.dst);
	BH_GROW(w->out->edge, w->out->n, w->cap_edges);
	w->out->edge[w->out->n++] = e;
}

static void products_finish(struct products *s)
{
	for (size_t i = 0; i < s->n; i++) {
		free(s->item[i].sources);
		free(s->item[i].must);
		free(s->item[i].must_not);
	}
	free(s->item);
}

/* All cells of one change. */
static bool put_change(struct bh_delta_pair *p, const struct bh_delta_cell *cell, size_t n)
{
	struct products s = {
		.p = p, .words = {(p->src->n_atoms + 63) / 64, (p->dst->n_atoms + 63) / 64}};
	bh_autofree uint64_t *scratch = bh_xcalloc(2 * s.words[1], sizeof(*scratch));
	bool room = true;
	for (size_t i = 0, end; i < n; i = end) {
		for (end = i + 1; end < n && cell[end].a == cell[i].a; end++)
			;
		add_cells(&s, &cell[i], end - i, scratch);
	}
	for (size_t i = 0; i < s.n && room; i++) {
		room = p->w->out->n < p->w->max_edges;
		if (room)
			put_product(&s, &s.item[i], cell->change);
	}
	products_finish(&s);
	return room;
}

bool bh_delta_put_edges(struct bh_delta_pair *p)
{
	for (size_t i = 0, end; i < p->n; i = end) {
		for (end = i + 1; end < p->n && p->cell[end].change == p->cell[i].change; end++)
			;
		if (!put_change(p, &p->cell[i], end - i))
			return false;
	}
	return true;
}
