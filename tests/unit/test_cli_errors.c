/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The command line asked wrongly, without a daemon, with a strange one, with a full disk. */
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <jansson.h>

#include "lib/cli_run.h"
#include "lib/fake_core.h"

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
	expect("help stauts", 2, "", "there is no command stauts; did you mean status?");
	expect("help policy chek", 2, "", "did you mean check?");
	expect("learn review accpet 0123", 2, "", "takes accept, reject, undo or widen");
	/* whose help has more, where it is a value that is wrong */
	expect("mode set enforced", 2, "", "not \"enforced\"\nmore: bulkhead mode set --help\n");
	expect("stauts", 2, "", "there is no command stauts; did you mean status?");
	expect("quarantin add", 2, "", "did you mean quarantine?");
	expect("feed add mine /nonexistent/list", 1, "", "/nonexistent/list: No such file");
	expect("impact 10.0.0.0/33", 2, "", "\"10.0.0.0/33\" is no block");
	expect("audit verify /nonexistent", 1, "", "/nonexistent: No such file");
	expect("ps --frob", 2, "", "unknown option --frob");
	expect("ps -o", 2, "", "needs table|wide|json|yaml");
	expect("flows -o", 2, "", "needs table|wide|json");
	expect("ps --help=x", 2, "", "takes no value");
	expect("version", 0, "bulkhead 0.1.0\n", "");
	expect("--version", 0, "bulkhead 0.1.0\n", "");
	expect("-V", 0, "bulkhead 0.1.0\n", "");
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

/* What the help has, the shell completes. */
static void test_completions(void **state BH_UNUSED)
{
	char bh_autofree *top = realpath(".", NULL);
	assert_non_null(top);
	char bh_autofree *cmd = bh_xasprintf(
		"@%s/tests/lib/completions %s %s/enforcer/dist/bulkhead.bash-completion", top,
		binary(), top);
	expect(cmd, 0, "", "");
	assert_string_equal(last.out, "");
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
	/* needs no daemon: looks where the log is as a rule */
	if (access("/var/log/bulkhead/audit.jsonl", F_OK) < 0)
		expect("audit verify", 1, "", "/var/log/bulkhead/audit.jsonl: No such file");
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

/* The lines of standard error, each an object of one member; the value of the last one's `key`.
 * Owned. */
static json_t *last_told(const char *key)
{
	json_t *found = NULL;
	for (const char *p = last.err, *nl; (nl = strchr(p, '\n')); p = nl + 1) {
		json_t *o = json_loadb(p, (size_t)(nl - p), JSON_REJECT_DUPLICATES, NULL);
		if (json_object_size(o) != 1)
			fail_msg("no object of one member: %s", p);
		json_decref(found);
		found = json_incref(json_object_get(o, key));
		json_decref(o);
	}
	if (!found)
		fail_msg("the last line has no \"%s\":\n%s", key, last.err);
	return found;
}

/* The command fails with `code`, and what it says is the error with this message (its beginning).
 * Owned. */
static json_t *expect_error(const char *args, int code, const char *message)
{
	expect(args, code, "", "");
	json_t *e = last_told("error");
	const char *said = json_string_value(json_object_get(e, "message"));
	if (!said || strncmp(said, message, strlen(message)) != 0)
		fail_msg("bulkhead %s: wanted %s in\n%s", args, message, last.err);
	assert_int_equal(json_integer_value(json_object_get(e, "exit")), code);
	for (const char *p = last.err; *p; p++)
		assert_true(*p == '\n' || (*p >= 0x20 && *p < 0x7f));
	return e;
}

static void assert_member(const json_t *o, const char *key, const char *value)
{
	const char *s = json_string_value(json_object_get(o, key));
	if (!s || !strstr(s, value))
		fail_msg("%s is %s, wanted %s", key, s ? s : "none", value);
}

/* A program that asks for JSON gets it of errors too, wherever they come from. */
static void test_json_errors(void **state BH_UNUSED)
{
	json_t *e = expect_error("workload show nobody -o json", 1, "no workload is called nobody");
	assert_true(json_integer_value(json_object_get(e, "http_status")) >= 400);
	json_decref(e);
	e = expect_error("learn review widen bad --role r -o json", 2, "cidr must be a block");
	assert_int_equal(json_integer_value(json_object_get(e, "http_status")), 400);
	json_decref(e);
	/* asked wrongly: also before -o was read, in each way to write it */
	static const char *const wrong[] = {"ps --frob -o json", "-ojson ps --frob",
		"ps --frob --output=json", "ps -o table --frob --output json"};
	for (size_t i = 0; i < BH_ARRAY_SIZE(wrong); i++) {
		e = expect_error(wrong[i], 2, "unknown option --frob");
		assert_member(e, "hint", "usage: bulkhead ps\nmore: bulkhead ps --help");
		json_decref(e);
	}
	json_decref(expect_error("-o json stauts", 2, "there is no command stauts"));
	json_decref(expect_error("-o json", 2, "no command is given"));
	json_decref(expect_error("ps --'\033\xff\177' -o json", 2, "unknown option --"));
	/* of several files one error */
	e = expect_error("-o json policy apply none nor-this", 1, "none: No such file");
	assert_member(e, "message", "\nnor-this: No such file");
	json_decref(e);
	json_decref(expect_error("-o json ps > /dev/full", 1, "standard output: No space left"));
	/* people go on to be told in words */
	expect("-o json ps -o table --frob", 2, "", "bulkhead: unknown option --frob\n");
	expect("ps --frob -- -o json", 2, "", "bulkhead: unknown option --frob\n");
}

static void test_json_diagnostics(void **state BH_UNUSED)
{
	write_file("bad.yaml", "kind: NetworkPolicy\napiVersion: networking.k8s.io/v1\n"
			       "metadata: {name: a}\nspec: {podSelector: 7}\n");
	json_t *e = expect_error("-o json policy apply bad.yaml", 1, "nothing was changed");
	const json_t *d = json_array_get(json_object_get(e, "diagnostics"), 0);
	assert_member(d, "file", "bad.yaml");
	assert_member(d, "path", "spec.podSelector");
	assert_member(d, "severity", "error");
	assert_int_equal(json_integer_value(json_object_get(d, "line")), 4);
	json_decref(e);
	/* where nothing else is said, the first of them is the message */
	e = expect_error(
		"-o json explain a b tcp/1 --state bad.yaml", 1, "bad.yaml:2:1: this is a policy");
	assert_true(json_array_size(json_object_get(e, "diagnostics")) > 0);
	json_decref(e);
	/* the answer and the error: each on its own stream */
	json_decref(
		expect_error("-o json policy check bad.yaml", 1, "1 file: 1 error, 0 warnings"));
	e = json_loads(last.out, JSON_REJECT_DUPLICATES, NULL);
	assert_int_equal(json_integer_value(json_object_get(e, "errors")), 1);
	json_decref(e);
	/* well done: no error */
	write_file("good.yaml", good);
	expect("-o json policy check good.yaml", 0, "", "");
	e = last_told("note");
	assert_member(e, "message", "1 file: 1 policy, no error, 0 warnings");
	json_decref(e);
	if (getuid() != 0)
		return;
	char bh_autofree *text = bh_xasprintf("# BAD\n%s", good);
	write_file("refused.yaml", text);
	e = expect_error("-o json policy apply refused.yaml", 1, "the policies have errors");
	d = json_array_get(json_object_get(e, "diagnostics"), 0);
	assert_member(d, "what", "is ");
	assert_int_equal(json_integer_value(json_object_get(d, "column")), 9);
	json_decref(e);
}

static void test_json_unreachable(void **state BH_UNUSED)
{
	json_t *e = expect_error("status -o json", 3, "nobody answers at ");
	assert_member(e, "hint", "is bulkheadd running?");
	assert_null(json_object_get(e, "http_status"));
	json_decref(e);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_usage),
		T(test_completions),
		ALONE(test_unreachable),
		ALONE(test_strange_servers),
		T(test_flush),
		T(test_output_that_fails),
		T(test_json_errors),
		T(test_json_diagnostics),
		ALONE(test_json_unreachable),
	};
	int r = cmocka_run_group_tests(tests, NULL, NULL);
	forget();
	return r;
}
