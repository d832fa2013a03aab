/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Makes an inventory of all records: containers that share a network namespace become one
 * workload. It is named after the container that the namespace was made for (one that did not join
 * another's), sources in their order, then ids; the others add the labels and ports that it lacks.
 */
#include "inventory/manager.h"

struct build {
	struct bh_inventory_mgr *m;
	struct bh_inventory *inv;
	struct bh_idmap ids; /* container id → its workload */
	struct bh_idmap spaces; /* netns inode → its workload */
};

void bh_mgr_owner_free(void *owner)
{
	struct bh_mgr_owner *o = owner;
	free(o->who);
	free(o);
}

static int in_order(const void *a, const void *b)
{
	const struct bh_record *x = *(struct bh_record *const *)a;
	const struct bh_record *y = *(struct bh_record *const *)b;
	if (x->container->joined != y->container->joined)
		return x->container->joined - y->container->joined;
	if (x->source != y->source)
		return x->source < y->source ? -1 : 1;
	return strcmp(x->container->id, y->container->id);
}

static struct bh_record **all_records(struct bh_inventory_mgr *m, size_t *ret_n)
{
	size_t n = 0, at = 0;
	for (size_t i = 0; i < m->n_sources; i++)
		n += m->source[i]->records.n;
	struct bh_record **r = bh_xcalloc(n, sizeof(*r));
	for (size_t i = 0; i < m->n_sources; i++) {
		bh_autofree void *list = bh_idmap_values(&m->source[i]->records);
		memcpy(r + at, list, m->source[i]->records.n * sizeof(*r));
		at += m->source[i]->records.n;
	}
	qsort(r, n, sizeof(*r), in_order);
	*ret_n = n;
	return r;
}

static void add_ports(struct bh_workload *w, const struct bh_container *c)
{
	w->port = bh_xrealloc(w->port, w->n_ports + c->n_ports, sizeof(*w->port));
	for (size_t i = 0; i < c->n_ports; i++) {
		struct bh_named_port p = c->port[i];
		p.name = bh_xstrdup(p.name);
		w->port[w->n_ports++] = p;
	}
}

static bool has_port_name(const struct bh_workload *w, const char *name)
{
	for (size_t i = 0; i < w->n_ports; i++) {
		if (bh_streq(w->port[i].name, name))
			return true;
	}
	return false;
}

static struct bh_workload *new_workload(const struct bh_container *c)
{
	struct bh_workload *w = bh_workload_new();
	w->id = bh_xstrdup(c->id);
	w->runtime = bh_xstrdup(c->runtime);
	w->name = bh_xstrdup(c->name ? c->name : c->id);
	w->namespace = bh_container_namespace(c);
	bh_labels_copy(&w->labels, &c->labels);
	/* Last, so that a container cannot give itself another's name. */
	bh_labels_set(&w->labels, "bulkhead.io/name", w->name);
	w->image = bh_xstrdup(c->image);
	w->digest = bh_xstrdup(c->digest);
	w->pid = c->pid;
	add_ports(w, c);
	return w;
}

static void merge(struct bh_workload *w, const struct bh_container *c)
{
	for (size_t i = 0; i < c->labels.n; i++) {
		const struct bh_label *l = &c->labels.item[i];
		if (!bh_labels_get(&w->labels, l->key))
			bh_labels_set(&w->labels, l->key, l->value);
	}
	struct bh_container some = {0};
	some.port = bh_xcalloc(c->n_ports, sizeof(*some.port));
	for (size_t i = 0; i < c->n_ports; i++) {
		if (!has_port_name(w, c->port[i].name))
			some.port[some.n_ports++] = c->port[i];
	}
	add_ports(w, &some);
	free(some.port);
}

static void copy_interfaces(struct bh_workload *w, const struct bh_workload *seen)
{
	for (size_t i = 0; i < seen->n_ifaces; i++) {
		const struct bh_interface *from = &seen->iface[i];
		struct bh_interface *to = bh_workload_add_interface(w);
		*to = *from;
		to->name = bh_xstrdup(from->name);
		to->host_name = bh_xstrdup(from->host_name);
		to->bridge = bh_xstrdup(from->bridge);
		to->addr = NULL;
		to->n_addrs = 0;
		for (size_t j = 0; j < from->n_addrs; j++)
			bh_interface_add_addr(to, &from->addr[j]);
	}
}

/* The generation of a namespace: a new one when it was unknown or another's at the last build. */
static uint64_t generation_of(struct bh_inventory_mgr *m, const char *space, const char *who)
{
	struct bh_mgr_owner *o = bh_idmap_get(&m->owners, space);
	if (!o) {
		o = bh_xcalloc(1, sizeof(*o));
		bh_idmap_set(&m->owners, space, o);
	}
	if (!bh_streq(o->who, who)) {
		free(o->who);
		o->who = bh_xstrdup(who);
		o->generation = ++m->generation;
	}
	o->build = m->builds;
	return o->generation;
}

static void forget_owners(struct bh_inventory_mgr *m)
{
	struct bh_idmap kept = {0};
	for (size_t i = 0; i < m->owners.n_buckets; i++) {
		for (struct bh_idmap_slot *s = m->owners.bucket[i]; s; s = s->next) {
			struct bh_mgr_owner *o = s->value;
			if (o->build == m->builds)
				bh_idmap_set(&kept, s->key, o);
			else
				bh_mgr_owner_free(o);
		}
	}
	bh_idmap_finish(&m->owners, NULL);
	m->owners = kept;
}

/* A namespace that could be inspected. Those of the host stay one by one: they share nothing that
 * could be governed. */
static void place_seen(struct build *b, const struct bh_record *r)
{
	const struct bh_container *c = r->container;
	bool of_host = r->seen->netns == bh_link_own_netns(b->m->link);
	char space[24];
	snprintf(space, sizeof(space), "%llu", (unsigned long long)r->seen->netns);
	struct bh_workload *w = of_host ? NULL : bh_idmap_get(&b->spaces, space);
	if (w) {
		merge(w, c);
		bh_idmap_set(&b->ids, c->id, w);
		return;
	}
	w = new_workload(c);
	w->netns = r->seen->netns;
	w->unenforceable = bh_xstrdup(r->seen->unenforceable);
	if (of_host) {
		if (!w->unenforceable)
			w->unenforceable = bh_xstrdup("shares the host's network");
	} else {
		bh_autofree char *who = bh_xasprintf("%s %d", c->id, c->pid);
		copy_interfaces(w, r->seen);
		w->generation = generation_of(b->m, space, who);
		bh_idmap_set(&b->spaces, space, w);
	}
	bh_idmap_set(&b->ids, c->id, w);
	bh_inventory_add(b->inv, w);
}

/* One that could not: a container that has just died is left out until its source says so; what
 * the operator listed, and what stays like this, is shown with the reason. */
static void place_unseen(struct build *b, const struct bh_record *r)
{
	const struct bh_container *c = r->container;
	if (bh_record_failing(r) && !r->persists && !bh_streq(c->runtime, "static"))
		return;
	struct bh_workload *w = new_workload(c);
	w->unenforceable = bh_record_reason(r);
	bh_idmap_set(&b->ids, c->id, w);
	bh_inventory_add(b->inv, w);
}

static void save_host(struct bh_inventory_mgr *m, const struct bh_inventory *inv)
{
	free(m->network);
	free(m->host);
	m->network = bh_xmemdup(inv->network, inv->n_networks * sizeof(*inv->network));
	m->host = bh_xmemdup(inv->host, inv->n_hosts * sizeof(*inv->host));
	m->n_networks = inv->n_networks;
	m->n_hosts = inv->n_hosts;
}

static void restore_host(const struct bh_inventory_mgr *m, struct bh_inventory *inv)
{
	for (size_t i = 0; i < m->n_networks; i++)
		bh_inventory_add_network(inv, &m->network[i]);
	for (size_t i = 0; i < m->n_hosts; i++)
		bh_inventory_add_host(inv, &m->host[i]);
}

/* A passing fault must not make the node's own addresses strangers: the last good ones stay, the
 * tick tries again. */
static void add_host(struct build *b)
{
	struct bh_inventory_mgr *m = b->m;
	m->host_failed = bh_link_host(m->link, b->inv) < 0;
	if (m->host_failed)
		restore_host(m, b->inv);
	else
		save_host(m, b->inv);
}

struct bh_inventory *bh_inventory_mgr_build(struct bh_inventory_mgr *m)
{
	struct build b = {.m = m, .inv = bh_inventory_new()};
	uint64_t start = uv_hrtime();
	size_t n;
	struct bh_record **r = all_records(m, &n);
	m->builds++;
	for (size_t i = 0; i < n; i++) {
		if (bh_idmap_get(&b.ids, r[i]->container->id))
			continue; /* another source has it as well */
		bh_record_refresh(m, r[i]);
		if (r[i]->seen)
			place_seen(&b, r[i]);
		else
			place_unseen(&b, r[i]);
	}
	free(r);
	forget_owners(m);
	add_host(&b);
	bh_idmap_finish(&b.ids, NULL);
	bh_idmap_finish(&b.spaces, NULL);
	m->cost_ms = (uv_hrtime() - start) / 1000000;
	return b.inv;
}
