/* SPDX-License-Identifier: GPL-3.0-or-later */
/* bulkhead policy plan: what an apply would change, in the documents and in who may reach whom. */
#include <bulkhead/policy.h>

#include "cli/cli.h"

static void add_edges(struct cli_table *t, const json_t *edges)
{
	const json_t *e;
	size_t i;
	json_array_foreach(edges, i, e)
	{
		cli_table_addf(t, "%s %s", bh_streq(cli_str(e, "change"), "opens") ? "+" : "-",
			cli_str(e, "change") ?: "?");
		cli_table_add(t, cli_str(e, "source"));
		cli_table_add(t, cli_str(e, "destination"));
		cli_table_add(t, cli_str(e, "services"));
		cli_table_add(t, cli_str(e, "why"));
	}
}

static void print_delta(struct cli *cli, const json_t *reply)
{
	static const char *const head[] = {"CHANGE", "SOURCE", "DESTINATION", "SERVICES", "WHY"};
	const json_t *d = json_object_get(reply, "delta"), *edges = json_object_get(d, "edges");
	struct cli_table t;

	putchar('\n');
	if (!json_is_object(d)) {
		puts("what opens and closes is not known: no workloads are known yet");
		return;
	}
	if (json_array_size(edges)) {
		cli_table_init(&t, cli, head, BH_ARRAY_SIZE(head));
		add_edges(&t, edges);
		cli_table_finish(&t);
	}
	if (cli_flag(d, "truncated"))
		printf("INCOMPLETE: %" JSON_INTEGER_FORMAT
		       " more pair%s of roles may change: too much to look at\n",
			cli_num(d, "skipped"), cli_plural(d, "skipped"));
	else if (json_array_size(edges) == 0)
		puts("nothing opens and nothing closes for the workloads that are there now");
}

static void print_summary(const json_t *reply)
{
	static const char *const actions[] = {"created", "changed", "deleted", "unchanged"};
	size_t count[BH_ARRAY_SIZE(actions)] = {0}, i;
	const json_t *p, *d = json_object_get(reply, "delta");

	json_array_foreach(json_object_get(reply, "policies"), i,
		p) for (size_t k = 0; k < BH_ARRAY_SIZE(actions); k++) count[k] +=
		bh_streq(cli_str(p, "action"), actions[k]);
	printf("\nplan: %zu to create, %zu to change, %zu to delete, %zu unchanged", count[0],
		count[1], count[2], count[3]);
	if (json_is_object(d))
		printf("; %" JSON_INTEGER_FORMAT " open, %" JSON_INTEGER_FORMAT " close",
			cli_num(d, "opens"), cli_num(d, "closes"));
	puts("; nothing was changed");
}

/* The files' policies, as the daemon tells of a version's. */
static json_t *texts_of(const struct cli_files *f)
{
	struct bh_diags bh_autodiags d = {0};
	struct bh_policy_parse_opts opts = {.default_ns = "default", .nodes = BH_NODES_UNSURE};
	struct bh_policy_source bh_autofree *src = bh_xcalloc(f->n, sizeof(*src));
	struct bh_policy_set *set = NULL;
	json_t *list = json_array();

	for (size_t i = 0; i < f->n; i++)
		src[i] =
			(struct bh_policy_source){f->item[i].name, f->item[i].text, f->item[i].len};
	if (bh_policy_set_parse(src, f->n, &opts, &d, &set) == 0)
		for (size_t i = 0; i < set->n; i++)
			json_array_append_new(
				list, json_pack("{s:s, s:s}", "policy", set->policy[i]->ref, "text",
					      set->policy[i]->text));
	bh_policy_set_unref(set);
	return list;
}

/* Only what the plan says will change: other policies in force are not among the files. */
static json_t *touched(const json_t *policies, const json_t *reply)
{
	json_t *list = json_array();
	const json_t *p, *a;
	size_t i, k;
	json_array_foreach(policies, i, p) json_array_foreach(json_object_get(reply, "policies"), k,
		a) if (bh_streq(cli_str(p, "policy"), cli_str(a, "policy")))
		json_array_append(list, (json_t *)p);
	return list;
}

static int add_diff(struct cli *cli, const struct cli_files *f, json_t *reply)
{
	struct cli_reply cli_autoreply r = {0};
	int e = cli_try(cli, "GET", "/v1/policies/versions/current", NULL, &r);
	if (e < 0)
		return CLI_FAILED;
	/* 404: nothing has been in force yet */
	json_t *now = touched(json_object_get(r.json, "policies"), reply), *new = texts_of(f);
	json_object_set_new(reply, "diff", cli_policy_changes(now, new));
	json_decref(now);
	json_decref(new);
	return CLI_OK;
}

static void print_plan(struct cli *cli, const json_t *reply)
{
	cli_print_actions(cli, reply);
	cli_print_changes(cli, json_object_get(reply, "diff"), "in force", "planned");
	print_delta(cli, reply);
	cli_print_replay(cli, json_object_get(reply, "replay"));
	print_summary(reply);
}

static int plan_from_state(struct cli *cli, int argc, char **argv)
{
	struct cli_files f = {0};
	json_t *reply = NULL;

	if (cli->opt[4])
		return cli_usage_error(
			NULL, "--since asks the daemon for its recorded flows; not with --state");
	if (cli->opt[1])
		return cli_usage_error(
			NULL, "--diff compares with what is in force; not with --state");
	int e = cli_files_read(argc, argv, &f);
	if (e != CLI_OK)
		return e;
	e = cli_plan_from_state(cli->opt[2], cli->opt[3], cli->opt[0] != NULL, &f, &reply);
	cli_files_finish(&f);
	if (e == CLI_OK && cli->json)
		cli_print_json(cli, reply);
	else if (e == CLI_OK)
		print_plan(cli, reply);
	json_decref(reply);
	return e;
}

int cli_policy_plan(struct cli *cli, int argc, char **argv)
{
	struct cli_reply cli_autoreply r = {0};
	struct cli_files f = {0};
	json_t *body = NULL;
	uint64_t since = 0;
	int denied = CLI_OK;

	if (cli->opt[2])
		return plan_from_state(cli, argc, argv);
	if (cli->opt[4] && !cli_seconds(cli->opt[4], 366 * 86400, &since))
		return cli_usage_error(NULL,
			"--since takes a time such as 30m, 12h or 7d, up to 366d, not \"%s\"",
			cli->opt[4]);
	int e = cli_policy_body(argc, argv, &f, &body);
	if (e != CLI_OK)
		return e;
	json_object_set_new(body, "prune", json_boolean(cli->opt[0] != NULL));
	if (since)
		json_object_set_new(body, "since", json_integer((json_int_t)since));
	e = cli_ask(cli, "POST", "/v1/policies/plan", body, &r);
	json_decref(body);
	if (e == CLI_OK && cli->opt[1])
		e = add_diff(cli, &f, r.json);
	cli_files_finish(&f);
	if (e == CLI_OK && since) {
		denied = cli_replay_fetch(cli, r.json);
		if (!json_is_object(json_object_get(r.json, "replay")))
			return denied; /* the complaint is printed */
	}
	if (cli->json && r.json) {
		cli_print_json(cli, r.json);
	} else if (e == CLI_OK) {
		print_plan(cli, r.json);
	}
	return e == CLI_OK ? denied : e;
}
