/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Requests: what they ask, how long they may take, what is kept of the answer, and that done() is
 * called exactly once. A request that is over stays in memory until the loop has closed its
 * handles, so that whoever is on the stack may still look at it: cancelling and closing is fine
 * everywhere.
 */
#include <errno.h>
#include <strings.h>

#include "http/headers.h"
#include "http/private.h"

#define NO_JSON "the answer is not JSON, or is cut off"

static void free_request(struct bh_http_request *r)
{
	if (r->protocol)
		r->protocol->free(r);
	bh_http_forget_headers(r);
	bh_buf_finish(&r->headers);
	bh_buf_finish(&r->body);
	if (r->sieve)
		bh_sieve_finish(r->sieve);
	free(r->sieve);
	bh_buf_finish(&r->name);
	bh_buf_finish(&r->value);
	free(r->later_message);
	free(r->method_path);
	free(r->host);
	free(r->body_out);
	free(r->frame);
	free(r->key);
	free(r);
}

void bh_http_drop_handle(struct bh_http *h)
{
	if (--h->handles == 0 && h->closing)
		free(h);
}

void bh_http_hold(struct bh_http_request *r)
{
	r->handles++;
	r->http->handles++;
}

void bh_http_let_go(struct bh_http_request *r)
{
	struct bh_http *h = r->http;
	if (--r->handles == 0)
		free_request(r);
	bh_http_drop_handle(h);
}

static void on_timer_closed(uv_handle_t *t)
{
	bh_http_let_go(t->data);
}

static void unlink_request(struct bh_http_request *r)
{
	struct bh_http *h = r->http;
	*(r->prev ? &r->prev->next : &h->first) = r->next;
	*(r->next ? &r->next->prev : &h->last) = r->prev;
}

static void end(struct bh_http_request *r)
{
	r->over = true;
	unlink_request(r);
	bh_http_local_stop(r);
	bh_http_fetch_stop(r);
	uv_close((uv_handle_t *)&r->timer, on_timer_closed);
}

static bool successful(const struct bh_http_request *r)
{
	return r->status >= 200 && r->status < 300;
}

void bh_http_finish(struct bh_http_request *r, int err, const char *message)
{
	if (r->over)
		return;
	end(r);
	bool sieved = r->sieve && successful(r);
	if (sieved && !err && bh_sieve_end(r->sieve) < 0) {
		err = -EPROTO;
		message = NO_JSON;
	}
	const struct bh_buf *body = sieved ? &r->sieve->out : &r->body;
	struct bh_http_result res = {
		.err = err,
		.message = !err                  ? ""
			   : err == -EFBIG       ? "the answer is larger than allowed"
			   : message && *message ? message
						 : strerror(-err),
		.status = r->status,
		.body = body->s ? body->s : "",
		.len = body->len,
		.content_type = r->content_type,
		.etag = r->etag,
		.last_modified = r->last_modified,
	};
	memcpy(res.kept, r->kept, sizeof(res.kept));
	r->done(&res, r->arg);
}

/* --- time --- */

/* Whether `limit` ms from `from` are over; else *next is no later than that. */
static bool is_late(uint64_t now, uint64_t from, long limit, uint64_t *next)
{
	if (!limit)
		return false;
	uint64_t at = from + (uint64_t)limit;
	if (now >= at)
		return true;
	if (at - now < *next)
		*next = at - now;
	return false;
}

static void on_timer(uv_timer_t *t)
{
	struct bh_http_request *r = t->data;
	if (r->later)
		bh_http_finish(r, r->later, r->later_message);
	else
		bh_http_schedule(r);
}

void bh_http_schedule(struct bh_http_request *r)
{
	uint64_t now = uv_now(r->http->loop), next = UINT64_MAX;
	if (r->over)
		return;
	if (is_late(now, r->began, r->timeout, &next))
		bh_http_finish(r, -ETIMEDOUT, NULL);
	else if (!r->connected && is_late(now, r->began, r->connect_timeout, &next))
		bh_http_finish(r, -ETIMEDOUT, "no connection in time");
	else if (r->connected && is_late(now, r->heard, r->idle_timeout, &next))
		bh_http_finish(r, -ETIMEDOUT, "nothing came for too long");
	else if (next != UINT64_MAX)
		uv_timer_start(&r->timer, on_timer, next, 0);
}

void bh_http_finish_later(struct bh_http_request *r, int err, char *take_message)
{
	r->later = err;
	r->later_message = take_message;
	uv_timer_start(&r->timer, on_timer, 0, 0);
}

/* --- the answer --- */

void bh_http_forget_headers(struct bh_http_request *r)
{
	free(BH_TAKE_PTR(r->content_type));
	free(BH_TAKE_PTR(r->etag));
	free(BH_TAKE_PTR(r->last_modified));
	for (size_t i = 0; i < BH_HTTP_MAX_KEPT; i++)
		free(BH_TAKE_PTR(r->kept[i]));
}

static bool is_named(const char *name, size_t len, const char *want)
{
	return strlen(want) == len && strncasecmp(name, want, len) == 0;
}

static void keep(char **ret, const char *v, size_t n)
{
	while (n && (v[0] == ' ' || v[0] == '\t'))
		v++, n--;
	while (n && (v[n - 1] == ' ' || v[n - 1] == '\t' || v[n - 1] == '\r'))
		n--;
	free(*ret);
	*ret = bh_xstrndup(v, n);
}

bool bh_http_on_header(struct bh_http_request *r, const char *name, size_t name_len,
	const char *value, size_t value_len)
{
	r->header_bytes += name_len + value_len;
	if (r->header_bytes > BH_HTTP_MAX_HEADERS) {
		bh_http_finish(r, -EFBIG, NULL);
		return false;
	}
	if (is_named(name, name_len, "content-type"))
		keep(&r->content_type, value, value_len);
	if (is_named(name, name_len, "etag"))
		keep(&r->etag, value, value_len);
	if (is_named(name, name_len, "last-modified"))
		keep(&r->last_modified, value, value_len);
	for (size_t i = 0; r->keep && i < BH_HTTP_MAX_KEPT && r->keep[i]; i++)
		if (is_named(name, name_len, r->keep[i]))
			keep(&r->kept[i], value, value_len);
	return !r->over;
}

bool bh_http_on_head_end(struct bh_http_request *r)
{
	if (r->opened && !r->opened_called && successful(r)) {
		r->opened_called = true;
		r->opened(r->arg);
	}
	return !r->over;
}

static bool sieve(struct bh_http_request *r, const char *p, size_t n)
{
	r->sieved += n;
	int err = r->sieved > BH_HTTP_MAX_SIEVED ? -EFBIG : bh_sieve_feed(r->sieve, p, n);
	if (err)
		bh_http_finish(r, err == -EFBIG ? err : -EPROTO, NO_JSON);
	return !r->over;
}

bool bh_http_on_body(struct bh_http_request *r, const char *p, size_t n)
{
	if (n == 0)
		return !r->over;
	if (r->data && successful(r)) {
		int err = r->data(p, n, r->arg);
		if (err)
			bh_http_finish(r, -ECANCELED, NULL);
		return !r->over;
	}
	if (r->sieve && successful(r))
		return sieve(r, p, n);
	bool cut = r->data || r->sieve; /* the beginning of an error will do */
	size_t max = cut ? BH_HTTP_MAX_ERROR_BODY : r->max_bytes;
	if (n > max - r->body.len && !cut) {
		bh_http_finish(r, -EFBIG, NULL);
		return false;
	}
	bh_buf_add(&r->body, p, n < max - r->body.len ? n : max - r->body.len);
	return true;
}

/* --- the question --- */

static int add_header(const char *line, void *arg)
{
	struct bh_http_request *r = arg;
	bh_buf_add(&r->headers, line, strlen(line) + 1);
	return 0;
}

/* "http://HOST/PATH" for a socket: the host is only a header. */
static int take_url(struct bh_http_request *r, const char *url)
{
	static const char scheme[] = "http://";
	for (const char *c = url; *c; c++)
		if (*c <= ' ' || *c == 0x7f)
			return -EINVAL;
	if (strncasecmp(url, scheme, sizeof(scheme) - 1) != 0)
		return -EPROTONOSUPPORT;
	const char *host = url + sizeof(scheme) - 1, *path = strchr(host, '/');
	r->host = path ? bh_xstrndup(host, (size_t)(path - host)) : bh_xstrdup(host);
	r->method_path = bh_xstrdup(path ? path : "/");
	return r->host[0] ? 0 : -EINVAL;
}

static int start_local(struct bh_http_request *r, const struct bh_http_opts *o)
{
	if (o->follow || o->proxy || o->ca_file)
		return -EINVAL;
	r->protocol = o->http2 ? &bh_http_h2 : &bh_http_h1;
	r->has_body = o->body;
	r->body_out_len = o->body_len;
	if (o->body_len)
		r->body_out = bh_xmemdup(o->body, o->body_len);
	int err = bh_http_each_header(o, add_header, r);
	if (err)
		return err;
	err = take_url(r, o->url);
	if (err == -EPROTONOSUPPORT)
		bh_http_finish_later(r, err, bh_xstrdup("only http is spoken here"));
	else if (!err)
		err = bh_http_local_start(r, o->unix_socket);
	return err == -EPROTONOSUPPORT ? 0 : err;
}

static struct bh_http_request *new_request(struct bh_http *h, const struct bh_http_opts *o)
{
	struct bh_http_request *r = bh_xcalloc(1, sizeof(*r));
	r->http = h;
	r->prev = h->last;
	*(r->prev ? &r->prev->next : &h->first) = r;
	h->last = r;
	r->opened = o->opened;
	r->keep = o->keep;
	r->max_bytes = o->max_bytes ? o->max_bytes : BH_HTTP_DEFAULT_MAX;
	if (o->wanted) {
		r->sieve = bh_xcalloc(1, sizeof(*r->sieve));
		bh_sieve_init(r->sieve, o->wanted, r->max_bytes);
	}
	r->timeout = o->timeout_ms;
	r->connect_timeout = o->connect_timeout_ms ? o->connect_timeout_ms : 10000;
	r->idle_timeout = o->idle_timeout_s * 1000;
	uv_timer_init(h->loop, &r->timer);
	r->timer.data = r;
	bh_http_hold(r);
	r->began = r->heard = uv_now(h->loop);
	return r;
}

int bh_http_get(struct bh_http *h, const struct bh_http_opts *opts,
	int (*data)(const char *p, size_t n, void *arg),
	void (*done)(const struct bh_http_result *r, void *arg), void *arg,
	struct bh_http_request **ret)
{
	if (h->closing)
		return -ESHUTDOWN;
	uv_update_time(h->loop); /* a limit of 50 ms is from now on */
	struct bh_http_request *r = new_request(h, opts);
	r->data = data;
	r->done = done;
	r->arg = arg;
	int err = opts->unix_socket ? start_local(r, opts) : bh_http_fetch_start(r, opts);
	if (err) {
		end(r);
		return err;
	}
	if (!r->later)
		bh_http_schedule(r);
	if (ret)
		*ret = r;
	return 0;
}

void bh_http_cancel(struct bh_http_request *r)
{
	if (r && !r->over)
		end(r);
}

int bh_http_open(uv_loop_t *loop, struct bh_http **ret)
{
	struct bh_http *h = bh_xcalloc(1, sizeof(*h));
	h->loop = loop;
	*ret = h;
	return 0;
}

void bh_http_close(struct bh_http *h)
{
	if (!h || h->closing)
		return;
	h->closing = true;
	h->handles++; /* until all are told to go */
	while (h->first)
		end(h->first);
	bh_http_fetch_close(h);
	bh_http_drop_handle(h);
}
