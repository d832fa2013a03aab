/* SPDX-License-Identifier: GPL-3.0-or-later */
/* bulkhead report rules-unused: the review of rules, which of them nothing used and since when. */
#include "cli/report.h"

#define N JSON_INTEGER_FORMAT

static const struct cli_report_column columns[] = {{"policy", "Policy"}, {"rule", "Rule"},
	{"action", "Action"}, {"state", "State"}, {"in_force_since", "In force since"},
	{"version", "Policy version"}, {"first_used", "First used"}, {"last_used", "Last used"},
	{"connections", "Connections"}, {"place", "Place"}};

#define CONTROLS                                                                                   \
	"Evidence towards PCI DSS 4.0 1.2.7; NIST SP 800-53 CM-7(1), AC-4 and SC-7; SOC 2 CC6.6 "  \
	"and CC8.1; CIS Docker 2.1. It shows which rules recorded flows used, and claims no "      \
	"compliance."

static void add_rules(struct cli_report_section *s, const json_t *rules)
{
	const json_t *x;
	size_t i;
	json_array_foreach(rules, i, x)
	{
		cli_report_add(s, cli_str(x, "policy"));
		cli_report_add(s, cli_str(x, "rule"));
		cli_report_add(s, cli_str(x, "action"));
		cli_report_add(s, cli_str(x, "state"));
		cli_report_add_time(s, cli_str(x, "in_force_since"));
		cli_report_addf(s, "%" N "%s", cli_num(x, "version"),
			cli_flag(x, "or_longer") ? " or before" : "");
		cli_report_add_time(s, cli_str(x, "first_used"));
		cli_report_add_time(s, cli_str(x, "last_used"));
		cli_report_addf(s, "%" N, cli_num(x, "connections"));
		cli_report_addf(s, "%s:%" N, cli_str(x, "file") ?: "?", cli_num(x, "line"));
	}
}

/* Counts all, and leaves those that are asked for. */
static void choose(json_t *reply, bool all, size_t *ret_used, size_t *ret_total)
{
	json_t *rules = json_object_get(reply, "rules"), *kept = json_array(), *x;
	size_t i;

	*ret_used = 0;
	*ret_total = json_array_size(rules);
	json_array_foreach(rules, i, x)
	{
		bool used = bh_streq(cli_str(x, "state"), "used");
		*ret_used += used;
		if (all || (!used && !bh_streq(cli_str(x, "state"), "not counted")))
			json_array_append(kept, x);
	}
	json_object_set_new(reply, "rules", kept);
	json_object_set_new(reply, "rules_total", json_integer((json_int_t)*ret_total));
	json_object_set_new(reply, "rules_used", json_integer((json_int_t)*ret_used));
}

int cli_report_rules(struct cli *cli, int argc BH_UNUSED, char **argv BH_UNUSED)
{
	enum cli_report_form form;
	json_t *reply = NULL;
	size_t used, total;

	int code = cli_report_form_of(cli->opt[2], &form);
	if (code == CLI_OK)
		code = cli_report_fetch(cli, "rules", cli->opt[0], "180d", &reply);
	if (code != CLI_OK)
		return code;
	choose(reply, cli->opt[1] != NULL, &used, &total);
	if (cli->json && form == CLI_REPORT_TABLE) {
		json_object_set_new(reply, "report", json_string("rules-unused"));
		json_object_set_new(reply, "controls", json_string(CONTROLS));
		cli_print_json(cli, reply);
		json_decref(reply);
		return CLI_OK;
	}
	struct cli_report r = {.name = "rules-unused",
		.title = "Rule review: rules that nothing used",
		.controls = CONTROLS,
		.column = columns,
		.columns = BH_ARRAY_SIZE(columns),
		.marked = 3,
		.bad = {"unused"},
		.section = {{.title = cli->opt[1] ? "Rules" : "Rules without use",
			.note = bh_xstrdup(
				"A rule is used when it decides a new connection. \"new\": not "
				"used, "
				"but in force for less than the period. First and last use are of "
				"the rule as it stands now.")}},
		.sections = 1};
	cli_report_daemon_facts(&r, reply);
	cli_report_fact(&r, "Rules", "%zu of %zu used in the period%s", used, total,
		cli_num(reply, "omitted") ? "; INCOMPLETE: there are more" : "");
	add_rules(&r.section[0], json_object_get(reply, "rules"));
	cli_report_print(cli, &r, form);
	cli_report_finish(&r);
	json_decref(reply);
	return CLI_OK;
}
