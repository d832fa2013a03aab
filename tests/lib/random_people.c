/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Random namespaces, nodes and workloads; see random_world.h. */
#include "lib/random_private.h"

const char *const random_namespaces[3] = {"shop", "bank", "infra"};
const char *const random_keys[3] = {"app", "tier", "env"};
const char *const random_values[3] = {"a", "b", "c"};
const char *const random_port_names[3] = {"web", "dns", "metrics"};
const uint16_t random_ports[7] = {53, 80, 81, 443, 8080, 65535, 1};
static const uint8_t proto_numbers[] = {BH_TCP, BH_UDP, BH_SCTP};

static struct bh_addr parse(const char *text)
{
	struct bh_addr a = {0};
	if (bh_addr_parse(text, &a) < 0)
		abort();
	return a;
}

void random_labels(struct random_world *w, struct bh_labels *l)
{
	for (size_t i = 0; i < BH_ARRAY_SIZE(random_keys); i++)
		if (random_chance(w, 60))
			bh_labels_set(l, random_keys[i],
				random_chance(w, 8) ? "" : PICK(w, random_values));
}

static void add_addr(struct bh_interface *i, const char *fmt, unsigned a, unsigned b)
{
	char text[BH_ADDR_STRLEN];
	snprintf(text, sizeof(text), fmt, a, b);
	struct bh_addr addr = parse(text);
	bh_interface_add_addr(i, &addr);
}

void random_addrs(struct random_world *w, struct bh_workload *wl)
{
	unsigned n = (unsigned)atoi(wl->name + 1);
	bh_workload_clear_interfaces(wl);
	struct bh_interface *i = bh_workload_add_interface(wl);
	unsigned kind = random_below(w, 10);
	i->name = bh_xstrdup("eth0");
	if (kind < 8)
		add_addr(i, "10.1.%u.%u", n % 3, n + 10);
	if (kind > 2)
		add_addr(i, "fd00:1::%x:%x", n % 3, n + 10);
	if (random_chance(w, 10)) /* claimed by somebody else already, perhaps */
		add_addr(i, "10.1.%u.%u", random_below(w, 3), random_below(w, 12) + 10);
	if (random_chance(w, 5))
		add_addr(i, "10.1.%u.%u", 0, 1); /* the node's */
	if (random_chance(w, 15)) {
		i = bh_workload_add_interface(wl);
		i->name = bh_xstrdup("eth1");
		add_addr(i, "10.2.%u.%u", n % 3, n + 10);
	}
	for (unsigned k = 0; n == 3 && k < 20; k++)
		add_addr(i, "10.3.%u.%u", 0, k + 1);
}

void random_named_ports(struct random_world *w, struct bh_workload *wl)
{
	unsigned n = random_below(w, 4);
	size_t cap = 0;
	for (size_t i = 0; i < wl->n_ports; i++)
		free(wl->port[i].name);
	free(wl->port);
	wl->port = NULL;
	wl->n_ports = 0;
	for (unsigned k = 0; k < n; k++) {
		struct bh_named_port p = {
			.proto = PICK(w, proto_numbers),
			.port = PICK(w, random_ports),
			.name = random_chance(w, 85) ? bh_xstrdup(PICK(w, random_port_names))
						     : NULL,
		};
		BH_GROW(wl->port, wl->n_ports, cap);
		wl->port[wl->n_ports++] = p;
	}
}

/* The lowest number that nobody has. */
static unsigned free_number(const struct random_world *w)
{
	for (unsigned i = 0;; i++) {
		bool taken = false;
		for (size_t k = 0; k < w->n_workloads; k++)
			taken = taken || (unsigned)atoi(w->workload[k]->name + 1) == i;
		if (!taken)
			return i;
	}
}

void random_workload(struct random_world *w, unsigned one_mode)
{
	unsigned i = free_number(w);
	struct bh_workload *wl = bh_workload_new();
	wl->name = bh_xasprintf("w%u", i);
	wl->namespace = bh_xstrdup(PICK(w, random_namespaces));
	wl->id = bh_xasprintf("static:%s/%s", wl->namespace, wl->name);
	wl->runtime = bh_xstrdup("static");
	random_labels(w, &wl->labels);
	wl->mode = (enum bh_mode)(one_mode < 3 ? one_mode : random_below(w, 3));
	if (random_chance(w, 8))
		wl->unenforceable = bh_xstrdup("test");
	random_addrs(w, wl);
	/* Unenforceable with a veth left is governed all the same. */
	if (wl->unenforceable && wl->n_ifaces && random_chance(w, 50))
		wl->iface[0].host_ifindex = 1000 + i;
	random_named_ports(w, wl);
	BH_GROW(w->workload, w->n_workloads, w->cap_workloads);
	w->workload[w->n_workloads++] = wl;
}

static void add_node(struct random_world *w, const char *name, const char *const *ips)
{
	struct bh_node_info *n = &w->node[w->n_nodes++];
	size_t count = 0;
	*n = (struct bh_node_info){.name = bh_xstrdup(name)};
	random_labels(w, &n->labels);
	while (ips[count])
		count++;
	n->addr = bh_xcalloc(count, sizeof(*n->addr));
	for (; n->n_addrs < count; n->n_addrs++)
		n->addr[n->n_addrs] = parse(ips[n->n_addrs]);
}

void random_people(struct random_world *w)
{
	static const char *const here[] = {"10.1.0.1", "fd00:1::1", "192.0.2.1", NULL};
	static const char *const there[] = {"192.0.2.10", "2001:db8:aaaa::10", NULL};
	static const char *const far[] = {"198.51.100.7", NULL};
	unsigned n = 2 + random_below(w, RANDOM_WORKLOADS_MAX - 2), one_mode = random_below(w, 4);
	if ((w->features & RANDOM_ENFORCE) && random_chance(w, 85))
		one_mode = BH_MODE_ENFORCE;
	w->ns = bh_xcalloc(BH_ARRAY_SIZE(random_namespaces), sizeof(*w->ns));
	for (; w->n_ns < BH_ARRAY_SIZE(random_namespaces); w->n_ns++) {
		w->ns[w->n_ns].name = bh_xstrdup(random_namespaces[w->n_ns]);
		random_labels(w, &w->ns[w->n_ns].labels);
	}
	w->node = bh_xcalloc(3, sizeof(*w->node));
	add_node(w, "here", here);
	add_node(w, "there", there);
	add_node(w, "far", far);
	for (unsigned i = 0; i < n; i++)
		random_workload(w, one_mode);
}
