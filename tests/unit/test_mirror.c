/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What is remembered of the kernel's verdict cache. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "flows/mirror.h"

static struct bh_flow flow(uint32_t n)
{
	struct bh_flow f = {.proto = BH_TCP, .sport = 1, .dport = (uint16_t)n};
	f.src = (struct bh_addr){.family = BH_IPV4, .b = {10, 0, 0, (uint8_t)(n >> 16)}};
	f.dst = (struct bh_addr){.family = BH_IPV4, .b = {10, 1, 0, 1}};
	return f;
}

static void test_find(void **state BH_UNUSED)
{
	struct bh_mirror m;
	bh_mirror_init(&m, false);
	struct bh_flow f = flow(80);
	assert_null(bh_mirror_find(&m, &f));
	struct bh_cached *c = bh_mirror_add(&m, &f);
	assert_ptr_equal(bh_mirror_find(&m, &f), c);
	f.sport = 2; /* not in the key */
	assert_ptr_equal(bh_mirror_find(&m, &f), c);
	struct bh_flow other = f;
	other.proto = BH_UDP;
	assert_null(bh_mirror_find(&m, &other));
	other = f;
	other.src = f.dst;
	assert_null(bh_mirror_find(&m, &other));
	other = f;
	other.dst = f.src;
	assert_null(bh_mirror_find(&m, &other));
	other = f;
	other.dport++;
	assert_null(bh_mirror_find(&m, &other));
	bh_mirror_clear(&m);
	assert_null(bh_mirror_find(&m, &f));
	assert_non_null(bh_mirror_add(&m, &f));
	bh_mirror_finish(&m);
}

static void test_find_by_both_ports(void **state BH_UNUSED)
{
	struct bh_mirror m;
	bh_mirror_init(&m, true);
	struct bh_flow f = flow(80), other = f;
	other.sport++;
	struct bh_cached *c = bh_mirror_add(&m, &f);
	assert_ptr_equal(bh_mirror_find(&m, &f), c);
	assert_null(bh_mirror_find(&m, &other));
	assert_non_null(bh_mirror_add(&m, &other));
	bh_mirror_clear(&m);
	assert_non_null(bh_mirror_add(&m, &f));
	assert_null(bh_mirror_find(&m, &other));
	bh_mirror_finish(&m);
}

static void test_bounded(void **state BH_UNUSED)
{
	struct bh_mirror m;
	bh_mirror_init(&m, false);
	for (uint32_t i = 0; i < BH_MIRROR_MAX; i++) {
		struct bh_flow f = flow(i);
		assert_non_null(bh_mirror_add(&m, &f));
	}
	struct bh_flow more = flow(BH_MIRROR_MAX);
	assert_null(bh_mirror_add(&m, &more));
	for (uint32_t i = 0; i < BH_MIRROR_MAX; i++) {
		struct bh_flow f = flow(i);
		assert_ptr_equal(bh_mirror_find(&m, &f), &m.item[i]);
	}
	bh_mirror_finish(&m);
}

static void test_expire(void **state BH_UNUSED)
{
	struct bh_mirror m;
	bh_mirror_init(&m, false);
	for (uint32_t i = 0; i < 1000; i++) {
		struct bh_flow f = flow(i);
		struct bh_cached *c = bh_mirror_add(&m, &f);
		c->sent = i % 3 != 0; /* what still waits does not age */
		c->expires_ms = i % 3 == 1 ? 10 : 20;
	}
	assert_int_equal(bh_mirror_expire(&m, 9), 10);
	assert_int_equal(m.n, 1000);
	assert_int_equal(bh_mirror_expire(&m, 10), 20);
	assert_int_equal(m.n, 1000 - 333);
	for (uint32_t i = 0; i < 1000; i++) {
		struct bh_flow f = flow(i);
		const struct bh_cached *c = bh_mirror_find(&m, &f);
		assert_int_equal(c != NULL, i % 3 != 1);
		if (c)
			assert_int_equal(c->flow.dport, i);
	}
	assert_true(bh_mirror_expire(&m, 20) == UINT64_MAX);
	assert_int_equal(m.n, 334);
	bh_mirror_finish(&m);
}

static void test_counters(void **state BH_UNUSED)
{
	struct bh_cached c = {0};
	assert_int_equal(bh_cached_advance(&c, 5), 5);
	assert_int_equal(bh_cached_advance(&c, 5), 0); /* told twice in one reading */
	assert_int_equal(bh_cached_advance(&c, 9), 4);
	assert_int_equal(bh_cached_advance(&c, 3), 3); /* made again */
	assert_int_equal(bh_cached_advance(&c, 3), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_find),
		cmocka_unit_test(test_find_by_both_ports),
		cmocka_unit_test(test_bounded),
		cmocka_unit_test(test_expire),
		cmocka_unit_test(test_counters),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
