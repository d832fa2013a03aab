/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * libcurl's multi interface on a libuv loop: libcurl names the descriptors it waits for and one
 * timeout, libuv waits. Invariants: libcurl is never called from within its own callbacks (`depth`
 * says when that would be the case), and users' done() only runs when libcurl is not on the stack,
 * so that it may start, cancel and close at will.
 */
#include "http/curl_private.h"

#include <errno.h>

struct http_socket {
	uv_poll_t poll;
	struct bh_http *http;
	struct http_socket *prev, *next;
	curl_socket_t fd;
};

struct bh_http {
	uv_loop_t *loop;
	uv_timer_t timer;
	CURLM *multi; /* NULL once closed */
	struct bh_http_request *requests;
	struct http_socket *sockets;
	unsigned handles; /* not yet closed by the loop; the last one frees */
	unsigned depth; /* libcurl is on the stack */
	bool closing;
};

static void run(struct bh_http *h, curl_socket_t fd, int what);

static void on_closed(struct bh_http *h)
{
	if (--h->handles == 0)
		free(h);
}

static void on_socket_closed(uv_handle_t *u)
{
	struct http_socket *s = u->data;
	struct bh_http *h = s->http;
	free(s);
	on_closed(h);
}

static void on_timer_closed(uv_handle_t *u)
{
	on_closed(u->data);
}

static void drop_socket(struct http_socket *s)
{
	struct bh_http *h = s->http;
	if (s->prev)
		s->prev->next = s->next;
	else
		h->sockets = s->next;
	if (s->next)
		s->next->prev = s->prev;
	/* Leaves the poll set at once: libcurl closes the descriptor right after this. */
	uv_poll_stop(&s->poll);
	uv_close((uv_handle_t *)&s->poll, on_socket_closed);
}

static void on_ready(uv_poll_t *p, int status, int events)
{
	struct http_socket *s = p->data;
	int what = 0;
	if (status < 0)
		what = CURL_CSELECT_ERR;
	if (events & UV_READABLE)
		what |= CURL_CSELECT_IN;
	if (events & UV_WRITABLE)
		what |= CURL_CSELECT_OUT;
	run(s->http, s->fd, what);
}

static int add_socket(struct bh_http *h, curl_socket_t fd, struct http_socket **ret)
{
	struct http_socket *s = bh_xcalloc(1, sizeof(*s));
	int err = uv_poll_init(h->loop, &s->poll, fd);
	if (err) {
		free(s);
		return err;
	}
	s->poll.data = s;
	s->http = h;
	s->fd = fd;
	s->next = h->sockets;
	if (s->next)
		s->next->prev = s;
	h->sockets = s;
	h->handles++;
	*ret = s;
	return 0;
}

/* CURLMOPT_SOCKETFUNCTION. A descriptor that cannot be watched fails its transfer alone: a
 * non-zero return would end all of them. */
static int on_socket(CURL *easy, curl_socket_t fd, int what, void *arg, void *assigned)
{
	struct bh_http *h = arg;
	struct http_socket *s = assigned;
	if (what == CURL_POLL_REMOVE) {
		if (s) {
			curl_multi_assign(h->multi, fd, NULL);
			drop_socket(s);
		}
		return 0;
	}
	int err = s ? 0 : add_socket(h, fd, &s);
	if (!err) {
		int events = 0;
		if (what & CURL_POLL_IN)
			events |= UV_READABLE;
		if (what & CURL_POLL_OUT)
			events |= UV_WRITABLE;
		curl_multi_assign(h->multi, fd, s);
		err = uv_poll_start(&s->poll, events, on_ready);
	}
	struct bh_http_request *r = NULL;
	if (err && curl_easy_getinfo(easy, CURLINFO_PRIVATE, &r) == CURLE_OK && r)
		r->fail = err;
	return 0;
}

static void on_timer(uv_timer_t *t)
{
	run(t->data, CURL_SOCKET_TIMEOUT, 0);
}

/* CURLMOPT_TIMERFUNCTION. Never runs libcurl itself: it may be on the stack. */
static int on_timeout_wanted(CURLM *multi, long ms, void *arg)
{
	struct bh_http *h = arg;
	(void)multi;
	if (ms < 0)
		uv_timer_stop(&h->timer);
	else
		uv_timer_start(&h->timer, on_timer, (uint64_t)ms, 0);
	return 0;
}

static void unlink_request(struct bh_http_request *r)
{
	if (r->prev)
		r->prev->next = r->next;
	else
		r->http->requests = r->next;
	if (r->next)
		r->next->prev = r->prev;
	r->prev = r->next = NULL;
}

static void take_back(struct bh_http_request *r)
{
	unlink_request(r);
	curl_multi_remove_handle(r->http->multi, r->easy);
}

static void finish(struct bh_http_request *r, CURLcode code)
{
	take_back(r);
	r->state = BH_HTTP_DONE;
	bh_http_request_report(r, code);
	bh_http_request_free(r);
}

static void destroy(struct bh_http *h)
{
	while (h->requests) {
		struct bh_http_request *r = h->requests;
		take_back(r);
		bh_http_request_free(r);
	}
	curl_multi_cleanup(h->multi);
	h->multi = NULL;
	while (h->sockets)
		drop_socket(h->sockets);
	uv_close((uv_handle_t *)&h->timer, on_timer_closed);
}

/* Carries out what was noted while libcurl was on the stack. Calls nobody. */
static void settle_notes(struct bh_http *h)
{
	struct bh_http_request *next;
	for (struct bh_http_request *r = h->requests; r; r = next) {
		next = r->next;
		if (r->state == BH_HTTP_CANCELLED) {
			take_back(r);
			bh_http_request_free(r);
		} else if (r->state == BH_HTTP_NEW) {
			r->state = BH_HTTP_RUNNING;
			if (curl_multi_add_handle(h->multi, r->easy) != CURLM_OK) {
				/* Told by the timer, never from within bh_http_get. */
				r->fail = -ENOMEM;
				uv_timer_start(&h->timer, on_timer, 0, 0);
			}
		}
	}
}

/* A finished transfer: by libcurl's message, else by a failure of ours; NULL if there is none. */
static struct bh_http_request *next_finished(struct bh_http *h, CURLcode *ret_code)
{
	int left;
	CURLMsg *m;
	while ((m = curl_multi_info_read(h->multi, &left))) {
		struct bh_http_request *r = NULL;
		if (m->msg != CURLMSG_DONE)
			continue;
		*ret_code = m->data.result;
		curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, &r);
		return r;
	}
	*ret_code = CURLE_FAILED_INIT;
	for (struct bh_http_request *r = h->requests; r; r = r->next) {
		if (r->fail && r->state == BH_HTTP_RUNNING)
			return r;
	}
	return NULL;
}

/* After libcurl has run: notes, then the users' done(), which may start, cancel and close. */
static void settle(struct bh_http *h)
{
	while (!h->closing) {
		settle_notes(h);
		CURLcode code;
		struct bh_http_request *r = next_finished(h, &code);
		if (!r)
			return;
		finish(r, code);
	}
	if (h->multi)
		destroy(h);
}

static void run(struct bh_http *h, curl_socket_t fd, int what)
{
	int running;
	if (h->closing)
		return;
	h->depth++;
	curl_multi_socket_action(h->multi, fd, what, &running);
	h->depth--;
	settle(h);
}

int bh_http_open(uv_loop_t *loop, struct bh_http **ret)
{
	static bool ready; /* one thread: the loop's */
	if (!ready && curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
		return -ENOMEM;
	ready = true;
	struct bh_http *h = bh_xcalloc(1, sizeof(*h));
	h->multi = curl_multi_init();
	if (!h->multi) {
		free(h);
		return -ENOMEM;
	}
	h->loop = loop;
	uv_timer_init(loop, &h->timer);
	h->timer.data = h;
	h->handles = 1;
	curl_multi_setopt(h->multi, CURLMOPT_SOCKETFUNCTION, on_socket);
	curl_multi_setopt(h->multi, CURLMOPT_SOCKETDATA, h);
	curl_multi_setopt(h->multi, CURLMOPT_TIMERFUNCTION, on_timeout_wanted);
	curl_multi_setopt(h->multi, CURLMOPT_TIMERDATA, h);
	*ret = h;
	return 0;
}

void bh_http_close(struct bh_http *h)
{
	if (!h || h->closing)
		return;
	h->closing = true;
	for (struct bh_http_request *r = h->requests; r; r = r->next)
		r->state = BH_HTTP_CANCELLED;
	if (!h->depth)
		destroy(h);
}

int bh_http_get(struct bh_http *h, const struct bh_http_opts *opts,
	int (*data)(const char *p, size_t n, void *arg),
	void (*done)(const struct bh_http_result *r, void *arg), void *arg,
	struct bh_http_request **ret)
{
	struct bh_http_request *r;
	if (h->closing)
		return -ESHUTDOWN;
	int err = bh_http_request_new(opts, data, &r);
	if (err)
		return err;
	r->http = h;
	r->done = done;
	r->arg = arg;
	r->next = h->requests;
	if (r->next)
		r->next->prev = r;
	h->requests = r;
	if (!h->depth)
		settle_notes(h);
	if (ret)
		*ret = r;
	return 0;
}

void bh_http_cancel(struct bh_http_request *r)
{
	if (!r || r->state == BH_HTTP_DONE)
		return;
	r->state = BH_HTTP_CANCELLED;
	if (r->http->depth)
		return;
	take_back(r);
	bh_http_request_free(r);
}
