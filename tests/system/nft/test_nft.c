/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What is installed, replaced and refused: the listing of nft is compared and read back by nft. */
#include "sample.h"

/* Sets are listed in the order in which they were made, which is not what is looked at here. */
static void assert_sample(const char *have)
{
	bh_autofree char *a = sorted(have), *b = sorted(sample_text);
	assert_text(a, b);
}

static void test_listing(void **state)
{
	(void)state;
	struct bh_ruleset *rs = sample();
	rebuild(rs);
	bh_autofree char *have = list();
	assert_sample(have);
	assert_listed(rs);
	assert_int_equal(bh_nft_exists(nft), 1);

	/* nft takes its own listing back, and it still means the same. */
	FILE *f = popen("nft -f /dev/stdin", "w");
	assert_non_null(f);
	assert_int_equal(bh_nft_flush(nft), 0);
	fputs(have, f);
	assert_int_equal(pclose(f), 0);
	bh_autofree char *again = list();
	assert_text(again, have);
	bh_ruleset_free(rs);
}

static void test_rebuild_keeps(void **state)
{
	(void)state;
	struct bh_ruleset *rs = sample();
	rebuild(rs);
	bh_autofree char *before = run("nft -a list chain inet bulkhead forward | head -2", NULL);
	bh_autofree char *before_all = run("nft -a list chain inet bulkhead refuse", NULL);
	must("nft add rule inet bulkhead forward tcp dport { 1, 2 } accept;"
	     "nft add chain inet bulkhead stranger;"
	     "nft add set inet bulkhead odd '{ type mark; }';"
	     "nft add rule inet bulkhead stranger meta mark @odd jump g_web;"
	     "nft add chain inet bulkhead out '{ type filter hook output priority 5; }';"
	     "nft add element inet bulkhead peer_4 '{ 203.0.113.9 }';"
	     "nft flush chain inet bulkhead g_web;"
	     "nft chain inet bulkhead forward '{ policy drop; }';"
	     "nft add table inet bulkhead '{ flags dormant; }'");
	rebuild(rs);
	assert_listed(rs);
	/* The base chain was not deleted and made again; the others were. */
	bh_autofree char *after = run("nft -a list chain inet bulkhead forward | head -2", NULL);
	bh_autofree char *after_all = run("nft -a list chain inet bulkhead refuse", NULL);
	assert_string_equal(after, before);
	assert_string_not_equal(after_all, before_all);
	rebuild(rs);
	assert_listed(rs);
	bh_ruleset_free(rs);
}

static void test_rebuild_other_layout(void **state)
{
	(void)state;
	struct bh_ruleset *rs = sample();
	must("nft add table inet bulkhead;"
	     "nft add chain inet bulkhead forward '{ type filter hook forward priority 7; }'");
	rebuild(rs);
	bh_autofree char *have = list();
	assert_sample(have);
	must("nft delete table inet bulkhead; nft add table inet bulkhead;"
	     "nft add chain inet bulkhead forward;"
	     "nft add chain inet bulkhead g_web '{ type filter hook input priority 0; }'");
	rebuild(rs);
	bh_autofree char *again = list();
	assert_sample(again);
	must("nft add counter inet bulkhead alien; nft add table inet other;"
	     "nft add counter inet other alien");
	rebuild(rs);
	bh_autofree char *third = list();
	assert_sample(third);
	must("nft list counter inet other alien");
	bh_ruleset_free(rs);
}

static void test_deltas(void **state)
{
	(void)state;
	struct bh_ruleset *a = sample(), *b = sample();
	rebuild(a);
	bh_autofree char *before = run("nft -a list chain inet bulkhead forward | head -2", NULL);

	/* A workload and its group come: chain, map elements, peer, range; and a rule changes. */
	struct bh_chain *c = bh_ruleset_add_chain(b, "g_db", BH_HOOK_NONE, 0, NULL);
	match_set(rule(c, BH_ACT_ACCEPT, "db"), BH_MATCH_SADDR_SET, BH_IPV4, "peer_4");
	add_elem((struct bh_set *)bh_ruleset_find_set(b, "to_4"), "10.0.0.9", NULL, "g_db", "db");
	add_elem((struct bh_set *)bh_ruleset_find_set(b, "peer_4"), "10.0.0.9", NULL, NULL, "db");
	add_elem((struct bh_set *)bh_ruleset_find_set(b, "block_4"), "203.0.113.0", "203.0.113.9",
		NULL, NULL);
	add_elem((struct bh_set *)bh_ruleset_add_set(b, "new_6", BH_MAP_VERDICT, BH_IPV6, NULL),
		"2001:db8::9", NULL, "g_db", NULL);
	add_vmap(find_chain(b, "input"), BH_ACT_VMAP_SADDR, BH_IPV6, "new_6");
	bh_ruleset_seal(b);
	apply(a, b);
	assert_listed(b);
	apply(b, b); /* nothing to do */
	apply(b, a);
	assert_listed(a);
	apply(a, b);
	apply(b, a);
	bh_autofree char *have = list();
	assert_sample(have);
	bh_autofree char *after = run("nft -a list chain inet bulkhead forward | head -2", NULL);
	assert_string_equal(after, before);
	bh_ruleset_free(a);
	bh_ruleset_free(b);
}

/* A map element of the same key that jumps elsewhere, and a range that grows, in one step. */
static void test_replaced_elements(void **state)
{
	(void)state;
	struct bh_ruleset *a = sample(), *b = sample();
	struct bh_set *s = (struct bh_set *)bh_ruleset_find_set(b, "to_4");
	free(s->elem[0].chain);
	s->elem[0].chain = bh_xstrdup("refuse");
	s = (struct bh_set *)bh_ruleset_find_set(b, "block_4");
	s->elem[0].key2 = addr("9.255.255.255");
	s->elem[4].key = addr("239.0.0.0");
	s = (struct bh_set *)bh_ruleset_find_set(b, "block_6");
	s->elem[1].key2 = addr("ffff:ffff::");
	rebuild(a);
	apply(a, b);
	assert_listed(b);
	apply(b, a);
	assert_listed(a);
	bh_ruleset_free(a);
	bh_ruleset_free(b);
}

static void expect_refused(
	const struct bh_ruleset *from, const struct bh_ruleset *to, int want, const char *object)
{
	struct bh_nft_error e;
	struct bh_diff d;
	bh_autofree char *before = list();
	bh_ruleset_diff(from, to, &d);
	assert_int_equal(bh_nft_apply(nft, &d, &e), want);
	bh_diff_finish(&d);
	assert_int_equal(e.err, want);
	assert_string_equal(e.object, object);
	bh_autofree char *after = list();
	assert_string_equal(after, before);
}

static void test_refused(void **state)
{
	(void)state;
	struct bh_ruleset *a = sample(), *b = sample();
	rebuild(a);
	/* A foreign element in the way: the key is named, and nothing of the rest happens. */
	struct bh_set *s = (struct bh_set *)bh_ruleset_find_set(b, "pass_4");
	for (unsigned i = 0; i < 2500; i++) {
		struct bh_addr x = nth(i, TEN), y = addr("192.0.2.1");
		bh_set_add(s, &x, &y, NULL, NULL);
	}
	bh_ruleset_seal(b);
	must("nft add element inet bulkhead pass_4 '{ 10.0.8.1 . 192.0.2.1 comment \"x\" }'");
	expect_refused(a, b, -EEXIST, "element 10.0.8.1 . 192.0.2.1 of set pass_4");
	bh_ruleset_free(b);

	b = sample();
	jump(find_chain(b, "input"), BH_ACT_JUMP, "nowhere");
	expect_refused(a, b, -ENOENT, "rule 2 of chain input");
	bh_ruleset_free(b);

	b = sample();
	match_set(rule(find_chain(b, "input"), BH_ACT_DROP, NULL), BH_MATCH_SADDR_SET, BH_IPV4,
		"absent");
	expect_refused(a, b, -ENOENT, "rule 2 of chain input");
	bh_ruleset_free(b);

	b = sample();
	jump(find_chain(b, "g_web"), BH_ACT_JUMP, "g_web");
	struct bh_nft_error e;
	bh_autofree char *before = list();
	assert_true(bh_nft_rebuild(nft, b, &e) < 0); /* ELOOP or EMLINK */
	bh_autofree char *after = list();
	assert_string_equal(after, before);
	bh_ruleset_free(b);
	bh_ruleset_free(a);
}

static void test_hostile_ruleset(void **state)
{
	(void)state;
	struct bh_nft_error e;
	char longish[400];
	memset(longish, 'n', sizeof(longish) - 1);
	longish[sizeof(longish) - 1] = '\0';
	struct bh_ruleset *rs = bh_ruleset_new();
	struct bh_chain *c = bh_ruleset_add_chain(rs, "c", BH_HOOK_NONE, 0, NULL);
	free(c->name);
	c->name = bh_xstrdup(longish);
	assert_int_equal(bh_nft_rebuild(nft, rs, &e), -EINVAL);
	free(c->name);
	c->name = bh_xstrdup("c");
	rule(c, BH_ACT_DROP, NULL)->comment = bh_xstrdup(longish);
	assert_int_equal(bh_nft_rebuild(nft, rs, &e), -EINVAL);
	assert_string_equal(e.object, "the rules of chain c");
	bh_ruleset_free(rs);
	rs = bh_ruleset_new();
	add_elem(bh_ruleset_add_set(rs, "s", BH_SET_ADDR, BH_IPV4, NULL), "2001:db8::", NULL, NULL,
		NULL);
	assert_int_equal(bh_nft_rebuild(nft, rs, &e), -EINVAL);
	bh_ruleset_free(rs);
	assert_int_equal(bh_nft_exists(nft), 0);
}

static void test_apply_without_table(void **state)
{
	(void)state;
	struct bh_ruleset *a = sample(), *b = sample();
	struct bh_diff d;
	struct bh_nft_error e;
	rule(find_chain(b, "input"), BH_ACT_DROP, NULL);
	bh_ruleset_diff(a, b, &d);
	assert_int_equal(bh_nft_apply(nft, &d, &e), -ENOENT);
	bh_diff_finish(&d);
	bh_ruleset_free(a);
	bh_ruleset_free(b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(test_listing, clean),
		cmocka_unit_test_teardown(test_rebuild_keeps, clean),
		cmocka_unit_test_teardown(test_rebuild_other_layout, clean),
		cmocka_unit_test_teardown(test_deltas, clean),
		cmocka_unit_test_teardown(test_replaced_elements, clean),
		cmocka_unit_test_teardown(test_refused, clean),
		cmocka_unit_test_teardown(test_hostile_ruleset, clean),
		cmocka_unit_test_teardown(test_apply_without_table, clean),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
