/* SPDX-License-Identifier: GPL-3.0-or-later */
/* bulkhead ps: the workloads that are there, and with --all those that were. */
#include <bulkhead/image.h>
#include <bulkhead/workload.h>

#include "cli/cli.h"

#define WATCH_MS 1000

enum { LABELS, IMAGE, DIGEST, REGISTRY, NAMESPACE, MODE, ALL, WATCH };

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
	/* of one that is gone: what it had last */
	json_array_foreach(json_object_get(w, "addresses"), n, a)
	{
		if (!cli_str(a, "until") || bh_streq(cli_str(a, "until"), cli_str(w, "stopped")))
			bh_buf_printf(
				&addrs, "%s%s", addrs.len ? "," : "", cli_str(a, "address") ?: "?");
	}
	cli_table_add(t, names.s);
	cli_table_add(t, addrs.s);
}

/* Which directions policies close; or why none can. */
static void add_isolation(struct cli_table *t, const json_t *w)
{
	const json_t *isolated = json_object_get(w, "isolated");
	bool in = cli_flag(isolated, "ingress"), out = cli_flag(isolated, "egress");

	if (bh_streq(cli_str(w, "state"), "gone"))
		cli_table_add(t, "gone");
	else if (cli_str(w, "unenforceable"))
		cli_table_addf(t, "none: %s", cli_str(w, "unenforceable"));
	else if (json_is_object(json_object_get(w, "quarantine")))
		cli_table_add(t, "QUARANTINE");
	else
		cli_table_add(t, in && out ? "ingress,egress"
				 : in      ? "ingress"
				 : out     ? "egress"
					   : "");
}

void cli_add_id(struct cli_table *t, const char *id)
{
	bool hex = id && *id && strspn(id, "0123456789abcdef") == strlen(id);
	cli_table_addf(t, hex ? "%.12s" : "%s", id ? id : "");
}

/* "≤": it was there when somebody first looked. "?": nobody saw it stop, this is when it was last
 * known to be there. */
static void add_times(struct cli_table *t, const json_t *w)
{
	char when[24];
	const char *started = cli_str(w, "started"), *stopped = cli_str(w, "stopped");
	cli_table_addf(t, "%s%s", started && cli_flag(w, "started_before") ? "≤" : "",
		cli_time(started, when));
	cli_table_addf(t, "%s%s", cli_time(stopped, when),
		stopped && cli_flag(w, "stopped_unseen") ? "?" : "");
}

static void add_labels(struct cli_table *t, const json_t *w)
{
	struct bh_buf bh_autobuf b = {0};
	const char *key;
	json_t *value;
	json_object_foreach(json_object_get(w, "labels"), key, value)
		bh_buf_printf(&b, "%s%s=%s", b.len ? "," : "", key, json_string_value(value) ?: "");
	cli_table_add(t, b.s);
}

static void add_more(struct cli_table *t, const json_t *w)
{
	struct bh_image bh_autoimage image = {0};
	const char *digest = cli_str(w, "digest"), *text = cli_str(w, "image");
	if (text)
		bh_image_parse(text, &image);
	if (!digest)
		digest = image.digest ? image.digest : image.id;
	cli_table_add(t, cli_str(w, "runtime"));
	cli_table_add(t, image.registry);
	cli_table_addf(t, "%.19s", digest ? digest : "");
	add_labels(t, w);
}

static void add_image(struct cli_table *t, const json_t *w)
{
	const char *image = cli_str(w, "image");
	size_t n = json_array_size(json_object_get(w, "images"));
	if (n > 1)
		cli_table_addf(t, "%s (+%zu)", image ? image : "?", n - 1);
	else
		cli_table_add(t, image);
}

static void add_row(struct cli_table *t, const json_t *w, bool times, bool wide)
{
	cli_add_id(t, cli_str(w, "id"));
	cli_table_add(t, cli_str(w, "namespace"));
	cli_table_add(t, cli_str(w, "name"));
	cli_table_add(t, cli_str(w, "role"));
	cli_table_add(t, cli_str(w, "mode"));
	add_interfaces(t, w);
	add_image(t, w);
	if (times)
		add_times(t, w);
	if (wide)
		add_more(t, w);
	add_isolation(t, w);
}

static void print_table(struct cli *cli, const json_t *reply)
{
	static const char *const first[] = {
		"ID", "NAMESPACE", "NAME", "ROLE", "MODE", "VETH", "ADDRESSES", "IMAGE"};
	static const char *const when[] = {"STARTED", "STOPPED"};
	static const char *const more[] = {"RUNTIME", "REGISTRY", "DIGEST", "LABELS"};
	const char *head[CLI_MAX_COLUMNS];
	bool wide = bh_streq(cli->format, "wide"), times = wide || cli->opt[ALL];
	struct cli_table t;
	const json_t *w;
	size_t i, n = 0;

	for (i = 0; i < BH_ARRAY_SIZE(first); i++)
		head[n++] = first[i];
	for (i = 0; times && i < BH_ARRAY_SIZE(when); i++)
		head[n++] = when[i];
	for (i = 0; wide && i < BH_ARRAY_SIZE(more); i++)
		head[n++] = more[i];
	head[n++] = "ISOLATED";
	cli_table_init(&t, cli, head, n);
	json_array_foreach(json_object_get(reply, "workloads"), i, w) add_row(&t, w, times, wide);
	cli_table_finish(&t);
	if (cli_flag(reply, "truncated"))
		cli_note("there are more that are gone: narrow it down with --namespace, --image "
			 "or -l");
}

static void print(struct cli *cli, const json_t *reply, bool live)
{
	if (cli->json && live) {
		char bh_autofree *line =
			json_dumps(reply, JSON_COMPACT | (cli->tty ? JSON_ENSURE_ASCII : 0));
		puts(line ? line : "{}");
	} else if (cli->json) {
		cli_print_json(cli, reply);
	} else if (bh_streq(cli->format, "yaml")) {
		if (live)
			puts("---");
		cli_print_yaml(reply);
	} else {
		if (live && cli->tty)
			fputs("\033[H\033[2J", stdout);
		print_table(cli, reply);
		if (live && !cli->tty)
			putchar('\n');
	}
}

/* Checked here too: what is typed wrongly is wrong usage, daemon or not. */
static int check(const struct cli *cli)
{
	struct bh_selector selector = {0};
	struct bh_image bh_autoimage image = {0};
	enum bh_mode mode;
	const char *why;
	if (cli->opt[LABELS]) {
		int r = bh_selector_parse(cli->opt[LABELS], &selector, &why);
		bh_selector_finish(&selector);
		if (r < 0)
			return cli_usage_error(NULL, "--selector: %s", why);
	}
	if (cli->opt[IMAGE] && bh_image_parse(cli->opt[IMAGE], &image) < 0)
		return cli_usage_error(
			NULL, "--image takes a reference: nginx, nginx:1.25, ghcr.io/team/app");
	if (cli->opt[MODE] && bh_mode_parse(cli->opt[MODE], &mode) < 0)
		return cli_usage_error(NULL, "--mode takes learn, audit or enforce");
	return CLI_OK;
}

static char *target(const struct cli *cli)
{
	static const char *const name[] = {
		"selector", "image", "digest", "registry", "namespace", "mode"};
	struct bh_buf b = {0};
	bh_buf_str(&b, "/v1/workloads");
	for (size_t i = 0; i < BH_ARRAY_SIZE(name); i++) {
		if (!cli->opt[i])
			continue;
		char bh_autofree *value = cli_urlencode(cli->opt[i]);
		bh_buf_printf(&b, "%c%s=%s", strchr(b.s, '?') ? '&' : '?', name[i], value);
	}
	if (cli->opt[ALL])
		bh_buf_printf(&b, "%cgone=1", strchr(b.s, '?') ? '&' : '?');
	return bh_buf_take(&b);
}

/* Again whenever the answer is another one. */
static int watch(struct cli *cli, const char *url)
{
	json_t *last = NULL;
	int e;
	cli_watch_begin();
	do {
		struct cli_reply cli_autoreply r = {0};
		e = cli_ask(cli, "GET", url, NULL, &r);
		if (e != CLI_OK)
			break;
		if (json_equal(last, r.json))
			continue;
		print(cli, r.json, true);
		json_decref(last);
		last = json_incref(r.json);
	} while (cli_watch_pause(WATCH_MS));
	json_decref(last);
	return cli_watch_over() ? CLI_OK : e;
}

int cli_ps(struct cli *cli, int argc BH_UNUSED, char **argv BH_UNUSED)
{
	struct cli_reply cli_autoreply r = {0};
	char bh_autofree *url = target(cli);
	int e = check(cli);
	if (e != CLI_OK)
		return e;
	if (cli->opt[WATCH])
		return watch(cli, url);
	e = cli_ask(cli, "GET", url, NULL, &r);
	if (e == CLI_OK)
		print(cli, r.json, false);
	return e;
}
