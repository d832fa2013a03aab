/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Frames for the stock-kernel test, on eth0 of the network namespace that it is started in: a
 * datagram or an ARP reply in anybody's name, with any tags, and an ear for what arrives. Each
 * frame ends in a word by which the ear knows it.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <netpacket/packet.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define ETH_P_ALL 3
#define FRAME_MAX 256

static void die(const char *what)
{
	fprintf(stderr, "frame: %s: %s\n", what, strerror(errno));
	exit(2);
}

struct frame {
	uint8_t b[FRAME_MAX];
	size_t n;
};

static void put(struct frame *f, const void *data, size_t n)
{
	if (f->n + n > FRAME_MAX) {
		errno = E2BIG;
		die("frame");
	}
	memcpy(f->b + f->n, data, n);
	f->n += n;
}

static void put16(struct frame *f, unsigned v)
{
	uint16_t n = htons((uint16_t)v);

	put(f, &n, 2);
}

static void put_mac(struct frame *f, const char *text)
{
	unsigned m[6];
	uint8_t b[6];

	if (sscanf(text, "%x:%x:%x:%x:%x:%x", m, m + 1, m + 2, m + 3, m + 4, m + 5) != 6) {
		errno = EINVAL;
		die(text);
	}
	for (int i = 0; i < 6; i++)
		b[i] = (uint8_t)m[i];
	put(f, b, 6);
}

static void put_ip(struct frame *f, const char *text)
{
	struct in_addr a;

	if (inet_pton(AF_INET, text, &a) != 1) {
		errno = EINVAL;
		die(text);
	}
	put(f, &a, 4);
}

/* tags: "-" or "8100:0,88a8:5", from the outside in. */
static void put_ether(
	struct frame *f, const char *src, const char *dst, const char *tags, unsigned type)
{
	unsigned tpid, vlan;
	int used;

	put_mac(f, dst);
	put_mac(f, src);
	while (sscanf(tags, "%x:%u%n", &tpid, &vlan, &used) == 2) {
		put16(f, tpid);
		put16(f, vlan);
		tags += used + (tags[used] == ',');
	}
	put16(f, type);
}

static void put_checksum(uint8_t *header, size_t n, size_t at)
{
	uint32_t sum = 0;

	for (size_t i = 0; i < n; i += 2)
		sum += (uint32_t)header[i] << 8 | header[i + 1];
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	header[at] = (uint8_t)(~sum >> 8);
	header[at + 1] = (uint8_t)~sum;
}

static int link_socket(int protocol)
{
	struct sockaddr_ll a = {.sll_family = AF_PACKET, .sll_protocol = htons((uint16_t)protocol)};
	int fd = socket(AF_PACKET, SOCK_RAW, 0);

	a.sll_ifindex = (int)if_nametoindex("eth0");
	if (fd < 0 || bind(fd, (struct sockaddr *)&a, sizeof(a)) < 0)
		die("eth0");
	return fd;
}

static int transmit(struct frame *f, const char *word)
{
	put(f, word, strlen(word));
	if (f->n < 60)
		f->n = 60;
	if (send(link_socket(0), f->b, f->n, 0) != (ssize_t)f->n)
		die("send");
	return 0;
}

/* udp SOURCE-MAC DESTINATION-MAC TAGS SOURCE DESTINATION PORT WORD */
static int send_udp(char **v)
{
	struct frame f = {0};
	size_t n = strlen(v[6]);

	put_ether(&f, v[0], v[1], v[2], 0x0800);
	size_t ip = f.n;
	put(&f, "\x45\0", 2);
	put16(&f, (unsigned)(28 + n));
	put(&f, "\0\1\0\0\x40\x11\0\0", 8);
	put_ip(&f, v[3]);
	put_ip(&f, v[4]);
	put_checksum(f.b + ip, 20, 10);
	put16(&f, 4000);
	put16(&f, (unsigned)strtoul(v[5], NULL, 10));
	put16(&f, (unsigned)(8 + n));
	put16(&f, 0);
	return transmit(&f, v[6]);
}

/* arp SOURCE-MAC DESTINATION-MAC TAGS SENDER-MAC SENDER-ADDRESS TARGET-ADDRESS WORD: a reply */
static int send_arp(char **v)
{
	struct frame f = {0};

	put_ether(&f, v[0], v[1], v[2], 0x0806);
	put(&f, "\0\1\x08\0\6\4\0\2", 8);
	put_mac(&f, v[3]);
	put_ip(&f, v[4]);
	put_mac(&f, v[1]);
	put_ip(&f, v[5]);
	return transmit(&f, v[6]);
}

/* hear MILLISECONDS WORD…: "listening", then each word that came, once. */
static int hear(int n, char **v)
{
	struct timespec t;
	uint8_t data[2048];
	struct sockaddr_ll from;
	int fd = link_socket(ETH_P_ALL);

	puts("listening");
	fflush(stdout);
	clock_gettime(CLOCK_MONOTONIC, &t);
	long end = t.tv_sec * 1000L + t.tv_nsec / 1000000 + strtol(v[0], NULL, 10);
	for (;;) {
		struct pollfd p = {.fd = fd, .events = POLLIN};
		socklen_t len = sizeof(from);
		clock_gettime(CLOCK_MONOTONIC, &t);
		long left = end - (t.tv_sec * 1000L + t.tv_nsec / 1000000);
		if (left <= 0 || poll(&p, 1, (int)left) <= 0)
			return 0;
		ssize_t got = recvfrom(fd, data, sizeof(data), 0, (struct sockaddr *)&from, &len);
		for (int i = 1; got > 0 && from.sll_pkttype != PACKET_OUTGOING && i < n; i++)
			if (v[i][0] && memmem(data, (size_t)got, v[i], strlen(v[i]))) {
				puts(v[i]);
				fflush(stdout);
				v[i][0] = '\0';
			}
	}
}

int main(int argc, char **argv)
{
	if (argc == 9 && strcmp(argv[1], "udp") == 0)
		return send_udp(argv + 2);
	if (argc == 9 && strcmp(argv[1], "arp") == 0)
		return send_arp(argv + 2);
	if (argc > 3 && strcmp(argv[1], "hear") == 0)
		return hear(argc - 2, argv + 2);
	fputs("usage: frame udp SOURCE-MAC DESTINATION-MAC TAGS SOURCE DESTINATION PORT WORD\n"
	      "       frame arp SOURCE-MAC DESTINATION-MAC TAGS SENDER-MAC SENDER TARGET WORD\n"
	      "       frame hear MILLISECONDS WORD…\n",
		stderr);
	return 2;
}
