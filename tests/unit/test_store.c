/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The store: what is put comes back after a restart, as it was or not at all. */
#include "store/store.h"

#include <errno.h>

#include "lib/store_dir.h"

static void test_tuples_survive(void **state BH_UNUSED)
{
	struct bh_store *s = open_store(0);
	struct tuples x = {.expect = sample_tuple(443)};
	assert_int_equal(bh_store_put_tuple(s, &x.expect), 0);
	x.expect.volume = (struct bh_volume){3, {40, 41}, {1ull << 40, 2}, 5000001};
	x.expect.last_seen++;
	x.expect.ingress = true;
	assert_int_equal(bh_store_put_tuple(s, &x.expect), 0); /* replaces */
	bh_store_close(s);
	s = open_store(0);
	assert_int_equal(bh_store_load_tuples(s, check_tuple, &x), 0);
	assert_int_equal(x.n, 1);
	bh_store_close(s);
	bh_tuple_finish(&x.expect);
}

static void test_edited_tuples_are_left_out(void **state BH_UNUSED)
{
	static const char *const edit[] = {
		"UPDATE tuple SET src = 'role shop app=web'", /* no longer its key */
		"UPDATE tuple SET dst = 'addr 203.0.113.09'",
		"UPDATE tuple SET src = 'role a%2'",
		"UPDATE tuple SET src = 'role a b=%00'",
		"UPDATE tuple SET src = x'ff00'",
		"UPDATE tuple SET port = 70000",
		"UPDATE tuple SET images = 'a\"b'",
	};
	for (size_t i = 0; i < BH_ARRAY_SIZE(edit); i++) {
		struct bh_store *s = open_store(0);
		struct bh_tuple t = sample_tuple(443);
		assert_int_equal(bh_store_put_tuple(s, &t), 0);
		bh_store_close(s);
		bh_tuple_finish(&t);
		run_sql(edit[i]);
		s = open_store(0);
		assert_int_equal(count_tuples(s), 0);
		assert_non_null(strstr(bh_store_message(s), "cannot be read"));
		bh_store_close(s);
		run_sql("DELETE FROM tuple");
	}
}

static void test_state(void **state BH_UNUSED)
{
	struct bh_store *s = open_store(0);
	struct bh_buf bh_autobuf b = {0};
	struct bh_mode_row node = {.scope = (char *)"", .mode = BH_MODE_AUDIT, .set_at = 5},
			   shop = {.scope = (char *)"shop",
				   .mode = BH_MODE_ENFORCE,
				   .set_at = 6,
				   .uid = UINT32_MAX},
			   db = {.scope = (char *)"?tier=db",
				   .mode = BH_MODE_LEARN,
				   .until = 9,
				   .has_back = true,
				   .back = BH_MODE_ENFORCE},
			   gone = {.scope = (char *)"gone"};
	uint64_t v = 7;
	assert_int_equal(bh_store_put_mode(s, &shop), 0);
	assert_int_equal(bh_store_put_mode(s, &node), 0);
	node.mode = BH_MODE_LEARN;
	assert_int_equal(bh_store_put_mode(s, &node), 0);
	assert_int_equal(bh_store_put_mode(s, &db), 0);
	assert_int_equal(bh_store_put_mode(s, &gone), 0);
	assert_int_equal(bh_store_drop_mode(s, "gone"), 0);
	assert_int_equal(bh_store_get_u64(s, "seq", &v), -ENOENT);
	assert_int_equal(v, 7);
	assert_int_equal(bh_store_put_u64(s, "seq", UINT64_MAX), 0);
	bh_store_close(s);
	s = open_store(0);
	assert_int_equal(bh_store_load_modes(s, keep_mode, &b), 0);
	assert_string_equal(b.s, "[]=learn@5/0 [?tier=db]=learn@0/0 until 9 then enforce "
				 "[shop]=enforce@6/4294967295 ");
	assert_int_equal(bh_store_get_u64(s, "seq", &v), 0);
	assert_true(v == UINT64_MAX);
	bh_store_close(s);
}

/* A row that somebody edited must not let in more than was seen and said. */
static void test_review_of_a_tuple(void **state BH_UNUSED)
{
	static const char *const bad[] = {"review = 7", "review = -1", "widened = '2001:db9::/32'",
		"widened = '10.0.0.0/8'", "widened = 'any'", "widened = '2001:db8::9/32'"};
	struct bh_store *s = open_store(0);
	struct bh_tuple t = sample_tuple(443);
	assert_int_equal(bh_store_put_tuple(s, &t), 0);
	char bh_autofree *key = bh_tuple_key(&t);
	bh_store_close(s);
	for (size_t i = 0; i < BH_ARRAY_SIZE(bad); i++) {
		char bh_autofree *sql = bh_xasprintf("UPDATE tuple SET %s", bad[i]);
		run_sql(sql);
		s = open_store(0);
		if (count_tuples(s) != 0)
			fail_msg("read: %s", bad[i]);
		assert_int_equal(bh_store_put_tuple(s, &t), 0);
		bh_store_close(s);
	}
	s = open_store(0);
	assert_int_equal(count_tuples(s), 1);
	assert_int_equal(bh_store_drop_tuple(s, "another"), 0);
	assert_int_equal(count_tuples(s), 1);
	assert_int_equal(bh_store_drop_tuple(s, key), 0);
	assert_int_equal(count_tuples(s), 0);
	bh_tuple_finish(&t);
	bh_store_close(s);
}

static void keep_role(const struct bh_role_row *r, void *arg)
{
	struct bh_buf *b = arg;
	bh_end_format(&r->end, b);
	bh_buf_printf(b, " %lld..%lld %llu s %llu starts %02x..%02x", (long long)r->since,
		(long long)r->last, (unsigned long long)r->learned_s, (unsigned long long)r->starts,
		r->hours[0], r->hours[BH_HOURS_BYTES - 1]);
	for (size_t i = 0; i < r->n_instances; i++)
		bh_buf_printf(b, " %llx", (unsigned long long)r->instance[i]);
	bh_buf_str(b, "\n");
}

static void test_roles(void **state BH_UNUSED)
{
	struct bh_store *s = open_store(0);
	struct bh_buf bh_autobuf b = {0};
	struct bh_role_row r = {.end = {.kind = BH_END_ROLE, .namespace = (char *)"a b"},
		.since = 5,
		.last = 6,
		.learned_s = 7,
		.starts = UINT64_MAX,
		.hours = {0x81},
		.instance = {UINT64_MAX, 2},
		.n_instances = 2};
	r.hours[BH_HOURS_BYTES - 1] = 0x7f;
	bh_labels_set(&r.end.selector, "app", "we,b=\n");
	assert_int_equal(bh_store_put_role(s, &r), 0);
	r.last = 9;
	assert_int_equal(bh_store_put_role(s, &r), 0); /* replaces */
	bh_labels_set(&r.end.selector, "app", "none");
	r.n_instances = 0;
	r.starts = 0;
	assert_int_equal(bh_store_put_role(s, &r), 0);
	bh_labels_set(&r.end.selector, "app", "gone");
	assert_int_equal(bh_store_put_role(s, &r), 0);
	assert_int_equal(bh_store_drop_role(s, &r.end), 0);
	bh_store_close(s);
	run_sql("INSERT INTO role VALUES ('host', 1, 1, 1, 1, 'short', ''),"
		" ('role x a', 1, 1, 1, 1, zeroblob(21), ''),"
		" ('role x a=b', 1, 1, 1, 1, zeroblob(21), zeroblob(7)),"
		" ('role x b=c', 1, 1, 1, 1, zeroblob(21), zeroblob(264))");
	s = open_store(0);
	assert_int_equal(bh_store_load_roles(s, keep_role, &b), 0);
	assert_string_equal(b.s, "a b/none 5..9 7 s 0 starts 81..7f\n"
				 "a b/we,b=\n 5..9 7 s 18446744073709551615 starts 81..7f "
				 "ffffffffffffffff 2\n");
	assert_non_null(strstr(bh_store_message(s), "4 rows of table role"));
	bh_labels_finish(&r.end.selector);
	bh_store_close(s);
}

static void keep_quarantine(const struct bh_quarantine_row *q, void *arg)
{
	struct bh_buf *b = arg;
	bh_buf_printf(b, "%s/%s %s \"%s\" @%lld %u %d:", q->namespace, q->name, q->id, q->reason,
		(long long)q->at, q->uid, q->pid);
	for (size_t i = 0; i < q->allow->n; i++) {
		bh_buf_str(b, " ");
		bh_quarantine_format(&q->allow->allow[i], b);
	}
	bh_buf_str(b, "\n");
}

static void expect_quarantine(const char *want)
{
	struct bh_buf bh_autobuf b = {0};
	struct bh_store *s = open_store(0);
	assert_int_equal(bh_store_load_quarantine(s, keep_quarantine, &b), 0);
	assert_string_equal(b.s ? b.s : "", want);
	bh_store_close(s);
}

static void test_quarantine(void **state BH_UNUSED)
{
	struct bh_store *s = open_store(0);
	struct bh_quarantine *q = bh_quarantine_new();
	const char *why;
	struct bh_quarantine_row web = {(char *)"shop", (char *)"web", (char *)"0123", q,
		(char *)"it's \"odd\"", 5, UINT32_MAX, 7};
	struct bh_quarantine_row db = {(char *)"shop", (char *)"db", NULL, NULL, NULL, 6, 0, 8};
	assert_int_equal(bh_quarantine_allow(q, "[fd00::/8]:53/udp", &why), 0);
	assert_int_equal(bh_quarantine_allow(q, "10.0.0.5:22", &why), 0);
	assert_int_equal(bh_store_put_quarantine(s, &db), 0);
	assert_int_equal(bh_store_put_quarantine(s, &web), 0);
	web.at = 9; /* replaces */
	assert_int_equal(bh_store_put_quarantine(s, &web), 0);
	assert_int_equal(bh_store_commit(s), 0);
	bh_store_close(s);
	bh_quarantine_unref(q);
	expect_quarantine("shop/db  \"\" @6 0 8:\n"
			  "shop/web 0123 \"it's \"odd\"\" @9 4294967295 7: 10.0.0.5/32:22/tcp"
			  " [fd00::/8]:53/udp\n");
	/* What cannot be read allows nothing; the workload stays cut off. */
	run_sql("UPDATE quarantine SET allow = '10.0.0.5:22 frob 10.0.0.6:x' WHERE name = 'web'");
	expect_quarantine("shop/db  \"\" @6 0 8:\n"
			  "shop/web 0123 \"it's \"odd\"\" @9 4294967295 7: 10.0.0.5/32:22/tcp\n");
	s = open_store(0);
	assert_int_equal(bh_store_drop_quarantine(s, "shop", "web"), 0);
	assert_int_equal(bh_store_drop_quarantine(s, "shop", "nobody"), 0);
	bh_store_close(s);
	expect_quarantine("shop/db  \"\" @6 0 8:\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_tuples_survive),
		TEST(test_edited_tuples_are_left_out),
		TEST(test_quarantine),
		TEST(test_roles),
		TEST(test_review_of_a_tuple),
		TEST(test_state),
	};
	return cmocka_run_group_tests_name("store", tests, NULL, NULL);
}
