/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * From tuples to edges: what each governed role must be allowed, per direction and peer. Sorting
 * the edges brings together what becomes one rule and makes the export independent of the order of
 * the tuples.
 */
#include "private.h"

static int compare_size(size_t a, size_t b)
{
	return (a > b) - (a < b);
}

static int compare_peers(const struct bh_export_edge *a, const struct bh_export_edge *b)
{
	if (a->peer != b->peer)
		return compare_size(a->peer, b->peer);
	if (a->peer == BH_END_ROLE)
		return compare_size(a->peer_role, b->peer_role);
	if (a->peer == BH_END_OTHERS)
		return a->block.addr.family - b->block.addr.family;
	if (a->peer != BH_END_ADDR)
		return 0;
	int r = bh_addr_cmp(&a->block.addr, &b->block.addr);
	return r ? r : compare_size(a->block.len, b->block.len);
}

bool bh_export_edge_same_peer(const struct bh_export_edge *a, const struct bh_export_edge *b)
{
	return compare_peers(a, b) == 0;
}

static int compare_edges(const void *a, const void *b)
{
	const struct bh_export_edge *x = a, *y = b;
	int r = compare_size(x->role, y->role);
	if (r == 0)
		r = compare_size(x->direction, y->direction);
	if (r == 0)
		r = compare_size(x->unsayable != NULL, y->unsayable != NULL);
	if (r == 0)
		r = compare_peers(x, y);
	if (r == 0)
		r = compare_size(x->proto, y->proto);
	if (r == 0)
		r = compare_size(x->port, y->port);
	return r ? r : compare_size(x->icmp_type, y->icmp_type);
}

static struct bh_prefix exact(const struct bh_addr *a)
{
	return (struct bh_prefix){.addr = *a, .len = (uint8_t)bh_addr_bits(a)};
}

static const char *check_protocol(const struct bh_tuple *t)
{
	if (t->proto != BH_TCP && t->proto != BH_UDP && t->proto != BH_SCTP)
		return "rules are about TCP, UDP and SCTP only";
	if (t->port == 0)
		return t->folded ? "of too many ports to be kept" : "it has no port";
	return NULL;
}

static void add(struct bh_export_edges *e, const struct bh_export_edge *x)
{
	BH_GROW(e->edge, e->n, e->cap);
	e->edge[e->n++] = *x;
}

/*
 * The node itself is no workload: a rule can only name its addresses, and needs to only where the
 * node is treated as outside. Its loopback addresses never show on the wire.
 */
static void add_host(
	struct bh_export_edges *e, struct bh_export_edge x, const struct bh_export_opts *opts)
{
	size_t before = e->n;
	if (!opts->host_policy)
		return;
	x.peer = BH_END_ADDR;
	for (size_t i = 0; !x.unsayable && i < opts->n_hosts; i++) {
		x.block = exact(&opts->host[i]);
		if (!bh_addr_is_loopback(&x.block.addr))
			add(e, &x);
	}
	if (e->n != before)
		return;
	x.peer = BH_END_HOST;
	if (!x.unsayable)
		x.unsayable = "the node's addresses are not known";
	add(e, &x);
}

static void add_side(struct bh_export_edges *e, const struct bh_export_roles *roles,
	const struct bh_tuple *t, enum bh_direction d, const struct bh_export_opts *opts)
{
	const struct bh_end *own = d == BH_EGRESS ? &t->src : &t->dst;
	const struct bh_end *peer = d == BH_EGRESS ? &t->dst : &t->src;
	if (own->kind != BH_END_ROLE)
		return;
	struct bh_export_edge x = {
		.role = bh_export_roles_find(roles, own),
		.direction = d,
		.unsayable = check_protocol(t),
		.peer = peer->kind,
		.proto = t->proto,
		.port = t->port,
		.icmp_type = t->icmp_type,
		.folded = t->folded,
	};
	if (peer->kind == BH_END_HOST) {
		add_host(e, x, opts);
		return;
	}
	if (peer->kind == BH_END_ROLE) {
		x.peer_role = bh_export_roles_find(roles, peer);
		if (!x.unsayable)
			x.unsayable = roles->role[x.peer_role].unsayable;
	} else if (peer->kind == BH_END_OTHERS && !t->is_widened) {
		x.block = t->span;
		if (!x.unsayable)
			x.unsayable = "too many to be kept one by one; widen them to a block";
	} else {
		x.peer = BH_END_ADDR;
		x.block = t->is_widened ? t->widened : exact(&peer->addr);
	}
	add(e, &x);
}

static bool covers(const struct bh_export_edge *wide, const struct bh_export_edge *x)
{
	return wide != x && wide->role == x->role && wide->direction == x->direction &&
	       wide->proto == x->proto && wide->port == x->port && !x->unsayable &&
	       x->peer == BH_END_ADDR && bh_prefix_covers(&wide->block, &x->block);
}

/* What a widened block has needs no rule of its own. */
static void drop_covered(struct bh_export_edges *e)
{
	const struct bh_export_edge **wide = bh_xcalloc(e->n, sizeof(*wide));
	bool *drop = bh_xcalloc(e->n, sizeof(*drop));
	size_t n_wide = 0, kept = 0;
	for (size_t i = 0; i < e->n; i++) {
		const struct bh_export_edge *x = &e->edge[i];
		if (x->peer == BH_END_ADDR && !x->unsayable &&
			x->block.len < bh_addr_bits(&x->block.addr))
			wide[n_wide++] = x;
	}
	for (size_t i = 0; i < e->n; i++)
		for (size_t k = 0; k < n_wide && !drop[i]; k++)
			drop[i] = covers(wide[k], &e->edge[i]);
	for (size_t i = 0; i < e->n; i++)
		if (!drop[i])
			e->edge[kept++] = e->edge[i];
	e->n = kept;
	free(wide);
	free(drop);
}

void bh_export_edges_init(struct bh_export_edges *e, const struct bh_export_roles *roles,
	const struct bh_tuple *tuple, size_t n_tuples, const struct bh_export_opts *opts)
{
	*e = (struct bh_export_edges){0};
	for (size_t i = 0; i < n_tuples; i++) {
		const struct bh_tuple *t = &tuple[i];
		if (!t->answered || t->review == BH_REVIEW_REJECTED)
			continue;
		if (t->egress)
			add_side(e, roles, t, BH_EGRESS, opts);
		if (t->ingress)
			add_side(e, roles, t, BH_INGRESS, opts);
	}
	size_t kept = 0;
	if (e->n)
		qsort(e->edge, e->n, sizeof(*e->edge), compare_edges);
	for (size_t i = 0; i < e->n; i++)
		if (kept == 0 || compare_edges(&e->edge[kept - 1], &e->edge[i]) != 0)
			e->edge[kept++] = e->edge[i];
	e->n = kept;
	drop_covered(e);
}

void bh_export_edges_finish(struct bh_export_edges *e)
{
	free(e->edge);
	*e = (struct bh_export_edges){0};
}
