/* SPDX-License-Identifier: GPL-3.0-or-later */
/* bulkhead policy apply | delete | list */
#include "cli/cli.h"

static json_t *make_body(const struct cli *cli, const struct cli_files *f)
{
	json_t *sources = json_array();
	for (size_t i = 0; i < f->n; i++) {
		char bh_autofree *name = cli_safe(f->item[i].name);
		json_t *text = json_stringn(f->item[i].text, f->item[i].len);
		json_array_append_new(sources, json_pack("{s:s, s:o}", "file", name, "text", text));
	}
	return json_pack("{s:o, s:b}", "sources", sources, "dry_run", cli->opt[0] != NULL);
}

static void print_applied(struct cli *cli, const json_t *reply)
{
	static const char *const head[] = {"NAMESPACE", "NAME", "ACTION"};
	struct cli_table t;
	const json_t *p;
	size_t i;

	cli_table_init(&t, cli, head, BH_ARRAY_SIZE(head));
	json_array_foreach(json_object_get(reply, "policies"), i, p)
	{
		cli_table_add(&t, cli_str(p, "namespace"));
		cli_table_add(&t, cli_str(p, "name"));
		cli_table_add(&t, cli_str(p, "action"));
	}
	cli_table_finish(&t);
	char bh_autofree *sha = cli_safe(cli_str(reply, "sha256"));
	if (cli_flag(reply, "dry_run"))
		puts("nothing was changed (--dry-run)");
	else
		printf("in force: generation %" JSON_INTEGER_FORMAT ", %.12s\n",
			cli_num(reply, "generation"), sha);
}

int cli_policy_apply(struct cli *cli, int argc, char **argv)
{
	struct bh_diags bh_autodiags diags = {0};
	struct cli_reply cli_autoreply r = {0};
	struct cli_files f = {0};
	size_t policies;

	int e = cli_files_read(argc, argv, &f);
	if (e != CLI_OK)
		return e;
	/* Checked here first: errors then have the names of the caller's files, and text that is
	 * not UTF-8 never gets into JSON. */
	cli_files_check(&f, &diags, &policies);
	cli_print_diags(&diags, stderr);
	if (diags.n_errors) {
		fputs("bulkhead: nothing was changed\n", stderr);
		cli_files_finish(&f);
		return CLI_FAILED;
	}
	json_t *body = make_body(cli, &f);
	cli_files_finish(&f);
	e = cli_ask(cli, "POST", "/v1/policies", body, &r);
	json_decref(body);
	if (e == CLI_OK && cli->json)
		cli_print_json(cli, r.json);
	else if (e == CLI_OK)
		print_applied(cli, r.json);
	else if (cli->json && r.json)
		cli_print_json(cli, r.json);
	return e;
}

int cli_policy_delete(struct cli *cli, int argc BH_UNUSED, char **argv)
{
	struct cli_reply cli_autoreply r = {0};
	const char *slash = strchr(argv[0], '/');

	if (!slash || slash == argv[0] || !slash[1] || strchr(slash + 1, '/'))
		return cli_usage_error(
			NULL, "policy delete takes NAMESPACE/NAME, not \"%s\"", argv[0]);
	char bh_autofree *ns = bh_xstrndup(argv[0], (size_t)(slash - argv[0]));
	char bh_autofree *ns_encoded = cli_urlencode(ns);
	char bh_autofree *name = cli_urlencode(slash + 1);
	char bh_autofree *target = bh_xasprintf("/v1/policies/%s/%s", ns_encoded, name);
	int e = cli_ask(cli, "DELETE", target, NULL, &r);
	if (e != CLI_OK)
		return e;
	if (cli->json)
		cli_print_json(cli, r.json);
	else
		printf("deleted; in force: generation %" JSON_INTEGER_FORMAT "\n",
			cli_num(r.json, "generation"));
	return CLI_OK;
}

int cli_policy_list(struct cli *cli, int argc BH_UNUSED, char **argv BH_UNUSED)
{
	static const char *const head[] = {
		"NAMESPACE", "NAME", "SELECTOR", "DIRECTIONS", "RULES", "WORKLOADS", "FILE"};
	struct cli_reply cli_autoreply r = {0};
	struct cli_table t;
	const json_t *p;
	size_t i;
	bool done;

	int e = cli_get(cli, "/v1/policies", &r, &done);
	if (e != CLI_OK || done)
		return e;
	cli_table_init(&t, cli, head, BH_ARRAY_SIZE(head));
	json_array_foreach(json_object_get(r.json, "policies"), i, p)
	{
		const json_t *rules = json_object_get(p, "rules");
		cli_table_add(&t, cli_str(p, "namespace"));
		cli_table_add(&t, cli_str(p, "name"));
		cli_table_add(&t, cli_str(p, "selector"));
		cli_table_add_list(&t, json_object_get(p, "directions"));
		cli_table_addf(&t, "%" JSON_INTEGER_FORMAT " in, %" JSON_INTEGER_FORMAT " out",
			cli_num(rules, "ingress"), cli_num(rules, "egress"));
		cli_table_addf(&t, "%" JSON_INTEGER_FORMAT, cli_num(p, "workloads"));
		cli_table_addf(&t, "%s:%" JSON_INTEGER_FORMAT, cli_str(p, "file") ?: "?",
			cli_num(p, "line"));
	}
	cli_table_finish(&t);
	char bh_autofree *sha = cli_safe(cli_str(r.json, "sha256"));
	printf("generation %" JSON_INTEGER_FORMAT ", %.12s\n", cli_num(r.json, "generation"), sha);
	return CLI_OK;
}
