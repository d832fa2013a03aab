/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The last lines of an explanation: what would have to be added, or taken away, for the opposite.
 */
#include <bulkhead/baseline.h>

#include "internal.h"

/* As what is learned would say it: never by an instance, and never by nothing, which selects all.
 */
static void print_role(const struct bh_workload *w, struct bh_buf *out)
{
	struct bh_labels l;
	bh_role_of(w, &l);
	bh_buf_str(out, "{matchLabels: {");
	for (size_t i = 0; i < l.n; i++) {
		bh_buf_str(out, i ? ", " : "");
		bh_yaml_scalar(l.item[i].key, out);
		bh_buf_printf(out, ": \"%s\"", l.item[i].value);
	}
	bh_buf_str(out, "}}");
	bh_labels_finish(&l);
}

static void suggest_peer(const struct bh_explain *x, enum bh_direction other, struct bh_buf *out)
{
	char text[BH_ADDR_STRLEN];
	const struct bh_inventory *inv = x->e->inv;
	int w = x->d.side[other].workload, me = x->d.side[!other].workload;
	if (w < 0) {
		const struct bh_addr *a = bh_explain_addr(x, other);
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
	print_role(inv->workload[w], out);
	bh_buf_str(out, "}");
}

/*
 * The NetworkPolicy that isolates the side and selects the fewest, or NULL: what is added to one
 * that denies everything by default would be allowed to its whole namespace.
 */
static const struct bh_policy *isolating(const struct bh_explain *x, enum bh_direction d)
{
	const struct bh_policy *const *list, *best = NULL;
	size_t n = bh_engine_policies_of(x->e, (size_t)x->d.side[d].workload, d, &list), least = 0;
	for (size_t i = 0; i < n; i++) {
		if (list[i]->tier != BH_TIER_NETWORK_POLICY)
			continue;
		size_t selected = bh_engine_selected(x->e, list[i]);
		if (!best || selected < least) {
			best = list[i];
			least = selected;
		}
	}
	return best;
}

/* How many of its namespace share its role. */
static size_t replicas(const struct bh_explain *x, const struct bh_workload *w)
{
	const struct bh_inventory *inv = x->e->inv;
	struct bh_labels role;
	size_t n = 0;
	bh_role_of(w, &role);
	for (size_t i = 0; i < inv->n; i++) {
		bool same = bh_streq(inv->workload[i]->namespace, w->namespace);
		for (size_t k = 0; same && k < role.n; k++) {
			const char *value =
				bh_labels_get(&inv->workload[i]->labels, role.item[k].key);
			same = value && bh_streq(value, role.item[k].value);
		}
		n += same;
	}
	bh_labels_finish(&role);
	return n;
}

static void warn_of_others(
	const struct bh_explain *x, const struct bh_policy *p, const struct bh_workload *w)
{
	size_t n = bh_engine_selected(x->e, p);
	if (n <= replicas(x, w))
		return;
	bh_buf_printf(x->out, " (for all %zu workloads that it selects; a policy for ", n);
	print_role(w, x->out);
	bh_buf_str(x->out, " alone opens less)");
}

static void suggest_allow(const struct bh_explain *x, enum bh_direction d)
{
	const struct bh_flow *f = x->f;
	const struct bh_workload *w = x->e->inv->workload[x->d.side[d].workload];
	const struct bh_policy *p = isolating(x, d);
	bh_buf_printf(x->out, "to allow it, add to spec.%s of ", bh_direction_name(d));
	if (p)
		bh_buf_str(x->out, p->ref);
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
	if (p)
		warn_of_others(x, p, w);
	bh_buf_str(x->out, "\n");
}

static void suggest_against_rule(
	const struct bh_explain *x, enum bh_direction d, const char *to, const char *action)
{
	const struct bh_rule_ref *r = &x->d.side[d].rule;
	bh_buf_printf(x->out, "to %s it, narrow or remove %s rule %d of %s", to,
		bh_direction_name(d), r->rule, r->policy->ref);
	if (r->policy->tier == BH_TIER_NETWORK_POLICY)
		bh_buf_str(x->out, " (and every other rule that allows it)\n");
	else
		bh_buf_printf(x->out, ", or put a rule with action %s before it%s\n", action,
			r->policy->tier == BH_TIER_BASELINE
				? ", or write a NetworkPolicy: it decides before the Baseline tier"
				: "");
}

static void suggest_release(const struct bh_explain *x, enum bh_direction d)
{
	const struct bh_workload *w = x->e->inv->workload[x->d.side[d].workload];
	bh_buf_printf(x->out,
		"to allow it, put it on the list of the quarantine, or `bulkhead quarantine rm "
		"%s/%s`\n",
		w->namespace, w->name);
}

static void suggest_deny_side(const struct bh_explain *x, enum bh_direction d)
{
	const struct bh_side *s = &x->d.side[d];
	if (bh_explain_quarantined(x, d)) {
		bh_buf_str(x->out, "to deny it, take it off the list of the quarantine\n");
	} else if (s->verdict == BH_SIDE_ALLOWED) {
		suggest_against_rule(x, d, "deny", "Deny");
	} else if (s->verdict == BH_SIDE_OPEN) {
		const struct bh_workload *w = x->e->inv->workload[s->workload];
		bh_buf_printf(x->out,
			"to deny it, add a policy in namespace %s that selects %s/%s with "
			"policyTypes: [%s]\n",
			w->namespace, w->namespace, w->name, d == BH_EGRESS ? "Egress" : "Ingress");
	} else if (s->verdict == BH_SIDE_HOST) {
		bh_buf_str(x->out, "to let policy decide it, set host: policy\n");
	}
}

void bh_explain_suggest(const struct bh_explain *x)
{
	bool uncovered = false;
	for (int d = 0; d < 2; d++) {
		const struct bh_side *s = &x->d.side[d];
		if (s->verdict != BH_SIDE_DENIED && s->verdict != BH_SIDE_WOULD_DENY &&
			s->verdict != BH_SIDE_LEARN)
			continue;
		uncovered = true;
		if (bh_explain_quarantined(x, (enum bh_direction)d))
			suggest_release(x, (enum bh_direction)d);
		else if (s->rule.policy)
			suggest_against_rule(x, (enum bh_direction)d, "allow", "Accept");
		else
			suggest_allow(x, (enum bh_direction)d);
	}
	for (int d = 0; d < 2 && !uncovered; d++)
		suggest_deny_side(x, (enum bh_direction)d);
}
