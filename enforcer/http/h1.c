/* SPDX-License-Identifier: GPL-3.0-or-later */
/* HTTP/1.1 on a connection of its own (RFC 9112), read by http_parser. */
#include <errno.h>

#include "http/private.h"

static bool flush_header(struct bh_http_request *r)
{
	bool good = !r->name.len || bh_http_on_header(r, r->name.s, r->name.len,
					    r->value.s ? r->value.s : "", r->value.len);
	r->name.len = r->value.len = 0;
	r->in_value = false;
	return good;
}

static int on_begin(http_parser *p)
{
	bh_http_forget_headers(p->data); /* of an interim answer */
	return 0;
}

/* What http_parser bounds is a head; this bounds names and values that come in pieces. */
static int add_piece(struct bh_http_request *r, struct bh_buf *to, const char *s, size_t n)
{
	if (to->len + n > BH_HTTP_MAX_HEADERS) {
		bh_http_finish(r, -EFBIG, NULL);
		return -1;
	}
	bh_buf_add(to, s, n);
	return 0;
}

static int on_field(http_parser *p, const char *s, size_t n)
{
	struct bh_http_request *r = p->data;
	if (r->in_value && !flush_header(r))
		return -1;
	return add_piece(r, &r->name, s, n);
}

static int on_value(http_parser *p, const char *s, size_t n)
{
	struct bh_http_request *r = p->data;
	r->in_value = true;
	return add_piece(r, &r->value, s, n);
}

/* One that says itself that it is too large need not be read. */
static bool is_too_large(const struct bh_http_request *r)
{
	uint64_t n = r->parser.content_length; /* UINT64_MAX: not said */
	size_t max = r->sieve ? BH_HTTP_MAX_SIEVED : r->max_bytes;
	return !r->data && n != UINT64_MAX && n > max && r->status != 304;
}

static int on_head(http_parser *p)
{
	struct bh_http_request *r = p->data;
	if (!flush_header(r))
		return -1;
	r->status = p->status_code;
	if (is_too_large(r)) {
		bh_http_finish(r, -EFBIG, NULL);
		return -1;
	}
	return bh_http_on_head_end(r) ? 0 : -1;
}

static int on_body(http_parser *p, const char *s, size_t n)
{
	return bh_http_on_body(p->data, s, n) ? 0 : -1;
}

static int on_complete(http_parser *p)
{
	struct bh_http_request *r = p->data;
	if (!flush_header(r)) /* a trailer */
		return -1;
	if (p->status_code / 100 == 1 && p->status_code != 101)
		return 0;
	bh_http_finish(r, 0, NULL);
	return -1;
}

static const http_parser_settings settings = {
	.on_message_begin = on_begin,
	.on_header_field = on_field,
	.on_header_value = on_value,
	.on_headers_complete = on_head,
	.on_body = on_body,
	.on_message_complete = on_complete,
};

static int begin(struct bh_http_request *r)
{
	struct bh_buf bh_autobuf b = {0};
	http_parser_init(&r->parser, HTTP_RESPONSE);
	http_parser_set_max_header_size(BH_HTTP_MAX_HEADERS);
	r->parser.data = r;
	bh_buf_printf(&b,
		"%s %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: bulkhead/" BH_VERSION
		"\r\nAccept: */*\r\nConnection: close\r\n",
		r->has_body ? "POST" : "GET", r->method_path, r->host);
	for (size_t at = 0; at < r->headers.len; at += strlen(r->headers.s + at) + 1)
		bh_buf_printf(&b, "%s\r\n", r->headers.s + at);
	if (r->has_body)
		bh_buf_printf(&b, "Content-Length: %zu\r\n", r->body_out_len);
	bh_buf_str(&b, "\r\n");
	bh_buf_add(&b, r->body_out, r->body_out_len);
	return bh_http_local_write(r, b.s, b.len);
}

static void refuse(struct bh_http_request *r)
{
	enum http_errno e = HTTP_PARSER_ERRNO(&r->parser);
	bh_http_finish(r, e == HPE_HEADER_OVERFLOW ? -EFBIG : -EPROTO, http_errno_description(e));
}

static void data(struct bh_http_request *r, const char *p, size_t n)
{
	size_t took = http_parser_execute(&r->parser, &settings, p, n);
	if (!r->over && (took != n || r->parser.upgrade))
		refuse(r);
}

static void end(struct bh_http_request *r, int err)
{
	if (err) {
		bh_http_finish(r, err, NULL);
		return;
	}
	/* To the end of the connection is as long as some bodies are. */
	if (r->status)
		http_parser_execute(&r->parser, &settings, NULL, 0);
	if (!r->over)
		bh_http_finish(r, r->status ? -EPROTO : -ECONNRESET,
			r->status ? "the answer is cut off" : "no answer came");
}

static void release(struct bh_http_request *r)
{
	(void)r;
}

const struct bh_http_protocol bh_http_h1 = {begin, data, end, release};
