/* SPDX-License-Identifier: GPL-3.0-or-later */
/* bulkhead policy history | show | rollback | confirm | cancel */
#include "cli/cli.h"

static void add_version(struct cli_table *t, const json_t *v)
{
	const json_t *uid = json_object_get(v, "uid");
	char bh_autofree *when = bh_xasprintf("%s", cli_str(v, "at") ?: "");
	char buf[24];

	cli_table_addf(t, "%" JSON_INTEGER_FORMAT "%s", cli_num(v, "version"),
		cli_str(v, "confirm_by")  ? " (in force, on trial)"
		: cli_flag(v, "in_force") ? " (in force)"
					  : "");
	cli_table_add(t, cli_time(when, buf));
	if (json_is_integer(uid))
		cli_table_addf(t, "%s (uid %" JSON_INTEGER_FORMAT ", pid %" JSON_INTEGER_FORMAT ")",
			cli_str(v, "user") ?: "?", json_integer_value(uid), cli_num(v, "pid"));
	else
		cli_table_add(t, cli_str(v, "user"));
	cli_table_add(t, cli_str(v, "cause"));
	cli_table_addf(t, "%" JSON_INTEGER_FORMAT, cli_num(v, "policies"));
	cli_table_addf(t, "%.12s", cli_str(v, "sha256") ?: "");
	cli_table_add(t, cli_str(v, "comment"));
}

int cli_policy_history(struct cli *cli, int argc BH_UNUSED, char **argv BH_UNUSED)
{
	static const char *const head[] = {
		"VERSION", "WHEN (UTC)", "WHO", "CAUSE", "POLICIES", "SHA", "COMMENT"};
	struct cli_reply cli_autoreply r = {0};
	struct cli_table t;
	const json_t *v;
	size_t i;
	bool done;

	int e = cli_get(cli, "/v1/policies/history", &r, &done);
	if (e != CLI_OK || done)
		return e;
	cli_table_init(&t, cli, head, BH_ARRAY_SIZE(head));
	json_array_foreach(json_object_get(r.json, "versions"), i, v) add_version(&t, v);
	cli_table_finish(&t);
	return CLI_OK;
}

static bool is_number(const char *s)
{
	uint64_t n;
	return bh_parse_u64(s, INT64_MAX, &n) == 0 && n > 0;
}

static const json_t *find_policy(const json_t *list, const char *ref)
{
	const json_t *p;
	size_t i;
	json_array_foreach(list, i, p) if (bh_streq(cli_str(p, "policy"), ref)) return p;
	return NULL;
}

/* A stream of documents that can be applied again. */
static void print_policy(const json_t *p, bool first)
{
	char bh_autofree *text = cli_safe_lines(cli_str(p, "text"));
	size_t len = strlen(text), at = strspn(text, "\n");
	if (!first)
		puts("---");
	printf("%s%s", text + (at < len ? at : 0), len && text[len - 1] == '\n' ? "" : "\n");
}

int cli_policy_show(struct cli *cli, int argc, char **argv)
{
	struct cli_reply cli_autoreply r = {0};
	const char *version = cli->opt[0] ? cli->opt[0] : "current";
	bool done;

	if (cli->opt[0] && !is_number(version))
		return cli_usage_error(NULL, "--version takes a number, not \"%s\"", version);
	char bh_autofree *target = bh_xasprintf("/v1/policies/versions/%s", version);
	int e = cli_get(cli, target, &r, &done);
	if (e != CLI_OK || done)
		return e;
	const json_t *list = json_object_get(r.json, "policies"), *p;
	size_t k;
	if (argc == 0)
		json_array_foreach(list, k, p) print_policy(p, k == 0);
	for (int i = 0, shown = 0; i < argc; i++) {
		if ((p = find_policy(list, argv[i]))) {
			print_policy(p, shown++ == 0);
			continue;
		}
		char bh_autofree *name = cli_safe(argv[i]);
		cli_error("there is no policy %s in version %" JSON_INTEGER_FORMAT
			  ": NAMESPACE/NAME, or cnp:NAME, as in `bulkhead policy list`",
			name, cli_num(json_object_get(r.json, "version"), "version"));
		e = CLI_FAILED;
	}
	return e;
}

static void print_rolled_back(const json_t *reply)
{
	const json_t *f;
	size_t i;

	json_array_foreach(json_object_get(reply, "files"), i, f)
	{
		char bh_autofree *file = cli_safe(cli_str(f, "file"));
		char bh_autofree *action = cli_safe(cli_str(f, "action"));
		printf("%s %s\n", action, file);
	}
	if (cli_flag(reply, "changed"))
		printf("in force: version %" JSON_INTEGER_FORMAT
		       ", the policies of version %" JSON_INTEGER_FORMAT "\n",
			cli_num(reply, "generation"), cli_num(reply, "to"));
	else
		printf("in force already: version %" JSON_INTEGER_FORMAT "\n",
			cli_num(reply, "generation"));
	cli_print_confirm(reply);
}

int cli_policy_rollback(struct cli *cli, int argc, char **argv)
{
	struct cli_reply cli_autoreply r = {0};

	if (argc && !is_number(argv[0]))
		return cli_usage_error(
			NULL, "policy rollback takes the number of a version, not \"%s\"", argv[0]);
	json_t *body = json_pack("{s:b}", "force", cli->opt[0] != NULL);
	if (argc)
		json_object_set_new(body, "version", json_integer(atoll(argv[0])));
	int e = cli_change_options(cli->opt[1], cli->opt[2], body);
	if (e == CLI_OK)
		e = cli_ask(cli, "POST", "/v1/policies/rollback", body, &r);
	json_decref(body);
	if (cli->json && r.json)
		cli_print_json(cli, r.json);
	else if (e == CLI_OK)
		print_rolled_back(r.json);
	return e;
}

static int settle(struct cli *cli, const char *target, const char *word)
{
	struct cli_reply cli_autoreply r = {0};
	int e = cli_ask(cli, "POST", target, NULL, &r);
	if (cli->json && r.json)
		cli_print_json(cli, r.json);
	else if (e == CLI_OK)
		printf("%s; in force: version %" JSON_INTEGER_FORMAT "\n", word,
			cli_num(r.json, "generation"));
	return e;
}

int cli_policy_confirm(struct cli *cli, int argc BH_UNUSED, char **argv BH_UNUSED)
{
	return settle(cli, "/v1/policies/confirm", "confirmed");
}

int cli_policy_cancel(struct cli *cli, int argc BH_UNUSED, char **argv BH_UNUSED)
{
	return settle(cli, "/v1/policies/cancel", "taken back");
}
