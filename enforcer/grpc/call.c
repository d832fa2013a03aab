/* SPDX-License-Identifier: GPL-3.0-or-later */
/* See grpc.h. A call is an HTTP/2 request whose outcome stands in the trailers. */
#include <errno.h>
#include <strings.h>

#include "grpc/frame.h"
#include "grpc/grpc.h"

#define TEXT_MAX 300

struct bh_grpc_call {
	struct bh_http *http;
	struct bh_http_request *request;
	char *url, *socket;
	struct bh_grpc_frames frames;
	int fault; /* −errno of the framing … */
	const char *why; /* … and its words */
	struct bh_buf answer; /* the first message, unless `message` takes them */
	unsigned n_answers;
	int (*message)(const uint8_t *p, size_t n, void *arg); /* NULL: one message back */
	void (*done)(const struct bh_grpc_result *r, void *arg);
	void *arg;
};

static const char *const kept[] = {"grpc-status", "grpc-message", NULL};

static void free_call(struct bh_grpc_call *c)
{
	bh_grpc_frames_finish(&c->frames);
	bh_buf_finish(&c->answer);
	free(c->url);
	free(c->socket);
	free(c);
}

static int faulty(struct bh_grpc_result *r, int err, const char *why)
{
	r->message = why;
	return r->err = err;
}

static bool is_grpc(const struct bh_http_result *h)
{
	static const char type[] = "application/grpc";
	return h->content_type && strncasecmp(h->content_type, type, sizeof(type) - 1) == 0;
}

/* Whether the call came to its end, and to which; text is for its words. */
static int check_end(struct bh_grpc_result *r, const struct bh_http_result *h, char *text)
{
	uint64_t status;
	if (h->err)
		return faulty(r, h->err, h->message);
	if (h->status != 200) {
		snprintf(text, TEXT_MAX, "no gRPC there: HTTP status %ld", h->status);
		return faulty(r, -EPROTO, text);
	}
	if (!is_grpc(h))
		return faulty(r, -EPROTO, "no gRPC there: another content type");
	if (!h->kept[0] || bh_parse_u64(h->kept[0], 1000, &status) < 0)
		return faulty(r, -EPROTO, "the answer ends without a status");
	r->status = (int)status;
	if (status == BH_GRPC_OK)
		return 0;
	bh_grpc_decode_message(h->kept[1] ? h->kept[1] : "no reason given", text, TEXT_MAX);
	return faulty(r, -EREMOTEIO, text);
}

static int check_answer(const struct bh_grpc_call *c, struct bh_grpc_result *r)
{
	if (c->n_answers == 0)
		return faulty(r, -EPROTO, "there is no message in the answer");
	r->answer = (const uint8_t *)c->answer.s;
	r->len = c->answer.len;
	return 0;
}

static void on_done(const struct bh_http_result *h, void *arg)
{
	struct bh_grpc_call *c = arg;
	struct bh_grpc_result r = {.status = BH_GRPC_NONE, .message = ""};
	char text[TEXT_MAX];
	c->request = NULL;
	if (c->fault)
		faulty(&r, c->fault, c->why);
	else if (check_end(&r, h, text) == 0 && c->frames.rest.len)
		faulty(&r, -EPROTO, "a message is cut off");
	else if (!r.err && !c->message)
		check_answer(c, &r);
	c->done(&r, c->arg);
	free_call(c);
}

static int fail_call(struct bh_grpc_call *c, int err, const char *why)
{
	c->fault = err;
	c->why = why;
	return err;
}

static int keep_answer(const uint8_t *p, size_t n, void *arg)
{
	struct bh_grpc_call *c = arg;
	if (c->n_answers++ > 0)
		return fail_call(c, -EPROTO, "the answer is more than one message");
	bh_buf_add(&c->answer, p, n);
	return 0;
}

static int on_data(const char *p, size_t n, void *arg)
{
	struct bh_grpc_call *c = arg;
	int err = bh_grpc_frames_add(
		&c->frames, p, n, c->message ? c->message : keep_answer, c->message ? c->arg : c);
	if (err == -EFBIG)
		return fail_call(c, err, "a message is larger than allowed");
	if (err == -EPROTO)
		return fail_call(c, err, "a message is compressed, or none of gRPC");
	return err; /* −ECANCELED: c may be gone */
}

static int start(struct bh_grpc_call *c, const struct bh_grpc_opts *opts)
{
	bh_autofree uint8_t *frame = bh_grpc_frame(opts->message, opts->len);
	struct bh_http_opts o = {
		.url = c->url,
		.unix_socket = c->socket,
		.timeout_ms = opts->timeout_ms,
		.connect_timeout_ms = opts->connect_timeout_ms,
		.http2 = true,
		.body = frame,
		.body_len = opts->len + BH_GRPC_PREFIX,
		.body_type = "application/grpc",
		.keep = kept,
	};
	return bh_http_get(c->http, &o, on_data, on_done, c, &c->request);
}

int bh_grpc_call(struct bh_http *http, const struct bh_grpc_opts *opts,
	void (*done)(const struct bh_grpc_result *r, void *arg), void *arg,
	struct bh_grpc_call **ret)
{
	return bh_grpc_stream(http, opts, NULL, done, arg, ret);
}

int bh_grpc_stream(struct bh_http *http, const struct bh_grpc_opts *opts,
	int (*message)(const uint8_t *p, size_t n, void *arg),
	void (*done)(const struct bh_grpc_result *r, void *arg), void *arg,
	struct bh_grpc_call **ret)
{
	struct bh_grpc_call *c = bh_xcalloc(1, sizeof(*c));
	c->http = http;
	c->url = bh_xasprintf("http://localhost%s", opts->method);
	c->socket = bh_xstrdup(opts->socket);
	c->frames.max = opts->max_bytes;
	c->message = message;
	c->done = done;
	c->arg = arg;
	int err = start(c, opts);
	if (err)
		free_call(c);
	else
		*ret = c;
	return err;
}

void bh_grpc_cancel(struct bh_grpc_call *c)
{
	if (!c || !c->request) /* the latter: inside its done() */
		return;
	bh_http_cancel(c->request);
	free_call(c);
}
