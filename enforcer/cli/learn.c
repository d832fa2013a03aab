/* SPDX-License-Identifier: GPL-3.0-or-later */
/* bulkhead learn show | export */
#include <bulkhead/baseline.h>

#include "cli/cli.h"

static void add_review(struct cli_table *t, const json_t *o)
{
	const char *review = cli_str(o, "review"), *widened = cli_str(o, "widened");
	if (cli_num(o, "folded") && !widened)
		cli_table_addf(t, "%" JSON_INTEGER_FORMAT " put together%s%s", cli_num(o, "folded"),
			cli_str(o, "span") ? ", in " : "", cli_str(o, "span") ?: "");
	else if (widened)
		cli_table_addf(
			t, "widened to %s (%s addresses)", widened, cli_str(o, "breadth") ?: "?");
	else
		cli_table_add(t, bh_streq(review, "none") ? NULL : review);
}

/* Of one connection, on average. */
static void add_duration(struct cli_table *t, const json_t *volume)
{
	json_int_t n = cli_num(volume, "ended");
	char text[BH_DURATION_STRLEN];

	if (n == 0) {
		cli_table_add(t, NULL);
		return;
	}
	json_int_t us = cli_num(volume, "duration_us") / n;
	if (us < 10000000)
		cli_table_addf(t, "%.3fs", (double)us / 1e6);
	else
		cli_table_add(t, bh_duration_format(us / 1000000, text));
}

void cli_print_edges(struct cli *cli, const json_t *reply)
{
	static const char *const head[] = {"EDGE", "SOURCE", "DESTINATION", "SERVICE", "ANSWERED",
		"CONNECTIONS", "SENT", "RECEIVED", "DURATION", "FIRST SEEN", "LAST SEEN", "IMAGES",
		"REVIEW"};
	struct cli_table t;
	const json_t *o;
	size_t i;
	char when[24];

	cli_table_init(&t, cli, head, BH_ARRAY_SIZE(head));
	json_array_foreach(json_object_get(reply, "edges"), i, o)
	{
		cli_table_addf(&t, "%.8s", cli_str(o, "id") ?: "-");
		cli_table_add_named(&t, o, "src");
		cli_table_add_named(&t, o, "dst");
		cli_table_add_service(&t, o);
		cli_table_add(&t, cli_flag(o, "answered") ? "yes" : "no");
		cli_table_addf(&t, "%" JSON_INTEGER_FORMAT, cli_num(o, "connections"));
		cli_table_add_volume(&t, o);
		add_duration(&t, json_object_get(o, "volume"));
		cli_table_add(&t, cli_time(cli_str(o, "first_seen"), when));
		cli_table_add(&t, cli_time(cli_str(o, "last_seen"), when));
		cli_table_add_list(&t, json_object_get(o, "images"));
		add_review(&t, o);
	}
	cli_table_finish(&t);
}

int cli_learn_show(struct cli *cli, int argc BH_UNUSED, char **argv BH_UNUSED)
{
	static const char *const name[] = {"namespace", "role", "review"};
	struct cli_reply cli_autoreply r = {0};
	struct bh_buf bh_autobuf target = {0};
	bool done;

	bh_buf_str(&target, "/v1/learn/edges?limit=20000");
	cli_add_query(cli, name, BH_ARRAY_SIZE(name), &target);
	int e = cli_get(cli, target.s, &r, &done);
	if (e != CLI_OK || done)
		return e;
	cli_print_edges(cli, r.json);
	if (cli_flag(r.json, "truncated"))
		printf("INCOMPLETE: %" JSON_INTEGER_FORMAT
		       " edges match; name a namespace or a role\n",
			cli_num(r.json, "matched"));
	return CLI_OK;
}

int cli_learn_export(struct cli *cli, int argc BH_UNUSED, char **argv BH_UNUSED)
{
	static const char *const name[] = {"namespace", "role"};
	struct bh_buf bh_autobuf target = {0};

	bh_buf_printf(&target, "/v1/learn/export?evidence=%d%s", cli->opt[2] ? 0 : 1,
		cli->opt[3] ? "&force=1" : "");
	cli_add_query(cli, name, BH_ARRAY_SIZE(name), &target);
	return cli_print_document(cli, target.s);
}
