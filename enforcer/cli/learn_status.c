/* SPDX-License-Identifier: GPL-3.0-or-later */
/* bulkhead learn status: how far each role's baseline can be relied on, and why. */
#include <bulkhead/baseline.h>

#include "cli/cli.h"

#define WATCH_MS 2000
#define EDGES_SHOWN 40

/* New edges over time, one character for each part: nothing is a dot, the most is a full block. */
static void add_picture(struct cli_table *t, const json_t *history)
{
	static const char *const bar[] = {"▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
	struct bh_buf bh_autobuf b = {0};
	const json_t *x;
	json_int_t max = 0;
	size_t i;

	json_array_foreach(history, i, x) if (json_integer_value(x) > max) max =
		json_integer_value(x);
	json_array_foreach(history, i, x)
	{
		json_int_t n = json_integer_value(x);
		bh_buf_str(&b, n <= 0 ? "·" : bar[(n * 8 - 1) / max]);
	}
	cli_table_add(t, b.s);
}

static void add_duration(struct cli_table *t, const json_t *seconds)
{
	char text[BH_DURATION_STRLEN];
	cli_table_add(t, json_is_integer(seconds)
				 ? bh_duration_format(json_integer_value(seconds), text)
				 : NULL);
}

static void add_role(struct cli_table *t, const json_t *o)
{
	cli_table_addf(t, "%s/%s", cli_str(o, "namespace") ?: "?", cli_str(o, "role") ?: "?");
	cli_table_addf(t, "%" JSON_INTEGER_FORMAT, cli_num(o, "workloads"));
	cli_table_add(t, cli_str(o, "mode"));
	add_duration(t, json_object_get(o, "learned_s"));
	cli_table_addf(t, "%" JSON_INTEGER_FORMAT, cli_num(o, "edges_in"));
	cli_table_addf(t, "%" JSON_INTEGER_FORMAT, cli_num(o, "edges_out"));
	cli_table_addf(t, "%" JSON_INTEGER_FORMAT, cli_num(o, "unanswered"));
	add_duration(t, json_object_get(o, "quiet_s"));
	cli_table_addf(t, "%" JSON_INTEGER_FORMAT "/24", cli_num(o, "hours"));
	cli_table_addf(t, "%" JSON_INTEGER_FORMAT "/7", cli_num(o, "weekdays"));
	cli_table_addf(t, "%" JSON_INTEGER_FORMAT, cli_num(o, "starts"));
	cli_table_add(t, cli_str(json_object_get(o, "readiness"), "level"));
	add_picture(t, json_object_get(o, "history"));
}

static void print_roles(struct cli *cli, const json_t *reply)
{
	static const char *const head[] = {"ROLE", "WORKLOADS", "MODE", "OBSERVED", "IN", "OUT",
		"UNANSWERED", "QUIET", "HOURS", "DAYS", "STARTS", "READINESS", "NEW EDGES"};
	struct cli_table t;
	const json_t *o;
	size_t i;

	cli_table_init(&t, cli, head, BH_ARRAY_SIZE(head));
	json_array_foreach(json_object_get(reply, "roles"), i, o) add_role(&t, o);
	cli_table_finish(&t);
}

/* Why each role is where it is: what is missing. */
static void print_reasons(const json_t *reply)
{
	const json_t *o, *x;
	size_t i, k;
	json_array_foreach(json_object_get(reply, "roles"), i, o)
	{
		const json_t *ready = json_object_get(o, "readiness");
		char bh_autofree *ns = cli_safe(cli_str(o, "namespace"));
		char bh_autofree *role = cli_safe(cli_str(o, "role"));
		char bh_autofree *level = cli_safe(cli_str(ready, "level"));
		printf("%s/%s is %s:", ns, role, level);
		json_array_foreach(json_object_get(ready, "reasons"), k, x)
		{
			char bh_autofree *text = cli_safe(cli_str(x, "text"));
			printf("%s %s %s", k ? ";" : "", cli_flag(x, "met") ? "+" : "-", text);
		}
		if (cli_num(o, "folded"))
			printf("; - of its edges put together: %" JSON_INTEGER_FORMAT,
				cli_num(o, "folded"));
		putchar('\n');
	}
}

static void print_status(struct cli *cli, const json_t *reply)
{
	char since[24], last[24];
	if (cli_str(reply, "since"))
		printf("learning since %s UTC, last new edge %s\n",
			cli_time(cli_str(reply, "since"), since),
			cli_time(cli_str(reply, "last_new"), last));
	else
		puts("nothing was learned yet");
	printf("%" JSON_INTEGER_FORMAT " tuple%s: %" JSON_INTEGER_FORMAT " answered (these become "
	       "rules), %" JSON_INTEGER_FORMAT " unanswered; %" JSON_INTEGER_FORMAT
	       " waiting for an answer\n",
		cli_num(reply, "tuples"), cli_plural(reply, "tuples"), cli_num(reply, "answered"),
		cli_num(reply, "unanswered"), cli_num(reply, "pending"));
	if (cli_num(reply, "folded"))
		printf("%" JSON_INTEGER_FORMAT " tuple%s, the least used and oldest, PUT TOGETHER "
		       "into %" JSON_INTEGER_FORMAT " of these: more than %" JSON_INTEGER_FORMAT
		       " (learn.edges) are not kept one by one\n",
			cli_num(reply, "folded"), cli_plural(reply, "folded"),
			cli_num(reply, "folded_rows"), cli_num(reply, "max"));
	if (cli_num(reply, "refused"))
		printf("%" JSON_INTEGER_FORMAT " tuple%s REFUSED: the table is full\n",
			cli_num(reply, "refused"), cli_plural(reply, "refused"));
	putchar('\n');
	print_roles(cli, reply);
	putchar('\n');
	print_reasons(reply);
}

static int watch(struct cli *cli)
{
	int e = CLI_OK;
	cli_watch_begin();
	do {
		struct cli_reply cli_autoreply r = {0};
		e = cli_ask(cli, "GET", "/v1/learn", NULL, &r);
		if (e != CLI_OK)
			break;
		if (cli->tty && !cli->json)
			fputs("\033[H\033[2J", stdout);
		if (cli->json) {
			char bh_autofree *line = json_dumps(r.json, JSON_COMPACT);
			puts(line ? line : "{}");
		} else {
			print_status(cli, r.json);
		}
	} while (cli_watch_pause(WATCH_MS));
	return cli_watch_over() ? CLI_OK : e;
}

int cli_learn_status(struct cli *cli, int argc BH_UNUSED, char **argv BH_UNUSED)
{
	struct cli_reply cli_autoreply r = {0};
	bool done;

	if (cli->opt[0])
		return watch(cli);
	int e = cli_get(cli, "/v1/learn", &r, &done);
	if (e != CLI_OK || done)
		return e;
	print_status(cli, r.json);
	putchar('\n');
	if (json_array_size(json_object_get(r.json, "edges")) <= EDGES_SHOWN)
		cli_print_edges(cli, r.json);
	else
		puts("`bulkhead learn show` lists the edges");
	return CLI_OK;
}
