/* SPDX-License-Identifier: GPL-3.0-or-later */
/* GET /v1/learn: what was learned so far, and how far that can be relied on. */
#include "learn/learn.h"
#include "answer/answer.h"
#include "answer/clock.h"
#include "core/core.h"
#include "core/state.h"
#include "flows/observe.h"
#include "review/pick.h"
#include "review/roles.h"

#define EDGES_MAX 5000 /* in one answer */

static json_t *ready_json(const struct bh_role_view *x, int64_t now)
{
	struct bh_ready ready;
	json_t *reasons = json_array();
	bh_core_role_ready(x, now, &ready);
	for (size_t i = 0; i < ready.n; i++)
		json_array_append_new(reasons, json_pack("{s:b, s:s}", "met", ready.reason[i].met,
						       "text", ready.reason[i].text));
	return json_pack(
		"{s:s, s:o}", "level", bh_ready_level_name(ready.level), "reasons", reasons);
}

/* How well it was observed. */
static void add_seen(json_t *o, const struct bh_role_view *x, int64_t now)
{
	unsigned hours = 0, weekdays = 0;
	json_t *history = json_array();
	if (x->seen)
		bh_hours_count(x->seen->hours, &hours, &weekdays);
	for (size_t i = 0; i < BH_HISTORY; i++)
		json_array_append_new(history, json_integer(x->history[i]));
	json_object_set_new(o, "since", bh_clock_json(x->since));
	json_object_set_new(
		o, "learned_s", json_integer(x->seen ? (json_int_t)x->seen->learned_s : 0));
	json_object_set_new(o, "starts", json_integer(x->seen ? (json_int_t)x->seen->starts : 0));
	json_object_set_new(o, "hours", json_integer(hours));
	json_object_set_new(o, "weekdays", json_integer(weekdays));
	json_object_set_new(o, "quiet_s",
		x->last_new ? json_integer((now - x->last_new) / 1000000) : json_null());
	json_object_set_new(o, "history", history);
	json_object_set_new(o, "readiness", ready_json(x, now));
}

static json_t *role_json(const struct bh_role_view *x, int64_t now)
{
	json_t *selector = json_object();
	for (size_t i = 0; i < x->end.selector.n; i++)
		json_object_set_new(selector, x->end.selector.item[i].key,
			json_string(x->end.selector.item[i].value));
	json_t *o = json_pack("{s:s, s:s, s:o, s:I, s:s?, s:I, s:I, s:I, s:I, s:o}", "namespace",
		x->end.namespace, "role", x->name, "selector", selector, "workloads",
		(json_int_t)x->workloads, "mode",
		x->mixed       ? "mixed"
		: x->workloads ? bh_mode_name(x->mode)
			       : NULL,
		"edges_in", (json_int_t)x->edges_in, "edges_out", (json_int_t)x->edges_out,
		"unanswered", (json_int_t)x->unanswered, "connections", (json_int_t)x->connections,
		"last_new", bh_clock_json(x->last_new));
	json_object_set_new(o, "folded", json_integer((json_int_t)x->folded));
	add_seen(o, x, now);
	return o;
}

struct bh_answer bh_core_learn_status(struct bh_core *c)
{
	size_t n;
	struct bh_role_views v;
	struct bh_learn_stats st;
	json_t *roles = json_array(), *edges = json_array();
	int64_t now = bh_clock_now();

	bh_core_observe(c, 1000000);
	struct bh_tuple bh_autofree *t = bh_learn_tuples(c->learn, &n);
	bh_core_role_views(c, t, n, now, &v);
	for (size_t i = 0; i < n && i < EDGES_MAX; i++)
		json_array_append_new(edges, bh_core_tuple_json(c, &t[i]));
	for (size_t i = 0; i < v.n; i++)
		json_array_append_new(roles, role_json(&v.item[i], now));
	bh_core_role_views_finish(&v);
	bh_learn_get_stats(c->learn, &st);
	json_t *o = json_pack("{s:I, s:I, s:I, s:I, s:I, s:o, s:o, s:b}", "tuples",
		(json_int_t)st.tuples, "answered", (json_int_t)st.answered, "unanswered",
		(json_int_t)(st.tuples - st.answered), "pending", (json_int_t)st.pending, "refused",
		(json_int_t)st.tuples_refused, "roles", roles, "edges", edges, "edges_truncated",
		n > EDGES_MAX);
	json_object_set_new(o, "max", json_integer((json_int_t)st.max));
	json_object_set_new(o, "folded_rows", json_integer((json_int_t)st.folded_rows));
	json_object_set_new(o, "folded", json_integer((json_int_t)st.folded));
	json_object_set_new(o, "since", bh_clock_json(st.started));
	json_object_set_new(o, "last_new", bh_clock_json(st.last_new));
	return bh_answer_json(200, o);
}
