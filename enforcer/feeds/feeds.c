/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * All feeds together: which there are, the index made of them, and whom to tell.
 *
 * The index is rebuilt once for however many feeds changed in a turn of the loop, or at once when
 * somebody asks for it. Callbacks are made from the loop only, never from within a call into this
 * module, and may call back into it.
 */
#include "feeds/manager.h"

#include <errno.h>
#include <sys/stat.h>

#define EXAMPLES 3

/* "2 entries cut …: 10.0.0.0/8 (line 3), …". Owned; NULL = none. */
static char *describe_cut(const struct bh_feed_input *in)
{
	struct bh_buf b = {0};
	if (!in->subtracted)
		return NULL;
	bh_buf_printf(&b, "%zu entries cut, as they are private, special or this node's own:",
		in->subtracted);
	for (size_t i = 0; i < in->subtracted && i < EXAMPLES; i++) {
		char text[BH_INDICATOR_STRLEN];
		bh_buf_printf(&b, "%s %s (line %u)", i ? "," : "",
			bh_indicator_format(&in->cut[i].range, text), in->cut[i].line);
	}
	if (in->subtracted > EXAMPLES)
		bh_buf_str(&b, ", …");
	return bh_buf_take(&b);
}

static void rebuild(struct bh_feeds *m)
{
	struct bh_feed_input *in bh_autofree = bh_xcalloc(m->n, sizeof(*in));
	for (size_t i = 0; i < m->n; i++)
		in[i] = (struct bh_feed_input){.name = m->feed[i]->conf.name,
			.alert_only = m->feed[i]->conf.alert_only,
			.protect = &m->protect,
			.indicators = &m->feed[i]->indicators};
	bh_feed_index_unref(m->index);
	m->index = bh_feed_index_build(in, m->n, 0);
	m->dirty = false;
	for (size_t i = 0; i < m->n; i++) {
		struct bh_feed *f = m->feed[i];
		f->subtracted = in[i].subtracted;
		free(f->cut);
		f->cut = describe_cut(&in[i]);
		bh_feed_compose_message(f);
	}
}

static void fill_status(const struct bh_feed *f, struct bh_feed_status *ret)
{
	*ret = (struct bh_feed_status){
		.name = f->conf.name,
		.url = f->conf.url,
		.action = f->conf.alert_only ? "alert" : "block",
		.entries = bh_indicators_count(&f->indicators),
		.rejected = f->rejected,
		.subtracted = f->subtracted,
		.loaded_at = f->meta.loaded_at,
		.checked_at = f->checked_at,
		.ok = !f->failure,
		.message = f->message ? f->message : "",
	};
}

static void tell_one(struct bh_feeds *m, struct bh_feed *f)
{
	struct bh_feed_status st;
	bool updated = f->tell_updated, refused = f->tell_refused;
	f->tell_updated = f->tell_refused = false;
	if ((!updated && !refused) || !m->cb.event)
		return;
	fill_status(f, &st);
	m->cb.event(m->cb.arg, &st, updated);
}

/* The callbacks may configure feeds anew: the array is looked at afresh each time. */
static void on_turn(uv_timer_t *t)
{
	struct bh_feeds *m = t->data;
	if (m->dirty)
		rebuild(m);
	if (m->changed) {
		m->changed = false;
		if (m->cb.changed)
			m->cb.changed(m->cb.arg);
	}
	for (size_t i = 0; i < m->n; i++)
		tell_one(m, m->feed[i]);
}

void bh_feeds_tell(struct bh_feeds *m)
{
	if (!uv_is_active((uv_handle_t *)&m->turn))
		uv_timer_start(&m->turn, on_turn, 0, 0);
}

void bh_feeds_touch(struct bh_feeds *m)
{
	m->dirty = m->changed = true;
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
	if (r == 0 && mkdir(m->dir, 0700) < 0 && errno != EEXIST)
		r = -errno;
	if (r < 0) {
		free(m->dir);
		free(m);
		return r;
	}
	m->turn.data = m;
	bh_feeds_protected_ranges(NULL, &m->protect);
	rebuild(m);
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
		if (at != out && bh_indicators_count(&feed[out]->indicators))
			bh_feeds_touch(m); /* the order of hits follows the configuration */
		out++;
	}
	for (size_t i = 0; i < n_old; i++) {
		if (!old[i])
			continue;
		if (bh_indicators_count(&old[i]->indicators))
			bh_feeds_touch(m);
		bh_feed_drop(old[i]);
	}
	free(old);
	m->feed = feed;
	m->n = out;
}

static bool same_ranges(const struct bh_ranges *a, const struct bh_ranges *b)
{
	return a->n == b->n &&
	       (a->n == 0 || memcmp(a->item, b->item, a->n * sizeof(*a->item)) == 0);
}

void bh_feeds_set_protected(struct bh_feeds *m, const struct bh_ranges *protect)
{
	struct bh_ranges all;
	bh_feeds_protected_ranges(protect, &all);
	if (same_ranges(&all, &m->protect)) {
		bh_ranges_finish(&all);
		return;
	}
	bh_ranges_finish(&m->protect);
	m->protect = all;
	for (size_t i = 0; i < m->n; i++)
		if (bh_indicators_count(&m->feed[i]->indicators))
			bh_feeds_touch(m);
}

int bh_feeds_refresh(struct bh_feeds *m, const char *name)
{
	int started = 0;
	for (size_t i = 0; i < m->n; i++) {
		if (name && !bh_streq(m->feed[i]->conf.name, name))
			continue;
		bh_feed_check_now(m->feed[i]);
		started++;
	}
	return started || !name ? started : -ENOENT;
}

struct bh_feed_index *bh_feeds_index(struct bh_feeds *m)
{
	if (m->dirty)
		rebuild(m);
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
	free(h->data);
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
	bh_feed_index_unref(m->index);
	uv_close((uv_handle_t *)&m->turn, on_closed);
}
