/* SPDX-License-Identifier: GPL-3.0-or-later */
/* bulkhead policy plan --since: recorded flows against the policies of the plan. */
#include "cli/cli.h"

#define POLL_MS 100

int cli_replay_fetch(struct cli *cli, json_t *reply)
{
	char bh_autofree *target =
		bh_xasprintf("/v1/policies/replay/%" JSON_INTEGER_FORMAT, cli_num(reply, "replay"));
	for (;;) {
		struct cli_reply cli_autoreply r = {0};
		int e = cli_ask(cli, "GET", target, NULL, &r);
		if (e != CLI_OK)
			return e;
		if (cli_str(r.json, "failed")) {
			char bh_autofree *why = cli_safe(cli_str(r.json, "failed"));
			cli_error("the flows could not be replayed: %s", why);
			return CLI_FAILED;
		}
		if (cli_flag(r.json, "done")) {
			json_object_set(reply, "replay", r.json);
			return cli_num(r.json, "denied_flows") ? CLI_FAILED : CLI_OK;
		}
		if (!cli_watch_pause(POLL_MS))
			return CLI_FAILED;
	}
}

static void print_denied(struct cli *cli, const json_t *list)
{
	static const char *const head[] = {"DENIED", "SOURCE", "DESTINATION", "SERVICE",
		"LAST SEEN", "WORKLOADS", "IMAGES", "WHY"};
	struct cli_table t;
	const json_t *f;
	size_t i;
	char when[24];
	cli_table_init(&t, cli, head, BH_ARRAY_SIZE(head));
	json_array_foreach(list, i, f)
	{
		cli_table_addf(&t, "%" JSON_INTEGER_FORMAT, cli_num(f, "connections"));
		cli_table_add(&t, cli_str(f, "src"));
		cli_table_add(&t, cli_str(f, "dst"));
		cli_table_add_service(&t, f);
		cli_table_add(&t, cli_time(cli_str(f, "last_seen"), when));
		cli_table_add_list(&t, json_object_get(f, "workloads"));
		cli_table_add_list(&t, json_object_get(f, "images"));
		cli_table_add(&t, cli_str(f, "why"));
	}
	cli_table_finish(&t);
}

static void print_unused(const json_t *list)
{
	const json_t *u;
	size_t i;
	if (json_array_size(list))
		puts("\nallowed, but no recorded flow needs it:");
	json_array_foreach(list, i, u)
	{
		char bh_autofree *policy = cli_safe(cli_str(u, "policy"));
		char bh_autofree *rule = cli_safe(cli_str(u, "rule"));
		printf("  %s %s\n", policy, rule);
	}
}

void cli_print_replay(struct cli *cli, const json_t *r)
{
	char since[24];
	if (!json_is_object(r))
		return;
	printf("\nreplayed since %s UTC: %" JSON_INTEGER_FORMAT
	       " connection%s in %" JSON_INTEGER_FORMAT
	       " flow%s; would be denied: %" JSON_INTEGER_FORMAT " in %" JSON_INTEGER_FORMAT "\n",
		cli_time(cli_str(r, "since"), since), cli_num(r, "connections"),
		cli_plural(r, "connections"), cli_num(r, "flows"), cli_plural(r, "flows"),
		cli_num(r, "denied_connections"), cli_num(r, "denied_flows"));
	if (json_array_size(json_object_get(r, "denied")))
		print_denied(cli, json_object_get(r, "denied"));
	if (cli_num(r, "unlisted"))
		printf("INCOMPLETE: %" JSON_INTEGER_FORMAT " more flow%s would be denied\n",
			cli_num(r, "unlisted"), cli_plural(r, "unlisted"));
	if (cli_num(r, "unknown"))
		printf("%" JSON_INTEGER_FORMAT
		       " flow%s could not be judged: nothing is recorded of the workloads\n",
			cli_num(r, "unknown"), cli_plural(r, "unknown"));
	if (cli_num(r, "folded"))
		printf("INCOMPLETE: of %" JSON_INTEGER_FORMAT
		       " older connection%s, put together, some may be of that time and cannot be "
		       "replayed (learn.flows)\n",
			cli_num(r, "folded"), cli_plural(r, "folded"));
	print_unused(json_object_get(r, "unused"));
}
