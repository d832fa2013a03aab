/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What is sent, and what comes of it. */
#include <errno.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <netinet/ip.h>
#include <netinet/udp.h>
#include <poll.h>
#include <sys/socket.h>

#include "prove/private.h"

#define TTL 64
#define SOURCE_PORT 40000

static socklen_t address(int family, int place, uint16_t port, struct sockaddr_storage *ret)
{
	*ret = (struct sockaddr_storage){0};
	if (family == AF_INET) {
		*(struct sockaddr_in *)ret = (struct sockaddr_in){.sin_family = AF_INET,
			.sin_port = htons(port),
			.sin_addr = prove_addr4(place)};
		return sizeof(struct sockaddr_in);
	}
	*(struct sockaddr_in6 *)ret = (struct sockaddr_in6){
		.sin6_family = AF_INET6, .sin6_port = htons(port), .sin6_addr = prove_addr6(place)};
	return sizeof(struct sockaddr_in6);
}

int prove_listen(int family, uint16_t port)
{
	struct sockaddr_storage a;
	socklen_t len = address(family, AT_B, port, &a);
	bh_autoclose int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0 || bind(fd, (struct sockaddr *)&a, len) < 0 || listen(fd, 8) < 0)
		return -errno;
	return BH_TAKE_FD(fd);
}

int prove_udp(uint16_t port)
{
	struct sockaddr_storage a;
	socklen_t len = address(AF_INET, AT_B, port, &a);
	bh_autoclose int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0 || bind(fd, (struct sockaddr *)&a, len) < 0)
		return -errno;
	return BH_TAKE_FD(fd);
}

enum came prove_connect(int family, int to, uint16_t port, int ms, int *ret_fd)
{
	struct sockaddr_storage a;
	socklen_t len = address(family, to, port, &a), size = sizeof(int);
	bh_autoclose int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int error = 0;

	if (fd < 0 || (connect(fd, (struct sockaddr *)&a, len) < 0 && errno != EINPROGRESS))
		return CAME_ERROR;
	struct pollfd p = {.fd = fd, .events = POLLOUT};
	int r = poll(&p, 1, ms);
	if (r == 0)
		return CAME_NOTHING;
	if (r < 0 || getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) < 0)
		return CAME_ERROR;
	if (error == ECONNREFUSED || error == ECONNRESET)
		return CAME_REFUSED;
	if (error)
		return CAME_ERROR;
	if (ret_fd)
		*ret_fd = BH_TAKE_FD(fd);
	return CAME_OPEN;
}

bool prove_passes(int from, int to, int ms)
{
	char byte = 0;
	struct pollfd p = {.fd = to, .events = POLLIN};
	return send(from, "x", 1, MSG_NOSIGNAL) == 1 && poll(&p, 1, ms) == 1 &&
	       recv(to, &byte, 1, 0) == 1 && byte == 'x';
}

int prove_raw(void)
{
	bh_autoclose int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
	struct sockaddr_ll a = {
		.sll_family = AF_PACKET, .sll_ifindex = (int)if_nametoindex("eth0")};
	if (fd < 0 || bind(fd, (struct sockaddr *)&a, sizeof(a)) < 0)
		return -errno;
	return BH_TAKE_FD(fd);
}

static uint16_t checksum(const void *data, size_t len) /* RFC 1071; len is even */
{
	const uint8_t *p = data;
	uint32_t sum = 0;
	for (size_t i = 0; i < len; i += 2)
		sum += (uint32_t)p[i] << 8 | p[i + 1];
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return htons((uint16_t)~sum);
}

int prove_frame(
	const struct prove_net *n, int fd, int source, uint16_t port, bool tagged, char token)
{
	uint8_t frame[64] = {0};
	struct iphdr ip = {.version = 4,
		.ihl = 5,
		.tot_len = htons(sizeof(struct iphdr) + sizeof(struct udphdr) + 1),
		.ttl = TTL,
		.protocol = IPPROTO_UDP,
		.saddr = prove_addr4(source).s_addr,
		.daddr = prove_addr4(AT_B).s_addr};
	struct udphdr udp = {.source = htons(SOURCE_PORT),
		.dest = htons(port),
		.len = htons(sizeof(udp) + 1)}; /* no sum: IPv4 may (RFC 768) */
	const uint16_t type = htons(ETH_P_IP), tag[2] = {htons(ETH_P_8021Q), 0};
	uint8_t *p = frame;

	ip.check = checksum(&ip, sizeof(ip));
	p = mempcpy(p, n->mac[AT_B], 6);
	p = mempcpy(p, n->mac[AT_A], 6);
	if (tagged)
		p = mempcpy(p, tag, sizeof(tag));
	p = mempcpy(p, &type, sizeof(type));
	p = mempcpy(p, &ip, sizeof(ip));
	p = mempcpy(p, &udp, sizeof(udp));
	*p++ = (uint8_t)token;
	return send(fd, frame, (size_t)(p - frame) > 60 ? (size_t)(p - frame) : 60, 0) < 0 ? -errno
											   : 0;
}

char prove_hear(int fd, int ms)
{
	char byte = 0;
	struct pollfd p = {.fd = fd, .events = POLLIN};
	return poll(&p, 1, ms) == 1 && recv(fd, &byte, 1, 0) == 1 ? byte : 0;
}
