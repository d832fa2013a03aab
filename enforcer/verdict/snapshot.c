/* SPDX-License-Identifier: GPL-3.0-or-later */
/* See snapshot.h. */
#include "verdict/snapshot.h"

struct bh_snapshot *bh_snapshot_ref(struct bh_snapshot *s)
{
	__atomic_add_fetch(&s->refs, 1, __ATOMIC_RELAXED);
	return s;
}

void bh_snapshot_unref(struct bh_snapshot *s)
{
	bh_snapshot_unref_many(s, 1);
}

void bh_snapshot_unref_many(struct bh_snapshot *s, int n)
{
	if (!s || __atomic_sub_fetch(&s->refs, n, __ATOMIC_ACQ_REL) > 0)
		return;
	bh_engine_unref(s->engine);
	bh_feed_index_unref(s->feeds);
	bh_config_exceptions_finish(&s->exceptions);
	free(s);
}
