/* SPDX-License-Identifier: GPL-3.0-or-later */
/* RFC 5424 and journald's native protocol. */
#include "render/render.h"

#define FACILITY 13 /* log audit */
#define HOST_MAX 255
#define MSGID_MAX 32

int bh_render_syslog_severity(const json_t *rec)
{
	json_int_t s = bh_render_num(rec, "event.severity");
	return s >= 99 ? 2 : s >= 73 ? 3 : s >= 47 ? 4 : s >= 21 ? 5 : 6;
}

/* PRINTUSASCII, as the header's fields must be; "-" is the value for none. */
static void add_name(struct bh_buf *out, const char *s, size_t max)
{
	size_t n = 0;
	for (; s && *s && n < max; s++, n++)
		bh_buf_add(out, (unsigned char)*s > 0x20 && (unsigned char)*s < 0x7f ? s : "?", 1);
	if (n == 0)
		bh_buf_str(out, "-");
}

void bh_render_syslog(const json_t *rec, const char *body, uint32_t pid, struct bh_buf *out)
{
	bh_buf_printf(out, "<%d>1 ", FACILITY * 8 + bh_render_syslog_severity(rec));
	add_name(out, bh_render_str(rec, "@timestamp"), 32);
	bh_buf_str(out, " ");
	add_name(out, bh_render_str(rec, "host.name"), HOST_MAX);
	bh_buf_printf(out, " bulkheadd %u ", pid);
	add_name(out, bh_render_str(rec, "event.action"), MSGID_MAX);
	bh_buf_printf(out, " - %s", body);
}

static void add_field(struct bh_buf *out, const char *name, const char *value)
{
	size_t len = value ? strlen(value) : 0;
	uint8_t size[8];

	if (!value)
		return;
	if (!strchr(value, '\n')) {
		bh_buf_printf(out, "%s=%s\n", name, value);
		return;
	}
	for (int i = 0; i < 8; i++)
		size[i] = (uint8_t)((uint64_t)len >> (8 * i)); /* little endian */
	bh_buf_printf(out, "%s\n", name);
	bh_buf_add(out, size, sizeof(size));
	bh_buf_add(out, value, len);
	bh_buf_str(out, "\n");
}

void bh_render_journal(const json_t *rec, struct bh_buf *out)
{
	struct bh_buf bh_autobuf sentence = {0};
	char number[32];

	bh_render_sentence(rec, &sentence);
	add_field(out, "MESSAGE", sentence.s);
	snprintf(number, sizeof(number), "%d", bh_render_syslog_severity(rec));
	add_field(out, "PRIORITY", number);
	add_field(out, "SYSLOG_IDENTIFIER", "bulkheadd");
	add_field(out, "SYSLOG_FACILITY", "13");
	add_field(out, "BULKHEAD_ACTION", bh_render_str(rec, "event.action"));
	add_field(out, "BULKHEAD_OUTCOME", bh_render_str(rec, "event.outcome"));
	add_field(out, "BULKHEAD_EVENT_ID", bh_render_str(rec, "event.id"));
	add_field(out, "BULKHEAD_UID", bh_render_str(rec, "user.id"));
	snprintf(number, sizeof(number), "%" JSON_INTEGER_FORMAT,
		bh_render_num(rec, "event.sequence"));
	add_field(out, "BULKHEAD_SEQUENCE", number);
	const json_t *change = bh_render_at(rec, "bulkhead.change");
	char bh_autofree *text = json_is_object(change) ? json_dumps(change, JSON_COMPACT) : NULL;
	add_field(out, "BULKHEAD_CHANGE", text);
}
