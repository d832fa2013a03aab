/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What is kept of JSON, in whatever pieces it comes. */
// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on
#include <errno.h>

#include "http/sieve.h"

static const struct bh_sieve_path each[] = {{"*", NULL}, {NULL, NULL}};
static const struct bh_sieve_path item[] = {{"Id", NULL}, {NULL, NULL}};
static const struct bh_sieve_path items[] = {{"[]", item}, {NULL, NULL}};
static const struct bh_sieve_path whole[] = {
	{"Id", NULL}, {"Labels", each}, {"List", items}, {"[]", each}, {NULL, NULL}};

/* In pieces of `piece` bytes. */
static int sieve(struct bh_sieve *s, const char *text, size_t len, size_t piece, size_t max)
{
	bh_sieve_init(s, whole, max);
	for (size_t at = 0; at < len; at += piece) {
		int r = bh_sieve_feed(s, text + at, len - at < piece ? len - at : piece);
		if (r)
			return r;
	}
	return bh_sieve_end(s);
}

static void test_kept(void **state)
{
	(void)state;
	static const struct {
		const char *text, *kept;
	} all[] = {
		{"{}", "{}"},
		{" [ ] \n", "[]"},
		{"7", "7"},
		{"{\"Id\" : \"a\\\"b\", \"x\" : {\"Id\":[1,{\"}\":\"]\\\\\"}]}, \"Labels\":{}}",
			"{\"Id\":\"a\\\"b\",\"Labels\":{}}"},
		{"{\"x\":1,\"Labels\":{\"a\":\"b\",\"c\":[[[]],{}],\"d\":{\"e\":1},\"f\":-1.5e3}}",
			"{\"Labels\":{\"a\":\"b\",\"c\":[],\"d\":{},\"f\":-1.5e3}}"},
		{"{\"Id\":{\"Id\":\"x\"},\"Labels\":null}", "{\"Id\":{},\"Labels\":null}"},
		{"{\"List\":[{\"Id\":\"1\",\"y\":0},7,{},{\"Id\":\"2\"}],\"[]\":1}",
			"{\"List\":[{\"Id\":\"1\"},7,{},{\"Id\":\"2\"}]}"},
		{"[{\"a\":\"\\ud83d\\ude00\",\"b\":true},false]",
			"[{\"a\":\"\\ud83d\\ude00\",\"b\":true},false]"},
		{"{\"Labels\":{\"a\\u0000\":1,\"\\n\":2,\"b\":\"\\u0000\"}}",
			"{\"Labels\":{\"a\\\\u0000\":1,\"\\\\n\":2,\"b\":\"\\u0000\"}}"},
		{"{\"Labels\":{\"\\\\\\\"\":1}}", "{\"Labels\":{\"\\\\\\\\\\\\\\\"\":1}}"},
		{"{\"id\":1,\"Id \":2,\"I\\u0064\":3,\"Labels\":[{\"a\":1}]}", "{\"Labels\":[]}"},
	};
	for (size_t i = 0; i < BH_ARRAY_SIZE(all); i++)
		for (size_t piece = 1; piece < 80; piece++) {
			struct bh_sieve s;
			assert_int_equal(
				sieve(&s, all[i].text, strlen(all[i].text), piece, 1000), 0);
			assert_string_equal(s.out.s, all[i].kept);
			bh_sieve_finish(&s);
		}
}

static void test_no_json(void **state)
{
	(void)state;
	static const char *const all[] = {"", " ", "{", "[", "{\"Id\":", "{\"Id\":\"a", "<html>",
		"{\"Id\"}", "{\"Id\" \"a\"}", "{,}", "{\"Id\":1]", "[1}", "{}{}", "[1 2]", "{Id:1}",
		"[\"\\ud8zz\"]", "}", "\"a", "{\"x\":{\"}"};
	for (size_t i = 0; i < BH_ARRAY_SIZE(all); i++) {
		struct bh_sieve s;
		assert_int_equal(sieve(&s, all[i], strlen(all[i]), 3, 1000), -EBADMSG);
		bh_sieve_finish(&s);
	}
}

static void fill(struct bh_buf *b, const char *what, size_t n)
{
	while (n--)
		bh_buf_str(b, what);
}

/* What is long is cut between characters, and left out where it is a key; what is not kept may be
 * as long as it likes. */
static void test_bounds(void **state)
{
	(void)state;
	static const char *const what[] = {"a", "\xc3\xa4", "\xf0\x9f\x98\x80", "\\n", "\\u00e4",
		"\\ud83d\\ude00", "\\ud83d\\ud83d"};
	for (size_t i = 0; i < BH_ARRAY_SIZE(what); i++) {
		size_t n = 3 * BH_SIEVE_MAX_STRING / strlen(what[i]);
		struct bh_buf bh_autobuf b = {0}, bh_autobuf want = {0};
		struct bh_sieve s;
		bh_buf_str(&b, "{\"Id\":\"");
		fill(&b, what[i], n);
		bh_buf_str(&b, "\",\"x\":\"");
		fill(&b, what[i], 20 * n);
		bh_buf_str(&b, "\",\"Labels\":{\"");
		fill(&b, what[i], n);
		bh_buf_str(&b, "\":1,\"k\":2}}");
		assert_int_equal(sieve(&s, b.s, b.len, 1000, 2 * BH_SIEVE_MAX_STRING), 0);
		bh_buf_str(&want, "{\"Id\":\"");
		fill(&want, what[i], (BH_SIEVE_MAX_STRING - 12) / strlen(what[i]));
		assert_int_equal(strncmp(s.out.s, want.s, want.len), 0);
		assert_true(s.out.len < BH_SIEVE_MAX_STRING + 100);
		const char *rest = s.out.s + want.len;
		while (strncmp(rest, what[i], strlen(what[i])) == 0)
			rest += strlen(what[i]);
		assert_string_equal(rest, "\",\"Labels\":{\"k\":2}}");
		bh_sieve_finish(&s);
		assert_int_equal(sieve(&s, b.s, b.len, 1000, 100), -EFBIG);
		assert_true(s.out.len <= 100);
		bh_sieve_finish(&s);
	}
}

static void test_deep(void **state)
{
	(void)state;
	static const char *const open[] = {"[", "{\"x\":", "{\"x\":[", "[["};
	for (size_t i = 0; i < BH_ARRAY_SIZE(open); i++) {
		struct bh_buf bh_autobuf b = {0};
		struct bh_sieve s;
		fill(&b, open[i], 3 * BH_SIEVE_MAX_SKIPPED);
		assert_int_equal(sieve(&s, b.s, b.len, 4096, 1000), -EBADMSG);
		bh_sieve_finish(&s);
	}
	struct bh_buf bh_autobuf number = {0};
	struct bh_sieve s;
	fill(&number, "1", 1000);
	assert_int_equal(sieve(&s, number.s, number.len, 10, 10000), -EBADMSG);
	assert_true(s.out.len <= BH_SIEVE_MAX_TOKEN);
	bh_sieve_finish(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_kept),
		cmocka_unit_test(test_no_json),
		cmocka_unit_test(test_bounds),
		cmocka_unit_test(test_deep),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
