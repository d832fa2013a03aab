/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The decision on a flow in words: who the ends are, what each side says and by which policy, the
 * verdict, and what would have to change for the opposite. Evaluates with the same function as the
 * packet threads, so that it cannot tell another story.
 */
#include "internal.h"

const struct bh_addr *bh_explain_addr(const struct bh_explain *x, enum bh_direction d)
{
	return d == BH_EGRESS ? &x->f->src : &x->f->dst;
}

/* "shop/web", "the node", or the bare address. */
static void name_end(const struct bh_explain *x, enum bh_direction d, struct bh_buf *out)
{
	char text[BH_ADDR_STRLEN];
	int w = x->d.side[d].workload;
	if (w >= 0)
		bh_buf_printf(out, "%s/%s", x->e->inv->workload[w]->namespace,
			x->e->inv->workload[w]->name);
	else if (w == BH_OWNER_HOST)
		bh_buf_str(out, "the node");
	else
		bh_buf_str(out, bh_addr_format(bh_explain_addr(x, d), text));
}

static void add_labels(const struct bh_labels *l, struct bh_buf *out)
{
	for (size_t i = 0; i < l->n; i++)
		bh_buf_printf(
			out, "%s%s=%s", i ? "," : ", labels ", l->item[i].key, l->item[i].value);
}

static void explain_end(const struct bh_explain *x, enum bh_direction d)
{
	char text[BH_ADDR_STRLEN];
	int w = x->d.side[d].workload;
	bh_buf_printf(x->out, "%s: ", d == BH_EGRESS ? "source" : "destination");
	if (w >= 0) {
		const struct bh_workload *wl = x->e->inv->workload[w];
		bh_buf_printf(x->out, "%s/%s, address %s, mode %s", wl->namespace, wl->name,
			bh_addr_format(bh_explain_addr(x, d), text), bh_mode_name(wl->mode));
		add_labels(&wl->labels, x->out);
		if (wl->unenforceable)
			bh_buf_printf(x->out, " (cannot be fully governed: %s)", wl->unenforceable);
	} else {
		bh_addr_format(bh_explain_addr(x, d), text);
		bh_buf_printf(x->out, "%s, %s", text,
			w == BH_OWNER_HOST ? "the node itself"
			: bh_inventory_in_network(x->e->inv, bh_explain_addr(x, d))
				? "inside a workload network but of no known workload"
				: "outside");
	}
	bh_buf_str(x->out, "\n");
}

static void explain_flow(const struct bh_explain *x)
{
	char number[4];
	const struct bh_flow *f = x->f;
	bh_buf_str(x->out, "flow: ");
	bh_buf_str(x->out, bh_proto_name(f->proto, number));
	if (f->proto == BH_TCP || f->proto == BH_UDP || f->proto == BH_SCTP)
		bh_buf_printf(x->out, "/%u", f->dport);
	bh_buf_str(x->out, " from ");
	name_end(x, BH_EGRESS, x->out);
	bh_buf_str(x->out, " to ");
	name_end(x, BH_INGRESS, x->out);
	bh_buf_str(x->out, "\n");
}

static void list_policies(
	const struct bh_policy *const *list, size_t n, const char *before, struct bh_buf *out)
{
	enum { SHOWN = 20 };
	for (size_t i = 0; i < n && i < SHOWN; i++)
		bh_buf_printf(out, "%s%s", i ? ", " : before, list[i]->ref);
	if (n > SHOWN)
		bh_buf_printf(out, " and %zu more", n - SHOWN);
}

/* What the peer that made a rule match says, in words. */
static const char *peer_text(
	const struct bh_explain *x, enum bh_direction d, const struct bh_rule_ref *ref)
{
	const struct bh_plan *p = x->e->plan;
	for (size_t i = 0; i < p->policies->n; i++)
		if (p->policies->policy[i] == ref->policy)
			return p->peer[p->policy[i].rule[d][ref->rule].peer[ref->peer]].text;
	return "";
}

static void name_rule(
	const struct bh_explain *x, enum bh_direction d, const struct bh_rule_ref *ref)
{
	const struct bh_policy *p = ref->policy;
	const struct bh_policy_rule *rule = &p->rule[d][ref->rule];
	bh_buf_printf(x->out, "%s, %s rule %d", p->ref, bh_direction_name(d), ref->rule);
	if (p->tier != BH_TIER_NETWORK_POLICY)
		bh_buf_printf(x->out, " (%s)", bh_rule_action_name(rule->action));
	if (rule->name)
		bh_buf_printf(x->out, " \"%s\"", rule->name);
	if (ref->peer >= 0)
		bh_buf_printf(x->out, ", peer %d (%s)", ref->peer, peer_text(x, d, ref));
	else
		bh_buf_str(x->out, " (any peer)");
	if (p->file)
		bh_buf_printf(x->out, ", %s:%d", p->file, rule->line);
}

/* What the Admin or the Baseline tier says. */
static void explain_tier(const struct bh_explain *x, enum bh_direction d, enum bh_tier tier,
	const struct bh_policy *const *list, size_t n, const struct bh_step *step)
{
	if (!n || !step->asked)
		return;
	bh_buf_printf(x->out, "%s tier: ", bh_tier_name(tier));
	if (step->matched) {
		static const char *const does[] = {[BH_RULE_ACCEPT] = "accepted by ",
			[BH_RULE_DENY] = "denied by ",
			[BH_RULE_PASS] = "passed on by "};
		bh_buf_str(x->out, does[step->action]);
		name_rule(x, d, &step->rule);
	} else {
		list_policies(list, n, "no rule of ", x->out);
		bh_buf_str(x->out, " matches");
	}
	bh_buf_str(x->out, "; ");
}

/* Whether a tier's answer ended the matter. */
static bool final(const struct bh_step *s)
{
	return s->matched && s->action != BH_RULE_PASS;
}

static const char *consequence(enum bh_side_verdict v, bool isolated)
{
	switch (v) {
	case BH_SIDE_OPEN:
		return "open: what no policy selects is not restricted";
	case BH_SIDE_LEARN:
		return isolated ? "no rule allows it; mode learn: passes and is learned"
				: "mode learn: passes and is learned";
	case BH_SIDE_WOULD_DENY:
		return isolated ? "no rule allows it; mode audit: passes, logged as a would-be "
				  "denial"
				: "unselected: deny; mode audit: passes, logged as a would-be "
				  "denial";
	case BH_SIDE_DENIED:
		return isolated ? "no rule allows it; mode enforce: denied"
				: "unselected: deny; mode enforce: denied";
	case BH_SIDE_HOST:
		return "the other end is the node and host: allow is configured: always passes, "
		       "is recorded";
	case BH_SIDE_SELF:
		return "its own address: never blocked";
	default:
		return "";
	}
}

static const char *ungoverned(const struct bh_explain *x, enum bh_direction d)
{
	int w = x->d.side[d].workload;
	if (w >= 0 && !bh_workload_governable(x->e->inv->workload[w]))
		return "the workload cannot be governed";
	if (w >= 0)
		return "neighbour discovery, DHCP, multicast and broadcast are never governed";
	return "not a workload of this node: nothing to check";
}

/* The word for a rule's decision that the mode softens. */
static const char *softened(enum bh_side_verdict v)
{
	return v == BH_SIDE_WOULD_DENY
		       ? "; not in mode enforce: passes, logged as a would-be denial"
		       : "";
}

/* The tiers one after the other, as far as they were asked. */
static void explain_tiers(const struct bh_explain *x, enum bh_direction d)
{
	const struct bh_side *side = &x->d.side[d];
	size_t w = (size_t)side->workload;
	const struct bh_selection *s =
		x->e->selection[x->e->class[x->e->place[w].class] -> selection[d]];
	const int owner[2] = {x->d.side[0].workload, x->d.side[1].workload};
	struct bh_step step[3] = {0};
	bool isolated = s->n_np > 0;
	int32_t group = x->e->place[w].group[d];
	if (group >= 0)
		bh_group_decide(x->e, x->e->group[group], x->f, owner, step);
	explain_tier(x, d, BH_TIER_ADMIN, s->policy, s->n_admin, &step[BH_TIER_ADMIN]);
	if (final(&step[BH_TIER_ADMIN])) {
		x->out->len -= 2; /* "; " */
		bh_buf_str(x->out, softened(side->verdict));
		return;
	}
	if (isolated)
		list_policies(s->policy + s->n_admin, s->n_np, "isolated by ", x->out);
	else
		bh_buf_str(x->out, "no policy isolates it");
	bh_buf_str(x->out, "; ");
	explain_tier(x, d, BH_TIER_BASELINE, s->policy + s->n_admin + s->n_np,
		s->n - s->n_admin - s->n_np, &step[BH_TIER_BASELINE]);
	if (final(&step[BH_TIER_NETWORK_POLICY])) {
		bh_buf_str(x->out, "allowed by policy ");
		name_rule(x, d, &step[BH_TIER_NETWORK_POLICY].rule);
	} else if (final(&step[BH_TIER_BASELINE])) {
		x->out->len -= 2;
		bh_buf_str(x->out, softened(side->verdict));
	} else {
		bh_buf_str(x->out, consequence(side->verdict, isolated));
	}
}

bool bh_explain_quarantined(const struct bh_explain *x, enum bh_direction d)
{
	const struct bh_side *s = &x->d.side[d];
	return (s->verdict == BH_SIDE_DENIED || s->verdict == BH_SIDE_ALLOWED) &&
	       x->e->inv->workload[s->workload]->quarantine;
}

static void explain_side(const struct bh_explain *x, enum bh_direction d)
{
	const struct bh_side *s = &x->d.side[d];
	bh_buf_printf(x->out, "%s of ", bh_direction_name(d));
	name_end(x, d, x->out);
	bh_buf_str(x->out, ": ");
	if (bh_explain_quarantined(x, d)) {
		bh_buf_printf(x->out, "quarantined, above policies and modes; it is %s\n",
			s->verdict == BH_SIDE_ALLOWED ? "on the list of what is allowed"
						      : "not on the list of what is allowed: "
							"denied");
		return;
	}
	if (s->verdict == BH_SIDE_UNGOVERNED)
		bh_buf_str(x->out, ungoverned(x, d));
	else if (s->verdict == BH_SIDE_HOST || s->verdict == BH_SIDE_SELF)
		bh_buf_str(x->out, consequence(s->verdict, false));
	else
		explain_tiers(x, d);
	bh_buf_str(x->out, "\n");
	if (s->verdict != BH_SIDE_UNGOVERNED && s->verdict != BH_SIDE_HOST &&
		s->verdict != BH_SIDE_SELF)
		bh_explain_considered(x, d);
}

static void explain_verdict(const struct bh_explain *x)
{
	bh_buf_printf(x->out, "verdict: %s (%s)", bh_verdict_name(x->d.verdict),
		bh_reason_name(x->d.reason));
	if (x->d.would_deny)
		bh_buf_str(x->out, ", would be denied in enforce mode");
	if (x->d.learn)
		bh_buf_str(x->out, ", is learned");
	bh_buf_str(x->out, "\n");
}

void bh_engine_explain(const struct bh_engine *e, const struct bh_flow *f, struct bh_buf *out)
{
	struct bh_explain x = {.e = e, .f = f, .out = out};
	bh_engine_evaluate(e, f, &x.d);
	explain_flow(&x);
	explain_end(&x, BH_EGRESS);
	explain_end(&x, BH_INGRESS);
	explain_side(&x, BH_EGRESS);
	explain_side(&x, BH_INGRESS);
	explain_verdict(&x);
	bh_explain_suggest(&x);
}
