/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Every format of a feed: the first byte chooses it. Beside memory safety: what was read is within
 * the limits, and what was counted adds up.
 */
#include "feeds/formats/reader.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool ok)
{
	if (!ok)
		abort();
}

static void check(const struct bh_feed_text *t)
{
	const struct bh_indicators *list[] = {&t->ind, &t->removed};
	must(t->ind.rejected <= t->ind.lines);
	for (int k = 0; k < 2; k++)
		for (size_t i = 0; i < bh_indicators_count(list[k]); i++) {
			struct bh_range r = bh_indicators_range(list[k], i);
			must(bh_addr_cmp(&r.first, &r.last) <= 0);
		}
	must(t->format && (!t->credit || strlen(t->credit) <= 200));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static size_t n;
	while (!n || bh_feed_formats[n])
		n++;
	if (size == 0)
		return 0;
	size_t choice = data[0] % (n + 1);
	const struct bh_feed_read_opts o = {.name = "fuzz",
		.format = choice == n ? "kept" : bh_feed_formats[choice],
		.now = 1764380000};
	struct bh_feed_text t;
	struct bh_diags d = {0};
	int r = bh_feed_read(&o, (const char *)data + 1, size - 1, &d, &t);
	must((r == 0) == (d.n_errors == 0));
	must(d.n <= 44);
	if (r == 0) {
		check(&t);
		bh_feed_text_finish(&t);
	}
	bh_diags_finish(&d);
	return 0;
}
