/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Warnings about what a rule says by itself: each, and the near miss that must not be warned of. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "lint_text.h"

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
	WARNS(subject, NULL, "p.yaml:5:16: warning: spec.podSelector: nothing can match");
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_allow_all),
		T(test_allow_all_of_admin),
		T(test_contradictions_in_place),
		T(test_exceptions),
		T(test_repeated_ports),
		T(test_repeated_ranges),
		T(test_repeated_peers),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
