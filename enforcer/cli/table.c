/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Tables with columns as wide as their widest cell, counted in columns of the terminal. On a
 * terminal that is narrower than the table, columns in which nothing stands are left out, then the
 * widest ones are cut in the middle of their cells, then those left out that matter least, and the
 * end names them. The last one is never cut: it may be a sentence, and wraps. Whoever reads a pipe,
 * or asks for `-o wide`, gets everything.
 */
#include "cli/cli.h"

#define NARROWEST 12 /* no column is cut to less */
#define WHOLE 19 /* one that is no wider is not cut: a time, a word, an address */

/* Of all tables, what matters least first. */
static const char *const least[] = {"SENT", "RECEIVED", "DURATION", "FIRST SEEN", "SUBTRACTED",
	"REJECTED", "SHA", "UID", "LEARNED", "IMAGES", "HOURS", "DAYS", "STARTS", "VETH", "ROLE",
	"ROWS", "FIRST FLOW", "MODE", "LAST SEEN", "LOADED", "ID"};

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
	va_list ap;
	va_start(ap, fmt);
	char bh_autofree *text = cli_vformat(fmt, ap);
	va_end(ap);
	cli_table_add(t, text);
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

static size_t last_shown(const struct cli_table *t)
{
	size_t last = t->columns - 1;
	while (last > 0 && t->hidden[last])
		last--;
	return last;
}

static int excess(const struct cli_table *t)
{
	size_t last = last_shown(t);
	int all = cli_width(t->head[last]) - t->cli->columns;
	for (size_t i = 0; i < last; i++)
		all += t->hidden[i] ? 0 : t->width[i] + 2;
	return all;
}

static void hide_empty(struct cli_table *t)
{
	for (size_t i = 0; t->n && i < t->columns; i++) {
		t->hidden[i] = true;
		for (size_t k = i; k < t->n; k += t->columns)
			t->hidden[i] &= bh_streq(t->cell[k], "-");
	}
}

/* A column less of the widest one that may be cut. */
static bool narrow(struct cli_table *t, const bool *whole)
{
	size_t last = last_shown(t), widest = last;
	for (size_t i = 0; i < last; i++)
		if (!t->hidden[i] && !whole[i] && t->width[i] > NARROWEST &&
			t->width[i] > cli_width(t->head[i]) &&
			(widest == last || t->width[i] > t->width[widest]))
			widest = i;
	if (widest == last)
		return false;
	t->width[widest]--;
	return true;
}

/* The next of those that matter least, from *next on. */
static bool leave_out(struct cli_table *t, size_t *next)
{
	while (*next < BH_ARRAY_SIZE(least)) {
		const char *name = least[(*next)++];
		for (size_t i = 0; i < t->columns; i++)
			if (!t->hidden[i] && bh_streq(t->head[i], name) && last_shown(t) > 0) {
				t->hidden[i] = t->left_out[i] = true;
				return true;
			}
	}
	return false;
}

static void fit(struct cli_table *t, bool complete)
{
	bool whole[CLI_MAX_COLUMNS];
	int width[CLI_MAX_COLUMNS];
	if (t->cli->columns == 0 || bh_streq(t->cli->format, "wide") || excess(t) <= 0)
		return;
	if (complete && !t->headed)
		hide_empty(t);
	for (size_t i = 0; i < t->columns; i++)
		whole[i] = t->width[i] <= WHOLE;
	memcpy(width, t->width, sizeof(width));
	for (size_t next = 0;;) {
		while (excess(t) > 0 && narrow(t, whole))
			;
		if (excess(t) <= 0 || t->headed || !leave_out(t, &next))
			return;
		memcpy(t->width, width, sizeof(width));
	}
}

/* The last column is not padded: no blanks at the ends of lines. */
static void print_cell(const struct cli_table *t, size_t column, const char *cell, const char *sgr)
{
	if (t->hidden[column])
		return;
	bool last = column == last_shown(t);
	char bh_autofree *text = last ? bh_xstrdup(cell) : cli_cut(cell, t->width[column]);
	int pad = last ? 0 : t->width[column] - cli_width(text) + 2;
	if (sgr && t->cli->colour)
		printf("%s%s\033[0m%*s", sgr, text, pad, "");
	else
		printf("%s%*s", text, pad, "");
	if (last)
		putchar('\n');
}

static void print_rows(struct cli_table *t, bool complete)
{
	fit(t, complete);
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

void cli_table_flush(struct cli_table *t)
{
	print_rows(t, false);
}

static void tell_left_out(const struct cli_table *t)
{
	const char *comma = "left out: ";
	for (size_t i = 0; i < t->columns; i++)
		if (t->left_out[i]) {
			printf("%s%s", comma, t->head[i]);
			comma = ", ";
		}
	if (*comma == ',')
		puts("; -o wide shows all");
}

void cli_table_finish(struct cli_table *t)
{
	print_rows(t, true);
	tell_left_out(t);
	free(t->cell);
	t->cell = NULL;
}
