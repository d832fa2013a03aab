/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A connection to a unix socket, one for each request: they cost next to nothing, and one that
 * breaks takes nobody with it. */
#include <errno.h>
#include <sys/un.h>

#include "http/private.h"

struct output {
	uv_write_t req;
	struct bh_http_request *r;
	char bytes[];
};

static void on_closed(uv_handle_t *p)
{
	bh_http_let_go(p->data);
}

void bh_http_local_stop(struct bh_http_request *r)
{
	uv_handle_t *p = (uv_handle_t *)&r->pipe;
	if (p->data && !uv_is_closing(p))
		uv_close(p, on_closed);
}

static void on_written(uv_write_t *req, int status)
{
	struct output *o = (struct output *)req;
	/* An answer may be there although not all was taken: reading decides. */
	if (status < 0 && !o->r->write_error)
		o->r->write_error = status;
	free(o);
}

int bh_http_local_write(struct bh_http_request *r, const void *p, size_t n)
{
	struct output *o = bh_xcalloc(1, sizeof(*o) + n);
	o->r = r;
	memcpy(o->bytes, p, n);
	uv_buf_t b = uv_buf_init(o->bytes, (unsigned)n);
	int err = uv_write(&o->req, (uv_stream_t *)&r->pipe, &b, 1, on_written);
	if (err)
		free(o);
	return err;
}

static void on_room(uv_handle_t *p, size_t suggested, uv_buf_t *ret)
{
	struct bh_http_request *r = p->data;
	(void)suggested;
	*ret = uv_buf_init(r->http->buf, sizeof(r->http->buf)); /* read before anybody else reads */
}

static void on_read(uv_stream_t *s, ssize_t n, const uv_buf_t *b)
{
	struct bh_http_request *r = s->data;
	if (r->over || n == 0)
		return;
	r->heard = uv_now(r->http->loop);
	if (n > 0)
		r->protocol->data(r, b->base, (size_t)n);
	else
		r->protocol->end(r, n != UV_EOF ? (int)n : r->write_error);
}

static void on_connected(uv_connect_t *c, int status)
{
	struct bh_http_request *r = c->data;
	if (r->over)
		return;
	r->connected = true;
	r->heard = uv_now(r->http->loop);
	if (status == 0)
		status = uv_read_start((uv_stream_t *)&r->pipe, on_room, on_read);
	if (status == 0)
		status = r->protocol->begin(r);
	if (status < 0)
		bh_http_finish(r, status, NULL);
	else
		bh_http_schedule(r);
}

int bh_http_local_start(struct bh_http_request *r, const char *path)
{
	/* libuv would cut it. */
	if (strlen(path) >= sizeof(((struct sockaddr_un *)0)->sun_path)) {
		bh_http_finish_later(r, -ENAMETOOLONG, NULL);
		return 0;
	}
	int err = uv_pipe_init(r->http->loop, &r->pipe, 0);
	if (err)
		return err;
	r->pipe.data = r->connect.data = r;
	bh_http_hold(r);
	uv_pipe_connect(&r->connect, &r->pipe, path, on_connected);
	return 0;
}
