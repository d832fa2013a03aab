/* SPDX-License-Identifier: GPL-3.0-or-later */
/* bulkhead policy diff: two versions, policy by policy, whatever files they stand in. */
#include "cli/cli.h"

static const char *text_of(const json_t *list, const char *ref)
{
	const json_t *p;
	size_t i;
	json_array_foreach(list, i, p) if (bh_streq(cli_str(p, "policy"), ref)) return cli_str(
		p, "text");
	return NULL;
}

static void add_one(json_t *changes, const char *ref, const char *a, const char *b)
{
	struct bh_buf bh_autobuf diff = {0};
	if (bh_streq(a, b))
		return;
	cli_textdiff(a, b, &diff);
	json_array_append_new(changes, json_pack("{s:s, s:s, s:s}", "policy", ref, "change",
					       !a   ? "added"
					       : !b ? "removed"
						    : "changed",
					       "diff", diff.s ? diff.s : ""));
}

json_t *cli_policy_changes(const json_t *from, const json_t *to)
{
	json_t *changes = json_array();
	const json_t *p;
	size_t i;

	json_array_foreach(from, i, p) if (cli_str(p, "policy")) add_one(changes,
		cli_str(p, "policy"), cli_str(p, "text"), text_of(to, cli_str(p, "policy")));
	json_array_foreach(
		to, i, p) if (cli_str(p, "policy") && !text_of(from, cli_str(p, "policy")))
		add_one(changes, cli_str(p, "policy"), NULL, cli_str(p, "text"));
	return changes;
}

/* The hunks' lines in colour. Their text is somebody else's. */
static void print_hunks(const struct cli *cli, const char *text)
{
	while (*text) {
		size_t len = strcspn(text, "\n");
		char bh_autofree *line = bh_xstrndup(text, len);
		char bh_autofree *shown = cli_safe_lines(line);
		const char *sgr = *line == '+'   ? "\033[32m"
				  : *line == '-' ? "\033[31m"
				  : *line == '@' ? "\033[36m"
						 : NULL;
		printf("%s%s%s\n", cli_paint(cli, sgr ? sgr : ""), shown,
			cli_paint(cli, sgr ? "\033[0m" : ""));
		text += len + (text[len] == '\n');
	}
}

void cli_print_changes(
	const struct cli *cli, const json_t *changes, const char *from, const char *to)
{
	const json_t *c;
	size_t i;

	json_array_foreach(changes, i, c)
	{
		char bh_autofree *ref = cli_safe(cli_str(c, "policy"));
		const char *change = cli_str(c, "change");
		printf("--- %s (%s)\n+++ %s (%s)\n", bh_streq(change, "added") ? "/dev/null" : ref,
			from, bh_streq(change, "removed") ? "/dev/null" : ref, to);
		print_hunks(cli, cli_str(c, "diff") ?: "");
	}
}

static int get_version(struct cli *cli, const char *version, struct cli_reply *ret)
{
	uint64_t n;
	if (!bh_streq(version, "current") && (bh_parse_u64(version, INT64_MAX, &n) < 0 || n == 0))
		return cli_usage_error(
			NULL, "policy diff takes numbers of versions, not \"%s\"", version);
	char bh_autofree *target = bh_xasprintf("/v1/policies/versions/%s", version);
	return cli_ask(cli, "GET", target, NULL, ret);
}

static json_int_t number_of(const struct cli_reply *r)
{
	return cli_num(json_object_get(r->json, "version"), "version");
}

static int show(struct cli *cli, const struct cli_reply *a, const struct cli_reply *b)
{
	json_t *changes = cli_policy_changes(
		json_object_get(a->json, "policies"), json_object_get(b->json, "policies"));
	char bh_autofree *from = bh_xasprintf("version %" JSON_INTEGER_FORMAT, number_of(a));
	char bh_autofree *to = bh_xasprintf("version %" JSON_INTEGER_FORMAT, number_of(b));

	if (cli->json) {
		json_t *o = json_pack("{s:I, s:I, s:O}", "from", number_of(a), "to", number_of(b),
			"policies", changes);
		cli_print_json(cli, o);
		json_decref(o);
	} else {
		cli_print_changes(cli, changes, from, to);
		if (json_array_size(changes) == 0)
			printf("%s and %s have the same policies\n", from, to);
	}
	json_decref(changes);
	return CLI_OK;
}

int cli_policy_diff(struct cli *cli, int argc, char **argv)
{
	struct cli_reply cli_autoreply a = {0}, cli_autoreply b = {0};
	char bh_autofree *before = NULL;

	int e = get_version(cli, argc == 2 ? argv[1] : "current", &b);
	if (e != CLI_OK)
		return e;
	if (argc == 0 && number_of(&b) < 2) {
		cli_error("there is no version before the one in force");
		return CLI_FAILED;
	}
	before = bh_xasprintf("%" JSON_INTEGER_FORMAT, number_of(&b) - 1);
	e = get_version(cli, argc ? argv[0] : before, &a);
	return e == CLI_OK ? show(cli, &a, &b) : e;
}
