/* SPDX-License-Identifier: GPL-3.0-or-later */
/* bulkhead drift: who does what no rule allows. */
#include "cli/cli.h"

static void add_drift(struct cli_table *t, const json_t *d)
{
	char first[24], last[24];
	const json_t *flow = json_object_get(d, "first_flow");
	cli_table_add(t, cli_str(d, "workload"));
	cli_table_addf(t, "%.12s", cli_str(d, "id") ?: "-");
	cli_table_add(t, cli_str(d, "image"));
	cli_table_add(t, cli_str(d, "peer"));
	cli_table_add_service(t, d);
	cli_table_add(t, cli_str(d, "verdict"));
	cli_table_addf(t, "%" JSON_INTEGER_FORMAT, cli_num(d, "count"));
	cli_table_add(t, cli_time(cli_str(d, "first_seen"), first));
	cli_table_add(t, cli_time(cli_str(d, "last_seen"), last));
	cli_table_addf(
		t, "%s -> %s", cli_str(flow, "src_addr") ?: "?", cli_str(flow, "dst_addr") ?: "?");
	if (cli_num(d, "siblings"))
		cli_table_addf(t, "%" JSON_INTEGER_FORMAT " of %" JSON_INTEGER_FORMAT " %s it too",
			cli_num(d, "siblings_alike"), cli_num(d, "siblings"),
			cli_num(d, "siblings_alike") == 1 ? "does" : "do");
	else
		cli_table_add(t, "it has none");
}

int cli_drift(struct cli *cli, int argc BH_UNUSED, char **argv BH_UNUSED)
{
	static const char *const head[] = {"WORKLOAD", "ID", "IMAGE", "PEER", "SERVICE", "VERDICT",
		"COUNT", "FIRST SEEN", "LAST SEEN", "FIRST FLOW", "SIBLINGS OF THE IMAGE"};
	struct cli_reply cli_autoreply r = {0};
	struct cli_table t;
	uint64_t since = 0;
	const json_t *d;
	size_t i;

	if (cli->opt[0] && !cli_seconds(cli->opt[0], 366 * 86400, &since))
		return cli_usage_error(NULL,
			"--since takes a time such as 30m, 12h or 7d, up to 366d, not \"%s\"",
			cli->opt[0]);
	if (cli->opt[1] && !bh_streq(cli->opt[1], "new-edge"))
		return cli_usage_error(NULL, "--fail-on takes new-edge, not \"%s\"", cli->opt[1]);
	char bh_autofree *target = bh_xasprintf("/v1/drift?since=%u", (unsigned)since);
	int e = cli_ask(cli, "GET", target, NULL, &r);
	if (e != CLI_OK)
		return e;
	const json_t *list = json_object_get(r.json, "drift");
	if (cli->json) {
		cli_print_json(cli, r.json);
	} else if (json_array_size(list) == 0) {
		puts("nothing deviates from the policies in force");
	} else {
		cli_table_init(&t, cli, head, BH_ARRAY_SIZE(head));
		json_array_foreach(list, i, d) add_drift(&t, d);
		cli_table_finish(&t);
		if (cli_flag(r.json, "truncated") || cli_num(r.json, "unlisted"))
			puts("INCOMPLETE: there is more; --since asks for a shorter time");
	}
	return cli->opt[1] && json_array_size(list) ? CLI_FAILED : CLI_OK;
}
