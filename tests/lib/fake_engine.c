/* SPDX-License-Identifier: GPL-3.0-or-later */
/* See fake_engine.h. One request at a time per connection, no pipelining. */
#include "lib/fake_engine.h"
#include "lib/fake_socket.h"

struct route {
	char *prefix, *body, *headers;
	enum fake_kind kind;
	int status;
	unsigned delay;
};

struct conn {
	uv_pipe_t pipe;
	uv_timer_t timer;
	struct fake *fake;
	struct conn *prev, *next;
	char in[8192];
	size_t n;
	char path[1024];
	bool stream, closing, waiting;
	unsigned handles;
};

struct fake {
	uv_loop_t *loop;
	uv_pipe_t pipe;
	struct route *route;
	size_t n_routes, cap_routes;
	char **request;
	size_t n_requests, cap_requests;
	struct conn *conns;
	size_t waiting, most_waiting;
};

struct out {
	uv_write_t req;
	struct conn *conn;
	bool close_after, endless;
	char text[];
};

static void on_conn_closed(uv_handle_t *h)
{
	struct conn *c = h->data;
	if (--c->handles == 0)
		free(c);
}

static void answered(struct conn *c)
{
	if (c->waiting)
		c->fake->waiting--;
	c->waiting = false;
}

static void drop(struct conn *c)
{
	if (c->closing)
		return;
	answered(c);
	c->closing = true;
	if (c->prev)
		c->prev->next = c->next;
	else
		c->fake->conns = c->next;
	if (c->next)
		c->next->prev = c->prev;
	uv_close((uv_handle_t *)&c->pipe, on_conn_closed);
	uv_close((uv_handle_t *)&c->timer, on_conn_closed);
}

static void send_text(struct conn *c, const char *p, size_t n, bool close_after, bool endless);

static void on_sent(uv_write_t *req, int status)
{
	struct out *o = req->data;
	struct conn *c = o->conn;
	if (!c->closing && o->endless && status == 0) {
		static char junk[65536];
		bh_autobuf struct bh_buf b = {0};
		memset(junk, '[', sizeof(junk));
		if (c->stream)
			bh_buf_str(&b, "10000\r\n");
		bh_buf_add(&b, junk, sizeof(junk));
		if (c->stream)
			bh_buf_str(&b, "\r\n");
		send_text(c, b.s, b.len, false, true);
	} else if (!c->closing && o->close_after) {
		drop(c);
	}
	free(o);
}

static void send_text(struct conn *c, const char *p, size_t n, bool close_after, bool endless)
{
	struct out *o = bh_xcalloc(1, sizeof(*o) + n);
	memcpy(o->text, p, n);
	o->req.data = o;
	o->conn = c;
	o->close_after = close_after;
	o->endless = endless;
	uv_buf_t b = uv_buf_init(o->text, (unsigned)n);
	if (uv_write(&o->req, (uv_stream_t *)&c->pipe, &b, 1, on_sent) != 0) {
		free(o);
		drop(c);
	}
}

static struct route *find(const struct fake *f, const char *path)
{
	struct route *best = NULL;
	for (size_t i = 0; i < f->n_routes; i++) {
		struct route *r = &f->route[i];
		if (strncmp(path, r->prefix, strlen(r->prefix)) == 0 &&
			(!best || strlen(r->prefix) > strlen(best->prefix)))
			best = r;
	}
	return best;
}

static void head(struct bh_buf *b, const struct route *r)
{
	bh_buf_printf(b, "HTTP/1.1 %d Status\r\n%s", r->status, r->headers ? r->headers : "");
}

static void answer(struct conn *c)
{
	static const struct route missing = {
		.status = 404, .body = (char *)"{\"message\":\"No such thing\"}"};
	const struct route *r = find(c->fake, c->path);
	bh_autobuf struct bh_buf b = {0};
	if (!r)
		r = &missing;
	const char *body = r->body ? r->body : "";
	if (r->kind == FAKE_SILENT)
		return;
	answered(c);
	c->stream = r->kind == FAKE_STREAM || r->kind == FAKE_HUGE_CHUNKED;
	if (r->kind == FAKE_CLOSE) {
		drop(c);
		return;
	}
	if (r->kind == FAKE_RAW) {
		send_text(c, body, strlen(body), true, false);
		return;
	}
	head(&b, r);
	if (c->stream)
		bh_buf_str(&b, "Transfer-Encoding: chunked\r\n\r\n");
	else if (r->kind == FAKE_HUGE)
		bh_buf_str(&b, "Content-Length: 4294967296\r\n\r\n");
	else
		bh_buf_printf(&b, "Content-Length: %zu\r\n\r\n%s", strlen(body), body);
	send_text(c, b.s, b.len, false, r->kind == FAKE_HUGE || r->kind == FAKE_HUGE_CHUNKED);
}

static void on_delay(uv_timer_t *t)
{
	answer(t->data);
}

static void request(struct conn *c)
{
	struct fake *f = c->fake;
	if (sscanf(c->in, "GET %1023s", c->path) != 1) {
		drop(c);
		return;
	}
	BH_GROW(f->request, f->n_requests, f->cap_requests);
	f->request[f->n_requests++] = bh_xstrdup(c->path);
	const struct route *r = find(f, c->path);
	c->waiting = true;
	if (++f->waiting > f->most_waiting)
		f->most_waiting = f->waiting;
	if (r && r->delay)
		uv_timer_start(&c->timer, on_delay, r->delay, 0);
	else
		answer(c);
}

static void on_alloc(uv_handle_t *h, size_t suggested, uv_buf_t *b)
{
	struct conn *c = h->data;
	(void)suggested;
	*b = uv_buf_init(c->in + c->n, (unsigned)(sizeof(c->in) - 1 - c->n));
}

static void on_read(uv_stream_t *s, ssize_t n, const uv_buf_t *b)
{
	struct conn *c = s->data;
	(void)b;
	if (n < 0) {
		drop(c);
		return;
	}
	c->n += (size_t)n;
	c->in[c->n] = '\0';
	if (strstr(c->in, "\r\n\r\n")) {
		c->n = 0;
		request(c);
	}
}

static void on_connection(uv_stream_t *server, int status)
{
	struct fake *f = server->data;
	if (status < 0)
		return;
	struct conn *c = bh_xcalloc(1, sizeof(*c));
	uv_pipe_init(f->loop, &c->pipe, 0);
	uv_timer_init(f->loop, &c->timer);
	c->pipe.data = c->timer.data = c;
	c->handles = 2;
	c->fake = f;
	c->next = f->conns;
	if (c->next)
		c->next->prev = c;
	f->conns = c;
	if (uv_accept(server, (uv_stream_t *)&c->pipe) != 0)
		drop(c);
	else
		uv_read_start((uv_stream_t *)&c->pipe, on_alloc, on_read);
}

struct fake *fake_new(uv_loop_t *loop, const char *path)
{
	struct fake *f = bh_xcalloc(1, sizeof(*f));
	f->loop = loop;
	f->pipe.data = f;
	fake_listen(loop, &f->pipe, path, on_connection);
	return f;
}

static void on_fake_closed(uv_handle_t *h)
{
	struct fake *f = h->data;
	for (size_t i = 0; i < f->n_routes; i++) {
		free(f->route[i].prefix);
		free(f->route[i].body);
		free(f->route[i].headers);
	}
	for (size_t i = 0; i < f->n_requests; i++)
		free(f->request[i]);
	free(f->route);
	free(f->request);
	free(f);
}

void fake_free(struct fake *f)
{
	while (f->conns)
		drop(f->conns);
	uv_close((uv_handle_t *)&f->pipe, on_fake_closed);
}

static struct route *exactly(struct fake *f, const char *prefix)
{
	for (size_t i = 0; i < f->n_routes; i++) {
		if (strcmp(f->route[i].prefix, prefix) == 0)
			return &f->route[i];
	}
	BH_GROW(f->route, f->n_routes, f->cap_routes);
	f->route[f->n_routes] = (struct route){.prefix = bh_xstrdup(prefix)};
	return &f->route[f->n_routes++];
}

void fake_route(
	struct fake *f, const char *prefix, enum fake_kind kind, int status, const char *body)
{
	struct route *r = exactly(f, prefix);
	free(r->body);
	free(r->headers);
	r->headers = NULL;
	r->kind = kind;
	r->status = status;
	r->body = bh_xstrdup(body);
	r->delay = 0;
}

void fake_headers(struct fake *f, const char *prefix, const char *lines)
{
	struct route *r = exactly(f, prefix);
	free(r->headers);
	r->headers = bh_xstrdup(lines);
}

void fake_delay(struct fake *f, const char *prefix, unsigned ms)
{
	exactly(f, prefix)->delay = ms;
}

static void each_stream(struct fake *f, const char *text, bool close_after)
{
	struct conn *next;
	for (struct conn *c = f->conns; c; c = next) {
		next = c->next;
		if (c->stream)
			send_text(c, text, strlen(text), close_after, false);
	}
}

void fake_push(struct fake *f, const char *text)
{
	bh_autofree char *chunk = bh_xasprintf("%zx\r\n%s\r\n", strlen(text), text);
	each_stream(f, chunk, false);
}

void fake_end_streams(struct fake *f)
{
	each_stream(f, "0\r\n\r\n", true);
}

void fake_break_streams(struct fake *f)
{
	each_stream(f, "100\r\npart", true);
}

size_t fake_hits(const struct fake *f, const char *prefix)
{
	size_t n = 0;
	for (size_t i = 0; i < f->n_requests; i++)
		n += strncmp(f->request[i], prefix, strlen(prefix)) == 0;
	return n;
}

const char *fake_request(const struct fake *f, size_t i)
{
	return i < f->n_requests ? f->request[i] : NULL;
}

size_t fake_most_waiting(const struct fake *f)
{
	return f->most_waiting;
}
