/* SPDX-License-Identifier: GPL-3.0-or-later */
/* bulkhead policy check: for editors and pipelines; asks nobody, needs no privilege. */
#include "cli/cli.h"

static json_t *diag_json(const struct bh_diag *d)
{
	return json_pack("{s:s?, s:i, s:i, s:s?, s:s?, s:s?, s:s}", "file", d->file, "line",
		d->line, "column", d->column, "path", d->path, "what", d->what, "remedy", d->remedy,
		"severity", d->severity == BH_ERROR ? "error" : "warning");
}

static size_t n_warnings(const struct bh_diags *d)
{
	size_t n = 0;
	for (size_t i = 0; i < d->n; i++)
		n += d->item[i].severity == BH_WARNING;
	return n;
}

static void print_as_json(
	const struct cli *cli, const struct cli_files *f, size_t policies, const struct bh_diags *d)
{
	json_t *list = json_array();
	for (size_t i = 0; i < d->n; i++) {
		json_t *o = diag_json(&d->item[i]);
		if (!o) /* a file name that is not UTF-8 */
			o = json_pack("{s:n, s:i, s:i, s:s, s:s}", "file", "line", d->item[i].line,
				"column", d->item[i].column, "what",
				"an error in a file whose name is not UTF-8", "severity", "error");
		json_array_append_new(list, o);
	}
	json_t *all = json_pack("{s:I, s:I, s:I, s:I, s:o}", "files", (json_int_t)f->n, "policies",
		(json_int_t)policies, "errors", (json_int_t)d->n_errors, "warnings",
		(json_int_t)n_warnings(d), "diagnostics", list);
	cli_print_json(cli, all);
	json_decref(all);
}

static const char *plural(size_t n)
{
	return n == 1 ? "" : "s";
}

int cli_policy_check(struct cli *cli, int argc, char **argv)
{
	struct bh_diags bh_autodiags diags = {0};
	struct cli_files f = {0};
	size_t policies;

	int r = cli_files_read(argc, argv, &f);
	if (r != CLI_OK)
		return r;
	cli_files_check(&f, &diags, &policies);
	size_t warnings = n_warnings(&diags);
	if (cli->json)
		print_as_json(cli, &f, policies, &diags);
	else
		cli_print_diags(&diags, stdout);
	fflush(stdout);
	if (diags.n_errors)
		fprintf(stderr, "%zu file%s: %zu error%s, %zu warning%s\n", f.n, plural(f.n),
			diags.n_errors, plural(diags.n_errors), warnings, plural(warnings));
	else
		fprintf(stderr, "%zu file%s: %zu polic%s, no error, %zu warning%s\n", f.n,
			plural(f.n), policies, policies == 1 ? "y" : "ies", warnings,
			plural(warnings));
	cli_files_finish(&f);
	return diags.n_errors ? CLI_FAILED : CLI_OK;
}
