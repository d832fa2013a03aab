/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What packets of unknown workloads are answered, by queue, mode of the node and time. */
#include "unit/core_world.h"

struct fixture {
	struct bh_shared shared;
	struct bh_queue_ctx ctx[BH_QUEUES];
};

static int setup(void **state)
{
	struct fixture *f = bh_xcalloc(1, sizeof(*f));
	assert_int_equal(bh_shared_init(&f->shared), 0);
	for (int i = 0; i < BH_QUEUES; i++)
		f->ctx[i] = (struct bh_queue_ctx){
			.shared = &f->shared, .purpose = (enum bh_queue_purpose)i};
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	bh_shared_finish(&f->shared);
	free(f);
	return 0;
}

static enum bh_packet_verdict ask(
	struct fixture *f, enum bh_queue_purpose q, const struct bh_packet *p)
{
	enum bh_packet_verdict v = bh_verdict_packet(p, &f->ctx[q]);
	bh_verdict_sent(&f->ctx[q]);
	return v;
}

/* The one event there is; its reference is given back. */
static struct bh_event told(struct fixture *f)
{
	struct bh_event e[2];
	uint64_t lost[2];
	assert_int_equal(bh_shared_take(&f->shared, e, 2, lost), 1);
	bh_snapshot_unref(e[0].snap);
	return e[0];
}

static void silent(struct fixture *f)
{
	struct bh_event e;
	uint64_t lost[2];
	assert_int_equal(bh_shared_take(&f->shared, &e, 1, lost), 0);
}

static const char *const unknown_pairs[][2] = {
	{"10.0.0.9", "10.0.0.2"}, /* to who enforces */
	{"10.0.0.9", "10.0.0.3"}, /* to who learns */
	{"10.0.0.3", "10.0.0.9"}, {"10.0.0.9", "198.51.100.1"},
	{"10.0.0.9", "10.0.0.1"}, /* to the node */
};

static void test_unknown_waits_in_every_queue(void **state)
{
	struct fixture *f = *state;
	bh_shared_publish(&f->shared, world(BH_MODE_LEARN, false));
	for (size_t i = 0; i < BH_ARRAY_SIZE(unknown_pairs); i++)
		for (int q = 0; q < BH_QUEUES; q++) {
			struct bh_packet p = packet(unknown_pairs[i][0], unknown_pairs[i][1], 80);
			assert_int_equal(ask(f, q, &p), BH_PACKET_HOLD);
			p.held = true; /* asked again, still nobody knows */
			assert_int_equal(ask(f, q, &p), BH_PACKET_HOLD);
		}
	silent(f); /* nothing is decided, nothing told */
}

static void test_known_does_not_wait(void **state)
{
	struct fixture *f = *state;
	static const struct {
		const char *src, *dst;
		uint16_t port;
		enum bh_packet_verdict v;
	} t[] = {
		{"10.0.0.3", "10.0.0.2", 80, BH_PACKET_ACCEPT},
		{"10.0.0.3", "10.0.0.2", 81, BH_PACKET_DROP},
		{"198.51.100.1", "10.0.0.2", 80,
			BH_PACKET_DROP}, /* outside: not ours to wait for */
		{"198.51.100.1", "10.0.0.3", 80, BH_PACKET_ACCEPT},
		{"10.0.0.3", "224.0.0.251", 5353, BH_PACKET_ACCEPT},
	};
	bh_shared_publish(&f->shared, world(BH_MODE_ENFORCE, false));
	for (size_t i = 0; i < BH_ARRAY_SIZE(t); i++) {
		struct bh_packet p = packet(t[i].src, t[i].dst, t[i].port);
		assert_int_equal(ask(f, BH_QUEUE_OBSERVED, &p), t[i].v);
		struct bh_event e = told(f);
		assert_int_equal(e.dropped, t[i].v == BH_PACKET_DROP);
	}
}

static void test_told_in_time(void **state)
{
	struct fixture *f = *state;
	struct bh_packet p = packet("10.0.0.9", "10.0.0.2", 80);
	bh_shared_publish(&f->shared, world(BH_MODE_ENFORCE, false));
	assert_int_equal(ask(f, BH_QUEUE_HOLD, &p), BH_PACKET_HOLD);
	bh_shared_publish(&f->shared, world(BH_MODE_ENFORCE, true));
	p.held = true;
	assert_int_equal(ask(f, BH_QUEUE_HOLD, &p), BH_PACKET_REPEAT);
	silent(f); /* it will be told when the rules in force have sent it */
	p.held = false; /* comes again, by the rules now in force: decided like any other */
	assert_int_equal(ask(f, BH_QUEUE_UNMATCHED, &p), BH_PACKET_DROP);
	assert_int_equal(told(f).decision.reason, BH_REASON_UNMATCHED);
}

/* A packet must not go round for ever: known, sent again, unknown again. */
static void test_repeated_once(void **state)
{
	struct fixture *f = *state;
	struct bh_packet p = packet("10.0.0.9", "10.0.0.3", 80);
	bh_shared_publish(&f->shared, world(BH_MODE_LEARN, true));
	p.held = true;
	assert_int_equal(ask(f, BH_QUEUE_HOLD, &p), BH_PACKET_REPEAT);
	bh_shared_publish(&f->shared, world(BH_MODE_LEARN, false));
	p.held = false;
	assert_int_equal(ask(f, BH_QUEUE_HOLD, &p), BH_PACKET_ACCEPT);
	assert_int_equal(told(f).decision.reason, BH_REASON_UNKNOWN_WORKLOAD);
	p.flow.sport++; /* another flow waits as always */
	assert_int_equal(ask(f, BH_QUEUE_HOLD, &p), BH_PACKET_HOLD);
}

static void test_never_told(void **state)
{
	struct fixture *f = *state;
	static const struct {
		enum bh_mode node;
		const char *dst;
		enum bh_packet_verdict v[BH_QUEUES]; /* unmatched, observed, hold */
	} t[] = {
		{BH_MODE_LEARN, "10.0.0.3", {BH_PACKET_DROP, BH_PACKET_ACCEPT, BH_PACKET_ACCEPT}},
		{BH_MODE_AUDIT, "10.0.0.3", {BH_PACKET_DROP, BH_PACKET_ACCEPT, BH_PACKET_ACCEPT}},
		{BH_MODE_ENFORCE, "10.0.0.3", {BH_PACKET_DROP, BH_PACKET_DROP, BH_PACKET_DROP}},
		/* who enforces does not let in whom nobody knows */
		{BH_MODE_LEARN, "10.0.0.2", {BH_PACKET_DROP, BH_PACKET_DROP, BH_PACKET_DROP}},
	};
	for (size_t i = 0; i < BH_ARRAY_SIZE(t); i++)
		for (int q = 0; q < BH_QUEUES; q++) {
			struct bh_packet p = packet("10.0.0.9", t[i].dst, 80);
			bh_shared_publish(&f->shared, world(t[i].node, false));
			p.held = p.expired = true;
			assert_int_equal(ask(f, q, &p), t[i].v[q]);
			struct bh_event e = told(f);
			assert_int_equal(e.decision.reason, BH_REASON_UNKNOWN_WORKLOAD);
			assert_int_equal(e.dropped, t[i].v[q] == BH_PACKET_DROP);
		}
}

/* A machine on the containers' subnet must not wait two seconds for each connection. */
static void test_waits_in_vain_once(void **state)
{
	struct fixture *f = *state;
	struct bh_packet p = packet("10.0.0.9", "10.0.0.3", 80);
	bh_shared_publish(&f->shared, world(BH_MODE_LEARN, false));
	assert_int_equal(ask(f, BH_QUEUE_HOLD, &p), BH_PACKET_HOLD);
	p.held = p.expired = true;
	assert_int_equal(ask(f, BH_QUEUE_HOLD, &p), BH_PACKET_ACCEPT);
	told(f);
	struct bh_packet next = packet("10.0.0.9", "10.0.0.3", 81);
	assert_int_equal(ask(f, BH_QUEUE_HOLD, &next), BH_PACKET_ACCEPT);
	assert_int_equal(told(f).decision.reason, BH_REASON_UNKNOWN_WORKLOAD);
	next = packet("10.0.0.10", "10.0.0.3", 81);
	assert_int_equal(ask(f, BH_QUEUE_HOLD, &next), BH_PACKET_HOLD);
	/* Something has changed: perhaps it will be told of soon. */
	bh_shared_publish(&f->shared, world(BH_MODE_LEARN, false));
	next = packet("10.0.0.9", "10.0.0.3", 82);
	assert_int_equal(ask(f, BH_QUEUE_HOLD, &next), BH_PACKET_HOLD);
}

/* A full ring of held packets says nothing of the address. */
static void test_no_room_to_wait(void **state)
{
	struct fixture *f = *state;
	struct bh_packet p = packet("10.0.0.9", "10.0.0.3", 80);
	bh_shared_publish(&f->shared, world(BH_MODE_LEARN, false));
	p.expired = true;
	assert_int_equal(ask(f, BH_QUEUE_HOLD, &p), BH_PACKET_ACCEPT);
	told(f);
	p = packet("10.0.0.9", "10.0.0.3", 81);
	assert_int_equal(ask(f, BH_QUEUE_HOLD, &p), BH_PACKET_HOLD);
}

/* The rules of the run before are in force and nothing is known yet. */
static void test_before_the_first_snapshot(void **state)
{
	struct fixture *f = *state;
	struct bh_packet p = packet("10.0.0.3", "10.0.0.2", 80);
	assert_int_equal(ask(f, BH_QUEUE_OBSERVED, &p), BH_PACKET_ACCEPT);
	assert_int_equal(ask(f, BH_QUEUE_UNMATCHED, &p), BH_PACKET_HOLD);
	assert_int_equal(ask(f, BH_QUEUE_HOLD, &p), BH_PACKET_HOLD);
	p.held = p.expired = true;
	assert_int_equal(ask(f, BH_QUEUE_UNMATCHED, &p), BH_PACKET_DROP);
	assert_int_equal(ask(f, BH_QUEUE_HOLD, &p), BH_PACKET_ACCEPT);
	f->ctx[BH_QUEUE_HOLD].closed = true;
	assert_int_equal(ask(f, BH_QUEUE_HOLD, &p), BH_PACKET_DROP);
	silent(f);
}

int main(void)
{
#define T(t) cmocka_unit_test_setup_teardown(t, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_unknown_waits_in_every_queue),
		T(test_known_does_not_wait),
		T(test_told_in_time),
		T(test_repeated_once),
		T(test_never_told),
		T(test_waits_in_vain_once),
		T(test_no_room_to_wait),
		T(test_before_the_first_snapshot),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
