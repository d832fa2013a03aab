/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Rules that others leave nothing to decide. NetworkPolicies add up: a rule is pointless when any
 * other one allows the same to the same workloads. In the tiers of ClusterNetworkPolicy the first
 * rule that matches decides, so there it takes one that is asked earlier, whatever its action.
 * Two policies of one tier and priority have no order; nothing is concluded from it.
 */
#include "private.h"

/* --- which policies may have a subject as wide as another's --- */

/*
 * A subject with the requirement key=value can only contain those that have it as well; so
 * it is filed under it, else under the key of any requirement, else (all workloads) under nothing.
 * Buckets are hashes: what collides is compared in vain.
 */
struct entry {
	uint64_t bucket;
	size_t policy;
};
struct bh_lint_index {
	struct entry *entry; /* sorted */
	size_t n;
};

static uint64_t bucket(
	const struct bh_policy *p, const char *kind, const char *key, const char *value)
{
	uint64_t h = bh_hash_str(kind, bh_hash_str(p->namespace, BH_HASH_SEED));
	return bh_hash_str(value, bh_hash_str(key, h));
}

static bool is_one_value(const struct bh_requirement *r)
{
	return r->op == BH_SEL_IN && r->n_values == 1;
}

static uint64_t selector_bucket(
	const struct bh_policy *p, const char *kind, const struct bh_selector *s)
{
	for (size_t i = 0; i < s->n; i++)
		if (is_one_value(&s->req[i]))
			return bucket(p, kind, s->req[i].key, s->req[i].value[0]);
	return bucket(p, kind, s->req[0].key, "");
}

static uint64_t policy_bucket(const struct bh_policy *p)
{
	if (p->pods.n)
		return selector_bucket(p, "pods", &p->pods);
	if (p->namespaces.n)
		return selector_bucket(p, "namespaces", &p->namespaces);
	return bucket(p, "", "", "");
}

static int entry_cmp(const void *pa, const void *pb)
{
	const struct entry *a = pa, *b = pb;
	if (a->bucket != b->bucket)
		return a->bucket < b->bucket ? -1 : 1;
	return (a->policy > b->policy) - (a->policy < b->policy);
}

struct bh_lint_index *bh_lint_index_new(const struct bh_policy_set *set)
{
	struct bh_lint_index *x = bh_xcalloc(1, sizeof(*x));
	x->entry = bh_xcalloc(set->n + 1, sizeof(*x->entry));
	for (; x->n < set->n; x->n++)
		x->entry[x->n] = (struct entry){policy_bucket(set->policy[x->n]), x->n};
	qsort(x->entry, x->n, sizeof(*x->entry), entry_cmp);
	return x;
}

void bh_lint_index_free(struct bh_lint_index *x)
{
	free(x->entry);
	free(x);
}

static size_t first_of(const struct bh_lint_index *x, uint64_t b)
{
	size_t lo = 0, hi = x->n;
	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		if (x->entry[mid].bucket < b)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

/* --- one rule against others --- */

struct victim {
	struct bh_lint *l;
	const struct bh_lint_index *index;
	enum bh_direction direction;
	bool *told; /* by rule: one warning is enough */
};

static void say(struct victim *v, const struct bh_policy_rule *r, const struct bh_policy *by,
	const struct bh_policy_rule *other)
{
	const struct bh_policy *p = v->l->policy;
	struct bh_lint_at at = {.direction = v->direction, .rule = r};
	struct bh_lint_at there = {.direction = v->direction, .rule = other};
	bh_autofree char *path = bh_lint_path(by, &there);
	bh_autofree char *where =
		by == p ? bh_xasprintf("%s (line %d)", path, other->line)
		: bh_streq(by->file, p->file)
			? bh_xasprintf("%s of %s (line %d)", path, by->ref, other->line)
			: bh_xasprintf("%s of %s (%s:%d)", path, by->ref, by->file, other->line);

	v->told[r - p->rule[v->direction]] = true;
	if (p->tier == BH_TIER_NETWORK_POLICY)
		bh_lint_warn(v->l, &at, "remove one of them, or narrow the wider one",
			"allows nothing that %s does not allow already", where);
	else
		bh_lint_warn(v->l, &at, "remove it, or see that it is asked earlier",
			"never decides: %s is asked before and matches all of it (%s)", where,
			bh_rule_action_name(other->action));
}

/* Of two that say the same the later one is told, once. */
static bool is_later_twin(struct bh_lint *l, const struct bh_policy *by,
	const struct bh_policy_rule *other, const struct bh_policy_rule *r, bool other_is_later)
{
	return other_is_later && bh_lint_subject_covers(l, l->policy, by) &&
	       bh_lint_rule_covers(l, l->policy, r, by, other);
}

static void within_policy(struct victim *v)
{
	const struct bh_policy *p = v->l->policy;
	const struct bh_policy_rule *rule = p->rule[v->direction];
	bool ordered = p->tier != BH_TIER_NETWORK_POLICY;
	size_t n = p->n_rules[v->direction];
	for (size_t i = 0; i < n && !v->l->exhausted; i++)
		for (size_t k = 0; k < (ordered ? i : n) && !v->told[i] && !v->l->exhausted; k++)
			if (k != i && bh_lint_rule_covers(v->l, p, &rule[k], p, &rule[i]) &&
				!is_later_twin(v->l, p, &rule[k], &rule[i], k > i))
				say(v, &rule[i], p, &rule[k]);
}

static void by_policy(struct victim *v, const struct bh_policy *by, bool by_is_later)
{
	const struct bh_policy *p = v->l->policy;
	enum bh_direction d = v->direction;
	bool ordered = p->tier != BH_TIER_NETWORK_POLICY;
	if (!by->n_rules[d] || by->tier != p->tier || (ordered && by->priority >= p->priority) ||
		!bh_lint_subject_covers(v->l, by, p))
		return;
	for (size_t i = 0; i < p->n_rules[d] && !v->l->exhausted; i++)
		for (size_t k = 0; k < by->n_rules[d] && !v->told[i]; k++) {
			const struct bh_policy_rule *r = &p->rule[d][i], *other = &by->rule[d][k];
			/* an allow-all is told where it stands */
			if (!bh_lint_allows_all(by, other) &&
				bh_lint_rule_covers(v->l, by, other, p, r) &&
				!is_later_twin(v->l, by, other, r, by_is_later))
				say(v, r, by, other);
		}
}

static void by_bucket(struct victim *v, uint64_t b)
{
	const struct bh_policy_set *set = v->l->set;
	const struct bh_lint_index *x = v->index;
	for (size_t i = first_of(x, b); i < x->n && x->entry[i].bucket == b; i++) {
		const struct bh_policy *by = set->policy[x->entry[i].policy];
		if (!bh_lint_spend(v->l, 1))
			return;
		/* Within one namespace the set is sorted by name, and so are the entries. */
		if (by != v->l->policy)
			by_policy(v, by, strcmp(by->name, v->l->policy->name) > 0);
	}
}

static void by_selector(struct victim *v, const char *kind, const struct bh_selector *s)
{
	const struct bh_policy *p = v->l->policy;
	for (size_t i = 0; i < s->n; i++) {
		const struct bh_requirement *r = &s->req[i];
		if (i == 0 || !bh_streq(s->req[i - 1].key, r->key))
			by_bucket(v, bucket(p, kind, r->key, ""));
		if (is_one_value(r))
			by_bucket(v, bucket(p, kind, r->key, r->value[0]));
	}
}

void bh_lint_shadowed(struct bh_lint *l, const struct bh_lint_index *x)
{
	const struct bh_policy *p = l->policy;
	for (int d = 0; d < 2; d++) {
		if (!p->n_rules[d])
			continue;
		bh_autofree bool *told = bh_xcalloc(p->n_rules[d], sizeof(*told));
		struct victim v = {l, x, (enum bh_direction)d, told};
		for (size_t i = 0; i < p->n_rules[d]; i++)
			told[i] = bh_lint_allows_all(p, &p->rule[d][i]);
		within_policy(&v);
		by_bucket(&v, bucket(p, "", "", ""));
		by_selector(&v, "pods", &p->pods);
		by_selector(&v, "namespaces", &p->namespaces);
	}
}
