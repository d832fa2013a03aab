/* SPDX-License-Identifier: GPL-3.0-or-later */
/* bulkhead mode get | set | clear */
#include <bulkhead/workload.h>

#include "cli/cli.h"

static void add_set_by(struct cli_table *t, const json_t *o, const char *configured)
{
	struct bh_buf bh_autobuf b = {0};
	char when[24];
	bool command = bh_streq(cli_str(o, "set_by"), "command");

	bh_buf_str(&b, cli_str(o, "set_by") ?: "?");
	if (command && configured)
		bh_buf_printf(&b, " (configured: %s)", configured);
	if (cli_str(o, "until"))
		bh_buf_printf(&b, " until %s UTC, then %s", cli_time(cli_str(o, "until"), when),
			cli_str(o, "then") ?: "what else is set");
	cli_table_add(t, b.s);
}

static void add_selector(struct cli_table *t, const json_t *o)
{
	const char *ns = cli_str(o, "namespace");
	cli_table_addf(t, "%s%s%s", ns ? ns : "", ns ? ": " : "", cli_str(o, "selector") ?: "?");
	cli_table_add(t, cli_str(o, "mode"));
	add_set_by(t, o, NULL);
}

static void print_modes(struct cli *cli, const json_t *reply)
{
	static const char *const head[] = {"SCOPE", "MODE", "SET BY"};
	struct cli_table t;
	const json_t *o;
	size_t i;

	cli_table_init(&t, cli, head, BH_ARRAY_SIZE(head));
	cli_table_add(&t, "node");
	cli_table_add(&t, cli_str(reply, "mode"));
	add_set_by(&t, reply, cli_str(reply, "configured") ?: "?");
	json_array_foreach(json_object_get(reply, "namespaces"), i, o)
	{
		cli_table_addf(&t, "namespace %s", cli_str(o, "namespace") ?: "?");
		cli_table_add(&t, cli_str(o, "mode"));
		add_set_by(&t, o, NULL);
	}
	json_array_foreach(json_object_get(reply, "selectors"), i, o) add_selector(&t, o);
	cli_table_finish(&t);
}

static int answer(struct cli *cli, int e, const json_t *reply)
{
	if (e == CLI_OK && cli->json)
		cli_print_json(cli, reply);
	else if (e == CLI_OK)
		print_modes(cli, reply);
	if (e == CLI_OK && cli_str(reply, "warning")) {
		char bh_autofree *text = cli_safe(cli_str(reply, "warning"));
		cli_warn("%s", text);
	}
	return e;
}

int cli_mode_get(struct cli *cli, int argc BH_UNUSED, char **argv BH_UNUSED)
{
	struct cli_reply cli_autoreply r = {0};
	bool done;
	int e = cli_get(cli, "/v1/mode", &r, &done);
	if (e == CLI_OK && !done)
		print_modes(cli, r.json);
	return e;
}

int cli_mode_set(struct cli *cli, int argc BH_UNUSED, char **argv)
{
	struct cli_reply cli_autoreply r = {0};
	enum bh_mode mode;
	uint64_t seconds = 0;

	if (bh_mode_parse(argv[0], &mode) < 0)
		return cli_usage_error(
			NULL, "a mode is learn, audit or enforce, not \"%s\"", argv[0]);
	if (cli->opt[2] && !cli_seconds(cli->opt[2], 366 * 86400, &seconds))
		return cli_usage_error(NULL,
			"--for takes a time such as 30m, 2h or 7d, up to 366d, not \"%s\"",
			cli->opt[2]);
	json_t *body = json_pack("{s:s, s:s?, s:s?}", "mode", bh_mode_name(mode), "namespace",
		cli->opt[0], "selector", cli->opt[1]);
	if (!body)
		return cli_usage_error(NULL, "the namespace or the selector is not UTF-8");
	if (seconds)
		json_object_set_new(body, "for", json_integer((json_int_t)seconds));
	int e = cli_ask(cli, "PUT", "/v1/mode", body, &r);
	json_decref(body);
	return answer(cli, e, r.json);
}

int cli_mode_clear(struct cli *cli, int argc BH_UNUSED, char **argv BH_UNUSED)
{
	static const char *const name[] = {"namespace", "selector"};
	struct cli_reply cli_autoreply r = {0};
	struct bh_buf bh_autobuf target = {0};

	bh_buf_str(&target, "/v1/mode");
	cli_add_query(cli, name, BH_ARRAY_SIZE(name), &target);
	int e = cli_ask(cli, "DELETE", target.s, NULL, &r);
	return answer(cli, e, r.json);
}
