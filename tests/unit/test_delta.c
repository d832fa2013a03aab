/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The semantic diff of small worlds, line by line. test_delta_random.c has the large ones. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>

#include <bulkhead/delta.h>

/* --- worlds --- */

static const struct bh_engine_opts plain = {0}, host_policy = {.host_policy = true};

static struct bh_addr parse(const char *text)
{
	struct bh_addr a = {0};
	assert_int_equal(bh_addr_parse(text, &a), 0);
	return a;
}

/* labels: "app=web tier=b"; addrs: "10.0.0.1 fd00::1". */
static struct bh_workload *add(struct bh_inventory *inv, const char *ns, const char *name,
	const char *labels, const char *addrs)
{
	struct bh_workload *w = bh_workload_new();
	char *save, *copy = bh_xstrdup(labels);
	w->name = bh_xstrdup(name);
	w->namespace = bh_xstrdup(ns);
	w->id = bh_xasprintf("static:%s/%s", ns, name);
	w->runtime = bh_xstrdup("static");
	w->mode = BH_MODE_ENFORCE;
	for (char *s = strtok_r(copy, " ", &save); s; s = strtok_r(NULL, " ", &save)) {
		char *value = strchr(s, '=');
		*value++ = '\0';
		bh_labels_set(&w->labels, s, value);
	}
	free(copy);
	copy = bh_xstrdup(addrs);
	struct bh_interface *i = bh_workload_add_interface(w);
	i->name = bh_xstrdup("eth0");
	for (char *s = strtok_r(copy, " ", &save); s; s = strtok_r(NULL, " ", &save)) {
		struct bh_addr a = parse(s);
		bh_interface_add_addr(i, &a);
	}
	free(copy);
	bh_inventory_add(inv, w);
	return w;
}

static void serve(struct bh_workload *w, const char *name, uint8_t proto, uint16_t port)
{
	w->port = bh_xrealloc(w->port, w->n_ports + 1, sizeof(*w->port));
	w->port[w->n_ports++] = (struct bh_named_port){bh_xstrdup(name), proto, port};
}

/* Two web, two db, both dual stack, and the node. */
static struct bh_inventory *make_shop(void)
{
	struct bh_inventory *inv = bh_inventory_new();
	struct bh_addr host = parse("10.0.0.254");
	add(inv, "shop", "web-1", "app=web", "10.0.0.1 fd00::1");
	add(inv, "shop", "web-2", "app=web", "10.0.0.2 fd00::2");
	add(inv, "shop", "db-1", "app=db", "10.0.0.11 fd00::11");
	add(inv, "shop", "db-2", "app=db", "10.0.0.12 fd00::12");
	bh_inventory_add_host(inv, &host);
	bh_inventory_seal(inv);
	return inv;
}

static struct bh_policy_set *read_policies(const char *text)
{
	struct bh_diags diags = {0};
	struct bh_policy_set *s = NULL;
	const struct bh_policy_source src = {"test.yaml", text, strlen(text)};
	const struct bh_policy_parse_opts opts = {.default_ns = "shop"};
	if (bh_policy_set_parse(&src, 1, &opts, &diags, &s) < 0) {
		struct bh_buf b = {0};
		bh_diags_format(&diags, &b);
		fail_msg("%s\n%s", b.s, text);
	}
	bh_diags_finish(&diags);
	return s;
}

static void compute(struct bh_inventory *inv, const struct bh_engine_opts *engine,
	const char *before, const char *after, const struct bh_delta_opts *opts,
	struct bh_delta *ret)
{
	struct bh_policy_set *a = read_policies(before), *b = read_policies(after);
	assert_int_equal(bh_delta_policies(a, b, inv, engine, true, opts, ret), 0);
	bh_policy_set_unref(a);
	bh_policy_set_unref(b);
}

static void expect_with(struct bh_inventory *inv, const struct bh_engine_opts *engine,
	const char *before, const char *after, const char *want)
{
	struct bh_delta d;
	bh_autobuf struct bh_buf got = {0};
	compute(inv, engine, before, after, NULL, &d);
	bh_delta_format(&d, &got);
	assert_string_equal(got.s ? got.s : "", want);
	assert_int_equal(d.n, d.n_opens + d.n_closes);
	assert_false(d.truncated);
	bh_delta_finish(&d);
}

static void expect_in(
	struct bh_inventory *inv, const char *before, const char *after, const char *want)
{
	expect_with(inv, &plain, before, after, want);
	bh_inventory_unref(inv);
}

#define POLICY(name, spec)                                                                         \
	"---\napiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\n"                             \
	"metadata: {name: " name ", namespace: shop}\nspec: {" spec "}\n"
#define CLUSTER(name, spec)                                                                        \
	"---\napiVersion: policy.networking.k8s.io/v1alpha2\nkind: ClusterNetworkPolicy\n"         \
	"metadata: {name: " name "}\nspec: {" spec "}\n"
#define APP(app) "podSelector: {matchLabels: {app: " app "}}"
#define CLOSED_DB POLICY("db", APP("db") ", policyTypes: [Ingress]")
#define WEB_TO_DB(ports) POLICY("db", APP("db") ", ingress: [{from: [{" APP("web") "}]" ports "}]")

/* --- what opens and closes --- */

static void test_rule_opens(void **state BH_UNUSED)
{
	expect_in(make_shop(), CLOSED_DB, WEB_TO_DB(", ports: [{port: 5432}]"),
		"+ shop/web → shop/db  tcp/5432  ingress: allowed by shop/db rule 0"
		" (before: no rule allows it)\n");
	expect_in(make_shop(), WEB_TO_DB(", ports: [{port: 5432}]"), CLOSED_DB,
		"- shop/web → shop/db  tcp/5432  ingress: no rule allows it"
		" (before: allowed by shop/db rule 0)\n");
}

static void test_isolation_closes(void **state BH_UNUSED)
{
	expect_in(make_shop(), "", WEB_TO_DB(", ports: [{port: 5432}, {port: 53, protocol: UDP}]"),
		"- shop/db → shop/db  everything  ingress: no rule allows it"
		" (before: open, no policy selects it)\n"
		"- shop/web → shop/db  tcp/0-5431,5433-65535, udp/0-52,54-65535, sctp, icmp, "
		"other protocols  ingress: no rule allows it (before: open, no policy selects it)\n"
		"- outside → shop/db  everything  ingress: no rule allows it"
		" (before: open, no policy selects it)\n");
}

static void test_nothing_changes(void **state BH_UNUSED)
{
	struct bh_inventory *inv = make_shop();
	struct bh_delta d;
	/* Another comment is no change, and nothing has to be evaluated to know. */
	compute(inv, &plain, CLOSED_DB, "# closed\n" CLOSED_DB, NULL, &d);
	assert_int_equal(d.n, 0);
	assert_true(d.evaluations == 0);
	bh_delta_finish(&d);
	/* Another policy that says the same. */
	compute(inv, &plain, CLOSED_DB, POLICY("other", APP("db") ", policyTypes: [Ingress]"), NULL,
		&d);
	assert_int_equal(d.n, 0);
	assert_true(d.evaluations > 0);
	bh_delta_finish(&d);
	bh_inventory_unref(inv);
}

#define WEB_OUT(rules) POLICY("web", APP("web") ", policyTypes: [Egress], egress: [" rules "]")
#define BLOCK(cidr) "{ipBlock: {cidr: " cidr "}}"

static void test_outside(void **state BH_UNUSED)
{
	expect_in(make_shop(),
		WEB_OUT("{to: [" BLOCK("203.0.113.0/24") ", " BLOCK(
			"192.0.2.9/32") "], ports: [{port: 443}]}"),
		WEB_OUT("{to: [" BLOCK("203.0.113.128/25") "], ports: [{port: 443}]}"),
		"- shop/web → outside 192.0.2.9 203.0.113.0/25  tcp/443  egress: no rule allows it"
		" (before: allowed by shop/web rule 0)\n");
	/* A workload in the block is an end of its own, and no hole in what is outside. */
	expect_in(make_shop(), WEB_OUT(""), WEB_OUT("{to: [" BLOCK("10.0.0.8/29") "]}"),
		"+ shop/web → shop/db IPv4  everything  egress: allowed by shop/web rule 0"
		" (before: no rule allows it)\n"
		"+ shop/web → outside 10.0.0.8/29  everything  egress: allowed by shop/web rule 0"
		" (before: no rule allows it)\n");
	expect_in(make_shop(), WEB_OUT(""),
		WEB_OUT("{to: [{ipBlock: {cidr: 0.0.0.0/0, except: [10.0.0.0/8]}}]}"),
		"+ shop/web → outside IPv4 except 10.0.0.0/8  everything  egress: allowed by "
		"shop/web"
		" rule 0 (before: no rule allows it)\n");
	/* Who has no IPv6 does not come to reach any: not a word of it. */
	struct bh_inventory *inv = bh_inventory_new();
	add(inv, "shop", "web-1", "app=web", "10.0.0.1");
	bh_inventory_seal(inv);
	expect_in(inv, POLICY("web", APP("web") ", policyTypes: [Egress]"),
		POLICY("web", APP("web") ", policyTypes: [Egress], egress: [{to: [{ipBlock: {cidr: "
					 "203.0.113.0/24}}]}]"),
		"+ shop/web → outside 203.0.113.0/24  everything  egress: allowed by shop/web"
		" rule 0 (before: no rule allows it)\n");
}

static void test_part_of_role(void **state BH_UNUSED)
{
	struct bh_inventory *inv = bh_inventory_new();
	serve(add(inv, "shop", "db-1", "app=db", "10.0.0.11"), "sql", BH_TCP, 5432);
	serve(add(inv, "shop", "db-2", "app=db", "10.0.0.12"), "sql", BH_TCP, 5433);
	serve(add(inv, "shop", "db-3", "app=db", "10.0.0.13"), "sql", BH_TCP, 5433);
	add(inv, "shop", "web-1", "app=web", "10.0.0.1");
	bh_inventory_seal(inv);
	expect_in(inv, CLOSED_DB, WEB_TO_DB(", ports: [{port: sql}]"),
		"+ shop/web → shop/db (1 of 3: db-1)  tcp/5432  ingress: allowed by shop/db rule 0"
		" (before: no rule allows it)\n"
		"+ shop/web → shop/db (2 of 3: db-2, db-3)  tcp/5433  ingress: allowed by shop/db"
		" rule 0 (before: no rule allows it)\n");
	/* The name in an egress rule means the other end's number. */
	inv = bh_inventory_new();
	serve(add(inv, "shop", "db-1", "app=db", "10.0.0.11"), "sql", BH_UDP, 7);
	add(inv, "shop", "web-1", "app=web", "10.0.0.1");
	bh_inventory_seal(inv);
	expect_in(inv, WEB_OUT(""), WEB_OUT("{ports: [{port: sql, protocol: UDP}]}"),
		"+ shop/web → shop/db  udp/7  egress: allowed by shop/web rule 0"
		" (before: no rule allows it)\n");
}

/* 0: web-1 reaches only db-1, web-2 both; 1: the other way round. */
static void expect_two_products(int i, const char *want)
{
	struct bh_inventory *inv = bh_inventory_new();
	add(inv, "shop", "web-1", i ? "app=web zone=b" : "app=web zone=a", "10.0.0.1");
	add(inv, "shop", "web-2", i ? "app=web zone=a" : "app=web zone=b", "10.0.0.2");
	add(inv, "shop", "db-1", "app=db", "10.0.0.11");
	add(inv, "shop", "db-2", "app=db", "10.0.0.12");
	bh_inventory_seal(inv);
#define ZONES                                                                                      \
	POLICY("a", "podSelector: {matchLabels: {zone: a}}, policyTypes: [Egress], "               \
		    "egress: [{to: [" BLOCK("10.0.0.11/32") "]}]")
	expect_in(inv, CLOSED_DB ZONES, WEB_TO_DB(", ports: [{port: 1}]") ZONES, want);
}

/* No single product of sources and destinations says this: the same rule opens for both, but the
 * egress of one web leads to one db only. */
static void test_product(void **state BH_UNUSED)
{
	expect_two_products(0,
		"+ shop/web (1 of 2: web-1) → shop/db (1 of 2: db-1)  tcp/1  ingress: allowed by"
		" shop/db rule 0 (before: no rule allows it)\n"
		"+ shop/web (1 of 2: web-2) → shop/db  tcp/1  ingress: allowed by shop/db rule 0"
		" (before: no rule allows it)\n");
	expect_two_products(1,
		"+ shop/web (1 of 2: web-1) → shop/db  tcp/1  ingress: allowed by shop/db rule 0"
		" (before: no rule allows it)\n"
		"+ shop/web (1 of 2: web-2) → shop/db (1 of 2: db-1)  tcp/1  ingress: allowed by"
		" shop/db rule 0 (before: no rule allows it)\n");
}

/* What tells workloads apart may stand in a peer alone. */
static void test_peer_alone(void **state BH_UNUSED)
{
	struct bh_inventory *inv = bh_inventory_new();
	add(inv, "shop", "web-1", "app=web zone=a", "10.0.0.1");
	add(inv, "shop", "web-2", "app=web zone=b", "10.0.0.2");
	add(inv, "shop", "db-1", "app=db", "10.0.0.11");
	bh_inventory_seal(inv);
	expect_in(inv, CLOSED_DB,
		POLICY("db",
			APP("db") ", ingress: [{from: [{podSelector: {matchLabels: {zone: b}}}]}]"),
		"+ shop/web (1 of 2: web-2) → shop/db  everything  ingress: allowed by shop/db"
		" rule 0 (before: no rule allows it)\n");
}

/* A role reaches itself: each workload every other one, never itself. */
static void test_itself(void **state BH_UNUSED)
{
	static const char *const by_name =
		POLICY("by-name", "podSelector: {matchExpressions: [{key: bulkhead.io/name, "
				  "operator: In, values: [web-1]}]}, ingress: [{}]");
	struct bh_inventory *inv = bh_inventory_new();
	bh_autofree char *text = bh_xasprintf("%s%s", by_name, CLOSED_DB);
	for (int i = 1; i <= 4; i++) {
		bh_autofree char *name = bh_xasprintf("web-%d", i);
		bh_autofree char *labels = bh_xasprintf("app=web bulkhead.io/name=web-%d", i);
		bh_autofree char *addr = bh_xasprintf("10.0.0.%d", i);
		add(inv, "shop", name, labels, addr);
	}
	add(inv, "shop", "db-1", "app=db", "10.0.0.11");
	bh_inventory_seal(inv);
	expect_in(bh_inventory_ref(inv), by_name,
		POLICY("by-name", "podSelector: {matchLabels: {app: web}}, policyTypes: [Ingress]"),
		"- shop/db → shop/web (1 of 4: web-1)  everything  ingress: no rule allows it"
		" (before: allowed by shop/by-name rule 0)\n"
		"- shop/db → shop/web (3 of 4: web-2, web-3, web-4)  everything  ingress: no rule"
		" allows it (before: open, no policy selects it)\n"
		"- shop/web → shop/web (1 of 4: web-1)  everything  ingress: no rule allows it"
		" (before: allowed by shop/by-name rule 0)\n"
		"- shop/web → shop/web (3 of 4: web-2, web-3, web-4)  everything  ingress: no rule"
		" allows it (before: open, no policy selects it)\n"
		"- outside → shop/web (1 of 4: web-1)  everything  ingress: no rule allows it"
		" (before: allowed by shop/by-name rule 0)\n"
		"- outside → shop/web (3 of 4: web-2, web-3, web-4)  everything  ingress: no rule"
		" allows it (before: open, no policy selects it)\n");
	/* One workload alone has nobody of its own to reach. */
	expect_in(inv, by_name, text,
		"- shop/web → shop/db  everything  ingress: no rule allows it"
		" (before: open, no policy selects it)\n"
		"- outside → shop/db  everything  ingress: no rule allows it"
		" (before: open, no policy selects it)\n");
}

/* --- ClusterNetworkPolicy, the host, nodes --- */

static void test_tiers(void **state BH_UNUSED)
{
	expect_in(make_shop(), "",
		CLUSTER("guard",
			"tier: Admin, priority: 5, subject: {pods: {namespaceSelector: {}, "
			"podSelector: {matchLabels: {app: db}}}}, ingress: [{action: Deny, "
			"from: [{namespaces: {}}], protocols: [{tcp: {destinationPort: "
			"{number: 22}}}]}]"),
		"- shop/db → shop/db  tcp/22  ingress: denied by cnp:guard rule 0"
		" (before: open, no policy selects it)\n"
		"- shop/web → shop/db  tcp/22  ingress: denied by cnp:guard rule 0"
		" (before: open, no policy selects it)\n");
	/* Networks mean the addresses of workloads as well. */
	expect_in(make_shop(), "",
		CLUSTER("nets",
			"tier: Baseline, priority: 5, subject: {pods: {namespaceSelector: {}, "
			"podSelector: {matchLabels: {app: web}}}}, egress: [{action: Deny, "
			"to: [{networks: [10.0.0.12/32, 192.0.2.0/24]}]}]"),
		"- shop/web → shop/db (1 of 2: db-2) IPv4  everything  egress: denied by cnp:nets"
		" rule 0 (before: open, no policy selects it)\n"
		"- shop/web → outside 192.0.2.0/24  everything  egress: denied by cnp:nets rule 0"
		" (before: open, no policy selects it)\n");
}

static void test_nodes(void **state BH_UNUSED)
{
	struct bh_inventory *inv = bh_inventory_new();
	struct bh_addr host = parse("10.0.0.254"), a = parse("192.0.2.1"), b = parse("192.0.2.2");
	struct bh_labels gpu = {0};
	bh_labels_set(&gpu, "gpu", "yes");
	add(inv, "shop", "web-1", "app=web", "10.0.0.1");
	bh_inventory_add_host(inv, &host);
	bh_inventory_add_node(inv, "n1", &gpu, &a, 1);
	bh_inventory_add_node(inv, "n2", NULL, &b, 1);
	bh_inventory_seal(inv);
	expect_with(inv, &host_policy, "",
		CLUSTER("nodes", "tier: Admin, priority: 5, subject: {namespaces: {}}, egress: "
				 "[{action: Deny, to: [{nodes: {matchLabels: {gpu: \"yes\"}}}]}]"),
		"- shop/web → node n1  everything  egress: denied by cnp:nodes rule 0"
		" (before: open, no policy selects it)\n");
	expect_with(inv, &host_policy, "", WEB_OUT("{to: [" BLOCK("192.0.2.0/24") "]}"),
		"- shop/web → host  everything  egress: no rule allows it"
		" (before: open, no policy selects it)\n"
		"- shop/web → outside except 192.0.2.0/24  everything  egress: no rule allows"
		" it (before: open, no policy selects it)\n");
	/* host: allow leaves the node alone. */
	expect_with(inv, &plain, "", WEB_OUT("{to: [" BLOCK("0.0.0.0/0") "]}"), "");
	bh_labels_finish(&gpu);
	bh_inventory_unref(inv);
}

/* --- fields, modes, limits --- */

static void test_fields(void **state BH_UNUSED)
{
	struct bh_inventory *inv = make_shop();
	struct bh_delta d;
	compute(inv, &plain, CLOSED_DB, WEB_TO_DB(", ports: [{port: 80, endPort: 90}]"), NULL, &d);
	assert_int_equal(d.n, 1);
	assert_int_equal(d.n_opens, 1);
	const struct bh_delta_edge *e = &d.edge[0];
	assert_true(e->opens);
	assert_int_equal(e->src.kind, BH_DELTA_ROLE);
	assert_string_equal(e->src.namespace, "shop");
	assert_string_equal(e->src.name, "web");
	assert_string_equal(bh_labels_get(&e->src.selector, "app"), "web");
	assert_true(e->src.whole && e->dst.whole);
	assert_int_equal(e->src.n_workloads, 2);
	assert_int_equal(e->src.total, 2);
	assert_string_equal(d.inv->workload[e->dst.workload[0]]->name, "db-1");
	assert_int_equal(e->n_services, 1);
	assert_int_equal(e->service[0].proto, BH_TCP);
	assert_int_equal(e->service[0].first, 80);
	assert_int_equal(e->service[0].last, 90);
	assert_false(e->everything);
	assert_false(e->why[BH_EGRESS].decides);
	assert_null(e->why[BH_EGRESS].before);
	assert_string_equal(e->why[BH_INGRESS].before, "no rule allows it");
	bh_delta_finish(&d);
	bh_inventory_unref(inv);
}

/* Labels behind names that two roles of a namespace would share. */
static void test_names(void **state BH_UNUSED)
{
	struct bh_inventory *inv = bh_inventory_new();
	add(inv, "shop", "a", "app=db", "10.0.0.1");
	add(inv, "shop", "b", "k8s-app=db", "10.0.0.2");
	bh_inventory_seal(inv);
	expect_in(inv, "",
		CLUSTER("x", "tier: Admin, priority: 1, subject: {namespaces: {}}, "
			     "egress: [{action: Deny, to: [{namespaces: {}}]}]"),
		"- shop/db{app=db} → shop/db{k8s-app=db}  everything  egress: denied by cnp:x rule "
		"0"
		" (before: open, no policy selects it)\n"
		"- shop/db{k8s-app=db} → shop/db{app=db}  everything  egress: denied by cnp:x rule "
		"0"
		" (before: open, no policy selects it)\n");
}

static void test_modes(void **state BH_UNUSED)
{
	struct bh_inventory *inv = bh_inventory_new();
	struct bh_policy_set *a = read_policies(""), *b = read_policies(CLOSED_DB);
	struct bh_delta d;
	add(inv, "shop", "web-1", "app=web", "10.0.0.1")->mode = BH_MODE_LEARN;
	add(inv, "shop", "db-1", "app=db", "10.0.0.11")->mode = BH_MODE_AUDIT;
	bh_inventory_seal(inv);
	assert_int_equal(bh_delta_policies(a, b, inv, &plain, false, NULL, &d), 0);
	assert_int_equal(d.n, 0); /* audit denies nothing */
	bh_delta_finish(&d);
	assert_int_equal(bh_delta_policies(a, b, inv, &plain, true, NULL, &d), 0);
	assert_int_equal(d.n_closes, 2); /* from web, from outside */
	assert_int_equal(inv->workload[0]->mode, BH_MODE_AUDIT); /* a copy */
	bh_delta_finish(&d);
	bh_policy_set_unref(a);
	bh_policy_set_unref(b);
	bh_inventory_unref(inv);
}

static void test_engines(void **state BH_UNUSED)
{
	struct bh_inventory *inv = make_shop(), *other = make_shop();
	struct bh_policy_set *none = read_policies("");
	const struct bh_engine_opts deny = {.unselected_deny = true};
	struct bh_engine *a = bh_engine_compile(none, inv, &plain);
	struct bh_engine *b = bh_engine_compile(none, other, &plain);
	struct bh_engine *c = bh_engine_compile(none, inv, &deny);
	struct bh_delta d = {0};
	assert_int_equal(bh_delta_compute(a, b, NULL, &d), -EINVAL);
	/* No policy has changed, but what having none means has. */
	assert_int_equal(bh_delta_compute(a, c, NULL, &d), 0);
	bh_autobuf struct bh_buf text = {0};
	bh_delta_why_format(&d.edge[0], &text);
	assert_string_equal(text.s,
		"egress: no policy, and unselected: deny (before: open, no policy selects it); "
		"ingress: no policy, and unselected: deny (before: open, no policy selects it)");
	assert_int_equal(d.n, 8); /* each role to each, from and to outside */
	bh_delta_finish(&d);
	bh_engine_unref(a);
	bh_engine_unref(b);
	bh_engine_unref(c);
	bh_policy_set_unref(none);
	bh_inventory_unref(inv);
	bh_inventory_unref(other);
}

static void test_limits(void **state BH_UNUSED)
{
	const struct bh_delta_opts few_edges = {.max_edges = 1},
				   few_evaluations = {.max_evaluations = 1};
	struct bh_inventory *inv = make_shop();
	bh_autobuf struct bh_buf text = {0};
	struct bh_delta d;
	compute(inv, &plain, "", CLOSED_DB, &few_edges, &d);
	assert_true(d.truncated);
	assert_int_equal(d.n, 1);
	assert_true(d.skipped == 3); /* db → db is there; from web, host, outside is not */
	bh_delta_format(&d, &text);
	assert_non_null(strstr(text.s, "truncated: a limit was reached; 3 pairs of ends may"));
	bh_delta_finish(&d);
	compute(inv, &plain, "", CLOSED_DB, &few_evaluations, &d);
	assert_true(d.truncated);
	assert_int_equal(d.n, 0); /* not even db → db is finished */
	assert_true(d.skipped == 4);
	bh_delta_finish(&d);
	/* One pair of roles, two edges. */
	compute(inv, &plain, CLOSED_DB,
		WEB_TO_DB(", ports: [{port: 1}]}, {from: [{" APP("web") "}], ports: [{port: 2}]"),
		&few_edges, &d);
	assert_true(d.truncated);
	assert_int_equal(d.n, 1);
	bh_delta_finish(&d);
	bh_inventory_unref(inv);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rule_opens),
		cmocka_unit_test(test_isolation_closes),
		cmocka_unit_test(test_nothing_changes),
		cmocka_unit_test(test_outside),
		cmocka_unit_test(test_part_of_role),
		cmocka_unit_test(test_product),
		cmocka_unit_test(test_peer_alone),
		cmocka_unit_test(test_itself),
		cmocka_unit_test(test_tiers),
		cmocka_unit_test(test_nodes),
		cmocka_unit_test(test_fields),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_modes),
		cmocka_unit_test(test_engines),
		cmocka_unit_test(test_limits),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
