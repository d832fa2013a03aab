/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The rules of one direction: peers with the same ports share a rule, so that the text is as short
 * as it can be without widening anything.
 */
#include "private.h"

/* A run of edges with the same peer; their ports are sorted. */
struct peer {
	const struct bh_export_edge *edge;
	size_t n;
};

struct group {
	const struct peer *peer; /* sorted as their edges are */
	size_t n;
};

static int compare_ports(const struct peer *a, const struct peer *b)
{
	for (size_t i = 0; i < a->n && i < b->n; i++) {
		const struct bh_export_edge *x = &a->edge[i], *y = &b->edge[i];
		if (x->proto != y->proto)
			return x->proto < y->proto ? -1 : 1;
		if (x->port != y->port)
			return x->port < y->port ? -1 : 1;
	}
	return (a->n > b->n) - (a->n < b->n);
}

/* Edges lie in one sorted array, so their addresses are their order. */
static int compare_place(const struct bh_export_edge *a, const struct bh_export_edge *b)
{
	return (a > b) - (a < b);
}

static int compare_peers(const void *a, const void *b)
{
	const struct peer *x = a, *y = b;
	int r = compare_ports(x, y);
	return r ? r : compare_place(x->edge, y->edge);
}

static int compare_groups(const void *a, const void *b)
{
	const struct group *x = a, *y = b;
	return compare_place(x->peer->edge, y->peer->edge);
}

static size_t find_peers(
	const struct bh_export_edge *edge, size_t n, enum bh_direction d, struct peer *peer)
{
	size_t n_peers = 0;
	for (size_t i = 0; i < n; i++) {
		if (edge[i].direction != d || edge[i].unsayable)
			continue;
		if (n_peers && bh_export_edge_same_peer(peer[n_peers - 1].edge, &edge[i]))
			peer[n_peers - 1].n++;
		else
			peer[n_peers++] = (struct peer){&edge[i], 1};
	}
	return n_peers;
}

static size_t find_groups(struct peer *peer, size_t n, struct group *group)
{
	size_t n_groups = 0;
	qsort(peer, n, sizeof(*peer), compare_peers);
	for (size_t i = 0; i < n; i++)
		if (i && compare_ports(&peer[i - 1], &peer[i]) == 0)
			group[n_groups - 1].n++;
		else
			group[n_groups++] = (struct group){&peer[i], 1};
	qsort(group, n_groups, sizeof(*group), compare_groups);
	return n_groups;
}

/* Behind a single address, what the role knows it as; free of anything that could end a comment. */
static void put_names(const struct bh_end *role, const struct bh_prefix *p,
	const struct bh_export_opts *opts, struct bh_buf *out)
{
	const char *name[BH_EXPORT_NAMES];
	size_t n = 0;
	if (opts->evidence && opts->names && p->len == bh_addr_bits(&p->addr))
		n = opts->names(role, &p->addr, name, opts->names_arg);
	for (size_t i = 0; i < n; i++) {
		bh_autofree char *text = bh_diag_quote(name[i], strlen(name[i]));
		bh_buf_printf(out, "%s%s", i ? ", " : " # ", text);
	}
}

static void put_block(const struct bh_end *role, const struct bh_prefix *p,
	const struct bh_export_opts *opts, struct bh_buf *out)
{
	char text[BH_PREFIX_STRLEN];
	const char *quote = p->addr.family == BH_IPV6 ? "\"" : "";
	bh_prefix_format(p, text);
	bh_buf_printf(out, "    - ipBlock:\n        cidr: %s%s%s", quote, text, quote);
	put_names(role, p, opts, out);
	bh_buf_str(out, "\n");
}

static void put_peer(const struct bh_export_roles *roles, const struct bh_export_edge *e,
	const struct bh_export_opts *opts, struct bh_buf *out)
{
	if (e->peer != BH_END_ROLE) {
		put_block(roles->role[e->role].end, &e->block, opts, out);
		return;
	}
	const struct bh_export_role *own = &roles->role[e->role];
	const struct bh_export_role *peer = &roles->role[e->peer_role];
	const char *lead = "    - podSelector:";
	if (!bh_streq(own->end->namespace, peer->end->namespace)) {
		bh_buf_str(out, "    - namespaceSelector:\n        matchLabels:\n"
				"          kubernetes.io/metadata.name: ");
		bh_yaml_scalar(peer->end->namespace, out);
		bh_buf_str(out, "\n");
		lead = "      podSelector:";
	}
	bh_buf_str(out, lead);
	bh_yaml_selector(&peer->selector, 8, out);
}

static void put_group(const struct bh_export_roles *roles, const struct group *g,
	enum bh_direction d, const struct bh_export_opts *opts, struct bh_buf *out)
{
	bh_buf_str(out, d == BH_INGRESS ? "  - from:\n" : "  - to:\n");
	for (size_t i = 0; i < g->n; i++)
		put_peer(roles, g->peer[i].edge, opts, out);
	bh_buf_str(out, "    ports:\n");
	for (size_t i = 0; i < g->peer->n; i++) {
		const struct bh_export_edge *e = &g->peer->edge[i];
		bh_buf_printf(out, "    - protocol: %s\n      port: %u\n",
			e->proto == BH_TCP   ? "TCP"
			: e->proto == BH_UDP ? "UDP"
					     : "SCTP",
			e->port);
	}
}

void bh_export_put_rules(const struct bh_export_roles *roles, const struct bh_export_edge *edge,
	size_t n, enum bh_direction d, const struct bh_export_opts *opts, struct bh_buf *out)
{
	struct peer *peer = bh_xcalloc(n, sizeof(*peer));
	struct group *group = bh_xcalloc(n, sizeof(*group));
	size_t n_groups = find_groups(peer, find_peers(edge, n, d, peer), group);
	bh_buf_printf(
		out, "  %s:%s\n", d == BH_INGRESS ? "ingress" : "egress", n_groups ? "" : " []");
	for (size_t i = 0; i < n_groups; i++)
		put_group(roles, &group[i], d, opts, out);
	free(peer);
	free(group);
}
