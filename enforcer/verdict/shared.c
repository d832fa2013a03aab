/* SPDX-License-Identifier: GPL-3.0-or-later */
/* See shared.h. */
#include "verdict/shared.h"

#include <errno.h>
#include <sys/eventfd.h>

int bh_shared_init(struct bh_shared *s)
{
	pthread_mutex_init(&s->snap_lock, NULL);
	pthread_mutex_init(&s->ring_lock, NULL);
	s->ring = bh_xcalloc(BH_RING_SIZE, sizeof(*s->ring));
	s->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	return s->wake < 0 ? -errno : 0;
}

void bh_shared_finish(struct bh_shared *s)
{
	bh_shared_publish(s, NULL);
	free(s->ring);
	s->ring = NULL;
	if (s->wake >= 0)
		close(s->wake);
	s->wake = -1;
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

void bh_shared_push(struct bh_shared *s, const struct bh_event *e, size_t n)
{
	pthread_mutex_lock(&s->ring_lock);
	size_t before = s->count, room = BH_RING_SIZE - s->count, fit = n < room ? n : room;
	for (size_t i = 0; i < fit; i++)
		s->ring[(s->head + s->count++) % BH_RING_SIZE] = e[i];
	for (size_t i = fit; i < n; i++)
		s->lost[e[i].dropped]++;
	bool wake = !s->told || (before < BH_RING_HURRY && s->count >= BH_RING_HURRY);
	s->told = true;
	pthread_mutex_unlock(&s->ring_lock);
	for (size_t i = fit; i < n; i++)
		bh_snapshot_unref(e[i].snap);
	if (wake)
		(void)!write(s->wake, &(uint64_t){1}, sizeof(uint64_t));
}

size_t bh_shared_take(struct bh_shared *s, struct bh_event *ret, size_t max, uint64_t ret_lost[2])
{
	pthread_mutex_lock(&s->ring_lock);
	size_t n = s->count < max ? s->count : max;
	for (size_t i = 0; i < n; i++)
		ret[i] = s->ring[(s->head + i) % BH_RING_SIZE];
	s->count -= n;
	/* From the beginning when it can: memory that was not needed so far stays untouched. */
	s->head = s->count ? (s->head + n) % BH_RING_SIZE : 0;
	s->told = n > 0;
	for (int i = 0; i < 2; i++) {
		ret_lost[i] = s->lost[i];
		s->lost[i] = 0;
	}
	pthread_mutex_unlock(&s->ring_lock);
	return n;
}

bool bh_shared_hurry(struct bh_shared *s)
{
	pthread_mutex_lock(&s->ring_lock);
	bool hurry = s->count >= BH_RING_HURRY;
	pthread_mutex_unlock(&s->ring_lock);
	return hurry;
}
