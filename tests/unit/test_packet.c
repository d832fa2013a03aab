/* SPDX-License-Identifier: GPL-3.0-or-later */
/* bh_packet_parse on handmade bytes: what senders do, and what they should not. Every packet is
 * parsed from an allocation of exactly its length, so that a sanitizer sees any read beyond. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "queue/packet.h"

struct bytes {
	uint8_t b[2048];
	size_t n;
};

static void put8(struct bytes *p, unsigned v)
{
	p->b[p->n++] = (uint8_t)v;
}

static void put16(struct bytes *p, unsigned v)
{
	put8(p, v >> 8 & 0xff);
	put8(p, v & 0xff);
}

static void put(struct bytes *p, const void *s, size_t n)
{
	memcpy(p->b + p->n, s, n);
	p->n += n;
}

static void zero(struct bytes *p, size_t n)
{
	memset(p->b + p->n, 0, n);
	p->n += n;
}

/* 192.0.2.1 → 198.51.100.2; total length and header length as told. */
static struct bytes ipv4(unsigned ihl, unsigned total, unsigned fragment, unsigned proto)
{
	struct bytes p = {};

	put8(&p, 0x40 | ihl);
	put8(&p, 0);
	put16(&p, total);
	put16(&p, 0x1234);
	put16(&p, fragment);
	put8(&p, 64);
	put8(&p, proto);
	put16(&p, 0);
	put(&p, "\xc0\x00\x02\x01\xc6\x33\x64\x02", 8);
	return p;
}

/* 2001:db8::1 → 2001:db8::2 */
static struct bytes ipv6(unsigned payload, unsigned next)
{
	struct bytes p = {};

	put(&p, "\x60\0\0\0", 4);
	put16(&p, payload);
	put8(&p, next);
	put8(&p, 64);
	put(&p, "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01", 16);
	put(&p, "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x02", 16);
	return p;
}

static void tcp(struct bytes *p, unsigned offset, unsigned flags)
{
	put16(p, 40000);
	put16(p, 443);
	zero(p, 8);
	put8(p, offset << 4);
	put8(p, flags);
	zero(p, 6);
}

static void udp(struct bytes *p, unsigned len)
{
	put16(p, 5353);
	put16(p, 53);
	put16(p, len);
	put16(p, 0);
}

/* An extension header of n bytes, full of Pad1. */
static void ext(struct bytes *p, unsigned next, size_t n)
{
	put8(p, next);
	put8(p, (unsigned)(n / 8 - 1));
	zero(p, n - 2);
}

static struct bh_packet parse_real(const struct bytes *p, size_t real)
{
	struct bh_packet ret;
	uint8_t *exact = calloc(1, p->n ? p->n : 1);

	memset(&ret, 0xa5, sizeof(ret));
	memcpy(exact, p->b, p->n);
	bh_packet_parse_copy(exact, p->n, real, &ret);
	free(exact);
	return ret;
}

static struct bh_packet parse(const struct bytes *p)
{
	return parse_real(p, 0);
}

static void assert_v4(const struct bh_packet *p)
{
	char s[BH_ADDR_STRLEN];

	assert_string_equal(bh_addr_format(&p->flow.src, s), "192.0.2.1");
	assert_string_equal(bh_addr_format(&p->flow.dst, s), "198.51.100.2");
	assert_int_equal(p->flow.src.b[4], 0);
}

static void assert_v6(const struct bh_packet *p)
{
	char s[BH_ADDR_STRLEN];

	assert_string_equal(bh_addr_format(&p->flow.src, s), "2001:db8::1");
	assert_string_equal(bh_addr_format(&p->flow.dst, s), "2001:db8::2");
}

static void test_ipv4_tcp(void **state BH_UNUSED)
{
	struct bytes p = ipv4(5, 40, 0x4000, 6);

	tcp(&p, 5, 0x02);
	struct bh_packet r = parse(&p);
	assert_int_equal(r.fault, BH_PACKET_OK);
	assert_v4(&r);
	assert_int_equal(r.flow.proto, 6);
	assert_int_equal(r.flow.sport, 40000);
	assert_int_equal(r.flow.dport, 443);
	assert_int_equal(r.tcp_flags, 0x02);
	assert_int_equal(r.len, 40);
	assert_int_equal(r.indev, 0);
	assert_false(r.held);
	assert_false(r.expired);
}

static void test_ipv4_options(void **state BH_UNUSED)
{
	struct bytes p = ipv4(15, 68, 0, 17);

	zero(&p, 40);
	udp(&p, 8);
	struct bh_packet r = parse(&p);
	assert_int_equal(r.fault, BH_PACKET_OK);
	assert_int_equal(r.flow.dport, 53);
}

static void test_ipv4_padding(void **state BH_UNUSED)
{
	/* The link layer's padding is not the packet: no ports may be read from it. */
	struct bytes p = ipv4(5, 20, 0, 17);

	udp(&p, 8);
	struct bh_packet r = parse(&p);
	assert_int_equal(r.fault, BH_PACKET_TRUNCATED);
	assert_int_equal(r.flow.dport, 0);
	assert_v4(&r);
}

static void test_ipv4_bad_lengths(void **state BH_UNUSED)
{
	struct bytes p = ipv4(4, 40, 0, 6);
	tcp(&p, 5, 2);
	assert_int_equal(parse(&p).fault, BH_PACKET_MALFORMED);
	p = ipv4(0, 40, 0, 6);
	tcp(&p, 5, 2);
	assert_int_equal(parse(&p).fault, BH_PACKET_MALFORMED);
	p = ipv4(15, 40, 0, 6); /* header longer than the packet says it is */
	tcp(&p, 5, 2);
	assert_int_equal(parse(&p).fault, BH_PACKET_MALFORMED);
	p = ipv4(5, 19, 0, 6);
	tcp(&p, 5, 2);
	assert_int_equal(parse(&p).fault, BH_PACKET_MALFORMED);
	p = ipv4(5, 0, 0, 6);
	tcp(&p, 5, 2);
	assert_int_equal(parse(&p).fault, BH_PACKET_MALFORMED);
	p = ipv4(15, 60, 0, 17); /* options not there */
	assert_int_equal(parse(&p).fault, BH_PACKET_TRUNCATED);
	p = ipv4(5, 21, 0, 6); /* one byte of TCP: has crashed receivers */
	put8(&p, 1);
	struct bh_packet r = parse(&p);
	assert_int_equal(r.fault, BH_PACKET_TRUNCATED);
	assert_v4(&r);
	assert_int_equal(r.flow.proto, 6);
}

static void test_every_prefix(void **state BH_UNUSED)
{
	struct bytes whole = ipv4(6, 44, 0, 6);
	zero(&whole, 4);
	tcp(&whole, 5, 2);
	for (size_t n = 0; n <= whole.n; n++) {
		struct bytes p = whole;
		p.n = n;
		enum bh_packet_fault expected = n < 28 ? BH_PACKET_TRUNCATED : BH_PACKET_OK;
		assert_int_equal(parse(&p).fault, expected); /* a copy may end behind the ports */
		if (n > 0 && n < whole.n) /* the packet itself may not */
			assert_int_equal(parse_real(&p, n).fault, BH_PACKET_TRUNCATED);
		if (n > 0) { /* all of it was there, and only the beginning copied */
			assert_int_equal(parse_real(&p, whole.n).fault, expected);
			assert_int_equal(parse_real(&p, whole.n).len, whole.n);
		}
	}
}

static void test_not_ip(void **state BH_UNUSED)
{
	struct bytes p = {};

	assert_int_equal(parse(&p).fault, BH_PACKET_TRUNCATED);
	for (unsigned version = 0; version < 16; version++) {
		if (version == 4 || version == 6)
			continue;
		p = (struct bytes){};
		put8(&p, version << 4 | 5);
		zero(&p, 60);
		assert_int_equal(parse(&p).fault, BH_PACKET_MALFORMED);
	}
}

static void test_ipv4_fragments(void **state BH_UNUSED)
{
	struct bytes p = ipv4(5, 40, 0x2000, 6); /* first */
	tcp(&p, 5, 2);
	assert_int_equal(parse(&p).fault, BH_PACKET_OK);
	assert_int_equal(parse(&p).flow.dport, 443);
	p = ipv4(5, 28, 0x2000, 6); /* first, too short for the header: hides the flags */
	put(&p, "\x9c\x40\x01\xbb\0\0\0\0", 8);
	assert_int_equal(parse(&p).fault, BH_PACKET_TRUNCATED);
	p = ipv4(5, 40, 0x0001, 6); /* last; its first bytes are no ports */
	tcp(&p, 5, 2);
	struct bh_packet r = parse(&p);
	assert_int_equal(r.fault, BH_PACKET_FRAGMENT);
	assert_v4(&r);
	assert_int_equal(r.flow.proto, 6);
	assert_int_equal(r.flow.dport, 0);
	assert_int_equal(r.flow.sport, 0);
}

static void test_tcp_offset(void **state BH_UNUSED)
{
	struct bytes p = ipv4(5, 40, 0, 6);
	tcp(&p, 4, 2);
	assert_int_equal(parse(&p).fault, BH_PACKET_MALFORMED);
	p = ipv4(5, 40, 0, 6);
	tcp(&p, 15, 2);
	assert_int_equal(parse(&p).fault, BH_PACKET_TRUNCATED);
	p = ipv4(5, 80, 0, 6);
	tcp(&p, 15, 2);
	zero(&p, 40);
	assert_int_equal(parse(&p).fault, BH_PACKET_OK);
}

static void test_udp_length(void **state BH_UNUSED)
{
	static const struct {
		unsigned len;
		enum bh_packet_fault fault;
	} cases[] = {
		{0, BH_PACKET_OK},
		{1, BH_PACKET_MALFORMED},
		{7, BH_PACKET_MALFORMED},
		{8, BH_PACKET_OK},
		{9000, BH_PACKET_OK},
	};
	for (size_t i = 0; i < BH_ARRAY_SIZE(cases); i++) {
		struct bytes p = ipv4(5, 28, 0, 17);
		udp(&p, cases[i].len);
		assert_int_equal(parse(&p).fault, cases[i].fault);
	}
	struct bytes p = ipv4(5, 27, 0, 17);
	udp(&p, 8);
	assert_int_equal(parse(&p).fault, BH_PACKET_TRUNCATED);
}

static void test_other_protocols(void **state BH_UNUSED)
{
	struct bytes p = ipv4(5, 32, 0, 132); /* SCTP */
	put16(&p, 1000);
	put16(&p, 2905);
	zero(&p, 8);
	assert_int_equal(parse(&p).fault, BH_PACKET_OK);
	assert_int_equal(parse(&p).flow.dport, 2905);
	p = ipv4(5, 24, 0, 132);
	zero(&p, 4);
	assert_int_equal(parse(&p).fault, BH_PACKET_TRUNCATED);
	p = ipv4(5, 28, 0, 1); /* ICMP */
	put(&p, "\x08\x03\0\0\0\0\0\0", 8);
	assert_int_equal(parse(&p).fault, BH_PACKET_OK);
	assert_int_equal(parse(&p).flow.icmp_type, 8);
	assert_int_equal(parse(&p).flow.icmp_code, 3);
	p = ipv4(5, 22, 0, 1);
	put(&p, "\x08\x03", 2);
	assert_int_equal(parse(&p).fault, BH_PACKET_TRUNCATED);
	p = ipv4(5, 20, 0, 47); /* GRE: nothing more to know */
	assert_int_equal(parse(&p).fault, BH_PACKET_OK);
	assert_int_equal(parse(&p).flow.dport, 0);
	p = ipv4(5, 28, 0, 58); /* ICMPv6 in IPv4 is nobody's */
	put(&p, "\x80\0\0\0\0\0\0\0", 8);
	assert_int_equal(parse(&p).flow.icmp_type, 0);
}

static void test_ipv6_plain(void **state BH_UNUSED)
{
	struct bytes p = ipv6(20, 6);
	tcp(&p, 5, 0x12);
	struct bh_packet r = parse(&p);
	assert_int_equal(r.fault, BH_PACKET_OK);
	assert_v6(&r);
	assert_int_equal(r.flow.dport, 443);
	assert_int_equal(r.tcp_flags, 0x12);
	p = ipv6(8, 58);
	put(&p, "\x80\x01\0\0\0\0\0\0", 8);
	assert_int_equal(parse(&p).flow.icmp_type, 128);
	assert_int_equal(parse(&p).flow.icmp_code, 1);
	p = ipv6(8, 6); /* payload too short for TCP */
	tcp(&p, 5, 0x02);
	assert_int_equal(parse(&p).fault, BH_PACKET_TRUNCATED);
	p = ipv6(0, 6);
	tcp(&p, 5, 0x02);
	assert_int_equal(parse(&p).fault, BH_PACKET_TRUNCATED);
	p = ipv6(0, 59);
	assert_int_equal(parse(&p).fault, BH_PACKET_OK);
	assert_int_equal(parse(&p).flow.proto, 59);
	p.n = 39;
	assert_int_equal(parse(&p).fault, BH_PACKET_TRUNCATED);
}

static void test_ipv6_mapped(void **state BH_UNUSED)
{
	struct bytes p = ipv6(8, 17);

	udp(&p, 8);
	memcpy(p.b + 8, "\0\0\0\0\0\0\0\0\0\0\xff\xff\xc0\0\x02\x01", 16);
	struct bh_packet r = parse(&p);
	assert_int_equal(r.flow.src.family, BH_IPV6); /* not 192.0.2.1, whom a policy may know */
	assert_int_equal(r.flow.src.b[10], 0xff);
}

static void test_ipv6_chain(void **state BH_UNUSED)
{
	struct bytes p = ipv6(8 + 16 + 24 + 8 + 12 + 20, 0);
	ext(&p, 60, 8);
	ext(&p, 43, 16);
	ext(&p, 44, 24);
	put(&p, "\x33\0\0\x01\0\0\0\x07", 8); /* first fragment, then AH */
	put(&p, "\x06\x01\0\0\0\0\0\0\0\0\0\0", 12);
	tcp(&p, 5, 2);
	struct bh_packet r = parse(&p);
	assert_int_equal(r.fault, BH_PACKET_OK);
	assert_int_equal(r.flow.proto, 6);
	assert_int_equal(r.flow.dport, 443);
	assert_v6(&r);
	struct bytes whole = p;
	for (size_t n = 41; n < whole.n; n++) { /* the packet ends anywhere in the chain */
		p = whole;
		p.n = n;
		p.b[5] = (uint8_t)(n - 40);
		assert_int_equal(parse(&p).fault, BH_PACKET_TRUNCATED);
	}
}

static void test_ipv6_ends_of_chain(void **state BH_UNUSED)
{
	struct bytes p = ipv6(8 + 8, 60);
	ext(&p, 50, 8); /* ESP: opaque */
	zero(&p, 8);
	assert_int_equal(parse(&p).fault, BH_PACKET_OK);
	assert_int_equal(parse(&p).flow.proto, 50);
	p = ipv6(8 + 20, 135); /* Mobility is a protocol to the kernel: TCP behind it is not TCP */
	ext(&p, 6, 8);
	tcp(&p, 5, 2);
	assert_int_equal(parse(&p).fault, BH_PACKET_OK);
	assert_int_equal(parse(&p).flow.proto, 135);
	assert_int_equal(parse(&p).flow.dport, 0);
	p = ipv6(8 + 8, 60);
	ext(&p, 59, 8);
	zero(&p, 8);
	assert_int_equal(parse(&p).flow.proto, 59);
}

static void test_ipv6_fragments(void **state BH_UNUSED)
{
	struct bytes p = ipv6(8 + 20, 44);
	put(&p, "\x06\0\x00\x08\0\0\0\x07", 8); /* offset 8, last */
	tcp(&p, 5, 2);
	struct bh_packet r = parse(&p);
	assert_int_equal(r.fault, BH_PACKET_FRAGMENT);
	assert_int_equal(r.flow.proto, 6);
	assert_int_equal(r.flow.dport, 0);
	assert_v6(&r);
	p = ipv6(8 + 20, 44);
	put(&p, "\x06\0\0\0\0\0\0\x07", 8); /* atomic */
	tcp(&p, 5, 2);
	assert_int_equal(parse(&p).fault, BH_PACKET_OK);
	assert_int_equal(parse(&p).flow.dport, 443);
}

static void test_ipv6_hostile_chains(void **state BH_UNUSED)
{
	struct bytes p = ipv6(16 + 20, 60);
	ext(&p, 0, 8); /* hop-by-hop, not first */
	ext(&p, 6, 8);
	tcp(&p, 5, 2);
	assert_int_equal(parse(&p).fault, BH_PACKET_MALFORMED);
	for (unsigned n = 16; n <= 17; n++) {
		p = ipv6(n * 8 + 20, 60);
		for (unsigned i = 1; i <= n; i++)
			ext(&p, i == n ? 6 : 60, 8);
		tcp(&p, 5, 2);
		assert_int_equal(parse(&p).fault, n == 16 ? BH_PACKET_OK : BH_PACKET_MALFORMED);
	}
	p = ipv6(8 + 20, 60); /* a header of 2,048 bytes in a packet of 68 */
	put(&p, "\x06\xff\0\0\0\0\0\0", 8);
	tcp(&p, 5, 2);
	assert_int_equal(parse(&p).fault, BH_PACKET_TRUNCATED);
	p = ipv6(2048 + 20, 60); /* claimed, but behind the end of the copy */
	put(&p, "\x06\xff\0\0\0\0\0\0", 8);
	tcp(&p, 5, 2);
	assert_int_equal(parse(&p).fault, BH_PACKET_TRUNCATED);
}

static struct bytes jumbogram(unsigned payload, const char *length)
{
	struct bytes p = ipv6(payload, 0);

	put(&p, "\x11\0\xc2\x04", 4);
	put(&p, length, 4);
	udp(&p, 0);
	return p;
}

static void test_ipv6_jumbograms(void **state BH_UNUSED)
{
	struct bytes p = jumbogram(0, "\0\x01\x00\x00"); /* 65,536 */
	assert_int_equal(parse(&p).fault, BH_PACKET_OK);
	assert_int_equal(parse(&p).flow.dport, 53);
	assert_int_equal(parse_real(&p, 65536 + 40).fault, BH_PACKET_OK);
	assert_int_equal(parse_real(&p, 65536 + 39).fault, BH_PACKET_TRUNCATED);
	p = jumbogram(0, "\0\0\xff\xff"); /* would have fitted */
	assert_int_equal(parse(&p).fault, BH_PACKET_MALFORMED);
	p = jumbogram(16, "\0\x01\x00\x00"); /* both lengths */
	assert_int_equal(parse(&p).fault, BH_PACKET_MALFORMED);
	p = jumbogram(0, "\xff\xff\xff\xff");
	assert_int_equal(parse(&p).fault, BH_PACKET_OK);
	assert_int_equal(parse_real(&p, p.n).fault, BH_PACKET_TRUNCATED);
	p = ipv6(0, 0); /* hop-by-hop without the option: a payload of 0 has no room for it */
	ext(&p, 17, 8);
	udp(&p, 8);
	assert_int_equal(parse(&p).fault, BH_PACKET_TRUNCATED);
	p = ipv6(16, 0); /* an option that runs over the end of its header */
	put(&p, "\x11\0\x05\xff\0\0\0\0", 8);
	udp(&p, 8);
	assert_int_equal(parse(&p).fault, BH_PACKET_OK);
}

static void test_aggregated(void **state BH_UNUSED)
{
	/* More than 64 KiB in one piece: the length fields are 0 and the kernel knows better. */
	struct bytes p = ipv4(5, 0, 0x4000, 6);
	tcp(&p, 5, 0x18);
	assert_int_equal(parse_real(&p, 150000).fault, BH_PACKET_OK);
	assert_int_equal(parse_real(&p, 150000).flow.dport, 443);
	assert_int_equal(parse_real(&p, 40).fault, BH_PACKET_MALFORMED);
	p = ipv6(0, 6);
	tcp(&p, 5, 0x18);
	assert_int_equal(parse_real(&p, 150000).fault, BH_PACKET_OK);
	assert_int_equal(parse_real(&p, 60).fault, BH_PACKET_TRUNCATED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ipv4_tcp),
		cmocka_unit_test(test_ipv4_options),
		cmocka_unit_test(test_ipv4_padding),
		cmocka_unit_test(test_ipv4_bad_lengths),
		cmocka_unit_test(test_every_prefix),
		cmocka_unit_test(test_not_ip),
		cmocka_unit_test(test_ipv4_fragments),
		cmocka_unit_test(test_tcp_offset),
		cmocka_unit_test(test_udp_length),
		cmocka_unit_test(test_other_protocols),
		cmocka_unit_test(test_ipv6_plain),
		cmocka_unit_test(test_ipv6_mapped),
		cmocka_unit_test(test_ipv6_chain),
		cmocka_unit_test(test_ipv6_ends_of_chain),
		cmocka_unit_test(test_ipv6_fragments),
		cmocka_unit_test(test_ipv6_hostile_chains),
		cmocka_unit_test(test_ipv6_jumbograms),
		cmocka_unit_test(test_aggregated),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
