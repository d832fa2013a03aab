/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Asks the engine about containers, a few at a time. One broken answer concerns its container
 * alone: what was last known of it stays, it is reported and asked about again, with a back-off of
 * its own. The sync ends when everything that was listed has been answered once, well or not.
 */
#include "inventory/docker.h"

#include <errno.h>

static void settled(struct bh_docker_entry *e)
{
	if (e->awaited) {
		e->awaited = false;
		e->docker->awaited--;
	}
}

static void clear_answer(struct bh_docker_entry *e)
{
	bh_container_free(e->answer.container);
	e->answer = (struct bh_docker_container){0};
}

static void recovered(struct bh_docker_entry *e)
{
	struct bh_docker *d = e->docker;
	if (e->failures == 0)
		return;
	e->failures = 0;
	if (--d->failing == 0 && d->phase == BH_DOCKER_LIVE)
		bh_source_say(&d->base, true, "%s", "");
}

static void enqueue(struct bh_docker_entry *e)
{
	struct bh_docker *d = e->docker;
	if (e->queued)
		return;
	if (e->request) {
		e->again = true;
		return;
	}
	e->queued = true;
	e->next = NULL;
	if (d->tail)
		d->tail->next = e;
	else
		d->head = e;
	d->tail = e;
}

static struct bh_docker_entry *dequeue(struct bh_docker *d)
{
	struct bh_docker_entry *e = d->head;
	d->head = e->next;
	if (!d->head)
		d->tail = NULL;
	e->queued = false;
	e->next = NULL;
	return e;
}

void bh_docker_entry_free(void *entry)
{
	struct bh_docker_entry *e = entry;
	bh_http_cancel(e->request);
	bh_container_free(e->good);
	clear_answer(e);
	free(e);
}

struct bh_docker_entry *bh_docker_ask(struct bh_docker *d, const bh_docker_id id)
{
	struct bh_docker_entry *e = bh_idmap_get(&d->entries, id);
	if (!e) {
		e = bh_xcalloc(1, sizeof(*e));
		e->docker = d;
		memcpy(e->id, id, sizeof(e->id));
		bh_idmap_set(&d->entries, id, e);
	}
	enqueue(e);
	return e;
}

void bh_docker_ask_entry(struct bh_docker_entry *e, bool awaited)
{
	if (awaited && !e->awaited && e->docker->phase == BH_DOCKER_SYNCING) {
		e->awaited = true;
		e->docker->awaited++;
	}
	enqueue(e);
}

/* The engine says that it does not run. */
static void gone(struct bh_docker_entry *e)
{
	struct bh_docker *d = e->docker;
	settled(e);
	recovered(e);
	if (e->good && d->phase == BH_DOCKER_LIVE)
		d->base.sink.remove(d->base.sink.arg, e->id);
	if (e->again) {
		e->again = false;
		bh_container_free(BH_TAKE_PTR(e->good));
		enqueue(e);
		return;
	}
	bh_idmap_remove(&d->entries, e->id);
	bh_docker_entry_free(e);
}

static void good(struct bh_docker_entry *e)
{
	struct bh_docker *d = e->docker;
	settled(e);
	recovered(e);
	bh_container_free(e->good);
	e->good = BH_TAKE_PTR(e->answer.container);
	if (d->phase == BH_DOCKER_LIVE)
		d->base.sink.upsert(d->base.sink.arg, bh_container_copy(e->good));
	if (e->again) {
		e->again = false;
		enqueue(e);
	}
}

static void schedule_retry(struct bh_docker *d, uint64_t at)
{
	uint64_t now = uv_now(d->loop), ms = at > now ? at - now : 0;
	if (!uv_is_active((uv_handle_t *)&d->retry) || uv_timer_get_due_in(&d->retry) > ms)
		uv_timer_start(&d->retry, bh_docker_on_retry, ms, 0);
}

static void bad(struct bh_docker_entry *e, const char *why)
{
	struct bh_docker *d = e->docker;
	settled(e);
	if (e->failures++ == 0)
		d->failing++;
	uint64_t ms = bh_docker_backoff(d, e->failures);
	e->again = false;
	e->retry_at = uv_now(d->loop) + ms;
	schedule_retry(d, e->retry_at);
	bh_source_say(&d->base, false, "container %.*s: %s; retrying in %.1f s%s",
		BH_DOCKER_SHORT_ID, e->id, why, (double)ms / 1e3,
		d->failing > 1 ? "; others fail as well" : "");
}

void bh_docker_on_retry(uv_timer_t *t)
{
	struct bh_docker *d = t->data;
	bh_autofree void *list = bh_idmap_values(&d->entries);
	struct bh_docker_entry **e = list;
	uint64_t now = uv_now(d->loop), next = UINT64_MAX;
	for (size_t i = 0; i < d->entries.n; i++) {
		if (e[i]->failures == 0 || e[i]->queued || e[i]->request)
			continue;
		if (e[i]->retry_at <= now)
			enqueue(e[i]);
		else if (e[i]->retry_at < next)
			next = e[i]->retry_at;
	}
	if (next != UINT64_MAX)
		schedule_retry(d, next);
	bh_docker_pump(d);
}

void bh_docker_image_drop(void *image)
{
	bh_docker_image_finish(image);
	free(image);
}

/* Without them its own are not known. */
static bool needs_image_labels(const struct bh_docker_entry *e)
{
	return e->docker->ignore_image_labels ||
	       e->answer.container->labels.n > BH_DOCKER_MAX_LABELS;
}

static bool wants_image_labels(const struct bh_docker_entry *e)
{
	return needs_image_labels(e) || bh_docker_labels_crowded(&e->answer.container->labels);
}

/* All is known that the answer waited for. */
static void settle(struct bh_docker_entry *e, const struct bh_docker_image *image)
{
	struct bh_container *c = e->answer.container;
	struct bh_fault fault;
	bool ignore = e->docker->ignore_image_labels;
	if (bh_docker_settle_labels(&c->labels, &image->labels, ignore, &fault) < 0) {
		clear_answer(e);
		bad(e, fault.text);
		return;
	}
	/* An image that came from no registry is named by its own id, which is a digest too. */
	if (!c->digest && e->answer.image_id[0])
		c->digest = image->digest ? bh_xstrdup(image->digest)
					  : bh_xasprintf("sha256:%s", e->answer.image_id);
	good(e);
}

/* Labels are remembered only where each of its containers needs them, and not beyond measure. */
static void remember(struct bh_docker *d, const char *id, const struct bh_docker_image *image)
{
	if (d->ignore_image_labels && image->labels.n > BH_DOCKER_MAX_LABELS)
		return;
	if (d->images.n >= BH_DOCKER_MAX_IMAGES)
		bh_idmap_finish(&d->images, bh_docker_image_drop);
	struct bh_docker_image *copy = bh_xcalloc(1, sizeof(*copy));
	copy->digest = bh_xstrdup(image->digest);
	if (d->ignore_image_labels)
		bh_labels_copy(&copy->labels, &image->labels);
	void *old = bh_idmap_set(&d->images, id, copy);
	if (old)
		bh_docker_image_drop(old);
}

static void on_image(const struct bh_http_result *r, void *arg)
{
	struct bh_docker_entry *e = arg;
	struct bh_docker *d = e->docker;
	struct bh_fault fault;
	struct bh_docker_image image = {0};
	e->request = NULL;
	d->in_flight--;
	int err = bh_docker_check(r, &fault);
	if (!err)
		err = bh_docker_parse_image(r->body, r->len, &image, &fault);
	/* A failure is not remembered, unless it is that the image was deleted; and not that either
	 * where its labels have to be told from its containers': it may be pulled again. */
	bool known = !err || r->status == 404;
	if (known && !(err && d->ignore_image_labels))
		remember(d, e->answer.image_id, &image);
	if (known || !needs_image_labels(e)) {
		settle(e, &image);
	} else {
		clear_answer(e);
		bad(e, fault.text);
	}
	bh_docker_image_finish(&image);
	bh_docker_pump(d);
}

/* Asks about its image, where that has to be known; else the answer is complete. */
static void ask_image(struct bh_docker_entry *e)
{
	static const struct bh_docker_image nothing;
	struct bh_docker *d = e->docker;
	const char *id = e->answer.image_id;
	bool labels = wants_image_labels(e);
	const struct bh_docker_image *known = bh_idmap_get(&d->images, id);
	if (!id[0] || (e->answer.container->digest && !labels) ||
		(known && (!labels || d->ignore_image_labels))) {
		settle(e, known ? known : &nothing);
		return;
	}
	bh_autofree char *path = bh_xasprintf("/images/%s/json", id);
	int err = bh_docker_get(d, path, bh_docker_image_wanted, on_image, e, &e->request);
	if (!err) {
		d->in_flight++;
	} else if (needs_image_labels(e)) {
		clear_answer(e);
		bad(e, strerror(-err));
	} else {
		settle(e, &nothing);
	}
}

static void on_pod(const struct bh_http_result *r, void *arg)
{
	struct bh_docker_entry *e = arg;
	struct bh_docker *d = e->docker;
	struct bh_fault fault;
	e->request = NULL;
	d->in_flight--;
	int err = bh_docker_check(r, &fault);
	if (!err)
		err = bh_podman_parse_pod(
			r->body, r->len, e->answer.pod, e->answer.container, &fault);
	if (err) {
		clear_answer(e);
		bad(e, fault.text);
	} else {
		ask_image(e); /* a pod has none: its labels are its own */
	}
	bh_docker_pump(d);
}

/* True: the answer waits for it, or is no good without. */
static bool ask_pod(struct bh_docker_entry *e)
{
	struct bh_docker *d = e->docker;
	if (!e->answer.pod[0])
		return false;
	bh_autofree char *path =
		bh_xasprintf("%s/pods/%s/json", d->engine->containers, e->answer.pod);
	int err = bh_docker_get(d, path, bh_docker_pod_wanted, on_pod, e, &e->request);
	if (!err) {
		d->in_flight++;
		return true;
	}
	clear_answer(e);
	bad(e, strerror(-err));
	return true;
}

static void on_inspect(const struct bh_http_result *r, void *arg)
{
	struct bh_docker_entry *e = arg;
	struct bh_docker *d = e->docker;
	struct bh_fault fault;
	e->request = NULL;
	d->in_flight--;
	int err = bh_docker_check(r, &fault);
	if (!err)
		err = bh_docker_parse_container(
			r->body, r->len, d->engine->kind, e->id, &e->answer, &fault);
	if (err && r->status == 404)
		gone(e);
	else if (err)
		bad(e, fault.text);
	else if (!e->answer.container)
		gone(e);
	else if (!ask_pod(e))
		ask_image(e);
	bh_docker_pump(d);
}

/* Every listed container has been answered once: the complete list. */
static void end_sync(struct bh_docker *d)
{
	bh_autofree void *list = bh_idmap_values(&d->entries);
	struct bh_docker_entry **e = list;
	bh_autofree struct bh_container **c = bh_xcalloc(d->entries.n, sizeof(*c));
	size_t n = 0;
	for (size_t i = 0; i < d->entries.n; i++) {
		if (e[i]->good)
			c[n++] = bh_container_copy(e[i]->good);
	}
	d->phase = BH_DOCKER_LIVE;
	d->live_since = uv_now(d->loop);
	d->base.sink.sync(d->base.sink.arg, c, n);
	if (d->failing == 0)
		bh_source_say(&d->base, true, "%s", "");
	if (d->list_again) {
		uv_timer_stop(&d->refresh);
		d->base.ops->reload(&d->base);
	}
}

void bh_docker_pump(struct bh_docker *d)
{
	if (d->phase < BH_DOCKER_SYNCING)
		return;
	while (d->head && d->in_flight < BH_DOCKER_IN_FLIGHT) {
		struct bh_docker_entry *e = dequeue(d);
		bh_autofree char *path =
			bh_xasprintf("%s/containers/%s/json", d->engine->containers, e->id);
		int err = bh_docker_get(
			d, path, bh_docker_container_wanted, on_inspect, e, &e->request);
		if (err)
			bad(e, strerror(-err));
		else
			d->in_flight++;
	}
	if (d->phase == BH_DOCKER_SYNCING && d->awaited == 0)
		end_sync(d);
}

void bh_docker_stop_asking(struct bh_docker *d)
{
	bh_autofree void *list = bh_idmap_values(&d->entries);
	struct bh_docker_entry **e = list;
	for (size_t i = 0; i < d->entries.n; i++) {
		bh_http_cancel(BH_TAKE_PTR(e[i]->request));
		clear_answer(e[i]);
		e[i]->queued = e[i]->again = e[i]->awaited = false;
		e[i]->next = NULL;
		e[i]->failures = 0;
	}
	d->head = d->tail = NULL;
	d->in_flight = 0;
	d->awaited = d->failing = 0;
	uv_timer_stop(&d->retry);
}
