/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The thread counts by the workloads of a snapshot, has a handle of its own to connection tracking
 * for as long as it walks, and deletes what it was told to by tuple and id as it found them: the
 * loop neither waits for it nor sends a hundred thousand deletions itself.
 */
#include "flows/census.h"

#include <linux/netfilter/nf_conntrack_tcp.h>

#include "answer/clock.h"
#include "conntrack/conntrack.h"
#include "verdict/snapshot.h"

#define CUT_MAX 16384 /* flows in one walk: what is remembered of them is some megabytes */

void bh_census_init(struct bh_census *s, struct bh_snapshot *snap)
{
	size_t n = bh_engine_inventory(snap->engine)->n;

	*s = (struct bh_census){.snap = bh_snapshot_ref(snap),
		.of = bh_xcalloc(n + 1, sizeof(*s->of)),
		.towards = bh_xcalloc(n + 1, sizeof(*s->towards))};
}

void bh_census_finish(struct bh_census *s)
{
	if (s->snap)
		bh_snapshot_unref(s->snap);
	free(s->of);
	free(s->towards);
	*s = (struct bh_census){0};
}

/* Half-closed ones may carry data for hours. */
static bool is_spare(const struct bh_ct_entry *e)
{
	if (e->flow.proto != BH_TCP)
		return !e->answered;
	switch (e->tcp_state) {
	case TCP_CONNTRACK_NONE: /* it began on the fast path */
		return !e->answered;
	case TCP_CONNTRACK_SYN_SENT:
	case TCP_CONNTRACK_SYN_SENT2:
	case TCP_CONNTRACK_SYN_RECV:
	case TCP_CONNTRACK_LAST_ACK:
	case TCP_CONNTRACK_TIME_WAIT:
	case TCP_CONNTRACK_CLOSE:
		return true;
	default:
		return false;
	}
}

static bool ends(struct bh_census *s, struct bh_census_quota *q, bool spare)
{
	size_t *left = !q ? NULL : spare ? &q->spare : &q->open;

	if (!left || *left == 0 || s->cut == CUT_MAX)
		return false;
	--*left;
	s->cut++;
	return true;
}

bool bh_census_count(
	struct bh_census *s, const struct bh_census_task *t, const struct bh_ct_entry *e)
{
	const struct bh_inventory *inv = bh_engine_inventory(s->snap->engine);
	int from = bh_inventory_owner(inv, &e->flow.src);

	if (from < 0) {
		int to = bh_inventory_owner(inv, &e->flow.dst);
		s->others++;
		if (to >= 0)
			s->towards[to]++;
		return false;
	}
	struct bh_census_of *of = &s->of[from];
	bool spare = is_spare(e), cut = ends(s, t->quota ? &t->quota[from] : NULL, spare);
	of->flows += !cut;
	of->spare += !cut && spare;
	of->cut += cut;
	of->cut_spare += cut && spare;
	s->part |= (t->enough && of->flows > t->enough) || (t->left && s->cut >= t->left) ||
		   (t->left && s->cut == CUT_MAX);
	return cut;
}

static bool on_flow(const struct bh_ct_entry *e, void *arg)
{
	struct bh_census_thread *t = arg;
	return bh_census_count(&t->result, &t->task, e);
}

/* What a walk that ended early leaves unsaid would come before the answers to the deletions. */
static int delete (const struct bh_ct_found *found)
{
	struct bh_ct *ct = NULL;
	int r = bh_ct_open(&ct);

	if (r == 0)
		r = bh_ct_delete(ct, found);
	bh_ct_close(ct);
	return r;
}

static void walk(void *arg)
{
	struct bh_census_thread *t = arg;
	struct bh_census *s = &t->result;
	struct bh_ct_found *found = NULL;
	struct bh_ct *ct = NULL;

	s->began = bh_clock_steady();
	int r = bh_ct_open(&ct);
	if (r == 0)
		r = bh_ct_find_until(ct, on_flow, t, &s->part, &s->seen, &found);
	bh_ct_close(ct);
	if (r == 0 && s->cut > 0)
		r = delete (found);
	bh_ct_found_free(found);
	s->err = r < 0 ? r : 0;
	s->took = bh_clock_steady() - s->began;
	uv_async_send(&t->done);
}

void bh_census_thread_init(
	struct bh_census_thread *t, uv_loop_t *loop, uv_async_cb done, void *data)
{
	uv_async_init(loop, &t->done, done);
	t->done.data = data;
}

bool bh_census_begin(
	struct bh_census_thread *t, struct bh_snapshot *snap, const struct bh_census_task *task)
{
	bh_census_init(&t->result, snap);
	t->task = *task;
	t->walking = uv_thread_create(&t->thread, walk, t) == 0;
	if (!t->walking) {
		bh_census_finish(&t->result);
		free(BH_TAKE_PTR(t->task.quota));
	}
	return t->walking;
}

bool bh_census_take(struct bh_census_thread *t, struct bh_census *ret)
{
	if (!t->walking)
		return false;
	uv_thread_join(&t->thread);
	t->walking = false;
	free(BH_TAKE_PTR(t->task.quota));
	*ret = t->result;
	t->result = (struct bh_census){0};
	return true;
}
