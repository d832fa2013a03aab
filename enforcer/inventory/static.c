/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The static source: reads its file at the start, on reload and when it changes. The directory is
 * watched, so that a file replaced by rename is seen; a look at the file every two seconds covers
 * what inotify does not tell (links into other directories, a directory that came later).
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include <bulkhead/doc.h>

#include "inventory/inventory.h"

#define DEBOUNCE_MS 100
#define DEBOUNCE_MAX_MS 1000 /* however busy the directory is */
#define LOOK_MS 2000
#define MAX_MESSAGE 8192

struct static_source {
	struct bh_source base;
	uv_loop_t *loop;
	char *path, *dir;
	uv_fs_event_t event;
	uv_timer_t debounce, look;
	unsigned handles;
	bool watching;
	uint64_t changed_at; /* loop time of the first change not yet read; 0 = none */
	struct stat seen; /* zero if it could not be read */
	uint64_t hash; /* of the text last read */
	bool read_once; /* hash counts */
};

static int read_file(const char *path, struct stat *ret_st, struct bh_buf *ret)
{
	bh_autoclose int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd < 0 || fstat(fd, ret_st) < 0)
		return -errno;
	if (!S_ISREG(ret_st->st_mode))
		return -EINVAL;
	char chunk[65536];
	ssize_t n;
	/* One byte more than allowed lets the parser say that it is too long. */
	while (ret->len <= bh_doc_default_limits.max_bytes) {
		n = read(fd, chunk, sizeof(chunk));
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			return 0;
		bh_buf_add(ret, chunk, (size_t)n);
	}
	return 0;
}

static void say(struct static_source *s, bool ok, const char *message)
{
	s->base.sink.state(s->base.sink.arg, ok, message);
}

static void say_unreadable(struct static_source *s, int err)
{
	bh_autofree char *m = bh_xasprintf(
		"%s: cannot read it: %s; the last good list stays in force; it is looked for every "
		"%d s",
		s->base.name, err == -EINVAL ? "not a regular file" : strerror(-err),
		LOOK_MS / 1000);
	say(s, false, m);
}

/* The first line of every diagnostic. */
static void say_broken(struct static_source *s, struct bh_diags *diags)
{
	bh_autobuf struct bh_buf all = {0};
	bh_buf_printf(&all, "%s: %zu error%s; the last good list stays in force", s->base.name,
		diags->n_errors, diags->n_errors == 1 ? "" : "s");
	bh_diags_sort(diags);
	for (size_t i = 0; i < diags->n && all.len < MAX_MESSAGE; i++) {
		bh_autobuf struct bh_buf one = {0};
		bh_diag_format(&diags->item[i], &one);
		bh_buf_str(&all, "\n");
		if (one.s)
			bh_buf_add(&all, one.s, strcspn(one.s, "\n"));
	}
	say(s, false, all.s);
}

static void take_text(struct static_source *s, const struct bh_buf *text)
{
	bh_autodiags struct bh_diags diags = {0};
	struct bh_container **c = NULL;
	size_t n = 0;
	int err = bh_static_parse(s->path, text->s ? text->s : "", text->len, &diags, &c, &n);
	if (err) {
		say_broken(s, &diags);
		return;
	}
	s->base.sink.sync(s->base.sink.arg, c, n);
	free(c);
	say(s, true, "");
}

/* `anyway`: although nothing changed. */
static void read_again(struct static_source *s, bool anyway)
{
	bh_autobuf struct bh_buf text = {0};
	struct stat st;
	s->changed_at = 0;
	int err = read_file(s->path, &st, &text);
	if (err) {
		s->seen = (struct stat){0};
		s->read_once = false;
		say_unreadable(s, err);
		return;
	}
	s->seen = st;
	uint64_t hash = bh_hash(text.s, text.len, BH_HASH_SEED);
	if (s->read_once && hash == s->hash && !anyway)
		return;
	s->hash = hash;
	s->read_once = true;
	take_text(s, &text);
}

static void on_debounce(uv_timer_t *t)
{
	read_again(t->data, false);
}

static void on_event(uv_fs_event_t *e, const char *name BH_UNUSED, int events BH_UNUSED, int status)
{
	struct static_source *s = e->data;
	uint64_t now = uv_now(s->loop);
	if (status < 0)
		return;
	if (s->changed_at == 0)
		s->changed_at = now;
	else if (now - s->changed_at > DEBOUNCE_MAX_MS)
		return; /* the timer runs; it is not put off any further */
	uv_timer_start(&s->debounce, on_debounce, DEBOUNCE_MS, 0);
}

static bool same_file(const struct stat *a, const struct stat *b)
{
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino && a->st_size == b->st_size &&
	       a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

static void watch(struct static_source *s)
{
	s->watching = uv_fs_event_start(&s->event, on_event, s->dir, 0) == 0;
}

static void on_look(uv_timer_t *t)
{
	struct static_source *s = t->data;
	struct stat st = {0};
	if (!s->watching)
		watch(s);
	if (stat(s->path, &st) < 0)
		st = (struct stat){0};
	if (!same_file(&st, &s->seen))
		read_again(s, false);
}

static void source_start(struct bh_source *base)
{
	struct static_source *s = (struct static_source *)base;
	watch(s); /* before reading, so that no change falls in between */
	uv_timer_start(&s->look, on_look, LOOK_MS, LOOK_MS);
	read_again(s, true);
}

static void source_reload(struct bh_source *base)
{
	read_again((struct static_source *)base, true);
}

static void on_closed(uv_handle_t *h)
{
	struct static_source *s = h->data;
	if (--s->handles == 0)
		free(s);
}

static void source_free(struct bh_source *base)
{
	struct static_source *s = (struct static_source *)base;
	free(s->path);
	free(s->dir);
	free(s->base.name);
	uv_close((uv_handle_t *)&s->event, on_closed);
	uv_close((uv_handle_t *)&s->debounce, on_closed);
	uv_close((uv_handle_t *)&s->look, on_closed);
}

static const struct bh_source_ops static_ops = {
	.kind = "static",
	.rank = BH_RANK_STATIC,
	.start = source_start,
	.reload = source_reload,
	.free = source_free,
};

static char *directory_of(const char *path)
{
	const char *slash = strrchr(path, '/');
	if (!slash)
		return bh_xstrdup(".");
	return slash == path ? bh_xstrdup("/") : bh_xstrndup(path, (size_t)(slash - path));
}

struct bh_source *bh_source_static_new(uv_loop_t *loop, const char *path)
{
	struct static_source *s = bh_xcalloc(1, sizeof(*s));
	s->base.ops = &static_ops;
	s->base.name = bh_xasprintf("static %s", path);
	s->loop = loop;
	s->path = bh_xstrdup(path);
	s->dir = directory_of(path);
	uv_fs_event_init(loop, &s->event);
	uv_timer_init(loop, &s->debounce);
	uv_timer_init(loop, &s->look);
	s->event.data = s->debounce.data = s->look.data = s;
	s->handles = 3;
	return &s->base;
}
