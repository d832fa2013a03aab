/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cli/report.h"
#include "report_css.h"

#define WRAPS 24 /* bytes: what is no longer stands in one line of a page */

void cli_report_add(struct cli_report_section *s, const char *text)
{
	BH_GROW(s->cell, s->n, s->cap);
	s->cell[s->n++] = bh_xstrdup(text ? text : "");
}

void cli_report_addf(struct cli_report_section *s, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	char bh_autofree *text = cli_vformat(fmt, ap);
	va_end(ap);
	cli_report_add(s, text);
}

void cli_report_add_time(struct cli_report_section *s, const char *rfc3339)
{
	char when[24];
	cli_report_add(s, rfc3339 ? cli_time(rfc3339, when) : NULL);
}

void cli_report_fact(struct cli_report *r, const char *label, const char *fmt, ...)
{
	struct cli_report_fact f = {.label = bh_xstrdup(label)};
	va_list ap;
	va_start(ap, fmt);
	f.text = cli_vformat(fmt, ap);
	va_end(ap);
	BH_GROW(r->fact, r->n_facts, r->cap_facts);
	r->fact[r->n_facts++] = f;
}

void cli_report_finish(struct cli_report *r)
{
	for (size_t i = 0; i < r->n_facts; i++) {
		free(r->fact[i].label);
		free(r->fact[i].text);
	}
	free(r->fact);
	for (size_t i = 0; i < r->sections; i++) {
		for (size_t k = 0; k < r->section[i].n; k++)
			free(r->section[i].cell[k]);
		free(r->section[i].cell);
		free(r->section[i].note);
	}
}

size_t cli_report_rows(const struct cli_report *r, const struct cli_report_section *s)
{
	return s->n / r->columns;
}

/* For people a column that says nothing in a section is left out. */
static void find_shown(const struct cli_report *r, const struct cli_report_section *s,
	bool shown[static CLI_REPORT_COLUMNS])
{
	for (size_t c = 0; c < r->columns; c++)
		shown[c] = s->n == 0;
	for (size_t k = 0; k < s->n; k++)
		shown[k % r->columns] |= *s->cell[k] != '\0';
}

int cli_report_form_of(const char *format, enum cli_report_form *ret)
{
	if (format && !bh_streq(format, "csv") && !bh_streq(format, "html"))
		return cli_usage_error(NULL, "--format takes csv or html");
	*ret = bh_streq(format, "csv")    ? CLI_REPORT_CSV
	       : bh_streq(format, "html") ? CLI_REPORT_HTML
					  : CLI_REPORT_TABLE;
	return CLI_OK;
}

/* --- CSV: RFC 4180 --- */

/* A spreadsheet takes a cell that begins so for a formula (OWASP, "CSV Injection"). */
static bool is_formula(const char *s)
{
	return *s && strchr("=+-@\t\r\n", *s);
}

static void csv_cell(const char *text, bool last)
{
	char bh_autofree *safe = cli_safe_lines(text);
	putchar('"');
	if (is_formula(text) || is_formula(safe))
		putchar('\'');
	for (const char *s = safe; *s; s++) {
		if (*s == '"')
			putchar('"');
		putchar(*s);
	}
	fputs(last ? "\"\r\n" : "\",", stdout);
}

static void print_csv(const struct cli_report *r)
{
	if (r->sections > 1)
		csv_cell("section", false);
	for (size_t c = 0; c < r->columns; c++)
		csv_cell(r->column[c].key, c + 1 == r->columns);
	for (size_t i = 0; i < r->sections; i++) {
		const struct cli_report_section *s = &r->section[i];
		for (size_t k = 0; k < s->n; k++) {
			if (k % r->columns == 0 && r->sections > 1)
				csv_cell(s->key, false);
			csv_cell(s->cell[k], k % r->columns + 1 == r->columns);
		}
	}
}

/* --- HTML: one page, nothing loaded, no script --- */

static void html_text(const char *s)
{
	char bh_autofree *safe = cli_safe_lines(s);
	for (const char *p = safe; *p; p++) {
		if (*p == '<')
			fputs("&lt;", stdout);
		else if (*p == '>')
			fputs("&gt;", stdout);
		else if (*p == '&')
			fputs("&amp;", stdout);
		else if (*p == '"')
			fputs("&quot;", stdout);
		else
			putchar(*p);
	}
}

static bool is_bad(const struct cli_report *r, size_t column, const char *text)
{
	for (size_t i = 0; (int)column == r->marked && i < BH_ARRAY_SIZE(r->bad) && r->bad[i]; i++)
		if (bh_streq(r->bad[i], text))
			return true;
	return false;
}

static void html_row(
	const struct cli_report *r, const bool *shown, const char *tag, char *const *cell)
{
	fputs("<tr>", stdout);
	for (size_t c = 0; c < r->columns; c++) {
		const char *text = cell ? cell[c] : r->column[c].head;
		bool bad = cell && is_bad(r, c, text), wraps = cell && strlen(text) > WRAPS;
		if (!shown[c])
			continue;
		printf("<%s%s>", tag, bad ? " class=\"bad\"" : wraps ? " class=\"wraps\"" : "");
		html_text(text);
		printf("</%s>", tag);
	}
	fputs("</tr>\n", stdout);
}

static void html_section(const struct cli_report *r, const struct cli_report_section *s)
{
	bool shown[CLI_REPORT_COLUMNS];

	find_shown(r, s, shown);
	if (s->title) {
		fputs("<h2>", stdout);
		html_text(s->title);
		printf(" <span>%zu</span></h2>\n", cli_report_rows(r, s));
	}
	if (s->note) {
		fputs("<p>", stdout);
		html_text(s->note);
		fputs("</p>\n", stdout);
	}
	if (s->n == 0) {
		fputs("<p class=\"none\">None.</p>\n", stdout);
		return;
	}
	fputs("<table><thead>", stdout);
	html_row(r, shown, "th", NULL);
	fputs("</thead><tbody>\n", stdout);
	for (size_t k = 0; k < s->n; k += r->columns)
		html_row(r, shown, "td", s->cell + k);
	fputs("</tbody></table>\n", stdout);
}

static void print_html(const struct cli_report *r)
{
	/* Nothing may be loaded or run, whatever a name might smuggle in. */
	fputs("<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n"
	      "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; "
	      "style-src 'unsafe-inline'\">\n"
	      "<meta name=\"viewport\" content=\"width=device-width\">\n<title>Bulkhead: ",
		stdout);
	html_text(r->title);
	fputs("</title><style>\n", stdout);
	fputs(report_css, stdout);
	fputs("</style></head><body>\n<header><h1>", stdout);
	html_text(r->title);
	fputs("</h1><p>", stdout);
	html_text(r->controls);
	fputs("</p></header>\n", stdout);
	if (r->n_facts)
		fputs("<dl>\n", stdout);
	for (size_t i = 0; i < r->n_facts; i++) {
		fputs("<dt>", stdout);
		html_text(r->fact[i].label);
		fputs("</dt><dd>", stdout);
		html_text(r->fact[i].text);
		fputs("</dd>\n", stdout);
	}
	if (r->n_facts)
		fputs("</dl>\n", stdout);
	for (size_t i = 0; i < r->sections; i++)
		html_section(r, &r->section[i]);
	fputs("</body></html>\n", stdout);
}

/* --- for a terminal --- */

static void print_safe(const char *before, const char *text, const char *after)
{
	char bh_autofree *safe = cli_safe(text);
	printf("%s%s%s", before, safe, after);
}

static void print_table(
	struct cli *cli, const struct cli_report *r, const struct cli_report_section *s)
{
	const char *head[CLI_REPORT_COLUMNS];
	char *upper[CLI_REPORT_COLUMNS];
	bool shown[CLI_REPORT_COLUMNS];
	struct cli_table t;
	size_t n = 0;

	find_shown(r, s, shown);
	for (size_t c = 0; c < r->columns; c++) {
		upper[c] = bh_xstrdup(r->column[c].head);
		for (char *p = upper[c]; *p; p++)
			*p = *p >= 'a' && *p <= 'z' ? (char)(*p - 32) : *p;
		if (shown[c])
			head[n++] = upper[c];
	}
	cli_table_init(&t, cli, head, n);
	for (size_t k = 0; k < s->n; k++)
		if (shown[k % r->columns])
			cli_table_add(&t, s->cell[k]);
	cli_table_finish(&t);
	for (size_t c = 0; c < r->columns; c++)
		free(upper[c]);
}

static void print_tables(struct cli *cli, const struct cli_report *r)
{
	for (size_t i = 0; i < r->n_facts; i++) {
		print_safe("", r->fact[i].label, ": ");
		print_safe("", r->fact[i].text, "\n");
	}
	for (size_t i = 0; i < r->sections; i++) {
		const struct cli_report_section *s = &r->section[i];
		if (s->title)
			print_safe(i || r->n_facts ? "\n" : "", s->title, "\n");
		if (s->note)
			print_safe("", s->note, "\n");
		print_table(cli, r, s);
	}
	print_safe("\n", r->controls, "\n");
}

void cli_report_print(struct cli *cli, const struct cli_report *r, enum cli_report_form form)
{
	if (form == CLI_REPORT_CSV)
		print_csv(r);
	else if (form == CLI_REPORT_HTML)
		print_html(r);
	else
		print_tables(cli, r);
}
