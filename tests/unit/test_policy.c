/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Policy parsing: the sample corpora (every invalid document refused in the right place, every
 * valid one accepted), and the API server's rules one by one.
 */
#include "policy_text.h"

#include "lib/case.h"

#define DATA "tests/unit/data/"

/* --- the corpora --- */

static void check_invalid(const char *name, int first, int last)
{
	bh_autofree char *path = bh_xasprintf(DATA "invalid/%s", name);
	bh_autodiags struct bh_diags d = {0};
	struct bh_policy_set *s = NULL;
	size_t len;
	bh_autofree char *text = bh_case_read_file(path, &len);
	assert_non_null(text);
	if (parse_with(text, len, true, &d, &s) != -EINVAL)
		fail_msg("%s: accepted", name);
	assert_null(s);
	int line = first_error(&d);
	bh_autofree char *all = show(&d);
	if (line < first || line > last)
		fail_msg("%s: first error not in lines %d..%d, but:\n%s", name, first, last, all);
}

static void test_invalid_corpus(void **state BH_UNUSED)
{
	size_t len, n = 0;
	bh_autofree char *manifest = bh_case_read_file(DATA "invalid/manifest.tsv", &len);
	assert_non_null(manifest);
	char *save = NULL;
	for (char *l = strtok_r(manifest, "\n", &save); l; l = strtok_r(NULL, "\n", &save)) {
		char name[128];
		int first, last;
		if (sscanf(l, "%127s %d %d", name, &first, &last) != 3)
			continue;
		check_invalid(name, first, last);
		n++;
	}
	assert_true(n >= 68);
}

static void test_valid_corpus(void **state BH_UNUSED)
{
	size_t n, probes = 0;
	char **list = bh_case_list(DATA "cases", "", &n);
	assert_true(n >= 75);
	for (size_t i = 0; i < n; i++) {
		bh_autodiags struct bh_diags d = {0};
		struct bh_scenario *c = NULL;
		int r = bh_case_load(list[i], &d, &c);
		bh_autofree char *all = show(&d);
		if (r != 0 || d.n)
			fail_msg("%s: %d\n%s", list[i], r, all);
		for (size_t k = 0; k < c->n_states; k++) {
			assert_true(c->state[k].policies->n > 0);
			probes += c->state[k].n_probes;
		}
		bh_scenario_free(c);
	}
	assert_true(probes > 1000);
	bh_case_list_free(list);
}

/* --- the model --- */

static void test_model(void **state BH_UNUSED)
{
	struct bh_policy_set *s = good(
		SPEC "  podSelector:\n    matchLabels: {app: web, \"on\": \"1\"}\n"
		     "    matchExpressions: [{key: tier, operator: NotIn, values: [b, a, b]}]\n"
		     "  policyTypes: [Ingress, Egress]\n"
		     "  ingress:\n"
		     "  - from:\n"
		     "    - podSelector: {}\n"
		     "      namespaceSelector: {matchLabels: {env: prod}}\n"
		     "    - ipBlock: {cidr: 10.0.0.0/8, except: [10.1.0.0/16, 10.2.0.0/16]}\n"
		     "    ports: [{port: 80, endPort: 90}, {port: http, protocol: UDP}, "
		     "{protocol: SCTP}, {}]\n"
		     "  - {}\n");
	const struct bh_policy *p = bh_policy_set_find(s, "x", "p");
	assert_non_null(p);
	assert_null(bh_policy_set_find(s, "x", "q"));
	assert_int_equal(p->line, 1);
	assert_string_equal(p->file, "f.yaml");
	struct bh_buf sel = {0};
	bh_selector_format(&p->pods, &sel);
	assert_string_equal(sel.s, "app=web,on=1,tier notin (a,b)");
	bh_buf_finish(&sel);
	assert_true(p->isolates[BH_INGRESS] && p->isolates[BH_EGRESS]);
	assert_int_equal(p->n_rules[BH_EGRESS], 0);
	assert_int_equal(p->n_rules[BH_INGRESS], 2);

	const struct bh_policy_rule *r = &p->rule[BH_INGRESS][0];
	assert_int_equal(r->line, 10);
	assert_int_equal(r->column, 5);
	assert_int_equal(r->n_peers, 2);
	assert_true(r->peer[0].has_pods && r->peer[0].has_namespaces && !r->peer[0].block);
	assert_int_equal(r->peer[0].pods.n, 0);
	assert_int_equal(r->peer[0].line, 11);
	assert_non_null(r->peer[1].block);
	assert_int_equal(r->peer[1].block->cidr.len, 8);
	assert_int_equal(r->peer[1].block->n_except, 2);
	assert_int_equal(r->n_ports, 4);
	assert_int_equal(r->port[0].first, 80);
	assert_int_equal(r->port[0].last, 90);
	assert_int_equal(r->port[0].proto, BH_TCP);
	assert_string_equal(r->port[1].name, "http");
	assert_int_equal(r->port[1].first, 0);
	assert_int_equal(r->port[1].proto, BH_UDP);
	assert_false(r->port[1].any);
	assert_true(r->port[2].any && r->port[2].proto == BH_SCTP);
	assert_true(r->port[3].any && r->port[3].proto == BH_TCP);
	assert_int_equal(p->rule[BH_INGRESS][1].n_peers, 0);
	assert_int_equal(p->rule[BH_INGRESS][1].n_ports, 0);
	bh_policy_set_unref(s);
}

static void check_types(const char *spec, bool in, bool eg)
{
	bh_autofree char *text = bh_xasprintf(SPEC "  podSelector: {}\n%s", spec);
	struct bh_policy_set *s = good(text);
	assert_int_equal(s->policy[0]->isolates[BH_INGRESS], in);
	assert_int_equal(s->policy[0]->isolates[BH_EGRESS], eg);
	bh_policy_set_unref(s);
}

static void test_policy_types(void **state BH_UNUSED)
{
	check_types("", true, false);
	check_types("  policyTypes:\n", true, false);
	check_types("  policyTypes: []\n", true, false);
	check_types("  egress: []\n", true, false);
	check_types("  egress:\n", true, false);
	check_types("  egress: [{}]\n", true, true);
	check_types("  policyTypes: [Egress]\n", false, true);
	check_types("  policyTypes: [Egress, Egress]\n", false, true);
	check_types("  policyTypes: [Ingress, Egress]\n  ingress: null\n", true, true);
}

static void test_idle_rules(void **state BH_UNUSED)
{
	static const char text[] =
		SPEC "  podSelector: {}\n  policyTypes: [Ingress]\n  egress: [{}]\n";
	bh_autodiags struct bh_diags d = {0};
	struct bh_policy_set *s = NULL;
	assert_int_equal(parse_with(text, strlen(text), false, &d, &s), 0);
	assert_int_equal(s->policy[0]->n_rules[BH_EGRESS], 0);
	assert_int_equal(d.n, 1);
	assert_int_equal(d.item[0].severity, BH_WARNING);
	assert_int_equal(d.item[0].line, 7);
	bh_policy_set_unref(s);
}

/* Also that a full round through the canonical form loses nothing. */
static void test_canonical(void **state BH_UNUSED)
{
	static const char one[] =
		SPEC "  podSelector: {matchLabels: {a: b, c: d}}\n"
		     "  ingress:\n"
		     "  - from: [{ipBlock: {cidr: 10.0.0.0/8, except: [10.1.0.0/16]}}, "
		     "{namespaceSelector: {}, podSelector: {matchExpressions: "
		     "[{key: k, operator: Exists}]}}]\n"
		     "    ports: [{port: 1, endPort: 2}, {port: http}, {}]\n"
		     "  - ports: [{port: 5}]\n"
		     "  - from: [{podSelector: {}}]\n"
		     "  egress: [{}]\n";
	static const char other[] =
		"# a comment\n---\n" SPEC "  ingress:\n"
		"  - ports: [{port: 1, endPort: 2, protocol: TCP}, {port: http}, {protocol: TCP}]\n"
		"    from: [{ipBlock: {cidr: 10.0.0.0/8, except: [10.1.0.0/16]}},\n"
		"     {podSelector: {matchExpressions: [{operator: Exists, key: k}]},\n"
		"      namespaceSelector: {}}]\n"
		"  - ports: [{port: 5}]\n"
		"  - from: [{podSelector: {}}]\n"
		"  egress: [{}]\n"
		"  podSelector:\n"
		"    matchExpressions: [{key: c, operator: In, values: [d]}]\n"
		"    matchLabels: {a: b}\n";
	struct bh_policy_set *a = good(one), *b = good(other);
	assert_memory_equal(a->sha256, b->sha256, 32);

	bh_autofree char *wrapped = bh_xasprintf(
		"kind: NetworkPolicyList\napiVersion: networking.k8s.io/v1\nitems:\n"
		"- metadata: {name: p, namespace: x}\n  spec: "
		"{podSelector: {matchLabels: {a: b, c: d}}, egress: [{}], ingress: [\n"
		"   {from: [{ipBlock: {cidr: 10.0.0.0/8, except: [10.1.0.0/16]}},\n"
		"     {namespaceSelector: {}, podSelector: {matchExpressions: [{key: k, "
		"operator: Exists}]}}], ports: [{port: 1, endPort: 2}, {port: http}, {}]},\n"
		"   {ports: [{port: 5}]}, {from: [{podSelector: {}}]}]}\n");
	struct bh_policy_set *c = good(wrapped);
	assert_memory_equal(a->sha256, c->sha256, 32);
	assert_non_null(c->policy[0]->text); /* JSON, since it has no text of its own */
	struct bh_policy_set *again = good(c->policy[0]->text);
	assert_memory_equal(a->sha256, again->sha256, 32);

	struct bh_policy_set *d = good(SPEC "  podSelector: {matchLabels: {a: b}}\n");
	assert_memory_not_equal(a->sha256, d->sha256, 32);
	bh_policy_set_unref(a);
	bh_policy_set_unref(b);
	bh_policy_set_unref(c);
	bh_policy_set_unref(d);
	bh_policy_set_unref(again);
}

static void test_empty(void **state BH_UNUSED)
{
	static const uint8_t zero[32];
	struct bh_policy_set *s = good("");
	assert_int_equal(s->n, 0);
	assert_memory_equal(s->sha256, zero, 32);
	assert_null(bh_policy_set_find(s, "a", "b"));
	bh_policy_set_unref(bh_policy_set_ref(s));
	bh_policy_set_unref(s);
	bh_policy_set_unref(NULL);
	bh_policy_set_unref(good("---\n---\n# nothing\n"));
	bh_policy_set_unref(good("apiVersion: v1\nkind: List\nitems: []\n"));
	refused("", 1, "holds no policy");
	refused("# nothing\n---\n---\n", 1, "holds no policy");
}

static void test_streams(void **state BH_UNUSED)
{
	static const char first[] =
		"# first\n" HEAD "metadata: {name: z}\nspec: {podSelector: {}}\n# end of first\n";
	static const char second[] = " # second\n" META "spec: {podSelector: {}}\n";
	bh_autofree char *text = bh_xasprintf("---\n%s---%s...\n---\n---\n%s", first, second,
		"{\"apiVersion\": \"v1\", \"kind\": \"List\", \"metadata\": {}, \"items\": [" //
		"{\"apiVersion\": \"networking.k8s.io/v1\", \"kind\": \"NetworkPolicy\",\n"
		"\"metadata\": {\"name\": \"a\"}, \"spec\": {\"podSelector\": {}}}]}\n");
	struct bh_policy_set *s = good(text);
	assert_int_equal(s->n, 3);
	assert_string_equal(s->policy[0]->name, "a"); /* by namespace, then name */
	assert_string_equal(s->policy[0]->namespace, "dflt");
	assert_string_equal(s->policy[1]->name, "z");
	assert_string_equal(s->policy[2]->namespace, "x");
	assert_string_equal(s->policy[1]->text, first);
	assert_string_equal(s->policy[2]->text, second);
	assert_int_equal(s->policy[1]->line, 3);
	bh_policy_set_unref(s);
}

static void test_line_breaks(void **state BH_UNUSED)
{
	struct bh_policy_set *s =
		good("# a\r# b\n# c\r\n---\r\napiVersion: networking.k8s.io/v1\r\n"
		     "kind: NetworkPolicy\r\nmetadata: {name: p}\r\nspec: {podSelector: {}}\r\n"
		     "---\r\n# none\r\n");
	assert_int_equal(s->policy[0]->line, 5);
	assert_true(strncmp(s->policy[0]->text, "apiVersion", 10) == 0);
	assert_null(strstr(s->policy[0]->text, "---"));
	bh_policy_set_unref(s);
}

static void test_duplicates(void **state BH_UNUSED)
{
	static const char text[] = META "spec: {podSelector: {}}\n";
	const struct bh_policy_source src[] = {
		{.file = "a.yaml", .text = text, .len = strlen(text)},
		{.file = "b.yaml", .text = text, .len = strlen(text)}};
	bh_autodiags struct bh_diags d = {0};
	struct bh_policy_set *s = NULL;
	assert_int_equal(bh_policy_set_parse(src, 2, NULL, &d, &s), -EINVAL);
	assert_null(s);
	assert_int_equal(d.n, 1);
	assert_string_equal(d.item[0].file, "b.yaml");
	assert_non_null(strstr(d.item[0].what, "a.yaml:1:1"));
	refused(META "spec: {podSelector: {}}\n---\n" META "spec: {podSelector: {}}\n", 6,
		"already defined at f.yaml:1:1");
	/* The default namespace counts. */
	refused(HEAD "metadata: {name: p, namespace: dflt}\nspec: {podSelector: {}}\n---\n" HEAD
		     "metadata: {name: p}\nspec: {podSelector: {}}\n",
		6, "dflt/p is already defined");
}

static void test_all_errors_at_once(void **state BH_UNUSED)
{
	static const char text[] = IN "  - from: [{}]\n    ports: [{port: 0}]\n"
				      "  - nonsense: 1\n";
	const struct bh_policy_source src[] = {
		{.file = "a.yaml", .text = text, .len = strlen(text)},
		{.file = "b.yaml", .text = "kind: [\n", .len = 8}};
	bh_autodiags struct bh_diags d = {0};
	struct bh_policy_set *s = NULL;
	assert_int_equal(bh_policy_set_parse(src, 2, NULL, &d, &s), -EINVAL);
	assert_true(d.n_errors >= 4);
	bh_autofree char *all = show(&d);
	assert_non_null(strstr(all, "a.yaml:7:12: spec.ingress[0].from[0]: "));
	assert_non_null(strstr(all, "a.yaml:8:20: spec.ingress[0].ports[0].port: "));
	assert_non_null(strstr(all, "a.yaml:9:5: spec.ingress[1]"));
	assert_non_null(strstr(all, "b.yaml:"));
}

/* --- refusals --- */

static void test_refuse_document(void **state BH_UNUSED)
{
	refused("kind: NetworkPolicy\nmetadata: {name: p}\nspec: {podSelector: {}}\n", 1,
		"apiVersion");
	refused("apiVersion: networking.k8s.io/v1\nmetadata: {name: p}\nspec: {podSelector: {}}\n",
		1, "kind");
	refused("apiVersion: extensions/v1beta1\nkind: NetworkPolicy\nmetadata: {name: p}\n"
		"spec: {podSelector: {}}\n",
		1, "networking.k8s.io/v1");
	refused("apiVersion: v1\nkind: Service\nmetadata: {name: p}\n", 2, "is not a policy");
	refused("apiVersion: networking.k8s.io/v1\nkind: networkpolicy\n", 2, "is not a policy");
	refused("apiVersion: 1\nkind: NetworkPolicy\n", 1, "apiVersion");
	refused("- a\n- b\n", 1, "");
	refused("text\n", 1, "");
	refused(META "spec: {podSelector: {}}\nstatus: done\n", 5, "status");
	refused(META "spec: {podSelector: {}}\nSpec: {}\n", 5, "Spec");
	refused(META, 1, "spec: required");
	refused(META "spec:\n", 4, "spec: required");
	refused(SPEC "  policyTypes: [Ingress]\n", 5, "podSelector: required");
	refused(SPEC "  podSelector:\n", 5, "podSelector: required");
	refused(META "spec: []\n", 4, "spec");
}

static void test_refuse_lists(void **state BH_UNUSED)
{
	refused("apiVersion: v1\nkind: List\n", 1, "items: required");
	refused("apiVersion: v1\nkind: List\nitems: {}\n", 3, "items");
	refused("apiVersion: v1\nkind: List\nitems:\n-\n", 4, "items[0]");
	refused("apiVersion: v1\nkind: List\nitems:\n- metadata: {name: p}\n"
		"  spec: {podSelector: {}}\n",
		4, "items[0].kind: required");
	refused("apiVersion: v1\nkind: List\nitems:\n- {apiVersion: v1, kind: Pod}\n", 4,
		"not a policy");
	refused("apiVersion: networking.k8s.io/v1\nkind: List\nitems: []\n", 1, "v1");
	refused("apiVersion: v1\nkind: NetworkPolicyList\nitems: []\n", 1, "networking.k8s.io/v1");
	refused("apiVersion: networking.k8s.io/v1\nkind: NetworkPolicyList\nitems:\n"
		"- metadata: {name: p}\n  spec: {podSelector: {}, podselector: {}}\n",
		5, "items[0].spec");
}

static void test_refuse_metadata(void **state BH_UNUSED)
{
#define TAIL "\nspec: {podSelector: {}}\n"
	refused(HEAD "spec: {podSelector: {}}\n", 1, "metadata: required");
	refused(HEAD "metadata: {}" TAIL, 3, "metadata.name: required");
	refused(HEAD "metadata: {name: }" TAIL, 3, "metadata.name: required");
	refused(HEAD "metadata: {generateName: a-}" TAIL, 3, "metadata.name: required");
	refused(HEAD "metadata: {name: 5}" TAIL, 3, "metadata.name");
	refused(HEAD "metadata: {name: y}" TAIL, 3, "metadata.name");
	refused(HEAD "metadata: {name: \"\"}" TAIL, 3, "is not a name");
	refused(HEAD "metadata: {name: Web}" TAIL, 3, "is not a name");
	refused(HEAD "metadata: {name: a_b}" TAIL, 3, "is not a name");
	refused(HEAD "metadata: {name: a..b}" TAIL, 3, "is not a name");
	refused(HEAD "metadata: {name: a.-b}" TAIL, 3, "is not a name");
	refused(HEAD "metadata: {name: -b}" TAIL, 3, "is not a name");
	refused(HEAD "metadata: {name: b-}" TAIL, 3, "is not a name");
	refused(HEAD "metadata: {name: a, namespace: a.b}" TAIL, 3, "is not a namespace");
	refused(HEAD "metadata: {name: a, namespace: X}" TAIL, 3, "is not a namespace");
	refused(HEAD "metadata: {name: a, labels: {a: 1}}" TAIL, 3, "metadata.labels[a]");
	refused(HEAD "metadata: {name: a, labels: {a: b c}}" TAIL, 3, "not a label value");
	refused(HEAD "metadata: {name: a, labels: {a/b/c: b}}" TAIL, 3, "not a label key");
	refused(HEAD "metadata: {name: a, annotations: {a: [b]}}" TAIL, 3, "metadata.annotations");
	refused(HEAD "metadata: {name: a, annotations: {a b: c}}" TAIL, 3, "not an annotation key");
	refused(HEAD "metadata: {name: a, lables: {}}" TAIL, 3, "labels");
	refused(HEAD "metadata: {name: a, generation: -1}" TAIL, 3, "generation");
	refused(HEAD "metadata: {name: a, resourceVersion: 7}" TAIL, 3, "resourceVersion");
	refused(HEAD "metadata: {name: a, creationTimestamp: today}" TAIL, 3, "not a time");
	refused(HEAD "metadata: {name: a, ownerReferences: [{name: x}]}" TAIL, 3, "uid: required");

	bh_autofree char *long_name = bh_xasprintf(HEAD "metadata: {name: %0254d}" TAIL, 0);
	memset(strstr(long_name, "000"), 'a', 254);
	refused(long_name, 3, "is not a name");
	bh_autofree char *long_ns =
		bh_xasprintf(HEAD "metadata: {name: a, namespace: %064d}" TAIL, 0);
	memset(strstr(long_ns, "000"), 'a', 64);
	refused(long_ns, 3, "is not a namespace");
	char *value = bh_xcalloc(1, 300000);
	memset(value, 'v', 299999);
	bh_autofree char *big =
		bh_xasprintf(HEAD "metadata: {name: a, annotations: {a: %s}}" TAIL, value);
	refused(big, 3, "metadata.annotations");
	free(value);
}

static void test_accept_metadata(void **state BH_UNUSED)
{
	static const char text[] =
		HEAD "metadata:\n"
		     "  name: a.b-c.9\n"
		     "  namespace: \"\"\n"
		     "  labels: {app.kubernetes.io/part-of: shop, empty: \"\"}\n"
		     "  annotations: {Example.COM/Any: \"free text: \\t!\", note: }\n"
		     "  creationTimestamp: null\n"
		     "  deletionTimestamp: \"2024-05-01T10:00:00Z\"\n"
		     "  uid: 7f0b0a9e-1111-2222-3333-444455556666\n"
		     "  resourceVersion: \"12345\"\n"
		     "  generation: 3\n"
		     "  selfLink: \"\"\n"
		     "  finalizers: [example.com/x]\n"
		     "  ownerReferences: [{apiVersion: v1, kind: X, name: n, uid: u, controller: "
		     "true}]\n"
		     "  managedFields:\n"
		     "  - {manager: kubectl, operation: Apply, apiVersion: networking.k8s.io/v1,\n"
		     "     time: \"2024-05-01T10:00:00Z\", fieldsType: FieldsV1,\n"
		     "     fieldsV1: {\"f:spec\": {\"f:podSelector\": {}}}}\n"
		     "spec: {podSelector: {}}\n"
		     "status: {conditions: []}\n";
	struct bh_policy_set *s = good(text);
	assert_string_equal(s->policy[0]->name, "a.b-c.9");
	assert_string_equal(s->policy[0]->namespace, "dflt");
	bh_policy_set_unref(s);
}

static void test_refuse_selectors(void **state BH_UNUSED)
{
#define SEL SPEC "  podSelector:\n" /* the selector is in line 6 */
	refused(SEL "    matchLabels: {app: }\n", 6, "matchLabels[app]");
	refused(SEL "    matchLabels: {app: 1_000}\n", 6, "quot");
	refused(SEL "    matchLabels: {app: off}\n", 6, "quot");
	refused(SEL "    matchLabels: {app: 012}\n", 6, "quot");
	refused(SEL "    matchLabels: {app: 1}\n", 6, "matchLabels[app]");
	refused(SEL "    matchLabels: {true: a}\n", 6, "matchLabels[true]");
	refused(SEL "    matchLabels: {1: a}\n", 6, "matchLabels[1]");
	refused(SEL "    matchLabels: {app: \"-a\"}\n", 6, "is not a label value");
	refused(SEL "    matchLabels: {app: \"a b\"}\n", 6, "is not a label value");
	refused(SEL "    matchLabels: {\"\": a}\n", 6, "is not a label key");
	refused(SEL "    matchLabels: {\"A.com/x\": a}\n", 6, "is not a label key");
	refused(SEL "    matchLabels: {\"a\\0b\": a}\n", 6, "matchLabels");
	refused(SEL "    matchExpressions: {}\n", 6, "matchExpressions");
	refused(SEL "    matchExpressions: [{key: a}]\n", 6, "operator: required");
	refused(SEL "    matchExpressions: [{operator: Exists, key: null}]\n", 6, "key: required");
	refused(SEL "    matchExpressions: [{operator: Exists, key: \"a b\"}]\n", 6, "label key");
	refused(SEL "    matchExpressions: [{key: a, operator: Gt, values: [\"1\"]}]\n", 6,
		"\"Gt\"");
	refused(SEL "    matchExpressions: [{key: a, operator: NotIn}]\n", 6, "needs values");
	refused(SEL "    matchExpressions:\n    - key: a\n      operator: In\n      values:\n", 9,
		"needs values");
	refused(SEL "    matchExpressions: [{key: a, operator: Exists, values: [a]}]\n", 6,
		"takes no values");
	refused(SEL "    matchExpressions: [{key: a, operator: In, values: [a, null]}]\n", 6,
		"values[1]");
	refused(SEL "    matchExpressions: [{key: a, operator: In, values: [1]}]\n", 6,
		"values[0]");
	refused(SEL "    matchExpressions: [{key: a, operator: In, values: [\"a b\"]}]\n", 6,
		"label value");
	refused(SEL "    matchExpressions: [null]\n", 6, "matchExpressions[0]");
	refused(SEL "    matchlabels: {}\n", 6, "matchLabels");
	refused(SEL "    - a\n", 6, "podSelector");

	struct bh_buf many = {0};
	bh_buf_str(&many, SEL "    matchLabels:\n");
	for (int i = 0; i < 1001; i++)
		bh_buf_printf(&many, "      k%d: v\n", i);
	refused(many.s, 1007, "more than 1000");
	bh_buf_finish(&many);
}

static void test_refuse_peers(void **state BH_UNUSED)
{
	refused(IN "  - from: [{}]\n", 7, "must say whom");
	refused(IN "  - from: [null]\n", 7, "from[0]");
	refused(IN "  - from: {}\n", 7, "ingress[0].from");
	refused(IN "  - to: []\n", 7, "to");
	refused(IN "  - from: [{namespaceSelector: {}, ipBlock: {cidr: 10.0.0.0/8}}]\n", 7,
		"cannot be combined");
	refused(IN "  - from: [{namespaceSelector: x}]\n", 7, "namespaceSelector");
	refused(IN "  - from: [{ipBlock: {}}]\n", 7, "cidr: required");
	refused(IN "  - from: [{ipBlock: 10.0.0.0/8}]\n", 7, "ipBlock");
	static const char *const bad[] = {"10.0.0.0", "10.0.0.0/33", "10.0.0/8", "10.0.0.0/-1",
		"\" 10.0.0.0/8\"", "\"10.0.0.0/8 \"", "010.0.0.0/8", "10.0.0.0/+8", "10.0.0.0/8/8",
		"\"fe80::%eth0/64\"", "\"2001:db8::/129\"", "\"::ffff:10.0.0.0/104\"", "\"\"",
		"\"/8\"", "10.0.0.0/", "localhost/8", "\"10.0.0.0/8\\0\"", "8"};
	for (size_t i = 0; i < BH_ARRAY_SIZE(bad); i++) {
		bh_autofree char *t =
			bh_xasprintf(IN "  - from: [{ipBlock: {cidr: %s}}]\n", bad[i]);
		refused(t, 7, "ipBlock.cidr");
	}
	static const char *const except[] = {"10.0.0.0/8", "0.0.0.0/0", "11.0.0.0/16",
		"\"2001:db8::/32\"", "10.0.0.1", "null", "10.0.0.0/7"};
	for (size_t i = 0; i < BH_ARRAY_SIZE(except); i++) {
		bh_autofree char *t = bh_xasprintf(IN
			"  - from: [{ipBlock: {cidr: 10.0.0.0/8, except: [10.9.0.0/16, %s]}}]\n",
			except[i]);
		refused(t, 7, "ipBlock.except[1]");
	}
	refused(IN "  - from: [{ipBlock: {cidr: 10.0.0.0/8, except: 10.9.0.0/16}}]\n", 7, "except");
}

static void test_host_bits(void **state BH_UNUSED)
{
	static const char text[] =
		IN "  - from: [{ipBlock: {cidr: 10.1.2.3/24, except: [10.1.2.3/32]}}]\n";
	bh_autodiags struct bh_diags d = {0};
	struct bh_policy_set *s = NULL;
	assert_int_equal(parse_with(text, strlen(text), false, &d, &s), -EINVAL);
	assert_int_equal(d.item[0].severity, BH_ERROR);
	assert_int_equal(d.item[0].line, 7);
	assert_string_equal(d.item[0].remedy, "write 10.1.2.0/24");
	refused(IN "  - from: [{ipBlock: {cidr: 10.0.0.0/8, except: [10.1.2.3/24]}}]\n", 7,
		"beyond the prefix");
	refused(IN "  - from: [{ipBlock: {cidr: \"2001:db8::1/64\"}}]\n", 7, "beyond the prefix");
}

static void test_refuse_ports(void **state BH_UNUSED)
{
	static const struct {
		const char *port, *what;
	} bad[] = {
		{"{port: 0}", "port"},
		{"{port: -1}", "port"},
		{"{port: 99999999999999999999}", "port"},
		{"{port: 80.0}", "must be a number from 1 to 65535 or a port's name; write the "
				 "number in decimal digits alone"},
		{"{port: 8e1}", "digits alone"},
		{"{port: 0120}", "digits alone"},
		{"{port: 8_0}", "digits alone"},
		{"{port: 0b1010000}", "digits alone"},
		{"{port: true}", "must be a number"},
		{"{port: {}}", "must be a number"},
		{"{port: \"80\"}", "without quotes"},
		{"{port: \"\"}", "is not a port name"},
		{"{port: a23456789-bcdefg}", "longer than 15"},
		{"{port: a_b}", "is not a port name"},
		{"{port: a--b}", "two hyphens"},
		{"{port: -a}", "hyphen"},
		{"{port: a-}", "hyphen"},
		{"{port: 1-2}", "letter"},
		{"{port: on}", "write it in quotes: \"on\""},
		{"{port: 8080-8090}", "letter"},
		{"{port: 80, endPort: 79}", "below"},
		{"{port: 80, endPort: 0}", "endPort"},
		{"{port: 80, endPort: http}", "endPort"},
		{"{port: 80, endPort: \"81\"}", "write the number without quotes"},
		{"{port: 80, endPort: 0121}", "digits alone"},
		{"{port: http, endPort: 81}", "named port"},
		{"{endPort: 81}", "needs a port"},
		{"{port: null, endPort: 81}", "needs a port"},
		{"{protocol: tcp}", "TCP"},
		{"{protocol: ICMP}", "TCP, UDP or SCTP"},
		{"{protocol: \"\"}", "unknown protocol"},
		{"{protocol: [TCP]}", "not a list; TCP, UDP or SCTP"},
		{"{protocol: 6}", "not a number; TCP, UDP or SCTP"},
		{"{Port: 80}", "port"},
		{"{prot: TCP}", "prot"},
		{"80", "ports[0]"},
		{"null", "ports[0]"},
		{"[]", "ports[0]"},
	};
	for (size_t i = 0; i < BH_ARRAY_SIZE(bad); i++) {
		bh_autofree char *t = bh_xasprintf(IN "  - ports: [%s]\n", bad[i].port);
		refused(t, 7, bad[i].what);
	}
	bh_policy_set_unref(good(IN "  - ports: [{port: 65535, endPort: 65535}, {port: a}, "
				    "{port: 0-a}, {port: null, protocol: null}]\n"));
	bh_policy_set_unref(good(IN "  - ports: null\n    from:\n"));
}

static void test_refuse_spec(void **state BH_UNUSED)
{
	refused(SPEC "  podSelector: {}\n  policyTypes: Ingress\n", 6, "policyTypes");
	refused(SPEC "  podSelector: {}\n  policyTypes: [ingress]\n", 6, "Ingress or Egress");
	refused(SPEC "  podSelector: {}\n  policyTypes: [null]\n", 6,
		"policyTypes[0]: empty list item; remove the item, or write what is meant");
	refused(SPEC "  podSelector: {}\n  policyTypes: [Ingress, Egress, Ingress]\n", 6,
		"more than two");
	refused(SPEC "  podSelector: {}\n  ingress: {}\n", 6, "ingress");
	refused(SPEC "  podSelector: {}\n  ingress: [[]]\n", 6, "ingress[0]");
	refused(SPEC "  podSelector: {}\n  egress: [{from: []}]\n", 6, "from");
	refused(SPEC "  podSelector: {}\n  egres: []\n", 6, "egress");
	refused(SPEC "  podSelector: {}\n  \"ingress\\0\": []\n", 6, "spec");
}

/* An error is enough to stop, but however many there are, memory and time stay bounded. */
static void test_flood(void **state BH_UNUSED)
{
	struct bh_buf b = {0};
	bh_buf_str(&b, IN);
	for (int i = 0; i < 20000; i++)
		bh_buf_str(&b, "  - {from: [{}]}\n");
	bh_autodiags struct bh_diags d = {0};
	struct bh_policy_set *s = NULL;
	assert_int_equal(parse_with(b.s, b.len, false, &d, &s), -EINVAL);
	assert_int_equal(d.n_errors, 20000);
	assert_int_equal(d.n, BH_DIAGS_MAX);
	bh_buf_finish(&b);
}

/* Former crashers of the reader below (their finders: the fuzz targets). */
static void test_bogons(void **state BH_UNUSED)
{
	size_t n, len;
	char **list = bh_case_list("tests/bogons", "policy-", &n);
	assert_true(n > 0);
	for (size_t i = 0; i < n; i++) {
		bh_autodiags struct bh_diags d = {0};
		struct bh_policy_set *s = NULL;
		bh_autofree char *text = bh_case_read_file(list[i], &len);
		assert_non_null(text);
		assert_int_equal(parse_with(text, len, true, &d, &s), -EINVAL);
		assert_true(d.n_errors > 0);
	}
	bh_case_list_free(list);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_invalid_corpus),
		cmocka_unit_test(test_valid_corpus),
		cmocka_unit_test(test_model),
		cmocka_unit_test(test_policy_types),
		cmocka_unit_test(test_idle_rules),
		cmocka_unit_test(test_canonical),
		cmocka_unit_test(test_empty),
		cmocka_unit_test(test_streams),
		cmocka_unit_test(test_line_breaks),
		cmocka_unit_test(test_duplicates),
		cmocka_unit_test(test_all_errors_at_once),
		cmocka_unit_test(test_refuse_document),
		cmocka_unit_test(test_refuse_lists),
		cmocka_unit_test(test_refuse_metadata),
		cmocka_unit_test(test_accept_metadata),
		cmocka_unit_test(test_refuse_selectors),
		cmocka_unit_test(test_refuse_peers),
		cmocka_unit_test(test_host_bits),
		cmocka_unit_test(test_refuse_ports),
		cmocka_unit_test(test_refuse_spec),
		cmocka_unit_test(test_flood),
		cmocka_unit_test(test_bogons),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
