/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What commands there are: all of them, those of a group ("policy"), and the one that was meant. */
#include "cli/cli.h"

static bool is_of_group(const struct cli_command *c, const char *group)
{
	size_t n = strlen(group);
	return strncmp(c->name, group, n) == 0 && c->name[n] == ' ';
}

static void print_list(const struct cli_command *list, size_t n, const char *group, FILE *out)
{
	int width = 0;
	for (size_t i = 0; i < n; i++)
		if (cli_width(list[i].name) > width)
			width = cli_width(list[i].name);
	for (size_t i = 0; i < n; i++)
		if (!group || is_of_group(&list[i], group))
			fprintf(out, "  %-*s  %s\n", width, list[i].name, list[i].summary);
}

void cli_help(const struct cli_command *list, size_t n, FILE *out)
{
	fputs("usage: bulkhead COMMAND …\n\n", out);
	print_list(list, n, NULL, out);
	fputs("\n  -o table|wide|json   how to print the answer\n"
	      "  --socket PATH        the daemon's socket (or BULKHEAD_SOCKET); " CLI_DEFAULT_SOCKET
	      "\n"
	      "\n`bulkhead COMMAND --help` says more about each.\n"
	      "Exit codes: 0 done, 1 the answer is no or it failed, 2 asked wrongly, 3 the daemon\n"
	      "does not answer. With -o json each line of standard error is an object, an error\n"
	      "{\"error\": {\"message\", \"exit\", \"hint\", \"http_status\", \"diagnostics\"}}.\n",
		out);
}

bool cli_help_group(const struct cli_command *list, size_t n, const char *group, FILE *out)
{
	size_t of_it = 0;
	for (size_t i = 0; i < n; i++)
		of_it += is_of_group(&list[i], group);
	if (!of_it)
		return false;
	fprintf(out, "usage: bulkhead %s COMMAND …\n\n", group);
	print_list(list, n, group, out);
	fputs("\n`bulkhead COMMAND --help` says more about each.\n", out);
	return true;
}

/* The command whose first word, or with a group whose second one, is nearest to what was typed; two
 * letters off at most, and fewer than it has. */
static const char *nearest(
	const struct cli_command *list, size_t n, const char *group, const char *word)
{
	unsigned best = 3;
	const char *found = NULL;
	for (size_t i = 0; i < n; i++) {
		if (group && !is_of_group(&list[i], group))
			continue;
		const char *name = list[i].name + (group ? strlen(group) + 1 : 0);
		size_t len = strcspn(name, " ");
		unsigned far = bh_text_distance(word, strlen(word), name, len);
		if (far < best && far < len) {
			best = far;
			found = name;
		}
	}
	return found;
}

int cli_unknown_command(const struct cli_command *list, size_t n, int argc, char **argv)
{
	struct bh_buf bh_autobuf known = {0};
	bool grouped = false;

	for (size_t i = 0; i < n; i++)
		if (is_of_group(&list[i], argv[0])) {
			bh_buf_printf(&known, "%s%s", known.len ? ", " : "",
				list[i].name + strlen(argv[0]) + 1);
			grouped = true;
		}
	const char *typed = grouped ? (argc > 1 ? argv[1] : "") : argv[0];
	const char *meant = nearest(list, n, grouped ? argv[0] : NULL, typed);
	char bh_autofree *word = cli_safe(argv[0]);
	char bh_autofree *guess =
		meant ? bh_xasprintf("; did you mean %.*s?", (int)strcspn(meant, " "), meant)
		      : bh_xstrdup("");
	if (grouped)
		return cli_usage_error(NULL, "%s needs one of: %s%s", word, known.s, guess);
	return cli_usage_error(NULL, "there is no command %s%s", word, guess);
}
