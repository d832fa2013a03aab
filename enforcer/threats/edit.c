/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Feeds that are added by command: kept in STATE/feeds/added.yaml, in the configuration's own
 * words, and read by its reader, so that the same is right and wrong in both places. Those of the
 * configuration file are changed there.
 */
#include "threats/edit.h"

#include <errno.h>

#include "answer/actor.h"
#include "answer/answer.h"
#include "audit/audit.h"
#include "config/config.h"
#include "core/core.h"
#include "core/files.h"
#include "core/state.h"
#include "feeds/feeds.h"

static char *added_path(const struct bh_core *c)
{
	return bh_xasprintf("%s/feeds/added.yaml", c->conf->state);
}

static const struct bh_feed_conf *find(const struct bh_config *conf, const char *name)
{
	for (size_t i = 0; conf && i < conf->n_feeds; i++)
		if (bh_streq(conf->feeds[i].name, name))
			return &conf->feeds[i];
	return NULL;
}

bool bh_core_feed_is_added(const struct bh_core *c, const char *name)
{
	return find(c->added, name) && !find(c->conf, name);
}

/* What both places say; a name that the configuration file has too is the file's. */
void bh_core_feeds_configure(struct bh_core *c)
{
	size_t n = c->conf->n_feeds, more = c->added ? c->added->n_feeds : 0;
	struct bh_feed_conf *all bh_autofree = bh_xcalloc(n + more, sizeof(*all));
	for (size_t i = 0; i < n; i++)
		all[i] = c->conf->feeds[i];
	for (size_t i = 0; i < more; i++)
		if (!find(c->conf, c->added->feeds[i].name))
			all[n++] = c->added->feeds[i];
	bh_feeds_configure(c->feeds, all, n);
}

void bh_core_feeds_load_added(struct bh_core *c)
{
	char bh_autofree *path = added_path(c), *text = NULL;
	struct bh_diags bh_autodiags d = {0};
	size_t len = 0;
	int r = bh_file_read(path, BH_FILE_MAX, &text, &len);
	if (r == 0)
		r = bh_config_parse(path, text, len, &d, &c->added);
	if (r == 0 || r == -ENOENT)
		return;
	char bh_autofree *why = bh_xasprintf("%s: %s; feeds that were added by command are missing",
		path, d.n ? d.item[0].what : strerror(-r));
	bh_audit_event(c->audit, "feed.change", "failure", why, NULL, NULL);
}

/* Writes the list without `name` and with `more`, and puts it in force. */
static bool replace(struct bh_core *c, const char *name, const char *more,
	const struct bh_core_actor *who, struct bh_answer *ret_error)
{
	struct bh_buf bh_autobuf b = {0};
	struct bh_diags bh_autodiags d = {0};
	char bh_autofree *path = added_path(c);
	struct bh_config *conf = NULL;
	bh_buf_str(&b, "feeds:\n");
	for (size_t i = 0; c->added && i < c->added->n_feeds; i++)
		if (!bh_streq(c->added->feeds[i].name, name))
			bh_config_print_feed(&c->added->feeds[i], &b);
	bh_buf_str(&b, more);
	if (bh_config_parse(path, b.s, b.len, &d, &conf) < 0) {
		*ret_error = bh_answer_error(422, &d, "the feed is not right; nothing was changed");
		return false;
	}
	int r = bh_file_write_atomic(path, b.s, b.len, 0600);
	if (r < 0) {
		bh_config_free(conf);
		*ret_error =
			bh_answer_error(507, NULL, "%s cannot be written: %s", path, strerror(-r));
		return false;
	}
	bh_config_free(c->added);
	c->added = conf;
	bh_core_feeds_configure(c);
	struct bh_audit_actor actor = bh_core_audit_actor(who);
	bh_audit_event(c->audit, "feed.change", "success", NULL, &actor,
		json_pack("{s:s, s:s}", "feed", name, "change", *more ? "added" : "removed"));
	return true;
}

/* One line of the item; the reader judges what it says. Strings go in as JSON, which is YAML. */
static bool put_member(struct bh_buf *b, const char *key, const json_t *v)
{
	char *text = json_dumps(v, JSON_ENCODE_ANY | JSON_ENSURE_ASCII);
	bool good = text && (json_is_string(v) || json_is_integer(v) || json_is_boolean(v)) &&
		    key[strspn(key, "abcdefghijklmnopqrstuvwxyz_0123456789")] == '\0';
	if (good)
		bh_buf_printf(b, "  %s: %s\n", key, text);
	free(text);
	return good;
}

struct bh_answer bh_core_feed_add(
	struct bh_core *c, const json_t *body, const struct bh_core_actor *who)
{
	const char *name = json_string_value(json_object_get(body, "name")), *key;
	struct bh_buf bh_autobuf b = {0};
	struct bh_answer a = {0};
	json_t *v;
	if (!name)
		return bh_answer_error(400, NULL, "name: a string is needed");
	if (find(c->conf, name))
		return bh_answer_error(
			409, NULL, "feed %s is in the configuration file; change it there", name);
	json_object_foreach((json_t *)body, key, v)
	{
		if (json_is_null(v))
			continue;
		if (b.len == 0)
			bh_buf_str(&b, "-\n");
		if (!put_member(&b, key, v))
			return bh_answer_error(
				400, NULL, "a feed has strings, numbers, true and false");
	}
	if (replace(c, name, b.s, who, &a))
		a = bh_answer_json(200, json_pack("{s:s}", "name", name));
	return a;
}

struct bh_answer bh_core_feed_rm(
	struct bh_core *c, const char *name, const struct bh_core_actor *who)
{
	struct bh_answer a = {0};
	if (find(c->conf, name))
		return bh_answer_error(
			409, NULL, "feed %s is in the configuration file; remove it there", name);
	if (!find(c->added, name))
		return bh_answer_error(
			404, NULL, "no feed is named %s; `bulkhead feed list` shows them", name);
	if (replace(c, name, "", who, &a))
		a = bh_answer_json(200, json_pack("{s:s}", "name", name));
	return a;
}

struct bh_answer bh_core_feed_refresh(
	struct bh_core *c, const json_t *body, const struct bh_core_actor *who BH_UNUSED)
{
	const json_t *name = json_object_get(body, "name");
	if (name && !json_is_null(name) && !json_is_string(name))
		return bh_answer_error(400, NULL, "name must be a feed's name, or null for all");
	int n = bh_feeds_refresh(c->feeds, json_string_value(name));
	if (n == -EAGAIN)
		return bh_answer_error(409, NULL,
			"its publisher allows one request an hour, and was asked less than that "
			"ago");
	if (n < 0)
		return bh_answer_error(404, NULL,
			"no feed is named %s; `bulkhead feed list` shows them",
			json_string_value(name));
	return bh_answer_json(200, json_pack("{s:i}", "started", n));
}
