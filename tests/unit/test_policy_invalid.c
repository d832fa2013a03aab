/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Documents that an API server refuses, or that YAML readers do not agree about, family by family:
 * each is refused, and the first error stands in the line of the mistake. Then the mirror: unusual
 * documents that have to be accepted.
 */
#include "policy_text.h"

#define REST "metadata: {name: p}\nspec: {podSelector: {}}\n"
#define TAIL "spec: {podSelector: {}}\n"

static void test_documents(void **state BH_UNUSED)
{
	static const struct bad t[] = {
		AT(1, "apiVersion: v1\nkind: NetworkPolicy\n" REST),
		AT(1, "apiVersion: networking.k8s.io/V1\nkind: NetworkPolicy\n" REST),
		AT(1, "apiVersion: networking.k8s.io\nkind: NetworkPolicy\n" REST),
		AT(1, "apiVersion: \"networking.k8s.io/v1 \"\nkind: NetworkPolicy\n" REST),
		AT(1, "apiVersion: \"networking.k8s.io/v1\\n\"\nkind: NetworkPolicy\n" REST),
		AT(1, "apiVersion: extensions/v1beta1\nkind: NetworkPolicy\n" REST),
		AT(1, "apiVersion: \"\"\nkind: NetworkPolicy\n" REST),
		AT(1, "apiVersion:\nkind: NetworkPolicy\n" REST),
		AT(1, "apiVersion: [networking.k8s.io/v1]\nkind: NetworkPolicy\n" REST),
		AT(1, "apiversion: networking.k8s.io/v1\nkind: NetworkPolicy\n" REST),
		AT(2, "apiVersion: networking.k8s.io/v1\nkind: networkPolicy\n" REST),
		AT(2, "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicies\n" REST),
		AT(2, "apiVersion: networking.k8s.io/v1\nkind: Ingress\n" REST),
		AT(2, "apiVersion: networking.k8s.io/v1\nkind: \"NetworkPolicy\\0\"\n" REST),
		AT(2, "apiVersion: networking.k8s.io/v1\nkind:\n" REST),
		AT(2, "apiVersion: networking.k8s.io/v1\nkind: \"\"\n" REST),
		AT(2, "apiVersion: networking.k8s.io/v1\nkind: 1\n" REST),
		AT(2, "apiVersion: networking.k8s.io/v1\nkind: {}\n" REST),
		AT(1, "apiVersion: networking.k8s.io/v1\n" REST),
		AT(3, HEAD "Metadata: {name: p}\nmetadata: {name: p}\n" TAIL),
		AT(5, HEAD REST "data: {}\n"),
		AT(5, HEAD REST "ingress: []\n"),
		AT(5, HEAD REST "spec: {podSelector: {}}\n"),
		AT(5, HEAD REST "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\n" REST),
		AT(5, HEAD REST "1: a\n"),
		AT(5, HEAD REST "null: a\n"),
		AT(5, HEAD REST "status: []\n"),
		IN_LINES(1, 4, HEAD "metadata: {name: p}\n"),
		AT(4, HEAD "metadata: {name: p}\nspec:\n"),
		AT(4, HEAD "metadata: {name: p}\nspec: []\n"),
		AT(4, HEAD "metadata: {name: p}\nspec: 5\n"),
		AT(4, HEAD "metadata: {name: p}\nspec: {}\n"),
		AT(1, "{}\n"),
		AT(1, "[]\n"),
		AT(1, "null\n"),
		AT(1, "~\n"),
		AT(1, "---\n"),
		AT(1, "---\n...\n"),
		AT(1, "NetworkPolicy\n"),
		AT(1, "42\n"),
		AT(1, "- apiVersion: networking.k8s.io/v1\n  kind: NetworkPolicy\n"),
		AT(7, HEAD REST "---\napiVersion: v1\nkind: Pod\n" REST),
		AT(7, HEAD REST "---\n---\njust text\n"),
	};
	CHECK_BAD(t);
}

static void test_metadata(void **state BH_UNUSED)
{
#define LONG "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define LONG_64 LONG LONG
	static const struct bad t[] = {
		AT(3, HEAD "metadata:\n" TAIL),
		AT(3, HEAD "metadata: p\n" TAIL),
		AT(3, HEAD "metadata: [{name: p}]\n" TAIL),
		AT(3, HEAD "metadata: {}\n" TAIL),
		AT(4, HEAD "metadata:\n  name:\n" TAIL),
		AT(4, HEAD "metadata:\n  name: 1\n" TAIL),
		AT(4, HEAD "metadata:\n  name: 1e3\n" TAIL),
		AT(4, HEAD "metadata:\n  name: 0x1f\n" TAIL),
		AT(4, HEAD "metadata:\n  name: off\n" TAIL),
		AT(4, HEAD "metadata:\n  name: \"p\\n\"\n" TAIL),
		AT(4, HEAD "metadata:\n  name: \" p\"\n" TAIL),
		AT(4, HEAD "metadata:\n  name: a/b\n" TAIL),
		AT(4, HEAD "metadata:\n  name: .a\n" TAIL),
		AT(4, HEAD "metadata:\n  name: ünï\n" TAIL),
		AT(4, HEAD "metadata:\n  name: {a: b}\n" TAIL),
		AT(5, HEAD "metadata:\n  name: p\n  name: q\n" TAIL),
		AT(5, HEAD "metadata:\n  name: p\n  namespace: X\n" TAIL),
		AT(5, HEAD "metadata:\n  name: p\n  namespace: a.b\n" TAIL),
		AT(5, HEAD "metadata:\n  name: p\n  namespace: -a\n" TAIL),
		AT(5, HEAD "metadata:\n  name: p\n  namespace: 7\n" TAIL),
		AT(5, HEAD "metadata:\n  name: p\n  namespace: yes\n" TAIL),
		AT(5, HEAD "metadata:\n  name: p\n  namespace: [x]\n" TAIL),
		AT(5, HEAD "metadata:\n  name: p\n  namespace: " LONG_64 "\n" TAIL),
		AT(5, HEAD "metadata:\n  name: p\n  nameSpace: x\n" TAIL),
		AT(5, HEAD "metadata:\n  name: p\n  cluster: x\n" TAIL),
		AT(5, HEAD "metadata:\n  name: p\n  labels: [a]\n" TAIL),
		AT(5, HEAD "metadata:\n  name: p\n  labels: a\n" TAIL),
		AT(6, HEAD "metadata:\n  name: p\n  labels:\n    a: 1\n" TAIL),
		AT(6, HEAD "metadata:\n  name: p\n  labels:\n    a: true\n" TAIL),
		AT(6, HEAD "metadata:\n  name: p\n  labels:\n    a: {b: c}\n" TAIL),
		AT(6, HEAD "metadata:\n  name: p\n  labels:\n    a: -b\n" TAIL),
		AT(6, HEAD "metadata:\n  name: p\n  labels:\n    a b: c\n" TAIL),
		AT(6, HEAD "metadata:\n  name: p\n  labels:\n    /b: c\n" TAIL),
		AT(6, HEAD "metadata:\n  name: p\n  labels:\n    a/: c\n" TAIL),
		AT(6, HEAD "metadata:\n  name: p\n  labels:\n    a: " LONG_64 "\n" TAIL),
		AT(6, HEAD "metadata:\n  name: p\n  labels:\n    " LONG_64 ": a\n" TAIL),
		AT(6, HEAD "metadata:\n  name: p\n  annotations:\n    a: 1\n" TAIL),
		AT(6, HEAD "metadata:\n  name: p\n  annotations:\n    a: [b]\n" TAIL),
		AT(6, HEAD "metadata:\n  name: p\n  annotations:\n    a_: b\n" TAIL),
		AT(5, HEAD "metadata:\n  name: p\n  annotations: text\n" TAIL),
		AT(5, HEAD "metadata:\n  name: p\n  finalizers: x\n" TAIL),
		AT(5, HEAD "metadata:\n  name: p\n  uid: 5\n" TAIL),
		AT(5, HEAD "metadata:\n  name: p\n  generation: x\n" TAIL),
		AT(5, HEAD "metadata:\n  name: p\n  creationTimestamp: now\n" TAIL),
		AT(5, HEAD "metadata:\n  name: p\n  creationTimestamp: 2024-01-01\n" TAIL),
	};
	CHECK_BAD(t);
}

static void test_spec(void **state BH_UNUSED)
{
	static const struct bad t[] = {
		AT(5, SPEC "  policyTypes: [Ingress]\n"),
		AT(5, SPEC "  podSelector:\n"),
		AT(5, SPEC "  podSelector: all\n"),
		AT(5, SPEC "  podSelector: []\n"),
		AT(5, SPEC "  podSelector: [{}]\n"),
		AT(5, SPEC "  podselector: {}\n  podSelector: {}\n"),
		AT(5, SPEC "  selector: {}\n  podSelector: {}\n"),
		AT(5, SPEC "  namespaceSelector: {}\n  podSelector: {}\n"),
		AT(5, SPEC "  podSelector: {app: web}\n"),
		AT(6, SPEC "  podSelector: {}\n  types: [Ingress]\n"),
		AT(6, SPEC "  podSelector: {}\n  policyTypes: Ingress\n"),
		AT(6, SPEC "  podSelector: {}\n  policyTypes: {Ingress: true}\n"),
		AT(6, SPEC "  podSelector: {}\n  policyTypes: [ingress]\n"),
		AT(6, SPEC "  podSelector: {}\n  policyTypes: [INGRESS]\n"),
		AT(6, SPEC "  podSelector: {}\n  policyTypes: [\"Ingress \"]\n"),
		AT(6, SPEC "  podSelector: {}\n  policyTypes: [\"\"]\n"),
		AT(6, SPEC "  podSelector: {}\n  policyTypes: [Ingress/Egress]\n"),
		AT(6, SPEC "  podSelector: {}\n  policyTypes: [1]\n"),
		AT(6, SPEC "  podSelector: {}\n  policyTypes: [[Ingress]]\n"),
		AT(6, SPEC "  podSelector: {}\n  policyTypes: [Ingress, ~]\n"),
		AT(9, SPEC
			"  podSelector: {}\n  policyTypes:\n  - Ingress\n  - Egress\n  - Both\n"),
		IN_LINES(6, 9,
			SPEC "  podSelector: {}\n  policyTypes:\n"
			     "  - Ingress\n  - Egress\n  - Ingress\n"),
		AT(6, SPEC "  podSelector: {}\n  ingress: true\n"),
		AT(6, SPEC "  podSelector: {}\n  ingress: {from: []}\n"),
		AT(6, SPEC "  podSelector: {}\n  egress: allow\n"),
		AT(6, SPEC "  podSelector: {}\n  egress: {}\n"),
		AT(6, SPEC "  podSelector: {}\n  Ingress: []\n"),
		AT(7, SPEC "  podSelector: {}\n  ingress: []\n  ingress: []\n"),
		AT(7, SPEC "  podSelector: {}\n  ingress: []\n  \"ingr\\x65ss\": [{}]\n"),
		AT(7, SPEC "  podSelector: {}\n  ingress: []\n  'ingress': [{}]\n"),
		AT(7, SPEC "  podSelector: {}\n  ingress: []\n  ? ingress\n  : [{}]\n"),
		AT(7, IN "  -\n"),
		AT(7, IN "  - ~\n"),
		AT(7, IN "  - from\n"),
		AT(7, IN "  - [from]\n"),
		AT(7, IN "  - to: []\n"),
		AT(7, IN "  - From: []\n"),
		AT(7, IN "  - port: 80\n"),
		AT(7, IN "  - podSelector: {}\n"),
		AT(7, IN "  - action: Allow\n    from: []\n"),
		AT(7, IN "  - from: {}\n"),
		AT(7, IN "  - from: any\n"),
		AT(7, IN "  - from: 0.0.0.0/0\n"),
		AT(8, IN "  - from:\n    podSelector: {}\n"), /* indented too little */
		AT(8, IN "  - from: []\n    from: []\n"),
		AT(6, SPEC "  podSelector: {}\n  egress: [{from: []}]\n"),
	};
	CHECK_BAD(t);
}

static void test_peers(void **state BH_UNUSED)
{
	static const struct bad t[] = {
		AT(8, IN "  - from:\n    - {}\n"),
		AT(8, IN "  - from:\n    -\n"),
		AT(8, IN "  - from:\n    - null\n"),
		AT(8, IN "  - from:\n    - all\n"),
		AT(8, IN "  - from:\n    - 10.0.0.0/8\n"),
		AT(8, IN "  - from:\n    - []\n"),
		AT(8, IN "  - from:\n    - podSelector:\n"),
		AT(8, IN "  - from:\n    - namespaces: {}\n"),
		AT(8, IN "  - from:\n    - namespace: x\n"),
		AT(8, IN "  - from:\n    - matchLabels: {a: b}\n"),
		AT(8, IN "  - from:\n    - ipblock: {cidr: 10.0.0.0/8}\n"),
		AT(8, IN "  - from:\n    - podSelector: all\n"),
		AT(8, IN "  - from:\n    - podSelector: []\n"),
		AT(8, IN "  - from:\n    - namespaceSelector: x\n"),
		AT(8, IN "  - from:\n    - namespaceSelector: [x]\n"),
		AT(9, IN "  - from:\n    - podSelector: {}\n      podSelector: {}\n"),
		IN_LINES(8, 9,
			IN "  - from:\n    - podSelector: {}\n      ipBlock: {cidr: 10.0.0.0/8}\n"),
		IN_LINES(8, 9,
			IN "  - from:\n    - namespaceSelector: {}\n      ipBlock: {cidr: "
			   "10.0.0.0/8}\n"),
		AT(9, IN "  - from:\n    - podSelector: {}\n      ports: []\n"),
	};
	CHECK_BAD(t);
}

/* `cidr` and an item of `except` that no API server, or not every one, takes. */
static void test_blocks(void **state BH_UNUSED)
{
	static const char *const cidr[] = {"10.0.0.0", "10.0.0.0/", "/8", "10.0.0.0/33",
		"10.0.0.0/-1", "10.0.0.0/+8", "10.0.0.0/08", "10.0.0.0/8.0", "10.0.0.0/8/8",
		"10.0.0.0//8", "10.0.0/8", "10/8", "10.0.0.0.0/8", "10.0.0.256/32", "10.0.0.-1/32",
		"010.0.0.0/8", "10.00.0.0/8", "0x0a000000/8", "0xa.0.0.0/8", "10.0.0.0/255.0.0.0",
		"10.0.0.0/0x8", "10.0.0.0-10.0.0.9", "localhost/8", "*", "any", "\"\"", "\" \"",
		"\"10.0.0.0/8 \"", "\" 10.0.0.0/8\"", "\"10.0.0.0 /8\"", "\"10.0.0.0/8\\n\"",
		"\"10.0.0.0/8\\t\"", "\"10.0.0.0/8\\0\"", "\"10.0.0.0/8,11.0.0.0/8\"",
		"１0.0.0.0/8", "10.0.0.0/８", "\"::\"", "\"::/129\"", "\"::/-0\"", "\":::/0\"",
		"\"1::2::3/128\"", "\"2001:db8/32\"", "\"2001:db8:/32\"",
		"\"1:2:3:4:5:6:7:8:9/64\"", "\"1:2:3:4:5:6:7/64\"", "\"2001:db8::g/64\"",
		"\"2001:0db80::/32\"", "\"[::]/0\"", "\"fe80::1%eth0/64\"", "\"fe80::/10%eth0\"",
		"\"::ffff:10.0.0.0/104\"", "\"::ffff:0a00:0/104\"", "\"::1.2.3/128\"",
		"\"::01.2.3.4/128\"", "\"1.2.3.4::/64\"", "10", "10.0", "0x10", "true", "~",
		"[10.0.0.0/8]", "{a: 10.0.0.0/8}", "2001:db8::/129"};
	for (size_t i = 0; i < BH_ARRAY_SIZE(cidr); i++) {
		bh_autofree char *block =
			bh_xasprintf(IN "  - from:\n    - ipBlock:\n        cidr: %s\n", cidr[i]);
		bh_autofree char *except = bh_xasprintf(IN
			"  - from:\n    - ipBlock:\n        cidr: 0.0.0.0/0\n        except:\n"
			"        - 10.9.9.9/32\n        - %s\n",
			cidr[i]);
		bh_autofree char *network = bh_xasprintf(CLUSTER
			"  tier: Admin\n  priority: 1\n  subject: {namespaces: {}}\n  egress:\n"
			"  - action: Deny\n    to:\n    - networks:\n      - %s\n",
			cidr[i]);
		const struct bad t[] = {
			{block, strlen(block), 9, 9},
			{except, strlen(except), 12, 12},
			{network, strlen(network), 12, 12},
		};
		CHECK_BAD(t);
	}
	static const struct bad t[] = {
		AT(8, IN "  - from:\n    - ipBlock: 10.0.0.0/8\n"),
		AT(8, IN "  - from:\n    - ipBlock: []\n"),
		AT(8, IN "  - from:\n    - ipBlock: {}\n"),
		AT(8, IN "  - from:\n    - ipBlock: {except: [10.0.0.0/8]}\n"),
		AT(8, IN "  - from:\n    - ipBlock: {CIDR: 10.0.0.0/8}\n"),
		AT(8, IN "  - from:\n    - ipBlock: {cidr: 10.0.0.0/8, ports: []}\n"),
		AT(8, IN "  - from:\n    - ipBlock: {cidr: 10.0.0.0/8, except: 10.1.0.0/16}\n"),
		AT(8, IN "  - from:\n    - ipBlock: {cidr: 10.0.0.0/8, except: {a: b}}\n"),
		AT(8, IN "  - from:\n    - ipBlock: {cidr: 10.0.0.0/8, except: "
			 "[\"2001:db8::/32\"]}\n"),
		AT(8, IN "  - from:\n    - ipBlock: {cidr: \"2001:db8::/32\", except: "
			 "[10.0.0.0/8]}\n"),
		AT(8, IN "  - from:\n    - ipBlock: {cidr: 10.0.0.0/8, except: [11.0.0.0/16]}\n"),
		AT(8, IN "  - from:\n    - ipBlock: {cidr: 10.0.0.0/8, except: [0.0.0.0/0]}\n"),
		AT(8, IN "  - from:\n    - ipBlock: {cidr: 10.0.0.1/32, except: [10.0.0.1/32]}\n"),
		AT(8, IN "  - from:\n    - ipBlock: {cidr: \"::/0\", except: [\"::/0\"]}\n"),
	};
	CHECK_BAD(t);
}

static void test_ports(void **state BH_UNUSED)
{
	static const char *const port[] = {"0", "-1", "65536", "99999", "4294967376",
		"18446744073709551696", "80.0", "80.5", "8e1", "1e2", ".80", "8_0", "1_000",
		"0o120", "0b1010000", "080", "0120", "00", "22:22", "1:20", "true", "yes", "on",
		"y", ".inf", ".NaN", "\"80\"", "'80'", "\"80 \"", "\" 80\"", "\"\"", "80-90",
		"80/tcp", "80:90", "\"80,81\"", "80,81", "*", "\"*\"", "HTTP", "Http", "ht tp",
		"h_t", "h.t", "-http", "http-", "ht--tp", "-", "1-1", "a234567890123456", "ü",
		"\"http\\n\"", "\"ht\\0tp\"", "[80]", "{number: 80}", "!!str 80", "!!float 80",
		"!!binary ODA=", "!port 80", "!!int http", "!!int 80.0"};
	for (size_t i = 0; i < BH_ARRAY_SIZE(port); i++) {
		bh_autofree char *p = bh_xasprintf(
			IN "  - ports:\n    - protocol: TCP\n      port: %s\n", port[i]);
		bh_autofree char *e =
			bh_xasprintf(IN "  - ports:\n    - port: 1\n      endPort: %s\n", port[i]);
		const struct bad t[] = {{p, strlen(p), 9, 9}, {e, strlen(e), 9, 9}};
		CHECK_BAD(t);
	}
	static const char *const protocol[] = {"tcp", "Tcp", "ICMP", "ANY", "\"*\"", "\"\"", "6",
		"TCP/UDP", "\"TCP \"", "\"TCP\\0\"", "[TCP]", "{a: b}", "true", "UDPLite"};
	for (size_t i = 0; i < BH_ARRAY_SIZE(protocol); i++) {
		bh_autofree char *p = bh_xasprintf(
			IN "  - ports:\n    - port: 80\n      protocol: %s\n", protocol[i]);
		const struct bad t[] = {{p, strlen(p), 9, 9}};
		CHECK_BAD(t);
	}
	static const struct bad t[] = {
		AT(7, IN "  - ports: 80\n"),
		AT(7, IN "  - ports: {port: 80}\n"),
		AT(8, IN "  - ports:\n    - 80\n"),
		AT(8, IN "  - ports:\n    - http\n"),
		AT(8, IN "  - ports:\n    - null\n"),
		AT(8, IN "  - ports:\n    - [80]\n"),
		AT(8, IN "  - ports:\n    - endPort: 90\n"),
		AT(9, IN "  - ports:\n    - port: http\n      endPort: 90\n"),
		AT(9, IN "  - ports:\n    - port:\n      endPort: 90\n"),
		AT(9, IN "  - ports:\n    - port: 90\n      endPort: 80\n"),
		AT(9, IN "  - ports:\n    - port: 90\n      endport: 95\n"),
		AT(9, IN "  - ports:\n    - port: 90\n      port: 91\n"),
		AT(8, IN "  - ports:\n    - targetPort: 90\n"),
		AT(8, IN "  - ports:\n    - ports: [90]\n"),
		AT(9, IN "  - ports:\n    - port: 90\n      to: 95\n"),
	};
	CHECK_BAD(t);
}

/* Each stands in line 7, below a podSelector in line 5 and what it is in in line 6. */
static void test_selectors(void **state BH_UNUSED)
{
	static const char *const label[] = {"app: 1", "app: 1.5", "app: true", "app: on", "app: y",
		"app: No", "app: 012", "app: 1_000", "app: 0x1f", "app: 1e3", "app: .5",
		"app: 12:30", "app: -x", "app: x-", "app: a b", "app: a/b", "app: ü", "app: {}",
		"app: [x]", "app: \"x\\n\"", "app: \"x\\0\"", "app: " LONG_64, "app: ", "app: ~",
		"y: x", "on: x", "1: x", "true: x", "null: x", "~: x", "\"\": x", "\" a\": x",
		"a b: x", "-a: x", "a-: x", "a/b/c: x", "/a: x", "a/: x", "A.com/a: x", "a_b/c: x",
		"-a.com/c: x", "a..b/c: x", LONG_64 ": x", "ü: x", "\"a\\0b\": x",
		"? [a]\n      : x", "? {a: b}\n      : x"};
	for (size_t i = 0; i < BH_ARRAY_SIZE(label); i++) {
		bh_autofree char *p =
			bh_xasprintf(SPEC "  podSelector:\n    matchLabels:\n      %s\n", label[i]);
		const struct bad t[] = {{p, strlen(p), 7, 7}};
		CHECK_BAD(t);
	}
	static const char *const expression[] = {"", "~", "app", "[]", "{}", "{key: a}",
		"{operator: Exists}", "{key: a, operator: }", "{key: , operator: Exists}",
		"{key: \"\", operator: Exists}", "{key: a, operator: in, values: [b]}",
		"{key: a, operator: NOTIN, values: [b]}", "{key: a, operator: Equals, values: [b]}",
		"{key: a, operator: NotExists}", "{key: a, operator: \"In \", values: [b]}",
		"{key: a, operator: Gt, values: [\"1\"]}", "{key: a, operator: =, values: [b]}",
		"{key: a, operator: [In], values: [b]}", "{key: a, operator: 1, values: [b]}",
		"{key: a, operator: In}", "{key: a, operator: In, values: []}",
		"{key: a, operator: In, values: }", "{key: a, operator: In, values: b}",
		"{key: a, operator: In, values: {b: c}}", "{key: a, operator: In, values: [1]}",
		"{key: a, operator: In, values: [no]}", "{key: a, operator: In, values: [~]}",
		"{key: a, operator: In, values: [[b]]}",
		"{key: a, operator: In, values: [\"b c\"]}", "{key: a, operator: NotIn}",
		"{key: a, operator: Exists, values: [b]}",
		"{key: a, operator: Exists, values: [\"\"]}",
		"{key: a, operator: DoesNotExist, values: [b]}",
		"{key: a, operator: Exists, values: b}", "{key: a/, operator: Exists}",
		"{key: 1, operator: Exists}", "{key: y, operator: Exists}",
		"{key: [a], operator: Exists}", "{key: a, operator: Exists, key: b}",
		"{key: a, Operator: Exists}", "{key: a, operator: In, value: b}", "{a: b}"};
	for (size_t i = 0; i < BH_ARRAY_SIZE(expression); i++) {
		bh_autofree char *p = bh_xasprintf(
			SPEC "  podSelector:\n    matchExpressions:\n    - %s\n", expression[i]);
		const struct bad t[] = {{p, strlen(p), 7, 7}};
		CHECK_BAD(t);
	}
	static const struct bad t[] = {
		AT(6, SPEC "  podSelector:\n    matchLabels: [a]\n"),
		AT(6, SPEC "  podSelector:\n    matchLabels: a=b\n"),
		AT(6, SPEC "  podSelector:\n    matchExpressions: {key: a, operator: Exists}\n"),
		AT(6, SPEC "  podSelector:\n    matchExpressions: a in (b)\n"),
		AT(6, SPEC "  podSelector:\n    matchlabels: {a: b}\n"),
		AT(6, SPEC "  podSelector:\n    labels: {a: b}\n"),
		AT(8, SPEC "  podSelector:\n    matchLabels:\n      a: b\n      a: b\n"),
		AT(8, SPEC "  podSelector:\n    matchLabels:\n      a: b\n      \"\\u0061\": c\n"),
		AT(8, SPEC "  podSelector:\n    matchLabels:\n      a: b\n    app: web\n"),
	};
	CHECK_BAD(t);
}

static void test_lists(void **state BH_UNUSED)
{
#define LIST "apiVersion: v1\nkind: List\n"
#define TYPED "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicyList\n"
	static const struct bad t[] = {
		IN_LINES(1, 2, LIST),
		AT(3, LIST "items:\n"),
		AT(3, LIST "items: {}\n"),
		AT(4, LIST "items:\n-\n"),
		AT(4, LIST "items:\n- []\n"),
		AT(4, LIST "items:\n- {}\n"),
		AT(3, LIST "spec: {}\nitems: []\n"),
		AT(3, LIST "metadata: {name: x}\nitems: []\n"),
		AT(3, LIST "metadata: []\nitems: []\n"),
		AT(4, LIST "items:\n- {apiVersion: v1, kind: List, items: []}\n"),
		AT(4, LIST "items:\n- {apiVersion: v1, kind: Namespace, metadata: {name: x}}\n"),
		AT(4, LIST "items:\n- {apiVersion: v1, kind: NetworkPolicy, metadata: {name: p}, "
			   "spec: {podSelector: {}}}\n"),
		AT(4, TYPED
			"items:\n- {kind: Pod, metadata: {name: p}, spec: {podSelector: {}}}\n"),
		AT(4, TYPED "items:\n- {kind: ClusterNetworkPolicy, metadata: {name: p}}\n"),
		AT(5, TYPED "items:\n- metadata: {name: p}\n  spec: {}\n"),
		AT(1, "apiVersion: v1\nkind: NetworkPolicyList\nitems: []\n"),
		AT(1, "apiVersion: v1\nkind: ClusterNetworkPolicyList\nitems: []\n"),
		AT(1, "apiVersion: networking.k8s.io/v1\nkind: List\nitems: []\n"),
		AT(6, TYPED "items:\n- metadata: {name: p}\n  spec: {podSelector: {}}\n"
			    "- metadata: {name: p}\n  spec: {podSelector: {}}\n"),
	};
	CHECK_BAD(t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_documents),
		cmocka_unit_test(test_metadata),
		cmocka_unit_test(test_spec),
		cmocka_unit_test(test_peers),
		cmocka_unit_test(test_blocks),
		cmocka_unit_test(test_ports),
		cmocka_unit_test(test_selectors),
		cmocka_unit_test(test_lists),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
