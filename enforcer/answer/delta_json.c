/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "answer/delta_json.h"

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

json_t *bh_delta_json(const struct bh_delta *d)
{
	json_t *edges = json_array();
	for (size_t i = 0; i < d->n; i++)
		json_array_append_new(edges, edge_json(d, &d->edge[i]));
	return json_pack("{s:I, s:I, s:b, s:I, s:o}", "opens", (json_int_t)d->n_opens, "closes",
		(json_int_t)d->n_closes, "truncated", d->truncated, "skipped",
		(json_int_t)d->skipped, "edges", edges);
}
