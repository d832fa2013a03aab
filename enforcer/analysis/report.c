/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The job of a report: started by a request, stepped by a timer, asked for by its number. */
#include "analysis/report.h"

#include "answer/answer.h"
#include "answer/clock.h"
#include "core/core.h"
#include "core/state.h"
#include "flows/flows.h"
#include "flows/passed.h"
#include "store/store.h"

#define STEP_MS 1 /* between two steps: whatever else there is comes first */
#define ROWS_PER_STEP 1000
#define KEEP_US (10 * 60 * 1000000LL) /* a result that nobody asks for */
#define SINCE_MAX (366 * 86400)

static void report_free(struct bh_report *r)
{
	if (!r)
		return;
	for (size_t i = 0; i < r->n_versions; i++) {
		free(r->version[i].user);
		free(r->version[i].cause);
		free(r->version[i].comment);
	}
	free(r->version);
	bh_core_report_did_finish(r);
	bh_core_report_rules_finish(r);
	bh_seen_rows_finish(&r->seen);
	bh_policy_set_unref(r->set);
	json_decref(r->could);
	free(r->error);
	free(r);
}

struct rows {
	struct bh_core *c;
	struct bh_report *r;
	size_t n;
};

static void on_row(const struct bh_flow_row *row, void *arg)
{
	struct rows *x = arg;
	struct bh_report *r = x->r;

	x->n++;
	r->cursor = row->seq;
	if (!bh_seen_rows_add(&r->seen, row))
		return;
	r->rows++;
	if (!r->evidence || row->first_seen < r->evidence)
		r->evidence = row->first_seen;
	bh_core_report_use(r, row);
	bh_core_report_row(x->c, r, row);
}

static void step_rows(struct bh_core *c, struct bh_report *r)
{
	struct rows x = {c, r, 0};
	if (bh_store_flows_after(c->store, r->cursor, ROWS_PER_STEP, on_row, &x) < 0) {
		r->error = bh_xstrdup(bh_store_message(c->store));
		r->phase = BH_REPORT_DONE;
	} else if (x.n < ROWS_PER_STEP) {
		r->phase = BH_REPORT_COULD;
	}
}

static void step(struct bh_core *c, struct bh_report *r)
{
	switch (r->phase) {
	case BH_REPORT_POLICIES:
		if (!bh_core_report_look_back(c, r))
			r->phase = BH_REPORT_ROWS;
		break;
	case BH_REPORT_ROWS:
		step_rows(c, r);
		break;
	case BH_REPORT_COULD:
		bh_core_report_could(c, r);
		r->phase = BH_REPORT_DONE;
		break;
	case BH_REPORT_DONE:
		break;
	}
}

static void on_step(uv_timer_t *t)
{
	struct bh_core *c = t->data;
	struct bh_report *r = c->report;
	if (!r || r->phase == BH_REPORT_DONE || c->stopping)
		return;
	step(c, r);
	if (r->phase != BH_REPORT_DONE) {
		uv_timer_start(t, on_step, STEP_MS, 0);
		return;
	}
	bh_seen_rows_finish(&r->seen);
	r->ended = bh_clock_now();
}

static void add_version(const struct bh_version *v, void *arg)
{
	struct bh_report *r = arg;
	BH_GROW(r->version, r->n_versions, r->cap_versions);
	r->version[r->n_versions++] = (struct bh_report_version){v->number, v->at,
		bh_xstrdup(v->user), bh_xstrdup(v->cause), bh_xstrdup(v->comment)};
}

static int by_number(const void *a, const void *b)
{
	const struct bh_report_version *x = a, *y = b;
	return (x->number > y->number) - (x->number < y->number);
}

static void start(struct bh_core *c, int64_t since)
{
	static uint64_t ids;
	struct bh_report *r = bh_xcalloc(1, sizeof(*r));

	report_free(c->report);
	c->report = r;
	*r = (struct bh_report){.id = ++ids,
		.since = since,
		.asked = bh_clock_now(),
		.generation = c->generation,
		.host_allowed = !c->conf->host_policy,
		.set = c->policies ? bh_policy_set_ref(c->policies) : bh_policy_set_new_empty(),
		.could = json_null()};
	snprintf(r->sha256, sizeof(r->sha256), "%s", c->sha256);
	bh_core_passed_read(c); /* what rules have allowed up to now */
	bh_core_flows_save(c);
	bh_store_list_versions(c->store, add_version, r);
	if (r->n_versions)
		qsort(r->version, r->n_versions, sizeof(*r->version), by_number);
	bh_seen_rows_init(&r->seen, c->conf->learn_flows);
	bh_core_report_rules_init(r);
	uv_timer_start(&c->report_timer, on_step, STEP_MS, 0);
}

struct bh_answer bh_core_report_start(struct bh_core *c, const json_t *body)
{
	const json_t *v = json_object_get(body, "since");

	if (!json_is_integer(v) || json_integer_value(v) < 1 || json_integer_value(v) > SINCE_MAX)
		return bh_answer_error(
			400, NULL, "since must be a number of seconds from 1 to %d", SINCE_MAX);
	if (!c->snap)
		return bh_answer_error(503, NULL, "nothing is in force yet: see `bulkhead status`");
	start(c, bh_clock_now() - json_integer_value(v) * 1000000);
	return bh_answer_json(200, json_pack("{s:I}", "report", (json_int_t)c->report->id));
}

void bh_core_report_tick(struct bh_core *c)
{
	if (!c->report || c->report->phase != BH_REPORT_DONE ||
		bh_clock_now() - c->report->ended < KEEP_US)
		return;
	bh_core_report_finish(c);
}

void bh_core_report_finish(struct bh_core *c)
{
	report_free(c->report);
	c->report = NULL;
}

/* Those that were in force in the time asked about. */
static json_t *versions_json(const struct bh_report *r)
{
	json_t *list = json_array();
	for (size_t i = 0; i < r->n_versions; i++) {
		const struct bh_report_version *v = &r->version[i];
		if (i + 1 < r->n_versions && r->version[i + 1].at < r->since)
			continue;
		json_t *o = json_pack("{s:I, s:s?, s:s?, s:s?}", "version", (json_int_t)v->number,
			"user", v->user, "cause", v->cause, "comment", v->comment);
		json_object_set_new(o, "at", bh_clock_json(v->at));
		json_array_append_new(list, o);
	}
	return list;
}

struct bh_answer bh_core_report(struct bh_core *c, uint64_t id, bool rules)
{
	const struct bh_report *r = c->report;

	if (!r || r->id != id)
		return bh_answer_error(404, NULL,
			"there is no such report any more: another one was asked for since");
	bool done = r->phase == BH_REPORT_DONE;
	json_t *o = json_pack(
		"{s:I, s:b, s:s?}", "id", (json_int_t)r->id, "done", done, "failed", r->error);
	if (!done || r->error)
		return bh_answer_json(200, o);
	json_object_set_new(o, "since", bh_clock_json(r->since));
	json_object_set_new(o, "until", bh_clock_json(r->asked));
	json_object_set_new(
		o, "evidence_since", r->evidence ? bh_clock_json(r->evidence) : json_null());
	json_object_set_new(
		o, "table_full", json_boolean(bh_core_flows_folded_since(c, INT64_MIN)));
	json_object_set_new(o, "uncounted", json_integer((json_int_t)c->passed.unlisted));
	json_object_set_new(o, "generation", json_integer((json_int_t)r->generation));
	json_object_set_new(o, "sha256", json_string(r->sha256));
	json_object_set_new(o, "versions", versions_json(r));
	if (rules) {
		json_object_set_new(o, "rules", bh_core_report_rules_json(r));
		json_object_set_new(o, "omitted", json_integer((json_int_t)r->rules_omitted));
		return bh_answer_json(200, o);
	}
	json_object_set_new(o, "host_allowed", json_boolean(r->host_allowed));
	json_object_set(o, "could", r->could);
	json_object_set_new(o, "did", bh_core_report_did_json(r));
	json_object_set_new(o, "unlisted", json_integer((json_int_t)r->unlisted));
	json_object_set_new(o, "unnamed", json_integer((json_int_t)r->unnamed));
	json_object_set_new(o, "denied", json_integer((json_int_t)r->denied));
	return bh_answer_json(200, o);
}
