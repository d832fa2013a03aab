/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What is asked of a feed's server, and what becomes of the answer. On the loop. */
#include "feeds/manager.h"

#include <errno.h>
#include <fcntl.h>
#include <strings.h>
#include <time.h>

#define FETCH_TIMEOUT_MS 300000
#define IDLE_TIMEOUT_S 30
#define STREAM_FULL_S 86400
#define HEADERS_MAX 16384 /* bytes */
#define HEADER_LINES_MAX 32

static bool is_html(const char *content_type)
{
	return content_type && (strncasecmp(content_type, "text/html", 9) == 0 ||
				       strncasecmp(content_type, "application/xhtml", 17) == 0);
}

/* Refusals of the server are final until the next interval: asking sooner gets one banned. */
bool bh_feed_fetch_is_passing(const struct bh_http_result *r)
{
	return r->err || r->status >= 500;
}

static bool is_stream(const struct bh_feed *f)
{
	return !f->local && bh_streq(f->conf.format, "crowdsec");
}

void bh_feed_fetch_over(struct bh_feed *f, bool passing)
{
	f->fetching = false;
	if (passing)
		bh_feed_check_again_soon(f);
	else
		bh_feed_check_at_interval(f);
}

char *bh_feed_fetch_fault(const struct bh_http_result *r)
{
	if (r->err)
		return bh_xasprintf("not fetched: %s",
			r->message && *r->message ? r->message : strerror(-r->err));
	if (r->status == 401 || r->status == 403)
		return bh_xasprintf(
			"not fetched: the server answered %ld: the key in headers_file?",
			r->status);
	if (r->status != 200)
		return bh_xasprintf("not fetched: the server answered %ld", r->status);
	return is_html(r->content_type) ? bh_xstrdup("refused: it is an HTML page, not a list")
					: NULL;
}

static void on_fetched(const struct bh_http_result *r, void *arg)
{
	struct bh_feed *f = arg;
	bool unchanged = !r->err && r->status == 304 && f->meta.sha256[0];
	char bh_autofree *fault = unchanged ? NULL : bh_feed_fetch_fault(r);
	f->request = NULL;
	if (r->err || r->status != 200)
		f->streaming = false; /* who knows what was missed */
	if (!unchanged && !fault && bh_feed_is_manifest(f)) {
		bh_feed_manifest_take(f, r);
		return; /* its events come now */
	}
	bh_feed_fetch_over(f, bh_feed_fetch_is_passing(r));
	if (unchanged)
		bh_feed_unchanged(f);
	else if (fault)
		bh_feed_failed(f, "%s", fault);
	else
		bh_feed_accept(f, r->body, r->len, r->etag, r->last_modified,
			is_stream(f) && f->streaming);
}

/* A stream begins with everything, and again once a day, in case something got lost. */
static char *stream_url(struct bh_feed *f)
{
	int64_t age = time(NULL) - f->full_at;
	if (f->streaming && (age < 0 || age > STREAM_FULL_S))
		f->streaming = false;
	bool path = strstr(f->conf.url, "/decisions/stream");
	size_t n = strlen(f->conf.url);
	return bh_xasprintf("%s%s%sstartup=%s", f->conf.url,
		path                             ? ""
		: n && f->conf.url[n - 1] == '/' ? "v1/decisions/stream"
						 : "/v1/decisions/stream",
		strchr(f->conf.url, '?') ? "&" : "?", f->streaming ? "false" : "true");
}

/* "Name: value" lines; −errno, or −EBADMSG for a line that is no header. */
static int read_headers(const char *path, char **ret_text, const char **ret, size_t max)
{
	char bh_autofree *text = bh_xcalloc(HEADERS_MAX + 1, 1);
	size_t n = 0;
	int bh_autoclose fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return -errno;
	ssize_t got = read(fd, text, HEADERS_MAX + 1);
	if (got < 0)
		return -errno;
	if (got > HEADERS_MAX)
		return -EFBIG;
	text[got] = '\0';
	char *next = text;
	for (char *line; (line = strsep(&next, "\n"));) {
		line[strcspn(line, "\r")] = '\0';
		if (!*line || *line == '#')
			continue;
		const char *colon = strchr(line, ':');
		if (!colon || colon == line || n + 1 >= max)
			return -EBADMSG;
		for (const char *c = line; *c; c++)
			if ((unsigned char)*c < ' ' || *c == 0x7f)
				return -EBADMSG;
		ret[n++] = line;
	}
	ret[n] = NULL;
	*ret_text = BH_TAKE_PTR(text);
	return 0;
}

static int start_request(struct bh_feed *f, const char *url, const char *const *headers,
	bool validators, size_t max, bh_feed_fetched *done)
{
	const struct bh_feed_conf *c = &f->conf;
	struct bh_http_opts o = {
		.url = url,
		.max_bytes = max,
		.timeout_ms = c->timeout_s ? (long)c->timeout_s * 1000 : FETCH_TIMEOUT_MS,
		.idle_timeout_s = IDLE_TIMEOUT_S,
		.if_none_match = validators ? f->meta.etag : NULL,
		.if_modified_since = validators ? f->meta.last_modified : NULL,
		.follow = !headers, /* a key must not go to whom its server names */
		.headers = headers,
		.proxy = c->proxy,
		.ca_file = c->ca_file,
	};
	return bh_http_get(f->mgr->http, &o, NULL, done, f, &f->request);
}

size_t bh_feed_max_bytes(const struct bh_feed_conf *c)
{
	return c->max_bytes && c->max_bytes < BH_FEED_MAX_BYTES ? c->max_bytes : BH_FEED_MAX_BYTES;
}

bool bh_feed_ask(
	struct bh_feed *f, const char *url, bool validators, size_t max, bh_feed_fetched *done)
{
	char bh_autofree *text = NULL;
	const char *header[HEADER_LINES_MAX + 1];
	const char *path = f->conf.headers_file;
	int r = path ? read_headers(path, &text, header, HEADER_LINES_MAX) : 0;
	if (r < 0) {
		bh_feed_failed(f, "not fetched: headers_file %s: %s", path,
			r == -EBADMSG ? "lines must be \"Name: value\"" : strerror(-r));
		return false;
	}
	r = start_request(f, url, text ? header : NULL, validators, max, done);
	if (r < 0)
		bh_feed_failed(f, "not fetched: %s", strerror(-r));
	return r == 0;
}

void bh_feed_fetch(struct bh_feed *f)
{
	if (f->fetching)
		return;
	char bh_autofree *url = is_stream(f) ? stream_url(f) : bh_xstrdup(f->conf.url);
	bool validators = f->meta.sha256[0] && bh_streq(f->meta.url, f->conf.url) && !is_stream(f);
	f->fetching = true;
	f->asked_at = time(NULL);
	if (!bh_feed_ask(f, url, validators, bh_feed_max_bytes(&f->conf), on_fetched))
		bh_feed_fetch_over(f, false);
}
