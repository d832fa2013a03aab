/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Fills a node's connection tracking, as one container and its server can: opens flows that have no
 * socket at either end, from two network namespaces at once.
 *
 *     filler tcp|udp|syn CLIENT-NETNS SERVER-NETNS CLIENT SERVER PORT FLOWS [FLOWS-PER-SECOND]
 *
 * tcp: whole handshakes, of which the kernel lets go of none by itself; udp: one datagram each;
 * syn: nobody answers. Flow i comes from port 1024 + i % 60000 and goes to PORT + i / 60000. What
 * the two kernels would say of flows they do not know has to be kept from leaving by the caller.
 * Says how many it began, at the end or when it is told to stop (SIGTERM).
 */
#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/ip.h>
#include <netinet/ip6.h>
#include <netinet/tcp.h>
#include <netinet/udp.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define BATCH 64
#define PORTS 60000
#define ROOM 80

struct end {
	int fd;
	struct in6_addr addr; /* of IPv4 the first four bytes */
	struct sockaddr_storage to;
};

static int family;
static volatile sig_atomic_t stopped;

static void on_term(int sig)
{
	(void)sig;
	stopped = 1;
}

static size_t addr_len(void)
{
	return family == AF_INET ? 4 : 16;
}

static void open_end(struct end *e, const char *netns, const char *addr)
{
	int ns = open(netns, O_RDONLY | O_CLOEXEC);

	if (ns < 0 || setns(ns, CLONE_NEWNET) < 0)
		err(1, "%s", netns);
	close(ns);
	if (inet_pton(family, addr, &e->addr) != 1)
		errx(1, "%s is no address", addr);
	e->fd = socket(family, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_RAW);
	if (e->fd < 0)
		err(1, "raw socket");
	int size = 8 << 20;
	setsockopt(e->fd, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof(size));
}

static void set_to(struct sockaddr_storage *to, const struct in6_addr *a)
{
	to->ss_family = (sa_family_t)family;
	if (family == AF_INET)
		memcpy(&((struct sockaddr_in *)to)->sin_addr, a, 4);
	else
		((struct sockaddr_in6 *)to)->sin6_addr = *a;
}

static uint32_t sum(const void *p, size_t len, uint32_t s)
{
	const uint8_t *b = p;

	for (size_t i = 0; i + 1 < len; i += 2)
		s += (uint32_t)b[i] << 8 | b[i + 1];
	return len & 1 ? s + ((uint32_t)b[len - 1] << 8) : s;
}

static uint16_t checksum(
	const struct end *from, const struct end *to, const void *p, size_t len, uint8_t proto)
{
	uint32_t s = sum(&from->addr, addr_len(), sum(&to->addr, addr_len(), 0));

	s = sum(p, len, s + (uint32_t)len + proto);
	s = (s & 0xffff) + (s >> 16);
	s = (s & 0xffff) + (s >> 16);
	return htons((uint16_t)~s);
}

static size_t put_ip(
	uint8_t *b, const struct end *from, const struct end *to, size_t len, uint8_t proto)
{
	if (family == AF_INET) { /* the kernel fills in length, id and checksum */
		struct iphdr ip = {.version = 4, .ihl = 5, .ttl = 64, .protocol = proto};
		memcpy(&ip.saddr, &from->addr, 4);
		memcpy(&ip.daddr, &to->addr, 4);
		memcpy(b, &ip, sizeof(ip));
		return sizeof(ip);
	}
	struct ip6_hdr ip = {.ip6_src = from->addr, .ip6_dst = to->addr};
	ip.ip6_flow = htonl(6u << 28);
	ip.ip6_plen = htons((uint16_t)len);
	ip.ip6_nxt = proto;
	ip.ip6_hlim = 64;
	memcpy(b, &ip, sizeof(ip));
	return sizeof(ip);
}

static size_t put_tcp(uint8_t *b, const struct end *from, const struct end *to, uint16_t sport,
	uint16_t dport, int step)
{
	struct tcphdr t = {.source = htons(sport),
		.dest = htons(dport),
		.seq = htonl(step == 1 ? 2000 : 1000 + (step == 2)),
		.ack_seq = htonl(step == 0   ? 0
				 : step == 1 ? 1001
					     : 2001),
		.doff = 5,
		.syn = step<2, .ack = step> 0,
		.window = htons(65535)};
	t.check = checksum(from, to, &t, sizeof(t), IPPROTO_TCP);
	size_t at = put_ip(b, from, to, sizeof(t), IPPROTO_TCP);
	memcpy(b + at, &t, sizeof(t));
	return at + sizeof(t);
}

static size_t put_udp(
	uint8_t *b, const struct end *from, const struct end *to, uint16_t sport, uint16_t dport)
{
	struct udphdr u = {.source = htons(sport), .dest = htons(dport), .len = htons(sizeof(u))};
	u.check = checksum(from, to, &u, sizeof(u), IPPROTO_UDP);
	size_t at = put_ip(b, from, to, sizeof(u), IPPROTO_UDP);
	memcpy(b + at, &u, sizeof(u));
	return at + sizeof(u);
}

/* One step of flows first to first + n; back: of the server's. */
static void send_step(
	struct end *from, struct end *to, size_t first, size_t n, uint16_t port, int step, bool udp)
{
	static uint8_t text[BATCH][ROOM];
	static struct iovec v[BATCH];
	static struct mmsghdr m[BATCH];
	bool back = step == 1;

	for (size_t i = 0; i < n; i++) {
		uint16_t sport = (uint16_t)(1024 + (first + i) % PORTS);
		uint16_t dport = (uint16_t)(port + (first + i) / PORTS);
		v[i].iov_base = text[i];
		v[i].iov_len = udp ? put_udp(text[i], from, to, sport, dport)
				   : put_tcp(text[i], from, to, back ? dport : sport,
					     back ? sport : dport, step);
		m[i].msg_hdr = (struct msghdr){.msg_name = &from->to,
			.msg_namelen = family == AF_INET ? sizeof(struct sockaddr_in)
							 : sizeof(struct sockaddr_in6),
			.msg_iov = &v[i],
			.msg_iovlen = 1};
	}
	for (size_t i = 0; i < n && !stopped;) {
		int r = sendmmsg(from->fd, m + i, (unsigned)(n - i), 0);
		if (r < 0 && errno != EINTR && errno != ENOBUFS)
			err(1, "send");
		i += r > 0 ? (size_t)r : 0;
	}
}

static double now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

int main(int argc, char **argv)
{
	struct end client = {0}, server = {0};
	cpu_set_t one;

	if (argc < 8)
		errx(2, "tcp|udp|syn CLIENT-NETNS SERVER-NETNS CLIENT SERVER PORT FLOWS [RATE]");
	bool udp = strcmp(argv[1], "udp") == 0, syn = strcmp(argv[1], "syn") == 0;
	size_t flows = strtoul(argv[7], NULL, 10), n = 0;
	double rate = argc > 8 ? strtod(argv[8], NULL) : 0, begin;
	family = strchr(argv[4], ':') ? AF_INET6 : AF_INET;
	open_end(&client, argv[2], argv[4]);
	open_end(&server, argv[3], argv[5]);
	set_to(&client.to, &server.addr);
	set_to(&server.to, &client.addr);
	CPU_ZERO(&one); /* so that the steps of a flow come in their order */
	CPU_SET(sched_getcpu(), &one);
	sched_setaffinity(0, sizeof(one), &one);
	signal(SIGTERM, on_term);
	begin = now();
	while (n < flows && !stopped) {
		size_t some = flows - n < BATCH ? flows - n : BATCH;
		uint16_t port = (uint16_t)strtoul(argv[6], NULL, 10);
		send_step(&client, &server, n, some, port, 0, udp);
		if (!udp && !syn) {
			send_step(&server, &client, n, some, port, 1, false);
			send_step(&client, &server, n, some, port, 2, false);
		}
		n += some;
		while (rate > 0 && !stopped && (double)n / rate > now() - begin)
			usleep(1000);
	}
	printf("%zu flows in %.2f s\n", n, now() - begin);
	return 0;
}
