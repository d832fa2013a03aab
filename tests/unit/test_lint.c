/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Warnings about policies: for each, what must be warned of and the near miss that must not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <bulkhead/lint.h>
#include <bulkhead/scenario.h>

#define T(f) cmocka_unit_test(f)

/* --- selectors --- */

/* "a=1,b in (x,y),c notin (z),d,!e" without parsing: built by hand. */
static struct bh_selector sel(const char *text)
{
	struct bh_selector s = {0};
	char bh_autofree *copy = bh_xstrdup(text);
	char *save = NULL;
	for (char *t = strtok_r(copy, " ", &save); t; t = strtok_r(NULL, " ", &save)) {
		const char *value[8];
		size_t n = 0;
		char *eq = strchr(t, '='), *in = NULL;
		bool not = *t == '!';
		t += not ;
		if (eq)
			*eq = '\0';
		for (char *v = eq ? strtok_r(eq + 1, "|", &in) : NULL; v;
			v = strtok_r(NULL, "|", &in))
			value[n++] = v;
		bh_selector_add(&s, t,
			n ? (not ? BH_SEL_NOT_IN : BH_SEL_IN)
			  : (not ? BH_SEL_NOT_EXISTS : BH_SEL_EXISTS),
			value, n);
	}
	return s;
}

static void check_implies(const char *a, const char *b, bool wanted)
{
	struct bh_selector x = sel(a), y = sel(b);
	if (bh_selector_implies(&x, &y) != wanted)
		fail_msg("\"%s\" implies \"%s\": not %d", a, b, wanted);
	bh_selector_finish(&x);
	bh_selector_finish(&y);
}

static void test_implies(void **state BH_UNUSED)
{
	check_implies("", "", true);
	check_implies("a=1", "", true);
	check_implies("", "a=1", false);
	check_implies("a=1 b=2", "a=1", true);
	check_implies("a=1", "a=1 b=2", false);
	check_implies("a=1", "a=1|2", true);
	check_implies("a=1|2", "a=1", false);
	check_implies("a=1|3", "a=1|2", false);
	check_implies("a=1", "a", true);
	check_implies("a", "a=1", false);
	check_implies("a=1", "!a=2", true);
	check_implies("a=1|2", "!a=2", false);
	check_implies("!a", "!a=2", true);
	check_implies("!a=2|3", "!a=2", true);
	check_implies("!a=2", "!a=2|3", false);
	check_implies("a", "!a=2", false);
	check_implies("!a=2", "a", false);
	check_implies("!a=2", "!a", false);
	check_implies("a=1", "b=1", false);
	check_implies("a=1 c=1", "b=1", false);
	check_implies("a a=1 !a=2", "a=1|2", true);
}

static void check_contradiction(const char *text, const char *key)
{
	struct bh_selector s = sel(text);
	const char *got = bh_selector_contradiction(&s);
	if (!bh_streq(got, key))
		fail_msg("\"%s\": %s, not %s", text, got ? got : "none", key ? key : "none");
	bh_selector_finish(&s);
}

static void test_contradiction(void **state BH_UNUSED)
{
	check_contradiction("", NULL);
	check_contradiction("a=1 b=2", NULL);
	check_contradiction("a=1 a=2", "a");
	check_contradiction("a=1|2 a=2|3", NULL);
	check_contradiction("a=1|2 a=2|3 a=1|3", "a"); /* each two have one in common */
	check_contradiction("a=1|2 a=2|3 !a=2", "a");
	check_contradiction("a=1|2 !a=2", NULL);
	check_contradiction("a=1|2 !a=2 !a=1", "a");
	check_contradiction("a !a", "a");
	check_contradiction("a=1 !a", "a");
	check_contradiction("a=1 a", NULL);
	check_contradiction("a !a=1", NULL);
	check_contradiction("!a !a=1", NULL);
	check_contradiction("0=1 b=1 z !z", "z");
}

/* Both against the meaning of selectors, by trying all labels of a small universe. */
static const char *const universe[] = {NULL, "1", "2", "3"};

static bool matches(const struct bh_selector *s, unsigned world)
{
	struct bh_labels l = {0};
	for (int k = 0; k < 2; k++) {
		const char *value = universe[(world >> (2 * k)) & 3];
		if (value)
			bh_labels_set(&l, k ? "b" : "a", value);
	}
	bool r = bh_selector_matches(s, &l);
	bh_labels_finish(&l);
	return r;
}

static struct bh_selector random_selector(unsigned *seed)
{
	struct bh_selector s = {0};
	int n = rand_r(seed) % 4;
	for (int i = 0; i < n; i++) {
		const char *value[3];
		size_t m = 0;
		enum bh_selector_op op = (enum bh_selector_op)(rand_r(seed) % 4);
		for (int v = 1; v < 4 && op <= BH_SEL_NOT_IN; v++)
			if (rand_r(seed) % 2 || (v == 3 && m == 0))
				value[m++] = universe[v];
		bh_selector_add(&s, rand_r(seed) % 2 ? "a" : "b", op, value, m);
	}
	return s;
}

/* Without an In there are values outside of the universe: fine for implies, which must be sound;
 * for contradictions the universe has a fourth value. */
static void test_random_selectors(void **state BH_UNUSED)
{
	unsigned seed = 1, implied = 0, contradictions = 0;
	for (int round = 0; round < 50000; round++) {
		struct bh_selector a = random_selector(&seed), b = random_selector(&seed);
		bool possible = false;
		for (unsigned w = 0; w < 16; w++) {
			possible |= matches(&a, w);
			if (bh_selector_implies(&a, &b) && matches(&a, w))
				assert_true(matches(&b, w));
		}
		implied += bh_selector_implies(&a, &b);
		contradictions += bh_selector_contradiction(&a) != NULL;
		if (bh_selector_contradiction(&a))
			assert_false(possible);
		else if (!possible) /* only values that nobody lists: "a, a notin (1,2,3)" */
			for (size_t i = 0; i < a.n; i++)
				assert_true(a.req[i].op != BH_SEL_IN || a.n > 1);
		bh_selector_finish(&a);
		bh_selector_finish(&b);
	}
	assert_true(implied > 1000);
	assert_true(contradictions > 1000);
}

/* --- warnings --- */

static struct bh_policy_set *parse(const char *text)
{
	const struct bh_policy_source src = {"p.yaml", text, strlen(text)};
	const struct bh_policy_parse_opts opts = {.default_ns = "shop"};
	struct bh_diags bh_autodiags diags = {0};
	struct bh_policy_set *set = NULL;
	if (bh_policy_set_parse(&src, 1, &opts, &diags, &set) < 0) {
		struct bh_buf bh_autobuf b = {0};
		bh_diags_format(&diags, &b);
		fail_msg("%s", b.s);
	}
	return set;
}

/* What is told about `text`, with the world of `scenario` (NULL: none); owned. */
static char *lint(const char *text, const char *scenario)
{
	struct bh_diags bh_autodiags diags = {0}, wrong = {0};
	struct bh_policy_set *set = parse(text);
	struct bh_scenario *s = NULL;
	struct bh_buf b = {0};
	if (scenario && bh_scenario_parse("s.yaml", scenario, strlen(scenario), BH_SCENARIO_STATE,
				&wrong, &s) < 0) {
		bh_diags_format(&wrong, &b);
		fail_msg("%s", b.s);
	}
	bh_lint(set, s ? s->state[0].inv : NULL, &diags);
	bh_diags_sort(&diags);
	for (size_t i = 0; i < diags.n; i++) {
		assert_int_equal(diags.item[i].severity, BH_WARNING);
		assert_non_null(diags.item[i].remedy);
		assert_true(diags.item[i].line > 0 && diags.item[i].column > 0);
	}
	assert_int_equal(diags.n_errors, 0);
	bh_diags_format(&diags, &b);
	bh_scenario_free(s);
	bh_policy_set_unref(set);
	return bh_buf_take(&b);
}

static size_t count_lines(const char *s)
{
	size_t n = 0;
	for (; *s; s++)
		n += *s == '\n';
	return n;
}

/* Exactly the warnings given, each by a part of its line, in order; NULL ends. */
static void check(const char *text, const char *scenario, const char *const *wanted)
{
	char bh_autofree *got = lint(text, scenario);
	const char *at = got;
	size_t n = 0;
	for (; wanted[n]; n++) {
		at = at ? strstr(at, wanted[n]) : NULL;
		if (!at)
			fail_msg(
				"in\n%s\nno \"%s\" (or out of order) in\n%s", text, wanted[n], got);
	}
	if (count_lines(got) != n)
		fail_msg("of\n%s\nnot %zu warnings:\n%s", text, n, got);
}

#define WARNS(text, scenario, ...) check(text, scenario, (const char *const[]){__VA_ARGS__, NULL})
#define QUIET(text, scenario) check(text, scenario, (const char *const[]){NULL})

/* A NetworkPolicy on lines 1 to 4; `spec` begins in line 5. */
#define NP_OF(name, spec)                                                                          \
	"apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: " name "}\n"      \
	"spec:\n" spec
#define NP(spec) NP_OF("p", "  podSelector: {}\n" spec)
#define CNP_OF(name, tier, priority, subject, rules)                                               \
	"apiVersion: policy.networking.k8s.io/v1alpha2\nkind: ClusterNetworkPolicy\n"              \
	"metadata: {name: " name "}\nspec:\n  tier: " tier "\n  priority: " priority               \
	"\n  subject: " subject "\n" rules
#define CNP(rules) CNP_OF("c", "Admin", "10", "{namespaces: {matchLabels: {env: prod}}}", rules)

static void test_allow_all(void **state BH_UNUSED)
{
	WARNS(NP("  ingress:\n  - {}\n"), NULL, "p.yaml:7:5: warning: spec.ingress[0]: allows all");
	WARNS(NP("  policyTypes: [Egress]\n  egress:\n  - {to: [], ports: []}\n"), NULL,
		"spec.egress[0]: allows all egress");
	WARNS(NP("  ingress:\n  - from:\n    - ipBlock: {cidr: 0.0.0.0/0}\n"
		 "    - ipBlock: {cidr: '::/0'}\n"),
		NULL, "spec.ingress[0]: allows all ingress");
	QUIET(NP("  ingress:\n  - from:\n    - ipBlock: {cidr: 0.0.0.0/0}\n"), NULL);
	QUIET(NP("  ingress:\n  - from:\n    - ipBlock: {cidr: 0.0.0.0/0, except: [10.0.0.0/8]}\n"
		 "    - ipBlock: {cidr: '::/0'}\n"),
		NULL);
	WARNS(NP("  ingress: [{}, {}]\n"), NULL, "ingress[0]: allows all",
		"ingress[1]: allows all");
	QUIET(NP("  ingress:\n  - ports: [{port: 80}]\n"), NULL);
	QUIET(NP("  ingress:\n  - from: [{namespaceSelector: {}}]\n"), NULL);
	QUIET(NP("  ingress: []\n"), NULL);
}

static void test_allow_all_of_admin(void **state BH_UNUSED)
{
	static const char all[] = "  ingress:\n  - action: Accept\n    from: [{namespaces: {}}]\n";
	WARNS(CNP("  egress:\n  - action: Accept\n"
		  "    to: [{namespaces: {}}, {networks: [0.0.0.0/0]}]\n"),
		NULL, "p.yaml:9:5: warning: spec.egress[0]: accepts all egress in the Admin tier");
	QUIET(CNP("  egress:\n  - action: Accept\n"
		  "    to: [{namespaces: {}}, {networks: [10.0.0.0/8]}]\n"),
		NULL);
	QUIET(CNP("  egress:\n  - action: Accept\n    to: [{networks: [0.0.0.0/0]}]\n"), NULL);
	QUIET(CNP("  egress:\n  - action: Deny\n"
		  "    to: [{namespaces: {}}, {networks: [0.0.0.0/0]}]\n"),
		NULL);
	QUIET(CNP("  egress:\n  - action: Accept\n"
		  "    to: [{namespaces: {}}, {networks: [0.0.0.0/0]}]\n"
		  "    protocols: [{tcp: {destinationPort: {number: 1}}}]\n"),
		NULL);
	QUIET(CNP_OF("c", "Baseline", "1", "{namespaces: {}}",
		      "  egress:\n  - action: Accept\n"
		      "    to: [{namespaces: {}}, {networks: [0.0.0.0/0]}]\n"),
		NULL);
	char bh_autofree *some = bh_xasprintf(CNP("%s"), all);
	char bh_autofree *everybody =
		bh_xasprintf(CNP_OF("c", "Admin", "1", "{namespaces: {}}", "%s"), all);
	WARNS(everybody, NULL, "spec.ingress[0]: accepts all ingress");
	QUIET(some, NULL); /* a name server may be everybody's */
}

static void test_contradictions_in_place(void **state BH_UNUSED)
{
	static const char never[] = "{matchLabels: {app: a}, matchExpressions: [{key: app, "
				    "operator: NotIn, values: [a]}]}";
	char bh_autofree *subject =
		bh_xasprintf(NP_OF("p", "  podSelector: %s\n  ingress: []\n"), never);
	WARNS(subject, NULL, "p.yaml:1:1: warning: spec.podSelector: nothing can match");
	char bh_autofree *peer = bh_xasprintf(
		NP("  ingress:\n  - from:\n    - podSelector: %s\n      namespaceSelector: %s\n"),
		never, never);
	WARNS(peer, NULL, "p.yaml:8:7: warning: spec.ingress[0].from[0].podSelector: nothing",
		"spec.ingress[0].from[0].namespaceSelector: nothing");
	char bh_autofree *nodes =
		bh_xasprintf(CNP("  egress:\n  - action: Deny\n    to: [{nodes: %s}]\n"), never);
	WARNS(nodes, NULL, "spec.egress[0].to[0].nodes: nothing can match");
	char bh_autofree *pods = bh_xasprintf(
		CNP_OF("c", "Admin", "1", "{pods: {namespaceSelector: {}, podSelector: %s}}",
			"  ingress:\n  - action: Deny\n    from: [{namespaces: %s}]\n"),
		never, never);
	WARNS(pods, NULL, "spec.subject.pods.podSelector: nothing",
		"spec.ingress[0].from[0].namespaces: nothing");
	QUIET(NP_OF("p", "  podSelector: {matchLabels: {app: a}, matchExpressions: [{key: app, "
			 "operator: NotIn, values: [b]}]}\n  ingress: []\n"),
		NULL);
}

static void test_exceptions(void **state BH_UNUSED)
{
	WARNS(NP("  ingress:\n  - from:\n    - ipBlock: {cidr: 10.0.0.0/8, except: [10.0.0.0/9, "
		 "10.128.0.0/9]}\n"),
		NULL,
		"p.yaml:8:7: warning: spec.ingress[0].from[0].ipBlock.except: nothing is left "
		"of 10.0.0.0/8");
	QUIET(NP("  ingress:\n  - from:\n    - ipBlock: {cidr: 10.0.0.0/8, except: [10.0.0.0/9, "
		 "10.128.0.0/10]}\n"),
		NULL);
	WARNS(NP("  ingress:\n  - from:\n    - ipBlock: {cidr: 'fd00::/8', except: ['fd00::/9', "
		 "'fd80::/9']}\n"),
		NULL, "nothing is left of fd00::/8");
}

static void test_repeated_ports(void **state BH_UNUSED)
{
	WARNS(NP("  ingress:\n  - ports: [{port: 80}, {port: 443}, {port: 80}]\n"), NULL,
		"p.yaml:7:5: warning: spec.ingress[0].ports[2]: is the same as ports[0]");
	WARNS(NP("  ingress:\n  - ports: [{port: 85}, {port: 80, endPort: 90}]\n"), NULL,
		"spec.ingress[0].ports[0]: is contained in ports[1]");
	WARNS(NP("  ingress:\n  - ports: [{port: web}, {protocol: TCP}, {port: 1}]\n"), NULL,
		"ports[2]: is contained in ports[1]", "ports[0]: is contained in ports[1]");
	WARNS(NP("  ingress:\n  - ports: [{port: web}, {port: 80}, {port: web}]\n"), NULL,
		"ports[2]: is the same as ports[0]");
	QUIET(NP("  ingress:\n  - ports: [{port: 90}, {port: 90, protocol: UDP}, {port: web}, "
		 "{port: web, protocol: UDP}, {port: 70, endPort: 79}, {port: 75, endPort: 85}]\n"),
		NULL);
	WARNS(CNP("  ingress:\n  - action: Deny\n    from: [{namespaces: {}}]\n    protocols:\n"
		  "    - {tcp: {destinationPort: {range: {start: 1, end: 9}}}}\n"
		  "    - {tcp: {destinationPort: {number: 9}}}\n"),
		NULL, "p.yaml:9:5: warning: spec.ingress[0].protocols[1]: is contained in");
}

static void test_repeated_ranges(void **state BH_UNUSED)
{
	WARNS(NP("  ingress:\n  - from:\n    - ipBlock: {cidr: 10.1.0.0/16}\n"
		 "    - ipBlock: {cidr: 0.0.0.0/0}\n    - ipBlock: {cidr: 10.1.0.0/16}\n"),
		NULL,
		"p.yaml:8:7: warning: spec.ingress[0].from[0].ipBlock: 10.1.0.0/16 is contained in "
		"from[1] (0.0.0.0/0)",
		"p.yaml:10:7: warning: spec.ingress[0].from[2].ipBlock: 10.1.0.0/16 is contained");
	WARNS(NP("  ingress:\n  - from:\n    - ipBlock: {cidr: 10.1.0.0/16}\n"
		 "    - ipBlock: {cidr: 10.1.0.0/16}\n"),
		NULL,
		"p.yaml:9:7: warning: spec.ingress[0].from[1].ipBlock: 10.1.0.0/16 is listed");
	/* the exception lets the other one say something */
	QUIET(NP("  ingress:\n  - from:\n    - ipBlock: {cidr: 10.1.0.0/16}\n"
		 "    - ipBlock: {cidr: 0.0.0.0/0, except: [10.0.0.0/8]}\n"),
		NULL);
	QUIET(NP("  ingress:\n  - from:\n    - ipBlock: {cidr: 10.1.0.0/16}\n"
		 "    - ipBlock: {cidr: 0.0.0.0/0, except: [10.1.2.0/24]}\n"),
		NULL);
	WARNS(NP("  ingress:\n  - from:\n    - ipBlock: {cidr: 10.1.0.0/16}\n"
		 "    - ipBlock: {cidr: 0.0.0.0/0, except: [10.2.0.0/16]}\n"),
		NULL, "from[0].ipBlock: 10.1.0.0/16 is contained in from[1]");
	/* the exceptions of the smaller one are without effect */
	WARNS(NP("  ingress:\n  - from:\n    - ipBlock: {cidr: 10.0.0.0/8, except: [10.2.0.0/16]}\n"
		 "    - ipBlock: {cidr: 0.0.0.0/0, except: [10.2.3.0/24]}\n"),
		NULL, "from[0].ipBlock: 10.0.0.0/8 is contained in from[1]");
	QUIET(NP("  ingress:\n  - from:\n    - ipBlock: {cidr: 10.0.0.0/9}\n"
		 "    - ipBlock: {cidr: 10.128.0.0/9}\n    - ipBlock: {cidr: '::/0'}\n"),
		NULL);
	WARNS(CNP("  egress:\n  - action: Deny\n    to:\n    - {networks: [10.0.0.0/8, "
		  "192.0.2.0/24]}\n    - {networks: [10.0.0.0/8, 192.0.2.7/32]}\n"),
		NULL, "to[1].networks[0]: 10.0.0.0/8 is listed by to[0].networks[0]",
		"to[1].networks[1]: 192.0.2.7/32 is contained in to[0].networks[1]");
}

static void test_repeated_peers(void **state BH_UNUSED)
{
	WARNS(NP("  ingress:\n  - from:\n    - podSelector: {matchLabels: {a: b}}\n"
		 "    - podSelector: {matchExpressions: [{key: a, operator: In, values: [b]}]}\n"),
		NULL, "p.yaml:9:7: warning: spec.ingress[0].from[1]: means the same as from[0]");
	WARNS(NP("  ingress:\n  - from:\n    - podSelector: {matchLabels: {a: b, c: d}}\n"
		 "    - podSelector: {matchLabels: {a: b}}\n"),
		NULL, "from[0]: means nobody whom from[1] does not mean already");
	/* the policy's own namespace is one of all, and of those that are called so */
	WARNS(NP("  ingress:\n  - from:\n    - podSelector: {matchLabels: {a: b}}\n"
		 "    - namespaceSelector: {}\n"),
		NULL, "from[0]: means nobody whom from[1]");
	WARNS(NP("  ingress:\n  - from:\n    - podSelector: {}\n"
		 "    - namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: shop}}\n"),
		NULL, "from[1]: means the same as from[0]");
	QUIET(NP("  ingress:\n  - from:\n    - podSelector: {matchLabels: {a: b}}\n"
		 "    - namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: other}}\n"
		 "    - namespaceSelector: {matchLabels: {env: prod}}\n"),
		NULL);
	/* one peer with both selectors is not two peers */
	QUIET(NP("  ingress:\n  - from:\n    - podSelector: {matchLabels: {a: b}}\n"
		 "    - podSelector: {matchLabels: {a: c}}\n      namespaceSelector: {}\n"
		 "    - ipBlock: {cidr: 0.0.0.0/0}\n"),
		NULL);
	WARNS(CNP("  egress:\n  - action: Deny\n    to:\n    - {nodes: {}}\n"
		  "    - {nodes: {matchLabels: {os: linux}}}\n"),
		NULL, "to[1]: means nobody whom to[0]");
}

static void test_shadowed_in_policy(void **state BH_UNUSED)
{
	WARNS(NP("  ingress:\n  - from: [{podSelector: {matchLabels: {a: b}}}]\n"
		 "    ports: [{port: 80}]\n  - from: [{podSelector: {}}]\n"),
		NULL,
		"p.yaml:7:5: warning: spec.ingress[0]: allows nothing that spec.ingress[1] (line "
		"9) "
		"does not allow already");
	WARNS(NP("  ingress:\n  - ports: [{port: 80}]\n  - ports: [{port: 443}]\n"
		 "  - ports: [{port: 80}]\n"),
		NULL, "p.yaml:9:5: warning: spec.ingress[2]: allows nothing that spec.ingress[0]");
	WARNS(NP("  ingress:\n  - {}\n  - ports: [{port: 443}]\n"), NULL,
		"spec.ingress[0]: allows all",
		"spec.ingress[1]: allows nothing that spec.ingress[0]");
	/* narrower peers but wider ports; TCP is not UDP; a name is no number; other direction */
	QUIET(NP("  ingress:\n  - from: [{podSelector: {matchLabels: {a: b}}}]\n"
		 "    ports: [{port: 1, endPort: 90}]\n  - from: [{podSelector: {}}]\n"
		 "    ports: [{port: 80}]\n"),
		NULL);
	QUIET(NP("  ingress:\n  - ports: [{port: 80}]\n  - ports: [{port: 80, protocol: UDP}]\n"
		 "  - ports: [{port: web}]\n  egress:\n  - ports: [{port: 80}]\n"),
		NULL);
	/* all ports of TCP are not all protocols */
	QUIET(NP("  ingress:\n  - from: [{podSelector: {}}]\n  - ports: [{protocol: TCP}]\n"),
		NULL);
	/* which addresses workloads have is not known */
	QUIET(NP("  ingress:\n  - from: [{podSelector: {}}]\n"
		 "  - from: [{ipBlock: {cidr: 0.0.0.0/0}}]\n"),
		NULL);
	WARNS(NP("  ingress:\n  - from: [{ipBlock: {cidr: 10.1.0.0/16}}]\n"
		 "  - from: [{ipBlock: {cidr: 10.0.0.0/8}}]\n"),
		NULL, "spec.ingress[0]: allows nothing that spec.ingress[1]");
}

#define RULE_OF(action, peers) "  - action: " action "\n    from: [" peers "]\n"
#define ALL_NS "{namespaces: {}}"
#define DEV_NS "{namespaces: {matchLabels: {env: dev}}}"

static void test_shadowed_in_order(void **state BH_UNUSED)
{
	/* the first that matches decides: not the wider one */
	WARNS(CNP("  ingress:\n" RULE_OF("Deny", ALL_NS) RULE_OF("Accept", DEV_NS)), NULL,
		"p.yaml:11:5: warning: spec.ingress[1]: never decides: spec.ingress[0] (line 9) is "
		"asked before and matches all of it (Deny)");
	QUIET(CNP("  ingress:\n" RULE_OF("Accept", DEV_NS) RULE_OF("Deny", ALL_NS)), NULL);
	WARNS(CNP("  ingress:\n" RULE_OF("Pass", DEV_NS) RULE_OF("Pass", DEV_NS)), NULL,
		"spec.ingress[1]: never decides");
	QUIET(CNP("  ingress:\n" RULE_OF("Deny", DEV_NS) RULE_OF("Accept",
		      "{pods: {namespaceSelector: {}, podSelector: {matchLabels: {a: b}}}}")),
		NULL);
	WARNS(CNP("  egress:\n  - action: Deny\n    to: [{networks: [10.0.0.0/8, 'fd00::/8']}]\n"
		  "  - action: Accept\n    to: [{networks: [10.1.0.0/16, 'fd01::/16']}]\n"
		  "  - action: Accept\n    to: [{networks: [10.1.0.0/16, '2001:db8::/32']}]\n"),
		NULL, "spec.egress[1]: never decides: spec.egress[0]");
}

#define DOC "---\n"
#define SUBJECT(label) "  podSelector: {matchLabels: " label "}\n"
#define PORT80 "  ingress:\n  - ports: [{port: 80}]\n"

static void test_shadowed_by_policy(void **state BH_UNUSED)
{
	/* all of the namespace: wider */
	WARNS(NP_OF("all", "  podSelector: {}\n" PORT80) DOC NP_OF("one", SUBJECT("{a: b}") PORT80),
		NULL,
		"p.yaml:15:5: warning: spec.ingress[0]: allows nothing that spec.ingress[0] of "
		"shop/all (line 7) does not allow already");
	/* of two alike only the later one */
	WARNS(NP_OF("x", SUBJECT("{a: b}") PORT80) DOC NP_OF("z", SUBJECT("{a: b}") PORT80), NULL,
		"p.yaml:15:5: warning: spec.ingress[0]: allows nothing that spec.ingress[0] of "
		"shop/x");
	WARNS(NP_OF("x", SUBJECT("{a: b, c: d}") PORT80) DOC NP_OF("z", SUBJECT("{c: d}") PORT80),
		NULL, "p.yaml:7:5: warning: spec.ingress[0]: allows nothing");
	WARNS(NP_OF("x", SUBJECT("{a: b, c: d}") PORT80) DOC NP_OF("z",
		      "  podSelector: {matchExpressions: [{key: c, operator: Exists}]}\n" PORT80),
		NULL, "of shop/z");
	QUIET(NP_OF("x", SUBJECT("{a: b}") PORT80) DOC NP_OF("z", SUBJECT("{c: d}") PORT80), NULL);
	/* same names, another namespace */
	QUIET(NP_OF("all", "  podSelector: {}\n" PORT80)
			DOC NP_OF("one, namespace: b", SUBJECT("{a: b}") PORT80),
		NULL);
	/* an allow-all is told once, where it stands */
	WARNS(NP_OF("all", "  podSelector: {}\n  ingress: [{}]\n")
			DOC NP_OF("one", SUBJECT("{a: b}") PORT80),
		NULL, "allows all ingress");
	/* a default deny shadows nothing */
	QUIET(NP_OF("all", "  podSelector: {}\n") DOC NP_OF("one", SUBJECT("{a: b}") PORT80), NULL);
}

#define PROD "{namespaces: {matchLabels: {env: prod}}}"
#define EVERYBODY "{namespaces: {}}"
#define DENY "  ingress:\n" RULE_OF("Deny", ALL_NS)
#define ACCEPT "  ingress:\n" RULE_OF("Accept", DEV_NS)

static void test_shadowed_by_priority(void **state BH_UNUSED)
{
	WARNS(CNP_OF("a", "Admin", "20", PROD, ACCEPT)
			DOC CNP_OF("b", "Admin", "10", EVERYBODY, DENY),
		NULL,
		"p.yaml:9:5: warning: spec.ingress[0]: never decides: spec.ingress[0] of cnp:b "
		"(line 20)");
	WARNS(CNP_OF("a", "Baseline", "20", PROD, ACCEPT)
			DOC CNP_OF("b", "Baseline", "10", PROD, DENY),
		NULL, "never decides");
	/* asked later; the same priority; another tier; a narrower subject; another subject */
	QUIET(CNP_OF("a", "Admin", "10", PROD, ACCEPT)
			DOC CNP_OF("b", "Admin", "20", EVERYBODY, DENY),
		NULL);
	QUIET(CNP_OF("a", "Admin", "10", PROD, ACCEPT)
			DOC CNP_OF("b", "Admin", "10", EVERYBODY, DENY),
		NULL);
	QUIET(CNP_OF("a", "Baseline", "20", PROD, ACCEPT)
			DOC CNP_OF("b", "Admin", "10", EVERYBODY, DENY),
		NULL);
	QUIET(CNP_OF("a", "Admin", "20", EVERYBODY, ACCEPT)
			DOC CNP_OF("b", "Admin", "10", PROD, DENY),
		NULL);
	QUIET(CNP_OF("a", "Admin", "20", PROD, ACCEPT) DOC CNP_OF("b", "Admin", "10",
		      "{pods: {namespaceSelector: {matchLabels: {env: prod}}, podSelector: "
		      "{matchLabels: {a: b}}}}",
		      DENY),
		NULL);
}

/* --- with an inventory --- */

static const char world[] =
	"name: w\n"
	"namespaces: {shop: {env: prod}, empty: {env: none}}\n"
	"nodes: {n1: {labels: {os: linux}, ips: [192.0.2.1], local: true}}\n"
	"workloads:\n"
	"- {name: web, namespace: shop, labels: {app: web}, ips: [10.0.0.1], ports: [{port: 80, "
	"protocol: TCP, name: http}]}\n"
	"- {name: db, namespace: shop, labels: {app: db}, ips: [10.0.0.2], ports: [{port: 53, "
	"protocol: UDP, name: dns}]}\n"
	"- {name: x, namespace: other, labels: {app: web, tier: x}, ips: [10.0.0.3], "
	"ports: [{port: 7, protocol: TCP, name: odd}]}\n";

#define WEB SUBJECT("{app: web}")

static void test_subject_of_nobody(void **state BH_UNUSED)
{
	WARNS(NP_OF("p", SUBJECT("{app: wbe}")), world,
		"p.yaml:1:1: warning: spec.podSelector: no workload in shop matches app=wbe");
	QUIET(NP_OF("p", SUBJECT("{app: wbe}")), NULL);
	QUIET(NP_OF("p", WEB), world);
	WARNS(NP_OF("p", SUBJECT("{tier: x}")), world, "no workload in shop matches tier=x");
	WARNS(NP_OF("p, namespace: shpo", WEB), world, "there is no namespace shpo");
	WARNS(NP_OF("p, namespace: empty", "  podSelector: {}\n"), world,
		"there is no workload in empty");
	WARNS(NP_OF("p", "  podSelector: {matchExpressions: [{key: app, operator: NotIn, values: "
			 "[web, db]}]}\n"),
		world, "no workload in shop matches app notin (db,web)");
	WARNS(NP_OF("p", "  podSelector: {matchExpressions: [{key: app, operator: In, values: "
			 "[a, b]}]}\n"),
		world, "no workload in shop matches");
	QUIET(NP_OF("p", "  podSelector: {matchExpressions: [{key: app, operator: In, values: "
			 "[a, db]}]}\n"),
		world);
	WARNS(CNP_OF("c", "Admin", "1", "{namespaces: {matchLabels: {env: dev}}}", DENY), world,
		"spec.subject: no namespace matches env=dev");
	WARNS(CNP_OF("c", "Admin", "1", "{namespaces: {matchLabels: {env: none}}}", DENY), world,
		"spec.subject: there is no workload in the namespaces env=none");
	QUIET(CNP(DENY), world);
	/* told by itself already */
	WARNS(NP_OF("p", "  podSelector: {matchLabels: {app: a}, matchExpressions: [{key: app, "
			 "operator: DoesNotExist}]}\n"),
		world, "nothing can match");
}

static void test_peers_of_nobody(void **state BH_UNUSED)
{
	WARNS(NP_OF("p",
		      WEB "  ingress:\n  - from:\n    - podSelector: {matchLabels: {app: bd}}\n"),
		world,
		"p.yaml:8:7: warning: spec.ingress[0].from[0].podSelector: no workload in shop "
		"matches app=bd, so the peer means nobody");
	QUIET(NP_OF("p",
		      WEB "  ingress:\n  - from:\n    - podSelector: {matchLabels: {app: db}}\n"),
		world);
	WARNS(NP_OF("p", WEB "  ingress:\n  - from:\n    - podSelector: {matchLabels: {tier: x}}\n"
			     "    - namespaceSelector: {matchLabels: {env: dev}}\n"
			     "    - namespaceSelector: {matchLabels: {env: none}}\n"
			     "    - namespaceSelector: {matchLabels: {env: prod}}\n"
			     "      podSelector: {matchLabels: {tier: x}}\n"),
		world, "from[0].podSelector: no workload in shop",
		"from[1].namespaceSelector: no namespace matches env=dev",
		"from[2]: there is no workload in the namespaces env=none",
		"from[3].podSelector: no workload in the namespaces env=prod matches tier=x");
	QUIET(NP_OF("p", WEB "  ingress:\n  - from:\n    - namespaceSelector: {}\n"
			     "      podSelector: {matchLabels: {tier: x}}\n"
			     "    - ipBlock: {cidr: 203.0.113.0/24}\n"),
		world);
	/* the namespace is told once */
	WARNS(NP_OF("p, namespace: shpo", WEB "  ingress:\n  - from:\n    - podSelector: {}\n"),
		world, "there is no namespace shpo");
}

static void test_ports_of_nobody(void **state BH_UNUSED)
{
	/* ingress: the subject's */
	WARNS(NP_OF("p", WEB "  ingress:\n  - ports: [{port: htpt}, {port: http}]\n"), world,
		"p.yaml:7:5: warning: spec.ingress[0].ports[0]: no workload that the policy "
		"selects "
		"has a TCP port called htpt");
	WARNS(NP_OF("p", WEB "  ingress:\n  - ports: [{port: dns, protocol: UDP}]\n"), world,
		"has a UDP port called dns");
	WARNS(NP_OF("p", WEB "  ingress:\n  - ports: [{port: http, protocol: UDP}]\n"), world,
		"has a UDP port called http");
	WARNS(NP_OF("p", WEB "  ingress:\n  - ports: [{port: odd}]\n"), world,
		"has a TCP port called odd"); /* alike, but in another namespace */
	WARNS(NP_OF("p", WEB "  policyTypes: [Egress]\n  egress:\n  - to: [{podSelector: "
			     "{matchLabels: {app: web}}}]\n    ports: [{port: odd}]\n  - to: "
			     "[{namespaceSelector: {}}]\n    ports: [{port: odd}]\n"),
		world, "spec.egress[0]: allows nothing",
		"spec.egress[0].ports[0]: no workload that the rule's peers mean");
	/* egress: the peers' */
	QUIET(NP_OF("p", WEB "  policyTypes: [Egress]\n  egress:\n  - to: [{podSelector: "
			     "{matchLabels: {app: db}}}]\n    ports: [{port: dns, protocol: UDP}]\n"
			     "  - ports: [{port: http}]\n"
			     "  - to: [{ipBlock: {cidr: 10.0.0.2/32}}]\n"
			     "    ports: [{port: dns, protocol: UDP}, {port: 1}]\n"),
		world);
	WARNS(NP_OF("p", WEB "  policyTypes: [Egress]\n  egress:\n  - to: [{podSelector: "
			     "{matchLabels: {app: db}}}]\n    ports: [{port: http}]\n"
			     "  - to: [{ipBlock: {cidr: 10.0.0.2/32}}]\n    ports: [{port: http}]\n"
			     "  - to: [{ipBlock: {cidr: 10.0.0.0/24, except: [10.0.0.1/32, "
			     "10.0.0.2/32]}}]\n"
			     "    ports: [{port: http}]\n"),
		world, "spec.egress[0].ports[0]: no workload that the rule's peers mean has a TCP",
		"spec.egress[1].ports[0]: no workload", "spec.egress[2].ports[0]: no workload");
	/* a name of no protocol is any's */
	QUIET(CNP("  ingress:\n  - action: Deny\n    from: [{namespaces: {}}]\n"
		  "    protocols: [{destinationNamedPort: dns}]\n"),
		world);
	WARNS(CNP("  ingress:\n  - action: Deny\n    from: [{namespaces: {}}]\n"
		  "    protocols: [{destinationNamedPort: dsn}]\n"),
		world,
		"spec.ingress[0].protocols[0]: no workload that the policy selects has a port "
		"called dsn");
	/* nobody to serve it: told once */
	WARNS(NP_OF("p", SUBJECT("{app: wbe}") "  ingress:\n  - ports: [{port: http}]\n"), world,
		"no workload in shop matches app=wbe");
	WARNS(NP_OF("p", WEB "  policyTypes: [Egress]\n  egress:\n  - to: [{podSelector: "
			     "{matchLabels: {app: bd}}}]\n    ports: [{port: http}]\n"),
		world, "the peer means nobody");
}

static void test_nodes_of_nobody(void **state BH_UNUSED)
{
	WARNS(CNP("  egress:\n  - action: Deny\n    to: [{nodes: {matchLabels: {os: hurd}}}]\n"),
		world,
		"p.yaml:10:10: warning: spec.egress[0].to[0].nodes: no known node matches os=hurd");
	QUIET(CNP("  egress:\n  - action: Deny\n    to: [{nodes: {matchLabels: {os: linux}}}]\n"),
		world);
	QUIET(CNP("  egress:\n  - action: Deny\n    to: [{nodes: {}}]\n"), world);
}

/* --- cost --- */

static void add_rule(struct bh_buf *b, int i)
{
	bh_buf_printf(b,
		"  - from: [{podSelector: {matchLabels: {l%d: x}}}, "
		"{podSelector: {matchLabels: {m%d: x}}}]\n",
		i, i);
}

/* Each rule has to be compared with each other one; none is shadowed, wherever the steps end. */
static void test_large_policy(void **state BH_UNUSED)
{
	struct bh_buf bh_autobuf b = {0};
	for (int shift = 0; shift < 6; shift++) {
		bh_buf_finish(&b);
		bh_buf_str(&b, NP("  ingress:\n"));
		for (int i = 0; i < shift; i++)
			bh_buf_printf(&b, "  - ports: [{port: %d}]\n", i + 1);
		for (int i = 0; i < 420; i++)
			add_rule(&b, i);
		WARNS(b.s, NULL,
			"p.yaml:1:1: warning: spec: too much to compare: warnings may be missing "
			"for this policy and 0 others");
	}
	bh_buf_finish(&b);
	/* as many as people write are compared in full */
	bh_buf_str(&b, NP("  ingress:\n"));
	for (int i = 0; i < 200; i++)
		add_rule(&b, i);
	bh_buf_str(&b, "  - from: [{podSelector: {matchLabels: {m7: x, z: z}}}]\n");
	WARNS(b.s, NULL, "spec.ingress[200]: allows nothing that spec.ingress[7]");
}

/* Thousands of policies cost what each costs: subjects that can't be compared are not. */
static void test_many_policies(void **state BH_UNUSED)
{
	struct bh_buf bh_autobuf b = {0};
	for (int i = 0; i < 3000; i++)
		bh_buf_printf(&b,
			"---\n" NP_OF("p%d", "  podSelector: {matchLabels: {app: a%d}}\n" PORT80),
			i, i);
	bh_buf_str(&b, DOC NP_OF("last", SUBJECT("{app: a77, b: c}") PORT80));
	WARNS(b.s, NULL, "allows nothing that spec.ingress[0] of shop/p77 ");
}

/* Thousands of ranges in one rule, of which one is inside another. */
static void test_many_ranges(void **state BH_UNUSED)
{
	struct bh_buf bh_autobuf b = {0};
	bh_buf_str(&b, NP("  ingress:\n  - from:\n"));
	for (int i = 0; i < 5000; i++)
		bh_buf_printf(&b, "    - ipBlock: {cidr: 10.%d.%d.0/24}\n", i / 256, i % 256);
	bh_buf_str(&b, "    - ipBlock: {cidr: 10.3.3.3/32}\n");
	WARNS(b.s, NULL, "from[5000].ipBlock: 10.3.3.3/32 is contained in from[771] (10.3.3.0/24)");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_implies),
		T(test_contradiction),
		T(test_random_selectors),
		T(test_allow_all),
		T(test_allow_all_of_admin),
		T(test_contradictions_in_place),
		T(test_exceptions),
		T(test_repeated_ports),
		T(test_repeated_ranges),
		T(test_repeated_peers),
		T(test_shadowed_in_policy),
		T(test_shadowed_in_order),
		T(test_shadowed_by_policy),
		T(test_shadowed_by_priority),
		T(test_subject_of_nobody),
		T(test_peers_of_nobody),
		T(test_ports_of_nobody),
		T(test_nodes_of_nobody),
		T(test_large_policy),
		T(test_many_policies),
		T(test_many_ranges),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
