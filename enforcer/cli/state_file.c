/* SPDX-License-Identifier: GPL-3.0-or-later */
/* --state FILE, and `bulkhead state`, which prints such a file of the running daemon. */
#include "cli/decision.h"

struct bh_scenario *cli_state_load(const char *file)
{
	struct bh_diags bh_autodiags diags = {0};
	struct cli_files f = {0};
	struct bh_scenario *s = NULL;
	char *words[] = {(char *)file};

	if (cli_files_read(1, words, &f) != CLI_OK)
		return NULL;
	if (f.n != 1 || f.item[0].in_directory) {
		cli_error("--state takes one file, not a directory");
	} else {
		bh_scenario_parse(f.item[0].name, f.item[0].text, f.item[0].len, BH_SCENARIO_STATE,
			&diags, &s);
		bh_diags_sort(&diags);
		cli_error_diags(&diags);
	}
	cli_files_finish(&f);
	return s;
}

const struct bh_scenario_state *cli_state_pick(const struct bh_scenario *s, const char *name)
{
	const struct bh_scenario_state *st = bh_scenario_find(s, name);
	if (st)
		return st;
	char bh_autofree *shown = cli_safe(name), bh_autofree *file = cli_safe(s->file);
	struct bh_buf bh_autobuf has = {0};
	for (size_t i = 1; i < s->n_states; i++) {
		char bh_autofree *other = cli_safe(s->state[i].name);
		bh_buf_printf(&has, "%s\"%s\"", i > 1 ? ", " : "; it has ", other);
	}
	cli_error("%s has no state \"%s\"%s", file, shown, has.s ? has.s : "");
	return NULL;
}

int cli_state(struct cli *cli, int argc BH_UNUSED, char **argv BH_UNUSED)
{
	return cli_print_document(cli, "/v1/state");
}
