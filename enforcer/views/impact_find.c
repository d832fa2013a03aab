/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Gathering of whoever had to do with addresses, an image or a digest. See impact.h. */
#include "core/state.h"
#include "feeds/feeds.h"
#include "flows/flows.h"
#include "history/history.h"
#include "inventory/idmap.h"
#include "store/store.h"
#include "views/filter.h"
#include "views/impact.h"
#include "views/json.h"

#define IMAGES_MAX 10000 /* distinct references that are looked at */

void bh_impact_init(struct bh_impact *x, struct bh_core *c)
{
	*x = (struct bh_impact){.c = c, .owners = json_array(), .budget = BH_IMPACT_ROWS};
	bh_core_history_save(c);
	bh_core_flows_save(c);
}

static void finish_peer(struct bh_impact_peer *p)
{
	free(p->name);
	free(p->addr);
	free(p->verdict);
}

void bh_impact_finish(struct bh_impact *x)
{
	for (size_t i = 0; i < x->n; i++) {
		for (size_t k = 0; k < x->end[i].n_peers; k++)
			finish_peer(&x->end[i].peer[k]);
		free(x->end[i].name);
		free(x->end[i].id);
	}
	free(x->end);
	bh_idmap_finish(&x->by_key, NULL);
	json_decref(x->owners);
}

/* NULL: there are too many. */
static struct bh_impact_end *end_of(
	struct bh_impact *x, uint64_t stay, const char *id, const char *name)
{
	/* Without a stay (of before they were kept): the id, or whatever it is called. */
	char bh_autofree *key = stay ? bh_xasprintf("#%llu", (unsigned long long)stay)
				     : bh_xasprintf("%s %s", id ? id : "", name);
	size_t at = (size_t)(uintptr_t)bh_idmap_get(&x->by_key, key);
	if (at)
		return &x->end[at - 1];
	if (x->n == BH_IMPACT_ENDS) {
		x->truncated = true;
		return NULL;
	}
	BH_GROW(x->end, x->n, x->cap);
	x->end[x->n++] = (struct bh_impact_end){
		.stay = stay, .id = bh_xstrdup(id), .name = bh_xstrdup(name)};
	bh_idmap_set(&x->by_key, key, (void *)(uintptr_t)x->n);
	return &x->end[x->n - 1];
}

/* In the place of the one that was seen longest ago. */
static struct bh_impact_peer *place_for(struct bh_impact_end *e, int64_t last_seen)
{
	struct bh_impact_peer *oldest = &e->peer[0];
	if (e->n_peers < BH_IMPACT_PEERS)
		return &e->peer[e->n_peers++];
	for (size_t i = 1; i < e->n_peers; i++)
		if (e->peer[i].last_seen < oldest->last_seen)
			oldest = &e->peer[i];
	if (oldest->last_seen >= last_seen)
		return NULL;
	finish_peer(oldest);
	return oldest;
}

static void add_peer(struct bh_impact_end *e, const struct bh_flow_row *r, bool to)
{
	const char *name = to ? r->dst : r->src, *addr = to ? r->dst_addr : r->src_addr;
	for (size_t i = 0; i < e->n_peers; i++) {
		struct bh_impact_peer *p = &e->peer[i];
		if (p->to != to || p->proto != r->proto || p->port != r->port ||
			!bh_streq(p->name, name) || !bh_streq(p->addr, addr) ||
			!bh_streq(p->verdict, r->verdict))
			continue;
		p->connections += r->count;
		p->last_seen = r->last_seen > p->last_seen ? r->last_seen : p->last_seen;
		return;
	}
	struct bh_impact_peer *p = place_for(e, r->last_seen);
	if (p)
		*p = (struct bh_impact_peer){
			.to = to,
			.name = bh_xstrdup(name),
			.addr = bh_xstrdup(addr),
			.proto = r->proto,
			.port = r->port,
			.verdict = bh_xstrdup(r->verdict),
			.connections = r->count,
			.last_seen = r->last_seen,
		};
}

/* The row is about e, which was its source (to) or its destination. */
static void add_row(struct bh_impact_end *e, const struct bh_flow_row *r, bool to)
{
	if (!e)
		return;
	if (bh_streq(r->verdict, "would-deny"))
		e->would_deny += r->count;
	else if (bh_streq(r->verdict, "allow"))
		e->allowed += r->count;
	else
		e->denied += r->count;
	e->rows++;
	bh_core_volume_add(&e->volume, &r->volume, to);
	if (!e->first_seen || r->first_seen < e->first_seen)
		e->first_seen = r->first_seen;
	if (r->last_seen > e->last_seen)
		e->last_seen = r->last_seen;
	add_peer(e, r, to);
}

struct reading {
	struct bh_impact *x;
	struct bh_impact_end *of; /* NULL: whoever is at the row's other end */
	enum bh_flow_end matched;
	size_t rows;
};

static void take_row(const struct bh_flow_row *r, void *arg)
{
	struct reading *g = arg;
	bool to = g->of ? g->matched == BH_FLOW_SRC : g->matched == BH_FLOW_DST;
	g->rows++;
	if (g->of)
		add_row(g->of, r, to);
	else if (to)
		add_row(end_of(g->x, r->src_stay, r->src_id, r->src), r, true);
	else
		add_row(end_of(g->x, r->dst_stay, r->dst_id, r->dst), r, false);
}

static void spend(struct bh_impact *x, size_t rows)
{
	x->budget -= rows < x->budget ? rows : x->budget;
	x->truncated |= x->budget == 0;
}

static bool add_owner(const struct bh_stay *y, void *arg)
{
	struct bh_impact *x = arg;
	json_array_append_new(x->owners, bh_core_stay_json(y));
	if (json_array_size(x->owners) < BH_IMPACT_ENDS)
		return true;
	x->truncated = true;
	return false;
}

int bh_impact_add_range(struct bh_impact *x, const struct bh_range *range)
{
	int r = 0;
	for (int end = BH_FLOW_SRC; end <= BH_FLOW_DST && r == 0 && x->budget; end++) {
		struct reading g = {.x = x, .matched = (enum bh_flow_end)end};
		/* half of what is left for the first: neither direction hides the other */
		size_t limit = end == BH_FLOW_SRC ? (x->budget + 1) / 2 : x->budget;
		r = bh_store_flows_of_range(x->c->store, g.matched, range, limit, take_row, &g);
		x->truncated |= g.rows == limit;
		spend(x, g.rows);
	}
	if (r == 0)
		r = bh_store_stays_of_range(x->c->store, range, BH_IMPACT_ENDS, add_owner, x);
	return r;
}

/* --- feeds --- */

struct listed {
	const struct bh_feed_index *index;
	const char *feed;
	struct bh_ranges found;
};

static void match_listed(const struct bh_addr *a, void *arg)
{
	struct listed *l = arg;
	struct bh_feed_hit hit[64];
	size_t n = bh_feed_index_lookup(l->index, a, hit, BH_ARRAY_SIZE(hit));
	for (size_t i = 0; i < n; i++)
		if (bh_streq(hit[i].feed, l->feed)) {
			bh_ranges_add(&l->found, (struct bh_range){*a, *a});
			return;
		}
}

/* From the flows' side: of a million indicators hardly any is in them. */
int bh_impact_add_feed(struct bh_impact *x, const char *feed)
{
	struct listed l = {.index = x->c->snap ? x->c->snap->feeds : NULL, .feed = feed};
	int r = 0;
	for (int end = BH_FLOW_SRC; l.index && end <= BH_FLOW_DST && r == 0; end++)
		r = bh_store_list_flow_addrs(x->c->store, (enum bh_flow_end)end, match_listed, &l);
	bh_ranges_normalise(&l.found);
	for (size_t i = 0; i < l.found.n && r == 0 && x->budget; i++)
		r = bh_impact_add_range(x, &l.found.item[i]);
	bh_ranges_finish(&l.found);
	return r;
}

/* --- images --- */

struct stays {
	struct bh_impact *x;
	uint64_t *number;
	size_t n, cap;
};

static bool keep_stay(const struct bh_stay *y, void *arg)
{
	struct stays *s = arg;
	char bh_autofree *name = bh_xasprintf("%s/%s", y->namespace, y->name);
	size_t before = s->x->n;
	if (!end_of(s->x, y->number, y->id, name))
		return false;
	if (s->x->n == before)
		return true; /* by another of its references */
	BH_GROW(s->number, s->n, s->cap);
	s->number[s->n++] = y->number;
	return true;
}

static int read_flows(struct stays *s)
{
	struct bh_impact *x = s->x;
	int r = 0;
	for (size_t i = 0; i < s->n && r == 0 && x->budget; i++)
		for (int end = BH_FLOW_SRC; end <= BH_FLOW_DST && r == 0 && x->budget; end++) {
			struct reading g = {.x = x,
				.matched = (enum bh_flow_end)end,
				.of = end_of(x, s->number[i], NULL, "")};
			r = bh_store_flows_of_stay(
				x->c->store, g.matched, s->number[i], x->budget, take_row, &g);
			spend(x, g.rows);
		}
	return r;
}

struct images {
	const struct bh_image *want;
	const char *text, *digest;
	char **item;
	size_t n, cap, seen;
};

static void match_image(const char *image, void *arg)
{
	struct images *m = arg;
	m->seen++;
	bool is = m->digest ? bh_filter_digest_is(m->digest, image, NULL)
			    : bh_filter_image_is(m->want, m->text, image, NULL);
	if (!is)
		return;
	BH_GROW(m->item, m->n, m->cap);
	m->item[m->n++] = bh_xstrdup(image);
}

/* Of stays' first images and of the others. */
static int stays_of(struct bh_impact *x, enum bh_stay_by by, const char *text, struct stays *s)
{
	enum bh_stay_by other = by == BH_STAY_IMAGE ? BH_STAY_OTHER_IMAGE : BH_STAY_OTHER_DIGEST;
	int r = bh_store_list_stays(x->c->store, by, text, BH_IMPACT_ENDS + 1, keep_stay, s);
	if (r == 0)
		r = bh_store_list_stays(x->c->store, other, text, BH_IMPACT_ENDS + 1, keep_stay, s);
	return r;
}

/* Stays of every reference that means it. */
static int find_stays(struct bh_impact *x, struct images *m, struct stays *s)
{
	int r = bh_store_list_images(x->c->store, IMAGES_MAX, match_image, m);
	x->truncated |= m->seen == IMAGES_MAX;
	for (size_t i = 0; i < m->n; i++) {
		if (r == 0)
			r = stays_of(x, BH_STAY_IMAGE, m->item[i], s);
		free(m->item[i]);
	}
	free(m->item);
	return r;
}

int bh_impact_add_image(struct bh_impact *x, const struct bh_image *want, const char *text)
{
	struct images m = {.want = want, .text = text};
	struct stays s = {.x = x};
	int r = find_stays(x, &m, &s);
	/* "name@sha256:…" and an id mean what ran under whatever name, if the engine told. */
	const char *digest = want->id ? want->id : want->digest;
	if (r == 0 && digest)
		r = stays_of(x, BH_STAY_DIGEST, digest, &s);
	if (r == 0)
		r = read_flows(&s);
	free(s.number);
	return r;
}

int bh_impact_add_digest(struct bh_impact *x, const char *digest)
{
	char bh_autofree *full = strncmp(digest, "sha256:", 7) == 0
					 ? bh_xstrdup(digest)
					 : bh_xasprintf("sha256:%s", digest);
	struct images m = {.digest = full};
	struct stays s = {.x = x};
	int r = find_stays(x, &m, &s);
	if (r == 0)
		r = stays_of(x, BH_STAY_DIGEST, full, &s);
	if (r == 0)
		r = read_flows(&s);
	free(s.number);
	return r;
}
