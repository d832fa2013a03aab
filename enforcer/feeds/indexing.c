/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The index of all feeds, built off the loop: once for however many feeds changed in a turn of the
 * loop, out of the one before where only indicators changed; or at once when somebody asks for it.
 * It is built anew when the next indicator expires.
 */
#include "feeds/index.h"
#include "feeds/manager.h"

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
	bh_buf_printf(&b, "%zu entr%s cut, private, special or this node's own:", in->subtracted,
		in->subtracted == 1 ? "y" : "ies");
	for (size_t i = 0; i < in->subtracted && i < EXAMPLES; i++) {
		char text[BH_INDICATOR_STRLEN];
		bh_buf_printf(&b, "%s %s (line %u)", i ? "," : "",
			bh_indicator_format(&in->cut[i].range, text), in->cut[i].line);
	}
	if (in->subtracted > EXAMPLES)
		bh_buf_str(&b, ", …");
	return bh_buf_take(&b);
}

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

/* But for the indicators. */
static bool same_feeds(const struct bh_index_job *a, const struct bh_index_job *b)
{
	bool same = a->n == b->n && bh_feeds_same_ranges(&a->protect, &b->protect) &&
		    bh_feeds_same_ranges(&a->protect_own, &b->protect_own);
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
	bh_feeds_add_ranges(&j->protect, &m->protect);
	bh_feeds_add_ranges(&j->protect_own, &m->protect_own);
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

void bh_feeds_clock_set(struct bh_feeds *m)
{
	watch_expiry(m);
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

void bh_feeds_build(struct bh_feeds *m)
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

void bh_feeds_built_forget(struct bh_feeds *m)
{
	if (m->building)
		m->building->m = NULL;
	m->building = NULL;
	job_unref(BH_TAKE_PTR(m->built));
}
