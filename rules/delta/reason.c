/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Why a flow opens or closes: what the sides that deny it at one of the two times say at both. */
#include "private.h"

static void find_fact(const struct bh_engine *e, enum bh_direction d, const struct bh_side *s,
	struct bh_delta_fact *ret)
{
	const struct bh_policy *const *ignored;
	ret->verdict = (uint8_t)s->verdict;
	if (s->rule.policy) {
		ret->policy = s->rule.policy;
		ret->rule = s->rule.rule;
	} else if (s->workload >= 0) {
		size_t w = (size_t)s->workload;
		ret->held = s->verdict == BH_SIDE_DENIED
				    ? bh_engine_isolated(e, w, d)
				    : bh_engine_policies_of(e, w, d, &ignored) > 0;
	}
}

bool bh_delta_find_reason(const struct bh_delta_world *w, const struct bh_decision dec[2],
	struct bh_delta_reason *ret)
{
	bool passes[2] = {dec[0].verdict == BH_ALLOW, dec[1].verdict == BH_ALLOW};
	if (passes[0] == passes[1])
		return false;
	memset(ret, 0, sizeof(*ret));
	ret->opens = passes[BH_DELTA_AFTER];
	for (int d = 0; d < 2; d++) {
		bool denied[2] = {dec[0].side[d].verdict == BH_SIDE_DENIED,
			dec[1].side[d].verdict == BH_SIDE_DENIED};
		ret->decides[d] = denied[0] != denied[1];
		for (int e = 0; e < 2 && ret->decides[d]; e++)
			find_fact(w->engine[e], (enum bh_direction)d, &dec[e].side[d],
				&ret->fact[d][e]);
	}
	return true;
}

static char *fact_text(const struct bh_delta_fact *f)
{
	switch ((enum bh_side_verdict)f->verdict) {
	case BH_SIDE_ALLOWED:
		return bh_xasprintf("allowed by %s rule %d", f->policy->ref, (int)f->rule);
	case BH_SIDE_DENIED:
		if (f->policy)
			return bh_xasprintf("denied by %s rule %d", f->policy->ref, (int)f->rule);
		return bh_xstrdup(
			f->held ? "no rule allows it" : "no policy, and unselected: deny");
	case BH_SIDE_OPEN:
		return bh_xstrdup(
			f->held ? "open, no policy isolates it" : "open, no policy selects it");
	case BH_SIDE_WOULD_DENY:
		return bh_xstrdup("audit mode");
	case BH_SIDE_LEARN:
		return bh_xstrdup("learn mode");
	case BH_SIDE_HOST:
		return bh_xstrdup("host: allow");
	case BH_SIDE_SELF:
	case BH_SIDE_UNGOVERNED:
		break;
	}
	return bh_xstrdup("not governed");
}

void bh_delta_put_reason(const struct bh_delta_reason *r, struct bh_delta_edge *e)
{
	e->opens = r->opens;
	for (int d = 0; d < 2; d++) {
		e->why[d].decides = r->decides[d];
		if (!r->decides[d])
			continue;
		e->why[d].before = fact_text(&r->fact[d][BH_DELTA_BEFORE]);
		e->why[d].after = fact_text(&r->fact[d][BH_DELTA_AFTER]);
	}
}
