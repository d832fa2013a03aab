/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The ruleset as text, for small worlds in tests/golden/NAME.yaml (the format of the conformance
 * cases), compared with tests/golden/NAME.nft. BH_GOLDEN_UPDATE=1 writes the latter anew: look at
 * the difference before committing it.
 *
 * A workload's label "golden-mode" sets its mode. Words after the case's name are options:
 * unselected-deny, host-policy, reject, no-queue, feeds, names, stopped,
 * paced, refused.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <bulkhead/engine.h>

#include "lib/case.h"

#define GOLDEN "tests/golden"

static void set_modes(struct bh_inventory *inv)
{
	for (size_t i = 0; i < inv->n; i++) {
		const char *mode = bh_labels_get(&inv->workload[i]->labels, "golden-mode");
		if (mode)
			assert_int_equal(bh_mode_parse(mode, &inv->workload[i]->mode), 0);
	}
}

static void add_feed(struct bh_ranges *feeds, const char *first, const char *last)
{
	struct bh_range x;
	assert_int_equal(bh_addr_parse(first, &x.first), 0);
	assert_int_equal(bh_addr_parse(last, &x.last), 0);
	bh_ranges_add(feeds, x);
}

static char *render(const struct bh_scenario *c)
{
	const struct bh_engine_opts opts = {
		.unselected_deny = strstr(c->name, " unselected-deny"),
		.host_policy = strstr(c->name, " host-policy"),
		.reject = strstr(c->name, " reject"),
	};
	struct bh_ranges feeds = {0};
	struct bh_emit_opts emit = {.queue_unmatched = 48620,
		.queue_observed = 48621,
		.have_nfqueue = !strstr(c->name, " no-queue"),
		.stoppable = strstr(c->name, " stopped"),
		.stopped = strstr(c->name, " stopped"),
		.names = strstr(c->name, " names"),
		.names_group = 48620,
		.feeds = &feeds};
	struct bh_crowding_addr addr[2] = {{.who = "shop/web"}, {.who = "shop/web"}};
	struct bh_emit_crowding crowding = {addr, 2, strstr(c->name, " paced") ? 263 : 0};
	struct bh_buf out = {0};
	if (strstr(c->name, " paced") || strstr(c->name, " refused")) {
		assert_int_equal(bh_addr_parse("10.77.0.2", &addr[0].addr), 0);
		assert_int_equal(bh_addr_parse("fd00:77::2", &addr[1].addr), 0);
		emit.crowding = &crowding;
	}
	if (strstr(c->name, " feeds")) {
		add_feed(&feeds, "192.0.2.66", "192.0.2.66");
		add_feed(&feeds, "198.51.100.0", "198.51.100.255");
		add_feed(&feeds, "203.0.113.5", "203.0.113.9");
		add_feed(&feeds, "2001:db8:bad::1", "2001:db8:bad::1");
		add_feed(&feeds, "2001:db8:bad:1::", "2001:db8:bad:1:ffff:ffff:ffff:ffff");
	}
	bh_ranges_normalise(&feeds);
	set_modes(c->state[0].inv);
	struct bh_engine *e = bh_engine_compile(c->state[0].policies, c->state[0].inv, &opts);
	struct bh_ruleset *rs = bh_engine_emit(e, &emit);
	bh_ruleset_print(rs, &out);
	bh_ruleset_free(rs);
	bh_engine_unref(e);
	bh_ranges_finish(&feeds);
	return bh_buf_take(&out);
}

static char *load_and_render(const char *path)
{
	struct bh_diags diags = {0};
	struct bh_scenario *c = NULL;
	if (bh_case_load(path, &diags, &c) < 0) {
		struct bh_buf b = {0};
		bh_diags_format(&diags, &b);
		fail_msg("%s: %s", path, b.s ? b.s : "");
	}
	char *text = render(c);
	bh_scenario_free(c);
	bh_diags_finish(&diags);
	return text;
}

static void write_file(const char *path, const char *text)
{
	FILE *f = fopen(path, "we");
	assert_non_null(f);
	assert_int_equal(fwrite(text, 1, strlen(text), f), strlen(text));
	assert_int_equal(fclose(f), 0);
}

static void compare(const char *path, const char *nft)
{
	bh_autofree char *got = load_and_render(path);
	size_t len, line = 1, at = 0;
	if (getenv("BH_GOLDEN_UPDATE"))
		write_file(nft, got);
	bh_autofree char *want = bh_case_read_file(nft, &len);
	if (!want)
		fail_msg("%s is missing: run with BH_GOLDEN_UPDATE=1", nft);
	for (; got[at] && got[at] == want[at]; at++)
		line += got[at] == '\n';
	if (got[at] != want[at]) {
		while (at && got[at - 1] != '\n')
			at--;
		fail_msg("%s:%zu differs:\n- %.*s\n+ %.*s", nft, line,
			(int)strcspn(want + at, "\n"), want + at, (int)strcspn(got + at, "\n"),
			got + at);
	}
}

static void test_golden(void **state BH_UNUSED)
{
	size_t n;
	char **list = bh_case_list(GOLDEN, "", &n);
	assert_non_null(list);
	assert_true(n >= 5);
	for (size_t i = 0; i < n; i++) {
		bh_autofree char *nft =
			bh_xasprintf("%.*s.nft", (int)(strlen(list[i]) - strlen(".yaml")), list[i]);
		compare(list[i], nft);
	}
	bh_case_list_free(list);
}

/* nft loads our text into a network namespace that exists for this only, and lists it alike. */
static void test_nft_reads_and_lists_it(void **state BH_UNUSED)
{
	static const char *const files[] = {GOLDEN "/local.nft", GOLDEN "/closed.nft",
		GOLDEN "/names.nft"}; /* no queue: every kernel has the rest */
	if (geteuid() != 0 || system("unshare -n nft list tables >/dev/null 2>&1") != 0)
		skip();
	for (size_t i = 0; i < BH_ARRAY_SIZE(files); i++) {
		bh_autofree char *command = bh_xasprintf(
			"unshare -n sh -c 'nft -f %s && nft -s list table inet bulkhead && "
			"nft -s list table bridge bulkhead' 2>&1",
			files[i]);
		struct bh_buf listed = {0};
		char chunk[4096];
		size_t n, len;
		FILE *f = popen(command, "r");
		assert_non_null(f);
		while ((n = fread(chunk, 1, sizeof(chunk), f)) > 0)
			bh_buf_add(&listed, chunk, n);
		assert_int_equal(pclose(f), 0);
		bh_autofree char *want = bh_case_read_file(files[i], &len);
		assert_string_equal(listed.s, want);
		bh_buf_finish(&listed);
	}
}

/* It lists elements of concatenations in an order of its own. */
static void test_nft_reads_veths(void **state BH_UNUSED)
{
	if (geteuid() != 0 || system("unshare -n nft list tables >/dev/null 2>&1") != 0)
		skip();
	assert_int_equal(system("unshare -n nft -f " GOLDEN "/veths.nft"), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_nft_reads_veths),
		cmocka_unit_test(test_golden),
		cmocka_unit_test(test_nft_reads_and_lists_it),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
