/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Builds the index: each feed's pieces (sweep.c), joined over all feeds into segments, and from
 * those what the kernel's sets are to hold, so that the two cannot disagree. At most one piece of
 * each feed is open at a time: the cost is the number of pieces times the number of feeds.
 */
#include "feeds/index.h"

/* --- to the kernel --- */

static enum bh_feed_class class_of(unsigned mask)
{
	return mask == BH_FEED_BOTH ? BH_FEEDS_BOTH
	       : mask == BH_FEED_IN ? BH_FEEDS_IN
				    : BH_FEEDS_OUT;
}

static void add_host(struct bh_feed_elems *e, bool v4, bh_u128 a)
{
	if (v4) {
		BH_GROW(e->host4, e->n_host4, e->cap_host4);
		e->host4[e->n_host4++] = (uint32_t)a;
	} else {
		BH_GROW(e->host6, e->n_host6, e->cap_host6);
		e->host6[e->n_host6++] = a;
	}
}

void bh_builder_end_run(struct bh_builder *b)
{
	struct bh_run *r = &b->run;
	if (r->mask && r->net) {
		struct bh_feed_elems *e = &b->x->elems[class_of(r->mask)];
		if (b->family == BH_IPV4) {
			e->n_host4 = r->hosts;
			BH_GROW(e->net4, e->n_net4, e->cap_net4);
			e->net4[e->n_net4++] =
				(struct bh_net4){(uint32_t)r->first, (uint32_t)r->last};
		} else {
			e->n_host6 = r->hosts;
			BH_GROW(e->net6, e->n_net6, e->cap_net6);
			e->net6[e->n_net6++] = (struct bh_net6){r->first, r->last};
		}
	}
	r->mask = 0;
}

/* Single addresses go to the hash set, unless they touch a network: then they are part of it. */
static void to_kernel(struct bh_builder *b, bh_u128 first, bh_u128 last, unsigned mask)
{
	struct bh_run *r = &b->run;
	bool v4 = b->family == BH_IPV4;
	if (r->mask && (r->mask != mask || r->last + 1 != first))
		bh_builder_end_run(b);
	if (!mask)
		return;
	struct bh_feed_elems *e = &b->x->elems[class_of(mask)];
	if (!r->mask)
		*r = (struct bh_run){first, last, mask, false, v4 ? e->n_host4 : e->n_host6};
	r->last = last;
	if (first == last)
		add_host(e, v4, first);
	else
		r->net = true;
}

/* --- segments --- */

static bh_u128 span(const struct bh_builder *b, uint32_t f)
{
	const struct bh_sweep *s = &b->sweep[f];
	return bh_sweep_last(s, b->cur[f].item) - bh_sweep_first(s, b->cur[f].item);
}

/* Blocking before alerting, then the most specific, then the feed that is configured first. */
static bool goes_before(const struct bh_builder *b, uint32_t p, uint32_t q)
{
	if (b->in[p].alert_only != b->in[q].alert_only)
		return b->in[q].alert_only;
	bh_u128 span_p = span(b, p), span_q = span(b, q);
	return span_p != span_q ? span_p < span_q : p < q;
}

static void sort_active(struct bh_builder *b)
{
	for (size_t i = 1; i < b->n_active; i++) {
		uint32_t p = b->active[i];
		size_t k = i;
		for (; k > 0 && goes_before(b, p, b->active[k - 1]); k--)
			b->active[k] = b->active[k - 1];
		b->active[k] = p;
	}
}

static unsigned mask_of(const struct bh_builder *b)
{
	unsigned mask = 0;
	for (size_t i = 0; i < b->n_active; i++)
		if (!b->in[b->active[i]].alert_only)
			mask |= b->x->feed[b->active[i]].directions;
	return mask;
}

static uint32_t add_group(struct bh_builder *b, unsigned mask)
{
	struct bh_feed_index *x = b->x;
	bool v4 = b->family == BH_IPV4;
	size_t from = v4 ? x->n_ref4 : x->n_ref6;
	for (size_t i = 0; i < b->n_active; i++) {
		uint32_t f = b->active[i];
		const struct bh_sweep *s = &b->sweep[f];
		bh_u128 first = bh_sweep_first(s, b->cur[f].item);
		bh_u128 last = bh_sweep_last(s, b->cur[f].item);
		uint8_t more = (uint8_t)(b->n_active - 1 - i);
		if (v4) {
			BH_GROW(x->ref4, x->n_ref4, x->cap_ref4);
			x->ref4[x->n_ref4++] = (struct bh_ref4){
				(uint32_t)first, (uint32_t)last, (uint16_t)f, more, (uint8_t)mask};
		} else {
			BH_GROW(x->ref6, x->n_ref6, x->cap_ref6);
			x->ref6[x->n_ref6++] =
				(struct bh_ref6){first, last, (uint16_t)f, more, (uint8_t)mask};
		}
	}
	return (uint32_t)from;
}

void bh_index_room4(struct bh_feed_index *x, size_t more)
{
	if (x->n4 + more <= x->cap4)
		return;
	x->cap4 = x->cap4 * 2 > x->n4 + more ? x->cap4 * 2 : x->n4 + more + 64;
	x->first4 = bh_xrealloc(x->first4, x->cap4, sizeof(*x->first4));
	x->last4 = bh_xrealloc(x->last4, x->cap4, sizeof(*x->last4));
	x->of4 = bh_xrealloc(x->of4, x->cap4, sizeof(*x->of4));
}

void bh_index_room6(struct bh_feed_index *x, size_t more)
{
	if (x->n6 + more <= x->cap6)
		return;
	x->cap6 = x->cap6 * 2 > x->n6 + more ? x->cap6 * 2 : x->n6 + more + 64;
	x->first6 = bh_xrealloc(x->first6, x->cap6, sizeof(*x->first6));
	x->last6 = bh_xrealloc(x->last6, x->cap6, sizeof(*x->last6));
	x->of6 = bh_xrealloc(x->of6, x->cap6, sizeof(*x->of6));
}

static void add_segment(struct bh_builder *b, bh_u128 first, bh_u128 last, bool whole)
{
	struct bh_feed_index *x = b->x;
	unsigned mask = mask_of(b);
	uint32_t of;
	sort_active(b);
	if (b->n_active == 1 && whole)
		of = BH_REF_FEED | b->active[0];
	else
		of = add_group(b, mask);
	if (b->family == BH_IPV4) {
		bh_index_room4(x, 1);
		x->first4[x->n4] = (uint32_t)first;
		x->last4[x->n4] = (uint32_t)last;
		x->of4[x->n4++] = of;
	} else {
		bh_index_room6(x, 1);
		x->first6[x->n6] = first;
		x->last6[x->n6] = last;
		x->of6[x->n6++] = of;
	}
	to_kernel(b, first, last, mask);
}

/* The next stretch of address space in which the same pieces are open. */
static bool next_stretch(struct bh_builder *b, bh_u128 *ret_first, bh_u128 *ret_last)
{
	bh_u128 first = ~(bh_u128)0, last = ~(bh_u128)0;
	bool any = false;
	b->n_active = 0;
	for (uint32_t f = 0; f < b->x->n_feeds; f++)
		if (b->open[f] && (!any || b->cur[f].first < first)) {
			first = b->cur[f].first;
			any = true;
		}
	for (uint32_t f = 0; any && f < b->x->n_feeds; f++) {
		if (!b->open[f])
			continue;
		bh_u128 end = b->cur[f].last;
		if (b->cur[f].first == first)
			b->active[b->n_active++] = f;
		else
			end = b->cur[f].first - 1;
		last = end < last ? end : last;
	}
	*ret_first = first;
	*ret_last = last;
	return any;
}

static void join(struct bh_builder *b)
{
	bh_u128 first, last;
	for (uint32_t f = 0; f < b->x->n_feeds; f++)
		b->open[f] = bh_sweep_next(&b->sweep[f], &b->cur[f]);
	while (next_stretch(b, &first, &last)) {
		if (b->copy)
			bh_builder_copy(b, first);
		bool whole = b->cur[b->active[0]].whole && b->cur[b->active[0]].last == last;
		add_segment(b, first, last, whole);
		for (uint32_t f = 0; f < b->x->n_feeds; f++) {
			if (!b->open[f] || b->cur[f].first != first)
				continue;
			b->cur[f].first = last + 1;
			b->cur[f].whole = false;
			if (b->cur[f].last == last)
				b->open[f] = bh_sweep_next(&b->sweep[f], &b->cur[f]);
		}
	}
	bh_builder_end_run(b);
}

static void build_family(struct bh_builder *b, enum bh_family family, int64_t now)
{
	const struct bh_windows *only = b->copy ? &b->copy->window[family == BH_IPV6] : NULL;
	b->family = family;
	for (size_t f = 0; f < b->x->n_feeds; f++)
		bh_sweep_start(
			&b->sweep[f], b->in[f].indicators, b->in[f].protect, family, now, only);
	join(b);
	if (b->copy)
		bh_builder_copy_rest(b);
	for (size_t f = 0; f < b->x->n_feeds; f++)
		bh_sweep_finish(&b->sweep[f]);
}

/* --- what is subtracted --- */

static void note_cut(
	struct bh_feed_input *in, enum bh_family family, bh_u128 first, bh_u128 last, uint32_t line)
{
	if (in->subtracted < BH_FEED_CUTS_MAX)
		in->cut[in->subtracted] =
			(struct bh_feed_cut){bh_range_of_numbers(family, first, last), line};
	in->subtracted++;
}

/* Both lists ascend by their first address. */
#define FIND_CUTS(name, list, count, type, fam)                                                    \
	static void name(struct bh_feed_input *in)                                                 \
	{                                                                                          \
		const struct bh_indicators *ind = in->indicators;                                  \
		const struct bh_range *r = in->protect->item, *end = r + in->protect->n;           \
		for (; r < end && r->first.family != (fam);)                                       \
			r++;                                                                       \
		for (size_t i = 0; r < end && r->first.family == (fam); r++) {                     \
			type from = (type)bh_addr_number(&r->first);                               \
			type to = (type)bh_addr_number(&r->last);                                  \
			size_t before = i;                                                         \
			while (i < ind->count && ind->list[i].first < from)                        \
				i++;                                                               \
			/* what begins before may reach in, and was not cut by the one before */   \
			for (size_t k = before; k < i; k++)                                        \
				if (ind->list[k].last >= from)                                     \
					note_cut(in, fam, ind->list[k].first, ind->list[k].last,   \
						ind->list[k].line);                                \
			for (; i < ind->count && ind->list[i].first <= to; i++)                    \
				note_cut(in, fam, ind->list[i].first, ind->list[i].last,           \
					ind->list[i].line);                                        \
		}                                                                                  \
	}
FIND_CUTS(find_cuts4, v4, n4, uint32_t, BH_IPV4)
FIND_CUTS(find_cuts6, v6, n6, bh_u128, BH_IPV6)

/* Counts those that have not expired, and finds when the next does. */
#define COUNT(x, item, n, now)                                                                     \
	for (size_t i_ = 0; i_ < (n); i_++) {                                                      \
		uint32_t expires_ = (item)[i_].expires;                                            \
		bool gone_ = expires_ && (now) && expires_ <= (now);                               \
		(x)->count += !gone_;                                                              \
		if (expires_ && !gone_ && (!(x)->expires || expires_ < (x)->expires))              \
			(x)->expires = expires_;                                                   \
	}

static void add_feed(struct bh_feed_index *x, size_t f, struct bh_feed_input *in, int64_t now)
{
	x->feed[f] = (struct bh_index_feed){.name = bh_xstrdup(in->name),
		.alert_only = in->alert_only,
		.directions = in->directions ? in->directions : BH_FEED_BOTH};
	COUNT(x, in->indicators->v4, in->indicators->n4, now);
	COUNT(x, in->indicators->v6, in->indicators->n6, now);
	in->subtracted = 0;
	find_cuts4(in);
	find_cuts6(in);
}

/* --- all of it --- */

struct bh_feed_index *bh_builder_run(
	struct bh_feed_input *in, size_t n, int64_t now, struct bh_index_copy *copy)
{
	struct bh_feed_index *x = bh_xcalloc(1, sizeof(*x));
	struct bh_builder b = {.x = x, .in = in, .copy = copy};

	x->refs = 1;
	x->n_feeds = n;
	x->feed = bh_xcalloc(n, sizeof(*x->feed));
	b.sweep = bh_xcalloc(n, sizeof(*b.sweep));
	b.cur = bh_xcalloc(n, sizeof(*b.cur));
	b.open = bh_xcalloc(n, sizeof(*b.open));
	b.active = bh_xcalloc(n, sizeof(*b.active));
	for (size_t f = 0; f < n; f++)
		add_feed(x, f, &in[f], now);
	if (copy)
		bh_builder_copy_begin(&b);
	build_family(&b, BH_IPV4, now);
	build_family(&b, BH_IPV6, now);
	bh_index_fill_tables(x, copy);
	free(b.sweep);
	free(b.cur);
	free(b.open);
	free(b.active);
	return x;
}

struct bh_feed_index *bh_feed_index_build(struct bh_feed_input *in, size_t n, int64_t now)
{
	struct bh_feed_index *x = bh_builder_run(in, n, now, NULL);
	x->full_refs = x->n_ref4 + x->n_ref6;
	return x;
}
