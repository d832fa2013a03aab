/* SPDX-License-Identifier: GPL-3.0-or-later */
/* bulkhead ps: the workloads. */
#include "cli/cli.h"

static void add_interfaces(struct cli_table *t, const json_t *w)
{
	const json_t *list = json_object_get(w, "interfaces"), *i, *a;
	struct bh_buf bh_autobuf names = {0}, addrs = {0};
	size_t n, k;

	json_array_foreach(list, n, i)
	{
		if (cli_str(i, "host_name"))
			bh_buf_printf(
				&names, "%s%s", names.len ? "," : "", cli_str(i, "host_name"));
		json_array_foreach(json_object_get(i, "addresses"), k, a) bh_buf_printf(
			&addrs, "%s%s", addrs.len ? "," : "", json_string_value(a) ?: "?");
	}
	cli_table_add(t, names.s);
	cli_table_add(t, addrs.s);
}

/* Which directions policies close; or why none can. */
static void add_isolation(struct cli_table *t, const json_t *w)
{
	const json_t *isolated = json_object_get(w, "isolated");
	bool in = cli_flag(isolated, "ingress"), out = cli_flag(isolated, "egress");

	if (cli_str(w, "unenforceable"))
		cli_table_addf(t, "none: %s", cli_str(w, "unenforceable"));
	else if (json_is_object(json_object_get(w, "quarantine")))
		cli_table_add(t, "QUARANTINE");
	else
		cli_table_add(t, in && out ? "ingress,egress"
				 : in      ? "ingress"
				 : out     ? "egress"
					   : "");
}

int cli_ps(struct cli *cli, int argc BH_UNUSED, char **argv BH_UNUSED)
{
	static const char *const head[] = {"ID", "NAMESPACE", "NAME", "ROLE", "MODE", "VETH",
		"ADDRESSES", "IMAGE", "ISOLATED"};
	struct cli_reply cli_autoreply r = {0};
	struct cli_table t;
	const json_t *w;
	size_t i;
	bool done;

	int e = cli_get(cli, "/v1/workloads", &r, &done);
	if (e != CLI_OK || done)
		return e;
	cli_table_init(&t, cli, head, BH_ARRAY_SIZE(head));
	json_array_foreach(json_object_get(r.json, "workloads"), i, w)
	{
		const char *id = cli_str(w, "id");
		bool hex = id && strspn(id, "0123456789abcdef") == strlen(id);
		cli_table_addf(&t, hex ? "%.12s" : "%s", id ? id : "");
		cli_table_add(&t, cli_str(w, "namespace"));
		cli_table_add(&t, cli_str(w, "name"));
		cli_table_add(&t, cli_str(w, "role"));
		cli_table_add(&t, cli_str(w, "mode"));
		add_interfaces(&t, w);
		cli_table_add(&t, cli_str(w, "image"));
		add_isolation(&t, w);
	}
	cli_table_finish(&t);
	return CLI_OK;
}
