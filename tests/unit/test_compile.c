/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The engine against three judges: the conformance cases, the naive reference evaluator, and a
 * simulation of the kernel on the ruleset that the same engine emits. Links the rules and nothing
 * else, which shows that they stay pure.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "lib/case.h"
#include "lib/irsim.h"
#include "lib/random_world.h"
#include "lib/reference.h"

#include "../../rules/compile/internal.h"

#define CASES "tests/unit/data/cases"

static const struct bh_emit_opts with_queue = {
	.queue_unmatched = 10, .queue_observed = 11, .have_nfqueue = true};
static const struct bh_emit_opts without_queue = {0};

/* --- conformance --- */

static size_t run_state(const struct bh_scenario *c, const struct bh_scenario_state *s)
{
	const struct bh_engine_opts opts = {0};
	struct bh_engine *e = bh_engine_compile(s->policies, s->inv, &opts);
	size_t failed = 0;
	for (size_t i = 0; i < s->n_probes; i++) {
		const struct bh_scenario_probe *p = &s->probe[i];
		struct bh_decision d;
		bh_engine_evaluate(e, &p->flow, &d);
		if ((d.verdict == BH_ALLOW) == p->allow)
			continue;
		struct bh_buf why = {0};
		bh_engine_explain(e, &p->flow, &why);
		print_error("%s:%d: %s -> %s: expected %s\n%s", c->file, p->line, p->from, p->to,
			p->allow ? "allow" : "deny", why.s);
		bh_buf_finish(&why);
		failed++;
	}
	bh_engine_unref(e);
	return failed;
}

static void test_conformance(void **state BH_UNUSED)
{
	size_t n = 0, probes = 0, failed = 0;
	char **list = bh_case_list(CASES, "", &n);
	assert_non_null(list);
	assert_true(n > 30);
	for (size_t i = 0; i < n; i++) {
		struct bh_diags diags = {0};
		struct bh_scenario *c = NULL;
		if (bh_case_load(list[i], &diags, &c) < 0) {
			struct bh_buf b = {0};
			bh_diags_format(&diags, &b);
			fail_msg("%s: %s", list[i], b.s ? b.s : "");
		}
		for (size_t k = 0; k < c->n_states; k++) {
			probes += c->state[k].n_probes;
			failed += run_state(c, &c->state[k]);
		}
		bh_scenario_free(c);
		bh_diags_finish(&diags);
	}
	bh_case_list_free(list);
	assert_true(probes > 500);
	assert_int_equal(failed, 0);
}

/* --- randomised: reference --- */

static bool side_equal(const struct bh_side *a, const struct bh_side *b)
{
	return a->verdict == b->verdict && a->workload == b->workload && a->mode == b->mode &&
	       a->rule.policy == b->rule.policy && a->rule.rule == b->rule.rule &&
	       a->rule.peer == b->rule.peer;
}

static bool decision_equal(const struct bh_decision *a, const struct bh_decision *b)
{
	return a->verdict == b->verdict && a->reason == b->reason &&
	       a->would_deny == b->would_deny && a->learn == b->learn &&
	       side_equal(&a->side[0], &b->side[0]) && side_equal(&a->side[1], &b->side[1]);
}

static void complain(const struct random_world *w, const struct bh_engine *e, uint64_t seed,
	const struct bh_flow *f, const char *what)
{
	struct bh_buf b = {0};
	struct bh_ruleset *rs = bh_engine_emit(e, &with_queue);
	bh_engine_explain(e, f, &b);
	bh_ruleset_print(rs, &b);
	bh_ruleset_free(rs);
	fail_msg("seed %llu: %s\nunselected_deny %d host_policy %d\n%s\n%s",
		(unsigned long long)seed, what, w->opts.unselected_deny, w->opts.host_policy,
		w->policy_text, b.s);
}

static void test_reference(void **state BH_UNUSED)
{
	size_t verdicts[3] = {0}, reasons[BH_REASON_UNKNOWN_WORKLOAD + 1] = {0};
	size_t rules[3][2] = {0}; /* tier; denied, allowed */
	for (uint64_t seed = 1; seed <= 500; seed++) {
		struct random_world w;
		assert_true(random_world_init(&w, seed));
		struct bh_engine *e = bh_engine_compile(w.policies, w.inv, &w.opts);
		for (int i = 0; i < 100; i++) {
			struct bh_flow f;
			struct bh_decision got, want;
			random_world_flow(&w, &f);
			bh_engine_evaluate(e, &f, &got);
			reference_evaluate(w.policies, w.inv, &w.opts, &f, &want);
			if (!decision_equal(&got, &want))
				complain(&w, e, seed, &f, "engine and reference disagree");
			verdicts[got.verdict]++;
			reasons[got.reason]++;
			for (int d = 0; d < 2; d++)
				if (got.side[d].rule.policy)
					rules[got.side[d].rule.policy->tier]
					     [got.side[d].verdict == BH_SIDE_ALLOWED]++;
		}
		bh_engine_unref(e);
		random_world_finish(&w);
	}
	/* The generator must reach every outcome, or agreement says nothing. */
	static const enum bh_reason all[] = {BH_REASON_NONE, BH_REASON_POLICY, BH_REASON_UNSELECTED,
		BH_REASON_LEARNED, BH_REASON_UNMATCHED, BH_REASON_HOST, BH_REASON_SELF,
		BH_REASON_UNKNOWN_WORKLOAD};
	for (size_t i = 0; i < BH_ARRAY_SIZE(all); i++)
		assert_true(reasons[all[i]] > 50);
	for (size_t i = 0; i < 3; i++)
		assert_true(verdicts[i] > 1000);
	for (int tier = 0; tier < 3; tier++) {
		assert_true(rules[tier][1] > 200);
		assert_true((rules[tier][0] > 200) == (tier != BH_TIER_NETWORK_POLICY));
	}
}

/* --- randomised: the kernel's ruleset --- */

static const char *hook_of(const struct bh_inventory *inv, const struct bh_flow *f)
{
	if (bh_inventory_owner(inv, &f->src) == BH_OWNER_HOST)
		return "output";
	return bh_inventory_owner(inv, &f->dst) == BH_OWNER_HOST ? "input" : "forward";
}

static bool unknown(const struct bh_inventory *inv, const struct bh_addr *a)
{
	return bh_inventory_owner(inv, a) == BH_OWNER_NONE && bh_inventory_in_network(inv, a);
}

/* Does the flow end at an address where workloads live, of nobody known? */
static bool held(const struct random_world *w, const struct bh_flow *f, const char *hook,
	const struct bh_decision *d)
{
	bool self = d->side[0].verdict == BH_SIDE_SELF;
	bool node = !bh_streq(hook, "forward") && !w->opts.host_policy;
	if (d->reason == BH_REASON_NONE || self || node) /* never governed */
		return false;
	return (!bh_streq(hook, "output") && unknown(w->inv, &f->src)) ||
	       (!bh_streq(hook, "input") && unknown(w->inv, &f->dst));
}

/* The end of the walk that a decision calls for. */
static bool fits(
	const struct bh_decision *d, bool queue, bool reject, bool hold, struct irsim_result r)
{
	bool host = d->side[0].verdict == BH_SIDE_HOST || d->side[1].verdict == BH_SIDE_HOST;
	bool recorded = d->would_deny || d->learn;
	if (d->verdict != BH_ALLOW) {
		if (queue)
			return r.verdict == IRSIM_QUEUE && bh_streq(r.chain, "unmatched");
		return r.verdict == (reject ? IRSIM_REJECT : IRSIM_DROP);
	}
	if (!host && !recorded && hold)
		return r.verdict == (queue ? IRSIM_QUEUE_BYPASS : IRSIM_ACCEPT) &&
		       bh_streq(r.chain, "hold");
	if (!host && !recorded)
		return r.verdict == IRSIM_ACCEPT && !bh_streq(r.chain, "observed") &&
		       !bh_streq(r.chain, "host");
	return r.verdict == (queue ? IRSIM_QUEUE_BYPASS : IRSIM_ACCEPT) &&
	       bh_streq(r.chain, host ? "host" : "observed");
}

static void check_ruleset(struct random_world *w, const struct bh_engine *e, uint64_t seed,
	const struct bh_ruleset *queued, const struct bh_ruleset *plain, size_t *ret_held)
{
	for (int i = 0; i < 100; i++) {
		struct irsim_packet p = {0};
		struct bh_decision d;
		random_world_flow(w, &p.flow);
		const char *hook = hook_of(w->inv, &p.flow);
		if (bh_inventory_owner(w->inv, &p.flow.src) == BH_OWNER_HOST &&
			bh_inventory_owner(w->inv, &p.flow.dst) == BH_OWNER_HOST)
			continue; /* lo */
		bh_engine_evaluate(e, &p.flow, &d);
		bool hold = held(w, &p.flow, hook, &d);
		*ret_held += hold;
		if (!fits(&d, true, w->opts.reject, hold, irsim_run(queued, hook, &p)))
			complain(w, e, seed, &p.flow, "engine and ruleset disagree");
		if (!fits(&d, false, w->opts.reject, hold, irsim_run(plain, hook, &p)))
			complain(w, e, seed, &p.flow, "engine and queueless ruleset disagree");
	}
}

static void test_ruleset_says_the_same(void **state BH_UNUSED)
{
	size_t n_held = 0;
	for (uint64_t seed = 1000; seed < 1400; seed++) {
		struct random_world w;
		assert_true(random_world_init(&w, seed));
		struct bh_engine *e = bh_engine_compile(w.policies, w.inv, &w.opts);
		struct bh_ruleset *queued = bh_engine_emit(e, &with_queue);
		struct bh_ruleset *plain = bh_engine_emit(e, &without_queue);
		check_ruleset(&w, e, seed, queued, plain, &n_held);
		bh_ruleset_free(queued);
		bh_ruleset_free(plain);
		bh_engine_unref(e);
		random_world_finish(&w);
	}
	assert_true(n_held > 100);
}

/* --- single facts about the kernel's path --- */

struct shop {
	struct bh_inventory *inv;
	struct bh_policy_set *policies;
	struct bh_engine *e;
	struct bh_ruleset *rs;
};

static struct bh_addr addr(const char *text)
{
	struct bh_addr a;
	assert_int_equal(bh_addr_parse(text, &a), 0);
	return a;
}

static struct bh_workload *add_workload(
	struct bh_inventory *inv, const char *name, const char *ip, enum bh_mode mode)
{
	struct bh_workload *w = bh_workload_new();
	struct bh_addr a = addr(ip);
	w->name = bh_xstrdup(name);
	w->namespace = bh_xstrdup("shop");
	w->id = bh_xasprintf("static:shop/%s", name);
	w->runtime = bh_xstrdup("static");
	w->mode = mode;
	bh_labels_set(&w->labels, "app", name);
	bh_labels_set(&w->labels, "bulkhead.io/name", name);
	bh_interface_add_addr(bh_workload_add_interface(w), &a);
	bh_inventory_add(inv, w);
	return w;
}

static struct bh_policy_set *parse(const char *text)
{
	struct bh_policy_set *set = NULL;
	struct bh_diags diags = {0};
	const struct bh_policy_source src = {"shop.yaml", text, strlen(text)};
	const struct bh_policy_parse_opts opts = {.default_ns = "default"};
	assert_int_equal(bh_policy_set_parse(&src, 1, &opts, &diags, &set), 0);
	bh_diags_finish(&diags);
	return set;
}

static const char db_policy[] = "apiVersion: networking.k8s.io/v1\n"
				"kind: NetworkPolicy\n"
				"metadata: {name: db, namespace: shop}\n"
				"spec:\n"
				"  podSelector: {matchLabels: {app: db}}\n"
				"  policyTypes: [Ingress]\n"
				"  ingress:\n"
				"  - from: [{podSelector: {matchLabels: {app: api}}}]\n"
				"    ports: [{port: 5432}]\n";

static void shop_init(struct shop *s, enum bh_mode web, enum bh_mode db,
	const struct bh_engine_opts *opts, const struct bh_emit_opts *emit)
{
	struct bh_addr host = addr("10.0.0.1");
	s->inv = bh_inventory_new();
	add_workload(s->inv, "web", "10.0.0.2", web);
	add_workload(s->inv, "api", "10.0.0.3", BH_MODE_ENFORCE);
	add_workload(s->inv, "db", "10.0.0.4", db);
	bh_inventory_add_host(s->inv, &host);
	bh_inventory_seal(s->inv);
	s->policies = parse(db_policy);
	s->e = bh_engine_compile(s->policies, s->inv, opts);
	s->rs = bh_engine_emit(s->e, emit);
}

static void shop_finish(struct shop *s)
{
	bh_ruleset_free(s->rs);
	bh_engine_unref(s->e);
	bh_policy_set_unref(s->policies);
	bh_inventory_unref(s->inv);
}

static struct bh_flow tcp(const char *src, const char *dst, uint16_t port)
{
	return (struct bh_flow){
		.src = addr(src), .dst = addr(dst), .proto = BH_TCP, .sport = 40000, .dport = port};
}

static void expect(const struct shop *s, const char *hook, struct irsim_packet p,
	enum irsim_verdict v, const char *chain)
{
	struct irsim_result r = irsim_run(s->rs, hook, &p);
	assert_int_equal(r.verdict, v);
	assert_string_equal(r.chain, chain);
}

/* A learning source must not be bypassed into an enforcing destination. */
static void test_enforcing_comes_first(void **state BH_UNUSED)
{
	const struct bh_engine_opts opts = {0};
	struct shop s;
	shop_init(&s, BH_MODE_LEARN, BH_MODE_ENFORCE, &opts, &with_queue);
	struct irsim_packet p = {.flow = tcp("10.0.0.2", "10.0.0.4", 5432)};
	expect(&s, "forward", p, IRSIM_QUEUE, "unmatched");
	p.flow = tcp("10.0.0.2", "10.0.0.3", 80);
	expect(&s, "forward", p, IRSIM_QUEUE_BYPASS, "observed");
	shop_finish(&s);
}

static void test_mid_stream(void **state BH_UNUSED)
{
	const struct bh_engine_opts opts = {0};
	struct shop s;
	shop_init(&s, BH_MODE_ENFORCE, BH_MODE_ENFORCE, &opts, &with_queue);
	struct irsim_packet p = {.flow = tcp("10.0.0.3", "10.0.0.4", 5432), .mid_stream = true};
	expect(&s, "forward", p, IRSIM_DROP, "mid-stream");
	/* Nor from the other side, whose own egress nobody governs. */
	p.flow = tcp("10.0.0.4", "10.0.0.3", 40000);
	expect(&s, "forward", p, IRSIM_DROP, "mid-stream");
	p.flow = tcp("10.0.0.3", "10.0.0.4", 5432);
	p.established = true;
	expect(&s, "forward", p, IRSIM_ACCEPT, "forward");
	p.established = p.mid_stream = false;
	expect(&s, "forward", p, IRSIM_ACCEPT, "passed");
	shop_finish(&s);
	/* Until a group enforces, connections that conntrack never saw are picked up. */
	shop_init(&s, BH_MODE_AUDIT, BH_MODE_AUDIT, &opts, &with_queue);
	p.mid_stream = true;
	expect(&s, "forward", p, IRSIM_ACCEPT, "passed");
	shop_finish(&s);
}

static void test_threats(void **state BH_UNUSED)
{
	const struct bh_engine_opts opts = {0};
	struct bh_ranges feeds = {0};
	struct bh_prefix net;
	struct shop s;
	bh_prefix_parse("198.51.100.0/24", &net);
	bh_ranges_add(&feeds, bh_prefix_range(&net));
	bh_prefix_parse("203.0.112.0/23", &net); /* not within a /24 */
	bh_ranges_add(&feeds, bh_prefix_range(&net));
	bh_ranges_add(&feeds, (struct bh_range){addr("192.0.2.66"), addr("192.0.2.66")});
	bh_ranges_add(&feeds, (struct bh_range){addr("2001:db8::66"), addr("2001:db8::66")});
	bh_ranges_normalise(&feeds);
	struct bh_emit_opts emit = with_queue;
	emit.feeds = &feeds;
	shop_init(&s, BH_MODE_LEARN, BH_MODE_ENFORCE, &opts, &emit);
	static const char *const bad[] = {
		"198.51.100.0", "198.51.100.255", "192.0.2.66", "203.0.112.0", "203.0.113.255"};
	for (size_t i = 0; i < BH_ARRAY_SIZE(bad); i++) {
		struct irsim_packet p = {.flow = tcp("10.0.0.2", bad[i], 443)};
		expect(&s, "forward", p, IRSIM_QUEUE, "threat");
		p.flow = tcp(bad[i], "10.0.0.2", 443);
		expect(&s, "forward", p, IRSIM_QUEUE, "threat");
		expect(&s, "input", p, IRSIM_QUEUE, "threat");
	}
	struct irsim_packet p = {.flow = tcp("2001:db8::1", "2001:db8::66", 443)};
	expect(&s, "output", p, IRSIM_QUEUE, "threat");
	p.flow = tcp("10.0.0.3", "192.0.2.67", 443);
	expect(&s, "forward", p, IRSIM_ACCEPT, "passed");
	static const char *const good[] = {
		"198.51.101.0", "198.51.99.255", "203.0.111.255", "203.0.114.0", "192.0.2.65"};
	for (size_t i = 0; i < BH_ARRAY_SIZE(good); i++) {
		p.flow = tcp("10.0.0.3", good[i], 443);
		expect(&s, "forward", p, IRSIM_ACCEPT, "passed");
	}
	p.flow = tcp("192.0.2.1", "192.0.2.67", 443); /* nobody's of ours is not counted */
	expect(&s, "forward", p, IRSIM_ACCEPT, "forward");
	/* Diverted by DNAT: it is where it was meant to go that counts. */
	p.flow = tcp("10.0.0.2", "10.0.0.3", 3128);
	p.original = addr("192.0.2.66");
	expect(&s, "forward", p, IRSIM_DROP, "threat-diverted");
	p.lo = true;
	expect(&s, "input", p, IRSIM_DROP, "threat-diverted");
	expect(&s, "output", p, IRSIM_DROP, "threat-diverted");
	p.original = addr("198.51.100.77");
	expect(&s, "output", p, IRSIM_DROP, "threat-diverted");
	p.original = addr("192.0.2.67");
	expect(&s, "output", p, IRSIM_ACCEPT, "output");
	p = (struct irsim_packet){0};
	assert_int_equal(bh_ruleset_find_set(s.rs, "feeds4")->n, 1);
	assert_int_equal(bh_ruleset_find_set(s.rs, "feeds4-net")->n, 2);
	assert_int_equal(bh_ruleset_find_set(s.rs, "feeds4-near")->n, 2);
	shop_finish(&s);
	emit = without_queue;
	emit.feeds = &feeds;
	shop_init(&s, BH_MODE_LEARN, BH_MODE_LEARN, &opts, &emit);
	p.flow = tcp("10.0.0.2", "192.0.2.66", 443);
	expect(&s, "forward", p, IRSIM_DROP, "threat");
	shop_finish(&s);
	bh_ranges_finish(&feeds);
}

static void test_refused_packets_come_back(void **state BH_UNUSED)
{
	const struct bh_engine_opts opts = {.reject = true};
	struct shop s;
	shop_init(&s, BH_MODE_ENFORCE, BH_MODE_ENFORCE, &opts, &with_queue);
	struct irsim_packet p = {.flow = tcp("10.0.0.2", "10.0.0.4", 5432)};
	struct bh_decision d;
	bh_engine_evaluate(s.e, &p.flow, &d);
	assert_int_equal(d.verdict, BH_REJECT);
	expect(&s, "forward", p, IRSIM_QUEUE, "unmatched");
	p.mark = BH_MARK_REFUSE | 1;
	struct irsim_result r = irsim_run(s.rs, "forward", &p);
	assert_int_equal(r.verdict, IRSIM_REJECT);
	assert_int_equal(r.rule->action, BH_ACT_REJECT_TCP_RESET);
	p.flow.proto = BH_UDP;
	r = irsim_run(s.rs, "forward", &p);
	assert_int_equal(r.rule->action, BH_ACT_REJECT_ADMIN);
	shop_finish(&s);
}

/* What one group decides stands in the base chains for none. */
static void test_base_chains_never_change(void **state BH_UNUSED)
{
	static const char *const base[] = {"forward", "input", "output"};
	const struct bh_engine_opts opts = {0};
	struct shop s, empty = {0};
	shop_init(&s, BH_MODE_LEARN, BH_MODE_ENFORCE, &opts, &with_queue);
	empty.inv = bh_inventory_new();
	bh_inventory_seal(empty.inv);
	empty.policies = bh_policy_set_new_empty();
	empty.e = bh_engine_compile(empty.policies, empty.inv, &opts);
	empty.rs = bh_engine_emit(empty.e, &with_queue);
	for (size_t i = 0; i < BH_ARRAY_SIZE(base); i++) {
		const struct bh_chain *a = bh_ruleset_find_chain(s.rs, base[i]);
		const struct bh_chain *b = bh_ruleset_find_chain(empty.rs, base[i]);
		assert_int_equal(a->n, b->n);
		for (size_t k = 0; k < a->n; k++)
			assert_true(bh_rule_equal(&a->rule[k], &b->rule[k]));
	}
	shop_finish(&s);
	shop_finish(&empty);
}

struct folded {
	uint32_t hash, id;
};

static int compare_folded(const void *a, const void *b)
{
	const struct folded *x = a, *y = b;
	return (x->hash > y->hash) - (x->hash < y->hash);
}

/* Two identities whose names end alike: a birthday's work for whoever wants it. */
static void find_collision(uint32_t *ret_a, uint32_t *ret_b)
{
	enum { TRIES = 300000 };
	struct folded *f = bh_xcalloc(TRIES, sizeof(*f));
	bool found = false;
	for (uint32_t i = 0; i < TRIES; i++) {
		uint64_t h = bh_hash(&i, sizeof(i), BH_HASH_SEED);
		f[i] = (struct folded){(uint32_t)(h ^ h >> 32), i};
	}
	qsort(f, TRIES, sizeof(*f), compare_folded);
	for (size_t i = 1; i < TRIES && !found; i++)
		if ((found = f[i].hash == f[i - 1].hash)) {
			*ret_a = f[i - 1].id;
			*ret_b = f[i].id;
		}
	free(f);
	assert_true(found);
}

/* Two things whose hashes collide must not share a chain; one thing keeps its name. */
static void test_names_are_unique(void **state BH_UNUSED)
{
	struct bh_plan p = {0};
	uint32_t one, two;
	find_collision(&one, &two);
	char *a = bh_compile_name(&p, "in-", "shop/web \"x\" a=b", &one, sizeof(one));
	char *b = bh_compile_name(&p, "in-", "shop/web \"x\" a=b", &two, sizeof(two));
	char *c = bh_compile_name(&p, "in-", "shop/web \"x\" a=b", &one, sizeof(one));
	assert_int_equal(strncmp(a, "in-shop-web-x-a.b-", 18), 0);
	assert_string_not_equal(a, b);
	assert_string_equal(a, c);
	free(a);
	free(b);
	free(c);
	bh_intern_finish(&p.name);
	bh_intern_finish(&p.identity);
	free(p.name_owner);
}

/* --- questions --- */

/* Among many peers sets have names that the kernel compares fast, and a comment instead. */
static void names_of_sets(unsigned peers, size_t longest, const char *comment)
{
	bh_autobuf struct bh_buf text = {0};
	struct bh_policy_set *set;
	static const struct bh_engine_opts opts;
	struct bh_diags diags = {0};
	bh_buf_str(&text,
		"apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: p, "
		"namespace: shop}\nspec:\n  podSelector: {}\n  ingress:\n  - ports: [{port: 80}, "
		"{port: 443}]\n    from:\n");
	for (unsigned i = 0; i < peers; i++)
		bh_buf_printf(&text, "    - podSelector: {matchLabels: {app: a%u}}\n", i);
	const struct bh_policy_source src = {.file = "p.yaml", .text = text.s, .len = text.len};
	const struct bh_policy_parse_opts parse = {.default_ns = "default"};
	assert_int_equal(bh_policy_set_parse(&src, 1, &parse, &diags, &set), 0);
	struct bh_inventory *inv = bh_inventory_new();
	struct bh_workload *w = bh_workload_new();
	w->id = bh_xstrdup("id");
	w->name = bh_xstrdup("web");
	w->namespace = bh_xstrdup("shop");
	w->mode = BH_MODE_ENFORCE;
	bh_workload_add_interface(w)->host_name = bh_xstrdup("veth1");
	bh_inventory_add(inv, w);
	bh_inventory_seal(inv);
	struct bh_engine *e = bh_engine_compile(set, inv, &opts);
	struct bh_ruleset *rs = bh_engine_emit(e, &with_queue);
	size_t n = 0;
	for (size_t i = 0; i < rs->n_sets; i++) {
		const struct bh_set *s = &rs->set[i];
		bool pods = strncmp(s->name, "pods", 4) == 0;
		if (pods || strncmp(s->name, "ports-", 6) == 0)
			assert_true(strlen(s->name) <= longest);
		n += pods && strstr(s->comment, comment);
	}
	assert_int_equal(n, 2); /* IPv4 and IPv6 */
	bh_ruleset_free(rs);
	bh_engine_unref(e);
	bh_policy_set_unref(set);
	bh_inventory_unref(inv);
	bh_diags_finish(&diags);
}

static void test_many_sets_have_short_names(void **state BH_UNUSED)
{
	names_of_sets(500, 100, "app=a77 ");
	names_of_sets(501, 15, "app=a77 ");
}

static void test_questions(void **state BH_UNUSED)
{
	const struct bh_engine_opts opts = {0};
	const struct bh_policy *const *list;
	struct shop s;
	shop_init(&s, BH_MODE_LEARN, BH_MODE_ENFORCE, &opts, &with_queue);
	int db = bh_inventory_resolve(s.inv, "shop/db", NULL, 0, &(size_t){0});
	assert_true(db >= 0);
	assert_true(bh_engine_isolated(s.e, (size_t)db, BH_INGRESS));
	assert_false(bh_engine_isolated(s.e, (size_t)db, BH_EGRESS));
	assert_int_equal(bh_engine_policies_of(s.e, (size_t)db, BH_INGRESS, &list), 1);
	assert_string_equal(list[0]->name, "db");
	assert_int_equal(bh_engine_selected(s.e, s.policies->policy[0]), 1);
	size_t n_idle;
	size_t bh_autofree *idle = bh_engine_idle_policies(s.e, &n_idle);
	for (size_t i = 0, k = 0; i < s.policies->n; i++) {
		bool is_idle = bh_engine_selected(s.e, s.policies->policy[i]) == 0;
		assert_int_equal(is_idle, k < n_idle && idle[k] == i);
		k += is_idle;
	}
	assert_ptr_equal(bh_engine_policies(s.e), s.policies);
	assert_ptr_equal(bh_engine_inventory(s.e), s.inv);
	shop_finish(&s);
}

static void explain_contains(const struct shop *s, const struct bh_flow *f, const char *const *want)
{
	struct bh_buf b = {0};
	bh_engine_explain(s->e, f, &b);
	for (; *want; want++)
		if (!strstr(b.s, *want))
			fail_msg("explanation lacks \"%s\":\n%s", *want, b.s);
	bh_buf_finish(&b);
}

/* The tiers in words, and the rules that nearly decided: tests/golden/cluster.yaml. */
static void test_explain_tiers(void **state BH_UNUSED)
{
	struct bh_diags diags = {0};
	struct bh_scenario *c = NULL;
	struct shop s = {0};
	assert_int_equal(bh_case_load("tests/golden/cluster.yaml", &diags, &c), 0);
	s.e = bh_engine_compile(c->state[0].policies, c->state[0].inv, &c->state[0].opts);
	struct bh_flow f = tcp("10.0.2.2", "10.0.1.3", 8080);
	explain_contains(&s, &f,
		(const char *const[]){
			"Admin tier: denied by cnp:guard, ingress rule 2 (Deny), peer 0",
			"considered: cnp:guard ingress rule 0 (Accept) covers this port, but only "
			"for "
			"app=monitor",
			"considered: cnp:base ingress rule 0 (Pass) means this peer, but only "
			"udp/53",
			"considered: cnp:base ingress rule 1 (Deny) matches too",
			"verdict: drop (policy)", "put a rule with action Accept before it", NULL});
	f = tcp("10.0.1.2", "10.0.1.3", 8080);
	explain_contains(&s, &f,
		(const char *const[]){"Admin tier: passed on by cnp:guard, ingress rule 1 (Pass)",
			"isolated by red/db; allowed by policy red/db, ingress rule 0, peer 0",
			"verdict: allow (policy)", NULL});
	f = tcp("10.0.1.3", "10.0.1.2", 53);
	explain_contains(&s, &f,
		(const char *const[]){"no policy isolates it; Baseline tier: denied by cnp:base",
			"or write a NetworkPolicy", NULL});
	bh_engine_unref(s.e);
	bh_scenario_free(c);
	bh_diags_finish(&diags);
}

/* What is added to a default deny is allowed to everybody: not if a narrower policy is there, and
 * not without saying so. */
static void test_explain_suggests_the_narrowest(void **state BH_UNUSED)
{
#define POLICY(name, selector)                                                                     \
	"- '{apiVersion: networking.k8s.io/v1, kind: NetworkPolicy, metadata: {name: " name        \
	", namespace: shop}, spec: {podSelector: " selector "}}'\n"
	static const char text[] =
		"workloads:\n"
		"- {name: web, namespace: shop, labels: {app: web}, ips: [10.0.0.2]}\n"
		"- {name: db-1, namespace: shop, labels: {app: db}, ips: [10.0.0.3]}\n"
		"- {name: db-2, namespace: shop, labels: {app: db}, ips: [10.0.0.4]}\n"
		"policies:\n" POLICY("all", "{}") POLICY("db", "{matchLabels: {app: db}}");
#undef POLICY
	struct bh_diags diags = {0};
	struct bh_scenario *c = NULL;
	struct shop s = {0};
	assert_int_equal(
		bh_scenario_parse("f", text, sizeof(text) - 1, BH_SCENARIO_STATE, &diags, &c), 0);
	s.e = bh_engine_compile(c->state[0].policies, c->state[0].inv, &c->state[0].opts);
	struct bh_flow f = tcp("10.0.0.2", "10.0.0.3", 80);
	explain_contains(&s, &f,
		(const char *const[]){"to allow it, add to spec.ingress of shop/db: {from: "
				      "[{podSelector: {matchLabels: {app: \"web\"}}}], ports: "
				      "[{protocol: TCP, port: 80}]}\n",
			NULL});
	f = tcp("10.0.0.3", "10.0.0.2", 80);
	explain_contains(&s, &f,
		(const char *const[]){"to allow it, add to spec.ingress of shop/all: {from: ",
			"80}]} (for all 3 workloads that it selects; a policy for {matchLabels: "
			"{app: \"web\"}} alone opens less)\n",
			NULL});
	bh_engine_unref(s.e);
	bh_scenario_free(c);
	bh_diags_finish(&diags);
}

static void test_explain(void **state BH_UNUSED)
{
	const struct bh_engine_opts opts = {0};
	struct shop s;
	shop_init(&s, BH_MODE_LEARN, BH_MODE_ENFORCE, &opts, &with_queue);
	struct bh_flow f = tcp("10.0.0.3", "10.0.0.4", 5432);
	explain_contains(&s, &f,
		(const char *const[]){"flow: tcp/5432 from shop/api to shop/db\n",
			"egress of shop/api: no policy isolates it",
			"allowed by policy shop/db, ingress rule 0, peer 0 (app=api in shop), "
			"shop.yaml:8",
			"verdict: allow (policy)", "to deny it, narrow or remove ingress rule 0",
			NULL});
	f = tcp("10.0.0.2", "10.0.0.4", 5432);
	explain_contains(&s, &f,
		(const char *const[]){"ingress of shop/db: isolated by shop/db; no rule allows it; "
				      "mode enforce: denied\n",
			"verdict: drop (unmatched)",
			"to allow it, add to spec.ingress of shop/db: {from: [{podSelector: "
			"{matchLabels: {app: \"web\"}}}], ports: [{protocol: TCP, port: 5432}]}",
			NULL});
	/* Who has no label but its name is suggested by its name: nothing would be everybody. */
	int web = bh_inventory_owner(s.inv, &f.src);
	bh_labels_remove(&s.inv->workload[web]->labels, "app");
	explain_contains(
		&s, &f, (const char *const[]){"{matchLabels: {bulkhead.io/name: \"web\"}}", NULL});
	bh_labels_remove(&s.inv->workload[web]->labels, "bulkhead.io/name");
	explain_contains(&s, &f,
		(const char *const[]){"shop/web, address 10.0.0.2, mode learn\n",
			"{bulkhead.io/name: \"web\"}", NULL});
	/* What is suggested can be put into the policy as it is. */
	bh_labels_set(&s.inv->workload[web]->labels, "on", "1");
	explain_contains(&s, &f, (const char *const[]){"{matchLabels: {\"on\": \"1\"}}", NULL});
	f = tcp("192.0.2.9", "10.0.0.4", 5432);
	explain_contains(&s, &f,
		(const char *const[]){"{ipBlock: {cidr: \"192.0.2.9/32\"}}", "outside", NULL});
	f = tcp("10.0.0.3", "10.0.0.1", 22);
	explain_contains(
		&s, &f, (const char *const[]){"the node itself", "verdict: allow (host)", NULL});
	f = (struct bh_flow){.src = addr("10.0.0.2"), .dst = addr("10.0.0.4"), .proto = 1};
	explain_contains(&s, &f,
		(const char *const[]){"flow: icmp from", "without ports: only such a rule", NULL});
	shop_finish(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_conformance),
		cmocka_unit_test(test_reference),
		cmocka_unit_test(test_ruleset_says_the_same),
		cmocka_unit_test(test_enforcing_comes_first),
		cmocka_unit_test(test_mid_stream),
		cmocka_unit_test(test_threats),
		cmocka_unit_test(test_refused_packets_come_back),
		cmocka_unit_test(test_base_chains_never_change),
		cmocka_unit_test(test_names_are_unique),
		cmocka_unit_test(test_many_sets_have_short_names),
		cmocka_unit_test(test_questions),
		cmocka_unit_test(test_explain_suggests_the_narrowest),
		cmocka_unit_test(test_explain),
		cmocka_unit_test(test_explain_tiers),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
