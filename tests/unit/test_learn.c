/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Learning: which reports make a tuple answered, in which order, and what a scan can do to it. */
#include "learn/learn.h"

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <sys/resource.h>

#include <cmocka.h>

#define SECOND 1000000LL

static char dir[64];
static struct bh_store *store;
static struct bh_learn *l;
static unsigned learned;
static struct bh_flow learned_flow;
static uint16_t learned_port;

static void note_learned(const struct bh_tuple *t, const struct bh_flow *f, void *arg)
{
	assert_ptr_equal(arg, &learned);
	assert_true(t->answered);
	learned++;
	learned_flow = *f;
	learned_port = t->port;
}

static int setup(void **state BH_UNUSED)
{
	strcpy(dir, "/tmp/bh-learn-XXXXXX");
	learned = 0;
	if (!mkdtemp(dir) || bh_store_open(dir, &store) != 0)
		return -1;
	return bh_learn_new(store, BH_LEARN_TUPLES, note_learned, &learned, &l);
}

static int teardown(void **state BH_UNUSED)
{
	char bh_autofree *cmd = bh_xasprintf("rm -rf '%s'", dir);
	bh_learn_free(l);
	bh_store_close(store);
	return system(cmd) == 0 ? 0 : -1;
}

static void restart(void)
{
	bh_learn_free(l);
	bh_store_close(store);
	assert_int_equal(bh_store_open(dir, &store), 0);
	assert_int_equal(bh_learn_new(store, BH_LEARN_TUPLES, note_learned, &learned, &l), 0);
}

static void reopen(size_t max)
{
	bh_learn_free(l);
	assert_int_equal(bh_learn_new(store, max, note_learned, &learned, &l), 0);
}

static struct bh_addr addr(const char *text)
{
	struct bh_addr a;
	assert_int_equal(bh_addr_parse(text, &a), 0);
	return a;
}

static struct bh_flow flow(uint8_t proto, uint16_t sport, uint16_t dport)
{
	return (struct bh_flow){.src = addr("10.0.0.2"),
		.dst = addr("10.0.0.3"),
		.proto = proto,
		.sport = sport,
		.dport = dport};
}

static struct bh_end role(const char *ns, const char *app)
{
	struct bh_end e = {.kind = BH_END_ROLE, .namespace = bh_xstrdup(ns)};
	bh_labels_set(&e.selector, "app", app);
	return e;
}

static void seen_as(const struct bh_flow *f, const char *src, const char *dst, bool egress,
	bool ingress, const char *image, int64_t now)
{
	struct bh_end a = role("shop", src), b = role("shop", dst);
	bh_learn_seen(l, &(struct bh_learn_flow){.flow = f,
				 .src = &a,
				 .dst = &b,
				 .egress = egress,
				 .ingress = ingress,
				 .src_image = image,
				 .now = now});
	bh_end_finish(&a);
	bh_end_finish(&b);
}

static void seen(const struct bh_flow *f, int64_t now)
{
	seen_as(f, "web", "db", true, false, "web:1", now);
}

static struct bh_learn_stats stats(void)
{
	struct bh_learn_stats st;
	bh_learn_get_stats(l, &st);
	return st;
}

/* The only tuple there is; content borrowed until the next call. */
static struct bh_tuple only(void)
{
	size_t n;
	struct bh_tuple *t = bh_learn_tuples(l, &n);
	assert_int_equal(n, 1);
	struct bh_tuple first = t[0];
	free(t);
	return first;
}

static void more(const struct bh_flow *f, uint64_t n, int64_t now)
{
	struct bh_end a = role("shop", "web"), b = role("shop", "db");
	bh_learn_more(l,
		&(struct bh_learn_flow){
			.flow = f, .src = &a, .dst = &b, .egress = true, .now = now},
		n);
	bh_end_finish(&a);
	bh_end_finish(&b);
}

/* What flows carried that have ended belongs to their tuple, if there is one. */
static void test_volume_of_a_tuple(void **state BH_UNUSED)
{
	struct bh_flow f = flow(BH_TCP, 40000, 5432);
	struct bh_end a = role("shop", "web"), b = role("shop", "db");
	struct bh_learn_flow ended = {.flow = &f, .src = &a, .dst = &b, .now = 50};
	const struct bh_volume v = {1, {5, 4}, {500, 1ull << 40}, 1000};
	bh_learn_ended(l, &ended, &v); /* of nothing known */
	assert_int_equal(stats().tuples, 0);
	seen(&f, 100);
	bh_learn_ended(l, &ended, &v);
	bh_learn_ended(l, &ended, &v);
	assert_int_equal(bh_learn_save(l), 0);
	restart();
	struct bh_tuple t = only();
	const struct bh_volume want = {2, {10, 8}, {1000, 1ull << 41}, 2000};
	assert_memory_equal(&t.volume, &want, sizeof(want));
	assert_int_equal(t.connections, 1);
	assert_false(t.answered);
	bh_end_finish(&a);
	bh_end_finish(&b);
}

/* What the kernel's cache let pass is counted, and nothing is learned by it. */
static void test_more_of_a_tuple(void **state BH_UNUSED)
{
	struct bh_flow f = flow(BH_TCP, 40000, 5432);
	more(&f, 7, 50); /* of nothing known */
	assert_int_equal(stats().tuples, 0);
	seen(&f, 100);
	bh_learn_answered(l, &f, 200);
	more(&f, 7, 300);
	struct bh_tuple t = only();
	assert_int_equal(t.connections, 8);
	assert_int_equal(t.last_seen, 300);
	assert_int_equal(t.first_seen, 100);
	assert_int_equal(stats().last_new, 200);
	assert_int_equal(t.answered_at, 200);
	assert_int_equal(learned, 1);
	assert_int_equal(bh_learn_save(l), 0);
	restart();
	assert_int_equal(only().connections, 8);
}

/* A flow that no queue saw was answered; its connection is in the kernel's count. */
static void test_answered_but_counted_elsewhere(void **state BH_UNUSED)
{
	struct bh_flow f = flow(BH_TCP, 40000, 5432), later = flow(BH_TCP, 40001, 5432);
	seen(&f, 100);
	struct bh_end a = role("shop", "web"), b = role("shop", "db");
	bh_learn_seen(l, &(struct bh_learn_flow){.flow = &later,
				 .src = &a,
				 .dst = &b,
				 .egress = true,
				 .counted = true,
				 .now = 200});
	bh_learn_answered(l, &later, 200);
	bh_end_finish(&a);
	bh_end_finish(&b);
	assert_true(only().answered);
	assert_int_equal(only().connections, 1);
	assert_int_equal(learned, 1);
}

static void test_seen_then_answered(void **state BH_UNUSED)
{
	struct bh_flow f = flow(BH_TCP, 40000, 5432);
	seen(&f, 100);
	assert_false(only().answered);
	assert_int_equal(learned, 0);
	assert_int_equal(stats().pending, 1);
	bh_learn_answered(l, &f, 200);
	struct bh_tuple t = only();
	assert_true(t.answered && t.egress && !t.ingress);
	assert_int_equal(t.port, 5432);
	assert_int_equal(t.first_seen, 100);
	assert_int_equal(t.last_seen, 200);
	assert_int_equal(t.connections, 1);
	assert_int_equal(t.n_images, 1);
	assert_string_equal(t.image[0], "web:1");
	assert_int_equal(learned, 1);
	assert_int_equal(learned_flow.sport, 40000);
	assert_int_equal(stats().pending, 0);
	assert_int_equal(stats().last_new, 200);
	assert_int_equal(stats().started, 100);
	bh_learn_answered(l, &f, 300); /* conntrack repeats itself */
	assert_int_equal(learned, 1);
}

/* How often the flows that wait are asked for until `now`, a step of 10 ms at a time. */
static unsigned asked_until(int64_t from, int64_t now)
{
	struct bh_learn_due due[4];
	unsigned n = 0;
	for (int64_t t = from; t <= now; t += SECOND / 100)
		n += (unsigned)bh_learn_due(l, t, due, BH_ARRAY_SIZE(due));
	return n;
}

static void test_asked_for_again_and_again(void **state BH_UNUSED)
{
	struct bh_flow f = flow(BH_TCP, 40000, 5432);
	struct bh_learn_due due[2];
	seen(&f, 0);
	assert_int_equal(bh_learn_due(l, SECOND / 25, due, 2), 0); /* too early */
	assert_int_equal(bh_learn_due(l, SECOND / 20, due, 2), 1);
	assert_int_equal(due[0].flow.sport, 40000);
	assert_int_equal(due[0].tries, 0);
	assert_int_equal(bh_learn_due(l, SECOND / 20, due, 2), 0); /* not twice at a time */
	assert_int_equal(bh_learn_due(l, SECOND, due, 2), 1);
	assert_int_equal(due[0].tries, 1);
	unsigned n = asked_until(SECOND, 299 * SECOND);
	assert_in_range(n, 5, 7);
	assert_int_equal(stats().pending, 1);
	assert_int_equal(asked_until(299 * SECOND, 1000 * SECOND), 0); /* given up */
	assert_int_equal(stats().pending, 0);
	assert_false(only().answered);
}

/* An answer to the last question counts like one to the first. */
static void test_answered_late(void **state BH_UNUSED)
{
	struct bh_flow f = flow(BH_UDP, 40000, 53);
	seen(&f, 0);
	asked_until(0, 295 * SECOND);
	bh_learn_answered(l, &f, 295 * SECOND);
	assert_true(only().answered);
	assert_int_equal(stats().pending, 0);
	assert_int_equal(asked_until(295 * SECOND, 296 * SECOND), 0);
}

/* Those who came first are asked for first; no more at a time than there is room for. */
static void test_asked_in_order(void **state BH_UNUSED)
{
	struct bh_learn_due due[3];
	for (uint16_t i = 0; i < 5; i++) {
		struct bh_flow f = flow(BH_TCP, (uint16_t)(40000 + i), 5432);
		seen(&f, i);
	}
	assert_int_equal(bh_learn_due(l, SECOND / 10, due, 3), 3);
	for (uint16_t i = 0; i < 3; i++)
		assert_int_equal(due[i].flow.sport, 40000 + i);
	struct bh_flow gone = flow(BH_TCP, 40003, 5432);
	bh_learn_answered(l, &gone, SECOND / 10);
	assert_int_equal(bh_learn_due(l, SECOND / 10, due, 3), 1);
	assert_int_equal(due[0].flow.sport, 40004);
}

/* The clock is set back by a day: nobody waits a day longer. */
static void test_clock_set_back(void **state BH_UNUSED)
{
	struct bh_flow f = flow(BH_TCP, 40000, 5432);
	struct bh_learn_due due[1];
	seen(&f, 86400 * SECOND);
	assert_int_equal(bh_learn_due(l, SECOND, due, 1), 1);
}

static void test_nobody_waits_for_this_answer(void **state BH_UNUSED)
{
	struct bh_flow f = flow(BH_UDP, 40000, 53);
	bh_learn_answered(l, &f, 100);
	assert_int_equal(stats().tuples, 0);
	seen(&f, 200);
	assert_false(only().answered); /* of this one nobody knows yet */
}

static void test_exact_match(void **state BH_UNUSED)
{
	struct bh_flow f = flow(BH_TCP, 40000, 5432);
	seen(&f, 100);
	struct bh_flow other[5] = {f, f, f, f, f};
	other[0].sport++;
	other[1].dport++;
	other[2].proto = BH_SCTP;
	other[3].src = addr("10.0.0.9");
	other[4].src = f.dst; /* the reverse direction is another flow */
	other[4].dst = f.src;
	for (size_t i = 0; i < BH_ARRAY_SIZE(other); i++)
		bh_learn_answered(l, &other[i], 200);
	assert_false(only().answered);
	bh_learn_answered(l, &f, 300);
	assert_true(only().answered);
}

static void test_known_tuple_needs_no_pending(void **state BH_UNUSED)
{
	struct bh_flow f = flow(BH_TCP, 40000, 5432);
	seen(&f, 100);
	bh_learn_answered(l, &f, 200);
	f.sport++;
	seen_as(&f, "web", "db", false, true, "web:2", 300);
	struct bh_tuple t = only();
	assert_int_equal(t.connections, 2);
	assert_int_equal(t.last_seen, 300);
	assert_true(t.egress && t.ingress);
	assert_int_equal(t.n_images, 2);
	assert_string_equal(t.image[1], "web:2");
	assert_int_equal(stats().pending, 0);
	assert_int_equal(learned, 1);
}

static void test_repeated_syn_is_one_connection(void **state BH_UNUSED)
{
	struct bh_flow f = flow(BH_TCP, 40000, 5432);
	seen(&f, 100);
	seen(&f, 100 + SECOND);
	assert_int_equal(only().connections, 1);
	assert_int_equal(only().last_seen, 100 + SECOND);
	f.sport++;
	seen(&f, 100 + 2 * SECOND);
	assert_int_equal(only().connections, 2);
	assert_int_equal(stats().pending, 2);
}

static void test_address_changes_hands(void **state BH_UNUSED)
{
	struct bh_flow f = flow(BH_TCP, 40000, 5432);
	size_t n;
	seen_as(&f, "web", "db", true, false, NULL, 100);
	seen_as(&f, "web", "cache", true, false, NULL, 200);
	bh_learn_answered(l, &f, 300);
	struct bh_tuple bh_autofree *t = bh_learn_tuples(l, &n);
	assert_int_equal(n, 2);
	for (size_t i = 0; i < n; i++)
		assert_int_equal(
			t[i].answered, bh_streq(bh_labels_get(&t[i].dst.selector, "app"), "cache"));
}

static void test_pending_expires(void **state BH_UNUSED)
{
	struct bh_flow f = flow(BH_TCP, 40000, 5432);
	seen(&f, 100);
	bh_learn_answered(l, &f, 100 + 301 * SECOND);
	assert_false(only().answered);
	assert_int_equal(stats().pending, 0);
	assert_int_equal(stats().pending_evicted, 0);
}

static void test_icmp(void **state BH_UNUSED)
{
	struct bh_flow ping = flow(1, 0, 0), stamp = ping, blind = ping;
	ping.icmp_type = 8;
	stamp.icmp_type = 13;
	seen(&ping, 100);
	bh_learn_answered(l, &stamp, 200);
	assert_false(only().answered);
	bh_learn_answered(l, &blind, 300); /* a reporter that does not know the type */
	struct bh_tuple t = only();
	assert_true(t.answered);
	assert_int_equal(t.icmp_type, 8);
	assert_int_equal(t.port, 0);
}

static void test_image_of_the_role_end(void **state BH_UNUSED)
{
	struct bh_flow f = flow(BH_TCP, 40000, 443);
	struct bh_end out = {.kind = BH_END_ADDR, .addr = addr("203.0.113.9")},
		      web = role("s", "w");
	bh_learn_seen(l, &(struct bh_learn_flow){.flow = &f,
				 .src = &out,
				 .dst = &web,
				 .ingress = true,
				 .dst_image = "web:1",
				 .now = 1});
	bh_end_finish(&web);
	struct bh_tuple t = only();
	assert_int_equal(t.src.kind, BH_END_ADDR);
	assert_int_equal(t.n_images, 1);
	for (int i = 0; i < 100; i++) {
		char bh_autofree *image = bh_xasprintf("web:%d", i);
		f.sport++;
		seen_as(&f, "web", "db", true, false, image, 10);
	}
	size_t n;
	struct bh_tuple bh_autofree *all = bh_learn_tuples(l, &n);
	for (size_t i = 0; i < n; i++)
		assert_in_range(all[i].n_images, 1, 16);
}

static void test_survives_restart(void **state BH_UNUSED)
{
	struct bh_flow f = flow(BH_TCP, 40000, 5432);
	seen(&f, 100);
	bh_learn_answered(l, &f, 200);
	f = flow(BH_TCP, 40000, 5433);
	seen(&f, 300);
	assert_int_equal(bh_learn_save(l), 0);
	restart();
	assert_int_equal(stats().tuples, 2);
	assert_int_equal(stats().answered, 1);
	assert_int_equal(stats().started, 100);
	assert_int_equal(stats().last_new, 200);
	f = flow(BH_TCP, 40001, 5432);
	seen(&f, 400); /* known: no second "learned" */
	bh_learn_answered(l, &f, 500);
	assert_int_equal(learned, 1);
	assert_int_equal(bh_learn_save(l), 0);
	restart();
	size_t n;
	struct bh_tuple bh_autofree *t = bh_learn_tuples(l, &n);
	assert_int_equal(n, 2);
	assert_int_equal(t[0].connections + t[1].connections, 3);
}

static void test_order_is_by_key(void **state BH_UNUSED)
{
	size_t n;
	for (uint16_t i = 1; i <= 200; i++) {
		struct bh_flow f = flow(BH_TCP, 40000, (uint16_t)(i * 7919));
		seen(&f, i);
	}
	struct bh_tuple bh_autofree *t = bh_learn_tuples(l, &n);
	assert_int_equal(n, 200);
	for (size_t i = 1; i < n; i++) {
		char bh_autofree *a = bh_tuple_key(&t[i - 1]);
		char bh_autofree *b = bh_tuple_key(&t[i]);
		assert_true(strcmp(a, b) < 0);
	}
}

/* A scan of many addresses and ports, far beyond every bound. */
static void test_scan(void **state BH_UNUSED)
{
	struct bh_flow good = flow(BH_TCP, 1, 5432);
	struct bh_end web = role("shop", "web");
	seen(&good, 1);
	bh_learn_answered(l, &good, 2);
	for (uint32_t i = 0; i < 250000; i++) {
		struct bh_flow f = flow(BH_TCP, 50000, (uint16_t)(i % 1000));
		struct bh_end out = {.kind = BH_END_ADDR, .addr = addr("198.51.100.1")};
		out.addr.b[2] = (uint8_t)(i / 1000);
		f.dst = out.addr;
		bh_learn_seen(l, &(struct bh_learn_flow){.flow = &f,
					 .src = &web,
					 .dst = &out,
					 .egress = true,
					 .now = 100 + i});
	}
	bh_end_finish(&web);
	struct bh_learn_stats st = stats();
	assert_in_range(
		st.tuples, BH_LEARN_TUPLES / 2 - BH_LEARN_TUPLES / 8, BH_LEARN_TUPLES / 2 + 1);
	assert_int_equal(st.pending, BH_LEARN_PENDING);
	assert_int_equal(st.pending_evicted, 250000 - BH_LEARN_PENDING);
	assert_int_equal(st.tuples_refused, 0);
	assert_int_equal(st.folded_rows, 1);
	assert_in_range(st.folded, 250000 - BH_LEARN_TUPLES / 2, 250000 - BH_LEARN_TUPLES / 4);
	/* Learning goes on all the same. */
	good.dport = 6379;
	seen(&good, 400000);
	bh_learn_answered(l, &good, 400001);
	assert_int_equal(stats().answered, 2);
	good.dport = 6380;
	seen(&good, 400002);
	bh_learn_answered(l, &good, 400003);
	assert_int_equal(stats().answered, 3);
	assert_int_equal(learned, 3);
	assert_int_equal(learned_port, 6380);
}

/* --- more than are kept one by one --- */

static void seen_outside(
	const char *app, uint32_t n, uint16_t port, bool answered, bool again, int64_t now)
{
	struct bh_end from = role("shop", app);
	struct bh_flow f = flow(BH_TCP, 50000, port);
	struct bh_end out = {.kind = BH_END_ADDR, .addr = addr("198.0.0.0")};
	out.addr.b[1] = (uint8_t)(n >> 16);
	out.addr.b[2] = (uint8_t)(n >> 8);
	out.addr.b[3] = (uint8_t)n;
	f.dst = out.addr;
	f.sport = (uint16_t)(n + again);
	bh_learn_seen(l, &(struct bh_learn_flow){.flow = &f,
				 .src = &from,
				 .dst = &out,
				 .egress = true,
				 .src_image = "evil:1",
				 .now = now});
	if (answered)
		bh_learn_answered(l, &f, now);
	bh_end_finish(&from);
}

static uint64_t sum_of(const char *app, uint64_t *ret_single, uint64_t *ret_folded)
{
	size_t n;
	uint64_t connections = 0;
	struct bh_tuple bh_autofree *t = bh_learn_tuples(l, &n);
	*ret_single = *ret_folded = 0;
	for (size_t i = 0; i < n; i++) {
		if (t[i].src.kind != BH_END_ROLE ||
			!bh_streq(bh_labels_get(&t[i].src.selector, "app"), app))
			continue;
		connections += t[i].connections;
		*ret_single += t[i].folded == 0;
		*ret_folded += t[i].folded;
	}
	return connections;
}

/* A million answered ones of one container: the table stays what it is allowed to be, nothing is
 * lost without trace, and what another role was seen to do is kept to the last. */
static void test_a_million(void **state BH_UNUSED)
{
	enum { MAX = 20000 };
	uint64_t single, folded;
	reopen(MAX);
	for (uint32_t i = 0; i < 200; i++)
		seen_outside("web", i, 443, true, false, 1 + i);
	for (uint32_t i = 0; i < 1000000; i++) {
		seen_outside("evil", i, (uint16_t)(i % 3 ? 443 : 8000), true, false, 1000 + i);
		if (i % 65536 == 0)
			assert_int_equal(bh_learn_save(l), 0);
		if (i % 8192 == 0)
			assert_in_range(stats().tuples, 0, MAX);
	}
	struct bh_learn_stats st = stats();
	assert_int_equal(st.tuples_refused, 0);
	assert_int_equal(st.folded_rows, 2);
	assert_int_equal(sum_of("evil", &single, &folded), 1000000);
	assert_int_equal(single + folded, 1000000);
	assert_in_range(single, MAX / 2, MAX);
	assert_int_equal(sum_of("web", &single, &folded), 200);
	assert_int_equal(single, 200);
	/* The same on disk, and bounded there. */
	assert_int_equal(bh_learn_save(l), 0);
	restart();
	assert_int_equal(stats().tuples, st.tuples);
	assert_int_equal(stats().folded, st.folded);
	assert_int_equal(sum_of("evil", &single, &folded), 1000000);
	/* A smaller table takes what there is. */
	assert_int_equal(bh_learn_save(l), 0);
	reopen(1000);
	assert_in_range(stats().tuples, 0, 1000);
	assert_int_equal(sum_of("evil", &single, &folded), 1000000);
	assert_int_equal(sum_of("web", &single, &folded), 200);
	assert_int_equal(single, 200);
	assert_int_equal(bh_learn_save(l), 0);
	reopen(1000);
	assert_int_equal(sum_of("evil", &single, &folded), 1000000);
}

/* The least used and oldest go first, never what a person said something about, and ports are given
 * up only where there are too many of them as well. */
static bool is_first(const struct bh_tuple *t, void *arg BH_UNUSED)
{
	return t->dst.kind == BH_END_ADDR && t->dst.addr.b[3] == 0 && t->dst.addr.b[2] == 0 &&
	       t->dst.addr.b[1] == 0;
}

static void test_what_is_put_together(void **state BH_UNUSED)
{
	static const enum bh_review accepted = BH_REVIEW_ACCEPTED;
	size_t n, often = 0, first = 0, ports = 0, newest = 0;
	reopen(1000);
	seen_outside("web", 0, 443, true, false, 1);
	assert_int_equal(bh_learn_review(l, is_first, NULL, &accepted, NULL), 1);
	for (unsigned i = 0; i < 100; i++) /* old, but used often */
		for (unsigned k = 0; k < 40; k++)
			seen_outside("web", 1000 + i, 443, true, k, 2);
	for (unsigned i = 0; i < 5000; i++)
		seen_outside("web", 10000 + i, (uint16_t)(1 + i), true, false, 100 + i);
	struct bh_tuple bh_autofree *t = bh_learn_tuples(l, &n);
	for (size_t i = 0; i < n; i++) {
		first += is_first(&t[i], NULL);
		often += t[i].connections == 40 && !t[i].folded;
		ports += t[i].folded && t[i].port == 0;
		newest += t[i].port == 5000 && !t[i].folded;
		if (t[i].folded) {
			assert_int_equal(t[i].dst.kind, BH_END_OTHERS);
			assert_true(t[i].answered && t[i].egress && !t[i].ingress);
			assert_int_equal(t[i].span.addr.b[0], 198);
			assert_string_equal(t[i].image[0], "evil:1");
		}
	}
	assert_int_equal(first, 1);
	assert_int_equal(often, 100);
	assert_int_equal(ports, 1);
	assert_int_equal(newest, 1);
	assert_in_range(n, 500, 1000);
}

/* What was put together can be widened by whoever names a block that has it all; not by less. */
static bool in_block(const struct bh_tuple *t, void *arg)
{
	return t->folded && bh_tuple_in_block(t, arg);
}

static void test_widening_what_was_put_together(void **state BH_UNUSED)
{
	struct bh_prefix all, part;
	reopen(100);
	for (unsigned i = 0; i < 500; i++)
		seen_outside("web", i, 443, true, false, 1 + i);
	assert_int_equal(bh_prefix_parse("198.0.0.0/23", &all), 0);
	assert_int_equal(bh_prefix_parse("198.0.0.0/24", &part), 0);
	assert_int_equal(bh_learn_review(l, in_block, &part, NULL, &part), 0);
	assert_int_equal(bh_learn_review(l, in_block, &all, NULL, &all), 1);
	assert_int_equal(bh_learn_save(l), 0);
	reopen(100);
	size_t n, widened = 0;
	struct bh_tuple bh_autofree *t = bh_learn_tuples(l, &n);
	for (size_t i = 0; i < n; i++)
		widened += t[i].is_widened;
	assert_int_equal(widened, 1);
}

/* Two flows of a tuple that found no place wait, each with its own copy; both are answered. */
static void test_two_without_a_place(void **state BH_UNUSED)
{
	struct bh_end web = role("shop", "web");
	reopen(128);
	for (uint32_t i = 0; i < 64; i++) { /* all of them wait: none can be put together */
		struct bh_flow f = flow(BH_TCP, 50000, (uint16_t)(1000 + i));
		struct bh_end out = {.kind = BH_END_ADDR, .addr = addr("198.51.100.1")};
		f.dst = out.addr;
		bh_learn_seen(
			l, &(struct bh_learn_flow){
				   .flow = &f, .src = &web, .dst = &out, .egress = true, .now = 1});
	}
	bh_end_finish(&web);
	struct bh_flow a = flow(BH_TCP, 1, 5432), b = flow(BH_TCP, 2, 5432);
	size_t before = stats().tuples;
	seen_as(&a, "web", "db", true, false, NULL, 10);
	seen_as(&b, "web", "db", false, true, NULL, 11);
	assert_int_equal(stats().tuples, before);
	bh_learn_answered(l, &a, 20);
	bh_learn_answered(l, &b, 21);
	assert_int_equal(stats().tuples, before + 1);
	assert_int_equal(learned, 1);
	size_t n;
	struct bh_tuple bh_autofree *t = bh_learn_tuples(l, &n);
	for (size_t i = 0; i < n; i++)
		if (t[i].answered) {
			assert_int_equal(t[i].connections, 2);
			assert_true(t[i].egress && t[i].ingress);
		}
}

/* What could not be written is written later. */
static void test_full_disk(void **state BH_UNUSED)
{
	struct rlimit old, small = {1, 1};
	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
	struct bh_flow f = flow(BH_TCP, 40000, 5432);
	seen(&f, 100);
	bh_learn_answered(l, &f, 200);
	small.rlim_max = old.rlim_max;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
	int r = bh_learn_save(l);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
	assert_int_equal(r, -ENOSPC);
	assert_int_equal(bh_learn_save(l), 0);
	restart();
	assert_int_equal(stats().answered, 1);
	assert_int_equal(stats().last_new, 200);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

static bool is_port(const struct bh_tuple *t, void *arg)
{
	return t->port == *(uint16_t *)arg;
}

/* Reviews and what was forgotten are on disk; flows that wait are no way back. */
static void test_review_and_forget(void **state BH_UNUSED)
{
	struct bh_flow f[3];
	const enum bh_review rejected = BH_REVIEW_REJECTED;
	uint16_t port = 1;
	for (uint16_t i = 0; i < 3; i++) {
		f[i] = flow(BH_TCP, (uint16_t)(40000 + i), (uint16_t)(i + 1));
		seen(&f[i], 100);
		if (i != 2)
			bh_learn_answered(l, &f[i], 200);
	}
	assert_int_equal(bh_learn_review(l, is_port, &port, &rejected, NULL), 1);
	assert_int_equal(bh_learn_save(l), 0);
	port = 2;
	assert_int_equal(bh_learn_forget(l, is_port, &port), 1);
	port = 3; /* unanswered, and its flow waits */
	assert_int_equal(stats().pending, 1);
	assert_int_equal(bh_learn_forget(l, is_port, &port), 1);
	assert_int_equal(bh_learn_forget(l, is_port, &port), 0);
	assert_int_equal(stats().pending, 0);
	assert_int_equal(stats().tuples, 1);
	assert_int_equal(stats().answered, 1);
	assert_int_equal(only().review, BH_REVIEW_REJECTED);
	assert_int_equal(bh_learn_save(l), 0);
	restart();
	assert_int_equal(only().port, 1);
	assert_int_equal(only().review, BH_REVIEW_REJECTED);
	seen(&f[0], 300); /* seen again: what was said of it stays */
	assert_int_equal(only().review, BH_REVIEW_REJECTED);
	seen(&f[1], 300); /* learned anew */
	bh_learn_answered(l, &f[1], 300);
	assert_int_equal(stats().answered, 2);
}

static void observe(const char *app, uint64_t first, size_t n, bool learning, int64_t now)
{
	struct bh_end e = role("shop", app);
	struct bh_learn_instance in[64];
	for (size_t i = 0; i < n; i++)
		in[i] = (struct bh_learn_instance){&e, first + i, learning};
	bh_learn_observe(l, in, n, now);
	bh_end_finish(&e);
}

static struct bh_role_row row(const char *app)
{
	struct bh_end e = role("shop", app);
	const struct bh_role_row *r = bh_learn_role(l, &e);
	bh_end_finish(&e);
	assert_non_null(r);
	return *r;
}

static void test_observed_roles(void **state BH_UNUSED)
{
	const int64_t hour = 3600 * SECOND;
	unsigned hours, weekdays;
	observe("web", 1, 2, true, 10 * SECOND); /* two replicas: nothing has started */
	observe("web", 1, 2, true, 70 * SECOND);
	assert_int_equal(row("web").learned_s, 60); /* not twice */
	assert_int_equal(row("web").starts, 0);
	observe("web", 1, 3, true, 80 * SECOND); /* one more */
	observe("web", 2, 2, false, 90 * SECOND); /* enforced: observed, but not learning */
	assert_int_equal(row("web").learned_s, 70);
	assert_int_equal(row("web").starts, 1);
	assert_int_equal(row("web").last, 90 * SECOND);
	observe("web", 2, 1, true, 5 * hour); /* the machine slept */
	assert_int_equal(row("web").learned_s, 70 + 120);
	observe("web", 2, 1, true, 4 * hour); /* the clock was set back */
	assert_int_equal(row("web").learned_s, 70 + 120);
	bh_hours_count(row("web").hours, &hours, &weekdays);
	assert_int_equal(hours, 3);
	assert_int_equal(weekdays, 1);
	assert_int_equal(bh_learn_save(l), 0);
	restart();
	assert_int_equal(row("web").learned_s, 190);
	assert_int_equal(row("web").since, 10 * SECOND);
	observe("web", 2, 1, true, 30 * hour); /* known: no start; the time between runs: none */
	assert_int_equal(row("web").starts, 1);
	assert_int_equal(row("web").learned_s, 190);
	bh_hours_count(row("web").hours, &hours, &weekdays);
	assert_int_equal(weekdays, 2);
	for (uint64_t i = 0; i < 1000; i++) /* one that crashes all the time is bounded */
		observe("web", 100 + i, 1, true, 31 * hour + (int64_t)i);
	assert_int_equal(row("web").starts, 1001);
	assert_int_equal(row("web").n_instances, BH_ROLE_INSTANCES);
}

static void test_roles_are_bounded(void **state BH_UNUSED)
{
	char name[32];
	for (int i = 0; i < BH_LEARN_ROLES + 10; i++) {
		snprintf(name, sizeof(name), "r%d", i);
		observe(name, 1, 1, true, SECOND + i);
	}
	assert_int_equal(bh_learn_n_roles(l), BH_LEARN_ROLES);
	row("r10"); /* those seen last stay */
	struct bh_end gone = role("shop", "r9");
	assert_null(bh_learn_role(l, &gone));
	bh_end_finish(&gone);
	assert_int_equal(bh_learn_save(l), 0);
	restart();
	assert_int_equal(bh_learn_n_roles(l), BH_LEARN_ROLES);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_more_of_a_tuple),
		TEST(test_volume_of_a_tuple),
		TEST(test_answered_but_counted_elsewhere),
		TEST(test_seen_then_answered),
		TEST(test_asked_for_again_and_again),
		TEST(test_answered_late),
		TEST(test_asked_in_order),
		TEST(test_clock_set_back),
		TEST(test_nobody_waits_for_this_answer),
		TEST(test_exact_match),
		TEST(test_known_tuple_needs_no_pending),
		TEST(test_repeated_syn_is_one_connection),
		TEST(test_address_changes_hands),
		TEST(test_pending_expires),
		TEST(test_icmp),
		TEST(test_image_of_the_role_end),
		TEST(test_survives_restart),
		TEST(test_order_is_by_key),
		TEST(test_scan),
		TEST(test_a_million),
		TEST(test_what_is_put_together),
		TEST(test_widening_what_was_put_together),
		TEST(test_two_without_a_place),
		TEST(test_full_disk),
		TEST(test_review_and_forget),
		TEST(test_observed_roles),
		TEST(test_roles_are_bounded),
	};
	return cmocka_run_group_tests_name("learn", tests, NULL, NULL);
}
