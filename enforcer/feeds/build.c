/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Builds the index: each feed's pieces (sweep.c), joined over all feeds into segments, and from
 * those what the kernel's sets are to hold, so that the two cannot disagree. At most one piece of
 * each feed is open at a time: the cost is the number of pieces times the number of feeds.
 */
#include "feeds/index.h"

struct run { /* adjacent segments that are blocked alike, on their way to the kernel */
	bh_u128 first, last;
	unsigned mask; /* 0: none */
	bool net; /* one of them is more than a single address */
	size_t hosts; /* where its single addresses begin in the list */
};

struct builder {
	struct bh_feed_index *x;
	const struct bh_feed_input *in;
	struct bh_sweep *sweep;
	struct bh_piece *cur; /* of each feed; the rest of its piece */
	bool *open; /* has it one? */
	uint32_t *active; /* feeds, at most 256 */
	size_t n_active;
	enum bh_family family;
	struct run run;
};

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

static void end_run(struct builder *b)
{
	struct run *r = &b->run;
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
static void to_kernel(struct builder *b, bh_u128 first, bh_u128 last, unsigned mask)
{
	struct run *r = &b->run;
	bool v4 = b->family == BH_IPV4;
	if (r->mask && (r->mask != mask || r->last + 1 != first))
		end_run(b);
	if (!mask)
		return;
	struct bh_feed_elems *e = &b->x->elems[class_of(mask)];
	if (!r->mask)
		*r = (struct run){first, last, mask, false, v4 ? e->n_host4 : e->n_host6};
	r->last = last;
	if (first == last)
		add_host(e, v4, first);
	else
		r->net = true;
}

/* --- segments --- */

static bh_u128 span(const struct builder *b, uint32_t f)
{
	const struct bh_sweep *s = &b->sweep[f];
	return bh_sweep_last(s, b->cur[f].item) - bh_sweep_first(s, b->cur[f].item);
}

/* Blocking before alerting, then the most specific, then the feed that is configured first. */
static bool goes_before(const struct builder *b, uint32_t p, uint32_t q)
{
	if (b->in[p].alert_only != b->in[q].alert_only)
		return b->in[q].alert_only;
	bh_u128 span_p = span(b, p), span_q = span(b, q);
	return span_p != span_q ? span_p < span_q : p < q;
}

static void sort_active(struct builder *b)
{
	for (size_t i = 1; i < b->n_active; i++) {
		uint32_t p = b->active[i];
		size_t k = i;
		for (; k > 0 && goes_before(b, p, b->active[k - 1]); k--)
			b->active[k] = b->active[k - 1];
		b->active[k] = p;
	}
}

static unsigned mask_of(const struct builder *b)
{
	unsigned mask = 0;
	for (size_t i = 0; i < b->n_active; i++)
		if (!b->in[b->active[i]].alert_only)
			mask |= b->x->feed[b->active[i]].directions;
	return mask;
}

static uint32_t add_group(struct builder *b, unsigned mask)
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

static void grow4(struct bh_feed_index *x)
{
	if (x->n4 < x->cap4)
		return;
	x->cap4 = x->cap4 ? x->cap4 * 2 : 64;
	x->first4 = bh_xrealloc(x->first4, x->cap4, sizeof(*x->first4));
	x->last4 = bh_xrealloc(x->last4, x->cap4, sizeof(*x->last4));
	x->of4 = bh_xrealloc(x->of4, x->cap4, sizeof(*x->of4));
}

static void grow6(struct bh_feed_index *x)
{
	if (x->n6 < x->cap6)
		return;
	x->cap6 = x->cap6 ? x->cap6 * 2 : 64;
	x->first6 = bh_xrealloc(x->first6, x->cap6, sizeof(*x->first6));
	x->last6 = bh_xrealloc(x->last6, x->cap6, sizeof(*x->last6));
	x->of6 = bh_xrealloc(x->of6, x->cap6, sizeof(*x->of6));
}

static void add_segment(struct builder *b, bh_u128 first, bh_u128 last, bool whole)
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
		grow4(x);
		x->first4[x->n4] = (uint32_t)first;
		x->last4[x->n4] = (uint32_t)last;
		x->of4[x->n4++] = of;
	} else {
		grow6(x);
		x->first6[x->n6] = first;
		x->last6[x->n6] = last;
		x->of6[x->n6++] = of;
	}
	to_kernel(b, first, last, mask);
}

/* The next stretch of address space in which the same pieces are open. */
static bool next_stretch(struct builder *b, bh_u128 *ret_first, bh_u128 *ret_last)
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

static void join(struct builder *b)
{
	bh_u128 first, last;
	for (uint32_t f = 0; f < b->x->n_feeds; f++)
		b->open[f] = bh_sweep_next(&b->sweep[f], &b->cur[f]);
	while (next_stretch(b, &first, &last)) {
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
	end_run(b);
}

static void build_family(struct builder *b, enum bh_family family, int64_t now)
{
	b->family = family;
	for (size_t f = 0; f < b->x->n_feeds; f++)
		bh_sweep_start(&b->sweep[f], b->in[f].indicators, b->in[f].protect, family, now);
	join(b);
	for (size_t f = 0; f < b->x->n_feeds; f++)
		bh_sweep_finish(&b->sweep[f]);
}

/* --- what is subtracted --- */

static void note_cut(struct bh_feed_input *in, const struct bh_range *r, uint32_t line)
{
	if (in->subtracted < BH_FEED_CUTS_MAX)
		in->cut[in->subtracted] = (struct bh_feed_cut){*r, line};
	in->subtracted++;
}

/* Both lists ascend by their first address. */
static void find_cuts(struct bh_feed_input *in, enum bh_family family)
{
	const struct bh_indicators *ind = in->indicators;
	bool v4 = family == BH_IPV4;
	size_t n = v4 ? ind->n4 : ind->n6, p = 0;
	const struct bh_range *protect = in->protect->item;
	while (p < in->protect->n && protect[p].first.family != (uint8_t)family)
		p++;
	for (size_t i = 0; i < n; i++) {
		bh_u128 first = v4 ? ind->v4[i].first : ind->v6[i].first;
		bh_u128 last = v4 ? ind->v4[i].last : ind->v6[i].last;
		while (p < in->protect->n && protect[p].first.family == (uint8_t)family &&
			bh_addr_number(&protect[p].last) < first)
			p++;
		if (p == in->protect->n || protect[p].first.family != (uint8_t)family)
			return;
		if (bh_addr_number(&protect[p].first) > last)
			continue;
		struct bh_range r = bh_range_of_numbers(family, first, last);
		note_cut(in, &r, v4 ? ind->v4[i].line : ind->v6[i].line);
	}
}

static void note_expiry(struct bh_feed_index *x, uint32_t expires, int64_t now)
{
	bool gone = expires && now && expires <= now;
	x->count += !gone;
	if (expires && !gone && (!x->expires || expires < x->expires))
		x->expires = expires;
}

static void add_feed(struct bh_feed_index *x, size_t f, struct bh_feed_input *in, int64_t now)
{
	x->feed[f] = (struct bh_index_feed){.name = bh_xstrdup(in->name),
		.alert_only = in->alert_only,
		.directions = in->directions ? in->directions : BH_FEED_BOTH};
	for (size_t i = 0; i < in->indicators->n4; i++)
		note_expiry(x, in->indicators->v4[i].expires, now);
	for (size_t i = 0; i < in->indicators->n6; i++)
		note_expiry(x, in->indicators->v6[i].expires, now);
	in->subtracted = 0;
	find_cuts(in, BH_IPV4);
	find_cuts(in, BH_IPV6);
}

/* --- the tables in front of the search --- */

static void mark_listed(struct bh_feed_index *x)
{
	x->listed = bh_xcalloc((1u << 24) / 64, sizeof(*x->listed));
	for (size_t i = 0; i < x->n4; i++)
		for (uint32_t k = x->first4[i] >> 8; k <= x->last4[i] >> 8; k++)
			x->listed[k >> 6] |= 1ull << (k & 63);
}

#define WIDE 65536u /* addresses */

static uint32_t count_fine(const struct bh_feed_index *x)
{
	uint64_t n = 0;
	for (size_t i = 0; i < x->n4; i++)
		if (x->last4[i] - x->first4[i] < WIDE)
			n += (x->last4[i] >> 3) - (x->first4[i] >> 3) + 1;
	return n < 1u << 24 ? (uint32_t)n : 1u << 24;
}

/* Eight bits for each /29, from 8 KiB to 16 MiB. */
static void mark_fine(struct bh_feed_index *x)
{
	uint32_t n = count_fine(x);
	unsigned bits = 16;
	while (bits < 27 && 1u << bits < 8 * n)
		bits++;
	x->fine_shift = 32 - bits;
	x->fine = bh_xcalloc((1u << bits) / 64, sizeof(*x->fine));
	for (size_t i = 0; i < x->n4; i++) {
		uint32_t first = x->first4[i], last = x->last4[i];
		if (last - first >= WIDE) {
			for (uint32_t k = first >> 16; k <= last >> 16; k++)
				x->wide[k >> 6] |= 1ull << (k & 63);
			continue;
		}
		for (uint32_t k = first >> 3; k <= last >> 3; k++) {
			uint32_t bit = bh_fine_bit(x, k << 3);
			x->fine[bit >> 6] |= 1ull << (bit & 63);
		}
	}
}

static void fill_upper(struct bh_feed_index *x)
{
	size_t i = 0;
	x->upper = bh_xcalloc(65537, sizeof(*x->upper));
	for (uint32_t h = 0; h < 65536; h++) {
		while (i < x->n4 && x->last4[i] < h << 16)
			i++;
		x->upper[h] = (uint32_t)i;
	}
	x->upper[65536] = (uint32_t)x->n4;
}

/* Ascending, like the networks: keys of those within a /24, and of the wider ones; merged. */
static void fill_near(struct bh_feed_elems *e)
{
	struct bh_feed_elems wide = {0};
	uint32_t step;
	for (size_t i = 0; i < e->n_net4; i++) {
		const struct bh_net4 *n = &e->net4[i];
		uint64_t key = bh_feed_near_first(n->first, n->last, &step);
		struct bh_feed_elems *to = step == 1u << 8 ? e : &wide;
		for (; key <= n->last; key += step) {
			if (to->n_near4 && to->near4[to->n_near4 - 1] == key)
				continue;
			BH_GROW(to->near4, to->n_near4, to->cap_near4);
			to->near4[to->n_near4++] = (uint32_t)key;
		}
	}
	uint32_t *all = bh_xcalloc(e->n_near4 + wide.n_near4, sizeof(*all));
	size_t n = 0, i = 0, k = 0;
	while (i < e->n_near4 || k < wide.n_near4) {
		bool fine = k == wide.n_near4 || (i < e->n_near4 && e->near4[i] <= wide.near4[k]);
		uint32_t key = fine ? e->near4[i++] : wide.near4[k++];
		if (n == 0 || all[n - 1] != key)
			all[n++] = key;
	}
	free(e->near4);
	free(wide.near4);
	e->near4 = all;
	e->n_near4 = n;
}

/* Doubling leaves room that nothing will fill. */
static void trim(struct bh_feed_index *x)
{
	x->first4 = bh_xrealloc(x->first4, x->n4, sizeof(*x->first4));
	x->last4 = bh_xrealloc(x->last4, x->n4, sizeof(*x->last4));
	x->of4 = bh_xrealloc(x->of4, x->n4, sizeof(*x->of4));
	x->ref4 = bh_xrealloc(x->ref4, x->n_ref4, sizeof(*x->ref4));
	for (size_t c = 0; c < BH_FEEDS_CLASSES; c++) {
		struct bh_feed_elems *e = &x->elems[c];
		e->host4 = bh_xrealloc(e->host4, e->n_host4, sizeof(*e->host4));
		e->net4 = bh_xrealloc(e->net4, e->n_net4, sizeof(*e->net4));
		fill_near(e);
	}
}

struct bh_feed_index *bh_feed_index_build(struct bh_feed_input *in, size_t n, int64_t now)
{
	struct bh_feed_index *x = bh_xcalloc(1, sizeof(*x));
	struct builder b = {.x = x, .in = in};

	x->refs = 1;
	x->n_feeds = n;
	x->feed = bh_xcalloc(n, sizeof(*x->feed));
	b.sweep = bh_xcalloc(n, sizeof(*b.sweep));
	b.cur = bh_xcalloc(n, sizeof(*b.cur));
	b.open = bh_xcalloc(n, sizeof(*b.open));
	b.active = bh_xcalloc(n, sizeof(*b.active));
	for (size_t f = 0; f < n; f++)
		add_feed(x, f, &in[f], now);
	build_family(&b, BH_IPV4, now);
	build_family(&b, BH_IPV6, now);
	trim(x);
	mark_listed(x);
	mark_fine(x);
	fill_upper(x);
	free(b.sweep);
	free(b.cur);
	free(b.open);
	free(b.active);
	return x;
}
