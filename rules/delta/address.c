/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Which addresses policies can tell apart. Those that somebody here owns are put into classes by
 * refinement: every block and node of every policy splits the classes of which it holds a part.
 * All others are cut into ranges, for each party at the bounds of its own policies' blocks.
 */
#include "private.h"

struct refinement {
	struct bh_delta_point *point;
	uint32_t *order; /* points by address */
	size_t n;
	uint32_t *covered; /* points in the block at hand */
	size_t n_covered;
	/* by class: points in it; of them in the block; where these go (0: they stay) */
	uint32_t *size, *hit, *split;
	uint32_t *touched; /* classes of which the block holds some */
	uint32_t n_classes;
};

static int compare_by_address(const void *a, const void *b, void *arg)
{
	const struct bh_delta_point *p = arg;
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
	int r = bh_addr_cmp(&p[x].addr, &p[y].addr);
	return r ? r : (x > y) - (x < y);
}

static void cover(struct refinement *r, struct bh_range x)
{
	size_t lo = 0, hi = r->n;
	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		if (bh_addr_cmp(&r->point[r->order[mid]].addr, &x.first) < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	for (; lo < r->n && bh_addr_cmp(&r->point[r->order[lo]].addr, &x.last) <= 0; lo++)
		r->covered[r->n_covered++] = r->order[lo];
}

static void refine(struct refinement *r, const struct bh_ranges *by)
{
	size_t n_touched = 0;
	r->n_covered = 0;
	for (size_t i = 0; i < by->n; i++)
		cover(r, by->item[i]);
	for (size_t i = 0; i < r->n_covered; i++) {
		uint32_t class = r->point[r->covered[i]].class[1];
		if (r->hit[class]++ == 0)
			r->touched[n_touched++] = class;
	}
	for (size_t i = 0; i < n_touched; i++)
		if (r->hit[r->touched[i]] < r->size[r->touched[i]])
			r->split[r->touched[i]] = r->n_classes++;
	for (size_t i = 0; i < r->n_covered; i++) {
		uint32_t *class = &r->point[r->covered[i]].class[1];
		if (r->split[*class])
			*class = r->split[*class];
	}
	for (size_t i = 0; i < n_touched; i++) {
		uint32_t class = r->touched[i];
		if (r->split[class]) {
			r->size[r->split[class]] = r->hit[class];
			r->size[class] -= r->hit[class];
		}
		r->split[class] = r->hit[class] = 0;
	}
}

static void refine_by_prefix(struct refinement *r, const struct bh_prefix *p)
{
	struct bh_range x = bh_prefix_range(p);
	refine(r, &(struct bh_ranges){.item = &x, .n = 1});
}

static void refine_by_block(struct refinement *r, const struct bh_ip_block *b)
{
	struct bh_ranges x = {0}, minus = {0};
	bh_ranges_add(&x, bh_prefix_range(&b->cidr));
	for (size_t i = 0; i < b->n_except; i++)
		bh_ranges_add(&minus, bh_prefix_range(&b->except[i]));
	bh_ranges_normalise(&minus);
	bh_ranges_subtract(&x, &minus);
	refine(r, &x);
	bh_ranges_finish(&x);
	bh_ranges_finish(&minus);
}

static void refine_by_policy(struct refinement *r, const struct bh_policy *p)
{
	for (int d = 0; d < 2; d++)
		for (size_t i = 0; i < p->n_rules[d]; i++)
			for (size_t k = 0; k < p->rule[d][i].n_peers; k++) {
				const struct bh_policy_peer *peer = &p->rule[d][i].peer[k];
				if (peer->block)
					refine_by_block(r, peer->block);
				for (size_t x = 0; x < peer->n_networks; x++)
					refine_by_prefix(r, &peer->network[x]);
			}
}

static void refine_by_node(struct refinement *r, const struct bh_node_info *n)
{
	struct bh_ranges x = {0};
	for (size_t i = 0; i < n->n_addrs; i++)
		bh_ranges_add(&x, (struct bh_range){n->addr[i], n->addr[i]});
	bh_ranges_normalise(&x);
	refine(r, &x);
	bh_ranges_finish(&x);
}

void bh_delta_class_addresses(struct bh_delta_world *w)
{
	size_t n = w->n_points;
	struct refinement r = {.point = w->point, .n = n, .n_classes = 1};
	r.order = bh_xcalloc(n, sizeof(*r.order));
	r.covered = bh_xcalloc(n, sizeof(*r.covered));
	r.size = bh_xcalloc(n + 1, sizeof(*r.size));
	r.hit = bh_xcalloc(n + 1, sizeof(*r.hit));
	r.split = bh_xcalloc(n + 1, sizeof(*r.split));
	r.touched = bh_xcalloc(n + 1, sizeof(*r.touched));
	for (size_t i = 0; i < n; i++)
		r.order[i] = (uint32_t)i;
	if (n)
		qsort_r(r.order, n, sizeof(*r.order), compare_by_address, w->point);
	r.size[0] = (uint32_t)n;
	for (int e = 0; e < 2; e++) {
		const struct bh_policy_set *set = bh_engine_policies(w->engine[e]);
		for (size_t i = 0; i < set->n; i++)
			refine_by_policy(&r, set->policy[i]);
	}
	for (size_t i = 0; i < w->inv->n_nodes; i++)
		refine_by_node(&r, &w->inv->node[i]);
	free(r.order);
	free(r.covered);
	free(r.size);
	free(r.hit);
	free(r.split);
	free(r.touched);
}

static void add_prefix(struct bh_ranges *r, const char *text)
{
	struct bh_prefix p;
	if (bh_prefix_parse(text, &p) == 0)
		bh_ranges_add(r, bh_prefix_range(&p));
}

void bh_delta_find_outside(struct bh_delta_world *w)
{
	static const char *const no_end[] = {
		"224.0.0.0/4", "255.255.255.255/32", "ff00::/8", "127.0.0.0/8", "::1/128"};
	const struct bh_inventory *inv = w->inv;
	struct bh_ranges taken = {0};
	for (size_t i = 0; i < BH_ARRAY_SIZE(no_end); i++)
		add_prefix(&taken, no_end[i]);
	for (size_t i = 0; i < inv->n_broadcast; i++)
		bh_ranges_add(&taken, (struct bh_range){inv->broadcast[i], inv->broadcast[i]});
	for (size_t i = 0; i < w->n_points; i++)
		bh_ranges_add(&taken, (struct bh_range){w->point[i].addr, w->point[i].addr});
	bh_ranges_normalise(&taken);
	add_prefix(&w->outside, "0.0.0.0/0");
	add_prefix(&w->outside, "::/0");
	bh_ranges_subtract(&w->outside, &taken);
	bh_ranges_finish(&taken);
}

static int compare_addrs(const void *a, const void *b)
{
	return bh_addr_cmp(a, b);
}

/* The first address outside that is not before x.first; false if it lies behind x.last. */
static bool find_example(const struct bh_ranges *outside, struct bh_range x, struct bh_addr *ret)
{
	size_t lo = 0, hi = outside->n;
	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		if (bh_addr_cmp(&outside->item[mid].last, &x.first) < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	if (lo == outside->n || bh_addr_cmp(&outside->item[lo].first, &x.last) > 0)
		return false;
	*ret = bh_addr_cmp(&outside->item[lo].first, &x.first) > 0 ? outside->item[lo].first
								   : x.first;
	return true;
}

/* A range in which nobody outside lives joins the one before it, so that what is shown has no
 * holes where there is nothing. */
static void add_segment(
	const struct bh_delta_world *w, struct bh_range x, struct bh_delta_party *ret)
{
	struct bh_delta_atom a = {.family = x.first.family, .workload = {-1, -1}, .range = x};
	struct bh_delta_atom *last = ret->n_atoms ? &ret->atom[ret->n_atoms - 1] : NULL;
	if (find_example(&w->outside, x, &a.example[0])) {
		BH_GROW(ret->atom, ret->n_atoms, ret->cap_atoms);
		ret->atom[ret->n_atoms++] = a;
	} else if (last && last->family == a.family) {
		last->range.last = x.last;
	}
}

void bh_delta_outside_of(
	const struct bh_delta_world *w, const struct bh_delta_party *p, struct bh_delta_party *ret)
{
	size_t n = 0;
	bh_autofree struct bh_addr *start = bh_xcalloc(2 * p->n_blocks + 2, sizeof(*start));
	*ret = (struct bh_delta_party){.kind = BH_DELTA_OUTSIDE};
	start[n++] = (struct bh_addr){.family = BH_IPV4};
	start[n++] = (struct bh_addr){.family = BH_IPV6};
	for (size_t i = 0; i < p->n_blocks; i++) {
		struct bh_range x = bh_prefix_range(&p->block[i]);
		start[n++] = x.first;
		if (bh_addr_next(&x.last))
			start[n++] = x.last;
	}
	qsort(start, n, sizeof(*start), compare_addrs);
	for (size_t i = 0; i < n; i++) {
		struct bh_prefix all = {{.family = start[i].family}, 0};
		struct bh_range x = {start[i], bh_prefix_range(&all).last};
		if (i + 1 < n && bh_addr_eq(&start[i], &start[i + 1]))
			continue;
		if (i + 1 < n && start[i + 1].family == start[i].family) {
			x.last = start[i + 1];
			bh_addr_prev(&x.last);
		}
		add_segment(w, x, ret);
	}
}
