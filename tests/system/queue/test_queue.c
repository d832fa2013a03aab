/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The queue against a real kernel, on loopback in a network namespace of the test's own. The rules
 * come from iptables-nft, whose NFQUEUE target works on kernels with and without nft_queue. */
#include "system/queue/oracle.h"

#include <sys/syscall.h>

static void rules(const char *target)
{
	assert_int_equal(bh_sh("iptables-nft -F OUTPUT"), 0);
	assert_int_equal(bh_sh("iptables-nft -A OUTPUT -p udp --dport %d %s", PORT, target), 0);
}

struct fixture {
	int in, out;
	struct oracle o;
};

static int setup(void **state)
{
	struct fixture *f = bh_xcalloc(1, sizeof(*f));

	rules("-j NFQUEUE --queue-num 10");
	oracle_init(&f->o, BH_PACKET_ACCEPT);
	f->in = server();
	f->out = client();
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	close(f->in);
	close(f->out);
	free(f);
	return bh_sh("iptables-nft -F OUTPUT");
}

static void test_accept(void **state)
{
	struct fixture *f = *state;
	struct bh_queue *q = start(&plain, &f->o);
	struct sockaddr_in me;
	socklen_t len = sizeof(me);
	int mark = 0x77;

	assert_int_equal(getsockname(f->out, (struct sockaddr *)&me, &len), 0);
	assert_int_equal(setsockopt(f->out, SOL_SOCKET, SO_MARK, &mark, sizeof(mark)), 0);
	say(f->out, "hello");
	assert_hears(f->in, "hello");
	struct bh_packet p = last(&f->o);
	assert_int_equal(p.fault, BH_PACKET_OK);
	assert_int_equal(p.flow.proto, IPPROTO_UDP);
	assert_int_equal(p.flow.dport, PORT);
	assert_int_equal(p.flow.sport, ntohs(me.sin_port));
	assert_int_equal(p.hook, NF_INET_LOCAL_OUT);
	assert_int_equal(p.outdev, if_nametoindex("lo"));
	assert_int_equal(p.indev, 0);
	assert_int_equal(p.physindev, 0);
	assert_int_equal(p.mark, 0x77);
	assert_int_equal(p.len, 20 + 8 + 5);
	struct bh_queue_stats s = stats(q);
	assert_int_equal(s.received, 1);
	assert_int_equal(s.accepted, 1);
	assert_int_equal(s.dropped + s.repeated + s.rejected + s.held + s.lost_ids, 0);
	bh_queue_stop(q);
}

static void test_drop(void **state)
{
	struct fixture *f = *state;
	struct bh_queue *q = start(&plain, &f->o);

	f->o.answer = BH_PACKET_DROP;
	say(f->out, "no");
	until(&f->o.calls, 1);
	assert_silent(f->in, 200);
	assert_int_equal(stats(q).dropped, 1);
	f->o.answer = BH_PACKET_ACCEPT;
	say(f->out, "yes");
	assert_hears(f->in, "yes");
	bh_queue_stop(q);
}

static void test_ipv6(void **state)
{
	struct fixture *f = *state;
	struct bh_queue *q = start(&plain, &f->o);
	struct sockaddr_in6 a = {.sin6_family = AF_INET6, .sin6_port = htons(PORT)};

	a.sin6_addr = in6addr_loopback;
	assert_int_equal(
		bh_sh("ip6tables-nft -A OUTPUT -p udp --dport %d -j NFQUEUE --queue-num 10", PORT),
		0);
	int in = socket(AF_INET6, SOCK_DGRAM, 0), out = socket(AF_INET6, SOCK_DGRAM, 0);
	assert_int_equal(bind(in, (struct sockaddr *)&a, sizeof(a)), 0);
	assert_int_equal(connect(out, (struct sockaddr *)&a, sizeof(a)), 0);
	say(out, "six");
	assert_hears(in, "six");
	assert_int_equal(last(&f->o).flow.src.family, BH_IPV6);
	assert_int_equal(last(&f->o).flow.dst.b[15], 1);
	assert_int_equal(last(&f->o).flow.dport, PORT);
	close(in);
	close(out);
	assert_int_equal(bh_sh("ip6tables-nft -F OUTPUT"), 0);
	bh_queue_stop(q);
}

static void test_hold_and_recheck(void **state)
{
	struct fixture *f = *state;
	struct bh_queue_opts opts = plain;

	opts.hold_ms = 60000;
	struct bh_queue *q = start(&opts, &f->o);
	f->o.answer = BH_PACKET_HOLD;
	say(f->out, "one");
	say(f->out, "two");
	until(&f->o.calls, 2);
	assert_silent(f->in, 100);
	bh_queue_recheck(q); /* still no answer: they stay */
	until(&f->o.held_calls, 2);
	assert_silent(f->in, 100);
	assert_true(last(&f->o).held);
	assert_false(last(&f->o).expired);
	f->o.answer_held = BH_PACKET_ACCEPT;
	bh_queue_recheck(q);
	assert_hears(f->in, "one");
	assert_hears(f->in, "two");
	struct bh_queue_stats s = stats(q);
	assert_int_equal(s.held, 2);
	assert_int_equal(s.accepted, 2);
	assert_int_equal(s.expired, 0);
	assert_int_equal(f->o.calls, 6);
	bh_queue_recheck(q); /* nothing is left to ask for */
	sleep_ms(50);
	assert_int_equal(f->o.calls, 6);
	bh_queue_stop(q);
}

static void test_hold_expires(void **state)
{
	struct fixture *f = *state;
	struct bh_queue *q = start(&plain, &f->o);
	int64_t begin = now_ms();

	f->o.answer = BH_PACKET_HOLD;
	f->o.answer_expired = BH_PACKET_ACCEPT;
	say(f->out, "late");
	assert_hears(f->in, "late");
	assert_true(now_ms() - begin >= plain.hold_ms);
	assert_true(now_ms() - begin < plain.hold_ms + 1000);
	assert_int_equal(f->o.expired_calls, 1);
	f->o.answer_expired = BH_PACKET_HOLD; /* not an answer: dropped */
	say(f->out, "never");
	until(&f->o.expired_calls, 2);
	assert_silent(f->in, 200);
	assert_int_equal(f->o.expired_calls, 2);
	struct bh_queue_stats s = stats(q);
	assert_int_equal(s.held, 2);
	assert_int_equal(s.expired, 2);
	assert_int_equal(s.accepted, 1);
	assert_int_equal(s.dropped, 1);
	bh_queue_stop(q);
}

static void test_hold_is_bounded(void **state)
{
	struct fixture *f = *state;
	struct bh_queue_opts opts = plain;

	opts.hold_max = 3;
	opts.hold_ms = 60000;
	struct bh_queue *q = start(&opts, &f->o);
	f->o.answer = BH_PACKET_HOLD;
	f->o.answer_expired = BH_PACKET_ACCEPT;
	for (int i = 0; i < 5; i++)
		say(f->out, i < 3 ? "held" : "beyond");
	assert_hears(f->in, "beyond");
	assert_hears(f->in, "beyond");
	assert_silent(f->in, 100);
	assert_int_equal(stats(q).held, 3);
	assert_int_equal(stats(q).expired, 2);
	bh_queue_stop(q); /* asks for the held ones a last time */
	for (int i = 0; i < 3; i++)
		assert_hears(f->in, "held");
	assert_silent(f->in, 50);
	assert_int_equal(f->o.expired_calls, 5);
}

/* Some leave at a recheck, others stay and keep their order and deadline. */
static _Atomic uint8_t passes;
static enum bh_packet_verdict by_length(const struct bh_packet *p, void *arg BH_UNUSED)
{
	if (p->expired)
		return BH_PACKET_ACCEPT;
	return p->held && p->len - 28 == passes ? BH_PACKET_ACCEPT : BH_PACKET_HOLD;
}

static void test_recheck_takes_some(void **state)
{
	struct fixture *f = *state;
	struct bh_queue *q = NULL;
	struct bh_queue_opts opts = plain;

	opts.hold_ms = 700;
	passes = 0;
	assert_int_equal(bh_queue_start(&opts, by_length, NULL, &q), 0);
	say(f->out, "1");
	say(f->out, "22");
	say(f->out, "333");
	say(f->out, "4444");
	sleep_ms(100);
	passes = 2;
	bh_queue_recheck(q);
	assert_hears(f->in, "22");
	passes = 4;
	bh_queue_recheck(q);
	assert_hears(f->in, "4444");
	say(f->out, "55555");
	assert_hears(f->in, "1"); /* the deadline of the first ones */
	assert_hears(f->in, "333");
	assert_int_equal(stats(q).accepted, 4);
	assert_hears(f->in, "55555");
	bh_queue_stop(q);
}

static void test_repeat(void **state)
{
	struct fixture *f = *state;
	struct bh_queue_opts opts = plain;

	opts.hold_ms = 60000;
	struct bh_queue *q = start(&opts, &f->o);
	f->o.answer = BH_PACKET_HOLD;
	f->o.answer_held = BH_PACKET_REPEAT;
	say(f->out, "again");
	until(&f->o.calls, 1);
	assert_int_equal(bh_sh("iptables-nft -I OUTPUT -p udp --dport %d -j ACCEPT", PORT), 0);
	bh_queue_recheck(q);
	assert_hears(f->in, "again");
	assert_int_equal(f->o.calls, 2); /* the new first rule took it */
	assert_int_equal(stats(q).repeated, 1);
	bh_queue_stop(q);
}

static void test_reject(void **state)
{
	struct fixture *f = *state;
	char buf[16];

	assert_int_equal(bh_sh("iptables-nft -I OUTPUT -p udp -m mark --mark 0x%x/0x%x -j REJECT",
				 BH_QUEUE_REJECT_MARK, BH_QUEUE_REJECT_MARK),
		0);
	assert_int_equal(bh_sh("iptables-nft -A OUTPUT -m mark --mark 0x%x/0x%x -p tcp"
			       " -j REJECT --reject-with tcp-reset",
				 BH_QUEUE_REJECT_MARK | 0x5, BH_QUEUE_REJECT_MARK | 0xf),
		0);
	assert_int_equal(
		bh_sh("iptables-nft -A OUTPUT -p tcp --dport 9001 -j NFQUEUE --queue-num 10"), 0);
	struct bh_queue *q = start(&plain, &f->o);
	f->o.answer = BH_PACKET_REJECT;
	say(f->out, "no");
	assert_int_equal(hear(f->out, buf, sizeof(buf), 2000), -1);
	assert_int_equal(errno, ECONNREFUSED); /* ICMP port unreachable */
	assert_silent(f->in, 50);
	assert_int_equal(f->o.calls, 1);

	/* The mark that the packet had stays. */
	struct sockaddr_in a = v4("127.0.0.1", 9001);
	int l = socket(AF_INET, SOCK_STREAM, 0), c = socket(AF_INET, SOCK_STREAM, 0), mark = 5;
	assert_int_equal(setsockopt(c, SOL_SOCKET, SO_MARK, &mark, sizeof(mark)), 0);
	assert_int_equal(bind(l, (struct sockaddr *)&a, sizeof(a)), 0);
	assert_int_equal(listen(l, 1), 0);
	assert_int_equal(connect(c, (struct sockaddr *)&a, sizeof(a)), -1);
	assert_int_equal(errno, ECONNREFUSED);
	assert_int_equal(f->o.calls, 2);
	struct bh_queue_stats s = stats(q);
	assert_int_equal(s.rejected, 2);
	assert_int_equal(s.repeated, 0);
	close(l);
	close(c);
	bh_queue_stop(q);
}

/* Sends n datagrams with numbers; returns how many arrived, each at most once. */
static int volley(struct fixture *f, int n, size_t size)
{
	char *payload = bh_xcalloc(1, size);
	uint8_t *seen = bh_xcalloc((size_t)n, 1);
	int arrived = 0;

	for (int i = 0; i < n; i++) {
		memcpy(payload, &i, sizeof(i));
		assert_int_equal(send(f->out, payload, size, 0), size);
	}
	f->o.shut = false;
	while (hear(f->in, payload, size, 500) > 0) {
		int i;
		memcpy(&i, payload, sizeof(i));
		assert_true(i >= 0 && i < n);
		assert_int_equal(seen[i]++, 0);
		arrived++;
	}
	free(payload);
	free(seen);
	return arrived;
}

static void test_thousands(void **state)
{
	struct fixture *f = *state;
	struct bh_queue_opts opts = plain;

	opts.maxlen = 65536;
	struct bh_queue *q = start(&opts, &f->o);
	f->o.shut = true; /* so that they come in full batches */
	assert_int_equal(volley(f, 30000, 32), 30000);
	struct bh_queue_stats s = stats(q);
	assert_int_equal(f->o.calls, 30000);
	assert_int_equal(s.received, 30000);
	assert_int_equal(s.accepted, 30000);
	assert_int_equal(s.kernel_dropped + s.user_dropped + s.overruns + s.lost_ids, 0);
	assert_kernel_queue_empty();
	bh_queue_stop(q);
}

/* The queue's length is the bound, not the socket: whatever the packets' size. */
static void test_full_drops(void **state)
{
	struct fixture *f = *state;
	static const size_t sizes[] = {32, 100, 200, 300, 1400};

	for (size_t i = 0; i < BH_ARRAY_SIZE(sizes); i++) {
		struct bh_queue_opts opts = plain;
		opts.maxlen = 512;
		struct bh_queue *q = start(&opts, &f->o);
		f->o.shut = true;
		int arrived = volley(f, 2000, sizes[i]);
		struct bh_queue_stats s = stats(q);
		assert_true(arrived >= 512 && arrived < 2000);
		assert_int_equal(s.accepted, arrived);
		assert_int_equal(s.kernel_dropped, 2000 - arrived);
		assert_int_equal(s.user_dropped, 0);
		assert_int_equal(s.overruns, 0);
		assert_kernel_queue_empty();
		bh_queue_stop(q);
	}
}

static void test_full_fails_open(void **state)
{
	struct fixture *f = *state;
	struct bh_queue_opts opts = plain;

	opts.maxlen = 128;
	opts.fail_open = true;
	struct bh_queue *q = start(&opts, &f->o);
	f->o.shut = true;
	assert_int_equal(volley(f, 1000, 32), 1000);
	say(f->out, "and one more"); /* shows the gap before it */
	assert_hears(f->in, "and one more");
	struct bh_queue_stats s = stats(q);
	assert_true(s.received < 400);
	assert_true(s.received >= 100);
	assert_int_equal(s.accepted, s.received);
	assert_int_equal(s.lost_ids, 1001 - s.received); /* none passed uncounted */
	assert_int_equal(s.bypassed, s.lost_ids);
	assert_int_equal(s.kernel_dropped, 0);
	assert_kernel_queue_empty();
	/* Not clogged afterwards. */
	int before = f->o.calls;
	assert_int_equal(volley(f, 50, 32), 50);
	assert_int_equal(f->o.calls, before + 50);
	bh_queue_stop(q);
}

static void test_stop(void **state)
{
	struct fixture *f = *state;
	struct bh_queue *q = start(&plain, &f->o);

	bh_queue_stop(q);
	bh_queue_stop(NULL);
	say(f->out, "lost");
	assert_silent(f->in, 100);
	rules("-j NFQUEUE --queue-num 10 --queue-bypass");
	say(f->out, "past");
	assert_hears(f->in, "past");
	assert_int_equal(f->o.calls, 0);
	q = start(&plain, &f->o); /* the number is free again */
	say(f->out, "again");
	assert_hears(f->in, "again");
	assert_int_equal(f->o.calls, 1);
	assert_int_equal(stats(q).lost_ids, 0);
	bh_queue_stop(q);
}

static void *release(void *arg)
{
	sleep_ms(100);
	*(atomic_bool *)arg = false;
	return NULL;
}

/* What waits on the socket when the queue is stopped still gets an answer. */
static void test_stop_decides_what_waits(void **state)
{
	struct fixture *f = *state;
	struct bh_queue *q = start(&plain, &f->o);
	pthread_t t;

	f->o.shut = true;
	for (int i = 0; i < 300; i++)
		say(f->out, "x");
	assert_int_equal(pthread_create(&t, NULL, release, &f->o.shut), 0);
	bh_queue_stop(q);
	pthread_join(t, NULL);
	assert_int_equal(f->o.calls, 300);
	for (int i = 0; i < 300; i++)
		assert_hears(f->in, "x");
}

/* Packets that wait in the kernel's queue when `sent` is called. */
static atomic_int sent_calls, waiting_when_sent;
static void look_at_queue(void *arg)
{
	struct oracle *o = arg;
	char line[256] = "";
	unsigned num, port, waiting;

	int calls = o->calls;
	if (calls == sent_calls)
		return; /* nothing new was decided */
	FILE *f = fopen("/proc/thread-self/net/netfilter/nfnetlink_queue", "r");
	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "%u %u %u", &num, &port, &waiting) == 3 && num == plain.num)
			waiting_when_sent += (int)waiting;
	if (f)
		fclose(f);
	else
		waiting_when_sent = -1000;
	sent_calls = calls; /* last: the next packet is sent upon it */
}

static void test_tells_after_the_verdict(void **state)
{
	struct fixture *f = *state;
	struct bh_queue_opts opts = plain;

	opts.sent = look_at_queue;
	sent_calls = waiting_when_sent = 0;
	struct bh_queue *q = start(&opts, &f->o);
	for (int i = 1; i <= 20; i++) {
		say(f->out, "one");
		until(&sent_calls, i);
	}
	assert_int_equal(waiting_when_sent, 0);
	f->o.answer = BH_PACKET_HOLD; /* and of a held one, when it is decided at last */
	f->o.answer_expired = BH_PACKET_ACCEPT;
	say(f->out, "late");
	until(&sent_calls, 21); /* held: it still waits */
	assert_int_equal(waiting_when_sent, 1);
	until(&sent_calls, 22);
	assert_int_equal(waiting_when_sent, 1);
	bh_queue_stop(q);
}

/* linux/sched/types.h has a struct sched_param of its own, which older C libraries don't know. */
struct attr {
	uint32_t size, sched_policy;
	uint64_t sched_flags;
	int32_t sched_nice;
	uint32_t sched_priority;
	uint64_t sched_runtime, sched_deadline, sched_period;
};

static long slice_of_this_thread(int *ret_nice)
{
	struct attr a = {.size = sizeof(a)};

	assert_int_equal(syscall(SYS_sched_getattr, 0, &a, sizeof(a), 0), 0);
	*ret_nice = a.sched_nice;
	return (long)a.sched_runtime; /* before 6.12: 0 */
}

static atomic_long slice;
static atomic_int niceness, looked;
static enum bh_packet_verdict look_at_slice(
	const struct bh_packet *p BH_UNUSED, void *arg BH_UNUSED)
{
	int n;

	slice = slice_of_this_thread(&n);
	niceness = n;
	looked++;
	return BH_PACKET_ACCEPT;
}

static void test_short_turns(void **state)
{
	struct fixture *f = *state;
	struct bh_queue *q = NULL;
	int mine;
	long usual = slice_of_this_thread(&mine);

	assert_int_equal(bh_queue_start(&plain, look_at_slice, NULL, &q), 0);
	say(f->out, "hello");
	until(&looked, 1);
	bh_queue_stop(q);
	assert_int_equal(niceness, mine);
	assert_int_equal(slice, usual ? 100000 : 0);
}

/* A request that finds the socket full, so that the kernel can't answer, is heard all the same. */
static void test_stop_when_full(void **state)
{
	struct fixture *f = *state;
	struct bh_queue_opts opts = plain;

	opts.maxlen = 128;
	opts.fail_open = true;
	for (int i = 0; i < 20; i++) {
		struct bh_queue *q = start(&opts, &f->o);
		int64_t begin = now_ms();
		for (int k = 0; k < 500; k++)
			say(f->out, "flood");
		bh_queue_recheck(q);
		bh_queue_stop(q);
		assert_true(now_ms() - begin < 5000);
	}
}

/* Nothing comes, nothing is held: only a request wakes the thread. */
static void test_stop_when_idle(void **state)
{
	struct fixture *f = *state;

	for (int i = 0; i < 50; i++) {
		struct bh_queue *q = start(&plain, &f->o);
		if (i % 2)
			bh_queue_recheck(q);
		if (i % 5 == 0)
			sleep_ms(20); /* it waits by now */
		bh_queue_stop(q);
	}
}

static void test_busy(void **state)
{
	struct fixture *f = *state;
	struct bh_queue *q = start(&plain, &f->o), *second = (void *)1;
	struct bh_queue_opts bad = plain;

	assert_int_equal(bh_queue_start(&plain, ask, &f->o, &second), -EBUSY);
	assert_ptr_equal(second, (void *)1);
	say(f->out, "still"); /* the first one is not disturbed */
	assert_hears(f->in, "still");
	bad.maxlen = 0;
	assert_int_equal(bh_queue_start(&bad, ask, &f->o, &second), -EINVAL);
	bad.maxlen = 65537;
	assert_int_equal(bh_queue_start(&bad, ask, &f->o, &second), -EINVAL);
	bh_queue_stop(q);
}

static void test_unprivileged(void **state)
{
	struct fixture *f = *state;
	int status = 0;
	pid_t pid = fork();

	if (pid == 0) {
		struct bh_queue *q;
		if (setresuid(65534, 65534, 65534) < 0)
			_exit(2);
		_exit(bh_queue_start(&plain, ask, &f->o, &q) == -EPERM ? 0 : 1);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static void test_malformed(void **state)
{
	struct fixture *f = *state;
	struct sockaddr_in a = v4("127.0.0.1", 0);
	uint8_t packet[21] = {0x45, 0, 0, 21, 0, 1, 0, 0, 64, 6, 0, 0, 127, 0, 0, 1, 127, 0, 0, 1};
	int raw = socket(AF_INET, SOCK_RAW, IPPROTO_RAW);

	assert_int_equal(bh_sh("iptables-nft -A OUTPUT -p tcp -j NFQUEUE --queue-num 10"), 0);
	struct bh_queue *q = start(&plain, &f->o);
	f->o.answer = BH_PACKET_DROP;
	assert_int_equal(
		sendto(raw, packet, sizeof(packet), 0, (struct sockaddr *)&a, sizeof(a)), 21);
	until(&f->o.calls, 1);
	assert_int_equal(last(&f->o).fault, BH_PACKET_TRUNCATED);
	assert_int_equal(last(&f->o).flow.proto, IPPROTO_TCP);
	assert_int_equal(last(&f->o).len, 21);
	assert_int_equal(stats(q).malformed, 1);
	close(raw);
	bh_queue_stop(q);
}

int main(void)
{
#define LOCAL(t) cmocka_unit_test_setup_teardown(t, setup, teardown)
	const struct CMUnitTest tests[] = {
		LOCAL(test_accept),
		LOCAL(test_drop),
		LOCAL(test_ipv6),
		LOCAL(test_hold_and_recheck),
		LOCAL(test_hold_expires),
		LOCAL(test_hold_is_bounded),
		LOCAL(test_recheck_takes_some),
		LOCAL(test_repeat),
		LOCAL(test_reject),
		LOCAL(test_thousands),
		LOCAL(test_full_drops),
		LOCAL(test_full_fails_open),
		LOCAL(test_stop),
		LOCAL(test_stop_decides_what_waits),
		LOCAL(test_tells_after_the_verdict),
		LOCAL(test_short_turns),
		LOCAL(test_stop_when_full),
		LOCAL(test_stop_when_idle),
		LOCAL(test_busy),
		LOCAL(test_unprivileged),
		LOCAL(test_malformed),
	};

	bh_ns_leave();
	if (bh_sh("ip link set lo up") != 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
