/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Listens to the sources, and tells its user at once that there is something new. What is behind a
 * container's namespace is cached until its source speaks of it (here), a notice of the kernel does
 * (heard.c), or its turn comes (walk.c).
 */
#include "inventory/manager.h"

static void on_tell(uv_timer_t *t)
{
	struct bh_inventory_mgr *m = t->data;
	m->fn(m->arg);
}

/* A source that says much at once is not told of piece by piece. */
void bh_mgr_tell(struct bh_inventory_mgr *m)
{
	if (!uv_is_active((uv_handle_t *)&m->tell))
		uv_timer_start(&m->tell, on_tell, 0, 0);
}

/* Those that failed are tried again. True: the result is another. */
static bool retry(struct bh_inventory_mgr *m, struct bh_mgr_id *id)
{
	struct bh_record *r = bh_mgr_record(m, id);
	if (!r || !bh_record_failing(r))
		return false;
	bool news = bh_mgr_inspect(m, id);
	if (bh_record_failing(r) && !r->persists &&
		uv_now(m->loop) - r->failing_since >= BH_MGR_PERSISTS_MS) {
		r->persists = true;
		bh_mgr_mark(m, id->id);
		return true;
	}
	return news;
}

static void on_tick(uv_timer_t *t)
{
	struct bh_inventory_mgr *m = t->data;
	struct bh_mgr_id *id = m->ring;
	bool news = false;
	for (size_t i = 0; i < m->ids.n; i++, id = id->next)
		news |= retry(m, id);
	m->host_anew |= ++m->ticks % BH_MGR_SWEEP_TICKS == 0;
	if (m->host_anew || m->host_failed)
		news |= bh_mgr_host_look(m);
	if (news)
		bh_mgr_tell(m);
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
	struct bh_record *r = bh_record_new(c, s->source->ops->rank, index_of(s));
	struct bh_record *old = bh_idmap_get(&s->records, c->id);
	if (old)
		bh_record_inherit(r, old);
	bh_record_free(bh_idmap_set(to, c->id, r));
	bh_mgr_mark(s->mgr, c->id);
}

/* Says the same of a container as before: then notices tell whatever else there is to tell. */
static bool keep(struct bh_mgr_source *s, struct bh_idmap *to, struct bh_container *c)
{
	struct bh_record *old = bh_idmap_get(&s->records, c->id);
	if (!old || old->err || !bh_container_equal(old->container, c) || bh_record_moved(old))
		return false;
	bh_idmap_remove(&s->records, c->id);
	bh_record_free(bh_idmap_set(to, c->id, old));
	bh_container_free(c);
	return true;
}

static void sink_sync(void *arg, struct bh_container **c, size_t n)
{
	struct bh_mgr_source *s = arg;
	struct bh_idmap records = {0};
	for (size_t i = 0; i < n; i++) {
		if (!keep(s, &records, c[i]))
			put(s, &records, c[i]);
	}
	for (size_t i = 0; i < s->records.n_buckets; i++) {
		for (struct bh_idmap_slot *k = s->records.bucket[i]; k; k = k->next)
			bh_mgr_mark(s->mgr, k->key);
	}
	bh_idmap_finish(&s->records, bh_record_free);
	s->records = records;
	s->synced = true;
	bh_mgr_tell(s->mgr);
}

static void sink_upsert(void *arg, struct bh_container *c)
{
	struct bh_mgr_source *s = arg;
	put(s, &s->records, c);
	bh_mgr_tell(s->mgr);
}

static void sink_remove(void *arg, const char *id)
{
	struct bh_mgr_source *s = arg;
	struct bh_record *r = bh_idmap_remove(&s->records, id);
	if (r) {
		bh_mgr_mark(s->mgr, r->container->id);
		bh_mgr_tell(s->mgr);
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
	uv_timer_t *timers[] = {&m->tell, &m->look, &m->walk, &m->tick};
	for (size_t i = 0; i < BH_ARRAY_SIZE(timers); i++) {
		uv_timer_init(loop, timers[i]);
		timers[i]->data = m;
	}
	m->poll.data = m;
	m->handles = BH_ARRAY_SIZE(timers) + 1;
	m->host_stale = m->settings_changed = true;
	bh_mgr_listen(m);
	bh_mgr_walk_start(m);
	uv_timer_start(&m->tick, on_tick, BH_MGR_TICK_MS, BH_MGR_TICK_MS);
	bh_mgr_tell(m); /* the node itself is news, even without any source */
	*ret = m;
	return 0;
}

void bh_inventory_mgr_add(struct bh_inventory_mgr *m, struct bh_source *source)
{
	struct bh_mgr_source *s = bh_xcalloc(1, sizeof(*s));
	s->mgr = m;
	s->source = source;
	s->message = bh_xasprintf("%s: has not answered yet", source->name);
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
	bh_mgr_mark_all(m);
	m->host_stale = m->host_anew = m->settings_changed = true;
	bh_mgr_tell(m);
}

static bool same_texts(char *const *a, const char *const *b)
{
	if (!a || !b)
		return !a && !b;
	while (*a && bh_streq(*a, *b)) {
		a++;
		b++;
	}
	return bh_streq(*a, *b);
}

static void free_namespace_labels(struct bh_inventory_mgr *m)
{
	for (size_t i = 0; m->namespace_label && m->namespace_label[i]; i++)
		free(m->namespace_label[i]);
	free(BH_TAKE_PTR(m->namespace_label));
}

void bh_inventory_mgr_set_namespace_labels(struct bh_inventory_mgr *m, const char *const *label)
{
	size_t n = 0;
	if (same_texts(m->namespace_label, label))
		return;
	free_namespace_labels(m);
	while (label && label[n])
		n++;
	if (label)
		m->namespace_label = bh_xcalloc(n + 1, sizeof(*m->namespace_label));
	for (size_t i = 0; i < n; i++)
		m->namespace_label[i] = bh_xstrdup(label[i]);
	bh_mgr_mark_all(m);
	bh_mgr_tell(m);
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
	bh_mgr_ids_finish(m);
	bh_mgr_spaces_finish(m);
	free(m->attached);
	bh_mgr_networks_finish(m);
	bh_mgr_macs_finish(m);
	free_namespace_labels(m);
	free(m->network);
	free(m->host);
	uv_close((uv_handle_t *)&m->tell, on_closed);
	uv_close((uv_handle_t *)&m->look, on_closed);
	uv_close((uv_handle_t *)&m->walk, on_closed);
	uv_close((uv_handle_t *)&m->tick, on_closed);
	uv_close((uv_handle_t *)&m->poll, on_closed);
}
