/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * ArcSight's Common Event Format, version 0 (Implementation Standard, revision 25): names of keys
 * and the lengths that values may have are its extension dictionary's.
 */
#include "render/render.h"

#define LONG_TEXT 1023
#define CUSTOM_TEXT 4000 /* cs1 to cs6 */
#define HEADER_TEXT 512 /* the standard has no limit, receivers have */

/* The bytes of s that are not more than max, whole characters only. */
static size_t cut(const char *s, size_t max)
{
	size_t len = strnlen(s, max + 1);
	if (len <= max)
		return len;
	for (len = max; len > 0 && ((unsigned char)s[len] & 0xc0) == 0x80;)
		len--;
	return len;
}

/* Escapes are a backslash and what follows it. Control characters have no escape but line ends, and
 * those only in values: a space takes their place. */
static void add_escaped(
	struct bh_buf *out, const char *s, size_t max, const char *special, bool lines)
{
	size_t len = cut(s, max);
	for (size_t i = 0; i < len; i++) {
		char c = s[i];
		if (strchr(special, c))
			bh_buf_str(out, "\\");
		if (lines && (c == '\n' || c == '\r'))
			bh_buf_str(out, c == '\n' ? "\\n" : "\\r");
		else
			bh_buf_add(out, (unsigned char)c < 0x20 || c == 0x7f ? " " : &c, 1);
	}
}

static void add_header(struct bh_buf *out, const char *s)
{
	add_escaped(out, s ? s : "", HEADER_TEXT, "|\\", false);
	bh_buf_str(out, "|");
}

static void add_text(struct bh_buf *out, const char *key, const char *s, size_t max)
{
	if (!s)
		return;
	bh_buf_printf(out, " %s=", key);
	add_escaped(out, s, max, "=\\", true);
}

static void add_int(struct bh_buf *out, const char *key, int64_t v)
{
	char text[32];
	snprintf(text, sizeof(text), "%lld", (long long)v);
	add_text(out, key, text, sizeof(text) - 1);
}

static void add_number(struct bh_buf *out, const char *key, const json_t *v)
{
	if (json_is_integer(v))
		add_int(out, key, json_integer_value(v));
}

/* baseEventCount, a process: 32 bits. */
static void add_number32(struct bh_buf *out, const char *key, const json_t *v)
{
	json_int_t n = json_integer_value(v);
	if (json_is_integer(v))
		add_int(out, key, n > INT32_MAX ? INT32_MAX : n);
}

static void add_time(struct bh_buf *out, const char *key, const char *rfc3339)
{
	if (rfc3339)
		add_int(out, key, bh_render_ms(rfc3339));
}

static void add_labelled(struct bh_buf *out, int n, const char *label, const char *value)
{
	char key[16];
	if (!value)
		return;
	snprintf(key, sizeof(key), "cs%d", n);
	add_text(out, key, value, CUSTOM_TEXT);
	snprintf(key, sizeof(key), "cs%dLabel", n);
	add_text(out, key, label, LONG_TEXT);
}

static int severity(const json_t *rec) /* 0 to 10 */
{
	json_int_t s = bh_render_num(rec, "event.severity");
	return s >= 99 ? 10 : s >= 73 ? 8 : s >= 47 ? 5 : s >= 21 ? 3 : 1;
}

/* src and dst are IPv4 in version 0; IPv6 has custom fields, with labels that are prescribed. */
static void add_address(struct bh_buf *out, const json_t *rec, const char *path, const char *v4,
	const char *v6, const char *label)
{
	const char *ip = bh_render_str(rec, path);
	char key[16];

	if (!ip || !strchr(ip, ':')) {
		add_text(out, v4, ip, LONG_TEXT);
		return;
	}
	add_text(out, v6, ip, LONG_TEXT);
	snprintf(key, sizeof(key), "%sLabel", v6);
	add_text(out, key, label, LONG_TEXT);
}

static void add_flow(struct bh_buf *out, const json_t *rec)
{
	const char *direction = bh_render_str(rec, "network.direction");

	add_address(out, rec, "source.ip", "src", "c6a2", "Source IPv6 Address");
	add_number(out, "spt", bh_render_at(rec, "source.port"));
	add_address(out, rec, "destination.ip", "dst", "c6a3", "Destination IPv6 Address");
	add_number(out, "dpt", bh_render_at(rec, "destination.port"));
	add_text(out, "proto", bh_render_str(rec, "network.transport"), 31);
	if (bh_streq(direction, "ingress") || bh_streq(direction, "egress"))
		add_int(out, "deviceDirection", bh_streq(direction, "egress"));
	add_text(out, "act", bh_render_str(rec, "bulkhead.verdict"), 63);
	add_number32(out, "cnt", bh_render_at(rec, "bulkhead.repeat"));
	add_number(out, "in", bh_render_at(rec, "destination.bytes")); /* what came back */
	add_number(out, "out", bh_render_at(rec, "source.bytes"));
	add_text(out, "shost", bh_render_str(rec, "bulkhead.src.name"), LONG_TEXT);
	add_text(out, "dhost", bh_render_str(rec, "bulkhead.dst.name"), LONG_TEXT);
	add_text(out, "reason", bh_render_str(rec, "bulkhead.reason"), LONG_TEXT);
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
	const char *action = bh_render_str(rec, "event.action");

	bh_render_sentence(rec, &sentence);
	bh_buf_str(&out, "CEF:0|Bulkhead|bulkheadd|");
	add_header(&out, bh_render_str(rec, "observer.version"));
	add_header(&out, action);
	add_header(&out, action);
	/* The first key: no space before it. */
	bh_buf_printf(&out, "%d|rt=%lld", severity(rec),
		(long long)bh_render_ms(bh_render_str(rec, "@timestamp")));
	add_time(&out, "start", bh_render_str(rec, "event.start"));
	add_time(&out, "end", bh_render_str(rec, "event.end"));
	add_text(&out, "dvchost", bh_render_str(rec, "host.name"), 100);
	add_text(&out, "externalId", bh_render_str(rec, "event.id"), 40);
	add_text(&out, "outcome", bh_render_str(rec, "event.outcome"), 63);
	add_text(&out, "suid", bh_render_str(rec, "user.id"), LONG_TEXT);
	add_text(&out, "suser", bh_render_str(rec, "user.name"), LONG_TEXT);
	add_number32(&out, "spid", bh_render_at(rec, "process.pid"));
	add_number(&out, "cn1", bh_render_at(rec, "event.sequence"));
	add_text(&out, "cn1Label", "sequence", LONG_TEXT);
	add_flow(&out, rec);
	char bh_autofree *json = json_is_object(change) ? json_dumps(change, JSON_COMPACT) : NULL;
	add_labelled(&out, 6, "change", json);
	add_text(&out, "msg", sentence.s, LONG_TEXT);
	return bh_buf_take(&out);
}
