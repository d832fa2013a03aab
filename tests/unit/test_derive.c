/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * An engine that follows the inventory step by step must be the one that a full compilation gives:
 * in every decision, and in what the kernel holds after each partial transaction.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <bulkhead/engine.h>

#include "lib/random_world.h"

static const struct bh_emit_opts emit_opts = {
	.queue_unmatched = 48620, .queue_observed = 48621, .have_nfqueue = true};

struct track {
	struct random_world w;
	struct bh_inventory *inv;
	struct bh_engine *e;
	struct bh_ruleset *kernel; /* our picture of it */
	size_t derived, compiled;
};

static char *text_of(const struct bh_ruleset *rs)
{
	struct bh_buf b = {0};
	bh_ruleset_print(rs, &b);
	return bh_buf_take(&b);
}

static void same_ruleset(const struct bh_ruleset *a, const struct bh_ruleset *b)
{
	bh_autofree char *x = text_of(a), *y = text_of(b);
	assert_string_equal(x, y);
}

static void same_side(const struct bh_side *a, const struct bh_side *b)
{
	assert_int_equal(a->verdict, b->verdict);
	assert_int_equal(a->workload, b->workload);
	assert_ptr_equal(a->rule.policy, b->rule.policy);
	if (a->rule.policy) {
		assert_int_equal(a->rule.rule, b->rule.rule);
		assert_int_equal(a->rule.peer, b->rule.peer);
	}
}

static void same_decisions(struct track *t, const struct bh_engine *fresh)
{
	for (int i = 0; i < 60; i++) {
		struct bh_flow f;
		struct bh_decision a, b;
		random_world_flow(&t->w, &f);
		bh_engine_evaluate(t->e, &f, &a);
		bh_engine_evaluate(fresh, &f, &b);
		assert_int_equal(a.verdict, b.verdict);
		assert_int_equal(a.reason, b.reason);
		same_side(&a.side[0], &b.side[0]);
		same_side(&a.side[1], &b.side[1]);
	}
}

/* A copy of some workload of the world that has changed: labels, mode, or nothing. */
static struct bh_workload *variant(struct track *t, const struct bh_workload *w)
{
	static const char *const values[] = {"a", "b", "c"};
	struct bh_workload *copy = bh_workload_copy(w);
	if (random_below(&t->w, 2))
		bh_labels_set(&copy->labels, "app", values[random_below(&t->w, 3)]);
	if (random_below(&t->w, 6) == 0)
		copy->mode = (enum bh_mode)random_below(&t->w, 3);
	return copy;
}

/* The inventory after a few workloads of the world came, went or changed. */
static struct bh_inventory *step_inventory(struct track *t)
{
	const struct bh_inventory *all = t->w.inv;
	uint32_t removed[64];
	struct bh_workload *added[64];
	size_t n_removed = 0, n_added = 0;
	for (size_t i = 0; i < all->n && i < 60; i++) {
		int at = bh_inventory_find(t->inv, all->workload[i]);
		if (random_below(&t->w, 8))
			continue;
		if (at >= 0)
			removed[n_removed++] = (uint32_t)at;
		if (at < 0 || random_below(&t->w, 2))
			added[n_added++] = variant(t, all->workload[i]);
	}
	for (size_t i = 1; i < n_removed; i++) /* the world and the inventory have one order */
		assert_true(removed[i - 1] < removed[i]);
	struct bh_inventory *next =
		bh_inventory_derive(t->inv, NULL, removed, n_removed, added, n_added);
	for (size_t i = 0; i < n_added; i++)
		bh_workload_unref(added[i]);
	return next;
}

static void follow(struct track *t, struct bh_engine *next)
{
	struct bh_ruleset *from, *to;
	struct bh_diff diff = {0};
	bh_engine_emit_change(t->e, next, &from, &to);
	bh_ruleset_diff(from, to, &diff);
	bh_ruleset_patch(t->kernel, &diff);
	bh_diff_finish(&diff);
	bh_ruleset_free(from);
	bh_ruleset_free(to);
	t->derived++;
}

static void step(struct track *t)
{
	struct bh_inventory *inv = step_inventory(t);
	struct bh_engine *fresh = bh_engine_compile(t->w.policies, inv, &t->w.opts);
	struct bh_ruleset *want = bh_engine_emit(fresh, &emit_opts);
	struct bh_engine *next = bh_engine_derive(t->e, inv);
	if (next) {
		follow(t, next);
	} else {
		next = bh_engine_ref(fresh);
		bh_ruleset_free(t->kernel);
		t->kernel = bh_engine_emit(fresh, &emit_opts);
		t->compiled++;
	}
	bh_engine_unref(t->e);
	t->e = next;
	bh_inventory_unref(t->inv);
	t->inv = inv;
	same_ruleset(t->kernel, want);
	same_decisions(t, fresh);
	bh_ruleset_free(want);
	bh_engine_unref(fresh);
}

static void test_steps(void **state BH_UNUSED)
{
	size_t derived = 0, compiled = 0;
	for (uint64_t seed = 1; seed <= 150; seed++) {
		struct track t = {0};
		assert_true(random_world_init(&t.w, seed));
		t.inv = bh_inventory_ref(t.w.inv);
		t.e = bh_engine_compile(t.w.policies, t.inv, &t.w.opts);
		t.kernel = bh_engine_emit(t.e, &emit_opts);
		for (int i = 0; i < 12; i++)
			step(&t);
		derived += t.derived;
		compiled += t.compiled;
		bh_ruleset_free(t.kernel);
		bh_engine_unref(t.e);
		bh_inventory_unref(t.inv);
		random_world_finish(&t.w);
	}
	/* Deriving must be the rule, or the test shows nothing. */
	assert_true(derived > 4 * compiled);
	assert_true(compiled > 0);
}

static struct bh_workload *plain(const char *name, const char *ip)
{
	struct bh_workload *w = bh_workload_new();
	struct bh_addr a;
	assert_int_equal(bh_addr_parse(ip, &a), 0);
	w->name = bh_xstrdup(name);
	w->namespace = bh_xstrdup(name);
	w->id = bh_xasprintf("static:%s/%s", name, name);
	w->runtime = bh_xstrdup("static");
	w->mode = BH_MODE_ENFORCE;
	bh_interface_add_addr(bh_workload_add_interface(w), &a);
	return w;
}

/* `api` asks for the port's number in IPv6 alone, whoever else goes asked in both families. */
static const char one_family[] =
	"apiVersion: policy.networking.k8s.io/v1alpha2\n"
	"kind: ClusterNetworkPolicy\n"
	"metadata: {name: all}\n"
	"spec:\n"
	"  tier: Baseline\n"
	"  priority: 7\n"
	"  subject: {namespaces: {}}\n"
	"  egress:\n"
	"  - {action: Deny, to: [{namespaces: {}}], protocols: [{destinationNamedPort: web}]}\n"
	"---\n"
	"apiVersion: networking.k8s.io/v1\n"
	"kind: NetworkPolicy\n"
	"metadata: {name: six, namespace: api}\n"
	"spec:\n"
	"  podSelector: {}\n"
	"  egress:\n"
	"  - {to: [{ipBlock: {cidr: \"fd00::/64\"}}], ports: [{protocol: UDP, port: web}]}\n";

static void test_named_port_in_one_family(void **state BH_UNUSED)
{
	const struct bh_policy_source src = {"one.yaml", one_family, strlen(one_family)};
	const struct bh_policy_parse_opts opts = {.default_ns = "default"};
	const struct bh_engine_opts engine_opts = {0};
	struct bh_policy_set *policies = NULL;
	struct bh_diags diags = {0};
	struct track t = {.inv = bh_inventory_new()};
	struct bh_workload *api = plain("api", "fd00::2"), *web = plain("web", "10.0.0.2");
	api->port = bh_xcalloc(1, sizeof(*api->port));
	api->port[api->n_ports++] =
		(struct bh_named_port){.name = bh_xstrdup("web"), .proto = BH_UDP, .port = 81};
	bh_inventory_add(t.inv, api);
	bh_inventory_add(t.inv, web);
	bh_inventory_seal(t.inv);
	assert_int_equal(bh_policy_set_parse(&src, 1, &opts, &diags, &policies), 0);
	bh_diags_finish(&diags);
	t.e = bh_engine_compile(policies, t.inv, &engine_opts);
	t.kernel = bh_engine_emit(t.e, &emit_opts);
	uint32_t at = (uint32_t)bh_inventory_find(t.inv, web);
	struct bh_inventory *inv = bh_inventory_derive(t.inv, NULL, &at, 1, NULL, 0);
	struct bh_engine *next = bh_engine_derive(t.e, inv);
	assert_non_null(next);
	follow(&t, next);
	struct bh_ruleset *want = bh_engine_emit(next, &emit_opts);
	same_ruleset(t.kernel, want);
	bh_ruleset_free(want);
	bh_ruleset_free(t.kernel);
	bh_engine_unref(next);
	bh_engine_unref(t.e);
	bh_inventory_unref(inv);
	bh_inventory_unref(t.inv);
	bh_policy_set_unref(policies);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_steps),
		cmocka_unit_test(test_named_port_in_one_family),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
