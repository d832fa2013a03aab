/* SPDX-License-Identifier: GPL-3.0-or-later */
/* ArcSight's Common Event Format, version 0 (revision 25). */
#include "render/render.h"

static void add_header(struct bh_buf *out, const char *s)
{
	for (; s && *s; s++) {
		if (*s == '|' || *s == '\\')
			bh_buf_str(out, "\\");
		bh_buf_add(out, *s == '\n' || *s == '\r' ? " " : s, 1);
	}
	bh_buf_str(out, "|");
}

static void add_text(struct bh_buf *out, const char *key, const char *s)
{
	if (!s)
		return;
	bh_buf_printf(out, "%s%s=", out->len && out->s[out->len - 1] != '|' ? " " : "", key);
	for (; *s; s++) {
		if (*s == '=' || *s == '\\')
			bh_buf_str(out, "\\");
		if (*s == '\n' || *s == '\r')
			bh_buf_str(out, *s == '\n' ? "\\n" : "\\r");
		else
			bh_buf_add(out, s, 1);
	}
}

static void add_number(struct bh_buf *out, const char *key, const json_t *v)
{
	char text[32];
	if (!json_is_integer(v))
		return;
	snprintf(text, sizeof(text), "%" JSON_INTEGER_FORMAT, json_integer_value(v));
	add_text(out, key, text);
}

static void add_labelled(struct bh_buf *out, int n, const char *label, const char *value)
{
	char key[16];
	if (!value)
		return;
	snprintf(key, sizeof(key), "cs%d", n);
	add_text(out, key, value);
	snprintf(key, sizeof(key), "cs%dLabel", n);
	add_text(out, key, label);
}

static int severity(const json_t *rec) /* 0 to 10 */
{
	json_int_t s = bh_render_num(rec, "event.severity");
	return s >= 99 ? 10 : s >= 73 ? 8 : s >= 47 ? 5 : s >= 21 ? 3 : 1;
}

static void add_flow(struct bh_buf *out, const json_t *rec)
{
	add_text(out, "src", bh_render_str(rec, "source.ip"));
	add_number(out, "spt", bh_render_at(rec, "source.port"));
	add_text(out, "dst", bh_render_str(rec, "destination.ip"));
	add_number(out, "dpt", bh_render_at(rec, "destination.port"));
	add_text(out, "proto", bh_render_str(rec, "network.transport"));
	add_text(out, "act", bh_render_str(rec, "bulkhead.verdict"));
	add_number(out, "cnt", bh_render_at(rec, "bulkhead.repeat"));
	add_text(out, "shost", bh_render_str(rec, "bulkhead.src.name"));
	add_text(out, "dhost", bh_render_str(rec, "bulkhead.dst.name"));
	add_text(out, "reason", bh_render_str(rec, "bulkhead.reason"));
	add_labelled(out, 1, "policy", bh_render_str(rec, "rule.ruleset"));
	add_labelled(out, 2, "rule", bh_render_str(rec, "rule.name"));
	add_labelled(out, 3, "feed", bh_render_str(rec, "threat.feed.name"));
	add_labelled(out, 4, "sourceNamespace", bh_render_str(rec, "bulkhead.src.namespace"));
	add_labelled(out, 5, "destinationNamespace", bh_render_str(rec, "bulkhead.dst.namespace"));
}

char *bh_render_cef(const json_t *rec)
{
	struct bh_buf out = {0}, bh_autobuf sentence = {0};
	const json_t *change = bh_render_at(rec, "bulkhead.change");
	char text[32];

	bh_render_sentence(rec, &sentence);
	bh_buf_str(&out, "CEF:0|Bulkhead|bulkheadd|");
	add_header(&out, bh_render_str(rec, "observer.version"));
	add_header(&out, bh_render_str(rec, "event.action"));
	add_header(&out, bh_render_str(rec, "event.action"));
	bh_buf_printf(&out, "%d|", severity(rec));
	snprintf(text, sizeof(text), "%lld",
		(long long)bh_render_ms(bh_render_str(rec, "@timestamp")));
	add_text(&out, "rt", text);
	add_text(&out, "dvchost", bh_render_str(rec, "host.name"));
	add_text(&out, "externalId", bh_render_str(rec, "event.id"));
	add_text(&out, "outcome", bh_render_str(rec, "event.outcome"));
	add_text(&out, "suid", bh_render_str(rec, "user.id"));
	add_number(&out, "spid", bh_render_at(rec, "process.pid"));
	add_number(&out, "cn1", bh_render_at(rec, "event.sequence"));
	add_text(&out, "cn1Label", "sequence");
	add_flow(&out, rec);
	char bh_autofree *json = json_is_object(change) ? json_dumps(change, JSON_COMPACT) : NULL;
	add_labelled(&out, 6, "change", json);
	add_text(&out, "msg", sentence.s);
	return bh_buf_take(&out);
}
