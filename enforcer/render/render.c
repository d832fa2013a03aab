/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "render/render.h"

#include <time.h>

const char *const bh_render_names[] = {"ecs", "ocsf", "cef", NULL};

const json_t *bh_render_at(const json_t *rec, const char *path)
{
	while (rec) {
		const char *dot = strchr(path, '.');
		char key[64];
		size_t len = dot ? (size_t)(dot - path) : strlen(path);
		if (len >= sizeof(key))
			return NULL;
		memcpy(key, path, len);
		key[len] = '\0';
		rec = json_object_get(rec, key);
		if (!dot)
			return rec;
		path = dot + 1;
	}
	return NULL;
}

const char *bh_render_str(const json_t *rec, const char *path)
{
	return json_string_value(bh_render_at(rec, path));
}

json_int_t bh_render_num(const json_t *rec, const char *path)
{
	return json_integer_value(bh_render_at(rec, path));
}

int64_t bh_render_ms(const char *time)
{
	struct tm tm = {0};
	int ms = 0;

	if (!time || sscanf(time, "%4d-%2d-%2dT%2d:%2d:%2d.%3d", &tm.tm_year, &tm.tm_mon,
			     &tm.tm_mday, &tm.tm_hour, &tm.tm_min, &tm.tm_sec, &ms) < 6)
		return 0;
	tm.tm_year -= 1900;
	tm.tm_mon--;
	return (int64_t)timegm(&tm) * 1000 + ms;
}

static void add_end(const json_t *rec, const char *own, const char *ip, struct bh_buf *out)
{
	const json_t *w = bh_render_at(rec, own);
	if (json_is_object(w))
		bh_buf_printf(out, "%s/%s", bh_render_str(w, "namespace") ?: "?",
			bh_render_str(w, "name") ?: "?");
	else
		bh_buf_str(out, bh_render_str(rec, ip) ?: "?");
}

void bh_render_sentence(const json_t *rec, struct bh_buf *out)
{
	const char *message = bh_render_str(rec, "message");
	bool flow = bh_render_at(rec, "network") != NULL;

	bh_buf_str(out, bh_render_str(rec, "event.action") ?: "record");
	if (flow) {
		bh_buf_str(out, " ");
		add_end(rec, "bulkhead.src", "source.ip", out);
		bh_buf_str(out, " -> ");
		add_end(rec, "bulkhead.dst", "destination.ip", out);
		bh_buf_printf(out, " %s/%" JSON_INTEGER_FORMAT,
			bh_render_str(rec, "network.transport") ?: "?",
			bh_render_num(rec, "destination.port"));
	}
	if (bh_render_str(rec, "event.outcome"))
		bh_buf_printf(out, " (%s)", bh_render_str(rec, "event.outcome"));
	if (message)
		bh_buf_printf(out, ": %s", message);
}

char *bh_render(enum bh_render_format f, const char *line, size_t len, const json_t *rec)
{
	if (f == BH_RENDER_CEF)
		return bh_render_cef(rec);
	if (f == BH_RENDER_ECS)
		return bh_xstrndup(line, len);
	json_t *o = bh_render_ocsf(rec);
	char *text = json_dumps(o, JSON_COMPACT);
	json_decref(o);
	return text ? text : bh_xstrdup("{}");
}
