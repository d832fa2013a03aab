/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Warnings about what an inventory has nobody for. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "lint_text.h"

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
		"p.yaml:5:16: warning: spec.podSelector: no workload in shop matches app=wbe");
	QUIET(NP_OF("p", SUBJECT("{app: wbe}")), NULL);
	QUIET(NP_OF("p", WEB), world);
	WARNS(NP_OF("p", SUBJECT("{tier: x}")), world, "no workload in shop matches tier=x");
	WARNS(NP_OF("p, namespace: shpo", WEB), world,
		"p.yaml:1:1: warning: spec: there is no namespace shpo");
	WARNS(NP_OF("p", "  podSelector:\n    matchLabels:\n      app: wbe\n"), world,
		"p.yaml:6:5: warning: spec.podSelector: no workload in shop matches app=wbe");
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
		":12: warning: spec.subject: no namespace matches env=dev");
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_subject_of_nobody),
		T(test_peers_of_nobody),
		T(test_ports_of_nobody),
		T(test_nodes_of_nobody),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
