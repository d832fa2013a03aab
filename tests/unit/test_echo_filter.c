/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What of a whole conntrack table is remembered as the possible way back of a flow that was cut. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/state.h"
#include "revoke/echo.h"

static struct bh_core core;

static struct bh_flow flow(uint32_t n)
{
	struct bh_flow f = {.proto = n % 2 ? BH_UDP : BH_SCTP, .sport = 53, .dport = 5353};
	f.src = (struct bh_addr){
		.family = BH_IPV4, .b = {10, (uint8_t)(n >> 16), (uint8_t)(n >> 8), (uint8_t)n}};
	f.dst = (struct bh_addr){.family = BH_IPV4, .b = {192, 0, 2, 1}};
	return f;
}

static void test_takes(void **state BH_UNUSED)
{
	unsigned others = 0;
	bh_core_echo_init(&core);
	assert_null(bh_core_echo_filter(&core));
	for (uint32_t i = 0; i < BH_MIRROR_MAX; i++) {
		const struct bh_flow f = flow(i);
		assert_non_null(bh_mirror_add(&core.echo.mirror, &f));
	}
	struct bh_echo_filter *x = bh_core_echo_filter(&core);
	bh_core_echo_finish(&core); /* it is the thread's, whatever becomes of that */
	for (uint32_t i = 0; i < BH_MIRROR_MAX; i++) {
		struct bh_flow f = flow(i);
		assert_true(bh_echo_filter_takes(x, &f));
		f.proto = BH_TCP;
		assert_false(bh_echo_filter_takes(x, &f));
		f = flow(i);
		f.sport = f.dport;
		assert_false(bh_echo_filter_takes(x, &f));
		f = flow(BH_MIRROR_MAX + i);
		others += bh_echo_filter_takes(x, &f);
		f = flow(i);
		f.sport = 54;
		others += bh_echo_filter_takes(x, &f);
	}
	assert_in_range(others, 0, 2 * BH_MIRROR_MAX / 10);
	bh_echo_filter_free(x);
	bh_echo_filter_free(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_takes)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
