/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Who is there? Questions about existence, answered from two indexes of the inventory (label →
 * workloads, port name → workloads), because asking every workload about every peer of thousands
 * of policies would take minutes.
 */
#include "private.h"

struct by_label {
	const char *key, *value; /* borrowed */
	uint32_t workload;
};
struct by_port {
	const struct bh_named_port *port;
	uint32_t workload;
};
struct bh_lint_world {
	const struct bh_inventory *inv;
	struct by_label *label; /* sorted by key, value, workload */
	size_t n_labels;
	struct by_port *port; /* sorted by name, workload; only those that have a name */
	size_t n_ports;
	uint32_t *ns_of; /* by workload: index in inv->ns */
	bool *ns_fits; /* by namespace: scratch of the question at hand */
};

static int label_cmp(const void *pa, const void *pb)
{
	const struct by_label *a = pa, *b = pb;
	int c = strcmp(a->key, b->key);
	if (c == 0)
		c = strcmp(a->value, b->value);
	return c ? c : (a->workload > b->workload) - (a->workload < b->workload);
}

static int port_cmp(const void *pa, const void *pb)
{
	const struct by_port *a = pa, *b = pb;
	int c = strcmp(a->port->name, b->port->name);
	return c ? c : (a->workload > b->workload) - (a->workload < b->workload);
}

static void index_workload(struct bh_lint_world *w, uint32_t i)
{
	const struct bh_workload *x = w->inv->workload[i];
	const struct bh_namespace *ns = bh_inventory_namespace(w->inv, x->namespace);
	w->ns_of[i] = (uint32_t)(ns - w->inv->ns);
	for (size_t k = 0; k < x->labels.n; k++)
		w->label[w->n_labels++] =
			(struct by_label){x->labels.item[k].key, x->labels.item[k].value, i};
	for (size_t k = 0; k < x->n_ports; k++)
		if (x->port[k].name)
			w->port[w->n_ports++] = (struct by_port){&x->port[k], i};
}

struct bh_lint_world *bh_lint_world_new(const struct bh_inventory *inv)
{
	struct bh_lint_world *w = bh_xcalloc(1, sizeof(*w));
	size_t labels = 0, ports = 0;
	for (size_t i = 0; i < inv->n; i++) {
		labels += inv->workload[i]->labels.n;
		ports += inv->workload[i]->n_ports;
	}
	w->inv = inv;
	w->label = bh_xcalloc(labels + 1, sizeof(*w->label));
	w->port = bh_xcalloc(ports + 1, sizeof(*w->port));
	w->ns_of = bh_xcalloc(inv->n + 1, sizeof(*w->ns_of));
	w->ns_fits = bh_xcalloc(inv->n_ns + 1, sizeof(*w->ns_fits));
	for (size_t i = 0; i < inv->n; i++)
		index_workload(w, (uint32_t)i);
	qsort(w->label, w->n_labels, sizeof(*w->label), label_cmp);
	qsort(w->port, w->n_ports, sizeof(*w->port), port_cmp);
	return w;
}

void bh_lint_world_free(struct bh_lint_world *w)
{
	if (!w)
		return;
	free(w->label);
	free(w->port);
	free(w->ns_of);
	free(w->ns_fits);
	free(w);
}

const struct bh_inventory *bh_lint_inventory(const struct bh_lint *l)
{
	return l->world->inv;
}

/* Fills ns_fits; false when no namespace is meant. */
static bool fit_namespaces(struct bh_lint_world *w, const struct bh_lint_meant *m)
{
	bool any = false;
	for (size_t i = 0; i < w->inv->n_ns; i++) {
		const struct bh_namespace *ns = &w->inv->ns[i];
		w->ns_fits[i] = m->namespace ? bh_streq(ns->name, m->namespace)
					     : bh_selector_matches(m->namespaces, &ns->labels);
		any |= w->ns_fits[i];
	}
	return any;
}

/* The workloads that have the label: [*ret_first, return value). */
static size_t find_label(
	const struct bh_lint_world *w, const char *key, const char *value, size_t *ret_first)
{
	size_t end[2];
	for (int after = 0; after < 2; after++) {
		size_t lo = 0, hi = w->n_labels;
		while (lo < hi) {
			size_t mid = lo + (hi - lo) / 2;
			int c = strcmp(w->label[mid].key, key);
			if (c == 0)
				c = strcmp(w->label[mid].value, value);
			if (c < after)
				lo = mid + 1;
			else
				hi = mid;
		}
		end[after] = lo;
	}
	*ret_first = end[0];
	return end[1];
}

/* The In requirement that leaves the fewest workloads to ask; NULL if there is none. */
static const struct bh_requirement *narrowest(
	const struct bh_lint_world *w, const struct bh_selector *s, size_t *ret_n)
{
	const struct bh_requirement *best = NULL;
	for (size_t i = 0; i < s->n; i++) {
		size_t n = 0, first;
		if (s->req[i].op != BH_SEL_IN)
			continue;
		for (size_t v = 0; v < s->req[i].n_values; v++)
			n += find_label(w, s->req[i].key, s->req[i].value[v], &first) - first;
		if (best && n >= *ret_n)
			continue;
		best = &s->req[i];
		*ret_n = n;
	}
	return best;
}

static size_t n_values(const struct bh_selector *s)
{
	size_t n = s->n;
	for (size_t i = 0; i < s->n; i++)
		n += s->req[i].n_values;
	return n;
}

static bool fits(const struct bh_lint_world *w, const struct bh_lint_meant *m, uint32_t i)
{
	return w->ns_fits[w->ns_of[i]] &&
	       (!m->pods || bh_selector_matches(m->pods, &w->inv->workload[i]->labels));
}

static bool somebody_has(const struct bh_lint_world *w, const struct bh_lint_meant *m,
	const struct bh_requirement *in)
{
	for (size_t v = 0; v < in->n_values; v++) {
		size_t first, end = find_label(w, in->key, in->value[v], &first);
		for (; first < end; first++)
			if (fits(w, m, w->label[first].workload))
				return true;
	}
	return false;
}

enum bh_lint_who bh_lint_who(struct bh_lint *l, const struct bh_lint_meant *m)
{
	struct bh_lint_world *w = l->world;
	size_t n = w->inv->n, each = 1 + (m->pods ? m->pods->n : 0);
	const struct bh_requirement *in = NULL;

	if (!bh_lint_spend(l, w->inv->n_ns * (m->namespace ? 1 : 1 + m->namespaces->n)) ||
		!bh_lint_spend(l, m->pods ? 20 * n_values(m->pods) : 0))
		return BH_LINT_SOMEBODY;
	if (!fit_namespaces(w, m))
		return BH_LINT_NO_NAMESPACE;
	if (m->pods)
		in = narrowest(w, m->pods, &n);
	if (in && !bh_lint_spend(l, n * each))
		return BH_LINT_SOMEBODY;
	if (in)
		return somebody_has(w, m, in) ? BH_LINT_SOMEBODY : BH_LINT_NOBODY;
	for (size_t i = 0; i < w->inv->n; i++)
		if (!bh_lint_spend(l, each) || fits(w, m, (uint32_t)i))
			return BH_LINT_SOMEBODY;
	return BH_LINT_NOBODY;
}

bool bh_lint_node_exists(struct bh_lint *l, const struct bh_selector *nodes)
{
	const struct bh_inventory *inv = l->world->inv;
	for (size_t i = 0; i < inv->n_nodes; i++)
		if (!bh_lint_spend(l, 1 + nodes->n) ||
			bh_selector_matches(nodes, &inv->node[i].labels))
			return true;
	return false;
}

bool bh_lint_means(struct bh_lint *l, const struct bh_lint_meant *m, const struct bh_workload *w)
{
	const struct bh_inventory *inv = l->world->inv;
	if (m->pods && !bh_selector_matches(m->pods, &w->labels))
		return false;
	if (m->namespace)
		return bh_streq(m->namespace, w->namespace);
	return bh_selector_matches(
		m->namespaces, &bh_inventory_namespace(inv, w->namespace)->labels);
}

bool bh_lint_is_served(struct bh_lint *l, const struct bh_policy_port *port,
	bool (*is_meant)(struct bh_lint *l, const struct bh_workload *w, const void *arg),
	const void *arg)
{
	const struct bh_lint_world *w = l->world;
	size_t lo = 0, hi = w->n_ports;
	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		if (strcmp(w->port[mid].port->name, port->name) < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	for (; lo < w->n_ports && bh_streq(w->port[lo].port->name, port->name); lo++) {
		if (!bh_lint_spend(l, 4))
			return true;
		if ((!port->proto || port->proto == w->port[lo].port->proto) &&
			is_meant(l, w->inv->workload[w->port[lo].workload], arg))
			return true;
	}
	return false;
}
