/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The process that fetches: what it may, what it is told, and how it may end. The servers are on
 * the loopback of a network namespace of our own. */
// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

#include "http/fetch.h"

static bool have_net;
static uv_loop_t loop;
static struct bh_http *http;
static uv_tcp_t server[2];
static int port[2];
static unsigned n_asked; /* connections with a question on them */
static bool silent;

/* --- a server that says "hello" --- */
struct conn {
	uv_tcp_t tcp;
	uv_write_t write;
	char buf[4096];
};

static void on_closed(uv_handle_t *h)
{
	free(h->data);
}

static void on_room(uv_handle_t *h, size_t n BH_UNUSED, uv_buf_t *ret)
{
	struct conn *c = h->data;
	*ret = uv_buf_init(c->buf, sizeof(c->buf));
}

static void on_read(uv_stream_t *s, ssize_t n, const uv_buf_t *b BH_UNUSED)
{
	static char hello[] = "HTTP/1.1 200 OK\r\nETag: \"e\"\r\nContent-Type: text/x\r\n"
			      "Content-Length: 5\r\n\r\nhello";
	struct conn *c = s->data;
	if (n < 0) {
		uv_close((uv_handle_t *)s, on_closed);
		return;
	}
	n_asked++;
	uv_buf_t out = uv_buf_init(hello, sizeof(hello) - 1);
	if (!silent)
		uv_write(&c->write, s, &out, 1, NULL);
}

static void on_connection(uv_stream_t *s, int status BH_UNUSED)
{
	struct conn *c = bh_xcalloc(1, sizeof(*c));
	uv_tcp_init(&loop, &c->tcp);
	c->tcp.data = c;
	uv_accept(s, (uv_stream_t *)&c->tcp);
	uv_unref((uv_handle_t *)&c->tcp);
	uv_read_start((uv_stream_t *)&c->tcp, on_room, on_read);
}

static void listen_at(int i)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int len = sizeof(a);
	uv_tcp_init(&loop, &server[i]);
	assert_int_equal(uv_tcp_bind(&server[i], (struct sockaddr *)&a, 0), 0);
	assert_int_equal(uv_listen((uv_stream_t *)&server[i], 16, on_connection), 0);
	uv_tcp_getsockname(&server[i], (struct sockaddr *)&a, &len);
	port[i] = ntohs(a.sin_port);
}

static void close_any(uv_handle_t *h, void *arg BH_UNUSED)
{
	bool ours = h->type == UV_TCP && h->data;
	if (!uv_is_closing(h))
		uv_close(h, ours ? on_closed : NULL);
}

static int setup(void **state BH_UNUSED)
{
	uv_loop_init(&loop);
	n_asked = 0;
	silent = false;
	bh_fetch_program = BH_FETCH_PATH;
	if (have_net) {
		listen_at(0);
		listen_at(1);
	}
	return bh_http_open(&loop, &http);
}

static int teardown(void **state BH_UNUSED)
{
	bh_http_close(http);
	uv_run(&loop, UV_RUN_NOWAIT);
	for (int i = 0; have_net && i < 2; i++)
		uv_close((uv_handle_t *)&server[i], NULL);
	uv_run(&loop, UV_RUN_DEFAULT); /* until the processes have been waited for */
	uv_walk(&loop, close_any, NULL);
	uv_run(&loop, UV_RUN_DEFAULT);
	return uv_loop_close(&loop);
}

/* --- asking --- */
struct seen {
	unsigned done;
	int err;
	long status;
	char body[64], message[160], etag[16];
};

static void on_done(const struct bh_http_result *r, void *arg)
{
	struct seen *s = arg;
	s->done++;
	s->err = r->err;
	s->status = r->status;
	snprintf(s->body, sizeof(s->body), "%s", r->body);
	snprintf(s->message, sizeof(s->message), "%s", r->message);
	snprintf(s->etag, sizeof(s->etag), "%s", r->etag ? r->etag : "");
}

static void start(struct seen *s, int which, struct bh_http_opts o, struct bh_http_request **ret)
{
	char bh_autofree *url = bh_xasprintf("http://127.0.0.1:%d/x", port[which]);
	*s = (struct seen){0};
	o.url = url;
	assert_int_equal(bh_http_get(http, &o, NULL, on_done, s, ret), 0);
	assert_int_equal(s->done, 0);
}

static void on_beat(uv_timer_t *t)
{
	++*(unsigned *)t->data;
}

/* Until *n is at least so much; false after ten seconds. */
static bool reaches(const unsigned *n, unsigned want)
{
	uv_timer_t t;
	unsigned beats = 0;
	uv_timer_init(&loop, &t);
	t.data = &beats;
	uv_timer_start(&t, on_beat, 10, 10);
	while (*n < want && beats < 1000)
		uv_run(&loop, UV_RUN_ONCE);
	uv_close((uv_handle_t *)&t, NULL);
	uv_run(&loop, UV_RUN_NOWAIT);
	return *n >= want;
}

static void pause_ms(unsigned ms)
{
	uv_timer_t t;
	unsigned over = 0;
	uv_timer_init(&loop, &t);
	t.data = &over;
	uv_timer_start(&t, on_beat, ms, 5); /* again: UV_RUN_ONCE goes on waiting after a timer */
	while (!over)
		uv_run(&loop, UV_RUN_ONCE);
	uv_close((uv_handle_t *)&t, NULL);
	uv_run(&loop, UV_RUN_NOWAIT);
}

/* The processes that there are; the first one's pid to *ret. */
static unsigned children(pid_t *ret)
{
	char bh_autofree *path = bh_xasprintf("/proc/self/task/%d/children", (int)getpid());
	FILE bh_autofclose *f = fopen(path, "re");
	unsigned n = 0;
	for (int pid; f && fscanf(f, "%d", &pid) == 1; n++)
		if (n == 0 && ret)
			*ret = pid;
	return n;
}

static void expect_line(pid_t pid, const char *line)
{
	char bh_autofree *path = bh_xasprintf("/proc/%d/status", (int)pid);
	char text[8192] = "";
	FILE bh_autofclose *f = fopen(path, "re");
	assert_non_null(f);
	assert_true(fread(text, 1, sizeof(text) - 1, f) > 0);
	if (!strstr(text, line))
		fail_msg("no \"%s\" in\n%s", line, text);
}

static void test_no_privileges(void **state BH_UNUSED)
{
	struct seen s;
	struct bh_http_request *r;
	pid_t pid = 0;
	if (!have_net)
		skip();
	silent = true;
	/* what a careless caller leaves open is not for it */
	bh_autoclose int leak = open("/dev/null", O_RDONLY);
	assert_true(leak > 2);
	start(&s, 0, (struct bh_http_opts){0}, &r);
	assert_true(reaches(&n_asked, 1));
	assert_int_equal(children(&pid), 1);
	if (geteuid() == 0) {
		expect_line(pid, "\nUid:\t65534\t65534\t65534\t65534\n");
		expect_line(pid, "\nGid:\t65534\t65534\t65534\t65534\n");
		expect_line(pid, "\nGroups:\t \n");
	}
	expect_line(pid, "\nCapInh:\t0000000000000000\nCapPrm:\t0000000000000000\n"
			 "CapEff:\t0000000000000000\n");
	expect_line(pid, "\nNoNewPrivs:\t1\n");
	char bh_autofree *path = bh_xasprintf("/proc/%d/fd/%d", (int)pid, leak);
	char bh_autofree *limits =
		bh_xasprintf("grep -q 'Max file size  *0  *0' /proc/%d/limits && "
			     "grep -q 'Max core file size  *0  *0' /proc/%d/limits",
			(int)pid, (int)pid);
	char to[64] = "";
	assert_int_equal(system(limits), 0);
	assert_true(readlink(path, to, sizeof(to) - 1) < 0 || strcmp(to, "/dev/null") != 0);
	bh_http_cancel(r);
	for (unsigned i = 0; i < 500 && children(NULL); i++)
		pause_ms(10);
	assert_int_equal(children(NULL), 0); /* it does not outlive its request */
	assert_int_equal(s.done, 0);
}

static void test_same_origin(void **state BH_UNUSED)
{
	struct seen s;
	pid_t first = 0, second = 0;
	if (!have_net)
		skip();
	for (unsigned i = 0; i < 3; i++) {
		start(&s, 0, (struct bh_http_opts){0}, NULL);
		assert_true(reaches(&s.done, 1));
		assert_int_equal(s.err, 0);
		assert_int_equal(s.status, 200);
		assert_string_equal(s.body, "hello");
		assert_string_equal(s.etag, "\"e\"");
		assert_string_equal(s.message, "");
		assert_int_equal(children(&second), 1);
		if (first)
			assert_int_equal(first, second);
		first = second;
	}
	start(&s, 1, (struct bh_http_opts){0}, NULL); /* another server: another process */
	assert_true(reaches(&s.done, 1));
	assert_int_equal(children(NULL), 2);
	pause_ms(3300);
	assert_int_equal(children(NULL), 0);
}

static void test_many(void **state BH_UNUSED)
{
	struct seen s[24];
	unsigned most = 0;
	if (!have_net)
		skip();
	for (unsigned i = 0; i < BH_ARRAY_SIZE(s); i++) {
		start(&s[i], i % 2, (struct bh_http_opts){.timeout_ms = 5000}, NULL);
		most = children(NULL) > most ? children(NULL) : most;
	}
	assert_int_equal(most, 4);
	for (unsigned i = 0; i < BH_ARRAY_SIZE(s); i++) {
		assert_true(reaches(&s[i].done, 1));
		assert_int_equal(s[i].err, 0);
		assert_string_equal(s[i].body, "hello");
	}
	assert_int_equal(n_asked, BH_ARRAY_SIZE(s));
	for (unsigned i = 0; i < 6; i++) { /* nor do idle ones add up: a `ca_file` makes a key */
		char bh_autofree *ca = bh_xasprintf("/tmp/bh-fetch-ca-%d-%u", (int)getpid(), i);
		FILE *f = fopen(ca, "we");
		assert_non_null(f);
		fclose(f);
		start(&s[i], 0, (struct bh_http_opts){.ca_file = ca}, NULL);
		assert_true(reaches(&s[i].done, 1));
		assert_int_equal(s[i].err, 0);
		unlink(ca);
	}
	pause_ms(100); /* those that were killed have been waited for */
	assert_int_equal(children(NULL), 4);
}

static void test_its_end(void **state BH_UNUSED)
{
	struct seen s;
	pid_t pid = 0;
	if (!have_net)
		skip();
	silent = true;
	start(&s, 0, (struct bh_http_opts){0}, NULL);
	assert_true(reaches(&n_asked, 1));
	assert_int_equal(children(&pid), 1);
	kill(pid, SIGKILL);
	assert_true(reaches(&s.done, 1));
	assert_int_equal(s.err, -EPROTO);
	assert_non_null(strstr(s.message, "ended by signal 9"));
	start(&s, 0, (struct bh_http_opts){.timeout_ms = 100}, NULL); /* its own clock */
	assert_true(reaches(&s.done, 1));
	assert_int_equal(s.err, -ETIMEDOUT);
	silent = false;
	start(&s, 0, (struct bh_http_opts){0}, NULL);
	assert_true(reaches(&s.done, 1));
	assert_int_equal(s.err, 0);
}

/* Whatever it says is no reason to do anything wrong. */
static void test_bad_process(void **state BH_UNUSED)
{
	static const struct {
		const char *says;
		int err;
		const char *message;
	} t[] = {
		{"echo nonsense", -EPROTO, "no good answer"},
		{"head -c 100000 /dev/zero", -EPROTO, "no good answer"},
		{"printf '0 200 0 6\\n123456'", -EPROTO, "no good answer"}, /* max_bytes */
		{"printf '0 200 0 5\\n123456'", -EPROTO, "no good answer"},
		{"printf '0 200 99999999 0\\n'", -EPROTO, "no good answer"},
		{"printf '0 200 3 0\\nabc'", -EPROTO, "no good answer"},
		{"printf '7 200 0 0\\n'", -EPROTO, "no good answer"},
		{"printf '0 200 0 5\\n123'; exit 9", -EPROTO, "ended with 9"},
		{"printf '0 200 '; sleep 0.1; printf '2 5\\na\\00012'; sleep 0.1; printf 345; "
		 "sleep 9",
			0, ""},
		{"exit 3", -EPROTO, "ended with 3"},
		{"sleep 30", -ETIMEDOUT, ""},
	};
	char path[] = "/tmp/bh-fetch-XXXXXX";
	int fd = mkstemp(path);
	assert_true(fd >= 0);
	close(fd);
	bh_fetch_program = path;
	for (size_t i = 0; i < BH_ARRAY_SIZE(t); i++) {
		struct seen s;
		FILE *f = fopen(path, "we");
		fprintf(f, "#!/bin/sh\n%s\n", t[i].says);
		fchmod(fileno(f), 0700);
		fclose(f);
		/* GRACE_MS more is what it gets */
		start(&s, 0, (struct bh_http_opts){.max_bytes = 5, .timeout_ms = 50}, NULL);
		assert_true(reaches(&s.done, 1));
		if (s.err != t[i].err || !strstr(s.message, t[i].message))
			fail_msg("%s: %d, %s", t[i].says, s.err, s.message);
		bh_http_close(http);
		assert_int_equal(bh_http_open(&loop, &http), 0);
	}
	struct seen s;
	unlink(path);
	start(&s, 0, (struct bh_http_opts){0}, NULL);
	assert_true(reaches(&s.done, 1));
	assert_int_equal(s.err, -ENOENT);
	assert_non_null(strstr(s.message, "bulkhead-fetch"));
}

static void test_refused(void **state BH_UNUSED)
{
	struct seen s;
	const char *const evil[] = {"X: y\r\nEvil: z", NULL};
	struct bh_http_opts o = {.url = "http://127.0.0.1/", .headers = evil};
	assert_int_equal(bh_http_get(http, &o, NULL, on_done, &s, NULL), -EINVAL);
	o = (struct bh_http_opts){.url = "http://127.0.0.1/", .body = "x", .body_len = 1};
	assert_int_equal(bh_http_get(http, &o, NULL, on_done, &s, NULL), -EINVAL);
	start(&s, 0, (struct bh_http_opts){.ca_file = "/nonexistent"}, NULL);
	assert_true(reaches(&s.done, 1));
	assert_int_equal(s.err, -ENOENT);
	assert_non_null(strstr(s.message, "/nonexistent"));
	assert_int_equal(children(NULL), 0);
	s = (struct seen){0};
	o = (struct bh_http_opts){.url = "file:///etc/passwd"};
	assert_int_equal(bh_http_get(http, &o, NULL, on_done, &s, NULL), 0);
	assert_true(reaches(&s.done, 1));
	assert_int_equal(s.err, -EPROTONOSUPPORT);
	assert_string_equal(s.body, "");
}

static bool make_net(void)
{
	struct ifreq lo = {.ifr_name = "lo", .ifr_flags = IFF_UP};
	if (unshare(CLONE_NEWNET) < 0)
		return false;
	bh_autoclose int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	return ioctl(fd, SIOCSIFFLAGS, &lo) == 0;
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {T(test_no_privileges), T(test_same_origin), T(test_many),
		T(test_its_end), T(test_bad_process), T(test_refused)};
	have_net = make_net();
	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
