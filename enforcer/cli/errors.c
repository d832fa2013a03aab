/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Standard error. Every complaint comes through here, so that it has one form for people and one
 * for programs: with -o json each line is an object, {"error": …}, {"warning": …} or {"note": …}.
 * There is one error at most, it is the last line, and it is made of all that was told until then:
 * a command may complain of several files. People are told at once.
 */
#include "cli/cli.h"

static struct {
	bool json;
	struct bh_buf message, hint; /* a line each */
	json_t *diags; /* NULL: none */
	int http;
} told;

void cli_errors_as_json(bool json)
{
	told.json = json;
}

/* A file may be called anything; JSON is UTF-8. */
static json_t *text_json(const char *s)
{
	json_t *j = s ? json_string(s) : json_null();
	if (j)
		return j;
	char bh_autofree *safe = cli_safe_lines(s);
	return json_string(safe);
}

json_t *cli_diags_json(const struct bh_diag *d, size_t n)
{
	json_t *list = json_array();
	for (size_t i = 0; i < n; i++, d++)
		json_array_append_new(list,
			json_pack("{s:o, s:i, s:i, s:o, s:o, s:o, s:s}", "file", text_json(d->file),
				"line", d->line, "column", d->column, "path", text_json(d->path),
				"what", text_json(d->what), "remedy", text_json(d->remedy),
				"severity", d->severity == BH_ERROR ? "error" : "warning"));
	return list;
}

static void print_object(const char *kind, json_t *take)
{
	json_t *line = json_pack("{s:o}", kind, take);
	char bh_autofree *text = cli_json_text(line, JSON_COMPACT | JSON_ENSURE_ASCII);
	fprintf(stderr, "%s\n", text);
	json_decref(line);
}

static void add_line(struct bh_buf *b, const char *fmt, va_list ap)
{
	if (b->len)
		bh_buf_str(b, "\n");
	char bh_autofree *text = cli_vformat(fmt, ap);
	bh_buf_str(b, text);
}

void cli_error(const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	if (told.json) {
		add_line(&told.message, fmt, ap);
	} else {
		fputs("bulkhead: ", stderr);
		vfprintf(stderr, fmt, ap);
		fputs("\n", stderr);
	}
	va_end(ap);
}

void cli_hint(const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	if (told.json) {
		add_line(&told.hint, fmt, ap);
	} else {
		vfprintf(stderr, fmt, ap);
		fputs("\n", stderr);
	}
	va_end(ap);
}

void cli_error_http(int status)
{
	told.http = status;
}

static void tell(const char *kind, const char *label, const char *fmt, va_list ap)
{
	char bh_autofree *text = cli_vformat(fmt, ap);
	if (told.json)
		print_object(kind, json_pack("{s:o}", "message", text_json(text)));
	else
		fprintf(stderr, "bulkhead: %s%s\n", label, text);
}

void cli_warn(const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	tell("warning", "warning: ", fmt, ap);
	va_end(ap);
}

void cli_note(const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	tell("note", "", fmt, ap);
	va_end(ap);
}

void cli_error_diags(const struct bh_diags *d)
{
	if (told.json) {
		json_t *list = cli_diags_json(d->item, d->n);
		if (!told.diags)
			told.diags = json_array();
		json_array_extend(told.diags, list);
		json_decref(list);
		if (d->n_suppressed)
			cli_error("and %zu more", d->n_suppressed);
	} else {
		cli_print_diags(d, stderr);
	}
}

/* Where there are only diagnostics, the first error among them says it. */
static json_t *message_json(void)
{
	const json_t *d;
	size_t i;
	if (told.message.len)
		return text_json(told.message.s);
	json_array_foreach(told.diags, i, d)
	{
		if (!bh_streq(cli_str(d, "severity"), "error"))
			continue;
		char bh_autofree *text = bh_xasprintf("%s:%d:%d: %s", cli_str(d, "file") ?: "",
			(int)cli_num(d, "line"), (int)cli_num(d, "column"), cli_str(d, "what"));
		return text_json(text);
	}
	return NULL;
}

static void end_with_error(json_t *take_message, int status)
{
	json_t *o = json_pack("{s:o, s:i}", "message", take_message, "exit", status);
	if (told.hint.len)
		json_object_set_new(o, "hint", text_json(told.hint.s));
	if (told.http)
		json_object_set_new(o, "http_status", json_integer(told.http));
	if (told.diags)
		json_object_set(o, "diagnostics", told.diags);
	print_object("error", o);
}

/* It was done all the same. */
static void end_with_warnings(void)
{
	json_t *d;
	size_t i;
	json_array_foreach(told.diags, i, d) print_object("warning", json_incref(d));
	if (told.message.len)
		print_object("warning", json_pack("{s:o}", "message", text_json(told.message.s)));
}

void cli_errors_end(int status)
{
	json_t *message = status == CLI_OK ? NULL : message_json();
	if (message)
		end_with_error(message, status);
	else
		end_with_warnings();
	json_decref(told.diags);
	told.diags = NULL;
	bh_buf_finish(&told.message);
	bh_buf_finish(&told.hint);
}
