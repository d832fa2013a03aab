/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * bulkhead-fetch: fetches over http(s) for bulkheadd, which starts it, asks by stdin and reads the
 * answer from stdout (http/fetch.h). It gives up what it may do before it reads a single byte.
 * Nothing is kept on disk, and it ends when bulkheadd does.
 */
#include <errno.h>
#include <signal.h>

#include "fetch/drop.h"
#include "http/fetch.h"

#define MAX_HEADERS 64

/* 1, or 0 at the end. */
static int read_all(void *p, size_t n)
{
	for (size_t at = 0; at < n;) {
		ssize_t got = read(STDIN_FILENO, (char *)p + at, n - at);
		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return 0;
		at += (size_t)got;
	}
	return 1;
}

static int write_all(const char *p, size_t n)
{
	while (n > 0) {
		ssize_t put = write(STDOUT_FILENO, p, n);
		if (put < 0 && errno == EINTR)
			continue;
		if (put <= 0)
			return 0;
		p += put;
		n -= (size_t)put;
	}
	return 1;
}

/* The numbers of a question, and its strings (owned). NULL: there is none any more. */
static char *read_question(struct bh_http_opts *o, size_t *ret_len)
{
	char line[BH_FETCH_LINE] = "";
	int follow;
	for (size_t n = 0; n == 0 || line[n - 1] != '\n'; n++)
		if (n == sizeof(line) - 1 || !read_all(line + n, 1))
			return NULL;
	if (sscanf(line, "%zu %zu %ld %ld %ld %d", ret_len, &o->max_bytes, &o->timeout_ms,
		    &o->connect_timeout_ms, &o->idle_timeout_s, &follow) != 6 ||
		*ret_len == 0 || *ret_len > BH_FETCH_STRINGS)
		return NULL;
	o->follow = follow;
	char bh_autofree *s = bh_xcalloc(*ret_len, 1);
	return read_all(s, *ret_len) && !s[*ret_len - 1] ? BH_TAKE_PTR(s) : NULL;
}

static const char *find(const char *s, size_t n, const char *key)
{
	size_t at = 0;
	return bh_fetch_find(s, n, key, &at);
}

struct asked {
	uv_loop_t *loop;
	bool good; /* somebody took the answer */
};

static void on_done(const struct bh_http_result *r, void *arg)
{
	struct asked *a = arg;
	struct bh_buf bh_autobuf head = {0};
	bh_fetch_answer(r, &head);
	a->good = write_all(head.s, head.len) && write_all(r->body, r->len);
	uv_stop(a->loop); /* connections that are kept may hold it */
}

/* false: nobody listens any more. */
static bool serve(uv_loop_t *loop, struct bh_http *http)
{
	struct bh_http_opts o = {0};
	const char *header[MAX_HEADERS + 1] = {0}, *h;
	size_t len, at = 0, n = 0;
	struct asked a = {.loop = loop};
	char bh_autofree *s = read_question(&o, &len);
	if (!s)
		return false;
	while (n < MAX_HEADERS && (h = bh_fetch_find(s, len, "header", &at)))
		header[n++] = h;
	o.url = find(s, len, "url");
	o.if_none_match = find(s, len, "if_none_match");
	o.if_modified_since = find(s, len, "if_modified_since");
	o.headers = n ? header : NULL;
	o.proxy = find(s, len, "proxy");
	o.ca_pem = find(s, len, "ca");
	if (!o.url)
		return false;
	int err = bh_http_get(http, &o, NULL, on_done, &a, NULL);
	if (err)
		on_done(&(struct bh_http_result){.err = err, .message = strerror(-err)}, &a);
	else
		uv_run(loop, UV_RUN_DEFAULT);
	return a.good;
}

int main(void)
{
	uv_loop_t loop;
	struct bh_http *http;
	const char *why = bh_fetch_drop();
	if (why) {
		fprintf(stderr, "bulkhead-fetch: %s: %s\n", why, strerror(errno));
		return BH_FETCH_PRIVILEGED;
	}
	signal(SIGPIPE, SIG_IGN);
	if (uv_loop_init(&loop) < 0 || bh_http_open(&loop, &http) < 0)
		return 1;
	while (serve(&loop, http))
		;
	return 0;
}
