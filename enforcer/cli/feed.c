/* SPDX-License-Identifier: GPL-3.0-or-later */
/* bulkhead feed list | show | test | refresh | add | rm */
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
		cli_table_add(&t, cli_flag(f, "stale") ? "STALE"
				  : cli_flag(f, "ok")  ? "ok"
						       : "FAILED");
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

static void line(const char *name, const char *value)
{
	char bh_autofree *text = value && *value ? cli_safe(value) : NULL;
	if (text)
		printf("%-12s %s\n", name, text);
}

static void number(const char *name, const json_t *o, const char *key)
{
	printf("%-12s %" JSON_INTEGER_FORMAT "\n", name, cli_num(o, key));
}

static void print_cuts(struct cli *cli, const json_t *feed)
{
	static const char *const head[] = {"CUT", "LINE"};
	const json_t *list = json_object_get(feed, "cut"), *x;
	struct cli_table t;
	size_t i;
	if (!json_array_size(list))
		return;
	printf("\nwhat is private, special, this node's own or allowed is never blocked:\n");
	cli_table_init(&t, cli, head, BH_ARRAY_SIZE(head));
	json_array_foreach(list, i, x)
	{
		cli_table_add(&t, cli_str(x, "indicator"));
		cli_table_addf(&t, "%" JSON_INTEGER_FORMAT, cli_num(x, "line"));
	}
	cli_table_finish(&t);
	if ((size_t)cli_num(feed, "subtracted") > json_array_size(list))
		printf("…and %zu more\n",
			(size_t)cli_num(feed, "subtracted") - json_array_size(list));
}

static void print_seen(struct cli *cli, const json_t *feed)
{
	static const char *const head[] = {"WORKLOAD", "DIRECTION", "ADDRESS", "INDICATOR",
		"CONNECTIONS", "SENT", "RECEIVED", "FIRST", "LAST"};
	const json_t *list = json_object_get(feed, "seen_before"), *x;
	struct cli_table t;
	size_t i;
	char when[24];
	if (!json_array_size(list))
		return;
	printf("\ntalked to before it was listed:\n");
	cli_table_init(&t, cli, head, BH_ARRAY_SIZE(head));
	json_array_foreach(list, i, x)
	{
		cli_table_add(&t, cli_str(x, "workload"));
		cli_table_add(&t, cli_str(x, "direction"));
		cli_table_add(&t, cli_str(x, "address"));
		cli_table_add(&t, cli_str(x, "indicator"));
		cli_table_addf(&t, "%" JSON_INTEGER_FORMAT, cli_num(x, "connections"));
		cli_table_add_volume(&t, x);
		cli_table_add(&t, cli_time(cli_str(x, "first_seen"), when));
		cli_table_add(&t, cli_time(cli_str(x, "last_seen"), when));
	}
	cli_table_finish(&t);
}

int cli_feed_show(struct cli *cli, int argc BH_UNUSED, char **argv)
{
	struct cli_reply cli_autoreply r = {0};
	struct bh_buf bh_autobuf path = {0};
	char bh_autofree *name = cli_urlencode(argv[0]);
	char when[24];
	bool done;

	bh_buf_str(&path, "/v1/feeds/show?name=");
	bh_buf_str(&path, name);
	int e = cli_get(cli, path.s, &r, &done);
	if (e != CLI_OK || done)
		return e;
	line("name", cli_str(r.json, "name"));
	line("url", cli_str(r.json, "url"));
	line("action", cli_str(r.json, "action"));
	line("direction", cli_str(r.json, "direction"));
	line("format", cli_str(r.json, "format"));
	line("credit", cli_str(r.json, "credit"));
	line("dated", cli_str(r.json, "dated"));
	line("loaded", cli_time(cli_str(r.json, "loaded_at"), when));
	line("checked", cli_time(cli_str(r.json, "checked_at"), when));
	line("sha256", cli_str(r.json, "sha256"));
	number("entries", r.json, "entries");
	number("rejected", r.json, "rejected");
	number("subtracted", r.json, "subtracted");
	line("state", cli_flag(r.json, "stale") ? "STALE"
		      : cli_flag(r.json, "ok")  ? "ok"
						: "FAILED");
	line("message", cli_str(r.json, "message"));
	print_cuts(cli, r.json);
	print_seen(cli, r.json);
	return CLI_OK;
}

int cli_feed_test(struct cli *cli, int argc BH_UNUSED, char **argv)
{
	static const char *const head[] = {"FEED", "INDICATOR", "ACTION", "DIRECTIONS"};
	struct cli_reply cli_autoreply r = {0};
	struct bh_buf bh_autobuf path = {0};
	char bh_autofree *name = cli_urlencode(argv[0]);
	struct cli_table t;
	const json_t *x, *list;
	size_t i;
	bool done;

	bh_buf_str(&path, "/v1/feeds/test?ip=");
	bh_buf_str(&path, name);
	int e = cli_get(cli, path.s, &r, &done);
	if (e != CLI_OK || done)
		return e;
	list = json_object_get(r.json, "listed");
	if (json_array_size(list)) {
		cli_table_init(&t, cli, head, BH_ARRAY_SIZE(head));
		json_array_foreach(list, i, x)
		{
			cli_table_add(&t, cli_str(x, "feed"));
			cli_table_add(&t, cli_str(x, "indicator"));
			cli_table_add(&t, cli_str(x, "action"));
			cli_table_add_list(&t, json_object_get(x, "directions"));
		}
		cli_table_finish(&t);
	}
	const char *address = cli_str(r.json, "address");
	if (json_array_size(json_object_get(r.json, "blocked")))
		printf("%s is blocked\n", address ? address : "?");
	else if (cli_flag(r.json, "protected"))
		printf("%s is never blocked: private, special, this node's own or allowed\n",
			address ? address : "?");
	else
		printf("%s is %s\n", address ? address : "?",
			json_array_size(list) ? "reported, not blocked" : "on no feed");
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
			cli_num(r.json, "started"), cli_plural(r.json, "started"));
	return e;
}
