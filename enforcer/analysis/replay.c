/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The job of a replay: started by a plan, stepped by a timer, asked for by its number. */
#include "analysis/replay.h"

#include "answer/answer.h"
#include "answer/clock.h"
#include "core/core.h"
#include "core/state.h"
#include "flows/flows.h"

#define STEP_MS 1 /* between two steps: whatever else there is comes first */
#define KEEP_US (10 * 60 * 1000000LL) /* a result that nobody asks for */

static void finish_finding(struct bh_replay_finding *f)
{
	free(f->src);
	free(f->dst);
	free(f->why);
	for (size_t i = 0; i < f->n_workloads; i++)
		free(f->workload[i]);
	for (size_t i = 0; i < f->n_images; i++)
		free(f->image[i]);
}

static void replay_free(struct bh_replay *r)
{
	if (!r)
		return;
	for (size_t i = 0; i < r->n; i++)
		finish_finding(&r->item[i]);
	for (size_t i = 0; r->used && i < r->set->n; i++)
		free(r->used[i]);
	free(r->used);
	free(r->item);
	bh_seen_rows_finish(&r->seen);
	free(r->error);
	bh_policy_set_unref(r->set);
	free(r);
}

static void on_step(uv_timer_t *t)
{
	struct bh_core *c = t->data;
	struct bh_replay *r = c->replay;
	if (!r || r->done || c->stopping)
		return;
	bh_core_replay_step(c, r);
	if (!r->done) {
		uv_timer_start(t, on_step, STEP_MS, 0);
		return;
	}
	bh_seen_rows_finish(&r->seen);
	r->ended = bh_clock_now();
}

uint64_t bh_core_replay_start(struct bh_core *c, struct bh_policy_set *set, int64_t since)
{
	struct bh_replay *r = bh_xcalloc(1, sizeof(*r));
	static uint64_t ids;
	replay_free(c->replay);
	*r = (struct bh_replay){
		.id = ++ids,
		.set = bh_policy_set_ref(set),
		.since = since,
	};
	bh_seen_rows_init(&r->seen, c->conf->learn_flows);
	bh_core_replay_alloc_uses(r);
	c->replay = r;
	uv_timer_start(&c->replay_timer, on_step, STEP_MS, 0);
	return r->id;
}

void bh_core_replay_tick(struct bh_core *c)
{
	if (!c->replay || !c->replay->done || bh_clock_now() - c->replay->ended < KEEP_US)
		return;
	replay_free(c->replay);
	c->replay = NULL;
}

void bh_core_replay_finish(struct bh_core *c)
{
	replay_free(c->replay);
	c->replay = NULL;
}

static json_t *names_json(char *const *name, size_t n)
{
	json_t *list = json_array();
	for (size_t i = 0; i < n; i++)
		json_array_append_new(list, json_string(name[i]));
	return list;
}

static json_t *finding_json(const struct bh_replay_finding *f)
{
	char proto[4];
	json_t *o = json_pack("{s:s, s:s, s:s, s:i, s:s, s:I, s:I, s:o, s:o}", "src", f->src, "dst",
		f->dst, "protocol", bh_proto_name(f->proto, proto), "port", f->port, "why", f->why,
		"connections", (json_int_t)f->connections, "flows", (json_int_t)f->flows,
		"workloads", names_json(f->workload, f->n_workloads), "images",
		names_json(f->image, f->n_images));
	json_object_set_new(o, "last_seen", bh_clock_json(f->last));
	return o;
}

static int compare(const void *a, const void *b)
{
	const struct bh_replay_finding *const *x = a, *const *y = b;
	if ((*x)->connections != (*y)->connections)
		return (*x)->connections > (*y)->connections ? -1 : 1;
	int r = strcmp((*x)->src, (*y)->src);
	if (r == 0)
		r = strcmp((*x)->dst, (*y)->dst);
	return r ? r : (*x)->port - (*y)->port;
}

struct bh_answer bh_core_replay(struct bh_core *c, uint64_t id)
{
	const struct bh_replay *r = c->replay;
	json_t *denied = json_array();
	if (!r || r->id != id) {
		json_decref(denied);
		return bh_answer_error(404, NULL,
			"there is no such replay any more: another plan was asked for since");
	}
	const struct bh_replay_finding **order = bh_xcalloc(r->n + 1, sizeof(*order));
	for (size_t i = 0; i < r->n; i++)
		order[i] = &r->item[i];
	if (r->n)
		qsort(order, r->n, sizeof(*order), compare);
	for (size_t i = 0; r->done && i < r->n; i++)
		json_array_append_new(denied, finding_json(order[i]));
	free(order);
	json_t *o = json_pack("{s:I, s:b, s:s?, s:I, s:I, s:I, s:I, s:I, s:I, s:o, s:o}", "id",
		(json_int_t)r->id, "done", r->done, "failed", r->error, "flows",
		(json_int_t)r->flows, "connections", (json_int_t)r->connections, "denied_flows",
		(json_int_t)r->denied_flows, "denied_connections",
		(json_int_t)r->denied_connections, "unlisted", (json_int_t)r->unlisted, "unknown",
		(json_int_t)r->unknown, "denied", denied, "unused",
		r->done ? bh_core_replay_unused(r) : json_array());
	json_object_set_new(o, "since", bh_clock_json(r->since));
	json_object_set_new(
		o, "folded", json_integer((json_int_t)bh_core_flows_folded_since(c, r->since)));
	return bh_answer_json(200, o);
}
