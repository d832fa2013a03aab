/* SPDX-License-Identifier: GPL-3.0-or-later */
/* One item of `workloads`. */
#include <errno.h>

#include "private.h"

#define MAX_PORTS 1000
#define MAX_INTERFACES 32

static const char *const keys[] = {"name", "namespace", "labels", "ips", "interfaces", "ports",
	"mode", "hostNetwork", "unenforceable", NULL};

static int read_transport(struct loader *l, const struct bh_node *n, const char *path, uint8_t *ret)
{
	const char *text;
	*ret = BH_TCP;
	if (!n)
		return 0;
	if (bh_read_string(&l->r, n, path, &text) < 0)
		return -EINVAL;
	if (bh_proto_parse(text, ret) == 0 && (*ret == BH_TCP || *ret == BH_UDP || *ret == BH_SCTP))
		return 0;
	bh_read_error(&l->r, n, path, "TCP, UDP or SCTP", "unknown protocol");
	return -EINVAL;
}

static void read_port(struct loader *l, const struct bh_node *n, struct bh_workload *w, size_t *cap)
{
	static const char *const known[] = {"port", "protocol", "name", NULL};
	const char *path = "workloads[].ports[]", *name = NULL;
	const struct bh_node *named;
	struct bh_named_port p = {0};
	int64_t port;
	if (bh_read_map(&l->r, n, path) < 0 || bh_read_known_keys(&l->r, n, path, known) > 0)
		return;
	if (!bh_node_get(n, "port")) {
		bh_read_error(&l->r, n, path, NULL, "port is missing");
		return;
	}
	named = bh_node_get(n, "name");
	if (bh_read_int(&l->r, bh_node_get(n, "port"), "workloads[].ports[].port", 1, 65535,
		    &port) < 0 ||
		read_transport(l, bh_node_get(n, "protocol"), "workloads[].ports[].protocol",
			&p.proto) < 0 ||
		(named && bh_read_string(&l->r, named, "workloads[].ports[].name", &name) < 0))
		return;
	p.port = (uint16_t)port;
	p.name = bh_xstrdup(name);
	BH_GROW(w->port, w->n_ports, *cap);
	w->port[w->n_ports++] = p;
}

static void read_ports(struct loader *l, const struct bh_node *seq, struct bh_workload *w)
{
	size_t cap = 0;
	if (bh_node_is_null(seq) || bh_read_seq(&l->r, seq, "workloads[].ports") < 0)
		return;
	if (seq->n > MAX_PORTS) {
		bh_read_error(
			&l->r, seq, "workloads[].ports", NULL, "more than %d ports", MAX_PORTS);
		return;
	}
	for (size_t i = 0; i < seq->n; i++)
		read_port(l, seq->child[i], w, &cap);
}

static void add_interface(struct bh_workload *w, const char *name, struct bh_addr *addr, size_t n)
{
	struct bh_interface *i = bh_workload_add_interface(w);
	i->name = bh_xstrdup(name);
	i->addr = addr;
	i->n_addrs = n;
}

static bool parse_mac(const char *text, uint8_t mac[static 6])
{
	int end = 0;
	return strlen(text) == 17 &&
	       sscanf(text, "%2hhx:%2hhx:%2hhx:%2hhx:%2hhx:%2hhx%n", &mac[0], &mac[1], &mac[2],
		       &mac[3], &mac[4], &mac[5], &end) == 6 &&
	       end == 17;
}

/* The host's side of a veth, which the rules against forged sources need. */
static void read_veth(struct loader *l, const struct bh_node *n, struct bh_interface *i)
{
	const char *host = NULL, *bridge = NULL, *mac = NULL;
	const struct bh_node *at = bh_node_get(n, "host");
	if (!at)
		return;
	bh_read_string(&l->r, at, "workloads[].interfaces[].host", &host);
	if (bh_node_get(n, "bridge"))
		bh_read_string(&l->r, bh_node_get(n, "bridge"), "workloads[].interfaces[].bridge",
			&bridge);
	at = bh_node_get(n, "mac");
	if (at && bh_read_string(&l->r, at, "workloads[].interfaces[].mac", &mac) == 0 &&
		!parse_mac(mac, i->mac))
		bh_read_error(&l->r, at, "workloads[].interfaces[].mac", "02:00:00:00:00:01",
			"not a MAC address");
	if ((host && (!*host || strlen(host) > 15)) || (bridge && strlen(bridge) > 15))
		bh_read_error(&l->r, n, "workloads[].interfaces[]", "1 to 15 characters",
			"not the name of an interface");
	i->host_name = bh_xstrdup(host);
	i->bridge = bh_xstrdup(bridge);
}

static void read_interface(struct loader *l, const struct bh_node *n, struct bh_workload *w)
{
	static const char *const known[] = {"name", "ips", "host", "bridge", "mac", NULL};
	const char *path = "workloads[].interfaces[]", *name;
	size_t n_addrs;
	if (bh_read_map(&l->r, n, path) < 0 || bh_read_known_keys(&l->r, n, path, known) > 0 ||
		bh_read_string(
			&l->r, bh_node_get(n, "name"), "workloads[].interfaces[].name", &name) < 0)
		return;
	struct bh_addr *a = scenario_read_addrs(
		l, bh_node_get(n, "ips"), "workloads[].interfaces[].ips", false, &n_addrs);
	add_interface(w, name, a, n_addrs);
	read_veth(l, n, &w->iface[w->n_ifaces - 1]);
}

static void read_interfaces(struct loader *l, const struct bh_node *n, struct bh_workload *w)
{
	const struct bh_node *seq = bh_node_get(n, "interfaces");
	if (bh_node_get(n, "ips")) {
		bh_read_error(&l->r, bh_node_get_key(n, "interfaces"), "workloads[].interfaces",
			"say `ips` for one interface, `interfaces` for several",
			"a workload has either ips or interfaces");
		return;
	}
	if (bh_read_seq(&l->r, seq, "workloads[].interfaces") < 0)
		return;
	if (seq->n > MAX_INTERFACES) {
		bh_read_error(&l->r, seq, "workloads[].interfaces", NULL, "more than %d interfaces",
			MAX_INTERFACES);
		return;
	}
	for (size_t i = 0; i < seq->n; i++)
		read_interface(l, seq->child[i], w);
}

/* Where its addresses are: interfaces of its own, or the host's. */
static void read_network(struct loader *l, const struct bh_node *n, struct bh_workload *w,
	struct workload_host *host)
{
	const struct bh_node *shared = bh_node_get(n, "hostNetwork"), *ips = bh_node_get(n, "ips");
	if (shared)
		bh_read_bool(&l->r, shared, "workloads[].hostNetwork", &host->is);
	if (host->is && !w->unenforceable)
		w->unenforceable = bh_xstrdup("shares the host's network");
	if (host->is && bh_node_get(n, "interfaces")) {
		bh_read_error(&l->r, bh_node_get_key(n, "interfaces"), "workloads[].interfaces",
			NULL, "a workload on the host's network has no interfaces of its own");
		return;
	}
	if (bh_node_get(n, "interfaces")) {
		read_interfaces(l, n, w);
		return;
	}
	size_t n_addrs = 0;
	struct bh_addr *a = NULL;
	if (!bh_node_is_null(ips))
		a = scenario_read_addrs(l, ips, "workloads[].ips", true, &n_addrs);
	if (host->is) {
		host->addr = a;
		host->n = n_addrs;
	} else {
		add_interface(w, "eth0", a, n_addrs);
	}
}

static int read_name(struct loader *l, const struct bh_node *n, const char *key, const char *path,
	const char **ret)
{
	const struct bh_node *v = bh_node_get(n, key);
	if (!v) {
		bh_read_error(
			&l->r, n, path, NULL, "missing: a workload has a namespace and a name");
		return -EINVAL;
	}
	if (bh_read_string(&l->r, v, path, ret) < 0)
		return -EINVAL;
	if (**ret && v->len <= 253)
		return 0;
	bh_read_error(&l->r, v, path, NULL, **ret ? "longer than 253 bytes" : "empty");
	return -EINVAL;
}

/* As the inventory does: what explain suggests and what is learned may name a workload by it. */
static void name_by_label(struct bh_workload *w)
{
	static const char key[] = "bulkhead.io/name";
	bh_autofree char *value = bh_label_value_of(w->name);
	if (!bh_labels_get(&w->labels, key))
		bh_labels_set(&w->labels, key, value);
}

struct bh_workload *scenario_read_workload(
	struct loader *l, const struct bh_node *n, enum bh_mode mode, struct workload_host *host)
{
	const char *name, *namespace, *text;
	const struct bh_node *v;
	if (bh_read_map(&l->r, n, "workloads[]") < 0 ||
		bh_read_known_keys(&l->r, n, "workloads[]", keys) > 0 ||
		read_name(l, n, "name", "workloads[].name", &name) < 0 ||
		read_name(l, n, "namespace", "workloads[].namespace", &namespace) < 0)
		return NULL;
	if (strchr(namespace, '/')) {
		bh_read_error(&l->r, bh_node_get(n, "namespace"), "workloads[].namespace", NULL,
			"a namespace has no slash in its name");
		return NULL;
	}
	struct bh_workload *w = bh_workload_new();
	w->id = bh_xasprintf("static:%s/%s", namespace, name);
	w->runtime = bh_xstrdup("static");
	w->name = bh_xstrdup(name);
	w->namespace = bh_xstrdup(namespace);
	w->mode = mode;
	scenario_read_labels(l, bh_node_get(n, "labels"), "workloads[].labels", &w->labels);
	name_by_label(w);
	read_ports(l, bh_node_get(n, "ports"), w);
	v = bh_node_get(n, "mode");
	if (v && bh_read_string(&l->r, v, "workloads[].mode", &text) == 0 &&
		bh_mode_parse(text, &w->mode) < 0)
		bh_read_error(
			&l->r, v, "workloads[].mode", "learn, audit or enforce", "unknown mode");
	v = bh_node_get(n, "unenforceable");
	if (v && bh_read_string(&l->r, v, "workloads[].unenforceable", &text) == 0)
		w->unenforceable = bh_xstrdup(text);
	read_network(l, n, w, host);
	return w;
}
