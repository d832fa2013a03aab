/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Columns: what the rules of a tier say of one peer (or of one place among the addresses). Peers of
 * whom the same is said share one. A long one has the port space of each protocol cut where some
 * row's range begins or ends, and each piece knows the talk that decides there.
 *
 * Pieces are at most twice the port ranges of a column's rows. A few rules with many ports beside
 * many peers of which each has rules of its own could make that quadratic; so there is a limit, in
 * proportion to what was written, beyond which a column's talks are asked one by one.
 */
#include "internal.h"

#define PIECES_MIN 16384
#define PIECES_PER_TALK 64

static const uint8_t proto_of[BH_SEGS] = {BH_TCP, BH_UDP, BH_SCTP, 0};

static int compare_talk(const void *a, const void *b)
{
	const struct bh_talk *x = a, *y = b;
	if (x->order != y->order)
		return x->order < y->order ? -1 : 1;
	if (x->index != y->index)
		return x->index < y->index ? -1 : 1;
	return (x->row > y->row) - (x->row < y->row);
}

static int compare_ports(const void *a, const void *b)
{
	return (int)*(const uint16_t *)a - (int)*(const uint16_t *)b;
}

static bool applies(const struct bh_row *r, uint8_t proto)
{
	return !r->proto || r->proto == proto;
}

struct painter {
	const struct bh_tier_rows *t;
	const struct bh_column *c;
	uint16_t *first;
	uint32_t *winner, *next; /* next: itself if the piece is free, else towards a free one */
	size_t n;
};

static const struct bh_row *row_of(const struct painter *p, uint32_t talk)
{
	return &p->t->row[p->t->index.talk[talk].row];
}

static void cut(struct painter *p, uint8_t proto)
{
	size_t n = 0, unique = 0, most = 1;
	for (uint32_t i = p->c->talk; i < p->c->talk + p->c->n; i++)
		most += 2 * row_of(p, i)->n_ports;
	p->first = bh_xcalloc(most, sizeof(*p->first));
	p->first[n++] = 0;
	for (uint32_t i = p->c->talk; i < p->c->talk + p->c->n; i++) {
		const struct bh_row *r = row_of(p, i);
		for (size_t k = 0; r->proto == proto && k < r->n_ports; k++) {
			p->first[n++] = r->port[k].first;
			if (r->port[k].last < UINT16_MAX)
				p->first[n++] = (uint16_t)(r->port[k].last + 1);
		}
	}
	qsort(p->first, n, sizeof(*p->first), compare_ports);
	for (size_t i = 0; i < n; i++)
		if (!unique || p->first[i] != p->first[unique - 1])
			p->first[unique++] = p->first[i];
	p->n = unique;
}

static uint32_t free_from(struct painter *p, uint32_t piece)
{
	while (p->next[piece] != piece) {
		p->next[piece] = p->next[p->next[piece]];
		piece = p->next[piece];
	}
	return piece;
}

static void paint(struct painter *p, uint16_t from, uint16_t to, uint32_t talk)
{
	uint32_t at = free_from(p, (uint32_t)bh_piece_of(p->first, p->n, from));
	for (; at < p->n && p->first[at] <= to; at = free_from(p, at)) {
		p->winner[at] = talk;
		p->next[at] = at + 1;
	}
}

/* Each piece goes to the first talk, in the order of deciding, that covers it. */
static void paint_all(struct painter *p, uint8_t proto)
{
	p->winner = bh_xcalloc(p->n, sizeof(*p->winner));
	p->next = bh_xcalloc(p->n + 1, sizeof(*p->next));
	for (size_t i = 0; i <= p->n; i++)
		p->next[i] = (uint32_t)i;
	for (size_t i = 0; i < p->n; i++)
		p->winner[i] = BH_NO_TALK;
	for (uint32_t i = p->c->talk; i < p->c->talk + p->c->n; i++) {
		const struct bh_row *r = row_of(p, i);
		if (!applies(r, proto))
			continue;
		if (!r->n_ports)
			paint(p, 0, UINT16_MAX, i);
		for (size_t k = 0; k < r->n_ports; k++)
			paint(p, r->port[k].first, r->port[k].last, i);
	}
}

static void keep(struct bh_index *x, const struct painter *p)
{
	for (size_t i = 0; i < p->n; i++) {
		if (i && p->winner[i] == p->winner[i - 1])
			continue;
		BH_GROW(x->first, x->n_pieces, x->cap_first);
		BH_GROW(x->winner, x->n_pieces, x->cap_winner);
		x->first[x->n_pieces] = p->first[i];
		x->winner[x->n_pieces++] = p->winner[i];
	}
}

static bool affordable(const struct bh_tier_rows *t, const struct bh_column *c)
{
	size_t n = t->index.n_pieces;
	for (uint32_t i = c->talk; i < c->talk + c->n; i++)
		n += 2 * t->row[t->index.talk[i].row].n_ports + 1;
	return n <= PIECES_MIN + PIECES_PER_TALK * t->index.n_talks;
}

static void add_pieces(struct bh_tier_rows *t, struct bh_column *c)
{
	if (c->n <= BH_COLUMN_SHORT || !affordable(t, c))
		return;
	for (int s = 0; s < BH_SEGS; s++) {
		struct painter p = {.t = t, .c = c};
		c->piece[s] = (uint32_t)t->index.n_pieces;
		cut(&p, proto_of[s]);
		paint_all(&p, proto_of[s]);
		keep(&t->index, &p);
		free(p.first);
		free(p.winner);
		free(p.next);
	}
	c->piece[BH_SEGS] = (uint32_t)t->index.n_pieces;
}

static void add_talks(struct bh_tier_rows *t, const struct bh_talk *talk, size_t n, bool named)
{
	struct bh_index *x = &t->index;
	for (size_t i = 0; i < n; i++) {
		if ((t->row[talk[i].row].named >= 0) != named)
			continue;
		BH_GROW(x->talk, x->n_talks, x->cap_talks);
		x->talk[x->n_talks++] = talk[i];
	}
}

uint32_t bh_column_of(
	struct bh_tier_rows *t, struct bh_intern *seen, struct bh_talk *talk, size_t n)
{
	struct bh_index *x = &t->index;
	bool is_new;
	qsort(talk, n, sizeof(*talk), compare_talk);
	uint32_t at = bh_intern(seen, talk, n * sizeof(*talk), &is_new);
	if (!is_new)
		return at;
	struct bh_column c = {.talk = (uint32_t)x->n_talks};
	add_talks(t, talk, n, false);
	c.n = (uint32_t)x->n_talks - c.talk;
	add_talks(t, talk, n, true);
	c.n_named = (uint32_t)x->n_talks - c.talk - c.n;
	add_pieces(t, &c);
	BH_GROW(x->column, x->n_columns, x->cap_columns);
	x->column[x->n_columns++] = c;
	return at;
}
