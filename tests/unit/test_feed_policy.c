/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Whom the feeds never block: what the node's own files say of resolvers and gateways. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "threats/protect.h"
#include "verdict/snapshot.h"

typedef void parse_fn(const char *text, struct bh_ranges *r);

static void expect(parse_fn *parse, const char *text, const char *want)
{
	struct bh_ranges r = {0};
	struct bh_buf got = {0};
	char first[BH_ADDR_STRLEN];
	parse(text, &r);
	bh_buf_str(&got, "");
	for (size_t i = 0; i < r.n; i++) {
		assert_true(bh_addr_eq(&r.item[i].first, &r.item[i].last));
		bh_buf_printf(&got, "%s%s", i ? " " : "", bh_addr_format(&r.item[i].first, first));
	}
	assert_string_equal(got.s, want);
	bh_buf_finish(&got);
	bh_ranges_finish(&r);
}

static void test_resolvers(void **state BH_UNUSED)
{
	static const char *const sample[][2] = {
		{"", ""},
		{"# made by hand\nsearch example.org\nnameserver 192.0.2.53\n", "192.0.2.53"},
		{"nameserver 192.0.2.53\nnameserver\t2001:db8::53\noptions ndots:1", /* no newline
										      */
			"192.0.2.53 2001:db8::53"},
		{"nameserver 192.0.2.53 # the old one\n", "192.0.2.53"},
		{"#nameserver 192.0.2.53\n; nameserver 192.0.2.54\n", ""},
		{"nameservers 192.0.2.53\nnameserver resolver.example.org\nnameserver 192.0.2\n",
			""},
		{"nameserver fe80::1%eth0\n", ""}, /* link-local: protected anyway */
		{"nameserver 0192.0.2.53\n", ""},
		{"nameserver 2001:db8:1111:2222:3333:4444:5555:6666aaaaaaaaaaaaaaaaaaaa\n", ""},
	};
	for (size_t i = 0; i < BH_ARRAY_SIZE(sample); i++)
		expect(bh_core_parse_resolvers, sample[i][0], sample[i][1]);
}

#define HEAD "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n"

/* As the kernel prints them (net/ipv4/fib_trie.c): numbers as they lie in memory. */
static void test_routes4(void **state BH_UNUSED)
{
	uint8_t b[4] = {192, 0, 2, 1};
	uint32_t n;
	memcpy(&n, b, sizeof(n));
	char bh_autofree *text = bh_xasprintf(HEAD
		"eth0\t00000000\t%08X\t0003\t0\t0\t0\t00000000\t0\t0\t0      \n"
		"eth0\t000200C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0      \n",
		n);
	expect(bh_core_parse_routes4, text, "192.0.2.1");
	expect(bh_core_parse_routes4, HEAD, "");
	expect(bh_core_parse_routes4, "", "");
	expect(bh_core_parse_routes4, "eth0\t00000000\n\n\nx y z\n", "");
}

/* net/ipv6/route.c: destination, length, source, length, next hop, metric, …, flags, device. */
#define ROUTE6(hop, flags)                                                                         \
	"00000000000000000000000000000000 00 00000000000000000000000000000000 00 " hop             \
	" 00000400 00000003 00000000 " flags "     eth0\n"

static void test_routes6(void **state BH_UNUSED)
{
	expect(bh_core_parse_routes6,
		ROUTE6("20010db8000000000000000000000001", "00000003")
			ROUTE6("00000000000000000000000000000000", "00000001"),
		"2001:db8::1");
	expect(bh_core_parse_routes6, ROUTE6("20010db80000000000000000000001", "00000003"), "");
	expect(bh_core_parse_routes6, ROUTE6("20010db800000000000000000000000g", "00000003"), "");
	expect(bh_core_parse_routes6, "", "");
	expect(bh_core_parse_routes6, "not a route\n", "");
}

/* A file of many lines does not make the set large. */
static void test_bounded(void **state BH_UNUSED)
{
	struct bh_buf b = {0};
	struct bh_ranges r = {0};
	for (int i = 0; i < 2000; i++)
		bh_buf_printf(&b, "nameserver 192.0.%d.%d\n", i / 256, i % 256);
	bh_core_parse_resolvers(b.s, &r);
	assert_int_equal(r.n, 256);
	bh_ranges_finish(&r);
	bh_buf_finish(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_resolvers),
		cmocka_unit_test(test_routes4),
		cmocka_unit_test(test_routes6),
		cmocka_unit_test(test_bounded),
	};
	return cmocka_run_group_tests_name("feed_policy", tests, NULL, NULL);
}
