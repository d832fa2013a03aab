/* SPDX-License-Identifier: GPL-3.0-or-later */
/* See random_world.h. Small vocabularies, so that things match often enough to matter. */
#include "lib/random_world.h"

#define PICK(w, a) ((a)[random_below(w, BH_ARRAY_SIZE(a))])

static const char *const namespaces[] = {"shop", "bank", "infra"};
static const char *const keys[] = {"app", "tier", "env"};
static const char *const values[] = {"a", "b", "c"};
static const char *const port_names[] = {"web", "dns", "metrics"};
static const uint16_t ports[] = {53, 80, 81, 443, 8080, 65535, 1};
static const char *const protos[] = {"TCP", "UDP", "SCTP"};
static const uint8_t proto_numbers[] = {BH_TCP, BH_UDP, BH_SCTP};
static const char *const outside[] = {"192.0.2.10", "192.0.2.11", "198.51.100.7", "203.0.113.255",
	"10.1.200.200", "10.99.0.1", "2001:db8:aaaa::10", "2001:db8:bbbb::7", "fd00:1::dead",
	"224.0.0.251", "255.255.255.255", "10.1.255.255", "ff02::fb", "0.0.0.0", "10.1.0.1",
	"fd00:1::1", "::"};

/* splitmix64 (Vigna, public domain) */
unsigned random_below(struct random_world *w, unsigned n)
{
	uint64_t z = (w->state += 0x9e3779b97f4a7c15ULL);
	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ULL;
	z = (z ^ z >> 27) * 0x94d049bb133111ebULL;
	return (unsigned)((z ^ z >> 31) % n);
}

static bool chance(struct random_world *w, unsigned percent)
{
	return random_below(w, 100) < percent;
}

static struct bh_addr parse(const char *text)
{
	struct bh_addr a = {0};
	if (bh_addr_parse(text, &a) < 0)
		abort();
	return a;
}

static void random_labels(struct random_world *w, struct bh_labels *l)
{
	for (size_t i = 0; i < BH_ARRAY_SIZE(keys); i++)
		if (chance(w, 60))
			bh_labels_set(l, keys[i], chance(w, 8) ? "" : PICK(w, values));
}

static void add_addr(struct bh_interface *i, const char *fmt, unsigned a, unsigned b)
{
	char text[BH_ADDR_STRLEN];
	snprintf(text, sizeof(text), fmt, a, b);
	struct bh_addr addr = parse(text);
	bh_interface_add_addr(i, &addr);
}

static void random_addrs(struct random_world *w, struct bh_workload *wl, unsigned n)
{
	struct bh_interface *i = bh_workload_add_interface(wl);
	unsigned kind = random_below(w, 10);
	i->name = bh_xstrdup("eth0");
	if (kind < 8)
		add_addr(i, "10.1.%u.%u", n % 3, n + 10);
	if (kind > 2)
		add_addr(i, "fd00:1::%x:%x", n % 3, n + 10);
	if (chance(w, 10)) /* claimed by somebody else already, perhaps */
		add_addr(i, "10.1.%u.%u", random_below(w, 3), random_below(w, 12) + 10);
	if (chance(w, 5))
		add_addr(i, "10.1.%u.%u", 0, 1); /* the node's */
	if (chance(w, 15)) {
		i = bh_workload_add_interface(wl);
		i->name = bh_xstrdup("eth1");
		add_addr(i, "10.2.%u.%u", n % 3, n + 10);
	}
	for (unsigned k = 0; n == 3 && k < 20; k++)
		add_addr(i, "10.3.%u.%u", 0, k + 1);
}

static void random_ports(struct random_world *w, struct bh_workload *wl)
{
	unsigned n = random_below(w, 4);
	size_t cap = 0;
	for (unsigned k = 0; k < n; k++) {
		struct bh_named_port p = {
			.proto = PICK(w, proto_numbers),
			.port = PICK(w, ports),
			.name = chance(w, 85) ? bh_xstrdup(PICK(w, port_names)) : NULL,
		};
		BH_GROW(wl->port, wl->n_ports, cap);
		wl->port[wl->n_ports++] = p;
	}
}

static void random_inventory(struct random_world *w)
{
	struct bh_inventory *inv = w->inv = bh_inventory_new();
	unsigned n = 2 + random_below(w, 12), one_mode = random_below(w, 4);
	for (size_t i = 0; i < BH_ARRAY_SIZE(namespaces); i++) {
		struct bh_labels l = {0};
		random_labels(w, &l);
		bh_inventory_add_namespace(inv, namespaces[i], &l);
		bh_labels_finish(&l);
	}
	for (unsigned i = 0; i < n; i++) {
		struct bh_workload *wl = bh_workload_new();
		wl->name = bh_xasprintf("w%u", i);
		wl->namespace = bh_xstrdup(PICK(w, namespaces));
		wl->id = bh_xasprintf("static:%s/%s", wl->namespace, wl->name);
		wl->runtime = bh_xstrdup("static");
		random_labels(w, &wl->labels);
		bh_labels_set(&wl->labels, "bulkhead.io/name", wl->name);
		wl->mode = (enum bh_mode)(one_mode < 3 ? one_mode : random_below(w, 3));
		if (chance(w, 8))
			wl->unenforceable = bh_xstrdup("test");
		random_addrs(w, wl, i);
		/* Unenforceable with a veth left is governed all the same. */
		if (wl->unenforceable && wl->n_ifaces && chance(w, 50))
			wl->iface[0].host_ifindex = 1000 + i;
		random_ports(w, wl);
		bh_inventory_add(inv, wl);
	}
	static const char *const hosts[] = {"10.1.0.1", "fd00:1::1", "192.0.2.1"};
	for (size_t i = 0; i < BH_ARRAY_SIZE(hosts); i++) {
		struct bh_addr a = parse(hosts[i]);
		bh_inventory_add_host(inv, &a);
	}
	struct bh_prefix p;
	bh_prefix_parse("10.1.0.0/16", &p);
	bh_inventory_add_network(inv, &p);
	bh_prefix_parse("fd00:1::/64", &p);
	bh_inventory_add_network(inv, &p);
	bh_inventory_seal(inv);
}

static void random_selector(struct random_world *w, struct bh_buf *out)
{
	static const char *const ops[] = {"In", "NotIn", "Exists", "DoesNotExist"};
	unsigned kind = random_below(w, 4);
	bh_buf_str(out, "{");
	if (kind & 1)
		bh_buf_printf(out, "matchLabels: {%s: \"%s\"}", PICK(w, keys), PICK(w, values));
	if (kind == 3)
		bh_buf_str(out, ", ");
	if (kind & 2) {
		unsigned op = random_below(w, 4);
		bh_buf_printf(
			out, "matchExpressions: [{key: %s, operator: %s", PICK(w, keys), ops[op]);
		if (op < 2)
			bh_buf_printf(out, ", values: [\"%s\", \"%s\"]", PICK(w, values),
				PICK(w, values));
		bh_buf_str(out, "}]");
	}
	bh_buf_str(out, "}");
}

static void random_peer(struct random_world *w, struct bh_buf *out)
{
	static const char *const blocks[] = {
		"cidr: 0.0.0.0/0",
		"cidr: \"::/0\"",
		"cidr: 10.1.0.0/16, except: [10.1.1.0/24]",
		"cidr: 10.1.0.0/16, except: [10.1.0.0/17, 10.1.128.0/17]",
		"cidr: 192.0.2.0/24, except: [192.0.2.11/32, 192.0.2.64/26]",
		"cidr: 198.51.100.7/32",
		"cidr: 0.0.0.0/0, except: [192.0.2.0/24, 10.0.0.0/8]",
		"cidr: \"fd00:1::/64\", except: [\"fd00:1::1:0/112\"]",
		"cidr: \"2001:db8::/32\"",
		"cidr: 10.1.0.1/32",
	};
	unsigned kind = random_below(w, 10);
	if (kind < 3) {
		bh_buf_printf(out, "{ipBlock: {%s}}", PICK(w, blocks));
		return;
	}
	bh_buf_str(out, "{");
	if (kind < 8) {
		bh_buf_str(out, "podSelector: ");
		random_selector(w, out);
	}
	if (kind > 5) {
		bh_buf_str(out, kind < 8 ? ", namespaceSelector: " : "namespaceSelector: ");
		random_selector(w, out);
	}
	bh_buf_str(out, "}");
}

static void random_policy_port(struct random_world *w, struct bh_buf *out)
{
	unsigned kind = random_below(w, 10);
	bh_buf_printf(out, "{protocol: %s", PICK(w, protos));
	if (kind < 5)
		bh_buf_printf(out, ", port: %u", PICK(w, ports));
	else if (kind < 7)
		bh_buf_printf(out, ", port: %s", PICK(w, port_names));
	else if (kind < 9)
		bh_buf_printf(out, ", port: %u, endPort: %u", 50 + random_below(w, 31),
			81 + random_below(w, 400));
	bh_buf_str(out, "}");
}

static void random_list(struct random_world *w, struct bh_buf *out, const char *key,
	void (*item)(struct random_world *, struct bh_buf *), bool comma)
{
	unsigned n = random_below(w, 4);
	bh_buf_printf(out, "%s%s: [", comma ? ", " : "", key);
	for (unsigned i = 0; i < n; i++) {
		bh_buf_str(out, i ? ", " : "");
		item(w, out);
	}
	bh_buf_str(out, "]");
}

static void random_rules(struct random_world *w, struct bh_buf *out, bool egress)
{
	unsigned n = random_below(w, 4);
	bh_buf_printf(out, "  %s: [", egress ? "egress" : "ingress");
	for (unsigned i = 0; i < n; i++) {
		bh_buf_str(out, i ? ",\n    {" : "{");
		random_list(w, out, egress ? "to" : "from", random_peer, false);
		random_list(w, out, "ports", random_policy_port, true);
		bh_buf_str(out, "}");
	}
	bh_buf_str(out, "]\n");
}

static void random_policy(struct random_world *w, unsigned n, struct bh_buf *out)
{
	static const char *const types[] = {"", "  policyTypes: [Ingress]\n",
		"  policyTypes: [Egress]\n", "  policyTypes: [Ingress, Egress]\n"};
	bh_buf_printf(out,
		"---\napiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\n"
		"metadata: {name: p%u, namespace: %s}\nspec:\n  podSelector: ",
		n, PICK(w, namespaces));
	random_selector(w, out);
	bh_buf_str(out, "\n");
	bh_buf_str(out, PICK(w, types));
	if (chance(w, 70))
		random_rules(w, out, false);
	if (chance(w, 70))
		random_rules(w, out, true);
}

bool random_world_init(struct random_world *w, uint64_t seed)
{
	struct bh_diags diags = {0};
	struct bh_buf text = {0};
	*w = (struct random_world){.state = seed};
	unsigned n = random_below(w, 9);
	w->opts.unselected_deny = chance(w, 25);
	w->opts.host_policy = chance(w, 40);
	w->opts.reject = chance(w, 25);
	random_inventory(w);
	for (unsigned i = 0; i < n; i++)
		random_policy(w, i, &text);
	w->policy_text = bh_buf_take(&text);
	const struct bh_policy_source src = {"random", w->policy_text, strlen(w->policy_text)};
	const struct bh_policy_parse_opts opts = {.default_ns = "default"};
	if (bh_policy_set_parse(&src, 1, &opts, &diags, &w->policies) < 0) {
		bh_diags_format(&diags, &text);
		fprintf(stderr, "%s\n%s", w->policy_text, text.s);
		bh_buf_finish(&text);
	}
	bh_diags_finish(&diags);
	return w->policies != NULL;
}

void random_world_finish(struct random_world *w)
{
	bh_inventory_unref(w->inv);
	bh_policy_set_unref(w->policies);
	free(w->policy_text);
}

static struct bh_addr random_end(struct random_world *w)
{
	const struct bh_workload *wl = w->inv->workload[random_below(w, (unsigned)w->inv->n)];
	if (chance(w, 25) || !wl->n_ifaces)
		return parse(PICK(w, outside));
	const struct bh_interface *i = &wl->iface[random_below(w, (unsigned)wl->n_ifaces)];
	return i->n_addrs ? i->addr[random_below(w, (unsigned)i->n_addrs)]
			  : parse(PICK(w, outside));
}

void random_world_flow(struct random_world *w, struct bh_flow *ret)
{
	static const uint8_t more[] = {BH_TCP, BH_TCP, BH_TCP, BH_UDP, BH_UDP, BH_SCTP, 1, 58, 47};
	static const uint8_t icmp[] = {8, 0, 3, 128, 129, 130, 135, 137, 138, 143};
	*ret = (struct bh_flow){.proto = PICK(w, more)};
	do {
		ret->src = random_end(w);
		ret->dst = random_end(w);
	} while (ret->src.family != ret->dst.family);
	if (ret->proto == BH_TCP || ret->proto == BH_UDP || ret->proto == BH_SCTP) {
		uint16_t dhcp = ret->src.family == BH_IPV4 ? 67 : 546;
		bool both = chance(w, 5), one = chance(w, 5);
		ret->sport = (uint16_t)(1024 + random_below(w, 60000));
		ret->dport = PICK(w, ports);
		if (both || one)
			ret->dport = (uint16_t)(dhcp + random_below(w, 2));
		else if (chance(w, 20))
			ret->dport = (uint16_t)(50 + random_below(w, 450));
		if (both)
			ret->sport = (uint16_t)(dhcp + random_below(w, 2));
	} else if (ret->proto != 47) {
		ret->icmp_type = PICK(w, icmp);
	}
}
