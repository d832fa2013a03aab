/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What scalars are, and the typed readers every loader uses. */
#include "doc_result.h"

static void test_scalar_types(void **state BH_UNUSED)
{
	static const struct {
		const char *text;
		enum bh_scalar_type type;
	} t[] = {
		{"~", BH_SCALAR_NULL},
		{"null", BH_SCALAR_NULL},
		{"Null", BH_SCALAR_NULL},
		{"nULL", BH_SCALAR_STRING},
		{"true", BH_SCALAR_BOOL},
		{"FALSE", BH_SCALAR_BOOL},
		{"tRue", BH_SCALAR_STRING},
		{"0", BH_SCALAR_INT},
		{"-17", BH_SCALAR_INT},
		{"+5", BH_SCALAR_INT},
		{"0x1F", BH_SCALAR_INT},
		{"-0x1F", BH_SCALAR_AMBIGUOUS},
		{"0x", BH_SCALAR_STRING},
		{"0xg", BH_SCALAR_STRING},
		{"0o17", BH_SCALAR_AMBIGUOUS},
		{"0o18", BH_SCALAR_STRING},
		{"0b101", BH_SCALAR_AMBIGUOUS},
		{"0b102", BH_SCALAR_STRING},
		{"012", BH_SCALAR_AMBIGUOUS},
		{"08", BH_SCALAR_AMBIGUOUS},
		{"-012", BH_SCALAR_AMBIGUOUS},
		{"00", BH_SCALAR_AMBIGUOUS},
		{"1_000", BH_SCALAR_AMBIGUOUS},
		{"8_0", BH_SCALAR_AMBIGUOUS},
		{"1_0.5", BH_SCALAR_AMBIGUOUS},
		{"0x_1F", BH_SCALAR_AMBIGUOUS},
		{"_1", BH_SCALAR_STRING},
		{"1_a", BH_SCALAR_STRING},
		{"12:30", BH_SCALAR_AMBIGUOUS},
		{"1:30:59", BH_SCALAR_AMBIGUOUS},
		{"190:20:30.15", BH_SCALAR_AMBIGUOUS},
		{"12:60", BH_SCALAR_STRING},

		{"1.5", BH_SCALAR_FLOAT},
		{"1.", BH_SCALAR_FLOAT},
		{".5", BH_SCALAR_FLOAT},
		{"-1e3", BH_SCALAR_FLOAT},
		{"1e", BH_SCALAR_STRING},
		{".", BH_SCALAR_STRING},
		{"+.", BH_SCALAR_STRING},

		{".inf", BH_SCALAR_FLOAT},
		{"-.INF", BH_SCALAR_FLOAT},
		{".nan", BH_SCALAR_FLOAT},
		{"-.nan", BH_SCALAR_STRING},
		{"y", BH_SCALAR_AMBIGUOUS},
		{"N", BH_SCALAR_AMBIGUOUS},
		{"yes", BH_SCALAR_AMBIGUOUS},
		{"yEs", BH_SCALAR_STRING},
		{"on", BH_SCALAR_AMBIGUOUS},
		{"Off", BH_SCALAR_AMBIGUOUS},
		{"10.0.0.1", BH_SCALAR_STRING},
		{"10.0.0.0/8", BH_SCALAR_STRING},
		{"1.2.3", BH_SCALAR_STRING},
		{"2024-01-02", BH_SCALAR_STRING},
		{"2001:db8::1", BH_SCALAR_STRING},
		{"v1", BH_SCALAR_STRING},
		{"1h", BH_SCALAR_STRING},
		{"=", BH_SCALAR_STRING},
		{"'y'", BH_SCALAR_STRING},
		{"\"12\"", BH_SCALAR_STRING},
		{"|\n  12", BH_SCALAR_STRING},
		{"! 12", BH_SCALAR_STRING},
		{"!!str 12", BH_SCALAR_STRING},
		{"!!int '12'", BH_SCALAR_INT},
		{"!!null ''", BH_SCALAR_NULL},
		{"!!bool true", BH_SCALAR_BOOL},
		{"!!float 1.5", BH_SCALAR_FLOAT},
	};
	for (size_t i = 0; i < BH_ARRAY_SIZE(t); i++) {
		char text[100];
		snprintf(text, sizeof(text), "k: [ x ]\nv: %s\n", t[i].text);
		struct result x = parse(text);
		if (x.r != 0)
			fail_msg("refused: %s: %s", text, x.diags.item[0].what);
		const struct bh_node *v = bh_node_get(x.docs->root[0], "v");
		if (v->type != t[i].type)
			fail_msg("%s is of type %d, not %d", t[i].text, v->type, t[i].type);
		finish(&x);
	}
	struct result x = parse("y: a\n\"on\": b\n12: c\n");
	assert_int_equal(x.docs->root[0]->key[0]->type, BH_SCALAR_AMBIGUOUS);
	assert_int_equal(x.docs->root[0]->key[1]->type, BH_SCALAR_STRING);
	assert_int_equal(x.docs->root[0]->key[2]->type, BH_SCALAR_INT);
	finish(&x);
}

static void test_escaped_nul(void **state BH_UNUSED)
{
	struct result x = parse("\"a\\0b\": 1\na: 2\n\"a\\0c\": 3\nv: \"x\\0y\"\n");
	struct bh_reader r = {"f", &x.diags};
	static const char *const known[] = {"a", "v", NULL};
	const char *s = "untouched";
	assert_int_equal(x.r, 0);
	assert_string_equal(bh_node_get(x.docs->root[0], "a")->str, "2");
	assert_int_equal(x.docs->root[0]->key[0]->len, 3);
	assert_int_equal(bh_read_known_keys(&r, x.docs->root[0], NULL, known), 2);
	assert_string_equal(x.diags.item[0].what, "unknown field \"a\\x00b\"");
	assert_int_equal(bh_read_string(&r, bh_node_get(x.docs->root[0], "v"), "v", &s), -EINVAL);
	assert_string_equal(s, "untouched");
	finish(&x);
}

static void read_error(struct result *x, int r, const char *want)
{
	assert_int_equal(r, -EINVAL);
	assert_int_equal(x->diags.n, 1);
	struct bh_buf out = {0};
	bh_diags_format(&x->diags, &out);
	out.s[out.len - 1] = '\0';
	assert_string_equal(out.s, want);
	bh_buf_finish(&out);
	bh_diags_finish(&x->diags);
}

static void test_read_string_and_bool(void **state BH_UNUSED)
{
	struct result x = parse("s: text\nn: 12\ny: yes\nb: True\nz: ~\nl: []\n'': ''\n");
	struct bh_reader r = {"f", &x.diags};
	const struct bh_node *m = x.docs->root[0];
	const char *s = NULL;
	bool b = false;
	assert_int_equal(bh_read_string(&r, bh_node_get(m, "s"), "s", &s), 0);
	assert_string_equal(s, "text");
	assert_int_equal(bh_read_string(&r, bh_node_get(m, ""), "", &s), 0);
	assert_string_equal(s, "");
	read_error(&x, bh_read_string(&r, bh_node_get(m, "n"), "n", &s),
		"f:2:4: n: must be a string, not a number; write it in quotes: \"12\"");
	read_error(&x, bh_read_string(&r, bh_node_get(m, "y"), "y", &s),
		"f:3:4: y: must be a string; some YAML readers take yes for something else; write "
		"it in quotes: \"yes\"");
	read_error(&x, bh_read_string(&r, bh_node_get(m, "z"), "z", &s),
		"f:5:4: z: must be a string, not null");
	read_error(&x, bh_read_string(&r, bh_node_get(m, "l"), "l", &s),
		"f:6:4: l: must be a string, not a list");
	assert_int_equal(bh_read_bool(&r, bh_node_get(m, "b"), "b", &b), 0);
	assert_true(b);
	read_error(&x, bh_read_bool(&r, bh_node_get(m, "y"), "y", &b),
		"f:3:4: y: must be true or false; some YAML readers take yes for something else");
	read_error(&x, bh_read_seq(&r, bh_node_get(m, "y"), "y"),
		"f:3:4: y: must be a list, not a single value");
	read_error(&x, bh_read_map(&r, bh_node_get(m, "l"), "l"),
		"f:6:4: l: must be a mapping, not a list");
	read_error(&x, bh_read_seq(&r, m, NULL), "f:1:1: must be a list, not a mapping");
	finish(&x);
}

static void test_what_is_no_int(void **state BH_UNUSED)
{
	struct result x = parse("o: 080\nf: 8.5\ns: '80'\nt: http\nl: []\n'e': ''\n");
	struct bh_reader r = {"f", &x.diags};
	const struct bh_node *m = x.docs->root[0];
	int64_t v = 7;
	static const struct {
		const char *key, *want;
	} t[] = {
		{"o", "f:1:4: n: must be a whole number; some YAML readers take 080 for something "
		      "else; write it in decimal digits alone"},
		{"f", "f:2:4: n: must be a whole number, not 8.5; write it in decimal digits "
		      "alone"},
		{"s", "f:3:4: n: must be a whole number, not a string; write the number without "
		      "quotes"},
		{"t", "f:4:4: n: must be a whole number, not a string"},
		{"l", "f:5:4: n: must be a whole number, not a list"},
		{"e", "f:6:6: n: must be a whole number, not a string"},
	};
	for (size_t i = 0; i < BH_ARRAY_SIZE(t); i++)
		read_error(&x, bh_read_int(&r, bh_node_get(m, t[i].key), "n", 0, 9, &v), t[i].want);
	assert_int_equal(v, 7);
	finish(&x);
}

static void test_read_int(void **state BH_UNUSED)
{
	static const struct {
		const char *text;
		int64_t min, max, want;
		bool good;
	} t[] = {
		{"0", 0, 65535, 0, true},
		{"65535", 0, 65535, 65535, true},
		{"65536", 0, 65535, 0, false},
		{"-1", 0, 65535, 0, false},
		{"+80", 0, 65535, 80, true},
		{"0x50", 0, 65535, 80, true},
		{"0xAb", 0, 65535, 171, true},
		{"9223372036854775807", INT64_MIN, INT64_MAX, INT64_MAX, true},
		{"-9223372036854775808", INT64_MIN, INT64_MAX, INT64_MIN, true},
		{"9223372036854775808", INT64_MIN, INT64_MAX, 0, false},
		{"-9223372036854775809", INT64_MIN, INT64_MAX, 0, false},
		{"99999999999999999999999999", INT64_MIN, INT64_MAX, 0, false},
		{"0xffffffffffffffffff", INT64_MIN, INT64_MAX, 0, false},
		{"080", 0, 65535, 0, false},
		{"8_0", 0, 65535, 0, false},
		{"80.0", 0, 65535, 0, false},
		{"'80'", 0, 65535, 0, false},
		{"!!int '80'", 0, 65535, 80, true},
	};
	for (size_t i = 0; i < BH_ARRAY_SIZE(t); i++) {
		struct result x = parse(t[i].text);
		struct bh_reader r = {"f", &x.diags};
		int64_t v = 0;
		int result = bh_read_int(&r, x.docs->root[0], "v", t[i].min, t[i].max, &v);
		if ((result == 0) != t[i].good || v != t[i].want)
			fail_msg("%s: %d %lld", t[i].text, result, (long long)v);
		assert_int_equal(x.diags.n_errors, !t[i].good);
		finish(&x);
	}
}

static void test_suggestions(void **state BH_UNUSED)
{
	static const char *const known[] = {"podSelector", "policyTypes", "ingress", "to", NULL};
	static const char *const t[][2] = {
		{"podselector", "did you mean \"podSelector\"?"},
		{"ingres", "did you mean \"ingress\"?"},
		{"policyTpyes", "did you mean \"policyTypes\"?"},
		{"x", "known here: podSelector, policyTypes, ingress, to"},
		{"yo", "known here: podSelector, policyTypes, ingress, to"},
		{"aVeryLongNameThatIsNobodysSlipOfThePen",
			"known here: podSelector, policyTypes, ingress, to"},
	};
	for (size_t i = 0; i < BH_ARRAY_SIZE(t); i++) {
		char text[100];
		snprintf(text, sizeof(text), "ingress: []\n%s: 1\n", t[i][0]);
		struct result x = parse(text);
		struct bh_reader r = {"f", &x.diags};
		assert_int_equal(bh_read_known_keys(&r, x.docs->root[0], "spec", known), 1);
		assert_int_equal(x.diags.item[0].line, 2);
		assert_string_equal(x.diags.item[0].path, "spec");
		assert_string_equal(x.diags.item[0].remedy, t[i][1]);
		finish(&x);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_scalar_types),
		cmocka_unit_test(test_escaped_nul),
		cmocka_unit_test(test_read_string_and_bool),
		cmocka_unit_test(test_what_is_no_int),
		cmocka_unit_test(test_read_int),
		cmocka_unit_test(test_suggestions),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
