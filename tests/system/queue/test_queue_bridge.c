/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The queue on what a bridge forwards between two other network namespaces. */
#include "system/queue/oracle.h"

struct bridge {
	pid_t ns[2];
	struct oracle o;
};

static void wire(pid_t pid, int i)
{
	assert_int_equal(bh_sh("ip link add v%d type veth peer name eth0 netns %d &&"
			       " ip link set v%d master br0 up &&"
			       " nsenter -t %d -n ip addr add 10.9.0.%d/24 dev eth0 &&"
			       " nsenter -t %d -n ip link set eth0 up",
				 i, pid, i, pid, i, pid),
		0);
}

static int setup_bridge(void **state)
{
	struct bridge *b = bh_xcalloc(1, sizeof(*b));

	oracle_init(&b->o, BH_PACKET_ACCEPT);
	assert_int_equal(bh_sh("ip link add br0 type bridge && ip link set br0 up"), 0);
	for (int i = 0; i < 2; i++) {
		b->ns[i] = bh_ns_new();
		assert_true(b->ns[i] > 0);
		wire(b->ns[i], i + 1);
	}
	*state = b;
	return bh_sh("iptables-nft -A FORWARD -j NFQUEUE --queue-num 10");
}

static int teardown_bridge(void **state)
{
	struct bridge *b = *state;

	bh_ns_kill(b->ns[0]);
	bh_ns_kill(b->ns[1]);
	free(b);
	/* The namespaces end some time later; the veths' names are needed at once. */
	return bh_sh("iptables-nft -F FORWARD;"
		     " for l in v1 v2 br0; do ip link del $l 2>/dev/null; done; true");
}

static void test_bridged(void **state)
{
	struct bridge *b = *state;
	struct bh_queue *q = start(&plain, &b->o);
	struct sockaddr_in to = v4("10.9.0.2", PORT);
	int in = bh_ns_socket(b->ns[1], AF_INET, SOCK_DGRAM, 0);
	int out = bh_ns_socket(b->ns[0], AF_INET, SOCK_DGRAM, 0);

	bind_udp(in, "10.9.0.2");
	assert_int_equal(connect(out, (struct sockaddr *)&to, sizeof(to)), 0);
	say(out, "across");
	assert_hears(in, "across");
	struct bh_packet p = last(&b->o);
	assert_int_equal(p.hook, NF_INET_FORWARD);
	assert_int_equal(p.indev, if_nametoindex("br0"));
	assert_int_equal(p.physindev, if_nametoindex("v1"));
	b->o.answer = BH_PACKET_DROP;
	say(out, "blocked");
	assert_silent(in, 200);
	close(in);
	close(out);
	bh_queue_stop(q);
}

static void *pump(void *arg)
{
	static char block[1 << 16];
	int fd = *(int *)arg;

	for (int i = 0; i < 128; i++)
		for (size_t n = 0; n < sizeof(block);) {
			ssize_t w = send(fd, block, sizeof(block) - n, MSG_NOSIGNAL);
			if (w <= 0)
				return NULL;
			n += (size_t)w;
		}
	shutdown(fd, SHUT_WR);
	return NULL;
}

/* Aggregated packets go through the queue in one piece, with checksums that are not there yet. */
static void test_tcp_stream(void **state)
{
	struct bridge *b = *state;
	struct bh_queue *q = start(&plain, &b->o);
	struct sockaddr_in to = v4("10.9.0.2", PORT);
	int l = bh_ns_socket(b->ns[1], AF_INET, SOCK_STREAM, 0);
	int out = bh_ns_socket(b->ns[0], AF_INET, SOCK_STREAM, 0);
	static char buf[1 << 16];
	size_t total = 0;
	ssize_t n;
	pthread_t t;

	assert_int_equal(bind(l, (struct sockaddr *)&to, sizeof(to)), 0);
	assert_int_equal(listen(l, 1), 0);
	assert_int_equal(connect(out, (struct sockaddr *)&to, sizeof(to)), 0);
	int in = accept(l, NULL, NULL);
	assert_true(in >= 0);
	assert_int_equal(pthread_create(&t, NULL, pump, &out), 0);
	while ((n = hear(in, buf, sizeof(buf), 5000)) > 0)
		total += (size_t)n;
	pthread_join(t, NULL);
	assert_int_equal(total, 128 << 16);
	assert_true(b->o.longest > 1500);
	struct bh_queue_stats s = stats(q);
	assert_int_equal(s.malformed, 0);
	assert_int_equal(s.accepted, s.received);
	close(in);
	close(l);
	close(out);
	bh_queue_stop(q);
}

/* A held packet whose interface goes away is flushed by the kernel: its verdict comes too late, and
 * nothing breaks. */
static void test_interface_vanishes(void **state)
{
	struct bridge *b = *state;
	struct bh_queue *q = start(&plain, &b->o);
	struct sockaddr_in to = v4("10.9.0.2", PORT);
	int out = bh_ns_socket(b->ns[0], AF_INET, SOCK_DGRAM, 0);

	b->o.answer = BH_PACKET_HOLD;
	assert_int_equal(connect(out, (struct sockaddr *)&to, sizeof(to)), 0);
	say(out, "gone");
	until(&b->o.calls, 1);
	assert_int_equal(bh_sh("ip link del v1"), 0);
	until(&b->o.expired_calls, 1);
	assert_kernel_queue_empty();
	assert_int_equal(bh_sh("iptables-nft -I OUTPUT -p udp -j NFQUEUE --queue-num 10"), 0);
	b->o.answer = BH_PACKET_ACCEPT;
	int in = server(), local = client();
	say(local, "alive");
	assert_hears(in, "alive");
	close(in);
	close(local);
	close(out);
	bh_queue_stop(q);
	assert_int_equal(bh_sh("iptables-nft -F OUTPUT"), 0);
}

int main(void)
{
#define BRIDGE(t) cmocka_unit_test_setup_teardown(t, setup_bridge, teardown_bridge)
	const struct CMUnitTest tests[] = {
		BRIDGE(test_bridged),
		BRIDGE(test_tcp_stream),
		BRIDGE(test_interface_vanishes),
	};

	bh_ns_leave();
	if (bh_sh("ip link set lo up") != 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
