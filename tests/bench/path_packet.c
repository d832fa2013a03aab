/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Raw IPv4 packets with any ports, many in one system call. See path.h. */
#include "bench/path.h"

#include <err.h>
#include <netinet/ip.h>
#include <netinet/tcp.h>
#include <netinet/udp.h>
#include <sys/socket.h>

struct datagram {
	struct iphdr ip;
	union {
		struct tcphdr tcp;
		struct {
			struct udphdr udp;
			int64_t sent;
		} __attribute__((packed)) timed;
	};
} __attribute__((packed));

struct path_sender {
	int fd;
	uint8_t proto;
	size_t n;
	uint64_t sent;
	struct datagram packet[PATH_BURST];
	struct sockaddr_in to[PATH_BURST];
};

struct path_sender *path_sender_new(uint8_t proto)
{
	struct path_sender *s = bh_xcalloc(1, sizeof(*s));
	int size = 8 << 20;
	s->proto = proto;
	s->fd = socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_RAW);
	if (s->fd < 0)
		err(1, "raw socket");
	setsockopt(s->fd, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof(size));
	return s;
}

void path_sender_free(struct path_sender *s)
{
	path_send_flush(s);
	close(s->fd);
	free(s);
}

static uint32_t sum(const void *p, size_t n, uint32_t start)
{
	const uint8_t *b = p;
	for (size_t i = 0; i + 1 < n; i += 2)
		start += (uint32_t)(b[i] << 8 | b[i + 1]);
	return start;
}

static uint16_t folded(uint32_t v)
{
	v = (v & 0xffff) + (v >> 16);
	v += v >> 16;
	return htons((uint16_t)~v);
}

static size_t fill_syn(struct datagram *d, uint16_t sport, uint16_t dport)
{
	d->tcp = (struct tcphdr){.source = htons(sport),
		.dest = htons(dport),
		.seq = htonl(1),
		.doff = 5,
		.syn = 1,
		.window = htons(64240)};
	uint32_t v = sum(&d->ip.saddr, 8, IPPROTO_TCP + sizeof(d->tcp));
	d->tcp.check = folded(sum(&d->tcp, sizeof(d->tcp), v));
	return sizeof(d->tcp);
}

static size_t fill_udp(struct datagram *d, uint16_t sport, uint16_t dport)
{
	d->timed.udp = (struct udphdr){
		.source = htons(sport), .dest = htons(dport), .len = htons(sizeof(d->timed))};
	d->timed.sent = path_wall();
	return sizeof(d->timed);
}

void path_send(struct path_sender *s, uint32_t from, uint16_t sport, uint32_t to, uint16_t dport)
{
	struct datagram *d = &s->packet[s->n];
	d->ip = (struct iphdr){.version = 4,
		.ihl = 5,
		.ttl = 64,
		.protocol = s->proto,
		.saddr = htonl(from),
		.daddr = htonl(to)};
	size_t len =
		s->proto == IPPROTO_TCP ? fill_syn(d, sport, dport) : fill_udp(d, sport, dport);
	d->ip.tot_len = htons((uint16_t)(sizeof(d->ip) + len));
	s->to[s->n] = path_addr(to, 0);
	if (++s->n == PATH_BURST)
		path_send_flush(s);
}

void path_send_flush(struct path_sender *s)
{
	struct mmsghdr msg[PATH_BURST] = {0};
	struct iovec iov[PATH_BURST];
	for (size_t i = 0; i < s->n; i++) {
		iov[i] = (struct iovec){&s->packet[i], ntohs(s->packet[i].ip.tot_len)};
		msg[i].msg_hdr = (struct msghdr){.msg_name = &s->to[i],
			.msg_namelen = sizeof(s->to[i]),
			.msg_iov = &iov[i],
			.msg_iovlen = 1};
	}
	for (size_t done = 0; done < s->n;) {
		int n = sendmmsg(s->fd, msg + done, (unsigned)(s->n - done), 0);
		if (n <= 0)
			break; /* refused by the node's own stack: not sent, not counted */
		done += (size_t)n;
		s->sent += (uint64_t)n;
	}
	s->n = 0;
}

uint64_t path_sent(const struct path_sender *s)
{
	return s->sent;
}
