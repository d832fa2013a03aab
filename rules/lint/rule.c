/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What a policy or a rule says by itself: contradictions, empty ranges, allow-alls. */
#include "private.h"

static void check_selector(
	struct bh_lint *l, const struct bh_lint_at *at, const struct bh_selector *s)
{
	size_t cost = s->n;
	for (size_t i = 0; i < s->n; i++)
		cost += s->req[i].n_values;
	/* each requirement is at most compared with the shortest In on its key */
	if (!bh_lint_spend(l, cost * 2))
		return;
	const char *key = bh_selector_contradiction(s);
	if (!key)
		return;
	bh_autofree char *shown = bh_diag_quote(key, strlen(key));
	bh_lint_warn(l, at, "mend or remove one of them",
		"nothing can match: the requirements on \"%s\" contradict each other", shown);
}

void bh_lint_subject(struct bh_lint *l)
{
	const struct bh_policy *p = l->policy;
	bool np = p->tier == BH_TIER_NETWORK_POLICY;
	struct bh_lint_at at = {.field = np ? ".podSelector" : ".subject.pods.podSelector"};
	check_selector(l, &at, &p->pods);
	at.field = ".subject";
	check_selector(l, &at, &p->namespaces);
}

static void check_peer_selectors(
	struct bh_lint *l, struct bh_lint_at at, const struct bh_policy_peer *p)
{
	bool np = l->policy->tier == BH_TIER_NETWORK_POLICY;
	at.field = np ? ".podSelector" : ".pods.podSelector";
	check_selector(l, &at, &p->pods);
	at.field = np            ? ".namespaceSelector"
		   : p->has_pods ? ".pods.namespaceSelector"
				 : ".namespaces";
	check_selector(l, &at, &p->namespaces);
	at.field = ".nodes";
	check_selector(l, &at, &p->nodes);
}

static void check_block(struct bh_lint *l, struct bh_lint_at at, const struct bh_ip_block *block)
{
	struct bh_ranges left = {0}, minus = {0};
	char text[BH_PREFIX_STRLEN];
	bh_ranges_add(&left, bh_prefix_range(&block->cidr));
	for (size_t i = 0; i < block->n_except; i++)
		bh_ranges_add(&minus, bh_prefix_range(&block->except[i]));
	bh_ranges_normalise(&minus);
	bh_ranges_subtract(&left, &minus);
	at.field = ".ipBlock.except";
	if (!left.n)
		bh_lint_warn(l, &at, "remove the peer, or leave something of the range",
			"nothing is left of %s: the exceptions cover all of it",
			bh_prefix_format(&block->cidr, text));
	bh_ranges_finish(&left);
	bh_ranges_finish(&minus);
}

static bool is_everything(const struct bh_prefix *p, enum bh_family family)
{
	return p->len == 0 && p->addr.family == family;
}

static bool means_all_of(const struct bh_policy_rule *r, enum bh_family family)
{
	for (size_t i = 0; i < r->n_peers; i++) {
		const struct bh_policy_peer *p = &r->peer[i];
		if (p->block && !p->block->n_except && is_everything(&p->block->cidr, family))
			return true;
		for (size_t k = 0; k < p->n_networks; k++)
			if (is_everything(&p->network[k], family))
				return true;
	}
	return false;
}

static bool means_all_workloads(const struct bh_policy_rule *r)
{
	for (size_t i = 0; i < r->n_peers; i++)
		if (r->peer[i].has_namespaces && !r->peer[i].namespaces.n && !r->peer[i].pods.n)
			return true;
	return false;
}

bool bh_lint_allows_all(const struct bh_policy *p, const struct bh_policy_rule *r)
{
	if (p->tier != BH_TIER_NETWORK_POLICY || r->n_ports)
		return false;
	return !r->n_peers || (means_all_of(r, BH_IPV4) && means_all_of(r, BH_IPV6));
}

/*
 * Admin rules are asked before NetworkPolicies. Towards everything outside and inside, or (ingress
 * has no networks as peers) from all workloads to all workloads, nothing is left for them. To let
 * everybody reach some workloads, like a name server, is no such thing.
 */
static bool overrules_all(
	const struct bh_policy *p, enum bh_direction d, const struct bh_policy_rule *r)
{
	if (p->tier != BH_TIER_ADMIN || r->action != BH_RULE_ACCEPT || r->n_ports ||
		!means_all_workloads(r))
		return false;
	return d == BH_EGRESS ? means_all_of(r, BH_IPV4) : !p->pods.n && !p->namespaces.n;
}

void bh_lint_rule(struct bh_lint *l, enum bh_direction d, const struct bh_policy_rule *r)
{
	struct bh_lint_at at = {.direction = d, .rule = r};
	bh_autofree char *remedy = bh_xasprintf(
		"say which peers (%s) or %s are meant", bh_lint_peers(d), bh_lint_ports(l->policy));
	if (bh_lint_allows_all(l->policy, r))
		bh_lint_warn(l, &at, remedy,
			"allows all %s: no policy isolates these workloads in this direction "
			"any more",
			bh_lint_field(d));
	else if (overrules_all(l->policy, d, r))
		bh_lint_warn(l, &at, remedy,
			"accepts all %s in the Admin tier: no NetworkPolicy is asked about these "
			"workloads' %s any more",
			bh_lint_field(d), bh_lint_field(d));
	for (size_t i = 0; i < r->n_peers; i++) {
		at.peer = &r->peer[i];
		check_peer_selectors(l, at, at.peer);
		if (at.peer->block)
			check_block(l, at, at.peer->block);
	}
}
