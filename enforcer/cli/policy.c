/* SPDX-License-Identifier: GPL-3.0-or-later */
/* bulkhead policy apply | delete | list, and what plan and rollback share with apply. */
#include "cli/cli.h"

int cli_policy_body(int argc, char **argv, struct cli_files *ret_files, json_t **ret)
{
	struct bh_diags bh_autodiags diags = {0};
	struct cli_files f = {0};
	size_t policies;

	int e = cli_files_read(argc, argv, &f);
	if (e != CLI_OK)
		return e;
	/* Checked here first: errors then have the names of the caller's files, and text that is
	 * not UTF-8 never gets into JSON. */
	cli_files_check(&f, &diags, &policies);
	cli_error_diags(&diags);
	if (diags.n_errors) {
		cli_error("nothing was changed");
		cli_files_finish(&f);
		return CLI_FAILED;
	}
	json_t *sources = json_array();
	for (size_t i = 0; i < f.n; i++) {
		char bh_autofree *name = cli_safe(f.item[i].name);
		json_t *text = json_stringn(f.item[i].text, f.item[i].len);
		json_array_append_new(sources, json_pack("{s:s, s:o}", "file", name, "text", text));
	}
	*ret = json_pack("{s:o}", "sources", sources);
	if (ret_files)
		*ret_files = f;
	else
		cli_files_finish(&f);
	return CLI_OK;
}

int cli_confirm_within(const char *text, json_t *body)
{
	uint64_t seconds;
	if (!text)
		return CLI_OK;
	if (!cli_seconds(text, 3600, &seconds))
		return cli_usage_error(NULL,
			"--confirm-within takes a time such as 60s or 5m, from 1s to 1h, not "
			"\"%s\"",
			text);
	json_object_set_new(body, "confirm_within", json_integer((json_int_t)seconds));
	return CLI_OK;
}

static int set_message(const char *text, json_t *body)
{
	json_t *comment = text ? json_string(text) : NULL;
	if (text && !comment)
		return cli_usage_error(NULL, "the message is not UTF-8");
	if (comment)
		json_object_set_new(body, "comment", comment);
	return CLI_OK;
}

int cli_change_options(const char *message, const char *within, json_t *body)
{
	int e = set_message(message, body);
	return e == CLI_OK ? cli_confirm_within(within, body) : e;
}

void cli_print_actions(struct cli *cli, const json_t *reply)
{
	static const char *const head[] = {"POLICY", "ACTION"};
	struct cli_table t;
	const json_t *p;
	size_t i;

	cli_table_init(&t, cli, head, BH_ARRAY_SIZE(head));
	json_array_foreach(json_object_get(reply, "policies"), i, p)
	{
		cli_table_add(&t, cli_str(p, "policy"));
		cli_table_add(&t, cli_str(p, "action"));
	}
	cli_table_finish(&t);
	json_array_foreach(json_object_get(reply, "warnings"), i, p)
	{
		char bh_autofree *text = cli_safe(json_string_value(p));
		cli_warn("%s", text);
	}
}

void cli_print_confirm(const json_t *reply)
{
	const json_t *c = json_object_get(reply, "confirm");
	char when[24];
	if (!json_is_object(c))
		return;
	printf("on trial until %s UTC, then version %" JSON_INTEGER_FORMAT
	       " comes back: `bulkhead policy confirm` keeps it, `bulkhead policy cancel` takes it "
	       "back now\n",
		cli_time(cli_str(c, "deadline"), when), cli_num(c, "back_to"));
}

static void print_applied(struct cli *cli, const json_t *reply)
{
	cli_print_actions(cli, reply);
	char bh_autofree *sha = cli_safe(cli_str(reply, "sha256"));
	if (cli_flag(reply, "dry_run"))
		puts("nothing was changed (--dry-run)");
	else
		printf("in force: version %" JSON_INTEGER_FORMAT ", %.12s\n",
			cli_num(reply, "generation"), sha);
	cli_print_confirm(reply);
}

int cli_policy_apply(struct cli *cli, int argc, char **argv)
{
	struct cli_reply cli_autoreply r = {0};
	json_t *body = NULL;

	int e = cli_policy_body(argc, argv, NULL, &body);
	if (e != CLI_OK)
		return e;
	json_object_set_new(body, "dry_run", json_boolean(cli->opt[0] != NULL));
	json_object_set_new(body, "prune", json_boolean(cli->opt[3] != NULL));
	e = cli_change_options(cli->opt[1], cli->opt[2], body);
	if (e == CLI_OK)
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

/* "shop/web" or "cnp:name" as the path of the API; NULL if it is neither. Owned. */
static char *policy_target(const char *ref)
{
	const char *slash = strchr(ref, '/');
	if (strncmp(ref, "cnp:", 4) == 0 && ref[4] && !slash) {
		char bh_autofree *name = cli_urlencode(ref + 4);
		return bh_xasprintf("/v1/policies/_cluster/%s", name);
	}
	if (!slash || slash == ref || !slash[1] || strchr(slash + 1, '/'))
		return NULL;
	char bh_autofree *ns = bh_xstrndup(ref, (size_t)(slash - ref));
	char bh_autofree *ns_encoded = cli_urlencode(ns);
	char bh_autofree *name = cli_urlencode(slash + 1);
	return bh_xasprintf("/v1/policies/%s/%s", ns_encoded, name);
}

int cli_policy_delete(struct cli *cli, int argc BH_UNUSED, char **argv)
{
	struct cli_reply cli_autoreply r = {0};
	char bh_autofree *target = policy_target(argv[0]);

	if (!target)
		return cli_usage_error(NULL,
			"policy delete takes NAMESPACE/NAME or cnp:NAME, not \"%s\"", argv[0]);
	int e = cli_ask(cli, "DELETE", target, NULL, &r);
	if (e != CLI_OK)
		return e;
	if (cli->json)
		cli_print_json(cli, r.json);
	else
		printf("deleted; in force: version %" JSON_INTEGER_FORMAT "\n",
			cli_num(r.json, "generation"));
	return CLI_OK;
}

/* Whom it is about: "namespaces all; pods tier=db" of a ClusterNetworkPolicy. */
static void add_subject(struct cli_table *t, const json_t *p)
{
	const char *pods = cli_str(p, "selector"), *namespaces = cli_str(p, "namespaces");
	if (namespaces)
		cli_table_addf(t, "namespaces %s; pods %s", *namespaces ? namespaces : "all",
			pods && *pods ? pods : "all");
	else
		cli_table_add(t, pods);
}

static void add_policy(struct cli_table *t, const json_t *p)
{
	const json_t *rules = json_object_get(p, "rules");
	cli_table_add(t, cli_str(p, "namespace"));
	cli_table_add(t, cli_str(p, "name"));
	if (json_object_get(p, "priority"))
		cli_table_addf(t, "%s %" JSON_INTEGER_FORMAT, cli_str(p, "tier") ?: "?",
			cli_num(p, "priority"));
	else
		cli_table_add(t, cli_str(p, "tier"));
	add_subject(t, p);
	cli_table_add_list(t, json_object_get(p, "directions"));
	cli_table_addf(t, "%" JSON_INTEGER_FORMAT " in, %" JSON_INTEGER_FORMAT " out",
		cli_num(rules, "ingress"), cli_num(rules, "egress"));
	cli_table_addf(t, "%" JSON_INTEGER_FORMAT, cli_num(p, "workloads"));
	cli_table_addf(
		t, "%s:%" JSON_INTEGER_FORMAT, cli_str(p, "file") ?: "?", cli_num(p, "line"));
}

int cli_policy_list(struct cli *cli, int argc BH_UNUSED, char **argv BH_UNUSED)
{
	static const char *const head[] = {"NAMESPACE", "NAME", "TIER", "SELECTOR", "DIRECTIONS",
		"RULES", "WORKLOADS", "FILE"};
	struct cli_reply cli_autoreply r = {0};
	struct cli_table t;
	const json_t *p;
	size_t i;
	bool done;

	int e = cli_get(cli, "/v1/policies", &r, &done);
	if (e != CLI_OK || done)
		return e;
	cli_table_init(&t, cli, head, BH_ARRAY_SIZE(head));
	json_array_foreach(json_object_get(r.json, "policies"), i, p) add_policy(&t, p);
	cli_table_finish(&t);
	char bh_autofree *sha = cli_safe(cli_str(r.json, "sha256"));
	printf("version %" JSON_INTEGER_FORMAT ", %.12s\n", cli_num(r.json, "generation"), sha);
	return CLI_OK;
}
