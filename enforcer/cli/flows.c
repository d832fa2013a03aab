/* SPDX-License-Identifier: GPL-3.0-or-later */
/* bulkhead flows: what was seen, and with -f what comes. */
#include "cli/cli.h"

#define POLL_MS 500
#define MAX_LINES 1000

static void add_row(struct cli_table *t, const json_t *f)
{
	char when[24];

	cli_table_add(t, cli_time(cli_str(f, "last_seen"), when));
	cli_table_add_named(t, f, "src");
	cli_table_add_named(t, f, "dst");
	cli_table_add_service(t, f);
	cli_table_add(t, cli_str(f, "verdict"));
	cli_table_add(t, cli_str(f, "reason"));
	cli_table_add(t, cli_str(f, "mode"));
	cli_table_addf(t, "%" JSON_INTEGER_FORMAT, cli_num(f, "count"));
	cli_table_add_volume(t, f);
	cli_table_add(t, cli_str(f, "rule"));
}

static void print_rows(struct cli *cli, struct cli_table *t, const json_t *reply)
{
	const json_t *f;
	size_t i;

	json_array_foreach(json_object_get(reply, "flows"), i, f)
	{
		if (!cli->json) {
			add_row(t, f);
			continue;
		}
		char bh_autofree *line =
			json_dumps(f, JSON_COMPACT | (cli->tty ? JSON_ENSURE_ASCII : 0));
		puts(line ? line : "{}");
	}
	if (!cli->json)
		cli_table_flush(t);
}

static int follow(struct cli *cli, struct cli_table *t, json_int_t next)
{
	cli_watch_begin();
	while (cli_watch_pause(POLL_MS)) {
		struct cli_reply cli_autoreply r = {0};
		char bh_autofree *target = bh_xasprintf(
			"/v1/flows?since=%" JSON_INTEGER_FORMAT "&limit=%d", next, MAX_LINES);
		int e = cli_ask(cli, "GET", target, NULL, &r);
		if (e != CLI_OK)
			return cli_watch_over() ? CLI_OK : e;
		print_rows(cli, t, r.json);
		next = cli_num(r.json, "next");
	}
	return CLI_OK;
}

int cli_flows(struct cli *cli, int argc BH_UNUSED, char **argv BH_UNUSED)
{
	static const char *const head[] = {"LAST SEEN", "SOURCE", "DESTINATION", "SERVICE",
		"VERDICT", "REASON", "MODE", "COUNT", "SENT", "RECEIVED", "RULE"};
	bool live = cli->opt[0];
	uint64_t n = live ? 10 : 100;
	struct cli_reply cli_autoreply r = {0};
	struct cli_table t;

	if (cli->opt[1] && (bh_parse_u64(cli->opt[1], MAX_LINES, &n) < 0 || n == 0))
		return cli_usage_error(
			NULL, "-n takes a number from 1 to %d, not \"%s\"", MAX_LINES, cli->opt[1]);
	char bh_autofree *target = bh_xasprintf("/v1/flows?limit=%u", (unsigned)n);
	cli_table_init(&t, cli, head, BH_ARRAY_SIZE(head));
	int e = cli_ask(cli, "GET", target, NULL, &r);
	if (e == CLI_OK && cli->json && !live)
		cli_print_json(cli, r.json);
	else if (e == CLI_OK)
		print_rows(cli, &t, r.json);
	if (e == CLI_OK && live)
		e = follow(cli, &t, cli_num(r.json, "next"));
	free(t.cell);
	return e;
}
