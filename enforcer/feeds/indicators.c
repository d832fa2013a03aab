/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A feed's indicators: 16 bytes for an IPv4 one, so that a million of them cost little. */
#include "feeds/internal.h"

void bh_indicators_add(
	struct bh_indicators *i, const struct bh_range *r, uint32_t line, uint32_t expires)
{
	bh_u128 first = bh_addr_number(&r->first), last = bh_addr_number(&r->last);
	if (r->first.family == BH_IPV4) {
		BH_GROW(i->v4, i->n4, i->cap4);
		i->v4[i->n4++] =
			(struct bh_indicator4){(uint32_t)first, (uint32_t)last, line, expires};
	} else {
		BH_GROW(i->v6, i->n6, i->cap6);
		i->v6[i->n6++] = (struct bh_indicator6){first, last, line, expires};
	}
}

struct bh_range bh_indicators_range(const struct bh_indicators *i, size_t k)
{
	if (k < i->n4)
		return bh_range_of_numbers(BH_IPV4, i->v4[k].first, i->v4[k].last);
	k -= i->n4;
	return bh_range_of_numbers(BH_IPV6, i->v6[k].first, i->v6[k].last);
}

static int cmp4(const void *pa, const void *pb)
{
	const struct bh_indicator4 *a = pa, *b = pb;
	uint64_t x = (uint64_t)a->first << 32 | (uint32_t)~a->last;
	uint64_t y = (uint64_t)b->first << 32 | (uint32_t)~b->last;
	if (x != y)
		return x < y ? -1 : 1;
	return (a->line > b->line) - (a->line < b->line);
}

static int cmp6(const void *pa, const void *pb)
{
	const struct bh_indicator6 *a = pa, *b = pb;
	if (a->first != b->first)
		return a->first < b->first ? -1 : 1;
	if (a->last != b->last)
		return a->last > b->last ? -1 : 1;
	return (a->line > b->line) - (a->line < b->line);
}

static void sort6(struct bh_indicator6 *item, size_t n)
{
	for (size_t i = 1; i < n; i++)
		if (cmp6(&item[i - 1], &item[i]) > 0) {
			qsort(item, n, sizeof(*item), cmp6);
			return;
		}
}

static uint32_t later(uint32_t a, uint32_t b)
{
	return !a || !b ? 0 : a > b ? a : b;
}

/* By first address alone, keeping the order of equals: eleven bits at a time, which takes a million
 * a tenth of the time that comparing does. */
#define DIGIT_BITS 11
static void sort_by_first(struct bh_indicator4 *item, size_t n)
{
	struct bh_indicator4 *from = item, *to = bh_xcalloc(n, sizeof(*to)), *const other = to;
	static const unsigned passes = 3; /* of 32 bits */
	for (unsigned p = 0; p < passes; p++) {
		size_t at[(1 << DIGIT_BITS) + 1] = {0};
		unsigned shift = p * DIGIT_BITS, mask = (1 << DIGIT_BITS) - 1;
		for (size_t i = 0; i < n; i++)
			at[(from[i].first >> shift & mask) + 1]++;
		for (unsigned d = 1; d < 1 << DIGIT_BITS; d++)
			at[d] += at[d - 1];
		for (size_t i = 0; i < n; i++)
			to[at[from[i].first >> shift & mask]++] = from[i];
		struct bh_indicator4 *swap = from;
		from = to;
		to = swap;
	}
	if (from != item)
		memcpy(item, from, n * sizeof(*item));
	free(other);
}

#define FEW 256
static void sort4(struct bh_indicator4 *item, size_t n)
{
	size_t sorted = 1;
	while (sorted < n && cmp4(&item[sorted - 1], &item[sorted]) <= 0)
		sorted++;
	if (sorted >= n)
		return;
	if (n < FEW) {
		qsort(item, n, sizeof(*item), cmp4);
		return;
	}
	sort_by_first(item, n);
	for (size_t i = 0, end; i < n; i = end) {
		for (end = i + 1; end < n && item[end].first == item[i].first;)
			end++;
		if (end - i > 1)
			qsort(item + i, end - i, sizeof(*item), cmp4);
	}
}

#define DROP_REPEATED(item, n)                                                                     \
	do {                                                                                       \
		size_t out_ = 0;                                                                   \
		for (size_t k_ = 1; k_ < (n); k_++) {                                              \
			if ((item)[k_].first == (item)[out_].first &&                              \
				(item)[k_].last == (item)[out_].last)                              \
				(item)[out_].expires =                                             \
					later((item)[out_].expires, (item)[k_].expires);           \
			else                                                                       \
				(item)[++out_] = (item)[k_];                                       \
		}                                                                                  \
		(n) = (n) ? out_ + 1 : 0;                                                          \
	} while (0)

void bh_indicators_sort(struct bh_indicators *i)
{
	sort4(i->v4, i->n4);
	sort6(i->v6, i->n6);
	DROP_REPEATED(i->v4, i->n4);
	DROP_REPEATED(i->v6, i->n6);
	i->v4 = bh_xrealloc(i->v4, i->n4, sizeof(*i->v4));
	i->v6 = bh_xrealloc(i->v6, i->n6, sizeof(*i->v6));
	i->cap4 = i->n4;
	i->cap6 = i->n6;
}

/* By range alone. */
#define COMPARE(a, b)                                                                              \
	((a)->first != (b)->first ? ((a)->first < (b)->first ? -1 : 1)                             \
				  : ((a)->last < (b)->last) - ((a)->last > (b)->last))

/* Without `minus`, and with `plus` in the place of the same in `old`: it has a new expiry. All are
 * sorted; the changes are few, and what is between them is copied. Returns the number; *ret is
 * owned. */
#define MERGE(name, type)                                                                          \
	static size_t name(const type *old, size_t n, const type *minus, size_t n_minus,           \
		const type *plus, size_t n_plus, type **ret)                                       \
	{                                                                                          \
		size_t i = 0, m = 0, p = 0, out = 0;                                               \
		type *all = bh_xcalloc(n + n_plus, sizeof(*all));                                  \
		while (i < n) {                                                                    \
			const type *next = p < n_plus ? &plus[p] : NULL;                           \
			if (m < n_minus && (!next || COMPARE(&minus[m], next) < 0))                \
				next = &minus[m];                                                  \
			size_t to = n, from = i; /* what comes before it stays as it is */         \
			while (next && from < to) {                                                \
				size_t mid = from + (to - from) / 2;                               \
				if (COMPARE(&old[mid], next) < 0)                                  \
					from = mid + 1;                                            \
				else                                                               \
					to = mid;                                                  \
			}                                                                          \
			memcpy(all + out, old + i, (to - i) * sizeof(*all));                       \
			out += to - i;                                                             \
			i = to;                                                                    \
			if (!next)                                                                 \
				break;                                                             \
			i += i < n && COMPARE(&old[i], next) == 0;                                 \
			bool taken_back = m < n_minus && COMPARE(&minus[m], next) == 0;            \
			if (p < n_plus && COMPARE(&plus[p], next) == 0)                            \
				all[out++] = plus[p++];                                            \
			m += taken_back;                                                           \
		}                                                                                  \
		while (p < n_plus)                                                                 \
			all[out++] = plus[p++];                                                    \
		*ret = all;                                                                        \
		return out;                                                                        \
	}
MERGE(merge4, struct bh_indicator4)
MERGE(merge6, struct bh_indicator6)

void bh_indicators_changed(const struct bh_indicators *old, const struct bh_indicators *minus,
	const struct bh_indicators *plus, struct bh_indicators *ret)
{
	*ret = (struct bh_indicators){0};
	ret->n4 = merge4(old->v4, old->n4, minus->v4, minus->n4, plus->v4, plus->n4, &ret->v4);
	ret->n6 = merge6(old->v6, old->n6, minus->v6, minus->n6, plus->v6, plus->n6, &ret->v6);
	ret->cap4 = old->n4 + plus->n4;
	ret->cap6 = old->n6 + plus->n6;
}

void bh_indicators_finish(struct bh_indicators *i)
{
	free(i->v4);
	free(i->v6);
	*i = (struct bh_indicators){0};
}
