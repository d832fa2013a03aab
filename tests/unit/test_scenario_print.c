/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Worlds printed as files are read as the same worlds. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <bulkhead/scenario.h>

#include "lib/case.h"

static char *show(const struct bh_diags *d)
{
	struct bh_buf b = {0};
	bh_diags_format(d, &b);
	return bh_buf_take(&b);
}

static struct bh_scenario *good(const char *text)
{
	bh_autodiags struct bh_diags d = {0};
	struct bh_scenario *s = NULL;
	int r = bh_scenario_parse("f.yaml", text, strlen(text), BH_SCENARIO_STATE, &d, &s);
	bh_autofree char *all = show(&d);
	if (r != 0 || d.n)
		fail_msg("refused: %s\n%s", all, text);
	return s;
}

static struct bh_workload *add(struct bh_inventory *inv, const char *ns, const char *name)
{
	struct bh_workload *w = bh_workload_new();
	w->id = bh_xasprintf("%zu", inv->n);
	w->name = bh_xstrdup(name);
	w->namespace = bh_xstrdup(ns);
	w->mode = BH_MODE_ENFORCE;
	bh_inventory_add(inv, w);
	/* as every workload of a node has it */
	char bh_autofree *value = bh_label_value_of(name);
	bh_labels_set(&w->labels, "bulkhead.io/name", value);
	return w;
}

static void add_addr(struct bh_workload *w, bool new, const char *text)
{
	struct bh_addr a;
	assert_int_equal(bh_addr_parse(text, &a), 0);
	struct bh_interface *i = new ? bh_workload_add_interface(w) : &w->iface[w->n_ifaces - 1];
	if (new)
		i->name = bh_xasprintf("eth%zu", w->n_ifaces);
	bh_interface_add_addr(i, &a);
}

/* A node as nobody would write it: what a runtime can give us at its worst. */
static struct bh_inventory *strange_node(void)
{
	struct bh_inventory *inv = bh_inventory_new();
	struct bh_prefix net;
	struct bh_addr a;
	struct bh_workload *w = add(inv, "sh\"op", "w\neb\\ \xe2\x80\xae");
	bh_labels_set(&w->labels, "a: b}, x", "- |\n  y\t\x01");
	bh_labels_set(
		&w->labels, "\xf0\x9f\x90\xb3", "caf\xc3\xa9 \xc2\x85 \xef\xbb\xbf \xe2\x80\xa8");
	bh_labels_set(&w->labels, "empty", "");
	bh_labels_set(&w->labels, "yes", "no");
	add_addr(w, true, "10.0.0.1");
	add_addr(w, false, "10.0.0.2");
	add_addr(w, false, "fe80::1");
	add_addr(w, true, "10.1.0.1");
	w->port = bh_xcalloc(2, sizeof(*w->port));
	w->port[w->n_ports++] = (struct bh_named_port){bh_xstrdup("http"), BH_TCP, 80};
	w->port[w->n_ports++] = (struct bh_named_port){NULL, BH_SCTP, 9};
	add_addr(add(inv, "x", "same"), true, "10.0.0.3");
	w = add(inv, "x", "same"); /* of another runtime; claims an address too */
	add_addr(w, true, "10.0.0.3");
	add_addr(w, false, "10.0.0.4");
	w->mode = BH_MODE_AUDIT;
	w = add(inv, "x", "macvlan");
	w->unenforceable = bh_xstrdup("macvlan \"x\"");
	add_addr(w, true, "10.0.0.5");
	w = add(inv, "x", "host");
	w->unenforceable = bh_xstrdup("shares the host's network");
	assert_int_equal(bh_prefix_parse("10.0.0.0/24", &net), 0);
	bh_inventory_add_network(inv, &net);
	assert_int_equal(bh_addr_parse("192.0.2.1", &a), 0);
	bh_inventory_add_host(inv, &a);
	assert_int_equal(bh_addr_parse("2001:db8::1", &a), 0);
	bh_inventory_add_node(inv, "n\"1", NULL, &a, 1);
	bh_inventory_seal(inv);
	return inv;
}

static struct bh_policy_set *strange_policies(void)
{
	static const char *const text[] = {
		"apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: a, "
		"namespace: x}\nspec: {podSelector: {}}",
		"\n\n  apiVersion: networking.k8s.io/v1\n  kind: NetworkPolicy\n  metadata: {name: "
		"b, "
		"namespace: x}\n  spec:\n\n    podSelector: {}\n\n\n",
		"apiVersion: networking.k8s.io/v1\r\nkind: NetworkPolicy\r\nmetadata: {name: c, "
		"namespace: x}\r\nspec: {podSelector: {}}\r\n",
		"# caf\xc3\xa9\n{\n\t\"apiVersion\": \"networking.k8s.io/v1\",\n\t\"kind\": "
		"\"NetworkPolicy\", \"metadata\": {\"name\": \"d\"},\n\t\"spec\": "
		"{\"podSelector\": "
		"{}}}\n",
	};
	struct bh_policy_source src[BH_ARRAY_SIZE(text)];
	const struct bh_policy_parse_opts opts = {.default_ns = "default"};
	struct bh_diags d = {0};
	struct bh_policy_set *set = NULL;
	for (size_t i = 0; i < BH_ARRAY_SIZE(text); i++)
		src[i] = (struct bh_policy_source){"p", text[i], strlen(text[i])};
	int r = bh_policy_set_parse(src, BH_ARRAY_SIZE(src), &opts, &d, &set);
	bh_autofree char *all = show(&d);
	if (r < 0)
		fail_msg("%s", all);
	bh_diags_finish(&d);
	return set;
}

static char *print(const struct bh_inventory *inv, const struct bh_policy_set *policies,
	const struct bh_engine_opts *opts)
{
	struct bh_buf out = {0};
	bh_scenario_print("a \"node\"", inv, policies, opts, &out);
	return bh_buf_take(&out);
}

static void compare_workloads(const struct bh_inventory *a, const struct bh_inventory *b)
{
	assert_int_equal(a->n, b->n);
	for (size_t i = 0; i < a->n; i++) {
		const struct bh_workload *x = a->workload[i], *y = b->workload[i];
		assert_string_equal(x->namespace, y->namespace);
		assert_memory_equal(x->name, y->name, strlen(x->name));
		assert_true(bh_labels_equal(&x->labels, &y->labels));
		assert_int_equal(x->mode, y->mode);
		assert_int_equal(x->n_ports, y->n_ports);
		assert_int_equal(bh_workload_governable(x), bh_workload_governable(y));
		for (size_t k = 0; k < x->n_ifaces; k++)
			for (size_t m = 0; m < x->iface[k].n_addrs; m++) {
				const struct bh_addr *addr = &x->iface[k].addr[m];
				assert_int_equal(
					bh_inventory_owner(a, addr), bh_inventory_owner(b, addr));
			}
	}
}

static void test_print(void **state BH_UNUSED)
{
	const struct bh_engine_opts opts = {.unselected_deny = true, .reject = true};
	struct bh_inventory *inv = strange_node();
	struct bh_policy_set *policies = strange_policies();
	bh_autofree char *text = print(inv, policies, &opts);
	struct bh_scenario *s = good(text);
	const struct bh_scenario_state *st = &s->state[0];
	assert_string_equal(s->name, "a \"node\"");
	assert_memory_equal(&st->opts, &opts, sizeof(opts));
	compare_workloads(inv, st->inv);
	assert_int_equal(st->inv->n_ns, inv->n_ns);
	for (size_t i = 0; i < inv->n_ns; i++)
		assert_true(bh_labels_equal(&inv->ns[i].labels, &st->inv->ns[i].labels));
	assert_int_equal(st->inv->n_hosts, 1);
	assert_int_equal(st->inv->n_networks, 1);
	assert_string_equal(st->inv->node[0].name, "n\"1");
	assert_int_equal(st->policies->n, policies->n);
	assert_memory_equal(st->policies->sha256, policies->sha256, 32);
	/* and what was read prints alike: nothing is lost on the second way either */
	bh_autofree char *again = print(st->inv, st->policies, &st->opts);
	struct bh_scenario *t = good(again);
	bh_autofree char *third = print(t->state[0].inv, t->state[0].policies, &t->state[0].opts);
	assert_string_equal(again, third);
	bh_scenario_free(t);
	bh_scenario_free(s);
	bh_inventory_unref(inv);
	bh_policy_set_unref(policies);
}

/* Every conformance case survives being printed: the same world, the same policies. */
static void test_print_cases(void **state BH_UNUSED)
{
	size_t n;
	char **list = bh_case_list("tests/unit/data/cases", "", &n);
	assert_true(n > 50);
	for (size_t i = 0; i < n; i++) {
		bh_autodiags struct bh_diags d = {0};
		struct bh_scenario *s = NULL;
		assert_int_equal(bh_case_load(list[i], &d, &s), 0);
		for (size_t k = 0; k < s->n_states; k++) {
			const struct bh_scenario_state *st = &s->state[k];
			bh_autofree char *text = print(st->inv, st->policies, &st->opts);
			struct bh_scenario *t = good(text);
			compare_workloads(st->inv, t->state[0].inv);
			assert_memory_equal(st->policies->sha256, t->state[0].policies->sha256, 32);
			bh_scenario_free(t);
		}
		bh_scenario_free(s);
	}
	bh_case_list_free(list);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_print),
		cmocka_unit_test(test_print_cases),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
