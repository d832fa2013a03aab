/* SPDX-License-Identifier: GPL-3.0-or-later */
/* See answer.h. */
#include "answer/answer.h"

struct bh_answer bh_answer_json(int status, json_t *json)
{
	return (struct bh_answer){.status = status, .json = json};
}

struct bh_answer bh_answer_text(int status, const char *content_type, char *text)
{
	return (struct bh_answer){.status = status, .text = text, .content_type = content_type};
}

static json_t *diag_json(const struct bh_diag *d)
{
	return json_pack("{s:s?, s:i, s:i, s:s?, s:s?, s:s?, s:s}", "file", d->file, "line",
		d->line, "column", d->column, "path", d->path, "what", d->what, "remedy", d->remedy,
		"severity", d->severity == BH_ERROR ? "error" : "warning");
}

struct bh_answer bh_answer_error(int status, const struct bh_diags *diags, const char *fmt, ...)
{
	char *text = NULL;
	va_list ap;
	va_start(ap, fmt);
	int n = vasprintf(&text, fmt, ap);
	va_end(ap);
	json_t *o = json_pack("{s:s}", "error", n < 0 ? "out of memory" : text);
	if (n >= 0)
		free(text);
	if (diags && diags->n) {
		json_t *list = json_array();
		for (size_t i = 0; i < diags->n; i++)
			json_array_append_new(list, diag_json(&diags->item[i]));
		json_object_set_new(o, "diagnostics", list);
	}
	return bh_answer_json(status, o);
}
