/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The emitter: whatever it is given, jansson reads the same value again. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <time.h>

#include <cmocka.h>
#include <jansson.h>

#include "audit/json.h"
#include <bulkhead/utf8.h>

static uint64_t state = 0x9e3779b97f4a7c15;

static uint32_t below(uint32_t n)
{
	state = state * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(state >> 33) % n;
}

/* What the value is to be, character by character. */
static char *cleaned(const char *s, size_t max)
{
	size_t len = strlen(s);
	struct bh_buf b = {0};

	for (size_t i = 0; i < len;) {
		uint32_t c;
		size_t n = bh_utf8_decode(s + i, len - i, &c);
		if (b.len + (n ? n : 3) > max) {
			bh_buf_str(&b, "…");
			break;
		}
		bh_buf_add(&b, n ? s + i : "\xef\xbf\xbd", n ? n : 3);
		i += n ? n : 1;
	}
	return bh_buf_take(&b);
}

static void check(const char *key, const char *s, size_t max)
{
	struct bh_buf bh_autobuf b = {0};
	char bh_autofree *want = cleaned(s, max), bh_autofree *want_key = cleaned(key, 64);

	bh_audit_put_open(&b, NULL);
	bh_audit_put_u64(&b, "before", UINT64_C(9223372036854775807));
	bh_audit_put_open(&b, "inner");
	bh_audit_put_member_of(&b, key, 64, s, max);
	bh_audit_put_close(&b);
	bh_audit_put_text(&b, "text", s, max);
	bh_audit_put_null(&b, "after");
	bh_audit_put_close(&b);
	assert_true(b.len <= 2 * (6 * max + 5) + 6 * 64 + 100);
	assert_null(memchr(b.s, '\n', b.len)); /* a record is one line */
	json_t *o = json_loadb(b.s, b.len, JSON_REJECT_DUPLICATES, NULL);
	if (!o)
		print_error("%s\n", b.s);
	assert_non_null(o);
	assert_int_equal(json_object_size(o), 4);
	assert_true(json_is_null(json_object_get(o, "after")));
	assert_int_equal(json_integer_value(json_object_get(o, "before")), INT64_MAX);
	assert_string_equal(json_string_value(json_object_get(o, "text")), want);
	const json_t *inner = json_object_get(o, "inner");
	assert_int_equal(json_object_size(inner), 1);
	assert_string_equal(json_string_value(json_object_get(inner, want_key)), want);
	json_decref(o);
}

static const char *const hostile[] = {"", "a", "\"", "\\", "\\\"", "\"}", "{", "},{",
	"\n\r\t\b\f\v", "\x01\x1f\x7f", "</script>", "\xff", "\xc0\xaf", "\xe0\x80\x80",
	"\xed\xa0\x80", "\xed\xbf\xbf", "\xf4\x8f\xbf\xbf", "\xf4\x90\x80\x80",
	"\xf8\x88\x80\x80\x80", "\xc3", "a\xc3", "\xe2\x82", "\xf0\x9f\x92", "\xf0\x9f\x92\xa9",
	"\xe2\x80\xa8", "\xe2\x80\xae", "\xef\xbb\xbf", "\xef\xbf\xbd", "\xef\xbf\xbe", "1234567",
	"12345678", "1234567\"", "12345678\"", "1234567\x1f", "\"1234567", "1234567\x80",
	"ééééééééé"};

static void test_hostile(void **st BH_UNUSED)
{
	for (size_t i = 0; i < BH_ARRAY_SIZE(hostile); i++)
		for (size_t max = 1; max < 20; max++)
			check(hostile[i], hostile[(i * 7 + max) % BH_ARRAY_SIZE(hostile)], max);
	for (size_t i = 0; i < BH_ARRAY_SIZE(hostile); i++)
		check("k", hostile[i], 512);
}

/* Every byte at every place of a word, among what needs no escape. */
static void test_each_byte(void **st BH_UNUSED)
{
	for (int c = 1; c < 256; c++)
		for (int at = 0; at < 17; at++) {
			char s[18] = "abcdefghijklmnopq";
			s[at] = (char)c;
			check("k", s, 64);
			check("k", s, 17);
			check("k", s, 9);
		}
}

static void test_random(void **st BH_UNUSED)
{
	static const char *const piece[] = {"\"", "\\", "é", "…", "\xf0\x9f\x92\xa9",
		"\xed\xa0\x80", "\xff", "\n", "abcdefgh", "\x1f", "\xe2\x82", "{", "}", ","};
	for (int i = 0; i < 50000; i++) {
		struct bh_buf bh_autobuf s = {0}, bh_autobuf k = {0};
		for (uint32_t n = below(40); n > 0; n--) {
			char c = (char)(1 + below(255));
			struct bh_buf *to = below(3) ? &s : &k;
			if (below(2))
				bh_buf_add(to, &c, 1);
			else
				bh_buf_str(to, piece[below(BH_ARRAY_SIZE(piece))]);
		}
		check(k.s ? k.s : "", s.s ? s.s : "", 1 + below(80));
	}
}

static void check_time(int64_t us, const char *want)
{
	struct bh_buf bh_autobuf b = {0};
	char bh_autofree *full = bh_xasprintf(want ? "{\"t\":\"%s\"}" : "{\"t\":null}", want);
	bh_audit_put_open(&b, NULL);
	bh_audit_put_time(&b, "t", us);
	bh_audit_put_close(&b);
	assert_string_equal(b.s, full);
}

/* As libc has it, over all years. */
static void check_against_libc(int64_t us)
{
	char date[32];
	int64_t frac = us % 1000000;
	time_t s = (time_t)(us / 1000000);
	struct tm tm;

	if (frac < 0)
		frac += 1000000, s--;
	assert_non_null(gmtime_r(&s, &tm));
	assert_true(strftime(date, sizeof(date), "%m-%dT%H:%M:%S", &tm) > 0);
	char bh_autofree *want = bh_xasprintf("%04d-%s.%06dZ", tm.tm_year + 1900, date, (int)frac);
	check_time(us, want);
}

#define FIRST INT64_C(-62167219200000000) /* 0000-01-01 */
#define END INT64_C(253402300800000000) /* 10000-01-01 */

static void test_times(void **st BH_UNUSED)
{
	check_time(INT64_C(1700000000123456), "2023-11-14T22:13:20.123456Z");
	check_time(0, "1970-01-01T00:00:00.000000Z");
	check_time(-1, "1969-12-31T23:59:59.999999Z");
	check_time(INT64_C(951782400000000), "2000-02-29T00:00:00.000000Z");
	check_time(FIRST, "0000-01-01T00:00:00.000000Z");
	check_time(FIRST - 1, NULL);
	check_time(END - 1, "9999-12-31T23:59:59.999999Z");
	check_time(END, NULL);
	check_time(INT64_MAX, NULL);
	check_time(INT64_MIN, NULL);
	for (int64_t day = FIRST; day < END; day += INT64_C(86400000000))
		check_against_libc(day + below(86400) * INT64_C(1000000) + below(1000000));
}

static void test_numbers(void **st BH_UNUSED)
{
	static const uint64_t v[] = {0, 1, 9, 10, 99, 100, 4294967295, UINT64_MAX};
	for (size_t i = 0; i < BH_ARRAY_SIZE(v); i++) {
		struct bh_buf bh_autobuf b = {0};
		char bh_autofree *want = bh_xasprintf("{\"a\":%llu,\"b\":\"%llu\"}",
			(unsigned long long)v[i], (unsigned long long)v[i]);
		bh_audit_put_open(&b, NULL);
		bh_audit_put_u64(&b, "a", v[i]);
		bh_audit_put_u64_text(&b, "b", v[i]);
		bh_audit_put_close(&b);
		assert_string_equal(b.s, want);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_hostile),
		cmocka_unit_test(test_each_byte),
		cmocka_unit_test(test_random),
		cmocka_unit_test(test_times),
		cmocka_unit_test(test_numbers),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
