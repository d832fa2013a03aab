/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Rules that others leave nothing to decide, and what finding them may cost. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "lint_text.h"

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
		T(test_shadowed_in_policy),
		T(test_shadowed_in_order),
		T(test_shadowed_by_policy),
		T(test_shadowed_by_priority),
		T(test_large_policy),
		T(test_many_policies),
		T(test_many_ranges),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
