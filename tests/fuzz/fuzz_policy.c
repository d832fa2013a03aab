/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Policies from hostile text: no crash, no leak, and what is accepted means something: every policy
 * has a name and a direction, and its own text parses to the same policy again.
 */
#include <bulkhead/policy.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool good)
{
	if (!good)
		abort();
}

static void check_again(const struct bh_policy *p)
{
	const struct bh_policy_source src = {
		.file = "again", .text = p->text, .len = strlen(p->text)};
	bh_autodiags struct bh_diags d = {0};
	struct bh_policy_set *s = NULL;
	check(bh_policy_set_parse(&src, 1, NULL, &d, &s) == 0);
	const struct bh_policy *q = bh_policy_set_find(s, p->namespace, p->name);
	check(q && s->n == 1 && bh_selector_equal(&p->pods, &q->pods));
	for (int i = 0; i < 2; i++)
		check(p->isolates[i] == q->isolates[i] && p->n_rules[i] == q->n_rules[i]);
	bh_policy_set_unref(s);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct bh_policy_source src = {
		.file = "fuzz", .text = (const char *)data, .len = size};
	const struct bh_policy_parse_opts opts = {.default_ns = "default", .strict_empty = true};
	bh_autodiags struct bh_diags d = {0};
	struct bh_buf text = {0};
	struct bh_policy_set *s = NULL;

	int r = bh_policy_set_parse(&src, 1, &opts, &d, &s);
	check((r == 0) == (d.n_errors == 0));
	bh_diags_format(&d, &text);
	bh_buf_finish(&text);
	if (r < 0)
		return 0;
	for (size_t i = 0; i < s->n; i++) {
		const struct bh_policy *p = s->policy[i];
		check(p->name && p->namespace && p->text);
		check(p->isolates[BH_EGRESS] || p->isolates[BH_INGRESS]);
		check(bh_policy_set_find(s, p->namespace, p->name) == p);
		/* A %TAG directive stands outside the document's own text. */
		if (!memchr(data, '%', size))
			check_again(p);
	}
	bh_policy_set_unref(s);
	return 0;
}
