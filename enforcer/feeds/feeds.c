/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * All feeds together: which there are, what is never blocked, and whom to tell.
 *
 * Callbacks are made from the loop only, never from within a call into this module, and may call
 * back into it.
 */
#include "feeds/index.h"
#include "feeds/manager.h"

#include <errno.h>
#include <sys/stat.h>

static const char *direction_name(uint8_t directions)
{
	return directions == BH_FEED_IN ? "in" : directions == BH_FEED_OUT ? "out" : "both";
}

static void fill_status(const struct bh_feed *f, struct bh_feed_status *ret)
{
	*ret = (struct bh_feed_status){
		.name = f->conf.name,
		.url = f->shown_url,
		.action = f->conf.alert_only ? "alert" : "block",
		.direction = direction_name(f->conf.directions),
		.format = f->format_read ? f->format_read : "",
		.credit = f->credit,
		.dated = f->dated,
		.sha256 = f->meta.sha256,
		.entries = bh_indicators_count(&f->data->ind),
		.rejected = f->rejected,
		.subtracted = f->subtracted,
		.cuts = f->cuts,
		.n_cuts = f->n_cuts,
		.loaded_at = f->meta.loaded_at,
		.checked_at = f->checked_at,
		.success_at = f->success_at,
		.ok = !f->failure,
		.stale = f->stale,
		.message = f->message ? f->message : "",
	};
}

/* An update is told once the index has it. */
static void tell_one(struct bh_feeds *m, struct bh_feed *f)
{
	struct bh_feed_status st;
	bool updated = f->tell_updated && !m->dirty && !m->building, refused = f->tell_refused;
	if (!updated && !refused)
		return;
	if (updated)
		f->tell_updated = false;
	f->tell_refused = false;
	if (!m->cb.event)
		return;
	fill_status(f, &st);
	m->cb.event(m->cb.arg, &st, updated);
}

/* The callbacks may configure feeds anew: the array is looked at afresh each time. */
static void on_turn(uv_timer_t *t)
{
	struct bh_feeds *m = t->data;
	if (m->dirty && !m->building)
		bh_feeds_build(m);
	if (m->changed) {
		m->changed = false;
		if (m->cb.changed)
			m->cb.changed(m->cb.arg);
	}
	for (size_t i = 0; i < m->n; i++)
		tell_one(m, m->feed[i]);
}

bool bh_feeds_busy(const struct bh_feeds *m)
{
	bool busy = bh_feeds_loading(m);
	for (size_t i = 0; i < m->n; i++)
		busy |= m->feed[i]->job != NULL;
	return busy;
}

bool bh_feeds_loading(const struct bh_feeds *m)
{
	bool loading = m->building || m->dirty;
	for (size_t i = 0; i < m->n; i++)
		loading |= m->feed[i]->job && !m->feed[i]->job->keep;
	return loading;
}

void bh_feeds_tell(struct bh_feeds *m)
{
	if (!uv_is_active((uv_handle_t *)&m->turn))
		uv_timer_start(&m->turn, on_turn, 0, 0);
}

void bh_feeds_touch(struct bh_feeds *m)
{
	m->dirty = true;
	bh_feeds_tell(m);
}

int bh_feeds_new(uv_loop_t *loop, struct bh_http *http, const char *state_dir,
	const struct bh_feeds_callbacks *cb, struct bh_feeds **ret)
{
	struct bh_feeds *m = bh_xcalloc(1, sizeof(*m));
	m->loop = loop;
	m->http = http;
	m->cb = *cb;
	m->dir = bh_xasprintf("%s/feeds", state_dir);
	int r = uv_timer_init(loop, &m->turn);
	if (r == 0)
		r = uv_timer_init(loop, &m->expiry);
	if (r == 0 && mkdir(m->dir, 0700) < 0 && errno != EEXIST)
		r = -errno;
	if (r < 0) {
		free(m->dir);
		free(m);
		return r;
	}
	m->turn.data = m->expiry.data = m;
	bh_feeds_protected_ranges(NULL, &m->protect);
	m->index = bh_feed_index_build(NULL, 0, 0);
	*ret = m;
	return 0;
}

static size_t find(struct bh_feed *const *feed, size_t n, const char *name)
{
	size_t i = 0;
	while (i < n && !bh_streq(feed[i]->conf.name, name))
		i++;
	return i;
}

void bh_feeds_configure(struct bh_feeds *m, const struct bh_feed_conf *conf, size_t n)
{
	struct bh_feed **old = m->feed, **feed = bh_xcalloc(n, sizeof(struct bh_feed *));
	size_t n_old = m->n, out = 0;

	for (size_t i = 0; i < n; i++) {
		if (find(feed, out, conf[i].name) < out)
			continue; /* a name twice: the configuration refuses it */
		size_t at = 0;
		while (at < n_old && (!old[at] || !bh_streq(old[at]->conf.name, conf[i].name)))
			at++;
		if (at == n_old) {
			feed[out++] = bh_feed_new(m, &conf[i]);
			continue;
		}
		feed[out] = BH_TAKE_PTR(old[at]);
		if (!bh_feed_conf_equal(&feed[out]->conf, &conf[i]))
			bh_feed_reconfigure(feed[out], &conf[i]);
		if (at != out && bh_indicators_count(&feed[out]->data->ind))
			bh_feeds_touch(m); /* the order of hits follows the configuration */
		out++;
	}
	for (size_t i = 0; i < n_old; i++) {
		if (!old[i])
			continue;
		if (bh_indicators_count(&old[i]->data->ind))
			bh_feeds_touch(m);
		bh_feed_drop(old[i]);
	}
	free(old);
	m->feed = feed;
	m->n = out;
}

void bh_feeds_set_protected(struct bh_feeds *m, const struct bh_ranges *protect)
{
	struct bh_ranges all, own = {0};
	bh_feeds_protected_ranges(protect, &all);
	bh_feeds_add_ranges(&own, protect);
	bh_ranges_normalise(&own);
	if (bh_feeds_same_ranges(&all, &m->protect) &&
		bh_feeds_same_ranges(&own, &m->protect_own)) {
		bh_ranges_finish(&all);
		bh_ranges_finish(&own);
		return;
	}
	bh_ranges_finish(&m->protect);
	bh_ranges_finish(&m->protect_own);
	m->protect = all;
	m->protect_own = own;
	for (size_t i = 0; i < m->n; i++)
		if (bh_indicators_count(&m->feed[i]->data->ind))
			bh_feeds_touch(m);
}

bool bh_feeds_protects(const struct bh_feeds *m, const struct bh_addr *a)
{
	return bh_ranges_contain(&m->protect, a);
}

int bh_feeds_refresh(struct bh_feeds *m, const char *name)
{
	int started = 0;
	bool found = false;
	for (size_t i = 0; i < m->n; i++) {
		if (name && !bh_streq(m->feed[i]->conf.name, name))
			continue;
		found = true;
		started += bh_feed_check_now(m->feed[i]);
	}
	if (name && !found)
		return -ENOENT;
	return name && !started ? -EAGAIN : started;
}

struct bh_feed_index *bh_feeds_index(struct bh_feeds *m)
{
	return bh_feed_index_ref(m->index);
}

size_t bh_feeds_status(const struct bh_feeds *m, struct bh_feed_status *ret, size_t max)
{
	size_t n = m->n < max ? m->n : max;
	for (size_t i = 0; i < n; i++)
		fill_status(m->feed[i], &ret[i]);
	return n;
}

static void on_closed(uv_handle_t *h)
{
	struct bh_feeds *m = h->data;
	if (--m->open_handles == 0)
		free(m);
}

void bh_feeds_free(struct bh_feeds *m)
{
	if (!m)
		return;
	for (size_t i = 0; i < m->n; i++)
		bh_feed_drop(m->feed[i]);
	free(m->feed);
	free(m->dir);
	bh_ranges_finish(&m->protect);
	bh_ranges_finish(&m->protect_own);
	bh_feeds_built_forget(m);
	bh_feed_index_unref(m->index);
	m->open_handles = 2;
	uv_close((uv_handle_t *)&m->turn, on_closed);
	uv_close((uv_handle_t *)&m->expiry, on_closed);
}
