/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * YAML and JSON as policies come in: broken and hostile texts are refused in their line, and
 * unusual ones that every reader understands alike are accepted.
 */
#include "policy_text.h"

#include <sys/resource.h>
#include <sys/wait.h>

#define REST "metadata: {name: p}\nspec: {podSelector: {}}\n"
#define GOOD HEAD REST /* four lines */

static void test_syntax(void **state BH_UNUSED)
{
	static const struct bad t[] = {
		AT(5, SPEC "\tpodSelector: {}\n"),
		AT(6, SPEC "  podSelector: {}\n\tpolicyTypes: [Ingress]\n"),
		AT(6, SPEC "  podSelector: {}\n  \tpolicyTypes: [Ingress]\n"),
		AT(6, SPEC "  podSelector: {}\n policyTypes: [Ingress]\n"),
		AT(6, SPEC "  podSelector: {}\n   policyTypes: [Ingress]\n"),
		IN_LINES(4, 5, SPEC "podSelector: {}\n"),
		IN_LINES(5, 6, SPEC "  podSelector: {\n"),
		IN_LINES(5, 6, SPEC "  podSelector: {}}\n"),
		IN_LINES(5, 6, SPEC "  podSelector: {}]\n"),
		AT(6, SPEC "  podSelector: {}\n  policyTypes: [Ingress\n"),
		IN_LINES(5, 7, SPEC "  podSelector: {}\n  policyTypes: [Ingress, Egress}\n"),
		AT(5, SPEC "  podSelector: {matchLabels: {app: \"web}}\n"),
		AT(5, SPEC "  podSelector: {matchLabels: {app: 'web}}\n"),
		AT(5, SPEC "  podSelector: {matchLabels: {app: \"a\\qb\"}}\n"),
		AT(5, SPEC "  podSelector: {matchLabels: {app: \"a\\x4\"}}\n"),
		AT(5, SPEC "  podSelector: {matchLabels: {app: \"\\uD800\"}}\n"),
		AT(5, SPEC "  podSelector: {matchLabels: {app: \"\\uDC00\\uD800\"}}\n"),
		AT(5, SPEC "  podSelector: {matchLabels: {app: \"\\U00110000\"}}\n"),
		AT(5, SPEC "  podSelector: {matchLabels: {app: @web}}\n"),
		AT(5, SPEC "  podSelector: {matchLabels: {app: `web`}}\n"),
		AT(5, SPEC "  podSelector: {matchLabels: {app: %web}}\n"),
		AT(5, SPEC "  podSelector: a: b\n"),
		AT(5, SPEC "  podSelector:{}\n"),
		AT(5, SPEC "  podSelector {}\n"),
		AT(6, SPEC "  podSelector: {}\n  ingress\n"),
		AT(5, SPEC "  podSelector: {matchLabels: app: web}\n"),
		AT(5, SPEC "  podSelector: {matchLabels: {app: \"web\" x}}\n"),
		AT(5, SPEC "  podSelector: \"x\" {}\n"),
		AT(5, SPEC "  podSelector: |99\n    x\n"),
		AT(5, SPEC "  podSelector: >x\n    x\n"),
		AT(6, SPEC "  podSelector: {}\n  - ingress\n"),
		IN_LINES(5, 6, SPEC "  - podSelector: {}\n  policyTypes: [Ingress]\n"),
		AT(5, META "spec: &s\n*s\n"),
		AT(5, SPEC "  podSelector: *none\n"),
		AT(5, SPEC "  podSelector: &a &b {}\n"),
		AT(5, SPEC "  podSelector: &\n"),
		AT(5, SPEC "  ? [podSelector]\n  : {}\n"),
		AT(5, SPEC "  {podSelector: {}}: {}\n"),
		IN_LINES(5, 6, GOOD "... x\n"),
		AT(5, GOOD "garbage\n"),
		IN_LINES(4, 5, GOOD "}\n"),
		AT(5, GOOD "--- x\n"),
		AT(5, GOOD "--- |\n  x\n"),
		IN_LINES(1, 2, "%YAML 2.0\n---\n" GOOD),
		AT(1, "%FOO bar\n---\n" GOOD),
		IN_LINES(1, 2, "%YAML 1.2\n%YAML 1.2\n---\n" GOOD),
		IN_LINES(1, 2, "%YAML 1.2\n" GOOD),
		AT(5, SPEC "  podSelector: !!binary e30=\n"),
		AT(5, SPEC "  podSelector: !!python/object:os.system {}\n"),
		AT(5, SPEC "  podSelector: !!set {}\n"),
		AT(5, SPEC "  podSelector: !!omap []\n"),
		AT(5, SPEC "  podSelector: !<tag:example.com,2000:x> {}\n"),
		AT(5, SPEC "  podSelector: !e!x {}\n"),
		AT(5, SPEC "  podSelector: {matchLabels: {app: !!timestamp 2024-01-01}}\n"),
		AT(5, SPEC "  podSelector: {matchLabels: {app: !!int web}}\n"),
		AT(5, SPEC "  podSelector: {matchLabels: {app: !!null \"\"}}\n"),
		AT(5, SPEC "  podSelector: !!str {}\n"),
		AT(5, SPEC "  podSelector: !!seq {}\n"),
		AT(6, SPEC "  podSelector: {}\n  <<: 5\n"),
		AT(6, SPEC "  podSelector: {}\n  <<: [{}, 5]\n"),
		AT(5, SPEC "  podSelector: {}\n  <<: {podSelector: {}}\n"),
		AT(6, SPEC "  podSelector: {}\n  <<: {unknown: {}}\n"),
	};
	CHECK_BAD(t);
}

static void test_characters(void **state BH_UNUSED)
{
	static const struct bad t[] = {
		AT(5, GOOD "# \0\n"), AT(5, GOOD "# \x07\n"), AT(5, GOOD "# \x1b[31m\n"),
		AT(5, GOOD "# \x7f\n"), AT(5, GOOD "# \xc2\x85\n"), AT(5, GOOD "# \xe2\x80\xa8\n"),
		AT(5, GOOD "# \xef\xbb\xbf\n"), AT(5, GOOD "# \xef\xbf\xbe\n"),
		AT(5, GOOD "# gr\xfc\xdf\n"), AT(5, GOOD "# \xed\xa0\x80\n"),
		AT(5, GOOD "# \xc0\xaf\n"), AT(5, GOOD "# \xf4\x90\x80\x80\n"),
		AT(5, GOOD "# \xf8\x88\x80\x80\x80\n"), AT(5, GOOD "# \xe2\x82"),
		AT(5, GOOD "# \x80\n"),
		AT(1, "\xff\xfe"
		      "a\0:\0 \0001\0"),
		AT(1, "\xfe\xff"
		      "\0a\0:\0 \0001"),
		AT(1, "\xff\xfe\0\0"
		      "a\0\0\0"),
		AT(1, "\x7f"
		      "ELF\2\1\1"),
		AT(1, "\x1f\x8b\x08"), AT(1, "PK\3\4"),
		AT(5, SPEC "  podSelector: {matchLabels: {\"a\\0\": b}}\n"),
		AT(5, SPEC "  podSelector: {matchLabels: {a: \"\\e\"}}\n"),
		AT(5, SPEC "  podSelector: {matchLabels: {a: \"\\x7f\"}}\n"),
		AT(5, SPEC "  podSelector: {matchLabels: {a: \"\\u00a0\"}}\n"),
		AT(5, SPEC "  podSelector: {matchLabels: {a: \xc2\xa0}}\n"),
		AT(5, SPEC "  podSelector\xc2\xa0: {}\n"),
		AT(5, SPEC "  \xe2\x80\x8bpodSelector: {}\n"),
		AT(2, "# a\r\x01\r\n"), /* a lone CR ends a line too */
	};
	CHECK_BAD(t);
}

static void test_json(void **state BH_UNUSED)
{
#define J "{\"apiVersion\": \"networking.k8s.io/v1\",\n\"kind\": \"NetworkPolicy\",\n"
#define JS J "\"metadata\": {\"name\": \"p\"},\n\"spec\": {\"podSelector\": {}"
	static const struct bad t[] = {
		AT(1, JS "}\n"),
		IN_LINES(4, 5, JS "}}}\n"),
		IN_LINES(4, 5, JS "}} x\n"),
		IN_LINES(4, 5, JS "}}\nx\n"),
		IN_LINES(4, 5, JS "}}{}\n"),
		IN_LINES(4, 5, JS "}}\n" JS "}}\n"),
		AT(4, JS ", \"podSelector\": {}}}\n"),
		AT(4, JS ", \"pod\\u0053elector\": {}}}\n"),
		IN_LINES(4, 5, JS ", // comment\n\"ingress\": []}}\n"),
		IN_LINES(4, 5, JS ", /* comment */ \"ingress\": []}}\n"),
		AT(4, JS ", \"ingress\": [{\"ports\": [{\"port\": NaN}]}]}}\n"),
		AT(4, JS ", \"ingress\": [{\"ports\": [{\"port\": Infinity}]}]}}\n"),
		AT(4, JS ", \"ingress\": [{\"ports\": [{\"port\": 80.5}]}]}}\n"),
		AT(4, JS ", \"ingress\": [{\"ports\": [{\"port\": \"80\"}]}]}}\n"),
		AT(4, JS ", \"ingress\": [null]}}\n"),
		AT(4, JS ", \"ingress\" []}}\n"),
		AT(4, JS " \"ingress\": []}}\n"),
		AT(4, JS ", \"podSelector\\u0000\": {}}}\n"),
		AT(4, JS ", \"ingress\": undefined}}\n"),
		AT(4, J "\"metadata\": {\"name\": \"p\"},\n\"spec\": {\"podSelector\": "
			"{\"matchLabels\": "
			"{\"a\": \"\\ud83d\"}}}}\n"),
		AT(4, J "\"metadata\": {\"name\": \"p\"},\n\"spec\": {\"podSelector\": "
			"{\"matchLabels\": "
			"{\"a\": \"\\ud83d\\ude00\"}}}}\n"),
		AT(1, "[" J "\"metadata\": {\"name\": \"p\"}}]\n"),
	};
	CHECK_BAD(t);
}

/* `unit` n times between head and tail. */
static char *repeat(const char *head, const char *unit, size_t n, const char *tail)
{
	struct bh_buf b = {0};
	bh_buf_str(&b, head);
	for (size_t i = 0; i < n; i++)
		bh_buf_str(&b, unit);
	bh_buf_str(&b, tail);
	return bh_buf_take(&b);
}

/* What must cost a diagnostic and nothing else. */
static void test_bombs(void **state BH_UNUSED)
{
	static const struct {
		const char *head, *unit, *tail;
		size_t n;
		int first, last;
	} t[] = {
		{GOOD "x: ", "[", "\n", 100000, 5, 5},
		{GOOD "x: ", "{a: ", "\n", 100000, 5, 5},
		{GOOD "x: ", "[{a: ", "\n", 100000, 5, 5},
		{GOOD "x:\n", "- ", "\n", 100000, 5, 6},
		{GOOD "x:\n", "? ", "\n", 100000, 5, 6},
		{GOOD "x: ", "{? ", "\n", 100000, 5, 6},
		{GOOD "x: ", "[\n", "\n", 100000, 5, 100},
		{GOOD "x: [", "a, ", "]\n", 600000, 5, 5},
		{GOOD, "x: ", "y\n", 100000, 5, 5},
		{GOOD, "a", ": b\n", 2000000, 5, 5},
		{GOOD "\"", "a", "\": b\n", 2000000, 5, 5},
		{GOOD "x: \"", "a", "\n", 3000000, 5, 6},
		{GOOD "x: |\n", "  a\n", "", 900000, 5, 5},
		{GOOD "x: ", "a ", "\n", 2000000, 5, 5},
		{GOOD "x: \"", "\\u0061", "\"\n", 600000, 5, 5},
		{GOOD "x: ", "&a ", "\n", 100000, 5, 5},
		{GOOD "x: [", "&a a, ", "]\n", 100000, 5, 5},
		{GOOD "x: &x a\ny: [", "*x, ", "]\n", 100000, 5, 6},
		{GOOD "x: ", "!!str ", "\n", 100000, 5, 5},
		{"", "%TAG !a! tag:a,2000:\n", "---\n" GOOD, 100000, 1, 20},
		{"", "---\n", GOOD "x: y\n", 900000, 1, 900005},
		{GOOD, "...\n", "x: y\n", 900000, 5, 900005},
		{GOOD "# ", "a", "\nx: y\n", 3900000, 6, 6},
		{GOOD, "#\n", "x: y\n", 1900000, 5, 1900005},
		{GOOD, "\n", "x: y\n", 3900000, 5, 3900005},
		{GOOD "x: ", " ", "y\n", 3900000, 5, 5},
		{GOOD, "# comment\n", "", 500000, 1, 1}, /* too long */
		{IN, "  - from: [{}]\n", "", 70000, 7, 7},
		{IN "  - ports: [", "{port: 0}, ", "]\n", 90000, 7, 7},
		{SPEC "  podSelector: {matchExpressions: [", "{key: a, operator: Exists}, ", "]}\n",
			60000, 5, 5},
		{GOOD "x:\n", "  a: b\n", "", 100000, 5, 7},
		{GOOD "<<: {", "a: 1, ", "}\n", 100000, 5, 5},
		{GOOD "<<: [", "{a: 1}, ", "]\n", 100000, 5, 5},
	};
	for (size_t i = 0; i < BH_ARRAY_SIZE(t); i++) {
		bh_autofree char *text = repeat(t[i].head, t[i].unit, t[i].n, t[i].tail);
		const struct bad bad[] = {{text, strlen(text), t[i].first, t[i].last}};
		CHECK_BAD(bad);
	}
}

#if defined(__SANITIZE_ADDRESS__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SANITIZED 1
#endif
#endif

#ifndef SANITIZED
/* In a process that may hold this much: allocations beyond it abort. */
static void check_memory(const char *text)
{
	pid_t pid = fork();
	if (pid == 0) {
		const struct rlimit limit = {64 << 20, 64 << 20};
		const struct rlimit no_core = {0, 0};
		bh_autodiags struct bh_diags d = {0};
		struct bh_policy_set *s = NULL;
		setrlimit(RLIMIT_DATA, &limit);
		setrlimit(RLIMIT_CORE, &no_core);
		_exit(parse_with(text, strlen(text), true, &d, &s) == -EINVAL ? 0 : 1);
	}
	int status = -1;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (status != 0)
		fail_msg("status %x for %.300s", (unsigned)status, text);
}

/* Files as large as they may be, with an error that ends them only when all has been read. */
static void test_memory(void **state BH_UNUSED)
{
	static const struct {
		const char *head, *unit, *tail;
		size_t n;
	} t[] = {
		{IN "  - from: [{}, ", "{podSelector: {}}, ", "]\n", 99000},
		{IN "  - from: [", "{}, ", "]\n", 299000},
		{IN "  - ports: [{port: 0}, ", "{}, ", "]\n", 299000},
		{IN "  - {x: y}\n", "  - {}\n", "", 299000},
		{IN "  - from: [{ipBlock: {cidr: 0.0.0.0/0, except: [~, ", "0.0.0.0/8, ", "]}}]\n",
			299000},
		{GOOD "x: [", "{a: b}, ", "]\n", 99000},
		{GOOD "x: [", "!!str a, ", "]\n", 299000},
		{GOOD, "\n", "x: y\n", 4100000},
		{GOOD "x: \"", "a", "\"\n", 4100000},
		{"", "---\nkind: NetworkPolicy\nspec: {podSelector: {matchLabels: {a: b}}, x: y}\n",
			"", 9999},
	};
	for (size_t i = 0; i < BH_ARRAY_SIZE(t); i++) {
		bh_autofree char *text = repeat(t[i].head, t[i].unit, t[i].n, t[i].tail);
		check_memory(text);
	}
}
#endif

static void test_accepts(void **state BH_UNUSED)
{
	static const char *const t[] = {
		GOOD,
		"\xef\xbb\xbf" GOOD,
		"# gr\xc3\xbc\xc3\x9f \xf0\x9f\x98\x80\n" GOOD,
		"%YAML 1.1\n---\n" GOOD,
		"%YAML 1.2\n---\n" GOOD "...\n",
		"---\n---\n" GOOD "---\n---\n# end\n...\n",
		GOOD "---\n" META "spec: {podSelector: {}}\n",
		"--- # first\n" GOOD "... # last\n",
		JS "}}\n",
		JS ",}}\n", /* a comma too many is YAML's flow style */
		JS "}}\n---\n" META "spec: {podSelector: {}}\n",
		"\n\t{\t\"apiVersion\":\t\"networking.k8s.io/v1\",\r\n\t\"kind\": "
		"\"NetworkPolicy\",\n"
		"\t\"metadata\": {\"name\": \"p\",\n\t\t\"annotations\": {\"a\": "
		"\"\\ud83d\\ude00\\/\"}},\n"
		"\t\"spec\": {\"podSelector\": {}}}\n",
		"{apiVersion: networking.k8s.io/v1, kind: NetworkPolicy, metadata: {name: p},\n"
		"  spec: {podSelector: {}}}",
		"apiVersion: \"networking.k8s.io/v1\"\r\n'kind': 'NetworkPolicy'\r\n"
		"\"metadata\":\r\n  name: p\r\nspec:\r\n  podSelector: {}\r\n",
		"kind: !!str NetworkPolicy\napiVersion: ! networking.k8s.io/v1\n"
		"metadata: !!map {name: p}\nspec: {podSelector: {}, ingress: !!seq []}\n",
		"spec:\n    podSelector:\n              {}\nmetadata:\n name: p\n"
		"kind: NetworkPolicy\napiVersion: >-\n  networking.k8s.io/v1\n",
		"? apiVersion\n: networking.k8s.io/v1\n? kind\n: NetworkPolicy\n" REST,
		HEAD "metadata:\n  name: p\n  labels: &l {app: web}\n"
		     "spec:\n  podSelector: {matchLabels: *l}\n",
		SPEC "  podSelector: {}\n  ingress:\n"
		     "  - &rule\n    from: [&peer {podSelector: {}}]\n    ports: [{port: 80}]\n"
		     "  - <<: *rule\n    ports: [{port: 81}]\n  egress: [{to: [*peer]}]\n",
		SPEC
		"  podSelector:\n    matchLabels:\n    matchExpressions: ~\n  policyTypes: null\n"
		"  ingress: Null\n  egress: NULL\n",
		SPEC "  podSelector:\n    matchLabels: {}\n    matchExpressions: []\n",
		SPEC
		"  podSelector: {matchLabels: {a: \"\", \"y\": \"on\", b: 1.2.3, c: 2024-01-01,\n"
		"    d: 1a, e: x_y.z, f: 1st, g: nul, h: trueish, A.B: C, \"1\": \"1\"}}\n",
		SPEC
		"  podSelector: {matchExpressions: [{key: a.b/C_d, operator: In, values: [\"\"]},\n"
		"    {key: a, operator: In, values: [x, x]}, {key: a, operator: Exists, values: "
		"[]},\n"
		"    {key: a, operator: DoesNotExist, values: null}]}\n",
		IN "  - {}\n",
		IN "  - {from: , ports: }\n",
		IN "  - {from: [], ports: []}\n",
		IN "  - from: [{podSelector: {}, namespaceSelector: , ipBlock: ~}]\n",
		IN "  - ports: [{}, {port: }, {protocol: }, {protocol: SCTP}, {port: 0x50}, {port: "
		   "+80},\n"
		   "    {port: http}, {port: \"http\"}, {port: 1a}, {port: a-1-b}, {port: "
		   "a23456789-12345},\n"
		   "    {port: 65535, endPort: 65535}, {port: 1, endPort: }, {port: 80, protocol: "
		   "\"UDP\"},\n"
		   "    {port: !!int 80}, {port: !!int \"80\"}, {port: any}, {port: \"0x50\"}]\n",
		IN
		"  - from: [{ipBlock: {cidr: 0.0.0.0/0}}, {ipBlock: {cidr: \"::/0\", except: }},\n"
		"    {ipBlock: {cidr: 10.0.0.1/32, except: []}}, {ipBlock: {cidr: "
		"\"2001:DB8::/32\"}},\n"
		"    {ipBlock: {cidr: \"2001:db8:0:0:0:0:0:0/32\"}}, {ipBlock: {cidr: "
		"2001:db8::/32}},\n"
		"    {ipBlock: {cidr: \"64:ff9b::1.2.3.4/128\"}}, {ipBlock: {cidr: \"::1/128\"}},\n"
		"    {ipBlock: {cidr: \"fe80::/10\", except: [\"fe80::/64\", \"fe80::/64\"]}},\n"
		"    {ipBlock: {cidr: 255.255.255.255/32}}]\n",
		SPEC "  podSelector: {}\n  policyTypes: [Egress, Ingress]\n",
		SPEC "  podSelector: {}\n  policyTypes:\n  - \"Egress\"\n  - 'Egress'\n",
		HEAD "metadata: {name: 1.2.3, namespace: \"1\"}\nspec: {podSelector: {}}\n",
		HEAD "metadata: {name: a.b-c, annotations: {note: \"x: \\ty\" }}\nspec: "
		     "{podSelector: {}}\n",
	};
	for (size_t i = 0; i < BH_ARRAY_SIZE(t); i++) {
		struct bh_policy_set *s = good(t[i]);
		assert_true(s->n >= 1);
		bh_policy_set_unref(s);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_syntax),
		cmocka_unit_test(test_characters),
		cmocka_unit_test(test_json),
		cmocka_unit_test(test_bombs),
#ifndef SANITIZED /* the sanitizer's own memory would be measured */
		cmocka_unit_test(test_memory),
#endif
		cmocka_unit_test(test_accepts),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
