/* SPDX-License-Identifier: GPL-3.0-or-later */
/* GET /v1/explain */
#include <errno.h>

#include "answer/answer.h"
#include "core/core.h"
#include "core/state.h"
#include "feeds/feeds.h"
#include "flows/flows.h"
#include "history/resolve.h"
#include "modes/modes.h"

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
