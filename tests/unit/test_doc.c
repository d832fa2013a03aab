/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The document reader against YAML as people write it and as nobody should: places, errors, bounds.
 * Files of data/invalid are hostile or broken streams with the lines a diagnostic may name. */
#include <time.h>

#include "doc_result.h"

/* Refused, with the first diagnostic in that place and these words in it. */
static void assert_refused(const char *text, size_t len, int line, int column, const char *words)
{
	struct result x = parse_n(text, len, NULL);
	if (x.r != -EINVAL)
		fail_msg("accepted: %s", text);
	const struct bh_diag *d = &x.diags.item[0];
	if (d->line != line || (column && d->column != column) || !strstr(d->what, words))
		fail_msg("%d:%d: %s, not %d:%d: %s, for %s", d->line, d->column, d->what, line,
			column, words, text);
	finish(&x);
}

static void refused(const char *text, int line, int column, const char *words)
{
	assert_refused(text, strlen(text), line, column, words);
}

static void test_invalid_files(void **state BH_UNUSED)
{
	static const struct {
		const char *file;
		int first, last;
	} t[] = {
		{"yaml-alias-cycle.yaml", 9, 9},
		{"yaml-bell.yaml", 9, 9},
		{"yaml-billion-laughs-lists.yaml", 7, 18},
		{"yaml-binary.yaml", 1, 1},
		{"yaml-dedent-odd.yaml", 6, 8},
		{"yaml-dup-flow.yaml", 7, 7},
		{"yaml-dup-ingress.yaml", 9, 9},
		{"yaml-json-trailing.yaml", 1, 2},
		{"yaml-many-keys.yaml", 60009, 60009},
		{"yaml-overlong-utf8.yaml", 9, 9},
		{"yaml-quadratic-alias.yaml", 7, 2010},
		{"yaml-tab-after-spaces.yaml", 8, 9},
		{"yaml-tag-local.yaml", 7, 7},
	};
	static char text[2 << 20];
	for (size_t i = 0; i < BH_ARRAY_SIZE(t); i++) {
		char path[200];
		snprintf(path, sizeof(path), "tests/unit/data/invalid/%s", t[i].file);
		FILE *f = fopen(path, "r");
		if (!f)
			fail_msg("%s: cannot be read", path);
		size_t len = fread(text, 1, sizeof(text), f);
		fclose(f);
		struct result x = parse_n(text, len, NULL);
		assert_int_equal(x.r, -EINVAL);
		if (x.diags.item[0].line < t[i].first || x.diags.item[0].line > t[i].last)
			fail_msg("%s: line %d", path, x.diags.item[0].line);
		finish(&x);
	}
}

static void test_streams(void **state BH_UNUSED)
{
	static const struct {
		const char *text;
		size_t n;
	} t[] = {
		{"", 0},
		{"\n\n", 0},
		{"# only this\n", 0},
		{"\xef\xbb\xbf", 0},
		{"a: 1", 1},
		{"\xef\xbb\xbf"
		 "a: 1\r\nb: 2\r\n",
			1},
		{"---\na: 1\n---\nb: 2\n...\n# end\n", 2},
		{"%YAML 1.1\n---\na: 1\n...\n", 1},
		{"--- # first\n...\n---\nx\n", 2},
		{"\t\n \t{\n\t\"a\":\t[1,\t2]\n}\t\n\t\n", 1},
		{"[]\n# after\n", 1},
	};
	for (size_t i = 0; i < BH_ARRAY_SIZE(t); i++) {
		struct result x = parse(t[i].text);
		if (x.r != 0)
			fail_msg("refused: %s: %s", t[i].text, x.diags.item[0].what);
		assert_int_equal(x.docs->n, t[i].n);
		finish(&x);
	}
	struct result x = parse("a: 1\n---\n---\nb: 2\n");
	assert_int_equal(x.docs->n, 3);
	assert_null(x.docs->root[1]);
	assert_int_equal(bh_node_get(x.docs->root[2], "b")->line, 4);
	finish(&x);
}

/* The sorted "key=value" pairs of the map under the key "m". */
static void merged(const char *text, const char *wanted)
{
	struct result x = parse(text);
	struct bh_buf got = {0};
	if (x.r != 0)
		fail_msg("refused: %s: %s", text, x.diags.item[0].what);
	const struct bh_node *m = bh_node_get(x.docs->root[0], "m");
	for (size_t i = 0; i < m->n; i++)
		bh_buf_printf(&got, "%s=%s ", m->key[i]->str, m->child[i]->str);
	assert_string_equal(got.s ? got.s : "", wanted);
	bh_buf_finish(&got);
	finish(&x);
}

static void test_merge_keys(void **state BH_UNUSED)
{
#define TWO "x: &x {a: 1, b: 2}\ny: &y {b: 3, c: 4}\n"
	merged(TWO "m: {<<: *x}\n", "a=1 b=2 ");
	merged(TWO "m: {<<: *x, b: 9, d: 5}\n", "b=9 d=5 a=1 ");
	merged(TWO "m: {d: 5, <<: *x, b: 9}\n", "d=5 b=9 a=1 ");
	merged(TWO "m: {<<: [*x, *y]}\n", "a=1 b=2 c=4 ");
	merged(TWO "m: {<<: [*y, *x], c: 0}\n", "c=0 b=3 a=1 ");
	merged(TWO "z: &z {<<: *x, a: 7}\nm: {<<: [*z, *y]}\n", "a=7 b=2 c=4 ");
	merged("m: {<<: {a: 1}}\n", "a=1 ");
	merged("m: {<<: []}\n", "");
	merged("m: {<<: {}}\n", "");
	merged("m: {\"<<\": 1, '<<x': 2}\n", "<<=1 <<x=2 ");

	refused(TWO "m:\n  b: 9\n  <<: *x\n", 4, 3, "disagree");
	refused(TWO "m:\n  <<: *x\n  <<: *y\n", 5, 3, "stands twice");
	refused(TWO "m:\n  <<: *x\n  d: 1\n  d: 2\n", 6, 3, "stands twice");
	refused("m:\n  <<: 5\n", 2, 7, "takes a mapping");
	refused("m:\n  <<:\n  a: 1\n", 2, 0, "takes a mapping");
	refused("x: &x [{a: 1}, 2]\nm: {<<: *x}\n", 1, 0, "takes a mapping");
	refused("m: &m\n  <<: *m\n", 2, 7, "contains it");
}

static void test_places(void **state BH_UNUSED)
{
	struct result x = parse("# gr\xc3\xbc\xc3\x9f\n"
				"k\xc3\xa9y: {\xc3\xa9: \"\xc3\xa9\", b: 2}\r\n"
				"text: |\n"
				"  one\n"
				"\n"
				"  two\n"
				"list:\n"
				"- a\n"
				"-   b\n");
	assert_int_equal(x.r, 0);
	const struct bh_node *root = x.docs->root[0], *m = root->child[0];
	assert_int_equal(m->line, 2);
	assert_int_equal(m->column, 7);
	assert_int_equal(bh_node_get_key(m, "b")->column, 18);
	assert_int_equal(bh_node_get(m, "b")->column, 21);
	assert_string_equal(bh_node_get(root, "text")->str, "one\n\ntwo\n");
	assert_int_equal(bh_node_get_key(root, "list")->line, 7);
	assert_int_equal(bh_node_get(root, "list")->child[1]->line, 9);
	assert_int_equal(bh_node_get(root, "list")->child[1]->column, 5);
	assert_null(bh_node_get(root, "nothing"));
	assert_null(bh_node_get(m->child[0], "x")); /* not a map */
	finish(&x);
}

static void test_refused(void **state BH_UNUSED)
{
	refused("a: 1\na: 2\n", 2, 1, "stands twice, first in line 1");
	refused("a: 1\n'a': 2\n", 2, 1, "stands twice");
	refused("{a: 1, b: {c: 1, c: 2}}", 1, 18, "\"c\" stands twice");
	refused("? [a]\n: b\n", 1, 3, "a key must be a scalar");
	refused("? {a: b}\n: b\n", 1, 3, "a key must be a scalar");
	refused("a: &x [1]\n*x : 2\n", 2, 1, "a key must be a scalar");
	refused("a: !foo b\n", 1, 4, "unsupported tag \"!foo\"");
	refused("a: !foo {}\n", 1, 4, "unsupported tag");
	refused("a: !!set {}\n", 1, 4, "unsupported tag \"!!set\"");
	refused("a: !!map []\n", 1, 4, "unsupported tag");
	refused("a: !!int x\n", 1, 4, "does not fit its tag");
	refused("%TAG ! tag:example.com,2000:\n---\n!x a\n", 3, 1, "unsupported tag");
	refused("a: *x\n", 1, 4, "unknown anchor \"x\"");
	refused("a: &x\n  b: *x\n", 2, 6, "contains it");
	refused("a: &x [*x]\n", 1, 8, "contains it");
	refused("a: &x 1\n---\na: *x\n", 3, 4, "unknown anchor");
	refused("a: [1\n", 1, 4, "did not find");
	refused("a: 'b\n", 1, 4, "unexpected end");
	refused("{}x\n", 1, 3, "<document start>");
	refused("{} {}\n", 1, 4, "<document start>");
	refused("[1]\n[2]\n", 2, 1, "<document start>");
	refused("a:\n\tb: 1\n", 2, 1, "cannot start");
	refused("a:\n    b: 1\n  c: 2\n", 3, 3, "did not find");
	refused("# \xc3\xa9\xc3\xa9 \xc0\xaf\n", 1, 8, "not UTF-8: byte 0xc0");
	refused("a: 1\r\nb: \xed\xa0\x80\n", 2, 4, "not UTF-8"); /* a surrogate */
	refused("a: \xf4\x90\x80\x80\n", 1, 4, "not UTF-8"); /* above U+10FFFF */
	refused("a: \xe2\x82", 1, 4, "not UTF-8");
	refused("a: 1\rb: \x01\n", 2, 4, "U+0001");
	refused("a: \x7f\n", 1, 4, "U+007F");
	refused("# note\xe2\x80\xa8"
		"b: 1\n",
		1, 7, "U+2028");
	refused("# note\xc2\x85"
		"b: 1\n",
		1, 7, "U+0085");
	refused("a: 1\n\xef\xbb\xbf"
		"b: 1\n",
		2, 1, "byte order mark");
	assert_refused("a: 1\nb: \0\n", 10, 2, 4, "NUL byte");
	assert_refused("\xff\xfe"
		       "a\0",
		4, 1, 1, "not UTF-8");
	refused("a: \"\\ud83d\"\n", 1, 0, "escape");
}

/* Not one error only: whatever leaves the structure whole is collected. */
static void test_all_errors(void **state BH_UNUSED)
{
	struct result x = parse("a: !x 1\na: 2\nb: {c: !y 1, c: 2}\n");
	struct bh_buf out = {0};
	assert_int_equal(x.diags.n_errors, 4);
	bh_diags_sort(&x.diags);
	bh_diags_format(&x.diags, &out);
	assert_string_equal(out.s,
		"f:1:4: unsupported tag \"!x\"; remove the tag\n"
		"f:2:1: the key \"a\" stands twice, first in line 1; remove one of the two\n"
		"f:3:8: unsupported tag \"!y\"; remove the tag\n"
		"f:3:14: the key \"c\" stands twice, first in line 3; remove one of the two\n");
	bh_buf_finish(&out);
	finish(&x);
}

static void test_aliases(void **state BH_UNUSED)
{
	struct result x = parse("a: &x [1, &y two]\nb: *x\nc: *y\n*y : 4\n---\n&x a: *x\n");
	assert_int_equal(x.r, 0);
	const struct bh_node *root = x.docs->root[0];
	assert_ptr_equal(bh_node_get(root, "a"), bh_node_get(root, "b"));
	assert_string_equal(bh_node_get(root, "c")->str, "two");
	assert_string_equal(bh_node_get(root, "two")->str, "4");
	assert_string_equal(bh_node_get(x.docs->root[1], "a")->str, "a");
	finish(&x);
	x = parse("a: &x 1\nb: &x 2\nc: *x\n"); /* the latest counts */
	assert_string_equal(bh_node_get(x.docs->root[0], "c")->str, "2");
	finish(&x);
}

static void repeat(struct bh_buf *b, const char *s, size_t n)
{
	while (n--)
		bh_buf_str(b, s);
}

static void refused_buf(
	struct bh_buf *b, const struct bh_doc_limits *limits, int line, const char *words)
{
	struct result x = parse_n(b->s, b->len, limits);
	if (x.r != -EINVAL || x.diags.item[0].line != line || !strstr(x.diags.item[0].what, words))
		fail_msg("%d: line %d: %s, not line %d: %s", x.r,
			x.diags.n ? x.diags.item[0].line : 0,
			x.diags.n ? x.diags.item[0].what : "nothing", line, words);
	finish(&x);
	bh_buf_finish(b);
}

static void test_limits(void **state BH_UNUSED)
{
	const struct bh_doc_limits small = {
		.max_bytes = 1000, .max_nodes = 20, .max_depth = 4, .max_documents = 3};
	struct bh_buf b = {0};
	struct result x = parse_n("[[[[]]]]", 8, &small);
	assert_int_equal(x.r, 0);
	finish(&x);
	bh_buf_str(&b, "\n[[[[[]]]]]");
	refused_buf(&b, &small, 2, "deeper than 4");
	bh_buf_str(&b, "a: &x [[[]]]\n\nb: [*x]\n"); /* an alias counts where it is used */
	refused_buf(&b, &small, 3, "deeper than 4");
	repeat(&b, "- a\n", 19);
	x = parse_n(b.s, b.len, &small);
	assert_int_equal(x.r, 0);
	finish(&x);
	bh_buf_str(&b, "- a\n");
	refused_buf(&b, &small, 20, "more than 20 nodes");
	bh_buf_str(&b, "- &x [1, 2, 3, 4]\n- *x\n- *x\n- *x\n");
	refused_buf(&b, &small, 4, "more than 20 nodes");
	repeat(&b, "--- a\n", 3);
	x = parse_n(b.s, b.len, &small);
	assert_int_equal(x.r, 0);
	finish(&x);
	bh_buf_str(&b, "--- a\n");
	refused_buf(&b, &small, 4, "more than 3 documents");
	bh_buf_str(&b, "- &x ");
	repeat(&b, "a", 600);
	bh_buf_str(&b, "\n- *x\n");
	refused_buf(&b, &small, 2, "more than 1000 bytes");
	repeat(&b, "# xxxx\n", 143);
	refused_buf(&b, &small, 1, "more than 1000 bytes");
}

static void test_default_limits(void **state BH_UNUSED)
{
	struct bh_buf b = {0};
	repeat(&b, "[", 100000);
	refused_buf(&b, NULL, 1, "deeper than 64");
	repeat(&b, "- ", 100000);
	refused_buf(&b, NULL, 1, "deeper than 64");
	for (int i = 0; i < 1001; i++)
		bh_buf_printf(&b, "- &a%d x\n", i);
	refused_buf(&b, NULL, 1001, "too many anchors");
	bh_buf_str(&b, "- &a x\n");
	repeat(&b, "- *a\n", 501);
	refused_buf(&b, NULL, 502, "too many aliases");
	for (int i = 0; i < 17; i++)
		bh_buf_printf(&b, "%%TAG !a%d! tag:x,1:\n", i);
	refused_buf(&b, NULL, 17, "%TAG");
	repeat(&b, "#", bh_doc_default_limits.max_bytes + 1);
	refused_buf(&b, NULL, 1, "bytes");
}

/* Nothing in a stream of the greatest size may cost quadratic time. Seconds would be that. */
static void test_time(void **state BH_UNUSED)
{
	struct bh_buf b = {0};
	struct timespec from, to;
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &from);
	for (int i = 0; i < 190000; i++) /* all in one line, not ASCII */
		bh_buf_printf(&b, "%s\xc3\xa9%d: 1", i ? ", " : "{", i);
	bh_buf_str(&b, "}");
	struct result x = parse_n(b.s, b.len, NULL);
	assert_int_equal(x.r, 0);
	finish(&x);
	bh_buf_finish(&b);
	repeat(&b, "k: 1\n", 190000);
	x = parse_n(b.s, b.len, NULL);
	assert_int_equal(x.r, -EINVAL);
	assert_int_equal(x.diags.n_errors, 189999);
	finish(&x);
	bh_buf_finish(&b);
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &to);
	assert_true(to.tv_sec - from.tv_sec < 15);
}

static void test_json(void **state BH_UNUSED)
{
	struct result x =
		parse("{\"a\": \"\\/ \\ud83d\\ude00 \\\\ud83d\\\\ude00 \\u00e9\",\n\t\"b\": 1}");
	assert_int_equal(x.r, 0);
	assert_string_equal(bh_node_get(x.docs->root[0], "a")->str,
		"/ \xf0\x9f\x98\x80 \\ud83d\\ude00 \xc3\xa9");
	assert_int_equal(bh_node_get(x.docs->root[0], "b")->line, 2);
	finish(&x);
	refused("{\"a\": \"\\ud83d \\ude00\"}", 1, 0, "escape");
	refused("{\"a\": \"\\ude00\\ud83d\"}", 1, 0, "escape");
	refused("{\"a\": \"\\ud83d", 1, 0, "");
	refused("{\"a\": \"\\", 1, 0, "");
	x = parse("{\"a\": \"x\ty\"}\t"); /* inside of a string a tab stays */
	assert_string_equal(bh_node_get(x.docs->root[0], "a")->str, "x\ty");
	finish(&x);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_invalid_files),
		cmocka_unit_test(test_streams),
		cmocka_unit_test(test_merge_keys),
		cmocka_unit_test(test_places),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_all_errors),
		cmocka_unit_test(test_aliases),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_default_limits),
		cmocka_unit_test(test_time),
		cmocka_unit_test(test_json),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
