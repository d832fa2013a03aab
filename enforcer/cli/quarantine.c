/* SPDX-License-Identifier: GPL-3.0-or-later */
/* bulkhead quarantine add | rm | list */
#include <bulkhead/quarantine.h>

#include "cli/cli.h"

static void add_matched(struct cli_table *t, const json_t *matches)
{
	struct bh_buf bh_autobuf b = {0};
	const json_t *m;
	size_t i;

	json_array_foreach(matches, i, m)
	{
		const char *id = cli_str(m, "id");
		bool hex = id && strspn(id, "0123456789abcdef") == strlen(id);
		bh_buf_printf(&b, hex ? "%s%s: %.12s" : "%s%s: %s", i ? ", " : "",
			cli_str(m, "by") ?: "?", id ? id : "?");
	}
	cli_table_add(t, b.s);
}

static void print_list(struct cli *cli, const json_t *reply)
{
	static const char *const head[] = {
		"WORKLOAD", "STATE", "MATCHED BY", "ALLOW", "SINCE", "UID", "REASON"};
	struct cli_table t;
	const json_t *q;
	size_t i;
	char when[24];

	cli_table_init(&t, cli, head, BH_ARRAY_SIZE(head));
	json_array_foreach(json_object_get(reply, "quarantine"), i, q)
	{
		cli_table_add(&t, cli_str(q, "workload"));
		cli_table_add(&t, cli_str(q, "state"));
		add_matched(&t, json_object_get(q, "matches"));
		cli_table_add_list(&t, json_object_get(q, "allow"));
		cli_table_add(&t, cli_time(cli_str(q, "since"), when));
		cli_table_addf(&t, "%" JSON_INTEGER_FORMAT, cli_num(q, "uid"));
		cli_table_add(&t, cli_str(q, "reason"));
	}
	cli_table_finish(&t);
}

int cli_quarantine_list(struct cli *cli, int argc BH_UNUSED, char **argv BH_UNUSED)
{
	struct cli_reply cli_autoreply r = {0};
	bool done;
	int e = cli_get(cli, "/v1/quarantine", &r, &done);
	if (e == CLI_OK && !done)
		print_list(cli, r.json);
	return e;
}

static int print_change(struct cli *cli, const json_t *reply)
{
	const char *warning = cli_str(reply, "warning");
	json_int_t cut = cli_num(reply, "connections_cut");
	if (warning) {
		char bh_autofree *text = cli_safe(warning);
		cli_warn("%s", text);
	}
	if (cli->json) {
		cli_print_json(cli, reply);
		return CLI_OK;
	}
	print_list(cli, reply);
	if (cut)
		printf("established connections cut: %" JSON_INTEGER_FORMAT "\n", cut);
	return CLI_OK;
}

/* Checked here too: what is typed wrongly is wrong usage, daemon or not. */
static json_t *allow_list(const struct cli_values *v)
{
	struct bh_quarantine *q = bh_quarantine_new();
	json_t *list = json_array();
	for (size_t i = 0; i < v->n; i++) {
		const char *why = NULL;
		if (bh_quarantine_allow(q, v->item[i], &why) == 0) {
			json_array_append_new(list, json_string(v->item[i]));
			continue;
		}
		char bh_autofree *shown = cli_safe(v->item[i]);
		cli_usage_error(NULL, "--allow %s: %s", shown, why);
		json_decref(list);
		list = NULL;
		break;
	}
	bh_quarantine_unref(q);
	return list;
}

int cli_quarantine_add(struct cli *cli, int argc BH_UNUSED, char **argv)
{
	struct cli_reply cli_autoreply r = {0};
	json_t *allow = allow_list(&cli->all[0]);
	if (!allow)
		return CLI_USAGE;
	json_t *body = json_pack(
		"{s:s, s:o, s:s?}", "workload", argv[0], "allow", allow, "reason", cli->opt[1]);
	if (!body)
		return cli_usage_error(NULL, "the workload or the reason is not UTF-8");
	int e = cli_ask(cli, "POST", "/v1/quarantine", body, &r);
	json_decref(body);
	return e == CLI_OK ? print_change(cli, r.json) : e;
}

int cli_quarantine_rm(struct cli *cli, int argc BH_UNUSED, char **argv)
{
	struct cli_reply cli_autoreply r = {0};
	char bh_autofree *word = cli_urlencode(argv[0]);
	char bh_autofree *target = bh_xasprintf("/v1/quarantine?workload=%s", word);
	int e = cli_ask(cli, "DELETE", target, NULL, &r);
	return e == CLI_OK ? print_change(cli, r.json) : e;
}
