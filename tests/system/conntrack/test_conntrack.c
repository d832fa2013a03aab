/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Conntrack as it really is: this program's own network namespace routes between two others, a
 * client and a server, and what they say to each other is looked for in the table and the ends.
 *
 *     client 192.0.2.2 — 192.0.2.1 [here] 198.51.100.1 — 198.51.100.2 server
 *
 * 203.0.113.9:80 is translated to the server's 8080.
 */
#include <conntrack/private.h>

#include <arpa/inet.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/nf_conntrack_tcp.h>
#include <poll.h>
#include <setjmp.h>
#include <stddef.h>
#include <sys/socket.h>
#include <time.h>

#include "../netns.h"

#include <cmocka.h>

#define CLIENT "192.0.2.2"
#define SERVER "198.51.100.2"
#define NOBODY "198.51.100.77"
#define FRONT "203.0.113.9"
#define CLIENT6 "2001:db8:a::2"
#define SERVER6 "2001:db8:b::2"

static pid_t client, server;
static struct bh_ct *ct;

static const char rules[] =
	"table inet t {\n"
	" chain f { type filter hook forward priority 0; ct state new counter; }\n"
	" chain pre { type nat hook prerouting priority -100;"
	" ip daddr " FRONT " tcp dport { 80, 81 } dnat ip to " SERVER ":8080; }\n"
	" chain post { type nat hook postrouting priority 100;"
	" meta l4proto tcp ct original proto-dst { 81, 82 } masquerade; }\n"
	"}\n";

static void link_up(pid_t pid, const char *here, const char *v4, const char *v6)
{
	assert_int_equal(bh_sh("ip link add %s type veth peer name eth0 netns %d", here, pid), 0);
	assert_int_equal(bh_sh("ip addr add %s.1/24 dev %s && ip addr add %s::1/64 dev %s nodad &&"
			       "ip link set %s up",
				 v4, here, v6, here, here),
		0);
	assert_int_equal(bh_sh("nsenter -t %d -n sh -c 'ip addr add %s.2/24 dev eth0 &&"
			       "ip addr add %s::2/64 dev eth0 nodad && ip link set eth0 up &&"
			       "ip link set lo up && ip route add default via %s.1 &&"
			       "ip -6 route add default via %s::1'",
				 pid, v4, v6, v4, v6),
		0);
}

static int setup(void **state)
{
	(void)state;
	bh_ns_leave();
	client = bh_ns_new();
	server = bh_ns_new();
	assert_true(client > 0 && server > 0);
	link_up(client, "c0", "192.0.2", "2001:db8:a");
	link_up(server, "s0", "198.51.100", "2001:db8:b");
	assert_int_equal(bh_sh("echo 1 >/proc/sys/net/ipv4/ip_forward &&"
			       "echo 1 >/proc/sys/net/ipv6/conf/all/forwarding"),
		0);
	assert_int_equal(bh_sh("nft '%s'", rules), 0);
	return bh_ct_open(&ct);
}

static int teardown(void **state)
{
	(void)state;
	bh_ct_close(ct);
	bh_ns_kill(client);
	bh_ns_kill(server);
	return 0;
}

static struct bh_addr addr(const char *text)
{
	struct bh_addr a;
	assert_int_equal(bh_addr_parse(text, &a), 0);
	return a;
}

static socklen_t fill(struct sockaddr_storage *ss, const char *text, uint16_t port)
{
	struct bh_addr a = addr(text);
	memset(ss, 0, sizeof(*ss));
	if (a.family == BH_IPV4) {
		struct sockaddr_in *in = (void *)ss;
		in->sin_family = AF_INET;
		in->sin_port = htons(port);
		memcpy(&in->sin_addr, a.b, 4);
		return sizeof(*in);
	}
	struct sockaddr_in6 *in6 = (void *)ss;
	in6->sin6_family = AF_INET6;
	in6->sin6_port = htons(port);
	memcpy(&in6->sin6_addr, a.b, 16);
	return sizeof(*in6);
}

/* A socket in the namespace of pid; bound to the local port. */
static int sock(pid_t pid, int type, const char *local, uint16_t port)
{
	struct sockaddr_storage ss;
	socklen_t len = fill(&ss, local, port);
	int on = 1, fd = bh_ns_socket(pid, ss.ss_family, type, 0);
	struct timeval patience = {.tv_sec = 5};
	assert_true(fd >= 0);
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	assert_int_equal(bind(fd, (struct sockaddr *)&ss, len), 0);
	return fd;
}

static int listener(const char *local, uint16_t port)
{
	int fd = sock(server, SOCK_STREAM, local, port);
	assert_int_equal(listen(fd, 8), 0);
	return fd;
}

static int connect_to(int fd, const char *remote, uint16_t port)
{
	struct sockaddr_storage ss;
	socklen_t len = fill(&ss, remote, port);
	return connect(fd, (struct sockaddr *)&ss, len) < 0 ? -errno : 0;
}

static void send_to(int fd, const char *remote, uint16_t port)
{
	struct sockaddr_storage ss;
	socklen_t len = fill(&ss, remote, port);
	assert_int_equal(sendto(fd, "x", 1, 0, (struct sockaddr *)&ss, len), 1);
}

/* The server's datagram socket answers what it has got. */
static void answer(int fd)
{
	struct sockaddr_storage ss;
	socklen_t len = sizeof(ss);
	char c;
	assert_int_equal(recvfrom(fd, &c, 1, 0, (struct sockaddr *)&ss, &len), 1);
	assert_int_equal(sendto(fd, &c, 1, 0, (struct sockaddr *)&ss, len), 1);
}

struct wanted {
	uint8_t proto;
	uint16_t sport; /* 0: any */
	size_t n;
	struct bh_ct_entry entry; /* the last */
	bool doom;
};

static bool look(const struct bh_ct_entry *e, void *arg)
{
	struct wanted *w = arg;
	assert_int_equal(e->event, BH_CT_THERE);
	if (e->flow.proto != w->proto || (w->sport && e->flow.sport != w->sport))
		return false;
	w->n++;
	w->entry = *e;
	return w->doom;
}

/* How many entries there are of this protocol and source port. */
static size_t find(uint8_t proto, uint16_t sport, struct bh_ct_entry *ret)
{
	struct wanted w = {.proto = proto, .sport = sport};
	assert_int_equal(bh_ct_sweep(ct, look, &w, NULL), 0);
	if (ret)
		*ret = w.entry;
	return w.n;
}

/* A busy kernel takes what was sent a little later. */
static size_t find_soon(uint8_t proto, uint16_t sport, struct bh_ct_entry *ret)
{
	size_t n = find(proto, sport, ret);
	for (int i = 0; i < 500 && n == 0; i++) {
		usleep(10000);
		n = find(proto, sport, ret);
	}
	return n;
}

/* The client knows of the connection before the last packet of the handshake has passed here. */
static size_t find_answered(uint8_t proto, uint16_t sport, struct bh_ct_entry *ret)
{
	size_t n = 0;
	*ret = (struct bh_ct_entry){0};
	for (int i = 0; i < 500 && !ret->answered; i++) {
		if (i)
			usleep(10000);
		n = find(proto, sport, ret);
	}
	return n;
}

static int doom(uint8_t proto, uint16_t sport)
{
	struct wanted w = {.proto = proto, .sport = sport, .doom = true};
	return bh_ct_sweep(ct, look, &w, NULL);
}

static void assert_addr(const struct bh_addr *a, const char *want)
{
	char text[BH_ADDR_STRLEN];
	assert_string_equal(bh_addr_format(a, text), want);
}

static void test_tcp(void **state)
{
	(void)state;
	struct bh_ct_entry e;
	int l = listener(SERVER, 8080), c = sock(client, SOCK_STREAM, CLIENT, 4001);
	assert_int_equal(connect_to(c, SERVER, 8080), 0);
	assert_int_equal(find_answered(IPPROTO_TCP, 4001, &e), 1);
	assert_true(e.answered);
	assert_int_equal(e.tcp_state, TCP_CONNTRACK_ESTABLISHED);
	assert_addr(&e.flow.src, CLIENT);
	assert_addr(&e.flow.dst, SERVER);
	assert_addr(&e.orig_dst, SERVER);
	assert_int_equal(e.flow.dport, 8080);
	assert_int_equal(e.orig_dport, 8080);
	assert_true(e.status & IPS_ASSURED);
	int s = accept(l, NULL, NULL);
	close(c);
	close(s);
	assert_int_equal(find(IPPROTO_TCP, 4001, &e), 1);
	assert_true(e.answered); /* and stays so at the end */
	assert_int_not_equal(e.tcp_state, TCP_CONNTRACK_ESTABLISHED);
	close(l);
}

static void test_tcp_unanswered(void **state)
{
	(void)state;
	struct bh_ct_entry e = {0};
	int fd = sock(client, SOCK_STREAM | SOCK_NONBLOCK, CLIENT, 4002);
	assert_int_equal(connect_to(fd, NOBODY, 80), -EINPROGRESS);
	assert_int_equal(find(IPPROTO_TCP, 4002, &e), 1);
	assert_false(e.answered);
	assert_int_equal(e.tcp_state, TCP_CONNTRACK_SYN_SENT);
	close(fd);
	/* Refused: the entry goes at once, or is in state CLOSE. */
	fd = sock(client, SOCK_STREAM, CLIENT, 4003);
	assert_int_equal(connect_to(fd, SERVER, 9), -ECONNREFUSED);
	if (find(IPPROTO_TCP, 4003, &e))
		assert_false(e.answered);
	close(fd);
}

/* A scan that never completes the handshake: the port answers, and the client resets. */
static void test_tcp_half_open(void **state)
{
	(void)state;
	struct bh_ct_entry e;
	int l = listener(SERVER, 8081);
	int c = sock(client, SOCK_STREAM | SOCK_NONBLOCK, CLIENT, 4014);
	assert_int_equal(bh_sh("nsenter -t %d -n nft 'table ip x { chain i { type filter hook input"
			       " priority 0; tcp sport 8081 reject with tcp reset; }; }'",
				 client),
		0);
	assert_int_equal(connect_to(c, SERVER, 8081), -EINPROGRESS);
	assert_int_equal(find(IPPROTO_TCP, 4014, &e), 1);
	assert_int_equal(e.tcp_state, TCP_CONNTRACK_CLOSE);
	assert_true(e.status & IPS_SEEN_REPLY);
	assert_false(e.answered);
	close(c);
	close(l);
}

static void test_udp(void **state)
{
	(void)state;
	struct bh_ct_entry e;
	int s = sock(server, SOCK_DGRAM, SERVER, 53), c = sock(client, SOCK_DGRAM, CLIENT, 4004);
	send_to(c, SERVER, 53);
	assert_int_equal(find_soon(IPPROTO_UDP, 4004, &e), 1);
	assert_false(e.answered);
	assert_int_equal(e.tcp_state, 0);
	answer(s);
	assert_int_equal(find_answered(IPPROTO_UDP, 4004, &e), 1);
	assert_true(e.answered);
	close(c);
	c = sock(client, SOCK_DGRAM, CLIENT, 4005);
	send_to(c, SERVER, 9); /* refused by ICMP, which is no answer */
	struct pollfd p = {.fd = c, .events = POLLIN};
	poll(&p, 1, 200);
	assert_int_equal(find_soon(IPPROTO_UDP, 4005, &e), 1);
	assert_false(e.answered);
	close(c);
	close(s);
}

static void test_dnat(void **state)
{
	(void)state;
	struct bh_ct_entry e;
	int l = listener(SERVER, 8080), c = sock(client, SOCK_STREAM, CLIENT, 4006);
	assert_int_equal(connect_to(c, FRONT, 80), 0);
	assert_int_equal(find_answered(IPPROTO_TCP, 4006, &e), 1);
	assert_true(e.answered);
	assert_addr(&e.flow.src, CLIENT);
	assert_addr(&e.flow.dst, SERVER);
	assert_int_equal(e.flow.dport, 8080);
	assert_addr(&e.orig_dst, FRONT);
	assert_int_equal(e.orig_dport, 80);
	assert_int_equal(doom(IPPROTO_TCP, 4006), 1);
	assert_int_equal(find(IPPROTO_TCP, 4006, NULL), 0);
	close(c);
	close(l);
}

static void test_ipv6(void **state)
{
	(void)state;
	struct bh_ct_entry e;
	int l = listener(SERVER6, 443), c = sock(client, SOCK_STREAM, CLIENT6, 4007);
	assert_int_equal(connect_to(c, SERVER6, 443), 0);
	assert_int_equal(find_answered(IPPROTO_TCP, 4007, &e), 1);
	assert_true(e.answered);
	assert_addr(&e.flow.src, CLIENT6);
	assert_addr(&e.flow.dst, SERVER6);
	assert_int_equal(e.flow.dport, 443);
	assert_int_equal(doom(IPPROTO_TCP, 4007), 1);
	assert_int_equal(find(IPPROTO_TCP, 4007, NULL), 0);
	close(c);
	close(l);
}

/* --- single flows --- */

struct answers {
	bool told[8], there[8], answered[8];
};

static void on_answer(size_t i, const struct bh_ct_entry *e, void *arg)
{
	struct answers *a = arg;
	assert_in_range(i, 0, 7);
	assert_false(a->told[i]);
	a->told[i] = true;
	a->there[i] = e != NULL;
	a->answered[i] = e && e->answered;
}

static struct bh_flow flow(
	uint8_t proto, const char *src, uint16_t sport, const char *dst, uint16_t dport)
{
	return (struct bh_flow){
		.src = addr(src), .dst = addr(dst), .proto = proto, .sport = sport, .dport = dport};
}

/* As the forward hook sees them: straight, DNAT, SNAT, IPv6; nobody's; a ping; refused; both. */
static void test_ask(void **state)
{
	(void)state;
	static const struct {
		const char *local, *remote;
		uint16_t sport, port;
	} to[] = {{CLIENT, SERVER, 4101, 8080}, {CLIENT, FRONT, 4102, 80},
		{CLIENT, SERVER, 4103, 82}, {CLIENT6, SERVER6, 4104, 8080},
		{CLIENT, FRONT, 4105, 81}};
	int l = listener(SERVER, 8080), l82 = listener(SERVER, 82), l6 = listener(SERVER6, 8080);
	struct bh_ct_entry e;
	int c[BH_ARRAY_SIZE(to)], refused = sock(client, SOCK_STREAM, CLIENT, 4106);
	for (size_t i = 0; i < BH_ARRAY_SIZE(to); i++) {
		c[i] = sock(client, SOCK_STREAM, to[i].local, to[i].sport);
		assert_int_equal(connect_to(c[i], to[i].remote, to[i].port), 0);
		assert_int_equal(find_answered(IPPROTO_TCP, to[i].sport, &e), 1);
	}
	assert_int_equal(connect_to(refused, SERVER, 9), -ECONNREFUSED);
	const struct bh_flow f[] = {flow(BH_TCP, CLIENT, 4101, SERVER, 8080),
		flow(BH_TCP, CLIENT, 4102, SERVER, 8080), flow(BH_TCP, CLIENT, 4103, SERVER, 82),
		flow(BH_TCP, CLIENT6, 4104, SERVER6, 8080),
		flow(BH_TCP, CLIENT, 4999, SERVER, 8080), flow(IPPROTO_ICMP, CLIENT, 0, SERVER, 0),
		flow(BH_TCP, CLIENT, 4106, SERVER, 9), flow(BH_TCP, CLIENT, 4105, SERVER, 8080)};
	struct answers a = {0};
	assert_int_equal(bh_ct_ask(ct, f, BH_ARRAY_SIZE(f), on_answer, &a), 0);
	for (size_t i = 0; i < BH_ARRAY_SIZE(f); i++) {
		assert_true(a.told[i]);
		assert_int_equal(a.answered[i], i < 4);
		if (i != 6) /* kernels differ in when they forget it */
			assert_int_equal(a.there[i], i < 4);
	}
	for (size_t i = 0; i < BH_ARRAY_SIZE(to); i++)
		close(c[i]);
	close(refused);
	close(l);
	close(l82);
	close(l6);
}

static void count(size_t i, const struct bh_ct_entry *e, void *arg)
{
	(void)i;
	*(size_t *)arg += e ? 1000 : 1;
}

static void test_ask_many(void **state)
{
	(void)state;
	struct bh_flow f[500];
	size_t n = 0;
	int c = sock(client, SOCK_DGRAM, CLIENT, 4110);
	send_to(c, NOBODY, 7777);
	for (size_t i = 0; i < BH_ARRAY_SIZE(f); i++) /* the last one is there, others in between */
		f[i] = flow(i % 3 ? BH_UDP : IPPROTO_ICMP, CLIENT, 4110, NOBODY,
			i % 100 == 99 || i + 1 == BH_ARRAY_SIZE(f) ? 7777 : (uint16_t)(1000 + i));
	f[99].proto = f[399].proto = BH_UDP;
	assert_int_equal(bh_ct_ask(ct, f, BH_ARRAY_SIZE(f), count, &n), 0);
	assert_int_equal(n, 5 * 1000 + 495);
	assert_int_equal(bh_ct_ask(ct, f, 0, count, &n), 0);
	close(c);
}

static void test_icmp(void **state)
{
	(void)state;
	struct bh_ct_entry e;
	assert_int_equal(bh_sh("nsenter -t %d -n ping -c1 -W5 " SERVER " >/dev/null &&"
			       "nsenter -t %d -n ping -c1 -W5 " SERVER6 " >/dev/null",
				 client, client),
		0);
	assert_int_equal(find(IPPROTO_ICMP, 0, &e), 1);
	assert_true(e.answered);
	assert_int_equal(e.flow.icmp_type, 8);
	assert_int_equal(e.flow.sport, 0);
	assert_addr(&e.flow.dst, SERVER);
	assert_true(find(IPPROTO_ICMPV6, 0, &e) >= 1);
	assert_int_equal(e.flow.icmp_type, 128);
	assert_int_equal(doom(IPPROTO_ICMP, 0), 1);
	assert_int_equal(find(IPPROTO_ICMP, 0, NULL), 0);
}

static bool keep(const struct bh_ct_entry *e, void *arg)
{
	(void)e, (void)arg;
	return false;
}

#define MANY 700

/* More than go into one message; only they go. */
static void test_delete_many(void **state)
{
	(void)state;
	size_t before, after;
	int other = sock(client, SOCK_DGRAM, CLIENT, 4008);
	int c = sock(client, SOCK_DGRAM, CLIENT, 4009);
	send_to(other, SERVER, 9);
	for (uint16_t i = 0; i < MANY; i++)
		send_to(c, NOBODY, (uint16_t)(10000 + i));
	assert_int_equal(bh_ct_sweep(ct, keep, NULL, &before), 0);
	assert_int_equal(find(IPPROTO_UDP, 4009, NULL), MANY);
	assert_int_equal(doom(IPPROTO_UDP, 4009), MANY);
	assert_int_equal(bh_ct_sweep(ct, keep, NULL, &after), 0);
	assert_int_equal(before - after, MANY);
	assert_int_equal(find(IPPROTO_UDP, 4008, NULL), 1);
	assert_int_equal(doom(IPPROTO_UDP, 4009), 0);
	close(c);
	close(other);
}

/* --- all flows of an address --- */

#define NOBODY6 "2001:db8:b::77"

static struct {
	int udp, udp6, back, listener;
} forgotten;

static void flows_to_forget(void)
{
	struct linger reset = {.l_onoff = 1};
	int tcp = sock(client, SOCK_STREAM, CLIENT, 4022);
	send_to(forgotten.udp, NOBODY, 9);
	send_to(forgotten.udp6, NOBODY6, 9);
	send_to(forgotten.back, CLIENT, 9);
	assert_int_equal(connect_to(tcp, FRONT, 80), 0);
	int accepted = accept(forgotten.listener, NULL, NULL);
	assert_true(accepted >= 0);
	setsockopt(tcp, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
	close(tcp); /* its entry stays a while */
	close(accepted);
}

/* Which of them are there: one digit each. */
static unsigned flows_there(void)
{
	return (unsigned)(find(IPPROTO_UDP, 4020, NULL) * 1000 +
			  find(IPPROTO_UDP, 4021, NULL) * 100 + find(IPPROTO_UDP, 4024, NULL) * 10 +
			  find(IPPROTO_TCP, 4022, NULL));
}

static int by_addr(const void *a, const void *b)
{
	return bh_addr_cmp(a, b);
}

static void forget(const char *one, const char *other, unsigned left)
{
	struct bh_addr a[2];
	size_t n = 0;
	doom(IPPROTO_UDP, 0);
	doom(IPPROTO_TCP, 0);
	flows_to_forget();
	assert_int_equal(flows_there(), 1111);
	a[n++] = addr(one);
	if (other)
		a[n++] = addr(other);
	qsort(a, n, sizeof(*a), by_addr);
	assert_return_code(bh_ct_forget(ct, a, n), 0);
	assert_int_equal(flows_there(), left);
}

static void forget_each(void)
{
	forget("192.0.2.99", NULL, 1111);
	forget(NOBODY, NULL, 111);
	forget(NOBODY6, NULL, 1011);
	forget(CLIENT6, NULL, 1011); /* from it */
	forget(SERVER, NULL, 1100); /* one from it, one that is translated to it */
	forget(FRONT, NULL, 1110); /* before its translation */
	forget(FRONT, NOBODY6, 1010);
}

/* By the kernel's filters, by walks, and by either when it is found to be better: nothing is left
 * of an address, and nothing else goes. */
static void test_forget(void **state)
{
	(void)state;
	forgotten.listener = listener(SERVER, 8080);
	forgotten.udp = sock(client, SOCK_DGRAM, CLIENT, 4020);
	forgotten.udp6 = sock(client, SOCK_DGRAM, CLIENT6, 4021);
	forgotten.back = sock(server, SOCK_DGRAM, SERVER, 4024);
	forget_each();
	ct->walk_us = -1; /* the second of two addresses is walked for */
	forget(FRONT, NOBODY6, 1010);
	ct->no_filters = true;
	forget_each();
	ct->no_filters = false;
	doom(IPPROTO_UDP, 0);
	doom(IPPROTO_TCP, 0);
	close(forgotten.listener);
	close(forgotten.udp);
	close(forgotten.udp6);
	close(forgotten.back);
}

static bool is_of_4012(const struct bh_flow *f, void *arg)
{
	(void)arg;
	return f->sport == 4012;
}

/* Found by one handle, decided again, deleted by another: only what both wanted goes. */
static void test_found_is_decided_again(void **state)
{
	(void)state;
	struct wanted w = {.proto = IPPROTO_UDP, .doom = true};
	struct bh_ct *walker;
	struct bh_ct_found *found = NULL;
	int spared = sock(client, SOCK_DGRAM, CLIENT, 4011);
	int doomed = sock(client, SOCK_DGRAM, CLIENT, 4012);
	send_to(spared, NOBODY, 9);
	send_to(doomed, NOBODY, 9);
	assert_int_equal(bh_ct_open(&walker), 0);
	assert_int_equal(bh_ct_find(walker, look, &w, NULL, &found), 0);
	bh_ct_close(walker);
	assert_true(w.n >= 2);
	assert_int_equal(find(IPPROTO_UDP, 4012, NULL), 1); /* nothing is done yet */
	bh_ct_found_keep(found, is_of_4012, NULL);
	assert_int_equal(bh_ct_delete(ct, found), 1);
	assert_int_equal(bh_ct_delete(ct, found), 0); /* gone already */
	bh_ct_found_free(found);
	assert_int_equal(find(IPPROTO_UDP, 4011, NULL), 1);
	assert_int_equal(find(IPPROTO_UDP, 4012, NULL), 0);
	close(spared);
	close(doomed);
}

static uint64_t limit_of_proc(void)
{
	unsigned long long n = 0;
	FILE *f = fopen("/proc/sys/net/netfilter/nf_conntrack_max", "r");
	assert_non_null(f);
	assert_int_equal(fscanf(f, "%llu", &n), 1);
	fclose(f);
	return n;
}

/* That drops are counted is shown where the limit may be set: qemu/guest/checks. */
static void test_fill(void **state)
{
	(void)state;
	struct bh_ct_fill before, after;
	size_t walked;
	int c = sock(client, SOCK_DGRAM, CLIENT, 4013);
	assert_int_equal(bh_ct_fill(ct, &before), 0);
	assert_int_equal(before.max, limit_of_proc());
	for (uint16_t i = 0; i < MANY; i++)
		send_to(c, NOBODY, (uint16_t)(10000 + i));
	assert_int_equal(bh_ct_fill(ct, &after), 0);
	assert_int_equal(bh_ct_sweep(ct, keep, NULL, &walked), 0);
	assert_true(walked >= MANY && after.entries >= walked);
	assert_int_equal(after.dropped, before.dropped);
	assert_int_equal(doom(IPPROTO_UDP, 4013), MANY);
	/* Packets that wait for an answer to ARP keep theirs in the count, 256 or so. */
	for (int i = 0; i < 100 && after.entries >= MANY; i++) {
		usleep(50000);
		assert_int_equal(bh_ct_fill(ct, &after), 0);
	}
	assert_in_range(after.entries, 0, MANY - 1);
	close(c);
}

/* Between the walk and the deletion the entry goes, and another comes in its place. */
static int successor_socket;

static bool replace(const struct bh_ct_entry *e, void *arg)
{
	(void)arg;
	if (e->flow.proto != IPPROTO_UDP || e->flow.sport != 4010)
		return false;
	struct wanted w = {.proto = IPPROTO_UDP, .sport = 4010, .doom = true};
	struct bh_ct *second; /* the first is walking */
	assert_int_equal(bh_ct_open(&second), 0);
	assert_int_equal(bh_ct_sweep(second, look, &w, NULL), 1);
	bh_ct_close(second);
	send_to(successor_socket, NOBODY, 9);
	return true;
}

static void test_successor_is_spared(void **state)
{
	(void)state;
	struct bh_ct_entry first, second;
	successor_socket = sock(client, SOCK_DGRAM, CLIENT, 4010);
	send_to(successor_socket, NOBODY, 9);
	assert_int_equal(find(IPPROTO_UDP, 4010, &first), 1);
	assert_int_equal(bh_ct_sweep(ct, replace, NULL, NULL), 0);
	assert_int_equal(find(IPPROTO_UDP, 4010, &second), 1);
	assert_int_not_equal(first.id, second.id);
	close(successor_socket);
}

struct heard {
	uint16_t sport;
	size_t n, other;
	struct bh_ct_entry entry;
};

static void hear(const struct bh_ct_entry *e, void *arg)
{
	struct heard *h = arg;
	assert_int_equal(e->event, BH_CT_DESTROY);
	if (e->flow.sport != h->sport) {
		h->other++;
		return;
	}
	h->n++;
	h->entry = *e;
}

static void drain(struct heard *h, uint64_t lost)
{
	uint64_t more;
	assert_true(bh_ct_drain(ct, 100000, hear, h, &more) >= 0);
	assert_int_equal(more, lost);
}

static int sysctl(const char *name)
{
	char path[80];
	snprintf(path, sizeof(path), "/proc/sys/net/netfilter/%s", name);
	FILE *f = fopen(path, "r");
	int v = f ? fgetc(f) : -1;
	if (f)
		fclose(f);
	return v;
}

/* What begins and goes on is not told, what ends is, with what it carried. */
static void test_ends(void **state)
{
	(void)state;
	static const char *const on[] = {
		"nf_conntrack_events", "nf_conntrack_acct", "nf_conntrack_timestamp"};
	struct heard h = {.sport = 4011};
	struct bh_ct_entry open;
	uint64_t lost;
	struct timespec now;
	char text[1000] = "";
	assert_false(bh_ct_listens(ct));
	assert_int_equal(bh_ct_drain(ct, 1, hear, &h, &lost), -ENOTCONN);
	for (size_t i = 0; i < BH_ARRAY_SIZE(on); i++)
		assert_int_equal(bh_sh("echo 0 >/proc/sys/net/netfilter/%s", on[i]), 0);
	assert_int_equal(bh_ct_listen(ct), 0);
	assert_int_equal(bh_ct_listen(ct), 0);
	assert_true(bh_ct_listens(ct));
	for (size_t i = 0; i < BH_ARRAY_SIZE(on); i++)
		assert_int_equal(sysctl(on[i]), '1');

	clock_gettime(CLOCK_REALTIME, &now);
	int l = listener(SERVER, 8080), c = sock(client, SOCK_STREAM, CLIENT, 4011);
	assert_int_equal(connect_to(c, SERVER, 8080), 0);
	assert_int_equal(find_answered(IPPROTO_TCP, 4011, &open), 1);
	assert_int_equal(write(c, text, sizeof(text)), sizeof(text));
	int s = accept(l, NULL, NULL);
	assert_int_equal(recv(s, text, sizeof(text), MSG_WAITALL), sizeof(text));
	drain(&h, 0);
	assert_int_equal(h.n, 0);
	assert_int_equal(doom(IPPROTO_TCP, 4011), 1);
	drain(&h, 0);
	assert_int_equal(h.n, 1);
	assert_true(h.entry.answered);
	assert_addr(&h.entry.flow.src, CLIENT);
	assert_addr(&h.entry.flow.dst, SERVER);
	assert_true(h.entry.packets[0] >= 3 && h.entry.packets[1] >= 1);
	assert_in_range(h.entry.bytes[0], 1000 + 3 * 40, 1000 + 20 * 60);
	assert_in_range(h.entry.bytes[1], 40, 999);
	assert_true(h.entry.start >= (int64_t)now.tv_sec * 1000000);
	assert_true(h.entry.start == open.start && open.stop == 0);
	assert_true(h.entry.stop > h.entry.start);
	assert_int_equal(h.entry.tcp_state, TCP_CONNTRACK_ESTABLISHED);
	assert_true(h.entry.last >= h.entry.start && h.entry.last <= h.entry.stop);
	close(s);
	close(c);
	close(l);

	h = (struct heard){.sport = 4012};
	c = sock(client, SOCK_STREAM, CLIENT, 4012);
	assert_int_equal(connect_to(c, SERVER, 9), -ECONNREFUSED);
	close(c);
	doom(IPPROTO_TCP, 4012);
	drain(&h, 0);
	assert_int_equal(h.n, 1);
	assert_false(h.entry.answered);
}

/* Closed, it stays for a while, which is none of its duration; run out or removed before. */
static void test_end_of_a_closed_one(void **state)
{
	(void)state;
	static const char path[] = "/proc/sys/net/netfilter/nf_conntrack_tcp_timeout_time_wait";
	bh_ct_deafen(ct);
	assert_int_equal(bh_sh("echo 4 >%s", path), 0);
	assert_int_equal(bh_ct_listen(ct), 0);
	for (int removed = 0; removed < 2; removed++) {
		struct heard h = {.sport = (uint16_t)(4015 + removed)};
		struct bh_ct_entry e = {0};
		char x;
		int l = listener(SERVER, 8080), c = sock(client, SOCK_STREAM, CLIENT, h.sport);
		assert_int_equal(connect_to(c, SERVER, 8080), 0);
		int s = accept(l, NULL, NULL);
		shutdown(c, SHUT_WR);
		assert_int_equal(read(s, &x, 1), 0);
		close(s);
		assert_int_equal(read(c, &x, 1), 0);
		close(c);
		close(l);
		for (int i = 0; i < 500 && e.tcp_state != TCP_CONNTRACK_TIME_WAIT;
			i++, usleep(10000))
			find(IPPROTO_TCP, h.sport, &e);
		assert_int_equal(e.tcp_state, TCP_CONNTRACK_TIME_WAIT);
		usleep(1200000);
		if (removed)
			assert_int_equal(doom(IPPROTO_TCP, h.sport), 1);
		for (int i = 0; i < 1000 && !h.n; i++, usleep(50000)) {
			drain(&h, 0);
			find(IPPROTO_TCP, h.sport, NULL); /* who looks makes it go */
		}
		assert_int_equal(h.n, 1);
		assert_true(h.entry.stop - h.entry.start > 1200000);
		assert_in_range(h.entry.last - h.entry.start, 0, removed ? 1000000 : 900000);
	}
	assert_int_equal(bh_sh("echo 120 >%s", path), 0);
}

/* Those that find no room are counted to the last one; and it goes on. */
static void test_ends_lost(void **state)
{
	(void)state;
	static const uint16_t flows = 30000;
	static const char path[] = "/proc/sys/net/netfilter/nf_conntrack_udp_timeout";
	struct heard h = {.sport = 4013};
	assert_int_equal(bh_sh("echo 600 >%s", path), 0); /* on a slow machine some end meanwhile */
	int c = sock(client, SOCK_DGRAM, CLIENT, 4013);
	uint64_t lost;
	drain(&h, 0);
	h = (struct heard){.sport = 4013};
	for (uint16_t i = 0; i < flows; i++)
		send_to(c, NOBODY, (uint16_t)(20000 + i));
	assert_int_equal(find(IPPROTO_UDP, 4013, NULL), flows);
	assert_int_equal(doom(IPPROTO_UDP, 4013), flows);
	assert_true(bh_ct_drain(ct, 100000, hear, &h, &lost) > 0);
	assert_true(lost > 0);
	assert_int_equal(h.n + h.other + lost, flows);
	send_to(c, NOBODY, 19999);
	assert_int_equal(doom(IPPROTO_UDP, 4013), 1);
	h = (struct heard){.sport = 4013};
	drain(&h, 0);
	assert_int_equal(h.n, 1);
	bh_ct_deafen(ct);
	assert_false(bh_ct_listens(ct));
	assert_int_equal(bh_ct_drain(ct, 1, hear, &h, &lost), -ENOTCONN);
	close(c);
	assert_int_equal(bh_sh("echo 30 >%s", path), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_tcp),
		cmocka_unit_test(test_tcp_unanswered),
		cmocka_unit_test(test_tcp_half_open),
		cmocka_unit_test(test_udp),
		cmocka_unit_test(test_dnat),
		cmocka_unit_test(test_ipv6),
		cmocka_unit_test(test_ask),
		cmocka_unit_test(test_ask_many),
		cmocka_unit_test(test_icmp),
		cmocka_unit_test(test_delete_many),
		cmocka_unit_test(test_forget),
		cmocka_unit_test(test_found_is_decided_again),
		cmocka_unit_test(test_fill),
		cmocka_unit_test(test_successor_is_spared),
		cmocka_unit_test(test_ends),
		cmocka_unit_test(test_end_of_a_closed_one),
		cmocka_unit_test(test_ends_lost),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
