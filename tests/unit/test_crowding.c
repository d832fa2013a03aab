/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Who holds too much of connection tracking, and what is done about it, by the numbers. */
#include "core_world.h"

#include <linux/netfilter/nf_conntrack_tcp.h>

#include "conntrack/conntrack.h"
#include "flows/crowding.h"

#define TABLE 262144u

static enum bh_crowding_level after(enum bh_crowding_level now, unsigned percent, bool dropping)
{
	const struct bh_ct_fill f = {.entries = TABLE / 100 * percent, .max = TABLE};
	return bh_crowding_next(now, &f, dropping);
}

static void test_level(void **state BH_UNUSED)
{
	assert_int_equal(after(BH_CROWDING_NONE, 74, false), BH_CROWDING_NONE);
	assert_int_equal(after(BH_CROWDING_NONE, 76, false), BH_CROWDING_PACED);
	assert_int_equal(after(BH_CROWDING_NONE, 88, false), BH_CROWDING_REFUSED);
	assert_int_equal(after(BH_CROWDING_NONE, 97, false), BH_CROWDING_CUT);
	assert_int_equal(after(BH_CROWDING_NONE, 80, true), BH_CROWDING_CUT);
	/* Back later than there. */
	assert_int_equal(after(BH_CROWDING_CUT, 90, false), BH_CROWDING_REFUSED);
	assert_int_equal(after(BH_CROWDING_CUT, 80, false), BH_CROWDING_REFUSED);
	assert_int_equal(after(BH_CROWDING_REFUSED, 76, false), BH_CROWDING_REFUSED);
	assert_int_equal(after(BH_CROWDING_REFUSED, 70, false), BH_CROWDING_PACED);
	assert_int_equal(after(BH_CROWDING_PACED, 63, false), BH_CROWDING_PACED);
	assert_int_equal(after(BH_CROWDING_PACED, 62, false), BH_CROWDING_NONE);
	assert_int_equal(after(BH_CROWDING_CUT, 10, false), BH_CROWDING_NONE);
}

/* A kernel that does not say how many there may be. */
static void test_no_limit_known(void **state BH_UNUSED)
{
	const struct bh_ct_fill f = {.entries = 1000000};
	assert_int_equal(bh_crowding_next(BH_CROWDING_NONE, &f, true), BH_CROWDING_NONE);
	assert_int_equal(bh_crowding_next(BH_CROWDING_CUT, &f, false), BH_CROWDING_NONE);
}

static void test_share(void **state BH_UNUSED)
{
	assert_int_equal(bh_crowding_share(TABLE, 12, BH_CROWDING_NONE), 31457);
	assert_int_equal(bh_crowding_share(TABLE, 12, BH_CROWDING_PACED), 31457);
	assert_int_equal(bh_crowding_share(TABLE, 12, BH_CROWDING_REFUSED), 15728);
	assert_int_equal(bh_crowding_share(TABLE, 12, BH_CROWDING_CUT), 15728);
	assert_int_equal(
		bh_crowding_share(1, 12, BH_CROWDING_CUT), 256); /* a few are nobody's crime */
	assert_int_equal(bh_crowding_share(UINT32_MAX, 99, BH_CROWDING_PACED), 4252017622u);
	assert_int_equal(bh_crowding_share(TABLE, 100, BH_CROWDING_CUT), UINT32_MAX);
	assert_false(bh_crowding_too_many(31457, 31457, false));
	assert_true(bh_crowding_too_many(31458, 31457, false));
	assert_true(bh_crowding_too_many(23594, 31457, true));
	assert_false(bh_crowding_too_many(23593, 31457, true));
	assert_false(bh_crowding_too_many(TABLE, UINT32_MAX, true));
	assert_int_equal(bh_crowding_rate(31457), 263);
	assert_int_equal(bh_crowding_rate(1), 1); /* 0 would be another rule */
}

static void assert_quota(enum bh_crowding_level level, size_t flows, size_t spare,
	size_t want_spare, size_t want_open)
{
	const struct bh_census_quota q = bh_crowding_quota(level, flows, spare, 1000);
	assert_int_equal(q.spare, want_spare);
	assert_int_equal(q.open, want_open);
}

static void test_quota(void **state BH_UNUSED)
{
	assert_quota(BH_CROWDING_PACED, 5000, 3000, 0, 0);
	assert_quota(BH_CROWDING_REFUSED, 5000, 3000, 3000, 0);
	assert_quota(BH_CROWDING_REFUSED, 5000, 4500, 4000, 0); /* its share stays */
	assert_quota(BH_CROWDING_CUT, 5000, 3000, 3000, 1000);
	assert_quota(BH_CROWDING_CUT, 5000, 0, 0, 4000);
	assert_quota(BH_CROWDING_CUT, 1000, 500, 0, 0);
}

/* --- the count --- */

/* 1: shop/a, 2: shop/b, 3: nobody here. */
static struct bh_ct_entry flow(int from, int to, uint8_t proto, uint8_t tcp, bool answered)
{
	static const char *const end[] = {"", "10.0.0.2", "10.0.0.3", "198.51.100.7"};
	return (struct bh_ct_entry){
		.flow = {.src = addr(end[from]), .dst = addr(end[to]), .proto = proto},
		.tcp_state = tcp,
		.answered = answered};
}

static bool count(struct bh_census *s, struct bh_census_quota *q, struct bh_ct_entry e)
{
	const struct bh_census_task t = {.quota = q};
	return bh_census_count(s, &t, &e);
}

static void test_whose(void **state BH_UNUSED)
{
	struct bh_snapshot *w = world(BH_MODE_ENFORCE, false);
	struct bh_census s;
	bh_census_init(&s, w);
	assert_false(count(&s, NULL, flow(1, 2, BH_UDP, 0, true)));
	assert_false(count(&s, NULL, flow(1, 3, BH_UDP, 0, false)));
	assert_false(count(&s, NULL, flow(1, 3, BH_TCP, TCP_CONNTRACK_TIME_WAIT, true)));
	assert_false(count(&s, NULL, flow(1, 3, BH_TCP, TCP_CONNTRACK_SYN_SENT, false)));
	assert_false(count(&s, NULL, flow(1, 3, BH_TCP, TCP_CONNTRACK_CLOSE_WAIT, true)));
	assert_false(count(&s, NULL, flow(1, 2, BH_TCP, TCP_CONNTRACK_NONE, true)));
	assert_false(count(&s, NULL, flow(1, 2, BH_TCP, TCP_CONNTRACK_NONE, false)));
	assert_false(count(&s, NULL, flow(3, 2, BH_UDP, 0, false)));
	assert_false(count(&s, NULL, flow(3, 3, BH_UDP, 0, false)));
	assert_int_equal(s.of[0].flows, 7);
	assert_int_equal(s.of[0].spare, 4);
	assert_int_equal(s.of[1].flows, 0);
	assert_int_equal(s.others, 2);
	assert_int_equal(s.towards[1], 1);
	assert_int_equal(s.towards[0], 0);
	bh_census_finish(&s);
	bh_snapshot_unref(w);
}

static void test_ends(void **state BH_UNUSED)
{
	struct bh_snapshot *w = world(BH_MODE_ENFORCE, false);
	struct bh_census_quota q[2] = {{.spare = 2, .open = 1}};
	unsigned spare = 0, open = 0;
	struct bh_census s;
	bh_census_init(&s, w);
	for (int i = 0; i < 5; i++) {
		spare += count(&s, q, flow(1, 2, BH_UDP, 0, false));
		open += count(&s, q, flow(1, 2, BH_TCP, TCP_CONNTRACK_ESTABLISHED, true));
		assert_false(count(&s, q, flow(2, 1, BH_UDP, 0, false))); /* the other's */
		assert_false(count(&s, q, flow(3, 1, BH_UDP, 0, false)));
	}
	assert_int_equal(spare, 2);
	assert_int_equal(open, 1);
	assert_int_equal(s.cut, 3);
	assert_int_equal(s.of[0].cut, 3);
	assert_int_equal(s.of[0].cut_spare, 2);
	assert_false(s.part);
	assert_int_equal(s.of[0].flows, 7); /* those that stay */
	assert_int_equal(s.of[0].spare, 3);
	assert_int_equal(s.of[1].flows, 5);
	bh_census_finish(&s);
	bh_snapshot_unref(w);
}

/* It need not go on to the end when what it is for is done. */
static void test_enough(void **state BH_UNUSED)
{
	struct bh_snapshot *w = world(BH_MODE_ENFORCE, false);
	struct bh_census_quota q[2] = {{.spare = 3}};
	const struct bh_census_task find = {.enough = 2}, make = {.quota = q, .left = 3};
	const struct bh_ct_entry e = flow(1, 2, BH_UDP, 0, false),
				 other = flow(3, 2, BH_UDP, 0, false);
	struct bh_census s;
	bh_census_init(&s, w);
	for (int i = 0; i < 5; i++)
		bh_census_count(&s, &find, &other);
	bh_census_count(&s, &find, &e);
	bh_census_count(&s, &find, &e);
	assert_false(s.part);
	bh_census_count(&s, &find, &e);
	assert_true(s.part);
	bh_census_finish(&s);
	bh_census_init(&s, w);
	assert_true(bh_census_count(&s, &make, &e) && bh_census_count(&s, &make, &e));
	assert_false(s.part);
	assert_true(bh_census_count(&s, &make, &e));
	assert_true(s.part);
	assert_false(bh_census_count(&s, &make, &e)); /* what comes in one message with it */
	bh_census_finish(&s);
	bh_snapshot_unref(w);
}

/* However much is too much, what one walk remembers is bounded. */
static void test_ends_at_most(void **state BH_UNUSED)
{
	struct bh_snapshot *w = world(BH_MODE_ENFORCE, false);
	struct bh_census_quota q[2] = {{.spare = 100000}};
	size_t n = 0;
	struct bh_census s;
	bh_census_init(&s, w);
	for (int i = 0; i < 50000; i++)
		n += count(&s, q, flow(1, 2, BH_UDP, 0, false));
	assert_int_equal(n, 16384);
	assert_int_equal(s.of[0].flows, 50000 - n);
	bh_census_finish(&s);
	bh_snapshot_unref(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_level),
		cmocka_unit_test(test_no_limit_known), cmocka_unit_test(test_share),
		cmocka_unit_test(test_quota), cmocka_unit_test(test_whose),
		cmocka_unit_test(test_ends), cmocka_unit_test(test_enough),
		cmocka_unit_test(test_ends_at_most)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
