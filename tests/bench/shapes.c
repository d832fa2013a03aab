/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The worst case for an evaluator: every policy selects the same workload, and each says something
 * of its own, so that nothing merges. Policy i allows
 *
 *   ports     one client, port 10000 + i
 *   peers     app a(i), port 8080
 *   both      app a(i), port 10000 + i
 *   blocks    a host of its own in 198.18.0.0/15, port 8080
 *   ranges    app a(i), ports 10000 + i to 20000: every range overlaps every other
 *   crossed   i even: the client, port 10000 + i; i odd: app a(i), any port. A flow of the client
 * to another port meets the peer of the one half and the ports of the other half
 */
#include "bench/policy.h"

#include <err.h>

const char *const bench_shapes[] = {"ports", "peers", "both", "blocks", "ranges", "crossed", NULL};

#define APPS 1000
#define TARGET "10.64.0.2"
#define CLIENT "10.64.0.3"
#define STRANGER "10.64.0.4"

struct part {
	enum { BY_CLIENT, BY_APP, BY_BLOCK } who;
	unsigned first, last;
};

static struct part part(const char *shape, unsigned i)
{
	if (bh_streq(shape, "ports"))
		return (struct part){BY_CLIENT, 10000 + i, 10000 + i};
	if (bh_streq(shape, "peers"))
		return (struct part){BY_APP, 8080, 8080};
	if (bh_streq(shape, "both"))
		return (struct part){BY_APP, 10000 + i, 10000 + i};
	if (bh_streq(shape, "blocks"))
		return (struct part){BY_BLOCK, 8080, 8080};
	if (bh_streq(shape, "ranges"))
		return (struct part){BY_APP, 10000 + i, 20000};
	return i % 2 ? (struct part){BY_APP, 1, 65535}
		     : (struct part){BY_CLIENT, 10000 + i, 10000 + i};
}

static void who_addr(struct part p, unsigned i, char text[static BH_ADDR_STRLEN])
{
	if (p.who == BY_CLIENT)
		snprintf(text, BH_ADDR_STRLEN, CLIENT);
	else if (p.who == BY_APP)
		snprintf(text, BH_ADDR_STRLEN, "10.65.%u.%u", i / 250, i % 250 + 2);
	else
		snprintf(text, BH_ADDR_STRLEN, "198.18.%u.%u", i / 256, i % 256);
}

static void write_policy(const char *shape, unsigned i, struct bh_buf *out)
{
	struct part p = part(shape, i);
	char addr[BH_ADDR_STRLEN];
	who_addr(p, i, addr);
	bh_buf_printf(out,
		"---\napiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\n"
		"metadata: {name: p%04u, namespace: big}\nspec:\n"
		"  podSelector: {matchLabels: {app: target}}\n  policyTypes: [Ingress]\n"
		"  ingress:\n  - from: [",
		i);
	if (p.who == BY_BLOCK)
		bh_buf_printf(out, "{ipBlock: {cidr: %s/32}}", addr);
	else if (p.who == BY_APP)
		bh_buf_printf(out, "{podSelector: {matchLabels: {app: a%u}}}", i);
	else
		bh_buf_str(out, "{podSelector: {matchLabels: {app: client}}}");
	bh_buf_printf(out, "]\n    ports: [{port: %u, endPort: %u}]\n", p.first, p.last);
}

static void add(struct bh_inventory *inv, const char *app, const char *addr)
{
	struct bh_workload *w = bench_workload("big", app);
	bh_labels_set(&w->labels, "app", app);
	w->iface[0].host_ifindex = (unsigned)(100 + inv->n);
	bench_add_addr(w, addr);
	bh_inventory_add(inv, w);
}

static struct bh_inventory *inventory(void)
{
	struct bh_inventory *inv = bh_inventory_new();
	struct bh_prefix p;
	add(inv, "target", TARGET);
	add(inv, "client", CLIENT);
	add(inv, "stranger", STRANGER);
	for (unsigned i = 0; i < APPS; i++) {
		char app[16], addr[BH_ADDR_STRLEN];
		snprintf(app, sizeof(app), "a%u", i);
		who_addr((struct part){.who = BY_APP}, i, addr);
		add(inv, app, addr);
	}
	bh_prefix_parse("10.64.0.0/15", &p);
	bh_inventory_add_network(inv, &p);
	bh_inventory_seal(inv);
	return inv;
}

struct bh_engine *bench_shape_engine(const char *shape, size_t policies)
{
	static const struct bh_engine_opts opts;
	bh_autobuf struct bh_buf text = {0};
	for (unsigned i = 0; i < policies; i++)
		write_policy(shape, i, &text);
	struct bh_policy_set *set = bench_parse(&text);
	struct bh_inventory *inv = inventory();
	struct bh_engine *e = bh_engine_compile(set, inv, &opts);
	bh_policy_set_unref(set);
	bh_inventory_unref(inv);
	return e;
}

static void flow(struct bench_rng *r, const char *src, unsigned port, struct bh_flow *ret)
{
	*ret = (struct bh_flow){.src = bench_addr(src), .dst = bench_addr(TARGET), .proto = BH_TCP};
	ret->sport = (uint16_t)(32768 + bench_below(r, 28000));
	ret->dport = (uint16_t)port;
}

static void allowed(const char *shape, struct bench_rng *r, unsigned i, struct bh_flow *ret)
{
	char src[BH_ADDR_STRLEN];
	who_addr(part(shape, i), i, src);
	flow(r, src, part(shape, i).last, ret);
}

/* The wrong peer, the wrong port, or the peer of one policy and the port of another. */
static void denied(const char *shape, struct bench_rng *r, unsigned n, struct bh_flow *ret)
{
	unsigned i = bench_below(r, n), k = bench_below(r, n), kind = bench_below(r, 3);
	char src[BH_ADDR_STRLEN];
	who_addr(part(shape, i), i, src);
	if (kind == 0)
		flow(r, STRANGER, part(shape, i).last, ret);
	else
		flow(r, src, kind == 1 ? 9 : part(shape, k).first, ret);
}

static void one_flow(
	const char *shape, struct bench_rng *r, unsigned n, int kind, struct bh_flow *ret)
{
	char src[BH_ADDR_STRLEN];
	switch (kind) {
	case KIND_FIRST:
		allowed(shape, r, 0, ret);
		return;
	case KIND_LAST:
		allowed(shape, r, n - 1, ret);
		return;
	case KIND_ALLOWED:
		allowed(shape, r, bench_below(r, n), ret);
		return;
	case KIND_DENIED:
		denied(shape, r, n, ret);
		return;
	default:
		snprintf(src, sizeof(src), "192.0.2.%u", bench_below(r, 256));
		flow(r, src, part(shape, bench_below(r, n)).last, ret);
	}
}

void bench_shape_flows(
	const char *shape, const struct bh_engine *e, struct bench_rng *r, struct bench_flows *ret)
{
	unsigned n = (unsigned)bh_engine_policies(e)->n;
	for (int kind = 0; kind < KINDS; kind++) {
		unsigned tries = 0;
		if (kind == KIND_OPEN)
			continue; /* all flows go to the one workload */
		while (ret->n[kind] < BENCH_FLOWS && tries++ < 100 * BENCH_FLOWS) {
			struct bh_flow *f = &ret->flow[kind][ret->n[kind]];
			struct bh_decision d;
			one_flow(shape, r, n, kind, f);
			bh_engine_evaluate(e, f, &d);
			if (kind <= KIND_ALLOWED && d.verdict != BH_ALLOW)
				errx(1, "%s: a flow that policy allows is denied", shape);
			if (kind != KIND_DENIED || d.verdict == BH_DROP)
				ret->n[kind]++;
		}
	}
}
