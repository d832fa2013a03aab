/* SPDX-License-Identifier: GPL-3.0-or-later */
/* bulkhead status: what is wrong first, then whether it enforces, how it fails, and the parts. */
#include "cli/cli.h"

/* Made safe, with each further line of it (of a file with several mistakes) under the first. */
static void print_lines(const char *text, int indent)
{
	for (const char *p = text; p; p = strchr(p, '\n')) {
		p += p != text;
		char bh_autofree *one = bh_xstrndup(p, strcspn(p, "\n"));
		char bh_autofree *shown = cli_safe(one);
		printf("%*s%s\n", p == text ? 0 : indent, "", shown);
	}
}

static void line(const char *label, const char *fmt, ...) BH_PRINTF(2, 3);
static void line(const char *label, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	char bh_autofree *text = cli_vformat(fmt, ap);
	va_end(ap);
	printf("%-11s ", label);
	print_lines(text, 14);
}

static void print_headline(const struct cli *cli, const json_t *s)
{
	char bh_autofree *node = cli_safe(cli_str(s, "node"));
	char bh_autofree *version = cli_safe(cli_str(s, "version"));
	char bh_autofree *mode = cli_safe(cli_str(s, "mode"));
	char since[24];
	const char *sgr = cli_colour_of(mode);

	printf("Bulkhead %s on %s, running since %s UTC (pid %" JSON_INTEGER_FORMAT ")\n", version,
		node, cli_time(cli_str(s, "started"), since), cli_num(s, "pid"));
	printf("%-11s %s%s%s\n", "mode", cli_paint(cli, sgr ? sgr : ""), mode,
		cli_paint(cli, sgr ? "\033[0m" : ""));
	if (!cli_flag(s, "ready"))
		line("enforcing", "NOT YET: the first rules have not been committed");
	else if (cli_flag(s, "enforcing"))
		line("enforcing", "yes");
	else
		line("enforcing", "NO: nothing is denied but quarantined workloads and what is on "
				  "a threat feed; `bulkhead mode set enforce`");
}

static void print_problems(const struct cli *cli, const json_t *s)
{
	const json_t *list = json_object_get(s, "problems"), *p;
	size_t i;

	if (json_array_size(list) == 0)
		return;
	printf("\n%sproblems%s\n", cli_paint(cli, "\033[1;31m"), cli_paint(cli, "\033[0m"));
	json_array_foreach(list, i, p)
	{
		fputs("  - ", stdout);
		print_lines(json_string_value(p) ?: "-", 6);
	}
}

static void print_failing(const json_t *s)
{
	static const char *const modes[] = {"enforce", "audit", "learn"};
	const json_t *f = json_object_get(s, "failing");

	puts("\nwhen the daemon is not there");
	for (size_t i = 0; i < BH_ARRAY_SIZE(modes); i++) {
		char bh_autofree *text = cli_safe(cli_str(f, modes[i]));
		printf("  %-9s %s\n", modes[i], text);
	}
	putchar('\n');
}

static void print_out_of_reach(const json_t *w)
{
	const json_t *list = json_object_get(w, "out_of_reach"), *o;
	json_int_t more = cli_num(w, "unenforceable") - (json_int_t)json_array_size(list);
	size_t i;

	json_array_foreach(list, i, o)
		line("", "NOT ENFORCED: %s/%s: %s", cli_str(o, "namespace") ?: "?",
			cli_str(o, "name") ?: "?", cli_str(o, "reason") ?: "?");
	if (more > 0)
		line("", "and %" JSON_INTEGER_FORMAT " more; `bulkhead ps` shows them", more);
}

static void print_kernel(const json_t *s)
{
	const json_t *k = json_object_get(s, "kernel"), *w = json_object_get(s, "workloads"),
		     *t = json_object_get(s, "conntrack");
	char when[24];

	line("kernel",
		"table %s, queue %s, bridged traffic %s; %" JSON_INTEGER_FORMAT
		" commit%s, last %s",
		cli_str(k, "table") ?: "?", cli_str(k, "queue") ?: "?",
		cli_flag(k, "bridge_nf") ? "filtered" : "NOT FILTERED", cli_num(k, "commits"),
		cli_plural(k, "commits"), cli_time(cli_str(k, "last_commit"), when));
	if (cli_str(k, "last_error"))
		line("", "last commit FAILED: %s", cli_str(k, "last_error"));
	if (cli_num(t, "max"))
		line("", "tracks %" JSON_INTEGER_FORMAT " flow%s of at most %" JSON_INTEGER_FORMAT,
			cli_num(t, "entries"), cli_plural(t, "entries"), cli_num(t, "max"));
	line("workloads",
		"%" JSON_INTEGER_FORMAT ": %" JSON_INTEGER_FORMAT " enforced, %" JSON_INTEGER_FORMAT
		" audited, %" JSON_INTEGER_FORMAT " learning, %" JSON_INTEGER_FORMAT
		" out of reach",
		cli_num(w, "total"), cli_num(w, "enforce"), cli_num(w, "audit"),
		cli_num(w, "learn"), cli_num(w, "unenforceable"));
	print_out_of_reach(w);
}

static void print_fast_path(const json_t *s)
{
	const json_t *f = json_object_get(s, "fast_path"), *o;
	size_t i;

	if (!cli_flag(f, "wanted"))
		return;
	if (!cli_flag(f, "on")) {
		line("fast path", "NOT THERE: %s", cli_str(f, "error") ?: "?");
		return;
	}
	line("fast path",
		"for %" JSON_INTEGER_FORMAT " address%s; %" JSON_INTEGER_FORMAT
		" packet%s went from veth to veth, %" JSON_INTEGER_FORMAT
		" connection%s began there",
		cli_num(f, "addresses"), cli_num(f, "addresses") == 1 ? "" : "es",
		cli_num(f, "packets"), cli_plural(f, "packets"), cli_num(f, "connections"),
		cli_plural(f, "connections"));
	json_array_foreach(json_object_get(f, "left_out"), i, o) line("",
		"not for %s (interface %" JSON_INTEGER_FORMAT "): %s",
		cli_str(o, "workload") ?: "?", cli_num(o, "ifindex"), cli_str(o, "reason") ?: "?");
}

static void print_quarantine(const json_t *s)
{
	const json_t *q = json_object_get(s, "quarantine");
	json_int_t absent = cli_num(q, "absent");
	if (cli_num(q, "entries") == 0)
		return;
	char bh_autofree *waiting =
		absent ? bh_xasprintf(", %" JSON_INTEGER_FORMAT " more when %s back", absent,
				 absent == 1 ? "it is" : "they are")
		       : bh_xstrdup("");
	line("quarantine",
		"%" JSON_INTEGER_FORMAT " workload%s cut off%s; `bulkhead quarantine list`",
		cli_num(q, "workloads"), cli_plural(q, "workloads"), waiting);
}

static void print_policies(const json_t *s)
{
	const json_t *p = json_object_get(s, "policies"), *l = json_object_get(s, "learn");
	char when[24];

	if (cli_num(p, "generation"))
		line("policies",
			"%" JSON_INTEGER_FORMAT ", version %" JSON_INTEGER_FORMAT
			", %.12s, from %s",
			cli_num(p, "count"), cli_num(p, "generation"), cli_str(p, "sha256") ?: "-",
			cli_str(p, "directory") ?: "-");
	else
		line("policies", "none yet, from %s", cli_str(p, "directory") ?: "-");
	if (json_is_object(json_object_get(p, "confirm"))) {
		const json_t *c = json_object_get(p, "confirm");
		line("",
			"version %" JSON_INTEGER_FORMAT
			" ON TRIAL until %s UTC (%" JSON_INTEGER_FORMAT
			" s left), then back to %" JSON_INTEGER_FORMAT
			": `bulkhead policy confirm` or cancel",
			cli_num(c, "version"), cli_time(cli_str(c, "deadline"), when),
			cli_num(c, "seconds_left"), cli_num(c, "back_to"));
	}
	const json_t *idle;
	size_t i;
	json_array_foreach(json_object_get(p, "idle"), i, idle)
		line("", "%s", json_string_value(idle) ?: "?");
	if (cli_str(p, "stale"))
		line("", "NOT what the directory holds: %s", cli_str(p, "stale"));
	line("learned",
		"%" JSON_INTEGER_FORMAT " tuple%s, %" JSON_INTEGER_FORMAT " answered, last new %s",
		cli_num(l, "tuples"), cli_plural(l, "tuples"), cli_num(l, "answered"),
		cli_time(cli_str(l, "last_new"), when));
}

static void print_sources(const json_t *s)
{
	const json_t *list = json_object_get(s, "sources"), *o;
	size_t i;

	json_array_foreach(list, i, o)
	{
		const char *message = cli_str(o, "message");
		line(i ? "" : "sources", "%s: %s%s, %" JSON_INTEGER_FORMAT " container%s%s%s",
			cli_str(o, "name") ?: "?", cli_flag(o, "ok") ? "connected" : "FAILED",
			cli_flag(o, "synced") ? "" : ", not synced", cli_num(o, "containers"),
			cli_plural(o, "containers"), message && *message ? "; " : "",
			message ? message : "");
	}
	const json_t *f = json_object_get(s, "feeds");
	line("feeds",
		"%" JSON_INTEGER_FORMAT ", %" JSON_INTEGER_FORMAT
		" indicator%s, %" JSON_INTEGER_FORMAT " stale",
		cli_num(f, "count"), cli_num(f, "indicators"), cli_plural(f, "indicators"),
		cli_num(f, "stale"));
}

static void print_sinks(const json_t *a)
{
	const json_t *sink;
	size_t i;

	json_array_foreach(json_object_get(a, "sinks"), i, sink)
	{
		line("",
			"to %s: %" JSON_INTEGER_FORMAT " sent, %" JSON_INTEGER_FORMAT
			" behind, %" JSON_INTEGER_FORMAT " dropped%s%s",
			cli_str(sink, "name") ?: "?", cli_num(sink, "sent"), cli_num(sink, "lag"),
			cli_num(sink, "dropped"), cli_str(sink, "error") ? "; " : "",
			cli_str(sink, "error") ?: "");
	}
}

static void print_queues(const json_t *s)
{
	const json_t *list = json_object_get(s, "queues"), *q;
	size_t i;

	json_array_foreach(list, i, q) line(i ? "" : "queues",
		"%" JSON_INTEGER_FORMAT " %s: %" JSON_INTEGER_FORMAT
		" received, %" JSON_INTEGER_FORMAT " accepted, %" JSON_INTEGER_FORMAT
		" dropped, %" JSON_INTEGER_FORMAT " lost",
		cli_num(q, "num"), cli_str(q, "purpose") ?: "?", cli_num(q, "received"),
		cli_num(q, "accepted"), cli_num(q, "dropped"),
		cli_num(q, "kernel_dropped") + cli_num(q, "user_dropped") + cli_num(q, "bypassed"));
	const json_t *k = json_object_get(s, "cache"), *p = json_object_get(s, "pace");
	if (k)
		line("cache",
			"%" JSON_INTEGER_FORMAT " verdict%s in the kernel, %" JSON_INTEGER_FORMAT
			" packet%s decided there",
			cli_num(k, "entries"), cli_plural(k, "entries"), cli_num(k, "hits"),
			cli_plural(k, "hits"));
	if (p && cli_num(p, "packets"))
		line("paced",
			"%" JSON_INTEGER_FORMAT
			" source%s in the last minute, %" JSON_INTEGER_FORMAT
			" packet%s decided before the queue",
			cli_num(p, "sources"), cli_plural(p, "sources"), cli_num(p, "packets"),
			cli_plural(p, "packets"));
	const json_t *a = json_object_get(s, "audit");
	line("audit log",
		"%s: %" JSON_INTEGER_FORMAT " record%s, %" JSON_INTEGER_FORMAT
		" event%s aggregated, %" JSON_INTEGER_FORMAT " lost",
		cli_str(a, "path") ?: "-", cli_num(a, "sequence"), cli_plural(a, "sequence"),
		cli_num(a, "aggregated"), cli_plural(a, "aggregated"), cli_num(a, "lost"));
	line("", "signed up to %" JSON_INTEGER_FORMAT "; key %s", cli_num(a, "signed"),
		cli_str(a, "key") ?: "-");
	print_sinks(a);
	if (cli_str(a, "error"))
		line("", "CANNOT BE WRITTEN: %s", cli_str(a, "error"));
}

int cli_status(struct cli *cli, int argc BH_UNUSED, char **argv BH_UNUSED)
{
	struct cli_reply cli_autoreply r = {0};
	bool done;
	int e = cli_get(cli, "/v1/status", &r, &done);
	if (e != CLI_OK || done)
		return e;
	print_headline(cli, r.json);
	print_problems(cli, r.json);
	print_failing(r.json);
	print_kernel(r.json);
	print_fast_path(r.json);
	print_quarantine(r.json);
	print_policies(r.json);
	print_sources(r.json);
	print_queues(r.json);
	return CLI_OK;
}
