/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What a change of policies opens and closes, over the workloads that are there now, as JSON. */
#include "policies/delta.h"

#include <bulkhead/delta.h>

#include "answer/delta_json.h"
#include "core/state.h"

/* The event loop waits for it: about a second at most. */
#define EVALUATIONS_MAX 4000000
#define EDGES_MAX 2000

json_t *bh_core_delta_json(struct bh_core *c, struct bh_policy_set *after)
{
	struct bh_delta d = {0};
	struct bh_delta_opts opts = {.max_edges = EDGES_MAX, .max_evaluations = EVALUATIONS_MAX};

	if (!c->snap)
		return json_null(); /* no workloads are known yet */
	struct bh_inventory *inv =
		bh_inventory_ref((struct bh_inventory *)bh_engine_inventory(c->snap->engine));
	int r = bh_delta_policies(
		c->policies, after, inv, bh_engine_options(c->snap->engine), true, &opts, &d);
	bh_inventory_unref(inv);
	if (r < 0)
		return json_null();
	json_t *o = bh_delta_json(&d);
	bh_delta_finish(&d);
	return o;
}
