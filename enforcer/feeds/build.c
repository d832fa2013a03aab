/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Builds the index: each feed's pieces (sweep.c), joined by a second sweep over all feeds, less
 * what is protected. At most one piece of each feed is open at a time, so the cost is the number of
 * pieces times the number of feeds that overlap there.
 */
#include "feeds/index.h"

struct builder {
	struct bh_feed_index *x;
	struct bh_feed_input *in;
	struct bh_pieces pieces; /* of one family */
	struct bh_piece *active; /* at most one of each feed */
	size_t n_active;
	const struct bh_ranges *protect;
	size_t next_protected;
	enum bh_family family;
};

static int indicator_cmp(const void *pa, const void *pb)
{
	const struct bh_indicator *a = pa, *b = pb;
	int c = bh_addr_cmp(&a->range.first, &b->range.first);
	if (!c)
		c = bh_addr_cmp(&b->range.last, &a->range.last);
	return c ? c : (a->line > b->line) - (a->line < b->line);
}

void bh_indicators_sort(struct bh_indicators *i)
{
	size_t out = 0;
	if (i->n == 0)
		return;
	qsort(i->item, i->n, sizeof(*i->item), indicator_cmp);
	for (size_t k = 1; k < i->n; k++)
		if (memcmp(&i->item[k].range, &i->item[out].range, sizeof(struct bh_range)) != 0)
			i->item[++out] = i->item[k];
	i->n = out + 1;
}

static bool touches(const struct bh_ranges *protect, const struct bh_range *r)
{
	size_t lo = 0, hi = protect->n;
	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		if (bh_addr_cmp(&protect->item[mid].last, &r->first) < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo < protect->n && bh_addr_cmp(&protect->item[lo].first, &r->last) <= 0;
}

static void add_feed(struct builder *b, size_t f, size_t *n4, size_t *n6)
{
	struct bh_feed_input *in = &b->in[f];
	struct bh_index_feed *feed = &b->x->feed[f];
	const struct bh_indicators *ind = in->indicators;
	size_t i = 0;

	*feed = (struct bh_index_feed){.name = bh_xstrdup(in->name),
		.alert_only = in->alert_only,
		.base4 = (uint32_t)*n4,
		.base6 = (uint32_t)*n6};
	for (; i < ind->n && ind->item[i].range.first.family == BH_IPV4; i++) {
		const struct bh_range *r = &ind->item[i].range;
		b->x->item4[(*n4)++] = (struct bh_item4){
			(uint32_t)bh_addr_number(&r->first), (uint32_t)bh_addr_number(&r->last)};
	}
	feed->n4 = (uint32_t)i;
	for (; i < ind->n; i++)
		b->x->item6[(*n6)++] = (struct bh_item6){bh_addr_number(&ind->item[i].range.first),
			bh_addr_number(&ind->item[i].range.last)};
	in->subtracted = 0;
	for (i = 0; i < ind->n; i++)
		if (touches(b->protect, &ind->item[i].range) && in->subtracted++ < 3)
			in->example[in->subtracted - 1] = i;
	b->x->count += ind->n;
}

static bh_u128 item_span(const struct builder *b, const struct bh_piece *p)
{
	const struct bh_range *r = &b->in[p->feed].indicators->item[p->item].range;
	return bh_addr_number(&r->last) - bh_addr_number(&r->first);
}

/* Blocking before alerting, then the most specific, then the feed that is configured first. */
static bool goes_before(const struct builder *b, const struct bh_piece *p, const struct bh_piece *q)
{
	bool alert_p = b->in[p->feed].alert_only, alert_q = b->in[q->feed].alert_only;
	bh_u128 span_p = item_span(b, p), span_q = item_span(b, q);
	if (alert_p != alert_q)
		return alert_q;
	return span_p != span_q ? span_p < span_q : p->feed < q->feed;
}

static uint32_t add_refs(struct builder *b)
{
	struct bh_feed_index *x = b->x;
	size_t from = x->n_refs;
	for (size_t i = 1; i < b->n_active; i++) {
		struct bh_piece p = b->active[i];
		size_t k = i;
		for (; k > 0 && goes_before(b, &p, &b->active[k - 1]); k--)
			b->active[k] = b->active[k - 1];
		b->active[k] = p;
	}
	for (size_t i = 0; i < b->n_active; i++) {
		const struct bh_piece *p = &b->active[i];
		const struct bh_index_feed *f = &x->feed[p->feed];
		BH_GROW(x->ref, x->n_refs, x->cap_refs);
		x->ref[x->n_refs++] = (struct bh_feed_ref){p->feed,
			b->family == BH_IPV4 ? f->base4 + p->item : f->base6 + (p->item - f->n4)};
	}
	return (uint32_t)from;
}

static void add_segment(struct builder *b, bh_u128 first, bh_u128 last, uint32_t ref)
{
	struct bh_feed_index *x = b->x;
	uint32_t n = (uint32_t)b->n_active;
	if (b->family == BH_IPV4) {
		BH_GROW(x->seg4, x->n4, x->cap4);
		x->seg4[x->n4++] = (struct bh_segment4){(uint32_t)first, (uint32_t)last, ref, n};
	} else {
		BH_GROW(x->seg6, x->n6, x->cap6);
		x->seg6[x->n6++] = (struct bh_segment6){first, last, ref, n};
	}
	if (x->feed[x->ref[ref].feed].alert_only)
		return; /* blocking ones would come first */
	bh_ranges_add(&x->ranges, (struct bh_range){bh_addr_of_number(b->family, first),
					  bh_addr_of_number(b->family, last)});
}

/* What of [first, last] is not protected becomes segments that share their references. */
static void cut_and_add(struct builder *b, bh_u128 first, bh_u128 last)
{
	const struct bh_ranges *p = b->protect;
	uint32_t ref = UINT32_MAX;
	bool open = true;

	for (size_t i = b->next_protected; open; i++) {
		bool more = i < p->n && p->item[i].first.family == (uint8_t)b->family;
		bh_u128 from = more ? bh_addr_number(&p->item[i].first) : 0;
		bh_u128 to = more ? bh_addr_number(&p->item[i].last) : 0;
		if (more && to < first) {
			b->next_protected = i + 1; /* segments ascend: never needed again */
			continue;
		}
		open = more && from <= last;
		bh_u128 end = open ? from - 1 : last;
		if (!open || from > first) {
			if (ref == UINT32_MAX)
				ref = add_refs(b);
			add_segment(b, first, end, ref);
		}
		if (!open || to >= last)
			return;
		first = to + 1;
	}
}

static int piece_cmp(const void *pa, const void *pb)
{
	const struct bh_piece *a = pa, *b = pb;
	if (a->first != b->first)
		return a->first < b->first ? -1 : 1;
	return (a->feed > b->feed) - (a->feed < b->feed);
}

static void drop_ended(struct builder *b, bh_u128 at)
{
	size_t out = 0;
	for (size_t i = 0; i < b->n_active; i++)
		if (b->active[i].last >= at)
			b->active[out++] = b->active[i];
	b->n_active = out;
}

/* The sweep over all feeds' pieces of one family. */
static void join(struct builder *b)
{
	const struct bh_pieces *p = &b->pieces;
	size_t i = 0;
	bh_u128 at = 0;

	while (i < p->n || b->n_active) {
		drop_ended(b, at);
		if (!b->n_active) {
			if (i == p->n)
				break;
			at = p->item[i].first;
		}
		while (i < p->n && p->item[i].first <= at)
			b->active[b->n_active++] = p->item[i++];
		bh_u128 last = i < p->n ? p->item[i].first - 1 : ~(bh_u128)0;
		for (size_t k = 0; k < b->n_active; k++)
			if (b->active[k].last < last)
				last = b->active[k].last;
		cut_and_add(b, at, last);
		if (last == ~(bh_u128)0)
			break;
		at = last + 1;
	}
	b->n_active = 0;
}

static void build_family(struct builder *b, enum bh_family family)
{
	b->family = family;
	b->pieces.n = 0;
	b->next_protected = 0;
	while (b->next_protected < b->protect->n &&
		b->protect->item[b->next_protected].first.family != (uint8_t)family)
		b->next_protected++;
	for (size_t f = 0; f < b->x->n_feeds; f++) {
		size_t n4 = b->x->feed[f].n4, n = b->in[f].indicators->n;
		bool v4 = family == BH_IPV4;
		bh_sweep_feed(
			&b->pieces, b->in[f].indicators, v4 ? 0 : n4, v4 ? n4 : n, (uint32_t)f);
	}
	if (b->x->n_feeds > 1 && b->pieces.n)
		qsort(b->pieces.item, b->pieces.n, sizeof(*b->pieces.item), piece_cmp);
	join(b);
}

static void fill_upper(struct bh_feed_index *x)
{
	size_t i = 0;
	x->upper = bh_xcalloc(65537, sizeof(*x->upper));
	for (uint32_t h = 0; h < 65536; h++) {
		while (i < x->n4 && x->seg4[i].last < h << 16)
			i++;
		x->upper[h] = (uint32_t)i;
	}
	x->upper[65536] = (uint32_t)x->n4;
}

struct bh_feed_index *bh_feed_index_build(
	struct bh_feed_input *in, size_t n, const struct bh_ranges *protect)
{
	struct bh_feed_index *x = bh_xcalloc(1, sizeof(*x));
	struct builder b = {.x = x, .in = in, .protect = protect};
	size_t n4 = 0, n6 = 0, total = 0;

	for (size_t f = 0; f < n; f++)
		total += in[f].indicators->n;
	x->refs = 1;
	x->n_feeds = n;
	x->feed = bh_xcalloc(n, sizeof(*x->feed));
	x->item4 = bh_xcalloc(total, sizeof(*x->item4));
	x->item6 = bh_xcalloc(total, sizeof(*x->item6));
	b.active = bh_xcalloc(n, sizeof(*b.active));
	for (size_t f = 0; f < n; f++)
		add_feed(&b, f, &n4, &n6);
	x->item4 = bh_xrealloc(x->item4, n4, sizeof(*x->item4));
	x->item6 = bh_xrealloc(x->item6, n6, sizeof(*x->item6));
	build_family(&b, BH_IPV4);
	build_family(&b, BH_IPV6);
	bh_ranges_normalise(&x->ranges);
	fill_upper(x);
	free(b.pieces.item);
	free(b.active);
	return x;
}
