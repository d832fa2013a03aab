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

static int print_folded(struct cli *cli, unsigned n)
{
	static const char *const head[] = {"FIRST SEEN", "LAST SEEN", "SOURCE", "DESTINATION",
		"SERVICE", "VERDICT", "COUNT", "ROWS"};
	struct cli_reply cli_autoreply r = {0};
	char bh_autofree *target = bh_xasprintf("/v1/flows?folded=1&limit=%u", n);
	struct cli_table t;
	const json_t *f;
	char when[24];
	bool done;
	size_t i;

	int e = cli_get(cli, target, &r, &done);
	if (e != CLI_OK || done)
		return e;
	cli_table_init(&t, cli, head, BH_ARRAY_SIZE(head));
	json_array_foreach(json_object_get(r.json, "folds"), i, f)
	{
		cli_table_add(&t, cli_time(cli_str(f, "first_seen"), when));
		cli_table_add(&t, cli_time(cli_str(f, "last_seen"), when));
		cli_table_add(&t, cli_str(f, "src"));
		cli_table_add(&t, cli_str(f, "dst"));
		cli_table_add_service(&t, f);
		cli_table_add(&t, cli_str(f, "verdict"));
		cli_table_addf(&t, "%" JSON_INTEGER_FORMAT, cli_num(f, "count"));
		cli_table_addf(&t, "%" JSON_INTEGER_FORMAT, cli_num(f, "rows"));
	}
	cli_table_finish(&t);
	return CLI_OK;
}

static void note_folded(const json_t *reply)
{
	const json_t *f = json_object_get(reply, "folded");
	char last[24];
	if (json_is_object(f))
		printf("older: %" JSON_INTEGER_FORMAT " connection%s, in %" JSON_INTEGER_FORMAT
		       " row%s up to %s, put together: `bulkhead flows --folded`\n",
			cli_num(f, "count"), cli_plural(f, "count"), cli_num(f, "rows"),
			cli_plural(f, "rows"), cli_time(cli_str(f, "last_seen"), last));
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
	if (cli->opt[2] && live)
		return cli_usage_error(NULL, "--folded and -f don't go together");
	if (cli->opt[2])
		return print_folded(cli, (unsigned)n);
	char bh_autofree *target = bh_xasprintf("/v1/flows?limit=%u", (unsigned)n);
	cli_table_init(&t, cli, head, BH_ARRAY_SIZE(head));
	int e = cli_ask(cli, "GET", target, NULL, &r);
	if (e == CLI_OK && cli->json && !live)
		cli_print_json(cli, r.json);
	else if (e == CLI_OK)
		print_rows(cli, &t, r.json);
	if (e == CLI_OK && !cli->json)
		note_folded(r.json);
	if (e == CLI_OK && live)
		e = follow(cli, &t, cli_num(r.json, "next"));
	free(t.cell);
	return e;
}
