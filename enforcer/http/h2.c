/* SPDX-License-Identifier: GPL-3.0-or-later */
/* HTTP/2 without asking first ("prior knowledge", RFC 9113, 3.3), one stream on a connection of its
 * own. */
#include <errno.h>

#include "http/private.h"

#define MAX_HEADERS 64 /* of the question */

/* All that the session has to say. Not from within its callbacks. */
static void flush(struct bh_http_request *r)
{
	const uint8_t *p;
	ssize_t n = 0;
	int err = 0;
	while (!r->over && !err && (n = nghttp2_session_mem_send(r->session, &p)) > 0)
		err = bh_http_local_write(r, p, (size_t)n);
	if (n < 0)
		bh_http_finish(r, -EPROTO, nghttp2_strerror((int)n));
	else if (err)
		r->write_error = err;
}

static int on_header(nghttp2_session *s BH_UNUSED, const nghttp2_frame *f BH_UNUSED,
	const uint8_t *name, size_t name_len, const uint8_t *value, size_t value_len,
	uint8_t flags BH_UNUSED, void *arg)
{
	struct bh_http_request *r = arg;
	uint64_t status;
	if (r->over)
		return NGHTTP2_ERR_CALLBACK_FAILURE;
	if (name_len == 7 && memcmp(name, ":status", 7) == 0) {
		/* NUL-terminated by nghttp2 (nghttp2.h, nghttp2_rcbuf_get_buf) */
		bh_http_forget_headers(r);
		r->status = bh_parse_u64((const char *)value, 999, &status) == 0 ? (long)status : 0;
	}
	bool good =
		bh_http_on_header(r, (const char *)name, name_len, (const char *)value, value_len);
	return good ? 0 : NGHTTP2_ERR_CALLBACK_FAILURE;
}

static int on_frame(nghttp2_session *s BH_UNUSED, const nghttp2_frame *f, void *arg)
{
	struct bh_http_request *r = arg;
	if (f->hd.type != NGHTTP2_HEADERS || r->over)
		return 0;
	return bh_http_on_head_end(r) ? 0 : NGHTTP2_ERR_CALLBACK_FAILURE;
}

static int on_chunk(nghttp2_session *s BH_UNUSED, uint8_t flags BH_UNUSED, int32_t id BH_UNUSED,
	const uint8_t *p, size_t n, void *arg)
{
	struct bh_http_request *r = arg;
	bool good = !r->over && bh_http_on_body(r, (const char *)p, n);
	return good ? 0 : NGHTTP2_ERR_CALLBACK_FAILURE;
}

/* A server that has answered may end the stream before it has the whole question: no error. */
static int on_close(nghttp2_session *s BH_UNUSED, int32_t id BH_UNUSED, uint32_t code, void *arg)
{
	struct bh_http_request *r = arg;
	if (code == NGHTTP2_NO_ERROR && r->status >= 200)
		bh_http_finish(r, 0, NULL);
	else
		bh_http_finish(r, -EPROTO, nghttp2_http2_strerror(code));
	return 0;
}

static ssize_t on_body_wanted(nghttp2_session *s BH_UNUSED, int32_t id BH_UNUSED, uint8_t *buf,
	size_t size, uint32_t *flags, nghttp2_data_source *src, void *arg BH_UNUSED)
{
	struct bh_http_request *r = src->ptr;
	size_t left = r->body_out_len - r->body_out_sent, n = left < size ? left : size;
	if (n)
		memcpy(buf, r->body_out + r->body_out_sent, n);
	r->body_out_sent += n;
	if (n == left)
		*flags |= NGHTTP2_DATA_FLAG_EOF;
	return (ssize_t)n;
}

static int new_session(struct bh_http_request *r)
{
	nghttp2_session_callbacks *c;
	if (nghttp2_session_callbacks_new(&c) != 0)
		return -ENOMEM;
	nghttp2_session_callbacks_set_on_header_callback(c, on_header);
	nghttp2_session_callbacks_set_on_frame_recv_callback(c, on_frame);
	nghttp2_session_callbacks_set_on_data_chunk_recv_callback(c, on_chunk);
	nghttp2_session_callbacks_set_on_stream_close_callback(c, on_close);
	int err = nghttp2_session_client_new(&r->session, c, r);
	nghttp2_session_callbacks_del(c);
	return err ? -ENOMEM : 0;
}

static nghttp2_nv header(const char *name, size_t len, const char *value)
{
	return (nghttp2_nv){(uint8_t *)name, (uint8_t *)value, len, strlen(value), 0};
}

/* "Name: value" of r->headers after the pseudo-headers; names are in lower case here (8.2). */
static size_t collect(struct bh_http_request *r, nghttp2_nv nv[static MAX_HEADERS])
{
	size_t n = 0;
	nv[n++] = header(":method", 7, r->has_body ? "POST" : "GET");
	nv[n++] = header(":path", 5, r->method_path);
	nv[n++] = header(":scheme", 7, "http");
	nv[n++] = header(":authority", 10, r->host);
	nv[n++] = header("user-agent", 10, "bulkhead/" BH_VERSION);
	for (size_t at = 0; at < r->headers.len && n < MAX_HEADERS;) {
		char *name = r->headers.s + at;
		size_t len = strcspn(name, ":");
		at += strlen(name) + 1;
		for (size_t i = 0; i < len; i++)
			if (name[i] >= 'A' && name[i] <= 'Z')
				name[i] = (char)(name[i] - 'A' + 'a');
		nv[n++] = header(name, len, name + len + strspn(name + len, ": "));
	}
	return n;
}

static int begin(struct bh_http_request *r)
{
	/* Nothing may be pushed; what comes at a time is bounded by the window as it is. */
	static const nghttp2_settings_entry settings[] = {{NGHTTP2_SETTINGS_ENABLE_PUSH, 0},
		{NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, BH_HTTP_MAX_HEADERS}};
	const nghttp2_data_provider body = {.source.ptr = r, .read_callback = on_body_wanted};
	nghttp2_nv nv[MAX_HEADERS];
	int err = new_session(r);
	if (err)
		return err;
	size_t n = collect(r, nv);
	if (nghttp2_submit_settings(r->session, NGHTTP2_FLAG_NONE, settings, 2) != 0 ||
		nghttp2_submit_request(
			r->session, NULL, nv, n, r->body_out_len ? &body : NULL, NULL) < 0)
		return -ENOMEM;
	flush(r);
	return 0;
}

static void data(struct bh_http_request *r, const char *p, size_t n)
{
	ssize_t took = nghttp2_session_mem_recv(r->session, (const uint8_t *)p, n);
	if (r->over)
		return;
	if (took < 0)
		bh_http_finish(r, -EPROTO, nghttp2_strerror((int)took));
	else
		flush(r);
	if (!r->over && !nghttp2_session_want_read(r->session) &&
		!nghttp2_session_want_write(r->session))
		bh_http_finish(r, -EPROTO, "that is not HTTP/2");
}

static void end(struct bh_http_request *r, int err)
{
	bh_http_finish(r, err ? err : -ECONNRESET, err ? NULL : "the connection was closed");
}

static void release(struct bh_http_request *r)
{
	nghttp2_session_del(r->session); /* NULL is fine */
}

const struct bh_http_protocol bh_http_h2 = {begin, data, end, release};
