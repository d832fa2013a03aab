/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * bulkhead report changes: who changed what, when, with what outcome, out of the audit log's files;
 * for a reviewer, as a table, JSON, CSV or one page of HTML that needs nothing else.
 */
#include <errno.h>

#include "cli/report.h"
#include "render/render.h"

#define LINE_MAX_BYTES ((size_t)1 << 20)
#define CONTROLS                                                                                   \
	"Evidence towards PCI DSS 4.0 1.2.2, 6.5.1 and 10.2.1; NIST SP 800-53 CM-3, CM-5 and "     \
	"AU-12; SOC 2 CC8.1; CIS Docker 2.1. It shows what is on record, and "                     \
	"claims no compliance."

enum column { WHEN, WHAT, OUTCOME, WHO, DETAILS, SEQUENCE, COLUMNS };
static const struct cli_report_column column[COLUMNS] = {{"when", "When (UTC)"}, {"what", "What"},
	{"outcome", "Outcome"}, {"who", "Who"}, {"details", "Details"}, {"sequence", "Sequence"}};

struct change {
	char *cell[COLUMNS];
};
struct rows {
	struct change *item;
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
		"clock.step", "log.altered", "log.recovered", "log.pruned", "key.changed",
		"feed.change", "feed.refused", "learn.review", "learn.reset", "drift.quarantine"};
	const char *action = bh_render_str(rec, "event.action");

	if (!action || bh_render_at(rec, "network"))
		return false;
	for (size_t i = 0; i < BH_ARRAY_SIZE(also); i++)
		if (bh_streq(action, also[i]))
			return true;
	return strncmp(action, "policy.", 7) == 0 || strncmp(action, "mode.", 5) == 0 ||
	       strncmp(action, "quarantine.", 11) == 0;
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

/* Who was let out of quarantine. */
static void add_removed(struct bh_buf *b, const json_t *list)
{
	const json_t *o;
	size_t i;
	json_array_foreach(list, i, o) bh_buf_printf(
		b, "%sworkload %s", b->len ? "; " : "", cli_str(o, "workload") ?: "?");
}

static char *details(const json_t *rec)
{
	static const char *const shown[] = {"scope", "namespace", "role", "selector", "workload",
		"from", "to", "reason", "comment", "feed", "change", "action", "cidr", "id", "why",
		"version", "class", "file"};
	const json_t *change = bh_render_at(rec, "bulkhead.change"), *line;
	const char *message = bh_render_str(rec, "message");
	struct bh_buf b = {0};
	size_t i;

	add_policies(&b, bh_render_at(change, "changes.policies"));
	add_removed(&b, json_object_get(change, "removed"));
	json_array_foreach(json_object_get(change, "lines"), i, line)
		bh_buf_printf(&b, "%s%s", b.len ? "; " : "", json_string_value(line));
	for (i = 0; i < BH_ARRAY_SIZE(shown); i++) {
		const char *v = cli_str(change, shown[i]);
		if (v && *v) /* of a hash the beginning says which */
			bh_buf_printf(&b, "%s%s %.*s", b.len ? "; " : "", shown[i],
				strlen(v) == 64 ? 12 : 200, v);
	}
	if (bh_streq(bh_render_str(rec, "event.action"), "mode.change") && !cli_str(change, "to"))
		bh_buf_printf(&b, "%scleared", b.len ? "; " : "");
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
	r->item[r->n++] = (struct change){{
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
			json_object_set_new(o, column[c].key, json_string(r->item[i].cell[c]));
		json_object_set_new(
			o, column[SEQUENCE].key, json_integer(atoll(r->item[i].cell[SEQUENCE])));
		json_array_append_new(list, o);
	}
	o = json_pack(
		"{s:s, s:s, s:o}", "report", "changes", "controls", CONTROLS, "changes", list);
	cli_print_json(cli, o);
	json_decref(o);
}

static void print_changes(struct cli *cli, const struct rows *r, enum cli_report_form form)
{
	struct cli_report x = {.name = "changes",
		.title = "Changes: who changed what, when",
		.controls = CONTROLS,
		.column = column,
		.columns = COLUMNS,
		.marked = OUTCOME,
		.bad = {"failure"},
		.sections = 1};

	if (form == CLI_REPORT_HTML)
		cli_report_fact(&x, "Changes", "%zu, out of the audit log", r->n);
	for (size_t i = 0; i < r->n; i++)
		for (int c = 0; c < COLUMNS; c++)
			cli_report_add(&x.section[0], r->item[i].cell[c]);
	cli_report_print(cli, &x, form);
	cli_report_finish(&x);
}

int cli_report_changes(struct cli *cli, int argc, char **argv)
{
	struct rows r = {.since = cli->opt[0], .until = cli->opt[1]};
	enum cli_report_form form;
	int code = cli_report_form_of(cli->opt[2], &form);

	for (int i = 0; i < argc && code == CLI_OK; i++) {
		int e = read_file(argv[i], &r);
		if (e == 0)
			continue;
		char bh_autofree *file = cli_safe(argv[i]);
		cli_error("%s: %s", file, strerror(-e));
		code = CLI_FAILED;
	}
	if (code == CLI_OK && cli->json && form == CLI_REPORT_TABLE)
		print_json(cli, &r);
	else if (code == CLI_OK)
		print_changes(cli, &r, form);
	for (size_t i = 0; i < r.n; i++)
		for (int c = 0; c < COLUMNS; c++)
			free(r.item[i].cell[c]);
	free(r.item);
	return code;
}
