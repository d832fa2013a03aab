/* SPDX-License-Identifier: GPL-3.0-or-later */
/* GET /v1/quarantine, and what the status says of it: as of what is committed, not of what is
 * wanted. */
#include "answer/answer.h"
#include "answer/clock.h"
#include "core/core.h"
#include "core/state.h"
#include "modes/quarantine.h"

json_t *bh_core_allow_json(const struct bh_quarantine *q)
{
	json_t *list = json_array();
	for (size_t i = 0; i < q->n; i++) {
		struct bh_buf bh_autobuf text = {0};
		bh_quarantine_format(&q->allow[i], &text);
		json_array_append_new(list, json_string(text.s));
	}
	return list;
}

static bool in_force(const struct bh_quarantine_row *q, const struct bh_workload *w)
{
	return bh_workload_governable(w) && bh_quarantine_equal(q->allow, w->quarantine);
}

static json_t *match_json(
	const struct bh_quarantine_row *q, const struct bh_workload *w, unsigned by)
{
	static const char *const text[] = {
		[BH_QUARANTINE_BY_ID] = "id",
		[BH_QUARANTINE_BY_NAME] = "name",
		[BH_QUARANTINE_BY_ID | BH_QUARANTINE_BY_NAME] = "name and id",
	};
	char bh_autofree *name = bh_xasprintf("%s/%s", w->namespace, w->name);
	return json_pack("{s:s, s:s, s:s, s:b, s:s?}", "workload", name, "id", w->id, "by",
		text[by], "in_force", in_force(q, w), "unenforceable", w->unenforceable);
}

/* "absent", "in force"; "pending": the kernel has not taken it yet; "out of reach". */
static const char *state_of(const json_t *matches)
{
	const json_t *m;
	size_t i;
	if (json_array_size(matches) == 0)
		return "absent";
	json_array_foreach(matches, i, m)
	{
		if (json_is_true(json_object_get(m, "in_force")))
			continue;
		return json_is_string(json_object_get(m, "unenforceable")) ? "out of reach"
									   : "pending";
	}
	return "in force";
}

json_t *bh_core_quarantine_row_json(const struct bh_core *c, const struct bh_quarantine_row *q)
{
	const struct bh_inventory *inv = c->snap ? bh_engine_inventory(c->snap->engine) : NULL;
	char bh_autofree *name = bh_xasprintf("%s/%s", q->namespace, q->name);
	json_t *matches = json_array();
	for (size_t i = 0; inv && i < inv->n; i++) {
		unsigned by = bh_core_quarantine_match(q, inv->workload[i]);
		if (by)
			json_array_append_new(matches, match_json(q, inv->workload[i], by));
	}
	json_t *o = json_pack("{s:s, s:s, s:s, s:s, s:s, s:o, s:s, s:I, s:I}", "workload", name,
		"namespace", q->namespace, "name", q->name, "id", q->id, "state", state_of(matches),
		"allow", bh_core_allow_json(q->allow), "reason", q->reason, "uid",
		(json_int_t)q->uid, "pid", (json_int_t)q->pid);
	json_object_set_new(o, "since", bh_clock_json(q->at));
	json_object_set_new(o, "matches", matches);
	return o;
}

struct bh_answer bh_core_quarantine(struct bh_core *c)
{
	json_t *list = json_array();
	for (size_t i = 0; i < c->n_quarantines; i++)
		json_array_append_new(list, bh_core_quarantine_row_json(c, &c->quarantine[i]));
	return bh_answer_json(200, json_pack("{s:o}", "quarantine", list));
}

json_t *bh_core_quarantine_json(const struct bh_core *c, json_t *problems)
{
	const struct bh_inventory *inv = c->snap ? bh_engine_inventory(c->snap->engine) : NULL;
	size_t absent = 0, workloads = 0;
	for (size_t i = 0; i < c->n_quarantines; i++) {
		json_t *row = bh_core_quarantine_row_json(c, &c->quarantine[i]);
		const char *state = json_string_value(json_object_get(row, "state"));
		if (bh_streq(state, "out of reach"))
			json_array_append_new(problems,
				json_sprintf("%s/%s is quarantined but out of reach (see `bulkhead "
					     "ps`): stop it",
					c->quarantine[i].namespace, c->quarantine[i].name));
		absent += bh_streq(state, "absent");
		json_decref(row);
	}
	for (size_t i = 0; inv && i < inv->n; i++)
		workloads +=
			inv->workload[i]->quarantine && bh_workload_governable(inv->workload[i]);
	return json_pack("{s:I, s:I, s:I}", "entries", (json_int_t)c->n_quarantines, "workloads",
		(json_int_t)workloads, "absent", (json_int_t)absent);
}
