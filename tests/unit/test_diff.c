/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Diffs applied, change by change, to a model of nf_tables that refuses what the kernel would
 * refuse: unknown references, double elements, deletion of what is still used. Whatever comes out
 * must be the ruleset that was wanted.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "lib/random_world.h"

static const struct bh_emit_opts emit_opts = {
	.queue_unmatched = 10, .queue_observed = 11, .have_nfqueue = true};

/* --- the model --- */

struct model_chain {
	const char *name;
	const struct bh_chain *rules; /* whose rules it holds; NULL = empty */
};

struct model_set {
	const char *name;
	const struct bh_set_elem **elem;
	size_t n, cap;
};

struct model {
	struct model_chain *chain;
	size_t n_chains, cap_chains;
	struct model_set *set;
	size_t n_sets, cap_sets;
};

static struct model_chain *find_chain(struct model *m, const char *name)
{
	for (size_t i = 0; i < m->n_chains; i++)
		if (strcmp(m->chain[i].name, name) == 0)
			return &m->chain[i];
	return NULL;
}

static struct model_set *find_set(struct model *m, const char *name)
{
	for (size_t i = 0; i < m->n_sets; i++)
		if (strcmp(m->set[i].name, name) == 0)
			return &m->set[i];
	return NULL;
}

static bool elem_key_equal(const struct bh_set_elem *a, const struct bh_set_elem *b)
{
	return bh_addr_eq(&a->key, &b->key) && bh_addr_eq(&a->key2, &b->key2) &&
	       a->n_values == b->n_values &&
	       (!a->n_values || memcmp(a->value, b->value, a->n_values * sizeof(*a->value)) == 0);
}

static void add_elem(struct model *m, struct model_set *s, const struct bh_set_elem *e)
{
	for (size_t i = 0; i < s->n; i++)
		assert_false(elem_key_equal(s->elem[i], e));
	if (e->chain)
		assert_non_null(find_chain(m, e->chain));
	BH_GROW(s->elem, s->n, s->cap);
	s->elem[s->n++] = e;
}

static void del_elem(struct model_set *s, const struct bh_set_elem *e)
{
	for (size_t i = 0; i < s->n; i++) {
		if (elem_key_equal(s->elem[i], e)) {
			s->elem[i] = s->elem[--s->n];
			return;
		}
	}
	fail_msg("deletes an element that is not there");
}

static void check_rule(struct model *m, const struct bh_rule *r)
{
	bool vmap = r->action == BH_ACT_VMAP_SADDR || r->action == BH_ACT_VMAP_DADDR;
	for (size_t i = 0; i < r->n; i++)
		if (r->match[i].set)
			assert_non_null(find_set(m, r->match[i].set));
	if (vmap)
		assert_non_null(find_set(m, r->target));
	else if (r->target)
		assert_non_null(find_chain(m, r->target));
}

static bool rule_uses(const struct bh_rule *r, const char *set, const char *chain)
{
	bool vmap = r->action == BH_ACT_VMAP_SADDR || r->action == BH_ACT_VMAP_DADDR;
	if (bh_streq(r->target, vmap ? set : chain) && r->target)
		return true;
	for (size_t i = 0; set && i < r->n; i++)
		if (bh_streq(r->match[i].set, set))
			return true;
	return false;
}

static void assert_unused(struct model *m, const char *set, const char *chain)
{
	for (size_t i = 0; i < m->n_chains; i++) {
		const struct bh_chain *c = m->chain[i].rules;
		for (size_t k = 0; c && k < c->n; k++)
			assert_false(rule_uses(&c->rule[k], set, chain));
	}
	for (size_t i = 0; chain && i < m->n_sets; i++)
		for (size_t k = 0; k < m->set[i].n; k++)
			assert_false(bh_streq(m->set[i].elem[k]->chain, chain));
}

static void add_set(struct model *m, const struct bh_set *set)
{
	assert_null(find_set(m, set->name));
	BH_GROW(m->set, m->n_sets, m->cap_sets);
	m->set[m->n_sets++] = (struct model_set){.name = set->name};
	for (size_t i = 0; i < set->n; i++)
		add_elem(m, &m->set[m->n_sets - 1], &set->elem[i]);
}

static void add_chain(struct model *m, const struct bh_chain *c)
{
	assert_null(find_chain(m, c->name));
	BH_GROW(m->chain, m->n_chains, m->cap_chains);
	m->chain[m->n_chains++] = (struct model_chain){.name = c->name};
}

static void del_set(struct model *m, const char *name)
{
	struct model_set *s = find_set(m, name);
	assert_non_null(s);
	assert_unused(m, name, NULL);
	free(s->elem);
	*s = m->set[--m->n_sets];
}

static void del_chain(struct model *m, const char *name)
{
	struct model_chain *c = find_chain(m, name);
	assert_non_null(c);
	assert_null(c->rules);
	assert_unused(m, NULL, name);
	*c = m->chain[--m->n_chains];
}

static void apply(struct model *m, const struct bh_change *c)
{
	struct model_chain *chain = c->chain ? find_chain(m, c->chain->name) : NULL;
	struct model_set *set = c->set ? find_set(m, c->set->name) : NULL;
	switch (c->kind) {
	case BH_CHANGE_ADD_SET:
		add_set(m, c->set);
		break;
	case BH_CHANGE_ADD_CHAIN:
		add_chain(m, c->chain);
		break;
	case BH_CHANGE_FLUSH_CHAIN:
		assert_non_null(chain->rules);
		chain->rules = NULL;
		break;
	case BH_CHANGE_ADD_RULES:
		assert_null(chain->rules);
		for (size_t i = 0; i < c->chain->n; i++)
			check_rule(m, &c->chain->rule[i]);
		chain->rules = c->chain;
		break;
	case BH_CHANGE_DEL_ELEMS:
		assert_true(c->n_elems > 0);
		for (size_t i = 0; i < c->n_elems; i++)
			del_elem(set, c->elem[i]);
		break;
	case BH_CHANGE_ADD_ELEMS:
		assert_true(c->n_elems > 0);
		for (size_t i = 0; i < c->n_elems; i++)
			add_elem(m, set, c->elem[i]);
		break;
	case BH_CHANGE_DEL_CHAIN:
		del_chain(m, c->chain->name);
		break;
	case BH_CHANGE_DEL_SET:
		del_set(m, c->set->name);
		break;
	case BH_CHANGE_FLUSH_SET:
		assert_non_null(set);
		assert_int_equal(c->set->volatile_, BH_VOLATILE_CACHE);
		set->n = 0;
		break;
	}
}

static bool same_elem(const struct model_set *s, const struct bh_set_elem *e)
{
	for (size_t i = 0; i < s->n; i++)
		if (elem_key_equal(s->elem[i], e))
			return bh_streq(s->elem[i]->chain, e->chain) &&
			       bh_streq(s->elem[i]->comment, e->comment);
	return false;
}

static void assert_model_is(struct model *m, const struct bh_ruleset *rs)
{
	assert_int_equal(m->n_sets, rs->n_sets);
	assert_int_equal(m->n_chains, rs->n_chains);
	for (size_t i = 0; i < rs->n_sets; i++) {
		const struct model_set *s = find_set(m, rs->set[i].name);
		assert_non_null(s);
		assert_int_equal(s->n, rs->set[i].n);
		for (size_t k = 0; k < s->n; k++)
			assert_true(same_elem(s, &rs->set[i].elem[k]));
	}
	for (size_t i = 0; i < rs->n_chains; i++) {
		const struct model_chain *c = find_chain(m, rs->chain[i].name);
		assert_non_null(c);
		assert_int_equal(c->rules ? c->rules->n : 0, rs->chain[i].n);
		for (size_t k = 0; k < rs->chain[i].n; k++)
			assert_true(bh_rule_equal(&c->rules->rule[k], &rs->chain[i].rule[k]));
	}
}

static void apply_diff(struct model *m, const struct bh_ruleset *from, const struct bh_ruleset *to)
{
	struct bh_diff d;
	bh_ruleset_diff(from, to, &d);
	for (size_t i = 0; i < d.n; i++)
		apply(m, &d.change[i]);
	bh_diff_finish(&d);
	assert_model_is(m, to);
}

static void model_finish(struct model *m)
{
	for (size_t i = 0; i < m->n_sets; i++)
		free(m->set[i].elem);
	free(m->set);
	free(m->chain);
}

/* --- tests --- */

static struct bh_ruleset *random_ruleset(struct random_world *w, const struct bh_engine_opts *opts)
{
	struct bh_engine *e = bh_engine_compile(w->policies, w->inv, opts);
	struct bh_ruleset *rs = bh_engine_emit(e, &emit_opts);
	bh_engine_unref(e);
	return rs;
}

/* From any world to any other, and back to nothing known. */
static void test_random_transitions(void **state BH_UNUSED)
{
	for (uint64_t seed = 1; seed <= 60; seed++) {
		struct bh_ruleset *rs[6];
		struct model m = {0};
		for (size_t i = 0; i < BH_ARRAY_SIZE(rs); i++) {
			struct random_world w;
			assert_true(random_world_init(&w, seed * 100 + i / 2));
			w.opts.host_policy ^= i & 1;
			rs[i] = random_ruleset(&w, &w.opts);
			random_world_finish(&w);
			apply_diff(&m, i ? rs[i - 1] : NULL, rs[i]);
		}
		for (size_t i = 0; i < BH_ARRAY_SIZE(rs); i++)
			bh_ruleset_free(rs[i]);
		model_finish(&m);
	}
}

static void test_equal_needs_nothing(void **state BH_UNUSED)
{
	for (uint64_t seed = 1; seed <= 50; seed++) {
		struct random_world w;
		struct bh_diff d;
		assert_true(random_world_init(&w, seed));
		struct bh_ruleset *a = random_ruleset(&w, &w.opts);
		struct bh_ruleset *b = random_ruleset(&w, &w.opts);
		bh_ruleset_diff(a, b, &d);
		assert_int_equal(d.n, 0);
		bh_diff_finish(&d);
		bh_ruleset_free(a);
		bh_ruleset_free(b);
		random_world_finish(&w);
	}
}

static struct bh_inventory *shop(unsigned webs)
{
	struct bh_inventory *inv = bh_inventory_new();
	for (unsigned i = 0; i < webs + 1; i++) {
		struct bh_workload *w = bh_workload_new();
		char ip[32];
		struct bh_addr a;
		snprintf(ip, sizeof(ip), "10.0.0.%u", i + 2);
		assert_int_equal(bh_addr_parse(ip, &a), 0);
		w->name = i ? bh_xasprintf("web-%u", i) : bh_xstrdup("db");
		w->namespace = bh_xstrdup("shop");
		w->id = bh_xasprintf("static:shop/%s", w->name);
		w->runtime = bh_xstrdup("static");
		w->mode = BH_MODE_ENFORCE;
		bh_labels_set(&w->labels, "app", i ? "web" : "db");
		bh_labels_set(&w->labels, "bulkhead.io/name", w->name);
		bh_interface_add_addr(bh_workload_add_interface(w), &a);
		bh_inventory_add(inv, w);
	}
	bh_inventory_seal(inv);
	return inv;
}

static struct bh_ruleset *compile_shop(unsigned webs, const char *port)
{
	char text[600];
	struct bh_policy_set *set = NULL;
	struct bh_diags diags = {0};
	const struct bh_policy_parse_opts opts = {.default_ns = "default"};
	const struct bh_engine_opts engine_opts = {0};
	snprintf(text, sizeof(text),
		"apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\n"
		"metadata: {name: all, namespace: shop}\n"
		"spec:\n  podSelector: {}\n  policyTypes: [Ingress, Egress]\n"
		"  ingress: [{from: [{podSelector: {matchLabels: {app: web}}}], "
		"ports: [{port: %s}]}]\n",
		port);
	const struct bh_policy_source src = {"x", text, strlen(text)};
	assert_int_equal(bh_policy_set_parse(&src, 1, &opts, &diags, &set), 0);
	struct bh_inventory *inv = shop(webs);
	struct bh_engine *e = bh_engine_compile(set, inv, &engine_opts);
	struct bh_ruleset *rs = bh_engine_emit(e, &emit_opts);
	bh_engine_unref(e);
	bh_inventory_unref(inv);
	bh_policy_set_unref(set);
	return rs;
}

/* The promise of shared peer sets: a container start is a handful of elements. */
static void test_container_start_is_elements_only(void **state BH_UNUSED)
{
	struct bh_ruleset *a = compile_shop(5, "5432"), *b = compile_shop(6, "5432");
	struct bh_diff d;
	size_t elems = 0, flushed = 0;
	bh_ruleset_diff(a, b, &d);
	for (size_t i = 0; i < d.n; i++) {
		elems += d.change[i].n_elems;
		if (d.change[i].kind == BH_CHANGE_FLUSH_SET)
			flushed++;
		else
			assert_int_equal(d.change[i].kind, BH_CHANGE_ADD_ELEMS);
	}
	/* peer set, known, inhabited, identity, enforcing, self, both maps */
	assert_int_equal(elems, 8);
	assert_int_equal(flushed, 4); /* cached verdicts; ways back of what was cut stay */
	bh_diff_finish(&d);
	bh_ruleset_diff(b, a, &d);
	for (size_t i = 0; i < d.n; i++)
		if (d.change[i].kind != BH_CHANGE_FLUSH_SET)
			assert_int_equal(d.change[i].kind, BH_CHANGE_DEL_ELEMS);
	bh_diff_finish(&d);
	bh_ruleset_free(a);
	bh_ruleset_free(b);
}

/* An edited policy refills the chain it governs: same name, no set, no element. */
static void test_policy_edit_refills_chain(void **state BH_UNUSED)
{
	struct bh_ruleset *a = compile_shop(5, "5432"), *b = compile_shop(5, "5433");
	struct bh_diff d;
	bh_ruleset_diff(a, b, &d);
	const struct bh_chain *flushed = NULL, *filled = NULL;
	for (size_t i = 0; i < d.n; i++) {
		if (d.change[i].kind == BH_CHANGE_FLUSH_CHAIN)
			flushed = d.change[i].chain;
		else if (d.change[i].kind == BH_CHANGE_ADD_RULES)
			filled = d.change[i].chain;
		else
			assert_int_equal(d.change[i].kind, BH_CHANGE_FLUSH_SET); /* the cache */
	}
	assert_int_equal(d.n, 6);
	assert_non_null(flushed);
	assert_non_null(filled);
	assert_string_equal(flushed->name, filled->name);
	bh_diff_finish(&d);
	bh_ruleset_free(a);
	bh_ruleset_free(b);
}

static void test_elements(void **state BH_UNUSED)
{
	struct bh_ruleset *a = bh_ruleset_new(), *b = bh_ruleset_new();
	struct bh_addr one, two, three;
	struct bh_diff d;
	bh_addr_parse("10.0.0.1", &one);
	bh_addr_parse("10.0.0.2", &two);
	bh_addr_parse("10.0.0.3", &three);
	struct bh_set *s = bh_ruleset_add_set(a, "nets", BH_SET_INTERVAL, BH_IPV4, NULL);
	bh_set_add(s, &one, &two, NULL, NULL);
	s = bh_ruleset_add_set(b, "nets", BH_SET_INTERVAL, BH_IPV4, NULL);
	bh_set_add(s, &one, &three, NULL, "bad \"name\"\n\\");
	bh_set_add(s, &one, &three, NULL, "again");
	bh_ruleset_seal(a);
	bh_ruleset_seal(b);
	assert_int_equal(b->set[0].n, 1);
	assert_string_equal(b->set[0].elem[0].comment, "bad ?name???");
	bh_ruleset_diff(a, b, &d);
	assert_int_equal(d.n, 2);
	assert_int_equal(d.change[0].kind, BH_CHANGE_DEL_ELEMS);
	assert_ptr_equal(d.change[0].elem[0], &a->set[0].elem[0]);
	assert_int_equal(d.change[1].kind, BH_CHANGE_ADD_ELEMS);
	assert_ptr_equal(d.change[1].elem[0], &b->set[0].elem[0]);
	bh_diff_finish(&d);
	bh_ruleset_free(a);
	bh_ruleset_free(b);
}

static const uint8_t tuple[] = {BH_PART_ADDR, BH_PART_ADDR, BH_PART_PROTO, BH_PART_SERVICE},
		     port_mac[] = {BH_PART_IFNAME, BH_PART_ETHER}, addr_only[] = {BH_PART_ADDR};

/* A cache, a set that packets fill, one of concatenations in the other table; `n` of its elements.
 */
static struct bh_ruleset *with_parts(unsigned n)
{
	struct bh_ruleset *rs = bh_ruleset_new();
	struct bh_set *s = bh_ruleset_add_concat_set(
		rs, "cache", BH_TABLE_INET, BH_IPV4, tuple, 4, "what was decided");
	s->volatile_ = BH_VOLATILE_CACHE;
	s->timeout_s = 60;
	s->size = 100;
	s->counter = true;
	s = bh_ruleset_add_concat_set(rs, "paced", BH_TABLE_INET, BH_IPV4, addr_only, 1, NULL);
	s->volatile_ = BH_VOLATILE_DYNAMIC;
	s->timeout_s = 5;
	s = bh_ruleset_add_concat_set(rs, "kept", BH_TABLE_INET, BH_IPV4, addr_only, 1, NULL);
	s->volatile_ = BH_VOLATILE_KEPT;
	s->timeout_s = 5;
	s = bh_ruleset_add_concat_set(rs, "macs", BH_TABLE_BRIDGE, 0, port_mac, 2, NULL);
	for (unsigned i = n; i-- > 0;) {
		char name[16];
		uint8_t mac[6] = {2, 0, 0, 0, 0, (uint8_t)(i / 2)};
		snprintf(name, sizeof(name), "veth%u", i / 2 * 2);
		bh_set_add_parts(s,
			(struct bh_value[]){bh_value_ifname(name),
				i % 2 ? bh_value_ether((const uint8_t[6]){2, 9, 9, 9, 9, 9})
				      : bh_value_ether(mac)},
			"port");
	}
	struct bh_chain *c = bh_ruleset_add_chain(rs, "guard", BH_HOOK_PREROUTING, -500, NULL);
	c->table = BH_TABLE_BRIDGE;
	bh_rule_match_parts(bh_chain_add(c, NULL), BH_MATCH_CONCAT_SET, 0, "macs",
		(const uint8_t[]){BH_READ_IIFNAME, BH_READ_ETHER_SADDR}, 2);
	bh_ruleset_seal(rs);
	return rs;
}

static void count_kinds(const struct bh_diff *d, size_t n[BH_CHANGE_FLUSH_SET + 1])
{
	memset(n, 0, (BH_CHANGE_FLUSH_SET + 1) * sizeof(*n));
	for (size_t i = 0; i < d->n; i++)
		n[d->change[i].kind]++;
}

static void test_caches_are_flushed(void **state BH_UNUSED)
{
	struct bh_ruleset *a = with_parts(4), *b = with_parts(5);
	struct bh_diff d;
	size_t n[BH_CHANGE_FLUSH_SET + 1];
	bh_ruleset_diff(a, b, &d);
	count_kinds(&d, n);
	assert_int_equal(d.n, 2);
	assert_int_equal(n[BH_CHANGE_ADD_ELEMS], 1);
	assert_int_equal(n[BH_CHANGE_FLUSH_SET], 1);
	assert_string_equal(d.change[1].set->name, "cache");
	bh_diff_finish(&d);
	bh_ruleset_diff(NULL, a, &d); /* what is made has nothing to flush */
	count_kinds(&d, n);
	assert_int_equal(n[BH_CHANGE_ADD_SET], 4);
	assert_int_equal(n[BH_CHANGE_FLUSH_SET], 0);
	bh_diff_finish(&d);
	/* Elements of what fills at run time are nobody's wish. */
	struct bh_addr x;
	assert_int_equal(bh_addr_parse("10.0.0.1", &x), 0);
	struct bh_value v[] = {
		bh_value_addr(&x), bh_value_addr(&x), bh_value_u8(6), bh_value_u16(1)};
	bh_set_add_parts((struct bh_set *)bh_ruleset_find_set(b, "cache"), v, NULL);
	bh_ruleset_free(a);
	a = with_parts(5);
	bh_ruleset_diff(a, b, &d);
	assert_int_equal(d.n, 0);
	bh_diff_finish(&d);
	bh_ruleset_free(a);
	bh_ruleset_free(b);
}

/* Concatenations change by element, in the model and in our own picture. */
static void test_parts(void **state BH_UNUSED)
{
	static const unsigned steps[] = {3, 7, 7, 2, 0, 5};
	struct bh_ruleset *rs[BH_ARRAY_SIZE(steps)], *picture = bh_ruleset_new();
	struct model m = {0};
	for (size_t i = 0; i < BH_ARRAY_SIZE(steps); i++) {
		struct bh_ruleset *to = rs[i] = with_parts(steps[i]);
		struct bh_diff d;
		bh_autobuf struct bh_buf have = {0}, want = {0};
		assert_int_equal(bh_ruleset_find_set(to, "macs")->n, steps[i]);
		apply_diff(&m, i ? rs[i - 1] : NULL, to);
		bh_ruleset_diff(i ? rs[i - 1] : NULL, to, &d);
		bh_ruleset_patch(picture, &d);
		bh_diff_finish(&d);
		bh_ruleset_diff(picture, to, &d);
		assert_int_equal(d.n, 0);
		bh_diff_finish(&d);
		bh_ruleset_print(picture, &have);
		bh_ruleset_print(to, &want);
		assert_string_equal(have.s, want.s);
	}
	model_finish(&m);
	for (size_t i = 0; i < BH_ARRAY_SIZE(rs); i++)
		bh_ruleset_free(rs[i]);
	bh_ruleset_free(picture);
}

static struct bh_match *concat_match(struct bh_rule *r)
{
	return bh_rule_match_parts(
		r, BH_MATCH_UPDATE, BH_IPV4, "paced", (const uint8_t[]){BH_READ_SADDR}, 1);
}

static void test_parts_tell_rules_apart(void **state BH_UNUSED)
{
	for (int what = 0; what < 5; what++) {
		struct bh_rule a = {0}, b = {0};
		concat_match(&a);
		struct bh_match *m = concat_match(&b);
		assert_true(bh_rule_equal(&a, &b));
		if (what == 0)
			m->read[0] = BH_READ_DADDR;
		else if (what == 1)
			m->read[m->n_reads++] = BH_READ_SADDR;
		else if (what == 2)
			m->counter = true;
		else if (what == 3)
			m->rate = 1;
		else
			m->burst = 1;
		assert_false(bh_rule_equal(&a, &b));
		free(a.match->set);
		free(a.match);
		free(b.match->set);
		free(b.match);
	}
}

static void test_comments_are_bounded(void **state BH_UNUSED)
{
	struct bh_ruleset *rs = bh_ruleset_new();
	char text[500];
	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	struct bh_chain *c = bh_ruleset_add_chain(rs, "c", BH_HOOK_NONE, 0, text);
	assert_int_equal(strlen(c->comment), BH_COMMENT_MAX);
	assert_string_equal(c->comment + BH_COMMENT_MAX - 3, "...");
	text[BH_COMMENT_MAX] = '\0';
	assert_string_equal(bh_chain_add(c, text)->comment, text);
	bh_ruleset_free(rs);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_random_transitions),
		cmocka_unit_test(test_equal_needs_nothing),
		cmocka_unit_test(test_container_start_is_elements_only),
		cmocka_unit_test(test_policy_edit_refills_chain),
		cmocka_unit_test(test_elements),
		cmocka_unit_test(test_caches_are_flushed),
		cmocka_unit_test(test_parts),
		cmocka_unit_test(test_parts_tell_rules_apart),
		cmocka_unit_test(test_comments_are_bounded),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
