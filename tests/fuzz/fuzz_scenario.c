/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Scenarios from hostile text: no crash, no leak; a refusal has a diagnostic; what is taken can be
 * asked, and says the same after it was printed and read again.
 */
#include <bulkhead/scenario.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool good)
{
	if (!good)
		abort();
}

static void check_probe(const struct bh_scenario_state *st, const struct bh_scenario_probe *p)
{
	struct bh_addr a, b;
	check(p->flow.src.family == p->flow.dst.family);
	check(bh_scenario_resolve_pair(st, p->from, p->to, p->flow.src.family, &a, &b) == 0);
	check(bh_addr_eq(&a, &p->flow.src) && bh_addr_eq(&b, &p->flow.dst));
}

/* Budgets are of a file: one state of several may print more than one file may hold. */
static void check_print(const struct bh_scenario_state *st)
{
	bh_autodiags struct bh_diags d = {0};
	struct bh_scenario *again = NULL;
	struct bh_buf text = {0};
	bh_scenario_print("n", st->inv, st->policies, &st->opts, &text);
	check(bh_scenario_parse("again", text.s, text.len, BH_SCENARIO_STATE, &d, &again) == 0);
	check(again->state[0].inv->n == st->inv->n);
	check(memcmp(again->state[0].policies->sha256, st->policies->sha256, 32) == 0);
	bh_scenario_free(again);
	bh_buf_finish(&text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	bh_autodiags struct bh_diags d = {0};
	struct bh_scenario *s = NULL;
	struct bh_buf text = {0};
	int r = bh_scenario_parse("fuzz", (const char *)data, size, BH_SCENARIO_STATE, &d, &s);
	check((r == 0) == (d.n_errors == 0));
	bh_diags_format(&d, &text);
	bh_buf_finish(&text);
	if (r < 0)
		return 0;
	check(s->n_states > 0);
	for (size_t i = 0; i < s->n_states && i < 8; i++) {
		const struct bh_scenario_state *st = &s->state[i];
		for (size_t k = 0; k < st->n_probes; k++)
			check_probe(st, &st->probe[k]);
		/* A %TAG directive stands outside of a policy's own text. */
		if (!memchr(data, '%', size))
			check_print(st);
	}
	bh_scenario_free(s);
	return 0;
}
