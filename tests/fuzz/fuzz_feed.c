/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A feed's text, from a stranger. Beside memory safety: what is read is within the limits, and the
 * index agrees with the indicators and with the ranges for the kernel at every edge.
 */
#include "feeds/internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct bh_ranges protect;

static void must(bool ok)
{
	if (!ok)
		abort();
}

static bool is_protected(const struct bh_addr *a)
{
	return bh_ranges_contain(&protect, a);
}

static void check_edge(const struct bh_feed_index *x, const struct bh_addr *a)
{
	struct bh_feed_hit hit[2];
	size_t n = bh_feed_index_lookup(x, a, hit, 2);
	must(n == (is_protected(a) ? 0 : 1));
	must(bh_feed_index_blocked(x, a) == (n == 1 ? BH_FEED_BOTH : 0));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct bh_indicators ind = {0};
	struct bh_diags d = {0};
	if (!protect.n)
		bh_feeds_protected_ranges(NULL, &protect);
	const struct bh_feed_read_opts o = {.name = "fuzz", .format = "plain"};
	struct bh_feed_text t = {0};
	int r = bh_feed_read(&o, (const char *)data, size, &d, &t);
	must((r == 0) == (d.n_errors == 0));
	must(d.n <= 43);
	if (r == 0) {
		ind = t.ind;
		t.ind = (struct bh_indicators){0};
		bh_feed_text_finish(&t);
		must(ind.rejected <= ind.lines &&
			bh_indicators_count(&ind) + ind.rejected == ind.lines);
		bh_indicators_sort(&ind);
		struct bh_feed_input in = {.name = "fuzz", .protect = &protect, .indicators = &ind};
		struct bh_feed_index *x = bh_feed_index_build(&in, 1, 0);
		for (size_t i = 0; i < bh_indicators_count(&ind); i++) {
			struct bh_range edge = bh_indicators_range(&ind, i);
			must(bh_addr_cmp(&edge.first, &edge.last) <= 0);
			check_edge(x, &edge.first);
			check_edge(x, &edge.last);
		}
		bh_feed_index_unref(x);
		bh_indicators_finish(&ind);
	}
	bh_diags_finish(&d);
	return 0;
}
