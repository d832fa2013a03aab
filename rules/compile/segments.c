/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * From a flow's port to the rows that can apply to it. The port space of each protocol is cut where
 * some row's range begins or ends; each piece lists its rows. Only for groups with many rows: a few
 * are asked one by one just as fast.
 */
#include "internal.h"

#define FEW 8
#define ENTRIES_MAX                                                                                \
	262144 /* overlapping ranges could make it quadratic; all rows are asked then              \
		*/

static const uint8_t proto_of[BH_SEGS] = {BH_TCP, BH_UDP, BH_SCTP, 0};

static int segment_of(uint8_t proto)
{
	for (int i = 0; i < BH_SEG_OTHER; i++)
		if (proto_of[i] == proto)
			return i;
	return BH_SEG_OTHER;
}

static int compare_ports(const void *a, const void *b)
{
	return (int)*(const uint16_t *)a - (int)*(const uint16_t *)b;
}

static size_t cut(const struct bh_tier_rows *t, uint8_t proto, uint16_t **ret)
{
	uint16_t *first = NULL;
	size_t n = 0, cap = 0, unique = 0;
	BH_GROW(first, n, cap);
	first[n++] = 0;
	for (size_t i = 0; i < t->n; i++)
		for (size_t k = 0; t->row[i].proto == proto && k < t->row[i].n_ports; k++) {
			const struct bh_port_range *r = &t->row[i].port[k];
			BH_GROW(first, n, cap);
			first[n++] = r->first;
			if (r->last == UINT16_MAX)
				continue;
			BH_GROW(first, n, cap);
			first[n++] = (uint16_t)(r->last + 1);
		}
	qsort(first, n, sizeof(*first), compare_ports);
	for (size_t i = 0; i < n; i++)
		if (!unique || first[i] != first[unique - 1])
			first[unique++] = first[i];
	*ret = first;
	return unique;
}

struct lists {
	uint32_t **row;
	size_t *n, *cap, total;
};

static size_t piece_of(const struct bh_segments *s, uint16_t port)
{
	size_t lo = 0, hi = s->n;
	while (hi - lo > 1) {
		size_t mid = lo + (hi - lo) / 2;
		if (s->first[mid] <= port)
			lo = mid;
		else
			hi = mid;
	}
	return lo;
}

static void list_pieces(
	struct lists *l, const struct bh_segments *s, uint16_t from, uint16_t to, uint32_t row)
{
	for (size_t i = piece_of(s, from); i < s->n && s->first[i] <= to; i++) {
		if (l->total++ > ENTRIES_MAX)
			return;
		BH_GROW(l->row[i], l->n[i], l->cap[i]);
		l->row[i][l->n[i]++] = row;
	}
}

static void list_row(struct lists *l, const struct bh_segments *s, uint8_t proto,
	const struct bh_row *r, uint32_t index)
{
	if (r->proto && r->proto != proto)
		return;
	if (!r->n_ports) /* every port, or named: whoever serves it is looked at later */
		list_pieces(l, s, 0, UINT16_MAX, index);
	for (size_t i = 0; i < r->n_ports; i++)
		list_pieces(l, s, r->port[i].first, r->port[i].last, index);
}

static void flatten(struct bh_segments *s, struct lists *l)
{
	size_t at = 0;
	s->start = bh_xcalloc(s->n + 1, sizeof(*s->start));
	s->row = bh_xcalloc(l->total, sizeof(*s->row));
	for (size_t i = 0; i < s->n; i++) {
		s->start[i] = (uint32_t)at;
		if (l->n[i])
			memcpy(s->row + at, l->row[i], l->n[i] * sizeof(*s->row));
		at += l->n[i];
	}
	s->start[s->n] = (uint32_t)at;
}

static void build(const struct bh_tier_rows *t, uint8_t proto, struct bh_segments *s)
{
	size_t n = s->n = cut(t, proto, &s->first);
	struct lists l = {.row = bh_xcalloc(n, sizeof(*l.row)),
		.n = bh_xcalloc(n, sizeof(*l.n)),
		.cap = bh_xcalloc(n, sizeof(*l.cap))};
	for (size_t i = 0; i < t->n; i++)
		list_row(&l, s, proto, &t->row[i], (uint32_t)i);
	if (l.total <= ENTRIES_MAX) {
		flatten(s, &l);
	} else {
		free(s->first);
		*s = (struct bh_segments){0};
	}
	for (size_t i = 0; i < n; i++)
		free(l.row[i]);
	free(l.row);
	free(l.n);
	free(l.cap);
}

void bh_compile_segments(struct bh_tier_rows *t)
{
	for (int i = 0; t->n > FEW && i < BH_SEGS; i++)
		build(t, proto_of[i], &t->seg[i]);
}

void bh_segments_finish(struct bh_segments *s)
{
	free(s->first);
	free(s->start);
	free(s->row);
}

void bh_segments_find(
	const struct bh_tier_rows *t, const struct bh_flow *f, const uint32_t **ret, size_t *ret_n)
{
	const struct bh_segments *s = &t->seg[segment_of(f->proto)];
	if (!s->n) {
		*ret = NULL;
		*ret_n = t->n;
		return;
	}
	size_t at = piece_of(s, f->dport);
	*ret = s->row + s->start[at];
	*ret_n = s->start[at + 1] - s->start[at];
}
