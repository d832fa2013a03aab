/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The evaluator's index in worlds made for it: a hundred rules for one workload, with port ranges
 * and blocks that overlap, nest and touch the ends of their space, names of ports, peers of whom
 * many rules speak, in all tiers. Verdict, rule and peer must be the reference's.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <bulkhead/engine.h>

#include "lib/reference.h"
#include "unit/policy_text.h"

enum { APPS = 6, WORLDS = 60, FLOWS = 400 };

static uint64_t state;

static unsigned below(unsigned n)
{
	state = state * 6364136223846793005u + 1442695040888963407u;
	return (unsigned)(state >> 33) % n;
}

static const char *pick(const char *const *list, unsigned n)
{
	return list[below(n)];
}

static const char *const blocks[] = {"0.0.0.0/0", "198.18.0.0/16", "198.18.0.0/24",
	"198.18.0.64/26", "198.18.0.65/32", "198.18.0.66/32", "198.18.1.0/24", "255.255.255.255/32",
	"128.0.0.0/1", "::/0", "2001:db8::/32", "2001:db8::/64", "2001:db8::1/128",
	"2001:db8::2/127", "ffff::/16"};
static const char *const hosts[] = {"198.18.0.1", "198.18.0.63", "198.18.0.64", "198.18.0.65",
	"198.18.0.66", "198.18.0.67", "198.18.0.128", "198.18.0.255", "198.18.1.0", "198.19.0.0",
	"9.9.9.9", "127.255.255.255", "128.0.0.0", "2001:db8::", "2001:db8::1", "2001:db8::2",
	"2001:db8::3", "2001:db8::4", "2001:db8:0:1::", "2001:db9::", "fffe:ffff::1"};

static void put_workload_peer(struct bh_buf *out, bool cluster)
{
	bh_autobuf struct bh_buf pods = {0};
	if (below(5) == 0)
		bh_buf_str(&pods, "{}");
	else if (below(3))
		bh_buf_printf(&pods, "{matchLabels: {app: a%u}}", below(APPS));
	else
		bh_buf_printf(&pods,
			"{matchExpressions: [{key: app, operator: NotIn, values: [a%u]}]}",
			below(APPS));
	if (cluster)
		bh_buf_printf(out, "{pods: {namespaceSelector: {}, podSelector: %s}}", pods.s);
	else
		bh_buf_printf(out, "{podSelector: %s}", pods.s);
}

static void put_peer(struct bh_buf *out, bool cluster, bool egress)
{
	bool v4 = below(2), addresses = below(2) && (!cluster || egress);
	if (!addresses) {
		put_workload_peer(out, cluster);
	} else if (cluster) {
		unsigned first = below(BH_ARRAY_SIZE(blocks) - 1);
		bh_buf_printf(
			out, "{networks: [\"%s\", \"%s\"]}", blocks[first], blocks[first + 1]);
	} else if (below(3)) {
		bh_buf_printf(
			out, "{ipBlock: {cidr: \"%s\"}}", pick(blocks, BH_ARRAY_SIZE(blocks)));
	} else {
		bh_buf_printf(out, "{ipBlock: {cidr: \"%s\", except: [\"%s\"]}}",
			v4 ? "198.18.0.0/16" : "2001:db8::/32",
			v4 ? blocks[2 + below(3)] : blocks[11 + below(2)]);
	}
}

static void put_port(struct bh_buf *out)
{
	static const char *const protos[] = {"TCP", "TCP", "UDP", "SCTP"};
	const char *proto = pick(protos, 4);
	unsigned first = 1 + below(40), kind = below(8);
	if (kind == 0)
		bh_buf_printf(out, "{protocol: %s, port: p%u}", proto, below(4));
	else if (kind == 1)
		bh_buf_printf(out, "{protocol: %s}", proto);
	else if (kind < 5)
		bh_buf_printf(out, "{protocol: %s, port: %u}", proto, first);
	else
		bh_buf_printf(out, "{protocol: %s, port: %u, endPort: %u}", proto, first,
			kind == 5 ? 65535 : first + below(30));
}

/* A name means nothing to an address, and may not stand beside one. */
static void put_cluster_port(struct bh_buf *out, bool names)
{
	unsigned first = 1 + below(40), kind = below(4);
	const char *proto = below(3) ? "tcp" : "udp";
	if (kind == 0)
		bh_buf_printf(out, "{%s: {destinationPort: {number: %u}}}", proto, first);
	else if (kind == 1 && names)
		bh_buf_printf(out, "{destinationNamedPort: p%u}", below(4));
	else
		bh_buf_printf(out, "{%s: {destinationPort: {range: {start: %u, end: %u}}}}", proto,
			first, first + 1 + below(30));
}

static void put_rule(struct bh_buf *out, bool cluster, bool egress)
{
	static const char *const actions[] = {"Accept", "Deny", "Pass"};
	const char *comma = "";
	size_t from = out->len;
	bh_buf_str(out, "  - ");
	if (cluster)
		bh_buf_printf(out, "action: %s\n    ", pick(actions, 3));
	if (cluster || below(12)) {
		bh_buf_printf(out, "%s: [", egress ? "to" : "from");
		for (unsigned n = 1 + below(3); n > 0; n--, comma = ", ") {
			bh_buf_str(out, comma);
			put_peer(out, cluster, egress);
		}
		bh_buf_str(out, "]\n    ");
	}
	comma = "";
	bool names = !strstr(out->s + from, "networks");
	if (cluster && below(6) == 0) {
		bh_buf_str(out, "name: any\n");
		return;
	}
	bh_buf_printf(out, "%s: [", cluster ? "protocols" : "ports");
	for (unsigned n = 1 + below(3); n > 0; n--, comma = ", ") {
		bh_buf_str(out, comma);
		if (cluster)
			put_cluster_port(out, names);
		else
			put_port(out);
	}
	bh_buf_str(out, "]\n");
}

static void put_policy(struct bh_buf *out, unsigned i, bool cluster, unsigned rules)
{
	if (cluster)
		bh_buf_printf(out,
			"---\n" CLUSTER_HEAD "metadata: {name: c%u}\nspec:\n  tier: %s\n"
			"  priority: %u\n  subject: {pods: {namespaceSelector: {}, podSelector: "
			"{matchLabels: {app: a0}}}}\n",
			i, below(2) ? "Admin" : "Baseline", 3 * i % 5);
	else
		bh_buf_printf(out,
			"---\n" HEAD "metadata: {name: n%u, namespace: x}\nspec:\n"
			"  podSelector: {matchLabels: {app: a0}}\n"
			"  policyTypes: [Ingress, Egress]\n",
			i);
	for (int egress = 0; egress < 2; egress++) {
		bh_buf_str(out, egress ? "  egress:\n" : "  ingress:\n");
		for (unsigned n = 0; n < rules; n++)
			put_rule(out, cluster, egress);
	}
}

static struct bh_workload *workload(unsigned i)
{
	static const uint8_t protos[] = {BH_TCP, BH_UDP, BH_SCTP};
	struct bh_workload *w = bh_workload_new();
	struct bh_addr a;
	bh_autofree char *v4 = bh_xasprintf("10.0.0.%u", i + 1);
	bh_autofree char *v6 = bh_xasprintf("fd00::%u", i + 1);
	w->id = bh_xasprintf("id%u", i);
	w->name = bh_xasprintf("a%u", i);
	w->namespace = bh_xstrdup("x");
	w->runtime = bh_xstrdup("static");
	w->mode = BH_MODE_ENFORCE;
	bh_labels_set(&w->labels, "app", w->name);
	struct bh_interface *f = bh_workload_add_interface(w);
	f->name = bh_xstrdup("eth0");
	f->host_name = bh_xasprintf("veth%u", i);
	f->host_ifindex = 100 + i;
	assert_int_equal(bh_addr_parse(v4, &a), 0);
	bh_interface_add_addr(f, &a);
	assert_int_equal(bh_addr_parse(v6, &a), 0);
	bh_interface_add_addr(f, &a);
	for (unsigned k = 0; k < 4 && below(3); k++) {
		w->port = bh_xrealloc(w->port, w->n_ports + 1, sizeof(*w->port));
		w->port[w->n_ports++] = (struct bh_named_port){.name = bh_xasprintf("p%u", k),
			.proto = protos[below(3)],
			.port = (uint16_t)(1 + below(40))};
	}
	return w;
}

static struct bh_inventory *inventory(void)
{
	struct bh_inventory *inv = bh_inventory_new();
	struct bh_prefix p;
	for (unsigned i = 0; i < APPS; i++)
		bh_inventory_add(inv, workload(i));
	assert_int_equal(bh_prefix_parse("10.0.0.0/24", &p), 0);
	bh_inventory_add_network(inv, &p);
	bh_inventory_seal(inv);
	return inv;
}

/* One end is a0, the other a workload or an address outside. */
static struct bh_flow flow(void)
{
	static const uint8_t protos[] = {BH_TCP, BH_TCP, BH_TCP, BH_UDP, BH_SCTP, 1};
	struct bh_flow f = {.proto = protos[below(6)], .sport = 40000};
	struct bh_addr me, other;
	bh_autofree char *local =
		bh_xasprintf(below(2) ? "10.0.0.%u" : "fd00::%u", 2 + below(APPS - 1));
	const char *text = below(2) ? local : pick(hosts, BH_ARRAY_SIZE(hosts));
	assert_int_equal(bh_addr_parse(text, &other), 0);
	assert_int_equal(bh_addr_parse(other.family == BH_IPV4 ? "10.0.0.1" : "fd00::1", &me), 0);
	bool out = below(2);
	f.src = out ? me : other;
	f.dst = out ? other : me;
	if (f.proto == 1)
		f.icmp_type = 8;
	else
		f.dport = (uint16_t)(below(8) ? 1 + below(75) : 65535 - below(2));
	return f;
}

static bool same_side(const struct bh_side *a, const struct bh_side *b)
{
	return a->verdict == b->verdict && a->workload == b->workload &&
	       a->rule.policy == b->rule.policy && a->rule.rule == b->rule.rule &&
	       a->rule.peer == b->rule.peer;
}

struct seen {
	size_t tier[3], peers, addresses, any, denied;
};

static void count(struct seen *s, const struct bh_decision *d)
{
	s->denied += d->verdict == BH_DROP;
	for (int i = 0; i < 2; i++) {
		const struct bh_rule_ref *r = &d->side[i].rule;
		if (!r->policy)
			continue;
		s->tier[r->policy->tier]++;
		if (r->peer < 0)
			s->any++;
		else if (d->side[!i].workload < 0)
			s->addresses++;
		else
			s->peers++;
	}
}

static void run_world(uint64_t seed, struct seen *seen)
{
	bh_autobuf struct bh_buf text = {0};
	static const struct bh_engine_opts opts;
	state = seed;
	/* Few rules have short columns, many have long ones; the Baseline tier is asked where no
	 * NetworkPolicy isolates. */
	unsigned policies = seed % 4 == 0 ? 0 : seed % 3 ? 12 : 2;
	unsigned clusters = seed % 2 && policies ? 0 : 4;
	for (unsigned i = 0; i < policies; i++)
		put_policy(&text, i, false, 1 + below(8));
	for (unsigned i = 0; i < clusters; i++)
		put_policy(&text, i, true, 1 + below(6));
	struct bh_policy_set *set = good(text.s);
	struct bh_inventory *inv = inventory();
	struct bh_engine *e = bh_engine_compile(set, inv, &opts);
	for (int i = 0; i < FLOWS; i++) {
		struct bh_flow f = flow();
		struct bh_decision have, want;
		bh_engine_evaluate(e, &f, &have);
		reference_evaluate(set, inv, &opts, &f, &want);
		count(seen, &want);
		if (have.verdict == want.verdict && same_side(&have.side[0], &want.side[0]) &&
			same_side(&have.side[1], &want.side[1]))
			continue;
		bh_autobuf struct bh_buf say = {0};
		bh_engine_explain(e, &f, &say);
		fail_msg("seed %llu: not the reference's rule\n%s%s", (unsigned long long)seed,
			say.s, text.s);
	}
	bh_engine_unref(e);
	bh_policy_set_unref(set);
	bh_inventory_unref(inv);
}

static void test_as_the_reference(void **unused BH_UNUSED)
{
	struct seen seen = {0};
	for (uint64_t seed = 1; seed <= WORLDS; seed++)
		run_world(seed, &seen);
	/* Agreement says nothing about what never happened. */
	assert_true(seen.tier[0] > 500 && seen.tier[1] > 500 && seen.tier[2] > 50);
	assert_true(seen.peers > 500 && seen.addresses > 500 && seen.any > 100);
	assert_true(seen.denied > 500);
}

/* So many ports beside so many peers that pieces for all of them would be quadratic: it goes on
 * with lists, and decides the same. */
static void test_bounded(void **unused BH_UNUSED)
{
	enum { RULES = 5, PORTS = 400, PEERS = 300 };
	bh_autobuf struct bh_buf text = {0};
	static const struct bh_engine_opts opts;
	bh_buf_str(&text, HEAD "metadata: {name: wide, namespace: x}\nspec:\n"
			       "  podSelector: {matchLabels: {app: a0}}\n  ingress:\n");
	for (unsigned r = 0; r < RULES; r++) {
		bh_buf_str(&text, "  - from:\n");
		for (unsigned i = 0; i < PEERS; i++)
			bh_buf_printf(
				&text, "    - podSelector: {matchLabels: {app: a1, n%u: x}}\n", i);
		bh_buf_str(&text, "    ports:\n");
		for (unsigned i = 0; i < PORTS; i++)
			bh_buf_printf(&text, "    - {port: %u}\n", 100 + 20 * i + r);
	}
	for (unsigned i = 0; i < PEERS; i++)
		bh_buf_printf(&text,
			"  - from: [{podSelector: {matchLabels: {app: a1, n%u: x}}}]\n"
			"    ports: [{port: %u}]\n",
			i, 20000 + i);
	struct bh_policy_set *set = good(text.s);
	struct bh_inventory *inv = bh_inventory_new();
	state = 1;
	for (unsigned i = 0; i < APPS; i++) {
		struct bh_workload *w = workload(i);
		if (i == 1) {
			bh_labels_set(&w->labels, "n7", "x");
			bh_labels_set(&w->labels, "n299", "x");
		}
		bh_inventory_add(inv, w);
	}
	bh_inventory_seal(inv);
	struct bh_engine *e = bh_engine_compile(set, inv, &opts);
	for (unsigned port = 90; port < 21000; port += port < 200 ? 1 : 7) {
		struct bh_flow f = {.proto = BH_TCP, .sport = 40000, .dport = (uint16_t)port};
		struct bh_decision have, want;
		bh_addr_parse("10.0.0.2", &f.src);
		bh_addr_parse("10.0.0.1", &f.dst);
		bh_engine_evaluate(e, &f, &have);
		reference_evaluate(set, inv, &opts, &f, &want);
		assert_int_equal(have.verdict, want.verdict);
		assert_true(same_side(&have.side[1], &want.side[1]));
	}
	bh_engine_unref(e);
	bh_policy_set_unref(set);
	bh_inventory_unref(inv);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_as_the_reference),
		cmocka_unit_test(test_bounded),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
