/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Which rules of the candidate recorded flows need: a flag for each rule and peer. */
#include "analysis/replay.h"

#define UNUSED_MAX 1000

static size_t peers_of(const struct bh_policy_rule *r)
{
	return r->n_peers ? r->n_peers : 1;
}

/* Where the flags of a rule begin. */
static size_t offset_of(const struct bh_policy *p, enum bh_direction d, size_t rule)
{
	size_t at = 0;
	for (size_t i = 0; d == BH_INGRESS && i < p->n_rules[BH_EGRESS]; i++)
		at += peers_of(&p->rule[BH_EGRESS][i]);
	for (size_t i = 0; i < rule; i++)
		at += peers_of(&p->rule[d][i]);
	return at;
}

void bh_core_replay_alloc_uses(struct bh_replay *r)
{
	r->used = bh_xcalloc(r->set->n + 1, sizeof(*r->used));
	for (size_t i = 0; i < r->set->n; i++) {
		const struct bh_policy *p = r->set->policy[i];
		r->used[i] = bh_xcalloc(
			offset_of(p, BH_INGRESS, p->n_rules[BH_INGRESS]) + 1, sizeof(bool));
	}
}

void bh_core_replay_use(struct bh_replay *r, const struct bh_decision *d)
{
	for (int side = BH_EGRESS; side <= BH_INGRESS; side++) {
		const struct bh_rule_ref *ref = &d->side[side].rule;
		if (!ref->policy || ref->rule < 0)
			continue;
		for (size_t i = 0; i < r->set->n; i++)
			if (r->set->policy[i] == ref->policy)
				r->used[i][offset_of(ref->policy, (enum bh_direction)side,
						   (size_t)ref->rule) +
					   (size_t)(ref->peer < 0 ? 0 : ref->peer)] = true;
	}
}

static void put_unused(
	const struct bh_policy *p, enum bh_direction d, size_t rule, size_t peer, json_t *list)
{
	struct bh_buf bh_autobuf text = {0};
	bh_buf_printf(&text, "%s rule %zu", bh_direction_name(d), rule);
	if (p->rule[d][rule].n_peers)
		bh_buf_printf(&text, " peer %zu", peer);
	if (json_array_size(list) < UNUSED_MAX)
		json_array_append_new(
			list, json_pack("{s:s, s:s, s:s, s:i}", "policy", p->ref, "rule", text.s,
				      "file", p->file, "line", p->rule[d][rule].line));
}

json_t *bh_core_replay_unused(const struct bh_replay *r)
{
	json_t *list = json_array();
	for (size_t i = 0; i < r->set->n; i++) {
		const struct bh_policy *p = r->set->policy[i];
		size_t at = 0;
		for (int d = BH_EGRESS; d <= BH_INGRESS; d++)
			for (size_t k = 0; k < p->n_rules[d]; k++)
				for (size_t m = 0; m < peers_of(&p->rule[d][k]); m++, at++)
					if (!r->used[i][at] &&
						p->rule[d][k].action == BH_RULE_ACCEPT)
						put_unused(p, (enum bh_direction)d, k, m, list);
	}
	return list;
}
