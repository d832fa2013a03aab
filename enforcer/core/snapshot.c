/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The two things that cross between the loop and the packet threads: the published snapshot, and
 * the ring of events. The ring is bounded; what does not fit is counted, never waited for.
 */
#include "core/private.h"

struct bh_snapshot *bh_snapshot_ref(struct bh_snapshot *s)
{
	__atomic_add_fetch(&s->refs, 1, __ATOMIC_RELAXED);
	return s;
}

void bh_snapshot_unref(struct bh_snapshot *s)
{
	if (!s || __atomic_sub_fetch(&s->refs, 1, __ATOMIC_ACQ_REL) > 0)
		return;
	bh_engine_unref(s->engine);
	bh_feed_index_unref(s->feeds);
	bh_config_exceptions_finish(&s->exceptions);
	free(s);
}

void bh_shared_publish(struct bh_shared *s, struct bh_snapshot *snap)
{
	pthread_mutex_lock(&s->snap_lock);
	struct bh_snapshot *old = s->snap;
	s->snap = snap;
	pthread_mutex_unlock(&s->snap_lock);
	bh_snapshot_unref(old);
}

struct bh_snapshot *bh_shared_current(struct bh_shared *s)
{
	pthread_mutex_lock(&s->snap_lock);
	struct bh_snapshot *snap = s->snap ? bh_snapshot_ref(s->snap) : NULL;
	pthread_mutex_unlock(&s->snap_lock);
	return snap;
}

void bh_shared_push(struct bh_shared *s, struct bh_event *e)
{
	pthread_mutex_lock(&s->ring_lock);
	bool full = s->count == BH_RING_SIZE;
	bool first = s->count == 0;
	if (full)
		s->lost[e->dropped]++;
	else
		s->ring[(s->head + s->count++) % BH_RING_SIZE] = *e;
	pthread_mutex_unlock(&s->ring_lock);
	if (full)
		bh_snapshot_unref(e->snap);
	else if (first)
		uv_async_send(s->wake);
}

size_t bh_shared_take(struct bh_shared *s, struct bh_event *ret, size_t max, uint64_t ret_lost[2])
{
	pthread_mutex_lock(&s->ring_lock);
	size_t n = s->count < max ? s->count : max;
	for (size_t i = 0; i < n; i++)
		ret[i] = s->ring[(s->head + i) % BH_RING_SIZE];
	s->head = (s->head + n) % BH_RING_SIZE;
	s->count -= n;
	for (int i = 0; i < 2; i++) {
		ret_lost[i] = s->lost[i];
		s->lost[i] = 0;
	}
	pthread_mutex_unlock(&s->ring_lock);
	return n;
}
