/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What packet threads tell the loop of: when it is woken, and that nothing gets lost unsaid. */
#include "unit/core_world.h"

struct fixture {
	struct bh_shared shared;
	struct bh_queue_ctx ctx;
};

static int setup(void **state)
{
	struct fixture *f = bh_xcalloc(1, sizeof(*f));
	assert_int_equal(bh_shared_init(&f->shared), 0);
	f->ctx = (struct bh_queue_ctx){.shared = &f->shared, .purpose = BH_QUEUE_OBSERVED};
	bh_shared_publish(&f->shared, world(BH_MODE_ENFORCE, false));
	*state = f;
	return 0;
}

/* So many packets, decided and answered. */
static void decide(struct fixture *f, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		const struct bh_packet p =
			packet("10.0.0.3", "10.0.0.2", (uint16_t)(i % 2 ? 80 : 81));
		assert_int_equal(
			bh_verdict_packet(&p, &f->ctx), i % 2 ? BH_PACKET_ACCEPT : BH_PACKET_DROP);
	}
	bh_verdict_sent(&f->ctx);
}

static size_t take(struct fixture *f, size_t max, uint64_t lost[2])
{
	struct bh_event *e = bh_xcalloc(max, sizeof(*e));
	size_t n = bh_shared_take(&f->shared, e, max, lost);
	for (size_t i = 0; i < n; i++)
		bh_snapshot_unref(e[i].snap);
	free(e);
	return n;
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	uint64_t lost[2];
	while (take(f, 1000, lost) > 0)
		;
	bh_shared_finish(&f->shared);
	free(f);
	return 0;
}

static bool woken(struct fixture *f)
{
	uint64_t n;
	return read(f->shared.wake, &n, sizeof(n)) == sizeof(n);
}

static void test_after_the_verdict(void **state)
{
	struct fixture *f = *state;
	const struct bh_packet p = packet("10.0.0.3", "10.0.0.2", 80);
	uint64_t lost[2];
	assert_int_equal(bh_verdict_packet(&p, &f->ctx), BH_PACKET_ACCEPT);
	assert_false(woken(f)); /* its verdict is not sent yet */
	assert_int_equal(take(f, 8, lost), 0);
	bh_verdict_sent(&f->ctx);
	assert_true(woken(f));
	assert_int_equal(take(f, 8, lost), 1);
	bh_verdict_sent(&f->ctx); /* nothing new */
	assert_false(woken(f));
	assert_int_equal(take(f, 8, lost), 0);
}

/* A sweep of held packets decides more of them than there are in a batch. */
static void test_more_than_a_batch(void **state)
{
	struct fixture *f = *state;
	const size_t n = 3 * BH_UNTOLD_MAX + 1;
	uint64_t lost[2];
	decide(f, n);
	assert_int_equal(take(f, 2 * n, lost), n);
	assert_int_equal(lost[0] + lost[1], 0);
}

static void test_one_wake_up(void **state)
{
	struct fixture *f = *state;
	uint64_t lost[2];
	decide(f, 1);
	assert_true(woken(f));
	decide(f, 1);
	assert_false(woken(f)); /* it knows */
	assert_int_equal(take(f, 8, lost), 2);
	decide(f, 1);
	assert_false(woken(f)); /* it found some: it comes again */
	assert_int_equal(take(f, 8, lost), 1);
	assert_int_equal(take(f, 8, lost), 0);
	decide(f, 1);
	assert_true(woken(f)); /* it found none: it sleeps */
}

static void test_hurry(void **state)
{
	struct fixture *f = *state;
	uint64_t lost[2];
	decide(f, BH_RING_HURRY - 1);
	assert_true(woken(f));
	assert_false(bh_shared_hurry(&f->shared));
	decide(f, 2);
	assert_true(woken(f)); /* while it collects */
	assert_true(bh_shared_hurry(&f->shared));
	decide(f, 100);
	assert_false(woken(f)); /* once */
	assert_int_equal(take(f, 200, lost), 200);
	assert_false(bh_shared_hurry(&f->shared));
	decide(f, 200);
	assert_true(woken(f));
	while (take(f, 1000, lost) > 0)
		;
}

/* Beyond the ring's size they are counted by what became of the packet; those inside stay whole. */
static void test_full(void **state)
{
	struct fixture *f = *state;
	uint64_t lost[2];
	decide(f, BH_RING_SIZE - 1);
	decide(f, 101); /* 51 dropped, 50 passed: the first of them has room */
	assert_int_equal(take(f, 1000, lost), 1000);
	assert_int_equal(lost[true], 50);
	assert_int_equal(lost[false], 50);
	decide(f, 1000); /* round the end of the ring */
	for (size_t left = BH_RING_SIZE; left > 0;) {
		size_t n = take(f, 1000, lost);
		assert_true(n > 0);
		assert_int_equal(lost[0] + lost[1], 0);
		left -= n;
	}
	assert_int_equal(take(f, 1000, lost), 0);
	assert_int_equal(f->shared.snap->refs, 1); /* none is kept for what was lost */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_after_the_verdict, setup, teardown),
		cmocka_unit_test_setup_teardown(test_more_than_a_batch, setup, teardown),
		cmocka_unit_test_setup_teardown(test_one_wake_up, setup, teardown),
		cmocka_unit_test_setup_teardown(test_hurry, setup, teardown),
		cmocka_unit_test_setup_teardown(test_full, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
