/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Who could talk to whom: what the policies in force open on a node where nothing is allowed. */
#include "analysis/report.h"
#include "answer/clock.h"
#include "answer/delta_json.h"
#include "core/state.h"

#define EVALUATIONS_MAX 4000000
#define EDGES_MAX 2000

static bool is_outside(const struct bh_inventory *inv, const struct bh_addr *a)
{
	return bh_inventory_owner(inv, a) < 0 && bh_inventory_owner(inv, a) != BH_OWNER_HOST;
}

/* Is the end of a flow, whoever of the role it was, one that the edge means? */
static bool means(
	const struct bh_inventory *inv, const struct bh_delta_end *e, const struct bh_end *end)
{
	switch (e->kind) {
	case BH_DELTA_ROLE:
		return end->kind == BH_END_ROLE && bh_streq(e->namespace, end->namespace) &&
		       bh_labels_equal(&e->selector, &end->selector);
	case BH_DELTA_HOST:
		return end->kind == BH_END_HOST;
	case BH_DELTA_NODE:
		return end->kind == BH_END_ADDR && bh_ranges_contain(&e->range, &end->addr);
	case BH_DELTA_OUTSIDE:
		return end->kind == BH_END_ADDR && is_outside(inv, &end->addr) &&
		       bh_ranges_contain(&e->range, &end->addr);
	}
	return false;
}

static bool serves(const struct bh_delta_edge *e, uint8_t proto, uint16_t port)
{
	bool icmp = proto == 1 || proto == 58;
	bool ports = proto == BH_TCP || proto == BH_UDP || proto == BH_SCTP;

	for (size_t i = 0; i < e->n_services; i++) {
		const struct bh_delta_service *s = &e->service[i];
		if (icmp        ? s->proto == BH_DELTA_ICMP
			: ports ? s->proto == proto && port >= s->first && port <= s->last
				: s->proto == BH_DELTA_OTHER)
			return true;
	}
	return e->everything;
}

/* What was done of what could be. */
static void add_did(
	const struct bh_delta *d, const struct bh_delta_edge *e, struct bh_report *r, json_t *o)
{
	uint64_t connections = 0;
	int64_t last = 0;

	for (size_t i = 0; i < r->n_did; i++) {
		struct bh_report_did *x = &r->did[i];
		if (!serves(e, x->proto, x->port) || !means(d->inv, &e->src, &x->src) ||
			!means(d->inv, &e->dst, &x->dst))
			continue;
		x->possible = true;
		connections += x->connections;
		last = x->last > last ? x->last : last;
	}
	json_object_set_new(o, "connections", json_integer((json_int_t)connections));
	json_object_set_new(o, "last_seen", last ? bh_clock_json(last) : json_null());
}

static json_t *by_json(const struct bh_delta_edge *e)
{
	struct bh_buf bh_autobuf text = {0};
	for (int side = BH_EGRESS; side <= BH_INGRESS; side++)
		if (e->why[side].after)
			bh_buf_printf(&text, "%s%s %s", text.len ? "; " : "",
				bh_direction_name((enum bh_direction)side), e->why[side].after);
	return json_string(text.s ? text.s : "");
}

static json_t *edges_json(const struct bh_delta *d, struct bh_report *r)
{
	json_t *all = bh_delta_json(d), *list = json_array(), *o;
	const json_t *edges = json_object_get(all, "edges");

	for (size_t i = 0; i < d->n; i++) {
		if (!d->edge[i].opens)
			continue;
		o = json_incref(json_array_get(edges, i));
		json_object_del(o, "change");
		json_object_del(o, "why");
		json_object_set_new(o, "by", by_json(&d->edge[i]));
		add_did(d, &d->edge[i], r, o);
		json_array_append_new(list, o);
	}
	json_decref(all);
	return list;
}

/* As if everything were enforced: that is what policies say. */
void bh_core_report_could(struct bh_core *c, struct bh_report *r)
{
	const struct bh_engine_opts *opts = c->snap ? bh_engine_options(c->snap->engine) : NULL;
	struct bh_delta_opts limits = {.max_edges = EDGES_MAX,
		.max_evaluations = EVALUATIONS_MAX,
		.no_pruning = true}; /* the options differ, not only policies */
	struct bh_delta d = {0};

	if (!opts)
		return;
	struct bh_engine_opts closed = *opts;
	closed.unselected_deny = true;
	struct bh_policy_set *nothing = bh_policy_set_new_empty();
	struct bh_inventory *inv = bh_delta_inventory(bh_engine_inventory(c->snap->engine));
	struct bh_engine *before = bh_engine_compile(nothing, inv, &closed);
	struct bh_engine *after = bh_engine_compile(r->set, inv, opts);

	if (bh_delta_compute(before, after, &limits, &d) == 0) {
		json_decref(r->could);
		r->could = json_pack("{s:b, s:I, s:o}", "truncated", d.truncated, "skipped",
			(json_int_t)d.skipped, "edges", edges_json(&d, r));
		bh_delta_finish(&d);
	}
	bh_engine_unref(before);
	bh_engine_unref(after);
	bh_inventory_unref(inv);
	bh_policy_set_unref(nothing);
}
