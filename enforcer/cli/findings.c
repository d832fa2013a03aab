/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What `policy check` found, in order and bounded: of each file the first hundred, so that a file
 * of garbage cannot hide what is wrong with the others, and of all together some thousands.
 */
#include <limits.h>

#include "cli/findings.h"

#define MAX_PER_FILE 100
#define MAX_KEPT 5000
#define LAST INT_MAX /* line of "and N more": behind all others of its file */

static int compare(const void *pa, const void *pb)
{
	const struct bh_diag *a = pa, *b = pb;
	int c = bh_strcmp0(a->file, b->file);
	if (c)
		return c;
	if (a->line != b->line)
		return a->line < b->line ? -1 : 1;
	if (a->column != b->column)
		return a->column < b->column ? -1 : 1;
	c = bh_strcmp0(a->path, b->path);
	return c ? c : bh_strcmp0(a->what, b->what);
}

static void free_diag(struct bh_diag *d)
{
	free(d->file);
	free(d->path);
	free(d->what);
	free(d->remedy);
}

/* Says of `file` that n more were found; NULL: in other files. */
static void add_rest(struct cli_findings *f, const char *file, size_t n, enum bh_severity severity)
{
	BH_GROW(f->item, f->n, f->cap);
	f->item[f->n++] = (struct bh_diag){.severity = severity,
		.file = bh_xstrdup(file),
		.line = LAST,
		.what = bh_xasprintf("and %zu more", n)};
}

/* n of one file, sorted. unseen: that were counted only. */
static void take_file(struct cli_findings *f, struct bh_diag *d, size_t n, size_t unseen)
{
	size_t kept = n <= MAX_PER_FILE ? n : MAX_PER_FILE;
	enum bh_severity worst = BH_WARNING;
	if (f->n + kept > MAX_KEPT)
		kept = 0;
	for (size_t i = 0; i < kept; i++) {
		BH_GROW(f->item, f->n, f->cap);
		f->item[f->n++] = d[i];
	}
	for (size_t i = kept; i < n; i++)
		if (d[i].severity == BH_ERROR)
			worst = BH_ERROR;
	if (kept == 0 && n) {
		f->hidden += n + unseen;
	} else if (n - kept + unseen) {
		add_rest(f, d[0].file, n - kept + unseen, worst);
	}
	for (size_t i = kept; i < n; i++)
		free_diag(&d[i]);
}

void cli_findings_take(struct cli_findings *f, struct bh_diags *from)
{
	size_t end, unseen = from->n_suppressed;
	f->errors += from->n_errors;
	f->warnings += from->n + unseen - from->n_errors;
	if (from->n)
		qsort(from->item, from->n, sizeof(*from->item), compare);
	bool one_file = from->n && bh_streq(from->item[0].file, from->item[from->n - 1].file);
	for (size_t i = 0; i < from->n; i = end) {
		for (end = i + 1;
			end < from->n && bh_streq(from->item[end].file, from->item[i].file); end++)
			;
		take_file(f, &from->item[i], end - i, one_file ? unseen : 0);
	}
	if (!one_file)
		f->hidden += unseen;
	free(from->item);
	*from = (struct bh_diags){0};
}

void cli_findings_sort(struct cli_findings *f)
{
	if (f->n)
		qsort(f->item, f->n, sizeof(*f->item), compare);
	if (f->hidden)
		add_rest(f, NULL, f->hidden, f->errors ? BH_ERROR : BH_WARNING);
	for (size_t i = 0; i < f->n; i++)
		if (f->item[i].line == LAST)
			f->item[i].line = 0;
}

void cli_findings_finish(struct cli_findings *f)
{
	for (size_t i = 0; i < f->n; i++)
		free_diag(&f->item[i]);
	free(f->item);
	*f = (struct cli_findings){0};
}

static size_t place_length(const struct bh_diag *d)
{
	struct bh_buf bh_autobuf b = {0};
	struct bh_diag place = *d;
	place.path = place.remedy = NULL;
	place.what = (char[]){""};
	bh_diag_format(&place, &b);
	return b.len - 1; /* without the newline */
}

void cli_findings_print(const struct cli *cli, const struct cli_findings *f)
{
	for (size_t i = 0; i < f->n; i++) {
		struct bh_buf bh_autobuf b = {0};
		const struct bh_diag *d = &f->item[i];
		bh_diag_format(d, &b); /* safe for a terminal */
		size_t place = place_length(d);
		fputs(cli_paint(cli, d->severity == BH_ERROR ? "\033[31m" : "\033[33m"), stdout);
		fwrite(b.s, 1, place, stdout);
		fputs(cli_paint(cli, "\033[0m"), stdout);
		fputs(b.s + place, stdout);
	}
}

json_t *cli_findings_json(const struct cli_findings *f)
{
	return cli_diags_json(f->item, f->n);
}
