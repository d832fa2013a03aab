/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Who owns an address. The table is cut into pages by the hash; a copy of the table shares them,
 * and a page is copied when one of the tables changes something in it. Loopback addresses have no
 * owner, because every network namespace has them.
 */
#include <errno.h>

#include "inventory_private.h"

#define PER_PAGE 64 /* addresses, at first */
#define PER_PAGE_MAX 160 /* on average, before there are more pages */
#define FIRST_SIZE 16

static uint64_t hash(const struct bh_addr_table *t, const struct bh_addr *a)
{
	uint64_t x, y, h = t->seed ^ a->family;
	memcpy(&x, a->b, 8);
	memcpy(&y, a->b + 8, 8);
	h = (h ^ x) * 0x9e3779b97f4a7c15ULL;
	h = ((h ^ h >> 32) ^ y) * 0xd6e8feb86659fd93ULL;
	h = (h ^ h >> 29 ^ t->seed) * 0x9e3779b97f4a7c15ULL;
	return h ^ h >> 32;
}

static size_t pages_for(size_t n)
{
	size_t pages = 1;
	while (pages * PER_PAGE < n)
		pages *= 2;
	return pages;
}

struct bh_addr_table *bh_addrs_new(uint64_t seed, size_t n_expected)
{
	struct bh_addr_table *t = bh_xcalloc(1, sizeof(*t));
	size_t n = pages_for(n_expected);
	t->seed = seed;
	t->mask = n - 1;
	t->page = bh_xcalloc(n, sizeof(struct bh_addr_page *));
	return t;
}

struct bh_addr_table *bh_addrs_share(const struct bh_addr_table *t)
{
	struct bh_addr_table *c = bh_xmemdup(t, sizeof(*t));
	c->page = bh_xmemdup(t->page, (t->mask + 1) * sizeof(struct bh_addr_page *));
	for (size_t i = 0; i <= t->mask; i++)
		if (c->page[i])
			__atomic_add_fetch(&c->page[i]->refs, 1, __ATOMIC_RELAXED);
	return c;
}

static void page_unref(struct bh_addr_page *p)
{
	if (p && __atomic_sub_fetch(&p->refs, 1, __ATOMIC_ACQ_REL) == 0)
		free(p);
}

void bh_addrs_free(struct bh_addr_table *t)
{
	if (!t)
		return;
	for (size_t i = 0; i <= t->mask; i++)
		page_unref(t->page[i]);
	free(t->page);
	free(t);
}

static struct bh_addr_page *page_new(uint32_t size)
{
	struct bh_addr_page *p = bh_xcalloc(1, sizeof(*p) + size * sizeof(struct bh_addr_claim));
	p->refs = 1;
	p->mask = size - 1;
	return p;
}

/* Pages and the places in them go by different bits. */
static uint32_t first_slot(const struct bh_addr_page *p, uint64_t h)
{
	return (uint32_t)(h >> 32) & p->mask;
}

static struct bh_addr_claim *slot(struct bh_addr_page *p, const struct bh_addr *a, uint64_t h)
{
	uint32_t i = first_slot(p, h);
	while (p->claim[i].addr.family && !bh_addr_eq(&p->claim[i].addr, a))
		i = (i + 1) & p->mask;
	return &p->claim[i];
}

/* A page that is nobody else's, with room for one more. */
static struct bh_addr_page *writable(struct bh_addr_table *t, uint64_t h)
{
	struct bh_addr_page **at = &t->page[h & t->mask], *p = *at, *c;
	if (!p)
		return *at = page_new(FIRST_SIZE);
	if ((p->n + 1) * 2 > p->mask + 1) {
		c = page_new((p->mask + 1) * 2);
		for (uint32_t i = 0; i <= p->mask; i++)
			if (p->claim[i].addr.family)
				*slot(c, &p->claim[i].addr, hash(t, &p->claim[i].addr)) =
					p->claim[i];
	} else if (__atomic_load_n(&p->refs, __ATOMIC_ACQUIRE) > 1) {
		c = page_new(p->mask + 1);
		memcpy(c->claim, p->claim, (p->mask + 1) * sizeof(struct bh_addr_claim));
	} else {
		return p;
	}
	c->n = p->n;
	page_unref(p);
	return *at = c;
}

/* More and smaller pages. */
static void repartition(struct bh_addr_table *t)
{
	struct bh_addr_table *c = bh_addrs_new(t->seed, t->n);
	for (size_t i = 0; i <= t->mask; i++)
		for (uint32_t k = 0; t->page[i] && k <= t->page[i]->mask; k++) {
			const struct bh_addr_claim *from = &t->page[i]->claim[k];
			if (!from->addr.family)
				continue;
			uint64_t h = hash(c, &from->addr);
			struct bh_addr_page *p = writable(c, h);
			*slot(p, &from->addr, h) = *from;
			p->n++;
		}
	for (size_t i = 0; i <= t->mask; i++)
		page_unref(t->page[i]);
	free(t->page);
	t->page = c->page;
	t->mask = c->mask;
	free(c);
}

int32_t bh_addrs_owner(const struct bh_addr_table *t, const struct bh_addr *a)
{
	uint64_t h = hash(t, a);
	struct bh_addr_page *p = t->page[h & t->mask];
	const struct bh_addr_claim *c = p ? slot(p, a, h) : NULL;
	return c && c->addr.family ? c->owner : BH_OWNER_NONE;
}

static size_t conflicts(const struct bh_addr_claim *c)
{
	return c->owner == BH_OWNER_HOST || bh_addr_is_link_local(&c->addr) ? 0 : c->n_others;
}

/* Whether an address goes to `a` rather than to who has it: to the node; from one that is going;
 * to who was there first; else to the earlier workload. */
static bool before(
	const uint32_t *index, int32_t a, uint64_t since, const struct bh_addr_claim *has)
{
	if (a == BH_OWNER_HOST || has->owner == BH_OWNER_HOST)
		return a == BH_OWNER_HOST;
	if (index[has->owner] == BH_PLACE_NONE || since == has->since)
		return index[a] < index[has->owner];
	return since < has->since;
}

static void own_first(struct bh_addr_claim *c, uint64_t since)
{
	c->n_own = c->n_first = 1;
	c->since = since;
	c->next = BH_SINCE_UNKNOWN;
}

static void own_claim(struct bh_addr_claim *c, uint64_t since)
{
	c->n_own++;
	if (since == c->since) {
		c->n_first++;
	} else if (since < c->since) {
		c->next = c->since;
		c->since = since;
		c->n_first = 1;
	} else if (since < c->next) {
		c->next = since;
	}
}

/* −EAGAIN: who owns it now, and since when, is not to be told from here. */
static int own_release(struct bh_addr_claim *c, uint64_t since)
{
	c->n_own--;
	if (since == c->next)
		c->next = BH_SINCE_UNKNOWN;
	if (since != c->since || --c->n_first > 0 || c->n_own + c->n_others == 0)
		return 0;
	if (c->n_others || c->next == BH_SINCE_UNKNOWN)
		return -EAGAIN;
	c->since = c->next;
	c->n_first = 1;
	c->next = BH_SINCE_UNKNOWN;
	return 0;
}

int bh_addrs_claim(struct bh_addr_table *t, const struct bh_addr *a, uint64_t since, int32_t owner,
	const uint32_t *index, int32_t *ret_loser)
{
	*ret_loser = BH_OWNER_NONE;
	if (bh_addr_is_loopback(a))
		return 0;
	if (t->n > (t->mask + 1) * PER_PAGE_MAX)
		repartition(t);
	uint64_t h = hash(t, a);
	struct bh_addr_page *p = writable(t, h);
	struct bh_addr_claim *c = slot(p, a, h);
	if (!c->addr.family) {
		*c = (struct bh_addr_claim){.addr = *a, .owner = owner};
		own_first(c, since);
		p->n++;
		t->n++;
		return 0;
	}
	t->n_conflicts -= conflicts(c);
	int r = 0;
	if (c->owner == owner) {
		own_claim(c, since);
	} else if (before(index, owner, since, c)) {
		/* Some of the others' may be its own, or of somebody who comes before it when the
		 * owner is going. */
		if (owner != BH_OWNER_HOST && c->n_others)
			r = -EAGAIN;
		*ret_loser = c->owner;
		c->n_others += c->n_own;
		c->owner = owner;
		own_first(c, since);
	} else {
		c->n_others++;
	}
	t->n_conflicts += conflicts(c);
	return r;
}

void bh_addrs_uncount(struct bh_addr_table *t)
{
	t->n_conflicts = 0;
	for (size_t i = 0; i <= t->mask; i++)
		for (uint32_t k = 0; t->page[i] && k <= t->page[i]->mask; k++) {
			struct bh_addr_claim *c = &t->page[i]->claim[k];
			c->n_own = c->n_others = c->n_first = 0;
			c->next = BH_SINCE_UNKNOWN;
		}
}

void bh_addrs_count(struct bh_addr_table *t, const struct bh_addr *a, uint64_t since, int32_t owner)
{
	if (bh_addr_is_loopback(a))
		return;
	uint64_t h = hash(t, a);
	struct bh_addr_claim *c = slot(t->page[h & t->mask], a, h);
	t->n_conflicts -= conflicts(c);
	if (c->owner == owner)
		own_claim(c, since);
	else
		c->n_others++;
	t->n_conflicts += conflicts(c);
}

/* Takes a claim out of an open addressing table without leaving a gap in a chain. */
static void erase(struct bh_addr_table *t, struct bh_addr_page *p, struct bh_addr_claim *c)
{
	uint32_t gap = (uint32_t)(c - p->claim);
	for (uint32_t i = (gap + 1) & p->mask; p->claim[i].addr.family; i = (i + 1) & p->mask) {
		uint32_t home = first_slot(p, hash(t, &p->claim[i].addr));
		if (((i - home) & p->mask) < ((i - gap) & p->mask))
			continue;
		p->claim[gap] = p->claim[i];
		gap = i;
	}
	p->claim[gap] = (struct bh_addr_claim){0};
	p->n--;
	t->n--;
}

int bh_addrs_release(
	struct bh_addr_table *t, const struct bh_addr *a, uint64_t since, int32_t owner)
{
	if (bh_addr_is_loopback(a))
		return 0;
	uint64_t h = hash(t, a);
	struct bh_addr_page *p = writable(t, h);
	struct bh_addr_claim *c = slot(p, a, h);
	int r = 0;
	t->n_conflicts -= conflicts(c);
	if (c->owner != owner)
		c->n_others--;
	else
		r = own_release(c, since);
	t->n_conflicts += conflicts(c);
	if (c->n_own == 0 && c->n_others == 0)
		erase(t, p, c);
	return r;
}
