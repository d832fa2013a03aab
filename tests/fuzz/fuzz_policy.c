/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Policies from hostile text: no crash, no leak, and what is accepted means something: every policy
 * has a name, and a direction or a tier, and its own text parses to the same policy again.
 */
#include <bulkhead/policy.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool good)
{
	if (!good)
		abort();
}

static void check_rule(const struct bh_policy_rule *a, const struct bh_policy_rule *b)
{
	check(a->action == b->action && bh_streq(a->name, b->name));
	check(a->n_peers == b->n_peers && a->n_ports == b->n_ports);
	for (size_t i = 0; i < a->n_peers; i++) {
		check(a->peer[i].n_networks == b->peer[i].n_networks);
		check(a->peer[i].has_pods == b->peer[i].has_pods);
		check(a->peer[i].has_namespaces == b->peer[i].has_namespaces);
		check(a->peer[i].has_nodes == b->peer[i].has_nodes);
	}
	for (size_t i = 0; i < a->n_ports; i++)
		check(a->port[i].proto == b->port[i].proto &&
			a->port[i].first == b->port[i].first &&
			a->port[i].last == b->port[i].last &&
			bh_streq(a->port[i].name, b->port[i].name));
}

static void check_cluster(const struct bh_policy *p)
{
	check(*p->namespace == '\0' && p->priority <= 1000);
	for (int i = 0; i < 2; i++) {
		check(!p->isolates[i] && p->n_rules[i] <= 25);
		for (size_t k = 0; k < p->n_rules[i]; k++)
			check(p->rule[i][k].n_peers > 0 && p->rule[i][k].n_peers <= 25);
	}
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
	check(p->tier == q->tier && p->priority == q->priority);
	check(bh_selector_equal(&p->namespaces, &q->namespaces));
	for (int i = 0; i < 2; i++) {
		check(p->isolates[i] == q->isolates[i] && p->n_rules[i] == q->n_rules[i]);
		for (size_t k = 0; k < p->n_rules[i]; k++)
			check_rule(&p->rule[i][k], &q->rule[i][k]);
	}
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
		if (p->tier != BH_TIER_NETWORK_POLICY)
			check_cluster(p);
		else
			check(p->isolates[BH_EGRESS] || p->isolates[BH_INGRESS]);
		check(bh_policy_set_find_ref(s, p->ref) == p);
		check(bh_policy_set_find(s, p->namespace, p->name) == p);
		/* A %TAG directive stands outside the document's own text. */
		if (!memchr(data, '%', size))
			check_again(p);
	}
	bh_policy_set_unref(s);
	return 0;
}
