/* SPDX-License-Identifier: GPL-3.0-or-later */
/* bulkhead audit export: records of files, chosen and in another form; without the daemon. */
#include <errno.h>

#include "cli/cli.h"
#include "render/render.h"

#define LINE_MAX_BYTES ((size_t)1 << 20)

struct export
{
	enum bh_render_format format;
	const char *since, *until; /* RFC 3339: compared as text, which UTC allows */
	const struct cli_values *actions;
	bool *seen; /* of each of them: there is such a record, of whatever time */
	const char *file;
};

static bool is_wanted(const struct export *x, const json_t *rec)
{
	const char *time = bh_render_str(rec, "@timestamp");
	const char *action = bh_render_str(rec, "event.action");

	bool found = x->actions->n == 0;
	for (size_t i = 0; i < x->actions->n; i++)
		if (bh_streq(action, x->actions->item[i]))
			found = x->seen[i] = true;
	if (x->since && (!time || strcmp(time, x->since) < 0))
		return false;
	if (x->until && (!time || strcmp(time, x->until) >= 0))
		return false;
	return found;
}

static void export_line(const struct export *x, const char *line, size_t len)
{
	json_t *rec = json_loadb(line, len, 0, NULL);

	if (!rec) {
		char bh_autofree *file = cli_safe(x->file);
		cli_note("%s: a line is no record; `audit verify` says more", file);
	} else if (is_wanted(x, rec)) {
		char bh_autofree *text = bh_render(x->format, line, len, rec);
		puts(text);
	}
	json_decref(rec);
}

static int export_file(struct export *x, const char *file)
{
	FILE bh_autofclose *f = fopen(file, "re");
	char bh_autofree *line = NULL;
	size_t cap = 0;
	ssize_t n;

	x->file = file;
	if (!f)
		return -errno;
	while ((n = getline(&line, &cap, f)) > 0) {
		if ((size_t)n > LINE_MAX_BYTES)
			return -EFBIG;
		export_line(x, line, (size_t)n - (line[n - 1] == '\n'));
	}
	return ferror(f) ? -EIO : 0;
}

/* "2026-01-02" or "2026-01-02T03:04:05" or with "Z": a beginning of what records have. */
static bool is_time(const char *s)
{
	static const char form[] = "0000-00-00T00:00:00.000000Z";
	size_t n = strlen(s);

	if (n > strlen(form) || n < 10)
		return false;
	for (size_t i = 0; i < n; i++)
		if (form[i] == '0' ? s[i] < '0' || s[i] > '9'
				   : s[i] != form[i] && !(s[i] == 'Z' && i == n - 1))
			return false;
	return true;
}

/* A "Z" after whole seconds would come after every fraction of that second. */
static char *bound(const char *s)
{
	size_t n = s ? strlen(s) : 0;
	return s ? bh_xstrndup(s, n - (n == 20 && s[19] == 'Z')) : NULL;
}

/* A mistyped action chooses nothing, as one that never came does. */
static void note_unseen(const struct export *x)
{
	for (size_t i = 0; i < x->actions->n; i++) {
		char bh_autofree *action = cli_safe(x->actions->item[i]);
		if (!x->seen[i])
			cli_note("no record has the action %s", action);
	}
}

int cli_audit_export(struct cli *cli, int argc, char **argv)
{
	char bh_autofree *since = bound(cli->opt[0]), bh_autofree *until = bound(cli->opt[1]);
	bool bh_autofree *seen = bh_xcalloc(cli->all[2].n + 1, sizeof(*seen));
	struct export x = {.since = since, .until = until, .actions = &cli->all[2], .seen = seen};
	int code = CLI_OK;

	for (int i = 0; i < 2; i++)
		if (cli->opt[i] && !is_time(cli->opt[i]))
			return cli_usage_error(NULL,
				"a time is written as 2026-01-02 or 2026-01-02T03:04:05Z, in UTC");
	if (cli->opt[3]) {
		int f = 0;
		while (bh_render_names[f] && !bh_streq(bh_render_names[f], cli->opt[3]))
			f++;
		if (!bh_render_names[f])
			return cli_usage_error(NULL, "--format takes ecs, ocsf or cef");
		x.format = (enum bh_render_format)f;
	}
	for (int i = 0; i < argc; i++) {
		int e = export_file(&x, argv[i]);
		if (e == 0)
			continue;
		char bh_autofree *file = cli_safe(argv[i]);
		cli_error("%s: %s", file, strerror(-e));
		code = CLI_FAILED;
	}
	note_unseen(&x);
	return code;
}
