/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Feed texts as they are found in the wild, and the index against a naive search. */
#include "feeds/index.h"

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <time.h>

#include <cmocka.h>

static int read_feed(const char *name, const char *text, size_t len, struct bh_diags *d,
	struct bh_indicators *ret)
{
	const struct bh_feed_read_opts o = {.name = name};
	struct bh_feed_text t;
	int r = bh_feed_read(&o, text, len, d, &t);
	if (r < 0)
		return r;
	*ret = t.ind;
	t.ind = (struct bh_indicators){0};
	bh_feed_text_finish(&t);
	return 0;
}

static struct bh_indicators parse(const char *text, size_t len, struct bh_diags *d)
{
	struct bh_indicators ind = {0};
	assert_int_equal(read_feed("feed", text, len, d, &ind), 0);
	return ind;
}

/* The indicators of a text as words. */
static char *read_back(const char *text, size_t len)
{
	struct bh_diags bh_autodiags d = {0};
	struct bh_indicators ind = parse(text, len, &d);
	struct bh_buf b = {0};
	char s[BH_INDICATOR_STRLEN];
	for (size_t i = 0; i < bh_indicators_count(&ind); i++) {
		struct bh_range r = bh_indicators_range(&ind, i);
		bh_buf_printf(&b, "%s%s", i ? " " : "", bh_indicator_format(&r, s));
	}
	bh_indicators_finish(&ind);
	return bh_buf_take(&b);
}

static void test_good_lines(void **state BH_UNUSED)
{
	static const char *const sample[][2] = {
		{"192.0.2.1", "192.0.2.1"},
		{"192.0.2.1\r\n192.0.2.2\r\n", "192.0.2.1 192.0.2.2"},
		{"\xef\xbb\xbf"
		 "192.0.2.1\n",
			"192.0.2.1"},
		{"\xef\xbb\xbf# comment\n\n \t\n192.0.2.0/24 ; SBL123\n", "192.0.2.0/24"},
		{"// a\n; b\n# c\n192.0.2.1 // x\n192.0.2.2# y\n192.0.2.3;z\n\t192.0.2.4\t\t# w",
			"192.0.2.1 192.0.2.2 192.0.2.3 192.0.2.4"},
		{"192.0.2.0/255.255.255.0", "192.0.2.0/24"},
		{"192.0.2.1/255.255.255.255\n192.0.2.4/255.255.255.252", "192.0.2.1 192.0.2.4/30"},
		{"192.0.2.0-192.0.2.255", "192.0.2.0/24"},
		{"192.0.2.1 - 192.0.2.9", "192.0.2.1-192.0.2.9"},
		{"192.0.2.7-192.0.2.7", "192.0.2.7"},
		{"::ffff:192.0.2.1\n::ffff:192.0.2.0/120\n::FFFF:C000:0201",
			"192.0.2.1 192.0.2.0/24 192.0.2.1"},
		{"2001:DB8::1\n2001:db8::/32\n2001:db8::1-2001:db8::3",
			"2001:db8::1 2001:db8::/32 2001:db8::1-2001:db8::3"},
		{"192.0.2.1#3#2#scanning#US#City#1.0,2.0#5", "192.0.2.1"},
		{"11.0.0.0/8\n2001::/19", "11.0.0.0/8 2001::/19"},
		{"192.0.2.77/24\n2001:db8::1/64", "192.0.2.0/24 2001:db8::/64"},
		{"192.0.2.1/32\n2001:db8::1/128", "192.0.2.1 2001:db8::1"},
		{"", ""},
		{"\n\n\r\n# nothing\n", ""},
	};
	for (size_t i = 0; i < BH_ARRAY_SIZE(sample); i++) {
		char bh_autofree *got = read_back(sample[i][0], strlen(sample[i][0]));
		assert_string_equal(got, sample[i][1]);
	}
}

static void test_bad_lines(void **state BH_UNUSED)
{
	static const char *const bad[][2] = {
		{"010.1.2.3", "leading zero"},
		{"192.0.2.01", "leading zero"},
		{"192.0.02.0/24", "leading zero"},
		{"192.0.2.1-192.0.2.09", "leading zero"},
		{"evil.example.com", "is not an address"},
		{"bad-host", "is not an address"},
		{"192.0.2", "is not an address"},
		{"192.0.2.256", "is not an address"},
		{"192.0.2.1.5", "is not an address"},
		{"192.0.2.1 192.0.2.2", "is not an address"},
		{"192.0.2.1,80", "is not an address"},
		{"192.0.2.1:443", "is not an address"},
		{"[2001:db8::1]", "is not an address"},
		{"fe80::1%eth0", "is not an address"},
		{"0x7f000001", "is not an address"},
		{"3232235777", "is not an address"},
		{"\"192.0.2.1\"", "is not an address"},
		{"<b>192.0.2.1</b>", NULL},
		{"192.0.2.0/", "prefix length"},
		{"192.0.2.0/33", "prefix length"},
		{"192.0.2.0/024", "prefix length"},
		{"192.0.2.0/-1", "is not an address"},
		{"192.0.2.0/+24", "prefix length"},
		{"192.0.2.0/24/24", "prefix length"},
		{"192.0.2.1//24", "prefix length"},
		{"2001:db8::/129", "prefix length"},
		{"192.0.2.0/255.0.255.0", "mask"},
		{"192.0.2.0/0.0.0.255", "mask"},
		{"2001:db8::/255.255.255.0", "mask"},
		{"::ffff:192.0.2.0/64", "beyond"},
		{"192.0.2.9-192.0.2.1", "backwards"},
		{"192.0.2.1-2001:db8::1", "mixes"},
		{"192.0.2.1-", "is not an address"},
		{"-192.0.2.1", "is not an address"},
		{"192.0.2.1-192.0.2.2-192.0.2.3", "is not an address"},
		{"192.0.2.0/24-192.0.3.0/24", "is not an address"},
		{"0.0.0.0/0", "wider than"},
		{"0.0.0.0/1", "wider than"},
		{"8.0.0.0/7", "wider than"},
		{"0.0.0.0-255.255.255.255", "wider than"},
		{"11.0.0.0-12.0.0.0", "wider than"},
		{"::/0", "wider than"},
		{"2000::/18", "wider than"},
		{"::ffff:0.0.0.0/96", "wider than"},
		{"0.0.0.0/0.0.0.0", "wider than"},
	};
	for (size_t i = 0; i < BH_ARRAY_SIZE(bad); i++) {
		struct bh_diags bh_autodiags d = {0};
		char bh_autofree *text =
			bh_xasprintf("192.0.2.50\n# x\n%s\n192.0.2.51\n", bad[i][0]);
		struct bh_indicators ind = parse(text, strlen(text), &d);
		assert_int_equal(bh_indicators_count(&ind), 2);
		assert_int_equal(ind.rejected, 1);
		assert_int_equal(ind.lines, 3);
		assert_int_equal(d.n, 1);
		assert_int_equal(d.item[0].severity, BH_WARNING);
		assert_int_equal(d.item[0].line, 3);
		assert_string_equal(d.item[0].file, "feed");
		if (bad[i][1] && !strstr(d.item[0].what, bad[i][1]))
			fail_msg("%s: %s", bad[i][0], d.item[0].what);
		bh_indicators_finish(&ind);
	}
}

static void test_host_bits_are_told(void **state BH_UNUSED)
{
	struct bh_diags bh_autodiags d = {0};
	struct bh_indicators ind = parse("\n192.0.2.1/24\n", 14, &d);
	assert_int_equal(bh_indicators_count(&ind), 1);
	assert_int_equal(ind.rejected, 0);
	assert_int_equal(ind.v4[0].line, 2);
	assert_int_equal(d.n, 1);
	assert_int_equal(d.n_errors, 0);
	assert_int_equal(d.item[0].line, 2);
	assert_non_null(strstr(d.item[0].what, "host bits"));
	bh_indicators_finish(&ind);
}

static void refused(const char *text, size_t len, const char *why)
{
	struct bh_diags bh_autodiags d = {0};
	struct bh_indicators ind = {.lines = 77};
	assert_int_equal(read_feed("feed", text, len, &d, &ind), -EINVAL);
	assert_int_equal(ind.lines, 77); /* untouched */
	assert_true(d.n_errors == 1);
	bool found = false;
	for (size_t i = 0; i < d.n; i++)
		found = found || strstr(d.item[i].what, why);
	assert_true(found);
	assert_int_equal(read_feed("feed", text, len, NULL, &ind), -EINVAL);
}

static void test_not_a_list(void **state BH_UNUSED)
{
	struct bh_buf bh_autobuf b = {0};
	refused("<!DOCTYPE html>\n192.0.2.1\n", 26, "HTML");
	refused("\xef\xbb\xbf \r\n\t<html>", 13, "HTML");
	refused("192.0.2.1\n\0\n", 12, "NUL");
	refused("1\0009\0002\000.\0000\000.\0002\000", 12, "NUL"); /* UTF-16 */
	for (int i = 0; i < 4; i++)
		bh_buf_str(&b, "192.0.2.1\n");
	for (int i = 0; i < 6; i++)
		bh_buf_str(&b, "first_seen,dst_ip,dst_port\n");
	refused(b.s, b.len, "more than half");
	bh_buf_str(&b, "192.0.2.1\n192.0.2.2\n"); /* exactly half is still a list */
	struct bh_diags bh_autodiags d = {0};
	struct bh_indicators ind = parse(b.s, b.len, &d);
	assert_int_equal(bh_indicators_count(&ind), 6);
	assert_int_equal(ind.rejected, 6);
	bh_indicators_finish(&ind);
}

static void test_reports_are_bounded(void **state BH_UNUSED)
{
	struct bh_buf bh_autobuf b = {0};
	struct bh_diags bh_autodiags d = {0};
	for (int i = 0; i < 1000; i++)
		bh_buf_printf(&b, "192.0.2.%d\nhost%d.example\n198.51.100.77/24\n", i % 256, i);
	struct bh_indicators ind = parse(b.s, b.len, &d);
	assert_int_equal(bh_indicators_count(&ind), 2000);
	assert_int_equal(ind.rejected, 1000);
	assert_int_equal(d.n, 42);
	bh_indicators_finish(&ind);
}

static void test_control_bytes_and_long_lines(void **state BH_UNUSED)
{
	struct bh_buf bh_autobuf b = {0};
	struct bh_diags bh_autodiags d = {0};
	bh_buf_str(&b, "192.0.2.1\n\x1b[31mred\x07\n");
	for (int i = 0; i < 100000; i++)
		bh_buf_str(&b, "9");
	bh_buf_str(&b, "\n\x80\xff\n192.0.2.2");
	struct bh_indicators ind = parse(b.s, b.len, &d);
	assert_int_equal(bh_indicators_count(&ind), 2);
	assert_int_equal(ind.rejected, 3);
	for (size_t i = 0; i < d.n; i++)
		for (const char *s = d.item[i].what; *s; s++)
			assert_true((unsigned char)*s >= ' ' && *s != 0x7f);
	bh_indicators_finish(&ind);
}

/* --- index --- */

static struct bh_addr addr(const char *text)
{
	struct bh_addr a;
	assert_int_equal(bh_addr_parse(text, &a), 0);
	return a;
}

struct list {
	const char *name;
	bool alert;
	const char *text;
};

static struct bh_feed_index *build(const struct list *list, size_t n,
	const struct bh_ranges *protect, struct bh_feed_input *in)
{
	struct bh_indicators ind[8] = {0};
	struct bh_feed_input own[8];
	for (size_t i = 0; i < n; i++) {
		assert_int_equal(
			read_feed(list[i].name, list[i].text, strlen(list[i].text), NULL, &ind[i]),
			0);
		bh_indicators_sort(&ind[i]);
		own[i] = (struct bh_feed_input){.name = list[i].name,
			.alert_only = list[i].alert,
			.protect = protect,
			.indicators = &ind[i]};
	}
	struct bh_feed_index *x = bh_feed_index_build(own, n, 0);
	for (size_t i = 0; i < n; i++)
		bh_indicators_finish(&ind[i]);
	if (in)
		memcpy(in, own, n * sizeof(*in));
	return x;
}

static char *hits(const struct bh_feed_index *x, const char *address)
{
	struct bh_feed_hit hit[8];
	struct bh_buf b = {0};
	struct bh_addr a = addr(address);
	size_t n = bh_feed_index_lookup(x, &a, hit, 8);
	for (size_t i = 0; i < n; i++)
		bh_buf_printf(&b, "%s%s:%s%s", i ? " " : "", hit[i].feed, hit[i].indicator,
			hit[i].alert_only ? "!" : "");
	return bh_buf_take(&b);
}

/* What the kernel's sets would say: in which directions they hold the address. */
/* The rules ask for a network only where a key says that one is near. */
static bool is_near(const struct bh_feed_elems *e, uint32_t a)
{
	bool near = false;
	for (size_t i = 0; i < e->n_near4; i++) {
		near |= e->near4[i] == (a & 0xffffff00u) || e->near4[i] == (a & 0xffff0000u);
		assert_true(i == 0 || e->near4[i - 1] < e->near4[i]);
	}
	return near;
}

static unsigned in_kernel(const struct bh_feed_index *x, const struct bh_addr *a)
{
	static const unsigned mask[] = {BH_FEED_BOTH, BH_FEED_IN, BH_FEED_OUT};
	bh_u128 v = bh_addr_number(a);
	bool v4 = a->family == BH_IPV4;
	unsigned found = 0, times = 0;
	for (int c = 0; c < BH_FEEDS_CLASSES; c++) {
		const struct bh_feed_elems *e = bh_feed_index_elems(x, (enum bh_feed_class)c);
		bool here = false;
		for (size_t i = 0; v4 && i < e->n_host4; i++)
			here |= e->host4[i] == v;
		for (size_t i = 0; v4 && i < e->n_net4; i++)
			here |= e->net4[i].first <= v && v <= e->net4[i].last &&
				is_near(e, (uint32_t)v);
		for (size_t i = 0; !v4 && i < e->n_host6; i++)
			here |= e->host6[i] == v;
		for (size_t i = 0; !v4 && i < e->n_net6; i++)
			here |= e->net6[i].first <= v && v <= e->net6[i].last;
		if (here) {
			found = mask[c];
			times++;
		}
	}
	assert_true(times <= 1);
	return found;
}

static bool blocked(const struct bh_feed_index *x, const struct bh_addr *a)
{
	assert_int_equal(in_kernel(x, a), bh_feed_index_blocked(x, a));
	return bh_feed_index_blocked(x, a) != 0;
}

static void expect(const struct bh_feed_index *x, const char *address, const char *want)
{
	char bh_autofree *got = hits(x, address);
	assert_string_equal(got, want);
}

static void test_hits(void **state BH_UNUSED)
{
	static const struct list list[] = {
		{"wide", false, "192.0.2.0/24\n2001:db8::/32\n"},
		{"fine", false, "192.0.2.5\n192.0.2.4/30\n192.0.2.5\n2001:db8::5"},
		{"look", true, "192.0.2.5\n198.51.100.1-198.51.100.9"},
	};
	struct bh_ranges protect;
	bh_feeds_protected_ranges(NULL, &protect);
	struct bh_feed_index *x = build(list, 3, &protect, NULL);
	expect(x, "192.0.2.5", "fine:192.0.2.5 wide:192.0.2.0/24 look:192.0.2.5!");
	expect(x, "192.0.2.6", "fine:192.0.2.4/30 wide:192.0.2.0/24");
	expect(x, "192.0.2.8", "wide:192.0.2.0/24");
	expect(x, "192.0.2.255", "wide:192.0.2.0/24");
	expect(x, "192.0.3.0", "");
	expect(x, "192.0.1.255", "");
	expect(x, "198.51.100.9", "look:198.51.100.1-198.51.100.9!");
	expect(x, "2001:db8::5", "fine:2001:db8::5 wide:2001:db8::/32");
	expect(x, "2001:db9::", "");
	struct bh_feed_hit one;
	struct bh_addr a = addr("192.0.2.5");
	assert_int_equal(bh_feed_index_lookup(x, &a, &one, 1), 1);
	assert_string_equal(one.feed, "fine");
	const struct bh_feed_elems *e = bh_feed_index_elems(x, BH_FEEDS_BOTH);
	assert_int_equal(e->n_net4 + e->n_net6, 2); /* merged, and nothing of the alerting feed */
	assert_int_equal(e->n_host4 + e->n_host6, 0);
	a = addr("198.51.100.1");
	assert_false(blocked(x, &a));
	assert_int_equal(bh_feed_index_count(x), 2 + 3 + 2);
	bh_feed_index_unref(x);
	bh_ranges_finish(&protect);
}

static void test_protected(void **state BH_UNUSED)
{
	static const struct list list[] = {
		{"bogons", false,
			"10.0.0.0/8\n127.0.0.1\n192.168.1.0/24\n169.254.0.0/16\n100.64.0.0/10\n"
			"240.0.0.0/8\n255.255.255.255\n0.0.0.0/8\n224.0.0.1\n198.18.0.0/15\n"
			"::1\nfc00::/19\nfe80::1\nff02::1\n::ffff:192.0.2.9\n2002::/19\n"
			"192.0.0.0-192.0.2.10\n203.0.113.0/"
			"24\n2001:db8::1\n172.15.255.0-172.32.0.5"},
	};
	struct bh_ranges extra = {0}, protect;
	struct bh_feed_input in[1];
	bh_ranges_add(&extra, (struct bh_range){addr("203.0.113.53"), addr("203.0.113.53")});
	bh_feeds_protected_ranges(&extra, &protect);
	struct bh_feed_index *x = build(list, 1, &protect, in);
	static const char *const never[] = {"10.1.2.3", "127.0.0.1", "192.168.1.7", "169.254.9.9",
		"100.127.255.255", "240.0.0.1", "255.255.255.255", "0.0.0.0", "224.0.0.1",
		"198.19.255.255", "::1", "fc00::1", "fe80::1", "ff02::1", "2002::1", "192.0.0.255",
		"203.0.113.53", "172.16.0.0", "172.31.255.255"};
	static const char *const always[] = {"192.0.2.9", "192.0.1.0", "192.0.2.0", "192.0.2.10",
		"203.0.113.52", "203.0.113.54", "2001:db8::1", "172.15.255.255", "172.32.0.0"};
	for (size_t i = 0; i < BH_ARRAY_SIZE(never); i++) {
		struct bh_addr a = addr(never[i]);
		expect(x, never[i], "");
		assert_false(blocked(x, &a));
	}
	for (size_t i = 0; i < BH_ARRAY_SIZE(always); i++) {
		struct bh_addr a = addr(always[i]);
		char bh_autofree *got = hits(x, always[i]);
		assert_true(strlen(got) > 0);
		assert_true(blocked(x, &a));
	}
	/* all but 192.0.2.9 (mapped) and 2001:db8::1 */
	assert_int_equal(in[0].subtracted, 20 - 2);
	bh_feed_index_unref(x);
	bh_ranges_finish(&extra);
	bh_ranges_finish(&protect);
}

static void test_protect_table_is_sound(void **state BH_UNUSED)
{
	struct bh_ranges r;
	bh_feeds_protected_ranges(NULL, &r);
	static const char *const free_to_block[] = {"192.0.2.0", "198.51.100.255", "203.0.113.7",
		"2001:db8:ffff::1", "8.8.8.8", "1.1.1.1", "2606:4700::1", "223.255.255.255",
		"100.63.255.255", "::ffff:8.8.8.8"};
	for (size_t i = 0; i < BH_ARRAY_SIZE(free_to_block); i++) {
		struct bh_addr a = addr(free_to_block[i]);
		assert_false(bh_ranges_contain(&r, &a));
	}
	assert_int_equal(r.n, 21); /* 224/4 and 240/4 are one, :: and ::1 too */
	bh_ranges_finish(&r);
}

static void test_ends_of_the_space(void **state BH_UNUSED)
{
	static const struct list list[] = {
		{"a", false,
			"255.0.0.0/8\n255.255.255.255\n0.0.0.0/8\n0.0.0.0\nff00::/19\n"
			"ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff\n::\n::/19\n"},
		{"b", false,
			"255.255.255.254/31\n0.0.0.0/31\n"
			"ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe/127"},
	};
	struct bh_ranges none = {0};
	struct bh_feed_index *x = build(list, 2, &none, NULL);
	expect(x, "255.255.255.255", "a:255.255.255.255 b:255.255.255.254/31");
	expect(x, "255.255.255.254", "b:255.255.255.254/31 a:255.0.0.0/8");
	expect(x, "0.0.0.0", "a:0.0.0.0 b:0.0.0.0/31");
	expect(x, "0.255.255.255", "a:0.0.0.0/8");
	expect(x, "1.0.0.0", "");
	expect(x, "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
		"a:ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff "
		"b:ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe/127");
	expect(x, "::", "a:::"); /* feed "a", indicator "::" */
	bh_feed_index_unref(x);
	struct bh_ranges all = {0};
	bh_ranges_add(&all, (struct bh_range){addr("0.0.0.0"), addr("255.255.255.255")});
	bh_ranges_add(&all,
		(struct bh_range){addr("::"), addr("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff")});
	bh_ranges_normalise(&all);
	x = build(list, 2, &all, NULL);
	expect(x, "255.255.255.255", "");
	expect(x, "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "");
	assert_int_equal(bh_feed_index_elems(x, BH_FEEDS_BOTH)->n_net4, 0);
	bh_feed_index_unref(x);
	bh_ranges_finish(&all);
}

/* --- against a naive search, in a space small enough to try every address --- */
#define SPACE 2048

static uint32_t seed = 1;
static uint32_t rnd(uint32_t n)
{
	seed = seed * 1664525 + 1013904223;
	return (uint32_t)(((uint64_t)seed * n) >> 32);
}

/* Where the space lies: across an upper half of IPv4, or at an end of everything. */
static int where;

static struct bh_addr at(bool v6, uint32_t offset)
{
	static const uint32_t base4[] = {0x0801fc00u, 0, 0u - SPACE};
	const struct bh_addr doc = {BH_IPV6, {0x20, 1, 0xd, 0xb8}};
	const bh_u128 base6[] = {bh_addr_number(&doc), 0, (bh_u128)0 - SPACE};
	if (v6)
		return bh_addr_of_number(BH_IPV6, base6[where] + offset);
	return bh_addr_of_number(BH_IPV4, base4[where] + offset);
}

static struct bh_range random_range(void)
{
	bool v6 = rnd(3) == 0;
	uint32_t len = rnd(4) == 0 ? rnd(SPACE / 2) + 1 : rnd(3) == 0 ? rnd(64) + 1 : 1;
	uint32_t first = rnd(SPACE - len + 1);
	return (struct bh_range){at(v6, first), at(v6, first + len - 1)};
}

struct naive {
	struct bh_feed_input in[5];
	struct bh_indicators ind[5];
	size_t n;
	struct bh_ranges protect;
};

static bool contains(const struct bh_range *r, const struct bh_addr *a)
{
	return r->first.family == a->family && bh_addr_cmp(&r->first, a) <= 0 &&
	       bh_addr_cmp(a, &r->last) <= 0;
}

static bh_u128 span(const struct bh_range *r)
{
	return bh_addr_number(&r->last) - bh_addr_number(&r->first);
}

/* The most specific indicator of one feed; false if none. */
static bool naive_best(
	const struct bh_indicators *ind, const struct bh_addr *a, struct bh_range *ret)
{
	bool found = false;
	for (size_t i = 0; i < bh_indicators_count(ind); i++) {
		struct bh_range r = bh_indicators_range(ind, i);
		if (contains(&r, a) && (!found || span(&r) < span(ret))) {
			*ret = r;
			found = true;
		}
	}
	return found;
}

static unsigned directions_of(const struct bh_feed_input *in)
{
	return in->directions ? in->directions : BH_FEED_BOTH;
}

static void check_address(
	const struct naive *x, const struct bh_feed_index *index, bool v6, uint32_t offset)
{
	struct bh_addr a = at(v6, offset);
	struct bh_feed_hit hit[5];
	size_t n = bh_feed_index_lookup(index, &a, hit, 5), want = 0;
	unsigned block = 0;
	bool shielded = bh_ranges_contain(&x->protect, &a);
	for (size_t f = 0; f < x->n && !shielded; f++) {
		struct bh_range best;
		char text[BH_INDICATOR_STRLEN];
		size_t k = 0;
		if (!naive_best(&x->ind[f], &a, &best))
			continue;
		want++;
		if (!x->in[f].alert_only)
			block |= directions_of(&x->in[f]);
		while (k < n && hit[k].feed[0] != x->in[f].name[0])
			k++;
		assert_true(k < n);
		assert_int_equal(hit[k].alert_only, x->in[f].alert_only);
		bh_indicator_format(&best, text);
		struct bh_range same = best; /* another of equal size may be named */
		if (strcmp(text, hit[k].indicator) != 0) {
			struct bh_indicators got = {0};
			assert_int_equal(read_feed("x", hit[k].indicator, strlen(hit[k].indicator),
						 NULL, &got),
				0);
			assert_int_equal(bh_indicators_count(&got), 1);
			struct bh_range named = bh_indicators_range(&got, 0);
			assert_true(contains(&named, &a));
			assert_true(span(&named) == span(&same));
			bh_indicators_finish(&got);
		}
	}
	assert_int_equal(n, want);
	assert_int_equal(bh_feed_index_blocked(index, &a), block);
	assert_int_equal(in_kernel(index, &a), block);
	assert_int_equal(n > 0 && !hit[0].alert_only, block != 0);
}

static void one_round(void)
{
	static const char *const name[] = {"a", "b", "c", "d", "e"};
	struct naive x = {.n = 1 + rnd(5)};
	for (size_t f = 0; f < x.n; f++) {
		size_t n = rnd(60);
		for (size_t i = 0; i < n; i++) {
			struct bh_range r = random_range();
			bh_indicators_add(&x.ind[f], &r, (uint32_t)i + 1, 0);
		}
		bh_indicators_sort(&x.ind[f]);
		x.in[f] = (struct bh_feed_input){.name = name[f],
			.alert_only = rnd(3) == 0,
			.directions = (uint8_t)rnd(4),
			.protect = &x.protect,
			.indicators = &x.ind[f]};
	}
	for (uint32_t i = rnd(8); i > 0; i--)
		bh_ranges_add(&x.protect, random_range());
	bh_ranges_normalise(&x.protect);
	struct bh_feed_index *index = bh_feed_index_build(x.in, x.n, 0);
	for (uint32_t i = 0; i < SPACE; i++) {
		check_address(&x, index, false, i);
		check_address(&x, index, true, i);
	}
	for (size_t f = 0; f < x.n; f++)
		bh_indicators_finish(&x.ind[f]);
	bh_ranges_finish(&x.protect);
	bh_feed_index_unref(index);
}

static void test_random(void **state BH_UNUSED)
{
	for (int i = 0; i < 60; i++) {
		where = i % 3;
		one_round();
	}
	where = 0;
}

/* All lengths of prefixes anywhere in IPv4 and IPv6, the whole of it too. */
static void test_whole_space(void **state BH_UNUSED)
{
	struct bh_indicators ind = {0};
	struct bh_ranges none = {0};
	for (int i = 0; i < 600; i++) {
		bool v6 = i % 3 == 0;
		unsigned bits = v6 ? 128 : 32,
			 len = i % 300 < 4 ? (unsigned)(i % 300 / 2) * bits : rnd(bits + 1);
		bh_u128 a = 0, span = len  ? ((bh_u128)1 << (bits - len)) - 1
				      : v6 ? ~(bh_u128)0
					   : (bh_u128)UINT32_MAX;
		for (int k = 0; k < 8; k++)
			a = a << 16 | rnd(1 << 16);
		a = (v6 ? a : a & UINT32_MAX) & ~span;
		struct bh_range r = bh_range_of_numbers(v6 ? BH_IPV6 : BH_IPV4, a, a + span);
		if (len || i >= 300) /* without the widest first, or nothing else shows */
			bh_indicators_add(&ind, &r, (uint32_t)i + 1, 0);
		if (i % 300 != 299)
			continue;
		bh_indicators_sort(&ind);
		struct bh_feed_input in = {.name = "f", .protect = &none, .indicators = &ind};
		struct bh_feed_index *x = bh_feed_index_build(&in, 1, 0);
		for (size_t k = 0; k < bh_indicators_count(&ind); k++) {
			struct bh_range edge = bh_indicators_range(&ind, k);
			struct bh_addr at_edge[4] = {edge.first, edge.last, edge.first, edge.last};
			bool before = bh_addr_prev(&at_edge[2]), after = bh_addr_next(&at_edge[3]);
			for (int e = 0; e < 4; e++) {
				struct bh_range best;
				struct bh_feed_hit hit;
				if ((e == 2 && !before) || (e == 3 && !after))
					continue;
				bool want = naive_best(&ind, &at_edge[e], &best);
				assert_int_equal(
					bh_feed_index_lookup(x, &at_edge[e], &hit, 1), want);
				assert_int_equal(bh_feed_index_blocked(x, &at_edge[e]),
					want ? BH_FEED_BOTH : 0);
				char text[BH_INDICATOR_STRLEN];
				if (want)
					assert_string_equal(
						hit.indicator, bh_indicator_format(&best, text));
			}
		}
		bh_feed_index_unref(x);
	}
	bh_indicators_finish(&ind);
}

/* --- an index from the one before is what one that is built anew would be --- */

static void random_feed(struct bh_indicators *ind, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		struct bh_range r = random_range();
		bh_indicators_add(ind, &r, (uint32_t)i + 1, rnd(4) ? 0 : 1 + rnd(40));
	}
	bh_indicators_sort(ind);
}

static void copy_some(struct bh_indicators *to, const struct bh_indicators *from)
{
	for (size_t i = 0; i < bh_indicators_count(from); i++) {
		struct bh_range r = bh_indicators_range(from, i);
		uint32_t expires =
			i < from->n4 ? from->v4[i].expires : from->v6[i - from->n4].expires;
		if (rnd(12))
			bh_indicators_add(to, &r, (uint32_t)i, expires);
		else if (rnd(2)) /* again, for another while */
			bh_indicators_add(to, &r, (uint32_t)i, 1 + rnd(40));
	}
	for (uint32_t i = rnd(6); i > 0; i--) {
		struct bh_range r = random_range();
		bh_indicators_add(to, &r, i, rnd(2) ? 0 : 1 + rnd(40));
	}
	bh_indicators_sort(to);
}

static void same_array(const void *a, size_t na, const void *b, size_t nb, size_t size)
{
	assert_int_equal(na, nb);
	if (na)
		assert_memory_equal(a, b, na * size);
}

static void same_index(const struct bh_feed_index *a, const struct bh_feed_index *b)
{
	same_array(a->first4, a->n4, b->first4, b->n4, sizeof(*a->first4));
	same_array(a->last4, a->n4, b->last4, b->n4, sizeof(*a->last4));
	same_array(a->first6, a->n6, b->first6, b->n6, sizeof(*a->first6));
	same_array(a->last6, a->n6, b->last6, b->n6, sizeof(*a->last6));
	for (int c = 0; c < BH_FEEDS_CLASSES; c++) {
		const struct bh_feed_elems *x = &a->elems[c], *y = &b->elems[c];
		same_array(x->host4, x->n_host4, y->host4, y->n_host4, sizeof(*x->host4));
		same_array(x->host6, x->n_host6, y->host6, y->n_host6, sizeof(*x->host6));
		same_array(x->net4, x->n_net4, y->net4, y->n_net4, sizeof(*x->net4));
		same_array(x->net6, x->n_net6, y->net6, y->n_net6, sizeof(*x->net6));
		same_array(x->near4, x->n_near4, y->near4, y->n_near4, sizeof(*x->near4));
	}
	assert_int_equal(a->count, b->count);
	assert_int_equal(a->expires, b->expires);
	for (uint32_t i = 0; i < 2 * SPACE; i++) {
		struct bh_addr x = at(i % 2, i / 2);
		struct bh_feed_hit p[5], q[5];
		size_t n = bh_feed_index_lookup(a, &x, p, 5);
		assert_int_equal(n, bh_feed_index_lookup(b, &x, q, 5));
		assert_int_equal(bh_feed_index_blocked(a, &x), bh_feed_index_blocked(b, &x));
		for (size_t k = 0; k < n; k++) {
			assert_string_equal(p[k].feed, q[k].feed);
			assert_string_equal(p[k].indicator, q[k].indicator);
			assert_int_equal(p[k].alert_only, q[k].alert_only);
		}
	}
}

/* How many of the steps were changes, not built anew. */
static size_t changing_round(void)
{
	static const char *const name[] = {"a", "b", "c"};
	size_t n = 1 + rnd(3), changed = 0;
	struct bh_indicators ind[3] = {0};
	struct bh_feed_input in[3], before[3];
	struct bh_ranges protect = {0};
	for (uint32_t i = rnd(4); i > 0; i--)
		bh_ranges_add(&protect, random_range());
	bh_ranges_normalise(&protect);
	for (size_t f = 0; f < n; f++) {
		random_feed(&ind[f], rnd(60));
		in[f] = (struct bh_feed_input){.name = name[f],
			.alert_only = rnd(3) == 0,
			.directions = (uint8_t)rnd(4),
			.protect = &protect,
			.indicators = &ind[f]};
	}
	struct bh_feed_index *x = bh_feed_index_build(in, n, 1);
	for (int64_t now = 1, later; now < 24; now = later) {
		struct bh_indicators next[3] = {0};
		later = now + 1 + rnd(3);
		memcpy(before, in, sizeof(before));
		for (size_t f = 0; f < n; f++) {
			copy_some(&next[f], &ind[f]);
			in[f].indicators = &next[f];
		}
		struct bh_feed_index *anew = bh_feed_index_build(in, n, later);
		struct bh_feed_index *y = bh_feed_index_change(x, before, now, in, n, later);
		bh_feed_index_unref(x);
		x = y ? bh_feed_index_ref(y) : bh_feed_index_ref(anew);
		if (y)
			same_index(y, anew);
		changed += y != NULL;
		bh_feed_index_unref(y);
		bh_feed_index_unref(anew);
		for (size_t f = 0; f < n; f++) {
			bh_indicators_finish(&ind[f]);
			ind[f] = next[f];
			in[f].indicators = &ind[f];
		}
	}
	for (size_t f = 0; f < n; f++)
		bh_indicators_finish(&ind[f]);
	bh_feed_index_unref(x);
	bh_ranges_finish(&protect);
	return changed;
}

static void test_random_changes(void **state BH_UNUSED)
{
	size_t changed = 0;
	for (int i = 0; i < 60; i++) {
		where = i % 3;
		changed += changing_round();
	}
	where = 0;
	assert_true(changed > 100);
}

/* All of it at once is not worth copying what was before. */
static void test_too_much_has_changed(void **state BH_UNUSED)
{
	struct bh_indicators a = {0}, b = {0};
	struct bh_ranges none = {0};
	for (uint32_t i = 0; i < 20000; i++) {
		struct bh_range r = bh_range_of_numbers(BH_IPV4, i * 64, i * 64);
		bh_indicators_add(i % 4 ? &a : &b, &r, i, 0);
	}
	const struct bh_feed_input before = {.name = "f", .protect = &none, .indicators = &a};
	struct bh_feed_input in = {.name = "f", .protect = &none, .indicators = &b};
	struct bh_feed_input old = before;
	struct bh_feed_index *x = bh_feed_index_build(&old, 1, 0);
	assert_null(bh_feed_index_change(x, &before, 0, &in, 1, 0));
	struct bh_feed_index *y = bh_feed_index_change(x, &before, 0, &old, 1, 0);
	assert_non_null(y); /* nothing did */
	same_index(x, y);
	bh_feed_index_unref(x);
	bh_feed_index_unref(y);
	bh_indicators_finish(&a);
	bh_indicators_finish(&b);
}

/* Nested ranges that all overlap: quadratic in a naive join. */
static void test_hostile_nesting(void **state BH_UNUSED)
{
	struct bh_indicators ind = {0};
	struct bh_ranges none = {0};
	const uint32_t n = 200000;
	for (uint32_t i = 0; i < n; i++) {
		struct bh_range r = bh_range_of_numbers(BH_IPV4, 0x08000000u + i, 0x08ffffffu - i);
		bh_indicators_add(&ind, &r, i + 1, 0);
	}
	bh_indicators_sort(&ind);
	struct bh_feed_input in = {.name = "deep", .protect = &none, .indicators = &ind};
	struct bh_feed_index *x = bh_feed_index_build(&in, 1, 0);
	assert_int_equal(bh_feed_index_elems(x, BH_FEEDS_BOTH)->n_net4, 1);
	expect(x, "8.128.0.0", "deep:8.3.13.63-8.252.242.192");
	expect(x, "8.0.0.1", "deep:8.0.0.1-8.255.255.254");
	bh_feed_index_unref(x);
	bh_indicators_finish(&ind);
}

static void test_expiry(void **state BH_UNUSED)
{
	struct bh_indicators ind = {0};
	struct bh_ranges none = {0};
	struct bh_range a = {addr("192.0.2.1"), addr("192.0.2.1")};
	struct bh_range b = {addr("192.0.2.0"), addr("192.0.2.255")};
	struct bh_range c = {addr("2001:db8::1"), addr("2001:db8::1")};
	bh_indicators_add(&ind, &a, 1, 100);
	bh_indicators_add(&ind, &b, 2, 200);
	bh_indicators_add(&ind, &c, 3, 300);
	bh_indicators_add(&ind, &c, 4, 250);
	bh_indicators_sort(&ind);
	struct bh_feed_input in = {.name = "f", .protect = &none, .indicators = &ind};
	static const struct {
		int64_t now;
		const char *hit;
		uint32_t next;
		size_t count;
	} at[] = {{99, "f:192.0.2.1", 100, 3}, {100, "f:192.0.2.0/24", 200, 2}, {200, "", 300, 1},
		{300, "", 0, 0}};
	for (size_t i = 0; i < BH_ARRAY_SIZE(at); i++) {
		struct bh_feed_index *x = bh_feed_index_build(&in, 1, at[i].now);
		expect(x, "192.0.2.1", at[i].hit);
		expect(x, "2001:db8::1", at[i].now < 300 ? "f:2001:db8::1" : "");
		assert_int_equal(bh_feed_index_expires(x), at[i].next);
		assert_int_equal(bh_feed_index_count(x), at[i].count);
		bh_feed_index_unref(x);
	}
	bh_indicators_finish(&ind);
}

/* What a stream adds and takes back: by the very same range. */
static void test_change(void **state BH_UNUSED)
{
	struct bh_indicators ind;
	struct bh_indicators old = parse("192.0.2.1\n192.0.2.0/24\n2001:db8::1\n",
		sizeof("192.0.2.1\n192.0.2.0/24\n2001:db8::1\n") - 1, NULL);
	struct bh_indicators minus = parse("192.0.2.0/24\n2001:db8::1\n198.51.100.1",
		sizeof("192.0.2.0/24\n2001:db8::1\n198.51.100.1") - 1, NULL);
	struct bh_indicators plus = parse("198.51.100.2\n192.0.2.1\n2001:db8::2",
		sizeof("198.51.100.2\n192.0.2.1\n2001:db8::2") - 1, NULL);
	bh_indicators_sort(&old);
	bh_indicators_sort(&minus);
	bh_indicators_sort(&plus);
	bh_indicators_changed(&old, &minus, &plus, &ind);
	assert_int_equal(ind.n4, 2);
	assert_int_equal(ind.v4[0].first, 0xc0000201);
	assert_int_equal(ind.v4[1].first, 0xc6336402);
	assert_int_equal(ind.n6, 1);
	assert_true((uint64_t)ind.v6[0].first == 2);
	bh_indicators_finish(&ind);
	bh_indicators_finish(&old);
	bh_indicators_finish(&minus);
	bh_indicators_finish(&plus);
}

static void some_addresses(struct bh_indicators *ind, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		uint32_t first = rnd(64) << 24 | rnd(8) << 12 | rnd(4);
		struct bh_range r = bh_range_of_numbers(BH_IPV4, first, first + rnd(3));
		if (rnd(8) == 0)
			r = bh_range_of_numbers(BH_IPV6, first, first + rnd(3));
		bh_indicators_add(ind, &r, (uint32_t)i + 1, rnd(3));
	}
}

static bool has(const struct bh_indicators *ind, const struct bh_range *r)
{
	for (size_t i = 0; i < bh_indicators_count(ind); i++) {
		struct bh_range x = bh_indicators_range(ind, i);
		if (bh_addr_eq(&x.first, &r->first) && bh_addr_eq(&x.last, &r->last))
			return true;
	}
	return false;
}

static void is_sorted(const struct bh_indicators *ind)
{
	for (size_t i = 1; i < bh_indicators_count(ind); i++) {
		struct bh_range a = bh_indicators_range(ind, i - 1);
		struct bh_range b = bh_indicators_range(ind, i);
		int c = bh_addr_cmp(&a.first, &b.first);
		assert_true(c < 0 || (c == 0 && bh_addr_cmp(&a.last, &b.last) > 0));
	}
}

static void test_sorted_and_changed(void **state BH_UNUSED)
{
	for (int round = 0; round < 6; round++) {
		struct bh_indicators text = {0}, old = {0}, minus = {0}, plus = {0}, got;
		some_addresses(&text, round < 3 ? 100 : 1500);
		for (size_t i = 0; i < bh_indicators_count(&text); i++) {
			struct bh_range r = bh_indicators_range(&text, i);
			bh_indicators_add(&old, &r, (uint32_t)i, 0);
		}
		bh_indicators_sort(&old);
		is_sorted(&old);
		for (size_t i = 0; i < bh_indicators_count(&text); i++) {
			struct bh_range r = bh_indicators_range(&text, i);
			assert_true(has(&old, &r));
		}
		some_addresses(&plus, 60);
		some_addresses(&minus, 600);
		bh_indicators_sort(&plus);
		bh_indicators_sort(&minus);
		bh_indicators_changed(&old, &minus, &plus, &got);
		is_sorted(&got);
		size_t want = bh_indicators_count(&plus);
		for (size_t i = 0; i < bh_indicators_count(&old); i++) {
			struct bh_range r = bh_indicators_range(&old, i);
			bool stays = !has(&minus, &r);
			assert_int_equal(has(&got, &r), stays || has(&plus, &r));
			want += stays && !has(&plus, &r);
		}
		assert_int_equal(bh_indicators_count(&got), want);
		bh_indicators_finish(&text);
		bh_indicators_finish(&old);
		bh_indicators_finish(&minus);
		bh_indicators_finish(&plus);
		bh_indicators_finish(&got);
	}
}

static void *reader(void *arg)
{
	struct bh_feed_index *x = arg;
	size_t n = 0;
	for (uint32_t i = 0; i < 100000; i++) {
		struct bh_feed_hit hit[2];
		struct bh_addr a = bh_addr_of_number(BH_IPV4, 0xc0000200u + i % 512);
		struct bh_feed_index *mine = bh_feed_index_ref(x);
		n += bh_feed_index_lookup(mine, &a, hit, 2) > 0;
		bh_feed_index_unref(mine);
	}
	bh_feed_index_unref(x);
	return n == 0 ? NULL : arg;
}

static void test_threads(void **state BH_UNUSED)
{
	static const struct list list[] = {{"a", false, "192.0.2.0/24\n192.0.2.1"}};
	struct bh_ranges none = {0};
	struct bh_feed_index *x = build(list, 1, &none, NULL);
	pthread_t t[2];
	for (int i = 0; i < 2; i++)
		assert_int_equal(pthread_create(&t[i], NULL, reader, bh_feed_index_ref(x)), 0);
	bh_feed_index_unref(x);
	for (int i = 0; i < 2; i++) {
		void *r;
		pthread_join(t[i], &r);
		assert_non_null(r);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good_lines),
		cmocka_unit_test(test_bad_lines),
		cmocka_unit_test(test_host_bits_are_told),
		cmocka_unit_test(test_not_a_list),
		cmocka_unit_test(test_reports_are_bounded),
		cmocka_unit_test(test_control_bytes_and_long_lines),
		cmocka_unit_test(test_hits),
		cmocka_unit_test(test_protected),
		cmocka_unit_test(test_protect_table_is_sound),
		cmocka_unit_test(test_ends_of_the_space),
		cmocka_unit_test(test_random),
		cmocka_unit_test(test_whole_space),
		cmocka_unit_test(test_random_changes),
		cmocka_unit_test(test_too_much_has_changed),
		cmocka_unit_test(test_hostile_nesting),
		cmocka_unit_test(test_expiry),
		cmocka_unit_test(test_change),
		cmocka_unit_test(test_sorted_and_changed),
		cmocka_unit_test(test_threads),
	};
	return cmocka_run_group_tests_name("feeds", tests, NULL, NULL);
}
