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

static void sort(void *item, size_t n, size_t size, int (*cmp)(const void *, const void *))
{
	for (size_t i = 1; i < n; i++)
		if (cmp((char *)item + (i - 1) * size, (char *)item + i * size) > 0) {
			qsort(item, n, size, cmp);
			return;
		}
}

static uint32_t later(uint32_t a, uint32_t b)
{
	return !a || !b ? 0 : a > b ? a : b;
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
	sort(i->v4, i->n4, sizeof(*i->v4), cmp4);
	sort(i->v6, i->n6, sizeof(*i->v6), cmp6);
	DROP_REPEATED(i->v4, i->n4);
	DROP_REPEATED(i->v6, i->n6);
	i->v4 = bh_xrealloc(i->v4, i->n4, sizeof(*i->v4));
	i->v6 = bh_xrealloc(i->v6, i->n6, sizeof(*i->v6));
	i->cap4 = i->n4;
	i->cap6 = i->n6;
}

static bool has4(const struct bh_indicators *i, const struct bh_indicator4 *x)
{
	struct bh_indicator4 key = {x->first, x->last, 0, 0};
	size_t lo = 0, hi = i->n4;
	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		key.line = i->v4[mid].line;
		int c = cmp4(&i->v4[mid], &key);
		if (c == 0)
			return true;
		if (c < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return false;
}

static bool has6(const struct bh_indicators *i, const struct bh_indicator6 *x)
{
	struct bh_indicator6 key = {x->first, x->last, 0, 0};
	size_t lo = 0, hi = i->n6;
	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		key.line = i->v6[mid].line;
		int c = cmp6(&i->v6[mid], &key);
		if (c == 0)
			return true;
		if (c < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return false;
}

void bh_indicators_change(struct bh_indicators *i, const struct bh_indicators *minus,
	const struct bh_indicators *plus)
{
	size_t out = 0;
	/* What comes again comes with its new expiry. */
	for (size_t k = 0; k < i->n4; k++)
		if (!has4(minus, &i->v4[k]) && !has4(plus, &i->v4[k]))
			i->v4[out++] = i->v4[k];
	i->n4 = out;
	out = 0;
	for (size_t k = 0; k < i->n6; k++)
		if (!has6(minus, &i->v6[k]) && !has6(plus, &i->v6[k]))
			i->v6[out++] = i->v6[k];
	i->n6 = out;
	i->v4 = bh_xrealloc(i->v4, i->n4 + plus->n4, sizeof(*i->v4));
	i->v6 = bh_xrealloc(i->v6, i->n6 + plus->n6, sizeof(*i->v6));
	if (plus->n4)
		memcpy(i->v4 + i->n4, plus->v4, plus->n4 * sizeof(*i->v4));
	if (plus->n6)
		memcpy(i->v6 + i->n6, plus->v6, plus->n6 * sizeof(*i->v6));
	i->cap4 = i->n4 += plus->n4;
	i->cap6 = i->n6 += plus->n6;
	bh_indicators_sort(i);
}

void bh_indicators_finish(struct bh_indicators *i)
{
	free(i->v4);
	free(i->v6);
	*i = (struct bh_indicators){0};
}
