/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * GET /v1/workload: everything known of one that is there, or was. What it talked to is read off
 * its stay's flows, the newest first and a bounded number of them.
 */
#include <errno.h>

#include "answer/answer.h"
#include "answer/clock.h"
#include "core/core.h"
#include "core/state.h"
#include "flows/flows.h"
#include "history/history.h"
#include "history/resolve.h"
#include "modes/modes.h"
#include "modes/quarantine.h"
#include "store/store.h"
#include "views/json.h"

#define ROWS_MAX 5000 /* flow rows that are read for each direction */
#define PEERS_MAX 50
#define STAYS_READ 256
#define STAYS_SHOWN 20

/* --- policies --- */

static json_t *policy_json(const struct bh_policy *p, enum bh_direction d)
{
	return json_pack("{s:s, s:s, s:I, s:I, s:s?, s:i}", "policy", p->ref, "tier",
		bh_tier_name(p->tier), "priority", (json_int_t)p->priority, "rules",
		(json_int_t)p->n_rules[d], "file", p->file, "line", p->line);
}

static json_t *direction_json(const struct bh_engine *e, size_t w, enum bh_direction d)
{
	const struct bh_policy *const *p;
	json_t *list = json_array();
	size_t n = bh_engine_policies_of(e, w, d, &p);
	for (size_t i = 0; i < n; i++)
		json_array_append_new(list, policy_json(p[i], d));
	return json_pack("{s:b, s:o}", "isolated", bh_engine_isolated(e, w, d), "policies", list);
}

static void add_decisions(struct bh_core *c, size_t i, json_t *o)
{
	const struct bh_engine *e = c->snap->engine;
	const struct bh_workload *w = bh_engine_inventory(e)->workload[i];
	struct bh_buf bh_autobuf origin = {0};
	json_t *entry = json_null();

	bh_core_mode_origin(c, w, &origin);
	json_object_set_new(o, "mode_origin", json_string(origin.s ? origin.s : ""));
	json_object_set_new(o, "directions",
		json_pack("{s:o, s:o}", "ingress", direction_json(e, i, BH_INGRESS), "egress",
			direction_json(e, i, BH_EGRESS)));
	for (size_t k = 0; k < c->n_quarantines; k++)
		if (bh_core_quarantine_match(&c->quarantine[k], w)) {
			json_decref(entry);
			entry = bh_core_quarantine_row_json(c, &c->quarantine[k]);
		}
	json_object_set_new(o, "quarantine_entry", entry);
}

/* --- what it talked to --- */

struct talk {
	struct bh_flow_row *row; /* the newest of both directions; owned */
	size_t n, cap;
	size_t rows; /* of the direction that is being read */
	bool outward, truncated;
	uint64_t verdict[2][4]; /* by direction: allow, would-deny, drop, reject */
};

static const char *const verdicts[] = {"allow", "would-deny", "drop", "reject"};

static void count_row(const struct bh_flow_row *r, void *arg)
{
	struct talk *t = arg;
	t->rows++;
	for (size_t i = 0; i < BH_ARRAY_SIZE(verdicts); i++)
		if (bh_streq(r->verdict, verdicts[i]))
			t->verdict[t->outward][i] += r->count;
	if (t->rows > PEERS_MAX)
		return;
	BH_GROW(t->row, t->n, t->cap);
	bh_flow_row_copy(&t->row[t->n++], r);
}

static json_t *peer_json(const struct bh_flow_row *r, bool out)
{
	char proto[4];
	json_t *o = json_pack("{s:s, s:s, s:s, s:s?, s:I, s:s, s:i, s:s, s:s, s:s?, s:I}",
		"direction", out ? "to" : "from", "peer", out ? r->dst : r->src, "address",
		out ? r->dst_addr : r->src_addr, "id", out ? r->dst_id : r->src_id, "stay",
		(json_int_t)(out ? r->dst_stay : r->src_stay), "protocol",
		bh_proto_name(r->proto, proto), "port", r->port, "verdict", r->verdict, "reason",
		r->reason, "rule", r->rule, "connections", (json_int_t)r->count);
	json_object_set_new(o, "first_seen", bh_clock_json(r->first_seen));
	json_object_set_new(o, "last_seen", bh_clock_json(r->last_seen));
	return o;
}

static json_t *counters_json(const struct talk *t, bool out)
{
	json_t *o = json_object();
	for (size_t i = 0; i < BH_ARRAY_SIZE(verdicts); i++)
		json_object_set_new(o, verdicts[i], json_integer((json_int_t)t->verdict[out][i]));
	return o;
}

/* Rows of both directions, each the newest first, as one such list. */
static json_t *merge_peers(const struct talk *t, size_t n_out)
{
	json_t *list = json_array();
	size_t i = 0, k = n_out;
	while (json_array_size(list) < PEERS_MAX && (i < n_out || k < t->n)) {
		bool out = k >= t->n || (i < n_out && t->row[i].seq > t->row[k].seq);
		json_array_append_new(list, peer_json(&t->row[out ? i : k], out));
		i += out;
		k += !out;
	}
	return list;
}

static int add_talk(struct bh_core *c, uint64_t stay, json_t *o)
{
	struct talk t = {.outward = true};
	int r = 0;
	if (stay) {
		bh_core_flows_save(c);
		r = bh_store_flows_of_stay(c->store, BH_FLOW_SRC, stay, ROWS_MAX, count_row, &t);
	}
	size_t n_out = t.n;
	t.truncated = t.rows == ROWS_MAX;
	t.rows = 0;
	t.outward = false;
	if (stay && r == 0)
		r = bh_store_flows_of_stay(c->store, BH_FLOW_DST, stay, ROWS_MAX, count_row, &t);
	t.truncated |= t.rows == ROWS_MAX;
	json_object_set_new(o, "peers", merge_peers(&t, n_out));
	json_object_set_new(o, "counters",
		json_pack("{s:o, s:o, s:b}", "to", counters_json(&t, true), "from",
			counters_json(&t, false), "truncated", t.truncated));
	for (size_t i = 0; i < t.n; i++)
		bh_flow_row_finish(&t.row[i]);
	free(t.row);
	return r;
}

/* --- who it was before --- */

struct past {
	const char *namespace;
	json_t *list;
	bool truncated;
};

static bool add_stay(const struct bh_stay *y, void *arg)
{
	struct past *p = arg;
	if (!bh_streq(y->namespace, p->namespace))
		return true;
	p->truncated = json_array_size(p->list) == STAYS_SHOWN;
	if (!p->truncated)
		json_array_append_new(p->list, bh_core_stay_json(y));
	return !p->truncated;
}

static int add_history(struct bh_core *c, const char *ns, const char *name, json_t *o)
{
	struct past p = {.namespace = ns, .list = json_array()};
	int r = bh_store_list_stays(c->store, BH_STAY_NAME, name, STAYS_READ, add_stay, &p);
	json_object_set_new(o, "history", p.list);
	json_object_set_new(o, "history_truncated", json_boolean(p.truncated));
	return r;
}

static struct bh_answer finish(
	struct bh_core *c, json_t *o, uint64_t stay, const char *ns, const char *name)
{
	int r = add_talk(c, stay, o);
	if (r == 0)
		r = add_history(c, ns, name, o);
	if (r == 0)
		return bh_answer_json(200, o);
	json_decref(o);
	return bh_answer_error(
		500, NULL, "%s/bulkhead.db: %s", c->conf->state, bh_store_message(c->store));
}

struct bh_answer bh_core_workload(struct bh_core *c, const char *what)
{
	struct bh_answer error = {0}, gone_error = {0};
	struct bh_stay y;
	bh_core_history_save(c);
	int i = bh_core_resolve(c, what, false, &error);
	if (i >= 0) {
		const struct bh_workload *w = bh_engine_inventory(c->snap->engine)->workload[i];
		json_t *o = bh_core_workload_json(c, (size_t)i);
		add_decisions(c, (size_t)i, o);
		return finish(c, o, bh_core_stay_of(c, w), w->namespace, w->name);
	}
	if (i != -ENOENT)
		return error;
	int r = bh_core_resolve_gone(c, what, &y, &gone_error);
	if (r == -ENOENT)
		return error;
	json_decref(error.json);
	if (r < 0)
		return gone_error;
	struct bh_answer answer = finish(c, bh_core_stay_json(&y), y.number, y.namespace, y.name);
	bh_stay_finish(&y);
	return answer;
}
