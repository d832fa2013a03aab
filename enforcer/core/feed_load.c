/* SPDX-License-Identifier: GPL-3.0-or-later */
/* See feed_load.h. One chunk each turn of the loop. */
#include <linux/membarrier.h>
#include <sys/syscall.h>

#include "core/private.h"

#define HOSTS_A_CHUNK 8192
#define NETS_A_CHUNK 1024
#define PAUSE_MS 1 /* between chunks: what others do takes several turns of the loop */
#define AGAIN_MS 200
#define GRACE_MS 300
#define FAILED_MS 5000

static void on_timer(uv_timer_t *t);

static enum bh_feed_direction direction_of(int set)
{
	return (enum bh_feed_direction)(set / 2);
}

/* enum bh_feed_class and enum bh_feed_direction name the same three. */
static const struct bh_feed_elems *elems_of(const struct bh_feed_index *x, int set)
{
	return bh_feed_index_elems(x, (enum bh_feed_class)(set / 2));
}

static bool is_v6(int set)
{
	return set % 2;
}

static enum bh_family family_of(int set)
{
	return is_v6(set) ? BH_IPV6 : BH_IPV4;
}

static size_t n_hosts(const struct bh_feed_index *x, int set)
{
	const struct bh_feed_elems *e = elems_of(x, set);
	return is_v6(set) ? e->n_host6 : e->n_host4;
}

static bool has_set(const struct bh_feed_load *l, int set)
{
	return set < 2 || l->sets.directed;
}

void bh_core_feeds_init(struct bh_core *c)
{
	struct bh_feed_load *l = &c->feed_load;
	for (int set = 0; set < BH_FEED_SETS * 2; set++)
		l->sets.size[set / 2][set % 2] = BH_FEED_SET_MIN;
	uv_timer_init(c->loop, &l->timer);
	l->timer.data = c;
}

void bh_core_feeds_finish(struct bh_core *c)
{
	if (c->feed_load.grace)
		c->feed_load.grace->c = NULL;
	bh_feed_index_unref(c->feed_load.in_force);
	bh_feed_index_unref(c->feed_load.target);
	bh_feed_index_unref(c->feed_load.old);
	c->feed_load.in_force = c->feed_load.target = c->feed_load.old = NULL;
}

/* --- sizes --- */

static uint32_t size_for(size_t n)
{
	uint32_t size = BH_FEED_SET_MIN;
	while (size < n + n / 8 && size < 1u << 30)
		size *= 2;
	return size;
}

static bool any_directed(const struct bh_feed_index *x)
{
	for (int c = BH_FEEDS_IN; c <= BH_FEEDS_OUT; c++) {
		const struct bh_feed_elems *e = bh_feed_index_elems(x, (enum bh_feed_class)c);
		if (e->n_host4 + e->n_net4 + e->n_host6 + e->n_net6)
			return true;
	}
	return false;
}

struct bh_feed_index *bh_core_feeds_in_force(struct bh_core *c)
{
	struct bh_feed_load *l = &c->feed_load;
	if (!l->in_force) {
		l->in_force = bh_feeds_settle(c->feeds);
		l->sets.directed = any_directed(l->in_force);
		for (int set = 0; set < BH_FEED_SETS * 2; set++)
			l->sets.size[set / 2][set % 2] = size_for(n_hosts(l->in_force, set));
	}
	return bh_feed_index_ref(l->in_force);
}

size_t bh_core_feeds_bulk(struct bh_core *c, struct bh_nft_bulk ret[static BH_FEED_BULKS],
	char name[static BH_FEED_BULKS][BH_FEED_SET_NAME_MAX])
{
	const struct bh_feed_load *l = &c->feed_load;
	size_t n = 0;
	for (int set = 0; l->in_force && set < BH_FEED_SETS * 2; set++) {
		const struct bh_feed_elems *e = elems_of(l->in_force, set);
		bool v6 = is_v6(set);
		if (!has_set(l, set))
			continue;
		bh_feed_set_name(
			direction_of(set), family_of(set), l->sets.size[set / 2][v6], name[n]);
		ret[n] = (struct bh_nft_bulk){.set = name[n],
			.kind = v6 ? BH_NFT_HOST6 : BH_NFT_HOST4,
			.elem = v6 ? (void *)e->host6 : e->host4,
			.n = v6 ? e->n_host6 : e->n_host4};
		n++;
		bh_feed_set_name(direction_of(set), family_of(set), 0, name[n]);
		ret[n] = (struct bh_nft_bulk){.set = name[n],
			.kind = v6 ? BH_NFT_NET6 : BH_NFT_NET4,
			.elem = v6 ? (void *)e->net6 : e->net4,
			.n = v6 ? e->n_net6 : e->n_net4};
		n++;
	}
	return n;
}

/* --- what differs: both lists ascend --- */

#define ONLY_IN(name, type)                                                                        \
	/* At most max of b that a does not have, from *i and *j on. */                            \
	static size_t name(const type *a, size_t na, const type *b, size_t nb, size_t *i,          \
		size_t *j, type *out, size_t max)                                                  \
	{                                                                                          \
		size_t n = 0;                                                                      \
		while (*j < nb && n < max) {                                                       \
			while (*i < na && a[*i] < b[*j])                                           \
				++*i;                                                              \
			if (*i == na || a[*i] != b[*j])                                            \
				out[n++] = b[*j];                                                  \
			++*j;                                                                      \
		}                                                                                  \
		return n;                                                                          \
	}
ONLY_IN(only_in4, uint32_t)
ONLY_IN(only_in6, bh_u128)

/* Ranges to take out and to put in. What overlaps or touches changes together, in one transaction:
 * the kernel refuses overlaps, and no address may fall in between. */
#define NET_CHANGES(name, net_type)                                                                \
	struct name##_list {                                                                       \
		net_type *item;                                                                    \
		size_t n, cap;                                                                     \
	};                                                                                         \
	static void name(const net_type *a, size_t na, const net_type *b, size_t nb, size_t *i,    \
		size_t *j, struct name##_list *del, struct name##_list *add)                       \
	{                                                                                          \
		while ((*i < na || *j < nb) && del->n + add->n < NETS_A_CHUNK) {                   \
			if (*i < na && *j < nb && a[*i].first == b[*j].first &&                    \
				a[*i].last == b[*j].last) {                                        \
				++*i;                                                              \
				++*j;                                                              \
				continue;                                                          \
			}                                                                          \
			bool old = *j == nb || (*i < na && a[*i].first < b[*j].first);             \
			bh_u128 end = old ? a[*i].last : b[*j].last;                               \
			for (bool more = true; more;) {                                            \
				more = false;                                                      \
				while (*i < na && a[*i].first <= end + 1) {                        \
					end = a[*i].last > end ? a[*i].last : end;                 \
					BH_GROW(del->item, del->n, del->cap);                      \
					del->item[del->n++] = a[(*i)++];                           \
					more = true;                                               \
				}                                                                  \
				while (*j < nb && b[*j].first <= end + 1) {                        \
					end = b[*j].last > end ? b[*j].last : end;                 \
					BH_GROW(add->item, add->n, add->cap);                      \
					add->item[add->n++] = b[(*j)++];                           \
					more = true;                                               \
				}                                                                  \
			}                                                                          \
		}                                                                                  \
	}
NET_CHANGES(net_changes4, struct bh_net4)
NET_CHANGES(net_changes6, struct bh_net6)

/* --- chunks: 1: sent, come again; 0: this set is done; −errno --- */

static int send_bulk(struct bh_core *c, const struct bh_nft_bulk *bulk, size_t n)
{
	struct bh_nft_error err = {0};
	int r = bh_nft_bulk_apply(c->nft, bulk, n, &err);
	if (r == 0)
		return 1;
	free(c->commit_error);
	c->commit_error = bh_xasprintf("threat feeds: %s: %s", err.object, strerror(-r));
	return r;
}

/* Hosts of `to` that `from` does not have. */
static int send_hosts(struct bh_core *c, const struct bh_feed_index *from,
	const struct bh_feed_index *to, uint32_t size, bool del)
{
	struct bh_feed_load *l = &c->feed_load;
	static const struct bh_feed_elems nothing;
	static uint32_t v4[HOSTS_A_CHUNK]; /* the loop's thread only */
	static bh_u128 v6[HOSTS_A_CHUNK];
	const struct bh_feed_elems *a = from ? elems_of(from, l->set) : &nothing;
	const struct bh_feed_elems *b = elems_of(to, l->set);
	char name[BH_FEED_SET_NAME_MAX];
	bool is6 = is_v6(l->set);
	size_t n = is6 ? only_in6(a->host6, a->n_host6, b->host6, b->n_host6, &l->i, &l->j, v6,
				 HOSTS_A_CHUNK)
		       : only_in4(a->host4, a->n_host4, b->host4, b->n_host4, &l->i, &l->j, v4,
				 HOSTS_A_CHUNK);
	if (n == 0)
		return 0;
	*(del ? &l->removed : &l->added) += n;
	bh_feed_set_name(direction_of(l->set), family_of(l->set), size, name);
	const struct bh_nft_bulk bulk = {.set = name,
		.kind = is6 ? BH_NFT_HOST6 : BH_NFT_HOST4,
		.del = del,
		.elem = is6 ? (void *)v6 : v4,
		.n = n};
	return send_bulk(c, &bulk, 1);
}

static int add_hosts(struct bh_core *c)
{
	struct bh_feed_load *l = &c->feed_load;
	uint32_t filling = l->sets.filling[l->set / 2][l->set % 2];
	uint32_t size = l->sets.size[l->set / 2][l->set % 2];
	if (!filling)
		return send_hosts(c, l->old, l->target, size, false);
	int r = l->second ? 0 : send_hosts(c, NULL, l->target, filling, false);
	if (r == 0 && !l->second) {
		l->second = true;
		l->i = l->j = 0;
	}
	return r == 0 ? send_hosts(c, l->target, l->old, filling, false) : r;
}

static int delete_hosts(struct bh_core *c)
{
	struct bh_feed_load *l = &c->feed_load;
	return l->clean ? 0
			: send_hosts(
				  c, l->target, l->old, l->sets.size[l->set / 2][l->set % 2], true);
}

static int change_nets(struct bh_core *c)
{
	struct bh_feed_load *l = &c->feed_load;
	const struct bh_feed_elems *a = elems_of(l->old, l->set), *b = elems_of(l->target, l->set);
	struct net_changes4_list del4 = {0}, add4 = {0};
	struct net_changes6_list del6 = {0}, add6 = {0};
	char name[BH_FEED_SET_NAME_MAX];
	bool is6 = is_v6(l->set);
	if (is6)
		net_changes6(a->net6, a->n_net6, b->net6, b->n_net6, &l->i, &l->j, &del6, &add6);
	else
		net_changes4(a->net4, a->n_net4, b->net4, b->n_net4, &l->i, &l->j, &del4, &add4);
	bh_feed_set_name(direction_of(l->set), family_of(l->set), 0, name);
	struct bh_nft_bulk bulk[2] = {{.set = name,
					      .kind = is6 ? BH_NFT_NET6 : BH_NFT_NET4,
					      .del = true,
					      .elem = is6 ? (void *)del6.item : del4.item,
					      .n = is6 ? del6.n : del4.n},
		{.set = name,
			.kind = is6 ? BH_NFT_NET6 : BH_NFT_NET4,
			.elem = is6 ? (void *)add6.item : add4.item,
			.n = is6 ? add6.n : add4.n}};
	l->removed += bulk[0].n;
	l->added += bulk[1].n;
	int r = bulk[0].n + bulk[1].n ? send_bulk(c, bulk, 2) : 0;
	free(del4.item);
	free(add4.item);
	free(del6.item);
	free(add6.item);
	return r;
}

/* --- the course of a load --- */

/* How many there are at the most while both are in the set. */
static size_t count_both(const struct bh_feed_index *old, const struct bh_feed_index *new, int set)
{
	const struct bh_feed_elems *a = elems_of(old, set), *b = elems_of(new, set);
	size_t i = 0, j = 0, n = n_hosts(new, set), k;
	uint32_t v4[64];
	bh_u128 v6[64];
	do {
		k = is_v6(set)
			    ? only_in6(b->host6, b->n_host6, a->host6, a->n_host6, &i, &j, v6, 64)
			    : only_in4(b->host4, b->n_host4, a->host4, a->n_host4, &i, &j, v4, 64);
		n += k;
	} while (k);
	return n;
}

/* Which sets have to be made anew; true: some have. One that is too large is so once what made it
 * large is gone from both indexes. */
static bool plan_sets(struct bh_feed_load *l)
{
	bool changed = !l->sets.directed && any_directed(l->target);
	l->sets.directed |= changed;
	for (int set = 0; set < BH_FEED_SETS * 2; set++) {
		uint32_t size = l->sets.size[set / 2][set % 2];
		size_t most = count_both(l->old, l->target, set);
		bool fits = most <= size && (size == BH_FEED_SET_MIN || most > size / 8);
		if (!has_set(l, set) || fits)
			continue;
		l->sets.filling[set / 2][set % 2] = size_for(most);
		changed = true;
	}
	return changed;
}

static void again(struct bh_core *c, uint64_t ms)
{
	uv_timer_start(&c->feed_load.timer, on_timer, ms, 0);
}

/* --- the grace period, on another thread --- */

/* This command is a synchronize_rcu(), which waits for every packet that is on its way through the
 * rules now (kernel/sched/membarrier.c). Refused with nohz_full: then time has to do. */
static void wait_grace(uv_work_t *w BH_UNUSED)
{
	if (syscall(SYS_membarrier, MEMBARRIER_CMD_GLOBAL, 0, 0) < 0)
		uv_sleep(GRACE_MS);
}

static void after_grace(uv_work_t *w, int status BH_UNUSED)
{
	struct bh_feed_grace *g = w->data;
	if (g->c) {
		g->c->feed_load.grace = NULL;
		again(g->c, 0);
	}
	free(g);
}

static void begin_grace(struct bh_core *c)
{
	struct bh_feed_grace *g = bh_xcalloc(1, sizeof(*g));
	g->work.data = g;
	g->c = c;
	c->feed_load.grace = g;
	uv_queue_work(c->loop, &g->work, wait_grace, after_grace);
}

static void begin_phase(struct bh_feed_load *l, enum bh_feed_phase phase)
{
	l->phase = phase;
	l->set = 0;
	l->i = l->j = 0;
	l->second = l->clean = false;
}

static void begin(struct bh_core *c, struct bh_feed_index *target)
{
	struct bh_feed_load *l = &c->feed_load;
	l->target = target;
	l->old = bh_feed_index_ref(l->in_force);
	l->began = uv_now(c->loop);
	l->added = l->removed = 0;
	begin_phase(l, BH_LOAD_ADD);
	if (plan_sets(l)) {
		c->options_changed = true;
		bh_core_reconcile(c);
	}
	again(c, 0);
}

static void end(struct bh_core *c)
{
	struct bh_feed_load *l = &c->feed_load;
	l->phase = BH_LOAD_IDLE;
	l->took_ms = uv_now(c->loop) - l->began;
	bh_feed_index_unref(BH_TAKE_PTR(l->target));
	bh_feed_index_unref(BH_TAKE_PTR(l->old));
	bh_core_feeds_changed(c); /* it may have changed again meanwhile */
}

void bh_core_feeds_changed(struct bh_core *c)
{
	struct bh_feed_load *l = &c->feed_load;
	if (!c->installed || c->stopping) {
		/* The first commit takes what there is then. */
		bh_feed_index_unref(BH_TAKE_PTR(l->in_force));
		bh_core_schedule(c);
		return;
	}
	if (l->phase != BH_LOAD_IDLE)
		return;
	struct bh_feed_index *x = bh_feeds_index(c->feeds);
	if (x == l->in_force)
		bh_feed_index_unref(x);
	else
		begin(c, x);
}

/* The rules ask the new sets from here on, which hold what the old ones did. */
static void switch_sets(struct bh_core *c)
{
	struct bh_feed_load *l = &c->feed_load;
	bool any = false;
	for (int set = 0; set < BH_FEED_SETS * 2; set++) {
		uint32_t *filling = &l->sets.filling[set / 2][set % 2];
		if (!*filling)
			continue;
		l->sets.size[set / 2][set % 2] = *filling;
		*filling = 0;
		any = true;
	}
	begin_phase(l, BH_LOAD_NETS);
	if (!any)
		return;
	c->options_changed = true;
	bh_core_reconcile(c);
}

/* From here on packet threads and conntrack's sweep go by the new index. */
static void publish(struct bh_core *c)
{
	struct bh_feed_load *l = &c->feed_load;
	bh_feed_index_unref(l->in_force);
	l->in_force = bh_feed_index_ref(l->target);
	begin_phase(l, BH_LOAD_DELETE);
	bh_core_reconcile(c);
	bh_core_revoke(c);
	bh_core_lookback_start(c, l->old);
}

/* A set that is to be filled is made by a commit, which can be late. */
static bool sets_are_there(const struct bh_core *c)
{
	const struct bh_feed_load *l = &c->feed_load;
	char name[BH_FEED_SET_NAME_MAX];
	for (int set = 0; set < BH_FEED_SETS * 2; set++) {
		uint32_t filling = l->sets.filling[set / 2][set % 2];
		if (!has_set(l, set))
			continue;
		bh_feed_set_name(direction_of(set), family_of(set), filling, name);
		if (!bh_ruleset_find_set(c->installed, name))
			return false;
	}
	return true;
}

static int one_chunk(struct bh_core *c)
{
	struct bh_feed_load *l = &c->feed_load;
	if (!has_set(l, l->set))
		return 0;
	switch (l->phase) {
	case BH_LOAD_ADD:
		return add_hosts(c);
	case BH_LOAD_NETS:
		return change_nets(c);
	case BH_LOAD_DELETE:
		return delete_hosts(c);
	default:
		return 0;
	}
}

static void next_set(struct bh_core *c)
{
	struct bh_feed_load *l = &c->feed_load;
	l->i = l->j = 0;
	l->second = false;
	if (++l->set < BH_FEED_SETS * 2)
		return;
	if (l->phase == BH_LOAD_ADD)
		switch_sets(c);
	else if (l->phase == BH_LOAD_NETS)
		publish(c);
	else
		end(c);
}

static void on_timer(uv_timer_t *t)
{
	struct bh_core *c = t->data;
	struct bh_feed_load *l = &c->feed_load;
	if (l->phase == BH_LOAD_IDLE || c->stopping || l->grace)
		return;
	bool waits = c->options_changed || !sets_are_there(c) ||
		     (l->phase == BH_LOAD_DELETE && c->snap->feeds != l->in_force);
	if (waits) {
		again(c, AGAIN_MS);
		return;
	}
	int r = 0;
	bool next = false;
	while (r == 0 && !next && l->phase != BH_LOAD_IDLE) {
		enum bh_feed_phase phase = l->phase;
		r = one_chunk(c);
		if (r == 0)
			next_set(c);
		next = l->phase != phase;
	}
	if (l->phase == BH_LOAD_IDLE)
		return;
	/* What the kernel holds is not what we think: make it whole, which begins this anew. */
	if (r < 0)
		again(c, bh_core_rebuild(c) < 0 ? FAILED_MS : AGAIN_MS);
	else if (next)
		begin_grace(c);
	else
		again(c, PAUSE_MS);
}

void bh_core_feeds_rebuilt(struct bh_core *c)
{
	struct bh_feed_load *l = &c->feed_load;
	if (l->phase == BH_LOAD_ADD || l->phase == BH_LOAD_NETS)
		begin_phase(l, BH_LOAD_ADD); /* the sets hold what is in force and no more */
	else if (l->phase == BH_LOAD_DELETE)
		l->clean = true;
}
