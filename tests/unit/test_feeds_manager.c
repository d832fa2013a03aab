/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The feed manager with local files and with a small HTTP server on the same loop, in a network
 * namespace of its own. Each accident that happened to others has a test: the list in force must
 * outlive it, and the operator must be told.
 */
#include "feeds/manager.h"
#include "http/fetch.h"

#include <errno.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <setjmp.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <time.h>

#include <cmocka.h>

static bool have_net;
static uv_loop_t loop;
static struct bh_http *http;
static struct bh_feeds *feeds;
static char dir[64];
static unsigned n_changed, n_updated, n_refused;
static char told[1024];

/* --- the server --- */
static uv_tcp_t server;
static int port;
static unsigned n_requests;
static char request[4096];
static struct {
	int status;
	const char *type, *headers, *body;
	size_t claimed; /* Content-Length beyond what is sent */
	bool silent; /* no Content-Length */
} answer;

/* Where paths have answers of their own; what is not among them is a 404. */
static struct page {
	const char *path, *body;
	int status;
	unsigned asked;
} page[8];
static size_t n_pages;

static void choose_page(const char *in)
{
	if (n_pages == 0)
		return;
	answer.status = 404;
	answer.body = "";
	for (size_t i = 0; i < n_pages; i++) {
		size_t n = strlen(page[i].path);
		if (strncmp(in, "GET /", 5) != 0 || strncmp(in + 5, page[i].path, n) != 0 ||
			in[5 + n] != ' ')
			continue;
		page[i].asked++;
		answer.status = page[i].status ? page[i].status : 200;
		answer.body = page[i].body;
	}
}

struct conn {
	uv_tcp_t tcp;
	uv_write_t write;
	char in[4096];
	size_t n;
	struct bh_buf out;
};

static void conn_closed(uv_handle_t *h)
{
	struct conn *c = h->data;
	bh_buf_finish(&c->out);
	free(c);
}

static void conn_close(struct conn *c)
{
	if (!uv_is_closing((uv_handle_t *)&c->tcp))
		uv_close((uv_handle_t *)&c->tcp, conn_closed);
}

static void written(uv_write_t *w, int status BH_UNUSED)
{
	conn_close(w->data);
}

static void respond(struct conn *c)
{
	choose_page(c->in);
	size_t len = strlen(answer.body);
	n_requests++;
	memcpy(request, c->in, c->n);
	request[c->n] = '\0';
	bh_buf_printf(&c->out, "HTTP/1.1 %d X\r\nConnection: close\r\n", answer.status);
	if (answer.type)
		bh_buf_printf(&c->out, "Content-Type: %s\r\n", answer.type);
	if (answer.headers)
		bh_buf_str(&c->out, answer.headers);
	if (answer.status != 304 && !answer.silent)
		bh_buf_printf(&c->out, "Content-Length: %zu\r\n", len + answer.claimed);
	bh_buf_printf(&c->out, "\r\n%s", answer.status == 304 ? "" : answer.body);
	uv_buf_t b = uv_buf_init(c->out.s, (unsigned)c->out.len);
	c->write.data = c;
	uv_write(&c->write, (uv_stream_t *)&c->tcp, &b, 1, written);
}

static void conn_alloc(uv_handle_t *h, size_t size BH_UNUSED, uv_buf_t *buf)
{
	struct conn *c = h->data;
	*buf = uv_buf_init(c->in + c->n, (unsigned)(sizeof(c->in) - 1 - c->n));
}

static void conn_read(uv_stream_t *s, ssize_t n, const uv_buf_t *buf BH_UNUSED)
{
	struct conn *c = s->data;
	if (n < 0) {
		conn_close(c);
		return;
	}
	c->n += (size_t)n;
	c->in[c->n] = '\0';
	if (strstr(c->in, "\r\n\r\n")) {
		uv_read_stop(s);
		respond(c);
	}
}

static void on_connection(uv_stream_t *s, int status BH_UNUSED)
{
	struct conn *c = bh_xcalloc(1, sizeof(*c));
	uv_tcp_init(&loop, &c->tcp);
	c->tcp.data = c;
	if (uv_accept(s, (uv_stream_t *)&c->tcp) == 0)
		uv_read_start((uv_stream_t *)&c->tcp, conn_alloc, conn_read);
	else
		conn_close(c);
}

static void serve(int status, const char *type, const char *headers, const char *body)
{
	memset(&answer, 0, sizeof(answer));
	answer.status = status;
	answer.type = type;
	answer.headers = headers;
	answer.body = body;
}

static void start_server(void)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int len = sizeof(a);
	uv_tcp_init(&loop, &server);
	assert_int_equal(uv_tcp_bind(&server, (struct sockaddr *)&a, 0), 0);
	assert_int_equal(uv_listen((uv_stream_t *)&server, 8, on_connection), 0);
	assert_int_equal(uv_tcp_getsockname(&server, (struct sockaddr *)&a, &len), 0);
	port = ntohs(a.sin_port);
	uv_unref((uv_handle_t *)&server);
}

/* --- the manager under test --- */
static void on_changed(void *arg BH_UNUSED)
{
	n_changed++;
}

static void on_event(void *arg BH_UNUSED, const struct bh_feed_status *st, bool updated)
{
	n_updated += updated;
	n_refused += !updated;
	snprintf(told, sizeof(told), "%s: %s", st->name, st->message);
}

static void open_manager(void)
{
	struct bh_feeds_callbacks cb = {NULL, on_changed, on_event};
	assert_int_equal(bh_http_open(&loop, &http), 0);
	assert_int_equal(bh_feeds_new(&loop, http, dir, &cb, &feeds), 0);
}

static void tick(uv_timer_t *t)
{
	(*(int *)t->data)++;
}

/* Runs the loop until *counter reaches n, 5 s at most. */
static bool reaches(const unsigned *counter, unsigned n)
{
	uv_timer_t t;
	int ticks = 0;
	uv_timer_init(&loop, &t);
	t.data = &ticks;
	uv_timer_start(&t, tick, 10, 10);
	while ((*counter < n || bh_feeds_busy(feeds)) && ticks < 500)
		uv_run(&loop, UV_RUN_ONCE);
	uv_close((uv_handle_t *)&t, NULL);
	uv_run(&loop, UV_RUN_NOWAIT);
	return *counter >= n;
}

static void run_ms(uint64_t ms)
{
	uv_timer_t t;
	int ticks = 0;
	uv_timer_init(&loop, &t);
	t.data = &ticks;
	uv_timer_start(&t, tick, ms, 10); /* again: UV_RUN_ONCE goes on waiting after a timer */
	while (!ticks)
		uv_run(&loop, UV_RUN_ONCE);
	uv_close((uv_handle_t *)&t, NULL);
	uv_run(&loop, UV_RUN_NOWAIT);
}

/* Runs the loop until nothing is under way any more, 5 s at most. */
static void settle(void)
{
	const unsigned none = 0;
	run_ms(50);
	assert_true(reaches(&none, 0));
	assert_false(bh_feeds_busy(feeds));
}

static void close_manager(void)
{
	bh_feeds_free(feeds);
	bh_http_close(http);
	run_ms(20);
}

static int setup(void **state BH_UNUSED)
{
	strcpy(dir, "/tmp/bh-feeds-XXXXXX");
	n_changed = n_updated = n_refused = n_requests = 0;
	told[0] = '\0';
	if (!mkdtemp(dir) || uv_loop_init(&loop) != 0)
		return -1;
	if (have_net)
		start_server();
	open_manager();
	return 0;
}

static int teardown(void **state BH_UNUSED)
{
	char bh_autofree *cmd = bh_xasprintf("rm -rf '%s'", dir);
	close_manager();
	if (have_net)
		uv_close((uv_handle_t *)&server, NULL);
	uv_run(&loop, UV_RUN_DEFAULT);
	/* nothing may be left on the loop */
	return uv_loop_close(&loop) == 0 && system(cmd) == 0 ? 0 : -1;
}

static void restart(void)
{
	close_manager();
	open_manager();
}

static char *path_of(const char *name)
{
	return bh_xasprintf("%s/%s", dir, name);
}

static void write_file(const char *name, const char *text)
{
	char bh_autofree *path = path_of(name);
	char bh_autofree *tmp = bh_xasprintf("%s.tmp", path);
	FILE *f = fopen(tmp, "we");
	assert_non_null(f);
	fputs(text, f);
	assert_int_equal(fclose(f), 0);
	assert_int_equal(rename(tmp, path), 0);
}

static struct bh_feed_conf conf(char *name, char *url)
{
	return (struct bh_feed_conf){.name = name,
		.url = url,
		.format = (char *)"auto",
		.interval_s = 3600,
		.min_entries = 1,
		.max_shrink_percent = 90};
}

static struct bh_feed_status status(void)
{
	struct bh_feed_status st[8];
	assert_int_equal(bh_feeds_status(feeds, st, 8), 1);
	return st[0];
}

static bool listed(const char *address)
{
	struct bh_addr a;
	struct bh_feed_hit hit;
	assert_int_equal(bh_addr_parse(address, &a), 0);
	struct bh_feed_index *i = bh_feeds_settle(feeds);
	bool found = bh_feed_index_lookup(i, &a, &hit, 1) > 0;
	assert_true(found == (bh_feed_index_blocked(i, &a) != 0) || hit.alert_only);
	bh_feed_index_unref(i);
	return found;
}

#define TWENTY                                                                                     \
	"192.0.2.1\n192.0.2.2\n192.0.2.3\n192.0.2.4\n192.0.2.5\n192.0.2.6\n192.0.2.7\n"            \
	"192.0.2.8\n192.0.2.9\n192.0.2.10\n192.0.2.11\n192.0.2.12\n192.0.2.13\n192.0.2.14\n"       \
	"192.0.2.15\n192.0.2.16\n192.0.2.17\n192.0.2.18\n192.0.2.19\n192.0.2.20\n"

static void test_empty_manager(void **state BH_UNUSED)
{
	assert_false(listed("192.0.2.1"));
	assert_int_equal(bh_feeds_refresh(feeds, NULL), 0);
	assert_int_equal(bh_feeds_refresh(feeds, "x"), -ENOENT);
	bh_feeds_configure(feeds, NULL, 0);
}

static void test_local_file(void **state BH_UNUSED)
{
	char bh_autofree *path = path_of("a.txt"), *kept = path_of("feeds/a.list");
	struct bh_feed_conf c = conf((char *)"a", path);
	write_file("a.txt", "192.0.2.1\n10.0.0.0/8\nnonsense\n");
	bh_feeds_configure(feeds, &c, 1);
	assert_false(status().ok);
	assert_string_equal(status().message, "not loaded yet");
	assert_true(reaches(&n_updated, 1));
	assert_int_equal(n_changed, 1);
	assert_true(listed("192.0.2.1"));
	assert_false(listed("10.1.2.3"));
	struct bh_feed_status st = status();
	assert_true(st.ok && st.loaded_at && st.checked_at);
	assert_int_equal(st.entries, 2);
	assert_int_equal(st.rejected, 1);
	assert_int_equal(st.subtracted, 1);
	assert_string_equal(st.action, "block");
	assert_non_null(strstr(st.message, "line 3"));
	assert_non_null(strstr(st.message, "10.0.0.0/8 (line 2)"));
	assert_non_null(strstr(told, "a: "));
	struct stat s;
	assert_int_equal(stat(kept, &s), 0);
	assert_int_equal(s.st_mode & 0777, 0600);
	write_file("a.txt", "192.0.2.1\n192.0.2.77\n");
	assert_true(reaches(&n_updated, 2)); /* by notification: the interval is an hour */
	assert_true(listed("192.0.2.77"));
	assert_string_equal(status().message, "");
}

static void test_file_url_and_late_file(void **state BH_UNUSED)
{
	char bh_autofree *path = path_of("my%20list"), *url = bh_xasprintf("file://%s", path);
	struct bh_feed_conf c = conf((char *)"a", url);
	bh_feeds_configure(feeds, &c, 1);
	assert_true(reaches(&n_refused, 1));
	assert_non_null(strstr(status().message, "No such file"));
	assert_false(status().ok);
	write_file("my list", "192.0.2.1");
	assert_true(reaches(&n_updated, 1));
	assert_true(listed("192.0.2.1"));
}

static void expect_refused(const char *text, const char *why)
{
	unsigned before = n_refused;
	write_file("a.txt", text);
	assert_int_equal(bh_feeds_refresh(feeds, "a"), 1);
	assert_true(reaches(&n_refused, before + 1));
	struct bh_feed_status st = status();
	assert_false(st.ok);
	if (!strstr(st.message, why))
		fail_msg("%s", st.message);
	assert_int_equal(st.entries, 20);
	assert_true(listed("192.0.2.20"));
}

static void test_accidents(void **state BH_UNUSED)
{
	char bh_autofree *path = path_of("a.txt");
	struct bh_feed_conf c = conf((char *)"a", path);
	c.min_entries = 2;
	write_file("a.txt", TWENTY);
	bh_feeds_configure(feeds, &c, 1);
	assert_true(reaches(&n_updated, 1));
	expect_refused("<html><body>192.0.2.1</body></html>", "HTML");
	expect_refused("", "no entries");
	expect_refused("{\"error\": \"rate limited\"}\n", "no entries (of 1");
	expect_refused("# nothing today\n", "no entries (of 0");
	expect_refused("192.0.2.1\n", "fewer than min_entries: 2");
	/* one left of twenty and a repetition: 95 % gone, whatever the number of lines */
	c.min_entries = 1;
	bh_feeds_configure(feeds, &c, 1);
	expect_refused("192.0.2.1\n192.0.2.1\n192.0.2.1\n192.0.2.1\n", "shrank from 20 to 1");
	assert_int_equal(unlink(path), 0);
	assert_int_equal(bh_feeds_refresh(feeds, "a"), 1);
	assert_true(reaches(&n_refused, 7));
	assert_true(listed("192.0.2.20"));
	/* nobody is told twice about the same */
	assert_int_equal(bh_feeds_refresh(feeds, NULL), 1);
	run_ms(50);
	assert_int_equal(n_refused, 7);
	/* and the last good copy is what a restart finds */
	restart();
	bh_feeds_configure(feeds, &c, 1);
	assert_true(listed("192.0.2.20"));
	assert_int_equal(status().entries, 20);
	/* exactly ninety per cent is allowed */
	write_file("a.txt", "192.0.2.1\n192.0.2.2\n");
	assert_int_equal(bh_feeds_refresh(feeds, "a"), 1);
	n_updated = 0;
	assert_true(reaches(&n_updated, 1));
	assert_false(listed("192.0.2.20"));
	assert_true(status().ok);
}

static void test_shrink_guard_can_be_turned_off(void **state BH_UNUSED)
{
	char bh_autofree *path = path_of("a.txt");
	struct bh_feed_conf c = conf((char *)"a", path);
	write_file("a.txt", TWENTY);
	bh_feeds_configure(feeds, &c, 1);
	assert_true(reaches(&n_updated, 1));
	expect_refused("192.0.2.1\n", "raise max_shrink_percent: 90");
	c.max_shrink_percent = 100;
	bh_feeds_configure(feeds, &c, 1);
	assert_true(reaches(&n_updated, 2));
	assert_int_equal(status().entries, 1);
}

/* Replaces `from` by `to` in the kept copy. */
static void damage(const char *from, const char *to)
{
	char bh_autofree *path = path_of("feeds/a.list");
	char text[4096] = "";
	FILE *f = fopen(path, "r+e");
	assert_non_null(f);
	size_t n = fread(text, 1, sizeof(text) - 1, f);
	char *at = strstr(text, from);
	assert_non_null(at);
	rewind(f);
	fwrite(text, 1, (size_t)(at - text), f);
	fputs(to, f);
	fputs(at + strlen(from), f);
	fflush(f);
	assert_int_equal(ftruncate(fileno(f), (off_t)(n + strlen(to) - strlen(from))), 0);
	fclose(f);
}

static void test_damaged_copy(void **state BH_UNUSED)
{
	static const char *const change[][2] = {
		{"192.0.2.20\n", ""}, /* cut short */
		{"192.0.2.20\n", "192.0.2.21\n"}, /* altered */
		{"# sha256: ", "# sha256: 00"},
		{"# length: ", "# length: -"},
		{"# loaded: ", "# loadet: "},
		{"# bulkhead", "# blukhead"},
		{"#\n192", "192"},
	};
	char bh_autofree *path = path_of("a.txt");
	struct bh_feed_conf c = conf((char *)"a", path);
	for (size_t i = 0; i < BH_ARRAY_SIZE(change); i++) {
		unsigned updated = n_updated, refused = n_refused;
		write_file("a.txt", TWENTY);
		bh_feeds_configure(feeds, &c, 1);
		assert_true(reaches(&n_updated, updated + 1));
		damage(change[i][0], change[i][1]);
		assert_int_equal(unlink(path), 0);
		restart();
		bh_feeds_configure(feeds, &c, 1);
		assert_false(listed("192.0.2.1"));
		assert_non_null(strstr(status().message, "cannot be used"));
		assert_true(reaches(&n_refused, refused + 1));
	}
}

static void test_copy_cannot_be_written(void **state BH_UNUSED)
{
	char bh_autofree *path = path_of("a.txt"), *sub = path_of("feeds"), *off = path_of("off");
	struct bh_feed_conf c = conf((char *)"a", path);
	write_file("a.txt", TWENTY);
	assert_int_equal(rename(sub, off), 0);
	bh_feeds_configure(feeds, &c, 1);
	assert_true(reaches(&n_updated, 1));
	assert_true(listed("192.0.2.1")); /* in force all the same */
	assert_non_null(strstr(status().message, "no copy for the next start"));
	assert_int_equal(rename(off, sub), 0);
	assert_int_equal(bh_feeds_refresh(feeds, "a"), 1);
	settle();
	assert_string_equal(status().message, "");
	char bh_autofree *kept = path_of("feeds/a.list");
	assert_int_equal(access(kept, R_OK), 0);
}

static void test_configure_keeps_what_is_in_force(void **state BH_UNUSED)
{
	char bh_autofree *path = path_of("a.txt"), *other = path_of("b.txt");
	struct bh_feed_conf c[2] = {conf((char *)"a", path), conf((char *)"b", other)};
	write_file("a.txt", TWENTY);
	write_file("b.txt", "198.51.100.1\n");
	bh_feeds_configure(feeds, c, 2);
	assert_true(reaches(&n_updated, 2));
	bh_feeds_configure(feeds, c, 2); /* the same: nothing happens */
	run_ms(50);
	assert_int_equal(n_updated, 2);
	/* another source that is not there (yet): the old list stays */
	struct bh_feed_conf moved = conf((char *)"a", (char *)"/nonexistent/list");
	bh_feeds_configure(feeds, &moved, 1);
	assert_true(listed("192.0.2.20"));
	assert_false(listed("198.51.100.1")); /* b was dropped */
	assert_true(reaches(&n_refused, 1));
	assert_true(listed("192.0.2.20"));
	/* another source may be much smaller: it is another list */
	moved.url = other;
	bh_feeds_configure(feeds, &moved, 1);
	assert_true(reaches(&n_updated, 3));
	assert_true(listed("198.51.100.1"));
	assert_false(listed("192.0.2.20"));
	moved.alert_only = true;
	bh_feeds_configure(feeds, &moved, 1);
	struct bh_feed_index *i = bh_feeds_settle(feeds);
	assert_int_equal(bh_feed_index_elems(i, BH_FEEDS_BOTH)->n_host4, 0);
	bh_feed_index_unref(i);
	assert_string_equal(status().action, "alert");
	bh_feeds_configure(feeds, NULL, 0);
	assert_false(listed("198.51.100.1"));
}

static void test_protected(void **state BH_UNUSED)
{
	char bh_autofree *path = path_of("a.txt");
	struct bh_feed_conf c = conf((char *)"a", path);
	struct bh_ranges r = {0};
	struct bh_range one;
	write_file("a.txt", "192.0.2.0/24\n");
	bh_feeds_configure(feeds, &c, 1);
	assert_true(reaches(&n_changed, 1));
	assert_int_equal(bh_addr_parse("192.0.2.53", &one.first), 0);
	one.last = one.first;
	bh_ranges_add(&r, one);
	bh_feeds_set_protected(feeds, &r);
	assert_false(listed("192.0.2.53"));
	assert_true(listed("192.0.2.52") && listed("192.0.2.54"));
	assert_int_equal(status().subtracted, 1);
	assert_true(reaches(&n_changed, 2));
	bh_feeds_set_protected(feeds, &r); /* the same */
	run_ms(20);
	assert_int_equal(n_changed, 2);
	bh_ranges_finish(&r);
	bh_feeds_set_protected(feeds, &r);
	assert_true(listed("192.0.2.53"));
}

static void test_hostile_names(void **state BH_UNUSED)
{
	static char *const name[] = {(char *)"../x", (char *)".hidden", (char *)"", (char *)"a/b"};
	char bh_autofree *path = path_of("a.txt"), *escaped = path_of("x.list");
	write_file("a.txt", "192.0.2.1\n");
	for (size_t i = 0; i < BH_ARRAY_SIZE(name); i++) {
		struct bh_feed_conf c = conf(name[i], path);
		bh_feeds_configure(feeds, &c, 1);
		assert_true(reaches(&n_updated, (unsigned)i + 1));
		assert_true(listed("192.0.2.1"));
		assert_int_equal(access(escaped, F_OK), -1);
	}
	struct bh_feed_conf twice[2] = {conf((char *)"a", path), conf((char *)"a", path)};
	bh_feeds_configure(feeds, twice, 2);
	assert_string_equal(status().name, "a");
}

static void test_local_path_is_no_file(void **state BH_UNUSED)
{
	char bh_autofree *fifo = path_of("fifo");
	assert_int_equal(mkfifo(fifo, 0600), 0);
	struct bh_feed_conf c = conf((char *)"a", fifo);
	bh_feeds_configure(feeds, &c, 1);
	assert_true(reaches(&n_refused, 1)); /* and the loop did not hang */
}

/* Files of different formats, told apart one by one; what is no list of theirs is not read. */
static void test_directory(void **state BH_UNUSED)
{
	char bh_autofree *sub = path_of("lists"), *kept = path_of("feeds/a.list");
	struct bh_feed_conf c = conf((char *)"a", sub);
	assert_int_equal(mkdir(sub, 0700), 0);
	write_file("lists/1.txt", "192.0.2.1\nnonsense\n");
	write_file("lists/2.json", "{\"cidr\":\"198.51.100.0/24\",\"sblid\":\"SBL1\"}\n");
	write_file("lists/manifest.json", "{\"not\": \"a list\"}");
	write_file("lists/.hidden", "203.0.113.1\n");
	bh_feeds_configure(feeds, &c, 1);
	assert_true(reaches(&n_updated, 1));
	assert_true(listed("192.0.2.1") && listed("198.51.100.7"));
	assert_false(listed("203.0.113.1"));
	assert_int_equal(status().entries, 2);
	assert_non_null(strstr(status().message, "lists/1.txt line 2"));
	/* A file that comes is noticed; one that is broken changes nothing. */
	write_file("lists/3.txt", "203.0.113.3\n");
	assert_true(reaches(&n_updated, 2));
	assert_true(listed("203.0.113.3"));
	write_file("lists/4.txt", "<html>");
	assert_true(reaches(&n_refused, 1));
	assert_true(listed("203.0.113.3"));
	assert_non_null(strstr(status().message, "lists/4.txt"));
	/* The copy is a list of our own, good without the directory. */
	assert_int_equal(access(kept, R_OK), 0);
	char bh_autofree *gone = path_of("gone");
	assert_int_equal(rename(sub, gone), 0);
	restart();
	bh_feeds_configure(feeds, &c, 1);
	assert_true(listed("192.0.2.1") && listed("198.51.100.7") && listed("203.0.113.3"));
	assert_int_equal(status().entries, 3);
}

static void test_growth_and_cut_short(void **state BH_UNUSED)
{
	char bh_autofree *path = path_of("a.txt");
	struct bh_feed_conf c = conf((char *)"a", path);
	struct bh_buf bh_autobuf b = {0};
	c.max_growth_percent = 1000;
	write_file("a.txt", "# Entries: 20\n" TWENTY);
	bh_feeds_configure(feeds, &c, 1);
	assert_true(reaches(&n_updated, 1));
	for (int i = 0; i < 12000; i++)
		bh_buf_printf(&b, "198.51.%d.%d\n", i / 256, i % 256);
	expect_refused(b.s, "grew from 20 to 12000");
	expect_refused("# Entries: 20\n192.0.2.20\n192.0.2.1\n192.0.2.2\n", "cut short");
	c.max_growth_percent = 0;
	bh_feeds_configure(feeds, &c, 1);
	write_file("a.txt", b.s);
	assert_int_equal(bh_feeds_refresh(feeds, "a"), 1);
	assert_true(reaches(&n_updated, 2));
	assert_int_equal(status().entries, 12000);
}

static void test_special_ranges_if_asked(void **state BH_UNUSED)
{
	char bh_autofree *path = path_of("a.txt");
	struct bh_feed_conf c = conf((char *)"a", path);
	struct bh_ranges own = {0};
	struct bh_range one;
	write_file("a.txt", "10.0.0.0/8\n192.0.2.1\n");
	assert_int_equal(bh_addr_parse("10.1.1.1", &one.first), 0);
	one.last = one.first;
	bh_ranges_add(&own, one);
	bh_feeds_set_protected(feeds, &own);
	bh_feeds_configure(feeds, &c, 1);
	assert_true(reaches(&n_updated, 1));
	assert_false(listed("10.0.0.1"));
	c.special = true;
	bh_feeds_configure(feeds, &c, 1);
	assert_true(listed("10.0.0.1"));
	assert_false(listed("10.1.1.1")); /* our own all the same */
	struct bh_feed_status st = status();
	assert_int_equal(st.n_cuts, 1);
	assert_int_equal(st.cuts[0].line, 1);
	bh_ranges_finish(&own);
}

static void test_minimum_interval(void **state BH_UNUSED)
{
	static const struct {
		const char *url;
		uint64_t want;
	} t[] = {{"https://www.spamhaus.org/drop/drop_v4.json", 3600},
		{"https://SPAMHAUS.org", 3600}, {"http://u:p@www.spamhaus.org:80/x", 3600},
		{"https://notspamhaus.org/x", 1}, {"https://spamhaus.org.example/x", 1},
		{"https://example.com/www.spamhaus.org", 1}, {"/lists/spamhaus.org", 1},
		{"file:///www.spamhaus.org", 1}};
	for (size_t i = 0; i < BH_ARRAY_SIZE(t); i++) {
		struct bh_feed_conf c = conf((char *)"a", (char *)t[i].url);
		assert_int_equal(bh_feed_min_interval(&c), t[i].want);
		struct bh_feed f = {.conf = c};
		f.conf.interval_s = 60;
		assert_int_equal(bh_feed_interval(&f), t[i].want > 60 ? t[i].want : 60);
		/* and a command does not go round it */
		f.asked_at = time(NULL) - 10;
		f.fetching = true;
		assert_int_equal(f.local || bh_feed_check_now(&f), t[i].want == 1);
	}
}

/* --- over HTTP --- */
static char *url_of(const char *path)
{
	return bh_xasprintf("http://127.0.0.1:%d/%s", port, path);
}

static void refresh(void)
{
	unsigned before = n_requests;
	assert_int_equal(bh_feeds_refresh(feeds, NULL), 1);
	assert_true(reaches(&n_requests, before + 1));
	settle();
}

static void test_http_validators(void **state BH_UNUSED)
{
	if (!have_net)
		skip();
	char bh_autofree *url = url_of("list");
	struct bh_feed_conf c = conf((char *)"a", url);
	serve(200, "text/plain", "ETag: \"v1\"\r\nLast-Modified: Mon, 01 Jan 2024 00:00:00 GMT\r\n",
		TWENTY);
	bh_feeds_configure(feeds, &c, 1);
	assert_true(reaches(&n_updated, 1));
	assert_true(listed("192.0.2.20"));
	assert_null(strstr(request, "If-None-Match"));
	serve(304, NULL, NULL, "");
	refresh();
	assert_non_null(strstr(request, "If-None-Match: \"v1\""));
	assert_non_null(strstr(request, "If-Modified-Since: Mon, 01 Jan 2024"));
	assert_true(status().ok);
	assert_int_equal(status().entries, 20);
	assert_int_equal(n_updated, 1);
	/* After a restart within the interval the server is left in peace, but the validators live.
	 */
	restart();
	n_requests = 0;
	bh_feeds_configure(feeds, &c, 1);
	assert_true(listed("192.0.2.20"));
	assert_true(status().ok);
	run_ms(100);
	assert_int_equal(n_requests, 0);
	refresh();
	assert_non_null(strstr(request, "If-None-Match: \"v1\""));
}

static void fails(const char *why)
{
	refresh();
	struct bh_feed_status st = status();
	assert_false(st.ok);
	if (!strstr(st.message, why))
		fail_msg("%s", st.message);
	assert_int_equal(st.entries, 20);
	assert_true(listed("192.0.2.20"));
}

static void test_http_accidents(void **state BH_UNUSED)
{
	if (!have_net)
		skip();
	char bh_autofree *url = url_of("list");
	struct bh_feed_conf c = conf((char *)"a", url);
	serve(200, "text/plain", NULL, TWENTY);
	bh_feeds_configure(feeds, &c, 1);
	assert_true(reaches(&n_updated, 1));
	serve(500, "text/plain", NULL, "192.0.2.1\n");
	fails("500");
	serve(404, "text/plain", NULL, "192.0.2.1\n");
	fails("404");
	serve(204, NULL, NULL, "");
	fails("204");
	serve(200, "text/html; charset=utf-8", NULL, "192.0.2.1\n192.0.2.2\n192.0.2.3\n");
	fails("HTML");
	serve(200, "TEXT/HTML", NULL, TWENTY "192.0.2.99\n");
	fails("HTML");
	serve(200, "text/plain", NULL, "\n <!DOCTYPE html>");
	fails("HTML");
	serve(200, "text/plain", NULL, "192.0.2.1\n");
	fails("shrank");
	serve(200, "text/plain", NULL, TWENTY "192.0.2.99\n");
	answer.claimed = 100; /* cut in the middle */
	fails("not fetched");
	serve(200, "text/plain", NULL, "");
	answer.silent = true;
	fails("no entries");
	serve(302, NULL, "Location: file:///etc/hosts\r\n", "");
	fails("not fetched");
	serve(200, "text/plain", NULL, TWENTY);
	unsigned before = n_updated;
	refresh();
	assert_true(status().ok);
	assert_int_equal(n_updated, before + 1); /* told that it is good again */
	assert_string_equal(status().message, "");
}

#define BAN(value) "{\"scope\":\"Ip\",\"type\":\"ban\",\"duration\":\"4h\",\"value\":\"" value "\"}"

static void test_crowdsec_stream(void **state BH_UNUSED)
{
	if (!have_net)
		skip();
	char bh_autofree *url = url_of(""), *keys = path_of("keys");
	struct bh_feed_conf c = conf((char *)"a", url);
	c.format = (char *)"crowdsec";
	c.headers_file = keys;
	bh_feeds_configure(feeds, &c, 1);
	assert_true(reaches(&n_refused, 1));
	assert_non_null(strstr(status().message, "headers_file"));
	assert_int_equal(n_requests, 0);
	write_file("keys", "# of the bouncer\nX-Api-Key: secret\n");
	serve(200, "application/json", NULL,
		"{\"new\":[" BAN("192.0.2.1") "," BAN("192.0.2.2") "],\"deleted\":null}");
	refresh();
	assert_non_null(strstr(request, "GET /v1/decisions/stream?startup=true "));
	assert_non_null(strstr(request, "X-Api-Key: secret"));
	assert_true(listed("192.0.2.1") && listed("192.0.2.2"));
	/* from then on only what is different */
	serve(200, "application/json", NULL,
		"{\"deleted\":[" BAN("192.0.2.1") "],\"new\":[" BAN("198.51.100.1") "]}");
	refresh();
	assert_non_null(strstr(request, "startup=false"));
	assert_false(listed("192.0.2.1"));
	assert_true(listed("192.0.2.2") && listed("198.51.100.1"));
	unsigned updated = n_updated;
	serve(200, "application/json", NULL, "{\"new\":null,\"deleted\":null}");
	refresh();
	assert_int_equal(n_updated, updated);
	assert_true(status().ok && listed("192.0.2.2"));
	/* after a failure nobody knows what was missed: all anew */
	serve(403, "application/json", NULL, "{\"message\":\"access forbidden\"}");
	refresh();
	assert_non_null(strstr(status().message, "headers_file"));
	assert_true(listed("192.0.2.2"));
	serve(200, "application/json", NULL, "{\"new\":[" BAN("192.0.2.2") "],\"deleted\":[]}");
	refresh();
	assert_non_null(strstr(request, "startup=true"));
	assert_false(listed("198.51.100.1"));
	/* a key does not follow a redirect */
	serve(302, NULL, "Location: /elsewhere\r\n", "");
	refresh();
	assert_non_null(strstr(request, "/v1/decisions/stream"));
	assert_false(status().ok);
	/* the copy keeps what was in force, and when it ends */
	restart();
	bh_feeds_configure(feeds, &c, 1);
	assert_true(listed("192.0.2.2"));
}

#define UUID(d) "aaaaaaa" d "-0000-4000-8000-000000000000"
#define NAMES(d, time) "\"" UUID(d) "\":{\"info\":\"x\",\"Tag\":[{}],\"timestamp\":\"" time "\"}"
#define EVENT(value)                                                                               \
	"{\"Event\":{\"Attribute\":[{\"type\":\"ip-dst\",\"to_ids\":true,\"value\":\"" value       \
	"\"}]}}"

static void test_manifest(void **state BH_UNUSED)
{
	if (!have_net)
		skip();
	char bh_autofree *url = url_of("misp/manifest.json");
	struct bh_feed_conf c = conf((char *)"a", url);
	c.format = (char *)"misp";
	c.max_bytes = 4096;
	c.max_shrink_percent = 100;
	serve(200, "application/json", "ETag: \"1\"\r\n", "");
	page[0] = (struct page){.path = "misp/manifest.json",
		.body = "{" NAMES("1", "100") "," NAMES("2", "100") "}"};
	page[1] = (struct page){.path = "misp/" UUID("1") ".json", .body = EVENT("192.0.2.1")};
	page[2] = (struct page){.path = "misp/" UUID("2") ".json", .body = EVENT("192.0.2.2")};
	n_pages = 3;
	bh_feeds_configure(feeds, &c, 1);
	assert_true(reaches(&n_updated, 1));
	assert_true(listed("192.0.2.1") && listed("192.0.2.2"));
	/* only what has changed is asked for */
	page[0].body = "{" NAMES("1", "100") "," NAMES("2", "200") "}";
	page[2].body = EVENT("192.0.2.3");
	refresh();
	assert_true(listed("192.0.2.1") && listed("192.0.2.3") && !listed("192.0.2.2"));
	assert_int_equal(page[1].asked, 1);
	assert_int_equal(page[2].asked, 2);
	page[0].status = 304;
	refresh();
	assert_non_null(strstr(request, "If-None-Match: \"1\""));
	assert_true(status().ok && listed("192.0.2.3"));
	/* one of the events is not to be had: nothing changes, also not by half */
	page[0] = (struct page){.path = "misp/manifest.json",
		.body = "{" NAMES("1", "300") "," NAMES("2", "300") "}"};
	page[1].body = EVENT("198.51.100.1");
	page[2].status = 404;
	refresh();
	assert_non_null(strstr(status().message, UUID("2")));
	assert_true(listed("192.0.2.1") && listed("192.0.2.3") && !listed("198.51.100.1"));
	/* one that cannot be read is asked for again */
	page[2].status = 0;
	page[2].body = "{\"Event\":{";
	refresh();
	assert_false(status().ok);
	assert_true(listed("192.0.2.1") && listed("192.0.2.3"));
	page[2].body = EVENT("198.51.100.2");
	refresh();
	assert_true(status().ok && listed("198.51.100.1") && listed("198.51.100.2"));
	assert_false(listed("192.0.2.1"));
	/* an event that is gone is gone, and its copy */
	page[0].body = "{" NAMES("2", "300") "}";
	refresh();
	assert_true(!listed("198.51.100.1") && listed("198.51.100.2"));
	char bh_autofree *copies = path_of("feeds/a.events/" UUID("1") ".json");
	assert_int_equal(access(copies, F_OK), -1);
	/* what is kept is in force at the next start, before anybody answers */
	restart();
	bh_feeds_configure(feeds, &c, 1);
	assert_true(listed("198.51.100.2"));
	n_pages = 0;
}

static void test_bad_manifests(void **state BH_UNUSED)
{
	if (!have_net)
		skip();
	static const char *const bad[][2] = {{"[]", "no object"}, {"{}", "without events"},
		{"{\"../../etc/passwd\":{\"timestamp\":\"1\"}}", "no uuid"},
		{"{\"" UUID("/") "\":{\"timestamp\":\"1\"}}", "no uuid"},
		{"{" NAMES("1", "1"), "ends in the middle"},
		{"{" NAMES("1", "1") "} x", "ends in the middle"},
		{"{\"" UUID("1") "\":[]}", "ends in the middle"}};
	char bh_autofree *url = url_of("manifest.json");
	struct bh_feed_conf c = conf((char *)"a", url);
	c.max_bytes = 1000;
	for (size_t i = 0; i < BH_ARRAY_SIZE(bad); i++) {
		serve(200, "application/json", NULL, bad[i][0]);
		bh_feeds_configure(feeds, &c, 1);
		refresh();
		if (!strstr(status().message, bad[i][1]))
			fail_msg("%s: %s", bad[i][0], status().message);
	}
	/* larger together than a feed may be, though each is small enough */
	char bh_autofree *big = bh_xcalloc(1, 801);
	memset(big, ' ', 800);
	memcpy(big, EVENT("192.0.2.1"), strlen(EVENT("192.0.2.1")));
	serve(200, "application/json", NULL, "");
	page[0] = (struct page){
		.path = "manifest.json", .body = "{" NAMES("1", "1") "," NAMES("2", "1") "}"};
	page[1] = (struct page){.path = UUID("1") ".json", .body = big};
	page[2] = (struct page){.path = UUID("2") ".json", .body = big};
	n_pages = 3;
	refresh();
	assert_non_null(strstr(status().message, UUID("2")));
	assert_false(listed("192.0.2.1"));
	n_pages = 0;
}

static void test_bad_headers_file(void **state BH_UNUSED)
{
	if (!have_net)
		skip();
	static const char *const bad[] = {"no colon\n", ": empty\n", "A: b\x01\n"};
	char bh_autofree *url = url_of("list"), *keys = path_of("keys");
	struct bh_feed_conf c = conf((char *)"a", url);
	c.headers_file = keys;
	serve(200, "text/plain", NULL, TWENTY);
	for (size_t i = 0; i < BH_ARRAY_SIZE(bad); i++) {
		write_file("keys", bad[i]);
		bh_feeds_configure(feeds, &c, 1);
		assert_int_equal(bh_feeds_refresh(feeds, "a"), 1);
		run_ms(20);
		assert_non_null(strstr(status().message, "lines must be"));
	}
	assert_int_equal(n_requests, 0);
}

static void test_proxy_and_limits(void **state BH_UNUSED)
{
	if (!have_net)
		skip();
	char bh_autofree *proxy = url_of("");
	struct bh_feed_conf c = conf((char *)"a", (char *)"http://feeds.example/list");
	c.proxy = proxy;
	serve(200, "text/plain", NULL, TWENTY);
	bh_feeds_configure(feeds, &c, 1);
	assert_true(reaches(&n_updated, 1));
	assert_non_null(strstr(request, "GET http://feeds.example/list "));
	c.max_bytes = 20;
	bh_feeds_configure(feeds, &c, 1);
	serve(200, "text/plain", NULL, TWENTY "192.0.2.33\n");
	fails("larger than allowed");
}

static void test_http_unreachable(void **state BH_UNUSED)
{
	if (!have_net)
		skip();
	struct bh_feed_conf c = conf((char *)"a", (char *)"http://127.0.0.1:1/list");
	bh_feeds_configure(feeds, &c, 1);
	assert_true(reaches(&n_refused, 1));
	assert_non_null(strstr(status().message, "not fetched"));
	/* dropped in the middle of a request */
	char bh_autofree *url = url_of("list");
	c.url = url;
	serve(200, "text/plain", NULL, TWENTY);
	bh_feeds_configure(feeds, &c, 1);
	uv_run(&loop, UV_RUN_NOWAIT);
	bh_feeds_configure(feeds, NULL, 0);
	run_ms(50);
	assert_false(listed("192.0.2.1"));
}

static void test_staleness(void **state BH_UNUSED)
{
	if (!have_net)
		skip();
	char bh_autofree *url = url_of("list");
	struct bh_feed_conf c = conf((char *)"a", url);
	c.interval_s = 1;
	serve(200, "text/plain", NULL, TWENTY);
	bh_feeds_configure(feeds, &c, 1);
	assert_true(reaches(&n_updated, 1));
	serve(503, NULL, NULL, "");
	assert_true(reaches(&n_refused, 1)); /* the failure */
	assert_null(strstr(status().message, "no success"));
	assert_true(reaches(&n_refused, 2)); /* and that it is stale: three intervals later */
	assert_non_null(strstr(status().message, "no success for"));
	assert_true(listed("192.0.2.20"));
	run_ms(1500);
	assert_int_equal(n_refused, 2);
}

/* A namespace of our own with a loopback: nothing is sent anywhere else. */
static bool make_net(void)
{
	struct ifreq r = {.ifr_name = "lo"};
	if (unshare(CLONE_NEWNET) < 0 && unshare(CLONE_NEWUSER | CLONE_NEWNET) < 0)
		return false;
	int bh_autoclose fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || ioctl(fd, SIOCGIFFLAGS, &r) < 0)
		return false;
	r.ifr_flags |= IFF_UP;
	return ioctl(fd, SIOCSIFFLAGS, &r) == 0;
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_empty_manager),
		TEST(test_local_file),
		TEST(test_file_url_and_late_file),
		TEST(test_accidents),
		TEST(test_shrink_guard_can_be_turned_off),
		TEST(test_damaged_copy),
		TEST(test_copy_cannot_be_written),
		TEST(test_configure_keeps_what_is_in_force),
		TEST(test_protected),
		TEST(test_hostile_names),
		TEST(test_local_path_is_no_file),
		TEST(test_directory),
		TEST(test_growth_and_cut_short),
		TEST(test_special_ranges_if_asked),
		TEST(test_minimum_interval),
		TEST(test_http_validators),
		TEST(test_http_accidents),
		TEST(test_crowdsec_stream),
		TEST(test_manifest),
		TEST(test_bad_manifests),
		TEST(test_bad_headers_file),
		TEST(test_proxy_and_limits),
		TEST(test_http_unreachable),
		TEST(test_staleness),
	};
	have_net = make_net();
	bh_fetch_program = BH_FETCH_PATH;
	unsetenv("http_proxy");
	unsetenv("all_proxy");
	return cmocka_run_group_tests_name("feeds_manager", tests, NULL, NULL);
}
