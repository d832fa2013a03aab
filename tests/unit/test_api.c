/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The API over raw sockets: every route, who may change things, and clients that mean harm. */
#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>

#include <cmocka.h>

#include "api/private.h"
#include "lib/fake_core.h"

static char dir[40], path[64];
static pid_t server;

static int setup(void **state BH_UNUSED)
{
	snprintf(dir, sizeof(dir), "/tmp/bh-test-api-XXXXXX");
	if (!mkdtemp(dir) || chmod(dir, 0755) < 0)
		return -1;
	snprintf(path, sizeof(path), "%s/run/bh.sock", dir);
	signal(SIGPIPE, SIG_IGN);
	bh_api_limits = (struct bh_api_limits){.lifetime_ms = 4000, .idle_s = 2, .readers = 48};
	server = fake_server_start(path);
	return server > 0 ? 0 : -1;
}

static int teardown(void **state BH_UNUSED)
{
	int left = fake_server_stop(server);
	char bh_autofree *cmd = bh_xasprintf("rm -rf %s", dir);
	if (left != 0 || access(path, F_OK) == 0) {
		print_error("server left with %d\n", left);
		return -1;
	}
	return system(cmd) == 0 ? 0 : -1;
}

static int dial(void)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	snprintf(a.sun_path, sizeof(a.sun_path), "%s", path);
	if (connect(fd, (struct sockaddr *)&a, sizeof(a)) < 0) {
		close(fd);
		return -1;
	}
	return fd;
}

static void put(int fd, const void *p, size_t n)
{
	for (size_t at = 0; at < n;) {
		ssize_t w = send(fd, (const char *)p + at, n - at, MSG_NOSIGNAL);
		if (w <= 0)
			return; /* the server may hang up first; its answer is still to be read */
		at += (size_t)w;
	}
}

struct reply {
	int status; /* 0: nothing came */
	char *head, *body; /* owned */
	json_t *json; /* owned; NULL if the body is none */
};

static void reply_finish(struct reply *r)
{
	free(r->head);
	json_decref(r->json);
}

static struct reply take(int fd)
{
	struct bh_buf b = {0};
	struct reply r = {0};
	char buf[65536];

	for (;;) {
		struct pollfd p = {.fd = fd, .events = POLLIN};
		if (poll(&p, 1, 8000) != 1)
			fail_msg("the server neither answers nor hangs up");
		ssize_t n = recv(fd, buf, sizeof(buf), 0);
		if (n <= 0)
			break;
		bh_buf_add(&b, buf, (size_t)n);
	}
	close(fd);
	r.head = bh_buf_take(&b);
	r.body = strstr(r.head, "\r\n\r\n");
	if (!r.body)
		return r;
	*r.body = '\0';
	r.body += 4;
	sscanf(r.head, "HTTP/1.1 %d", &r.status);
	r.json = json_loads(r.body, 0, NULL);
	return r;
}

static struct reply ask(const char *method, const char *target, const char *body)
{
	struct bh_buf bh_autobuf b = {0};
	int fd = dial();
	assert_true(fd >= 0);
	bh_buf_printf(&b, "%s %s HTTP/1.1\r\nHost: x\r\n", method, target);
	if (body)
		bh_buf_printf(&b, "Content-Length: %zu\r\n\r\n%s", strlen(body), body);
	else
		bh_buf_str(&b, "\r\n");
	put(fd, b.s, b.len);
	return take(fd);
}

static void expect(
	const char *method, const char *target, const char *body, int status, const char *contains)
{
	struct reply r = ask(method, target, body);
	if (r.status != status || !strstr(r.body, contains)) {
		print_error("%s %s: %s\n%s\nwanted %d with %s\n", method, target, r.head, r.body,
			status, contains);
		fail();
	}
	if (status >= 400)
		assert_true(json_is_string(json_object_get(r.json, "error")));
	reply_finish(&r);
}

static void test_reading_routes(void **state BH_UNUSED)
{
	expect("GET", "/v1/status", NULL, 200, "\"node\":\"node-1\"");
	expect("GET", "/v1/workloads", NULL, 200, "\"workloads\":[");
	expect("GET",
		"/v1/workloads?selector=a%3Db%2C!c&image=web&digest=ab&registry=r&gone=1"
		"&namespace=shop&mode=learn",
		NULL, 200,
		"\"asked\":{\"selector\":\"a=b,!c\",\"image\":\"web\",\"digest\":\"ab\","
		"\"registry\":\"r\",\"namespace\":\"shop\",\"mode\":\"learn\",\"gone\":true}");
	expect("GET", "/v1/workloads?gone=2", NULL, 400, "gone must be 0 or 1");
	expect("GET", "/v1/workloads?label=a", NULL, 400, "unknown parameter label");
	expect("GET", "/v1/workload?name=shop/web", NULL, 200, "\"mode_origin\"");
	expect("GET", "/v1/workload", NULL, 400, "name is missing");
	expect("GET", "/v1/workload?name=", NULL, 400, "name is missing");
	expect("GET", "/v1/impact?what=203.0.113.9", NULL, 200, "\"affected\":[");
	expect("GET", "/v1/impact", NULL, 400, "what is missing");
	expect("GET", "/v1/flows", NULL, 200, "\"asked\":{\"since\":0,\"limit\":100}");
	expect("GET", "/v1/flows?since=17&limit=1000", NULL, 200,
		"\"asked\":{\"since\":17,\"limit\":1000}");
	expect("GET", "/v1/learn", NULL, 200, "\"edges\"");
	expect("GET", "/v1/learn/export", NULL, 200, "# namespace - role - evidence 1\n");
	expect("GET", "/v1/learn/export?namespace=a%20b&role=r&evidence=0", NULL, 200,
		"# namespace a b role r evidence 0\n");
	expect("GET", "/v1/policies", NULL, 200, "\"generation\":7");
	expect("GET", "/v1/policies/history", NULL, 200, "\"in_force\":7");
	expect("GET", "/v1/policies/versions/6", NULL, 200, "\"version\":6");
	expect("GET", "/v1/policies/versions/current", NULL, 200, "\"version\":7");
	expect("GET", "/v1/mode", NULL, 200, "\"configured\":\"learn\"");
	expect("GET", "/v1/quarantine", NULL, 200, "\"state\":\"absent\"");
	expect("GET", "/v1/feeds", NULL, 200, "\"name\":\"drop\"");
	expect("GET", "/v1/feeds/show?name=drop", NULL, 200, "\"cut\":");
	expect("GET", "/v1/feeds/show", NULL, 400, "name");
	expect("GET", "/v1/feeds/test?ip=192.0.2.7", NULL, 200, "\"blocked\":");
	expect("GET", "/v1/feeds/test", NULL, 400, "ip");
	expect("GET", "/v1/explain?src=shop/web&dst=1.2.3.4&protocol=tcp&port=443", NULL, 200,
		"shop/web to 1.2.3.4, tcp/443");
	expect("GET", "/v1/explain?src=a&dst=b&protocol=icmp", NULL, 200, "icmp/-");
	expect("GET", "/metrics", NULL, 200, "bulkhead_workloads 3");

	struct reply r = ask("GET", "/v1/learn/export", NULL);
	assert_non_null(strstr(r.head, "Content-Type: text/yaml"));
	assert_non_null(strstr(r.head, "Connection: close"));
	reply_finish(&r);
	r = ask("GET", "/v1/status", NULL);
	assert_non_null(strstr(r.head, "Content-Type: application/json"));
	reply_finish(&r);
	r = ask("HEAD", "/v1/status", NULL);
	assert_int_equal(r.status, 200);
	assert_string_equal(r.body, "");
	reply_finish(&r);
}

static void test_changing_routes(void **state BH_UNUSED)
{
	char self[32];
	if (getuid() != 0)
		skip();
	snprintf(self, sizeof(self), "\"pid\":%d", (int)getpid());
	expect("POST", "/v1/policies",
		"{\"sources\":[{\"file\":\"a.yaml\",\"text\":\"x\"}],\"dry_run\":true}", 200,
		"\"files\":[\"a.yaml\"]");
	expect("POST", "/v1/policies", "{\"sources\":[{\"file\":\"a\",\"text\":\"BAD\"}]}", 422,
		"\"line\":3");
	expect("DELETE", "/v1/policies/shop/web", NULL, 200, "\"namespace\":\"shop\"");
	expect("DELETE", "/v1/policies/_cluster/no-db", NULL, 200, "\"namespace\":\"\"");
	expect("DELETE", "/v1/policies/shop/none", NULL, 404, "shop/none");
	expect("POST", "/v1/policies/plan", "{\"sources\":[],\"prune\":true}", 200,
		"\"prune\":true");
	expect("POST", "/v1/policies/rollback", "{\"version\":3}", 200, "\"to\":3");
	expect("POST", "/v1/policies/rollback", NULL, 200, self);
	expect("POST", "/v1/policies/confirm", NULL, 200, "\"generation\":7");
	expect("POST", "/v1/policies/cancel", NULL, 409, "no version awaits");
	expect("PUT", "/v1/mode", "{\"mode\":\"audit\",\"namespace\":null}", 200, self);
	expect("GET", "/v1/mode", NULL, 200, "\"mode\":\"audit\"");
	expect("DELETE", "/v1/mode?namespace=shop&selector=a%3Db", NULL, 200,
		"\"asked\":{\"namespace\":\"shop\",\"selector\":\"a=b\"}");
	expect("GET", "/v1/graph", NULL, 200, "\"nodes\":[");
	expect("GET", "/v1/drift?since=9", NULL, 200, "\"asked\":9");
	expect("GET", "/v1/drift?since=x", NULL, 400, "must be a number of seconds");
	expect("GET", "/v1/policies/replay/8", NULL, 200, "\"unused\":[");
	expect("GET", "/v1/policies/replay/x", NULL, 400, "a replay is a number");
	expect("DELETE", "/v1/mode?scope=x", NULL, 400, "unknown parameter scope");
	expect("POST", "/v1/quarantine", "{\"workload\":\"shop/web\"}", 200, self);
	expect("POST", "/v1/quarantine", "{\"workload\":\"nobody\"}", 404, "nobody");
	expect("DELETE", "/v1/quarantine?workload=shop/web%20x", NULL, 200,
		"\"asked\":\"shop/web x\"");
	expect("DELETE", "/v1/quarantine", NULL, 400, "workload is missing");
	expect("DELETE", "/v1/quarantine?workload=", NULL, 400, "workload is missing");
	expect("POST", "/v1/feeds/refresh", "{\"name\":\"drop\"}", 200, "\"started\":1");
	expect("POST", "/v1/feeds/refresh", NULL, 200, "\"started\":1");
	expect("POST", "/v1/feeds/refresh", "{\"name\":\"x\"}", 404, "no feed x");
}

static void test_errors(void **state BH_UNUSED)
{
	expect("GET", "/", NULL, 404, "no / here");
	expect("GET", "/v1/status/", NULL, 404, "no /v1/status/ here");
	expect("GET", "/v1/statuses", NULL, 404, "here");
	expect("GET", "/v1/statu", NULL, 404, "here");
	expect("DELETE", "/v1/policies/shop", NULL, 404, "here");
	expect("DELETE", "/v1/policies//web", NULL, 404, "here");
	expect("DELETE", "/v1/policies/a/b/c", NULL, 404, "here");
	expect("GET", "/v1/policies/versions/0", NULL, 400, "from 1");
	expect("GET", "/v1/policies/versions/x", NULL, 400, "current");
	expect("GET", "/v1/policies/versions/99999999999999999999", NULL, 400, "from 1");
	expect("GET", "/v1/policies/versions/9", NULL, 404, "no version 9");
	expect("GET", "/v1/policies/plan", NULL, 405, "knows only POST");
	expect("GET", "/%1b%5b31m", NULL, 404, "no /?[31m here");
	expect("POST", "/v1/status", "{}", 405, "knows only GET");
	expect("GET", "/v1/flows?limit=0", NULL, 400, "parameter limit");
	expect("GET", "/v1/flows?limit=1001", NULL, 400, "parameter limit");
	expect("GET", "/v1/flows?limit=-1", NULL, 400, "parameter limit");
	expect("GET", "/v1/flows?since=abc", NULL, 400, "parameter since");
	expect("GET", "/v1/flows?since=99999999999999999999", NULL, 400, "parameter since");
	expect("GET", "/v1/flows?since=1%00", NULL, 400, "NUL");
	expect("GET", "/v1/flows?since", NULL, 400, "no value");
	expect("GET", "/v1/flows?since=1&since=2", NULL, 400, "since is given twice");
	expect("GET", "/v1/flows?sinc%1be=1", NULL, 400, "unknown parameter sinc?e");
	expect("GET", "/v1/status?x=1", NULL, 400, "unknown parameter x");
	expect("GET", "/v1/learn/export?evidence=yes", NULL, 400, "evidence must be 0 or 1");
	expect("GET", "/v1/learn/export?role=", NULL, 400, "role is empty");
	expect("GET", "/v1/explain?src=a&protocol=tcp", NULL, 400, "dst is missing");
	expect("GET", "/v1/explain?dst=a&protocol=tcp", NULL, 400, "src is missing");
	expect("GET", "/v1/explain?src=a&dst=b", NULL, 400, "protocol is missing");

	struct reply r = ask("PATCH", "/v1/mode", NULL);
	assert_int_equal(r.status, 405);
	assert_non_null(strstr(r.head, "Allow: GET, HEAD, PUT"));
	reply_finish(&r);
	if (getuid() != 0)
		return;
	expect("PUT", "/v1/mode", "{\"mode\":\n  oops}", 400, "line 2, column 6");
	expect("PUT", "/v1/mode", "{\"mode\":\"a\",\"mode\":\"b\"}", 400, "duplicate");
	expect("PUT", "/v1/mode", "[]", 400, "must be a JSON object");
	expect("PUT", "/v1/mode", "", 400, "not JSON");
	expect("PUT", "/v1/mode", "{} x", 400, "line 1");
	expect("PUT", "/v1/mode", "{}", 400, "mode must be");
}

/* As somebody who is in the socket's group but is not root. */
static void test_only_root_changes(void **state BH_UNUSED)
{
	if (getuid() != 0)
		skip();
	struct stat st;
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0660);
	assert_int_equal(chmod(path, 0666), 0);
	fflush(NULL);
	pid_t pid = fork();
	if (pid == 0) {
		if (setuid(65534) < 0)
			_exit(9);
		struct reply r = ask("GET", "/v1/status", NULL);
		if (r.status != 200)
			_exit(1);
		r = ask("PUT", "/v1/mode", "{\"mode\":\"learn\"}");
		if (r.status != 403 || !strstr(r.body, "root"))
			_exit(2);
		r = ask("DELETE", "/v1/policies/a/b", NULL);
		if (r.status != 403)
			_exit(3);
		static const char *const changing[] = {"plan", "rollback", "confirm", "cancel"};
		for (size_t i = 0; i < BH_ARRAY_SIZE(changing); i++) {
			char bh_autofree *url = bh_xasprintf("/v1/policies/%s", changing[i]);
			r = ask("POST", url, "{}");
			if (r.status != 403)
				_exit(5);
		}
		/* refused before the body is sent: nothing is held for it */
		int fd = dial();
		const char *head = "POST /v1/policies HTTP/1.1\r\nHost: x\r\n"
				   "Content-Length: 8000000\r\n\r\n";
		put(fd, head, strlen(head));
		r = take(fd);
		_exit(r.status == 403 ? 0 : 4);
	}
	int status;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

/* Readers cannot lock root out. */
static void test_readers_are_limited(void **state BH_UNUSED)
{
	if (getuid() != 0)
		skip();
	assert_int_equal(chmod(path, 0666), 0);
	int ready[2], done[2];
	assert_int_equal(pipe(ready), 0);
	assert_int_equal(pipe(done), 0);
	fflush(NULL);
	pid_t pid = fork();
	if (pid == 0) {
		int open = 0;
		struct pollfd p[60];
		if (setuid(65534) < 0)
			_exit(9);
		for (int i = 0; i < 60; i++)
			p[i] = (struct pollfd){.fd = dial(), .events = POLLIN};
		usleep(300000);
		poll(p, 60, 0);
		for (int i = 0; i < 60; i++)
			open += p[i].revents == 0;
		if (write(ready[1], "x", 1) != 1 || read(done[0], &(char){0}, 1) != 1)
			_exit(8);
		_exit(open);
	}
	assert_int_equal(read(ready[0], &(char){0}, 1), 1);
	expect("GET", "/v1/status", NULL, 200, "node-1");
	assert_int_equal(write(done[1], "x", 1), 1);
	int status;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(WEXITSTATUS(status), 48);
	for (int i = 0; i < 2; i++) {
		close(ready[i]);
		close(done[i]);
	}
}

/* All at once; how many were answered. */
static int ask_dear(int n)
{
	static const char request[] = "GET /v1/impact?what=dear HTTP/1.1\r\nHost: x\r\n\r\n";
	int fd[48], answered = 0;
	for (int i = 0; i < n; i++) {
		fd[i] = dial();
		put(fd[i], request, sizeof(request) - 1);
	}
	for (int i = 0; i < n; i++) {
		struct reply r = take(fd[i]);
		answered += r.status == 200;
		reply_finish(&r);
	}
	return answered;
}

/* In a process of nobody's, which exits with how many were answered. */
static pid_t readers(int n)
{
	if (getuid() != 0)
		skip();
	assert_int_equal(chmod(path, 0666), 0);
	fflush(NULL);
	pid_t pid = fork();
	if (pid == 0)
		_exit(setuid(65534) < 0 ? 99 : ask_dear(n));
	return pid;
}

/* Twenty answers that take 50 ms each, and pauses, are under way: root's five go between. */
static void test_root_does_not_wait_for_readers(void **state BH_UNUSED)
{
	pid_t pid = readers(20);
	usleep(200000);
	for (int i = 0; i < 5; i++)
		expect("GET", "/v1/status", NULL, 200, "node-1");
	int status;
	assert_int_equal(waitpid(pid, &status, WNOHANG), 0); /* they are still under way */
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(WEXITSTATUS(status), 20);
}

/* Who has no time left to wait is hung up on, and leaves nothing behind. */
static void test_readers_wait_for_so_long(void **state BH_UNUSED)
{
	pid_t pid = readers(48);
	int status;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_in_range(WEXITSTATUS(status), 1, 47); /* 4 s are 40 turns at most */
	for (int i = 0; i < 60; i++)
		expect("GET", "/v1/status", NULL, 200, "node-1");
}

static void test_large_bodies(void **state BH_UNUSED)
{
	if (getuid() != 0)
		skip();
	/* a body near the limit is taken */
	size_t n = BH_API_MAX_BODY - 100;
	char bh_autofree *body = bh_xcalloc(n + 64, 1);
	int at = sprintf(body, "{\"sources\":[{\"file\":\"f\",\"text\":\"");
	memset(body + at, 'x', n);
	memcpy(body + n - 10, "\"}]}", 5);
	expect("POST", "/v1/policies", body, 200, "\"files\":[\"f\"]");

	/* one whose length says that it is too large: at once */
	int fd = dial();
	const char *head = "POST /v1/policies HTTP/1.1\r\nHost: x\r\n"
			   "Content-Length: 8388609\r\n\r\n";
	put(fd, head, strlen(head));
	struct reply r = take(fd);
	assert_int_equal(r.status, 413);
	assert_non_null(strstr(r.body, "8 MiB"));
	reply_finish(&r);

	/* one that does not say */
	fd = dial();
	head = "POST /v1/policies HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n";
	put(fd, head, strlen(head));
	for (int i = 0; i < 9; i++) {
		put(fd, "100000\r\n", 8);
		put(fd, body + at, 0x100000 - 1);
		put(fd, "x\r\n", 3);
	}
	put(fd, "0\r\n\r\n", 5);
	r = take(fd);
	assert_int_equal(r.status, 413);
	reply_finish(&r);
}

static int64_t now_ms(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* Silent ones go after the idle time; one that drips goes at the end of its life all the same. */
static void test_slow_clients(void **state BH_UNUSED)
{
	int idle = dial(), drip = dial();
	int64_t start = now_ms(), ended = 0;
	put(idle, "GET /v1/st", 10);
	put(drip, "GET /v1/status HTTP/1.1\r\n", 25);
	while (!ended && now_ms() - start < 8000) {
		struct pollfd p = {.fd = drip, .events = POLLIN};
		put(drip, "X", 1);
		if (poll(&p, 1, 200) == 1)
			ended = now_ms();
		expect("GET", "/v1/status", NULL, 200, "node-1"); /* others are served */
	}
	assert_in_range(ended - start, 2500, 6500);
	close(drip);
	struct reply r = take(idle);
	assert_true(r.status == 0 || r.status >= 400);
	reply_finish(&r);
}

/* More connections than there may be: the surplus waits, is served when the others are gone. */
static void test_many_connections(void **state BH_UNUSED)
{
	int fd[80];
	for (int i = 0; i < 80; i++)
		fd[i] = dial();
	for (int i = 0; i < 80; i++)
		if (fd[i] >= 0)
			put(fd[i], "GET ", 4);
	struct reply r = ask("GET", "/v1/status", NULL);
	assert_int_equal(r.status, 200);
	reply_finish(&r);
	for (int i = 0; i < 80; i++)
		if (fd[i] >= 0)
			close(fd[i]);
}

static void test_garbage(void **state BH_UNUSED)
{
	static const char *const garbage[] = {
		"\0\0\0\0\r\n\r\n",
		"GET\r\n\r\n",
		"GET / HTTP/9.9\r\n\r\n",
		"POST /v1/policies HTTP/1.1\r\nHost: x\r\nContent-Length: -5\r\n\r\n",
		"PUT /v1/mode HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999999999\r\n\r\n",
		"POST /v1/policies HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
		"GET /v1/flows?%%%=%zz&&&= HTTP/1.1\r\nHost: x\r\n\r\n",
		"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
	};
	for (size_t i = 0; i < BH_ARRAY_SIZE(garbage); i++) {
		int fd = dial();
		put(fd, garbage[i], i ? strlen(garbage[i]) : 8);
		shutdown(fd, SHUT_WR);
		struct reply r = take(fd);
		assert_true(r.status == 0 || r.status >= 400);
		reply_finish(&r);
	}
	/* headers without end */
	char bh_autofree *big = bh_xcalloc(300001, 1);
	memset(big, 'a', 300000);
	int fd = dial();
	put(fd, "GET /v1/status HTTP/1.1\r\nX: ", 28);
	put(fd, big, 300000);
	shutdown(fd, SHUT_WR);
	struct reply r = take(fd);
	assert_true(r.status == 0 || r.status >= 400);
	reply_finish(&r);
	/* gone in the middle, many times */
	for (int i = 0; i < 200; i++) {
		fd = dial();
		put(fd, "GET /v1/status HTTP/1.1\r\n\r\n", (size_t)(i % 28));
		close(fd);
	}
	expect("GET", "/v1/status", NULL, 200, "node-1");
}

static void test_socket_file(void **state BH_UNUSED)
{
	/* somebody answers there already */
	struct bh_api *api;
	uv_loop_t loop;
	uv_loop_init(&loop);
	assert_int_equal(bh_api_start(&loop, NULL, path, &api), -EADDRINUSE);
	expect("GET", "/v1/status", NULL, 200, "node-1");
	/* killed: the stale file is replaced */
	kill(server, SIGKILL);
	waitpid(server, NULL, 0);
	assert_int_equal(access(path, F_OK), 0);
	server = fake_server_start(path);
	assert_true(server > 0);
	expect("GET", "/v1/status", NULL, 200, "node-1");
	/* something else stands there */
	char bh_autofree *file = bh_xasprintf("%s/file", dir);
	fclose(fopen(file, "w"));
	assert_int_equal(bh_api_start(&loop, NULL, file, &api), -ENOTSOCK);
	assert_int_equal(access(file, F_OK), 0);
	char bh_autofree *lengthy = bh_xasprintf("%s/%0120d", dir, 0);
	assert_int_equal(bh_api_start(&loop, NULL, lengthy, &api), -ENAMETOOLONG);
	assert_int_equal(uv_loop_close(&loop), 0);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_reading_routes),
		T(test_changing_routes),
		T(test_errors),
		T(test_only_root_changes),
		T(test_readers_are_limited),
		T(test_root_does_not_wait_for_readers),
		T(test_readers_wait_for_so_long),
		T(test_large_bodies),
		T(test_slow_clients),
		T(test_many_connections),
		T(test_garbage),
		T(test_socket_file),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
