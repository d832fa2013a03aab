/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Flow rows: what `bulkhead flows` shows. Collected here by what they have in common and written to
 * the store once a second, so that a flood of one flow costs one row.
 */
#include "flows/flows.h"

#include "core/state.h"
#include "history/history.h"
#include "verdict/shared.h"

void bh_core_end_name(
	const struct bh_inventory *inv, int32_t owner, const struct bh_addr *a, struct bh_buf *out)
{
	char text[BH_ADDR_STRLEN];
	if (owner >= 0)
		bh_buf_printf(
			out, "%s/%s", inv->workload[owner]->namespace, inv->workload[owner]->name);
	else if (owner == BH_OWNER_HOST)
		bh_buf_str(out, "host");
	else
		bh_buf_str(out, bh_addr_format(a, text));
}

char *bh_core_rule_name(const struct bh_side *s, enum bh_direction d)
{
	const struct bh_policy *p = s->rule.policy;
	if (!p)
		return NULL;
	const struct bh_policy_rule *r = &p->rule[d][s->rule.rule];
	struct bh_buf b = {0};
	bh_buf_printf(&b, "%s %s rule %d", p->ref, bh_direction_name(d), s->rule.rule);
	if (r->name) {
		char bh_autofree *name = bh_diag_quote(r->name, strlen(r->name));
		bh_buf_printf(&b, " \"%s\"", name);
	}
	if (s->rule.peer >= 0)
		bh_buf_printf(&b, " peer %d", s->rule.peer);
	if (p->tier != BH_TIER_NETWORK_POLICY)
		bh_buf_printf(&b, " (%s)", bh_rule_action_name(r->action));
	return bh_buf_take(&b);
}

/* The rule behind the row: the feed's indicator, or the rules of both sides. */
static char *rule_text(const struct bh_event *e)
{
	if (e->kind == BH_EVENT_THREAT || e->kind == BH_EVENT_ALERT)
		return bh_xasprintf("feed %s %s", e->feed, e->indicator);
	const struct bh_decision *d = &e->decision;
	if (e->dropped && d->reason == BH_REASON_QUARANTINE)
		return NULL; /* what the other end's policies would have said decided nothing */
	char bh_autofree *out = bh_core_rule_name(&d->side[BH_EGRESS], BH_EGRESS);
	char bh_autofree *in = bh_core_rule_name(&d->side[BH_INGRESS], BH_INGRESS);
	if (out && in)
		return bh_xasprintf("%s; %s", out, in);
	return out ? BH_TAKE_PTR(out) : BH_TAKE_PTR(in);
}

static const char *reason_text(const struct bh_event *e)
{
	switch (e->kind) {
	case BH_EVENT_THREAT:
	case BH_EVENT_ALERT:
		return bh_reason_name(BH_REASON_THREAT);
	case BH_EVENT_SPOOF:
		return bh_reason_name(BH_REASON_SPOOF);
	case BH_EVENT_DECISION:
		break;
	}
	return bh_reason_name(e->decision.reason);
}

static const char *verdict_text(const struct bh_event *e)
{
	if (e->dropped)
		return e->decision.verdict == BH_REJECT && e->kind == BH_EVENT_DECISION ? "reject"
											: "drop";
	return e->decision.would_deny ? "would-deny" : "allow";
}

static enum bh_mode mode_of(const struct bh_decision *d)
{
	const struct bh_side *out = &d->side[BH_EGRESS], *in = &d->side[BH_INGRESS];
	if (out->workload >= 0 && in->workload >= 0)
		return in->verdict == BH_SIDE_DENIED ? in->mode : out->mode;
	return out->workload >= 0 ? out->mode : in->mode;
}

static uint64_t stay_of(const struct bh_core *c, const struct bh_inventory *inv, int32_t owner)
{
	return owner >= 0 ? bh_core_stay_of(c, inv->workload[owner]) : 0;
}

void bh_core_flow_fill(const struct bh_core *c, const struct bh_event *e, struct bh_flow_row *r)
{
	const struct bh_inventory *inv = bh_engine_inventory(e->snap->engine);
	const struct bh_side *out = &e->decision.side[BH_EGRESS];
	const struct bh_side *in = &e->decision.side[BH_INGRESS];
	struct bh_buf src = {0}, dst = {0};
	char text[BH_ADDR_STRLEN];

	bh_core_end_name(inv, out->workload, &e->flow.src, &src);
	bh_core_end_name(inv, in->workload, &e->flow.dst, &dst);
	bool governed = out->workload >= 0 || in->workload >= 0;
	*r = (struct bh_flow_row){
		.first_seen = e->when,
		.last_seen = e->when,
		.src = bh_buf_take(&src),
		.dst = bh_buf_take(&dst),
		.src_addr = bh_xstrdup(bh_addr_format(&e->flow.src, text)),
		.src_id = out->workload >= 0 ? bh_xstrdup(inv->workload[out->workload]->id) : NULL,
		.dst_id = in->workload >= 0 ? bh_xstrdup(inv->workload[in->workload]->id) : NULL,
		.src_stay = stay_of(c, inv, out->workload),
		.dst_stay = stay_of(c, inv, in->workload),
		.proto = e->flow.proto,
		.port = e->flow.dport,
		.verdict = bh_xstrdup(verdict_text(e)),
		.reason = bh_xstrdup(reason_text(e)),
		.mode = bh_xstrdup(governed ? bh_mode_name(mode_of(&e->decision)) : ""),
		.rule = rule_text(e),
		.count = e->cached ? e->cached : 1,
	};
	r->dst_addr = bh_xstrdup(bh_addr_format(&e->flow.dst, text));
}

void bh_core_volume_add(struct bh_volume *to, const struct bh_volume *v, bool source)
{
	struct bh_volume seen = *v;
	for (int way = 0; way < 2 && !source; way++) {
		seen.packets[way] = v->packets[!way];
		seen.bytes[way] = v->bytes[!way];
	}
	bh_volume_add(to, &seen);
}

json_t *bh_core_volume_json(const struct bh_volume *v)
{
	if (v->flows == 0)
		return json_null();
	return json_pack("{s:I, s:I, s:I, s:I, s:I, s:I}", "ended", (json_int_t)v->flows,
		"packets_out", (json_int_t)v->packets[0], "packets_back", (json_int_t)v->packets[1],
		"bytes_out", (json_int_t)v->bytes[0], "bytes_back", (json_int_t)v->bytes[1],
		"duration_us", (json_int_t)v->duration);
}

static uint64_t key_hash(const struct bh_flow_row *r)
{
	uint64_t h = bh_hash(&r->proto, 1, bh_hash(&r->port, 2, BH_HASH_SEED));
	h = bh_hash(&r->src_stay, sizeof(r->src_stay), h);
	h = bh_hash(&r->dst_stay, sizeof(r->dst_stay), h);
	const char *part[] = {r->src, r->dst, r->src_addr, r->dst_addr, r->verdict, r->reason,
		r->mode, r->rule ? r->rule : ""};
	for (size_t i = 0; i < BH_ARRAY_SIZE(part); i++)
		h = bh_hash_str(part[i], h);
	return h;
}

static bool same_key(const struct bh_flow_row *a, const struct bh_flow_row *b)
{
	return a->proto == b->proto && a->port == b->port && a->src_stay == b->src_stay &&
	       a->dst_stay == b->dst_stay && bh_streq(a->src, b->src) && bh_streq(a->dst, b->dst) &&
	       bh_streq(a->src_addr, b->src_addr) && bh_streq(a->dst_addr, b->dst_addr) &&
	       bh_streq(a->verdict, b->verdict) && bh_streq(a->reason, b->reason) &&
	       bh_streq(a->mode, b->mode) && bh_streq(a->rule, b->rule);
}

void bh_core_flow_row(struct bh_core *c, struct bh_flow_row *r)
{
	struct bh_flow_batch *b = &c->flows;

	if (!b->slot) {
		b->mask = 4 * BH_FLOW_BATCH_MAX - 1;
		b->slot = bh_xcalloc(b->mask + 1, sizeof(*b->slot));
	}
	size_t i = key_hash(r) & b->mask;
	for (; b->slot[i]; i = (i + 1) & b->mask) {
		struct bh_flow_row *have = &b->row[b->slot[i] - 1];
		if (!same_key(have, r))
			continue;
		have->last_seen = r->last_seen;
		have->count += r->count;
		bh_volume_add(&have->volume, &r->volume);
		bh_flow_row_finish(r);
		return;
	}
	BH_GROW(b->row, b->n, b->cap);
	b->row[b->n++] = *r;
	b->slot[i] = (uint32_t)b->n;
	if (b->n == BH_FLOW_BATCH_MAX)
		bh_core_flows_save(c);
}

void bh_core_flow_note(struct bh_core *c, const struct bh_event *e)
{
	struct bh_flow_row r;

	if (e->decision.side[BH_EGRESS].workload < 0 && e->decision.side[BH_INGRESS].workload < 0 &&
		e->kind == BH_EVENT_DECISION && !e->dropped &&
		e->decision.reason != BH_REASON_UNKNOWN_WORKLOAD)
		return; /* nothing of ours */
	bh_core_flow_fill(c, e, &r);
	bh_core_flow_row(c, &r);
}

void bh_core_flows_save(struct bh_core *c)
{
	struct bh_flow_batch *b = &c->flows;
	size_t kept = 0;
	int r = 0;

	for (size_t i = 0; i < b->n; i++) {
		if (r == 0)
			r = bh_store_add_flow(c->store, &b->row[i], c->conf->learn_flows);
		/* A store that cannot be written keeps half a batch waiting, then loses the oldest.
		 */
		if (r < 0 && b->n - i <= BH_FLOW_BATCH_MAX / 2)
			b->row[kept++] = b->row[i];
		else
			bh_flow_row_finish(&b->row[i]);
	}
	b->n = kept;
	if (b->slot)
		memset(b->slot, 0, (b->mask + 1) * sizeof(*b->slot));
	for (size_t k = 0; k < b->n; k++) {
		size_t i = key_hash(&b->row[k]) & b->mask;
		while (b->slot[i])
			i = (i + 1) & b->mask;
		b->slot[i] = (uint32_t)k + 1;
	}
}

uint64_t bh_core_flows_folded_since(struct bh_core *c, int64_t since)
{
	struct bh_flow_fold f = {0};
	bh_store_sum_flow_folds(c->store, &f);
	return f.rows && f.last_seen >= since ? f.count : 0;
}
