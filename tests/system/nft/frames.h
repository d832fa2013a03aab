/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Ethernet frames made by hand, and a bridge port to send them into. */
#pragma once

#include "fixture.h"

#include <linux/if_packet.h>
#include <net/if.h>

struct frame {
	uint8_t b[256];
	size_t n;
};

static inline void put(struct frame *f, const void *p, size_t n)
{
	memcpy(f->b + f->n, p, n);
	f->n += n;
}

static inline void put8(struct frame *f, unsigned v)
{
	f->b[f->n++] = (uint8_t)v;
}

static inline void put16(struct frame *f, unsigned v)
{
	put8(f, v >> 8);
	put8(f, v & 255);
}

static inline void put_zeros(struct frame *f, size_t n)
{
	f->n += n; /* frames start as zeros */
}

static inline void put_ip(struct frame *f, const char *text)
{
	struct bh_addr a = addr(text);
	put(f, a.b, a.family == BH_IPV4 ? 4 : 16);
}

/* tags: outermost first, 0 ends; each is followed by its VLAN number. */
static inline struct frame ether(const uint8_t src[6], const unsigned *tags, unsigned type)
{
	static const uint8_t dst[6] = {0x02, 0, 0, 0, 0, 99};
	struct frame f = {0};
	put(&f, dst, 6);
	put(&f, src, 6);
	for (; tags && *tags; tags += 2) {
		put16(&f, tags[0]);
		put16(&f, tags[1]);
	}
	put16(&f, type);
	return f;
}

static inline void put_arp(struct frame *f, const uint8_t mac[6], const char *ip)
{
	put16(f, 1);
	put16(f, 0x0800);
	put8(f, 6);
	put8(f, 4);
	put16(f, 1);
	put(f, mac, 6);
	put_ip(f, ip);
	put_zeros(f, 6);
	put_ip(f, "10.0.0.99");
	put_zeros(f, 18);
}

static inline void put_udp4(struct frame *f, const char *src, uint16_t sport, uint16_t dport)
{
	put8(f, 0x45);
	put8(f, 0);
	put16(f, 28);
	put_zeros(f, 4);
	put8(f, 64);
	put8(f, IPPROTO_UDP);
	put16(f, 0);
	put_ip(f, src);
	put_ip(f, "255.255.255.255");
	put16(f, sport);
	put16(f, dport);
	put16(f, 8);
	put16(f, 0);
	put_zeros(f, 18);
}

/* A neighbour advertisement: what its source is, and what it speaks of. */
static inline void put_advert(struct frame *f, const char *src, const char *target)
{
	put8(f, 0x60);
	put_zeros(f, 3);
	put16(f, 24);
	put8(f, IPPROTO_ICMPV6);
	put8(f, 255);
	put_ip(f, src);
	put_ip(f, "ff02::1");
	put8(f, 136);
	put_zeros(f, 7);
	put_ip(f, target);
}

/* What is sent at p0 comes in at p1, a port of br0. Nothing else does. */
static inline int make_port(void)
{
	must("echo 1 >/proc/sys/net/ipv6/conf/default/disable_ipv6;"
	     "ip link add br0 type bridge; ip link add p0 type veth peer name p1;"
	     "ip link set p1 master br0; ip link set br0 up; ip link set p1 up;"
	     "ip link set p0 arp off; ip link set p0 up;"
	     "for i in 1 2 3 4 5 6 7 8 9 10; do ip -d link show p1 | grep -q 'state forwarding' && "
	     "exit; sleep 0.5; done; false"); /* a carrier is noticed at leisure */
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
	struct sockaddr_ll to = {.sll_family = AF_PACKET, .sll_ifindex = (int)if_nametoindex("p0")};
	assert_true(fd >= 0 && to.sll_ifindex > 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&to, sizeof(to)), 0);
	return fd;
}

static inline void send_frame(int fd, const struct frame *f)
{
	assert_int_equal(send(fd, f->b, f->n, 0), (ssize_t)f->n);
}
