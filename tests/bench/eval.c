/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The decision on one flow, in nanoseconds, beside a naive evaluator that walks all policies
 * (tests/lib/reference.c). The naive one is given an inventory of the flow's two ends only, so that
 * its linear search for an address' owner does not count against it. Both must say the same.
 */
#include "bench/policy.h"

#include "lib/reference.h"

#include <err.h>

#define NAIVE_FLOWS 16 /* of each kind */
#define ROUND_MS 2.0
#define TRIES 4000000

const char *const bench_kind_name[KINDS] = {
	"allowed, first rule", "allowed, last rule", "allowed", "denied", "unselected", "outside"};

static struct bh_engine *spread(const struct bench_eval *v)
{
	static const struct bh_engine_opts opts;
	struct bench_world w =
		bench_world_size(v->policies, v->workloads, v->opts.cnp, v->opts.seed);
	bh_autobuf struct bh_buf text = {0};
	bench_world_policies(&w, &text);
	struct bh_policy_set *set = bench_parse(&text);
	struct bh_inventory *inv = bench_world_inventory(&w);
	struct bh_engine *e = bh_engine_compile(set, inv, &opts);
	bh_policy_set_unref(set);
	bh_inventory_unref(inv);
	return e;
}

static struct bh_addr outside(struct bench_rng *r, uint8_t family)
{
	static const char *const net[] = {
		"203.0.113.%u", "198.51.100.%u", "192.0.2.%u", "9.9.9.%u"};
	char text[BH_ADDR_STRLEN];
	unsigned host = bench_below(r, 256);
	if (family == BH_IPV6)
		snprintf(text, sizeof(text), "2001:db8::%x", host);
	else
		snprintf(text, sizeof(text), net[bench_below(r, BH_ARRAY_SIZE(net))], host);
	return bench_addr(text);
}

/* Half of them start in a namespace that has policies and mostly stay in it (the inventory is
 * sorted by namespace): between two random workloads of a large world little is ever allowed. */
static bool random_flow(struct bench_rng *r, const struct bh_engine *e, struct bh_flow *ret)
{
	static const uint16_t ports[] = {
		22, 53, 80, 443, 3306, 5432, 6379, 8080, 8443, 9000, 9090, 9092, 8000, 1};
	const struct bh_inventory *inv = bh_engine_inventory(e);
	const struct bh_policy_set *set = bh_engine_policies(e);
	unsigned n = (unsigned)inv->n, from = bench_below(r, n), to = bench_below(r, n);
	const char *ns = set->policy[bench_below(r, (unsigned)set->n)]->namespace;
	if (bench_chance(r, 50)) {
		to = (from + to % 100) % n;
		if (!bh_streq(inv->workload[from]->namespace, ns))
			return false;
	}
	const struct bh_workload *a = inv->workload[from], *b = inv->workload[to];
	if (bench_chance(r, 50)) {
		const struct bh_workload *swap = a;
		a = b;
		b = swap;
	}
	const struct bh_interface *f = &a->iface[0], *g = &b->iface[0];
	unsigned v6 = f->n_addrs > 1 && g->n_addrs > 1 && bench_chance(r, 40);
	*ret = (struct bh_flow){.src = f->addr[v6], .dst = g->addr[v6]};
	unsigned kind = bench_below(r, 100);
	if (kind < 10)
		ret->src = outside(r, ret->dst.family);
	else if (kind < 20)
		ret->dst = outside(r, ret->src.family);
	ret->proto = bench_chance(r, 85) ? BH_TCP : BH_UDP;
	ret->sport = (uint16_t)(32768 + bench_below(r, 28000));
	ret->dport = ports[bench_below(r, BH_ARRAY_SIZE(ports))];
	return a != b;
}

static void put(struct bench_flows *to, int kind, const struct bh_flow *f)
{
	if (to->n[kind] < BENCH_FLOWS)
		to->flow[kind][to->n[kind]++] = *f;
}

/* Which rules decided: the first of the first policy that selects the workload, the last of the
 * last? */
static void put_allowed(struct bench_flows *to, const struct bh_engine *e, const struct bh_flow *f,
	const struct bh_decision *d)
{
	put(to, KIND_ALLOWED, f);
	for (int i = 0; i < 2; i++) {
		const struct bh_policy *const *p;
		const struct bh_side *s = &d->side[i];
		if (s->verdict != BH_SIDE_ALLOWED)
			continue;
		size_t n = bh_engine_policies_of(e, (size_t)s->workload, (enum bh_direction)i, &p);
		if (n && s->rule.policy == p[0] && s->rule.rule == 0)
			put(to, KIND_FIRST, f);
		else if (n && s->rule.policy == p[n - 1] &&
			 (size_t)s->rule.rule + 1 == p[n - 1]->n_rules[i])
			put(to, KIND_LAST, f);
	}
}

static void spread_flows(struct bench_rng *r, const struct bh_engine *e, struct bench_flows *ret)
{
	size_t full = 0;
	for (unsigned t = 0; t < TRIES && full < KINDS; t++) {
		struct bh_decision d;
		struct bh_flow f;
		if (!random_flow(r, e, &f))
			continue;
		bh_engine_evaluate(e, &f, &d);
		if (d.side[0].workload < 0 || d.side[1].workload < 0)
			put(ret, KIND_OUTSIDE, &f);
		else if (d.verdict != BH_ALLOW)
			put(ret, KIND_DENIED, &f);
		else if (d.reason == BH_REASON_POLICY)
			put_allowed(ret, e, &f, &d);
		else
			put(ret, KIND_OPEN, &f);
		full = 0;
		for (int k = 0; k < KINDS; k++)
			full += ret->n[k] == BENCH_FLOWS;
	}
}

/* In ns of CPU per flow (it waits for nothing, and others may be at work); the flows again and
 * again until the clock's own cost does not matter. */
static double evaluate_all(const struct bh_engine *e, const struct bh_flow *f, size_t n)
{
	unsigned verdicts = 0;
	size_t done = 0;
	double start = bench_cpu(), took;
	do {
		for (size_t i = 0; i < n; i++) {
			struct bh_decision d;
			bh_engine_evaluate(e, &f[i], &d);
			verdicts += d.verdict;
		}
		done += n;
		took = bench_cpu() - start;
	} while (took < ROUND_MS);
	__asm__ volatile("" ::"r"(verdicts));
	return took * 1e6 / (double)done;
}

/* The two workloads of the flow, and what else the reference looks at. */
static struct bh_inventory *ends_only(const struct bh_inventory *inv, const struct bh_flow *f)
{
	struct bh_inventory *small = bh_inventory_new();
	const int owner[2] = {bh_inventory_owner(inv, &f->src), bh_inventory_owner(inv, &f->dst)};
	for (int i = 0; i < 2; i++) {
		if (owner[i] < 0 || (i && owner[1] == owner[0]))
			continue;
		struct bh_workload *w = inv->workload[owner[i]];
		bh_inventory_add(small, bh_workload_ref(w));
		bh_inventory_add_namespace(
			small, w->namespace, &bh_inventory_namespace(inv, w->namespace)->labels);
	}
	for (size_t i = 0; i < inv->n_networks; i++)
		bh_inventory_add_network(small, &inv->network[i]);
	for (size_t i = 0; i < inv->n_hosts; i++)
		bh_inventory_add_host(small, &inv->host[i]);
	bh_inventory_seal(small);
	return small;
}

static double naive_once(const struct bh_engine *e, const struct bh_flow *f)
{
	const struct bh_inventory *inv = bh_engine_inventory(e);
	struct bh_inventory *small = ends_only(inv, f);
	struct bh_decision want, have;
	size_t done = 0;
	double start = bench_cpu(), took;
	do {
		for (int i = 0; i < 50; i++)
			reference_evaluate(
				bh_engine_policies(e), small, bh_engine_options(e), f, &want);
		done += 50;
		took = bench_cpu() - start;
	} while (took < ROUND_MS / 10);
	bh_engine_evaluate(e, f, &have);
	if (have.verdict != want.verdict || have.reason != want.reason)
		errx(1, "engine and reference disagree: %s (%s) and %s (%s)",
			bh_verdict_name(have.verdict), bh_reason_name(have.reason),
			bh_verdict_name(want.verdict), bh_reason_name(want.reason));
	bh_inventory_unref(small);
	return took * 1e6 / (double)done;
}

static void run_naive(
	const struct bh_engine *e, const struct bench_flows *flows, struct bench_eval_result *ret)
{
	for (int k = 0; k < KINDS; k++)
		for (size_t i = 0; i < flows->n[k] && i < NAIVE_FLOWS; i++)
			bench_add(&ret->naive, naive_once(e, &flows->flow[k][i]));
	ret->naive_worst = bench_max(&ret->naive);
}

void bench_eval_run(const void *arg, void *out)
{
	const struct bench_eval *v = arg;
	struct bench_eval_result *ret = out;
	struct bench_rng r = {v->opts.seed + 77};
	struct bench_flows *flows = bh_xcalloc(1, sizeof(*flows));
	struct bh_engine *e = v->shape ? bench_shape_engine(v->shape, v->policies) : spread(v);
	if (v->shape)
		bench_shape_flows(v->shape, e, &r, flows);
	else
		spread_flows(&r, e, flows);
	for (unsigned i = 0; i < v->opts.rounds + 1; i++)
		for (int k = 0; k < KINDS; k++) {
			if (!flows->n[k])
				continue;
			double ns = evaluate_all(e, flows->flow[k], flows->n[k]);
			if (i) /* the first round warms up */
				bench_add(&ret->ns[k], ns);
		}
	run_naive(e, flows, ret);
	bh_engine_unref(e);
	free(flows);
}
