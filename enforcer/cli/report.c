/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * bulkhead report changes: who changed what, when, with what outcome, out of the audit log's files;
 * for a reviewer, as a table, JSON, CSV or one page of HTML that needs nothing else.
 */
#include <errno.h>

#include "cli/cli.h"
#include "render/render.h"

#define LINE_MAX_BYTES ((size_t)1 << 20)
#define CONTROLS                                                                                   \
	"Evidence towards PCI DSS 4.0 1.2.2, 6.5.1 and 10.2.1; NIST SP 800-53 CM-3, CM-5 and "     \
	"AU-12; SOC 2 CC8.1; CIS Docker 2.1. It shows what is on record, and "                     \
	"claims no compliance."

enum column { WHEN, WHAT, OUTCOME, WHO, DETAILS, SEQUENCE, COLUMNS };
static const char *const key[COLUMNS] = {"when", "what", "outcome", "who", "details", "sequence"};
static const char *const head[COLUMNS] = {
	"WHEN (UTC)", "WHAT", "OUTCOME", "WHO", "DETAILS", "SEQUENCE"};

struct report {
	char *cell[COLUMNS];
};
struct rows {
	struct report *item;
	size_t n, cap;
	const char *since, *until;
};

static char *take(struct bh_buf *b)
{
	return bh_buf_take(b);
}

/* Changes are what somebody or something did to what is enforced or recorded. */
static bool is_change(const json_t *rec)
{
	static const char *const also[] = {"start", "stop", "reload", "tamper", "sysctl", "commit",
		"clock.step", "log.altered", "log.recovered", "log.pruned", "key.changed"};
	const char *action = bh_render_str(rec, "event.action");

	if (!action || bh_render_at(rec, "network"))
		return false;
	for (size_t i = 0; i < BH_ARRAY_SIZE(also); i++)
		if (bh_streq(action, also[i]))
			return true;
	return strncmp(action, "policy.", 7) == 0 || strncmp(action, "mode.", 5) == 0 ||
	       strncmp(action, "quarantine.", 11) == 0 || bh_streq(action, "feed.refused");
}

static char *who(const json_t *rec)
{
	struct bh_buf b = {0};
	const char *uid = bh_render_str(rec, "user.id"), *name = bh_render_str(rec, "user.name");
	const json_t *login = bh_render_at(rec, "bulkhead.actor.login_uid");
	const char *cause = bh_render_str(rec, "bulkhead.change.cause");

	if (!uid) {
		bh_buf_printf(&b, "the daemon%s%s", cause ? ": " : "", cause ? cause : "");
		return take(&b);
	}
	bh_buf_printf(&b, "%s%suid %s", name ? name : "", name ? ", " : "", uid);
	if (json_is_integer(login))
		bh_buf_printf(&b, ", login uid %" JSON_INTEGER_FORMAT, json_integer_value(login));
	bh_buf_printf(&b, ", pid %" JSON_INTEGER_FORMAT, bh_render_num(rec, "process.pid"));
	return take(&b);
}

static void add_policies(struct bh_buf *b, const json_t *list)
{
	const json_t *p;
	size_t i;
	json_array_foreach(list, i, p) bh_buf_printf(b, "%s%s %s", b->len ? "; " : "",
		cli_str(p, "policy") ?: "?", cli_str(p, "change") ?: "?");
}

static char *details(const json_t *rec)
{
	static const char *const shown[] = {"scope", "namespace", "selector", "workload", "from",
		"to", "reason", "comment", "feed", "version", "class", "file"};
	const json_t *change = bh_render_at(rec, "bulkhead.change"), *line;
	const char *message = bh_render_str(rec, "message");
	struct bh_buf b = {0};
	size_t i;

	add_policies(&b, bh_render_at(change, "changes.policies"));
	json_array_foreach(json_object_get(change, "lines"), i, line)
		bh_buf_printf(&b, "%s%s", b.len ? "; " : "", json_string_value(line));
	for (i = 0; i < BH_ARRAY_SIZE(shown); i++) {
		const char *v = cli_str(change, shown[i]);
		if (v && *v) /* of a hash the beginning says which */
			bh_buf_printf(&b, "%s%s %.*s", b.len ? "; " : "", shown[i],
				strlen(v) == 64 ? 12 : 200, v);
	}
	if (message)
		bh_buf_printf(&b, "%s%s", b.len ? "; " : "", message);
	return take(&b);
}

static void add_record(struct rows *r, const json_t *rec)
{
	const char *time = bh_render_str(rec, "@timestamp");
	if (!is_change(rec) || !time || (r->since && strcmp(time, r->since) < 0) ||
		(r->until && strcmp(time, r->until) >= 0))
		return;
	BH_GROW(r->item, r->n, r->cap);
	r->item[r->n++] = (struct report){{
		bh_xasprintf("%.10s %.8s", time, strlen(time) > 18 ? time + 11 : ""),
		bh_xstrdup(bh_render_str(rec, "event.action")),
		bh_xstrdup(bh_render_str(rec, "event.outcome") ?: ""),
		who(rec),
		details(rec),
		bh_xasprintf("%" JSON_INTEGER_FORMAT, bh_render_num(rec, "event.sequence")),
	}};
}

static int read_file(const char *file, struct rows *r)
{
	FILE bh_autofclose *f = fopen(file, "re");
	char bh_autofree *line = NULL;
	size_t cap = 0;
	ssize_t n;

	if (!f)
		return -errno;
	while ((n = getline(&line, &cap, f)) > 0) {
		if ((size_t)n > LINE_MAX_BYTES)
			return -EFBIG;
		json_t *rec = json_loadb(line, (size_t)n, 0, NULL);
		if (rec)
			add_record(r, rec);
		json_decref(rec);
	}
	return ferror(f) ? -EIO : 0;
}

/* --- forms --- */

static void print_json(struct cli *cli, const struct rows *r)
{
	json_t *list = json_array(), *o;
	for (size_t i = 0; i < r->n; i++) {
		o = json_object();
		for (int c = 0; c < SEQUENCE; c++)
			json_object_set_new(o, key[c], json_string(r->item[i].cell[c]));
		json_object_set_new(
			o, key[SEQUENCE], json_integer(atoll(r->item[i].cell[SEQUENCE])));
		json_array_append_new(list, o);
	}
	o = json_pack(
		"{s:s, s:s, s:o}", "report", "changes", "controls", CONTROLS, "changes", list);
	cli_print_json(cli, o);
	json_decref(o);
}

/* RFC 4180. What a spreadsheet would take for a formula begins with a quote. */
static void print_csv_cell(const char *s, bool last)
{
	putchar('"');
	if (*s && strchr("=+-@\t\r", *s))
		putchar('\'');
	for (; *s; s++) {
		if (*s == '"')
			putchar('"');
		putchar(*s);
	}
	fputs(last ? "\"\r\n" : "\",", stdout);
}

static void print_csv(const struct rows *r)
{
	for (int c = 0; c < COLUMNS; c++)
		print_csv_cell(key[c], c == COLUMNS - 1);
	for (size_t i = 0; i < r->n; i++)
		for (int c = 0; c < COLUMNS; c++)
			print_csv_cell(r->item[i].cell[c], c == COLUMNS - 1);
}

static void print_html_text(const char *s)
{
	char bh_autofree *safe = cli_safe_lines(s);
	for (const char *p = safe; *p; p++) {
		if (*p == '<')
			fputs("&lt;", stdout);
		else if (*p == '&')
			fputs("&amp;", stdout);
		else
			putchar(*p);
	}
}

static void print_html(const struct rows *r)
{
	fputs("<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">"
	      "<title>Bulkhead: changes</title><style>\n"
	      "body{font:15px/1.45 "
	      "system-ui,sans-serif;margin:2rem;color:#1d2530;background:#fff}\n"
	      "h1{font-size:1.4rem;margin:0 0 .3rem}p{max-width:60rem;color:#4a5563;margin:.3rem 0 "
	      "1rem}\n"
	      "table{border-collapse:collapse;width:100%}\n"
	      "th,td{text-align:left;vertical-align:top;padding:.4rem .7rem;border-bottom:1px "
	      "solid "
	      "#d9dee5}\n"
	      "th{background:#f1f4f8;font-weight:600}td:nth-child(5){overflow-wrap:anywhere}\n"
	      "td:nth-child(1),td:nth-child(6){white-space:nowrap;font-variant-numeric:tabular-"
	      "nums}\n"
	      ".failure{color:#a3161d;font-weight:600}@media print{body{margin:0}}\n"
	      "</style></head><body>\n<h1>Changes</h1>\n<p>",
		stdout);
	printf("%zu changes out of the audit log. ", r->n);
	print_html_text(CONTROLS);
	fputs("</p>\n<table><thead><tr>", stdout);
	for (int c = 0; c < COLUMNS; c++)
		printf("<th>%c%s</th>", key[c][0] - 32, key[c] + 1);
	fputs("</tr></thead><tbody>\n", stdout);
	for (size_t i = 0; i < r->n; i++) {
		fputs("<tr>", stdout);
		for (int c = 0; c < COLUMNS; c++) {
			bool bad = c == OUTCOME && bh_streq(r->item[i].cell[c], "failure");
			fputs(bad ? "<td class=\"failure\">" : "<td>", stdout);
			print_html_text(r->item[i].cell[c]);
			fputs("</td>", stdout);
		}
		fputs("</tr>\n", stdout);
	}
	fputs("</tbody></table></body></html>\n", stdout);
}

static void print_table(struct cli *cli, const struct rows *r)
{
	struct cli_table t;
	cli_table_init(&t, cli, head, COLUMNS);
	for (size_t i = 0; i < r->n; i++)
		for (int c = 0; c < COLUMNS; c++)
			cli_table_add(&t, r->item[i].cell[c]);
	cli_table_finish(&t);
	printf("\n%s\n", CONTROLS);
}

int cli_report_changes(struct cli *cli, int argc, char **argv)
{
	struct rows r = {.since = cli->opt[0], .until = cli->opt[1]};
	const char *format = cli->opt[2];
	int code = CLI_OK;

	if (format && !bh_streq(format, "csv") && !bh_streq(format, "html"))
		return cli_usage_error(NULL, "--format takes csv or html");
	for (int i = 0; i < argc && code == CLI_OK; i++) {
		int e = read_file(argv[i], &r);
		if (e == 0)
			continue;
		char bh_autofree *file = cli_safe(argv[i]);
		fprintf(stderr, "bulkhead: %s: %s\n", file, strerror(-e));
		code = CLI_FAILED;
	}
	if (code == CLI_OK) {
		if (bh_streq(format, "csv"))
			print_csv(&r);
		else if (bh_streq(format, "html"))
			print_html(&r);
		else if (cli->json)
			print_json(cli, &r);
		else
			print_table(cli, &r);
	}
	for (size_t i = 0; i < r.n; i++)
		for (int c = 0; c < COLUMNS; c++)
			free(r.item[i].cell[c]);
	free(r.item);
	return code;
}
