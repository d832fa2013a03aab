/* SPDX-License-Identifier: GPL-3.0-or-later */
/* bulkhead audit tail: the last records, and with -f what comes, also across rotations. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <time.h>

#include "cli/cli.h"

#define STEP ((size_t)1 << 20)
#define POLL_NS 300000000L
#define MAX_LINES 10000

static volatile sig_atomic_t interrupted;

static void on_interrupt(int sig BH_UNUSED)
{
	interrupted = 1;
}

struct tail {
	struct cli *cli;
	struct cli_table table;
	const char *path;
	int fd;
	struct bh_buf rest; /* half a line, so far */
};

static const char *in(const json_t *rec, const char *object, const char *key)
{
	return cli_str(json_object_get(rec, object), key);
}

/* "ns/name", else the address. */
static void add_end(struct cli_table *t, const json_t *rec, const char *own, const char *ecs)
{
	const json_t *w = json_object_get(json_object_get(rec, "bulkhead"), own);
	if (json_is_object(w))
		cli_table_addf(
			t, "%s/%s", cli_str(w, "namespace") ?: "?", cli_str(w, "name") ?: "?");
	else
		cli_table_add(t, in(rec, ecs, "ip"));
}

static void add_what(struct cli_table *t, const json_t *rec)
{
	const json_t *user = json_object_get(rec, "user");
	const char *text = cli_str(rec, "message") ?: in(rec, "rule", "name");
	if (user)
		cli_table_addf(t, "%s%sby uid %s", text ? text : "", text ? "; " : "",
			cli_str(user, "id") ?: "?");
	else
		cli_table_add(t, text);
}

static void add_row(struct cli_table *t, const json_t *rec)
{
	const json_t *event = json_object_get(rec, "event");
	const json_t *dst = json_object_get(rec, "destination");
	char when[24];

	cli_table_addf(t, "%" JSON_INTEGER_FORMAT, cli_num(event, "sequence"));
	cli_table_add(t, cli_time(cli_str(rec, "@timestamp"), when));
	cli_table_add(t, cli_str(event, "action"));
	add_end(t, rec, "src", "source");
	add_end(t, rec, "dst", "destination");
	if (cli_num(dst, "port"))
		cli_table_addf(t, "%s/%" JSON_INTEGER_FORMAT,
			in(rec, "network", "transport") ?: "?", cli_num(dst, "port"));
	else
		cli_table_add(t, in(rec, "network", "transport"));
	cli_table_add(t, cli_str(event, "outcome") ?: in(rec, "bulkhead", "verdict"));
	add_what(t, rec);
}

static void print_line(struct tail *t, const char *line, size_t len)
{
	json_t *rec = json_loadb(line, len, 0, NULL);

	if (rec && t->cli->json) {
		/* On a terminal as safe as can be, else byte for byte. */
		char bh_autofree *text = t->cli->tty
						 ? json_dumps(rec, JSON_COMPACT | JSON_ENSURE_ASCII)
						 : bh_xstrndup(line, len);
		puts(text ? text : "{}");
	} else if (rec) {
		add_row(&t->table, rec);
	} else {
		char bh_autofree *raw = bh_xstrndup(line, len), bh_autofree *safe = cli_safe(raw);
		cli_note("no record: %s", safe);
	}
	json_decref(rec);
}

static void print_lines(struct tail *t)
{
	size_t at = 0;
	const char *nl;

	while (at < t->rest.len && (nl = memchr(t->rest.s + at, '\n', t->rest.len - at))) {
		print_line(t, t->rest.s + at, (size_t)(nl - t->rest.s) - at);
		at = (size_t)(nl + 1 - t->rest.s);
	}
	if (at) {
		memmove(t->rest.s, t->rest.s + at, t->rest.len - at);
		t->rest.len -= at;
	}
	if (!t->cli->json)
		cli_table_flush(&t->table);
}

/* What the file has beyond where we are. */
static int read_on(struct tail *t)
{
	char bh_autofree *buf = bh_xcalloc(1, STEP);
	ssize_t n;

	while ((n = read(t->fd, buf, STEP)) > 0) {
		bh_buf_add(&t->rest, buf, (size_t)n);
		print_lines(t);
		if (t->rest.len > STEP)
			return -EINVAL; /* no line of ours is that long */
	}
	return n < 0 ? -errno : 0;
}

/* Where the last n lines begin. */
static off_t find_start(int fd, size_t n)
{
	char bh_autofree *buf = bh_xcalloc(1, STEP);
	struct stat st;
	off_t at = fstat(fd, &st) == 0 ? st.st_size : 0;
	size_t seen = 0;

	while (at > 0) {
		size_t want = at < (off_t)STEP ? (size_t)at : STEP;
		at -= (off_t)want;
		ssize_t got = pread(fd, buf, want, at);
		for (ssize_t i = got; i-- > 0;)
			if (buf[i] == '\n' && seen++ == n)
				return at + i + 1;
	}
	return 0;
}

static bool is_another(const struct tail *t)
{
	struct stat mine, there;
	return stat(t->path, &there) == 0 && fstat(t->fd, &mine) == 0 &&
	       (mine.st_ino != there.st_ino || mine.st_dev != there.st_dev);
}

static int follow(struct tail *t)
{
	const struct timespec pause = {.tv_nsec = POLL_NS};
	struct sigaction sa = {.sa_handler = on_interrupt};
	int e = 0;

	sigaction(SIGINT, &sa, NULL);
	sigaction(SIGTERM, &sa, NULL);
	while (!interrupted && e == 0) {
		if (fflush(stdout) != 0)
			return 0; /* whoever read this is gone */
		nanosleep(&pause, NULL);
		bool another = is_another(t); /* before the last look at the old one */
		e = read_on(t);
		if (e == 0 && another) {
			int fd = open(t->path, O_RDONLY | O_CLOEXEC);
			if (fd >= 0) {
				close(t->fd);
				t->fd = fd;
				t->rest.len = 0;
			}
		}
	}
	return e;
}

/* The log of the daemon that answers. Owned. */
static int ask_path(struct cli *cli, char **ret)
{
	struct cli_reply cli_autoreply r = {0};
	int e = cli_ask(cli, "GET", "/v1/status", NULL, &r);
	if (e != CLI_OK)
		return e;
	*ret = bh_xstrdup(cli_str(json_object_get(r.json, "audit"), "path") ?: "");
	return CLI_OK;
}

int cli_audit_tail(struct cli *cli, int argc, char **argv)
{
	static const char *const head[] = {"SEQUENCE", "TIME (UTC)", "ACTION", "SOURCE",
		"DESTINATION", "SERVICE", "OUTCOME", "WHAT"};
	bool live = cli->opt[0];
	uint64_t n = 20;
	char bh_autofree *asked = NULL;
	struct tail t = {.cli = cli, .path = argc ? argv[0] : NULL};

	if (cli->opt[1] && bh_parse_u64(cli->opt[1], MAX_LINES, &n) < 0)
		return cli_usage_error(
			NULL, "-n takes a number up to %d, not \"%s\"", MAX_LINES, cli->opt[1]);
	if (!t.path) {
		int e = ask_path(cli, &asked);
		if (e != CLI_OK)
			return e;
		t.path = asked;
	}
	t.fd = open(t.path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	int e = t.fd < 0 ? -errno : 0;
	if (e == 0) {
		cli_table_init(&t.table, cli, head, BH_ARRAY_SIZE(head));
		lseek(t.fd, find_start(t.fd, n), SEEK_SET);
		e = read_on(&t);
		if (e == 0 && live)
			e = follow(&t);
		close(t.fd);
		free(t.table.cell);
	}
	bh_buf_finish(&t.rest);
	if (e < 0) {
		char bh_autofree *path = cli_safe(t.path);
		cli_error("%s: %s", path, strerror(-e));
	}
	return e < 0 ? CLI_FAILED : CLI_OK;
}
