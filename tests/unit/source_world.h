/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A source under test: its loop, and a sink that keeps what it was told. Include after cmocka. */
#pragma once

#include "inventory/idmap.h"
#include "inventory/inventory.h"

struct source_world {
	uv_loop_t loop;
	uv_timer_t beat, stop;
	char path[64];
	struct bh_http *http;
	struct bh_source *source;
	struct bh_idmap seen; /* what the sink was told */
	unsigned syncs, upserts, removes;
	bool told, ok;
	char message[600];
	char all[8000]; /* every message that was not ok */
};

static void free_container(void *c)
{
	bh_container_free(c);
}

static void on_sync(void *arg, struct bh_container **c, size_t n)
{
	struct source_world *w = arg;
	w->syncs++;
	bh_idmap_finish(&w->seen, free_container);
	for (size_t i = 0; i < n; i++)
		assert_null(bh_idmap_set(&w->seen, c[i]->id, c[i]));
}

static void on_upsert(void *arg, struct bh_container *c)
{
	struct source_world *w = arg;
	assert_true(w->syncs > 0); /* never before the list */
	w->upserts++;
	bh_container_free(bh_idmap_set(&w->seen, c->id, c));
}

static void on_remove(void *arg, const char *id)
{
	struct source_world *w = arg;
	w->removes++;
	bh_container_free(bh_idmap_remove(&w->seen, id));
}

static void on_state(void *arg, bool ok, const char *message)
{
	struct source_world *w = arg;
	w->told = true;
	w->ok = ok;
	snprintf(w->message, sizeof(w->message), "%s", message);
	if (!ok)
		snprintf(w->all + strlen(w->all), sizeof(w->all) - strlen(w->all), "%s\n", message);
}

static void on_beat(uv_timer_t *t)
{
	(void)t;
}

static void on_stop(uv_timer_t *t)
{
	*(bool *)t->data = true;
}

static void run_for(struct source_world *w, unsigned ms)
{
	bool over = false;
	w->stop.data = &over;
	uv_timer_start(&w->stop, on_stop, ms, 0);
	while (!over)
		uv_run(&w->loop, UV_RUN_ONCE);
}

#define UNTIL(w, cond)                                                                             \
	do {                                                                                       \
		bool over_ = false;                                                                \
		(w)->stop.data = &over_;                                                           \
		uv_timer_start(&(w)->stop, on_stop, 5000, 0);                                      \
		while (!(cond)) {                                                                  \
			uv_run(&(w)->loop, UV_RUN_ONCE);                                           \
			if (over_)                                                                 \
				fail_msg("never: %s; state: %s", #cond, (w)->message);             \
		}                                                                                  \
		uv_timer_stop(&(w)->stop);                                                         \
	} while (0)

static void source_world_open(struct source_world *w, const char *name)
{
	uv_loop_init(&w->loop);
	uv_timer_init(&w->loop, &w->beat);
	uv_timer_init(&w->loop, &w->stop);
	uv_timer_start(&w->beat, on_beat, 2, 2);
	snprintf(w->path, sizeof(w->path), "/tmp/bh-test-%s-%d.sock", name, (int)getpid());
	assert_int_equal(bh_http_open(&w->loop, &w->http), 0);
}

/* Takes the source; it is not started. */
static void source_world_listen(struct source_world *w, struct bh_source *source)
{
	w->source = source;
	w->source->sink = (struct bh_source_sink){
		.arg = w,
		.sync = on_sync,
		.upsert = on_upsert,
		.remove = on_remove,
		.state = on_state,
	};
}

/* What else is on the loop is closed by now; its memory goes here. */
static void source_world_close(struct source_world *w)
{
	uv_close((uv_handle_t *)&w->beat, NULL);
	uv_close((uv_handle_t *)&w->stop, NULL);
	uv_run(&w->loop, UV_RUN_DEFAULT);
	assert_int_equal(uv_loop_close(&w->loop), 0);
	bh_idmap_finish(&w->seen, free_container);
	unlink(w->path);
}
