/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The world of a state: namespaces, workloads, nodes and outside addresses become a sealed
 * inventory and a list of further ends. Names are sorted before they are added, because the
 * inventory inserts in order: a hostile file must not make it move everything each time.
 */
#include "private.h"

#define MAX_NODES 5000
#define MAX_NETWORKS 1000
#define NODE_COST 10 /* the inventory searches them one by one */

struct claim { /* whose is this address? */
	struct bh_addr addr;
	const struct bh_workload *owner;
	const struct bh_node *where;
};

struct world {
	struct loader *l;
	const struct sections *s;
	struct bh_scenario_state *st;
	enum bh_mode mode;
	struct claim *claim;
	size_t n_claims, cap_claims;
	struct scenario_name *ns;
	size_t n_ns, cap_ns;
};

void scenario_add_end(
	struct bh_scenario_state *st, char *name, struct bh_addr *addr, size_t n_addrs)
{
	/* Grown at powers of two: the capacity is not kept. */
	if ((st->n_ends & (st->n_ends - 1)) == 0)
		st->end = bh_xrealloc(st->end, st->n_ends ? st->n_ends * 2 : 1, sizeof(*st->end));
	st->end[st->n_ends++] = (struct bh_scenario_end){name, addr, n_addrs};
}

/* --- nodes and the host --- */

static void read_node(struct world *w, const struct scenario_name *node)
{
	static const char *const known[] = {"labels", "ips", "local", NULL};
	struct loader *l = w->l;
	struct bh_labels labels = {0};
	bool local = false;
	size_t n = 0;
	if (!scenario_spend(l, node->key, NODE_COST) ||
		bh_read_map(&l->r, node->value, "nodes") < 0)
		return;
	bh_read_known_keys(&l->r, node->value, "nodes", known);
	scenario_read_labels(l, bh_node_get(node->value, "labels"), "nodes.labels", &labels);
	if (bh_node_get(node->value, "local"))
		bh_read_bool(&l->r, bh_node_get(node->value, "local"), "nodes.local", &local);
	const struct bh_node *ips = bh_node_get(node->value, "ips");
	struct bh_addr *a =
		bh_node_is_null(ips) ? NULL : scenario_read_addrs(l, ips, "nodes.ips", false, &n);
	bh_inventory_add_node(w->st->inv, node->name, &labels, a, n);
	for (size_t i = 0; local && i < n; i++)
		bh_inventory_add_host(w->st->inv, &a[i]);
	free(a);
	bh_labels_finish(&labels);
}

static void read_nodes(struct world *w)
{
	size_t n;
	struct scenario_name *list = scenario_sorted_names(w->l, w->s->nodes, "nodes", &n);
	if (n > MAX_NODES)
		bh_read_error(
			&w->l->r, w->s->nodes, "nodes", NULL, "more than %d nodes", MAX_NODES);
	for (size_t i = 0; n <= MAX_NODES && i < n; i++)
		read_node(w, &list[i]);
	free(list);
}

static void read_host(struct world *w)
{
	size_t n;
	if (bh_node_is_null(w->s->host))
		return;
	struct bh_addr *a = scenario_read_addrs(w->l, w->s->host, "hostAddresses", false, &n);
	for (size_t i = 0; i < n; i++)
		bh_inventory_add_host(w->st->inv, &a[i]);
	free(a);
}

static void read_network(struct world *w, const struct bh_node *n)
{
	const char *text;
	struct bh_prefix p;
	if (bh_read_string(&w->l->r, n, "networks[]", &text) < 0)
		return;
	if (bh_prefix_parse(text, &p) == 0)
		bh_inventory_add_network(w->st->inv, &p);
	else
		bh_read_error(&w->l->r, n, "networks[]", "such as 10.0.0.0/24",
			"not a network in CIDR form");
}

static void read_networks(struct world *w)
{
	const struct bh_node *seq = w->s->networks;
	if (bh_node_is_null(seq) || bh_read_seq(&w->l->r, seq, "networks") < 0)
		return;
	if (seq->n > MAX_NETWORKS)
		bh_read_error(
			&w->l->r, seq, "networks", NULL, "more than %d networks", MAX_NETWORKS);
	for (size_t i = 0; seq->n <= MAX_NETWORKS && i < seq->n; i++)
		read_network(w, seq->child[i]);
}

/* --- workloads --- */

static void claim(struct world *w, const struct bh_workload *wl, const struct bh_node *where)
{
	for (size_t i = 0; i < wl->n_ifaces; i++)
		for (size_t k = 0; k < wl->iface[i].n_addrs; k++) {
			/* Every link has the same ones. */
			if (bh_addr_is_link_local(&wl->iface[i].addr[k]))
				continue;
			BH_GROW(w->claim, w->n_claims, w->cap_claims);
			w->claim[w->n_claims++] = (struct claim){wl->iface[i].addr[k], wl, where};
		}
}

static bool contains(const struct bh_addr *list, size_t n, const struct bh_addr *a)
{
	for (size_t i = 0; i < n; i++)
		if (bh_addr_eq(&list[i], a))
			return true;
	return false;
}

static bool is_other_node(const struct bh_inventory *inv, const struct bh_addr *a)
{
	for (size_t i = 0; i < inv->n_nodes; i++)
		if (contains(inv->node[i].addr, inv->node[i].n_addrs, a))
			return !contains(inv->host, inv->n_hosts, a);
	return false;
}

/* What shares the host's network is an end with the addresses given, else with the node's. Given
 * ones are the node's, unless they are said to be another node's. */
static void add_host_workload(
	struct world *w, const struct bh_workload *wl, struct workload_host *host)
{
	struct bh_inventory *inv = w->st->inv;
	if (host->n == 0) {
		free(host->addr);
		host->n = inv->n_hosts < MAX_ADDRS ? inv->n_hosts : MAX_ADDRS;
		host->addr = bh_xmemdup(inv->host, host->n * sizeof(*inv->host));
	}
	for (size_t i = 0; i < host->n; i++)
		if (!contains(inv->host, inv->n_hosts, &host->addr[i]) &&
			!is_other_node(inv, &host->addr[i]))
			bh_inventory_add_host(inv, &host->addr[i]);
	scenario_add_end(
		w->st, bh_xasprintf("%s/%s", wl->namespace, wl->name), host->addr, host->n);
	*host = (struct workload_host){0};
}

static void read_workload(struct world *w, const struct bh_node *n)
{
	struct workload_host host = {0};
	if (!scenario_spend(w->l, n, 1))
		return;
	struct bh_workload *wl = scenario_read_workload(w->l, n, w->mode, &host);
	if (!wl)
		return;
	/* Costs a walk over the host's and the nodes' addresses. */
	if (host.is && scenario_spend(w->l, n, 1 + (w->st->inv->n_nodes + w->st->inv->n_hosts) / 8))
		add_host_workload(w, wl, &host);
	free(host.addr);
	claim(w, wl, n);
	BH_GROW(w->ns, w->n_ns, w->cap_ns);
	w->ns[w->n_ns++] = (struct scenario_name){.name = wl->namespace};
	bh_inventory_add(w->st->inv, wl);
}

struct place { /* a workload and where it stands */
	const struct bh_workload *w;
	const struct bh_node *n;
};

static int place_cmp(const void *pa, const void *pb)
{
	const struct place *a = pa, *b = pb;
	int c = strcmp(a->w->namespace, b->w->namespace);
	if (c == 0)
		c = strcmp(a->w->name, b->w->name);
	if (c == 0)
		c = a->n->line - b->n->line;
	return c ? c : a->n->column - b->n->column;
}

static void check_names(struct world *w, struct place *list, size_t n)
{
	qsort(list, n, sizeof(*list), place_cmp);
	for (size_t i = 1; i < n; i++) {
		const struct bh_workload *a = list[i - 1].w, *b = list[i].w;
		if (!bh_streq(a->namespace, b->namespace) || !bh_streq(a->name, b->name))
			continue;
		bh_autofree char *ns = bh_diag_quote(b->namespace, strlen(b->namespace));
		bh_autofree char *name = bh_diag_quote(b->name, strlen(b->name));
		bh_read_error(&w->l->r, list[i].n, "workloads[]", NULL,
			"%s/%s is there already, in line %d", ns, name, list[i - 1].n->line);
	}
}

static int claim_cmp(const void *pa, const void *pb)
{
	const struct claim *a = pa, *b = pb;
	int c = bh_addr_cmp(&a->addr, &b->addr);
	if (c == 0)
		c = a->where->line - b->where->line;
	return c ? c : a->where->column - b->where->column;
}

static void check_addresses(struct world *w)
{
	char text[BH_ADDR_STRLEN];
	if (w->n_claims)
		qsort(w->claim, w->n_claims, sizeof(*w->claim), claim_cmp);
	for (size_t i = 0; i < w->n_claims; i++) {
		const struct claim *c = &w->claim[i];
		if (bh_inventory_owner(w->st->inv, &c->addr) == BH_OWNER_HOST)
			bh_read_error(&w->l->r, c->where, "workloads[]",
				"hostNetwork: true if it shares the host's network",
				"%s is the node's own address", bh_addr_format(&c->addr, text));
		if (i == 0 || !bh_addr_eq(&c[-1].addr, &c->addr))
			continue;
		bh_read_error(&w->l->r, c->where, "workloads[]", NULL,
			"%s is the address of the workload in line %d too",
			bh_addr_format(&c->addr, text), c[-1].where->line);
	}
}

static void read_mode(struct world *w)
{
	const char *text;
	w->mode = BH_MODE_ENFORCE;
	if (bh_node_is_null(w->s->mode) || bh_read_string(&w->l->r, w->s->mode, "mode", &text) < 0)
		return;
	if (bh_mode_parse(text, &w->mode) < 0)
		bh_read_error(
			&w->l->r, w->s->mode, "mode", "learn, audit or enforce", "unknown mode");
}

static struct place *read_workloads(struct world *w, size_t *ret_n)
{
	const struct bh_node *seq = w->s->workloads;
	*ret_n = 0;
	if (bh_node_is_null(seq) || bh_read_seq(&w->l->r, seq, "workloads") < 0)
		return NULL;
	struct place *list = bh_xcalloc(seq->n, sizeof(*list));
	for (size_t i = 0; i < seq->n && !w->l->broke; i++) {
		size_t before = w->st->inv->n;
		read_workload(w, seq->child[i]);
		if (w->st->inv->n > before)
			list[(*ret_n)++] =
				(struct place){w->st->inv->workload[before], seq->child[i]};
	}
	return list;
}

/* --- namespaces --- */

static const char implied[] = "kubernetes.io/metadata.name";

static void add_namespace(struct world *w, const struct scenario_name *ns)
{
	struct bh_labels labels = {0};
	scenario_read_labels(w->l, ns->value, "namespaces", &labels);
	const char *own = bh_labels_get(&labels, implied);
	if (own && !bh_streq(own, ns->name))
		bh_read_error(&w->l->r, bh_node_get(ns->value, implied), "namespaces",
			"the namespace's own name, or leave it out",
			"kubernetes.io/metadata.name of one namespace is the name of another");
	bh_inventory_add_namespace(w->st->inv, ns->name, &labels);
	bh_labels_finish(&labels);
}

static void read_namespaces(struct world *w)
{
	size_t n;
	struct scenario_name *list =
		scenario_sorted_names(w->l, w->s->namespaces, "namespaces", &n);
	for (size_t i = 0; i < n; i++) {
		BH_GROW(w->ns, w->n_ns, w->cap_ns);
		w->ns[w->n_ns++] = list[i];
	}
	free(list);
	if (w->n_ns)
		qsort(w->ns, w->n_ns, sizeof(*w->ns), scenario_name_cmp);
	for (size_t i = 0; i < w->n_ns; i++)
		if (i == 0 || !bh_streq(w->ns[i - 1].name, w->ns[i].name))
			if (scenario_spend(w->l, w->ns[i].key, 1))
				add_namespace(w, &w->ns[i]);
}

/*
 * A scenario lists a namespace's labels completely, the inventory implies metadata.name. Take it
 * away again where the scenario does not have it, so that policies see what is written.
 */
static void trim_namespaces(struct world *w)
{
	struct bh_inventory *inv = w->st->inv;
	for (size_t i = 0, k = 0; i < inv->n_ns; i++) {
		while (k < w->n_ns && strcmp(w->ns[k].name, inv->ns[i].name) < 0)
			k++;
		const struct scenario_name *ns = k < w->n_ns ? &w->ns[k] : NULL;
		if (ns && ns->key && bh_streq(ns->name, inv->ns[i].name) &&
			!bh_node_get(ns->value, implied))
			bh_labels_remove(&inv->ns[i].labels, implied);
	}
}

/* --- outside --- */

static void read_externals(struct world *w)
{
	size_t n;
	struct scenario_name *list = scenario_sorted_names(w->l, w->s->external, "external", &n);
	for (size_t i = 0; i < n; i++) {
		size_t n_addrs;
		if (!scenario_spend(w->l, list[i].key, 1))
			break;
		struct bh_addr *a =
			scenario_read_addrs(w->l, list[i].value, "external", false, &n_addrs);
		scenario_add_end(w->st, bh_xasprintf("external:%s", list[i].name), a, n_addrs);
	}
	free(list);
}

static int end_cmp(const void *a, const void *b)
{
	return strcmp(((const struct bh_scenario_end *)a)->name,
		((const struct bh_scenario_end *)b)->name);
}

void scenario_read_world(struct loader *l, const struct sections *s, struct bh_scenario_state *st)
{
	struct world w = {.l = l, .s = s, .st = st};
	size_t n;
	st->inv = bh_inventory_new();
	read_mode(&w);
	read_nodes(&w);
	read_host(&w);
	read_networks(&w);
	struct place *list = read_workloads(&w, &n);
	read_namespaces(&w);
	bh_inventory_seal(st->inv);
	trim_namespaces(&w);
	if (list)
		check_names(&w, list, n);
	check_addresses(&w);
	read_externals(&w);
	if (st->n_ends)
		qsort(st->end, st->n_ends, sizeof(*st->end), end_cmp);
	free(list);
	free(w.claim);
	free(w.ns);
}
