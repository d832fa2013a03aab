/* SPDX-License-Identifier: GPL-3.0-or-later */
/* For program.bpf.c: what a frame is, as far as the fast path wants to know. */
#pragma once

#include <linux/bpf.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/tcp.h>
#include <linux/udp.h>
#include <stdbool.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#define DNS 53

struct packet {
	struct bpf_sock_tuple tuple;
	__u8 proto;
	bool v6, syn, synack, fin, rst;
};

/* A TCP flow as its first packet had it, whatever the family. */
struct flow {
	__u32 saddr[4], daddr[4];
	__be16 sport, dport;
};

/* Its ports, and that it begins a flow or is in the middle of one, as far as it can say so itself.
 */
static __always_inline bool transport(
	const void *l4, const void *end, struct packet *p, __be16 *ports)
{
	if (p->proto == IPPROTO_TCP) {
		const struct tcphdr *t = l4;
		if ((const void *)(t + 1) > end || t->doff < 5 ||
			(t->syn ? t->fin || t->rst || t->urg : !t->ack && !t->rst))
			return false;
		p->syn = t->syn && !t->ack;
		p->synack = t->syn && t->ack;
		p->fin = t->fin;
		p->rst = t->rst;
		ports[0] = t->source;
		ports[1] = t->dest;
	} else if (p->proto == IPPROTO_UDP) {
		const struct udphdr *u = l4;
		if ((const void *)(u + 1) > end)
			return false;
		ports[0] = u->source;
		ports[1] = u->dest;
	} else {
		return false;
	}
	return ports[0] != bpf_htons(DNS) && ports[1] != bpf_htons(DNS);
}

static __always_inline bool parse4(const struct iphdr *ip, const void *end, struct packet *p)
{
	__be16 ports[2] = {};
	/* Version 4, no options; neither a fragment nor the first of several. */
	if ((const void *)(ip + 1) > end || *(const __u8 *)ip != 0x45 ||
		(ip->frag_off & bpf_htons(0x3fff)))
		return false;
	p->proto = ip->protocol;
	if (!transport(ip + 1, end, p, ports))
		return false;
	p->tuple.ipv4.saddr = ip->saddr;
	p->tuple.ipv4.daddr = ip->daddr;
	p->tuple.ipv4.sport = ports[0];
	p->tuple.ipv4.dport = ports[1];
	return true;
}

static __always_inline bool parse6(const struct ipv6hdr *ip, const void *end, struct packet *p)
{
	__be16 ports[2] = {};
	if ((const void *)(ip + 1) > end || ip->version != 6)
		return false;
	p->proto = ip->nexthdr; /* any further header is another protocol's number */
	if (!transport(ip + 1, end, p, ports))
		return false;
	__builtin_memcpy(p->tuple.ipv6.saddr, &ip->saddr, sizeof(p->tuple.ipv6.saddr));
	__builtin_memcpy(p->tuple.ipv6.daddr, &ip->daddr, sizeof(p->tuple.ipv6.daddr));
	p->tuple.ipv6.sport = ports[0];
	p->tuple.ipv6.dport = ports[1];
	p->v6 = true;
	return true;
}

static __always_inline void name_flow(const struct packet *p, bool reply, struct flow *ret)
{
	__builtin_memset(ret, 0, sizeof(*ret));
	if (p->v6) {
		__builtin_memcpy(reply ? ret->daddr : ret->saddr, p->tuple.ipv6.saddr, 16);
		__builtin_memcpy(reply ? ret->saddr : ret->daddr, p->tuple.ipv6.daddr, 16);
		ret->sport = reply ? p->tuple.ipv6.dport : p->tuple.ipv6.sport;
		ret->dport = reply ? p->tuple.ipv6.sport : p->tuple.ipv6.dport;
	} else {
		ret->saddr[0] = reply ? p->tuple.ipv4.daddr : p->tuple.ipv4.saddr;
		ret->daddr[0] = reply ? p->tuple.ipv4.saddr : p->tuple.ipv4.daddr;
		ret->sport = reply ? p->tuple.ipv4.dport : p->tuple.ipv4.sport;
		ret->dport = reply ? p->tuple.ipv4.sport : p->tuple.ipv4.dport;
	}
}
