/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Fetching from strangers, in a process of its own (bulkhead-fetch): TLS, HTTP, compression and the
 * resolver never run in the daemon, which is root and in the way of packets, and take no memory of
 * it. The process has no privileges and sees one question at a time; it is asked again only for
 * the same origin, within a few seconds, so that no server comes near the keys of another. What it
 * says is bounded here once more, as if it were the server's.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <strings.h>
#include <sys/stat.h>

#include "beside.h"
#include "http/fetch.h"
#include "http/private.h"

#define MAX_FETCHERS 4 /* who comes later waits */
#define IDLE_MS 3000
#define GRACE_MS 5000 /* the process keeps to the times itself */
#define CA_MAX ((size_t)3 << 20)

const char *bh_fetch_program;

struct bh_http_fetcher {
	struct bh_http *http;
	struct bh_http_fetcher *next;
	struct bh_http_request *request; /* NULL: idle */
	char *key; /* origin and what else must not be mixed */
	uv_process_t process;
	uv_pipe_t in, out;
	uv_timer_t idle;
	unsigned handles;
	bool dead;
	/* the answer */
	struct bh_buf got; /* line and strings, then `request->body` takes over */
	size_t strings, body;
	int err;
	bool have_head;
	char buf[BH_HTTP_READ_SIZE];
};

struct question {
	uv_write_t req;
	char *bytes;
};

static void start_waiting(struct bh_http *h);

/* --- its end --- */

static void on_closed(uv_handle_t *u)
{
	struct bh_http_fetcher *f = u->data;
	struct bh_http *h = f->http;
	if (--f->handles == 0) {
		bh_buf_finish(&f->got);
		free(f->key);
		free(f);
	}
	bh_http_drop_handle(h);
}

static void hold(struct bh_http_fetcher *f, uv_handle_t *u)
{
	u->data = f;
	f->handles++;
	f->http->handles++;
}

/* Killed unless it is gone; its request, if any, is not told. */
static void discard(struct bh_http_fetcher *f)
{
	if (f->dead)
		return;
	f->dead = true;
	if (f->request) {
		f->request->fetcher = NULL;
		f->http->n_fetching--;
	}
	f->request = NULL;
	for (struct bh_http_fetcher **p = &f->http->fetchers; *p; p = &(*p)->next)
		if (*p == f) {
			*p = f->next;
			break;
		}
	/* The handle of the process stays until it has been waited for. */
	if (uv_is_active((uv_handle_t *)&f->process))
		uv_process_kill(&f->process, SIGKILL);
	else
		uv_close((uv_handle_t *)&f->process, on_closed);
	uv_close((uv_handle_t *)&f->in, on_closed);
	uv_close((uv_handle_t *)&f->out, on_closed);
	uv_close((uv_handle_t *)&f->idle, on_closed);
}

static void broken(struct bh_http_fetcher *f, const char *why)
{
	struct bh_http_request *r = f->request;
	struct bh_http *h = f->http;
	discard(f);
	if (r)
		bh_http_finish(r, -EPROTO, why);
	start_waiting(h);
}

static void on_ended(uv_process_t *p, int64_t status, int signal)
{
	struct bh_http_fetcher *f = p->data;
	char why[96];
	if (signal)
		snprintf(why, sizeof(why), "the process that fetches ended by signal %d", signal);
	else
		snprintf(why, sizeof(why), "the process that fetches ended with %d", (int)status);
	if (f->dead)
		uv_close((uv_handle_t *)p, on_closed);
	else
		broken(f, why);
}

static void on_idle(uv_timer_t *t)
{
	discard(t->data);
}

/* --- the answer --- */

static char *string(struct bh_http_fetcher *f, const char *key)
{
	size_t at = 0;
	return bh_xstrdup(bh_fetch_find(f->got.s, f->got.len, key, &at));
}

static void complete(struct bh_http_fetcher *f)
{
	struct bh_http_request *r = f->request;
	struct bh_http *h = f->http;
	char bh_autofree *message = string(f, "message");
	r->content_type = string(f, "content_type");
	r->etag = string(f, "etag");
	r->last_modified = string(f, "last_modified");
	bh_buf_finish(&f->got);
	f->have_head = false;
	f->request = NULL;
	r->fetcher = NULL;
	h->n_fetching--;
	uv_timer_start(&f->idle, on_idle, IDLE_MS, 0);
	bh_http_finish(r, f->err, message);
	if (!h->closing)
		start_waiting(h);
}

/* "<err> <status> <strings> <body>\n"; −EAGAIN: not there yet. */
static int take_line(struct bh_http_fetcher *f)
{
	struct bh_http_request *r = f->request;
	char *nl = f->got.len ? memchr(f->got.s, '\n', f->got.len) : NULL;
	int end = 0;
	if (!nl)
		return f->got.len > BH_FETCH_LINE ? -EPROTO : -EAGAIN;
	*nl = '\0';
	if (sscanf(f->got.s, "%d %ld %zu %zu%n", &f->err, &r->status, &f->strings, &f->body,
		    &end) != 4 ||
		f->got.s[end] || f->err > 0 || f->strings > BH_FETCH_ANSWER ||
		f->body > r->max_bytes)
		return -EPROTO;
	size_t left = f->got.len - (size_t)(nl + 1 - f->got.s);
	memmove(f->got.s, nl + 1, left);
	f->got.len = left;
	f->have_head = true;
	return 0;
}

static int take(struct bh_http_fetcher *f, const char *p, size_t n)
{
	struct bh_http_request *r = f->request;
	size_t n_head = f->have_head && f->strings > f->got.len ? f->strings - f->got.len : 0;
	if (!f->have_head)
		n_head = n;
	else if (n_head > n)
		n_head = n;
	bh_buf_add(&f->got, p, n_head);
	if (!f->have_head) {
		int err = take_line(f);
		if (err)
			return err == -EAGAIN ? 0 : err;
		if (f->got.len > f->strings) { /* the body has begun */
			bh_buf_add(&r->body, f->got.s + f->strings, f->got.len - f->strings);
			f->got.len = f->strings;
		}
	} else {
		bh_buf_add(&r->body, p + n_head, n - n_head);
	}
	if (r->body.len > f->body)
		return -EPROTO;
	if (f->got.len < f->strings || r->body.len < f->body)
		return 0;
	if (f->strings && f->got.s[f->strings - 1])
		return -EPROTO;
	complete(f);
	return 0;
}

static void on_room(uv_handle_t *u, size_t suggested, uv_buf_t *ret)
{
	struct bh_http_fetcher *f = u->data;
	(void)suggested;
	*ret = uv_buf_init(f->buf, sizeof(f->buf));
}

static void on_read(uv_stream_t *s, ssize_t n, const uv_buf_t *b)
{
	struct bh_http_fetcher *f = s->data;
	if (n == 0 || f->dead)
		return;
	if (n < 0)
		uv_read_stop(s); /* on_ended says why */
	else if (!f->request || take(f, b->base, (size_t)n) < 0)
		broken(f, "the process that fetches gave no good answer");
}

/* --- the question --- */

static void on_asked(uv_write_t *w, int status)
{
	struct question *q = (struct question *)w;
	(void)status; /* on_ended says why */
	free(q->bytes);
	free(q);
}

static void ask(struct bh_http_fetcher *f, struct bh_http_request *r)
{
	struct question *q = bh_xcalloc(1, sizeof(*q));
	f->request = r;
	r->fetcher = f;
	r->began = r->heard = uv_now(f->http->loop); /* waiting for a place does not count */
	r->timeout = r->allowed ? r->allowed + GRACE_MS : 0;
	f->http->n_fetching++;
	uv_timer_stop(&f->idle);
	q->bytes = BH_TAKE_PTR(r->frame);
	uv_buf_t b = uv_buf_init(q->bytes, (unsigned)r->frame_len);
	if (uv_write(&q->req, (uv_stream_t *)&f->in, &b, 1, on_asked) < 0)
		on_asked(&q->req, 0); /* it is gone, which on_ended will say */
	bh_http_schedule(r);
}

static int spawn(struct bh_http *h, struct bh_http_fetcher *f)
{
	char bh_autofree *file = bh_fetch_program ? bh_xstrdup(bh_fetch_program)
						  : bh_beside("bulkhead-fetch", BH_LIBEXECDIR);
	char *argv[] = {(char *)"bulkhead-fetch", NULL};
	uv_stdio_container_t stdio[] = {
		{.flags = UV_CREATE_PIPE | UV_READABLE_PIPE, .data.stream = (uv_stream_t *)&f->in},
		{.flags = UV_CREATE_PIPE | UV_WRITABLE_PIPE, .data.stream = (uv_stream_t *)&f->out},
		{.flags = UV_INHERIT_FD, .data.fd = STDERR_FILENO},
	};
	const uv_process_options_t o = {.file = file,
		.args = argv,
		.exit_cb = on_ended,
		.stdio = stdio,
		.stdio_count = BH_ARRAY_SIZE(stdio)};
	uv_pipe_init(h->loop, &f->in, 0);
	uv_pipe_init(h->loop, &f->out, 0);
	uv_timer_init(h->loop, &f->idle);
	hold(f, (uv_handle_t *)&f->in);
	hold(f, (uv_handle_t *)&f->out);
	hold(f, (uv_handle_t *)&f->idle);
	hold(f, (uv_handle_t *)&f->process);
	int err = uv_spawn(h->loop, &f->process, &o); /* the handle is to be closed in any case */
	return err ? err : uv_read_start((uv_stream_t *)&f->out, on_room, on_read);
}

/* There are no more of them than may be at work. */
static void make_room(struct bh_http *h)
{
	struct bh_http_fetcher *oldest = NULL;
	unsigned n = 0;
	for (struct bh_http_fetcher *f = h->fetchers; f; f = f->next, n++)
		oldest = f->request ? oldest : f;
	if (n >= MAX_FETCHERS && oldest)
		discard(oldest);
}

static struct bh_http_fetcher *find_idle(struct bh_http *h, const char *key)
{
	for (struct bh_http_fetcher *f = h->fetchers; f; f = f->next)
		if (!f->request && bh_streq(f->key, key))
			return f;
	return NULL;
}

/* −errno if there is none for it and none can be made. */
static int assign(struct bh_http *h, struct bh_http_request *r)
{
	struct bh_http_fetcher *f = find_idle(h, r->key);
	if (!f) {
		make_room(h);
		f = bh_xcalloc(1, sizeof(*f));
		f->http = h;
		f->key = bh_xstrdup(r->key);
		f->next = h->fetchers;
		h->fetchers = f;
		int err = spawn(h, f);
		if (err) {
			discard(f);
			return err;
		}
	}
	ask(f, r);
	return 0;
}

static void start_waiting(struct bh_http *h)
{
	struct bh_http_request *next;
	for (struct bh_http_request *r = h->first; r && h->n_fetching < MAX_FETCHERS; r = next) {
		next = r->next;
		if (!r->frame || r->later)
			continue;
		int err = assign(h, r);
		if (err)
			bh_http_finish_later(
				r, err, bh_xasprintf("bulkhead-fetch: %s", strerror(-err)));
	}
}

/* --- what http.c calls --- */

/* Owned text of at most CA_MAX bytes, without NULs; NULL with errno. */
static char *read_ca(const char *path)
{
	struct stat st;
	int bh_autoclose fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0 || fstat(fd, &st) < 0)
		return NULL;
	errno = S_ISREG(st.st_mode) ? EFBIG : EINVAL;
	if (!S_ISREG(st.st_mode) || (size_t)st.st_size > CA_MAX)
		return NULL;
	char bh_autofree *text = bh_xcalloc((size_t)st.st_size + 1, 1);
	return read(fd, text, (size_t)st.st_size) < 0 ? NULL : BH_TAKE_PTR(text);
}

/* A line break inside a value would add a header of its own. */
static bool is_line(const char *s)
{
	return !s || !s[strcspn(s, "\r\n")];
}

static bool is_good(const struct bh_http_opts *o)
{
	bool good = is_line(o->if_none_match) && is_line(o->if_modified_since);
	for (size_t i = 0; good && o->headers && o->headers[i]; i++)
		good = is_line(o->headers[i]);
	return good;
}

int bh_http_fetch_start(struct bh_http_request *r, const struct bh_http_opts *o)
{
	struct bh_http_opts mine = *o;
	char bh_autofree *ca = NULL;
	if (r->data || o->wanted || o->opened || o->body || o->http2 || o->keep || !is_good(o))
		return -EINVAL;
	if (o->ca_file && !(ca = read_ca(o->ca_file))) {
		bh_http_finish_later(
			r, -errno, bh_xasprintf("%s: %s", o->ca_file, strerror(errno)));
		return 0;
	}
	const char *host = strstr(o->url, "://");
	size_t n = host ? (size_t)(host - o->url) + 3 : 0;
	r->key = bh_xasprintf("%.*s %s %s", (int)(n + strcspn(o->url + n, "/?#")), o->url,
		o->ca_file ? o->ca_file : "", o->proxy ? o->proxy : "");
	mine.max_bytes = r->max_bytes;
	r->frame = bh_fetch_question(&mine, ca, &r->frame_len);
	r->allowed = o->timeout_ms;
	r->timeout = r->connect_timeout = r->idle_timeout = 0; /* the process keeps to them */
	start_waiting(r->http);
	return 0;
}

void bh_http_fetch_stop(struct bh_http_request *r)
{
	struct bh_http *h = r->http;
	if (!r->fetcher)
		return;
	discard(r->fetcher); /* in the middle of an answer that nobody wants */
	if (!h->closing)
		start_waiting(h);
}

void bh_http_fetch_close(struct bh_http *h)
{
	while (h->fetchers)
		discard(h->fetchers);
}
