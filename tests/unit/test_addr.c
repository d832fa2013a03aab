/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Addresses, prefixes and sets of ranges, at the edges of the address space above all. */
#include <endian.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <bulkhead/addr.h>

static struct bh_addr addr(const char *s)
{
	struct bh_addr a;
	assert_int_equal(bh_addr_parse(s, &a), 0);
	return a;
}

static struct bh_prefix prefix(const char *s)
{
	struct bh_prefix p;
	assert_true(bh_prefix_parse(s, &p) >= 0);
	return p;
}

static void test_addr_forms(void **state BH_UNUSED)
{
	static const char *const good[][2] = {
		{"0.0.0.0", "0.0.0.0"},
		{"255.255.255.255", "255.255.255.255"},
		{"::", "::"},
		{"2001:DB8::1", "2001:db8::1"},
		{"1:2:3:4:5:6:7:8", "1:2:3:4:5:6:7:8"},
		{"::ffff:192.0.2.1", "192.0.2.1"},
		{"::FFFF:c000:0201", "192.0.2.1"},
		{"fe80::1", "fe80::1"},
	};
	static const char *const bad[] = {"", " ", "1.2.3", "1.2.3.4.5", "01.2.3.4", "1.2.3.04",
		"256.1.1.1", "1.2.3.4 ", " 1.2.3.4", "1.2.3.4/32", "0x7f.0.0.1", "1.2.3.-4",
		"fe80::1%eth0", "::1::", "12345::", "1:2:3:4:5:6:7", "1:2:3:4:5:6:7:8:9", "::g",
		"[::1]", "::ffff:1.2.3.04", "localhost"};
	char buf[BH_ADDR_STRLEN];
	for (size_t i = 0; i < BH_ARRAY_SIZE(good); i++) {
		struct bh_addr a = addr(good[i][0]);
		assert_string_equal(bh_addr_format(&a, buf), good[i][1]);
	}
	for (size_t i = 0; i < BH_ARRAY_SIZE(bad); i++) {
		struct bh_addr a;
		if (bh_addr_parse(bad[i], &a) != -EINVAL)
			fail_msg("\"%s\" was accepted", bad[i]);
	}
}

static void test_addr_kinds(void **state BH_UNUSED)
{
	static const struct {
		const char *s;
		bool multicast, link_local, loopback;
	} t[] = {
		{"223.255.255.255", false, false, false},
		{"224.0.0.0", true, false, false},
		{"239.255.255.255", true, false, false},
		{"240.0.0.0", false, false, false},
		{"255.255.255.255", true, false, false},
		{"255.255.255.254", false, false, false},
		{"169.254.0.1", false, true, false},
		{"169.253.255.255", false, false, false},
		{"127.255.255.255", false, false, true},
		{"128.0.0.0", false, false, false},
		{"::1", false, false, true},
		{"::2", false, false, false},
		{"ff02::1", true, false, false},
		{"fe80::", false, true, false},
		{"febf:ffff::", false, true, false},
		{"fec0::", false, false, false},
	};
	for (size_t i = 0; i < BH_ARRAY_SIZE(t); i++) {
		struct bh_addr a = addr(t[i].s);
		assert_int_equal(bh_addr_is_multicast(&a), t[i].multicast);
		assert_int_equal(bh_addr_is_link_local(&a), t[i].link_local);
		assert_int_equal(bh_addr_is_loopback(&a), t[i].loopback);
	}
}

static void test_addr_steps(void **state BH_UNUSED)
{
	struct bh_addr a = addr("10.0.255.255"), top = addr("255.255.255.255"),
		       zero = addr("0.0.0.0");
	struct bh_addr six = addr("2001:db8::ffff:ffff"), end, begin = addr("::");
	assert_int_equal(bh_addr_parse("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", &end), 0);

	assert_true(bh_addr_next(&a));
	struct bh_addr want = addr("10.1.0.0");
	assert_true(bh_addr_eq(&a, &want));
	assert_true(bh_addr_prev(&a));
	want = addr("10.0.255.255");
	assert_true(bh_addr_eq(&a, &want));
	assert_true(bh_addr_next(&six));
	want = addr("2001:db8::1:0:0");
	assert_true(bh_addr_eq(&six, &want));

	want = top;
	assert_false(bh_addr_next(&top));
	assert_true(bh_addr_eq(&top, &want));
	want = zero;
	assert_false(bh_addr_prev(&zero));
	assert_true(bh_addr_eq(&zero, &want));
	assert_false(bh_addr_next(&end));
	assert_false(bh_addr_prev(&begin));
}

static void test_prefixes(void **state BH_UNUSED)
{
	static const struct {
		const char *s, *printed;
		int r;
	} t[] = {
		{"10.0.0.0/8", "10.0.0.0/8", 0},
		{"10.0.0.1/8", "10.0.0.0/8", 1},
		{"0.0.0.0/0", "0.0.0.0/0", 0},
		{"1.2.3.4/32", "1.2.3.4/32", 0},
		{"1.2.3.4/31", "1.2.3.4/31", 0},
		{"1.2.3.5/31", "1.2.3.4/31", 1},
		{"::/0", "::/0", 0},
		{"2001:db8::/32", "2001:db8::/32", 0},
		{"2001:db8::1/127", "2001:db8::/127", 1},
		{"::ffff:10.0.0.0/104", "10.0.0.0/8", 0},
		{"::ffff:0.0.0.0/96", "0.0.0.0/0", 0},
		{"::ffff:0:0/95", "::fffe:0:0/95", 1},
	};
	static const char *const bad[] = {"", "/", "10.0.0.0", "10.0.0.0/", "10.0.0.0/33", "::/129",
		"10.0.0.0/08", "10.0.0.0/+8", "10.0.0.0/ 8", "10.0.0.0/8 ", "10.0.0.0/8/8",
		"10.0.0.0/-1", "10/8", "10.0.0.0/255.0.0.0", "10.0.0.0/8\n", "12345::/16",
		"10.0.0.0/99999999999999999999"};
	char buf[BH_PREFIX_STRLEN];
	for (size_t i = 0; i < BH_ARRAY_SIZE(t); i++) {
		struct bh_prefix p;
		assert_int_equal(bh_prefix_parse(t[i].s, &p), t[i].r);
		assert_string_equal(bh_prefix_format(&p, buf), t[i].printed);
	}
	for (size_t i = 0; i < BH_ARRAY_SIZE(bad); i++) {
		struct bh_prefix p;
		if (bh_prefix_parse(bad[i], &p) != -EINVAL)
			fail_msg("\"%s\" was accepted", bad[i]);
	}
}

static void test_prefix_contains(void **state BH_UNUSED)
{
	struct bh_prefix p = prefix("192.168.4.0/22"), inner = prefix("192.168.7.128/25");
	struct bh_prefix all = prefix("0.0.0.0/0"), all6 = prefix("::/0");
	struct bh_addr first = addr("192.168.4.0"), last = addr("192.168.7.255");
	struct bh_addr before = addr("192.168.3.255"), after = addr("192.168.8.0");
	struct bh_addr six = addr("2001:db8::");

	assert_true(bh_prefix_contains(&p, &first) && bh_prefix_contains(&p, &last));
	assert_false(bh_prefix_contains(&p, &before) || bh_prefix_contains(&p, &after));
	assert_true(bh_prefix_contains(&all, &after) && bh_prefix_contains(&all6, &six));
	assert_false(bh_prefix_contains(&all, &six) || bh_prefix_contains(&all6, &after));
	assert_true(bh_prefix_covers(&p, &inner) && bh_prefix_covers(&p, &p));
	assert_false(bh_prefix_covers(&inner, &p) || bh_prefix_covers(&all6, &p));
	struct bh_range r = bh_prefix_range(&p);
	assert_true(bh_addr_eq(&r.first, &first) && bh_addr_eq(&r.last, &last));
	r = bh_prefix_range(&all6);
	assert_false(bh_addr_next(&r.last));
}

/* "a-b a-b" ↔ ranges. */
static struct bh_ranges ranges(const char *text)
{
	struct bh_ranges r = {0};
	char *copy = bh_xstrdup(text), *save = NULL;
	for (char *t = strtok_r(copy, " ", &save); t; t = strtok_r(NULL, " ", &save)) {
		char *dash = strchr(t, '-');
		*dash = '\0';
		bh_ranges_add(&r, (struct bh_range){addr(t), addr(dash + 1)});
	}
	free(copy);
	return r;
}

static void assert_ranges(struct bh_ranges *r, const char *want)
{
	struct bh_buf b = {0};
	bh_buf_str(&b, "");
	for (size_t i = 0; i < r->n; i++) {
		char one[BH_ADDR_STRLEN], two[BH_ADDR_STRLEN];
		bh_buf_printf(&b, "%s%s-%s", i ? " " : "", bh_addr_format(&r->item[i].first, one),
			bh_addr_format(&r->item[i].last, two));
	}
	assert_string_equal(b.s, want);
	bh_buf_finish(&b);
	bh_ranges_finish(r);
}

#define TOP6 "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"

static void test_ranges_normalise(void **state BH_UNUSED)
{
	static const char *const t[][2] = {
		{"", ""},
		{"10.0.0.5-10.0.0.9 10.0.0.0-10.0.0.4", "10.0.0.0-10.0.0.9"},
		{"10.0.0.6-10.0.0.9 10.0.0.0-10.0.0.4", "10.0.0.0-10.0.0.4 10.0.0.6-10.0.0.9"},
		{"10.0.0.0-10.0.0.9 10.0.0.2-10.0.0.3 10.0.0.5-10.0.0.12", "10.0.0.0-10.0.0.12"},
		{"10.0.0.9-10.0.0.0", ""},
		{"255.255.255.255-255.255.255.255 ::-::", "255.255.255.255-255.255.255.255 ::-::"},
		{"0.0.0.0-255.255.255.255 1.1.1.1-1.1.1.1 ::1-::1",
			"0.0.0.0-255.255.255.255 ::1-::1"},
		{"255.255.255.0-255.255.255.255 255.255.255.255-255.255.255.255",
			"255.255.255.0-255.255.255.255"},
		{"ffff::-" TOP6 " " TOP6 "-" TOP6 " fffe::-fffe::", "fffe::-fffe:: ffff::-" TOP6},
		{"::1-::1 10.0.0.1-10.0.0.1 ::-::", "10.0.0.1-10.0.0.1 ::-::1"},
	};
	for (size_t i = 0; i < BH_ARRAY_SIZE(t); i++) {
		struct bh_ranges r = ranges(t[i][0]);
		bh_ranges_normalise(&r);
		assert_ranges(&r, t[i][1]);
	}
}

static void test_ranges_subtract(void **state BH_UNUSED)
{
	static const char *const t[][3] = {
		{"10.0.0.0-10.0.0.9", "", "10.0.0.0-10.0.0.9"},
		{"", "10.0.0.0-10.0.0.9", ""},
		{"10.0.0.0-10.0.0.9", "10.0.0.0-10.0.0.9", ""},
		{"10.0.0.0-10.0.0.9", "10.0.0.3-10.0.0.4", "10.0.0.0-10.0.0.2 10.0.0.5-10.0.0.9"},
		{"10.0.0.0-10.0.0.9", "10.0.0.0-10.0.0.0 10.0.0.9-10.0.0.9", "10.0.0.1-10.0.0.8"},
		{"10.0.0.0-10.0.0.9 10.0.0.20-10.0.0.29", "10.0.0.5-10.0.0.24",
			"10.0.0.0-10.0.0.4 10.0.0.25-10.0.0.29"},
		{"0.0.0.0-255.255.255.255", "0.0.0.0-0.0.0.0 255.255.255.255-255.255.255.255",
			"0.0.0.1-255.255.255.254"},
		{"0.0.0.0-255.255.255.255", "0.0.0.0-255.255.255.255", ""},
		{"::-" TOP6, "::-:: " TOP6 "-" TOP6, "::1-ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe"},
		{"10.0.0.0-10.0.0.9 ::-::9", "::-::4", "10.0.0.0-10.0.0.9 ::5-::9"},
		{"10.0.0.0-10.0.0.9 ::-::9", "0.0.0.0-255.255.255.255", "::-::9"},
		{"1.0.0.0-1.0.0.9 2.0.0.0-2.0.0.9 3.0.0.0-3.0.0.9",
			"0.0.0.0-0.0.0.9 1.0.0.9-2.0.0.0 2.0.0.5-2.0.0.5 3.0.0.0-3.0.0.0",
			"1.0.0.0-1.0.0.8 2.0.0.1-2.0.0.4 2.0.0.6-2.0.0.9 3.0.0.1-3.0.0.9"},
	};
	for (size_t i = 0; i < BH_ARRAY_SIZE(t); i++) {
		struct bh_ranges r = ranges(t[i][0]), minus = ranges(t[i][1]);
		bh_ranges_subtract(&r, &minus);
		bh_ranges_finish(&minus);
		assert_ranges(&r, t[i][2]);
	}
}

/* Against a bit per address, in the two corners of the IPv4 space. */
static void test_ranges_random(void **state BH_UNUSED)
{
	uint32_t x = 12345;
	for (int round = 0; round < 2000; round++) {
		struct bh_ranges r[2] = {{0}, {0}};
		bool bit[2][64] = {{0}};
		uint32_t base = round & 1 ? 0xffffffc0u : 0;
		for (int side = 0; side < 2; side++)
			for (int i = 0; i < 6; i++) {
				x = x * 1664525 + 1013904223;
				unsigned a = x >> 26, n = (x >> 16) % 9;
				unsigned b = a + n > 63 ? 63 : a + n;
				uint32_t f = htobe32(base + a), l = htobe32(base + b);
				bh_ranges_add(
					&r[side], (struct bh_range){bh_addr_from_bytes(BH_IPV4, &f),
							  bh_addr_from_bytes(BH_IPV4, &l)});
				memset(&bit[side][a], 1, b - a + 1);
			}
		bh_ranges_normalise(&r[0]);
		bh_ranges_normalise(&r[1]);
		bh_ranges_subtract(&r[0], &r[1]);
		for (unsigned i = 0; i < 64; i++) {
			uint32_t v = htobe32(base + i);
			struct bh_addr a = bh_addr_from_bytes(BH_IPV4, &v);
			assert_int_equal(bh_ranges_contain(&r[0], &a), bit[0][i] && !bit[1][i]);
			assert_int_equal(bh_ranges_contain(&r[1], &a), bit[1][i]);
		}
		size_t n = r[0].n;
		bh_ranges_normalise(&r[0]); /* subtraction left it normal already */
		assert_int_equal(r[0].n, n);
		bh_ranges_finish(&r[0]);
		bh_ranges_finish(&r[1]);
	}
}

static void print_prefix(const struct bh_prefix *p, void *arg)
{
	char buf[BH_PREFIX_STRLEN];
	struct bh_buf *b = arg;
	bh_buf_printf(b, "%s%s", b->len ? " " : "", bh_prefix_format(p, buf));
}

static void test_range_prefixes(void **state BH_UNUSED)
{
	static const char *const t[][2] = {
		{"10.0.0.0-10.0.0.255", "10.0.0.0/24"},
		{"10.0.0.1-10.0.0.1", "10.0.0.1/32"},
		{"10.0.0.1-10.0.0.6", "10.0.0.1/32 10.0.0.2/31 10.0.0.4/31 10.0.0.6/32"},
		{"0.0.0.0-255.255.255.255", "0.0.0.0/0"},
		{"255.255.255.254-255.255.255.255", "255.255.255.254/31"},
		{"0.0.0.0-0.0.0.0", "0.0.0.0/32"},
		{"127.255.255.255-128.0.0.0", "127.255.255.255/32 128.0.0.0/32"},
		{"::-" TOP6, "::/0"},
		{TOP6 "-" TOP6, TOP6 "/128"},
		{"2001:db8::-2001:db8:0:0:ffff:ffff:ffff:ffff", "2001:db8::/64"},
		{"10.0.0.2-10.0.0.1", ""},
	};
	for (size_t i = 0; i < BH_ARRAY_SIZE(t); i++) {
		struct bh_buf b = {0};
		char *copy = bh_xstrdup(t[i][0]), *dash = strchr(copy, '-');
		*dash = '\0';
		bh_range_prefixes((struct bh_range){addr(copy), addr(dash + 1)}, print_prefix, &b);
		free(copy);
		char *s = bh_buf_take(&b);
		assert_string_equal(s, t[i][1]);
		free(s);
	}
	struct bh_buf b = {0}; /* the worst case: 2 × 31 prefixes */
	bh_range_prefixes(
		(struct bh_range){addr("0.0.0.1"), addr("255.255.255.254")}, print_prefix, &b);
	size_t n = 1;
	for (size_t i = 0; i < b.len; i++)
		n += b.s[i] == ' ';
	assert_int_equal(n, 62);
	bh_buf_finish(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_addr_forms),
		cmocka_unit_test(test_addr_kinds),
		cmocka_unit_test(test_addr_steps),
		cmocka_unit_test(test_prefixes),
		cmocka_unit_test(test_prefix_contains),
		cmocka_unit_test(test_ranges_normalise),
		cmocka_unit_test(test_ranges_subtract),
		cmocka_unit_test(test_ranges_random),
		cmocka_unit_test(test_range_prefixes),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
