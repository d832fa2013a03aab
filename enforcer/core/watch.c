/* SPDX-License-Identifier: GPL-3.0-or-later */
/* See watch.h. Editors write, rename and chmod in quick succession: hence the debounce. */
#include "core/watch.h"

#include <bulkhead/util.h>
#include <errno.h>
#include <sys/stat.h>

#define DEBOUNCE_MS 200
#define PATIENCE_MS 1000 /* what changes all the time must not wait for ever */

struct bh_watch {
	uv_fs_event_t event;
	uv_timer_t timer;
	void (*fn)(void *arg);
	void *arg;
	char *dir, *name;
	dev_t dev; /* of the directory that is watched, not of what has its name by now */
	ino_t ino;
	uint64_t since; /* the loop's time of the first event that waits */
	int open_handles;
};

static void on_timer(uv_timer_t *t)
{
	struct bh_watch *w = t->data;
	w->fn(w->arg);
}

static void on_event(uv_fs_event_t *e, const char *name, int events BH_UNUSED, int status)
{
	struct bh_watch *w = e->data;
	if (status < 0 || (name && (w->name ? strcmp(name, w->name) != 0 : name[0] == '.')))
		return;
	uint64_t now = uv_now(e->loop);
	if (!uv_is_active((uv_handle_t *)&w->timer))
		w->since = now;
	else if (now - w->since >= PATIENCE_MS)
		return;
	uv_timer_start(&w->timer, on_timer, DEBOUNCE_MS, 0);
}

static void on_close(uv_handle_t *h)
{
	struct bh_watch *w = h->data;
	if (--w->open_handles > 0)
		return;
	free(w->dir);
	free(w->name);
	free(w);
}

int bh_watch_dir(uv_loop_t *loop, const char *dir, const char *name, void (*fn)(void *arg),
	void *arg, struct bh_watch **ret)
{
	struct bh_watch *w = bh_xcalloc(1, sizeof(*w));
	w->fn = fn;
	w->arg = arg;
	w->dir = bh_xstrdup(dir);
	w->name = bh_xstrdup(name);
	uv_fs_event_init(loop, &w->event);
	uv_timer_init(loop, &w->timer);
	w->event.data = w->timer.data = w;
	w->open_handles = 2;
	struct stat st;
	int r = stat(dir, &st) < 0 ? -errno : uv_fs_event_start(&w->event, on_event, dir, 0);
	if (r == 0) { /* replaced in between: it is found out by bh_watch_is_stale() */
		w->dev = st.st_dev;
		w->ino = st.st_ino;
	}
	if (r < 0) {
		bh_watch_free(w);
		return r;
	}
	*ret = w;
	return 0;
}

bool bh_watch_is_stale(const struct bh_watch *w)
{
	struct stat st;
	return stat(w->dir, &st) < 0 || st.st_dev != w->dev || st.st_ino != w->ino;
}

void bh_watch_free(struct bh_watch *w)
{
	if (!w)
		return;
	uv_close((uv_handle_t *)&w->event, on_close);
	uv_close((uv_handle_t *)&w->timer, on_close);
}
