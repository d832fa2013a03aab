/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * An index from the one before, of which little differs: the places that differ are built anew, all
 * else is copied. An address space of a million indicators takes 60 ms to build and a few to copy.
 *
 * A place is as large as the unbroken row of segments around it, so that neither a segment nor a
 * network of the kernel's lies across its ends, and what is built within joins nothing outside.
 */
#include "feeds/index.h"

#define SHARE 8 /* at most so much of the segments (1/8) is built anew in this way */
#define SMALL 64 /* segments; for so few it is not asked */

/* --- what differs --- */

static void add_window(struct bh_windows *w, bh_u128 first, bh_u128 last)
{
	BH_GROW(w->item, w->n, w->cap);
	w->item[w->n++] = (struct bh_window){first, last};
}

static bool lives(uint32_t expires, int64_t now)
{
	return !expires || !now || expires > now;
}

/* Both sorted: by first, wider before. What is in one alone, or lives in one alone; false: more
 * than max. */
#define DIFFER(name, type)                                                                         \
	static bool name(const type *a, size_t na, int64_t then, const type *b, size_t nb,         \
		int64_t now, struct bh_windows *w, size_t max)                                     \
	{                                                                                          \
		size_t i = 0, k = 0;                                                               \
		int64_t floor = then > now ? then : now;                                           \
		while ((i < na || k < nb) && w->n <= max) {                                        \
			/* most are the same, and live */                                          \
			for (; i < na && k < nb && a[i].first == b[k].first &&                     \
				a[i].last == b[k].last && a[i].expires == b[k].expires &&          \
				(!a[i].expires || a[i].expires > floor);                           \
				i++, k++)                                                          \
				;                                                                  \
			if (i == na && k == nb)                                                    \
				break;                                                             \
			bool gone =                                                                \
				k == nb || (i < na && (a[i].first < b[k].first ||                  \
							      (a[i].first == b[k].first &&         \
								      a[i].last > b[k].last)));    \
			bool same = !gone && i < na && a[i].first == b[k].first &&                 \
				    a[i].last == b[k].last;                                        \
			bool was = (gone || same) && lives(a[i].expires, then);                    \
			bool is = !gone && lives(b[k].expires, now);                               \
			const type *x = gone ? &a[i] : &b[k];                                      \
			if (was != is)                                                             \
				add_window(w, x->first, x->last);                                  \
			i += gone || same;                                                         \
			k += !gone;                                                                \
		}                                                                                  \
		return w->n <= max;                                                                \
	}
DIFFER(differ4, struct bh_indicator4)
DIFFER(differ6, struct bh_indicator6)

static int by_first(const void *a, const void *b)
{
	const struct bh_window *x = a, *y = b;
	return (x->first > y->first) - (x->first < y->first);
}

static void merge(struct bh_windows *w)
{
	size_t n = 0;
	if (w->n) /* else there is no array */
		qsort(w->item, w->n, sizeof(*w->item), by_first);
	for (size_t i = 0; i < w->n; i++) {
		struct bh_window *last = n ? &w->item[n - 1] : NULL;
		if (last && w->item[i].first <= last->last + (last->last != ~(bh_u128)0))
			last->last = w->item[i].last > last->last ? w->item[i].last : last->last;
		else
			w->item[n++] = w->item[i];
	}
	w->n = n;
}

/* --- as large as the row of segments around it --- */

struct segments {
	const struct bh_feed_index *x;
	bool v6;
	size_t n;
};

static bh_u128 first_of(const struct segments *s, size_t i)
{
	return s->v6 ? s->x->first6[i] : s->x->first4[i];
}

static bh_u128 last_of(const struct segments *s, size_t i)
{
	return s->v6 ? s->x->last6[i] : s->x->last4[i];
}

/* The first that ends at `a` or behind. */
static size_t ends_from(const struct segments *s, bh_u128 a)
{
	size_t lo = 0, hi = s->n;
	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		if (last_of(s, mid) < a)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

/* False: the rows are longer than *budget. */
static bool widen(const struct segments *s, struct bh_window *w, size_t *budget)
{
	size_t i = ends_from(s, w->first - (w->first != 0));
	bh_u128 beyond = w->last + (w->last != ~(bh_u128)0);
	if (i == s->n || first_of(s, i) > beyond)
		return true;
	size_t k = i;
	while (i > 0 && last_of(s, i - 1) + 1 == first_of(s, i) && *budget) {
		i--;
		--*budget;
	}
	w->first = first_of(s, i) < w->first ? first_of(s, i) : w->first;
	while (k + 1 < s->n && *budget &&
		(first_of(s, k + 1) <= beyond || first_of(s, k + 1) == last_of(s, k) + 1)) {
		k++;
		--*budget;
	}
	w->last = last_of(s, k) > w->last ? last_of(s, k) : w->last;
	return *budget > 0;
}

/* Places that differ in one family; false: too many. */
static bool find_windows(const struct bh_feed_index *old, const struct bh_feed_input *before,
	int64_t then, const struct bh_feed_input *in, size_t n, int64_t now, bool v6,
	struct bh_windows *w)
{
	const struct segments s = {old, v6, v6 ? old->n6 : old->n4};
	size_t budget = s.n / SHARE + SMALL;
	for (size_t f = 0; f < n; f++) {
		const struct bh_indicators *a = before[f].indicators, *b = in[f].indicators;
		bool few = v6 ? differ6(a->v6, a->n6, then, b->v6, b->n6, now, w, budget)
			      : differ4(a->v4, a->n4, then, b->v4, b->n4, now, w, budget);
		if (!few)
			return false;
	}
	merge(w);
	for (size_t i = 0; i < w->n; i++)
		if (!widen(&s, &w->item[i], &budget))
			return false;
	merge(w);
	return true;
}

/* --- copying --- */

static void *copy_of(const void *p, size_t n, size_t size)
{
	return n ? bh_xmemdup(p, n * size) : NULL;
}

void bh_builder_copy_begin(struct bh_builder *b)
{
	const struct bh_feed_index *old = b->copy->old;
	struct bh_feed_index *x = b->x;
	x->ref4 = copy_of(old->ref4, old->n_ref4, sizeof(*x->ref4));
	x->ref6 = copy_of(old->ref6, old->n_ref6, sizeof(*x->ref6));
	x->n_ref4 = x->cap_ref4 = old->n_ref4;
	x->n_ref6 = x->cap_ref6 = old->n_ref6;
	x->full_refs = old->full_refs;
	x->changes = old->changes + b->copy->window[0].n + b->copy->window[1].n;
	bh_index_room4(x, old->n4 + b->copy->window[0].n * 2);
	bh_index_room6(x, old->n6 + b->copy->window[1].n * 2);
}

static void copy_segments4(
	struct bh_feed_index *x, const struct bh_feed_index *old, size_t from, size_t n)
{
	bh_index_room4(x, n);
	memcpy(x->first4 + x->n4, old->first4 + from, n * sizeof(*x->first4));
	memcpy(x->last4 + x->n4, old->last4 + from, n * sizeof(*x->last4));
	memcpy(x->of4 + x->n4, old->of4 + from, n * sizeof(*x->of4));
	x->n4 += n;
}

static void copy_segments6(
	struct bh_feed_index *x, const struct bh_feed_index *old, size_t from, size_t n)
{
	bh_index_room6(x, n);
	memcpy(x->first6 + x->n6, old->first6 + from, n * sizeof(*x->first6));
	memcpy(x->last6 + x->n6, old->last6 + from, n * sizeof(*x->last6));
	memcpy(x->of6 + x->n6, old->of6 + from, n * sizeof(*x->of6));
	x->n6 += n;
}

/* Behind `from`, the first of ascending items of `size` bytes that begins at `limit` or behind.
 * They begin with their first address. */
static size_t begins_from(
	const void *item, size_t size, bool v6, size_t from, size_t n, bh_u128 limit)
{
	size_t hi = n;
	while (from < hi) {
		size_t mid = from + (hi - from) / 2;
		const char *p = (const char *)item + mid * size;
		bh_u128 first = v6 ? *(const bh_u128 *)p : *(const uint32_t *)p;
		if (first < limit)
			from = mid + 1;
		else
			hi = mid;
	}
	return from;
}

/* A list of elements, of which those before `limit` (or all) are appended, and those up to `skip`
 * are left out behind. */
struct list {
	const void *from;
	size_t size, n, *at, *n_to, *cap_to;
};
struct stretch {
	bool v6, all;
	bh_u128 limit, skip;
};

/* `to` or what it is moved to. */
static void *copy_list(struct list l, const struct stretch *s, void *to)
{
	size_t end = s->all ? l.n : begins_from(l.from, l.size, s->v6, *l.at, l.n, s->limit);
	size_t n = end - *l.at;
	if (*l.n_to + n > *l.cap_to) {
		size_t want = *l.n_to + (l.n - *l.at) + 64;
		*l.cap_to = want > *l.cap_to * 2 ? want : *l.cap_to * 2;
		to = bh_xrealloc(to, *l.cap_to, l.size);
	}
	if (n)
		memcpy((char *)to + *l.n_to * l.size, (const char *)l.from + *l.at * l.size,
			n * l.size);
	*l.n_to += n;
	if (s->all || s->skip == ~(bh_u128)0)
		*l.at = l.n;
	else
		*l.at = begins_from(l.from, l.size, s->v6, end, l.n, s->skip + 1);
	return to;
}

#define COPY(e, o, at, what, s)                                                                    \
	((e)->what = copy_list((struct list){(o)->what, sizeof(*(o)->what), (o)->n_##what, at,     \
				       &(e)->n_##what, &(e)->cap_##what},                          \
		 s, (e)->what))

static void copy_elems(struct bh_builder *b, const struct stretch *s)
{
	for (size_t c = 0; c < BH_FEEDS_CLASSES; c++) {
		const struct bh_feed_elems *o = &b->copy->old->elems[c];
		struct bh_feed_elems *e = &b->x->elems[c];
		size_t *host = &b->copy->at[c].host, *net = &b->copy->at[c].net;
		if (s->v6) {
			COPY(e, o, host, host6, s);
			COPY(e, o, net, net6, s);
		} else {
			COPY(e, o, host, host4, s);
			COPY(e, o, net, net4, s);
		}
	}
}

/* What the old index has before `limit`, or `all` of the rest; up to `skip` it is left out then. */
static void take_over(struct bh_builder *b, bh_u128 limit, bool all, bh_u128 skip)
{
	struct bh_index_copy *c = b->copy;
	const struct segments s = {
		c->old, b->family == BH_IPV6, b->family == BH_IPV6 ? c->old->n6 : c->old->n4};
	size_t end = all ? s.n : ends_from(&s, limit);
	bh_builder_end_run(b);
	if (end > c->segment && s.v6)
		copy_segments6(b->x, c->old, c->segment, end - c->segment);
	else if (end > c->segment)
		copy_segments4(b->x, c->old, c->segment, end - c->segment);
	c->segment = all || skip == ~(bh_u128)0 ? s.n : ends_from(&s, skip + 1);
	copy_elems(b, &(struct stretch){s.v6, all, limit, skip});
}

void bh_builder_copy(struct bh_builder *b, bh_u128 first)
{
	struct bh_index_copy *c = b->copy;
	const struct bh_windows *w = &c->window[b->family == BH_IPV6];
	for (; c->w < w->n && w->item[c->w].first <= first; c->w++)
		take_over(b, w->item[c->w].first, false, w->item[c->w].last);
}

void bh_builder_copy_rest(struct bh_builder *b)
{
	struct bh_index_copy *c = b->copy;
	bh_builder_copy(b, ~(bh_u128)0);
	take_over(b, 0, true, 0);
	c->w = c->segment = 0;
	memset(c->at, 0, sizeof(c->at));
}

/* --- the whole --- */

struct bh_feed_index *bh_feed_index_change(const struct bh_feed_index *old,
	const struct bh_feed_input *before, int64_t then, struct bh_feed_input *in, size_t n,
	int64_t now)
{
	struct bh_index_copy c = {.old = old};
	struct bh_feed_index *x = NULL;
	/* What no segment refers to any more stays in a copy: groups of entries, and marks in the
	 * tables, which then say yes too often. */
	bool clean = old->n_ref4 + old->n_ref6 <= 2 * old->full_refs + 65536 &&
		     old->changes <= old->n4 / SHARE + SMALL;
	if (clean && find_windows(old, before, then, in, n, now, false, &c.window[0]) &&
		find_windows(old, before, then, in, n, now, true, &c.window[1]))
		x = bh_builder_run(in, n, now, &c);
	free(c.window[0].item);
	free(c.window[1].item);
	return x;
}
