/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * First packets of connections: a TCP SYN, a UDP datagram, an SCTP INIT, ICMP and ICMPv6, and a
 * protocol without ports. Each carries a token where an answer to it doesn't: the sequence number,
 * the payload, the initiate tag, an echo's identifier.
 */
#include "agree.h"

#include <arpa/inet.h>

static void put16(uint8_t *p, unsigned v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static void put32(uint8_t *p, uint32_t v)
{
	put16(p, v >> 16);
	put16(p + 2, v & 0xffff);
}

static unsigned get16(const uint8_t *p)
{
	return (unsigned)p[0] << 8 | p[1];
}

static uint32_t get32(const uint8_t *p)
{
	return (uint32_t)get16(p) << 16 | get16(p + 2);
}

static uint32_t sum(uint32_t s, const uint8_t *p, size_t n)
{
	for (size_t i = 0; i + 1 < n; i += 2)
		s += get16(p + i);
	return n & 1 ? s + ((uint32_t)p[n - 1] << 8) : s;
}

static unsigned fold(uint32_t s)
{
	while (s >> 16)
		s = (s & 0xffff) + (s >> 16);
	return ~s & 0xffff;
}

/* RFC 9260, appendix A: CRC32c, sent with its least significant byte first. */
static void sctp_checksum(uint8_t *p, size_t n)
{
	uint32_t crc = 0xffffffff;
	for (size_t i = 0; i < n; i++) {
		crc ^= p[i];
		for (int bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ (crc & 1 ? 0x82f63b78 : 0);
	}
	crc = ~crc;
	for (int i = 0; i < 4; i++)
		p[8 + i] = (uint8_t)(crc >> (8 * i));
}

static void internet_checksum(const struct bh_flow *f, uint8_t *p, size_t n, size_t at)
{
	uint32_t s = 0;
	if (f->proto != IPPROTO_ICMP) {
		s = sum(s, f->src.b, bh_addr_size(&f->src));
		s = sum(s, f->dst.b, bh_addr_size(&f->dst)) + f->proto + (uint32_t)n;
	}
	unsigned c = fold(sum(s, p, n));
	put16(p + at, c || f->proto != IPPROTO_UDP ? c : 0xffff);
}

static size_t build_sctp(uint8_t *p, uint32_t token)
{
	p[12] = 1; /* INIT */
	put16(p + 14, 20);
	put32(p + 16, token);
	put32(p + 20, 65536); /* receive window */
	put16(p + 24, 1); /* streams out, in */
	put16(p + 26, 1);
	put32(p + 28, token);
	sctp_checksum(p, 32);
	return 32;
}

/* From the transport header on. */
static size_t build_payload(const struct bh_flow *f, uint32_t token, uint8_t *p)
{
	put16(p, f->sport);
	put16(p + 2, f->dport);
	switch (f->proto) {
	case BH_TCP:
		put32(p + 4, token);
		p[12] = 5 << 4;
		p[13] = 0x02; /* SYN */
		put16(p + 14, 64240);
		internet_checksum(f, p, 20, 16);
		return 20;
	case BH_UDP:
		put16(p + 4, 16);
		put32(p + 8, token);
		internet_checksum(f, p, 16, 6);
		return 16;
	case BH_SCTP:
		return build_sctp(p, token);
	case IPPROTO_ICMP:
	case IPPROTO_ICMPV6:
		memset(p, 0, 4);
		p[0] = f->icmp_type;
		p[1] = f->icmp_code;
		/* What changes from token to token is the identifier: else a later echo reply would
		 * answer an earlier request. */
		put32(p + 4, token << 16 | token >> 16);
		internet_checksum(f, p, 32, 2);
		return 32;
	default:
		put32(p, token);
		return 16;
	}
}

size_t packet_build(const struct bh_flow *f, uint32_t token, uint8_t ret[static 128])
{
	bool v4 = f->src.family == BH_IPV4;
	size_t header = v4 ? 20 : 40, addr = v4 ? 4 : 16;
	memset(ret, 0, 128);
	size_t n = build_payload(f, token, ret + header);
	memcpy(ret + header - 2 * addr, f->src.b, addr);
	memcpy(ret + header - addr, f->dst.b, addr);
	if (v4) {
		ret[0] = 0x45;
		put16(ret + 2, (unsigned)(header + n));
		put16(ret + 6, 0x4000); /* don't fragment */
		ret[8] = 64;
		ret[9] = f->proto;
		put16(ret + 10, fold(sum(0, ret, header)));
	} else {
		ret[0] = 0x60;
		put16(ret + 4, (unsigned)n);
		ret[6] = f->proto;
		ret[7] = 64;
	}
	return header + n;
}

bool packet_parse_payload(const uint8_t *p, size_t len, struct bh_flow *f, uint32_t *ret_token)
{
	bool icmp = f->proto == IPPROTO_ICMP || f->proto == IPPROTO_ICMPV6;
	bool ports = f->proto == BH_TCP || f->proto == BH_UDP || f->proto == BH_SCTP;
	size_t at = f->proto == BH_UDP ? 8 : f->proto == BH_SCTP ? 16 : ports || icmp ? 4 : 0;
	if (len < at + 4 || (!ports && !icmp && f->proto != PROTO_OTHER))
		return false;
	if (ports) {
		f->sport = (uint16_t)get16(p);
		f->dport = (uint16_t)get16(p + 2);
	}
	if (icmp) {
		f->icmp_type = p[0];
		f->icmp_code = p[1];
	}
	*ret_token = get32(p + at);
	if (icmp)
		*ret_token = *ret_token << 16 | *ret_token >> 16;
	return true;
}

bool packet_parse(const uint8_t *p, size_t len, struct bh_flow *ret, uint32_t *ret_token)
{
	*ret = (struct bh_flow){0};
	bool v4 = len >= 20 && p[0] == 0x45;
	if (!v4 && (len < 40 || p[0] >> 4 != 6))
		return false;
	size_t header = v4 ? 20 : 40, addr = v4 ? 4 : 16;
	enum bh_family family = v4 ? BH_IPV4 : BH_IPV6;
	ret->src = bh_addr_from_bytes(family, p + header - 2 * addr);
	ret->dst = bh_addr_from_bytes(family, p + header - addr);
	ret->proto = v4 ? p[9] : p[6];
	return packet_parse_payload(p + header, len - header, ret, ret_token);
}
