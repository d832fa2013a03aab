/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * All feeds joined into one immutable index: sorted disjoint segments of address space, each with
 * the feeds that list it and, for each of them, its most specific indicator. A look-up is one
 * binary search, in IPv4 behind a table of the upper 16 bits; about 30 bytes an indicator.
 *
 * The invariant that the rest relies on: an address is in bh_feed_index_ranges(), which the kernel
 * gets, exactly if a look-up has a hit of a blocking feed. Both are made from the same segments,
 * after protected space has been cut out.
 */
#include "feeds/index.h"

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
	free(i->feed);
	free(i->seg4);
	free(i->seg6);
	free(i->ref);
	free(i->item4);
	free(i->item6);
	free(i->upper);
	bh_ranges_finish(&i->ranges);
	free(i);
}

static bool find4(const struct bh_feed_index *i, uint32_t a, uint32_t *ret_ref, uint32_t *ret_n)
{
	size_t lo = i->upper[a >> 16], hi = i->upper[(a >> 16) + 1];
	/* the segment at hi may begin before the next upper half: it is still a candidate */
	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		if (i->seg4[mid].last < a)
			lo = mid + 1;
		else
			hi = mid;
	}
	if (lo == i->n4 || i->seg4[lo].first > a)
		return false;
	*ret_ref = i->seg4[lo].ref;
	*ret_n = i->seg4[lo].n;
	return true;
}

static bool find6(const struct bh_feed_index *i, bh_u128 a, uint32_t *ret_ref, uint32_t *ret_n)
{
	size_t lo = 0, hi = i->n6;
	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		if (i->seg6[mid].last < a)
			lo = mid + 1;
		else
			hi = mid;
	}
	if (lo == i->n6 || i->seg6[lo].first > a)
		return false;
	*ret_ref = i->seg6[lo].ref;
	*ret_n = i->seg6[lo].n;
	return true;
}

static struct bh_range item_range(const struct bh_feed_index *i, uint32_t item, bool v4)
{
	if (v4)
		return (struct bh_range){bh_addr_of_number(BH_IPV4, i->item4[item].first),
			bh_addr_of_number(BH_IPV4, i->item4[item].last)};
	return (struct bh_range){bh_addr_of_number(BH_IPV6, i->item6[item].first),
		bh_addr_of_number(BH_IPV6, i->item6[item].last)};
}

size_t bh_feed_index_lookup(
	const struct bh_feed_index *i, const struct bh_addr *a, struct bh_feed_hit *ret, size_t max)
{
	uint32_t ref, n;
	bool v4 = a->family == BH_IPV4;
	if (v4 ? !find4(i, (uint32_t)bh_addr_number(a), &ref, &n)
	       : !find6(i, bh_addr_number(a), &ref, &n))
		return 0;
	if (n > max)
		n = (uint32_t)max;
	for (uint32_t k = 0; k < n; k++) {
		const struct bh_index_feed *f = &i->feed[i->ref[ref + k].feed];
		struct bh_range r = item_range(i, i->ref[ref + k].item, v4);
		ret[k].feed = f->name;
		ret[k].alert_only = f->alert_only;
		bh_indicator_format(&r, ret[k].indicator);
	}
	return n;
}

const struct bh_ranges *bh_feed_index_ranges(const struct bh_feed_index *i)
{
	return &i->ranges;
}

size_t bh_feed_index_count(const struct bh_feed_index *i)
{
	return i->count;
}
