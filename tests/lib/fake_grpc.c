/* SPDX-License-Identifier: GPL-3.0-or-later */
/* See fake_grpc.h. */
#include "lib/fake_grpc.h"

#include <nghttp2/nghttp2.h>

#include "lib/fake_socket.h"

struct route {
	char *method;
	enum fakegrpc_kind kind;
	int status;
	struct bh_buf body;
	size_t hits;
	struct bh_buf last;
};

struct conn {
	uv_pipe_t pipe;
	struct fakegrpc *fake;
	struct conn *prev, *next;
	nghttp2_session *session;
	struct stream *streams;
	char in[65536];
	bool closing;
};

struct stream {
	struct conn *conn;
	struct stream *next;
	int32_t id;
	char *method;
	struct route *route;
	struct bh_buf request, out; /* out: still to be sent */
	bool ended; /* nothing comes after out */
};

struct fakegrpc {
	uv_loop_t *loop;
	uv_pipe_t pipe;
	struct route **route;
	size_t n_routes, cap_routes;
	struct conn *conns;
	bool mute;
};

struct out {
	uv_write_t req;
	struct conn *conn;
	uint8_t bytes[];
};

static struct route *find(struct fakegrpc *f, const char *method)
{
	for (size_t i = 0; i < f->n_routes; i++) {
		if (strcmp(f->route[i]->method, method) == 0)
			return f->route[i];
	}
	BH_GROW(f->route, f->n_routes, f->cap_routes);
	struct route *r = bh_xcalloc(1, sizeof(*r));
	r->method = bh_xstrdup(method);
	r->kind = GRPC_ERROR;
	r->status = 12;
	return f->route[f->n_routes++] = r;
}

/* --- connections --- */

static void on_conn_closed(uv_handle_t *h)
{
	free(h->data);
}

static void free_stream(struct stream *s)
{
	bh_buf_finish(&s->request);
	bh_buf_finish(&s->out);
	free(s->method);
	free(s);
}

static void drop(struct conn *c)
{
	if (c->closing)
		return;
	c->closing = true;
	if (c->prev)
		c->prev->next = c->next;
	else
		c->fake->conns = c->next;
	if (c->next)
		c->next->prev = c->prev;
	while (c->streams) {
		struct stream *s = c->streams;
		c->streams = s->next;
		free_stream(s);
	}
	nghttp2_session_del(c->session);
	uv_close((uv_handle_t *)&c->pipe, on_conn_closed);
}

static void flush(struct conn *c);

static void on_sent(uv_write_t *req, int status)
{
	struct out *o = req->data;
	struct conn *c = o->conn;
	free(o);
	if (status == 0 && !c->closing)
		flush(c);
}

static void flush(struct conn *c)
{
	const uint8_t *p;
	ssize_t n = 0;
	/* An endless answer waits for the reader, as a real server's does. */
	while (uv_stream_get_write_queue_size((uv_stream_t *)&c->pipe) < (1u << 20) &&
		(n = nghttp2_session_mem_send(c->session, &p)) > 0) {
		struct out *o = bh_xcalloc(1, sizeof(*o) + (size_t)n);
		memcpy(o->bytes, p, (size_t)n);
		o->req.data = o;
		o->conn = c;
		uv_buf_t b = uv_buf_init((char *)o->bytes, (unsigned)n);
		if (uv_write(&o->req, (uv_stream_t *)&c->pipe, &b, 1, on_sent) != 0) {
			free(o);
			n = -1;
			break;
		}
	}
	if (n < 0)
		drop(c);
}

/* --- answers --- */

#define NV(n, v)                                                                                   \
	{                                                                                          \
		(uint8_t *)(uintptr_t)(n), (uint8_t *)(uintptr_t)(v), strlen(n), strlen(v),        \
			NGHTTP2_NV_FLAG_NONE                                                       \
	}

static void frame(struct bh_buf *b, const void *p, size_t n)
{
	uint8_t head[5] = {
		0, (uint8_t)(n >> 24), (uint8_t)(n >> 16), (uint8_t)(n >> 8), (uint8_t)n};
	bh_buf_add(b, head, sizeof(head));
	bh_buf_add(b, p, n);
}

static ssize_t read_out(nghttp2_session *session, int32_t id, uint8_t *to, size_t room,
	uint32_t *flags, nghttp2_data_source *source, void *arg)
{
	struct stream *s = source->ptr;
	(void)arg;
	if (s->route->kind == GRPC_HUGE && s->out.len == 0) {
		memset(to, 'x', room);
		return (ssize_t)room;
	}
	size_t n = s->out.len < room ? s->out.len : room;
	if (n == 0 && !s->ended)
		return NGHTTP2_ERR_DEFERRED;
	if (n)
		memcpy(to, s->out.s, n);
	if (n)
		memmove(s->out.s, s->out.s + n, s->out.len - n);
	s->out.len -= n;
	if (s->ended && s->out.len == 0) {
		nghttp2_nv status[] = {NV("grpc-status", "0")};
		*flags |= NGHTTP2_DATA_FLAG_EOF;
		if (s->route->kind != GRPC_CUT && s->route->kind != GRPC_WEB) {
			*flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
			nghttp2_submit_trailer(session, id, status, 1);
		}
	}
	return (ssize_t)n;
}

static void submit(struct stream *s, const char *status, const char *type)
{
	nghttp2_nv head[] = {NV(":status", status), NV("content-type", type)};
	nghttp2_data_provider data = {.source.ptr = s, .read_callback = read_out};
	nghttp2_submit_response(s->conn->session, s->id, head, 2, &data);
}

static void submit_error(struct stream *s, const struct route *r)
{
	bh_autofree char *status = bh_xasprintf("%d", r->status);
	nghttp2_nv head[] = {NV(":status", "200"), NV("content-type", "application/grpc"),
		NV("grpc-status", status), NV("grpc-message", r->body.s ? r->body.s : "")};
	nghttp2_submit_response(s->conn->session, s->id, head, 4, NULL);
}

/* False: the connection is to be closed. */
static bool answer(struct stream *s)
{
	struct route *r = s->route = find(s->conn->fake, s->method);
	/* Go's servers say nothing when a call that they know comes without its message. */
	if (s->request.len == 0 && r->kind != GRPC_ERROR && r->kind != GRPC_EARLY &&
		r->kind != GRPC_CLOSE)
		return true;
	r->hits++;
	bh_buf_finish(&r->last);
	r->last = s->request;
	s->request = (struct bh_buf){0};
	switch (r->kind) {
	case GRPC_SILENT:
		return true;
	case GRPC_CLOSE:
		return false;
	case GRPC_ERROR:
	case GRPC_EARLY:
		submit_error(s, r);
		return true;
	case GRPC_HUGE:
		bh_buf_add(&s->out, "\0\x40\0\0\0", 5);
		break;
	case GRPC_BYTES:
	case GRPC_WEB:
		bh_buf_add(&s->out, r->body.s, r->body.len);
		break;
	case GRPC_ANSWER:
	case GRPC_CUT:
		frame(&s->out, r->body.s, r->body.len);
		break;
	case GRPC_STREAM:
		break;
	}
	s->ended = r->kind != GRPC_STREAM && r->kind != GRPC_HUGE;
	submit(s, r->kind == GRPC_WEB ? "404" : "200",
		r->kind == GRPC_WEB ? "text/plain" : "application/grpc");
	return true;
}

/* --- requests --- */

static int on_begin(nghttp2_session *session, const nghttp2_frame *f, void *arg)
{
	struct conn *c = arg;
	if (f->hd.type != NGHTTP2_HEADERS)
		return 0;
	struct stream *s = bh_xcalloc(1, sizeof(*s));
	s->conn = c;
	s->id = f->hd.stream_id;
	s->next = c->streams;
	c->streams = s;
	nghttp2_session_set_stream_user_data(session, s->id, s);
	return 0;
}

static int on_header(nghttp2_session *session, const nghttp2_frame *f, const uint8_t *name,
	size_t name_len, const uint8_t *value, size_t value_len, uint8_t flags, void *arg)
{
	struct stream *s = nghttp2_session_get_stream_user_data(session, f->hd.stream_id);
	(void)flags;
	(void)arg;
	if (s && !s->method && name_len == 5 && memcmp(name, ":path", 5) == 0)
		s->method = bh_xstrndup((const char *)value, value_len);
	return 0;
}

static int on_data(
	nghttp2_session *session, uint8_t flags, int32_t id, const uint8_t *p, size_t n, void *arg)
{
	struct stream *s = nghttp2_session_get_stream_user_data(session, id);
	(void)flags;
	(void)arg;
	if (s)
		bh_buf_add(&s->request, p, n);
	return 0;
}

static int on_frame(nghttp2_session *session, const nghttp2_frame *f, void *arg)
{
	struct stream *s = nghttp2_session_get_stream_user_data(session, f->hd.stream_id);
	(void)arg;
	if (s && !s->route && f->hd.type == NGHTTP2_HEADERS && s->method &&
		find(s->conn->fake, s->method)->kind == GRPC_EARLY) {
		answer(s);
		return 0;
	}
	if (!s || s->route || !(f->hd.flags & NGHTTP2_FLAG_END_STREAM) ||
		(f->hd.type != NGHTTP2_DATA && f->hd.type != NGHTTP2_HEADERS))
		return 0;
	return answer(s) ? 0 : NGHTTP2_ERR_CALLBACK_FAILURE;
}

static int on_frame_sent(nghttp2_session *session, const nghttp2_frame *f, void *arg)
{
	struct stream *s = nghttp2_session_get_stream_user_data(session, f->hd.stream_id);
	(void)arg;
	if (s && s->route && s->route->kind == GRPC_EARLY && f->hd.type == NGHTTP2_HEADERS)
		nghttp2_submit_rst_stream(session, NGHTTP2_FLAG_NONE, s->id, NGHTTP2_NO_ERROR);
	return 0;
}

static int on_stream_close(nghttp2_session *session, int32_t id, uint32_t code, void *arg)
{
	struct conn *c = arg;
	struct stream *s = nghttp2_session_get_stream_user_data(session, id);
	(void)code;
	for (struct stream **at = &c->streams; s && *at; at = &(*at)->next) {
		if (*at == s) {
			*at = s->next;
			free_stream(s);
			break;
		}
	}
	return 0;
}

static void open_session(struct conn *c)
{
	nghttp2_session_callbacks *cb;
	nghttp2_session_callbacks_new(&cb);
	nghttp2_session_callbacks_set_on_begin_headers_callback(cb, on_begin);
	nghttp2_session_callbacks_set_on_header_callback(cb, on_header);
	nghttp2_session_callbacks_set_on_data_chunk_recv_callback(cb, on_data);
	nghttp2_session_callbacks_set_on_frame_recv_callback(cb, on_frame);
	nghttp2_session_callbacks_set_on_frame_send_callback(cb, on_frame_sent);
	nghttp2_session_callbacks_set_on_stream_close_callback(cb, on_stream_close);
	nghttp2_session_server_new(&c->session, cb, c);
	nghttp2_session_callbacks_del(cb);
	nghttp2_submit_settings(c->session, NGHTTP2_FLAG_NONE, NULL, 0);
}

static void on_alloc(uv_handle_t *h, size_t suggested, uv_buf_t *b)
{
	struct conn *c = h->data;
	(void)suggested;
	*b = uv_buf_init(c->in, sizeof(c->in));
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *b)
{
	struct conn *c = stream->data;
	if (c->fake->mute && n >= 0)
		return;
	if (n < 0 || nghttp2_session_mem_recv(c->session, (const uint8_t *)b->base, (size_t)n) < 0)
		drop(c);
	else
		flush(c);
}

static void on_connection(uv_stream_t *server, int status)
{
	struct fakegrpc *f = server->data;
	if (status < 0)
		return;
	struct conn *c = bh_xcalloc(1, sizeof(*c));
	uv_pipe_init(f->loop, &c->pipe, 0);
	c->pipe.data = c;
	c->fake = f;
	c->next = f->conns;
	if (c->next)
		c->next->prev = c;
	f->conns = c;
	open_session(c);
	if (uv_accept(server, (uv_stream_t *)&c->pipe) != 0)
		drop(c);
	else
		uv_read_start((uv_stream_t *)&c->pipe, on_alloc, on_read);
}

/* --- the fake --- */

struct fakegrpc *fakegrpc_new(uv_loop_t *loop, const char *path)
{
	struct fakegrpc *f = bh_xcalloc(1, sizeof(*f));
	f->loop = loop;
	f->pipe.data = f;
	fake_listen(loop, &f->pipe, path, on_connection);
	return f;
}

static void on_fake_closed(uv_handle_t *h)
{
	struct fakegrpc *f = h->data;
	for (size_t i = 0; i < f->n_routes; i++) {
		bh_buf_finish(&f->route[i]->body);
		bh_buf_finish(&f->route[i]->last);
		free(f->route[i]->method);
		free(f->route[i]);
	}
	free(f->route);
	free(f);
}

void fakegrpc_break(struct fakegrpc *f)
{
	while (f->conns)
		drop(f->conns);
}

void fakegrpc_free(struct fakegrpc *f)
{
	fakegrpc_break(f);
	uv_close((uv_handle_t *)&f->pipe, on_fake_closed);
}

void fakegrpc_mute(struct fakegrpc *f, bool mute)
{
	f->mute = mute;
}

void fakegrpc_route(struct fakegrpc *f, const char *method, enum fakegrpc_kind kind, int status,
	const void *body, size_t len)
{
	struct route *r = find(f, method);
	r->kind = kind;
	r->status = status;
	bh_buf_finish(&r->body);
	if (body)
		bh_buf_add(&r->body, body, len);
}

static void each_stream(
	struct fakegrpc *f, const char *method, const void *bytes, size_t len, bool end)
{
	struct conn *next;
	for (struct conn *c = f->conns; c; c = next) {
		next = c->next;
		for (struct stream *s = c->streams; s; s = s->next) {
			if (!s->route || strcmp(s->method, method) != 0)
				continue;
			if (len)
				bh_buf_add(&s->out, bytes, len);
			s->ended = end;
			nghttp2_session_resume_data(c->session, s->id);
		}
		flush(c);
	}
}

void fakegrpc_push(struct fakegrpc *f, const char *method, const void *bytes, size_t len)
{
	each_stream(f, method, bytes, len, false);
}

void fakegrpc_end(struct fakegrpc *f, const char *method)
{
	each_stream(f, method, NULL, 0, true);
}

size_t fakegrpc_hits(const struct fakegrpc *f, const char *method)
{
	for (size_t i = 0; i < f->n_routes; i++) {
		if (strcmp(f->route[i]->method, method) == 0)
			return f->route[i]->hits;
	}
	return 0;
}

size_t fakegrpc_streams(const struct fakegrpc *f, const char *method)
{
	size_t n = 0;
	for (const struct conn *c = f->conns; c; c = c->next)
		for (const struct stream *s = c->streams; s; s = s->next)
			n += s->route && strcmp(s->method, method) == 0;
	return n;
}

const struct bh_buf *fakegrpc_request(const struct fakegrpc *f, const char *method)
{
	for (size_t i = 0; i < f->n_routes; i++) {
		if (strcmp(f->route[i]->method, method) == 0 && f->route[i]->hits)
			return &f->route[i]->last;
	}
	return NULL;
}
