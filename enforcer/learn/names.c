/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Names of outside addresses. */
#include "learn/names.h"

#include <sys/random.h>

#define NONE 0 /* memory that was never touched is empty */
#define ROLE_SHARE 8
#define RESAVE_US (600 * 1000000LL) /* when it was told last is kept that exactly */

struct entry {
	uint32_t role;
	struct bh_addr addr;
	char *name; /* NULL: free */
	int64_t first, last, saved; /* saved: `last` as the store has it; 0: it has none */
	bool dirty;
	uint32_t next; /* same bucket; free list */
	uint32_t older, newer; /* of the role, by when it was told */
};

struct role {
	struct bh_end end;
	uint32_t n, oldest, newest; /* n 0: free */
};

struct bh_names {
	struct bh_store *store;
	size_t max, n;
	struct entry *item; /* slots [1..used) were used once */
	uint32_t used, cap, free;
	uint32_t *bucket;
	size_t mask;
	uint64_t seed;
	struct role *role;
	size_t n_roles;
	uint32_t *dirty; /* may name slots that are clean or free by now */
	size_t n_dirty, cap_dirty;
	struct bh_name_row *gone; /* owned; to be taken out of the store */
	size_t n_gone, cap_gone;
	uint64_t evicted;
};

static uint32_t *bucket_of(const struct bh_names *n, uint32_t role, const struct bh_addr *a)
{
	uint64_t h = bh_hash(&role, sizeof(role), n->seed);
	h = bh_hash(a->b, sizeof(a->b), h);
	return &n->bucket[(h ^ h >> 32) & n->mask];
}

static struct role *find_role(const struct bh_names *n, const struct bh_end *end)
{
	for (size_t i = 0; i < n->n_roles; i++)
		if (n->role[i].n && bh_end_equal(&n->role[i].end, end))
			return &n->role[i];
	return NULL;
}

static struct role *make_role(struct bh_names *n, const struct bh_end *end)
{
	struct role *r = find_role(n, end);
	if (r)
		return r;
	for (size_t i = 0; !r && i < n->n_roles; i++)
		if (n->role[i].n == 0)
			r = &n->role[i];
	if (!r && n->n_roles == BH_NAMES_ROLES)
		return NULL;
	if (!r)
		r = &n->role[n->n_roles++];
	bh_end_finish(&r->end);
	*r = (struct role){.oldest = NONE, .newest = NONE};
	bh_end_copy(&r->end, end);
	return r;
}

/* --- a role's entries in the order of time --- */

static void unlink_time(struct bh_names *n, uint32_t i)
{
	struct entry *e = &n->item[i];
	struct role *r = &n->role[e->role];
	*(e->older == NONE ? &r->oldest : &n->item[e->older].newer) = e->newer;
	*(e->newer == NONE ? &r->newest : &n->item[e->newer].older) = e->older;
}

static void link_newest(struct bh_names *n, uint32_t i)
{
	struct entry *e = &n->item[i];
	struct role *r = &n->role[e->role];
	e->older = r->newest;
	e->newer = NONE;
	*(r->newest == NONE ? &r->oldest : &n->item[r->newest].newer) = i;
	r->newest = i;
}

/* --- entries come and go --- */

static void drop(struct bh_names *n, uint32_t i)
{
	struct entry *e = &n->item[i];
	uint32_t *at = bucket_of(n, e->role, &e->addr);
	while (*at != i)
		at = &n->item[*at].next;
	*at = e->next;
	unlink_time(n, i);
	if (e->saved && n->n_gone < n->max) {
		BH_GROW(n->gone, n->n_gone, n->cap_gone);
		struct bh_name_row *g = &n->gone[n->n_gone++];
		*g = (struct bh_name_row){.addr = e->addr, .name = BH_TAKE_PTR(e->name)};
		bh_end_copy(&g->end, &n->role[e->role].end);
	}
	n->role[e->role].n--;
	n->n--;
	free(e->name);
	*e = (struct entry){.next = n->free};
	n->free = i;
}

static struct role *largest(struct bh_names *n)
{
	struct role *most = &n->role[0];
	for (size_t i = 1; i < n->n_roles; i++)
		if (n->role[i].n > most->n)
			most = &n->role[i];
	return most;
}

static void make_room(struct bh_names *n, struct role *r)
{
	size_t share = n->max / ROLE_SHARE;
	if (r->n >= (share ? share : 1))
		drop(n, r->oldest);
	else if (n->n == n->max)
		drop(n, largest(n)->oldest);
	else
		return;
	n->evicted++;
}

static void mark_dirty(struct bh_names *n, uint32_t i)
{
	if (n->item[i].dirty)
		return;
	n->item[i].dirty = true;
	BH_GROW(n->dirty, n->n_dirty, n->cap_dirty);
	n->dirty[n->n_dirty++] = i;
}

/* The entry of that name, or NONE; then *ret_oldest is the one of the address that has to go. */
static uint32_t find(const struct bh_names *n, const struct role *r, const struct bh_addr *addr,
	const char *name, uint32_t *ret_oldest)
{
	uint32_t role = (uint32_t)(r - n->role), oldest = NONE;
	size_t same = 0;
	for (uint32_t i = *bucket_of(n, role, addr); i != NONE; i = n->item[i].next) {
		const struct entry *e = &n->item[i];
		if (e->role != role || !bh_addr_eq(&e->addr, addr))
			continue;
		if (bh_streq(e->name, name))
			return i;
		same++;
		if (oldest == NONE || e->last < n->item[oldest].last)
			oldest = i;
	}
	*ret_oldest = same >= BH_NAMES_PER_ADDR ? oldest : NONE;
	return NONE;
}

static uint32_t take_slot(struct bh_names *n)
{
	uint32_t i = n->free;
	if (i != NONE) {
		n->free = n->item[i].next;
		return i;
	}
	BH_GROW(n->item, n->used, n->cap);
	return n->used++;
}

static void insert(struct bh_names *n, struct role *r, const struct bh_name_row *row, bool stored)
{
	uint32_t i = take_slot(n), *at = bucket_of(n, (uint32_t)(r - n->role), &row->addr);
	n->item[i] = (struct entry){.role = (uint32_t)(r - n->role),
		.addr = row->addr,
		.name = bh_xstrdup(row->name),
		.first = row->first_seen,
		.last = row->last_seen,
		.saved = stored ? row->last_seen : 0,
		.next = *at};
	*at = i;
	link_newest(n, i);
	r->n++;
	n->n++;
	if (!stored)
		mark_dirty(n, i);
}

static void add(struct bh_names *n, const struct bh_name_row *row, bool stored)
{
	struct role *r = n->max ? make_role(n, &row->end) : NULL;
	uint32_t oldest;
	if (!r)
		return;
	uint32_t i = find(n, r, &row->addr, row->name, &oldest);
	if (i != NONE) {
		struct entry *e = &n->item[i];
		unlink_time(n, i);
		link_newest(n, i);
		if (row->last_seen > e->last)
			e->last = row->last_seen;
		if (e->last - e->saved > RESAVE_US)
			mark_dirty(n, i);
		return;
	}
	if (oldest != NONE) {
		drop(n, oldest);
		n->evicted++;
	} else {
		make_room(n, r);
	}
	insert(n, r, row, stored);
}

void bh_names_add(struct bh_names *n, const struct bh_end *end, const struct bh_addr *addr,
	const char *name, int64_t now)
{
	struct bh_name_row row = {.end = *end,
		.addr = *addr,
		.name = (char *)name,
		.first_seen = now,
		.last_seen = now}; /* all borrowed */
	add(n, &row, false);
}

static int compare(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

size_t bh_names_find(const struct bh_names *n, const struct bh_end *end, const struct bh_addr *addr,
	const char *ret[static BH_NAMES_PER_ADDR])
{
	const struct role *r = n->max ? find_role(n, end) : NULL;
	size_t found = 0;
	if (!r)
		return 0;
	uint32_t role = (uint32_t)(r - n->role);
	for (uint32_t i = *bucket_of(n, role, addr); i != NONE; i = n->item[i].next)
		if (n->item[i].role == role && bh_addr_eq(&n->item[i].addr, addr) &&
			found < BH_NAMES_PER_ADDR)
			ret[found++] = n->item[i].name;
	qsort(ret, found, sizeof(*ret), compare);
	return found;
}

void bh_names_forget(struct bh_names *n, const struct bh_end *end)
{
	struct role *r = n->max ? find_role(n, end) : NULL;
	while (r && r->n)
		drop(n, r->oldest);
}

/* --- the store --- */

static void load_one(const struct bh_name_row *row, void *arg)
{
	add(arg, row, true);
}

int bh_names_new(struct bh_store *store, size_t max, struct bh_names **ret)
{
	struct bh_names *n = bh_xcalloc(1, sizeof(*n));
	*n = (struct bh_names){.store = store, .max = max, .seed = BH_HASH_SEED};
	if (getrandom(&n->seed, sizeof(n->seed), GRND_NONBLOCK) != sizeof(n->seed))
		n->seed ^= (uintptr_t)n; /* early boot: the address layout will have to do */
	*ret = n;
	if (!max)
		return 0;
	for (n->mask = 255; n->mask < max; n->mask = n->mask * 2 + 1)
		;
	n->bucket = bh_xcalloc(n->mask + 1, sizeof(*n->bucket));
	n->role = bh_xcalloc(BH_NAMES_ROLES, sizeof(*n->role));
	BH_GROW(n->item, n->used, n->cap);
	n->item[n->used++] = (struct entry){0}; /* NONE */
	int r = bh_store_load_names(store, load_one, n);
	if (r < 0)
		bh_names_free(BH_TAKE_PTR(*ret));
	return r;
}

void bh_names_free(struct bh_names *n)
{
	if (!n)
		return;
	for (uint32_t i = 1; i < n->used; i++)
		free(n->item[i].name);
	for (size_t i = 0; i < n->n_roles; i++)
		bh_end_finish(&n->role[i].end);
	for (size_t i = 0; i < n->n_gone; i++) {
		bh_end_finish(&n->gone[i].end);
		free(n->gone[i].name);
	}
	free(n->item);
	free(n->bucket);
	free(n->role);
	free(n->dirty);
	free(n->gone);
	free(n);
}

static int put_all(struct bh_names *n)
{
	int r = 0;
	/* First what goes: it may have come again meanwhile. */
	for (size_t i = 0; r == 0 && i < n->n_gone; i++)
		r = bh_store_drop_name(n->store, &n->gone[i]);
	for (size_t i = 0; r == 0 && i < n->n_dirty; i++) {
		const struct entry *e = &n->item[n->dirty[i]];
		if (!e->name || !e->dirty)
			continue;
		r = bh_store_put_name(n->store, &(struct bh_name_row){.end = n->role[e->role].end,
							.addr = e->addr,
							.name = e->name,
							.first_seen = e->first,
							.last_seen = e->last});
	}
	return r;
}

int bh_names_save(struct bh_names *n)
{
	if (n->n_dirty == 0 && n->n_gone == 0)
		return 0;
	int r = put_all(n);
	int committed = bh_store_commit(n->store); /* also ends a failed transaction */
	if (r < 0 || committed < 0)
		return r < 0 ? r : committed;
	for (size_t i = 0; i < n->n_dirty; i++) {
		struct entry *e = &n->item[n->dirty[i]];
		e->dirty = false;
		e->saved = e->name ? e->last : 0;
	}
	for (size_t i = 0; i < n->n_gone; i++) {
		bh_end_finish(&n->gone[i].end);
		free(n->gone[i].name);
	}
	n->n_dirty = n->n_gone = 0;
	return 0;
}

size_t bh_names_count(const struct bh_names *n)
{
	return n->n;
}

uint64_t bh_names_evicted(const struct bh_names *n)
{
	return n->evicted;
}
