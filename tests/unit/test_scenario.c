/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Worlds in files: what is read, what is refused and where, and that the printer says what it saw.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>

#include <bulkhead/scenario.h>

#include "lib/case.h"

#define W "workloads:\n- {name: a, namespace: x, labels: {app: a}, ips: [10.0.0.1, \"fd00::1\"]}\n"
#define WB W "- {name: b, namespace: x, labels: {}, ips: [10.0.0.2]}\n"
#define POLICY                                                                                     \
	"- |\n  apiVersion: networking.k8s.io/v1\n  kind: NetworkPolicy\n"                         \
	"  metadata: {name: p, namespace: x}\n  spec:\n    podSelector: {}\n"

static char *show(const struct bh_diags *d)
{
	struct bh_buf b = {0};
	bh_diags_format(d, &b);
	return bh_buf_take(&b);
}

static struct bh_scenario *good_as(const char *text, enum bh_scenario_use use)
{
	bh_autodiags struct bh_diags d = {0};
	struct bh_scenario *s = NULL;
	int r = bh_scenario_parse("dir/f.yaml", text, strlen(text), use, &d, &s);
	bh_autofree char *all = show(&d);
	if (r != 0 || d.n_errors)
		fail_msg("refused: %s\n%s", all, text);
	return s;
}

static struct bh_scenario *good(const char *text)
{
	return good_as(text, BH_SCENARIO_STATE);
}

/* Must be refused at this place for this reason, and without any other error. */
static void refused_len(
	const char *text, size_t len, int line, int column, const char *what, size_t errors)
{
	bh_autodiags struct bh_diags d = {0};
	struct bh_scenario *s = NULL;
	int r = bh_scenario_parse("f.yaml", text, len, BH_SCENARIO_TEST, &d, &s);
	bh_autofree char *all = show(&d);
	bool hit = false;
	if (r != -EINVAL || s)
		fail_msg("accepted (%d): %s\n%s", r, all, text);
	for (size_t i = 0; i < d.n; i++) {
		struct bh_buf b = {0};
		bh_diag_format(&d.item[i], &b);
		hit |= d.item[i].severity == BH_ERROR && d.item[i].line == line &&
		       d.item[i].column == column && bh_streq(d.item[i].file, "f.yaml") &&
		       strstr(b.s, what);
		bh_buf_finish(&b);
	}
	if (!hit || (errors && d.n_errors != errors))
		fail_msg("not \"%s\" at %d:%d alone, but:\n%s\nof\n%s", what, line, column, all,
			text);
}

static void refused_n(const char *text, int line, int column, const char *what, size_t errors)
{
	refused_len(text, strlen(text), line, column, what, errors);
}

static void refused(const char *text, int line, int column, const char *what)
{
	refused_n(text, line, column, what, 1);
}

static void assert_addr(
	const struct bh_scenario_state *st, const char *end, uint8_t family, const char *want)
{
	struct bh_addr a;
	char text[BH_ADDR_STRLEN];
	assert_int_equal(bh_scenario_resolve(st, end, family, &a), 0);
	assert_string_equal(bh_addr_format(&a, text), want);
}

static void test_ends(void **state BH_UNUSED)
{
	struct bh_scenario *s = good(WB "external: {net: [192.0.2.1, \"2001:db8::1\"], none: []}\n"
					"nodes: {n1: {ips: [192.0.2.9]}, n2: {ips: [192.0.2.8], "
					"local: true}}\n");
	struct bh_scenario_state *st = &s->state[0];
	struct bh_addr a, b;
	assert_string_equal(s->name, "f");
	assert_addr(st, "x/a", 0, "10.0.0.1");
	assert_addr(st, "x/a", BH_IPV6, "fd00::1");
	assert_addr(st, "external:net", BH_IPV6, "2001:db8::1");
	assert_addr(st, "node:n1", 0, "192.0.2.9");
	assert_addr(st, "10.9.9.9", 0, "10.9.9.9");
	assert_int_equal(bh_scenario_resolve(st, "x/b", BH_IPV6, &a), -EAFNOSUPPORT);
	assert_int_equal(bh_scenario_resolve(st, "external:none", 0, &a), -EAFNOSUPPORT);
	static const char *const strange[] = {"", "x", "x/", "/a", "x/c", "xx/a", "x/aa",
		"external:", "external:x", "node:", "node:n3", "x/a/", "net"};
	for (size_t i = 0; i < BH_ARRAY_SIZE(strange); i++)
		assert_int_equal(bh_scenario_resolve(st, strange[i], 0, &a), -ENOENT);
	assert_int_equal(bh_scenario_resolve_pair(st, "x/a", "2001:db8::2", 0, &a, &b), 0);
	assert_int_equal(a.family, BH_IPV6);
	assert_int_equal(
		bh_scenario_resolve_pair(st, "x/b", "2001:db8::2", 0, &a, &b), -EAFNOSUPPORT);
	assert_int_equal(st->inv->n_nodes, 2);
	/* the local node is the host, another one is outside */
	assert_int_equal(bh_addr_parse("192.0.2.8", &a), 0);
	assert_int_equal(bh_inventory_owner(st->inv, &a), BH_OWNER_HOST);
	assert_int_equal(bh_addr_parse("192.0.2.9", &a), 0);
	assert_int_equal(bh_inventory_owner(st->inv, &a), BH_OWNER_NONE);
	assert_int_equal(bh_scenario_policy_opts(st).nodes, BH_NODES_KNOWN);
	bh_scenario_free(s);
}

static void test_workloads(void **state BH_UNUSED)
{
	struct bh_scenario *s = good(
		"mode: audit\noptions: {unselected: deny, host: policy, deny: reject}\n"
		"hostAddresses: [192.0.2.8]\nnetworks: [10.0.0.0/24]\n"
		"workloads:\n"
		"- {name: a, namespace: x, ips: [10.0.0.1], ports: [{port: 80, name: http}, {port: "
		"53, protocol: UDP}]}\n"
		"- {name: b, namespace: x, mode: learn, interfaces: [{name: e0, ips: [10.0.0.2, "
		"10.0.0.3]}, {name: e1, ips: []}]}\n"
		"- {name: h, namespace: x, hostNetwork: true}\n"
		"- {name: i, namespace: x, hostNetwork: true, ips: [192.0.2.7]}\n"
		"- {name: u, namespace: x, ips: [10.0.0.4], unenforceable: macvlan}\n");
	const struct bh_scenario_state *st = &s->state[0];
	const struct bh_inventory *inv = st->inv;
	assert_true(st->opts.unselected_deny && st->opts.host_policy && st->opts.reject);
	assert_int_equal(inv->n, 5);
	assert_int_equal(inv->workload[0]->mode, BH_MODE_AUDIT);
	assert_int_equal(inv->workload[1]->mode, BH_MODE_LEARN);
	assert_int_equal(inv->workload[0]->n_ports, 2);
	assert_int_equal(inv->workload[0]->port[0].proto, BH_TCP);
	assert_int_equal(inv->workload[0]->port[1].proto, BH_UDP);
	assert_int_equal(inv->workload[1]->n_ifaces, 2);
	assert_int_equal(inv->n_broadcast, 1);
	for (size_t i = 2; i < 5; i++)
		assert_false(bh_workload_governable(inv->workload[i]));
	assert_addr(st, "x/h", 0, "192.0.2.8");
	assert_addr(st, "x/i", 0, "192.0.2.7");
	assert_addr(st, "x/u", 0, "10.0.0.4");
	assert_int_equal(inv->n_hosts, 2); /* that of i is the node's too */
	assert_int_equal(bh_scenario_policy_opts(st).nodes, BH_NODES_UNKNOWN);
	/* only a namespace that is listed without it lacks the name's label */
	assert_int_equal(inv->ns[0].labels.n, 1);
	bh_scenario_free(s);
	s = good(WB "namespaces: {x: {env: p}, y: null}\n");
	assert_int_equal(s->state[0].inv->n_ns, 2);
	assert_int_equal(s->state[0].inv->ns[0].labels.n, 1);
	assert_int_equal(s->state[0].inv->ns[1].labels.n, 0);
	bh_scenario_free(s);
}

/* As on a node: by its name, or what may be a label's value of it; not over what is written. */
static void test_named_by_label(void **state BH_UNUSED)
{
	static const char key[] = "bulkhead.io/name";
	struct bh_scenario *s = good("workloads:\n- {name: a, namespace: x, labels: {app: b}}\n"
				     "- {name: b c, namespace: x}\n"
				     "- {name: d, namespace: x, labels: {bulkhead.io/name: e}}\n");
	struct bh_workload *const *w = s->state[0].inv->workload;
	char bh_autofree *value = bh_label_value_of("b c");
	assert_string_equal(bh_labels_get(&w[0]->labels, key), "a");
	assert_string_equal(bh_labels_get(&w[0]->labels, "app"), "b");
	assert_string_equal(bh_labels_get(&w[1]->labels, key), value);
	assert_string_equal(bh_labels_get(&w[2]->labels, key), "e");
	bh_scenario_free(s);
}

static void test_probes(void **state BH_UNUSED)
{
	struct bh_scenario *s = good_as(WB "expect:\n"
					   "- {from: x/a, to: x/b, port: 80, verdict: allow}\n"
					   "- {from: x/a, to: x/a, protocol: ICMP, family: ipv6, "
					   "verdict: deny}\n"
					   "- {from: x/a, to: 10.1.1.1, protocol: icmp, verdict: "
					   "deny}\n",
		BH_SCENARIO_TEST);
	const struct bh_scenario_probe *p = s->state[0].probe;
	assert_int_equal(s->state[0].n_probes, 3);
	assert_true(p[0].allow && p[0].flow.proto == BH_TCP && p[0].flow.dport == 80);
	assert_int_equal(p[0].line, 5);
	assert_int_equal(p[0].flow.src.family, BH_IPV4);
	assert_true(!p[1].allow && p[1].flow.proto == 58 && p[1].flow.icmp_type == 128);
	assert_true(p[2].flow.proto == 1 && p[2].flow.icmp_type == 8 && p[2].flow.dport == 0);
	bh_scenario_free(s);
}

static void test_states(void **state BH_UNUSED)
{
	struct bh_scenario *s =
		good(WB "policies:\n" POLICY "then:\n"
			"- {state: one, expect: [{from: x/a, to: x/b, port: 1, verdict: deny}]}\n"
			"- {state: two, policies: null, options: {unselected: deny}}\n"
			"- {state: three, workloads: [{name: c, namespace: z, ips: [10.0.0.1]}]}\n"
			"- {state: four, nodes: {n: {ips: [192.0.2.1]}}}\n");
	assert_int_equal(s->n_states, 5);
	struct bh_scenario_state *st = s->state;
	assert_ptr_equal(st[0].inv, st[1].inv);
	assert_ptr_equal(st[0].policies, st[1].policies);
	assert_int_equal(st[0].policies->n, 1);
	assert_int_equal(st[1].n_probes, 1);
	assert_int_equal(st[2].n_probes, 0);
	assert_int_equal(st[2].policies->n, 0);
	assert_true(st[2].opts.unselected_deny && st[3].opts.unselected_deny);
	assert_false(st[1].opts.unselected_deny);
	assert_int_equal(st[3].inv->n, 1);
	assert_string_equal(st[3].inv->workload[0]->name, "c");
	assert_int_equal(st[4].inv->n_nodes, 1);
	assert_ptr_equal(bh_scenario_find(s, "three"), &st[3]);
	assert_ptr_equal(bh_scenario_find(s, NULL), &st[0]);
	assert_null(bh_scenario_find(s, "five"));
	bh_scenario_free(s);
}

#define PROBE(x) WB "expect:\n- {from: x/a, to: x/b, " x "}\n"
#define OK "expect:\n- {from: x/a, to: x/a, port: 1, verdict: allow}\n"

static void test_refused_frame(void **state BH_UNUSED)
{
	refused("", 1, 1, "the file is empty");
	refused("--- a\n--- b\n", 1, 1, "one document");
	refused("- a\n", 1, 1, "must be a mapping");
	refused("- {}\n", 1, 1, "must be a mapping");
}

static void test_refused(void **state BH_UNUSED)
{
	refused(WB "worklods: []\n" OK, 4, 1, "did you mean \"workloads\"");
	refused("apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\n", 1, 1,
		"this is a policy");
	refused(WB, 1, 1, "nothing is expected");
	refused(WB "name: 7\n" OK, 4, 7, "must be a string");
	refused(WB "mode: forced\n" OK, 4, 7, "learn, audit or enforce");
	refused(WB "options: {host: deny}\n" OK, 4, 17, "allow or policy");
	refused(WB "options: {hosts: allow}\n" OK, 4, 11, "did you mean \"host\"");
	refused(WB "networks: [10.0.0.1/24]\n" OK, 4, 12, "not a network");
	refused(WB "external: {e: [10.0.0]}\n" OK, 4, 16, "not an IP address");
	refused(WB "external: {e: 10.0.0.9}\n" OK, 4, 15, "must be a list");
	refused(WB "nodes: {n: {ips: [10.0.0.9], locl: true}}\n" OK, 4, 30, "\"local\"");
	refused(WB "namespaces: {x: {kubernetes.io/metadata.name: z}}\n" OK, 4, 47,
		"the name of another");
	refused(WB "policies: text\n" OK, 4, 11, "must be a list");
	refused(WB "policies: [{a: b}]\n" OK, 4, 12, "must be a string");
	refused(WB OK "then: {}\n", 6, 7, "must be a list");
	refused(WB OK "then: [{expect: []}]\n", 6, 8, "then[].state: missing");
	refused(WB OK "then: [{state: a}, {state: \"\"}]\n", 6, 28, "empty");
	refused(WB OK "then: [{state: a, then: []}]\n", 6, 19, "unknown field");
}

#define TWO(x) W "- {" x "}\n" OK

static void test_refused_workloads(void **state BH_UNUSED)
{
	refused(TWO("name: b, ips: [10.0.0.2]"), 3, 3, "namespace: missing");
	refused(TWO("namespace: x, ips: [10.0.0.2]"), 3, 3, "name: missing");
	refused(TWO("namespace: x/y, name: b"), 3, 15, "no slash");
	refused(TWO("namespace: x, name: \"\""), 3, 24, "empty");
	refused(TWO("namespace: x, name: a"), 3, 3, "x/a is there already, in line 2");
	refused(TWO("namespace: x, name: b, ips: [10.0.0.1]"), 3, 3, "in line 2 too");
	refused(TWO("namespace: x, name: b, ips: [10.0.0.2, 10.0.0.3]"), 3, 43,
		"more than one address of a family");
	refused(TWO("namespace: x, name: b, ips: [10.0.0.2], interfaces: []"), 3, 44,
		"either ips or interfaces");
	refused(TWO("namespace: x, name: b, interfaces: [], hostNetwork: true"), 3, 27,
		"no interfaces of its own");
	refused(TWO("namespace: x, name: b, mode: off"), 3, 33, "in quotes");
	refused(TWO("namespace: x, name: b, mode: none"), 3, 33, "unknown mode");
	refused(TWO("namespace: x, name: b, hostNetwork: maybe"), 3, 40, "true or false");
	refused(TWO("namespace: x, name: b, label: {}"), 3, 27, "did you mean \"labels\"");
	refused(TWO("namespace: x, name: b, labels: {a: 1}"), 3, 39, "must be a string");
	refused(TWO("namespace: x, name: b, ports: [{port: 0}]"), 3, 42, "from 1 to 65535");
	refused(TWO("namespace: x, name: b, ports: [{name: h}]"), 3, 35, "port is missing");
	refused(TWO("namespace: x, name: b, ports: [{port: 1, protocol: ICMP}]"), 3, 55,
		"unknown protocol");
	refused(W "- {namespace: x, name: b, ips: [192.0.2.1]}\nhostAddresses: [192.0.2.1]\n" OK, 3,
		3, "the node's own address");
	static const char nul[] = "workloads:\n- {name: \"a\\0b\", namespace: x}\n" OK;
	refused_len(nul, sizeof(nul) - 1, 2, 10, "NUL", 0);
}

static void test_refused_probes(void **state BH_UNUSED)
{
	refused(PROBE("port: 1, verdict: maybe"), 5, 42, "allow or deny");
	refused(PROBE("port: 1"), 5, 3, "verdict: missing");
	refused(PROBE("verdict: allow"), 5, 3, "expect[].port: missing");
	refused(PROBE("protocol: ICMP, port: 1, verdict: allow"), 5, 46, "ICMP has no ports");
	refused(PROBE("protocol: GRE, port: 1, verdict: allow"), 5, 34, "TCP, UDP, SCTP or ICMP");
	refused(PROBE("port: 1, family: inet, verdict: allow"), 5, 41, "ipv4 or ipv6");
	refused(PROBE("port: 1, family: ipv6, verdict: allow"), 5, 19, "\"x/b\" has no IPv6");
	refused(PROBE("port: 1, verdict: allow, extra: 1"), 5, 49, "unknown field");
	refused(WB "expect: [{to: x/b, port: 1, verdict: deny}]\n", 4, 10, "from: missing");
	refused(WB "expect: [{from: x/z, to: x/b, port: 1, verdict: deny}]\n", 4, 17,
		"no \"x/z\" in this state");
	refused(WB "expect: [{from: \"fd00::9\", to: x/b, port: 1, verdict: deny}]\n", 4, 10,
		"no address family in common");
}

/* --- places inside of policy texts --- */

static void test_places(void **state BH_UNUSED)
{
	/* a literal block: as it stands, whatever its indentation */
	refused(WB OK "policies:\n" POLICY "    ingres: []\n", 13, 5,
		"policies[0].spec: unknown field \"ingres\"");
	refused_n(WB OK
		"policies:\n- |\n        apiVersion: v9\n        kind: NetworkPolicy\n- ''\n",
		8, 21, "policies[0].apiVersion", 3);
	/* CRLF */
	refused_n(WB OK "policies:\r\n- |\r\n  apiVersion: v9\r\n  kind: NetworkPolicy\r\n", 8, 15,
		"policies[0].apiVersion", 3);
	/* not literal: where the text begins */
	refused(WB OK "policies:\n- \"apiVersion: networking.k8s.io/v1\\nkind: Nothing\\n\"\n", 7,
		3, "(line 2 of the text)");
	refused(WB OK "policies:\n- >\n  apiVersion: networking.k8s.io/v1\n\n\n  kind: Nothing\n",
		7, 3, "of the text)");
	/* two alike: one place is the diagnostic's, the other is in its words */
	bh_autofree char *twice = bh_xasprintf("%spolicies:\n%s%s", WB OK, POLICY, POLICY);
	refused(twice, 14, 3,
		"policies[1].metadata.name: policy x/p is already defined at f.yaml:8:3");
	/* peers by node need nodes */
	refused(WB OK
		"policies:\n- |\n  apiVersion: policy.networking.k8s.io/v1alpha2\n"
		"  kind: ClusterNetworkPolicy\n  metadata: {name: p}\n  spec:\n    tier: Admin\n"
		"    priority: 1\n    subject: {namespaces: {}}\n    egress:\n"
		"    - {action: Deny, to: [{nodes: {}}]}\n",
		16, 35, "nodes");
}

static void test_places_of_policies(void **state BH_UNUSED)
{
	struct bh_scenario *s = good("name: z\npolicies:\n- ''\n" POLICY
				     "    ingress:\n    - from: [{podSelector: {}}]\n" W);
	const struct bh_policy *p = s->state[0].policies->policy[0];
	assert_string_equal(p->file, "dir/f.yaml");
	assert_int_equal(p->line, 5);
	assert_int_equal(p->rule[BH_INGRESS][0].line, 11);
	assert_int_equal(p->rule[BH_INGRESS][0].peer[0].line, 11);
	assert_int_equal(p->rule[BH_INGRESS][0].peer[0].column, 14);
	bh_scenario_free(s);
}

/* --- what hostile files cost --- */

static void test_hostile_sizes(void **state BH_UNUSED)
{
	struct bh_buf b = {0};
	/* few bytes, many workloads: states that each build them anew */
	bh_buf_str(&b, "workloads: &w\n");
	for (int i = 0; i < 3000; i++)
		bh_buf_printf(&b, "- {name: w%d, namespace: n%d, ips: []}\n", i, i);
	bh_buf_str(&b, "then:\n");
	for (int i = 0; i < 900; i++)
		bh_buf_printf(&b, "- {state: s%d, namespaces: {}}\n", i);
	refused_len(b.s, b.len, 2002, 3, "too many workloads", 1);
	bh_buf_finish(&b);
	bh_buf_str(&b, "then:\n");
	for (int i = 0; i < 1001; i++)
		bh_buf_printf(&b, "- {state: s%d}\n", i);
	refused_len(b.s, b.len, 2, 1, "more than 1000 states", 0);
	bh_buf_finish(&b);
	bh_buf_str(&b, "workloads: [{name: a, namespace: x, labels: {");
	for (int i = 0; i < 501; i++)
		bh_buf_printf(&b, "l%d: v, ", i);
	bh_buf_str(&b, "}}]\n");
	refused_len(b.s, b.len, 1, 45, "more than 500 labels", 0);
	bh_buf_finish(&b);
	bh_buf_str(&b, "nodes:\n");
	for (int i = 0; i < 5001; i++)
		bh_buf_printf(&b, "  n%d: {ips: []}\n", i);
	refused_len(b.s, b.len, 2, 3, "more than 5000 nodes", 0);
	bh_buf_finish(&b);
	bh_buf_str(&b, "external: {e: [");
	for (int i = 0; i < 65; i++)
		bh_buf_printf(&b, "10.0.0.%d, ", i);
	bh_buf_str(&b, "]}\n");
	refused_len(b.s, b.len, 1, 15, "more than 64 addresses", 0);
	bh_buf_finish(&b);
	bh_buf_str(&b, "a: &a [x, x, x, x, x, x, x, x]\n");
	for (char c = 'b'; c < 'i'; c++)
		bh_buf_printf(&b, "%c: &%c [*%c, *%c, *%c, *%c, *%c, *%c, *%c, *%c]\n", c, c, c - 1,
			c - 1, c - 1, c - 1, c - 1, c - 1, c - 1, c - 1);
	refused_len(b.s, b.len, 7, 16, "aliases expand", 0);
	bh_buf_finish(&b);
}

/* What is wrong with a part that states share is said once. */
static void test_said_once(void **state BH_UNUSED)
{
	refused(W "- {name: b, namespace: x, ips: [nonsense]}\n" OK
		  "then:\n- {state: s, namespaces: {}}\n- {state: t, namespaces: {x: {}}}\n",
		3, 33, "not an IP address");
}

static void test_bogons(void **state BH_UNUSED)
{
	char **list = bh_case_list("tests/bogons/scenario", "", NULL);
	for (size_t i = 0; list[i]; i++) {
		size_t len;
		bh_autodiags struct bh_diags d = {0};
		struct bh_scenario *s = NULL;
		bh_autofree char *text = bh_case_read_file(list[i], &len);
		assert_non_null(text);
		int r = bh_scenario_parse(list[i], text, len, BH_SCENARIO_TEST, &d, &s);
		assert_int_equal(r == 0, d.n_errors == 0);
		bh_scenario_free(s);
	}
	bh_case_list_free(list);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_named_by_label),
		cmocka_unit_test(test_ends),
		cmocka_unit_test(test_workloads),
		cmocka_unit_test(test_probes),
		cmocka_unit_test(test_states),
		cmocka_unit_test(test_refused_frame),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_refused_workloads),
		cmocka_unit_test(test_refused_probes),
		cmocka_unit_test(test_places),
		cmocka_unit_test(test_places_of_policies),
		cmocka_unit_test(test_hostile_sizes),
		cmocka_unit_test(test_said_once),
		cmocka_unit_test(test_bogons),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
