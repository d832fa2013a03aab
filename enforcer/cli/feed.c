/* SPDX-License-Identifier: GPL-3.0-or-later */
/* bulkhead feed list | refresh */
#include "cli/cli.h"

int cli_feed_list(struct cli *cli, int argc BH_UNUSED, char **argv BH_UNUSED)
{
	static const char *const head[] = {"NAME", "STATE", "ACTION", "ENTRIES", "REJECTED",
		"SUBTRACTED", "LOADED", "URL", "MESSAGE"};
	struct cli_reply cli_autoreply r = {0};
	struct cli_table t;
	const json_t *f;
	size_t i;
	char when[24];
	bool done;

	int e = cli_get(cli, "/v1/feeds", &r, &done);
	if (e != CLI_OK || done)
		return e;
	cli_table_init(&t, cli, head, BH_ARRAY_SIZE(head));
	json_array_foreach(json_object_get(r.json, "feeds"), i, f)
	{
		cli_table_add(&t, cli_str(f, "name"));
		cli_table_add(&t, cli_flag(f, "ok") ? "ok" : "FAILED");
		cli_table_add(&t, cli_str(f, "action"));
		cli_table_addf(&t, "%" JSON_INTEGER_FORMAT, cli_num(f, "entries"));
		cli_table_addf(&t, "%" JSON_INTEGER_FORMAT, cli_num(f, "rejected"));
		cli_table_addf(&t, "%" JSON_INTEGER_FORMAT, cli_num(f, "subtracted"));
		cli_table_add(&t, cli_time(cli_str(f, "loaded_at"), when));
		cli_table_add(&t, cli_str(f, "url"));
		cli_table_add(&t, cli_str(f, "message"));
	}
	cli_table_finish(&t);
	return CLI_OK;
}

int cli_feed_refresh(struct cli *cli, int argc, char **argv)
{
	struct cli_reply cli_autoreply r = {0};
	json_t *body = json_pack("{s:s?}", "name", argc ? argv[0] : NULL);

	if (!body)
		return cli_usage_error(NULL, "the name is not UTF-8");
	int e = cli_ask(cli, "POST", "/v1/feeds/refresh", body, &r);
	json_decref(body);
	if (e == CLI_OK && cli->json)
		cli_print_json(cli, r.json);
	else if (e == CLI_OK)
		printf("loading %" JSON_INTEGER_FORMAT " feed%s; see `bulkhead feed list`\n",
			cli_num(r.json, "started"), cli_num(r.json, "started") == 1 ? "" : "s");
	return e;
}
