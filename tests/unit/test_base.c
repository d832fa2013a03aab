/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Labels, selectors, diagnostics and the names of things. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <bulkhead/diag.h>
#include <bulkhead/flow.h>
#include <bulkhead/url.h>

static void test_labels(void **state BH_UNUSED)
{
	struct bh_labels a = {0}, b = {0}, c;
	bh_labels_set(&a, "b", "2");
	bh_labels_set(&a, "a", "1");
	bh_labels_set(&a, "c", "");
	bh_labels_set(&a, "b", "3");
	assert_int_equal(a.n, 3);
	assert_string_equal(a.item[0].key, "a");
	assert_string_equal(bh_labels_get(&a, "b"), "3");
	assert_string_equal(bh_labels_get(&a, "c"), "");
	assert_null(bh_labels_get(&a, "d"));
	bh_labels_set(&b, "c", "");
	bh_labels_set(&b, "b", "3");
	assert_false(bh_labels_equal(&a, &b));
	bh_labels_set(&b, "a", "1");
	assert_true(bh_labels_equal(&a, &b));
	assert_true(bh_labels_hash(&a, 1) == bh_labels_hash(&b, 1));
	bh_labels_copy(&c, &a);
	bh_labels_remove(&c, "a");
	bh_labels_remove(&c, "nothing");
	assert_int_equal(c.n, 2);
	assert_false(bh_labels_equal(&a, &c));
	assert_false(bh_labels_hash(&a, 1) == bh_labels_hash(&c, 1));
	bh_labels_finish(&a);
	bh_labels_finish(&b);
	bh_labels_finish(&c);
}

static void check_value_of(const char *n64, const char *n63)
{
	static const char *const kept[] = {"web-1", "a_B.9", "x"};
	/* Too long, alike but for the end; what may not stand first, last or at all; nothing. */
	char bh_autofree *other = bh_xasprintf("%.63sZ", n64);
	const char *const strange[] = {n64, other, "_a", "a.", "a b", "\x1b[31m", "\xff!", ""};
	char *seen[BH_ARRAY_SIZE(strange)];

	for (size_t i = 0; i < BH_ARRAY_SIZE(kept); i++) {
		char bh_autofree *v = bh_label_value_of(kept[i]);
		assert_string_equal(v, kept[i]);
	}
	char bh_autofree *longest = bh_label_value_of(n63);
	assert_string_equal(longest, n63);
	for (size_t i = 0; i < BH_ARRAY_SIZE(strange); i++) {
		seen[i] = bh_label_value_of(strange[i]);
		assert_true(*seen[i]);
		assert_null(bh_label_value_check(seen[i]));
		for (size_t k = 0; k < i; k++)
			assert_string_not_equal(seen[i], seen[k]);
	}
	for (size_t i = 0; i < BH_ARRAY_SIZE(strange); i++)
		free(seen[i]);
}

static void test_label_syntax(void **state BH_UNUSED)
{
	static const char n63[] = "a23456789012345678901234567890123456789012345678901234567890123";
	static const char *const good[] = {"a", "app", "A_b-c.d", "example.com/app",
		"app.kubernetes.io/name", "1/2", n63, "a.b-c.d/x"};
	static const char *const bad[] = {"", "/", "a/", "/a", "a/b/c", "-a", "a-", ".a", "a b",
		"ä", "Example.com/a", "a..b/c", "a-.b/c", ".a/b", "a./b", "a_b/c", "a\n", "a:b"};
	for (size_t i = 0; i < BH_ARRAY_SIZE(good); i++)
		assert_null(bh_label_key_check(good[i]));
	for (size_t i = 0; i < BH_ARRAY_SIZE(bad); i++)
		if (!bh_label_key_check(bad[i]))
			fail_msg("key \"%s\" was accepted", bad[i]);
	char text[400];
	snprintf(text, sizeof(text), "%s4", n63);
	assert_non_null(bh_label_key_check(text));
	assert_non_null(bh_label_value_check(text));
	memset(text, 'a', sizeof(text));
	strcpy(text + 253, "/x");
	assert_null(bh_label_key_check(text));
	memset(text, 'a', sizeof(text));
	strcpy(text + 254, "/x");
	assert_non_null(bh_label_key_check(text));
	check_value_of(text, n63);
	assert_null(bh_label_value_check(""));
	assert_null(bh_label_value_check(n63));
	assert_null(bh_label_value_check("a_B.9"));
	assert_non_null(bh_label_value_check("a/b"));
	assert_non_null(bh_label_value_check("_a"));
	assert_non_null(bh_label_value_check("a b"));
}

static void test_selector_semantics(void **state BH_UNUSED)
{
	static const char *const ab[] = {"b", "a", "b"};
	static const struct {
		enum bh_selector_op op;
		size_t n;
		bool on_a, on_c, on_empty, absent;
	} t[] = {
		{BH_SEL_IN, 3, true, false, false, false},
		{BH_SEL_NOT_IN, 3, false, true, true, true},
		{BH_SEL_EXISTS, 0, true, true, true, false},
		{BH_SEL_NOT_EXISTS, 0, false, false, false, true},
		{BH_SEL_IN, 0, false, false, false, false},
	};
	for (size_t i = 0; i < BH_ARRAY_SIZE(t); i++) {
		struct bh_selector s = {0};
		struct bh_labels l = {0};
		bh_selector_add(&s, "k", t[i].op, ab, t[i].n);
		assert_int_equal(bh_selector_matches(&s, &l), t[i].absent);
		bh_labels_set(&l, "k", "a");
		assert_int_equal(bh_selector_matches(&s, &l), t[i].on_a);
		bh_labels_set(&l, "k", "c");
		assert_int_equal(bh_selector_matches(&s, &l), t[i].on_c);
		bh_labels_set(&l, "k", "");
		assert_int_equal(bh_selector_matches(&s, &l), t[i].on_empty);
		bh_selector_finish(&s);
		bh_labels_finish(&l);
	}
}

static void test_selector_canonical(void **state BH_UNUSED)
{
	static const char *const one[] = {"x", "y"}, *const two[] = {"y", "x", "x"};
	static const char *const web[] = {"web"};
	struct bh_selector a = {0}, b = {0}, c, none = {0};
	struct bh_buf out = {0};
	struct bh_labels l = {0};

	bh_selector_add(&a, "tier", BH_SEL_IN, one, 2);
	bh_selector_add(&a, "app", BH_SEL_IN, web, 1);
	bh_selector_add(&a, "old", BH_SEL_NOT_EXISTS, NULL, 0);
	bh_selector_add(&a, "z", BH_SEL_EXISTS, NULL, 0);
	bh_selector_add(&a, "q", BH_SEL_NOT_IN, web, 1);
	bh_selector_add(&b, "q", BH_SEL_NOT_IN, web, 1);
	bh_selector_add(&b, "z", BH_SEL_EXISTS, NULL, 0);
	bh_selector_add(&b, "app", BH_SEL_IN, web, 1);
	bh_selector_add(&b, "app", BH_SEL_IN, web, 1);
	bh_selector_add(&b, "old", BH_SEL_NOT_EXISTS, NULL, 0);
	assert_false(bh_selector_equal(&a, &b));
	bh_selector_add(&b, "tier", BH_SEL_IN, two, 3);
	assert_true(bh_selector_equal(&a, &b));
	bh_selector_copy(&c, &a);
	assert_true(bh_selector_equal(&a, &c));
	bh_selector_format(&c, &out);
	assert_string_equal(out.s, "app=web,!old,q notin (web),tier in (x,y),z");
	bh_buf_finish(&out);
	bh_selector_format(&none, &out);
	assert_string_equal(out.s, "<all>");
	bh_buf_finish(&out);
	assert_true(bh_selector_matches(&none, &l));
	bh_selector_finish(&a);
	bh_selector_finish(&b);
	bh_selector_finish(&c);
}

static void expect_parsed(const char *text, const char *want)
{
	struct bh_selector s = {0}, again = {0};
	struct bh_buf bh_autobuf out = {0};
	const char *why = NULL;
	if (bh_selector_parse(text, &s, &why) < 0)
		fail_msg("\"%s\": %s", text, why);
	bh_selector_format(&s, &out);
	assert_string_equal(out.s, want);
	assert_int_equal(bh_selector_parse(out.s, &again, &why), 0);
	assert_true(bh_selector_equal(&s, &again));
	bh_selector_finish(&s);
	bh_selector_finish(&again);
}

static void test_selector_parse(void **state BH_UNUSED)
{
	static const char *const bad[] = {"", ",", "a=b,", "a=b,,c", "=b", "a b", "a in", "a in b",
		"a in (b", "a in (b,c d)", "!", "!a=b", "a=b c", "a=-b", "-a", "a in (b)x", "a/b/c",
		"a=b;c", "a==b==c", "a!b", "a(", "\xff=b", "a=\n"};
	expect_parsed("app=web", "app=web");
	expect_parsed(" tier in ( db , cache ),app==web ", "app=web,tier in (cache,db)");
	expect_parsed(
		"a!=b,!old,new,index=1,in in (x),notin", "a notin (b),in=x,index=1,new,notin,!old");
	expect_parsed("a notin(b,b)", "a notin (b)");
	expect_parsed("a=,b in (,c)", "a=,b in (,c)");
	expect_parsed("x.io/y=z", "x.io/y=z");
	expect_parsed("<all>", "<all>");
	for (size_t i = 0; i < BH_ARRAY_SIZE(bad); i++) {
		struct bh_selector s = {0};
		const char *why = NULL;
		if (bh_selector_parse(bad[i], &s, &why) == 0)
			fail_msg("accepted: \"%s\"", bad[i]);
		assert_non_null(why);
		assert_int_equal(s.n, 0);
	}
	struct bh_buf bh_autobuf many = {0};
	struct bh_selector s = {0};
	const char *why = NULL;
	bh_buf_str(&many, "a in (");
	for (int i = 0; i < 300; i++)
		bh_buf_printf(&many, "%d,", i);
	bh_buf_str(&many, "x)");
	assert_int_equal(bh_selector_parse(many.s, &s, &why), -EINVAL);
	for (int i = 0; i < 1000; i++)
		bh_buf_str(&many, ",aaaa");
	assert_int_equal(bh_selector_parse(many.s, &s, &why), -EINVAL);
	assert_string_equal(why, "too long");
}

static void test_diag_text(void **state BH_UNUSED)
{
	static const struct {
		const char *s;
		size_t len;
		const char *want;
	} t[] = {
		{"plain", 5, "plain"},
		{"a\0b\n\t\x1b[31m\x7f", 11, "a\\x00b\\n\\t\\x1b[31m\\x7f"},
		{"\xc0\xaf\xff", 3, "\\xc0\\xaf\\xff"},
		{"gr\xc3\xbcn", 5, "gr\xc3\xbcn"},
		{"\xe2\x80\xae!", 4, "\\u202e!"},
		{"\xc2\x9b", 2, "\\u009b"},
		{"\xe2\x82", 2, "\\xe2\\x82"},
	};
	for (size_t i = 0; i < BH_ARRAY_SIZE(t); i++) {
		char *q = bh_diag_quote(t[i].s, t[i].len);
		assert_string_equal(q, t[i].want);
		free(q);
	}
	char long_text[200];
	memset(long_text, 'x', sizeof(long_text));
	char *q = bh_diag_quote(long_text, sizeof(long_text));
	assert_int_equal(strlen(q), 60 + strlen("…"));
	free(q);
	memset(long_text, 1, sizeof(long_text)); /* never cut inside an escape */
	q = bh_diag_quote(long_text, sizeof(long_text));
	assert_string_equal(q, "\\x01\\x01\\x01\\x01\\x01\\x01\\x01\\x01\\x01\\x01\\x01\\x01\\x01"
			       "\\x01\\x01…");
	free(q);
}

static void test_diags(void **state BH_UNUSED)
{
	struct bh_diags d = {0}, more = {0};
	struct bh_buf out = {0};
	bh_diag_add(&d, BH_ERROR, "b.yaml", 2, 3, "spec.x", "do y", "bad %d", 1);
	bh_diag_add(&d, BH_WARNING, "a.yaml", 9, 0, NULL, NULL, "odd");
	bh_diag_add(&more, BH_ERROR, "b.yaml", 2, 3, NULL, NULL, "second of its place");
	bh_diag_add(&more, BH_ERROR, "b.yaml", 1, 9, NULL, NULL, "first");
	bh_diag_add(&more, BH_ERROR, "b\033.yaml", 0, 0, NULL, NULL, "whole");
	bh_diags_move(&d, &more);
	assert_int_equal(more.n, 0);
	bh_diags_sort(&d);
	bh_diags_format(&d, &out);
	assert_string_equal(out.s, "a.yaml:9: warning: odd\n"
				   "b\\x1b.yaml: whole\n"
				   "b.yaml:1:9: first\n"
				   "b.yaml:2:3: spec.x: bad 1; do y\n"
				   "b.yaml:2:3: second of its place\n");
	assert_int_equal(d.n_errors, 4);
	bh_buf_finish(&out);
	for (int i = 0; i < 2 * BH_DIAGS_MAX; i++)
		bh_diag_add(&d, BH_ERROR, "c", i, 1, NULL, NULL, "x");
	assert_int_equal(d.n, BH_DIAGS_MAX);
	assert_int_equal(d.n_suppressed, BH_DIAGS_MAX + 5);
	assert_int_equal(d.n_errors, 4 + 2 * BH_DIAGS_MAX);
	bh_diag_add(&more, BH_ERROR, "d", 1, 1, NULL, NULL, "x");
	bh_diags_move(&d, &more);
	assert_int_equal(d.n, BH_DIAGS_MAX);
	assert_int_equal(d.n_suppressed, BH_DIAGS_MAX + 6);
	bh_diags_finish(&d);
}

static void test_urls_without_secrets(void **state BH_UNUSED)
{
	static const struct {
		const char *url, *shown;
	} all[] = {
		{"https://feeds.example/drop.txt", "https://feeds.example/drop.txt"},
		{"/etc/feeds/a?b@c", "/etc/feeds/a?b@c"},
		{"http://user:word@host:8000/list", "http://…@host:8000/list"},
		{"http://a@b@host?k=v#x", "http://…@host?…"},
		{"https://host/a@b/c?key=1&to=http://u:p@x", "https://host/a@b/c?…"},
		{"+  url: \"https://h/?key=1\"", "+  url: \"https://h/?…\""},
		{"from https://h?a to http://u@h/b now", "from https://h?… to http://…@h/b now"},
		{"://", "://"},
		{"", ""},
	};
	for (size_t i = 0; i < BH_ARRAY_SIZE(all); i++) {
		char bh_autofree *shown = bh_url_without_secrets(all[i].url);
		assert_string_equal(shown, all[i].shown);
	}
	assert_null(bh_url_without_secrets(NULL));
}

static void test_names(void **state BH_UNUSED)
{
	char buf[4];
	uint8_t p;
	enum bh_mode m;
	assert_string_equal(bh_proto_name(6, buf), "tcp");
	assert_string_equal(bh_proto_name(58, buf), "icmpv6");
	assert_string_equal(bh_proto_name(255, buf), "255");
	assert_true(bh_proto_parse("SCTP", &p) == 0 && p == 132);
	assert_true(bh_proto_parse("0", &p) == 0 && p == 0);
	assert_true(bh_proto_parse("255", &p) == 0 && p == 255);
	assert_int_equal(bh_proto_parse("256", &p), -EINVAL);
	assert_int_equal(bh_proto_parse("", &p), -EINVAL);
	assert_int_equal(bh_proto_parse("06", &p), -EINVAL);
	for (unsigned i = BH_MODE_LEARN; i <= BH_MODE_ENFORCE; i++)
		assert_true(bh_mode_parse(bh_mode_name((enum bh_mode)i), &m) == 0 && m == i);
	assert_int_equal(bh_mode_parse("Learn", &m), -EINVAL);
	assert_string_equal(bh_reason_name(BH_REASON_UNKNOWN_WORKLOAD), "unknown-workload");
	assert_string_equal(bh_verdict_name(BH_REJECT), "reject");
	assert_string_equal(bh_direction_name(BH_INGRESS), "ingress");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_labels),
		cmocka_unit_test(test_label_syntax),
		cmocka_unit_test(test_selector_semantics),
		cmocka_unit_test(test_selector_canonical),
		cmocka_unit_test(test_selector_parse),
		cmocka_unit_test(test_diag_text),
		cmocka_unit_test(test_diags),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_urls_without_secrets),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
