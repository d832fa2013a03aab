/* SPDX-License-Identifier: GPL-3.0-or-later */
/* bulkhead impact: which containers had to do with an address, a prefix, a feed, an image or a
 * digest. */
#include <bulkhead/addr.h>

#include "cli/cli.h"

static void add_name(struct cli_table *t, const json_t *e)
{
	const char *ns = cli_str(e, "namespace");
	if (ns)
		cli_table_addf(t, "%s/%s", ns, cli_str(e, "name") ?: "?");
	else
		cli_table_add(t, cli_str(e, "name"));
}

/* A peer is there once for each verdict that its flows had. */
static void add_once(struct bh_buf *list, const char *item)
{
	size_t n = strlen(item);
	for (const char *p = list->s; p && (p = strstr(p, item)); p += n)
		if ((p == list->s || p[-1] == ' ') && (p[n] == ',' || !p[n]))
			return;
	bh_buf_printf(list, "%s%s", list->len ? ", " : "", item);
}

static void add_peers(struct cli_table *t, const json_t *e)
{
	struct bh_buf bh_autobuf b = {0};
	const json_t *p;
	size_t i;
	json_array_foreach(json_object_get(e, "peers"), i, p)
	{
		struct bh_buf bh_autobuf one = {0};
		bh_buf_printf(&one, "%s %s %s", cli_str(p, "direction") ?: "?",
			cli_str(p, "peer") ?: "?", cli_str(p, "protocol") ?: "?");
		if (cli_num(p, "port"))
			bh_buf_printf(&one, "/%" JSON_INTEGER_FORMAT, cli_num(p, "port"));
		add_once(&b, one.s);
	}
	cli_table_add(t, b.s);
}

static void print_affected(struct cli *cli, const json_t *reply)
{
	static const char *const head[] = {"WORKLOAD", "STATE", "ID", "IMAGE", "FIRST", "LAST",
		"CONNECTIONS", "DENIED", "SENT", "RECEIVED", "TRAFFIC"};
	struct cli_table t;
	const json_t *e;
	char when[24];
	size_t i;
	cli_table_init(&t, cli, head, BH_ARRAY_SIZE(head));
	json_array_foreach(json_object_get(reply, "affected"), i, e)
	{
		add_name(&t, e);
		cli_table_add(&t, cli_str(e, "state"));
		cli_add_id(&t, cli_str(e, "id"));
		cli_table_add(&t, cli_str(e, "image"));
		cli_table_add(&t, cli_time(cli_str(e, "first_seen"), when));
		cli_table_add(&t, cli_time(cli_str(e, "last_seen"), when));
		cli_table_addf(&t, "%" JSON_INTEGER_FORMAT, cli_num(e, "connections"));
		cli_table_addf(&t, "%" JSON_INTEGER_FORMAT, cli_num(e, "denied"));
		cli_table_add_volume(&t, e);
		add_peers(&t, e);
	}
	cli_table_finish(&t);
}

static void print_owners(struct cli *cli, const json_t *reply)
{
	static const char *const head[] = {
		"HAD THE ADDRESS", "ADDRESS", "FROM", "UNTIL", "ID", "IMAGE"};
	const json_t *list = json_object_get(reply, "owners"), *y, *a;
	struct cli_table t;
	char when[24];
	size_t i, k;
	if (json_array_size(list) == 0)
		return;
	putchar('\n');
	cli_table_init(&t, cli, head, BH_ARRAY_SIZE(head));
	json_array_foreach(list, i, y)
	{
		json_array_foreach(json_object_get(y, "addresses"), k, a)
		{
			add_name(&t, y);
			cli_table_add(&t, cli_str(a, "address"));
			cli_table_add(&t, cli_time(cli_str(a, "since"), when));
			cli_table_add(&t, cli_time(cli_str(a, "until"), when));
			cli_add_id(&t, cli_str(y, "id"));
			cli_table_add(&t, cli_str(y, "image"));
		}
	}
	cli_table_finish(&t);
}

static void print_siblings(const json_t *reply)
{
	const json_t *s, *w;
	size_t i, k;
	json_array_foreach(json_object_get(reply, "siblings"), i, s)
	{
		const json_t *list = json_object_get(s, "running");
		struct bh_buf bh_autobuf b = {0};
		json_array_foreach(list, k, w) bh_buf_printf(&b, "%s%s/%s", k ? ", " : "",
			cli_str(w, "namespace") ?: "?", cli_str(w, "name") ?: "?");
		char bh_autofree *image =
			cli_safe(cli_str(s, "image") ? cli_str(s, "image") : cli_str(s, "digest"));
		char bh_autofree *names = cli_safe(b.s ? b.s : "nothing");
		printf("%sof %s run now: %s\n", i ? "" : "\n", image, names);
	}
}

/* "10.0.0.0/33" would be taken for an image of a registry called 10.0.0.0. */
static bool is_no_block(const char *what)
{
	struct bh_addr a;
	struct bh_prefix block;
	const char *slash = strchr(what, '/');
	char bh_autofree *first = slash ? bh_xstrndup(what, (size_t)(slash - what)) : NULL;
	return first && bh_addr_parse(first, &a) == 0 && bh_prefix_parse(what, &block) < 0 &&
	       strspn(slash + 1, "0123456789") == strlen(slash + 1);
}

/* What it was taken for: a mistyped address or feed is an image that nobody runs. */
static void print_nobody(const char *what, const char *kind)
{
	char bh_autofree *name = cli_safe(what), bh_autofree *taken = cli_safe(kind);
	printf("nobody, as far as flows are recorded (%s is taken for: %s)\n", name, taken);
}

int cli_impact(struct cli *cli, int argc BH_UNUSED, char **argv)
{
	struct cli_reply cli_autoreply r = {0};
	if (is_no_block(argv[0]))
		return cli_usage_error(NULL,
			"\"%s\" is no block: 203.0.113.0/24, with a length up to 32, or 128 in "
			"IPv6",
			argv[0]);
	char bh_autofree *what = cli_urlencode(argv[0]);
	char bh_autofree *url = bh_xasprintf("/v1/impact?what=%s", what);
	bool done;
	int e = cli_get(cli, url, &r, &done);
	if (e != CLI_OK || done)
		return e;
	if (json_array_size(json_object_get(r.json, "affected")) == 0)
		print_nobody(argv[0], cli_str(r.json, "kind"));
	else
		print_affected(cli, r.json);
	print_owners(cli, r.json);
	print_siblings(r.json);
	if (cli_flag(r.json, "truncated"))
		cli_note("there is more than is shown: ask for less");
	return CLI_OK;
}
