/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Sends probes and sees what arrives; see lab.c for why nothing has to be waited for. */
#include "agree.h"

#include <arpa/inet.h>
#include <errno.h>
#include <net/ethernet.h>
#include <poll.h>
#include <sys/socket.h>

enum { CHUNK = 100, TOKEN_BASE = 0x40000000 };

struct run {
	struct lab *lab;
	struct probe *p;
	size_t n;
	uint32_t sentinel;
	bool dry;
};

static uint32_t counter;

static _Noreturn void die(const char *what)
{
	fprintf(stderr, "agree: %s: %s\n", what, strerror(errno));
	exit(2);
}

static void arrived(struct run *r, const struct bh_flow *f, uint32_t token, int slot)
{
	size_t i = token - r->p[0].token;
	if (i >= r->n)
		return;
	struct probe *p = &r->p[i];
	p->arrived |= p->to == slot && bh_addr_eq(&f->src, &p->flow.src) &&
		      bh_addr_eq(&f->dst, &p->flow.dst) && f->proto == p->flow.proto &&
		      f->sport == p->flow.sport && f->dport == p->flow.dport &&
		      f->icmp_type == p->flow.icmp_type;
}

/* --- the ends --- */

static void read_slot(struct run *r, int slot)
{
	uint8_t frame[2048];
	ssize_t n;
	while ((n = recv(r->lab->slot[slot].fd, frame, sizeof(frame), 0)) > 0) {
		struct bh_flow f;
		uint32_t token;
		if (n >= 42 && frame[12] == 0x08 && frame[13] == 0x06)
			r->dry |= memcmp(frame + 28, &r->sentinel, 4) == 0;
		else if (n > 14 && packet_parse(frame + 14, (size_t)n - 14, &f, &token))
			arrived(r, &f, token, slot);
	}
	if (errno != EAGAIN)
		die("packet socket");
}

static void frame_send(
	const struct slot *s, const uint8_t *to, unsigned type, const void *data, size_t n)
{
	uint8_t frame[256];
	memcpy(frame, to, 6);
	memcpy(frame + 6, s->mac, 6);
	frame[12] = (uint8_t)(type >> 8);
	frame[13] = (uint8_t)type;
	memcpy(frame + 14, data, n);
	if (send(s->fd, frame, n + 14, 0) < 0)
		die("packet socket: send");
}

/* An ARP frame from the first workload to the second: never subject to policy, and no other path is
 * longer. */
static void send_sentinel(struct run *r)
{
	uint8_t arp[28] = {0, 1, 8, 0, 6, 4, 0, 1};
	r->sentinel = htonl(counter + TOKEN_BASE);
	memcpy(arp + 14, &r->sentinel, 4);
	frame_send(&r->lab->slot[0], r->lab->slot[1].mac, ETHERTYPE_ARP, arp, sizeof(arp));
}

/* --- the node --- */

static const uint8_t node_proto6[NODE_PROTOS] = {

	IPPROTO_TCP, IPPROTO_UDP, IPPROTO_SCTP, IPPROTO_ICMPV6, PROTO_OTHER};

static void read_node4(struct run *r, int fd)
{
	uint8_t packet[2048];
	ssize_t n;
	while ((n = recv(fd, packet, sizeof(packet), 0)) >= 0) {
		struct bh_flow f;
		uint32_t token;
		if (packet_parse(packet, (size_t)n, &f, &token))
			arrived(r, &f, token, SLOT_NODE);
	}
}

static bool read_one6(struct run *r, int fd, uint8_t proto)
{
	uint8_t packet[2048], control[256];
	struct sockaddr_in6 from;
	struct iovec v = {packet, sizeof(packet)};
	struct msghdr m = {.msg_name = &from,
		.msg_namelen = sizeof(from),
		.msg_iov = &v,
		.msg_iovlen = 1,
		.msg_control = control,
		.msg_controllen = sizeof(control)};
	ssize_t n = recvmsg(fd, &m, 0);
	struct bh_flow f = {.proto = proto};
	uint32_t token;
	if (n < 0)
		return false;
	f.src = bh_addr_from_bytes(BH_IPV6, &from.sin6_addr);
	for (struct cmsghdr *c = CMSG_FIRSTHDR(&m); c; c = CMSG_NXTHDR(&m, c))
		if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_PKTINFO)
			f.dst = bh_addr_from_bytes(BH_IPV6, CMSG_DATA(c));
	if (packet_parse_payload(packet, (size_t)n, &f, &token))
		arrived(r, &f, token, SLOT_NODE);
	return true;
}

/* The policy's drop shows here as EPERM, which is not yet to be told from other reasons: what
 * counts is what arrives. */
static void node_send(const struct lab *l, const struct bh_flow *f, const uint8_t *p, size_t n)
{
	struct sockaddr_in to4 = {.sin_family = AF_INET};
	struct sockaddr_in6 to6 = {.sin6_family = AF_INET6};
	bool v6 = f->dst.family == BH_IPV6;
	memcpy(&to4.sin_addr, f->dst.b, 4);
	memcpy(&to6.sin6_addr, f->dst.b, 16);
	if (sendto(l->node_tx[v6], p, n, 0, v6 ? (void *)&to6 : (void *)&to4,
		    v6 ? sizeof(to6) : sizeof(to4)) < 0 &&
		errno != EPERM && errno != EACCES && errno != ECONNREFUSED && errno != EHOSTUNREACH)
		die("raw socket: send");
}

/* --- together --- */

static void send_one(struct run *r, struct probe *p)
{
	uint8_t packet[128];
	size_t n = packet_build(&p->flow, p->token, packet);
	unsigned type = p->flow.src.family == BH_IPV4 ? ETHERTYPE_IP : ETHERTYPE_IPV6;
	if (p->from == SLOT_NODE) {
		node_send(r->lab, &p->flow, packet, n);
		return;
	}
	const struct slot *s = &r->lab->slot[p->from];
	frame_send(s, p->direct ? r->lab->slot[p->to].mac : s->gateway, type, packet, n);
}

static void run_chunk(struct run *r)
{
	struct pollfd wait = {.fd = r->lab->slot[1].fd, .events = POLLIN};
	for (size_t i = 0; i < r->n; i++) {
		struct probe *p = &r->p[i];
		counter++;
		p->arrived = false;
		p->token = TOKEN_BASE + counter;
		if (!p->special && p->flow.dport)
			p->flow.sport = (uint16_t)(20000 + counter % 40000);
		send_one(r, p);
	}
	send_sentinel(r);
	while (!r->dry) {
		if (poll(&wait, 1, 10000) <= 0) {
			fprintf(stderr, "agree: the bridge is stuck\n");
			exit(2);
		}
		read_slot(r, 1);
	}
	for (int i = 0; i < SLOTS; i++)
		read_slot(r, i);
	for (int i = 0; i < NODE_PROTOS; i++) {
		read_node4(r, r->lab->node_rx[0][i]);
		while (read_one6(r, r->lab->node_rx[1][i], node_proto6[i]))
			;
	}
}

void probes_run(struct lab *l, struct probe *p, size_t n)
{
	for (size_t i = 0; i < n; i += CHUNK) {
		struct run r = {.lab = l, .p = p + i, .n = n - i < CHUNK ? n - i : CHUNK};
		run_chunk(&r);
	}
}
