/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Listens to the sources and to the kernel's notices about links and addresses, and tells its user
 * that there is something new. What is behind a container's namespace is cached until its source
 * speaks of it or a notice comes; notices do not say whom they concern, so one makes all stale.
 *
 * A container may change its own addresses as often as it likes. Notices are therefore not even
 * read while a change is being gathered, and the time of gathering grows with the cost of building,
 * so that no container can keep the daemon busy.
 */
#include <errno.h>

#include "inventory/manager.h"

static void stale_all(struct bh_inventory_mgr *m)
{
	m->all_stale = m->host_stale = true;
	for (size_t i = 0; i < m->n_sources; i++) {
		struct bh_idmap *records = &m->source[i]->records;
		for (size_t j = 0; j < records->n_buckets; j++) {
			for (struct bh_idmap_slot *s = records->bucket[j]; s; s = s->next)
				((struct bh_record *)s->value)->stale = true;
		}
	}
}

static void poll_start(struct bh_inventory_mgr *m);

static void on_gathered(uv_timer_t *t)
{
	struct bh_inventory_mgr *m = t->data;
	m->pending_since = 0;
	if (!m->polling) {
		if (bh_link_watch_drain(m->link) != 0)
			stale_all(m);
		poll_start(m);
	}
	m->fn(m->arg);
}

static void changed(struct bh_inventory_mgr *m)
{
	uint64_t now = uv_now(m->loop), delay = BH_MGR_DELAY_MS;
	if (delay < m->cost_ms * 2)
		delay = m->cost_ms < 250 ? m->cost_ms * 2 : 500;
	uint64_t most = delay * (BH_MGR_DELAY_MAX_MS / BH_MGR_DELAY_MS);
	if (!m->pending_since)
		m->pending_since = now ? now : 1;
	uint64_t passed = now - m->pending_since;
	uint64_t left = passed < most ? most - passed : 0;
	uv_timer_start(&m->gather, on_gathered, delay < left ? delay : left, 0);
}

static void on_notice(uv_poll_t *p, int status, int events)
{
	struct bh_inventory_mgr *m = p->data;
	(void)events;
	if (status == 0 && bh_link_watch_drain(m->link) == 0)
		return;
	/* Something changed, or nobody knows. */
	uv_poll_stop(&m->poll);
	m->polling = false;
	stale_all(m);
	changed(m);
}

static void poll_start(struct bh_inventory_mgr *m)
{
	m->polling = uv_poll_start(&m->poll, UV_READABLE, on_notice) == 0;
}

/* Those that failed are tried again. True: the result is another. */
static bool retry_record(struct bh_inventory_mgr *m, struct bh_record *r)
{
	r->stale = true;
	bool news = bh_record_refresh(m, r);
	if (bh_record_failing(r) && !r->persists &&
		uv_now(m->loop) - r->failing_since >= BH_MGR_PERSISTS_MS) {
		r->persists = true;
		news = true;
	}
	if (news)
		bh_mgr_mark(m, r->container->id);
	return news;
}

/* A notice may be lost, and a namespace without links gives none. */
static bool sweep_record(struct bh_inventory_mgr *m, struct bh_record *r)
{
	if (r->stale || !bh_record_moved(r))
		return false;
	r->stale = true;
	bh_mgr_mark(m, r->container->id);
	return true;
}

static void on_tick(uv_timer_t *t)
{
	struct bh_inventory_mgr *m = t->data;
	bool news = m->host_failed, sweep = ++m->ticks % BH_MGR_SWEEP_TICKS == 0;
	for (size_t i = 0; i < m->n_sources; i++) {
		bh_autofree void *list = bh_idmap_values(&m->source[i]->records);
		struct bh_record **r = list;
		for (size_t j = 0; j < m->source[i]->records.n; j++) {
			if (bh_record_failing(r[j]))
				news |= retry_record(m, r[j]);
			else if (sweep && !r[j]->err)
				news |= sweep_record(m, r[j]);
		}
	}
	m->host_stale |= sweep;
	if (news)
		changed(m);
}

static size_t index_of(const struct bh_mgr_source *s)
{
	size_t i = 0;
	while (s->mgr->source[i] != s)
		i++;
	return i;
}

static void put(struct bh_mgr_source *s, struct bh_idmap *to, struct bh_container *c)
{
	struct bh_record *r = bh_record_new(c, index_of(s));
	struct bh_record *old = bh_idmap_get(&s->records, c->id);
	if (old)
		bh_record_inherit(r, old);
	bh_record_free(bh_idmap_set(to, c->id, r));
	bh_mgr_mark(s->mgr, c->id);
}

static void sink_sync(void *arg, struct bh_container **c, size_t n)
{
	struct bh_mgr_source *s = arg;
	struct bh_idmap records = {0};
	for (size_t i = 0; i < n; i++)
		put(s, &records, c[i]);
	for (size_t i = 0; i < s->records.n_buckets; i++) {
		for (struct bh_idmap_slot *k = s->records.bucket[i]; k; k = k->next)
			bh_mgr_mark(s->mgr, k->key);
	}
	bh_idmap_finish(&s->records, bh_record_free);
	s->records = records;
	s->synced = true;
	changed(s->mgr);
}

static void sink_upsert(void *arg, struct bh_container *c)
{
	struct bh_mgr_source *s = arg;
	put(s, &s->records, c);
	changed(s->mgr);
}

static void sink_remove(void *arg, const char *id)
{
	struct bh_mgr_source *s = arg;
	struct bh_record *r = bh_idmap_remove(&s->records, id);
	if (r) {
		bh_mgr_mark(s->mgr, r->container->id);
		changed(s->mgr);
	}
	bh_record_free(r);
}

static void sink_state(void *arg, bool ok, const char *message)
{
	struct bh_mgr_source *s = arg;
	s->ok = ok;
	free(s->message);
	s->message = bh_xstrdup(ok ? "" : message);
}

int bh_inventory_mgr_new(uv_loop_t *loop, struct bh_link *link, bh_inventory_changed_fn fn,
	void *arg, struct bh_inventory_mgr **ret)
{
	struct bh_inventory_mgr *m = bh_xcalloc(1, sizeof(*m));
	int fd = bh_link_watch_fd(link);
	int err = fd < 0 ? fd : uv_poll_init(loop, &m->poll, fd);
	if (err) {
		free(m);
		return err;
	}
	m->loop = loop;
	m->link = link;
	m->fn = fn;
	m->arg = arg;
	uv_timer_init(loop, &m->gather);
	uv_timer_init(loop, &m->tick);
	m->gather.data = m->tick.data = m->poll.data = m;
	m->handles = 3;
	m->host_stale = m->settings_changed = true;
	poll_start(m);
	uv_timer_start(&m->tick, on_tick, BH_MGR_TICK_MS, BH_MGR_TICK_MS);
	changed(m); /* the node itself is news, even without any source */
	*ret = m;
	return 0;
}

void bh_inventory_mgr_add(struct bh_inventory_mgr *m, struct bh_source *source)
{
	struct bh_mgr_source *s = bh_xcalloc(1, sizeof(*s));
	s->mgr = m;
	s->source = source;
	s->message = bh_xstrdup("has not answered yet");
	BH_GROW(m->source, m->n_sources, m->cap_sources);
	m->source[m->n_sources++] = s;
	source->sink = (struct bh_source_sink){
		.arg = s,
		.sync = sink_sync,
		.upsert = sink_upsert,
		.remove = sink_remove,
		.state = sink_state,
	};
	source->ops->start(source);
}

void bh_inventory_mgr_reload(struct bh_inventory_mgr *m)
{
	for (size_t i = 0; i < m->n_sources; i++)
		m->source[i]->source->ops->reload(m->source[i]->source);
	stale_all(m);
	m->settings_changed = true;
	changed(m);
}

void bh_inventory_mgr_settings_changed(struct bh_inventory_mgr *m)
{
	m->settings_changed = true;
}

bool bh_inventory_mgr_synced(const struct bh_inventory_mgr *m)
{
	for (size_t i = 0; i < m->n_sources; i++) {
		if (!m->source[i]->synced)
			return false;
	}
	return true;
}

size_t bh_inventory_mgr_sources(
	const struct bh_inventory_mgr *m, struct bh_source_status *ret, size_t max)
{
	for (size_t i = 0; i < m->n_sources && i < max; i++) {
		const struct bh_mgr_source *s = m->source[i];
		ret[i] = (struct bh_source_status){
			.name = s->source->name,
			.synced = s->synced,
			.ok = s->ok,
			.message = s->message,
			.n_containers = s->records.n,
		};
	}
	return m->n_sources < max ? m->n_sources : max;
}

static void on_closed(uv_handle_t *h)
{
	struct bh_inventory_mgr *m = h->data;
	if (--m->handles == 0)
		free(m);
}

void bh_inventory_mgr_free(struct bh_inventory_mgr *m)
{
	if (!m)
		return;
	for (size_t i = 0; i < m->n_sources; i++) {
		struct bh_mgr_source *s = m->source[i];
		s->source->ops->free(s->source);
		bh_idmap_finish(&s->records, bh_record_free);
		free(s->message);
		free(s);
	}
	free(m->source);
	bh_mgr_spaces_finish(m);
	free(m->attached);
	free(m->network);
	free(m->host);
	uv_close((uv_handle_t *)&m->gather, on_closed);
	uv_close((uv_handle_t *)&m->tick, on_closed);
	uv_close((uv_handle_t *)&m->poll, on_closed);
}
