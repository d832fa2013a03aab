/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The configuration that is shipped says the truth: what stands in it is the default, and what is
 * commented out is accepted. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "config/config.h"

#define SHIPPED "enforcer/dist/bulkhead.yaml"

static char *slurp(void)
{
	char *text = bh_xcalloc(1 << 16, 1);
	FILE *f = fopen(SHIPPED, "r");
	assert_non_null(f);
	assert_true(fread(text, 1, (1 << 16) - 1, f) > 0);
	fclose(f);
	return text;
}

static struct bh_config *parse(const char *text)
{
	struct bh_diags bh_autodiags diags = {0};
	struct bh_buf bh_autobuf b = {0};
	struct bh_config *c = NULL;
	int r = bh_config_parse(SHIPPED, text, text ? strlen(text) : 0, &diags, &c);
	bh_diags_format(&diags, &b);
	if (diags.n) {
		print_error("%s", b.s);
		fail();
	}
	assert_int_equal(r, 0);
	return c;
}

static void test_it_shows_the_defaults(void **state BH_UNUSED)
{
	char bh_autofree *text = slurp();
	struct bh_config *shipped = parse(text), *defaults = parse(NULL);
	struct bh_buf bh_autobuf a = {0}, bh_autobuf b = {0};

	bh_config_print(shipped, &a);
	bh_config_print(defaults, &b);
	assert_string_equal(a.s, b.s);
	bh_config_free(shipped);
	bh_config_free(defaults);
}

/* Prose is "# text"; a setting is "#key:" with its lines "#  …". Where a setting is given twice,
 * the commented one replaces the default. */
static void test_what_is_commented_out_works(void **state BH_UNUSED)
{
	char bh_autofree *text = slurp();
	struct bh_buf bh_autobuf b = {0};
	char *save;

	for (char *l = strtok_r(text, "\n", &save); l; l = strtok_r(NULL, "\n", &save)) {
		bool setting =
			l[0] == '#' && l[1] &&
			(l[1] != ' ' || strncmp(l, "#  - ", 5) == 0 ||
				strncmp(l, "#    ", 5) == 0 || strncmp(l, "#  shop", 7) == 0);
		if (strcmp(l, "sources: auto") != 0)
			bh_buf_printf(&b, "%s\n", setting ? l + 1 : l);
	}
	struct bh_config *c = parse(b.s);
	assert_int_equal(c->n_modes, 2);
	assert_int_equal(c->modes[0].mode, BH_MODE_ENFORCE);
	assert_true(c->modes[1].has_selector);
	assert_int_equal(c->n_sources, 4);
	assert_false(c->sources_auto);
	assert_int_equal(c->n_namespaces, 1);
	assert_int_equal(c->n_feeds, 2);
	assert_true(c->feeds[1].alert_only);
	bh_config_free(c);
}

/* Each setting that there is stands in it, commented out or not. */
static void test_nothing_is_left_out(void **state BH_UNUSED)
{
	char bh_autofree *text = slurp();
	struct bh_config *defaults = parse(NULL);
	struct bh_buf bh_autobuf all = {0};
	char *save;

	bh_config_print(defaults, &all);
	for (char *l = strtok_r(all.s, "\n", &save); l; l = strtok_r(NULL, "\n", &save)) {
		int len = (int)strcspn(l, ":");
		if (l[0] < 'a' || l[0] > 'z')
			continue;
		char bh_autofree *plain = bh_xasprintf("\n%.*s:", len, l);
		char bh_autofree *commented = bh_xasprintf("\n#%.*s:", len, l);
		if (!strstr(text, plain) && !strstr(text, commented))
			fail_msg("%.*s is missing", len, l);
	}
	bh_config_free(defaults);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_it_shows_the_defaults),
		cmocka_unit_test(test_what_is_commented_out_works),
		cmocka_unit_test(test_nothing_is_left_out),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
