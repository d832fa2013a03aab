/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The command line as a person or a script meets it: output, exit codes, JSON, bad input. */
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <cmocka.h>

#include <bulkhead/util.h>
#include <jansson.h>

#include "lib/fake_core.h"

static char dir[40], sock[64];
static pid_t server = -1;

static int make_dir(void **state BH_UNUSED)
{
	snprintf(dir, sizeof(dir), "/tmp/bh-test-cli-XXXXXX");
	if (!mkdtemp(dir) || chmod(dir, 0755) < 0)
		return -1;
	snprintf(sock, sizeof(sock), "%s/bh.sock", dir);
	server = -1;
	return 0;
}

static int setup(void **state)
{
	if (make_dir(state) < 0)
		return -1;
	server = fake_server_start(sock);
	return server > 0 ? 0 : -1;
}

static int teardown(void **state BH_UNUSED)
{
	char bh_autofree *cmd = bh_xasprintf("rm -rf %s", dir);
	int left = server > 0 ? fake_server_stop(server) : 0;
	return system(cmd) == 0 ? left : -1;
}

static void write_file(const char *name, const char *text)
{
	char bh_autofree *path = bh_xasprintf("%s/%s", dir, name);
	FILE *f = fopen(path, "w");
	assert_non_null(f);
	fputs(text, f);
	fclose(f);
}

struct result {
	int code;
	char *out, *err; /* owned */
};
static struct result last;

static void forget(void)
{
	free(last.out);
	free(last.err);
	last = (struct result){0};
}

static char *drain_file(int fd)
{
	struct bh_buf b = {0};
	char buf[65536];
	ssize_t n;
	lseek(fd, 0, SEEK_SET);
	while ((n = read(fd, buf, sizeof(buf))) > 0)
		bh_buf_add(&b, buf, (size_t)n);
	close(fd);
	return bh_buf_take(&b);
}

static int temp_file(void)
{
	char bh_autofree *name = bh_xasprintf("%s/out-XXXXXX", dir);
	int fd = mkstemp(name);
	assert_true(fd >= 0);
	unlink(name);
	return fd;
}

static const char *binary(void)
{
	const char *env = getenv("BULKHEAD_CLI");
	return env ? env : BH_CLI_PATH;
}

/* Runs "bulkhead ARGS" in dir, through the shell, so that quoting reads as it is typed. What
 * begins with "@" is a command line of its own. */
static int run(const char *args)
{
	int out = temp_file(), err = temp_file();
	char bh_autofree *cmd =
		*args == '@' ? bh_xasprintf("cd %s && exec %s", dir, args + 1)
			     : bh_xasprintf("cd %s && exec '%s' %s", dir, binary(), args);
	forget();
	fflush(NULL);
	pid_t pid = fork();
	if (pid == 0) {
		dup2(out, 1);
		dup2(err, 2);
		setenv("BULKHEAD_SOCKET", sock, 1);
		execl("/bin/sh", "sh", "-c", cmd, (char *)NULL);
		_exit(99);
	}
	int status;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	last.code = WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
	last.out = drain_file(out);
	last.err = drain_file(err);
	return last.code;
}

static void expect(const char *args, int code, const char *out, const char *err)
{
	run(args);
	if (last.code != code || !strstr(last.out, out) || !strstr(last.err, err)) {
		print_error("bulkhead %s: exit %d, wanted %d\n--- out, wanted %s\n%s--- err, "
			    "wanted %s\n%s",
			args, last.code, code, out, last.out, err, last.err);
		fail();
	}
}

static void expect_json(const char *args, const char *key)
{
	expect(args, 0, "", "");
	json_t *j = json_loads(last.out, JSON_REJECT_DUPLICATES, NULL);
	if (!json_object_get(j, key)) {
		print_error("bulkhead %s: no %s in\n%s", args, key, last.out);
		fail();
	}
	json_decref(j);
	assert_string_equal(last.err, "");
}

/* Nothing that a terminal would obey. */
static void assert_harmless(const char *s)
{
	for (; *s; s++)
		assert_true(*s == '\n' || (unsigned char)*s >= 0x20);
	assert_null(strstr(s, "\xe2\x80\xae"));
}

static void test_status(void **state BH_UNUSED)
{
	expect("status", 0, "Bulkhead 0.1.0 on node-1", "");
	assert_non_null(strstr(last.out, "enforcing   yes"));
	assert_non_null(strstr(last.out, "  enforce   closed: new flows are dropped"));
	/* problems come before the details */
	const char *problem = strstr(last.out, "docker: cannot connect; is it running?");
	assert_non_null(problem);
	assert_true(problem < strstr(last.out, "\nkernel"));
	assert_null(strchr(last.out, '\033')); /* not a terminal: no colour */
	expect_json("status -o json", "failing");
	expect_json("-o json status", "kernel");
	expect_json("--output=json --socket bh.sock status", "kernel");
}

static void test_ps(void **state BH_UNUSED)
{
	expect("ps", 0, "0123456789ab  shop", "");
	assert_harmless(last.out);
	assert_non_null(strstr(last.out, "\\x1b[31m日本\\u202e\\x07"));
	assert_non_null(strstr(last.out, "10.0.0.2,fd00::2"));
	assert_non_null(strstr(last.out, "none: shares the host’s network"));
	/* aligned: ROLE, web and y start at the same column of the terminal. The evil name is 24
	 * columns wide ("日本" takes four) in 26 bytes. */
	char *header = last.out, *web = strchr(header, '\n') + 1, *evil = strchr(web, '\n') + 1;
	long head_at = strstr(header, "ROLE") - header;
	assert_memory_equal(web + head_at, "web", 3);
	assert_memory_equal(evil + head_at + 2, "y ", 2);
	expect_json("ps -o json", "workloads");
}

static void test_ps_filters(void **state BH_UNUSED)
{
	expect("ps -l 'a=b,!c' -n shop --image nginx:1 --digest sha256:ab --registry ghcr.io "
	       "--mode "
	       "audit -ojson",
		0, "\"selector\": \"a=b,!c\"", "");
	static const char *const told[] = {"\"image\": \"nginx:1\"", "\"digest\": \"sha256:ab\"",
		"\"registry\": \"ghcr.io\"", "\"namespace\": \"shop\"", "\"mode\": \"audit\"",
		"\"gone\": false"};
	for (size_t i = 0; i < BH_ARRAY_SIZE(told); i++)
		assert_non_null(strstr(last.out, told[i]));
	expect("ps", 0, "ISOLATED", "");
	assert_null(strstr(last.out, "STOPPED"));
	expect("ps --all", 0, "≤2026-01-01 00:00:00  2026-01-02 00:00:00?  gone", "");
	assert_non_null(strstr(last.out, "10.0.0.9"));
	expect("ps -o wide", 0, "REGISTRY", "");
	assert_non_null(strstr(last.out, "docker.io"));
	assert_null(strstr(last.out, "old"));
	expect("ps -o yaml", 0, "workloads:\n- id: \"0123456789abcdef0123\"\n", "");
	assert_non_null(strstr(
		last.out, "    mac: \"02:00:00:00:00:01\"\n    addresses:\n    - \"10.0.0.2\"\n"));
	assert_null(strchr(last.out, '\033'));
	expect("-o yaml ps", 0, "workloads:\n", "");
	expect("ps -l 'a in (b'", 2, "", "--selector");
	expect("ps --image 'A B'", 2, "", "--image takes a reference");
	expect("ps --mode off", 2, "", "--mode takes");
	expect("ps -o xml", 2, "", "-o takes table|wide|json|yaml, not \"xml\"");
	expect("ps -o ''", 2, "", "-o takes");
	expect("ps -o 'table|wide'", 2, "", "-o takes");
	expect("-o wide flows", 2, "", "-o takes table|json, not \"wide\"");
	expect("ps --help", 0, "-o, --output table|wide|json|yaml", "");
}

static void test_workload_show(void **state BH_UNUSED)
{
	expect("workload show shop/web", 0,
		"mode           enforce, configured for namespace shop\n", "");
	static const char *const told[] = {"shop/web\n", "or before", "in force since 2026-01-02",
		"beacons", "10.0.0.5/32:22/tcp",
		"cnp:no-db (Admin, priority 7), rules: 1, in a.yaml:3",
		"shop/web (NetworkPolicy), rules: 2, in b.yaml:1",
		"egress         no policy selects it", "claims 198.51.100.7", "veth1",
		"to others    5        1                3", "tcp/5432", "egress rule 0",
		"app=\\x1b[31mweb"};
	for (size_t i = 0; i < BH_ARRAY_SIZE(told); i++)
		if (!strstr(last.out, told[i]))
			fail_msg("%s is not in\n%s", told[i], last.out);
	expect_json("workload show shop/web -o json", "directions");
	expect("workload show shop/web -o yaml", 0, "mode_origin: \"configured", "");
	expect("workload show nobody", 1, "", "no workload is called nobody");
	expect("workload show", 2, "", "needs WORKLOAD");
	expect("workload", 2, "", "needs one of: show");
}

static void test_impact(void **state BH_UNUSED)
{
	expect("impact 203.0.113.9", 0, "shop/web  gone", "more than is shown");
	static const char *const told[] = {"2026-01-02 03:04:05  2026-01-02 03:04:06  12",
		"to 203.0.113.9 tcp/443", "host      outside", "shop/db          203.0.113.9",
		"of web:1 run now: shop/web-2, shop/web-3", "of old:1 run now: nothing"};
	for (size_t i = 0; i < BH_ARRAY_SIZE(told); i++)
		if (!strstr(last.out, told[i]))
			fail_msg("%s is not in\n%s", told[i], last.out);
	expect("impact 203.0.113.1", 0, "nobody, as far as flows are recorded", "");
	expect_json("impact 203.0.113.9 -o json", "affected");
	expect("impact", 2, "", "needs ADDRESS");
}

static void test_flows(void **state BH_UNUSED)
{
	expect("flows", 0, "shop/web-5", "");
	assert_non_null(strstr(last.out, "2026-01-02 03:04:06"));
	assert_non_null(strstr(last.out, "tcp/443"));
	expect("flows -n 2", 0, "shop/web-2", "");
	assert_null(strstr(last.out, "shop/web-3"));
	expect("flows -n2 -o json", 0, "\"limit\": 2", "");
	expect("flows -n 0", 2, "", "1 to 1000");
	expect("flows -n x", 2, "", "1 to 1000");
	expect("flows -n", 2, "", "needs N");
}

/* Follows, then is interrupted; or its reader goes away. Either is a clean end. */
static void follow(int sig, bool json)
{
	int out[2];
	struct bh_buf bh_autobuf b = {0};
	char buf[4096];

	assert_int_equal(pipe(out), 0);
	fflush(NULL);
	pid_t pid = fork();
	if (pid == 0) {
		dup2(out[1], 1);
		close(out[0]);
		close(out[1]);
		execl(binary(), "bulkhead", "--socket", sock, "flows", "-f", "-n", "1",
			json ? "-ojson" : "-otable", (char *)NULL);
		_exit(99);
	}
	close(out[1]);
	while (!b.s || !strstr(b.s, "shop/web-3")) { /* two rounds of polling */
		struct pollfd p = {.fd = out[0], .events = POLLIN};
		assert_int_equal(poll(&p, 1, 10000), 1);
		ssize_t n = read(out[0], buf, sizeof(buf));
		assert_true(n > 0);
		bh_buf_add(&b, buf, (size_t)n);
	}
	if (sig)
		kill(pid, sig);
	else
		close(out[0]);
	int status;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
	if (sig)
		close(out[0]);
	assert_non_null(strstr(b.s, "shop/web-1"));
	if (!json)
		return;
	char *nl = strchr(b.s, '\n');
	json_t *j = json_loadb(b.s, (size_t)(nl - b.s), 0, NULL); /* a line, a flow */
	assert_int_equal(json_integer_value(json_object_get(j, "seq")), 1);
	json_decref(j);
}

static void test_flows_follow(void **state BH_UNUSED)
{
	follow(SIGINT, false);
	follow(SIGTERM, true);
	follow(0, false);
}

static void expect_asked(const char *args, const char *want)
{
	run(args);
	json_t *reply = json_loads(last.out, 0, NULL), *w = json_loads(want, 0, NULL);
	char bh_autofree *got = json_dumps(json_object_get(reply, "asked"), 0);
	if (!json_equal(json_object_get(reply, "asked"), w))
		fail_msg("%s: asked %s, wanted %s\n%s", args, got, want, last.err);
	json_decref(reply);
	json_decref(w);
}

static size_t count(const char *text, const char *word)
{
	size_t n = 0;
	for (const char *p = text; (p = strstr(p, word)); p++)
		n++;
	return n;
}

/* Each form writes a name so that it ends nothing but itself. */
static void test_graph(void **state BH_UNUSED)
{
	expect("graph", 0, "tcp/5432  allow    7", "");
	assert_null(strchr(last.out, '\033'));
	expect("graph -o dot", 0, "n1 [label=\"x/</script><b>&\\\"]\\\\x1b[31m;\"];\n", "");
	assert_non_null(strstr(last.out, "n0 -> n1 [color=black, label=\"tcp/5432 7x\"];\n"));
	assert_non_null(strstr(last.out, "n1 -> n2 [color=red, label=\"icmp 3x (3 denied)\"];\n"));
	expect("graph -o mermaid", 0,
		"  n1[\"x/#60;/script#62;#60;b#62;#38;#34;#93;#92;x1b#91;31m#59;\"]\n", "");
	assert_non_null(strstr(last.out, "  n0 -->|\"tcp/5432 7x\"| n1\n"));
	expect_json("graph -o json", "edges");
	expect("graph -o html", 0, "<!DOCTYPE html>", "");
	/* The page's own two scripts, and nothing that came from a name. */
	assert_int_equal(count(last.out, "<script"), 2);
	assert_int_equal(count(last.out, "</script>"), 2);
	assert_null(strstr(last.out, "alert(1)<"));
	assert_null(strstr(last.out, "@GRAPH@"));
	assert_non_null(strstr(last.out, "\\u003c/script\\u003e\\u003cb\\u003e\\u0026"));
	assert_null(strstr(last.out, "http-equiv=\"refresh"));
	assert_null(strstr(last.out, "src=\"http"));
	expect("graph -o svg", 2, "", "-o takes table|json|dot|mermaid|html");
}

static void test_drift(void **state BH_UNUSED)
{
	expect("drift", 0, "shop/web-1  0123456789ab  web:2\\x1b[31m  203.0.113.9  tcp/443  deny",
		"");
	assert_non_null(strstr(last.out, "10.0.0.2 -> 203.0.113.9  0 of 3 do it too\n"));
	expect("drift --fail-on new-edge", 1, "shop/web-1", "");
	expect("drift --fail-on new-edge --since 60", 0, "nothing deviates", "");
	expect("drift --since 2h -o json", 0, "\"asked\": 7200", "");
	expect("drift --fail-on all", 2, "", "--fail-on takes new-edge");
	expect("drift --since soon", 2, "", "--since takes a time");
}

static void test_learn_review(void **state BH_UNUSED)
{
	expect("learn show", 0, "01234567  shop/web  203.0.113.9  tcp/443  yes", "");
	assert_non_null(
		strstr(last.out, "web:1\\x1b[31m  widened to 203.0.113.0/24 (256 addresses)"));
	assert_non_null(strstr(last.out, "INCOMPLETE: 7 edges match"));
	expect_asked("learn show --namespace 'a b' --role r --review none -o json",
		"{\"namespace\":\"a b\",\"role\":\"r\",\"review\":\"none\",\"limit\":20000}");
	if (getuid() != 0)
		skip();
	expect("learn review accept 0123", 0, "1 edges changed", "warning: it is wide");
	assert_non_null(strstr(last.out, "the block has 256 addresses"));
	expect_asked("learn review widen 203.0.113.0/24 0123 4567 --role r --selector a=b -o json",
		"{\"action\":\"widen\",\"cidr\":\"203.0.113.0/24\",\"edges\":[\"0123\",\"4567\"],"
		"\"role\":\"r\",\"selector\":\"a=b\"}");
	expect_asked("learn review reject --namespace shop -o json",
		"{\"action\":\"reject\",\"namespace\":\"shop\"}");
	expect("learn review widen", 2, "", "widen needs a CIDR");
	expect("learn review -o json", 2, "", "needs an action");
	/* One by one: what is no answer is asked again, an end of input ends it. */
	expect("learn review --role r <<E\nx\nw bad\nw 203.0.113.0/24\nE\n", 0,
		"1 of 1: shop/web -> 203.0.113.9 tcp/443\n   12 connections from 2026-01-01",
		"cidr must be a block");
	assert_non_null(strstr(last.out, "by web:1\\x1b[31m\n"));
	assert_non_null(strstr(last.out, "nothing is left to review"));
	expect("learn review </dev/null", 0, "[q]uit: ", "");
	expect("learn reset", 2, "", "needs --namespace, --role, or --all");
	expect("learn reset --role r", 0, "5 tuples forgotten", "");
	expect_asked(
		"learn reset --all -o json", "{\"namespace\":null,\"role\":null,\"all\":true}");
	expect("learn export --force --no-evidence", 0, "evidence 0 force", "");
}

/* The same for a picture that is drawn again. */
static void test_learn_watch(void **state BH_UNUSED)
{
	int out[2];
	size_t got = 0;
	char buf[8192] = "";
	assert_int_equal(pipe(out), 0);
	fflush(NULL);
	pid_t pid = fork();
	if (pid == 0) {
		dup2(out[1], 1);
		close(out[0]);
		close(out[1]);
		execl(binary(), "bulkhead", "--socket", sock, "learn", "status", "-w",
			(char *)NULL);
		_exit(99);
	}
	close(out[1]);
	while (!strstr(buf, "shop/web is usable")) {
		ssize_t n = read(out[0], buf + got, sizeof(buf) - got - 1);
		assert_true(n > 0);
		got += (size_t)n;
	}
	kill(pid, SIGINT);
	int status;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	assert_null(strchr(buf, '\033')); /* no terminal */
	close(out[0]);
}

static void test_learn(void **state BH_UNUSED)
{
	expect("learn status", 0, "3 tuples: 2 answered", "");
	assert_non_null(strstr(last.out, "tcp/8080"));
	assert_non_null(strstr(last.out, "shop/web  2          learn  1d02h "));
	assert_non_null(strstr(last.out, "  1m     24/24  2/7   2       usable     ·█▄▁\n"));
	assert_non_null(strstr(last.out, "shop/web is usable: + 24 of 24 hours of a day seen; - 2 "
					 "of 7 weekdays seen\n"));
	expect_json("learn status -o json", "edges");
	run("learn export --namespace 'a b' --role=r --no-evidence");
	assert_string_equal(last.out, "# namespace a b role r evidence 0\nkind: NetworkPolicy\n");
	run("learn export");
	assert_string_equal(last.out, "# namespace - role - evidence 1\nkind: NetworkPolicy\n");
	expect_json("learn export -o json", "yaml");
	expect("learn export --role ''", 1, "", "role is empty");
}

static const char good[] = "apiVersion: networking.k8s.io/v1\n"
			   "kind: NetworkPolicy\n"
			   "metadata: {name: web, namespace: shop}\n"
			   "spec:\n"
			   "  podSelector: {matchLabels: {app: web}}\n"
			   "  policyTypes: [Ingress]\n";
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
		"open.yaml:1:1: warning: spec.podSelector: no workload in shop matches app=wbe",
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
	expect("policy apply good.yaml", 0, "changed", "");
	assert_non_null(strstr(last.out, "generation 8"));
	expect("policy apply --dry-run good.yaml", 0, "nothing was changed", "");
	expect("policy apply -o json . ", 0, "\"./good.yaml\"", "");
	expect("policy apply - < good.yaml", 0, "generation 8", "");
	/* what only the daemon finds */
	char bh_autofree *text = bh_xasprintf("# BAD\n%s", good);
	write_file("refused.yaml", text);
	expect("policy apply refused.yaml", 1, "",
		"bad.yaml:3:9: spec.podSelector: is \\x1b[2Jbad");
	assert_non_null(strstr(last.err, "the policies have errors"));
	assert_harmless(last.err);
	expect("policy apply -o json refused.yaml", 1, "\"diagnostics\"", "");
	expect("policy delete shop/web", 0, "generation 9", "");
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
		"0", "0s", "61m", "3601", "2h", "5", "x", "-1", "''", "5d", "1.5m", "+5s", "05"};
	for (size_t i = 0; i < BH_ARRAY_SIZE(wrong); i++) {
		char bh_autofree *args =
			bh_xasprintf("policy apply --confirm-within=%s good.yaml", wrong[i]);
		bool good_time = bh_streq(wrong[i], "5"); /* plain seconds */
		expect(args, good_time ? 0 : 2, "", good_time ? "" : "from 1s to 1h");
	}
	expect("policy confirm", 0, "confirmed; in force: generation 7", "");
	expect("policy cancel", 1, "", "no version awaits its confirmation");
	expect("status", 0, "version 7 ON TRIAL until 2026-01-02 03:05:05 UTC (30 s left)", "");
	expect("policy delete cnp:no-db", 0, "generation 9", "");
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
		"removed /etc/p/web.yaml\nin force: generation 8, the policies of version 6", "");
	expect("policy rollback -o json --force -m text --confirm-within 9 3", 0, "\"force\": true",
		"");
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
	expect("policy plan --since 7 good.yaml", 1,
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
	expect("policy plan --since 9 good.yaml", 1, "", "could not be replayed: disk \\x1b[31m");
	expect("policy plan --since soon good.yaml", 2, "", "--since takes a time such as 30m");
	expect("policy plan --since 1h --state x good.yaml", 2, "", "not with --state");
	expect("policy plan --diff good.yaml", 0, "--- shop/web (in force)", "");
	/* shop/new is in force and the plan leaves it alone */
	assert_null(strstr(last.out, "shop/new"));
}

static void test_lists(void **state BH_UNUSED)
{
	expect("policy list", 0, "1 in, 2 out", "");
	assert_non_null(strstr(last.out, "ingress,egress"));
	assert_non_null(strstr(last.out, "web.yaml:1"));
	assert_non_null(strstr(last.out, "Admin 10"));
	assert_non_null(strstr(last.out, "namespaces env=prod; pods all"));
	expect_json("policy list -o json", "policies");
	expect("feed list", 0, "1234", "");
	expect_json("feed list -o json", "feeds");
	expect("state", 0, "name: \"node\"\nworkloads:\n", "");
	expect_json("state -o json", "yaml");
	expect("mode get", 0, "command (configured: learn)", "");
	assert_non_null(strstr(last.out, "namespace shop"));
	assert_non_null(strstr(last.out, "tier=db"));
	assert_non_null(
		strstr(last.out, "command until 2026-01-02 03:04:05 UTC, then what else is set"));
	expect_json("mode get -o json", "selectors");
	expect("quarantine list", 0, "shop/web  in force  name: fedcba987654", "");
	assert_non_null(strstr(last.out, "10.0.0.5/32:22/tcp,[fd00::/8]:53/udp"));
	assert_non_null(strstr(last.out, "x/y       absent "));
	assert_null(strchr(last.out, '\033')); /* the reason is somebody's text */
	expect_json("quarantine list -o json", "quarantine");
}

/* --allow may be given several times, in every way an option can be. */
static void test_quarantine(void **state BH_UNUSED)
{
	if (getuid() != 0)
		skip();
	expect("quarantine add shop/web --allow 10.0.0.5:22 --allow=10.0.0.0/8:53/udp --reason "
	       "'a b' --allow '[::1]:80' -o json",
		0, "\"10.0.0.5:22\"", "warning: a part is out of reach");
	json_t *reply = json_loads(last.out, 0, NULL), *asked = json_object_get(reply, "asked");
	json_t *want = json_pack("{s:s, s:[s, s, s], s:s}", "workload", "shop/web", "allow",
		"10.0.0.5:22", "10.0.0.0/8:53/udp", "[::1]:80", "reason", "a b");
	assert_true(json_equal(asked, want));
	json_decref(want);
	json_decref(reply);
	expect("quarantine add web", 0, "established connections cut: 3", "");
	expect("quarantine add nobody", 1, "", "no workload is called nobody");
	expect("quarantine add web --allow 10.0.0.5", 2, "", "--allow 10.0.0.5: no port");
	expect("quarantine add web --allow", 2, "", "needs CIDR:PORT[/PROTO]…");
	expect("quarantine add", 2, "", "needs WORKLOAD");
	expect("quarantine add a b", 2, "", "too many words: b");
	expect("quarantine rm 'a b&c'", 0, "shop/web", "");
	expect("quarantine rm 'a b&c' -o json", 0, "\"asked\": \"a b&c\"", "");
	expect("quarantine", 2, "", "quarantine needs one of: add, rm, list");
}

static void test_changes(void **state BH_UNUSED)
{
	if (getuid() != 0)
		skip();
	expect("mode set audit", 0, "node            audit", "");
	expect("mode set enforce --namespace shop", 0, "namespace shop  enforce", "");
	expect_json("mode set learn -o json", "mode");
	expect("mode set learn --selector 'tier in (db)' --for 2h -o json", 0, "\"for\": 7200", "");
	assert_non_null(strstr(last.out, "\"selector\": \"tier in (db)\""));
	expect("mode set learn --for 0", 2, "", "--for takes a time such as 30m");
	expect("mode set learn --for 367d", 2, "", "up to 366d");
	expect("mode clear --namespace shop --selector 'a=b&c' -o json", 0,
		"\"selector\": \"a=b&c\"", "warning: nobody \\x1b[31m");
	expect("mode set block", 2, "", "learn, audit or enforce");
	expect("mode set", 2, "", "needs learn|audit|enforce");
	expect("feed show drop", 0, "10.0.0.0/8", "");
	assert_non_null(strstr(last.out, "…and 65 more"));
	assert_non_null(strstr(last.out, "(c) \\x1b[31m"));
	assert_non_null(strstr(last.out, "shop/web"));
	expect("feed show other", 1, "", "no feed is named other");
	expect_json("feed show drop -o json", "seen_before");
	expect("feed show", 2, "", "needs NAME");
	expect("feed test 192.0.2.7", 0, "192.0.2.7 is blocked", "");
	expect("feed test 192.0.2.9", 0, "is on no feed", "");
	expect("feed test 10.0.0.1", 0, "is never blocked", "");
	expect_json("feed test 192.0.2.7 -o json", "listed");
	char bh_autofree *lists = bh_xasprintf("%s/lists", dir);
	assert_int_equal(mkdir(lists, 0755), 0);
	write_file("lists/x", "192.0.2.1\n");
	expect("feed add mine lists/x --format stix --set min_entries=5 --set special=true --set "
	       "proxy=http://p:1 -o json",
		0, "/lists/x\"", "");
	assert_non_null(strstr(last.out, "\"min_entries\": 5"));
	assert_non_null(strstr(last.out, "\"special\": true"));
	assert_non_null(strstr(last.out, "\"proxy\": \"http://p:1\""));
	assert_non_null(strstr(last.out, "\"format\": \"stix\""));
	expect("feed add mine https://x/y", 0, "feed mine added", "");
	expect("feed add mine https://x/y --set nonsense", 2, "", "KEY=VALUE");
	expect("feed add mine", 2, "", "needs NAME URL|PATH");
	expect("feed rm mine", 0, "feed mine removed", "");
	expect("feed rm drop", 1, "", "in the configuration file");
	expect("feed refresh", 0, "loading 1 feed;", "");
	expect("feed refresh drop", 0, "loading 1 feed;", "");
	expect("feed refresh other", 1, "", "there is no feed other");
	expect("feed refresh a b", 2, "", "too many words: b");
}

static void test_explain(void **state BH_UNUSED)
{
	expect("explain shop/web 'a&b=c' tcp/443", 0, "shop/web to a&b=c, tcp/443", "");
	assert_non_null(strstr(last.out, "\ndrop (unmatched)\n")); /* still exit 0 */
	expect("explain a b 443/tcp", 0, "tcp/443", "");
	expect("explain a b icmp", 0, "icmp/-", "");
	expect_json("explain a b udp/53 -o json", "verdict");
	expect("explain nobody b tcp/1", 1, "", "no workload is called nobody");
	expect("explain a b tcp", 2, "", "no service");
	expect("explain a b tcp/0", 2, "", "no service");
	expect("explain a b tcp/65536", 2, "", "no service");
	expect("explain a b icmp/1", 2, "", "no service");
	expect("explain a b frob/1", 2, "", "no service");
	expect("explain a b", 2, "", "needs SRC DST PROTO/PORT");
}

static void test_usage(void **state BH_UNUSED)
{
	expect("", 2, "", "usage: bulkhead COMMAND");
	expect("help", 0, "Exit codes:", "");
	expect("--help", 0, "Exit codes:", "");
	expect("help learn export", 0, "usage: bulkhead learn export", "");
	expect("learn", 2, "", "learn needs one of: status, export, show, review, reset");
	expect("learn --help", 0, "  learn review ", "");
	expect("policy frob", 2, "", "policy needs one of: check");
	expect("policy chek", 2, "", "did you mean check?");
	expect("help policy", 0, "policy rollback", "");
	assert_null(strstr(last.out, "quarantine"));
	expect("frob", 2, "", "there is no command frob\n");
	expect("stauts", 2, "", "there is no command stauts; did you mean status?");
	expect("quarantin add", 2, "", "did you mean quarantine?");
	expect("feed add mine /nonexistent/list", 1, "", "/nonexistent/list: No such file");
	expect("impact 10.0.0.0/33", 2, "", "\"10.0.0.0/33\" is no block");
	expect("audit verify /nonexistent", 1, "", "/nonexistent: No such file");
	expect("ps --frob", 2, "", "unknown option --frob");
	expect("ps -o", 2, "", "needs table|wide|json|yaml");
	expect("flows -o", 2, "", "needs table|json");
	expect("ps --help=x", 2, "", "takes no value");
	expect("version", 0, "bulkhead 0.1.0\n", "");
	expect("version -o json", 0, "\"version\"", "");
	static const char *const verbs[] = {"status", "ps", "flows", "learn status", "learn export",
		"learn show", "learn review", "learn reset", "graph", "drift", "policy check",
		"policy apply", "policy delete", "policy list", "policy plan", "workload show",
		"impact", "policy diff", "policy history", "policy show", "policy rollback",
		"policy confirm", "policy cancel", "mode get", "mode set", "mode clear",
		"quarantine add", "quarantine rm", "quarantine list", "feed list", "feed refresh",
		"feed show", "feed test", "feed add", "feed rm", "explain", "flush", "version"};
	for (size_t i = 0; i < BH_ARRAY_SIZE(verbs); i++) {
		char bh_autofree *args = bh_xasprintf("%s --help", verbs[i]);
		char bh_autofree *usage = bh_xasprintf("usage: bulkhead %s", verbs[i]);
		expect(args, 0, usage, "");
		assert_string_equal(last.err, "");
	}
}

/* No daemon: which commands still work, and what the others say. */
static void test_unreachable(void **state BH_UNUSED)
{
	expect("status", 3, "", "is bulkheadd running? systemctl start bulkhead");
	expect("flows -f", 3, "", "is bulkheadd running?");
	expect("mode set learn", 3, "", "is bulkheadd running?");
	assert_string_equal(last.out, "");
	write_file("good.yaml", good);
	expect("policy check good.yaml", 0, "", "1 policy");
	expect("version", 0, "0.1.0", "");
	/* a socket without a listener, something that is no socket, no permission */
	server = fake_server_start(sock);
	assert_true(server > 0);
	kill(server, SIGKILL);
	waitpid(server, NULL, 0);
	server = -1;
	expect("ps", 3, "", "is bulkheadd running?");
	unlink(sock);
	char bh_autofree *longer = bh_xasprintf("ps --socket /%0200d", 1);
	expect(longer, 3, "", "File name too long");
	if (getuid() != 0)
		return;
	server = fake_server_start(sock);
	assert_true(server > 0);
	/* as a user outside the group, who must be able to run the program itself */
	char bh_autofree *cmd =
		bh_xasprintf("cp '%s' %s/cli && chmod 755 %s/cli", binary(), dir, dir);
	assert_int_equal(system(cmd), 0);
	char bh_autofree *as =
		bh_xasprintf("@setpriv --reuid 65534 --regid 65534 --clear-groups %s/cli ps", dir);
	expect(as, 3, "", "use sudo or join the group bulkhead");
}

/* Somebody else's socket: garbage, silence cut short, an answer without end. */
static void test_strange_servers(void **state BH_UNUSED)
{
	static const char *const answers[] = {
		"printf 'garbage\\r\\n\\r\\n'",
		"printf 'HTTP/1.1 200 OK\\r\\nContent-Length: 5\\r\\n\\r\\nhello'",
		"printf 'HTTP/1.1 200 OK\\r\\nContent-Length: 2\\r\\n\\r\\n[]'",
		"true",
	};
	if (system("python3 -c 1 2>/dev/null") != 0)
		skip();
	for (size_t i = 0; i < BH_ARRAY_SIZE(answers); i++) {
		char bh_autofree *code = bh_xasprintf(
			"python3 -c 'import socket,subprocess\n"
			"s=socket.socket(socket.AF_UNIX)\ns.bind(\"%s\")\ns.listen()\n"
			"open(\"%s/up\",\"w\")\nc=s.accept()[0]\nc.recv(4096)\n"
			"c.sendall(subprocess.check_output([\"sh\",\"-c\",\"\"\"%s\"\"\"]))\n"
			"c.close()\nc=s.accept()' >/dev/null 2>&1 & echo $! > %s/pid; "
			"while [ ! -e %s/up ]; do sleep 0.05; done",
			sock, dir, "@", dir, dir);
		/* the answer through a file spares a third level of quoting */
		char bh_autofree *at = bh_xasprintf("sh %s/answer", dir);
		char bh_autofree *full = bh_xcalloc(strlen(code) + strlen(at) + 1, 1);
		char *hole = strchr(code, '@');
		sprintf(full, "%.*s%s%s", (int)(hole - code), code, at, hole + 1);
		write_file("answer", answers[i]);
		assert_int_equal(system(full), 0);
		expect("status", 3, "", "");
		assert_non_null(strstr(last.err, "bulkhead: "));
		char bh_autofree *end = bh_xasprintf(
			"kill $(cat %s/pid); rm -f %s %s/up %s/pid", dir, sock, dir, dir);
		assert_int_equal(system(end), 0);
	}
}

static void test_flush(void **state BH_UNUSED)
{
	expect("flush", 1, "", "stop it first: systemctl stop bulkhead");
	assert_int_equal(fake_server_stop(server), 0);
	server = -1;
	char bh_autofree *bin = bh_xasprintf("%s/bin", dir);
	assert_int_equal(mkdir(bin, 0755), 0);
	write_file("bin/bulkheadd", "#!/bin/sh\necho flushed by \"$@\"\nexit 7\n");
	char bh_autofree *daemon = bh_xasprintf("%s/bin/bulkheadd", dir);
	assert_int_equal(chmod(daemon, 0755), 0);
	char bh_autofree *copy = bh_xasprintf("cp '%s' %s/bin/bulkhead", binary(), dir);
	assert_int_equal(system(copy), 0);
	/* beside the program */
	char bh_autofree *beside = bh_xasprintf("@%s/bin/bulkhead flush", dir);
	expect(beside, 7, "flushed by --flush", "");
	/* in the PATH */
	char bh_autofree *old = bh_xstrdup(getenv("PATH"));
	char bh_autofree *path = bh_xasprintf("%s/bin:%s", dir, old);
	setenv("PATH", path, 1);
	expect("flush", 7, "flushed by --flush", "");
	setenv("PATH", old, 1);
}

static void test_output_that_fails(void **state BH_UNUSED)
{
	expect("ps | head -c 1", 0, "I", "");
	assert_string_equal(last.err, "");
	expect("ps > /dev/full", 1, "", "No space left");
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
#define ALONE(f) cmocka_unit_test_setup_teardown(f, make_dir, teardown)

/* What only a parser of the form can tell is asked in tests/system/test_reports.py. */
static void test_reports(void **state BH_UNUSED)
{
	expect_json("-o json report access", "could");
	expect_json("-o json report access --since 7d", "controls");
	expect("report access", 0, "policy version 12, fedcba987654", "");
	assert_non_null(strstr(last.out, "Could talk\n"));
	assert_non_null(strstr(last.out, "11 to 12"));
	assert_non_null(strstr(last.out, "would be denied"));
	assert_non_null(strstr(last.out, "older ones were put together"));
	assert_non_null(strstr(last.out, "INCOMPLETE: 3 allowed flows"));
	assert_non_null(strstr(last.out, "claims no compliance"));
	assert_null(strchr(last.out, '\033'));

	expect("report access --format csv", 0, "\"section\",\"source\",\"destination\"", "");
	assert_non_null(strstr(last.out, "\"'=cmd()|x\""));
	assert_non_null(strstr(last.out, "\"'@SUM(A1)\""));
	assert_non_null(strstr(last.out, "\"'-2+3 \"\"quoted\"\"\""));
	assert_non_null(strstr(last.out, "\"did\",\"shop/<script>alert(1)</script>\""));
	assert_null(strstr(last.out, "\"="));
	assert_null(strstr(last.out, "\"@"));

	expect("report access --format html", 0, "shop/&lt;script&gt;alert(1)&lt;/script&gt;", "");
	assert_non_null(strstr(last.out, "&lt;b&gt;close&lt;/b&gt; \\x1b[1m"));
	assert_non_null(strstr(last.out, "default-src 'none'"));
	assert_non_null(strstr(last.out, "<td class=\"bad\">would be denied</td>"));
	assert_non_null(strstr(last.out, "&quot;quoted&quot;"));
	assert_null(strstr(last.out, "<script"));
	assert_null(strstr(last.out, "<b>"));
	assert_null(strstr(last.out, "src="));
	assert_null(strstr(last.out, "href="));
	assert_null(strstr(last.out, "url("));

	expect("report rules-unused", 0, "1 of 2 were used in the period", "");
	assert_non_null(strstr(last.out, "3 or before"));
	assert_null(strstr(last.out, "ingress rule 0 peer 0"));
	expect("report rules-unused --all", 0, "ingress rule 0 peer 0", "");
	expect("report rules-unused --format csv", 0, "\"'+ingress <i> peer 1\"", "");
	assert_non_null(strstr(last.out, "\"policy\",\"rule\""));
	expect("report rules-unused --format html", 0, "+ingress &lt;i&gt; peer 1", "");
	expect_json("-o json report rules-unused --since 90d", "rules_total");

	expect("report access --since 9", 1, "", "could not be made: disk \\x1b[31m");
	expect("report access --since never", 2, "", "--since takes a time");
	expect("report rules-unused --format pdf", 2, "", "--format takes csv or html");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_status),
		T(test_ps),
		T(test_ps_filters),
		T(test_workload_show),
		T(test_impact),
		T(test_flows),
		T(test_flows_follow),
		T(test_learn),
		T(test_learn_review),
		T(test_graph),
		T(test_drift),
		T(test_learn_watch),
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
		T(test_reports),
		T(test_lists),
		T(test_changes),
		T(test_quarantine),
		T(test_explain),
		T(test_usage),
		ALONE(test_unreachable),
		ALONE(test_strange_servers),
		T(test_flush),
		T(test_output_that_fails),
	};
	int r = cmocka_run_group_tests(tests, NULL, NULL);
	forget();
	return r;
}
