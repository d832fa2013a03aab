/* SPDX-License-Identifier: GPL-3.0-or-later */
/* One workload: making, copying, comparing, freeing. Everything in it is owned by it. */
#include <bulkhead/workload.h>

#include <errno.h>

static const char *const mode_names[] = {"learn", "audit", "enforce"};

const char *bh_mode_name(enum bh_mode m)
{
	return (size_t)m < BH_ARRAY_SIZE(mode_names) ? mode_names[m] : "unknown";
}

int bh_mode_parse(const char *s, enum bh_mode *ret)
{
	for (size_t i = 0; i < BH_ARRAY_SIZE(mode_names); i++)
		if (strcmp(mode_names[i], s) == 0) {
			*ret = (enum bh_mode)i;
			return 0;
		}
	return -EINVAL;
}

struct bh_workload *bh_workload_new(void)
{
	struct bh_workload *w = bh_xcalloc(1, sizeof(*w));
	w->refs = 1;
	return w;
}

static void copy_interface(struct bh_interface *to, const struct bh_interface *from)
{
	*to = *from;
	to->name = bh_xstrdup(from->name);
	to->host_name = bh_xstrdup(from->host_name);
	to->bridge = bh_xstrdup(from->bridge);
	to->addr =
		from->n_addrs ? bh_xmemdup(from->addr, from->n_addrs * sizeof(*from->addr)) : NULL;
	to->since =
		from->since ? bh_xmemdup(from->since, from->n_addrs * sizeof(*from->since)) : NULL;
	to->refused = from->n_refused
			      ? bh_xmemdup(from->refused, from->n_refused * sizeof(*from->refused))
			      : NULL;
}

struct bh_workload *bh_workload_copy(const struct bh_workload *w)
{
	struct bh_workload *c = bh_workload_new();
	/* Without the count, which others may be changing. */
	memcpy(&c->id, &w->id, sizeof(*w) - offsetof(struct bh_workload, id));
	c->id = bh_xstrdup(w->id);
	c->runtime = bh_xstrdup(w->runtime);
	c->name = bh_xstrdup(w->name);
	c->namespace = bh_xstrdup(w->namespace);
	bh_labels_copy(&c->labels, &w->labels);
	c->image = bh_xstrdup(w->image);
	c->digest = bh_xstrdup(w->digest);
	bh_images_copy(&c->others, &w->others);
	c->unenforceable = bh_xstrdup(w->unenforceable);
	bh_quarantine_ref(c->quarantine);
	c->iface = w->n_ifaces ? bh_xcalloc(w->n_ifaces, sizeof(*c->iface)) : NULL;
	for (size_t i = 0; i < w->n_ifaces; i++)
		copy_interface(&c->iface[i], &w->iface[i]);
	c->port = w->n_ports ? bh_xmemdup(w->port, w->n_ports * sizeof(*w->port)) : NULL;
	for (size_t i = 0; i < w->n_ports; i++)
		c->port[i].name = bh_xstrdup(w->port[i].name);
	return c;
}

struct bh_workload *bh_workload_ref(struct bh_workload *w)
{
	__atomic_add_fetch(&w->refs, 1, __ATOMIC_RELAXED);
	return w;
}

void bh_workload_unref(struct bh_workload *w)
{
	if (!w || __atomic_sub_fetch(&w->refs, 1, __ATOMIC_ACQ_REL) > 0)
		return;
	bh_workload_clear_interfaces(w);
	for (size_t i = 0; i < w->n_ports; i++)
		free(w->port[i].name);
	free(w->port);
	bh_labels_finish(&w->labels);
	free(w->id);
	free(w->runtime);
	free(w->name);
	free(w->namespace);
	free(w->image);
	free(w->digest);
	bh_images_finish(&w->others);
	free(w->unenforceable);
	bh_quarantine_unref(w->quarantine);
	free(w);
}

void bh_workload_free(struct bh_workload *w)
{
	bh_workload_unref(w);
}

struct bh_interface *bh_workload_add_interface(struct bh_workload *w)
{
	w->iface = bh_xrealloc(w->iface, w->n_ifaces + 1, sizeof(*w->iface));
	w->iface[w->n_ifaces] = (struct bh_interface){0};
	return &w->iface[w->n_ifaces++];
}

void bh_interface_add_addr(struct bh_interface *i, const struct bh_addr *a)
{
	struct bh_addr copy = *a; /* may lie in the array that moves */
	i->addr = bh_xrealloc(i->addr, i->n_addrs + 1, sizeof(*i->addr));
	if (i->since) {
		i->since = bh_xrealloc(i->since, i->n_addrs + 1, sizeof(*i->since));
		i->since[i->n_addrs] = 0;
	}
	i->addr[i->n_addrs++] = copy;
}

void bh_interface_add_addr_since(struct bh_interface *i, const struct bh_addr *a, uint64_t since)
{
	bh_interface_add_addr(i, a);
	if (!since)
		return;
	if (!i->since)
		i->since = bh_xcalloc(i->n_addrs, sizeof(*i->since));
	i->since[i->n_addrs - 1] = since;
}

uint64_t bh_interface_since(const struct bh_interface *i, size_t addr)
{
	return i->since ? i->since[addr] : 0;
}

void bh_interface_refuse(struct bh_interface *i, const struct bh_addr *a)
{
	i->refused = bh_xrealloc(i->refused, i->n_refused + 1, sizeof(*i->refused));
	i->refused[i->n_refused++] = *a;
}

void bh_workload_clear_interfaces(struct bh_workload *w)
{
	for (size_t i = 0; i < w->n_ifaces; i++) {
		free(w->iface[i].name);
		free(w->iface[i].host_name);
		free(w->iface[i].bridge);
		free(w->iface[i].addr);
		free(w->iface[i].since);
		free(w->iface[i].refused);
	}
	free(w->iface);
	w->iface = NULL;
	w->n_ifaces = 0;
}

static bool addrs_equal(const struct bh_addr *a, size_t n_a, const struct bh_addr *b, size_t n_b)
{
	return n_a == n_b && (n_a == 0 || memcmp(a, b, n_a * sizeof(*a)) == 0);
}

static bool since_equal(const struct bh_interface *a, const struct bh_interface *b)
{
	for (size_t i = 0; (a->since || b->since) && i < a->n_addrs; i++)
		if (bh_interface_since(a, i) != bh_interface_since(b, i))
			return false;
	return true;
}

static bool interface_equal(const struct bh_interface *a, const struct bh_interface *b)
{
	return bh_streq(a->name, b->name) && bh_streq(a->host_name, b->host_name) &&
	       bh_streq(a->bridge, b->bridge) && a->ifindex == b->ifindex &&
	       a->host_ifindex == b->host_ifindex && a->bridge_ifindex == b->bridge_ifindex &&
	       memcmp(a->mac, b->mac, sizeof(a->mac)) == 0 && a->mac_refused == b->mac_refused &&
	       memcmp(a->refused_mac, b->refused_mac, sizeof(a->refused_mac)) == 0 &&
	       addrs_equal(a->addr, a->n_addrs, b->addr, b->n_addrs) && since_equal(a, b) &&
	       addrs_equal(a->refused, a->n_refused, b->refused, b->n_refused);
}

static bool lists_equal(const struct bh_workload *a, const struct bh_workload *b)
{
	if (a->n_ifaces != b->n_ifaces || a->n_ports != b->n_ports)
		return false;
	for (size_t i = 0; i < a->n_ifaces; i++)
		if (!interface_equal(&a->iface[i], &b->iface[i]))
			return false;
	for (size_t i = 0; i < a->n_ports; i++)
		if (!bh_streq(a->port[i].name, b->port[i].name) ||
			a->port[i].proto != b->port[i].proto || a->port[i].port != b->port[i].port)
			return false;
	return true;
}

bool bh_workload_equal(const struct bh_workload *a, const struct bh_workload *b)
{
	return bh_streq(a->id, b->id) && bh_streq(a->runtime, b->runtime) &&
	       bh_streq(a->name, b->name) && bh_streq(a->namespace, b->namespace) &&
	       bh_streq(a->image, b->image) && bh_streq(a->digest, b->digest) &&
	       bh_streq(a->unenforceable, b->unenforceable) && a->pid == b->pid &&
	       a->netns == b->netns && a->generation == b->generation && a->mode == b->mode &&
	       bh_quarantine_equal(a->quarantine, b->quarantine) &&
	       bh_images_equal(&a->others, &b->others) && bh_labels_equal(&a->labels, &b->labels) &&
	       lists_equal(a, b);
}

bool bh_workload_governable(const struct bh_workload *w)
{
	bool veth = !w->unenforceable;
	for (size_t i = 0; i < w->n_ifaces; i++)
		veth |= w->iface[i].host_ifindex != 0;
	return veth;
}
