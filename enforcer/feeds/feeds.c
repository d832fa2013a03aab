/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * All feeds together: which there are, the index made of them, and whom to tell.
 *
 * The index is rebuilt once for however many feeds changed in a turn of the loop, or at once when
 * somebody asks for it. Callbacks are made from the loop only, never from within a call into this
 * module, and may call back into it.
 */
#include "feeds/index.h"
#include "feeds/manager.h"

#include <errno.h>
#include <sys/stat.h>
#include <time.h>

#define EXAMPLES 3
#define EXPIRY_MIN_S 2
#define EXPIRY_MAX_S 86400

static void on_expiry(uv_timer_t *t);

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

/* --- the index, built off the loop --- */

struct bh_index_job {
	uv_work_t work;
	struct bh_feeds *m; /* NULL: nobody waits any more */
	struct bh_feed_input *in;
	struct bh_feed_data **data; /* references */
	size_t n;
	struct bh_ranges protect, protect_own;
	int64_t now;
	struct bh_feed_index *index;
	/* The index before and what it was made of, if it can be made from that: references. */
	struct bh_feed_index *old;
	struct bh_index_job *before;
	uint64_t since;
	int refs; /* the loop's thread only */
};

static void copy_ranges(struct bh_ranges *to, const struct bh_ranges *from)
{
	for (size_t i = 0; i < from->n; i++)
		bh_ranges_add(to, from->item[i]);
}

static bool same_ranges(const struct bh_ranges *a, const struct bh_ranges *b)
{
	return a->n == b->n &&
	       (a->n == 0 || memcmp(a->item, b->item, a->n * sizeof(*a->item)) == 0);
}

/* But for the indicators. */
static bool same_feeds(const struct bh_index_job *a, const struct bh_index_job *b)
{
	bool same = a->n == b->n && same_ranges(&a->protect, &b->protect) &&
		    same_ranges(&a->protect_own, &b->protect_own);
	for (size_t i = 0; same && i < a->n; i++) {
		const struct bh_feed_input *x = &a->in[i], *y = &b->in[i];
		same = bh_streq(x->name, y->name) && x->alert_only == y->alert_only &&
		       x->directions == y->directions &&
		       (x->protect == &a->protect) == (y->protect == &b->protect);
	}
	return same;
}

static struct bh_index_job *job_new(struct bh_feeds *m)
{
	struct bh_index_job *j = bh_xcalloc(1, sizeof(*j));
	j->refs = 1;
	j->work.data = j;
	j->m = m;
	j->n = m->n;
	j->in = bh_xcalloc(m->n, sizeof(*j->in));
	j->data = bh_xcalloc(m->n, sizeof(struct bh_feed_data *));
	j->now = time(NULL);
	copy_ranges(&j->protect, &m->protect);
	copy_ranges(&j->protect_own, &m->protect_own);
	for (size_t i = 0; i < m->n; i++) {
		const struct bh_feed *f = m->feed[i];
		j->data[i] = bh_feed_data_ref(f->data);
		j->in[i] = (struct bh_feed_input){.name = bh_xstrdup(f->conf.name),
			.alert_only = f->conf.alert_only,
			.directions = f->conf.directions,
			.protect = f->conf.special ? &j->protect_own : &j->protect,
			.indicators = &j->data[i]->ind};
	}
	if (m->built && same_feeds(m->built, j)) {
		j->old = bh_feed_index_ref(m->index);
		j->before = m->built;
		j->before->refs++;
	}
	m->dirty = false;
	j->since = m->since;
	m->since = 0;
	return j;
}

static void job_unref(struct bh_index_job *j);

static void forget_before(struct bh_index_job *j)
{
	bh_feed_index_unref(BH_TAKE_PTR(j->old));
	job_unref(BH_TAKE_PTR(j->before));
}

static void job_unref(struct bh_index_job *j)
{
	if (!j || --j->refs > 0)
		return;
	forget_before(j);
	for (size_t i = 0; i < j->n; i++) {
		free((char *)j->in[i].name);
		bh_feed_data_unref(j->data[i]);
	}
	free(j->in);
	free(j->data);
	bh_ranges_finish(&j->protect);
	bh_ranges_finish(&j->protect_own);
	bh_feed_index_unref(j->index);
	free(j);
}

static void take_cuts(struct bh_feed *f, const struct bh_feed_input *in)
{
	f->subtracted = in->subtracted;
	f->n_cuts = in->subtracted < BH_FEED_CUTS_MAX ? in->subtracted : BH_FEED_CUTS_MAX;
	free(f->cuts);
	f->cuts = f->n_cuts ? bh_xmemdup(in->cut, f->n_cuts * sizeof(*f->cuts)) : NULL;
	free(f->cut);
	f->cut = describe_cut(in);
	bh_feed_compose_message(f);
}

/* The next indicator to expire makes the index stale. */
static void watch_expiry(struct bh_feeds *m)
{
	uint32_t at = bh_feed_index_expires(m->index);
	int64_t in = (int64_t)at - time(NULL);
	if (!at)
		uv_timer_stop(&m->expiry);
	else
		uv_timer_start(&m->expiry, on_expiry,
			in < EXPIRY_MIN_S   ? EXPIRY_MIN_S * 1000
			: in < EXPIRY_MAX_S ? (uint64_t)in * 1000
					    : EXPIRY_MAX_S * 1000,
			0);
}

/* Takes j. */
static void job_take(struct bh_feeds *m, struct bh_index_job *j)
{
	bh_feed_index_unref(m->index);
	m->index = BH_TAKE_PTR(j->index);
	for (size_t i = 0; i < m->n; i++)
		for (size_t k = 0; k < j->n; k++)
			if (m->feed[i]->data == j->data[k])
				take_cuts(m->feed[i], &j->in[k]);
	forget_before(j);
	job_unref(m->built);
	m->built = j;
	m->changed = true;
	watch_expiry(m);
}

static void on_build(uv_work_t *w)
{
	struct bh_index_job *j = w->data;
	if (j->before)
		j->index = bh_feed_index_change(
			j->old, j->before->in, j->before->now, j->in, j->n, j->now);
	if (!j->index)
		j->index = bh_feed_index_build(j->in, j->n, j->now);
	j->index->since = j->since;
}

static void on_built(uv_work_t *w, int status)
{
	struct bh_index_job *j = w->data;
	struct bh_feeds *m = j->m;
	if (m) {
		m->building = NULL;
		bh_feeds_tell(m);
	}
	if (m && status == 0)
		job_take(m, j);
	else
		job_unref(j);
}

static void build(struct bh_feeds *m)
{
	m->building = job_new(m);
	uv_queue_work(m->loop, &m->building->work, on_build, on_built);
}

struct bh_feed_index *bh_feeds_settle(struct bh_feeds *m)
{
	if (m->dirty || m->building) {
		if (m->building)
			m->building->m = NULL; /* it would come too late */
		m->building = NULL;
		struct bh_index_job *j = job_new(m);
		on_build(&j->work);
		job_take(m, j);
	}
	return bh_feed_index_ref(m->index);
}

static void on_expiry(uv_timer_t *t)
{
	bh_feeds_touch(t->data);
}

static const char *direction_name(uint8_t directions)
{
	return directions == BH_FEED_IN ? "in" : directions == BH_FEED_OUT ? "out" : "both";
}

static void fill_status(const struct bh_feed *f, struct bh_feed_status *ret)
{
	*ret = (struct bh_feed_status){
		.name = f->conf.name,
		.url = f->conf.url,
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
		build(m);
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
	copy_ranges(&own, protect);
	bh_ranges_normalise(&own);
	if (same_ranges(&all, &m->protect) && same_ranges(&own, &m->protect_own)) {
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
	if (m->building)
		m->building->m = NULL;
	free(m->feed);
	free(m->dir);
	bh_ranges_finish(&m->protect);
	bh_ranges_finish(&m->protect_own);
	job_unref(m->built);
	bh_feed_index_unref(m->index);
	m->open_handles = 2;
	uv_close((uv_handle_t *)&m->turn, on_closed);
	uv_close((uv_handle_t *)&m->expiry, on_closed);
}
