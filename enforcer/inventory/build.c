/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Makes one workload of the containers that share a network namespace. It is named after the
 * container that the namespace was made for (one that did not join another's), sources by rank and
 * in their order, then ids; the others add what it lacks: labels and ports, its namespace, and the
 * image where it has none, as what holds a pod's namespaces has not. Those that joined it add
 * theirs.
 */
#include "inventory/manager.h"

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

static bool has_image(const struct bh_container *c)
{
	return c->image || c->digest;
}

/* Of the first that says one. Those who joined another's namespace do not move it to theirs, unless
 * they joined what is there for nothing else. */
static char *namespace_of(const struct bh_inventory_mgr *m, struct bh_record *const *r, size_t n)
{
	const char *const *label = (const char *const *)m->namespace_label;
	char *ns = NULL;
	for (size_t i = 0; !ns && i < n; i++)
		if (i == 0 || !r[i]->container->joined || !has_image(r[0]->container))
			ns = bh_container_namespace(r[i]->container, label);
	return ns ? ns : bh_xstrdup(BH_NAMESPACE_DEFAULT);
}

static struct bh_workload *new_workload(const struct bh_container *c)
{
	struct bh_workload *w = bh_workload_new();
	w->id = bh_xstrdup(c->id);
	w->runtime = bh_xstrdup(c->runtime);
	w->name = bh_xstrdup(c->name ? c->name : c->id);
	bh_labels_copy(&w->labels, &c->labels);
	/* Last, so that a container cannot give itself another's name. A policy has to be able to
	 * say it: an engine's names may be longer than a label's value. */
	char bh_autofree *name = bh_label_value_of(w->name);
	bh_labels_set(&w->labels, "bulkhead.io/name", name);
	w->image = bh_xstrdup(c->image);
	w->digest = bh_xstrdup(c->digest);
	bh_images_copy(&w->others, &c->others);
	w->pid = c->pid;
	add_ports(w, c);
	return w;
}

/* One that did not join another's may be the same container, by another source's account. */
static void merge_images(struct bh_workload *w, const struct bh_container *c)
{
	if (!w->image && !w->digest) {
		w->image = bh_xstrdup(c->image);
		w->digest = bh_xstrdup(c->digest);
	}
	const struct bh_run_image first = {w->image, w->digest}, own = {c->image, c->digest};
	if (c->joined)
		bh_images_add(&w->others, &first, &own);
	for (size_t i = 0; i < c->others.n; i++)
		bh_images_add(&w->others, &first, &c->others.item[i]);
}

static void merge(struct bh_workload *w, const struct bh_container *c)
{
	merge_images(w, c);
	if (w->pid == 0)
		w->pid = c->pid;
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

/* What it was seen with; of MACs and addresses only what is its own. */
static void copy_interfaces(struct bh_inventory_mgr *m, const struct bh_space *s,
	struct bh_record *const *r, size_t n, struct bh_workload *w)
{
	const struct bh_workload *seen = r[0]->seen;
	for (size_t i = 0; i < seen->n_ifaces; i++) {
		const struct bh_interface *from = &seen->iface[i];
		struct bh_interface *to = bh_workload_add_interface(w);
		*to = *from;
		to->name = bh_xstrdup(from->name);
		to->host_name = bh_xstrdup(from->host_name);
		to->bridge = bh_xstrdup(from->bridge);
		to->addr = to->refused = NULL;
		to->since = NULL;
		to->n_addrs = to->n_refused = 0;
		bh_mgr_take_addrs(m, seen, i, r, n, to);
		to->mac_refused = !bh_mgr_mac_is_own(m, s, from);
		if (to->mac_refused) {
			memcpy(to->refused_mac, from->mac, sizeof(to->mac));
			memset(to->mac, 0, sizeof(to->mac));
		}
	}
}

void bh_space_forget_who(struct bh_space *s)
{
	while (s->n_who > 0)
		free(s->who[--s->n_who]);
	free(BH_TAKE_PTR(s->who));
}

static bool lives_in(const struct bh_space *s, const char *who)
{
	for (size_t i = 0; i < s->n_who; i++)
		if (strcmp(s->who[i], who) == 0)
			return true;
	return false;
}

/* A new generation when the namespace was others' before. That another source, or another container
 * in it, names the workload from now on makes it nobody else's. */
static uint64_t generation_of(
	struct bh_inventory_mgr *m, struct bh_space *s, struct bh_record *const *r, size_t n)
{
	char **who = bh_xcalloc(n, sizeof(*who));
	bool goes_on = false;
	for (size_t i = 0; i < n; i++) {
		who[i] = bh_xasprintf("%s %d", r[i]->container->id, r[i]->container->pid);
		goes_on |= lives_in(s, who[i]);
	}
	bh_space_forget_who(s);
	s->who = who;
	s->n_who = n;
	if (!goes_on)
		s->generation = ++m->generation;
	return s->generation;
}

static void add_seen(struct bh_inventory_mgr *m, struct bh_space *s, struct bh_record *const *r,
	size_t n, struct bh_workload *w)
{
	const struct bh_workload *seen = r[0]->seen;
	w->netns = seen->netns;
	w->unenforceable = bh_xstrdup(seen->unenforceable);
	if (seen->netns == bh_link_own_netns(m->link)) {
		if (!w->unenforceable)
			w->unenforceable = bh_xstrdup("shares the host's network");
		return;
	}
	copy_interfaces(m, s, r, n, w);
	w->generation = generation_of(m, s, r, n);
}

struct bh_workload *bh_mgr_make(
	struct bh_inventory_mgr *m, struct bh_space *s, struct bh_record *const *r, size_t n)
{
	struct bh_workload *w = new_workload(r[0]->container);
	w->namespace = namespace_of(m, r, n);
	if (r[0]->seen)
		add_seen(m, s, r, n, w);
	else
		w->unenforceable = bh_record_reason(r[0]);
	for (size_t i = 1; i < n; i++)
		merge(w, r[i]->container);
	return w;
}
