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
#define STREAM_KEPT_S 300 /* between copies of a stream: each is the whole of it */
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

/* Where a remark is about: the file only where there are several. */
static char *place_of(const struct bh_feed *f, const struct bh_diag *d)
{
	const char *file = bh_streq(d->file, f->conf.name) ? "" : d->file;
	if (!d->line)
		return bh_xasprintf("%s%s", file, *file ? ": " : "");
	return bh_xasprintf("%s%sline %d: ", file, *file ? " " : "", d->line);
}

/* What was odd in a text that was accepted. Owned; NULL = nothing. */
static char *note_of(
	const struct bh_feed *f, const struct bh_feed_text *t, const struct bh_diags *d)
{
	const struct bh_indicators *ind = &t->ind;
	const struct bh_diag *first = first_diag(d, BH_WARNING);
	if (t->declared >= 0 && (uint64_t)t->declared > ind->lines)
		return bh_xasprintf("it says that it holds %lld entries, but %zu were found: cut "
				    "short?",
			(long long)t->declared, ind->lines);
	if (!first)
		return NULL;
	char bh_autofree *place = place_of(f, first);
	if (ind->rejected)
		return bh_xasprintf("%zu line%s left out; the first remark: %s%s", ind->rejected,
			bh_plural(ind->rejected), place, first->what);
	return bh_xasprintf("%s%s%s%s", place, first->what, first->remedy ? "; " : "",
		first->remedy ? first->remedy : "");
}

#define GROWTH_FROM 10000 /* entries; below that lists may well grow tenfold */

static char *guard_change(const struct bh_feed *f, const struct bh_feed_text *t)
{
	size_t before = bh_indicators_count(&f->data->ind), n = bh_indicators_count(&t->ind);
	if (f->conf.max_shrink_percent < 100 && n < before &&
		(before - n) * 100 > before * f->conf.max_shrink_percent)
		return bh_xasprintf(
			"refused: it shrank from %zu to %zu entries; if that is right, raise "
			"max_shrink_percent: %u",
			before, n, f->conf.max_shrink_percent);
	if (f->conf.max_growth_percent && before && n > GROWTH_FROM &&
		(n - before) / before * 100 > f->conf.max_growth_percent)
		return bh_xasprintf(
			"refused: it grew from %zu to %zu entries; if that is right, raise "
			"max_growth_percent: %u",
			before, n, f->conf.max_growth_percent);
	if (t->declared >= 0 && (uint64_t)t->declared > t->ind.lines && n < before)
		return bh_xasprintf("refused: it says that it holds %lld entries, but %zu were "
				    "found: it was cut short",
			(long long)t->declared, t->ind.lines);
	return NULL;
}

/* Why the new indicators may not replace those in force; owned, NULL = they may. A copy from
 * another source says nothing about how large this one should be. */
static char *guard(const struct bh_feed *f, const struct bh_feed_text *t)
{
	size_t n = bh_indicators_count(&t->ind);
	if (n == 0 && f->conf.min_entries > 0)
		return bh_xasprintf(
			"refused: it holds no entries (of %zu lines, %zu cannot be read)",
			t->ind.lines, t->ind.rejected);
	if (n < f->conf.min_entries)
		return bh_xasprintf("refused: it holds %zu entries, fewer than min_entries: %llu",
			n, (unsigned long long)f->conf.min_entries);
	bool same_source = f->meta.url && bh_streq(f->meta.url, f->conf.url);
	return same_source ? guard_change(f, t) : NULL;
}

static void put_in_force(
	struct bh_feed *f, struct bh_feed_text *t, const struct bh_diags *d, uint64_t since)
{
	free(f->note);
	f->note = note_of(f, t, d);
	f->rejected = t->ind.rejected;
	free(f->credit);
	free(f->dated);
	free(f->format_read);
	f->credit = BH_TAKE_PTR(t->credit);
	f->dated = BH_TAKE_PTR(t->dated);
	f->format_read = bh_xstrdup(t->format);
	bh_feed_data_unref(f->data);
	f->data = bh_feed_data_new(&t->ind);
	if (!f->mgr->since)
		f->mgr->since = since;
	bh_feeds_touch(f->mgr);
}

/* --- jobs --- */

static struct bh_feed_job *read_job(struct bh_feed *f, const char *format)
{
	const struct bh_feed_conf *c = &f->conf;
	struct bh_feed_job *j = bh_feed_job_new(f);
	j->format = bh_xstrdup(format ? format : c->format);
	j->opts = (struct bh_feed_read_opts){.format = j->format,
		.now = time(NULL),
		.widest4 = c->widest4,
		.widest6 = c->widest6,
		.max_rejected_percent = c->max_rejected_percent,
		.min_confidence = c->min_confidence};
	if (!f->keep_error)
		memcpy(j->known, f->meta.sha256, sizeof(j->known));
	return j;
}

void bh_feed_accept(struct bh_feed *f, const char *text, size_t len, const char *etag,
	const char *last_modified, bool stream)
{
	struct bh_feed_job *j = read_job(f, NULL);
	j->text = bh_xmemdup(len ? text : "", len ? len : 1);
	j->len = len;
	j->etag = bh_xstrdup(etag);
	j->last_modified = bh_xstrdup(last_modified);
	if (bh_streq(f->conf.format, "crowdsec"))
		j->known[0] = '\0'; /* its durations count from now on, whatever the bytes */
	if (stream)
		j->base = bh_feed_data_ref(f->data);
	bh_feed_job_start(f->mgr->loop, j);
}

void bh_feed_accept_file(struct bh_feed *f, int fd)
{
	struct bh_feed_job *j = read_job(f, NULL);
	j->fd = fd;
	j->path = bh_xstrdup(f->local);
	bh_feed_job_start(f->mgr->loop, j);
}

void bh_feed_accept_copies(
	struct bh_feed *f, const char *dir, const char *etag, const char *last_modified)
{
	struct bh_feed_job *j = read_job(f, "misp");
	j->dir = bh_xstrdup(dir);
	j->copies = true;
	j->etag = bh_xstrdup(etag);
	j->last_modified = bh_xstrdup(last_modified);
	bh_feed_job_start(f->mgr->loop, j);
}

void bh_feed_accept_directory(struct bh_feed *f)
{
	struct bh_feed_job *j = read_job(f, NULL);
	j->dir = bh_xstrdup(f->local);
	bh_feed_job_start(f->mgr->loop, j);
}

/* The copy for the next start, written by a job that takes over the text of this one; a list that
 * is not the text is made by it too, so that what is in force does not wait for that. */
static void keep(struct bh_feed *f, struct bh_feed_job *j)
{
	int64_t now = time(NULL);
	if (!f->keep_path || (j->base && now >= f->kept_at && now - f->kept_at < STREAM_KEPT_S))
		return;
	f->kept_at = now;
	struct bh_feed_job *k = bh_feed_job_new(f);
	k->keep = true;
	k->path = bh_xstrdup(f->keep_path);
	if (j->as_list) {
		k->base = bh_feed_data_ref(f->data);
	} else {
		k->text = BH_TAKE_PTR(j->text);
		k->len = j->len;
	}
	k->meta = (struct bh_feed_meta){.url = bh_xstrdup(f->meta.url),
		.etag = bh_xstrdup(f->meta.etag),
		.last_modified = bh_xstrdup(f->meta.last_modified),
		.format = bh_xstrdup(j->kept_format),
		.loaded_at = f->meta.loaded_at};
	memcpy(k->meta.sha256, f->meta.sha256, sizeof(k->meta.sha256));
	bh_feed_job_start(f->mgr->loop, k);
}

static void kept(struct bh_feed *f, const struct bh_feed_job *j)
{
	free(f->keep_error);
	f->keep_error = NULL;
	if (j->rc < 0) {
		f->keep_error = bh_xasprintf("no copy for the next start: %s cannot be written: %s",
			f->keep_path, strerror(-j->rc));
		/* Without validators the text comes again with the next check, and is written
		 * then. */
		free(BH_TAKE_PTR(f->meta.etag));
		free(BH_TAKE_PTR(f->meta.last_modified));
	}
	bh_feed_compose_message(f);
}

static void failed(struct bh_feed *f, const struct bh_feed_job *j)
{
	const struct bh_diag *first = first_diag(&j->diags, BH_ERROR);
	f->streaming = false;
	f->file_read = false;
	if (j->error) {
		bh_feed_failed(f, "%s", j->error);
		return;
	}
	char bh_autofree *place = first ? place_of(f, first) : NULL;
	bh_feed_failed(
		f, "refused: %sit %s", place ? place : "", first ? first->what : "cannot be read");
}

static void accepted(struct bh_feed *f, struct bh_feed_job *j)
{
	struct bh_feed_meta m = {.loaded_at = time(NULL)};
	memcpy(m.sha256, j->sha, sizeof(m.sha256));
	m.url = bh_xstrdup(f->conf.url);
	m.etag = BH_TAKE_PTR(j->etag);
	m.last_modified = BH_TAKE_PTR(j->last_modified);
	bh_feed_meta_finish(&f->meta);
	f->meta = m;
	put_in_force(f, &j->out, &j->diags, j->began);
	f->streaming = !f->local && bh_streq(f->format_read, "crowdsec");
	if (!j->base)
		f->full_at = m.loaded_at;
	f->tell_updated = true;
	f->tell_refused = false;
	succeeded(f);
	keep(f, j);
}

void bh_feed_job_done(struct bh_feed *f, struct bh_feed_job *j)
{
	if (j->keep) {
		kept(f, j);
	} else if (j->rc < 0) {
		failed(f, j);
	} else if (j->same) {
		bh_feed_unchanged(f);
	} else {
		char bh_autofree *why = guard(f, &j->out);
		if (why)
			bh_feed_failed(f, "%s", why);
		else
			accepted(f, j);
	}
	if (!f->job)
		bh_feed_check_again(f);
}

/* --- the start --- */

/* Before the first fetch. A damaged copy is as good as none, but is told. */
void bh_feed_load_kept(struct bh_feed *f)
{
	struct bh_feed_meta m = {0};
	char bh_autofree *text = NULL;
	size_t len = 0;
	int64_t checked_at = 0;

	int r = f->keep_path ? bh_feed_kept(f->keep_path, &m, &checked_at, &text, &len) : -ENOENT;
	struct bh_feed_job *j = read_job(f, m.format);
	j->text = BH_TAKE_PTR(text);
	j->len = len;
	if (r == 0)
		r = bh_feed_job_now(j);
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
	} else {
		if (!bh_streq(m.url, f->conf.url))
			m.sha256[0] = '\0'; /* another source's: good until this one answers */
		int64_t now = time(NULL);
		f->checked_at = f->success_at = checked_at < now ? checked_at : now;
		f->asked_at = f->success_at;
		bh_feed_meta_finish(&f->meta);
		f->meta = m;
		put_in_force(f, &j->out, &j->diags, 0);
	}
	bh_feed_compose_message(f);
	bh_feed_job_free(j);
}
