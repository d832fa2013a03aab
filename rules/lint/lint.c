/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Policy by policy, each with its share of the steps; and how a warning names its place. */
#include "private.h"

const char *bh_lint_field(enum bh_direction d)
{
	return d == BH_INGRESS ? "ingress" : "egress";
}

const char *bh_lint_peers(enum bh_direction d)
{
	return d == BH_INGRESS ? "from" : "to";
}

const char *bh_lint_ports(const struct bh_policy *p)
{
	return p->tier == BH_TIER_NETWORK_POLICY ? "ports" : "protocols";
}

char *bh_lint_path(const struct bh_policy *p, const struct bh_lint_at *at)
{
	struct bh_buf b = {0};
	bh_buf_str(&b, "spec");
	if (at->rule)
		bh_buf_printf(&b, ".%s[%td]", bh_lint_field(at->direction),
			at->rule - p->rule[at->direction]);
	if (at->rule && at->peer)
		bh_buf_printf(
			&b, ".%s[%td]", bh_lint_peers(at->direction), at->peer - at->rule->peer);
	if (at->rule && at->port)
		bh_buf_printf(&b, ".%s[%td]", bh_lint_ports(p), at->port - at->rule->port);
	if (at->field)
		bh_buf_str(&b, at->field);
	return bh_buf_take(&b);
}

void bh_lint_warn(
	struct bh_lint *l, const struct bh_lint_at *at, const char *remedy, const char *fmt, ...)
{
	const struct bh_policy *p = l->policy;
	bh_autofree char *path = bh_lint_path(p, at), *what = NULL;
	int line = p->line, column = p->column;
	va_list ap;

	if (!at->rule && at->field && p->subject_line) {
		line = p->subject_line;
		column = p->subject_column;
	}
	if (at->rule && at->rule->line) {
		line = at->rule->line;
		column = at->rule->column;
	}
	if (at->peer && at->peer->line) {
		line = at->peer->line;
		column = at->peer->column;
	}
	va_start(ap, fmt);
	if (vasprintf(&what, fmt, ap) < 0)
		abort();
	va_end(ap);
	bh_diag_add(l->diags, BH_WARNING, p->file, line, column, path, remedy, "%s", what);
}

static void lint_policy(struct bh_lint *l, const struct bh_lint_index *x)
{
	bh_lint_subject(l);
	for (int d = 0; d < 2; d++)
		for (size_t i = 0; i < l->policy->n_rules[d]; i++) {
			const struct bh_policy_rule *r = &l->policy->rule[d][i];
			bh_lint_rule(l, (enum bh_direction)d, r);
			bh_lint_repeated(l, (enum bh_direction)d, r);
		}
	bh_lint_shadowed(l, x);
	if (l->world)
		bh_lint_meant(l);
}

static void say_unfinished(struct bh_lint *l)
{
	const struct bh_lint_at at = {0};
	if (!l->n_unfinished)
		return;
	l->policy = l->first_unfinished;
	bh_lint_warn(l, &at, "split what is that large",
		"too much to compare: warnings may be missing for this policy and %zu others",
		l->n_unfinished - 1);
}

void bh_lint(
	const struct bh_policy_set *set, const struct bh_inventory *inv, struct bh_diags *diags)
{
	struct bh_lint l = {.set = set, .diags = diags, .left_all = BH_LINT_STEPS_ALL};
	struct bh_lint_index *x = bh_lint_index_new(set);

	if (inv)
		l.world = bh_lint_world_new(inv);
	for (size_t i = 0; i < set->n; i++) {
		l.policy = set->policy[i];
		l.left = BH_LINT_STEPS_POLICY;
		l.exhausted = false;
		lint_policy(&l, x);
		if (!l.exhausted)
			continue;
		if (!l.n_unfinished++)
			l.first_unfinished = l.policy;
	}
	say_unfinished(&l);
	bh_lint_world_free(l.world);
	bh_lint_index_free(x);
}
