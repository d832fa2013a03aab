/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * One feed's life on the loop: when it is checked next, and how. A local file is read when its
 * directory reports a change and at each interval; a URL is asked at each interval, with the
 * validators of the copy in force, and sooner again after a failure of the network. Intervals vary
 * by a tenth either way, so that many nodes do not ask a server at the same second.
 */
#include "feeds/manager.h"

#include <bulkhead/url.h>
#include <errno.h>
#include <fcntl.h>
#include <strings.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>

#define DEBOUNCE_MS 250 /* a writer is rarely done at its first event */
#define RETRY_S 30 /* doubled with each failure, up to the interval */
#define INTERVAL_MAX_S (30 * 86400ull)

static void on_timer(uv_timer_t *t);

uint64_t bh_feed_interval(const struct bh_feed *f)
{
	uint64_t s = f->conf.interval_s, min = bh_feed_min_interval(&f->conf);
	s = s > min ? s : min;
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

void bh_feed_check_at_interval(struct bh_feed *f)
{
	check_in_ms(f, jitter(bh_feed_interval(f) * 1000));
}

void bh_feed_check_again_soon(struct bh_feed *f)
{
	unsigned doublings = f->failures < 8 ? f->failures - (f->failures > 0) : 7;
	uint64_t s = (uint64_t)RETRY_S << doublings;
	check_in_ms(f, jitter((s < bh_feed_interval(f) ? s : bh_feed_interval(f)) * 1000));
}

/* One that was refused is read again each time, so that it goes stale in the eyes of the guards. */
static bool same_file(const struct bh_feed *f, const struct bh_file_id *id)
{
	const struct bh_file_id *a = &f->file;
	return f->file_read && !f->failure && a->dev == id->dev && a->ino == id->ino &&
	       a->size == id->size && memcmp(&a->changed, &id->changed, sizeof(a->changed)) == 0 &&
	       memcmp(&a->modified, &id->modified, sizeof(a->modified)) == 0;
}

/* O_NONBLOCK so that a FIFO in the file's place cannot hold up the loop. The descriptor, or
 * −errno; −EALREADY: it is as it was; −EISDIR. */
static int open_local(struct bh_feed *f)
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
	if (same_file(f, &id))
		return -EALREADY;
	f->file = id;
	f->file_read = true;
	return BH_TAKE_FD(fd);
}

static void on_directory(uv_fs_event_t *h, const char *name, int events BH_UNUSED, int status)
{
	struct bh_feed *f = h->data;
	const char *slash = strrchr(f->local, '/');
	const char *base = slash ? slash + 1 : f->local;
	if (status < 0 || (name && !f->in_directory && !bh_streq(name, base)))
		return;
	check_in_ms(f, DEBOUNCE_MS);
}

static bool is_directory(const char *path)
{
	struct stat st;
	return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

/* Anew at each check: the directory may have been replaced, or not have been there. */
static void watch_directory(struct bh_feed *f)
{
	char bh_autofree *dir = bh_xstrdup(f->local);
	char *slash = strrchr(dir, '/');
	uv_fs_event_stop(&f->watch);
	f->in_directory = is_directory(f->local);
	if (slash && !f->in_directory)
		slash[slash == dir] = '\0';
	uv_fs_event_start(&f->watch, on_directory, slash || f->in_directory ? dir : ".", 0);
}

static void check_local(struct bh_feed *f)
{
	watch_directory(f); /* before reading, so that no change falls in between */
	int fd = open_local(f);
	if (fd >= 0) {
		bh_feed_accept_file(f, fd);
	} else if (fd == -EISDIR) {
		bh_feed_accept_directory(f);
	} else if (fd == -EALREADY) {
		bh_feed_unchanged(f);
	} else {
		f->file_read = false;
		bh_feed_failed(f, "%s cannot be read: %s", f->local, strerror(-fd));
	}
	bh_feed_check_at_interval(f);
}

static void on_timer(uv_timer_t *t)
{
	struct bh_feed *f = t->data;
	if (f->job)
		f->again = true; /* still busy with what it brought last */
	else if (f->local)
		check_local(f);
	else
		bh_feed_fetch(f);
}

/* Spamhaus asks for at most one fetch an hour, and locks out who comes more often. */
uint64_t bh_feed_min_interval(const struct bh_feed_conf *c)
{
	static const char publisher[] = "spamhaus.org";
	const char *host = strstr(c->url, "://");
	if (!host || strncasecmp(c->url, "http", 4) != 0)
		return 1;
	host += 3;
	size_t n = strcspn(host, "/?#");
	const char *at = memchr(host, '@', n);
	if (at) {
		n -= (size_t)(at + 1 - host);
		host = at + 1;
	}
	const char *colon = memchr(host, ':', n);
	n = colon ? (size_t)(colon - host) : n;
	size_t len = sizeof(publisher) - 1;
	bool theirs = n >= len && strncasecmp(host + n - len, publisher, len) == 0 &&
		      (n == len || host[n - len - 1] == '.');
	return theirs ? 3600 : 1;
}

bool bh_feed_check_now(struct bh_feed *f)
{
	int64_t age = time(NULL) - f->asked_at;
	uint64_t min = bh_feed_min_interval(&f->conf);
	if (!f->local && f->asked_at && age >= 0 && min > 1 && (uint64_t)age < min)
		return false;
	f->file_read = false;
	if (f->job)
		f->again = true;
	else if (!f->fetching)
		check_in_ms(f, 0);
	return true;
}

void bh_feed_check_again(struct bh_feed *f)
{
	if (!f->again)
		return;
	f->again = false;
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
	to->headers_file = bh_xstrdup(from->headers_file);
	to->proxy = bh_xstrdup(from->proxy);
	to->ca_file = bh_xstrdup(from->ca_file);
}

static void conf_finish(struct bh_feed_conf *c)
{
	free(c->name);
	free(c->url);
	free(c->format);
	free(c->headers_file);
	free(c->proxy);
	free(c->ca_file);
}

bool bh_feed_conf_equal(const struct bh_feed_conf *a, const struct bh_feed_conf *b)
{
	return bh_streq(a->name, b->name) && bh_streq(a->url, b->url) &&
	       bh_streq(a->format, b->format) && bh_streq(a->headers_file, b->headers_file) &&
	       bh_streq(a->proxy, b->proxy) && bh_streq(a->ca_file, b->ca_file) &&
	       a->alert_only == b->alert_only && a->directions == b->directions &&
	       a->special == b->special && a->interval_s == b->interval_s &&
	       a->min_entries == b->min_entries && a->max_shrink_percent == b->max_shrink_percent &&
	       a->max_growth_percent == b->max_growth_percent &&
	       a->max_rejected_percent == b->max_rejected_percent && a->widest4 == b->widest4 &&
	       a->widest6 == b->widest6 && a->min_confidence == b->min_confidence &&
	       a->timeout_s == b->timeout_s && a->max_bytes == b->max_bytes;
}

/* What decides how a text is read: with another it has to be read again. */
static bool reads_alike(const struct bh_feed_conf *a, const struct bh_feed_conf *b)
{
	return bh_streq(a->url, b->url) && bh_streq(a->format, b->format) &&
	       a->widest4 == b->widest4 && a->widest6 == b->widest6 &&
	       a->min_confidence == b->min_confidence &&
	       a->max_rejected_percent == b->max_rejected_percent;
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
	f->shown_url = bh_url_without_secrets(conf->url);
	f->local = local_path(conf->url);
	f->data = bh_feed_data_new(NULL);
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
	bh_feed_manifest_forget(f);
	f->fetching = false;
	f->file_read = false;
	f->streaming = false;
	f->again = false;
	bh_feed_job_forget(f);
}

void bh_feed_reconfigure(struct bh_feed *f, const struct bh_feed_conf *conf)
{
	bool other_source = !reads_alike(&f->conf, conf);
	if (f->conf.alert_only != conf->alert_only || f->conf.directions != conf->directions ||
		f->conf.special != conf->special)
		bh_feeds_touch(f->mgr);
	stop(f);
	conf_finish(&f->conf);
	conf_copy(&f->conf, conf);
	free(f->local);
	free(f->shown_url);
	f->shown_url = bh_url_without_secrets(conf->url);
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
	bh_feed_data_unref(f->data);
	bh_feed_meta_finish(&f->meta);
	free(f->keep_path);
	free(f->shown_url);
	free(f->local);
	free(f->failure);
	free(f->note);
	free(f->cut);
	free(f->cuts);
	free(f->credit);
	free(f->dated);
	free(f->format_read);
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
