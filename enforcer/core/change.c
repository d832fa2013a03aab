/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What a change changed, for its record: policies by name, lines of the configuration. */
#include "core/change.h"

#include <bulkhead/url.h>

#include "answer/digest.h"
#include "config/config.h"

#define SHOWN_MAX 100

static const struct bh_policy *find(const struct bh_policy_set *s, const char *ref)
{
	for (size_t i = 0; s && i < s->n; i++)
		if (strcmp(s->policy[i]->ref, ref) == 0)
			return s->policy[i];
	return NULL;
}

static void add(json_t *list, size_t *n, const char *ref, const char *change)
{
	if ((*n)++ < SHOWN_MAX)
		json_array_append_new(
			list, json_pack("{s:s, s:s}", "policy", ref, "change", change));
}

json_t *bh_core_policy_changes_json(
	const struct bh_policy_set *from, const struct bh_policy_set *to)
{
	json_t *list = json_array();
	size_t n = 0;

	for (size_t i = 0; i < to->n; i++) {
		const struct bh_policy *was = find(from, to->policy[i]->ref);
		if (!was)
			add(list, &n, to->policy[i]->ref, "added");
		else if (strcmp(was->text, to->policy[i]->text) != 0)
			add(list, &n, to->policy[i]->ref, "changed");
	}
	for (size_t i = 0; from && i < from->n; i++)
		if (!find(to, from->policy[i]->ref))
			add(list, &n, from->policy[i]->ref, "removed");
	return json_pack("{s:I, s:o}", "count", (json_int_t)n, "policies", list);
}

static bool has_line(const char *text, const char *line, size_t len)
{
	while (text && *text) {
		size_t n = strcspn(text, "\n");
		if (n == len && memcmp(text, line, len) == 0)
			return true;
		text += n + (text[n] ? 1 : 0);
	}
	return false;
}

static void add_lines(json_t *list, const char *sign, const char *text, const char *other)
{
	while (text && *text) {
		size_t n = strcspn(text, "\n");
		if (!has_line(other, text, n) && json_array_size(list) < SHOWN_MAX) {
			char bh_autofree *line = bh_xasprintf("%s%.*s", sign, (int)n, text);
			char bh_autofree *shown = bh_url_without_secrets(line);
			json_array_append_new(list, json_string(shown));
		}
		text += n + (text[n] ? 1 : 0);
	}
}

json_t *bh_core_config_changes_json(const struct bh_config *from, const struct bh_config *to)
{
	struct bh_buf bh_autobuf a = {0}, bh_autobuf b = {0};
	json_t *lines = json_array();
	char x[65], y[65];

	bh_config_print(from, &a);
	bh_config_print(to, &b);
	bh_digest_sha256(a.s, a.len, x);
	bh_digest_sha256(b.s, b.len, y);
	add_lines(lines, "-", a.s, b.s);
	add_lines(lines, "+", b.s, a.s);
	return json_pack("{s:s, s:s, s:o}", "from", x, "to", y, "lines", lines);
}
