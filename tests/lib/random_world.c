/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The description of a random world, its changes, what is built of it and flows in it. */
#include "lib/random_private.h"

static const char *const outside[] = {"192.0.2.10", "192.0.2.11", "198.51.100.7", "203.0.113.255",
	"10.1.200.200", "10.99.0.1", "2001:db8:aaaa::10", "2001:db8:bbbb::7", "fd00:1::dead",
	"224.0.0.251", "255.255.255.255", "10.1.255.255", "ff02::fb", "0.0.0.0", "10.1.0.1",
	"fd00:1::1", "::", "192.0.2.1"};

/* splitmix64 (Vigna, public domain) */
unsigned random_below(struct random_world *w, unsigned n)
{
	uint64_t z = (w->state += 0x9e3779b97f4a7c15ULL);
	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ULL;
	z = (z ^ z >> 27) * 0x94d049bb133111ebULL;
	return (unsigned)((z ^ z >> 31) % n);
}

bool random_chance(struct random_world *w, unsigned percent)
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

/* --- building --- */

static struct bh_inventory *build_inventory(const struct random_world *w)
{
	struct bh_inventory *inv = bh_inventory_new();
	struct bh_prefix p;
	for (size_t i = 0; i < w->n_ns; i++)
		bh_inventory_add_namespace(inv, w->ns[i].name, &w->ns[i].labels);
	for (size_t i = 0; i < w->n_workloads; i++) {
		struct bh_workload *wl = bh_workload_copy(w->workload[i]);
		bh_labels_set(&wl->labels, "bulkhead.io/name", wl->name);
		bh_inventory_add(inv, wl);
	}
	for (size_t i = 0; i < w->n_nodes; i++) {
		const struct bh_node_info *n = &w->node[i];
		bh_inventory_add_node(inv, n->name, &n->labels, n->addr, n->n_addrs);
		for (size_t k = 0; i == 0 && k < n->n_addrs; k++)
			bh_inventory_add_host(inv, &n->addr[k]);
	}
	bh_prefix_parse("10.1.0.0/16", &p);
	bh_inventory_add_network(inv, &p);
	bh_prefix_parse("fd00:1::/64", &p);
	bh_inventory_add_network(inv, &p);
	bh_inventory_seal(inv);
	return inv;
}

static void forget_built(struct random_world *w)
{
	bh_inventory_unref(w->inv);
	bh_policy_set_unref(w->policies);
	free(w->policy_text);
	w->inv = NULL;
	w->policies = NULL;
	w->policy_text = NULL;
}

bool random_world_build(struct random_world *w, struct bh_diags *diags)
{
	struct bh_diags own = {0};
	struct bh_buf text = {0};
	forget_built(w);
	w->inv = build_inventory(w);
	for (size_t i = 0; i < w->n_policies; i++)
		bh_buf_printf(&text, "---\n%s", w->policy[i]);
	w->policy_text = bh_buf_take(&text);
	const struct bh_policy_source src = {"random", w->policy_text, strlen(w->policy_text)};
	const struct bh_policy_parse_opts opts = {.default_ns = "default"};
	if (bh_policy_set_parse(&src, 1, &opts, diags ? diags : &own, &w->policies) < 0 && !diags) {
		bh_diags_format(&own, &text);
		fprintf(stderr, "%s\n%s", w->policy_text, text.s);
		bh_buf_finish(&text);
	}
	bh_diags_finish(&own);
	return w->policies != NULL;
}

static void add_policy(struct random_world *w)
{
	BH_GROW(w->policy, w->n_policies, w->cap_policies);
	w->policy[w->n_policies++] = random_policy(w, w->named++);
}

bool random_world_make(struct random_world *w, uint64_t seed, unsigned features)
{
	*w = (struct random_world){.state = seed, .features = features};
	unsigned n = random_below(w, features & RANDOM_CLUSTER ? 12 : 9);
	w->opts.unselected_deny = random_chance(w, 25);
	w->opts.host_policy = random_chance(w, 40);
	w->opts.reject = random_chance(w, 25);
	random_people(w);
	for (unsigned i = 0; i < n; i++)
		add_policy(w);
	return random_world_build(w, NULL);
}

bool random_world_init(struct random_world *w, uint64_t seed)
{
	return random_world_make(w, seed, RANDOM_CLUSTER);
}

/* --- changing --- */

void random_world_drop_workload(struct random_world *w, size_t i)
{
	bh_workload_free(w->workload[i]);
	memmove(&w->workload[i], &w->workload[i + 1],
		(--w->n_workloads - i) * sizeof(struct bh_workload *));
}

void random_world_drop_policy(struct random_world *w, size_t i)
{
	free(w->policy[i]);
	memmove(&w->policy[i], &w->policy[i + 1], (--w->n_policies - i) * sizeof(char *));
}

void random_world_drop_node(struct random_world *w, size_t i)
{
	free(w->node[i].name);
	bh_labels_finish(&w->node[i].labels);
	free(w->node[i].addr);
	memmove(&w->node[i], &w->node[i + 1], (--w->n_nodes - i) * sizeof(*w->node));
}

static void relabel(struct random_world *w, struct bh_labels *l)
{
	bh_labels_finish(l);
	*l = (struct bh_labels){0};
	random_labels(w, l);
}

static void change_workload(struct random_world *w)
{
	size_t i = random_below(w, (unsigned)w->n_workloads);
	struct bh_workload *wl = w->workload[i];
	switch (random_below(w, 8)) {
	case 0:
	case 1:
	case 2:
		relabel(w, &wl->labels);
		break;
	case 3:
		random_named_ports(w, wl);
		break;
	case 4:
		wl->mode =
			random_chance(w, 50) ? BH_MODE_ENFORCE : (enum bh_mode)random_below(w, 3);
		break;
	case 5:
		random_addrs(w, wl);
		break;
	case 6:
		if (w->n_workloads > 2)
			random_world_drop_workload(w, i);
		break;
	default:
		if (w->n_workloads < RANDOM_WORKLOADS_MAX)
			random_workload(w, wl->mode);
	}
}

static void change_policies(struct random_world *w)
{
	switch (random_below(w, 4)) {
	case 0:
		relabel(w, &w->ns[random_below(w, (unsigned)w->n_ns)].labels);
		break;
	case 1:
		if (w->n_policies)
			random_world_drop_policy(w, random_below(w, (unsigned)w->n_policies));
		break;
	default:
		add_policy(w);
	}
}

bool random_world_change(struct random_world *w)
{
	unsigned n = 1 + random_below(w, 4);
	bool policies = random_chance(w, 50);
	for (unsigned i = 0; i < n; i++) {
		if (policies && random_chance(w, 50))
			change_policies(w);
		else
			change_workload(w);
	}
	return random_world_build(w, NULL);
}

/* --- copies --- */

static void copy_nodes(struct random_world *to, const struct random_world *from)
{
	to->node = bh_xcalloc(from->n_nodes, sizeof(*to->node));
	for (size_t i = 0; i < from->n_nodes; i++) {
		const struct bh_node_info *n = &from->node[i];
		to->node[i] = *n;
		to->node[i].name = bh_xstrdup(n->name);
		bh_labels_copy(&to->node[i].labels, &n->labels);
		to->node[i].addr = bh_xmemdup(n->addr, n->n_addrs * sizeof(*n->addr));
	}
}

void random_world_copy(struct random_world *to, const struct random_world *from)
{
	*to = *from;
	to->policy_text = NULL;
	to->inv = NULL;
	to->policies = NULL;
	to->ns = bh_xcalloc(from->n_ns, sizeof(*to->ns));
	for (size_t i = 0; i < from->n_ns; i++) {
		to->ns[i].name = bh_xstrdup(from->ns[i].name);
		bh_labels_copy(&to->ns[i].labels, &from->ns[i].labels);
	}
	copy_nodes(to, from);
	to->cap_workloads = from->n_workloads;
	to->workload = bh_xcalloc(from->n_workloads, sizeof(struct bh_workload *));
	for (size_t i = 0; i < from->n_workloads; i++)
		to->workload[i] = bh_workload_copy(from->workload[i]);
	to->cap_policies = from->n_policies;
	to->policy = bh_xcalloc(from->n_policies, sizeof(char *));
	for (size_t i = 0; i < from->n_policies; i++)
		to->policy[i] = bh_xstrdup(from->policy[i]);
}

void random_world_finish(struct random_world *w)
{
	forget_built(w);
	for (size_t i = 0; i < w->n_ns; i++) {
		free(w->ns[i].name);
		bh_labels_finish(&w->ns[i].labels);
	}
	for (size_t i = 0; i < w->n_nodes; i++) {
		free(w->node[i].name);
		bh_labels_finish(&w->node[i].labels);
		free(w->node[i].addr);
	}
	for (size_t i = 0; i < w->n_workloads; i++)
		bh_workload_free(w->workload[i]);
	for (size_t i = 0; i < w->n_policies; i++)
		free(w->policy[i]);
	free(w->ns);
	free(w->node);
	free(w->workload);
	free(w->policy);
	*w = (struct random_world){0};
}

/* --- flows --- */

static struct bh_addr random_end(struct random_world *w)
{
	const struct bh_workload *wl = w->inv->workload[random_below(w, (unsigned)w->inv->n)];
	if (random_chance(w, 25) || !wl->n_ifaces)
		return parse(PICK(w, outside));
	const struct bh_interface *i = &wl->iface[random_below(w, (unsigned)wl->n_ifaces)];
	return i->n_addrs ? i->addr[random_below(w, (unsigned)i->n_addrs)]
			  : parse(PICK(w, outside));
}

void random_world_flow(struct random_world *w, struct bh_flow *ret)
{
	static const uint8_t more[] = {BH_TCP, BH_TCP, BH_TCP, BH_UDP, BH_UDP, BH_SCTP, 1, 58, 47};
	static const uint8_t icmp[] = {8, 0, 3, 128, 129, 130, 135, 137, 138, 143};
	static const uint8_t hops[] = {0, 1, 64, 254, 255};
	*ret = (struct bh_flow){.proto = PICK(w, more)};
	do {
		ret->src = random_end(w);
		ret->dst = random_end(w);
	} while (ret->src.family != ret->dst.family);
	if (ret->proto == BH_TCP || ret->proto == BH_UDP || ret->proto == BH_SCTP) {
		uint16_t dhcp = ret->src.family == BH_IPV4 ? 67 : 546;
		bool both = random_chance(w, 5), one = random_chance(w, 5);
		ret->sport = (uint16_t)(1024 + random_below(w, 60000));
		ret->dport = PICK(w, random_ports);
		if (both || one)
			ret->dport = (uint16_t)(dhcp + random_below(w, 2));
		else if (random_chance(w, 20))
			ret->dport = (uint16_t)(50 + random_below(w, 450));
		if (both)
			ret->sport = (uint16_t)(dhcp + random_below(w, 2));
	} else if (ret->proto != 47) {
		ret->icmp_type = PICK(w, icmp);
		if (ret->proto == 58)
			ret->hops = PICK(w, hops);
	}
}
