/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The decision on a flow in words: who the ends are, what each side says and by which policy, the
 * verdict, and what would have to change for the opposite. Evaluates with the same function as the
 * packet threads, so that it cannot tell another story.
 */
#include "internal.h"

struct explain {
	const struct bh_engine *e;
	const struct bh_flow *f;
	struct bh_decision d;
	struct bh_buf *out;
};

static const struct bh_addr *addr_of(const struct explain *x, enum bh_direction d)
{
	return d == BH_EGRESS ? &x->f->src : &x->f->dst;
}

/* "shop/web", "the node", or the bare address. */
static void name_end(const struct explain *x, enum bh_direction d, struct bh_buf *out)
{
	char text[BH_ADDR_STRLEN];
	int w = x->d.side[d].workload;
	if (w >= 0)
		bh_buf_printf(out, "%s/%s", x->e->inv->workload[w]->namespace,
			x->e->inv->workload[w]->name);
	else if (w == BH_OWNER_HOST)
		bh_buf_str(out, "the node");
	else
		bh_buf_str(out, bh_addr_format(addr_of(x, d), text));
}

static void add_labels(const struct bh_labels *l, struct bh_buf *out)
{
	for (size_t i = 0; i < l->n; i++)
		bh_buf_printf(
			out, "%s%s=%s", i ? "," : " labels ", l->item[i].key, l->item[i].value);
}

static void explain_end(const struct explain *x, enum bh_direction d)
{
	char text[BH_ADDR_STRLEN];
	int w = x->d.side[d].workload;
	bh_buf_printf(x->out, "%s: ", d == BH_EGRESS ? "source" : "destination");
	if (w >= 0) {
		const struct bh_workload *wl = x->e->inv->workload[w];
		bh_buf_printf(x->out, "%s/%s, address %s, mode %s,", wl->namespace, wl->name,
			bh_addr_format(addr_of(x, d), text), bh_mode_name(wl->mode));
		add_labels(&wl->labels, x->out);
		if (wl->unenforceable)
			bh_buf_printf(x->out, " (cannot be fully governed: %s)", wl->unenforceable);
	} else {
		bh_addr_format(addr_of(x, d), text);
		bh_buf_printf(x->out, "%s, %s", text,
			w == BH_OWNER_HOST ? "the node itself"
			: bh_inventory_in_network(x->e->inv, addr_of(x, d))
				? "inside a workload network but of no known workload"
				: "outside");
	}
	bh_buf_str(x->out, "\n");
}

static void explain_flow(const struct explain *x)
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

static void explain_isolation(const struct explain *x, enum bh_direction d)
{
	const struct bh_policy *const *list;
	size_t w = (size_t)x->d.side[d].workload;
	size_t n = bh_engine_policies_of(x->e, w, d, &list);
	if (!n)
		bh_buf_str(x->out, "no policy isolates it");
	for (size_t i = 0; i < n; i++)
		bh_buf_printf(x->out, "%s%s/%s", i ? ", " : "isolated by ", list[i]->namespace,
			list[i]->name);
}

/* What the peer that allowed it says, in words. */
static const char *peer_text(const struct explain *x, enum bh_direction d)
{
	const struct bh_side *s = &x->d.side[d];
	const struct bh_group *g = x->e->group[x->e->group_of[d][s->workload]];
	for (size_t i = 0; i < g->n_rules; i++)
		if (g->rule[i].policy == s->rule.policy &&
			g->rule[i].rule == (uint32_t)s->rule.rule)
			return x->e->peer[g->rule[i].peer[s->rule.peer]].text;
	return "";
}

static void explain_rule(const struct explain *x, enum bh_direction d)
{
	const struct bh_rule_ref *ref = &x->d.side[d].rule;
	const struct bh_policy *p = ref->policy;
	bh_buf_printf(x->out, "allowed by policy %s/%s, %s rule %d", p->namespace, p->name,
		bh_direction_name(d), ref->rule);
	if (ref->peer >= 0)
		bh_buf_printf(x->out, ", peer %d (%s)", ref->peer, peer_text(x, d));
	else
		bh_buf_str(x->out, " (any peer)");
	if (p->file)
		bh_buf_printf(x->out, ", %s:%d", p->file, p->rule[d][ref->rule].line);
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

static const char *ungoverned(const struct explain *x, enum bh_direction d)
{
	int w = x->d.side[d].workload;
	if (w >= 0 && !bh_workload_governable(x->e->inv->workload[w]))
		return "the workload cannot be governed";
	if (w >= 0)
		return "neighbour discovery, DHCP, multicast and broadcast are never governed";
	return "not a workload of this node: nothing to check";
}

static void explain_side(const struct explain *x, enum bh_direction d)
{
	const struct bh_side *s = &x->d.side[d];
	bh_buf_printf(x->out, "%s of ", bh_direction_name(d));
	name_end(x, d, x->out);
	bh_buf_str(x->out, ": ");
	if (s->verdict == BH_SIDE_UNGOVERNED) {
		bh_buf_printf(x->out, "%s\n", ungoverned(x, d));
		return;
	}
	explain_isolation(x, d);
	bh_buf_str(x->out, "; ");
	if (s->verdict == BH_SIDE_ALLOWED)
		explain_rule(x, d);
	else
		bh_buf_str(x->out,
			consequence(s->verdict, bh_engine_isolated(x->e, (size_t)s->workload, d)));
	bh_buf_str(x->out, "\n");
}

static void print_labels_map(const struct bh_labels *l, struct bh_buf *out)
{
	bool any = false;
	bh_buf_str(out, "{matchLabels: {");
	for (size_t i = 0; i < l->n; i++) {
		/* A container's own name selects it alone; what is no label value can't be said. */
		if (strcmp(l->item[i].key, "bulkhead.io/name") == 0 ||
			bh_label_key_check(l->item[i].key) ||
			bh_label_value_check(l->item[i].value))
			continue;
		bh_buf_printf(
			out, "%s%s: \"%s\"", any ? ", " : "", l->item[i].key, l->item[i].value);
		any = true;
	}
	bh_buf_str(out, "}}");
}

static void suggest_peer(const struct explain *x, enum bh_direction other, struct bh_buf *out)
{
	char text[BH_ADDR_STRLEN];
	const struct bh_inventory *inv = x->e->inv;
	int w = x->d.side[other].workload, me = x->d.side[!other].workload;
	if (w < 0) {
		const struct bh_addr *a = addr_of(x, other);
		bh_buf_printf(out, "{ipBlock: {cidr: \"%s/%u\"}}", bh_addr_format(a, text),
			bh_addr_bits(a));
		return;
	}
	bh_buf_str(out, "{");
	if (!bh_streq(inv->workload[w]->namespace, inv->workload[me]->namespace))
		bh_buf_printf(out,
			"namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: \"%s\"}}, ",
			inv->workload[w]->namespace);
	bh_buf_str(out, "podSelector: ");
	print_labels_map(&inv->workload[w]->labels, out);
	bh_buf_str(out, "}");
}

static void suggest_allow(const struct explain *x, enum bh_direction d)
{
	const struct bh_policy *const *list;
	const struct bh_flow *f = x->f;
	const struct bh_workload *w = x->e->inv->workload[x->d.side[d].workload];
	size_t n = bh_engine_policies_of(x->e, (size_t)x->d.side[d].workload, d, &list);
	bh_buf_printf(x->out, "to allow it, add to spec.%s of ", bh_direction_name(d));
	if (n)
		bh_buf_printf(x->out, "%s/%s", list[0]->namespace, list[0]->name);
	else
		bh_buf_printf(x->out, "a policy in namespace %s that selects %s/%s", w->namespace,
			w->namespace, w->name);
	bh_buf_printf(x->out, ": {%s: [", d == BH_EGRESS ? "to" : "from");
	suggest_peer(x, (enum bh_direction) !d, x->out);
	bh_buf_str(x->out, "]");
	if (f->proto == BH_TCP || f->proto == BH_UDP || f->proto == BH_SCTP)
		bh_buf_printf(x->out, ", ports: [{protocol: %s, port: %u}]",
			f->proto == BH_TCP   ? "TCP"
			: f->proto == BH_UDP ? "UDP"
					     : "SCTP",
			f->dport);
	bh_buf_str(x->out, "}");
	if (f->proto != BH_TCP && f->proto != BH_UDP && f->proto != BH_SCTP)
		bh_buf_str(x->out, " (without ports: only such a rule covers this protocol)");
	bh_buf_str(x->out, "\n");
}

static void suggest_deny(const struct explain *x)
{
	for (int d = 0; d < 2; d++) {
		const struct bh_side *s = &x->d.side[d];
		if (s->verdict == BH_SIDE_ALLOWED)
			bh_buf_printf(x->out,
				"to deny it, narrow or remove %s rule %d of %s/%s (and every other "
				"rule that allows it)\n",
				bh_direction_name((enum bh_direction)d), s->rule.rule,
				s->rule.policy->namespace, s->rule.policy->name);
		else if (s->verdict == BH_SIDE_OPEN) {
			const struct bh_workload *w = x->e->inv->workload[s->workload];
			bh_buf_printf(x->out,
				"to deny it, add a policy in namespace %s that selects %s/%s with "
				"policyTypes: [%s]\n",
				w->namespace, w->namespace, w->name,
				d == BH_EGRESS ? "Egress" : "Ingress");
		} else if (s->verdict == BH_SIDE_HOST) {
			bh_buf_str(x->out, "to let policy decide it, set host: policy\n");
		}
	}
}

static void explain_verdict(const struct explain *x)
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
	struct explain x = {.e = e, .f = f, .out = out};
	bool uncovered = false;
	bh_engine_evaluate(e, f, &x.d);
	explain_flow(&x);
	explain_end(&x, BH_EGRESS);
	explain_end(&x, BH_INGRESS);
	explain_side(&x, BH_EGRESS);
	explain_side(&x, BH_INGRESS);
	explain_verdict(&x);
	for (int d = 0; d < 2; d++) {
		enum bh_side_verdict v = x.d.side[d].verdict;
		if (v != BH_SIDE_DENIED && v != BH_SIDE_WOULD_DENY && v != BH_SIDE_LEARN)
			continue;
		uncovered = true;
		suggest_allow(&x, (enum bh_direction)d);
	}
	if (!uncovered)
		suggest_deny(&x);
}
