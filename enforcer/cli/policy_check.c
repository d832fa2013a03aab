/* SPDX-License-Identifier: GPL-3.0-or-later */
/* bulkhead policy check: for editors and pipelines; asks nobody, needs no privilege. */
#include <bulkhead/lint.h>
#include <bulkhead/scenario.h>

#include "cli/findings.h"

enum { STATE, STRICT }; /* options, see commands.c */

struct check {
	struct cli_findings found;
	struct cli_files files;
	struct bh_scenario *scenario; /* NULL without --state */
	struct bh_policy_parse_opts opts;
	size_t policies;
};

/* What could not be read is told on standard error, and to programs as a diagnostic. */
static void take_unread(const struct cli *cli, struct check *c, struct bh_diags *unread)
{
	cli_complain(unread);
	if (cli->json)
		cli_findings_take(&c->found, unread);
	else
		c->found.errors += unread->n_errors;
	bh_diags_finish(unread);
}

/* Without a state that can be read, the policies are checked as far as they can be. */
static void read_state(const struct cli *cli, struct check *c, const char *name)
{
	struct bh_diags bh_autodiags diags = {0};
	struct cli_files f;
	char *argv[] = {(char *)name};

	c->opts = (struct bh_policy_parse_opts){.default_ns = "default", .nodes = BH_NODES_UNSURE};
	if (!name)
		return;
	cli_files_collect(1, argv, &f, &diags);
	take_unread(cli, c, &diags);
	if (f.n == 1 && !f.item[0].in_directory &&
		bh_scenario_parse(f.item[0].name, f.item[0].text, f.item[0].len, BH_SCENARIO_STATE,
			&diags, &c->scenario) == 0)
		c->opts = bh_scenario_policy_opts(&c->scenario->state[0]);
	else if (f.n > 1 || (f.n && f.item[0].in_directory))
		bh_diag_add(&diags, BH_ERROR, name, 0, 0, NULL, "give one file",
			"a directory is no state");
	cli_files_finish(&f);
	cli_findings_take(&c->found, &diags);
}

/* Parses the files that `which` says (NULL: all of them). The set, or NULL. */
static struct bh_policy_set *parse(const struct check *c, const bool *which, struct bh_diags *diags)
{
	struct bh_policy_source bh_autofree *src = bh_xcalloc(c->files.n + 1, sizeof(*src));
	struct bh_policy_set *set = NULL;
	size_t n = 0;
	for (size_t i = 0; i < c->files.n; i++) {
		const struct cli_file *f = &c->files.item[i];
		if (!which || which[i])
			src[n++] = (struct bh_policy_source){f->name, f->text, f->len};
	}
	bh_policy_set_parse(src, n, &c->opts, diags, &set);
	return set;
}

static bool has_error(const struct bh_diags *d, const char *file)
{
	for (size_t i = 0; i < d->n; i++)
		if (d->item[i].severity == BH_ERROR && bh_streq(d->item[i].file, file))
			return true;
	return false;
}

/* More is wrong than one list holds: each file by itself, so that none hides the others. */
static void check_each(struct check *c, bool *ret_good)
{
	bool bh_autofree *one = bh_xcalloc(c->files.n, sizeof(*one));
	for (size_t i = 0; i < c->files.n; i++) {
		struct bh_diags bh_autodiags diags = {0};
		one[i] = true;
		bh_policy_set_unref(parse(c, one, &diags));
		one[i] = false;
		ret_good[i] = diags.n_errors == 0;
		if (!ret_good[i])
			cli_findings_take(&c->found, &diags);
	}
}

/* Some files are broken: what can be said of the others? */
static struct bh_policy_set *parse_good(struct check *c, struct bh_diags *diags)
{
	struct bh_diags bh_autodiags again = {0};
	bool bh_autofree *good = bh_xcalloc(c->files.n, sizeof(*good));
	bool crowded = diags->n_suppressed && c->files.n > 1;

	if (crowded)
		check_each(c, good);
	for (size_t i = 0; !crowded && i < c->files.n; i++)
		good[i] = !has_error(diags, c->files.item[i].name);
	struct bh_policy_set *set = parse(c, good, &again);
	cli_findings_take(&c->found, crowded ? &again : diags);
	return set;
}

static void check_all(struct check *c)
{
	struct bh_diags bh_autodiags diags = {0}, lint = {0};

	c->opts.strict_empty = true;
	for (size_t i = 0; i < c->files.n; i++)
		c->opts.strict_empty &= !c->files.item[i].in_directory;
	struct bh_policy_set *set = parse(c, NULL, &diags);
	if (set)
		cli_findings_take(&c->found, &diags);
	else
		set = parse_good(c, &diags);
	if (!set)
		return;
	c->policies = set->n;
	bh_lint(set, c->scenario ? c->scenario->state[0].inv : NULL, &lint);
	bh_policy_set_unref(set);
	cli_findings_take(&c->found, &lint);
}

static void print_json(const struct cli *cli, const struct check *c)
{
	json_t *all =
		json_pack("{s:I, s:I, s:I, s:I, s:o}", "files", (json_int_t)c->files.n, "policies",
			(json_int_t)c->policies, "errors", (json_int_t)c->found.errors, "warnings",
			(json_int_t)c->found.warnings, "diagnostics", cli_findings_json(&c->found));
	cli_print_json(cli, all);
	json_decref(all);
}

/* To people as the last line, also if all is well; a program has it in the answer. */
static void print_summary(const struct cli *cli, const struct check *c)
{
	const struct cli_findings *f = &c->found;
	char bh_autofree *text =
		f->errors ? bh_xasprintf("%zu file%s: %zu error%s, %zu warning%s", c->files.n,
				    bh_plural(c->files.n), f->errors, bh_plural(f->errors),
				    f->warnings, bh_plural(f->warnings))
			  : bh_xasprintf("%zu file%s: %zu polic%s, no error, %zu warning%s",
				    c->files.n, bh_plural(c->files.n), c->policies,
				    c->policies == 1 ? "y" : "ies", f->warnings,
				    bh_plural(f->warnings));
	if (!cli->json)
		fprintf(stderr, "%s\n", text);
	else if (f->errors || (cli->opt[STRICT] && f->warnings))
		cli_error("%s", text);
	else
		cli_note("%s", text);
}

int cli_policy_check(struct cli *cli, int argc, char **argv)
{
	struct bh_diags bh_autodiags unread = {0};
	struct check c = {0};

	cli_files_collect(argc, argv, &c.files, &unread);
	take_unread(cli, &c, &unread);
	read_state(cli, &c, cli->opt[STATE]);
	check_all(&c);
	cli_findings_sort(&c.found);
	if (cli->json)
		print_json(cli, &c);
	else
		cli_findings_print(cli, &c.found);
	fflush(stdout);
	print_summary(cli, &c);
	int r = c.found.errors || (cli->opt[STRICT] && c.found.warnings) ? CLI_FAILED : CLI_OK;
	cli_findings_finish(&c.found);
	cli_files_finish(&c.files);
	bh_scenario_free(c.scenario);
	return r;
}
