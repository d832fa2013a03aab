/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * MISP's feeds over http(s): a manifest names events by uuid and says when each was changed last;
 * an event is a document beside it, UUID.json. Copies of the events are kept in a directory of the
 * feed's, their modification times those of the manifest, so that only what has changed is asked
 * for, also after a restart. What is in force changes once all of them are there.
 */
#include "feeds/formats/reader.h"
#include "feeds/manager.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#define SUFFIX ".json"

struct bh_manifest {
	struct bh_manifest_events events;
	size_t next; /* to be looked at */
	size_t bytes; /* of the events up to there */
	char *dir, *base, *query; /* base: the manifest's URL up to its last slash */
	char *etag, *last_modified;
};

/* --- reading --- */

static bool is_uuid(const char *s, size_t n)
{
	if (n != BH_UUID_LEN)
		return false;
	for (size_t i = 0; i < n; i++) {
		bool dash = i == 8 || i == 13 || i == 18 || i == 23;
		bool hex = (s[i] >= '0' && s[i] <= '9') || (s[i] >= 'a' && s[i] <= 'f') ||
			   (s[i] >= 'A' && s[i] <= 'F');
		if (dash ? s[i] != '-' : !hex)
			return false;
	}
	return true;
}

/* The value of a key: an object, of which the timestamp counts. */
static bool read_event(struct bh_json *j, int64_t *ret_changed)
{
	char text[24];
	uint64_t n;
	*ret_changed = 0;
	if (bh_json_next(j) != BH_JSON_OBJECT)
		return false;
	while (bh_json_next(j) == BH_JSON_KEY) {
		if (!bh_json_is(j, "timestamp")) {
			if (!bh_json_skip_value(j))
				return false;
			continue;
		}
		if (bh_json_text(j, text, sizeof(text)) == BH_JSON_ERROR)
			return false;
		if (bh_parse_u64(text, UINT32_MAX, &n) == 0)
			*ret_changed = (int64_t)n;
	}
	return j->kind == BH_JSON_OBJECT_END;
}

static int by_uuid(const void *a, const void *b)
{
	return strcmp(((const struct bh_manifest_event *)a)->uuid,
		((const struct bh_manifest_event *)b)->uuid);
}

void bh_manifest_events_finish(struct bh_manifest_events *e)
{
	free(e->item);
	*e = (struct bh_manifest_events){0};
}

static const char *read_events(struct bh_json *j, struct bh_manifest_events *e)
{
	if (bh_json_next(j) != BH_JSON_OBJECT)
		return "is no manifest: no object of events";
	while (bh_json_next(j) == BH_JSON_KEY) {
		struct bh_manifest_event x;
		if (!is_uuid(j->s, j->n))
			return "is no manifest: a key of it is no uuid";
		if (e->n == BH_MANIFEST_EVENTS_MAX)
			return "is a manifest of more than 10000 events";
		memcpy(x.uuid, j->s, BH_UUID_LEN);
		x.uuid[BH_UUID_LEN] = '\0';
		if (!read_event(j, &x.changed))
			return "is no manifest, or ends in the middle";
		BH_GROW(e->item, e->n, e->cap);
		e->item[e->n++] = x;
	}
	if (j->kind != BH_JSON_OBJECT_END || bh_json_next(j) != BH_JSON_END)
		return "is no manifest, or ends in the middle";
	return e->n ? NULL : "is a manifest without events";
}

const char *bh_manifest_read(const char *text, size_t len, struct bh_manifest_events *ret)
{
	struct bh_manifest_events e = {0};
	struct bh_json j;
	size_t n = 0;
	bh_json_init(&j, text, len, 1);
	const char *wrong = read_events(&j, &e);
	if (wrong) {
		bh_manifest_events_finish(&e);
		return wrong;
	}
	qsort(e.item, e.n, sizeof(*e.item), by_uuid);
	for (size_t i = 1; i < e.n; i++)
		if (!bh_streq(e.item[i].uuid, e.item[n].uuid))
			e.item[++n] = e.item[i];
	e.n = n + 1;
	*ret = e;
	return NULL;
}

/* --- fetching --- */

static size_t path_len(const char *url)
{
	return strcspn(url, "?#");
}

bool bh_feed_is_manifest(const struct bh_feed *f)
{
	static const char name[] = "/manifest.json";
	size_t n = path_len(f->conf.url), len = sizeof(name) - 1;
	return !f->local && n > len && strncasecmp(f->conf.url + n - len, name, len) == 0 &&
	       (bh_streq(f->conf.format, "misp") || bh_streq(f->conf.format, "auto") ||
		       !f->conf.format);
}

void bh_feed_manifest_forget(struct bh_feed *f)
{
	struct bh_manifest *m = BH_TAKE_PTR(f->manifest);
	if (!m)
		return;
	bh_manifest_events_finish(&m->events);
	free(m->dir);
	free(m->base);
	free(m->query);
	free(m->etag);
	free(m->last_modified);
	free(m);
}

static void failed(struct bh_feed *f, bool passing)
{
	bh_feed_manifest_forget(f);
	bh_feed_fetch_over(f, passing);
}

/* Complete or not there: by rename, with the time of the manifest on it. */
static int write_copy(const char *path, const struct bh_http_result *r, int64_t changed)
{
	char bh_autofree *tmp = bh_xasprintf("%s.new", path);
	const struct timespec at[2] = {{.tv_sec = changed}, {.tv_sec = changed}};
	int bh_autoclose fd =
		open(tmp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return -errno;
	ssize_t n = write(fd, r->body, r->len);
	int err = n < 0 ? -errno : (size_t)n < r->len ? -ENOSPC : 0;
	if (err == 0 && (futimens(fd, at) < 0 || rename(tmp, path) < 0))
		err = -errno;
	if (err < 0)
		unlink(tmp);
	return err;
}

static char *copy_path(const struct bh_manifest *m, const char *uuid)
{
	return bh_xasprintf("%s/%s" SUFFIX, m->dir, uuid);
}

/* Events that the manifest does not name any more, and what a write left behind. */
static void remove_others(const struct bh_manifest *m)
{
	DIR *d = opendir(m->dir);
	for (struct dirent *e; d && (e = readdir(d));) {
		struct bh_manifest_event key = {.uuid = ""};
		size_t n = strlen(e->d_name);
		if (e->d_name[0] == '.')
			continue;
		if (n == BH_UUID_LEN + strlen(SUFFIX) && bh_streq(e->d_name + BH_UUID_LEN, SUFFIX))
			memcpy(key.uuid, e->d_name, BH_UUID_LEN);
		if (!bsearch(&key, m->events.item, m->events.n, sizeof(key), by_uuid))
			unlinkat(dirfd(d), e->d_name, 0);
	}
	if (d)
		closedir(d);
}

static void on_event(const struct bh_http_result *r, void *arg);

static void all_are_there(struct bh_feed *f)
{
	struct bh_manifest *m = f->manifest;
	remove_others(m);
	bh_feed_accept_copies(f, m->dir, m->etag, m->last_modified);
	bh_feed_manifest_forget(f);
	bh_feed_fetch_over(f, false);
}

/* Asks for the next event of which there is no copy as it is now. */
static void next_event(struct bh_feed *f)
{
	struct bh_manifest *m = f->manifest;
	size_t max = bh_feed_max_bytes(&f->conf);
	for (; m->next < m->events.n; m->next++) {
		const struct bh_manifest_event *e = &m->events.item[m->next];
		char bh_autofree *path = copy_path(m, e->uuid);
		struct stat st;
		bool there = stat(path, &st) == 0 && S_ISREG(st.st_mode) &&
			     st.st_mtim.tv_sec == e->changed;
		if (there)
			m->bytes += (size_t)st.st_size;
		if (m->bytes >= max) {
			bh_feed_failed(
				f, "refused: its events are larger than %zu bytes together", max);
			failed(f, false);
			return;
		}
		if (there)
			continue;
		char bh_autofree *url =
			bh_xasprintf("%s%s" SUFFIX "%s", m->base, e->uuid, m->query);
		if (!bh_feed_ask(f, url, false, max - m->bytes, on_event))
			failed(f, false);
		return;
	}
	all_are_there(f);
}

static void on_event(const struct bh_http_result *r, void *arg)
{
	struct bh_feed *f = arg;
	struct bh_manifest *m = f->manifest;
	const struct bh_manifest_event *e = &m->events.item[m->next];
	char bh_autofree *fault = bh_feed_fetch_fault(r);
	char bh_autofree *path = copy_path(m, e->uuid);
	f->request = NULL;
	if (fault) {
		bh_feed_failed(f, "%s: event %s", fault, e->uuid);
		failed(f, bh_feed_fetch_is_passing(r));
		return;
	}
	int err = write_copy(path, r, e->changed);
	if (err < 0) {
		bh_feed_failed(f, "%s cannot be written: %s", path, strerror(-err));
		failed(f, false);
		return;
	}
	m->bytes += r->len;
	m->next++;
	next_event(f);
}

void bh_feed_manifest_take(struct bh_feed *f, const struct bh_http_result *r)
{
	struct bh_manifest *m = f->manifest = bh_xcalloc(1, sizeof(*m));
	const char *wrong = f->keep_path ? bh_manifest_read(r->body, r->len, &m->events)
					 : "cannot be kept: the feed's name is not fit for a file";
	size_t n = path_len(f->conf.url), slash = n;
	while (slash > 0 && f->conf.url[slash - 1] != '/')
		slash--;
	m->dir = bh_xasprintf("%s/%s.events", f->mgr->dir, f->conf.name);
	m->base = bh_xstrndup(f->conf.url, slash);
	m->query = bh_xstrndup(f->conf.url + n, strcspn(f->conf.url + n, "#"));
	m->etag = bh_xstrdup(r->etag);
	m->last_modified = bh_xstrdup(r->last_modified);
	if (wrong) {
		bh_feed_failed(f, "refused: it %s", wrong);
		failed(f, false);
	} else if (mkdir(m->dir, 0700) < 0 && errno != EEXIST) {
		bh_feed_failed(f, "%s cannot be made: %s", m->dir, strerror(errno));
		failed(f, false);
	} else {
		next_event(f);
	}
}
