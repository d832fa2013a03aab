/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The command line: flows, what was learned of them, and what deviates. */
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>

#include <jansson.h>

#include "lib/cli_run.h"

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
	int out;
	struct bh_buf bh_autobuf b = {0};
	char buf[4096];
	pid_t pid = start(&out, (const char *const[]){"bulkhead", "--socket", sock, "flows", "-f",
					"-n", "1", json ? "-ojson" : "-otable", NULL});
	while (!b.s || !strstr(b.s, "shop/web-3")) { /* two rounds of polling */
		struct pollfd p = {.fd = out, .events = POLLIN};
		assert_int_equal(poll(&p, 1, 10000), 1);
		ssize_t n = read(out, buf, sizeof(buf));
		assert_true(n > 0);
		bh_buf_add(&b, buf, (size_t)n);
	}
	if (sig)
		kill(pid, sig);
	else
		close(out);
	int status;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
	if (sig)
		close(out);
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
/* On a terminal of so many columns; what it prints ends its lines as terminals want it. */
static void run_on_terminal(int columns, const char *args)
{
	char bh_autofree *cmd = bh_xasprintf(
		"@env NO_COLOR=1 script -qec 'stty cols %d; \"%s\" %s' /dev/null </dev/null",
		columns, binary(), args);
	expect(cmd, 0, "SOURCE", "");
}

/* A table fits: what matters least is left out, and named; all of it is to be had. */
static void test_narrow_terminal(void **state BH_UNUSED)
{
	run_on_terminal(80, "graph");
	for (char *save, *l = strtok_r(last.out, "\r\n", &save); l;
		l = strtok_r(NULL, "\r\n", &save))
		if (strlen(l) > 80 + 4) /* "…" takes three bytes, twice */
			fail_msg("%zu bytes: %s", strlen(l), l);
	run_on_terminal(80, "graph");
	assert_non_null(strstr(last.out, "left out: LEARNED, LAST SEEN; -o wide shows all"));
	assert_non_null(strstr(last.out, "VERDICT"));
	run_on_terminal(80, "graph -o wide");
	assert_non_null(strstr(last.out, "LAST SEEN"));
	assert_null(strstr(last.out, "left out"));
	run_on_terminal(200, "graph");
	assert_null(strstr(last.out, "left out"));
	expect("graph", 0, "LAST SEEN", "");
	assert_null(strstr(last.out, "left out"));
}

static void test_graph(void **state BH_UNUSED)
{
	expect("graph", 0, "tcp/5432  allow    7", "");
	assert_null(strchr(last.out, '\033'));
	expect("graph -o dot", 0, "n1 [label=\"x/</script><b>&\\\"]\\\\x1b[31m;\"];\n", "");
	assert_non_null(
		strstr(last.out, "n0 -> n1 [color=black, label=\"tcp/5432 7 allowed\"];\n"));
	assert_non_null(strstr(last.out, "n1 -> n2 [color=red, label=\"icmp 3 denied\"];\n"));
	assert_non_null(strstr(last.out,
		"n0 -> n2 [color=\"black:red\", label=\"tcp/443 87 allowed, 2 denied\"];\n"));
	expect("graph -o mermaid", 0,
		"  n1[\"x/#60;/script#62;#60;b#62;#38;#34;#93;#92;x1b#91;31m#59;\"]\n", "");
	assert_non_null(strstr(last.out, "  n0 -->|\"tcp/5432 7 allowed\"| n1\n"));
	assert_non_null(strstr(last.out, "  n1 -.->|\"icmp 3 denied\"| n2\n"));
	assert_non_null(strstr(last.out, "  n0 -->|\"tcp/443 87 allowed#44; 2 denied\"| n2\n"));
	assert_non_null(strstr(last.out, "  linkStyle 1 stroke:#c22\n  linkStyle 2 stroke:#c22\n"));
	expect("graph", 0, "tcp/443   mixed    87       0           2", "");
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
	expect("graph -o svg", 2, "", "-o takes table|wide|json|dot|mermaid|html");
}

static void test_drift(void **state BH_UNUSED)
{
	expect("drift", 0, "shop/web-1  0123456789ab  web:2\\x1b[31m  203.0.113.9  tcp/443  deny",
		"");
	assert_non_null(strstr(last.out, "10.0.0.2 -> 203.0.113.9  0 of 3 do it too\n"));
	expect("drift --fail-on new-edge", 1, "shop/web-1", "");
	expect("drift --fail-on new-edge --since 60s", 0, "nothing deviates", "");
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
	expect("learn review accept 0123", 0, "1 edge changed", "warning: it is wide");
	assert_non_null(strstr(last.out, "the block has 256 addresses"));
	expect_asked("learn review widen 203.0.113.0/24 0123 4567 --role r --selector a=b -o json",
		"{\"action\":\"widen\",\"cidr\":\"203.0.113.0/24\",\"edges\":[\"0123\",\"4567\"],"
		"\"role\":\"r\",\"selector\":\"a=b\"}");
	expect_asked("learn review reject --namespace shop -o json",
		"{\"action\":\"reject\",\"namespace\":\"shop\"}");
	expect("learn review widen", 2, "", "widen needs a CIDR");
	expect("learn review widen bad --role r", 2, "",
		"cidr must be a block"); /* says the daemon */
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
	int out;
	size_t got = 0;
	char buf[8192] = "";
	pid_t pid = start(&out,
		(const char *const[]){"bulkhead", "--socket", sock, "learn", "status", "-w", NULL});
	while (!strstr(buf, "shop/web is usable")) {
		ssize_t n = read(out, buf + got, sizeof(buf) - got - 1);
		assert_true(n > 0);
		got += (size_t)n;
	}
	kill(pid, SIGINT);
	int status;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	assert_null(strchr(buf, '\033')); /* no terminal */
	close(out);
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
	expect("learn export --role ''", 2, "", "role is empty");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_flows),
		T(test_flows_follow),
		T(test_learn),
		T(test_learn_review),
		T(test_graph),
		T(test_narrow_terminal),
		T(test_drift),
		T(test_learn_watch),
	};
	int r = cmocka_run_group_tests(tests, NULL, NULL);
	forget();
	return r;
}
