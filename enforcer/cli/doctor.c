/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * bulkhead doctor: is this node really protected, by what evidence, and what to do where not. The
 * daemon looks, because it knows who lives here and may ask the kernel; where none answers, its
 * program does, of the network namespace that this runs in.
 */
#include <errno.h>

#include "cli/cli.h"

#define ANSWER_S 10 /* who asks has no time for a daemon that hangs */

static const char *const results[] = {"fail", "warn", "skip", "ok"};
enum { FAIL, WARN, SKIP, OK };

static size_t count(const json_t *checks, int result)
{
	const json_t *o;
	size_t i, n = 0;
	json_array_foreach(checks, i, o) n += bh_streq(cli_str(o, "result"), results[result]);
	return n;
}

static int result_of(const json_t *o)
{
	int result = FAIL;
	while (result < OK && !bh_streq(cli_str(o, "result"), results[result]))
		result++;
	return result;
}

static void add(json_t *checks, const char *check, int result, const char *remedy, char *seen)
{
	json_array_append_new(checks, json_pack("{s:s, s:s, s:s?, s:s}", "check", check, "result",
					      results[result], "remedy", remedy, "seen", seen));
	free(seen);
}

/* What the daemon's program answers, added. False: nothing, which is added too. */
static bool ask_program(char **argv, json_t *checks)
{
	json_t *answer = NULL;
	fflush(stdout);
	int r = cli_daemon_ask(argv, &answer);
	json_t *list = json_object_get(answer, "checks");
	if (json_is_array(list))
		json_array_extend(checks, list);
	else
		add(checks, "kernel", SKIP, geteuid() ? "sudo bulkhead doctor" : NULL,
			r == -ENOENT ? bh_xasprintf("bulkheadd is not beside this program and not "
						    "in the PATH")
				     : bh_xasprintf("bulkheadd could not look at the kernel%s",
					       geteuid() ? ": root is needed" : ""));
	bool answered = json_is_array(list);
	json_decref(answer);
	return answered;
}

static void without_daemon(struct cli *cli, int e, json_t *checks)
{
	static char name[] = "bulkheadd", doctor[] = "--doctor", config[] = "--config";
	char bh_autofree *file = bh_xstrdup(cli->opt[0]);
	char *argv[] = {name, doctor, file ? config : NULL, file, NULL};
	add(checks, "daemon", FAIL, "systemctl start bulkhead; journalctl -u bulkhead -n 50",
		bh_xasprintf("no daemon answers at %s (%s): rules in the kernel stay as they are, "
			     "nothing new is enforced, recorded or repaired",
			cli->socket,
			e == -ETIMEDOUT ? "it hangs"
			: e == -EPROTO  ? "no HTTP"
					: strerror(-e)));
	ask_program(argv, checks);
}

static void print_one(const struct cli *cli, const json_t *o, int result)
{
	static const char *const word[] = {"FAIL", "warn", "skip", "ok"};
	static const char *const sgr[] = {"\033[1;31m", "\033[33m", "\033[2m", "\033[32m"};
	char bh_autofree *check = cli_safe(cli_str(o, "check"));
	char bh_autofree *seen = cli_safe(cli_str(o, "seen"));
	const char *remedy = cli_str(o, "remedy");
	printf("%s%-4s%s  %-11s %s\n", cli_paint(cli, sgr[result]), word[result],
		cli_paint(cli, "\033[0m"), check, seen);
	if (remedy) {
		char bh_autofree *safe = cli_safe(remedy);
		printf("%18s> %s\n", "", safe);
	}
}

/* Where the proof could not be set up nothing is said of the kernel. */
static bool unmade(const json_t *checks)
{
	const json_t *o;
	size_t i;
	json_array_foreach(checks, i, o) if (bh_streq(cli_str(o, "check"), "setup")) return true;
	return false;
}

static void print_all(const struct cli *cli, const json_t *checks, const char *node, bool proof)
{
	size_t fails = count(checks, FAIL), warns = count(checks, WARN),
	       skips = count(checks, SKIP);
	char bh_autofree *name = cli_safe(node);
	const json_t *o;
	size_t i;

	if (proof)
		printf("%s", unmade(checks) ? "It could not be proved what this kernel does"
			     : fails        ? "This kernel does NOT do what the rules say"
			     : skips        ? "Not all could be proved here"
					    : "This kernel does what the rules say");
	else if (node)
		printf("%s is %s", name,
			fails   ? "NOT protected as it should be"
			: warns ? "protected as it was asked for, which is less than could be"
				: "protected");
	else
		printf("Without a daemon, this is what is left");
	printf(": %zu FAIL, %zu warn, %zu skip, %zu ok\n\n", fails, warns, skips,
		count(checks, OK));
	/* What is wrong first; a proof in the order of its steps. */
	for (int result = FAIL; result <= OK; result++)
		json_array_foreach(checks, i, o)
		{
			if (!proof && bh_streq(cli_str(o, "result"), results[result]))
				print_one(cli, o, result);
		}
	json_array_foreach(checks, i, o)
	{
		if (proof)
			print_one(cli, o, result_of(o));
	}
}

static int finish(
	const struct cli *cli, json_t *checks, const char *node, bool proof, int unreached)
{
	size_t fails = count(checks, FAIL);
	if (cli->json) {
		json_t *o = json_pack("{s:s?, s:b, s:{s:I, s:I, s:I, s:I}, s:O}", "node", node,
			"good", fails == 0, "counts", "fail", (json_int_t)fails, "warn",
			(json_int_t)count(checks, WARN), "skip", (json_int_t)count(checks, SKIP),
			"ok", (json_int_t)count(checks, OK), "checks", checks);
		cli_print_json(cli, o);
		json_decref(o);
	} else {
		print_all(cli, checks, node, proof);
	}
	json_decref(checks);
	return unreached ? unreached : fails ? CLI_FAILED : CLI_OK;
}

static int prove(const struct cli *cli)
{
	static char name[] = "bulkheadd", option[] = "--prove";
	char *argv[] = {name, option, NULL};
	json_t *checks = json_array();
	bool answered = ask_program(argv, checks);
	int r = finish(cli, checks, NULL, true, 0);
	return answered ? r : CLI_FAILED;
}

int cli_doctor(struct cli *cli, int argc BH_UNUSED, char **argv BH_UNUSED)
{
	struct cli_reply cli_autoreply r = {0};

	if (cli->opt[1])
		return prove(cli);
	json_t *checks = json_array();
	cli->timeout_s = ANSWER_S;
	int e = cli_try(cli, "GET", "/v1/doctor", NULL, &r);
	if (e == -EACCES || e == -EPERM) {
		char bh_autofree *socket = cli_safe(cli->socket);
		json_decref(checks);
		cli_error("no permission to use %s", socket);
		cli_hint("use sudo");
		return CLI_UNREACHABLE;
	}
	json_t *list = e == 0 ? json_object_get(r.json, "checks") : NULL;
	if (json_is_array(list)) {
		json_array_extend(checks, list);
	} else if (e == 0) {
		add(checks, "daemon", FAIL, "systemctl restart bulkhead",
			bh_xasprintf("the daemon does not know this question (HTTP %d): it is of "
				     "another version than bulkhead " BH_VERSION,
				r.status));
	} else {
		without_daemon(cli, e, checks);
	}
	return finish(cli, checks, e ? NULL : cli_str(r.json, "node") ?: "this node", false,
		e ? CLI_UNREACHABLE : 0);
}
