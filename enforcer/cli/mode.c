/* SPDX-License-Identifier: GPL-3.0-or-later */
/* bulkhead mode get | set */
#include <bulkhead/workload.h>

#include "cli/cli.h"

static void print_modes(struct cli *cli, const json_t *reply)
{
	static const char *const head[] = {"SCOPE", "MODE", "SET BY"};
	struct cli_table t;
	const json_t *o;
	size_t i;

	cli_table_init(&t, cli, head, BH_ARRAY_SIZE(head));
	cli_table_add(&t, "node");
	cli_table_add(&t, cli_str(reply, "mode"));
	if (bh_streq(cli_str(reply, "set_by"), "command"))
		cli_table_addf(&t, "command (configured: %s)", cli_str(reply, "configured") ?: "?");
	else
		cli_table_add(&t, cli_str(reply, "set_by"));
	json_array_foreach(json_object_get(reply, "namespaces"), i, o)
	{
		cli_table_addf(&t, "namespace %s", cli_str(o, "namespace") ?: "?");
		cli_table_add(&t, cli_str(o, "mode"));
		cli_table_add(&t, cli_str(o, "set_by"));
	}
	json_array_foreach(json_object_get(reply, "selectors"), i, o)
	{
		const char *ns = cli_str(o, "namespace");
		cli_table_addf(
			&t, "%s%s%s", ns ? ns : "", ns ? ": " : "", cli_str(o, "selector") ?: "?");
		cli_table_add(&t, cli_str(o, "mode"));
		cli_table_add(&t, "configuration");
	}
	cli_table_finish(&t);
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

	if (bh_mode_parse(argv[0], &mode) < 0)
		return cli_usage_error(
			NULL, "a mode is learn, audit or enforce, not \"%s\"", argv[0]);
	json_t *body =
		json_pack("{s:s, s:s?}", "mode", bh_mode_name(mode), "namespace", cli->opt[0]);
	if (!body)
		return cli_usage_error(NULL, "the namespace is not UTF-8");
	int e = cli_ask(cli, "PUT", "/v1/mode", body, &r);
	json_decref(body);
	if (e == CLI_OK && cli->json)
		cli_print_json(cli, r.json);
	else if (e == CLI_OK)
		print_modes(cli, r.json);
	return e;
}
