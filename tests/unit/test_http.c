/* SPDX-License-Identifier: GPL-3.0-or-later */
/* HTTP on the loop, against a server that misbehaves in every way we could think of. */
// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on
#include <errno.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "http/http.h"
#include "lib/fake_engine.h"

#ifndef FOLLOWS /* libcurl's variant does: see meson.build */
#define FOLLOWS false
#endif

struct world {
	uv_loop_t loop;
	uv_timer_t guard, beat; /* beat: UV_RUN_ONCE blocks even if a timer has just done it */
	char path[64];
	struct fake *fake;
	struct bh_http *http;
};

/* What came of one request, and what its callbacks are to do. */
struct seen {
	struct world *w;
	struct bh_http_request *request;
	unsigned done, opened, chunks;
	int err;
	long status;
	struct bh_buf body, data;
	char message[200], etag[40], type[40], modified[40];
	bool refuse_data, cancel_in_data, cancel_in_opened, cancel_in_done, close_in_done;
	bool close_in_data, chain;
	struct seen *other; /* cancelled in done */
};

static void on_guard(uv_timer_t *t)
{
	(void)t;
	fail_msg("nothing happened for ten seconds");
}

static void on_beat(uv_timer_t *t)
{
	(void)t;
}

static int setup(void **state)
{
	struct world *w = bh_xcalloc(1, sizeof(*w));
	uv_loop_init(&w->loop);
	uv_timer_init(&w->loop, &w->guard);
	uv_timer_init(&w->loop, &w->beat);
	uv_timer_start(&w->beat, on_beat, 5, 5);
	snprintf(w->path, sizeof(w->path), "/tmp/bh-test-http-%d.sock", (int)getpid());
	w->fake = fake_new(&w->loop, w->path);
	assert_int_equal(bh_http_open(&w->loop, &w->http), 0);
	*state = w;
	return 0;
}

static int teardown(void **state)
{
	struct world *w = *state;
	bh_http_close(w->http);
	fake_free(w->fake);
	uv_close((uv_handle_t *)&w->guard, NULL);
	uv_close((uv_handle_t *)&w->beat, NULL);
	uv_run(&w->loop, UV_RUN_DEFAULT);
	assert_int_equal(uv_loop_close(&w->loop), 0);
	unlink(w->path);
	free(w);
	return 0;
}

static void until_done(struct seen *s, unsigned n)
{
	uv_timer_start(&s->w->guard, on_guard, 10000, 0);
	while (s->done < n)
		uv_run(&s->w->loop, UV_RUN_ONCE);
	uv_timer_stop(&s->w->guard);
}

static void on_pause(uv_timer_t *t)
{
	*(bool *)t->data = true;
}

static void run_for(struct world *w, unsigned ms)
{
	bool over = false;
	w->guard.data = &over;
	uv_timer_start(&w->guard, on_pause, ms, 0);
	while (!over)
		uv_run(&w->loop, UV_RUN_ONCE);
}

static void start(struct seen *s, const struct bh_http_opts *o, bool stream);

static void on_done(const struct bh_http_result *r, void *arg)
{
	struct seen *s = arg;
	s->done++;
	s->err = r->err;
	s->status = r->status;
	bh_buf_finish(&s->body);
	bh_buf_add(&s->body, r->body, r->len);
	assert_int_equal(strlen(r->message) > 0, r->err != 0);
	snprintf(s->message, sizeof(s->message), "%s", r->message);
	snprintf(s->etag, sizeof(s->etag), "%s", r->etag ? r->etag : "(none)");
	snprintf(s->type, sizeof(s->type), "%s", r->content_type ? r->content_type : "(none)");
	snprintf(s->modified, sizeof(s->modified), "%s",
		r->last_modified ? r->last_modified : "(none)");
	if (s->cancel_in_done)
		bh_http_cancel(s->request);
	if (s->other)
		bh_http_cancel(s->other->request);
	if (s->close_in_done) {
		struct bh_http_opts o = {.url = "http://docker/a"};
		bh_http_close(s->w->http);
		assert_int_equal(bh_http_get(s->w->http, &o, NULL, on_done, s, NULL), -ESHUTDOWN);
	}
	if (s->chain) {
		s->chain = false;
		start(s, &(struct bh_http_opts){.url = "http://docker/next"}, false);
	}
}

static int on_data(const char *p, size_t n, void *arg)
{
	struct seen *s = arg;
	s->chunks++;
	assert_int_equal(s->opened, 1); /* before the first chunk */
	bh_buf_add(&s->data, p, n);
	if (s->cancel_in_data)
		bh_http_cancel(s->request);
	if (s->close_in_data)
		bh_http_close(s->w->http);
	return s->refuse_data;
}

static void on_opened(void *arg)
{
	struct seen *s = arg;
	s->opened++;
	if (s->cancel_in_opened)
		bh_http_cancel(s->request);
}

static void start(struct seen *s, const struct bh_http_opts *o, bool stream)
{
	struct bh_http_opts opts = *o;
	unsigned before = s->done;
	opts.unix_socket = s->w->path;
	opts.opened = on_opened;
	s->opened = s->chunks = 0;
	assert_int_equal(
		bh_http_get(s->w->http, &opts, stream ? on_data : NULL, on_done, s, &s->request),
		0);
	assert_int_equal(s->done, before); /* never from within */
}

static void get(struct seen *s, const char *url)
{
	start(s, &(struct bh_http_opts){.url = url, .timeout_ms = 5000}, false);
	until_done(s, s->done + 1);
}

static void finish(struct seen *s)
{
	bh_buf_finish(&s->body);
	bh_buf_finish(&s->data);
}

static void test_answer(void **state)
{
	struct world *w = *state;
	struct seen s = {.w = w};
	fake_route(w->fake, "/x", FAKE_ANSWER, 200, "hello");
	fake_headers(w->fake, "/x",
		"Content-Type: text/plain\r\nETAG:  \"abc\" \r\nLast-Modified: Mon\r\n");
	get(&s, "http://docker/x?y=1");
	assert_int_equal(s.err, 0);
	assert_int_equal(s.status, 200);
	assert_string_equal(s.body.s, "hello");
	assert_string_equal(s.etag, "\"abc\"");
	assert_string_equal(s.type, "text/plain");
	assert_string_equal(s.modified, "Mon");
	assert_string_equal(fake_request(w->fake, 0), "/x?y=1");
	get(&s, "http://docker/none");
	assert_int_equal(s.err, 0);
	assert_int_equal(s.status, 404);
	assert_string_equal(s.etag, "(none)");
	fake_route(w->fake, "/x", FAKE_ANSWER, 304, "");
	get(&s, "http://docker/x");
	assert_int_equal(s.status, 304);
	finish(&s);
}

static void test_cannot_connect(void **state)
{
	struct world *w = *state;
	struct seen s = {.w = w};
	snprintf(w->path + strlen(w->path), 2, "x");
	get(&s, "http://docker/");
	assert_int_equal(s.err, -ENOENT);
	/* a socket file with nobody behind it */
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	snprintf(a.sun_path, sizeof(a.sun_path), "%s", w->path);
	bh_autoclose int fd = socket(AF_UNIX, SOCK_STREAM, 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	get(&s, "http://docker/");
	assert_int_equal(s.err, -ECONNREFUSED);
	unlink(w->path);
	w->path[strlen(w->path) - 1] = '\0';
	finish(&s);
}

static void test_too_large(void **state)
{
	struct world *w = *state;
	struct seen s = {.w = w};
	struct bh_http_opts o = {.url = "http://docker/b", .max_bytes = 5, .timeout_ms = 5000};
	fake_route(w->fake, "/b", FAKE_ANSWER, 200, "12345");
	start(&s, &o, false);
	until_done(&s, 1);
	assert_int_equal(s.err, 0);
	fake_route(w->fake, "/b", FAKE_ANSWER, 200, "123456");
	start(&s, &o, false);
	until_done(&s, 2);
	assert_int_equal(s.err, -EFBIG);
	o.max_bytes = 1 << 20;
	for (unsigned i = 0; i < 2; i++) {
		fake_route(w->fake, "/b", i ? FAKE_HUGE_CHUNKED : FAKE_HUGE, 200, "");
		start(&s, &o, false);
		until_done(&s, 3 + i);
		assert_int_equal(s.err, -EFBIG);
		assert_true(s.body.len <= 1 << 20);
	}
	finish(&s);
}

static void test_timeouts(void **state)
{
	struct world *w = *state;
	struct seen s = {.w = w};
	fake_route(w->fake, "/s", FAKE_SILENT, 0, NULL);
	start(&s, &(struct bh_http_opts){.url = "http://docker/s", .timeout_ms = 50}, false);
	until_done(&s, 1);
	assert_int_equal(s.err, -ETIMEDOUT);
	fake_route(w->fake, "/t", FAKE_STREAM, 200, NULL);
	start(&s, &(struct bh_http_opts){.url = "http://docker/t", .idle_timeout_s = 1}, true);
	until_done(&s, 2);
	assert_int_equal(s.err, -ETIMEDOUT);
	assert_int_equal(s.opened, 1);
	finish(&s);
}

static void test_garbage(void **state)
{
	struct world *w = *state;
	struct seen s = {.w = w};
	static const struct {
		const char *raw;
		int err;
	} all[] = {
		{"SSH-2.0-OpenSSH_9.2\r\n\r\n", 0},
		{"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort", -EPROTO},
		{"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", 0},
		{"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n", 0},
		{"HTTP/1.1 999999 OK\r\n\r\n", 0},
	};
	for (size_t i = 0; i < BH_ARRAY_SIZE(all); i++) {
		fake_route(w->fake, "/g", FAKE_RAW, 0, all[i].raw);
		get(&s, "http://docker/g");
		assert_true(s.err < 0);
		if (all[i].err)
			assert_int_equal(s.err, all[i].err);
	}
	fake_route(w->fake, "/g", FAKE_CLOSE, 0, NULL);
	get(&s, "http://docker/g");
	assert_int_equal(s.err, -ECONNRESET);
	bh_autobuf struct bh_buf many = {0};
	for (unsigned i = 0; i < 4000; i++)
		bh_buf_printf(&many, "X-%u: %0100u\r\n", i, i);
	fake_route(w->fake, "/g", FAKE_ANSWER, 200, "ok");
	fake_headers(w->fake, "/g", many.s);
	get(&s, "http://docker/g");
	assert_true(s.err < 0);
	finish(&s);
}

static void test_redirects(void **state)
{
	struct world *w = *state;
	struct seen s = {.w = w};
	struct bh_http_opts o = {.url = "http://docker/r", .follow = true, .timeout_ms = 5000};
	if (!FOLLOWS) {
		o.unix_socket = w->path;
		assert_int_equal(bh_http_get(w->http, &o, NULL, on_done, &s, NULL), -EINVAL);
		return;
	}
	fake_route(w->fake, "/r", FAKE_ANSWER, 302, "");
	fake_headers(w->fake, "/r", "Location: /there\r\nETag: old\r\n");
	fake_route(w->fake, "/there", FAKE_ANSWER, 200, "there");
	start(&s, &o, false);
	until_done(&s, 1);
	assert_int_equal(s.status, 200);
	assert_string_equal(s.etag, "(none)"); /* not the redirect's */
	get(&s, "http://docker/r");
	assert_int_equal(s.status, 302);
	fake_headers(w->fake, "/r", "Location: /r\r\n");
	start(&s, &o, false);
	until_done(&s, 3);
	assert_int_equal(s.err, -ELOOP);
	fake_headers(w->fake, "/r", "Location: file:///etc/passwd\r\n");
	start(&s, &o, false);
	until_done(&s, 4);
	assert_int_equal(s.err, -EPROTONOSUPPORT);
	assert_int_equal(s.body.len, 0);
	finish(&s);
}

static void test_refused_options(void **state)
{
	struct world *w = *state;
	struct seen s = {.w = w};
	struct bh_http_opts o = {.url = "http://docker/", .if_none_match = "x\r\nEvil: y"};
	assert_int_equal(bh_http_get(w->http, &o, NULL, on_done, &s, NULL), -EINVAL);
	o.unix_socket = w->path;
	assert_int_equal(bh_http_get(w->http, &o, NULL, on_done, &s, NULL), -EINVAL);
	get(&s, "file:///etc/passwd");
	assert_int_equal(s.err, -EPROTONOSUPPORT);
	assert_int_equal(s.body.len, 0);
	finish(&s);
}

static void test_stream(void **state)
{
	struct world *w = *state;
	struct seen s = {.w = w};
	fake_route(w->fake, "/e", FAKE_STREAM, 200, NULL);
	start(&s, &(struct bh_http_opts){.url = "http://docker/e", .max_bytes = 1}, true);
	run_for(w, 50);
	assert_int_equal(s.opened, 1); /* although no byte of the body has come */
	assert_int_equal(s.chunks, 0);
	fake_push(w->fake, "one\n");
	run_for(w, 50);
	fake_push(w->fake, "two\n");
	run_for(w, 50);
	assert_string_equal(s.data.s, "one\ntwo\n");
	assert_int_equal(s.done, 0);
	fake_end_streams(w->fake);
	until_done(&s, 1);
	assert_int_equal(s.err, 0);
	assert_int_equal(s.body.len, 0);
	start(&s, &(struct bh_http_opts){.url = "http://docker/e"}, true);
	run_for(w, 50);
	fake_break_streams(w->fake);
	until_done(&s, 2);
	assert_true(s.err < 0);
	finish(&s);
}

static void test_stream_refused(void **state)
{
	struct world *w = *state;
	struct seen s = {.w = w};
	fake_route(w->fake, "/e", FAKE_ANSWER, 500, "{\"message\":\"no\"}");
	start(&s, &(struct bh_http_opts){.url = "http://docker/e"}, true);
	until_done(&s, 1);
	assert_int_equal(s.status, 500);
	assert_int_equal(s.opened + s.chunks, 0);
	assert_string_equal(s.body.s, "{\"message\":\"no\"}");
	s.refuse_data = true;
	fake_route(w->fake, "/e", FAKE_STREAM, 200, NULL);
	start(&s, &(struct bh_http_opts){.url = "http://docker/e"}, true);
	run_for(w, 30);
	fake_push(w->fake, "x");
	until_done(&s, 2);
	assert_int_equal(s.err, -ECANCELED);
	finish(&s);
}

static void test_cancel(void **state)
{
	struct world *w = *state;
	fake_route(w->fake, "/e", FAKE_STREAM, 200, NULL);
	fake_route(w->fake, "/a", FAKE_ANSWER, 200, "a");
	for (unsigned how = 0; how < 4; how++) {
		struct seen s = {.w = w, .cancel_in_opened = how == 1, .cancel_in_data = how == 2};
		start(&s, &(struct bh_http_opts){.url = "http://docker/e"}, true);
		if (how == 0)
			bh_http_cancel(s.request);
		run_for(w, 30);
		fake_push(w->fake, "x");
		run_for(w, 30);
		if (how == 3)
			bh_http_cancel(s.request);
		fake_push(w->fake, "x");
		run_for(w, 30);
		assert_int_equal(s.done, 0);
		assert_int_equal(s.opened, how > 0);
		assert_int_equal(s.chunks, how < 2 ? 0 : 1);
		finish(&s);
	}
	/* in done(): itself, which is no longer there to be cancelled, and one that runs */
	struct seen other = {.w = w}, s = {.w = w, .cancel_in_done = true, .other = &other};
	start(&other, &(struct bh_http_opts){.url = "http://docker/e"}, true);
	start(&s, &(struct bh_http_opts){.url = "http://docker/a"}, false);
	until_done(&s, 1);
	fake_push(w->fake, "x");
	run_for(w, 50);
	assert_int_equal(s.done, 1);
	assert_int_equal(other.done + other.chunks, 0);
	s.cancel_in_done = false;
	s.other = NULL;
	s.chain = true;
	get(&s, "http://docker/a");
	until_done(&s, 3);
	assert_int_equal(s.status, 404);
	finish(&other);
	finish(&s);
}

static void test_close(void **state)
{
	struct world *w = *state;
	fake_route(w->fake, "/e", FAKE_STREAM, 200, NULL);
	fake_route(w->fake, "/a", FAKE_ANSWER, 200, "a");
	struct seen s = {.w = w, .close_in_done = true}, other = {.w = w};
	start(&other, &(struct bh_http_opts){.url = "http://docker/e"}, true);
	run_for(w, 30);
	get(&s, "http://docker/a");
	run_for(w, 30);
	assert_int_equal(other.done, 0);
	finish(&s);
	assert_int_equal(bh_http_open(&w->loop, &w->http), 0);
	struct seen in_data = {.w = w, .close_in_data = true};
	start(&in_data, &(struct bh_http_opts){.url = "http://docker/e"}, true);
	run_for(w, 30);
	fake_push(w->fake, "x");
	run_for(w, 30);
	assert_int_equal(in_data.done, 0);
	assert_int_equal(in_data.chunks, 1);
	finish(&in_data);
	/* and with something running, at the end */
	assert_int_equal(bh_http_open(&w->loop, &w->http), 0);
	start(&other, &(struct bh_http_opts){.url = "http://docker/e"}, true);
	run_for(w, 30);
	finish(&other);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_answer),
		T(test_cannot_connect),
		T(test_too_large),
		T(test_timeouts),
		T(test_garbage),
		T(test_redirects),
		T(test_refused_options),
		T(test_stream),
		T(test_stream_refused),
		T(test_cancel),
		T(test_close),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
