/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Tells the learner once a minute which containers of which roles there are. */
#include "flows/observe.h"

#include "answer/clock.h"
#include "core/state.h"
#include "history/history.h"
#include "learn/learn.h"

#define OBSERVE_US (60 * 1000000LL)
/* Containers that start and go between two observations should be seen, at little cost. */
#define OBSERVE_CHANGED_US (10 * 1000000LL)

static void observe(struct bh_core *c, int64_t now)
{
	const struct bh_inventory *inv = bh_engine_inventory(c->snap->engine);
	struct bh_learn_instance bh_autofree *in = bh_xcalloc(inv->n, sizeof(*in));
	struct bh_end bh_autofree *end = bh_xcalloc(inv->n, sizeof(*end));

	size_t n = 0;

	for (size_t i = 0; i < inv->n; i++) {
		const struct bh_workload *w = inv->workload[i];
		uint64_t stay = bh_core_stay_of(c, w);
		if (!stay)
			continue;
		end[n] = (struct bh_end){.kind = BH_END_ROLE, .namespace = w->namespace};
		bh_role_of(w, &end[n].selector);
		in[n] = (struct bh_learn_instance){
			.role = &end[n], .hash = stay, .learning = w->mode == BH_MODE_LEARN};
		n++;
	}
	bh_learn_observe(c->learn, in, n, now);
	for (size_t i = 0; i < n; i++)
		bh_labels_finish(&end[i].selector);
	c->observed = now;
	c->observed_epoch = c->snap->epoch;
}

void bh_core_observe(struct bh_core *c, int64_t after)
{
	int64_t now = bh_clock_now();
	if (c->snap && (now < c->observed || now - c->observed >= after) && now != c->observed)
		observe(c, now);
}

void bh_core_observe_tick(struct bh_core *c)
{
	if (c->snap)
		bh_core_observe(c, c->snap->epoch == c->observed_epoch ? OBSERVE_US
				   : c->observed                       ? OBSERVE_CHANGED_US
								       : 0);
}
