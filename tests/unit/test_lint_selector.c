/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What selectors imply and when they contradict themselves. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <bulkhead/lint.h>

#define T(f) cmocka_unit_test(f)

/* "a=1,b in (x,y),c notin (z),d,!e" without parsing: built by hand. */
static struct bh_selector sel(const char *text)
{
	struct bh_selector s = {0};
	char bh_autofree *copy = bh_xstrdup(text);
	char *save = NULL;
	for (char *t = strtok_r(copy, " ", &save); t; t = strtok_r(NULL, " ", &save)) {
		const char *value[8];
		size_t n = 0;
		char *eq = strchr(t, '='), *in = NULL;
		bool not = *t == '!';
		t += not ;
		if (eq)
			*eq = '\0';
		for (char *v = eq ? strtok_r(eq + 1, "|", &in) : NULL; v;
			v = strtok_r(NULL, "|", &in))
			value[n++] = v;
		bh_selector_add(&s, t,
			n ? (not ? BH_SEL_NOT_IN : BH_SEL_IN)
			  : (not ? BH_SEL_NOT_EXISTS : BH_SEL_EXISTS),
			value, n);
	}
	return s;
}

static void check_implies(const char *a, const char *b, bool wanted)
{
	struct bh_selector x = sel(a), y = sel(b);
	if (bh_selector_implies(&x, &y) != wanted)
		fail_msg("\"%s\" implies \"%s\": not %d", a, b, wanted);
	bh_selector_finish(&x);
	bh_selector_finish(&y);
}

static void test_implies(void **state BH_UNUSED)
{
	check_implies("", "", true);
	check_implies("a=1", "", true);
	check_implies("", "a=1", false);
	check_implies("a=1 b=2", "a=1", true);
	check_implies("a=1", "a=1 b=2", false);
	check_implies("a=1", "a=1|2", true);
	check_implies("a=1|2", "a=1", false);
	check_implies("a=1|3", "a=1|2", false);
	check_implies("a=1", "a", true);
	check_implies("a", "a=1", false);
	check_implies("a=1", "!a=2", true);
	check_implies("a=1|2", "!a=2", false);
	check_implies("!a", "!a=2", true);
	check_implies("!a=2|3", "!a=2", true);
	check_implies("!a=2", "!a=2|3", false);
	check_implies("a", "!a=2", false);
	check_implies("!a=2", "a", false);
	check_implies("!a=2", "!a", false);
	check_implies("a=1", "b=1", false);
	check_implies("a=1 c=1", "b=1", false);
	check_implies("a a=1 !a=2", "a=1|2", true);
}

static void check_contradiction(const char *text, const char *key)
{
	struct bh_selector s = sel(text);
	const char *got = bh_selector_contradiction(&s);
	if (!bh_streq(got, key))
		fail_msg("\"%s\": %s, not %s", text, got ? got : "none", key ? key : "none");
	bh_selector_finish(&s);
}

static void test_contradiction(void **state BH_UNUSED)
{
	check_contradiction("", NULL);
	check_contradiction("a=1 b=2", NULL);
	check_contradiction("a=1 a=2", "a");
	check_contradiction("a=1|2 a=2|3", NULL);
	check_contradiction("a=1|2 a=2|3 a=1|3", "a"); /* each two have one in common */
	check_contradiction("a=1|2 a=2|3 !a=2", "a");
	check_contradiction("a=1|2 !a=2", NULL);
	check_contradiction("a=1|2 !a=2 !a=1", "a");
	check_contradiction("a !a", "a");
	check_contradiction("a=1 !a", "a");
	check_contradiction("a=1 a", NULL);
	check_contradiction("a !a=1", NULL);
	check_contradiction("!a !a=1", NULL);
	check_contradiction("0=1 b=1 z !z", "z");
}

/* Both against the meaning of selectors, by trying all labels of a small universe. */
static const char *const universe[] = {NULL, "1", "2", "3"};

static bool matches(const struct bh_selector *s, unsigned world)
{
	struct bh_labels l = {0};
	for (int k = 0; k < 2; k++) {
		const char *value = universe[(world >> (2 * k)) & 3];
		if (value)
			bh_labels_set(&l, k ? "b" : "a", value);
	}
	bool r = bh_selector_matches(s, &l);
	bh_labels_finish(&l);
	return r;
}

static struct bh_selector random_selector(unsigned *seed)
{
	struct bh_selector s = {0};
	int n = rand_r(seed) % 4;
	for (int i = 0; i < n; i++) {
		const char *value[3];
		size_t m = 0;
		enum bh_selector_op op = (enum bh_selector_op)(rand_r(seed) % 4);
		for (int v = 1; v < 4 && op <= BH_SEL_NOT_IN; v++)
			if (rand_r(seed) % 2 || (v == 3 && m == 0))
				value[m++] = universe[v];
		bh_selector_add(&s, rand_r(seed) % 2 ? "a" : "b", op, value, m);
	}
	return s;
}

/* Without an In there are values outside of the universe: fine for implies, which must be sound;
 * for contradictions the universe has a fourth value. */
static void test_random_selectors(void **state BH_UNUSED)
{
	unsigned seed = 1, implied = 0, contradictions = 0;
	for (int round = 0; round < 50000; round++) {
		struct bh_selector a = random_selector(&seed), b = random_selector(&seed);
		bool possible = false;
		for (unsigned w = 0; w < 16; w++) {
			possible |= matches(&a, w);
			if (bh_selector_implies(&a, &b) && matches(&a, w))
				assert_true(matches(&b, w));
		}
		implied += bh_selector_implies(&a, &b);
		contradictions += bh_selector_contradiction(&a) != NULL;
		if (bh_selector_contradiction(&a))
			assert_false(possible);
		else if (!possible) /* only values that nobody lists: "a, a notin (1,2,3)" */
			for (size_t i = 0; i < a.n; i++)
				assert_true(a.req[i].op != BH_SEL_IN || a.n > 1);
		bh_selector_finish(&a);
		bh_selector_finish(&b);
	}
	assert_true(implied > 1000);
	assert_true(contradictions > 1000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_implies),
		T(test_contradiction),
		T(test_random_selectors),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
