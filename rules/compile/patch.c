/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Carrying out a difference on a ruleset of our own, so that what we know of the kernel follows
 * what we told it, at the cost of the change and not of the whole.
 */
#include <bulkhead/ruleset.h>

#include <assert.h>

#include "ruleset_private.h"

static size_t set_place(const struct bh_ruleset *rs, const char *name, bool *found)
{
	size_t lo = 0, hi = rs->n_sets;
	*found = false;
	while (lo < hi && !*found) {
		size_t mid = lo + (hi - lo) / 2;
		int c = strcmp(rs->set[mid].name, name);
		if ((*found = c == 0))
			return mid;
		if (c < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

static size_t chain_place(const struct bh_ruleset *rs, const char *name, bool *found)
{
	size_t lo = 0, hi = rs->n_chains;
	*found = false;
	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		int c = strcmp(rs->chain[mid].name, name);
		if ((*found = c == 0))
			return mid;
		if (c < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

static size_t elem_place(const struct bh_set *s, const struct bh_set_elem *e, bool *found)
{
	size_t lo = 0, hi = s->n;
	*found = false;
	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		int c = bh_set_elem_cmp(&s->elem[mid], e);
		if ((*found = c == 0))
			return mid;
		if (c < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

static void add_elem(struct bh_set *s, const struct bh_set_elem *e)
{
	bool found;
	size_t at = elem_place(s, e, &found);
	assert(!found);
	BH_GROW(s->elem, s->n, s->cap);
	memmove(s->elem + at + 1, s->elem + at, (s->n++ - at) * sizeof(*s->elem));
	s->elem[at] = bh_set_elem_copy(e);
}

static void del_elem(struct bh_set *s, const struct bh_set_elem *e)
{
	bool found;
	size_t at = elem_place(s, e, &found);
	assert(found);
	bh_set_elem_finish(&s->elem[at]);
	memmove(s->elem + at, s->elem + at + 1, (--s->n - at) * sizeof(*s->elem));
}

static void add_set(struct bh_ruleset *rs, const struct bh_set *s)
{
	bool found;
	size_t at = set_place(rs, s->name, &found);
	assert(!found);
	BH_GROW(rs->set, rs->n_sets, rs->cap_sets);
	memmove(rs->set + at + 1, rs->set + at, (rs->n_sets++ - at) * sizeof(*rs->set));
	struct bh_set *copy = &rs->set[at];
	*copy = *s;
	copy->name = bh_xstrdup(s->name);
	copy->comment = bh_xstrdup(s->comment);
	copy->n = copy->cap = s->volatile_ ? 0 : s->n;
	copy->elem = bh_xcalloc(copy->n, sizeof(*copy->elem));
	for (size_t i = 0; i < copy->n; i++)
		copy->elem[i] = bh_set_elem_copy(&s->elem[i]);
}

static void del_set(struct bh_ruleset *rs, const char *name)
{
	bool found;
	size_t at = set_place(rs, name, &found);
	assert(found);
	bh_set_finish(&rs->set[at]);
	memmove(rs->set + at, rs->set + at + 1, (--rs->n_sets - at) * sizeof(*rs->set));
}

static void add_chain(struct bh_ruleset *rs, const struct bh_chain *c)
{
	bool found;
	size_t at = chain_place(rs, c->name, &found);
	assert(!found);
	BH_GROW(rs->chain, rs->n_chains, rs->cap_chains);
	memmove(rs->chain + at + 1, rs->chain + at, (rs->n_chains++ - at) * sizeof(*rs->chain));
	rs->chain[at] = (struct bh_chain){.name = bh_xstrdup(c->name),
		.comment = bh_xstrdup(c->comment),
		.table = c->table,
		.hook = c->hook,
		.priority = c->priority};
}

static void flush_chain(struct bh_chain *c)
{
	for (size_t i = 0; i < c->n; i++)
		bh_rule_finish(&c->rule[i]);
	c->n = 0;
}

static void del_chain(struct bh_ruleset *rs, const char *name)
{
	bool found;
	size_t at = chain_place(rs, name, &found);
	assert(found);
	struct bh_chain *c = &rs->chain[at];
	flush_chain(c);
	free(c->rule);
	free(c->name);
	free(c->comment);
	memmove(rs->chain + at, rs->chain + at + 1, (--rs->n_chains - at) * sizeof(*rs->chain));
}

static void add_rules(struct bh_chain *to, const struct bh_chain *from)
{
	for (size_t i = 0; i < from->n; i++) {
		BH_GROW(to->rule, to->n, to->cap);
		to->rule[to->n++] = bh_rule_copy(&from->rule[i]);
	}
}

static struct bh_set *the_set(struct bh_ruleset *rs, const struct bh_change *c)
{
	bool found;
	size_t at = set_place(rs, c->set->name, &found);
	assert(found);
	return &rs->set[at];
}

static struct bh_chain *the_chain(struct bh_ruleset *rs, const struct bh_change *c)
{
	bool found;
	size_t at = chain_place(rs, c->chain->name, &found);
	assert(found);
	return &rs->chain[at];
}

static void carry_out(struct bh_ruleset *rs, const struct bh_change *c)
{
	switch (c->kind) {
	case BH_CHANGE_ADD_SET:
		add_set(rs, c->set);
		break;
	case BH_CHANGE_ADD_CHAIN:
		add_chain(rs, c->chain);
		break;
	case BH_CHANGE_FLUSH_CHAIN:
		flush_chain(the_chain(rs, c));
		break;
	case BH_CHANGE_ADD_RULES:
		add_rules(the_chain(rs, c), c->chain);
		break;
	case BH_CHANGE_DEL_ELEMS:
		for (size_t i = 0; i < c->n_elems; i++)
			del_elem(the_set(rs, c), c->elem[i]);
		break;
	case BH_CHANGE_ADD_ELEMS:
		for (size_t i = 0; i < c->n_elems; i++)
			add_elem(the_set(rs, c), c->elem[i]);
		break;
	case BH_CHANGE_DEL_CHAIN:
		del_chain(rs, c->chain->name);
		break;
	case BH_CHANGE_DEL_SET:
		del_set(rs, c->set->name);
		break;
	case BH_CHANGE_FLUSH_SET: /* of what we never had */
		break;
	}
}

void bh_ruleset_patch(struct bh_ruleset *rs, const struct bh_diff *diff)
{
	for (size_t i = 0; i < diff->n; i++)
		carry_out(rs, &diff->change[i]);
}
