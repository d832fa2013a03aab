/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * From one ruleset to the next with as few changes as possible: what is equal is not touched, sets
 * change by element, a chain whose rules differ is refilled as a whole.
 *
 * The order is what nf_tables needs inside one transaction: chains before the map elements that
 * jump to them, sets and elements before the rules that look them up; and for removal the rules
 * first, then elements and sets, and last the chains, which by then nothing refers to.
 */
#include <bulkhead/ruleset.h>

#include <assert.h>

#include "ruleset_private.h"

static struct bh_change *add(struct bh_diff *d, enum bh_change_kind kind, const struct bh_set *set,
	const struct bh_chain *chain)
{
	BH_GROW(d->change, d->n, d->cap);
	struct bh_change *c = &d->change[d->n++];
	*c = (struct bh_change){.kind = kind, .set = set, .chain = chain};
	return c;
}

/* The next step of a walk through two lists sorted by name: which of them it concerns. */
static int side(size_t i, size_t n, size_t j, size_t m, const char *a, const char *b)
{
	if (i == n)
		return 1;
	return j == m ? -1 : strcmp(a, b);
}

static bool rules_equal(const struct bh_chain *a, const struct bh_chain *b)
{
	if (a->n != b->n)
		return false;
	for (size_t i = 0; i < a->n; i++)
		if (!bh_rule_equal(&a->rule[i], &b->rule[i]))
			return false;
	return true;
}

enum pass { PASS_ADD, PASS_FLUSH, PASS_FILL, PASS_DELETE };

static void chain_gone(struct bh_diff *d, const struct bh_chain *c, enum pass pass)
{
	assert(c->hook == BH_HOOK_NONE);
	if (pass == PASS_FLUSH && c->n)
		add(d, BH_CHANGE_FLUSH_CHAIN, NULL, c);
	else if (pass == PASS_DELETE)
		add(d, BH_CHANGE_DEL_CHAIN, NULL, c);
}

static void chain_new(struct bh_diff *d, const struct bh_chain *c, enum pass pass)
{
	if (pass == PASS_ADD)
		add(d, BH_CHANGE_ADD_CHAIN, NULL, c);
	else if (pass == PASS_FILL && c->n)
		add(d, BH_CHANGE_ADD_RULES, NULL, c);
}

static void chain_kept(
	struct bh_diff *d, const struct bh_chain *a, const struct bh_chain *b, enum pass pass)
{
	assert(a->table == b->table && a->hook == b->hook &&
		(a->hook == BH_HOOK_NONE || a->priority == b->priority));
	if ((pass != PASS_FLUSH && pass != PASS_FILL) || rules_equal(a, b))
		return;
	if (pass == PASS_FLUSH && a->n)
		add(d, BH_CHANGE_FLUSH_CHAIN, NULL, a);
	else if (pass == PASS_FILL && b->n)
		add(d, BH_CHANGE_ADD_RULES, NULL, b);
}

static void diff_chains(const struct bh_ruleset *from, const struct bh_ruleset *to,
	struct bh_diff *d, enum pass pass)
{
	size_t i = 0, j = 0;
	while (i < from->n_chains || j < to->n_chains) {
		const struct bh_chain *a = i < from->n_chains ? &from->chain[i] : NULL;
		const struct bh_chain *b = j < to->n_chains ? &to->chain[j] : NULL;
		int c = side(
			i, from->n_chains, j, to->n_chains, a ? a->name : NULL, b ? b->name : NULL);
		if (c < 0)
			chain_gone(d, a, pass);
		else if (c > 0)
			chain_new(d, b, pass);
		else
			chain_kept(d, a, b, pass);
		i += c <= 0;
		j += c >= 0;
	}
}

struct elems {
	const struct bh_set_elem **elem;
	size_t n, cap;
};

static void add_elem(struct elems *l, const struct bh_set_elem *e)
{
	BH_GROW(l->elem, l->n, l->cap);
	l->elem[l->n++] = e;
}

/* An element that leads elsewhere now, or belongs to somebody else, is replaced. */
static void diff_elems(
	const struct bh_set *a, const struct bh_set *b, struct elems *del, struct elems *new)
{
	size_t i = 0, j = 0;
	while (i < a->n || j < b->n) {
		int c = i == a->n ? 1 : j == b->n ? -1 : bh_set_elem_cmp(&a->elem[i], &b->elem[j]);
		bool same = c == 0 && bh_streq(a->elem[i].chain, b->elem[j].chain) &&
			    bh_streq(a->elem[i].comment, b->elem[j].comment);
		if (c <= 0 && !same)
			add_elem(del, &a->elem[i]);
		if (c >= 0 && !same)
			add_elem(new, &b->elem[j]);
		i += c <= 0;
		j += c >= 0;
	}
}

static void set_elems(
	struct bh_diff *d, enum bh_change_kind kind, const struct bh_set *set, struct elems *l)
{
	if (!l->n)
		return;
	struct bh_change *c = add(d, kind, set, NULL);
	c->elem = BH_TAKE_PTR(l->elem);
	c->n_elems = l->n;
}

static void set_kept(struct bh_diff *d, const struct bh_set *a, const struct bh_set *b)
{
	struct elems del = {0}, new = {0};
	assert(bh_set_same_shape(a, b));
	if (a->volatile_)
		return;
	diff_elems(a, b, &del, &new);
	set_elems(d, BH_CHANGE_DEL_ELEMS, a, &del);
	set_elems(d, BH_CHANGE_ADD_ELEMS, b, &new);
}

static void diff_sets(const struct bh_ruleset *from, const struct bh_ruleset *to, struct bh_diff *d,
	enum pass pass)
{
	size_t i = 0, j = 0;
	while (i < from->n_sets || j < to->n_sets) {
		const struct bh_set *a = i < from->n_sets ? &from->set[i] : NULL;
		const struct bh_set *b = j < to->n_sets ? &to->set[j] : NULL;
		int c = side(
			i, from->n_sets, j, to->n_sets, a ? a->name : NULL, b ? b->name : NULL);
		if (c < 0 && pass == PASS_DELETE)
			add(d, BH_CHANGE_DEL_SET, a, NULL);
		else if (c > 0 && pass == PASS_ADD)
			add(d, BH_CHANGE_ADD_SET, b, NULL);
		else if (c == 0 && pass == PASS_FILL)
			set_kept(d, a, b);
		i += c <= 0;
		j += c >= 0;
	}
}

/* What was decided under the rules that go must not be answered from memory under those that come.
 */
static void flush_caches(
	const struct bh_ruleset *from, const struct bh_ruleset *to, struct bh_diff *d)
{
	for (size_t i = 0; i < to->n_sets; i++)
		if (to->set[i].volatile_ == BH_VOLATILE_CACHE &&
			bh_ruleset_find_set(from, to->set[i].name))
			add(d, BH_CHANGE_FLUSH_SET, &to->set[i], NULL);
}

void bh_ruleset_diff(
	const struct bh_ruleset *from, const struct bh_ruleset *to, struct bh_diff *ret)
{
	static const struct bh_ruleset nothing = {0};
	*ret = (struct bh_diff){0};
	if (!from)
		from = &nothing;
	diff_chains(from, to, ret, PASS_ADD);
	diff_sets(from, to, ret, PASS_ADD);
	diff_chains(from, to, ret, PASS_FLUSH);
	diff_sets(from, to, ret, PASS_FILL);
	diff_chains(from, to, ret, PASS_FILL);
	diff_sets(from, to, ret, PASS_DELETE);
	diff_chains(from, to, ret, PASS_DELETE);
	if (ret->n)
		flush_caches(from, to, ret);
}

void bh_diff_finish(struct bh_diff *d)
{
	for (size_t i = 0; i < d->n; i++)
		free(d->change[i].elem);
	free(d->change);
	*d = (struct bh_diff){0};
}
