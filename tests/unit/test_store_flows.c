/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The store: rows of flows, added up, bounded and put together. */
#include "store/store.h"

#include <errno.h>

#include "lib/store_dir.h"

static void test_flows_aggregate_and_page(void **state BH_UNUSED)
{
	struct bh_store *s = open_store(0);
	struct bh_flow_row a = flow("shop/db", 5432, NULL), b = flow("shop/db", 5432, "rule 0"),
			   c = flow("203.0.113.9", 443, NULL);
	assert_int_equal(bh_store_add_flow(s, &a, 100), 0);
	assert_int_equal(bh_store_add_flow(s, &b, 100), 0);
	assert_int_equal(bh_store_add_flow(s, &c, 100), 0);
	a.count = 5;
	assert_int_equal(bh_store_add_flow(s, &a, 100), 0); /* moves to the end */
	struct rows x = list(s, 0, 10);
	assert_int_equal(x.n, 3);
	assert_true(x.has_rule[0] && !x.has_rule[1] && !x.has_rule[2]);
	assert_int_equal(x.count[2], 6);
	assert_int_equal(x.port[2], 5432);
	assert_true(x.seq[0] < x.seq[1] && x.seq[1] < x.seq[2]);
	struct rows newest = list(s, 0, 1), after = list(s, x.seq[1], 10),
		    none = list(s, x.seq[2], 1);
	assert_int_equal(newest.n, 1);
	assert_int_equal(newest.seq[0], x.seq[2]);
	assert_int_equal(after.n, 1);
	assert_int_equal(none.n, 0);
	assert_int_equal(list(s, UINT64_MAX, 10).n, 0);
	bh_store_close(s);
	s = open_store(0);
	assert_int_equal(bh_store_add_flow(s, &c, 100), 0);
	after = list(s, x.seq[2], 10); /* a reader's cursor still works after a restart */
	assert_int_equal(after.n, 1);
	assert_int_equal(after.count[0], 2);
	bh_store_close(s);
}

static void keep_volume(const struct bh_flow_row *r, void *arg)
{
	struct bh_volume *v = arg;
	bh_volume_add(v, &r->volume);
}

static void test_flows_add_their_volume(void **state BH_UNUSED)
{
	struct bh_store *s = open_store(0);
	struct bh_flow_row r = flow("shop/db", 5432, NULL);
	struct bh_volume got = {0};
	assert_int_equal(bh_store_add_flow(s, &r, 10), 0);
	r.count = 0;
	r.volume = (struct bh_volume){2, {10, 8}, {1000, 1ull << 33}, 7};
	assert_int_equal(bh_store_add_flow(s, &r, 10), 0);
	assert_int_equal(bh_store_add_flow(s, &r, 10), 0);
	assert_int_equal(list(s, 0, 10).n, 1);
	assert_int_equal(list(s, 0, 10).count[0], 1);
	assert_int_equal(bh_store_list_flows(s, 0, 10, keep_volume, &got), 0);
	const struct bh_volume want = {4, {20, 16}, {2000, 1ull << 34}, 14};
	assert_memory_equal(&got, &want, sizeof(got));
	bh_store_close(s);
	run_sql("UPDATE flow SET bytes_out = -5");
	s = open_store(0);
	got = (struct bh_volume){0};
	assert_int_equal(bh_store_list_flows(s, 0, 10, keep_volume, &got), 0);
	assert_true(got.bytes[0] == 0 && got.bytes[1] == want.bytes[1]);
	bh_store_close(s);
}

static void test_flows_are_bounded(void **state BH_UNUSED)
{
	struct bh_store *s = open_store(0);
	for (uint16_t port = 1; port <= 40; port++) {
		struct bh_flow_row r = flow("shop/db", port, NULL);
		assert_int_equal(bh_store_add_flow(s, &r, 10), 0);
	}
	struct rows x = list(s, 0, 64);
	assert_int_equal(x.n, 10);
	assert_int_equal(x.port[0], 31);
	assert_int_equal(x.port[9], 40);
	bh_store_close(s);
	s = open_store(0);
	struct bh_flow_row r = flow("shop/db", 99, NULL);
	assert_int_equal(bh_store_add_flow(s, &r, 5), 0); /* a smaller bound */
	assert_int_equal(list(s, 0, 64).n, 5);
	bh_store_close(s);
}

/* A flow that is seen again takes no room: only rows count against the bound. */
static void test_flows_again_are_no_rows(void **state BH_UNUSED)
{
	struct bh_store *s = open_store(0);
	for (int i = 0; i < 100; i++) {
		struct bh_flow_row r = flow("shop/db", (uint16_t)(1 + i % 6), NULL);
		assert_int_equal(bh_store_add_flow(s, &r, 10), 0);
	}
	struct rows x = list(s, 0, 64);
	assert_int_equal(x.n, 6);
	uint64_t count = 0;
	for (size_t i = 0; i < x.n; i++)
		count += x.count[i];
	assert_int_equal(count, 100);
	bh_store_close(s);
}

struct folds {
	size_t n;
	uint64_t count, rows, ports, anybody;
	char first[64]; /* the one with the most connections */
};

static void keep_fold(const struct bh_flow_fold *f, void *arg)
{
	struct folds *x = arg;
	if (x->n++ == 0)
		snprintf(x->first, sizeof(x->first), "%s>%s %u/%u %s %lld-%lld", f->src, f->dst,
			f->proto, f->port, f->verdict, (long long)f->first_seen,
			(long long)f->last_seen);
	x->count += f->count;
	x->rows += f->rows;
	x->ports += f->port != 0;
	x->anybody += bh_streq(f->src, "*");
}

static struct folds folds_of(struct bh_store *s)
{
	struct folds x = {0};
	struct bh_flow_fold sum;
	assert_int_equal(bh_store_list_flow_folds(s, 1000000, keep_fold, &x), 0);
	assert_int_equal(bh_store_sum_flow_folds(s, &sum), 0);
	assert_int_equal(sum.rows, x.rows);
	assert_int_equal(sum.count, x.count);
	return x;
}

/* What no longer has a row is put together, and nothing of it is lost to the sums. */
static void test_flows_are_put_together(void **state BH_UNUSED)
{
	struct bh_store *s = open_store(0);
	assert_int_equal(folds_of(s).n, 0);
	for (unsigned i = 0; i < 100; i++) {
		char addr[32];
		struct bh_flow_row r = flow(addr, 443, NULL);
		snprintf(addr, sizeof(addr), "203.0.113.%u", i);
		r.dst_addr = addr;
		r.first_seen = r.last_seen = 1000 + i;
		r.count = 3;
		assert_int_equal(bh_store_add_flow(s, &r, 10), 0);
	}
	struct folds x = folds_of(s);
	assert_int_equal(x.n, 1);
	assert_int_equal(x.rows, 90);
	assert_int_equal(x.count, 270);
	assert_string_equal(x.first, "shop/web>outside 6/443 allow 1000-1089");
	/* More kinds than are kept: ports go first, then the names of those of long ago. */
	for (unsigned i = 0; i < 10100; i++) {
		struct bh_flow_row r = flow("shop/db", (uint16_t)(i + 1), NULL);
		r.count = 1;
		assert_int_equal(bh_store_add_flow(s, &r, 10), 0);
	}
	x = folds_of(s);
	assert_int_equal(x.rows, 100 + 10100 - 10);
	assert_in_range(x.n, 1, 300);
	for (unsigned i = 0; i < 10100; i++) {
		char name[32];
		struct bh_flow_row r = flow(name, 80, NULL);
		snprintf(name, sizeof(name), "shop/job-%u", i);
		r.count = 1;
		r.last_seen = 1000000 + i;
		assert_int_equal(bh_store_add_flow(s, &r, 10), 0);
	}
	x = folds_of(s);
	assert_int_equal(x.rows, 100 + 2 * 10100 - 10);
	assert_int_equal(x.count, 300 + 2 * 10100 - 10);
	assert_in_range(x.n, 5000, 6000);
	assert_int_equal(x.anybody, 1);
	assert_int_equal(list(s, 0, 64).n, 10);
	bh_store_close(s);
	s = open_store(0);
	assert_int_equal(folds_of(s).rows, x.rows);
	bh_store_close(s);
}

static void keep_addr(const struct bh_addr *a, void *arg)
{
	char text[BH_ADDR_STRLEN];
	bh_buf_printf(arg, "%s ", bh_addr_format(a, text));
}

/* Each once, and none of an end that has no address. */
static void test_flow_addresses(void **state BH_UNUSED)
{
	static const char *const dst[] = {
		"203.0.113.9", "2001:db8::9", NULL, "192.0.2.7", "203.0.113.9"};
	struct bh_store *s = open_store(0);
	struct bh_buf got = {0};
	for (size_t i = 0; i < BH_ARRAY_SIZE(dst); i++) {
		struct bh_flow_row r = {.src = (char *)"shop/a",
			.dst = (char *)"x",
			.src_addr = (char *)"10.0.0.2",
			.dst_addr = (char *)dst[i],
			.proto = BH_TCP,
			.port = (uint16_t)(i + 1),
			.verdict = (char *)"allow",
			.reason = (char *)"r",
			.mode = (char *)"learn",
			.count = 1};
		assert_int_equal(bh_store_add_flow(s, &r, 100), 0);
	}
	assert_int_equal(bh_store_list_flow_addrs(s, BH_FLOW_DST, keep_addr, &got), 0);
	assert_string_equal(got.s, "192.0.2.7 203.0.113.9 2001:db8::9 ");
	got.len = 0;
	assert_int_equal(bh_store_list_flow_addrs(s, BH_FLOW_SRC, keep_addr, &got), 0);
	assert_string_equal(got.s, "10.0.0.2 ");
	bh_buf_finish(&got);
	bh_store_close(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_flows_aggregate_and_page),
		TEST(test_flows_add_their_volume),
		TEST(test_flows_are_bounded),
		TEST(test_flows_again_are_no_rows),
		TEST(test_flows_are_put_together),
		TEST(test_flow_addresses),
	};
	return cmocka_run_group_tests_name("store_flows", tests, NULL, NULL);
}
