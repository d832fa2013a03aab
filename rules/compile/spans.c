/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The addresses that a row means, cut into spans of which each knows the first rule that names it:
 * one look-up, however many blocks policies list.
 */
#include "internal.h"

/* A range of one peer, before it is cut. */
struct part {
	struct bh_range range;
	uint32_t order;
	int32_t index;
};

struct cutter {
	struct part *part;
	size_t n, cap;
	struct bh_addr
		*edge; /* sorted, unique: where a span begins, or the first address behind one */
	size_t n_edges;
	uint32_t *next; /* by piece: itself if it is free, else towards a free one */
	const struct part **owner; /* by piece */
};

static void collect(const struct bh_plan *p, const struct bh_row *row, struct cutter *c)
{
	for (size_t i = 0; i < row->n_hits; i++) {
		const struct bh_hit *h = &row->hit[i];
		const struct bh_ranges *r = &p->peer[h->peer].ranges;
		for (size_t k = 0; k < r->n; k++) {
			BH_GROW(c->part, c->n, c->cap);
			c->part[c->n++] = (struct part){r->item[k], h->order, h->index};
		}
	}
}

static int compare_addr(const void *a, const void *b)
{
	return bh_addr_cmp(a, b);
}

/* In the order in which they decide. */
static int compare_part(const void *a, const void *b)
{
	const struct part *x = a, *y = b;
	if (x->order != y->order)
		return x->order < y->order ? -1 : 1;
	return (x->index > y->index) - (x->index < y->index);
}

static void find_edges(struct cutter *c)
{
	size_t n = 0;
	c->edge = bh_xcalloc(2 * c->n, sizeof(*c->edge));
	for (size_t i = 0; i < c->n; i++) {
		struct bh_addr behind = c->part[i].range.last;
		c->edge[n++] = c->part[i].range.first;
		if (bh_addr_next(&behind))
			c->edge[n++] = behind;
	}
	qsort(c->edge, n, sizeof(*c->edge), compare_addr);
	for (size_t i = 0; i < n; i++)
		if (!c->n_edges || !bh_addr_eq(&c->edge[i], &c->edge[c->n_edges - 1]))
			c->edge[c->n_edges++] = c->edge[i];
}

/* Number of edges that are not above `a`. */
static size_t edges_upto(const struct cutter *c, const struct bh_addr *a)
{
	size_t lo = 0, hi = c->n_edges;
	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		if (bh_addr_cmp(&c->edge[mid], a) <= 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

static uint32_t free_from(struct cutter *c, uint32_t piece)
{
	while (c->next[piece] != piece) {
		c->next[piece] = c->next[c->next[piece]];
		piece = c->next[piece];
	}
	return piece;
}

/* Each piece belongs to the first part, in the order of deciding, that covers it. */
static void give_away(struct cutter *c)
{
	c->next = bh_xcalloc(c->n_edges + 1, sizeof(*c->next));
	c->owner = bh_xcalloc(c->n_edges + 1, sizeof(*c->owner));
	for (size_t i = 0; i <= c->n_edges; i++)
		c->next[i] = (uint32_t)i;
	for (size_t i = 0; i < c->n; i++) {
		const struct part *p = &c->part[i];
		size_t end = edges_upto(c, &p->range.last);
		uint32_t at = free_from(c, (uint32_t)(edges_upto(c, &p->range.first) - 1));
		for (; at < end; at = free_from(c, at)) {
			c->owner[at] = p;
			c->next[at] = at + 1;
		}
	}
}

static void write_spans(const struct cutter *c, struct bh_row *row)
{
	row->span = bh_xcalloc(c->n_edges, sizeof(*row->span));
	for (size_t i = 0; i < c->n_edges; i++) {
		const struct part *p = c->owner[i];
		if (!p)
			continue;
		/* What covers the piece ends at the next edge, or at the last address there is. */
		struct bh_addr last = p->range.last;
		if (i + 1 < c->n_edges && c->edge[i + 1].family == c->edge[i].family) {
			last = c->edge[i + 1];
			bh_addr_prev(&last);
		}
		row->span[row->n_spans++] = (struct bh_span){c->edge[i], last, p->order, p->index};
	}
}

void bh_compile_spans(const struct bh_plan *p, struct bh_row *row)
{
	struct cutter c = {0};
	collect(p, row, &c);
	if (!c.n)
		return;
	qsort(c.part, c.n, sizeof(*c.part), compare_part);
	find_edges(&c);
	give_away(&c);
	write_spans(&c, row);
	free(c.part);
	free(c.edge);
	free(c.next);
	free(c.owner);
}

const struct bh_span *bh_span_of(const struct bh_row *row, const struct bh_addr *a)
{
	size_t lo = 0, hi = row->n_spans;
	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		if (bh_addr_cmp(&row->span[mid].last, a) < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	if (lo == row->n_spans || bh_addr_cmp(&row->span[lo].first, a) > 0)
		return NULL;
	return &row->span[lo];
}
