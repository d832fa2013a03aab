/* SPDX-License-Identifier: GPL-3.0-or-later */
/* bulkhead workload show: everything known of one workload, that is there or was. */
#include "cli/cli.h"

static void field(const char *name, const char *value)
{
	if (!value || !*value)
		return;
	char bh_autofree *safe = cli_safe(value);
	printf("%-14s %s\n", name, safe);
}

static void fieldf(const char *name, const char *fmt, ...) BH_PRINTF(2, 3);
static void fieldf(const char *name, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	char bh_autofree *text = cli_vformat(fmt, ap);
	va_end(ap);
	field(name, text);
}

static void heading(const struct cli *cli, const char *text)
{
	printf("\n%s%s%s\n", cli_paint(cli, "\033[1m"), text, cli_paint(cli, "\033[0m"));
}

/* --- who it is --- */

static void print_times(const json_t *w)
{
	char from[24], to[24];
	const char *stopped = cli_str(w, "stopped");
	cli_time(cli_str(w, "started"), from);
	fieldf("started", "%s%s", from,
		cli_flag(w, "started_before") ? " or before: it was there when the daemon looked "
						"for the first time"
					      : "");
	if (stopped)
		fieldf("stopped", "%s%s", cli_time(stopped, to),
			cli_flag(w, "stopped_unseen")
				? " or later: last known to be there; nobody saw it stop"
				: "");
}

/* Of its further containers. */
static void print_others(const json_t *images)
{
	const json_t *i;
	size_t k;
	json_array_foreach(images, k, i)
	{
		const char *image = cli_str(i, "image"), *digest = cli_str(i, "digest");
		if (k > 0)
			fieldf(k == 1 ? "other images" : "", "%s%s%s", image ?: "",
				image && digest ? "  " : "", digest ?: "");
	}
}

static void print_identity(const json_t *w)
{
	fieldf("workload", "%s/%s", cli_str(w, "namespace") ?: "?", cli_str(w, "name") ?: "?");
	field("state", cli_str(w, "state"));
	field("id", cli_str(w, "id"));
	field("runtime", cli_str(w, "runtime"));
	field("role", cli_str(w, "role"));
	field("image", cli_str(w, "image"));
	field("digest", cli_str(w, "digest"));
	print_others(json_object_get(w, "images"));
	if (cli_num(w, "pid"))
		fieldf("pid", "%" JSON_INTEGER_FORMAT, cli_num(w, "pid"));
	if (cli_num(w, "netns"))
		fieldf("netns", "%" JSON_INTEGER_FORMAT, cli_num(w, "netns"));
	print_times(w);
	const char *key;
	json_t *value;
	bool first = true;
	json_object_foreach(json_object_get(w, "labels"), key, value)
	{
		fieldf(first ? "labels" : "", "%s=%s", key, json_string_value(value) ?: "");
		first = false;
	}
}

/* --- what is decided of it --- */

static void print_policies(const json_t *w, const char *direction)
{
	const json_t *d = json_object_get(json_object_get(w, "directions"), direction), *p;
	const json_t *list = json_object_get(d, "policies");
	size_t i;
	if (json_array_size(list) == 0)
		field(direction, "no policy selects it");
	json_array_foreach(list, i, p)
	{
		const char *tier = cli_str(p, "tier") ?: "?";
		char bh_autofree *order = bh_streq(tier, "NetworkPolicy")
						  ? bh_xstrdup("")
						  : bh_xasprintf(", priority %" JSON_INTEGER_FORMAT,
							    cli_num(p, "priority"));
		fieldf(i ? "" : direction,
			"%s (%s%s), rules: %" JSON_INTEGER_FORMAT ", in %s:%" JSON_INTEGER_FORMAT,
			cli_str(p, "policy") ?: "?", tier, order, cli_num(p, "rules"),
			cli_str(p, "file") ?: "?", cli_num(p, "line"));
	}
}

static void print_quarantine(const json_t *w)
{
	const json_t *q = json_object_get(w, "quarantine_entry");
	const json_t *allow = json_object_get(q, "allow"), *a;
	char when[24];
	size_t i;
	if (!json_is_object(q)) {
		field("quarantine", "no");
		return;
	}
	fieldf("quarantine", "%s since %s%s%s", cli_str(q, "state") ?: "?",
		cli_time(cli_str(q, "since"), when), *(cli_str(q, "reason") ?: "") ? ": " : "",
		cli_str(q, "reason") ?: "");
	json_array_foreach(allow, i, a) field(i ? "" : "  still allowed", json_string_value(a));
}

static void print_decisions(const json_t *w)
{
	fieldf("mode", "%s, %s", cli_str(w, "mode") ?: "?", cli_str(w, "mode_origin") ?: "");
	if (cli_str(w, "unenforceable"))
		fieldf("enforceable", "no: %s", cli_str(w, "unenforceable"));
	print_quarantine(w);
	print_policies(w, "ingress");
	print_policies(w, "egress");
	const json_t *claim;
	size_t i;
	json_array_foreach(json_object_get(w, "refused"), i, claim)
		field(i ? "" : "refused", json_string_value(claim));
}

/* --- where it is --- */

static void print_interfaces(struct cli *cli, const json_t *w)
{
	static const char *const head[] = {"INTERFACE", "VETH", "BRIDGE", "MAC", "ADDRESSES"};
	const json_t *list = json_object_get(w, "interfaces"), *f;
	struct cli_table t;
	size_t i;
	if (json_array_size(list) == 0)
		return;
	heading(cli, "Interfaces");
	cli_table_init(&t, cli, head, BH_ARRAY_SIZE(head));
	json_array_foreach(list, i, f)
	{
		cli_table_add(&t, cli_str(f, "name"));
		cli_table_add(&t, cli_str(f, "host_name"));
		cli_table_add(&t, cli_str(f, "bridge"));
		cli_table_add(&t, cli_str(f, "mac"));
		cli_table_add_list(&t, json_object_get(f, "addresses"));
	}
	cli_table_finish(&t);
}

static void print_addresses(struct cli *cli, const json_t *w)
{
	static const char *const head[] = {"ADDRESS", "FROM", "UNTIL"};
	const json_t *list = json_object_get(w, "addresses"), *a;
	struct cli_table t;
	char when[24];
	size_t i;
	if (json_array_size(list) == 0)
		return;
	heading(cli, "Addresses that it had");
	cli_table_init(&t, cli, head, BH_ARRAY_SIZE(head));
	json_array_foreach(list, i, a)
	{
		cli_table_add(&t, cli_str(a, "address"));
		cli_table_add(&t, cli_time(cli_str(a, "since"), when));
		cli_table_add(&t, cli_time(cli_str(a, "until"), when));
	}
	cli_table_finish(&t);
}

/* --- what it does --- */

static void print_peers(struct cli *cli, const json_t *w)
{
	static const char *const head[] = {"LAST SEEN", "DIRECTION", "PEER", "ADDRESS", "SERVICE",
		"VERDICT", "REASON", "CONNECTIONS", "RULE"};
	const json_t *list = json_object_get(w, "peers"), *p;
	struct cli_table t;
	char when[24];
	size_t i;
	heading(cli, "Talked to lately");
	if (json_array_size(list) == 0) {
		puts("nobody that is recorded");
		return;
	}
	cli_table_init(&t, cli, head, BH_ARRAY_SIZE(head));
	json_array_foreach(list, i, p)
	{
		cli_table_add(&t, cli_time(cli_str(p, "last_seen"), when));
		cli_table_add(&t, cli_str(p, "direction"));
		cli_table_add(&t, cli_str(p, "peer"));
		cli_table_add(&t, cli_str(p, "address"));
		cli_table_add_service(&t, p);
		cli_table_add(&t, cli_str(p, "verdict"));
		cli_table_add(&t, cli_str(p, "reason"));
		cli_table_addf(&t, "%" JSON_INTEGER_FORMAT, cli_num(p, "connections"));
		cli_table_add(&t, cli_str(p, "rule"));
	}
	cli_table_finish(&t);
}

static void print_counters(struct cli *cli, const json_t *w)
{
	static const char *const head[] = {"DIRECTION", "ALLOWED", "WOULD BE DENIED", "DENIED"};
	static const char *const direction[] = {"to", "from"};
	const json_t *all = json_object_get(w, "counters");
	struct cli_table t;
	heading(cli, "Connections recorded");
	cli_table_init(&t, cli, head, BH_ARRAY_SIZE(head));
	for (size_t i = 0; i < BH_ARRAY_SIZE(direction); i++) {
		const json_t *k = json_object_get(all, direction[i]);
		cli_table_addf(&t, "%s others", direction[i]);
		cli_table_addf(&t, "%" JSON_INTEGER_FORMAT, cli_num(k, "allow"));
		cli_table_addf(&t, "%" JSON_INTEGER_FORMAT, cli_num(k, "would-deny"));
		cli_table_addf(
			&t, "%" JSON_INTEGER_FORMAT, cli_num(k, "drop") + cli_num(k, "reject"));
	}
	cli_table_finish(&t);
	if (cli_flag(all, "truncated"))
		puts("(of the newest flows only: there are more)");
}

static void print_history(struct cli *cli, const json_t *w)
{
	static const char *const head[] = {"STARTED", "STOPPED", "ID", "IMAGE", "ADDRESSES"};
	struct cli_table t;
	const json_t *y, *a;
	size_t i, k;
	char when[24];
	heading(cli, "History of this name");
	cli_table_init(&t, cli, head, BH_ARRAY_SIZE(head));
	json_array_foreach(json_object_get(w, "history"), i, y)
	{
		struct bh_buf bh_autobuf addrs = {0};
		json_array_foreach(json_object_get(y, "addresses"), k, a)
			bh_buf_printf(&addrs, "%s%s", k ? "," : "", cli_str(a, "address") ?: "?");
		cli_table_addf(&t, "%s%s", cli_flag(y, "started_before") ? "≤" : "",
			cli_time(cli_str(y, "started"), when));
		cli_table_addf(&t, "%s%s", cli_time(cli_str(y, "stopped"), when),
			cli_flag(y, "stopped_unseen") ? "?" : "");
		cli_add_id(&t, cli_str(y, "id"));
		cli_table_add(&t, cli_str(y, "image"));
		cli_table_add(&t, addrs.s);
	}
	cli_table_finish(&t);
	if (cli_flag(w, "history_truncated"))
		puts("(and older ones)");
}

int cli_workload_show(struct cli *cli, int argc BH_UNUSED, char **argv)
{
	struct cli_reply cli_autoreply r = {0};
	char bh_autofree *name = cli_urlencode(argv[0]);
	char bh_autofree *url = bh_xasprintf("/v1/workload?name=%s", name);
	bool done;
	int e = cli_get(cli, url, &r, &done);
	if (e != CLI_OK || done)
		return e;
	print_identity(r.json);
	if (!bh_streq(cli_str(r.json, "state"), "gone"))
		print_decisions(r.json);
	print_interfaces(cli, r.json);
	print_addresses(cli, r.json);
	print_counters(cli, r.json);
	print_peers(cli, r.json);
	print_history(cli, r.json);
	return CLI_OK;
}
