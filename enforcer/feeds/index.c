/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * All feeds joined into one immutable index: sorted disjoint segments of address space, each with
 * the feeds that list it and, for each of them, its most specific indicator. In IPv4 a bitmap of
 * the /24s that hold anything answers most look-ups with one access to 2 MiB, which a cache holds,
 * a hashed one of /29s most of the rest; then comes a binary search behind a table of the upper 16
 * bits. 16 bytes an indicator.
 *
 * The invariant that the rest relies on: an address is in bh_feed_index_elems(), which the kernel
 * gets, exactly if bh_feed_index_blocked() says so. Both are made from the same segments, after
 * protected space has been cut out.
 */
#include "feeds/index.h"

#include <arpa/inet.h>

const char *bh_indicator_format(const struct bh_range *r, char buf[static BH_INDICATOR_STRLEN])
{
	char a[BH_ADDR_STRLEN], b[BH_ADDR_STRLEN];
	bh_u128 span = bh_addr_number(&r->last) - bh_addr_number(&r->first);
	bh_addr_format(&r->first, a);
	if (span == 0) {
		snprintf(buf, BH_INDICATOR_STRLEN, "%s", a);
	} else if ((span & (span + 1)) == 0 && (bh_addr_number(&r->first) & span) == 0) {
		unsigned len = bh_addr_bits(&r->first);
		for (; span; span >>= 1)
			len--;
		snprintf(buf, BH_INDICATOR_STRLEN, "%s/%u", a, len);
	} else {
		snprintf(buf, BH_INDICATOR_STRLEN, "%s-%s", a, bh_addr_format(&r->last, b));
	}
	return buf;
}

struct bh_feed_index *bh_feed_index_ref(struct bh_feed_index *i)
{
	__atomic_add_fetch(&i->refs, 1, __ATOMIC_RELAXED);
	return i;
}

void bh_feed_index_unref(struct bh_feed_index *i)
{
	if (!i || __atomic_sub_fetch(&i->refs, 1, __ATOMIC_ACQ_REL) > 0)
		return;
	for (size_t f = 0; f < i->n_feeds; f++)
		free(i->feed[f].name);
	for (size_t c = 0; c < BH_FEEDS_CLASSES; c++) {
		free(i->elems[c].host4);
		free(i->elems[c].net4);
		free(i->elems[c].host6);
		free(i->elems[c].net6);
		free(i->elems[c].near4);
	}
	free(i->feed);
	free(i->first4);
	free(i->last4);
	free(i->of4);
	free(i->first6);
	free(i->last6);
	free(i->of6);
	free(i->ref4);
	free(i->ref6);
	free(i->listed);
	free(i->fine);
	free(i->upper);
	free(i);
}

static bool may_list4(const struct bh_feed_index *i, uint32_t a)
{
	return i->listed[a >> 14] >> (a >> 8 & 63) & 1;
}

static bool may_list_here4(const struct bh_feed_index *i, uint32_t a)
{
	uint32_t bit = bh_fine_bit(i, a);
	return (i->fine[bit >> 6] >> (bit & 63) & 1) || (i->wide[a >> 22] >> (a >> 16 & 63) & 1);
}

/* The segment that holds the address, or SIZE_MAX. */
static __attribute__((noinline)) size_t search4(const struct bh_feed_index *i, uint32_t a)
{
	size_t lo = i->upper[a >> 16], hi = i->upper[(a >> 16) + 1];
	/* the segment at hi may begin before the next upper half: it is still a candidate */
	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		if (i->last4[mid] < a)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo == i->n4 || i->first4[lo] > a ? SIZE_MAX : lo;
}

static inline __attribute__((always_inline)) size_t find4(const struct bh_feed_index *i, uint32_t a)
{
	return may_list4(i, a) && may_list_here4(i, a) ? search4(i, a) : SIZE_MAX;
}

static size_t find6(const struct bh_feed_index *i, bh_u128 a)
{
	size_t lo = 0, hi = i->n6;
	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		if (i->last6[mid] < a)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo == i->n6 || i->first6[lo] > a ? SIZE_MAX : lo;
}

static unsigned mask_of_feed(const struct bh_feed_index *i, uint32_t of)
{
	const struct bh_index_feed *f = &i->feed[of & ~BH_REF_FEED];
	return f->alert_only ? 0 : f->directions;
}

static __attribute__((noinline)) unsigned blocked6(
	const struct bh_feed_index *i, const struct bh_addr *a)
{
	size_t at = find6(i, bh_addr_number(a));
	if (at == SIZE_MAX)
		return 0;
	uint32_t of = i->of6[at];
	return of & BH_REF_FEED ? mask_of_feed(i, of) : i->ref6[of].mask;
}

unsigned bh_feed_index_blocked(const struct bh_feed_index *i, const struct bh_addr *a)
{
	uint32_t v;
	if (a->family != BH_IPV4)
		return blocked6(i, a);
	memcpy(&v, a->b, sizeof(v));
	v = ntohl(v);
	size_t at = find4(i, v);
	if (at == SIZE_MAX)
		return 0;
	uint32_t of = i->of4[at];
	return of & BH_REF_FEED ? mask_of_feed(i, of) : i->ref4[of].mask;
}

static void set_hit(const struct bh_feed_index *i, uint32_t feed, const struct bh_range *r,
	struct bh_feed_hit *ret)
{
	ret->feed = i->feed[feed].name;
	ret->alert_only = i->feed[feed].alert_only;
	ret->directions = i->feed[feed].directions;
	bh_indicator_format(r, ret->indicator);
}

size_t bh_feed_index_lookup(
	const struct bh_feed_index *i, const struct bh_addr *a, struct bh_feed_hit *ret, size_t max)
{
	bool v4 = a->family == BH_IPV4;
	enum bh_family family = v4 ? BH_IPV4 : BH_IPV6;
	bh_u128 v = bh_addr_number(a);
	size_t at = v4 ? find4(i, (uint32_t)v) : find6(i, v), n = 0;
	if (at == SIZE_MAX || max == 0)
		return 0;
	uint32_t of = v4 ? i->of4[at] : i->of6[at];
	if (of & BH_REF_FEED) {
		struct bh_range r = v4 ? bh_range_of_numbers(family, i->first4[at], i->last4[at])
				       : bh_range_of_numbers(family, i->first6[at], i->last6[at]);
		set_hit(i, of & ~BH_REF_FEED, &r, ret);
		return 1;
	}
	for (bool more = true; more && n < max; n++, of++) {
		struct bh_range r =
			v4 ? bh_range_of_numbers(family, i->ref4[of].first, i->ref4[of].last)
			   : bh_range_of_numbers(family, i->ref6[of].first, i->ref6[of].last);
		set_hit(i, v4 ? i->ref4[of].feed : i->ref6[of].feed, &r, &ret[n]);
		more = v4 ? i->ref4[of].more : i->ref6[of].more;
	}
	return n;
}

size_t bh_feed_index_count(const struct bh_feed_index *i)
{
	return i->count;
}

uint32_t bh_feed_index_expires(const struct bh_feed_index *i)
{
	return i->expires;
}

uint64_t bh_feed_index_since(const struct bh_feed_index *i)
{
	return i->since;
}

const struct bh_feed_elems *bh_feed_index_elems(
	const struct bh_feed_index *i, enum bh_feed_class class)
{
	return &i->elems[class];
}
