/* SPDX-License-Identifier: GPL-3.0-or-later */
/* ClusterNetworkPolicy: the model, the checks of its CRD one by one, and what we cannot honour. */
#include "policy_text.h"

/* A policy with one rule of a direction, which stands in line 7. */
static char *with_rule(const char *direction, const char *rule)
{
	return bh_xasprintf(CLUSTER "  {tier: Admin, priority: 5, subject: {namespaces: {}},\n"
				    "  %s: [\n  %s]}\n",
		direction, rule);
}

static int parse_nodes(
	const char *text, unsigned nodes, struct bh_diags *d, struct bh_policy_set **ret)
{
	const struct bh_policy_source src = {.file = "f.yaml", .text = text, .len = strlen(text)};
	struct bh_policy_parse_opts opts = {0};
	opts.nodes = nodes;
	return bh_policy_set_parse(&src, 1, &opts, d, ret);
}

static void test_model(void **state BH_UNUSED)
{
	struct bh_policy_set *s = good(CLUSTER_HEAD
		"metadata: {name: web.1}\n"
		"spec:\n"
		"  tier: Baseline\n"
		"  priority: 1000\n"
		"  subject: {pods: {namespaceSelector: {matchLabels: {env: prod}},\n"
		"    podSelector: {matchLabels: {app: web}}}}\n"
		"  ingress:\n"
		"  - name: \"say \\\"hi\\\"\"\n"
		"    action: Deny\n"
		"    from: [{namespaces: {}}, {pods: {podSelector: {matchLabels: {a: b}}}}]\n"
		"  egress:\n"
		"  - action: Pass\n"
		"    to: [{networks: [10.0.0.0/8, \"2001:db8::/32\"]}, {nodes: {}}]\n"
		"    protocols: [{tcp: {destinationPort: {number: 80}}},\n"
		"      {udp: {destinationPort: {range: {start: 1, end: 65535}}}},\n"
		"      {sctp: {destinationPort: {number: 9}}}]\n"
		"  - {action: Accept, to: [{pods: {podSelector: {}}}],\n"
		"    protocols: [{destinationNamedPort: web}]}\n");
	const struct bh_policy *p = bh_policy_set_find(s, "", "web.1");
	assert_non_null(p);
	assert_ptr_equal(p, bh_policy_set_find_ref(s, "cnp:web.1"));
	assert_string_equal(p->ref, "cnp:web.1");
	assert_string_equal(p->namespace, "");
	assert_int_equal(p->tier, BH_TIER_BASELINE);
	assert_int_equal(p->priority, 1000);
	assert_int_equal(p->namespaces.n, 1);
	assert_int_equal(p->pods.n, 1);
	assert_false(p->isolates[0] || p->isolates[1]);

	const struct bh_policy_rule *r = &p->rule[BH_INGRESS][0];
	assert_int_equal(p->n_rules[BH_INGRESS], 1);
	assert_int_equal(r->line, 10);
	assert_string_equal(r->name, "say \"hi\"");
	assert_int_equal(r->action, BH_RULE_DENY);
	assert_int_equal(r->n_peers, 2);
	assert_true(r->peer[0].has_namespaces && !r->peer[0].has_pods);
	assert_true(r->peer[1].has_namespaces && r->peer[1].has_pods);
	assert_int_equal(r->peer[1].pods.n, 1);
	assert_int_equal(r->n_ports, 0);

	r = &p->rule[BH_EGRESS][0];
	assert_int_equal(p->n_rules[BH_EGRESS], 2);
	assert_null(r->name);
	assert_int_equal(r->action, BH_RULE_PASS);
	assert_int_equal(r->peer[0].n_networks, 2);
	assert_int_equal(r->peer[0].network[1].len, 32);
	assert_true(r->peer[1].has_nodes && !r->peer[1].has_namespaces);
	assert_int_equal(r->n_ports, 3);
	assert_true(r->port[0].proto == BH_TCP && r->port[0].first == 80 && r->port[0].last == 80);
	assert_true(
		r->port[1].proto == BH_UDP && r->port[1].first == 1 && r->port[1].last == 65535);
	assert_true(r->port[2].proto == BH_SCTP && !r->port[2].any && !r->port[2].name);
	r = &p->rule[BH_EGRESS][1];
	assert_int_equal(r->action, BH_RULE_ACCEPT);
	assert_int_equal(r->port[0].proto, 0);
	assert_string_equal(r->port[0].name, "web");
	bh_policy_set_unref(s);
}

#define BODY                                                                                       \
	"{tier: Admin, priority: 0, subject: {namespaces: {}}, egress: [{name: \"a\\\\ü\\\"\",\n" \
	"    action: Deny, to: [{networks: [10.0.0.0/8]}, {nodes: {matchLabels: {a: b}}},\n"       \
	"      {namespaces: {}}, {pods: {podSelector: {}}}],\n"                                    \
	"    protocols: [{tcp: {destinationPort: {number: 1}}},\n"                                 \
	"      {sctp: {destinationPort: {range: {start: 1, end: 2}}}}]}],\n"                       \
	"    ingress: [{action: Pass, from: [{namespaces: {}}],\n"                                 \
	"      protocols: [{destinationNamedPort: a}]}]}\n"

/* Out of a list a policy's text is its canonical form, and it must mean the same. */
static void test_canonical(void **state BH_UNUSED)
{
	struct bh_policy_set *a =
		good(CLUSTER_HEAD "metadata: {name: p}\n# a comment\nspec: " BODY);
	struct bh_policy_set *b = good(
		"apiVersion: policy.networking.k8s.io/v1alpha2\nkind: ClusterNetworkPolicyList\n"
		"metadata: {resourceVersion: \"\"}\n"
		"items:\n- metadata: {name: p}\n  spec: " BODY);
	struct bh_policy_set *c = good("apiVersion: v1\nkind: List\nitems:\n"
				       "- apiVersion: policy.networking.k8s.io/v1alpha2\n"
				       "  kind: ClusterNetworkPolicy\n"
				       "  metadata: {name: p}\n  spec: " BODY);
	assert_memory_equal(a->sha256, b->sha256, 32);
	assert_memory_equal(a->sha256, c->sha256, 32);
	struct bh_policy_set *again = good(b->policy[0]->text);
	assert_memory_equal(a->sha256, again->sha256, 32);
	assert_string_equal(again->policy[0]->rule[BH_EGRESS][0].name, "a\\ü\"");
	bh_policy_set_unref(a);
	bh_policy_set_unref(b);
	bh_policy_set_unref(c);
	bh_policy_set_unref(again);
}

/* Every field counts in the canonical form. */
static void test_canonical_differs(void **state BH_UNUSED)
{
#define SUBJECT "subject: {namespaces: {}}"
#define FROM "from: [{namespaces: {}}]"
	static const char *const spec[] = {
		"tier: Admin, priority: 5, " SUBJECT,
		"tier: Baseline, priority: 5, " SUBJECT,
		"tier: Admin, priority: 6, " SUBJECT,
		"tier: Admin, priority: 5, subject: {namespaces: {matchLabels: {a: b}}}",
		"tier: Admin, priority: 5, subject: {pods: {podSelector: {matchLabels: {a: b}}}}",
		"tier: Admin, priority: 5, " SUBJECT ", ingress: [{action: Deny, " FROM "}]",
		"tier: Admin, priority: 5, " SUBJECT ", ingress: [{action: Pass, " FROM "}]",
		"tier: Admin, priority: 5, " SUBJECT ", ingress: [{action: Pass, name: x, " FROM
		"}]",
		"tier: Admin, priority: 5, " SUBJECT
		", egress: [{action: Pass, to: [{namespaces: {}}]}]",
		"tier: Admin, priority: 5, " SUBJECT
		", egress: [{action: Pass, to: [{nodes: {}}]}]",
		"tier: Admin, priority: 5, " SUBJECT
		", egress: [{action: Pass, to: [{networks: [0.0.0.0/0]}]}]",
		"tier: Admin, priority: 5, " SUBJECT ", ingress: [{action: Pass, " FROM
		", protocols: [{destinationNamedPort: x}]}]",
		"tier: Admin, priority: 5, " SUBJECT ", ingress: [{action: Pass, " FROM
		", protocols: [{tcp: {destinationPort: {number: 5}}}]}]",
		"tier: Admin, priority: 5, " SUBJECT ", ingress: [{action: Pass, " FROM
		", protocols: [{udp: {destinationPort: {number: 5}}}]}]",
	};
	struct bh_policy_set *set[BH_ARRAY_SIZE(spec)];
	for (size_t i = 0; i < BH_ARRAY_SIZE(spec); i++) {
		bh_autofree char *text = bh_xasprintf(CLUSTER "  {%s}\n", spec[i]);
		set[i] = good(text);
		for (size_t k = 0; k < i; k++)
			assert_memory_not_equal(set[i]->sha256, set[k]->sha256, 32);
	}
	for (size_t i = 0; i < BH_ARRAY_SIZE(spec); i++)
		bh_policy_set_unref(set[i]);
}

static void test_accepts(void **state BH_UNUSED)
{
	static const char *const spec[] = {
		"tier: Admin, priority: 0, " SUBJECT,
		"tier: Admin, priority: 0, " SUBJECT ", ingress: [], egress: []",
		"tier: Admin, priority: 0, " SUBJECT ", ingress: null, egress: ~",
		"tier: Admin, priority: 0, subject: {namespaces: {}, pods: null}",
		"tier: Admin, priority: 0, subject: {pods: {podSelector: {}, namespaceSelector: }}",
		"tier: Admin, priority: 0, " SUBJECT ", ingress: [{name: \"\", action: Deny, " FROM
		", protocols: null}]",
		"tier: Admin, priority: 0, " SUBJECT
		", ingress: [{action: Deny, from: [{namespaces: {}, pods: null}]}]",
		"tier: Admin, priority: 0, " SUBJECT ", ingress: [{action: Deny, " FROM
		", protocols: [{tcp: {destinationPort: {number: 80, range: null}}, udp: }]}]",
		"tier: Admin, priority: 0, " SUBJECT
		", egress: [{action: Deny, to: [{networks: [\"::/0\", 0.0.0.0/0]}]}]",
	};
	for (size_t i = 0; i < BH_ARRAY_SIZE(spec); i++) {
		bh_autofree char *text = bh_xasprintf(CLUSTER "  {%s}\n", spec[i]);
		bh_policy_set_unref(good(text));
	}
	bh_policy_set_unref(
		good(CLUSTER_HEAD "metadata: {name: p, namespace: \"\", labels: {a: b}}\n"
				  "spec: {tier: Admin, priority: 0, subject: {namespaces: {}}}\n"
				  "status: {conditions: []}\n"));
	/* Cluster policies and those of namespaces do not share names; the former come first. */
	struct bh_policy_set *s = good(META "spec: {podSelector: {}}\n---\n" CLUSTER
					    "  {tier: Admin, priority: 0, " SUBJECT "}\n");
	assert_int_equal(s->n, 2);
	assert_int_equal(s->policy[0]->tier, BH_TIER_ADMIN);
	bh_policy_set_unref(s);
}

static void test_refuse_spec(void **state BH_UNUSED)
{
	static const struct {
		const char *spec, *what;
	} bad[] = {
		{"priority: 5, " SUBJECT, "tier: required"},
		{"tier: null, priority: 5, " SUBJECT, "tier: required"},
		{"tier: admin, priority: 5, " SUBJECT, "Admin or Baseline"},
		{"tier: NetworkPolicy, priority: 5, " SUBJECT, "Admin or Baseline"},
		{"tier: \"\", priority: 5, " SUBJECT, "Admin or Baseline"},
		{"tier: 1, priority: 5, " SUBJECT,
			"spec.tier: must be a string, not a number; Admin or Baseline"},
		{"tier: Admin, " SUBJECT, "priority: required"},
		{"tier: Admin, priority: , " SUBJECT, "priority: required"},
		{"tier: Admin, priority: -1, " SUBJECT, "from 0 to 1000"},
		{"tier: Admin, priority: 1001, " SUBJECT, "from 0 to 1000"},
		{"tier: Admin, priority: 4294967297, " SUBJECT, "from 0 to 1000"},
		{"tier: Admin, priority: \"5\", " SUBJECT,
			"whole number, not a string; write the number without quotes"},
		{"tier: Admin, priority: 5.5, " SUBJECT, "whole number, not 5.5; write it in"},
		{"tier: Admin, priority: 012, " SUBJECT,
			"take 012 for something else; write it in"},
		{"tier: Admin, priority: [5], " SUBJECT, "whole number"},
		{"tier: Admin, priority: 5", "subject: required"},
		{"tier: Admin, priority: 5, subject: ", "subject: required"},
		{"tier: Admin, priority: 5, subject: {}", "exactly one"},
		{"tier: Admin, priority: 5, subject: {namespaces: null}", "exactly one"},
		{"tier: Admin, priority: 5, subject: []", "a mapping"},
		{"tier: Admin, priority: 5, subject: {namespaces: {}, pods: {podSelector: {}}}",
			"exclude each other; make it two policies"},
		{"tier: Admin, priority: 5, subject: {namespaceSelector: {}}", "unknown field"},
		{"tier: Admin, priority: 5, subject: {nodes: {}}", "unknown field"},
		{"tier: Admin, priority: 5, subject: {pods: {}}", "podSelector: required"},
		{"tier: Admin, priority: 5, subject: {pods: {namespaceSelector: {}}}",
			"podSelector: required"},
		{"tier: Admin, priority: 5, subject: {pods: {matchLabels: {a: b}}}",
			"unknown field"},
		{"tier: Admin, priority: 5, subject: {namespaces: {matchLabels: {a: 1}}}",
			"string"},
		{"tier: Admin, priority: 5, " SUBJECT ", ingress: {}", "spec.ingress"},
		{"tier: Admin, priority: 5, " SUBJECT ", ingress: [null]", "ingress[0]"},
		{"tier: Admin, priority: 5, " SUBJECT ", policyTypes: [Ingress]", "unknown field"},
		{"tier: Admin, priority: 5, " SUBJECT ", podSelector: {}", "unknown field"},
		{"tier: Admin, priority: 5, " SUBJECT ", Egress: []", "unknown field"},
	};
	for (size_t i = 0; i < BH_ARRAY_SIZE(bad); i++) {
		bh_autofree char *t = bh_xasprintf(CLUSTER "  {%s}\n", bad[i].spec);
		refused(t, 5, bad[i].what);
	}
}

static void test_refuse_rules(void **state BH_UNUSED)
{
	static const struct {
		const char *rule, *what;
	} bad[] = {
		{"{" FROM "}", "action: required"},
		{"{action: , " FROM "}", "action: required"},
		{"{action: Allow, " FROM "}", "Accept, Deny or Pass"},
		{"{action: deny, " FROM "}", "Accept, Deny or Pass"},
		{"{action: true, " FROM "}", "action"},
		{"{action: Deny}", "from: required"},
		{"{action: Deny, from: null}", "from: required"},
		{"{action: Deny, from: []}", "at least 1"},
		{"{action: Deny, from: {namespaces: {}}}", "from"},
		{"{action: Deny, to: [{namespaces: {}}]}", "unknown field"},
		{"{action: Deny, from: [null]}", "from[0]"},
		{"{action: Deny, from: [{}]}", "exactly one"},
		{"{action: Deny, from: [{namespaces: null}]}", "exactly one"},
		{"{action: Deny, from: [{namespaces: {}, pods: {podSelector: {}}}]}", "exclude"},
		{"{action: Deny, from: [{networks: [10.0.0.0/8]}]}", "unknown field"},
		{"{action: Deny, from: [{nodes: {}}]}", "unknown field"},
		{"{action: Deny, from: [{domainNames: [a.b]}]}", "unknown field"},
		{"{action: Deny, from: [{podSelector: {}}]}", "unknown field"},
		{"{action: Deny, from: [{ipBlock: {cidr: 10.0.0.0/8}}]}", "unknown field"},
		{"{action: Deny, from: [{pods: {namespaceSelector: {}}}]}", "required"},
		{"{action: Deny, from: [{pods: {podSelector: {}, x: 1}}]}", "unknown field"},
		{"{action: Deny, from: [{namespaces: x}]}", "a mapping"},
		{"{action: Deny, " FROM ", ports: [{portNumber: {port: 80}}]}", "unknown field"},
		{"{action: Deny, " FROM ", protocols: []}", "at least 1"},
		{"{action: Deny, " FROM ", protocols: {tcp: {}}}", "protocols"},
		{"{action: Deny, " FROM ", name: 5}", "name"},
		{"{action: Deny, " FROM ", name: \"a\\tb\"}", "control"},
		{"{action: Deny, " FROM ", name: \"a\\u202eb\"}", "control"},
	};
	for (size_t i = 0; i < BH_ARRAY_SIZE(bad); i++) {
		bh_autofree char *t = with_rule("ingress", bad[i].rule);
		refused(t, 7, bad[i].what);
	}
	bh_autofree char *name = bh_xasprintf("{action: Deny, " FROM ", name: %0101d}", 0);
	memset(strstr(name, "000"), 'n', 101);
	bh_autofree char *t = with_rule("ingress", name);
	refused(t, 7, "at most 100");
	bh_autofree char *fits = bh_xasprintf("{action: Deny, " FROM ", name: %0200d}", 0);
	char *p = strstr(fits, "000");
	for (int i = 0; i < 100; i++)
		memcpy(p + 2 * i, "ü", 2); /* characters are counted, not bytes */
	bh_autofree char *u = with_rule("ingress", fits);
	bh_policy_set_unref(good(u));
}

static void test_refuse_ports(void **state BH_UNUSED)
{
	static const struct {
		const char *port, *what;
	} bad[] = {
		{"{}", "exactly one"},
		{"null", "protocols[0]"},
		{"{tcp: null}", "exactly one"},
		{"{tcp: {}}", "destinationPort"},
		{"{tcp: {destinationPort: }}", "destinationPort"},
		{"{tcp: {destinationPort: 80}}", "a mapping"},
		{"{tcp: {destinationPort: {}}}", "number or range"},
		{"{tcp: {sourcePort: {number: 80}}}", "unknown field"},
		{"{tcp: {destinationPort: {number: 0}}}", "from 1 to 65535"},
		{"{tcp: {destinationPort: {number: 65536}}}", "from 1 to 65535"},
		{"{tcp: {destinationPort: {number: \"80\"}}}", "whole number"},
		{"{tcp: {destinationPort: {number: http}}}", "whole number"},
		{"{tcp: {destinationPort: {name: http}}}", "unknown field"},
		{"{tcp: {destinationPort: {number: 1, range: {start: 1, end: 2}}}}",
			"exclude each other; make it two items of protocols"},
		{"{tcp: {destinationPort: {range: {}}}}", "start: required"},
		{"{tcp: {destinationPort: {range: {start: 1}}}}", "end: required"},
		{"{tcp: {destinationPort: {range: {end: 1}}}}", "start: required"},
		{"{tcp: {destinationPort: {range: {start: 0, end: 1}}}}", "from 1"},
		{"{tcp: {destinationPort: {range: {start: 1, end: 65536}}}}", "to 65535"},
		{"{tcp: {destinationPort: {range: {start: 2, end: 1}}}}", "above"},
		{"{tcp: {destinationPort: {range: {start: 2, end: 2}}}}", "number: PORT"},
		{"{tcp: {destinationPort: {range: {start: 1, end: 2, x: 3}}}}", "unknown field"},
		{"{tcp: {destinationPort: {range: 1-2}}}", "a mapping"},
		{"{TCP: {destinationPort: {number: 80}}}", "tcp"},
		{"{icmp: {}}", "unknown field"},
		{"{protocol: TCP, port: 80}", "unknown field"},
		{"{tcp: {destinationPort: {number: 1}}, udp: {destinationPort: {number: 1}}}",
			"exclude"},
		{"{tcp: {destinationPort: {number: 1}}, destinationNamedPort: x}", "exclude"},
		{"{destinationNamedPort: \"\"}", "port name"},
		{"{destinationNamedPort: 80}", "string"},
		{"{destinationNamedPort: \"80\"}", "port name"},
		{"{destinationNamedPort: HTTP}", "port name"},
		{"{destinationNamedPort: a23456789-bcdefg}", "longer than 15"},
	};
	for (size_t i = 0; i < BH_ARRAY_SIZE(bad); i++) {
		bh_autofree char *rule = bh_xasprintf(
			"{action: Deny, to: [{namespaces: {}}], protocols: [%s]}", bad[i].port);
		bh_autofree char *t = with_rule("egress", rule);
		refused(t, 7, bad[i].what);
	}
	static const char *const peer[] = {"{networks: [10.0.0.0/8]}", "{nodes: {}}",
		"{namespaces: {}}, {networks: [10.0.0.0/8]}"};
	for (size_t i = 0; i < BH_ARRAY_SIZE(peer); i++) {
		bh_autofree char *rule = bh_xasprintf(
			"{action: Deny, to: [%s],\n  protocols: [{tcp: {destinationPort: "
			"{number: 1}}},\n  {destinationNamedPort: x}]}",
			peer[i]);
		bh_autofree char *t = with_rule("egress", rule);
		refused(t, 9, "have no named ports");
	}
}

static void test_refuse_networks(void **state BH_UNUSED)
{
	static const struct {
		const char *list, *what;
	} bad[] = {
		{"[]", "at least 1"},
		{"10.0.0.0/8", "a list"},
		{"[null]", "networks[0]"},
		{"[10.0.0.0]", "not a CIDR"},
		{"[10.0.0.0/33]", "not a CIDR"},
		{"[010.0.0.0/8]", "not a CIDR"},
		{"[\"::ffff:10.0.0.0/104\"]", "IPv4"},
		{"[any]", "not a CIDR"},
		{"[{cidr: 10.0.0.0/8}]", "a string"},
		{"[10.0.0.0/8, 10.0.0.0/8]", "stands twice"},
		{"[\"0000:0000:0000:0000:0000:0001:255.255.255.255/128\"]", "longer than 43"},
	};
	for (size_t i = 0; i < BH_ARRAY_SIZE(bad); i++) {
		bh_autofree char *rule =
			bh_xasprintf("{action: Deny, to: [{networks: %s}]}", bad[i].list);
		bh_autofree char *t = with_rule("egress", rule);
		refused(t, 7, bad[i].what);
	}
	/* Two spellings of a range: two items to the API, one range to us. */
	bh_autodiags struct bh_diags d = {0};
	struct bh_policy_set *s = NULL;
	bh_autofree char *t = with_rule("egress",
		"{action: Deny, to: [{networks: [\"fd00::/8\", \"FD00::/8\", \"fd00:0::/8\"]}]}");
	assert_int_equal(parse_nodes(t, BH_NODES_KNOWN, &d, &s), 0);
	assert_int_equal(d.n, 2);
	assert_int_equal(s->policy[0]->rule[BH_EGRESS][0].peer[0].n_networks, 1);
	bh_policy_set_unref(s);
}

static void test_domains(void **state BH_UNUSED)
{
	static const struct {
		const char *list, *what;
	} bad[] = {
		{"[]", "at least 1"},
		{"[\"*.*.example.com\"]", "not a domain name"},
		{"[example]", "not a domain name"},
		{"[\"*.com.\"]", "not a domain name"},
		{"[\"*\"]", "not a domain name"},
		{"[a*.example.com]", "not a domain name"},
		{"[-a.example.com]", "not a domain name"},
		{"[a..example.com]", "not a domain name"},
		{"[\"\"]", "not a domain name"},
		{"[5]", "a string"},
		{"[a.com, a.com]", "stands twice"},
		{"[a.com]", "not supported yet"},
		{"[\"*.a.com\", B.c_d.org.]", "not supported yet"},
	};
	for (size_t i = 0; i < BH_ARRAY_SIZE(bad); i++) {
		bh_autofree char *rule =
			bh_xasprintf("{action: Accept, to: [{domainNames: %s}]}", bad[i].list);
		bh_autofree char *t = with_rule("egress", rule);
		refused(t, 7, bad[i].what);
	}
}

static void test_nodes(void **state BH_UNUSED)
{
	bh_autofree char *t =
		with_rule("egress", "{action: Deny, to: [{nodes: {matchLabels: {a: b}}}]}");
	for (unsigned mode = BH_NODES_KNOWN; mode <= BH_NODES_UNKNOWN; mode++) {
		bh_autodiags struct bh_diags d = {0};
		struct bh_policy_set *s = NULL;
		int r = parse_nodes(t, mode, &d, &s);
		assert_int_equal(r, mode == BH_NODES_UNKNOWN ? -EINVAL : 0);
		assert_int_equal(d.n, mode != BH_NODES_KNOWN);
		assert_int_equal(d.n_errors, mode == BH_NODES_UNKNOWN);
		if (d.n) {
			assert_int_equal(d.item[0].line, 7);
			assert_non_null(strstr(d.item[0].path, "egress[0].to[0].nodes"));
		}
		bh_policy_set_unref(s);
	}
}

/* 25 of anything are good, 26 are not. */
static void check_limit(const char *head, const char *item, const char *tail)
{
	for (int n = 25; n <= 26; n++) {
		struct bh_buf b = {0};
		bh_buf_str(&b, head);
		for (int i = 0; i < n; i++) {
			bh_buf_printf(&b, "%s", i ? ",\n" : "");
			bh_buf_printf(&b, item, i, i);
		}
		bh_buf_str(&b, tail);
		bh_autofree char *rule = bh_buf_take(&b);
		bh_autofree char *t = with_rule("egress", rule);
		if (n == 26)
			refused(t, 32, "26 items");
		else
			bh_policy_set_unref(good(t));
	}
}

static void test_limits(void **state BH_UNUSED)
{
	check_limit("", "{action: Deny, to: [{networks: [10.%d.%d.0/24]}]}", "");
	check_limit("{action: Deny, to: [", "{networks: [10.%d.%d.0/24]}", "]}");
	check_limit("{action: Deny, to: [{networks: [", "10.%d.%d.0/24", "]}]}");
	check_limit("{action: Deny, to: [{namespaces: {}}], protocols: [",
		"{tcp: {destinationPort: {number: 1%d%d}}}", "]}");
}

static void test_refuse_documents(void **state BH_UNUSED)
{
#define GOOD "spec: {tier: Admin, priority: 5, subject: {namespaces: {}}}\n"
	refused(CLUSTER_HEAD "metadata: {name: p, namespace: x}\n" GOOD, 3, "has no namespace");
	refused(CLUSTER_HEAD "metadata: {name: P}\n" GOOD, 3, "is not a name");
	refused(CLUSTER_HEAD "metadata: {}\n" GOOD, 3, "name: required");
	refused(CLUSTER_HEAD GOOD, 1, "metadata: required");
	refused(CLUSTER_HEAD "metadata: {name: p}\n", 1, "spec: required");
	refused(CLUSTER_HEAD "metadata: {name: p}\nspec: {}\n", 4, "tier: required");
	refused(CLUSTER_HEAD "metadata: {name: p}\n" GOOD "data: {}\n", 5, "unknown field");
	refused("apiVersion: networking.k8s.io/v1\nkind: ClusterNetworkPolicy\n"
		"metadata: {name: p}\n" GOOD,
		1, "policy.networking.k8s.io/v1alpha2");
	refused("apiVersion: policy.networking.k8s.io/v1alpha1\nkind: ClusterNetworkPolicy\n"
		"metadata: {name: p}\n" GOOD,
		1, "policy.networking.k8s.io/v1alpha2");
	refused("apiVersion: policy.networking.k8s.io/v1alpha1\nkind: AdminNetworkPolicy\n", 2,
		"ClusterNetworkPolicy of policy.networking.k8s.io/v1alpha2, tier: Admin");
	refused("apiVersion: policy.networking.k8s.io/v1alpha1\n"
		"kind: BaselineAdminNetworkPolicy\n",
		2, "tier: Baseline");
	refused("apiVersion: policy.networking.k8s.io/v1alpha2\nmetadata: {name: p}\n"
		"spec: {tier: Admin, priority: 5}\n",
		3, "subject: required");
	refused("apiVersion: policy.networking.k8s.io/v1alpha2\nkind: ClusterNetworkPolicyList\n"
		"items:\n- metadata: {name: p}\n  kind: NetworkPolicy\n",
		5, "is not");
	refused(CLUSTER_HEAD "metadata: {name: p}\n" GOOD "---\n" CLUSTER_HEAD
			     "metadata: {name: p}\n" GOOD,
		6, "cnp:p is already defined at f.yaml:1:1");
	/* Errors in all places at once. */
	refused(CLUSTER "  tier: admin\n  priority: 2000\n  subject: {}\n", 5, "tier");
	refused(CLUSTER "  tier: admin\n  priority: 2000\n  subject: {}\n", 6, "priority");
	refused(CLUSTER "  tier: admin\n  priority: 2000\n  subject: {}\n", 7, "subject");
}

/* Number of warnings for two policies, a and b, of priority 5. */
static size_t warnings(const char *a, const char *b, const char *tier)
{
	bh_autodiags struct bh_diags d = {0};
	struct bh_policy_set *s = NULL;
	bh_autofree char *t = bh_xasprintf(CLUSTER_HEAD
		"metadata: {name: b}\nspec: {tier: Admin, priority: 5, %s}\n---\n" CLUSTER_HEAD
		"metadata: {name: a}\nspec: {tier: %s, priority: 5, %s}\n",
		a, tier, b);
	assert_int_equal(parse_nodes(t, BH_NODES_KNOWN, &d, &s), 0);
	for (size_t i = 0; i < d.n; i++) {
		assert_int_equal(d.item[i].severity, BH_WARNING);
		assert_int_equal(d.item[i].line, 1);
		assert_non_null(strstr(d.item[i].what, "cnp:b has the priority of cnp:a"));
		assert_non_null(strstr(d.item[i].what, "f.yaml:6"));
	}
	bh_policy_set_unref(s);
	return d.n;
}

static void test_equal_priorities(void **state BH_UNUSED)
{
#define NS(x) "subject: {namespaces: {" x "}}"
#define PODS(x) "subject: {pods: {podSelector: {" x "}}}"
#define DENY ", ingress: [{action: Deny, from: [{namespaces: {}}]}]"
#define PASS ", ingress: [{action: Pass, from: [{namespaces: {}}]}]"
#define OUT ", egress: [{action: Pass, to: [{namespaces: {}}]}]"
#define LABEL(x) "matchLabels: {a: " x "}"
#define EXPR(x) "matchExpressions: [{key: a, operator: " x "}]"
	static const struct {
		const char *a, *b;
		size_t n;
	} t[] = {
		{NS("") DENY, NS("") PASS, 1},
		{NS("") DENY, NS("") DENY, 0}, /* the order changes nothing */
		{NS("") DENY, NS("") OUT, 0},
		{NS("") DENY, NS(""), 0},
		{NS(LABEL("x")) DENY, NS(LABEL("w")) PASS, 0},
		{NS(LABEL("x")) DENY, NS(LABEL("x")) PASS, 1},
		{NS(LABEL("x")) DENY, NS("matchLabels: {b: w}") PASS, 1},
		{PODS(LABEL("x")) DENY, PODS(LABEL("w")) PASS, 0},
		{PODS(LABEL("x")) DENY, NS(LABEL("w")) PASS, 1},
		{NS(LABEL("x")) DENY, NS(EXPR("NotIn, values: [x, w]")) PASS, 0},
		{NS(LABEL("x")) DENY, NS(EXPR("NotIn, values: [w]")) PASS, 1},
		{NS(EXPR("In, values: [x, z]")) DENY, NS(EXPR("In, values: [w, z]")) PASS, 1},
		{NS(LABEL("x")) DENY, NS(EXPR("Exists")) PASS, 1},
		{NS(LABEL("x")) DENY, NS(EXPR("DoesNotExist")) PASS, 0},
		{NS(EXPR("Exists")) DENY, NS(EXPR("DoesNotExist")) PASS, 0},
		{NS(EXPR("NotIn, values: [x]")) DENY, NS(EXPR("DoesNotExist")) PASS, 1},
		{NS(EXPR("NotIn, values: [x]")) DENY, NS(EXPR("NotIn, values: [w]")) PASS, 1},
	};
	for (size_t i = 0; i < BH_ARRAY_SIZE(t); i++) {
		size_t n = warnings(t[i].a, t[i].b, "Admin");
		if (n != t[i].n || warnings(t[i].a, t[i].b, "Baseline") != 0)
			fail_msg("%zu warnings for %s and %s", n, t[i].a, t[i].b);
	}
}

/* Pairs are compared, so a flood of equal priorities is only counted. */
static void test_many_equal_priorities(void **state BH_UNUSED)
{
	struct bh_buf b = {0};
	for (int i = 0; i < 1000; i++)
		bh_buf_printf(&b,
			"---\n" CLUSTER_HEAD "metadata: {name: p%d}\n"
			"spec: {tier: Admin, priority: 1, subject: {namespaces: {}}, ingress: "
			"[{action: %s, from: [{namespaces: {}}]}]}\n",
			i, i % 2 ? "Deny" : "Pass");
	bh_autodiags struct bh_diags d = {0};
	struct bh_policy_set *s = NULL;
	assert_int_equal(parse_nodes(b.s, BH_NODES_KNOWN, &d, &s), 0);
	assert_int_equal(d.n, 1);
	assert_non_null(strstr(d.item[0].what, "1000 policies of tier Admin have priority 1"));
	bh_buf_finish(&b);
	bh_policy_set_unref(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_model),
		cmocka_unit_test(test_canonical),
		cmocka_unit_test(test_canonical_differs),
		cmocka_unit_test(test_accepts),
		cmocka_unit_test(test_refuse_spec),
		cmocka_unit_test(test_refuse_rules),
		cmocka_unit_test(test_refuse_ports),
		cmocka_unit_test(test_refuse_networks),
		cmocka_unit_test(test_domains),
		cmocka_unit_test(test_nodes),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_refuse_documents),
		cmocka_unit_test(test_equal_priorities),
		cmocka_unit_test(test_many_equal_priorities),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
