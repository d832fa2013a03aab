/* SPDX-License-Identifier: GPL-3.0-or-later */
/* bulkhead report access: who could and who did talk to whom, by role and version of the policies.
 */
#include "cli/report.h"

#define POLL_MS 100
#define SINCE_MAX (366 * 86400)
#define N JSON_INTEGER_FORMAT

static const struct cli_report_column columns[] = {{"source", "Source"},
	{"destination", "Destination"}, {"service", "Service"}, {"connections", "Connections"},
	{"first_seen", "First seen"}, {"last_seen", "Last seen"}, {"version", "Policy version"},
	{"rule", "By"}, {"remark", "Remark"}};

#define CONTROLS                                                                                   \
	"Evidence towards PCI DSS 4.0 1.2.5, 1.3.1 and 1.3.2; NIST SP 800-53 AC-4, AC-6 and "      \
	"SC-7; SOC 2 CC6.1 and CC6.6; CIS Docker 2.1 and 5.29. It shows what policies say and "    \
	"what is on record, and claims no compliance."

int cli_report_fetch(
	struct cli *cli, const char *what, const char *since, const char *otherwise, json_t **ret)
{
	struct cli_reply cli_autoreply first = {0};
	uint64_t seconds;

	if (!cli_seconds(since ? since : otherwise, SINCE_MAX, &seconds))
		return cli_usage_error(NULL, "--since takes a time such as 12h or 30d");
	json_t *body = json_pack("{s:I}", "since", (json_int_t)seconds);
	int e = cli_ask(cli, "POST", "/v1/report", body, &first);
	json_decref(body);
	if (e != CLI_OK)
		return e;
	char bh_autofree *target =
		bh_xasprintf("/v1/report/%" N "?what=%s", cli_num(first.json, "report"), what);
	for (;;) {
		struct cli_reply cli_autoreply r = {0};
		if ((e = cli_ask(cli, "GET", target, NULL, &r)) != CLI_OK)
			return e;
		if (cli_str(r.json, "failed")) {
			char bh_autofree *why = cli_safe(cli_str(r.json, "failed"));
			cli_error("the report could not be made: %s", why);
			return CLI_FAILED;
		}
		if (cli_flag(r.json, "done")) {
			*ret = BH_TAKE_PTR(r.json);
			return CLI_OK;
		}
		if (!cli_watch_pause(POLL_MS))
			return CLI_FAILED;
	}
}

static void add_versions(struct cli_report *r, const json_t *list)
{
	const json_t *v;
	char at[24];
	size_t i;
	json_array_foreach(list, i, v)
	{
		char bh_autofree *label = bh_xasprintf("Policy version %" N, cli_num(v, "version"));
		const char *comment = cli_str(v, "comment");
		bool said = comment && *comment;
		cli_report_fact(r, label, "since %s, by %s (%s)%s%s",
			cli_time(cli_str(v, "at"), at), cli_str(v, "user") ?: "?",
			cli_str(v, "cause") ?: "?", said ? ": " : "", said ? comment : "");
	}
}

void cli_report_daemon_facts(struct cli_report *r, const json_t *reply)
{
	const char *evidence = cli_str(reply, "evidence_since");
	char a[24], b[24];

	cli_report_fact(r, "Period (UTC)", "%s to %s", cli_time(cli_str(reply, "since"), a),
		cli_time(cli_str(reply, "until"), b));
	cli_report_fact(r, "In force", "policy version %" N ", %.12s", cli_num(reply, "generation"),
		cli_str(reply, "sha256") ?: "");
	cli_report_fact(r, "Recorded flows", "%s%s%s", evidence ? "since " : "none",
		evidence ? cli_time(evidence, a) : "",
		cli_flag(reply, "table_full")
			? "; older ones were put together and are not looked at"
			: "");
	if (cli_num(reply, "uncounted"))
		cli_report_fact(r, "INCOMPLETE",
			"allowed flows not recorded one by one, for they were too many at once: "
			"%" N,
			cli_num(reply, "uncounted"));
	add_versions(r, json_object_get(reply, "versions"));
}

static void add_could(struct cli_report_section *s, const json_t *reply)
{
	const json_t *edge;
	size_t i;
	json_array_foreach(json_object_get(json_object_get(reply, "could"), "edges"), i, edge)
	{
		cli_report_add(s, cli_str(edge, "source"));
		cli_report_add(s, cli_str(edge, "destination"));
		cli_report_add(s, cli_str(edge, "services"));
		cli_report_addf(s, "%" N, cli_num(edge, "connections"));
		cli_report_add(s, NULL);
		cli_report_add_time(s, cli_str(edge, "last_seen"));
		cli_report_addf(s, "%" N, cli_num(reply, "generation"));
		cli_report_add(s, cli_str(edge, "by"));
		cli_report_add(s, cli_num(edge, "connections") ? NULL : "not used");
	}
}

static void add_did_versions(struct cli_report_section *s, const json_t *row)
{
	json_int_t from = cli_num(row, "from_version"), to = cli_num(row, "to_version");
	if (from == to)
		cli_report_addf(s, "%" N, to);
	else
		cli_report_addf(s, "%" N " to %" N, from, to);
}

static void add_did(struct cli_report_section *s, const json_t *reply)
{
	const json_t *row;
	size_t i;
	bool judged = json_is_object(json_object_get(reply, "could"));
	json_array_foreach(json_object_get(reply, "did"), i, row)
	{
		bool host = bh_streq(cli_str(row, "src"), "host") ||
			    bh_streq(cli_str(row, "dst"), "host");
		cli_report_add(s, cli_str(row, "src"));
		cli_report_add(s, cli_str(row, "dst"));
		if (cli_num(row, "port"))
			cli_report_addf(
				s, "%s/%" N, cli_str(row, "protocol") ?: "?", cli_num(row, "port"));
		else
			cli_report_add(s, cli_str(row, "protocol"));
		cli_report_addf(s, "%" N, cli_num(row, "connections"));
		cli_report_add_time(s, cli_str(row, "first_seen"));
		cli_report_add_time(s, cli_str(row, "last_seen"));
		add_did_versions(s, row);
		cli_report_add(s, cli_str(row, "rule"));
		cli_report_add(s, bh_streq(cli_str(row, "verdict"), "would-deny")
					  ? "would be denied"
				  : host && cli_flag(reply, "host_allowed")  ? "the node itself"
				  : judged && !cli_flag(row, "possible_now") ? "not possible now"
									     : NULL);
	}
}

static char *could_note(const json_t *reply)
{
	const json_t *could = json_object_get(reply, "could");
	return bh_xasprintf("What the policies in force (version %" N
			    ") allow between the workloads there are now, as if enforced; "
			    "connections are of the period.%s%s",
		cli_num(reply, "generation"),
		cli_flag(reply, "host_allowed")
			? " Traffic with the node itself is allowed besides (host: allow)."
			: "",
		!json_is_object(could)         ? " INCOMPLETE: it could not be computed."
		: cli_flag(could, "truncated") ? " INCOMPLETE: there is more than is shown."
					       : "");
}

static char *did_note(const json_t *reply)
{
	struct bh_buf b = {0};
	bh_buf_str(&b, "Flows that passed and are on record, with the versions in force from the "
		       "first to the last of them.");
	if (cli_num(reply, "denied"))
		bh_buf_printf(&b, " Denied besides: %" N ".", cli_num(reply, "denied"));
	if (cli_num(reply, "unlisted"))
		bh_buf_printf(&b, " INCOMPLETE: %" N " connection%s of more pairs than are shown.",
			cli_num(reply, "unlisted"), cli_plural(reply, "unlisted"));
	if (cli_num(reply, "unnamed"))
		bh_buf_printf(&b, " %" N " connection%s of workloads of which nothing is kept.",
			cli_num(reply, "unnamed"), cli_plural(reply, "unnamed"));
	return bh_buf_take(&b);
}

int cli_report_access(struct cli *cli, int argc BH_UNUSED, char **argv BH_UNUSED)
{
	enum cli_report_form form;
	json_t *reply = NULL;

	int code = cli_report_form_of(cli->opt[1], &form);
	if (code == CLI_OK)
		code = cli_report_fetch(cli, "access", cli->opt[0], "30d", &reply);
	if (code != CLI_OK)
		return code;
	if (cli->json && form == CLI_REPORT_TABLE) {
		json_object_set_new(reply, "report", json_string("access"));
		json_object_set_new(reply, "controls", json_string(CONTROLS));
		cli_print_json(cli, reply);
		json_decref(reply);
		return CLI_OK;
	}
	struct cli_report r = {.name = "access",
		.title = "Access: who could and who did talk to whom",
		.controls = CONTROLS,
		.column = columns,
		.columns = BH_ARRAY_SIZE(columns),
		.marked = 8,
		.bad = {"would be denied", "not possible now"},
		.section = {{.key = "could", .title = "Could talk", .note = could_note(reply)},
			{.key = "did", .title = "Did talk", .note = did_note(reply)}},
		.sections = 2};
	cli_report_daemon_facts(&r, reply);
	add_could(&r.section[0], reply);
	add_did(&r.section[1], reply);
	cli_report_print(cli, &r, form);
	cli_report_finish(&r);
	json_decref(reply);
	return CLI_OK;
}
