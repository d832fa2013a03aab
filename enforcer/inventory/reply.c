/* SPDX-License-Identifier: GPL-3.0-or-later */
/* See reply.h. */
#include "inventory/reply.h"

#include <errno.h>

#define PID_MAX 4194304 /* PID_MAX_LIMIT of linux/threads.h */

int bh_faulty(struct bh_fault *f, int err, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(f->text, sizeof(f->text), fmt, ap);
	va_end(ap);
	for (char *c = f->text; *c; c++) {
		if (*c < ' ' || *c > '~')
			*c = '?';
	}
	return err;
}

uint64_t bh_reply_backoff(uint64_t first, uint64_t most, unsigned failures)
{
	uint64_t ms = first, noise = 0;
	for (unsigned i = 1; i < failures && ms < most; i++)
		ms *= 2;
	if (ms > most)
		ms = most;
	uv_random(NULL, NULL, &noise, sizeof(noise), 0, NULL);
	return ms / 2 + noise % (ms / 2 + 1);
}

void bh_source_say(struct bh_source *s, bool ok, const char *fmt, ...)
{
	bh_autobuf struct bh_buf b = {0};
	va_list ap;
	va_start(ap, fmt);
	bh_autofree char *text = NULL;
	if (vasprintf(&text, fmt, ap) < 0)
		text = NULL;
	va_end(ap);
	if (!ok)
		bh_buf_printf(&b, "%s: %s", s->name, text ? text : "");
	s->sink.state(s->sink.arg, ok, b.s ? b.s : "");
}

int bh_reply_json(const char *text, size_t len, json_t **ret, struct bh_fault *f)
{
	json_error_t e;
	json_t *j = json_loadb(
		text, len, JSON_DECODE_INT_AS_REAL | JSON_ALLOW_NUL | JSON_REJECT_DUPLICATES, &e);
	if (!j)
		return bh_faulty(
			f, -EINVAL, "not JSON: %s (line %d, column %d)", e.text, e.line, e.column);
	*ret = j;
	return 0;
}

const char *bh_reply_text(const json_t *j)
{
	const char *s = json_string_value(j);
	return s && strlen(s) == json_string_length(j) ? s : NULL;
}

int bh_reply_pid(const json_t *j, int *ret)
{
	double pid = json_real_value(j);
	if (!json_is_real(j) || pid < 0 || pid > PID_MAX || pid != (double)(int)pid)
		return -EINVAL;
	*ret = (int)pid;
	return 0;
}

char *bh_reply_bounded(const char *s, size_t max)
{
	size_t n = strnlen(s, max + 1);
	if (n > max) {
		n = max;
		while (n > 0 && ((unsigned char)s[n] & 0xc0) == 0x80)
			n--;
	}
	return bh_xstrndup(s, n);
}

bool bh_reply_good_name(const char *s)
{
	size_t n = 0;
	for (; s && s[n]; n++) {
		char c = s[n];
		bool alnum =
			(c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
		if (!alnum && (n == 0 || !strchr("_.-", c)))
			return false;
	}
	return n > 0 && n <= BH_REPLY_MAX_NAME;
}
