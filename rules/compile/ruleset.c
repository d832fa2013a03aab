/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Building and comparing the ruleset IR. Invariants after sealing: sets and chains are sorted by
 * name, set elements by key, no key twice; comments are printable ASCII without quotes and within
 * nft's limit, so that what we print is what nft reads.
 */
#include <bulkhead/ruleset.h>

#include <assert.h>

#include "ruleset_private.h"

struct bh_ruleset *bh_ruleset_new(void)
{
	return bh_xcalloc(1, sizeof(struct bh_ruleset));
}

void bh_set_elem_finish(struct bh_set_elem *e)
{
	free(e->chain);
	free(e->comment);
	free(e->value);
}

struct bh_set_elem bh_set_elem_copy(const struct bh_set_elem *e)
{
	struct bh_set_elem copy = *e;
	copy.chain = bh_xstrdup(e->chain);
	copy.comment = bh_xstrdup(e->comment);
	if (e->value)
		copy.value = bh_xmemdup(e->value, e->n_values * sizeof(*e->value));
	return copy;
}

void bh_set_finish(struct bh_set *s)
{
	for (size_t i = 0; i < s->n; i++)
		bh_set_elem_finish(&s->elem[i]);
	free(s->elem);
	free(s->name);
	free(s->comment);
}

void bh_rule_finish(struct bh_rule *r)
{
	for (size_t i = 0; i < r->n; i++) {
		free(r->match[i].set);
		free(r->match[i].port);
	}
	free(r->match);
	free(r->target);
	free(r->comment);
}

void bh_ruleset_free(struct bh_ruleset *rs)
{
	if (!rs)
		return;
	for (size_t i = 0; i < rs->n_sets; i++)
		bh_set_finish(&rs->set[i]);
	for (size_t i = 0; i < rs->n_chains; i++) {
		struct bh_chain *c = &rs->chain[i];
		for (size_t k = 0; k < c->n; k++)
			bh_rule_finish(&c->rule[k]);
		free(c->rule);
		free(c->name);
		free(c->comment);
	}
	free(rs->set);
	free(rs->chain);
	free(rs);
}

/* Names of containers and labels come from outside: nothing but printable ASCII gets through. */
char *bh_comment_copy(const char *text)
{
	if (!text || !*text)
		return NULL;
	size_t len = strlen(text);
	char *s = bh_xstrndup(text, BH_COMMENT_MAX);
	for (char *c = s; *c; c++)
		if (*c < 0x20 || *c > 0x7e || *c == '"' || *c == '\\')
			*c = '?';
	if (len > BH_COMMENT_MAX)
		memcpy(s + BH_COMMENT_MAX - 3, "...", 3);
	return s;
}

struct bh_set *bh_ruleset_add_set(struct bh_ruleset *rs, const char *name, enum bh_set_kind kind,
	uint8_t family, const char *comment)
{
	assert(strlen(name) <= BH_NAME_MAX);
	BH_GROW(rs->set, rs->n_sets, rs->cap_sets);
	struct bh_set *s = &rs->set[rs->n_sets++];
	*s = (struct bh_set){.kind = kind, .family = family};
	s->name = bh_xstrdup(name);
	s->comment = bh_comment_copy(comment);
	return s;
}

struct bh_set_elem *bh_set_add(struct bh_set *s, const struct bh_addr *key,
	const struct bh_addr *key2, const char *chain, const char *comment)
{
	BH_GROW(s->elem, s->n, s->cap);
	struct bh_set_elem *e = &s->elem[s->n++];
	*e = (struct bh_set_elem){.key = *key};
	if (key2)
		e->key2 = *key2;
	else if (s->kind == BH_SET_INTERVAL)
		e->key2 = *key;
	e->chain = bh_xstrdup(chain);
	e->comment = bh_comment_copy(comment);
	return e;
}

struct bh_chain *bh_ruleset_add_chain(struct bh_ruleset *rs, const char *name, enum bh_hook hook,
	int priority, const char *comment)
{
	assert(strlen(name) <= BH_NAME_MAX);
	BH_GROW(rs->chain, rs->n_chains, rs->cap_chains);
	struct bh_chain *c = &rs->chain[rs->n_chains++];
	*c = (struct bh_chain){.hook = hook, .priority = priority};
	c->name = bh_xstrdup(name);
	c->comment = bh_comment_copy(comment);
	return c;
}

struct bh_rule *bh_chain_add(struct bh_chain *c, const char *comment)
{
	BH_GROW(c->rule, c->n, c->cap);
	struct bh_rule *r = &c->rule[c->n++];
	*r = (struct bh_rule){.comment = bh_comment_copy(comment)};
	return r;
}

struct bh_match *bh_rule_match(struct bh_rule *r, enum bh_match_kind kind)
{
	BH_GROW(r->match, r->n, r->cap);
	struct bh_match *m = &r->match[r->n++];
	*m = (struct bh_match){.kind = kind};
	return m;
}

static int compare_sets(const void *a, const void *b)
{
	return strcmp(((const struct bh_set *)a)->name, ((const struct bh_set *)b)->name);
}

static int compare_chains(const void *a, const void *b)
{
	return strcmp(((const struct bh_chain *)a)->name, ((const struct bh_chain *)b)->name);
}

int bh_set_elem_cmp(const struct bh_set_elem *a, const struct bh_set_elem *b)
{
	int c = bh_addr_cmp(&a->key, &b->key);
	if (c == 0)
		c = bh_addr_cmp(&a->key2, &b->key2);
	if (c || !a->value || !b->value)
		return c;
	return memcmp(a->value, b->value, a->n_values * sizeof(*a->value));
}

static int compare_elems(const void *a, const void *b)
{
	return bh_set_elem_cmp(a, b);
}

struct bh_rule bh_rule_copy(const struct bh_rule *r)
{
	struct bh_rule copy = *r;
	copy.match = bh_xmemdup(r->match, r->n * sizeof(*r->match));
	copy.cap = r->n;
	copy.target = bh_xstrdup(r->target);
	copy.comment = bh_xstrdup(r->comment);
	for (size_t i = 0; i < r->n; i++) {
		const struct bh_match *m = &r->match[i];
		copy.match[i].set = bh_xstrdup(m->set);
		if (m->port)
			copy.match[i].port = bh_xmemdup(m->port, m->n_ports * sizeof(*m->port));
	}
	return copy;
}

static void seal_set(struct bh_set *s)
{
	bool sorted = true; /* feeds come sorted, and are large */
	for (size_t i = 1; i < s->n && sorted; i++)
		sorted = compare_elems(&s->elem[i - 1], &s->elem[i]) < 0;
	if (sorted)
		return;
	qsort(s->elem, s->n, sizeof(*s->elem), compare_elems);
	size_t n = 1;
	for (size_t i = 1; i < s->n; i++) {
		if (compare_elems(&s->elem[i], &s->elem[n - 1]) != 0) {
			s->elem[n++] = s->elem[i];
		} else {
			bh_set_elem_finish(&s->elem[i]);
		}
	}
	s->n = n;
}

void bh_ruleset_seal(struct bh_ruleset *rs)
{
	for (size_t i = 0; i < rs->n_sets; i++)
		seal_set(&rs->set[i]);
	if (rs->n_sets)
		qsort(rs->set, rs->n_sets, sizeof(*rs->set), compare_sets);
	if (rs->n_chains)
		qsort(rs->chain, rs->n_chains, sizeof(*rs->chain), compare_chains);
	for (size_t i = 1; i < rs->n_sets; i++)
		assert(strcmp(rs->set[i - 1].name, rs->set[i].name) != 0);
	for (size_t i = 1; i < rs->n_chains; i++)
		assert(strcmp(rs->chain[i - 1].name, rs->chain[i].name) != 0);
}

const struct bh_set *bh_ruleset_find_set(const struct bh_ruleset *rs, const char *name)
{
	struct bh_set key = {.name = (char *)name};
	return rs->n_sets ? bsearch(&key, rs->set, rs->n_sets, sizeof(key), compare_sets) : NULL;
}

const struct bh_chain *bh_ruleset_find_chain(const struct bh_ruleset *rs, const char *name)
{
	struct bh_chain key = {.name = (char *)name};
	return rs->n_chains ? bsearch(&key, rs->chain, rs->n_chains, sizeof(key), compare_chains)
			    : NULL;
}

static bool match_equal(const struct bh_match *a, const struct bh_match *b)
{
	if (a->kind != b->kind || a->neg != b->neg || a->family != b->family ||
		a->proto != b->proto || a->n_ports != b->n_ports || a->rate != b->rate ||
		a->burst != b->burst || a->mark != b->mark || a->mask != b->mask ||
		a->n_reads != b->n_reads || a->counter != b->counter ||
		memcmp(a->read, b->read, a->n_reads) != 0)
		return false;
	if (!bh_streq(a->set, b->set) || a->prefix.len != b->prefix.len ||
		!bh_addr_eq(&a->prefix.addr, &b->prefix.addr))
		return false;
	for (size_t i = 0; i < a->n_ports; i++)
		if (a->port[i].first != b->port[i].first || a->port[i].last != b->port[i].last)
			return false;
	return true;
}

bool bh_rule_equal(const struct bh_rule *a, const struct bh_rule *b)
{
	if (a->n != b->n || a->counter != b->counter || a->action != b->action ||
		a->family != b->family || a->queue_num != b->queue_num || a->bypass != b->bypass ||
		a->snap_len != b->snap_len)
		return false;
	if (!bh_streq(a->target, b->target) || !bh_streq(a->comment, b->comment))
		return false;
	for (size_t i = 0; i < a->n; i++)
		if (!match_equal(&a->match[i], &b->match[i]))
			return false;
	return true;
}
