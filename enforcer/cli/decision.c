/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A decision for people and for programs. */
#include "cli/decision.h"

bool cli_is_transport(uint8_t proto)
{
	return proto == BH_TCP || proto == BH_UDP || proto == BH_SCTP;
}

static json_t *side_json(
	const struct bh_inventory *inv, const struct bh_side *s, enum bh_direction d)
{
	char bh_autofree *rule = bh_side_rule_name(s, d), bh_autofree *who = NULL;
	if (s->workload >= 0)
		who = bh_xasprintf("%s/%s", inv->workload[s->workload]->namespace,
			inv->workload[s->workload]->name);
	return json_pack("{s:s, s:s?, s:s?, s:s?}", "verdict", bh_side_verdict_name(s->verdict),
		"workload", who, "mode", s->workload >= 0 ? bh_mode_name(s->mode) : NULL, "rule",
		rule);
}

json_t *cli_decision_json(const struct bh_engine *e, const struct bh_flow *f)
{
	const struct bh_inventory *inv = bh_engine_inventory(e);
	struct bh_buf bh_autobuf text = {0};
	struct bh_decision d;

	bh_engine_evaluate(e, f, &d);
	bh_engine_explain(e, f, &text);
	return json_pack("{s:s, s:s, s:b, s:b, s:o, s:o, s:s}", "verdict",
		bh_verdict_name(d.verdict), "reason", bh_reason_name(d.reason), "would_deny",
		d.would_deny, "learn", d.learn, "egress",
		side_json(inv, &d.side[BH_EGRESS], BH_EGRESS), "ingress",
		side_json(inv, &d.side[BH_INGRESS], BH_INGRESS), "text", text.s);
}

static void side_reason(const struct bh_side *s, enum bh_direction d, struct bh_buf *out)
{
	char bh_autofree *rule = bh_side_rule_name(s, d);

	bh_buf_printf(out, "%s%s: ", out->len ? "; " : "", bh_direction_name(d));
	if (rule)
		bh_buf_printf(out, "%s by %s", bh_side_verdict_name(s->verdict), rule);
	else if (s->verdict == BH_SIDE_DENIED || s->verdict == BH_SIDE_WOULD_DENY)
		bh_buf_printf(out, "%s, no rule allows it", bh_side_verdict_name(s->verdict));
	else
		bh_buf_str(out, bh_side_verdict_name(s->verdict));
}

char *cli_decision_reason(const struct bh_decision *d)
{
	struct bh_buf b = {0};
	side_reason(&d->side[BH_EGRESS], BH_EGRESS, &b);
	side_reason(&d->side[BH_INGRESS], BH_INGRESS, &b);
	return bh_buf_take(&b);
}
