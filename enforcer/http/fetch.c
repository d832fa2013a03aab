/* SPDX-License-Identifier: GPL-3.0-or-later */
/* See fetch.h. */
#include "http/fetch.h"

static void add(struct bh_buf *b, const char *key, const char *value)
{
	if (!value)
		return;
	bh_buf_printf(b, "%s=%s", key, value);
	bh_buf_add(b, "", 1);
}

char *bh_fetch_question(const struct bh_http_opts *o, const char *ca, size_t *ret_len)
{
	struct bh_buf bh_autobuf s = {0};
	struct bh_buf all = {0};
	add(&s, "url", o->url);
	add(&s, "if_none_match", o->if_none_match);
	add(&s, "if_modified_since", o->if_modified_since);
	for (size_t i = 0; o->headers && o->headers[i]; i++)
		add(&s, "header", o->headers[i]);
	add(&s, "proxy", o->proxy);
	add(&s, "ca", ca);
	bh_buf_printf(&all, "%zu %zu %ld %ld %ld %d\n", s.len, o->max_bytes, o->timeout_ms,
		o->connect_timeout_ms, o->idle_timeout_s, o->follow);
	bh_buf_add(&all, s.s, s.len);
	*ret_len = all.len;
	return bh_buf_take(&all);
}

void bh_fetch_answer(const struct bh_http_result *r, struct bh_buf *out)
{
	struct bh_buf bh_autobuf s = {0};
	add(&s, "message", r->message);
	add(&s, "content_type", r->content_type);
	add(&s, "etag", r->etag);
	add(&s, "last_modified", r->last_modified);
	bh_buf_printf(out, "%d %ld %zu %zu\n", r->err, r->status, s.len, r->len);
	bh_buf_add(out, s.s, s.len);
}

const char *bh_fetch_find(const char *strings, size_t n, const char *key, size_t *at)
{
	size_t len = strlen(key);
	while (*at < n) {
		const char *s = strings + *at;
		*at += strlen(s) + 1;
		if (strncmp(s, key, len) == 0 && s[len] == '=')
			return s + len + 1;
	}
	return NULL;
}
