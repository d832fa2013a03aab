/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The guards: what a source served becomes what is in force only if it passes all of them, and
 * whatever fails leaves the last good copy in force. Lists have turned into HTML pages, into empty
 * files and into a tenth of themselves; each of these would silently unblock.
 */
#include "feeds/manager.h"

#include <errno.h>
#include <time.h>

#define STALE_INTERVALS 3
#define NOT_FETCHED "not fetched:" /* so begin the network's failures, see feed.c */

void bh_feed_compose_message(struct bh_feed *f)
{
	struct bh_buf b = {0};
	int64_t age = time(NULL) - f->success_at;
	if (f->failure && f->stale)
		bh_buf_printf(&b, "no success for %lld s: ", (long long)age);
	if (f->failure)
		bh_buf_str(&b, f->failure);
	if (f->note)
		bh_buf_printf(&b, "%s%s", b.len ? "; " : "", f->note);
	if (f->cut)
		bh_buf_printf(&b, "%s%s", b.len ? "; " : "", f->cut);
	if (f->keep_error)
		bh_buf_printf(&b, "%s%s", b.len ? "; " : "", f->keep_error);
	free(f->message);
	f->message = bh_buf_take(&b);
}

/* A failure is told once, and again only when it is about something else; libcurl's words for the
 * same fault differ from time to time (they say how long it took). */
static bool same_complaint(const char *a, const char *b)
{
	size_t n = strlen(NOT_FETCHED);
	if (!a || bh_streq(a, b))
		return a != NULL;
	return strncmp(a, NOT_FETCHED, n) == 0 && strncmp(b, NOT_FETCHED, n) == 0;
}

void bh_feed_failed(struct bh_feed *f, const char *fmt, ...)
{
	va_list ap;
	char *text = NULL;
	va_start(ap, fmt);
	if (vasprintf(&text, fmt, ap) < 0)
		text = NULL;
	va_end(ap);
	if (!text)
		text = bh_xstrdup("failed");
	f->checked_at = time(NULL);
	f->failures++;
	bool stale = f->success_at && f->checked_at - f->success_at >
					      (int64_t)(STALE_INTERVALS * bh_feed_interval(f));
	if (!same_complaint(f->failure, text) || (stale && !f->stale))
		f->tell_refused = true;
	f->stale = stale;
	free(f->failure);
	f->failure = text;
	bh_feed_compose_message(f);
	bh_feeds_tell(f->mgr);
}

static void succeeded(struct bh_feed *f)
{
	f->checked_at = f->success_at = time(NULL);
	f->failures = 0;
	f->stale = false;
	if (f->failure) {
		free(f->failure);
		f->failure = NULL;
		f->tell_updated = true; /* good again */
		bh_feeds_tell(f->mgr);
	}
	bh_feed_compose_message(f);
}

void bh_feed_unchanged(struct bh_feed *f)
{
	succeeded(f);
	if (f->keep_path)
		bh_feed_kept_touch(f->keep_path);
}

static const struct bh_diag *first_diag(const struct bh_diags *d, enum bh_severity severity)
{
	for (size_t i = 0; i < d->n; i++)
		if (d->item[i].severity == severity)
			return &d->item[i];
	return NULL;
}

/* What was odd in a text that was accepted. Owned; NULL = nothing. */
static char *note_of(const struct bh_indicators *ind, const struct bh_diags *d)
{
	const struct bh_diag *first = first_diag(d, BH_WARNING);
	if (!first)
		return NULL;
	if (ind->rejected)
		return bh_xasprintf("%zu lines left out; the first remark: line %d: %s",
			ind->rejected, first->line, first->what);
	return bh_xasprintf("line %d: %s; %s", first->line, first->what,
		first->remedy ? first->remedy : "loaded");
}

/* Why the new indicators may not replace those in force; owned, NULL = they may. A copy from
 * another source says nothing about how large this one should be. */
static char *guard(const struct bh_feed *f, const struct bh_indicators *ind)
{
	size_t before = bh_indicators_count(&f->indicators), n = bh_indicators_count(ind);
	bool same_source = f->meta.url && bh_streq(f->meta.url, f->conf.url);
	if (n == 0 && f->conf.min_entries > 0)
		return bh_xasprintf(
			"refused: it holds no entries (of %zu lines, %zu cannot be read)",
			ind->lines, ind->rejected);
	if (n < f->conf.min_entries)
		return bh_xasprintf("refused: it holds %zu entries, fewer than min_entries: %llu",
			n, (unsigned long long)f->conf.min_entries);
	if (same_source && f->conf.max_shrink_percent < 100 && n < before &&
		(before - n) * 100 > before * f->conf.max_shrink_percent)
		return bh_xasprintf(
			"refused: it shrank from %zu to %zu entries; if that is right, raise "
			"max_shrink_percent: %u",
			before, n, f->conf.max_shrink_percent);
	return NULL;
}

static void put_in_force(struct bh_feed *f, struct bh_indicators *ind, const struct bh_diags *d)
{
	bh_indicators_finish(&f->indicators);
	f->indicators = *ind;
	*ind = (struct bh_indicators){0};
	f->rejected = f->indicators.rejected;
	free(f->note);
	f->note = note_of(&f->indicators, d);
	bh_feeds_touch(f->mgr);
}

static void keep(struct bh_feed *f, const char *text, size_t len)
{
	if (!f->keep_path)
		return;
	int r = bh_feed_keep(f->keep_path, &f->meta, text, len);
	free(f->keep_error);
	f->keep_error = NULL;
	if (r == 0)
		return;
	f->keep_error = bh_xasprintf(
		"no copy for the next start: %s cannot be written: %s", f->keep_path, strerror(-r));
	/* Without validators the text comes again with the next check, and is written then. */
	free(BH_TAKE_PTR(f->meta.etag));
	free(BH_TAKE_PTR(f->meta.last_modified));
}

static int read_text(const struct bh_feed *f, const char *text, size_t len, struct bh_diags *d,
	struct bh_indicators *ret)
{
	const struct bh_feed_read_opts o = {
		.name = f->conf.name, .format = f->conf.format, .now = time(NULL)};
	struct bh_feed_text t;
	int r = bh_feed_read(&o, text, len, d, &t);
	if (r < 0)
		return r;
	*ret = t.ind;
	t.ind = (struct bh_indicators){0};
	bh_feed_text_finish(&t);
	return 0;
}

void bh_feed_accept(struct bh_feed *f, const char *text, size_t len, const char *etag,
	const char *last_modified)
{
	struct bh_indicators ind = {0};
	struct bh_diags bh_autodiags d = {0};
	struct bh_feed_meta m = {.loaded_at = time(NULL)};

	bh_feed_sha256(text, len, m.sha256);
	if (m.sha256[0] && bh_streq(m.sha256, f->meta.sha256)) {
		if (f->keep_error)
			keep(f, text, len);
		bh_feed_unchanged(f);
		return;
	}
	if (read_text(f, text, len, &d, &ind) < 0) {
		const struct bh_diag *first = first_diag(&d, BH_ERROR);
		bh_feed_failed(f, "refused: it %s", first ? first->what : "cannot be read");
		return;
	}
	bh_indicators_sort(&ind);
	char bh_autofree *why = guard(f, &ind);
	if (why) {
		bh_indicators_finish(&ind);
		bh_feed_failed(f, "%s", why);
		return;
	}
	m.url = bh_xstrdup(f->conf.url);
	m.etag = bh_xstrdup(etag);
	m.last_modified = bh_xstrdup(last_modified);
	bh_feed_meta_finish(&f->meta);
	f->meta = m;
	put_in_force(f, &ind, &d);
	keep(f, text, len);
	f->tell_updated = true;
	f->tell_refused = false;
	succeeded(f);
}

/* At the start, before the first fetch. A damaged copy is as good as none, but is told. */
void bh_feed_load_kept(struct bh_feed *f)
{
	struct bh_feed_meta m = {0};
	struct bh_indicators ind = {0};
	struct bh_diags bh_autodiags d = {0};
	char bh_autofree *text = NULL;
	size_t len = 0;
	int64_t checked_at = 0;

	int r = f->keep_path ? bh_feed_kept(f->keep_path, &m, &checked_at, &text, &len) : -ENOENT;
	if (r == 0)
		r = read_text(f, text, len, &d, &ind);
	free(f->failure);
	f->failure = NULL;
	if (r < 0) {
		bh_feed_meta_finish(&m);
		f->failure =
			r == -ENOENT
				? bh_xstrdup("not loaded yet")
				: bh_xasprintf("not loaded yet; the copy %s cannot be used: %s",
					  f->keep_path, strerror(-r));
		f->tell_refused = r != -ENOENT;
		bh_feeds_tell(f->mgr);
		bh_feed_compose_message(f);
		return;
	}
	if (!bh_streq(m.url, f->conf.url))
		m.sha256[0] = '\0'; /* another source's: good until this one answers */
	int64_t now = time(NULL);
	f->checked_at = f->success_at = checked_at < now ? checked_at : now;
	bh_indicators_sort(&ind);
	bh_feed_meta_finish(&f->meta);
	f->meta = m;
	put_in_force(f, &ind, &d);
	bh_feed_compose_message(f);
}
