/* SPDX-License-Identifier: GPL-3.0-or-later */
/* GET /v1/flows */
#include "flows/flows.h"
#include "answer/answer.h"
#include "answer/clock.h"
#include "core/core.h"
#include "core/state.h"
#include "history/names.h"
#include "store/store.h"

struct listing {
	json_t *list;
	uint64_t last;
};

static void add_row(const struct bh_flow_row *r, void *arg)
{
	struct listing *l = arg;
	char proto[4];
	json_t *o = json_pack("{s:I, s:s, s:s, s:s, s:s, s:s, s:i, s:s, s:s, s:s, s:s?, s:I}",
		"seq", (json_int_t)r->seq, "src", r->src, "dst", r->dst, "src_addr", r->src_addr,
		"dst_addr", r->dst_addr, "protocol", bh_proto_name(r->proto, proto), "port",
		r->port, "verdict", r->verdict, "reason", r->reason, "mode", r->mode, "rule",
		r->rule, "count", (json_int_t)r->count);
	json_object_set_new(o, "src_id", r->src_id ? json_string(r->src_id) : json_null());
	json_object_set_new(o, "dst_id", r->dst_id ? json_string(r->dst_id) : json_null());
	json_object_set_new(o, "src_stay", json_integer((json_int_t)r->src_stay));
	json_object_set_new(o, "dst_stay", json_integer((json_int_t)r->dst_stay));
	json_object_set_new(o, "volume", bh_core_volume_json(&r->volume));
	json_object_set_new(o, "first_seen", bh_clock_json(r->first_seen));
	json_object_set_new(o, "last_seen", bh_clock_json(r->last_seen));
	json_array_append_new(l->list, o);
	l->last = r->seq > l->last ? r->seq : l->last;
}

/* After the walk: roles are asked of the store. */
static void add_names(struct bh_core *c, json_t *list)
{
	json_t *o;
	size_t i;
	json_array_foreach(list, i, o)
	{
		uint64_t stay[2];
		struct bh_addr addr[2];
		for (int k = 0; k < 2; k++) {
			const char *text =
				json_string_value(json_object_get(o, k ? "dst_addr" : "src_addr"));
			stay[k] = (uint64_t)json_integer_value(
				json_object_get(o, k ? "dst_stay" : "src_stay"));
			addr[k].family = 0;
			if (text)
				bh_addr_parse(text, &addr[k]);
		}
		for (int k = 0; k < 2; k++) {
			bool outside = !stay[k] && stay[!k] && addr[k].family;
			const struct bh_end *teller =
				outside ? bh_core_stay_end(c, stay[!k]) : NULL;
			json_object_set_new(o, k ? "dst_names" : "src_names",
				bh_core_names_json(c, teller, &addr[k]));
		}
	}
}

static void add_fold(const struct bh_flow_fold *f, void *arg)
{
	char proto[4];
	json_t *o = json_pack("{s:s, s:s, s:s, s:i, s:s, s:I, s:I}", "src", f->src, "dst", f->dst,
		"protocol", f->proto ? bh_proto_name(f->proto, proto) : "*", "port", f->port,
		"verdict", f->verdict, "count", (json_int_t)f->count, "rows", (json_int_t)f->rows);
	json_object_set_new(o, "first_seen", bh_clock_json(f->first_seen));
	json_object_set_new(o, "last_seen", bh_clock_json(f->last_seen));
	json_array_append_new(arg, o);
}

/* null, or what older rows were put together, as there are more than are kept. */
static json_t *folded_json(struct bh_core *c)
{
	struct bh_flow_fold f = {0};
	if (bh_store_sum_flow_folds(c->store, &f) < 0 || !f.rows)
		return json_null();
	return json_pack("{s:I, s:I, s:o, s:o}", "rows", (json_int_t)f.rows, "count",
		(json_int_t)f.count, "first_seen", bh_clock_json(f.first_seen), "last_seen",
		bh_clock_json(f.last_seen));
}

struct bh_answer bh_core_flows_folded(struct bh_core *c, size_t limit)
{
	json_t *list = json_array();
	bh_core_flows_save(c);
	int r = bh_store_list_flow_folds(c->store, limit, add_fold, list);
	if (r < 0) {
		json_decref(list);
		return bh_answer_error(500, NULL, "%s/bulkhead.db: %s", c->conf->state,
			bh_store_message(c->store));
	}
	return bh_answer_json(
		200, json_pack("{s:o, s:o}", "folds", list, "folded", folded_json(c)));
}

struct bh_answer bh_core_flows(struct bh_core *c, uint64_t since, size_t limit)
{
	struct listing l = {json_array(), since};
	bh_core_flows_save(c);
	int r = bh_store_list_flows(c->store, since, limit, add_row, &l);
	if (r < 0) {
		json_decref(l.list);
		return bh_answer_error(500, NULL, "%s/bulkhead.db: %s", c->conf->state,
			bh_store_message(c->store));
	}
	add_names(c, l.list);
	return bh_answer_json(200, json_pack("{s:o, s:I, s:o}", "flows", l.list, "next",
					   (json_int_t)l.last, "folded", folded_json(c)));
}
