/* SPDX-License-Identifier: GPL-3.0-or-later */
/* gRPC calls against a server played by the test, well and badly; and the framing by itself. */
// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on
#include <errno.h>

#include "grpc/frame.h"
#include "grpc/grpc.h"
#include "lib/fake_engine.h"
#include "lib/fake_grpc.h"

#define METHOD "/test.Service/Ask"

struct world {
	uv_loop_t loop;
	uv_timer_t stop, beat; /* the latter: or uv_run waits on after a timer that did it all */
	char path[64];
	struct fakegrpc *fake;
	struct bh_http *http;
	struct bh_grpc_call *call;
	unsigned done, messages;
	int err, status;
	char message[400];
	struct bh_buf answer;
	bool cancel, refuse; /* in the next message */
};

static void on_beat(uv_timer_t *t)
{
	(void)t;
}

static int setup(void **state)
{
	struct world *w = bh_xcalloc(1, sizeof(*w));
	uv_loop_init(&w->loop);
	uv_timer_init(&w->loop, &w->stop);
	uv_timer_init(&w->loop, &w->beat);
	uv_timer_start(&w->beat, on_beat, 2, 2);
	snprintf(w->path, sizeof(w->path), "/tmp/bh-test-grpc-%d.sock", (int)getpid());
	w->fake = fakegrpc_new(&w->loop, w->path);
	assert_int_equal(bh_http_open(&w->loop, &w->http), 0);
	*state = w;
	return 0;
}

static int teardown(void **state)
{
	struct world *w = *state;
	bh_http_close(w->http);
	if (w->fake)
		fakegrpc_free(w->fake);
	uv_close((uv_handle_t *)&w->stop, NULL);
	uv_close((uv_handle_t *)&w->beat, NULL);
	uv_run(&w->loop, UV_RUN_DEFAULT);
	assert_int_equal(uv_loop_close(&w->loop), 0);
	bh_buf_finish(&w->answer);
	unlink(w->path);
	free(w);
	return 0;
}

static void on_stop(uv_timer_t *t)
{
	*(bool *)t->data = true;
}

static void run_until(struct world *w, const unsigned *count, unsigned n)
{
	bool over = false;
	w->stop.data = &over;
	uv_timer_start(&w->stop, on_stop, 20000, 0);
	while (*count < n && !over)
		uv_run(&w->loop, UV_RUN_ONCE);
	uv_timer_stop(&w->stop);
	assert_false(over);
}

static void on_done(const struct bh_grpc_result *r, void *arg)
{
	struct world *w = arg;
	w->done++;
	w->call = NULL;
	w->err = r->err;
	w->status = r->status;
	snprintf(w->message, sizeof(w->message), "%s", r->message);
	bh_buf_finish(&w->answer);
	if (r->answer)
		bh_buf_add(&w->answer, r->answer, r->len);
}

static int on_message(const uint8_t *p, size_t n, void *arg)
{
	struct world *w = arg;
	w->messages++;
	bh_buf_finish(&w->answer);
	bh_buf_add(&w->answer, p, n);
	if (w->cancel)
		bh_grpc_cancel(BH_TAKE_PTR(w->call));
	return w->cancel || w->refuse;
}

static struct bh_grpc_opts opts(const struct world *w)
{
	return (struct bh_grpc_opts){
		.socket = w->path,
		.method = METHOD,
		.message = "ask\0ed",
		.len = 6,
		.max_bytes = 100000,
		.timeout_ms = 20000,
	};
}

static void call(struct world *w)
{
	struct bh_grpc_opts o = opts(w);
	assert_int_equal(bh_grpc_call(w->http, &o, on_done, w, &w->call), 0);
	run_until(w, &w->done, w->done + 1);
}

static void stream(struct world *w)
{
	struct bh_grpc_opts o = opts(w);
	o.timeout_ms = 0;
	assert_int_equal(bh_grpc_stream(w->http, &o, on_message, on_done, w, &w->call), 0);
	while (fakegrpc_streams(w->fake, METHOD) == 0)
		uv_run(&w->loop, UV_RUN_ONCE);
}

static void test_call(void **state)
{
	struct world *w = *state;
	static char big[70000];
	memset(big, 'y', sizeof(big));
	fakegrpc_route(w->fake, METHOD, GRPC_ANSWER, 0, "an\0swer", 7);
	call(w);
	assert_int_equal(w->err, 0);
	assert_int_equal(w->status, BH_GRPC_OK);
	assert_string_equal(w->message, "");
	assert_int_equal(w->answer.len, 7);
	assert_memory_equal(w->answer.s, "an\0swer", 7);
	const struct bh_buf *request = fakegrpc_request(w->fake, METHOD);
	assert_int_equal(request->len, 11);
	assert_memory_equal(request->s, "\0\0\0\0\6ask\0ed", 11);
	/* larger than a frame of HTTP/2, than its window, and none at all */
	fakegrpc_route(w->fake, METHOD, GRPC_ANSWER, 0, big, sizeof(big));
	call(w);
	assert_int_equal(w->err, 0);
	assert_int_equal(w->answer.len, sizeof(big));
	fakegrpc_route(w->fake, METHOD, GRPC_ANSWER, 0, NULL, 0);
	call(w);
	assert_int_equal(w->err, 0);
	assert_int_equal(w->answer.len, 0);
}

static void test_status(void **state)
{
	struct world *w = *state;
	call(w);
	assert_int_equal(w->err, -EREMOTEIO);
	assert_int_equal(w->status, BH_GRPC_UNIMPLEMENTED);
	static const char said[] = "pod %22x%22%0Anot%20found %zz%";
	fakegrpc_route(w->fake, METHOD, GRPC_ERROR, 5, said, strlen(said));
	call(w);
	assert_int_equal(w->err, -EREMOTEIO);
	assert_int_equal(w->status, BH_GRPC_NOT_FOUND);
	assert_string_equal(w->message, "pod \"x\"?not found %zz%");
	assert_int_equal(w->answer.len, 0);
}

struct other {
	uv_loop_t loop;
	uv_async_t end;
	struct fakegrpc *fake;
	uv_thread_t thread;
};

static void on_end(uv_async_t *a)
{
	struct other *o = a->data;
	fakegrpc_free(o->fake);
	uv_close((uv_handle_t *)&o->end, NULL);
}

static void serve(void *arg)
{
	struct other *o = arg;
	uv_run(&o->loop, UV_RUN_DEFAULT);
}

/* As gRPC's servers refuse a method that they don't know, at once, so that the answer may come
 * between the head and the message of the request. Only another thread is fast enough to show that.
 */
static void test_refused_early(void **state)
{
	struct world *w = *state;
	struct other o;
	fakegrpc_free(BH_TAKE_PTR(w->fake));
	uv_loop_init(&o.loop);
	uv_async_init(&o.loop, &o.end, on_end);
	o.end.data = &o;
	o.fake = fakegrpc_new(&o.loop, w->path);
	fakegrpc_route(o.fake, METHOD, GRPC_EARLY, 12, "unknown", 7);
	assert_int_equal(uv_thread_create(&o.thread, serve, &o), 0);
	for (unsigned i = 0; i < 200; i++) {
		call(w);
		assert_int_equal(w->err, -EREMOTEIO);
		assert_int_equal(w->status, BH_GRPC_UNIMPLEMENTED);
		assert_string_equal(w->message, "unknown");
	}
	uv_async_send(&o.end);
	uv_thread_join(&o.thread);
	assert_int_equal(uv_loop_close(&o.loop), 0);
}

static void test_bad_answers(void **state)
{
	struct world *w = *state;
	static const struct {
		enum fakegrpc_kind kind;
		const char *body;
		size_t len;
		int err;
		const char *says;
	} bad[] = {
		{GRPC_WEB, "<html>", 6, -EPROTO, "HTTP status 404"},
		{GRPC_CUT, "answer", 6, -EPROTO, "without a status"},
		{GRPC_BYTES, "", 0, -EPROTO, "no message"},
		{GRPC_BYTES, "\0\0\0\0", 4, -EPROTO, "cut off"},
		{GRPC_BYTES, "\0\0\0\0\5four", 9, -EPROTO, "cut off"},
		{GRPC_BYTES, "\0\0\0\0\1a\0\0\0\0\1b", 12, -EPROTO, "more than one message"},
		{GRPC_BYTES, "\0\0\0\0\1a\0\0", 8, -EPROTO, "cut off"},
		{GRPC_BYTES, "\1\0\0\0\4comp", 9, -EPROTO, "compressed"},
		{GRPC_BYTES, "\0\0\2\0\0", 5, -EFBIG, "larger than allowed"},
		{GRPC_HUGE, NULL, 0, -EFBIG, "larger than allowed"},
		{GRPC_CLOSE, NULL, 0, 0, ""},
	};
	for (size_t i = 0; i < BH_ARRAY_SIZE(bad); i++) {
		fakegrpc_route(w->fake, METHOD, bad[i].kind, 0, bad[i].body, bad[i].len);
		call(w);
		assert_true(w->err < 0);
		if (bad[i].err)
			assert_int_equal(w->err, bad[i].err);
		if (!strstr(w->message, bad[i].says))
			fail_msg("%zu: \"%s\", not \"%s\"", i, w->message, bad[i].says);
		assert_true(w->message[0]);
		assert_int_equal(w->answer.len, 0);
	}
	/* and a good one afterwards */
	fakegrpc_route(w->fake, METHOD, GRPC_ANSWER, 0, "well", 4);
	call(w);
	assert_int_equal(w->err, 0);
}

static void test_timeouts(void **state)
{
	struct world *w = *state;
	struct bh_grpc_opts o = opts(w);
	o.timeout_ms = 50;
	fakegrpc_route(w->fake, METHOD, GRPC_SILENT, 0, NULL, 0);
	assert_int_equal(bh_grpc_call(w->http, &o, on_done, w, &w->call), 0);
	run_until(w, &w->done, 1);
	assert_int_equal(w->err, -ETIMEDOUT);
	fakegrpc_mute(w->fake, true); /* not even HTTP/2 */
	assert_int_equal(bh_grpc_call(w->http, &o, on_done, w, &w->call), 0);
	run_until(w, &w->done, 2);
	assert_int_equal(w->err, -ETIMEDOUT);
	assert_int_equal(w->status, BH_GRPC_NONE);
}

/* The Docker API's socket, say. */
static void test_another_protocol(void **state)
{
	struct world *w = *state;
	fakegrpc_free(w->fake);
	w->fake = NULL;
	struct fake *http1 = fake_new(&w->loop, w->path);
	fake_route(http1, "PRI", FAKE_RAW, 0, "HTTP/1.1 400 Bad Request\r\n\r\n");
	call(w);
	assert_true(w->err < 0);
	assert_true(w->message[0]);
	fake_free(http1);
	unlink(w->path);
	call(w);
	assert_int_equal(w->err, -ENOENT);
}

static void test_stream(void **state)
{
	struct world *w = *state;
	fakegrpc_route(w->fake, METHOD, GRPC_STREAM, 0, NULL, 0);
	stream(w);
	fakegrpc_push(w->fake, METHOD, "\0\0\0\0\3one\0\0\0\0\3tw", 15);
	run_until(w, &w->messages, 1);
	assert_memory_equal(w->answer.s, "one", 3);
	fakegrpc_push(w->fake, METHOD, "o\0\0\0\0\0", 6);
	run_until(w, &w->messages, 3);
	assert_int_equal(w->answer.len, 0);
	assert_int_equal(w->done, 0);
	fakegrpc_end(w->fake, METHOD);
	run_until(w, &w->done, 1);
	assert_int_equal(w->err, 0);
	assert_int_equal(w->messages, 3);
}

static void test_bad_streams(void **state)
{
	struct world *w = *state;
	static const struct {
		const char *bytes;
		size_t len;
		int err;
	} bad[] = {
		{"\1\0\0\0\3one", 8, -EPROTO}, {"\0\0\2\0\0", 5, -EFBIG},
		{"\0\0\0\0\3on", 7, -EPROTO}, /* and its end */
	};
	fakegrpc_route(w->fake, METHOD, GRPC_STREAM, 0, NULL, 0);
	for (unsigned i = 0; i < BH_ARRAY_SIZE(bad); i++) {
		stream(w);
		fakegrpc_push(w->fake, METHOD, bad[i].bytes, bad[i].len);
		if (i == 2)
			fakegrpc_end(w->fake, METHOD);
		run_until(w, &w->done, i + 1);
		assert_int_equal(w->err, bad[i].err);
		assert_true(w->message[0]);
		fakegrpc_break(w->fake);
	}
	assert_int_equal(w->messages, 0);
	stream(w);
	fakegrpc_break(w->fake);
	run_until(w, &w->done, 4);
	assert_true(w->err < 0);
	w->refuse = true;
	stream(w);
	fakegrpc_push(w->fake, METHOD, "\0\0\0\0\0\0\0\0\0\0", 10);
	run_until(w, &w->done, 5);
	assert_int_equal(w->err, -ECANCELED);
	assert_int_equal(w->messages, 1);
}

static void test_cancel(void **state)
{
	struct world *w = *state;
	struct bh_grpc_opts o = opts(w);
	fakegrpc_route(w->fake, METHOD, GRPC_STREAM, 0, NULL, 0);
	w->cancel = true;
	stream(w);
	fakegrpc_push(w->fake, METHOD, "\0\0\0\0\0\0\0\0\0\0", 10);
	run_until(w, &w->messages, 1);
	while (fakegrpc_streams(w->fake, METHOD))
		uv_run(&w->loop, UV_RUN_ONCE);
	assert_int_equal(w->messages, 1);
	fakegrpc_route(w->fake, METHOD, GRPC_SILENT, 0, NULL, 0);
	assert_int_equal(bh_grpc_call(w->http, &o, on_done, w, &w->call), 0);
	bh_grpc_cancel(BH_TAKE_PTR(w->call));
	assert_int_equal(bh_grpc_call(w->http, &o, on_done, w, &w->call), 0);
	while (fakegrpc_hits(w->fake, METHOD) < 2)
		uv_run(&w->loop, UV_RUN_ONCE);
	bh_grpc_cancel(BH_TAKE_PTR(w->call));
	bh_grpc_cancel(NULL);
	assert_int_equal(w->done, 0);
}

struct collected {
	struct bh_buf all;
	unsigned n;
};

static int collect(const uint8_t *p, size_t n, void *arg)
{
	struct collected *c = arg;
	c->n++;
	bh_buf_printf(&c->all, "%zu:", n);
	bh_buf_add(&c->all, p, n);
	return 0;
}

/* However the bytes are cut, the messages are the same. */
static void test_frames(void **state)
{
	(void)state;
	static const char bytes[] = "\0\0\0\0\3one\0\0\0\0\0\0\0\0\0\5three";
	size_t len = sizeof(bytes) - 1;
	for (size_t cut = 0; cut <= len; cut++) {
		for (size_t step = 1; step <= 3; step++) {
			struct bh_grpc_frames f = {.max = 5};
			struct collected c = {0};
			assert_int_equal(bh_grpc_frames_add(&f, bytes, cut, collect, &c), 0);
			for (size_t at = cut; at < len; at += step)
				assert_int_equal(
					bh_grpc_frames_add(&f, bytes + at,
						len - at < step ? len - at : step, collect, &c),
					0);
			assert_int_equal(c.n, 3);
			assert_string_equal(c.all.s, "3:one0:5:three");
			assert_int_equal(f.rest.len, 0);
			bh_grpc_frames_finish(&f);
			bh_buf_finish(&c.all);
		}
	}
	struct bh_grpc_frames f = {.max = 4};
	struct collected c = {0};
	assert_int_equal(bh_grpc_frames_add(&f, bytes, len, collect, &c), -EFBIG);
	assert_int_equal(c.n, 2);
	bh_grpc_frames_finish(&f);
	bh_buf_finish(&c.all);
}

static void test_message_text(void **state)
{
	(void)state;
	char out[8];
	bh_grpc_decode_message("a%00b%7fc", out, sizeof(out));
	assert_string_equal(out, "a?b?c");
	bh_grpc_decode_message("longer than it", out, sizeof(out));
	assert_string_equal(out, "longer ");
	bh_grpc_decode_message("%", out, sizeof(out));
	assert_string_equal(out, "%");
	bh_grpc_decode_message("%4", out, sizeof(out));
	assert_string_equal(out, "%4");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_call, setup, teardown),
		cmocka_unit_test_setup_teardown(test_status, setup, teardown),
		cmocka_unit_test_setup_teardown(test_refused_early, setup, teardown),
		cmocka_unit_test_setup_teardown(test_bad_answers, setup, teardown),
		cmocka_unit_test_setup_teardown(test_timeouts, setup, teardown),
		cmocka_unit_test_setup_teardown(test_another_protocol, setup, teardown),
		cmocka_unit_test_setup_teardown(test_stream, setup, teardown),
		cmocka_unit_test_setup_teardown(test_bad_streams, setup, teardown),
		cmocka_unit_test_setup_teardown(test_cancel, setup, teardown),
		cmocka_unit_test(test_frames),
		cmocka_unit_test(test_message_text),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
