/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The commands that ask no daemon: policy test, policy compile, explain --state. Output, exit
 * codes, JSON, bad input; what they print is put before the real nft. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <cmocka.h>

#include <bulkhead/util.h>
#include <jansson.h>

#define CASES "tests/unit/data/cases"
#define EXAMPLES "examples/policy-tests"

static char dir[40];
static char *out; /* of the last command, standard error too */
static int code;

static int setup(void **state BH_UNUSED)
{
	strcpy(dir, "/tmp/bh-test-offline-XXXXXX");
	return mkdtemp(dir) ? 0 : -1;
}

static int teardown(void **state BH_UNUSED)
{
	char bh_autofree *cmd = bh_xasprintf("rm -rf %s", dir);
	free(out);
	out = NULL;
	return system(cmd);
}

static void write_file(const char *name, const char *text)
{
	char bh_autofree *path = bh_xasprintf("%s/%s", dir, name);
	FILE *f = fopen(path, "w");
	assert_non_null(f);
	fputs(text, f);
	fclose(f);
}

/* Runs "bulkhead ARGS" through the shell; $T is the directory, $b the program. */
static int run(const char *args)
{
	struct bh_buf b = {0};
	char chunk[4096];
	size_t n;
	char bh_autofree *cmd = bh_xasprintf("T=%s; b='%s'; BULKHEAD_SOCKET=/nonexistent; export "
					     "BULKHEAD_SOCKET; { \"$b\" %s; } 2>&1",
		dir, BH_CLI_PATH, args);
	FILE *f = popen(cmd, "r");
	assert_non_null(f);
	while ((n = fread(chunk, 1, sizeof(chunk), f)) > 0)
		bh_buf_add(&b, chunk, n);
	int status = pclose(f);
	free(out);
	out = bh_buf_take(&b);
	return code = WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

static void expect(const char *args, int want, const char *text)
{
	run(args);
	if (code != want || !strstr(out, text))
		fail_msg("bulkhead %s: exit %d, wanted %d with \"%s\":\n%s", args, code, want, text,
			out);
}

/* The last line is an interface of its own. */
static void expect_end(const char *args, int want, const char *line)
{
	expect(args, want, line);
	size_t n = strlen(out), len = strlen(line);
	if (n < len || strcmp(out + n - len, line) != 0 || (n > len && out[n - len - 1] != '\n'))
		fail_msg("bulkhead %s: the last line is not %s but:\n%s", args, line, out);
}

#define WORLD                                                                                      \
	"name: w\nworkloads:\n- {name: a, namespace: x, ips: [10.0.0.1]}\n"                        \
	"- {name: b, namespace: x, ips: [10.0.0.2]}\n"
#define CLOSED                                                                                     \
	"policies:\n- |\n  apiVersion: networking.k8s.io/v1\n  kind: NetworkPolicy\n"              \
	"  metadata: {name: p, namespace: x}\n  spec:\n    podSelector: {}\n"

/* What a change opens and closes, of the state's workloads; policies that are not among the files
 * stay, unless they are pruned. */
static void test_plan(void **state BH_UNUSED)
{
	static const char open[] =
		"apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\n"
		"metadata: {name: %s, namespace: x}\nspec:\n  podSelector: {}\n"
		"  ingress: [{from: [{podSelector: {}}], ports: [{port: 80}]}]\n";
	char bh_autofree *same = bh_xasprintf(open, "p"), *other = bh_xasprintf(open, "q");
	write_file("w.yaml", WORLD CLOSED);
	write_file("p.yaml", same);
	write_file("q.yaml", other);
	expect("policy plan --state $T/w.yaml $T/p.yaml", 0, "+ opens  x/a");
	assert_non_null(strstr(out, "tcp/80"));
	expect("policy plan --state $T/w.yaml $T/p.yaml", 0,
		"plan: 0 to create, 1 to change, 0 to delete, 0 unchanged");
	expect("policy plan --state $T/w.yaml $T/q.yaml", 0,
		"plan: 1 to create, 0 to change, 0 to delete, 0 unchanged");
	expect("policy plan --prune --state $T/w.yaml $T/q.yaml", 0,
		"plan: 1 to create, 0 to change, 1 to delete, 0 unchanged");
	run("-o json policy plan --state $T/w.yaml $T/p.yaml");
	json_t *o = json_loads(out, 0, NULL);
	assert_true(json_is_true(json_object_get(o, "changes")));
	assert_true(json_integer_value(json_object_get(json_object_get(o, "delta"), "opens")) > 0);
	json_decref(o);
	write_file("bad.yaml", "kind: NetworkPolicy\n");
	expect("policy plan --state $T/w.yaml $T/bad.yaml", 1, "bad.yaml:1:1: apiVersion");
	expect("policy plan --state $T/none.yaml $T/p.yaml", 1, "none.yaml");
	expect("policy plan --diff --state $T/w.yaml $T/p.yaml", 2, "--diff");
}

static void test_cases(void **state BH_UNUSED)
{
	unsigned long passed = 0, failed = 1;
	expect("policy test " CASES, 0, " passed, 0 failed\n");
	assert_int_equal(sscanf(out, "%lu passed, %lu failed", &passed, &failed), 2);
	assert_true(passed > 2000);
	run("policy test " EXAMPLES);
	assert_int_equal(code, 0);
	assert_string_equal(out, "24 passed, 0 failed\n");
}

static void test_failing(void **state BH_UNUSED)
{
	write_file("good.yaml",
		WORLD CLOSED "expect: [{from: x/a, to: x/b, port: 80, verdict: deny}]\n");
	write_file("bad.yaml",
		WORLD CLOSED "expect:\n- {from: x/a, to: x/b, port: 80, verdict: allow}\n"
			     "- {from: x/b, to: 10.9.9.9, protocol: UDP, port: 5, verdict: allow}\n"
			     "then:\n- state: open\n  policies: []\n  expect:\n"
			     "  - {from: x/a, to: x/b, protocol: ICMP, verdict: deny}\n");
	expect_end("policy test $T/good.yaml", 0, "1 passed, 0 failed\n");
	expect_end("policy test $T/bad.yaml", 1, "1 passed, 2 failed\n");
	assert_non_null(strstr(out, "/bad.yaml:13:3: w: x/a -> x/b tcp/80 ipv4: expected allow, is "
				    "deny (egress: open; ingress: denied, no rule allows it)\n"));
	assert_non_null(strstr(out, "\n    ingress of x/b: isolated by x/p"));
	assert_non_null(strstr(out, "/bad.yaml:19:5: w, state open: x/a -> x/b icmp ipv4: expected "
				    "deny, is allow ("));
	expect_end("policy test $T", 1, "2 passed, 2 failed\n");
	expect_end("policy test - < $T/good.yaml", 0, "1 passed, 0 failed\n");
	expect_end("policy test $T/good.yaml $T/bad.yaml $T/good.yaml", 1, "3 passed, 2 failed\n");
}

/* A case that can't be read has failed, the others count as ever. */
static void test_unreadable(void **state BH_UNUSED)
{
	write_file("good.yaml",
		WORLD CLOSED "expect: [{from: x/a, to: x/b, port: 80, verdict: deny}]\n");
	write_file("broken.yaml", WORLD "expect: [{from: x/a, to: x/c, port: 80, verdict: deny}]\n"
					"policies:\n- |\n  kind: Nothing\n");
	expect_end("policy test $T/good.yaml $T/broken.yaml", 1, "1 passed, 1 failed\n");
	assert_non_null(strstr(out, "/broken.yaml:5:26: expect[].to: there is no \"x/c\""));
	assert_non_null(strstr(out, "/broken.yaml:8:"));
	expect_end("policy test $T/none.yaml $T/good.yaml", 1, "1 passed, 1 failed\n");
	assert_non_null(strstr(out, "none.yaml: No such file"));
	write_file("empty.yaml", "");
	expect_end("policy test $T/empty.yaml", 1, "0 passed, 1 failed\n");
	write_file("none.yaml", WORLD CLOSED);
	expect_end("policy test $T/none.yaml", 1, "0 passed, 1 failed\n");
	assert_non_null(strstr(out, "nothing is expected"));
	expect_end("policy test /dev/zero", 1, "0 passed, 1 failed\n");
	expect("policy test", 2, "policy test needs CASE");
	expect("policy test --state x $T", 2, "unknown option");
	expect("policy test $T > /dev/full", 1, "No space left");
}

static json_t *parse_json(void)
{
	json_t *j = json_loads(out, JSON_REJECT_DUPLICATES, NULL);
	if (!j)
		fail_msg("no JSON: %s", out);
	return j;
}

static void test_json(void **state BH_UNUSED)
{
	const char *from, *expected, *given, *verdict, *severity;
	int passed, failed, line, bad_line;
	write_file("a.yaml",
		WORLD CLOSED "expect: [{from: x/a, to: x/b, port: 80, verdict: allow}]\n");
	write_file("b.yaml", WORLD "mode: strict\n");
	expect("policy test -o json $T", 1, "");
	json_t *j = parse_json();
	assert_int_equal(json_unpack(j,
				 "{s:i, s:i, s:[{s:[{s:s, s:s, s:s, s:i, s:{s:s}}]}, "
				 "{s:[{s:s, s:i}]}]}",
				 "passed", &passed, "failed", &failed, "cases", "failures", "from",
				 &from, "expected", &expected, "given", &given, "line", &line,
				 "explanation", "verdict", &verdict, "diagnostics", "severity",
				 &severity, "line", &bad_line),
		0);
	assert_int_equal(passed, 0);
	assert_int_equal(failed, 2);
	assert_string_equal(from, "x/a");
	assert_string_equal(expected, "allow");
	assert_string_equal(given, "deny");
	assert_string_equal(verdict, "drop");
	assert_int_equal(line, 12);
	assert_int_equal(bad_line, 5);
	json_decref(j);
}

static void test_explain(void **state BH_UNUSED)
{
	expect("explain --state " EXAMPLES "/shop.yaml shop/web shop/db tcp/5432", 0,
		"ingress of shop/db: isolated by shop/db, shop/default-deny; no rule allows it");
	expect("explain --state " EXAMPLES "/shop.yaml web api 8080/tcp", 0, "\nallow (policy)\n");
	expect("explain --state " EXAMPLES "/shop.yaml external:internet web icmp", 0,
		"\ndrop (unmatched)\n");
	expect("explain --state " EXAMPLES "/node.yaml node:here shop/web tcp/80", 0, "allow (");
	expect("explain --state " EXAMPLES "/tiers.yaml visitor ledger tcp/443", 0,
		"cnp:no-guests");
	expect("explain --state " EXAMPLES "/tiers.yaml --in 'the guests become trusted' visitor "
	       "ledger tcp/443",
		0, "\nallow (policy)\n");
	expect("explain --state " EXAMPLES "/tiers.yaml --in nope visitor ledger tcp/443", 1,
		"has no state \"nope\"; it has \"the guests become trusted\"");
	expect("explain --state " EXAMPLES "/shop.yaml web nobody tcp/1", 1,
		"there is no \"nobody\"");
	expect("explain --state " EXAMPLES "/shop.yaml db 2001:db8::1 tcp/1", 1,
		"no address family in common");
	expect("explain --state " EXAMPLES " a b tcp/1", 1, "one file");
	expect("explain --state $T/none a b tcp/1", 1, "No such file");
	expect("explain --in x a b tcp/1", 2, "--in needs --state");
	expect("explain --state " EXAMPLES "/shop.yaml a b tcp/0", 2, "no service");
	expect("explain a b tcp/1", 3, ""); /* live: there is no daemon */
	expect("explain -o json --state " EXAMPLES "/tiers.yaml visitor ledger tcp/443", 0, "");
	json_t *j = parse_json();
	const char *verdict, *reason, *side, *rule, *text;
	int would_deny, learn;
	assert_int_equal(json_unpack(j, "{s:s, s:s, s:b, s:b, s:{s:s, s:n}, s:{s:s, s:s}, s:s}",
				 "verdict", &verdict, "reason", &reason, "would_deny", &would_deny,
				 "learn", &learn, "egress", "verdict", &side, "rule", "ingress",
				 "workload", &side, "rule", &rule, "text", &text),
		0);
	assert_string_equal(verdict, "drop");
	assert_string_equal(side, "bank/ledger");
	assert_string_equal(rule, "cnp:no-guests ingress rule 0 peer 0");
	assert_false(would_deny || learn);
	json_decref(j);
}

static void test_compile(void **state BH_UNUSED)
{
	write_file("p.yaml", "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\n"
			     "metadata: {name: other, namespace: shop}\nspec: {podSelector: {}}\n");
	expect("policy compile --state " EXAMPLES "/shop.yaml", 0, "shop/api ingress rule 0");
	assert_null(strstr(out, "queue"));
	expect("policy compile --queue --state " EXAMPLES "/shop.yaml", 0, "queue to 48620");
	/* the policies given are instead of those in the state */
	expect("policy compile --state " EXAMPLES "/shop.yaml $T", 0, "shop/other");
	assert_null(strstr(out, "shop/api ingress"));
	expect("policy compile --stats --state " EXAMPLES "/shop.yaml", 0, "policies   4\n");
	expect("policy compile --stats --state " EXAMPLES "/shop.yaml -o json", 0, "");
	json_t *j = parse_json();
	int groups, elements;
	assert_int_equal(json_unpack(j, "{s:i, s:i}", "groups", &groups, "elements", &elements), 0);
	assert_int_equal(groups, 3);
	assert_true(elements > 8);
	json_decref(j);
	expect("policy compile", 2, "needs --state FILE");
	expect("policy compile --state $T/none", 1, "No such file");
	expect("policy compile --state $T/p.yaml", 1, "this is a policy, not a scenario");
	write_file("q.yaml", "kind: Nothing\n");
	expect("policy compile --state " EXAMPLES "/shop.yaml $T/q.yaml", 1, "q.yaml:1:");
	assert_null(strstr(out, "table inet"));
}

/* Real nft reads what we print, in a network namespace that exists for this only. */
static void test_nft(void **state BH_UNUSED)
{
	static const char *const worlds[] = {EXAMPLES "/shop.yaml", EXAMPLES "/tiers.yaml",
		EXAMPLES "/node.yaml", CASES "/np-dual-v6-block-only.yaml",
		CASES "/np-name-protocol-per-pod.yaml",
		CASES "/np-ipblock-other-policy-readds.yaml"};
	static const char *const options[] = {"deny: reject", "host: policy", "unselected: deny"};
	if (geteuid() != 0 || system("unshare -n nft list tables >/dev/null 2>&1") != 0)
		skip();
	for (size_t i = 0; i < BH_ARRAY_SIZE(worlds); i++) {
		char bh_autofree *args =
			bh_xasprintf("policy compile --state %s | unshare -n nft -c -f - && echo "
				     "accepted",
				worlds[i]);
		expect(args, 0, "accepted");
	}
	for (size_t i = 0; i < BH_ARRAY_SIZE(options); i++)
		for (size_t m = 0; m < 3; m++) {
			static const char *const mode[] = {"learn", "audit", "enforce"};
			char bh_autofree *args = bh_xasprintf(
				"version >/dev/null; (echo 'mode: %s'; echo 'options: {%s}'; "
				"cat " EXAMPLES
				"/shop.yaml) | \"$b\" policy compile --state - | unshare -n "
				"nft -c -f - && echo accepted",
				mode[m], options[i]);
			expect(args, 0, "accepted");
		}
	/* and it would notice */
	expect("policy compile --state " EXAMPLES "/shop.yaml | sed 's/tcp dport/tcp drop/' | "
	       "unshare -n nft -c -f -",
		1, "rror");
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_plan),
		T(test_cases),
		T(test_failing),
		T(test_unreadable),
		T(test_json),
		T(test_explain),
		T(test_compile),
		T(test_nft),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
