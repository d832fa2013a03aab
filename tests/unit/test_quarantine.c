/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Quarantine in the rules: the text of what is allowed, the evaluator, and the ruleset that the
 * same engine emits, asked by a simulation of the kernel in all three hooks. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <bulkhead/engine.h>
#include <errno.h>

#include "lib/irsim.h"

static const struct bh_emit_opts with_queue = {
	.queue_unmatched = 10, .queue_observed = 11, .have_nfqueue = true};

/* --- the text --- */

static char *shown(const struct bh_quarantine *q)
{
	struct bh_buf b = {0};
	for (size_t i = 0; i < q->n; i++) {
		bh_buf_str(&b, i ? " " : "");
		bh_quarantine_format(&q->allow[i], &b);
	}
	return bh_buf_take(&b);
}

static void expect_text(const char *text, const char *want)
{
	struct bh_quarantine *q = bh_quarantine_new(), *again = bh_quarantine_new();
	const char *why = NULL;
	assert_int_equal(bh_quarantine_allow(q, text, &why), 0);
	char bh_autofree *got = shown(q);
	assert_string_equal(got, want);
	/* What is printed is read as the same. */
	assert_int_equal(bh_quarantine_allow(again, got, &why), 0);
	assert_true(bh_quarantine_equal(q, again));
	bh_quarantine_unref(q);
	bh_quarantine_unref(again);
}

static void refuse_text(const char *text, const char *part)
{
	struct bh_quarantine *q = bh_quarantine_new();
	const char *why = NULL;
	if (bh_quarantine_allow(q, text, &why) != -EINVAL)
		fail_msg("%s was taken", text);
	assert_int_equal(q->n, 0);
	assert_non_null(why);
	if (!strstr(why, part))
		fail_msg("%s: \"%s\" does not say \"%s\"", text, why, part);
	bh_quarantine_unref(q);
}

static void test_text(void **state BH_UNUSED)
{
	expect_text("10.0.0.5:22", "10.0.0.5/32:22/tcp");
	expect_text("10.0.0.0/8:53/udp", "10.0.0.0/8:53/udp");
	expect_text("0.0.0.0/0:65535/SCTP", "0.0.0.0/0:65535/sctp");
	expect_text("[fd00::/8]:22", "[fd00::/8]:22/tcp");
	expect_text("[fd00::5]:1/udp", "[fd00::5/128]:1/udp");
	expect_text("[::/0]:80", "[::/0]:80/tcp");
	refuse_text("", "no port");
	refuse_text("10.0.0.5", "no port");
	refuse_text("10.0.0.0/8", "no port");
	refuse_text("fd00::5:22", "brackets");
	refuse_text("[fd00::5]", "not an address");
	refuse_text("web:22", "not an address");
	refuse_text(":22", "not an address");
	refuse_text("10.0.0.5/8:22", "must be zero");
	refuse_text("10.0.0.5/33:22", "not an address");
	refuse_text("10.0.0.5:", "port");
	refuse_text("10.0.0.5:0", "1 to 65535");
	refuse_text("10.0.0.5:65536", "1 to 65535");
	refuse_text("10.0.0.5:22x", "1 to 65535");
	refuse_text("10.0.0.5:-1", "1 to 65535");
	refuse_text("10.0.0.5:22/", "tcp, udp or sctp");
	refuse_text("10.0.0.5:22/icmp", "tcp, udp or sctp");
	refuse_text("10.0.0.5:22/6x", "tcp, udp or sctp");
}

static struct bh_quarantine *list(const char *const *text, size_t n)
{
	struct bh_quarantine *q = bh_quarantine_new();
	const char *why;
	for (size_t i = 0; i < n; i++)
		assert_int_equal(bh_quarantine_allow(q, text[i], &why), 0);
	return q;
}

static void test_lists(void **state BH_UNUSED)
{
	static const char *const a[] = {"10.0.0.5:22", "10.0.0.0/8:53/udp", "[fd00::/8]:22"};
	static const char *const b[] = {
		"[fd00::/8]:22/tcp", "10.0.0.0/8:53/udp", "10.0.0.5/32:22/tcp", "10.0.0.5:22"};
	struct bh_quarantine *x = list(a, 3), *y = list(b, 4), *none = list(a, 0),
			     *less = list(a, 2);
	assert_int_equal(y->n, 3); /* the same, said twice, is one */
	assert_true(bh_quarantine_equal(x, y));
	assert_false(bh_quarantine_equal(x, less));
	assert_false(bh_quarantine_equal(none, NULL)); /* in quarantine, and not */
	assert_true(bh_quarantine_equal(NULL, NULL));
	struct bh_workload *w = bh_workload_new();
	w->quarantine = bh_quarantine_ref(x);
	struct bh_workload *copy = bh_workload_copy(w);
	assert_ptr_equal(copy->quarantine, x);
	assert_int_equal(x->refs, 3);
	bh_workload_unref(w);
	bh_workload_unref(copy);
	assert_int_equal(x->refs, 1);
	bh_quarantine_unref(x);
	bh_quarantine_unref(y);
	bh_quarantine_unref(none);
	bh_quarantine_unref(less);
}

/* --- a small world: web is quarantined, db enforces, api learns --- */

struct world {
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

static struct bh_workload *workload(
	const char *name, const char *v4, const char *v6, enum bh_mode mode)
{
	struct bh_workload *w = bh_workload_new();
	struct bh_interface *i = bh_workload_add_interface(w);
	struct bh_addr a = addr(v4), b = addr(v6);
	w->name = bh_xstrdup(name);
	w->namespace = bh_xstrdup("shop");
	w->id = bh_xasprintf("static:shop/%s", name);
	w->runtime = bh_xstrdup("static");
	w->mode = mode;
	bh_labels_set(&w->labels, "app", name);
	bh_interface_add_addr(i, &a);
	bh_interface_add_addr(i, &b);
	return w;
}

/* db lets in everybody by a rule; Admin would too: quarantine stands above both. */
static const char policy_text[] = "apiVersion: networking.k8s.io/v1\n"
				  "kind: NetworkPolicy\n"
				  "metadata: {name: all, namespace: shop}\n"
				  "spec: {podSelector: {}, policyTypes: [Ingress, Egress],\n"
				  "  ingress: [{}], egress: [{}]}\n";

static struct bh_policy_set *policies(void)
{
	struct bh_policy_set *set = NULL;
	struct bh_diags diags = {0};
	const struct bh_policy_source src = {"shop.yaml", policy_text, strlen(policy_text)};
	const struct bh_policy_parse_opts opts = {.default_ns = "default"};
	assert_int_equal(bh_policy_set_parse(&src, 1, &opts, &diags, &set), 0);
	bh_diags_finish(&diags);
	return set;
}

static const char *const allowed[] = {
	"10.0.0.4:5432", "10.0.0.1:53/udp", "192.0.2.0/24:443", "[fd00::4]:5432"};

static struct bh_inventory *inventory(enum bh_mode web, struct bh_quarantine *q)
{
	struct bh_inventory *inv = bh_inventory_new();
	struct bh_addr host = addr("10.0.0.1"), host6 = addr("fd00::1");
	struct bh_workload *w = workload("web", "10.0.0.2", "fd00::2", web);
	w->quarantine = bh_quarantine_ref(q);
	bh_inventory_add(inv, w);
	bh_inventory_add(inv, workload("api", "10.0.0.3", "fd00::3", BH_MODE_LEARN));
	bh_inventory_add(inv, workload("db", "10.0.0.4", "fd00::4", BH_MODE_ENFORCE));
	bh_inventory_add_host(inv, &host);
	bh_inventory_add_host(inv, &host6);
	bh_inventory_seal(inv);
	return inv;
}

static void compile(struct world *w, const struct bh_engine_opts *opts)
{
	w->e = bh_engine_compile(w->policies, w->inv, opts);
	w->rs = bh_engine_emit(w->e, &with_queue);
}

static void init(struct world *w, enum bh_mode web, bool lists, bool host_policy)
{
	const struct bh_engine_opts opts = {.host_policy = host_policy};
	struct bh_quarantine *q = list(allowed, lists ? BH_ARRAY_SIZE(allowed) : 0);
	w->inv = inventory(web, q);
	w->policies = policies();
	compile(w, &opts);
	bh_quarantine_unref(q);
}

static void finish(struct world *w)
{
	bh_ruleset_free(w->rs);
	bh_engine_unref(w->e);
	bh_policy_set_unref(w->policies);
	bh_inventory_unref(w->inv);
}

static struct bh_flow flow(const char *src, const char *dst, uint8_t proto, uint16_t port)
{
	bool ports = proto == BH_TCP || proto == BH_UDP || proto == BH_SCTP;
	struct bh_flow f = {.src = addr(src), .dst = addr(dst), .proto = proto};
	f.dport = ports ? port : 0;
	f.sport = ports ? 40000 : 0;
	if (!ports)
		f.icmp_type = f.src.family == BH_IPV6 ? 128 : 8;
	return f;
}

/* The hook that a flow of this world meets. */
static const char *hook_of(const struct bh_inventory *inv, const struct bh_flow *f)
{
	if (bh_inventory_owner(inv, &f->src) == BH_OWNER_HOST)
		return "output";
	return bh_inventory_owner(inv, &f->dst) == BH_OWNER_HOST ? "input" : "forward";
}

static void expect_cut(const struct world *w, struct bh_flow f)
{
	struct irsim_packet p = {.flow = f};
	struct bh_decision d;
	char a[BH_ADDR_STRLEN], b[BH_ADDR_STRLEN];
	bh_engine_evaluate(w->e, &f, &d);
	struct irsim_result r = irsim_run(w->rs, hook_of(w->inv, &f), &p);
	if (d.verdict != BH_DROP || d.reason != BH_REASON_QUARANTINE || r.verdict != IRSIM_QUEUE ||
		!bh_streq(r.chain, "unmatched"))
		fail_msg("%s -> %s proto %u port %u: %s (%s), kernel %d in %s",
			bh_addr_format(&f.src, a), bh_addr_format(&f.dst, b), f.proto, f.dport,
			bh_verdict_name(d.verdict), bh_reason_name(d.reason), r.verdict, r.chain);
	p.mid_stream = f.proto == BH_TCP;
	r = irsim_run(w->rs, hook_of(w->inv, &f), &p);
	if (p.mid_stream)
		assert_int_equal(r.verdict, IRSIM_DROP); /* does not come back that way */
}

static void expect_passes(const struct world *w, struct bh_flow f, enum bh_reason reason)
{
	struct irsim_packet p = {.flow = f};
	struct bh_decision d;
	bh_engine_evaluate(w->e, &f, &d);
	struct irsim_result r = irsim_run(w->rs, hook_of(w->inv, &f), &p);
	assert_int_equal(d.verdict, BH_ALLOW);
	assert_int_equal(d.reason, reason);
	if (r.verdict != IRSIM_ACCEPT && r.verdict != IRSIM_QUEUE_BYPASS)
		fail_msg("port %u: the kernel says %d in %s", f.dport, r.verdict, r.chain);
}

static void expect_all_cut(
	const struct world *w, const char *mine, const char *const *others, size_t n)
{
	static const uint8_t protos[] = {BH_TCP, BH_UDP, BH_SCTP, 1};
	for (size_t i = 0; i < n; i++) {
		bool v6 = strchr(mine, ':');
		for (size_t k = 0; k < BH_ARRAY_SIZE(protos); k++) {
			uint8_t proto = v6 && protos[k] == 1 ? 58 : protos[k];
			expect_cut(w, flow(mine, others[i], proto, 53));
			expect_cut(w, flow(others[i], mine, proto, 53));
		}
	}
}

/* In forward, input and output, whatever its mode, and whatever `host:` says. */
static void test_everything_is_cut(void **state BH_UNUSED)
{
	static const char *const v4[] = {"10.0.0.1", "10.0.0.3", "10.0.0.4", "192.0.2.9"};
	static const char *const v6[] = {"fd00::1", "fd00::3", "fd00::4", "2001:db8::9"};
	for (int mode = BH_MODE_LEARN; mode <= BH_MODE_ENFORCE; mode++) {
		for (int host_policy = 0; host_policy < 2; host_policy++) {
			struct world w;
			init(&w, (enum bh_mode)mode, false, host_policy);
			expect_all_cut(&w, "10.0.0.2", v4, BH_ARRAY_SIZE(v4));
			expect_all_cut(&w, "fd00::2", v6, BH_ARRAY_SIZE(v6));
			expect_cut(&w, flow("10.0.0.2", "224.0.0.251", BH_UDP, 5353));
			expect_cut(&w, flow("fd00::2", "ff02::fb", BH_UDP, 5353));
			/* Others go on as they did. */
			expect_passes(
				&w, flow("10.0.0.3", "10.0.0.4", BH_TCP, 53), BH_REASON_POLICY);
			finish(&w);
		}
	}
}

static void test_only_what_is_allowed(void **state BH_UNUSED)
{
	struct world w;
	init(&w, BH_MODE_LEARN, true, false);
	/* forward, both directions: the port is the destination's */
	expect_passes(&w, flow("10.0.0.2", "10.0.0.4", BH_TCP, 5432), BH_REASON_QUARANTINE);
	expect_passes(&w, flow("10.0.0.4", "10.0.0.2", BH_TCP, 5432), BH_REASON_QUARANTINE);
	expect_passes(&w, flow("fd00::2", "fd00::4", BH_TCP, 5432), BH_REASON_QUARANTINE);
	expect_passes(&w, flow("10.0.0.2", "192.0.2.255", BH_TCP, 443), BH_REASON_QUARANTINE);
	expect_cut(&w, flow("10.0.0.2", "10.0.0.4", BH_TCP, 5433));
	expect_cut(&w, flow("10.0.0.2", "10.0.0.4", BH_UDP, 5432));
	expect_cut(&w, flow("10.0.0.2", "10.0.0.3", BH_TCP, 5432));
	expect_cut(&w, flow("10.0.0.2", "10.0.0.4", 1, 0));
	expect_cut(&w, flow("fd00::2", "fd00::3", BH_TCP, 5432));
	expect_cut(&w, flow("10.0.0.2", "192.0.3.0", BH_TCP, 443));
	/* input and output */
	expect_passes(&w, flow("10.0.0.2", "10.0.0.1", BH_UDP, 53), BH_REASON_QUARANTINE);
	expect_passes(&w, flow("10.0.0.1", "10.0.0.2", BH_UDP, 53), BH_REASON_QUARANTINE);
	expect_cut(&w, flow("10.0.0.2", "10.0.0.1", BH_TCP, 53));
	expect_cut(&w, flow("10.0.0.1", "10.0.0.2", BH_UDP, 54));
	expect_cut(&w, flow("fd00::2", "fd00::1", BH_UDP, 53));
	finish(&w);
}

/* A flow that goes on: established packets of what is allowed pass, and neighbours are found. */
static void test_what_is_never_cut(void **state BH_UNUSED)
{
	struct world w;
	init(&w, BH_MODE_ENFORCE, false, false);
	struct irsim_packet p = {
		.flow = flow("10.0.0.2", "10.0.0.4", BH_TCP, 1), .established = true};
	assert_int_equal(irsim_run(w.rs, "forward", &p).verdict, IRSIM_ACCEPT);
	struct bh_flow nd = flow("fd00::2", "fd00::4", 58, 0);
	nd.icmp_type = 135;
	expect_passes(&w, nd, BH_REASON_NONE);
	nd.hops = 254; /* somebody's data, forwarded */
	expect_cut(&w, nd);
	finish(&w);
}

static void test_both_ends_must_allow(void **state BH_UNUSED)
{
	static const char *const to_db[] = {"10.0.0.4:80"};
	static const char *const nothing[] = {""};
	struct bh_quarantine *web = list(to_db, 1), *db = list(nothing, 0);
	struct world w = {.inv = bh_inventory_new(), .policies = policies()};
	const struct bh_engine_opts opts = {0};
	struct bh_workload *a = workload("web", "10.0.0.2", "fd00::2", BH_MODE_LEARN);
	struct bh_workload *b = workload("db", "10.0.0.4", "fd00::4", BH_MODE_LEARN);
	a->quarantine = web;
	b->quarantine = db;
	bh_inventory_add(w.inv, a);
	bh_inventory_add(w.inv, b);
	bh_inventory_seal(w.inv);
	compile(&w, &opts);
	expect_cut(&w, flow("10.0.0.2", "10.0.0.4", BH_TCP, 80));
	finish(&w);
}

static void test_explained(void **state BH_UNUSED)
{
	struct world w;
	struct bh_buf bh_autobuf yes = {0}, no = {0};
	init(&w, BH_MODE_LEARN, true, false);
	struct bh_flow f = flow("10.0.0.2", "192.0.2.1", BH_TCP, 443);
	bh_engine_explain(w.e, &f, &yes);
	assert_non_null(strstr(yes.s, "it is on the list of what is allowed"));
	assert_non_null(strstr(yes.s, "verdict: allow (quarantine)"));
	assert_non_null(strstr(yes.s, "take it off the list of the quarantine"));
	f.dport = 444;
	bh_engine_explain(w.e, &f, &no);
	assert_non_null(strstr(no.s, "it is not on the list of what is allowed: denied"));
	assert_non_null(strstr(no.s, "verdict: drop (quarantine)"));
	assert_non_null(strstr(no.s, "bulkhead quarantine rm shop/web"));
	assert_null(strstr(no.s, "add to spec"));
	finish(&w);
}

/* --- what a change derives is what compiling anew gives --- */

static void expect_same(
	const struct bh_engine *derived, struct bh_policy_set *set, struct bh_inventory *inv)
{
	struct bh_engine *anew = bh_engine_compile(set, inv, bh_engine_options(derived));
	struct bh_ruleset *a = bh_engine_emit(derived, &with_queue);
	struct bh_ruleset *b = bh_engine_emit(anew, &with_queue);
	struct bh_diff diff = {0};
	bh_ruleset_diff(a, b, &diff);
	assert_int_equal(diff.n, 0);
	bh_diff_finish(&diff);
	bh_ruleset_free(a);
	bh_ruleset_free(b);
	bh_engine_unref(anew);
}

/* The same web with another quarantine, as the inventory's manager replaces it. */
static struct bh_inventory *change_web(const struct bh_inventory *old, struct bh_quarantine *q)
{
	for (uint32_t i = 0; i < old->n; i++) {
		if (!bh_streq(old->workload[i]->name, "web"))
			continue;
		struct bh_workload *w = bh_workload_copy(old->workload[i]);
		bh_quarantine_unref(w->quarantine);
		w->quarantine = bh_quarantine_ref(q);
		struct bh_inventory *inv = bh_inventory_derive(old, NULL, &i, 1, &w, 1);
		bh_workload_unref(w);
		return inv;
	}
	return NULL;
}

static void test_derived_is_the_same(void **state BH_UNUSED)
{
	struct bh_quarantine *some = list(allowed, 2), *all = list(allowed, 4),
			     *none = list(allowed, 0);
	struct bh_quarantine *const steps[] = {none, some, all, NULL, all, none, NULL};
	struct bh_policy_set *set = policies();
	struct bh_inventory *inv = inventory(BH_MODE_LEARN, NULL);
	const struct bh_engine_opts opts = {0};
	struct bh_engine *e = bh_engine_compile(set, inv, &opts);
	for (size_t i = 0; i < BH_ARRAY_SIZE(steps); i++) {
		struct bh_inventory *next = change_web(inv, steps[i]);
		struct bh_engine *derived = bh_engine_derive(e, next);
		assert_non_null(derived);
		assert_true(bh_engine_is_derived(derived, e));
		expect_same(derived, set, next);
		struct world w = {.inv = next, .e = derived};
		w.rs = bh_engine_emit(derived, &with_queue);
		if (steps[i])
			expect_cut(&w, flow("10.0.0.2", "10.0.0.3", BH_TCP, 80));
		else
			expect_passes(
				&w, flow("10.0.0.2", "10.0.0.3", BH_TCP, 80), BH_REASON_POLICY);
		bh_ruleset_free(w.rs);
		bh_engine_unref(e);
		bh_inventory_unref(inv);
		e = derived;
		inv = next;
	}
	bh_engine_unref(e);
	bh_inventory_unref(inv);
	bh_policy_set_unref(set);
	bh_quarantine_unref(some);
	bh_quarantine_unref(all);
	bh_quarantine_unref(none);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_text),
		cmocka_unit_test(test_lists),
		cmocka_unit_test(test_everything_is_cut),
		cmocka_unit_test(test_only_what_is_allowed),
		cmocka_unit_test(test_what_is_never_cut),
		cmocka_unit_test(test_both_ends_must_allow),
		cmocka_unit_test(test_explained),
		cmocka_unit_test(test_derived_is_the_same),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
