/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The policies of a world, as documents: what is measured includes what the parser makes of them.
 */
#include "bench/world.h"

#define PICK(r, a) ((a)[bench_below(r, BH_ARRAY_SIZE(a))])

static const char *const tiers[] = {"frontend", "backend", "db", "cache", "worker"};
static const char *const envs[] = {"prod", "staging", "dev"};
static const unsigned ports[] = {22, 53, 80, 443, 3306, 5432, 6379, 8080, 8443, 9000, 9090, 9092};
static const char *const blocks[] = {
	"{cidr: 203.0.113.0/24}",
	"{cidr: 198.51.100.0/24, except: [198.51.100.64/26]}",
	"{cidr: 192.0.2.0/24, except: [192.0.2.1/32, 192.0.2.128/25]}",
	"{cidr: 10.0.0.0/8, except: [10.64.0.0/10]}",
	"{cidr: 0.0.0.0/0, except: [10.0.0.0/8, 172.16.0.0/12, 192.168.0.0/16, 169.254.0.0/16]}",
	"{cidr: \"2001:db8::/32\"}",
	"{cidr: \"::/0\", except: [\"fc00::/7\"]}",
};

struct writer {
	const struct bench_world *w;
	struct bench_rng rng;
	struct bh_buf *out;
};

static unsigned app(struct writer *x)
{
	return bench_below(&x->rng, (unsigned)x->w->apps);
}

/* A selector of workloads, in flow style. */
static void pods(struct writer *x)
{
	unsigned kind = bench_below(&x->rng, 100);
	if (kind < 60)
		bh_buf_printf(x->out, "{matchLabels: {app: app%u}}", app(x));
	else if (kind < 80)
		bh_buf_printf(x->out, "{matchLabels: {tier: %s}}", PICK(&x->rng, tiers));
	else if (kind < 90)
		bh_buf_printf(x->out,
			"{matchLabels: {app: app%u}, matchExpressions: [{key: version, operator: "
			"In, values: [v%u]}]}",
			app(x), 1 + bench_below(&x->rng, 2));
	else
		bh_buf_printf(x->out,
			"{matchExpressions: [{key: tier, operator: NotIn, values: [%s, %s]}]}",
			PICK(&x->rng, tiers), PICK(&x->rng, tiers));
}

static void namespaces(struct writer *x)
{
	unsigned kind = bench_below(&x->rng, 10);
	if (kind < 5)
		bh_buf_printf(x->out, "{matchLabels: {team: team%u}}", bench_below(&x->rng, 10));
	else if (kind < 7)
		bh_buf_printf(x->out, "{matchLabels: {env: %s}}", PICK(&x->rng, envs));
	else
		bh_buf_printf(x->out, "{matchLabels: {kubernetes.io/metadata.name: ns%02u}}",
			bench_below(&x->rng, (unsigned)x->w->namespaces));
}

static void peer(struct writer *x)
{
	unsigned kind = bench_below(&x->rng, 100);
	bh_buf_str(x->out, "    - {");
	if (kind >= 85) {
		bh_buf_printf(x->out, "ipBlock: %s}\n", PICK(&x->rng, blocks));
		return;
	}
	if (kind >= 55) {
		bh_buf_str(x->out, "namespaceSelector: ");
		namespaces(x);
	}
	if (kind >= 70)
		bh_buf_str(x->out, ", ");
	if (kind < 55 || kind >= 70) {
		bh_buf_str(x->out, "podSelector: ");
		pods(x);
	}
	bh_buf_str(x->out, "}\n");
}

static void port(struct writer *x)
{
	static const char *const names[] = {"http", "grpc", "metrics"};
	static const char *const protos[] = {"TCP", "TCP", "TCP", "TCP", "UDP", "SCTP"};
	unsigned kind = bench_below(&x->rng, 10);
	if (kind < 6) {
		bh_buf_printf(x->out, "    - {protocol: %s, port: %u}\n", PICK(&x->rng, protos),
			PICK(&x->rng, ports));
	} else if (kind < 8) {
		unsigned first = 1024 + bench_below(&x->rng, 30000);
		bh_buf_printf(x->out, "    - {protocol: TCP, port: %u, endPort: %u}\n", first,
			first + bench_below(&x->rng, 1000));
	} else {
		bh_buf_printf(x->out, "    - {protocol: TCP, port: %s}\n", PICK(&x->rng, names));
	}
}

static void rule(struct writer *x, enum bh_direction d)
{
	unsigned peers = bench_chance(&x->rng, 5) ? 0 : 1 + bench_below(&x->rng, 3);
	unsigned n = bench_chance(&x->rng, 10) ? 0 : 1 + bench_below(&x->rng, 3);
	const char *lead = "  - ";
	if (!peers && !n)
		n = 1; /* an allow-all would leave nothing to measure */
	if (peers) {
		bh_buf_printf(x->out, "%s%s:\n", lead, d == BH_EGRESS ? "to" : "from");
		lead = "    ";
	}
	for (unsigned i = 0; i < peers; i++)
		peer(x);
	if (n)
		bh_buf_printf(x->out, "%sports:\n", lead);
	for (unsigned i = 0; i < n; i++)
		port(x);
}

static void policy(struct writer *x, size_t i)
{
	static const char *const types[] = {"[Ingress]", "[Egress]", "[Ingress, Egress]"};
	unsigned kind = bench_below(&x->rng, 100), type = bench_below(&x->rng, 100);
	int t = type < 60 ? 0 : type < 75 ? 1 : 2;
	bh_buf_printf(x->out,
		"---\napiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\n"
		"metadata: {name: p%04zu, namespace: ns%02zu}\nspec:\n  podSelector: ",
		i, i % x->w->namespaces);
	if (kind < 75)
		bh_buf_printf(x->out, "{matchLabels: {app: app%u}}", app(x));
	else if (kind < 95)
		pods(x);
	else
		bh_buf_str(x->out, "{}");
	bh_buf_printf(x->out, "\n  policyTypes: %s\n", types[t]);
	for (int d = BH_INGRESS; d >= BH_EGRESS; d--) {
		if (t == (d == BH_INGRESS ? 1 : 0))
			continue;
		bh_buf_printf(x->out, "  %s:\n", bh_direction_name((enum bh_direction)d));
		for (unsigned n = 1 + bench_below(&x->rng, 4); n; n--)
			rule(x, (enum bh_direction)d);
	}
}

static void cluster_workloads(struct writer *x)
{
	if (bench_chance(&x->rng, 60)) {
		bh_buf_str(x->out, "{namespaces: ");
		namespaces(x);
		bh_buf_str(x->out, "}");
		return;
	}
	bh_buf_str(x->out, "{pods: {namespaceSelector: ");
	namespaces(x);
	bh_buf_str(x->out, ", podSelector: ");
	pods(x);
	bh_buf_str(x->out, "}}");
}

/* `named`: networks have no named ports. */
static void cluster_protocols(struct writer *x, bool named)
{
	unsigned kind = bench_below(&x->rng, 4), p = PICK(&x->rng, ports);
	if (kind == 0)
		return; /* every protocol */
	bh_buf_str(x->out, "    protocols:\n");
	if (kind == 1 && named)
		bh_buf_str(x->out, "    - {destinationNamedPort: metrics}\n");
	else if (kind <= 2)
		bh_buf_printf(x->out, "    - {tcp: {destinationPort: {number: %u}}}\n", p);
	else
		bh_buf_printf(x->out,
			"    - {tcp: {destinationPort: {range: {start: %u, end: %u}}}}\n", p,
			p + 100);
}

static void cluster_rule(struct writer *x, enum bh_direction d)
{
	static const char *const actions[] = {"Accept", "Deny", "Pass"};
	bh_buf_printf(x->out, "  - action: %s\n    %s:\n", PICK(&x->rng, actions),
		d == BH_EGRESS ? "to" : "from");
	bool networks = false;
	for (unsigned n = 1 + bench_below(&x->rng, 2); n; n--) {
		bh_buf_str(x->out, "    - ");
		bool outside = d == BH_EGRESS && bench_chance(&x->rng, 30);
		networks = networks || outside;
		if (outside)
			bh_buf_str(x->out, "{networks: [203.0.113.0/24, \"2001:db8::/32\"]}");
		else
			cluster_workloads(x);
		bh_buf_str(x->out, "\n");
	}
	cluster_protocols(x, !networks);
}

static void cluster_policy(struct writer *x, size_t i)
{
	enum bh_direction d = bench_chance(&x->rng, 70) ? BH_INGRESS : BH_EGRESS;
	bh_buf_printf(x->out,
		"---\napiVersion: policy.networking.k8s.io/v1alpha2\nkind: ClusterNetworkPolicy\n"
		"metadata: {name: c%04zu}\nspec:\n  tier: %s\n  priority: %zu\n  subject: ",
		i, bench_chance(&x->rng, 70) ? "Admin" : "Baseline", i % 1000);
	cluster_workloads(x);
	bh_buf_printf(x->out, "\n  %s:\n", bh_direction_name(d));
	for (unsigned n = 2 + bench_below(&x->rng, 3); n; n--)
		cluster_rule(x, d);
}

void bench_world_policies(const struct bench_world *w, struct bh_buf *out)
{
	struct writer x = {w, {w->seed}, out};
	for (size_t i = 0; i < w->policies; i++) {
		/* Every 100 / cnp-th one, so that small worlds have their share too. */
		if ((i + 1) * w->cnp / 100 > i * w->cnp / 100)
			cluster_policy(&x, i);
		else
			policy(&x, i);
	}
}

struct bh_policy_set *bench_parse(const struct bh_buf *text)
{
	struct bh_policy_source src = {"bench.yaml", text->s, text->len};
	struct bh_policy_parse_opts opts = {.default_ns = "default"};
	struct bh_diags diags = {0};
	struct bh_policy_set *set = NULL;
	if (bh_policy_set_parse(&src, 1, &opts, &diags, &set) < 0) {
		bh_autobuf struct bh_buf out = {0};
		for (size_t i = 0; i < diags.n && i < 10; i++)
			bh_diag_format(&diags.item[i], &out);
		fprintf(stderr, "the parser refuses the benchmark's policies:\n%s", out.s);
		exit(1);
	}
	bh_diags_finish(&diags);
	return set;
}
