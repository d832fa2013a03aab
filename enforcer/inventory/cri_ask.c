/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Asks the runtime about pods and images, a few at a time. One broken answer concerns its pod
 * alone: what was last known of it stays, it is reported and asked about again, with a back-off of
 * its own. The sync ends when everything that it waits for has been answered once, well or not.
 */
#include "inventory/cri.h"

#include <errno.h>

static void settled(struct bh_cri_item *i)
{
	if (i->awaited) {
		i->awaited = false;
		i->cri->awaited--;
	}
}

static void recovered(struct bh_cri_item *i)
{
	struct bh_cri *d = i->cri;
	if (i->failures == 0)
		return;
	i->failures = 0;
	if (--d->failing == 0 && d->phase == BH_CRI_LIVE)
		bh_source_say(&d->base, true, "%s", "");
}

static struct bh_cri_item *item_new(struct bh_cri *d, struct bh_idmap *map, const char *id)
{
	struct bh_cri_item *i = bh_xcalloc(1, sizeof(*i));
	i->cri = d;
	i->id = bh_xstrdup(id);
	i->is_image = map == &d->images;
	bh_idmap_set(map, id, i);
	return i;
}

struct bh_cri_item *bh_cri_pod_new(struct bh_cri *d, const char *id)
{
	return item_new(d, &d->pods, id);
}

struct bh_cri_item *bh_cri_image_new(struct bh_cri *d, const char *ref)
{
	return item_new(d, &d->images, ref);
}

void bh_cri_ask(struct bh_cri_item *i)
{
	struct bh_cri *d = i->cri;
	if (d->phase == BH_CRI_SYNCING && !i->awaited) {
		i->awaited = true;
		d->awaited++;
	}
	if (i->queued || i->call)
		return;
	i->queued = true;
	i->next = NULL;
	if (d->tail)
		d->tail->next = i;
	else
		d->head = i;
	d->tail = i;
}

static void unqueue(struct bh_cri_item *i)
{
	struct bh_cri *d = i->cri;
	struct bh_cri_item **at = &d->head, *before = NULL;
	while (*at != i) {
		before = *at;
		at = &before->next;
	}
	*at = i->next;
	if (d->tail == i)
		d->tail = before;
	i->next = NULL;
	i->queued = false;
}

static void free_ports(struct bh_cri_item *i)
{
	for (size_t k = 0; k < i->n_ports; k++)
		free(i->port[k].name);
	free(i->port);
}

void bh_cri_item_free(void *item)
{
	struct bh_cri_item *i = item;
	bh_grpc_cancel(i->call);
	bh_container_free(i->said);
	bh_container_free(i->told);
	bh_cri_forget_runs(i);
	free_ports(i);
	free(i->what.name);
	free(i->what.digest);
	free(i->id);
	free(i);
}

void bh_cri_item_drop(struct bh_cri_item *i)
{
	struct bh_cri *d = i->cri;
	settled(i);
	recovered(i);
	if (i->queued)
		unqueue(i);
	if (i->call)
		d->in_flight--;
	bh_idmap_remove(i->is_image ? &d->images : &d->pods, i->id);
	bh_cri_item_free(i);
}

static void schedule_retry(struct bh_cri *d, uint64_t at)
{
	uint64_t now = uv_now(d->loop), ms = at > now ? at - now : 0;
	if (!uv_is_active((uv_handle_t *)&d->retry) || uv_timer_get_due_in(&d->retry) > ms)
		uv_timer_start(&d->retry, bh_cri_on_retry, ms, 0);
}

static void bad(struct bh_cri_item *i, const char *why)
{
	struct bh_cri *d = i->cri;
	settled(i);
	if (i->failures++ == 0)
		d->failing++;
	uint64_t ms = bh_reply_backoff(d->timing.retry, d->timing.retry_max, i->failures);
	i->retry_at = uv_now(d->loop) + ms;
	schedule_retry(d, i->retry_at);
	bh_source_say(&d->base, false, "%s %.*s: %s; retrying in %.1f s%s",
		i->is_image ? "image" : "pod", i->is_image ? 80 : BH_REPLY_SHORT_ID, i->id, why,
		(double)ms / 1e3, d->failing > 1 ? "; others fail as well" : "");
}

static uint64_t retry_items(struct bh_cri *d, struct bh_idmap *map)
{
	bh_autofree void *list = bh_idmap_values(map);
	struct bh_cri_item **i = list;
	uint64_t now = uv_now(d->loop), next = UINT64_MAX;
	for (size_t k = 0; k < map->n; k++) {
		if (i[k]->failures == 0 || i[k]->queued || i[k]->call)
			continue;
		if (i[k]->retry_at <= now)
			bh_cri_ask(i[k]);
		else if (i[k]->retry_at < next)
			next = i[k]->retry_at;
	}
	return next;
}

void bh_cri_on_retry(uv_timer_t *t)
{
	struct bh_cri *d = t->data;
	uint64_t pods = retry_items(d, &d->pods), images = retry_items(d, &d->images);
	uint64_t next = pods < images ? pods : images;
	if (next != UINT64_MAX)
		schedule_retry(d, next);
	bh_cri_pump(d);
}

static bool is_gone(const struct bh_grpc_result *r)
{
	return r->err == -EREMOTEIO && r->status == BH_GRPC_NOT_FOUND;
}

static void on_pod(const struct bh_grpc_result *r, void *arg)
{
	struct bh_cri_item *i = arg;
	struct bh_cri *d = i->cri;
	struct bh_container *c = NULL;
	struct bh_fault fault;
	i->call = NULL;
	d->in_flight--;
	int err = is_gone(r) ? 0 : bh_cri_check(r, &fault);
	if (!err && !is_gone(r))
		err = bh_cri_parse_pod(r->answer, r->len, i->id, &c, &fault);
	if (err) {
		bad(i, fault.text);
	} else if (!c) {
		/* The next list says the same, or asks about it again. */
		if (i->told && d->phase == BH_CRI_LIVE)
			d->base.sink.remove(d->base.sink.arg, i->id);
		bh_cri_item_drop(i);
	} else {
		settled(i);
		recovered(i);
		c->runtime = bh_xstrdup(d->runtime);
		bh_container_free(i->said);
		i->said = c;
		bh_cri_tell(i);
	}
	bh_cri_pump(d);
}

static void on_image(const struct bh_grpc_result *r, void *arg)
{
	struct bh_cri_item *i = arg;
	struct bh_cri *d = i->cri;
	struct bh_cri_image what = {0};
	struct bh_fault fault;
	i->call = NULL;
	d->in_flight--;
	int err = is_gone(r) ? 0 : bh_cri_check(r, &fault);
	if (!err && !is_gone(r))
		err = bh_cri_parse_image(r->answer, r->len, &what, &fault);
	if (err) {
		bad(i, fault.text);
	} else {
		settled(i);
		recovered(i);
		free(i->what.name);
		free(i->what.digest);
		i->what = what;
		i->known = true;
		bh_cri_tell_image(i);
	}
	bh_cri_pump(d);
}

static int start_call(struct bh_cri_item *i)
{
	struct bh_cri *d = i->cri;
	bh_autobuf struct bh_buf b = {0};
	struct bh_grpc_opts o = bh_cri_opts(d,
		i->is_image ? "/runtime.v1.ImageService/ImageStatus"
			    : "/runtime.v1.RuntimeService/PodSandboxStatus",
		BH_CRI_MAX_STATUS);
	if (i->is_image)
		bh_cri_write_image(&b, i->id);
	else
		bh_cri_write_pod(&b, i->id);
	o.message = b.s;
	o.len = b.len;
	return bh_grpc_call(d->http, &o, i->is_image ? on_image : on_pod, i, &i->call);
}

void bh_cri_pump(struct bh_cri *d)
{
	if (d->phase < BH_CRI_SYNCING)
		return;
	while (d->head && d->in_flight < BH_CRI_IN_FLIGHT) {
		struct bh_cri_item *i = d->head;
		unqueue(i);
		int err = start_call(i);
		if (err)
			bad(i, strerror(-err));
		else
			d->in_flight++;
	}
	if (d->phase == BH_CRI_SYNCING && d->awaited == 0)
		bh_cri_end_sync(d);
}

static void stop_items(struct bh_idmap *map)
{
	bh_autofree void *list = bh_idmap_values(map);
	struct bh_cri_item **i = list;
	for (size_t k = 0; k < map->n; k++) {
		bh_grpc_cancel(BH_TAKE_PTR(i[k]->call));
		i[k]->queued = i[k]->awaited = false;
		i[k]->next = NULL;
		i[k]->failures = 0;
	}
}

void bh_cri_stop_asking(struct bh_cri *d)
{
	stop_items(&d->pods);
	stop_items(&d->images);
	d->head = d->tail = NULL;
	d->in_flight = 0;
	d->awaited = d->failing = 0;
	uv_timer_stop(&d->retry);
}
