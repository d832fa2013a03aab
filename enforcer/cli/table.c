/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Tables with columns as wide as their widest cell, counted in columns of the terminal. */
#include "cli/cli.h"

void cli_table_init(struct cli_table *t, const struct cli *cli, const char *const *head, size_t n)
{
	*t = (struct cli_table){.cli = cli, .columns = n};
	for (size_t i = 0; i < n; i++) {
		t->head[i] = head[i];
		t->width[i] = cli_width(head[i]);
	}
}

void cli_table_add(struct cli_table *t, const char *text)
{
	size_t column = t->n % t->columns;
	char *cell = cli_safe(text);
	int width = cli_width(cell);

	if (width > t->width[column])
		t->width[column] = width;
	BH_GROW(t->cell, t->n, t->cap);
	t->cell[t->n++] = cell;
}

void cli_table_addf(struct cli_table *t, const char *fmt, ...)
{
	char *text = NULL;
	va_list ap;
	va_start(ap, fmt);
	int n = vasprintf(&text, fmt, ap);
	va_end(ap);
	cli_table_add(t, n < 0 ? NULL : text);
	if (n >= 0)
		free(text);
}

void cli_table_add_service(struct cli_table *t, const json_t *o)
{
	const char *proto = cli_str(o, "protocol");
	if (cli_num(o, "port"))
		cli_table_addf(
			t, "%s/%" JSON_INTEGER_FORMAT, proto ? proto : "?", cli_num(o, "port"));
	else
		cli_table_add(t, proto);
}

void cli_table_add_volume(struct cli_table *t, const json_t *o)
{
	const json_t *v = json_object_get(o, "volume");
	char buf[16];
	cli_table_add(t, json_is_object(v) ? cli_bytes(cli_num(v, "bytes_out"), buf) : NULL);
	cli_table_add(t, json_is_object(v) ? cli_bytes(cli_num(v, "bytes_back"), buf) : NULL);
}

void cli_put_named(const json_t *o, const char *key, struct bh_buf *out)
{
	char names[32];
	const json_t *x;
	size_t i;
	snprintf(names, sizeof(names), "%s_names", key);
	const json_t *list = json_object_get(o, names);
	bh_buf_str(out, cli_str(o, key) ?: "");
	json_array_foreach(list, i, x)
		bh_buf_printf(out, "%s%s", i ? ", " : " (", json_string_value(x) ?: "");
	if (json_array_size(list))
		bh_buf_str(out, ")");
}

void cli_table_add_named(struct cli_table *t, const json_t *o, const char *key)
{
	struct bh_buf bh_autobuf b = {0};
	cli_put_named(o, key, &b);
	cli_table_add(t, b.s);
}

void cli_table_add_list(struct cli_table *t, const json_t *strings)
{
	struct bh_buf bh_autobuf b = {0};
	const json_t *s;
	size_t i;
	json_array_foreach(strings, i, s)
		bh_buf_printf(&b, "%s%s", i ? "," : "", json_string_value(s) ?: "?");
	cli_table_add(t, b.s);
}

/* The last column is not padded: no blanks at the ends of lines. */
static void print_cell(const struct cli_table *t, size_t column, const char *text, const char *sgr)
{
	bool last = column + 1 == t->columns;
	int pad = last ? 0 : t->width[column] - cli_width(text) + 2;
	if (sgr && t->cli->colour)
		printf("%s%s\033[0m%*s", sgr, text, pad, "");
	else
		printf("%s%*s", text, pad, "");
	if (last)
		putchar('\n');
}

void cli_table_flush(struct cli_table *t)
{
	if (!t->headed)
		for (size_t i = 0; i < t->columns; i++)
			print_cell(t, i, t->head[i], "\033[1m");
	t->headed = true;
	for (size_t i = 0; i < t->n; i++) {
		print_cell(t, i % t->columns, t->cell[i], cli_colour_of(t->cell[i]));
		free(t->cell[i]);
	}
	t->n = 0;
}

void cli_table_finish(struct cli_table *t)
{
	cli_table_flush(t);
	free(t->cell);
	t->cell = NULL;
}
