/* SPDX-License-Identifier: GPL-3.0-or-later */
/* bulkhead feed add | rm */
#include <errno.h>
#include <limits.h>

#include "cli/cli.h"

/* "min_entries=5": numbers and booleans as such, else text. */
static bool set_member(json_t *body, const char *text)
{
	const char *is = strchr(text, '=');
	if (!is || is == text)
		return false;
	char bh_autofree *key = bh_xstrndup(text, (size_t)(is - text));
	const char *value = is + 1;
	uint64_t n;
	json_t *v;
	if (bh_streq(value, "true") || bh_streq(value, "false"))
		v = json_boolean(*value == 't');
	else if (bh_parse_u64(value, INT64_MAX, &n) == 0)
		v = json_integer((json_int_t)n);
	else
		v = json_string(value);
	return v && json_object_set_new(body, key, v) == 0;
}

/* The daemon is somewhere else: a path is made to begin at the root. */
static char *full_url(const char *url)
{
	char cwd[PATH_MAX];
	if (*url == '/' || strstr(url, "://") || !getcwd(cwd, sizeof(cwd)))
		return bh_xstrdup(url);
	return bh_xasprintf("%s/%s", cwd, url);
}

static int ask(struct cli *cli, const char *method, const char *target, const json_t *body,
	const char *done)
{
	struct cli_reply cli_autoreply r = {0};
	int e = cli_ask(cli, method, target, body, &r);
	if (e == CLI_OK && cli->json)
		cli_print_json(cli, r.json);
	else if (e == CLI_OK) {
		char bh_autofree *name = cli_safe(cli_str(r.json, "name"));
		printf("feed %s %s\n", name, done);
	}
	return e;
}

int cli_feed_add(struct cli *cli, int argc BH_UNUSED, char **argv)
{
	static const char *const option[] = {"format", "action", "interval"};
	char bh_autofree *url = full_url(argv[1]);
	if (!strstr(url, "://") && access(url, F_OK) < 0) {
		char bh_autofree *name = cli_safe(url);
		cli_error("%s: %s", name, strerror(errno));
		cli_hint("a feed is a file, a directory, or an http(s) URL");
		return CLI_FAILED;
	}
	json_t *body = json_pack("{s:s, s:s}", "name", argv[0], "url", url);
	if (!body)
		return cli_usage_error(NULL, "the name and the URL must be UTF-8");
	for (size_t i = 0; i < BH_ARRAY_SIZE(option); i++)
		if (cli->opt[i] &&
			json_object_set_new(body, option[i], json_string(cli->opt[i])) < 0) {
			json_decref(body);
			return cli_usage_error(NULL, "--%s must be UTF-8", option[i]);
		}
	for (size_t i = 0; i < cli->all[3].n; i++)
		if (!set_member(body, cli->all[3].item[i])) {
			json_decref(body);
			return cli_usage_error(
				NULL, "--set takes KEY=VALUE, such as min_entries=5");
		}
	char bh_autofree *name = cli_safe(argv[0]);
	char bh_autofree *done = bh_xasprintf("added; see `bulkhead feed show %s`", name);
	int e = ask(cli, "POST", "/v1/feeds", body, done);
	json_decref(body);
	return e;
}

int cli_feed_rm(struct cli *cli, int argc BH_UNUSED, char **argv)
{
	char bh_autofree *name = cli_urlencode(argv[0]);
	char bh_autofree *target = bh_xasprintf("/v1/feeds?name=%s", name);
	return ask(cli, "DELETE", target, NULL, "removed; what it listed is not blocked any more");
}
