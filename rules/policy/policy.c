/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Words of the model, and the end of a policy: also of a half-read one, so every pointer may be
 * NULL.
 */
#include "private.h"

const char *bh_tier_name(enum bh_tier t)
{
	static const char *const name[] = {[BH_TIER_ADMIN] = "Admin",
		[BH_TIER_NETWORK_POLICY] = "NetworkPolicy",
		[BH_TIER_BASELINE] = "Baseline"};
	return name[t];
}

const char *bh_rule_action_name(enum bh_rule_action a)
{
	static const char *const name[] = {
		[BH_RULE_ACCEPT] = "Accept", [BH_RULE_DENY] = "Deny", [BH_RULE_PASS] = "Pass"};
	return name[a];
}

void bh_policy_free_peer(struct bh_policy_peer *p)
{
	bh_selector_finish(&p->pods);
	bh_selector_finish(&p->namespaces);
	bh_selector_finish(&p->nodes);
	free(p->network);
	if (p->block)
		free(p->block->except);
	free(p->block);
}

void bh_policy_free_rule(struct bh_policy_rule *r)
{
	for (size_t i = 0; i < r->n_peers; i++)
		bh_policy_free_peer(&r->peer[i]);
	for (size_t i = 0; i < r->n_ports; i++)
		free(r->port[i].name);
	free(r->name);
	free(r->peer);
	free(r->port);
}

void bh_policy_free_rules(struct bh_policy *p, enum bh_direction d)
{
	for (size_t i = 0; i < p->n_rules[d]; i++)
		bh_policy_free_rule(&p->rule[d][i]);
	free(p->rule[d]);
	p->rule[d] = NULL;
	p->n_rules[d] = 0;
}

void bh_policy_free(struct bh_policy *p)
{
	if (!p)
		return;
	bh_policy_free_rules(p, BH_EGRESS);
	bh_policy_free_rules(p, BH_INGRESS);
	bh_selector_finish(&p->pods);
	bh_selector_finish(&p->namespaces);
	free(p->ref);
	free(p->name);
	free(p->namespace);
	free(p->file);
	free(p->text);
	free(p);
}
