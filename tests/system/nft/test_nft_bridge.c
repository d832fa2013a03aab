/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The bridge table: listed as nft says it, changed in one transaction with the other. */
#include "sample_link.h"

static void test_listing(void **state)
{
	(void)state;
	struct bh_ruleset *rs = sample_link();
	rebuild(rs);
	assert_both_listed(rs);

	/* nft takes its own listing back, and it still says the same. */
	bh_autofree char *have = run("nft -s list ruleset", NULL);
	assert_int_equal(bh_nft_flush(nft), 0);
	bh_autofree char *none = run("nft -s list ruleset", NULL);
	assert_string_equal(none, "");
	FILE *f = popen("nft -f /dev/stdin", "w");
	assert_non_null(f);
	fputs(have, f);
	assert_int_equal(pclose(f), 0);
	assert_both_listed(rs);
	rebuild(rs);
	assert_both_listed(rs);
	bh_ruleset_free(rs);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(test_listing, clean),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
