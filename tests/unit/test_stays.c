/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Stays in the store: what comes back, what is forgotten, and that no question reads the whole
 * table. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "store/internal.h"

static char dir[64];

static int setup(void **state BH_UNUSED)
{
	strcpy(dir, "/tmp/bh-stays-XXXXXX");
	return mkdtemp(dir) ? 0 : -1;
}

static int teardown(void **state BH_UNUSED)
{
	char bh_autofree *cmd = bh_xasprintf("rm -rf '%s'", dir);
	return system(cmd) == 0 ? 0 : -1;
}

static struct bh_store *open_store(void)
{
	struct bh_store *s = NULL;
	assert_int_equal(bh_store_open(dir, &s), 0);
	return s;
}

static struct bh_addr addr(const char *text)
{
	struct bh_addr a;
	assert_int_equal(bh_addr_parse(text, &a), 0);
	return a;
}

/* Borrowed texts; addresses are the test's. */
static struct bh_stay sample(struct bh_store *s, const char *id, const char *name)
{
	return (struct bh_stay){.number = bh_store_new_stay(s),
		.id = (char *)id,
		.runtime = (char *)"docker",
		.name = (char *)name,
		.namespace = (char *)"shop",
		.image = (char *)"web:1",
		.digest = (char *)"sha256:abcd",
		.mark = (char *)"boot 1 2 3",
		.started = 1000};
}

static void put(struct bh_store *s, const struct bh_stay *y)
{
	assert_int_equal(bh_store_put_stay(s, y), 0);
}

static bool name_it(const struct bh_stay *y, void *arg)
{
	bh_buf_printf(arg, "%s ", y->id);
	return true;
}

static bool name_first(const struct bh_stay *y, void *arg)
{
	name_it(y, arg);
	return false;
}

static void expect_list(struct bh_store *s, enum bh_stay_by by, const char *text, const char *want)
{
	struct bh_buf bh_autobuf b = {0};
	assert_int_equal(bh_store_list_stays(s, by, text, 100, name_it, &b), 0);
	assert_string_equal(b.s ? b.s : "", want);
}

static void expect_range(struct bh_store *s, const char *prefix, const char *want)
{
	struct bh_buf bh_autobuf b = {0};
	struct bh_prefix p;
	assert_true(bh_prefix_parse(prefix, &p) >= 0);
	const struct bh_range r = bh_prefix_range(&p);
	assert_int_equal(bh_store_stays_of_range(s, &r, 100, name_it, &b), 0);
	assert_string_equal(b.s ? b.s : "", want);
}

static void test_a_stay_comes_back_whole(void **state BH_UNUSED)
{
	struct bh_store *s = open_store();
	struct bh_stay y = sample(s, "c0ffee", "w%eb,=\xff"), got;
	struct bh_stay_addr a[] = {{addr("10.0.0.2"), 1000, 2000}, {addr("10.0.0.2"), 3000, 0},
		{addr("fd00::2"), 1000, 0}};
	bh_labels_set(&y.labels, "app", "we b,=%\n\xff");
	bh_labels_set(&y.labels, "empty", "");
	y.early = true;
	put(s, &y);
	y.addr = a;
	y.n_addrs = 3;
	y.image = NULL;
	struct bh_run_image more[] = {{(char *)"proxy:2", (char *)"sha256:eeee"},
		{(char *)"log:3", NULL}, {NULL, (char *)"sha256:ffff"}};
	y.others = (struct bh_images){more, 3};
	put(s, &y); /* replaces */
	put(s, &y);
	assert_true(bh_store_count_stays(s) == 1);
	bh_store_close(s);

	s = open_store();
	assert_int_equal(bh_store_get_stay(s, y.number, &got), 0);
	assert_string_equal(got.id, "c0ffee");
	assert_string_equal(got.runtime, "docker");
	assert_string_equal(got.name, y.name);
	assert_string_equal(got.namespace, "shop");
	assert_null(got.image);
	assert_string_equal(got.digest, "sha256:abcd");
	assert_true(bh_images_equal(&got.others, &y.others));
	assert_string_equal(got.mark, "boot 1 2 3");
	assert_true(bh_labels_equal(&got.labels, &y.labels));
	assert_true(got.started == 1000 && got.stopped == 0 && got.early && !got.unseen);
	assert_int_equal(got.n_addrs, 3);
	assert_true(bh_addr_eq(&got.addr[1].addr, &a[1].addr));
	assert_true(got.addr[0].until == 2000 && got.addr[1].since == 3000 && !got.addr[1].until);
	assert_true(bh_addr_eq(&got.addr[2].addr, &a[2].addr));
	bh_stay_finish(&got);
	assert_int_equal(bh_store_get_stay(s, y.number + 1, &got), -ENOENT);
	assert_true(bh_store_count_stays(s) == 1);
	/* what was given before a crash is not given again */
	assert_true(bh_store_new_stay(s) > y.number + 1000);
	bh_labels_finish(&y.labels);
	bh_store_close(s);
}

static void test_stays_are_found(void **state BH_UNUSED)
{
	struct bh_store *s = open_store();
	struct bh_stay_addr four = {addr("10.0.0.2"), 1, 5}, other = {addr("10.0.1.2"), 1, 5},
			    six = {addr("a00::2"), 1, 0};
	struct bh_stay a = sample(s, "aa11", "web"), b = sample(s, "aa12", "web"),
		       c = sample(s, "ab11", "db"), d = sample(s, "\xff\xff", "db");
	a.stopped = 20;
	a.addr = &four;
	b.stopped = 10;
	b.namespace = (char *)"other";
	b.addr = &other;
	c.addr = &six;
	a.n_addrs = b.n_addrs = c.n_addrs = 1;
	c.image = (char *)"db:2";
	c.digest = (char *)"sha256:abce";
	d.image = d.digest = NULL;
	struct bh_run_image side[] = {
		{(char *)"side:1", (char *)"sha256:5151"}, {(char *)"web:1", NULL}};
	a.others = (struct bh_images){side, 1};
	c.others = (struct bh_images){side, 2};
	put(s, &a);
	put(s, &b);
	put(s, &c);
	put(s, &d);
	expect_list(s, BH_STAY_OPEN, NULL, "ab11 \xff\xff ");
	expect_list(s, BH_STAY_GONE, NULL, "aa11 aa12 ");
	expect_list(s, BH_STAY_ID, "aa1", "aa11 aa12 ");
	expect_list(s, BH_STAY_ID, "aa12", "aa12 ");
	expect_list(s, BH_STAY_ID, "aa1%", "");
	expect_list(s, BH_STAY_ID, "\xff", "\xff\xff ");
	expect_list(s, BH_STAY_ID, "", "aa11 aa12 ab11 \xff\xff ");
	expect_list(s, BH_STAY_NAME, "web", "aa12 aa11 ");
	expect_list(s, BH_STAY_NAME, "we", "");
	expect_list(s, BH_STAY_IMAGE, "web:1", "aa12 aa11 ");
	expect_list(s, BH_STAY_DIGEST, "sha256:abc", "aa11 aa12 ab11 ");
	expect_list(s, BH_STAY_DIGEST, "sha256:abce", "ab11 ");
	expect_list(s, BH_STAY_OTHER_IMAGE, "side:1", "aa11 ab11 ");
	expect_list(s, BH_STAY_OTHER_IMAGE, "web:1", "ab11 ");
	expect_list(s, BH_STAY_OTHER_IMAGE, "side", "");
	expect_list(s, BH_STAY_OTHER_DIGEST, "sha256:51", "aa11 ab11 ");
	expect_list(s, BH_STAY_OTHER_DIGEST, "sha256:abc", "");
	expect_range(s, "10.0.0.2/32", "aa11 ");
	expect_range(s, "10.0.0.0/16", "aa11 aa12 ");
	expect_range(s, "a00::/16", "ab11 "); /* whose bytes begin like 10.0.0.0's */
	expect_range(s, "0.0.0.0/0", "aa11 aa12 ");
	expect_range(s, "::/0", "ab11 ");
	expect_range(s, "10.0.0.3/32", "");
	struct bh_buf bh_autobuf one = {0}, bh_autobuf few = {0};
	assert_int_equal(bh_store_list_stays(s, BH_STAY_GONE, NULL, 100, name_first, &one), 0);
	assert_string_equal(one.s, "aa11 ");
	assert_int_equal(bh_store_list_stays(s, BH_STAY_ID, "", 3, name_it, &few), 0);
	assert_string_equal(few.s, "aa11 aa12 ab11 ");
	bh_store_close(s);
}

static void add_image(const char *image, void *arg)
{
	bh_buf_printf(arg, "%s ", image);
}

static void test_images_are_listed_once(void **state BH_UNUSED)
{
	struct bh_store *s = open_store();
	struct bh_buf bh_autobuf b = {0}, bh_autobuf two = {0};
	static const char *const image[] = {"c", "a", "b", NULL, "a", "c", ""};
	for (size_t i = 0; i < BH_ARRAY_SIZE(image); i++) {
		struct bh_stay y = sample(s, "id", "n");
		struct bh_run_image more[] = {
			{(char *)"bb", NULL}, {(char *)"a", (char *)"sha256:1"}};
		y.image = (char *)image[i];
		y.others = (struct bh_images){more, i == 1 ? 2 : 0};
		put(s, &y);
	}
	assert_int_equal(bh_store_list_images(s, 10, add_image, &b), 0);
	assert_string_equal(b.s, "a b bb c ");
	assert_int_equal(bh_store_list_images(s, 2, add_image, &two), 0);
	assert_string_equal(two.s, "a b ");
	bh_store_close(s);
}

static uint64_t count(struct bh_store *s, const char *sql)
{
	sqlite3_stmt *st;
	assert_int_equal(sqlite3_prepare_v2(s->db, sql, -1, &st, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_step(st), SQLITE_ROW);
	uint64_t n = (uint64_t)sqlite3_column_int64(st, 0);
	sqlite3_finalize(st);
	return n;
}

/* Twelve, of which the first two are there: 0 and 1; the others stopped at 102 … 111. */
static void put_twelve(struct bh_store *s)
{
	struct bh_stay_addr a = {addr("10.0.0.2"), 1, 5};
	for (int i = 0; i < 12; i++) {
		char bh_autofree *id = bh_xasprintf("%x", (unsigned)i);
		struct bh_stay y = sample(s, id, "web");
		y.stopped = i < 2 ? 0 : 100 + i;
		y.addr = &a;
		y.n_addrs = 1;
		put(s, &y);
	}
}

static void test_the_old_and_the_many_are_forgotten(void **state BH_UNUSED)
{
	struct bh_store *s = open_store();
	put_twelve(s);
	assert_int_equal(bh_store_trim_stays(s, 0, 100), 0);
	assert_true(bh_store_count_stays(s) == 12);
	assert_int_equal(bh_store_trim_stays(s, 104, 100), 0); /* by age: 102 and 103 */
	expect_list(s, BH_STAY_GONE, NULL, "b a 9 8 7 6 5 4 ");
	assert_int_equal(bh_store_trim_stays(s, 0, 7), 0); /* by number: three more */
	expect_list(s, BH_STAY_GONE, NULL, "b a 9 8 7 ");
	assert_true(bh_store_count_stays(s) == 7);
	assert_int_equal(bh_store_trim_stays(s, INT64_MAX, 0), 0);
	expect_list(s, BH_STAY_GONE, NULL, "");
	expect_list(s, BH_STAY_OPEN, NULL, "0 1 "); /* those that are there stay */
	assert_true(count(s, "SELECT count(*) FROM stay_addr") == 2);
	assert_true(bh_store_count_stays(s) == count(s, "SELECT count(*) FROM stay"));
	bh_store_close(s);
}

static void test_losses_are_counted(void **state BH_UNUSED)
{
	struct bh_store *s = open_store();
	struct bh_stay y = sample(s, "a", "web");
	put(s, &y);
	assert_true(bh_store_has_changes(s));
	assert_int_equal(bh_store_commit(s), 0);
	assert_false(bh_store_has_changes(s));
	uint64_t before = bh_store_losses(s);
	y.number = bh_store_new_stay(s);
	put(s, &y);
	assert_true(bh_store_count_stays(s) == 2);
	bh_store_fail(s, SQLITE_FULL);
	assert_true(bh_store_losses(s) == before + 1);
	assert_true(bh_store_count_stays(s) == 1);
	assert_int_equal(bh_store_put_stay(s, &y), -ENOSPC);
	assert_int_equal(bh_store_commit(s), -ENOSPC);
	put(s, &y);
	assert_true(bh_store_count_stays(s) == 2);
	bh_store_close(s);
}

static struct bh_flow_row flow(uint64_t src_stay, const char *dst_addr)
{
	return (struct bh_flow_row){.first_seen = 1,
		.last_seen = 2,
		.src = (char *)"shop/web",
		.dst = (char *)dst_addr,
		.src_addr = (char *)"10.0.0.2",
		.dst_addr = (char *)dst_addr,
		.src_stay = src_stay,
		.proto = 6,
		.port = 80,
		.verdict = (char *)"allow",
		.reason = (char *)"policy",
		.mode = (char *)"enforce",
		.count = 1};
}

static void add_count(const struct bh_flow_row *r, void *arg)
{
	bh_buf_printf(arg, "%s/%llu*%llu ", r->dst_addr, (unsigned long long)r->src_stay,
		(unsigned long long)r->count);
}

static void expect_flows(struct bh_store *s, uint64_t stay, const char *want)
{
	struct bh_buf bh_autobuf b = {0};
	assert_int_equal(bh_store_flows_of_stay(s, BH_FLOW_SRC, stay, 10, add_count, &b), 0);
	assert_string_equal(b.s ? b.s : "", want);
}

/* Same name and same address, but another one: its flows are its own. */
static void test_flows_are_of_a_stay(void **state BH_UNUSED)
{
	struct bh_store *s = open_store();
	struct bh_flow_row a = flow(1, "203.0.113.9"), b = flow(2, "203.0.113.9"),
			   c = flow(2, "2001:db8::9"), odd = flow(3, "host");
	assert_int_equal(bh_store_add_flow(s, &a, 100), 0);
	assert_int_equal(bh_store_add_flow(s, &a, 100), 0);
	assert_int_equal(bh_store_add_flow(s, &b, 100), 0);
	assert_int_equal(bh_store_add_flow(s, &c, 100), 0);
	assert_int_equal(bh_store_add_flow(s, &odd, 100), 0);
	expect_flows(s, 1, "203.0.113.9/1*2 ");
	expect_flows(s, 2, "2001:db8::9/2*1 203.0.113.9/2*1 "); /* the newest first */
	expect_flows(s, 4, "");
	struct bh_buf bh_autobuf all = {0}, bh_autobuf src = {0}, bh_autobuf none = {0};
	struct bh_range r = {addr("203.0.113.0"), addr("203.0.113.255")};
	assert_int_equal(bh_store_flows_of_range(s, BH_FLOW_DST, &r, 10, add_count, &all), 0);
	assert_string_equal(all.s, "203.0.113.9/1*2 203.0.113.9/2*1 ");
	assert_int_equal(bh_store_flows_of_range(s, BH_FLOW_SRC, &r, 10, add_count, &none), 0);
	assert_null(none.s);
	r = (struct bh_range){addr("10.0.0.2"), addr("10.0.0.2")};
	assert_int_equal(bh_store_flows_of_range(s, BH_FLOW_SRC, &r, 1, add_count, &src), 0);
	assert_string_equal(src.s, "203.0.113.9/1*2 ");
	bh_store_close(s);
}

/* What each question of the daemon costs is bounded by what it may read: SQLite says of none that
 * it walked a whole table or sorted one. */
static void test_no_question_reads_it_all(void **state BH_UNUSED)
{
	struct bh_store *s = open_store();
	struct bh_buf bh_autobuf b = {0};
	struct bh_stay_addr a = {addr("10.0.0.2"), 1, 5};
	const struct bh_range r = {a.addr, a.addr};
	for (unsigned i = 1; i <= 500; i++) {
		char bh_autofree *id = bh_xasprintf("%04x", i);
		char bh_autofree *to = bh_xasprintf("203.0.113.%u", i % 250);
		struct bh_stay y = sample(s, id, id);
		y.addr = &a;
		y.n_addrs = 1;
		y.stopped = i % 2 ? 0 : 100 + i;
		struct bh_run_image more = {id, id};
		y.others = (struct bh_images){&more, 1};
		put(s, &y);
		struct bh_flow_row f = flow(y.number, to);
		assert_int_equal(bh_store_add_flow(s, &f, 1000), 0);
	}
	for (int by = BH_STAY_OPEN; by <= BH_STAY_OTHER_DIGEST; by++)
		assert_int_equal(bh_store_list_stays(s, by, "00", 10, name_it, &b), 0);
	for (int end = BH_FLOW_SRC; end <= BH_FLOW_DST; end++) {
		assert_int_equal(bh_store_flows_of_stay(s, end, 7, 10, add_count, &b), 0);
		assert_int_equal(bh_store_flows_of_range(s, end, &r, 10, add_count, &b), 0);
	}
	assert_int_equal(bh_store_stays_of_range(s, &r, 10, name_it, &b), 0);
	assert_int_equal(bh_store_list_images(s, 10, add_image, &b), 0);
	assert_int_equal(bh_store_list_flows(s, 0, 10, add_count, &b), 0);
	assert_int_equal(bh_store_list_flows(s, 5, 10, add_count, &b), 0);
	assert_int_equal(bh_store_trim_stays(s, 110, 450), 0);
	size_t looked = 0;
	for (size_t i = 0; i < BH_STMT_MAX; i++) {
		if (!s->stmt[i])
			continue;
		int scan = sqlite3_stmt_status(s->stmt[i], SQLITE_STMTSTATUS_FULLSCAN_STEP, 0);
		int sort = sqlite3_stmt_status(s->stmt[i], SQLITE_STMTSTATUS_SORT, 0);
		/* the newest flows: the last rows, put in order again */
		bool few = i == BH_STMT_FLOWS_NEWEST;
		if (scan > (few ? 20 : 0) || sort > (few ? 1 : 0))
			fail_msg("%d rows walked, %d sorts: %s", scan, sort,
				sqlite3_sql(s->stmt[i]));
		looked++;
	}
	assert_true(looked >= 20);
	bh_store_close(s);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_a_stay_comes_back_whole),
		TEST(test_stays_are_found),
		TEST(test_images_are_listed_once),
		TEST(test_the_old_and_the_many_are_forgotten),
		TEST(test_losses_are_counted),
		TEST(test_flows_are_of_a_stay),
		TEST(test_no_question_reads_it_all),
	};
	return cmocka_run_group_tests_name("stays", tests, NULL, NULL);
}
