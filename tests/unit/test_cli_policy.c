/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The command line: policies from files, checked, planned, applied, put back. */
#include <sys/stat.h>

#include <jansson.h>

#include "lib/cli_run.h"

static const char bad[] = "apiVersion: networking.k8s.io/v1\n"
			  "kind: NetworkPolicy\n"
			  "metadata: {name: web, namespace: shop}\n"
			  "spec:\n"
			  "  podSelector: 7\n";

static void test_policy_check(void **state BH_UNUSED)
{
	write_file("good.yaml", good);
	write_file("bad.yml", bad);
	expect("policy check good.yaml", 0, "", "1 file: 1 policy, no error, 0 warnings\n");
	assert_string_equal(last.out, "");
	expect("policy check - < good.yaml", 0, "", "1 policy");
	expect("policy check bad.yml", 1, "bad.yml:5:16: spec.podSelector", "1 file: 1 error");
	expect("policy check bad.yml good.yaml", 1, "bad.yml:5:16", "2 files");
	expect("policy check - < bad.yml", 1, "<stdin>:5:16", "");
	expect("policy check nothere.yaml nor-this", 1, "", "nothere.yaml: No such file");
	assert_non_null(strstr(last.err, "nor-this: No such file"));
	expect("policy check", 2, "", "needs FILE|DIR");
	write_file("empty.yaml", "# nothing\n");
	expect("policy check empty.yaml", 1, "empty.yaml", "1 error");

	expect("policy check -o json bad.yml", 1, "", "1 error");
	json_t *j = json_loads(last.out, 0, NULL);
	assert_int_equal(json_integer_value(json_object_get(j, "errors")), 1);
	const json_t *d = json_array_get(json_object_get(j, "diagnostics"), 0);
	assert_int_equal(json_integer_value(json_object_get(d, "line")), 5);
	assert_string_equal(json_string_value(json_object_get(d, "path")), "spec.podSelector");
	json_decref(j);
	expect("policy check -o json good.yaml", 0, "\"policies\": 1", "");
}

static const char open_to_all[] = "apiVersion: networking.k8s.io/v1\n"
				  "kind: NetworkPolicy\n"
				  "metadata: {name: open, namespace: shop}\n"
				  "spec: {podSelector: {matchLabels: {app: wbe}}, ingress: [{}]}\n";
static const char world[] =
	"workloads: [{name: w, namespace: shop, labels: {app: web}, ips: [10.0.0.1]}]\n";

static void test_policy_warnings(void **state BH_UNUSED)
{
	write_file("good.yaml", good);
	write_file("bad.yml", bad);
	write_file("open.yaml", open_to_all);
	write_file("world", world);
	expect("policy check open.yaml", 0, "open.yaml:4:58: warning: spec.ingress[0]: allows all",
		"1 policy, no error, 1 warning\n");
	expect("policy check --strict open.yaml", 1, "allows all", "1 warning\n");
	expect("policy check --strict good.yaml", 0, "", "0 warnings\n");
	expect("policy check --state world open.yaml good.yaml", 0,
		"open.yaml:4:21: warning: spec.podSelector: no workload in shop matches app=wbe",
		"2 warnings\n");
	expect("policy check --state nothere open.yaml", 1, "allows all", "nothere: No such file");
	expect("policy check --state good.yaml open.yaml", 1, "good.yaml:1:1: ", "1 error");
	expect("policy check --state . open.yaml", 1, ".: a directory is no state", "1 error");
	/* an error somewhere hides no warning elsewhere */
	expect("policy check open.yaml bad.yml", 1, "open.yaml:4:58: warning",
		"1 error, 1 warning");
	expect("policy check -o json open.yaml nothere", 1, "\"severity\": \"warning\"", "");
	json_t *j = json_loads(last.out, 0, NULL);
	const json_t *d = json_array_get(json_object_get(j, "diagnostics"), 0);
	assert_int_equal(json_array_size(json_object_get(j, "diagnostics")), 2);
	assert_string_equal(json_string_value(json_object_get(d, "file")), "nothere");
	assert_true(json_is_null(json_object_get(d, "path")));
	assert_int_equal(json_integer_value(json_object_get(j, "errors")), 1);
	assert_int_equal(json_integer_value(json_object_get(j, "warnings")), 1);
	json_decref(j);
}

static void write_many(const char *name, size_t n)
{
	struct bh_buf bh_autobuf b = {0};
	for (size_t i = 0; i < n; i++)
		bh_buf_printf(&b, "---\n%s", bad);
	write_file(name, b.s);
}

/* A file of garbage hides nothing of the others, nor does it fill the screen. */
static void test_policy_many_errors(void **state BH_UNUSED)
{
	write_many("a.yaml", 2000);
	write_file("b.yaml", bad);
	write_file("c.yaml", open_to_all);
	expect("policy check a.yaml b.yaml c.yaml", 1, "a.yaml: and ", "3 files: ");
	assert_non_null(strstr(last.out, "\nb.yaml:5:16: "));
	assert_non_null(strstr(last.out, "\nc.yaml:4:58: warning: "));
	size_t lines = 0;
	for (const char *s = last.out; *s; s++)
		lines += *s == '\n';
	assert_int_equal(lines, 103);
}

/* What has nothing to say must not hold anything up; what says it late is heard. */
static void test_policy_odd_files(void **state BH_UNUSED)
{
	char bh_autofree *fifo = bh_xasprintf("%s/fifo", dir);
	char bh_autofree *d = bh_xasprintf("%s/d", dir);
	char bh_autofree *inside = bh_xasprintf("%s/d/fifo.yaml", dir);
	char bh_autofree *loop = bh_xasprintf("%s/d/loop.yaml", dir);
	write_file("good.yaml", good);
	assert_int_equal(mkfifo(fifo, 0644), 0);
	assert_int_equal(mkdir(d, 0755), 0);
	assert_int_equal(mkfifo(inside, 0644), 0);
	assert_int_equal(symlink("loop.yaml", loop), 0);
	expect("policy check fifo", 1, "", "fifo: nothing came from it");
	expect("policy check d", 1, "", "d/fifo.yaml: not a regular file");
	assert_non_null(strstr(last.err, "d/loop.yaml: Too many levels of symbolic links"));
	char bh_autofree *slow = bh_xasprintf(
		"@sh -c '(sleep 3; cat good.yaml) | %s policy check /dev/stdin'", binary());
	expect(slow, 0, "", "1 policy");
	char bh_autofree *written =
		bh_xasprintf("@sh -c '(cat good.yaml > fifo) & %s policy check fifo'", binary());
	expect(written, 0, "", "1 policy");
}

static void test_policy_directories(void **state BH_UNUSED)
{
	char bh_autofree *d = bh_xasprintf("%s/d", dir), *sub = bh_xasprintf("%s/d/sub.yaml", dir);
	assert_int_equal(mkdir(d, 0755), 0);
	expect("policy check d", 1, "", "no *.yaml");
	assert_int_equal(mkdir(sub, 0755), 0);
	write_file("d/z.yaml", bad);
	write_file("d/a.yml", good);
	write_file("d/empty.json", "");
	write_file("d/.hidden.yaml", bad);
	write_file("d/notes.txt", bad);
	expect("policy check d", 1, "d/z.yaml:5:16", "3 files: 2 errors");
	/* the same policy twice names both places */
	write_file("d/z.yaml", good);
	expect("policy check d/", 1, "a.yml", "1 error");
}

static void test_policy_hostile_files(void **state BH_UNUSED)
{
	write_file("evil.yaml", "a: \"\\e[2J\033[2J\x07\"\nkind: \xff\xfe\n");
	expect("policy check evil.yaml", 1, "evil.yaml:", "error");
	assert_harmless(last.out);
	assert_harmless(last.err);
	write_file("esc\033[31m.yaml", bad);
	expect("policy check esc*", 1, "esc\\x1b[31m.yaml:5:16", "");
	assert_harmless(last.out);
	expect("policy check /dev/zero", 1, "", "larger than 8 MiB");
	if (getuid() != 0)
		return;
	expect("policy apply evil.yaml", 1, "", "nothing was changed");
}

static void test_policy_changes(void **state BH_UNUSED)
{
	if (getuid() != 0)
		skip();
	write_file("good.yaml", good);
	expect("policy apply good.yaml", 0, "changed",
		"bulkhead: warning: shop/web selects \\x1bnobody\n");
	assert_non_null(strstr(last.out, "version 8"));
	expect("policy apply --dry-run good.yaml", 0, "nothing was changed", "");
	expect("policy apply -o json . ", 0, "\"./good.yaml\"", "");
	expect("policy apply - < good.yaml", 0, "version 8", "");
	/* what only the daemon finds */
	char bh_autofree *text = bh_xasprintf("# BAD\n%s", good);
	write_file("refused.yaml", text);
	expect("policy apply refused.yaml", 1, "",
		"bad.yaml:3:9: spec.podSelector: is \\x1b[2Jbad");
	assert_non_null(strstr(last.err, "the policies have errors"));
	assert_harmless(last.err);
	expect("policy apply -o json refused.yaml", 1, "\"diagnostics\"", "");
	expect("policy delete shop/web", 0, "version 9", "");
	expect("policy delete shop/none", 1, "", "there is no policy shop/none");
	expect("policy delete web", 2, "", "NAMESPACE/NAME");
	expect("policy delete a/b/c", 2, "", "NAMESPACE/NAME");
	expect("policy delete ../web", 0, "", ""); /* a namespace called "..": no path tricks */
}

static void test_policy_trial(void **state BH_UNUSED)
{
	if (getuid() != 0)
		skip();
	write_file("good.yaml", good);
	expect("policy apply -m 'why not' --prune --confirm-within 5m -o json good.yaml", 0,
		"\"comment\": \"why not\"", "");
	assert_non_null(strstr(last.out, "\"within\": 300"));
	assert_non_null(strstr(last.out, "\"prune\": true"));
	expect("policy apply --confirm-within 60s good.yaml", 0,
		"on trial until 2026-01-02 03:05:05 UTC, then version 7 comes back", "");
	static const char *const wrong[] = {
		"0", "0s", "61m", "3601s", "2h", "5", "x", "-1", "''", "5d", "1.5m", "+5s", "05"};
	for (size_t i = 0; i < BH_ARRAY_SIZE(wrong); i++) {
		char bh_autofree *args =
			bh_xasprintf("policy apply --confirm-within=%s good.yaml", wrong[i]);
		expect(args, 2, "", "from 1s to 1h");
	}
	expect("policy confirm", 0, "confirmed; in force: version 7", "");
	expect("policy cancel", 1, "", "no version awaits its confirmation");
	expect("status", 0, "version 7 ON TRIAL until 2026-01-02 03:05:05 UTC (30 s left)", "");
	expect("policy delete cnp:no-db", 0, "version 9", "");
	expect("policy delete cnp:", 2, "", "cnp:NAME");
	expect("policy delete cnp:a/b", 1, "", "no policy cnp:a/b"); /* a namespace */
}

static void test_policy_versions(void **state BH_UNUSED)
{
	expect("policy history", 0,
		"7 (in force, on trial)  2026-01-02 03:04:05  root (uid 0, pid 42)", "");
	assert_non_null(strstr(last.out, "red \\x1b[31m"));
	assert_non_null(strstr(last.out, "directory"));
	assert_harmless(last.out);
	expect_json("policy history -o json", "versions");
	expect("policy show", 0, "kind: NetworkPolicy\n---\nkind: NetworkPolicy\nspec: {\\x1bb}\n",
		"");
	expect("policy show --version 6 shop/web", 0, "spec: {a}", "");
	assert_null(strstr(last.out, "---"));
	expect("policy show shop/web shop/none", 1, "kind", "no policy shop/none in version 7");
	expect("policy show --version 9", 1, "", "no version 9");
	expect("policy show --version x", 2, "", "takes a number");
	if (getuid() != 0)
		return;
	expect("policy rollback", 0,
		"removed /etc/p/web.yaml\nin force: version 8, the policies of version 6", "");
	expect("policy rollback -o json --force -m text --confirm-within 9s 3", 0,
		"\"force\": true", "");
	assert_non_null(strstr(last.out, "\"version\": 3"));
	assert_non_null(strstr(last.out, "\"comment\": \"text\""));
	assert_non_null(strstr(last.out, "\"confirm_within\": 9"));
	expect("policy rollback 8", 1, "", "no version 8");
	expect("policy rollback x", 2, "", "the number of a version");
}

static void test_policy_diff(void **state BH_UNUSED)
{
	static const char changed[] = "--- shop/web (version 6)\n+++ shop/web (version 7)\n"
				      "@@ -1,2 +1,2 @@\n kind: NetworkPolicy\n-spec: {a}\n"
				      "+spec: {\\x1bb}\n";
	expect("policy diff", 0, changed, "");
	expect("policy diff 6", 0, changed, "");
	expect("policy diff 6 7", 0,
		"--- shop/old (version 6)\n+++ /dev/null (version 7)\n@@ -1,1 +0,0 @@\n-kind: "
		"NetworkPolicy\n",
		"");
	assert_non_null(strstr(last.out, "--- /dev/null (version 6)\n+++ shop/new (version 7)\n"
					 "@@ -0,0 +1,1 @@\n+kind: NetworkPolicy\n"));
	expect("policy diff 7", 0, "have the same policies", "");
	expect("policy diff -o json 7 6", 0, "\"change\": \"removed\"", "");
	expect("policy diff 6 9", 1, "", "no version 9");
	expect("policy diff a", 2, "", "numbers of versions");
}

static void test_policy_plan(void **state BH_UNUSED)
{
	if (getuid() != 0)
		skip();
	write_file("good.yaml", good);
	write_file("bad.yaml", bad);
	expect("policy plan good.yaml", 0, "+ opens", "");
	assert_non_null(strstr(last.out, "1 to create, 1 to change, 0 to delete"));
	assert_non_null(strstr(last.out, "1 open, 1 close; nothing was changed"));
	assert_non_null(strstr(last.out, "allowed by \\x1b[1mshop/db"));
	assert_harmless(last.out);
	expect("policy plan --prune -o json good.yaml", 0, "\"prune\": true", "");
	expect("policy plan bad.yaml", 1, "", "bad.yaml:5:16");
	expect("policy plan --diff good.yaml", 0,
		"--- shop/web (in force)\n+++ shop/web (planned)\n", "");
	assert_non_null(strstr(last.out, "\n+  podSelector: {matchLabels: {app: web}}\n"));
	expect("policy plan --since 7s good.yaml", 1,
		"5       shop/web  203.0.113.9  tcp/443  2026-01-02 03:04:05  shop/web-1  "
		"web:1\\x1b[31m  egress of shop/web-1: no rule allows it\n",
		"");
	assert_non_null(
		strstr(last.out, "replayed since 2026-01-01 00:00:00 UTC: 40 connections in "
				 "3 flows; would be denied: 5 in 1\n"));
	assert_non_null(strstr(last.out, "2 flows could not be judged"));
	assert_non_null(
		strstr(last.out, "no recorded flow needs it:\n  shop/db ingress rule 0 peer 1"));
	expect("policy plan --since 8s good.yaml -o json", 0, "\"denied_flows\": 0", "");
	expect("policy plan --since 9s good.yaml", 1, "", "could not be replayed: disk \\x1b[31m");
	expect("policy plan --since soon good.yaml", 2, "", "--since takes a time such as 30m");
	expect("policy plan --since 1h --state x good.yaml", 2, "", "not with --state");
	expect("policy plan --diff good.yaml", 0, "--- shop/web (in force)", "");
	/* shop/new is in force and the plan leaves it alone */
	assert_null(strstr(last.out, "shop/new"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		ALONE(test_policy_check),
		ALONE(test_policy_warnings),
		ALONE(test_policy_many_errors),
		ALONE(test_policy_odd_files),
		ALONE(test_policy_directories),
		T(test_policy_hostile_files),
		T(test_policy_changes),
		T(test_policy_trial),
		T(test_policy_versions),
		T(test_policy_diff),
		T(test_policy_plan),
	};
	int r = cmocka_run_group_tests(tests, NULL, NULL);
	forget();
	return r;
}
