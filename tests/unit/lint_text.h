/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What is told about a text of policies, for the tests of rules/lint. */
#pragma once

#include <bulkhead/lint.h>
#include <bulkhead/scenario.h>

#define T(f) cmocka_unit_test(f)

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
#define SUBJECT(label) "  podSelector: {matchLabels: " label "}\n"
#define DOC "---\n"
#define PORT80 "  ingress:\n  - ports: [{port: 80}]\n"
#define ALL_NS "{namespaces: {}}"
#define RULE_OF(action, peers) "  - action: " action "\n    from: [" peers "]\n"
#define DENY "  ingress:\n" RULE_OF("Deny", ALL_NS)
