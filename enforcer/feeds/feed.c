/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * One feed's life on the loop: when it is checked next, and how. A local file is read when its
 * directory reports a change and at each interval; a URL is asked at each interval, with the
 * validators of the copy in force, and sooner again after a failure of the network. Intervals vary
 * by a tenth either way, so that many nodes do not ask a server at the same second.
 */
#include "feeds/manager.h"

#include <errno.h>
#include <fcntl.h>
#include <strings.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>

#define DEBOUNCE_MS 250 /* a writer is rarely done at its first event */
#define FETCH_TIMEOUT_MS 300000
#define IDLE_TIMEOUT_S 30
#define RETRY_S 30 /* doubled with each failure, up to the interval */
#define INTERVAL_MAX_S (30 * 86400ull)

static void on_timer(uv_timer_t *t);

uint64_t bh_feed_interval(const struct bh_feed *f)
{
	uint64_t s = f->conf.interval_s ? f->conf.interval_s : 1;
	return s < INTERVAL_MAX_S ? s : INTERVAL_MAX_S;
}

static uint64_t jitter(uint64_t ms)
{
	uint32_t x = 0x80000000;
	if (getrandom(&x, sizeof(x), GRND_NONBLOCK) != sizeof(x))
		x = 0x80000000; /* the middle */
	return ms - ms / 10 + (ms / 5) * (uint64_t)x / UINT32_MAX;
}

static void check_in_ms(struct bh_feed *f, uint64_t ms)
{
	uv_timer_start(&f->timer, on_timer, ms, 0);
}

static void check_at_interval(struct bh_feed *f)
{
	check_in_ms(f, jitter(bh_feed_interval(f) * 1000));
}

static void check_again_soon(struct bh_feed *f)
{
	unsigned doublings = f->failures < 8 ? f->failures - (f->failures > 0) : 7;
	uint64_t s = (uint64_t)RETRY_S << doublings;
	check_in_ms(f, jitter((s < bh_feed_interval(f) ? s : bh_feed_interval(f)) * 1000));
}

static bool is_html(const char *content_type)
{
	return content_type && (strncasecmp(content_type, "text/html", 9) == 0 ||
				       strncasecmp(content_type, "application/xhtml", 17) == 0);
}

/* Refusals of the server are final until the next interval: asking sooner gets one banned. */
static bool is_passing(const struct bh_http_result *r)
{
	return r->err || r->status >= 500;
}

static void on_fetched(const struct bh_http_result *r, void *arg)
{
	struct bh_feed *f = arg;
	f->request = NULL;
	f->fetching = false;
	if (r->err) {
		bh_feed_failed(f, "not fetched: %s",
			r->message && *r->message ? r->message : strerror(-r->err));
	} else if (r->status == 304 && f->meta.sha256[0]) {
		bh_feed_unchanged(f);
	} else if (r->status != 200) {
		bh_feed_failed(f, "not fetched: the server answered %ld", r->status);
	} else if (is_html(r->content_type)) {
		bh_feed_failed(f, "refused: it is an HTML page, not a list");
	} else {
		bh_feed_accept(f, r->body, r->len, r->etag, r->last_modified);
	}
	if (is_passing(r))
		check_again_soon(f);
	else
		check_at_interval(f);
}

static void fetch(struct bh_feed *f)
{
	bool validators = f->meta.sha256[0] && bh_streq(f->meta.url, f->conf.url);
	struct bh_http_opts o = {
		.url = f->conf.url,
		.max_bytes = BH_FEED_MAX_BYTES,
		.timeout_ms = FETCH_TIMEOUT_MS,
		.idle_timeout_s = IDLE_TIMEOUT_S,
		.if_none_match = validators ? f->meta.etag : NULL,
		.if_modified_since = validators ? f->meta.last_modified : NULL,
		.follow = true,
	};
	struct bh_http_request *request = NULL;
	if (f->fetching)
		return;
	f->fetching = true;
	int r = bh_http_get(f->mgr->http, &o, NULL, on_fetched, f, &request);
	if (r < 0) {
		f->fetching = false;
		bh_feed_failed(f, "not fetched: %s", strerror(-r));
		check_at_interval(f);
	} else if (f->fetching) {
		f->request = request;
	}
}

/* One that was refused is read again each time, so that it goes stale in the eyes of the guards. */
static bool same_file(const struct bh_feed *f, const struct bh_file_id *id)
{
	const struct bh_file_id *a = &f->file;
	return f->file_read && !f->failure && a->dev == id->dev && a->ino == id->ino &&
	       a->size == id->size && memcmp(&a->changed, &id->changed, sizeof(a->changed)) == 0 &&
	       memcmp(&a->modified, &id->modified, sizeof(a->modified)) == 0;
}

static int read_file(int fd, size_t size, char **ret, size_t *ret_len)
{
	char bh_autofree *text = bh_xcalloc(size + 1, 1);
	size_t n = 0;
	while (n < size) {
		ssize_t r = read(fd, text + n, size - n);
		if (r < 0 && errno == EINTR)
			continue;
		if (r < 0)
			return -errno;
		if (r == 0)
			break;
		n += (size_t)r;
	}
	*ret = BH_TAKE_PTR(text);
	*ret_len = n;
	return 0;
}

/* O_NONBLOCK so that a FIFO in the file's place cannot hold up the loop. */
static int read_local(struct bh_feed *f, char **ret, size_t *ret_len, bool *ret_same)
{
	struct stat st;
	int bh_autoclose fd = open(f->local, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0 || fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode))
		return S_ISDIR(st.st_mode) ? -EISDIR : -EINVAL;
	if (st.st_size > BH_FEED_MAX_BYTES)
		return -EFBIG;
	struct bh_file_id id = {.dev = st.st_dev,
		.ino = st.st_ino,
		.size = (uint64_t)st.st_size,
		.changed = st.st_ctim,
		.modified = st.st_mtim};
	*ret_same = same_file(f, &id);
	if (*ret_same)
		return 0;
	int r = read_file(fd, (size_t)st.st_size, ret, ret_len);
	f->file = id;
	f->file_read = r == 0;
	return r;
}

static void on_directory(uv_fs_event_t *h, const char *name, int events BH_UNUSED, int status)
{
	struct bh_feed *f = h->data;
	const char *slash = strrchr(f->local, '/');
	const char *base = slash ? slash + 1 : f->local;
	if (status < 0 || (name && !bh_streq(name, base)))
		return;
	check_in_ms(f, DEBOUNCE_MS);
}

/* Anew at each check: the directory may have been replaced, or not have been there. */
static void watch_directory(struct bh_feed *f)
{
	char bh_autofree *dir = bh_xstrdup(f->local);
	char *slash = strrchr(dir, '/');
	uv_fs_event_stop(&f->watch);
	if (slash)
		slash[slash == dir] = '\0';
	uv_fs_event_start(&f->watch, on_directory, slash ? dir : ".", 0);
}

static void check_local(struct bh_feed *f)
{
	char bh_autofree *text = NULL;
	size_t len = 0;
	bool same = false;

	watch_directory(f); /* before reading, so that no change falls in between */
	int r = read_local(f, &text, &len, &same);
	if (r < 0) {
		f->file_read = false;
		bh_feed_failed(f, "%s cannot be read: %s", f->local, strerror(-r));
	} else if (!same) {
		bh_feed_accept(f, text, len, NULL, NULL);
	} else {
		bh_feed_unchanged(f);
	}
	check_at_interval(f);
}

static void on_timer(uv_timer_t *t)
{
	struct bh_feed *f = t->data;
	if (f->local)
		check_local(f);
	else
		fetch(f);
}

void bh_feed_check_now(struct bh_feed *f)
{
	f->file_read = false;
	if (!f->fetching)
		check_in_ms(f, 0);
}

/* Percent escapes decoded; owned. NULL if there is a bad one. */
static char *unescape(const char *s)
{
	struct bh_buf bh_autobuf b = {0};
	for (; *s; s++) {
		unsigned c = (unsigned char)*s;
		if (c == '%' && (sscanf(s + 1, "%2x", &c) != 1 || !s[1] || !s[2] || c == 0))
			return NULL;
		char byte = (char)c;
		bh_buf_add(&b, &byte, 1);
		if (*s == '%')
			s += 2;
	}
	return bh_buf_take(&b);
}

/* The path of a local feed, owned; NULL for http(s). */
static char *local_path(const char *url)
{
	if (strncasecmp(url, "http://", 7) == 0 || strncasecmp(url, "https://", 8) == 0)
		return NULL;
	if (strncasecmp(url, "file://", 7) != 0)
		return bh_xstrdup(url);
	const char *path = url + 7;
	if (strncasecmp(path, "localhost/", 10) == 0)
		path += 9;
	char *p = unescape(path);
	return p ? p : bh_xstrdup(path);
}

/* The configuration checks names; this is where a slip would become a path. */
static bool fit_for_file(const char *name)
{
	size_t n =
		strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-");
	return n > 0 && n <= 64 && !name[n] && name[0] != '.';
}

static void conf_copy(struct bh_feed_conf *to, const struct bh_feed_conf *from)
{
	*to = *from;
	to->name = bh_xstrdup(from->name);
	to->url = bh_xstrdup(from->url);
	to->format = bh_xstrdup(from->format);
}

static void conf_finish(struct bh_feed_conf *c)
{
	free(c->name);
	free(c->url);
	free(c->format);
}

bool bh_feed_conf_equal(const struct bh_feed_conf *a, const struct bh_feed_conf *b)
{
	return bh_streq(a->name, b->name) && bh_streq(a->url, b->url) &&
	       bh_streq(a->format, b->format) && a->alert_only == b->alert_only &&
	       a->interval_s == b->interval_s && a->min_entries == b->min_entries &&
	       a->max_shrink_percent == b->max_shrink_percent;
}

/* A URL that was checked less than an interval ago, before a restart, is not asked again: some
 * publishers ban who comes too often. */
static void schedule_first(struct bh_feed *f)
{
	uint64_t interval = bh_feed_interval(f);
	int64_t age = time(NULL) - f->success_at;
	bool fresh = !f->local && f->meta.sha256[0] && age >= 0 && (uint64_t)age < interval;
	check_in_ms(f, fresh ? (interval - (uint64_t)age) * 1000 : 0);
}

struct bh_feed *bh_feed_new(struct bh_feeds *mgr, const struct bh_feed_conf *conf)
{
	struct bh_feed *f = bh_xcalloc(1, sizeof(*f));
	f->mgr = mgr;
	conf_copy(&f->conf, conf);
	f->local = local_path(conf->url);
	if (fit_for_file(conf->name))
		f->keep_path = bh_xasprintf("%s/%s.list", mgr->dir, conf->name);
	uv_timer_init(mgr->loop, &f->timer);
	uv_fs_event_init(mgr->loop, &f->watch);
	f->timer.data = f->watch.data = f;
	f->open_handles = 2;
	bh_feed_load_kept(f);
	schedule_first(f);
	return f;
}

static void stop(struct bh_feed *f)
{
	uv_timer_stop(&f->timer);
	uv_fs_event_stop(&f->watch);
	if (f->request)
		bh_http_cancel(f->request);
	f->request = NULL;
	f->fetching = false;
	f->file_read = false;
}

void bh_feed_reconfigure(struct bh_feed *f, const struct bh_feed_conf *conf)
{
	bool other_source = !bh_streq(f->conf.url, conf->url);
	if (f->conf.alert_only != conf->alert_only)
		bh_feeds_touch(f->mgr);
	stop(f);
	conf_finish(&f->conf);
	conf_copy(&f->conf, conf);
	free(f->local);
	f->local = local_path(conf->url);
	if (other_source)
		f->meta.sha256[0] = '\0'; /* no validators, no comparison of size */
	schedule_first(f);
}

static void on_closed(uv_handle_t *h)
{
	struct bh_feed *f = h->data;
	if (--f->open_handles > 0)
		return;
	conf_finish(&f->conf);
	bh_indicators_finish(&f->indicators);
	bh_feed_meta_finish(&f->meta);
	free(f->keep_path);
	free(f->local);
	free(f->failure);
	free(f->note);
	free(f->cut);
	free(f->keep_error);
	free(f->message);
	free(f);
}

void bh_feed_drop(struct bh_feed *f)
{
	stop(f);
	f->mgr = NULL;
	uv_close((uv_handle_t *)&f->timer, on_closed);
	uv_close((uv_handle_t *)&f->watch, on_closed);
}
