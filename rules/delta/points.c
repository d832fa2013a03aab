/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Atoms: the addresses of one party, of one family, whose workloads agree in all that any policy
 * asks of a workload (its labels, named ports) and whose addresses lie in the same blocks.
 */
#include "private.h"

struct words {
	const char **item;
	size_t n, cap;
};

struct asked {
	struct words keys, ports;
};

static int compare_words(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static void add_word(struct words *w, const char *s)
{
	BH_GROW(w->item, w->n, w->cap);
	w->item[w->n++] = s;
}

static void sort_words(struct words *w)
{
	size_t n = 0;
	if (w->n)
		qsort(w->item, w->n, sizeof(*w->item), compare_words);
	for (size_t i = 0; i < w->n; i++)
		if (n == 0 || strcmp(w->item[i], w->item[n - 1]) != 0)
			w->item[n++] = w->item[i];
	w->n = n;
}

static void add_selector(struct asked *a, const struct bh_selector *s)
{
	for (size_t i = 0; i < s->n; i++)
		add_word(&a->keys, s->req[i].key);
}

static void add_policy(struct asked *a, const struct bh_policy *p)
{
	add_selector(a, &p->pods);
	for (int d = 0; d < 2; d++)
		for (size_t i = 0; i < p->n_rules[d]; i++) {
			const struct bh_policy_rule *r = &p->rule[d][i];
			for (size_t k = 0; k < r->n_peers; k++)
				add_selector(a, &r->peer[k].pods);
			for (size_t k = 0; k < r->n_ports; k++)
				if (r->port[k].name)
					add_word(&a->ports, r->port[k].name);
		}
}

static void find_asked(const struct bh_delta_world *w, struct asked *a)
{
	for (int e = 0; e < 2; e++) {
		const struct bh_policy_set *set = bh_engine_policies(w->engine[e]);
		for (size_t i = 0; i < set->n; i++)
			add_policy(a, set->policy[i]);
	}
	sort_words(&a->keys);
	sort_words(&a->ports);
}

static bool is_asked(const struct words *w, const char *s)
{
	return s && w->n && bsearch(&s, w->item, w->n, sizeof(*w->item), compare_words);
}

static int compare_named(const void *a, const void *b)
{
	const struct bh_delta_named *x = a, *y = b;
	int r = strcmp(x->name, y->name);
	if (r == 0)
		r = (int)x->proto - (int)y->proto;
	return r ? r : (int)x->port - (int)y->port;
}

/* The named ports that some policy may ask for; sorted, unique. */
static void find_serves(
	const struct bh_workload *w, const struct asked *a, struct bh_delta_names *ret)
{
	for (size_t i = 0; i < w->n_ports; i++) {
		if (!is_asked(&a->ports, w->port[i].name))
			continue;
		BH_GROW(ret->item, ret->n, ret->cap);
		ret->item[ret->n++] =
			(struct bh_delta_named){w->port[i].name, w->port[i].proto, w->port[i].port};
	}
}

static void sort_names(struct bh_delta_names *s)
{
	size_t n = 0;
	if (s->n)
		qsort(s->item, s->n, sizeof(*s->item), compare_named);
	for (size_t i = 0; i < s->n; i++)
		if (n == 0 || compare_named(&s->item[i], &s->item[n - 1]) != 0)
			s->item[n++] = s->item[i];
	s->n = n;
}

static void workload_key(const struct bh_workload *w, const struct asked *a,
	const struct bh_delta_names *serves, struct bh_buf *key)
{
	bh_buf_printf(key, "%d%d", (int)w->mode, bh_workload_governable(w));
	for (size_t i = 0; i < a->keys.n; i++) {
		const char *value = bh_labels_get(&w->labels, a->keys.item[i]);
		bh_buf_str(key, value ? "=" : "!");
		if (value)
			bh_buf_add(key, value, strlen(value) + 1);
	}
	for (size_t i = 0; i < serves->n; i++) {
		const struct bh_delta_named *n = &serves->item[i];
		bh_buf_printf(key, "%s/%u/%u", n->name, n->proto, n->port);
		bh_buf_add(key, "", 1);
	}
}

/* Also collects what the workloads of a role serve. Returns the class of every workload. Owned. */
static uint32_t *class_workloads(struct bh_delta_world *w)
{
	size_t n = w->inv->n;
	uint32_t *class = bh_xcalloc(n, sizeof(*class));
	struct bh_buf *key = bh_xcalloc(n, sizeof(*key));
	struct asked a = {0};
	find_asked(w, &a);
	for (size_t i = 0; i < n; i++) {
		struct bh_delta_names serves = {0}, *all = &w->party[w->role[i]].serves;
		find_serves(w->inv->workload[i], &a, &serves);
		sort_names(&serves);
		workload_key(w->inv->workload[i], &a, &serves, &key[i]);
		for (size_t k = 0; k < serves.n; k++) {
			BH_GROW(all->item, all->n, all->cap);
			all->item[all->n++] = serves.item[k];
		}
		free(serves.item);
	}
	for (size_t i = 0; i < w->n_roles; i++)
		sort_names(&w->party[i].serves);
	bh_delta_rank(key, n, class);
	for (size_t i = 0; i < n; i++)
		bh_buf_finish(&key[i]);
	free(key);
	free(a.keys.item);
	free(a.ports.item);
	return class;
}

/* Policies never decide flows to these; as sources they do not exist. */
static bool is_exempt(const struct bh_inventory *inv, const struct bh_addr *a)
{
	for (size_t i = 0; i < inv->n_broadcast; i++)
		if (bh_addr_eq(&inv->broadcast[i], a))
			return true;
	return bh_addr_is_multicast(a);
}

static void add_point(struct bh_delta_world *w, size_t party, int32_t workload, uint32_t class,
	const struct bh_addr *a)
{
	if (is_exempt(w->inv, a))
		return;
	BH_GROW(w->point, w->n_points, w->cap_points);
	w->point[w->n_points++] = (struct bh_delta_point){
		.party = (uint32_t)party, .workload = workload, .addr = *a, .class = {class, 0}};
}

static void find_points(struct bh_delta_world *w)
{
	const struct bh_inventory *inv = w->inv;
	bh_autofree uint32_t *class = class_workloads(w);
	for (size_t i = 0; i < inv->n; i++)
		for (size_t f = 0; f < inv->workload[i]->n_ifaces; f++) {
			const struct bh_interface *x = &inv->workload[i]->iface[f];
			for (size_t k = 0; k < x->n_addrs; k++)
				if (bh_inventory_owner(inv, &x->addr[k]) == (int)i)
					add_point(
						w, w->role[i], (int32_t)i, class[i], &x -> addr[k]);
		}
	for (size_t i = 0; i < inv->n_hosts; i++)
		if (bh_inventory_owner(inv, &inv->host[i]) == BH_OWNER_HOST)
			add_point(w, w->n_roles, -1, 0, &inv->host[i]);
	for (size_t i = 0; i < inv->n_nodes; i++)
		for (size_t k = 0; k < inv->node[i].n_addrs; k++)
			if (bh_inventory_owner(inv, &inv->node[i].addr[k]) == BH_OWNER_NONE)
				add_point(w, w->n_roles + 1 + i, -1, 0, &inv->node[i].addr[k]);
}

#define COMPARE(a, b)                                                                              \
	do {                                                                                       \
		if ((a) != (b))                                                                    \
			return (a) < (b) ? -1 : 1;                                                 \
	} while (0)

static int compare_atoms(const struct bh_delta_point *x, const struct bh_delta_point *y)
{
	COMPARE(x->party, y->party);
	COMPARE(x->addr.family, y->addr.family);
	COMPARE(x->class[0], y -> class[0]);
	COMPARE(x->class[1], y -> class[1]);
	return 0;
}

static int compare_points(const void *a, const void *b)
{
	const struct bh_delta_point *x = a, *y = b;
	int r = compare_atoms(x, y);
	if (r)
		return r;
	COMPARE(x->workload, y->workload);
	return bh_addr_cmp(&x->addr, &y->addr);
}

static void sort_points(struct bh_delta_world *w)
{
	if (w->n_points)
		qsort(w->point, w->n_points, sizeof(*w->point), compare_points);
}

static void add_atom(struct bh_delta_world *w, const struct bh_delta_point *p, size_t n)
{
	struct bh_delta_party *to = &w->party[p->party];
	struct bh_delta_atom a = {.family = p->addr.family, .point = p, .n_points = n};
	a.example[0] = p->addr;
	a.workload[0] = p->workload;
	a.workload[1] = -1;
	for (size_t i = 1; i < n && p->workload >= 0 && !a.two; i++)
		if (p[i].workload != p->workload) {
			a.two = true;
			a.example[1] = p[i].addr;
			a.workload[1] = p[i].workload;
		}
	BH_GROW(to->atom, to->n_atoms, to->cap_atoms);
	to->atom[to->n_atoms++] = a;
}

/* By what they hold, not by the numbers of their classes. */
static int compare_first(const void *a, const void *b)
{
	const struct bh_delta_atom *x = a, *y = b;
	COMPARE(x->workload[0], y->workload[0]);
	return bh_addr_cmp(&x->example[0], &y->example[0]);
}

static void count_workloads(struct bh_delta_world *w)
{
	bh_autofree bool *seen = bh_xcalloc(w->inv->n, sizeof(*seen));
	for (size_t i = 0; i < w->n_points; i++) {
		const struct bh_delta_point *p = &w->point[i];
		if (p->workload >= 0 && !seen[p->workload]) {
			seen[p->workload] = true;
			w->party[p->party].total++;
		}
	}
}

void bh_delta_find_atoms(struct bh_delta_world *w)
{
	find_points(w);
	bh_delta_class_addresses(w);
	sort_points(w);
	count_workloads(w);
	for (size_t i = 0, end; i < w->n_points; i = end) {
		for (end = i + 1; end < w->n_points; end++)
			if (compare_atoms(&w->point[i], &w->point[end]) != 0)
				break;
		add_atom(w, &w->point[i], end - i);
	}
	for (size_t i = 0; i < w->n_parties; i++)
		if (w->party[i].n_atoms)
			qsort(w->party[i].atom, w->party[i].n_atoms, sizeof(struct bh_delta_atom),
				compare_first);
	bh_delta_find_outside(w);
}
