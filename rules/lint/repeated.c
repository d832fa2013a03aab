/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What stands twice in one rule: peers and ports that another one of the rule contains. Lists of
 * addresses may be long (somebody's feed), so ranges and ports are sorted first and swept once.
 */
#include "private.h"

/* --- ranges of addresses --- */

struct range {
	struct bh_ip_block block; /* a network of a ClusterNetworkPolicy has no exceptions */
	const struct bh_policy_peer *peer;
	size_t network; /* index in peer->network */
	size_t order;
};

/* What contains comes before what it contains, and of two alike the earlier one. */
static int range_cmp(const void *pa, const void *pb)
{
	const struct range *a = pa, *b = pb;
	int c = bh_addr_cmp(&a->block.cidr.addr, &b->block.cidr.addr);
	if (c == 0)
		c = (int)a->block.cidr.len - (int)b->block.cidr.len;
	if (c == 0 && a->block.n_except != b->block.n_except)
		c = a->block.n_except < b->block.n_except ? -1 : 1;
	return c ? c : (a->order > b->order) - (a->order < b->order);
}

static struct range *collect_ranges(const struct bh_policy_rule *r, size_t *ret_n)
{
	struct range *list = NULL;
	size_t n = 0, cap = 0;
	for (size_t i = 0; i < r->n_peers; i++) {
		const struct bh_policy_peer *p = &r->peer[i];
		if (p->block) {
			BH_GROW(list, n, cap);
			list[n] = (struct range){.block = *p->block, .peer = p, .order = n};
			n++;
		}
		for (size_t k = 0; k < p->n_networks; k++) {
			BH_GROW(list, n, cap);
			list[n] = (struct range){
				.block.cidr = p->network[k], .peer = p, .network = k, .order = n};
			n++;
		}
	}
	*ret_n = n;
	return list;
}

static char *range_name(enum bh_direction d, const struct bh_policy_rule *r, const struct range *x)
{
	return x->peer->block ? bh_xasprintf("%s[%td]", bh_lint_peers(d), x->peer - r->peer)
			      : bh_xasprintf("%s[%td].networks[%zu]", bh_lint_peers(d),
					x->peer - r->peer, x->network);
}

static void say_range(struct bh_lint *l, enum bh_direction d, const struct bh_policy_rule *r,
	const struct range *inner, const struct range *outer)
{
	char a[BH_PREFIX_STRLEN], b[BH_PREFIX_STRLEN];
	bh_autofree char *field = bh_xasprintf(".networks[%zu]", inner->network);
	bh_autofree char *name = range_name(d, r, outer);
	bool same = inner->block.cidr.len == outer->block.cidr.len;
	struct bh_lint_at at = {.direction = d,
		.rule = r,
		.peer = inner->peer,
		.field = inner->peer->block ? ".ipBlock" : field};
	bh_lint_warn(l, &at,
		inner->block.n_except ? "remove it, or the wider one: its exceptions have no effect"
				      : "remove it, or the wider one",
		"%s is %s %s (%s) already", bh_prefix_format(&inner->block.cidr, a),
		same ? "listed by" : "contained in", name, bh_prefix_format(&outer->block.cidr, b));
}

/* Ranges nest or are disjoint, so that what may contain the one at hand is a stack. */
static void repeated_ranges(struct bh_lint *l, enum bh_direction d, const struct bh_policy_rule *r)
{
	size_t n, depth = 0;
	bh_autofree struct range *list = collect_ranges(r, &n);
	bh_autofree size_t *stack = bh_xcalloc(n + 1, sizeof(*stack));
	if (n > 1)
		qsort(list, n, sizeof(*list), range_cmp);
	for (size_t i = 0; i < n; i++) {
		const struct range *outer = NULL;
		while (depth &&
			!bh_prefix_covers(&list[stack[depth - 1]].block.cidr, &list[i].block.cidr))
			depth--;
		for (size_t k = 0; k < depth && !outer && !l->exhausted; k++)
			if (bh_lint_block_covers(l, &list[stack[k]].block, &list[i].block))
				outer = &list[stack[k]];
		if (outer)
			say_range(l, d, r, &list[i], outer);
		else
			stack[depth++] = i;
	}
}

/* --- peers by selector --- */

static bool is_range(const struct bh_policy_peer *p)
{
	return p->block || p->n_networks;
}

static void repeated_peer(struct bh_lint *l, struct bh_lint_at at, size_t i)
{
	const struct bh_policy *p = l->policy;
	const struct bh_policy_rule *r = at.rule;
	const char *peers = bh_lint_peers(at.direction);
	for (size_t k = 0; k < r->n_peers && !l->exhausted; k++) {
		if (k == i || is_range(&r->peer[k]) ||
			!bh_lint_peer_covers(l, p, &r->peer[k], p, &r->peer[i]))
			continue;
		bool same = bh_lint_peer_covers(l, p, &r->peer[i], p, &r->peer[k]);
		if (same && k > i)
			continue; /* the later one is told */
		if (same)
			bh_lint_warn(l, &at, "remove it, or mend what differs from what is meant",
				"means the same as %s[%zu]", peers, k);
		else
			bh_lint_warn(l, &at, "remove it, or narrow the wider one",
				"means nobody whom %s[%zu] does not mean already", peers, k);
		return;
	}
}

/* --- ports --- */

static int port_cmp(const void *pa, const void *pb)
{
	const struct bh_policy_port *a = *(const struct bh_policy_port *const *)pa;
	const struct bh_policy_port *b = *(const struct bh_policy_port *const *)pb;
	if (a->proto != b->proto)
		return a->proto < b->proto ? -1 : 1;
	if (a->any != b->any)
		return a->any ? -1 : 1;
	int c = bh_strcmp0(a->name, b->name); /* numbers first */
	if (c)
		return c;
	if (a->first != b->first)
		return a->first < b->first ? -1 : 1;
	if (a->last != b->last)
		return a->last > b->last ? -1 : 1;
	return (a > b) - (a < b);
}

/* Sorted, what contains another one is the first of its protocol ("any port"), the one that
 * reaches furthest so far, or the first of the same name. */
static void repeated_ports(struct bh_lint *l, struct bh_lint_at at)
{
	const struct bh_policy_rule *r = at.rule;
	bh_autofree const struct bh_policy_port **port = bh_xcalloc(r->n_ports, sizeof(*port));
	const struct bh_policy_port *any = NULL, *wide = NULL;
	for (size_t i = 0; i < r->n_ports; i++)
		port[i] = &r->port[i];
	if (r->n_ports > 1)
		qsort(port, r->n_ports, sizeof(*port), port_cmp);
	for (size_t i = 0; i < r->n_ports; i++) {
		const struct bh_policy_port *outer = any && bh_lint_port_covers(any, port[i]) ? any
						     : wide && bh_lint_port_covers(wide, port[i])
							     ? wide
							     : NULL;
		if (!outer) {
			if (port[i]->any)
				any = port[i];
			else
				wide = port[i];
			continue;
		}
		at.port = port[i];
		bh_lint_warn(l, &at, "remove it, or the wider one", "%s %s[%td] already",
			bh_lint_port_covers(port[i], outer) ? "is the same as" : "is contained in",
			bh_lint_ports(l->policy), outer - r->port);
	}
}

void bh_lint_repeated(struct bh_lint *l, enum bh_direction d, const struct bh_policy_rule *r)
{
	struct bh_lint_at at = {.direction = d, .rule = r};
	repeated_ports(l, at);
	repeated_ranges(l, d, r);
	for (size_t i = 0; i < r->n_peers; i++) {
		at.peer = &r->peer[i];
		if (!is_range(at.peer))
			repeated_peer(l, at, i);
	}
}
