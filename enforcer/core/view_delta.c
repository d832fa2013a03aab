/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What a change of policies opens and closes, over the workloads that are there now, as JSON. */
#include <bulkhead/delta.h>

#include "core/policies.h"
#include "core/private.h"

/* The event loop waits for it: about a second at most. */
#define EVALUATIONS_MAX 4000000
#define EDGES_MAX 2000

static json_t *taken(struct bh_buf *b)
{
	json_t *o = json_string(b->s ? b->s : "");
	bh_buf_finish(b);
	return o ? o : json_string("?");
}

static json_t *edge_json(const struct bh_delta *d, const struct bh_delta_edge *e)
{
	struct bh_buf src = {0}, dst = {0}, services = {0}, why = {0};
	bh_delta_end_format(d, &e->src, &src);
	bh_delta_end_format(d, &e->dst, &dst);
	bh_delta_services_format(e, &services);
	bh_delta_why_format(e, &why);
	return json_pack("{s:s, s:o, s:o, s:o, s:o}", "change", e->opens ? "opens" : "closes",
		"source", taken(&src), "destination", taken(&dst), "services", taken(&services),
		"why", taken(&why));
}

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
	json_t *edges = json_array();
	for (size_t i = 0; i < d.n; i++)
		json_array_append_new(edges, edge_json(&d, &d.edge[i]));
	json_t *o = json_pack("{s:I, s:I, s:b, s:I, s:o}", "opens", (json_int_t)d.n_opens, "closes",
		(json_int_t)d.n_closes, "truncated", d.truncated, "skipped", (json_int_t)d.skipped,
		"edges", edges);
	bh_delta_finish(&d);
	return o;
}
