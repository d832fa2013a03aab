/* SPDX-License-Identifier: GPL-3.0-or-later */
/* bulkhead learn status | export */
#include "cli/cli.h"

static void print_roles(struct cli *cli, const json_t *reply)
{
	static const char *const head[] = {
		"NAMESPACE", "ROLE", "WORKLOADS", "MODE", "IN", "OUT", "UNANSWERED", "LAST NEW"};
	struct cli_table t;
	const json_t *o;
	size_t i;
	char when[24];

	cli_table_init(&t, cli, head, BH_ARRAY_SIZE(head));
	json_array_foreach(json_object_get(reply, "roles"), i, o)
	{
		cli_table_add(&t, cli_str(o, "namespace"));
		cli_table_add(&t, cli_str(o, "role"));
		cli_table_addf(&t, "%" JSON_INTEGER_FORMAT, cli_num(o, "workloads"));
		cli_table_add(&t, cli_str(o, "mode"));
		cli_table_addf(&t, "%" JSON_INTEGER_FORMAT, cli_num(o, "edges_in"));
		cli_table_addf(&t, "%" JSON_INTEGER_FORMAT, cli_num(o, "edges_out"));
		cli_table_addf(&t, "%" JSON_INTEGER_FORMAT, cli_num(o, "unanswered"));
		cli_table_add(&t, cli_time(cli_str(o, "last_new"), when));
	}
	cli_table_finish(&t);
}

static void print_edges(struct cli *cli, const json_t *reply)
{
	static const char *const head[] = {"SOURCE", "DESTINATION", "SERVICE", "ANSWERED",
		"CONNECTIONS", "FIRST SEEN", "LAST SEEN"};
	struct cli_table t;
	const json_t *o;
	size_t i;
	char when[24];

	cli_table_init(&t, cli, head, BH_ARRAY_SIZE(head));
	json_array_foreach(json_object_get(reply, "edges"), i, o)
	{
		cli_table_add(&t, cli_str(o, "src"));
		cli_table_add(&t, cli_str(o, "dst"));
		if (cli_num(o, "port"))
			cli_table_addf(&t, "%s/%" JSON_INTEGER_FORMAT,
				cli_str(o, "protocol") ?: "?", cli_num(o, "port"));
		else
			cli_table_add(&t, cli_str(o, "protocol"));
		cli_table_add(&t, cli_flag(o, "answered") ? "yes" : "no");
		cli_table_addf(&t, "%" JSON_INTEGER_FORMAT, cli_num(o, "connections"));
		cli_table_add(&t, cli_time(cli_str(o, "first_seen"), when));
		cli_table_add(&t, cli_time(cli_str(o, "last_seen"), when));
	}
	cli_table_finish(&t);
}

int cli_learn_status(struct cli *cli, int argc BH_UNUSED, char **argv BH_UNUSED)
{
	struct cli_reply cli_autoreply r = {0};
	char since[24], last[24];
	bool done;

	int e = cli_get(cli, "/v1/learn", &r, &done);
	if (e != CLI_OK || done)
		return e;
	printf("learning since %s UTC, last new tuple %s\n"
	       "%" JSON_INTEGER_FORMAT " tuples: %" JSON_INTEGER_FORMAT " answered (these become "
	       "rules), %" JSON_INTEGER_FORMAT " unanswered; %" JSON_INTEGER_FORMAT
	       " flows wait for an answer\n",
		cli_time(cli_str(r.json, "since"), since),
		cli_time(cli_str(r.json, "last_new"), last), cli_num(r.json, "tuples"),
		cli_num(r.json, "answered"), cli_num(r.json, "unanswered"),
		cli_num(r.json, "pending"));
	if (cli_num(r.json, "refused"))
		printf("%" JSON_INTEGER_FORMAT " tuples were REFUSED: the table is full\n",
			cli_num(r.json, "refused"));
	putchar('\n');
	print_roles(cli, r.json);
	putchar('\n');
	print_edges(cli, r.json);
	return CLI_OK;
}

int cli_learn_export(struct cli *cli, int argc BH_UNUSED, char **argv BH_UNUSED)
{
	static const char *const name[] = {"namespace", "role"};
	struct cli_reply cli_autoreply r = {0};
	struct bh_buf bh_autobuf target = {0};

	bh_buf_printf(&target, "/v1/learn/export?evidence=%d", cli->opt[2] ? 0 : 1);
	cli_add_query(cli, name, BH_ARRAY_SIZE(name), &target);
	int e = cli_ask(cli, "GET", target.s, NULL, &r);
	if (e != CLI_OK)
		return e;
	if (cli->json) {
		json_t *o = json_pack("{s:s}", "yaml", r.text);
		cli_print_json(cli, o);
		json_decref(o);
		return CLI_OK;
	}
	fputs(r.text, stdout); /* a document: exactly as it came */
	return CLI_OK;
}
