/* SPDX-License-Identifier: GPL-3.0-or-later */
/* GET /v1/flows and /v1/explain */
#include <errno.h>

#include "core/private.h"

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
	json_object_set_new(o, "first_seen", bh_core_time_json(r->first_seen));
	json_object_set_new(o, "last_seen", bh_core_time_json(r->last_seen));
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
	json_object_set_new(o, "first_seen", bh_core_time_json(f->first_seen));
	json_object_set_new(o, "last_seen", bh_core_time_json(f->last_seen));
	json_array_append_new(arg, o);
}

/* null, or what older rows were put together, as there are more than are kept. */
static json_t *folded_json(struct bh_core *c)
{
	struct bh_flow_fold f = {0};
	if (bh_store_sum_flow_folds(c->store, &f) < 0 || !f.rows)
		return json_null();
	return json_pack("{s:I, s:I, s:o, s:o}", "rows", (json_int_t)f.rows, "count",
		(json_int_t)f.count, "first_seen", bh_core_time_json(f.first_seen), "last_seen",
		bh_core_time_json(f.last_seen));
}

uint64_t bh_core_flows_folded_since(struct bh_core *c, int64_t since)
{
	struct bh_flow_fold f = {0};
	bh_store_sum_flow_folds(c->store, &f);
	return f.rows && f.last_seen >= since ? f.count : 0;
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

/* --- explain --- */

/* A workload or an address; a workload gives the address of the wanted family, or of any. */
static int end_addr(struct bh_core *c, const char *what, uint8_t family, struct bh_addr *ret,
	struct bh_answer *ret_error)
{
	const struct bh_inventory *inv = bh_engine_inventory(c->snap->engine);
	if (bh_addr_parse(what, ret) == 0)
		return 0;
	if (bh_streq(what, "host") && inv->n_hosts) {
		for (size_t i = 0; i < inv->n_hosts; i++)
			if (!family || inv->host[i].family == family)
				return *ret = inv->host[i], 0;
	}
	int w = bh_core_resolve(c, what, true, ret_error);
	if (w < 0)
		return w;
	const struct bh_workload *wl = inv->workload[w];
	const struct bh_addr *fallback = NULL;
	for (size_t i = 0; i < wl->n_ifaces; i++)
		for (size_t k = 0; k < wl->iface[i].n_addrs; k++) {
			const struct bh_addr *a = &wl->iface[i].addr[k];
			bool fits = !family || a->family == family;
			if (fits && !bh_addr_is_link_local(a))
				return *ret = *a, 0;
			if (fits && !fallback)
				fallback = a;
		}
	if (fallback)
		return *ret = *fallback, 0;
	*ret_error = bh_answer_error(409, NULL, "%s/%s has no %s address", wl->namespace, wl->name,
		family == BH_IPV6 ? "IPv6" : "IPv4");
	return -EADDRNOTAVAIL;
}

static json_t *side_json(
	const struct bh_inventory *inv, const struct bh_side *s, enum bh_direction d)
{
	char bh_autofree *rule = bh_core_rule_name(s, d);
	struct bh_buf bh_autobuf who = {0};
	if (s->workload >= 0)
		bh_buf_printf(&who, "%s/%s", inv->workload[s->workload]->namespace,
			inv->workload[s->workload]->name);
	return json_pack("{s:s, s:s?, s:s?, s:s?}", "verdict", bh_side_verdict_name(s->verdict),
		"workload", who.s, "mode", s->workload >= 0 ? bh_mode_name(s->mode) : NULL, "rule",
		rule);
}

static void feed_lines(const struct bh_snapshot *s, const struct bh_addr *a, unsigned as,
	bool *blocked, struct bh_buf *text)
{
	struct bh_feed_hit hit[8];
	char addr[BH_ADDR_STRLEN];
	size_t n = bh_feed_index_lookup(s->feeds, a, hit, BH_ARRAY_SIZE(hit));
	bool block = bh_feed_index_blocked(s->feeds, a) & as;
	for (size_t i = 0; i < n; i++)
		bh_buf_printf(text, "threat: %s is on feed %s as %s: %s\n", bh_addr_format(a, addr),
			hit[i].feed, hit[i].indicator,
			!(hit[i].directions & as) ? "not in this direction"
			: block                   ? "dropped whatever the policies say"
						  : "reported only");
	*blocked |= block;
}

static bool parse_service(
	const char *proto, const char *port, struct bh_flow *f, struct bh_answer *ret_error)
{
	uint64_t v = 0;
	if (bh_proto_parse(proto, &f->proto) < 0) {
		*ret_error =
			bh_answer_error(400, NULL, "protocol: tcp, udp, sctp, icmp or a number");
		return false;
	}
	bool ports = f->proto == BH_TCP || f->proto == BH_UDP || f->proto == BH_SCTP;
	if (ports && (!port || bh_parse_u64(port, 65535, &v) < 0 || v == 0)) {
		*ret_error = bh_answer_error(400, NULL, "port: a number from 1 to 65535");
		return false;
	}
	f->dport = ports ? (uint16_t)v : 0;
	f->sport = ports ? 40000 : 0;
	return true;
}

/* Where a side's mode comes from: the two may differ, and one may be for a time only. */
static void mode_lines(struct bh_core *c, const struct bh_decision *d, struct bh_buf *text)
{
	const struct bh_inventory *inv = bh_engine_inventory(c->snap->engine);
	for (int side = BH_EGRESS; side <= BH_INGRESS; side++) {
		if (d->side[side].workload < 0)
			continue;
		const struct bh_workload *w = inv->workload[d->side[side].workload];
		if (side == BH_INGRESS && d->side[BH_EGRESS].workload == d->side[side].workload)
			continue;
		bh_buf_printf(text, "mode of %s/%s: %s, ", w->namespace, w->name,
			bh_mode_name(d->side[side].mode));
		bh_core_mode_origin(c, w, text);
		bh_buf_printf(text, "; its %s decides by it\n", bh_direction_name(side));
	}
}

static struct bh_answer explain(struct bh_core *c, const struct bh_flow *f)
{
	const struct bh_inventory *inv = bh_engine_inventory(c->snap->engine);
	struct bh_decision d;
	struct bh_buf bh_autobuf text = {0};
	bool blocked = false;

	bh_engine_evaluate(c->snap->engine, f, &d);
	feed_lines(c->snap, &f->src, BH_FEED_IN, &blocked, &text);
	feed_lines(c->snap, &f->dst, BH_FEED_OUT, &blocked, &text);
	bh_engine_explain(c->snap->engine, f, &text);
	mode_lines(c, &d, &text);
	return bh_answer_json(
		200, json_pack("{s:s, s:s, s:b, s:b, s:o, s:o, s:s}", "verdict",
			     blocked ? "drop" : bh_verdict_name(d.verdict), "reason",
			     bh_reason_name(blocked ? BH_REASON_THREAT : d.reason), "would_deny",
			     d.would_deny, "learn", d.learn && !blocked, "egress",
			     side_json(inv, &d.side[BH_EGRESS], BH_EGRESS), "ingress",
			     side_json(inv, &d.side[BH_INGRESS], BH_INGRESS), "text", text.s));
}

struct bh_answer bh_core_explain(
	struct bh_core *c, const char *src, const char *dst, const char *proto, const char *port)
{
	struct bh_flow f = {0};
	struct bh_answer error = {0};

	if (!c->snap)
		return bh_answer_error(503, NULL, "nothing is in force yet: see `bulkhead status`");
	if (!parse_service(proto, port, &f, &error))
		return error;
	if (end_addr(c, src, 0, &f.src, &error) < 0)
		return error;
	if (end_addr(c, dst, f.src.family, &f.dst, &error) < 0)
		return error;
	/* "web 2001:db8::1": the source's family follows the destination's. */
	if (f.src.family != f.dst.family && end_addr(c, src, f.dst.family, &f.src, &error) < 0)
		return error;
	if (f.src.family != f.dst.family)
		return bh_answer_error(
			400, NULL, "%s and %s are of different address families", src, dst);
	if (f.src.family == BH_IPV6 && f.proto == 1)
		f.proto = 58;
	return explain(c, &f);
}
