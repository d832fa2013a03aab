/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * From bytes to a flow. Everything here is chosen by whoever sent the packet, so each read is
 * preceded by a check against what is there, and headers that contradict themselves are a fault
 * rather than a guess: a receiver that reads them differently must not be reached under the verdict
 * for another flow.
 *
 * Three lengths matter. `len` bytes can be read. The packet's own headers claim `claimed` bytes.
 * The kernel says that it has `real` bytes (0 = not known), of which it may have copied only the
 * beginning. Headers must fit into all three; only a copy that ends early, behind the ports, is
 * not the packet's fault.
 *
 * Which IPv6 headers are walked follows the kernel's ipv6_ext_hdr(), so that the protocol found
 * here is the one that the ruleset's `meta l4proto` sees: Mobility, HIP and Shim6 are protocols to
 * it.
 */
#include <netinet/in.h>

#include "queue/packet.h"

#define MAX_EXT_HEADERS 16
#define IP6_HEADER 40
#define IPV4_HEADER 20

/* The packet as it is being taken apart. Invariant: pos <= len. */
struct cursor {
	const uint8_t *data;
	size_t len; /* readable, and no more than claimed */
	size_t pos;
	uint64_t claimed; /* by the IP header, from the start of the packet */
};

static uint16_t get16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

static uint32_t get32(const uint8_t *p)
{
	return (uint32_t)get16(p) << 16 | get16(p + 2);
}

static struct bh_addr address(uint8_t family, const uint8_t *p)
{
	struct bh_addr a = {.family = family};

	memcpy(a.b, p, family == BH_IPV4 ? 4 : 16);
	return a;
}

/* Bounds the cursor by what the IP header claims. False: the packet is shorter than that. */
static bool bound(struct cursor *c, uint64_t claimed, size_t real)
{
	c->claimed = claimed;
	if (claimed < c->len)
		c->len = (size_t)claimed;
	return real == 0 || claimed <= real;
}

/* n bytes of a header at the cursor: is the packet long enough, as it says itself? */
static bool claims(const struct cursor *c, size_t n)
{
	return c->claimed - c->pos >= n;
}

static bool present(const struct cursor *c, size_t n)
{
	return c->len - c->pos >= n;
}

static enum bh_packet_fault tcp(const struct cursor *c, struct bh_packet *ret)
{
	const uint8_t *p = c->data + c->pos;

	if (!claims(c, 20) || !present(c, 4))
		return BH_PACKET_TRUNCATED;
	ret->flow.sport = get16(p);
	ret->flow.dport = get16(p + 2);
	if (!present(c, 14))
		return BH_PACKET_OK;
	ret->tcp_flags = p[13];
	if (p[12] >> 4 < 5)
		return BH_PACKET_MALFORMED;
	return claims(c, (size_t)(p[12] >> 4) * 4) ? BH_PACKET_OK : BH_PACKET_TRUNCATED;
}

static enum bh_packet_fault udp(const struct cursor *c, struct bh_packet *ret)
{
	const uint8_t *p = c->data + c->pos;

	if (!claims(c, 8) || !present(c, 4))
		return BH_PACKET_TRUNCATED;
	ret->flow.sport = get16(p);
	ret->flow.dport = get16(p + 2);
	/* 0 is "longer than 65,535" (RFC 2675). A length beyond the end says nothing about where
	 * the packet goes, and aggregated packets have it. */
	if (present(c, 6) && get16(p + 4) != 0 && get16(p + 4) < 8)
		return BH_PACKET_MALFORMED;
	return BH_PACKET_OK;
}

static enum bh_packet_fault sctp(const struct cursor *c, struct bh_packet *ret)
{
	const uint8_t *p = c->data + c->pos;

	if (!claims(c, 12) || !present(c, 4))
		return BH_PACKET_TRUNCATED;
	ret->flow.sport = get16(p);
	ret->flow.dport = get16(p + 2);
	return BH_PACKET_OK;
}

static enum bh_packet_fault icmp(const struct cursor *c, struct bh_packet *ret)
{
	if (!claims(c, 8) || !present(c, 2))
		return BH_PACKET_TRUNCATED;
	ret->flow.icmp_type = c->data[c->pos];
	ret->flow.icmp_code = c->data[c->pos + 1];
	if (ret->flow.proto == IPPROTO_ICMPV6)
		ret->flow.hops = c->data[7];
	return BH_PACKET_OK;
}

static enum bh_packet_fault transport(const struct cursor *c, struct bh_packet *ret)
{
	ret->transport = c->pos;
	switch (ret->flow.proto) {
	case IPPROTO_TCP:
		return tcp(c, ret);
	case IPPROTO_UDP:
		return udp(c, ret);
	case IPPROTO_SCTP:
		return sctp(c, ret);
	case IPPROTO_ICMP:
		return ret->flow.src.family == BH_IPV4 ? icmp(c, ret) : BH_PACKET_OK;
	case IPPROTO_ICMPV6:
		return ret->flow.src.family == BH_IPV6 ? icmp(c, ret) : BH_PACKET_OK;
	default:
		return BH_PACKET_OK;
	}
}

static enum bh_packet_fault parse_ipv4(struct cursor *c, size_t real, struct bh_packet *ret)
{
	const uint8_t *p = c->data;

	if (c->len < IPV4_HEADER)
		return BH_PACKET_TRUNCATED;
	size_t header = (size_t)(p[0] & 0x0f) * 4;
	size_t total = get16(p + 2);
	unsigned fragment = get16(p + 6);
	ret->flow.src = address(BH_IPV4, p + 12);
	ret->flow.dst = address(BH_IPV4, p + 16);
	ret->flow.proto = p[9];
	/* Aggregated TCP beyond 64 KiB ("BIG TCP", Linux 6.3) carries a total length of 0. */
	if (total == 0 && real > UINT16_MAX)
		total = real;
	if (header < IPV4_HEADER || total < header)
		return BH_PACKET_MALFORMED;
	if (!bound(c, total, real) || c->len < header)
		return BH_PACKET_TRUNCATED;
	c->pos = header;
	if (fragment & 0x1fff)
		return BH_PACKET_FRAGMENT;
	return transport(c, ret);
}

/* The jumbo payload option (RFC 2675) of a hop-by-hop header, 0 if there is none. */
static uint32_t jumbo_length(const uint8_t *options, size_t len)
{
	for (size_t i = 0; i < len;) {
		if (options[i] == 0) { /* Pad1 */
			i++;
			continue;
		}
		if (len - i < 2 || len - i - 2 < options[i + 1])
			return 0;
		if (options[i] == 0xc2 && options[i + 1] == 4)
			return get32(options + i + 2);
		i += 2 + (size_t)options[i + 1];
	}
	return 0;
}

/*
 * Where the packet ends. A payload length of 0 means a jumbogram, if the hop-by-hop header says so,
 * or an aggregated one beyond 64 KiB that has lost that header, or really nothing.
 */
static enum bh_packet_fault bound_ipv6(struct cursor *c, size_t real)
{
	const uint8_t *p = c->data, *hop = p + IP6_HEADER;
	size_t payload = get16(p + 4);
	uint32_t jumbo = 0;

	if (p[6] == IPPROTO_HOPOPTS && c->len >= IP6_HEADER + 8) {
		size_t n = ((size_t)hop[1] + 1) * 8;
		if (n > c->len - IP6_HEADER)
			n = c->len - IP6_HEADER;
		jumbo = jumbo_length(hop + 2, n - 2);
	}
	if (jumbo != 0 && (payload != 0 || jumbo <= UINT16_MAX))
		return BH_PACKET_MALFORMED;
	if (jumbo != 0)
		payload = jumbo;
	else if (payload == 0 && real > UINT16_MAX + (size_t)IP6_HEADER)
		payload = real - IP6_HEADER;
	return bound(c, (uint64_t)payload + IP6_HEADER, real) ? BH_PACKET_OK : BH_PACKET_TRUNCATED;
}

/* One extension header at the cursor. Sets *next and moves on. */
static enum bh_packet_fault extension(struct cursor *c, uint8_t *next, bool *ret_later_fragment)
{
	const uint8_t *p = c->data + c->pos;
	size_t n = 8;

	if (!claims(c, 8) || !present(c, 8))
		return BH_PACKET_TRUNCATED;
	if (*next == IPPROTO_AH)
		n = ((size_t)p[1] + 2) * 4;
	else if (*next != IPPROTO_FRAGMENT)
		n = ((size_t)p[1] + 1) * 8;
	if (!claims(c, n) || !present(c, n))
		return BH_PACKET_TRUNCATED;
	if (*next == IPPROTO_FRAGMENT && (get16(p + 2) & 0xfff8) != 0)
		*ret_later_fragment = true;
	*next = p[0];
	c->pos += n;
	return BH_PACKET_OK;
}

static bool is_extension(uint8_t proto)
{
	return proto == IPPROTO_HOPOPTS || proto == IPPROTO_ROUTING || proto == IPPROTO_FRAGMENT ||
	       proto == IPPROTO_DSTOPTS || proto == IPPROTO_AH;
}

static enum bh_packet_fault parse_ipv6(struct cursor *c, size_t real, struct bh_packet *ret)
{
	const uint8_t *p = c->data;
	bool later_fragment = false;
	enum bh_packet_fault fault;

	if (c->len < IP6_HEADER)
		return BH_PACKET_TRUNCATED;
	ret->flow.src = address(BH_IPV6, p + 8);
	ret->flow.dst = address(BH_IPV6, p + 24);
	ret->flow.proto = p[6];
	fault = bound_ipv6(c, real);
	c->pos = IP6_HEADER;
	for (unsigned n = 0; fault == BH_PACKET_OK && is_extension(ret->flow.proto); n++) {
		/* Hop-by-hop options stand first or not at all (RFC 8200, 4.1). */
		if (n == MAX_EXT_HEADERS || (n > 0 && ret->flow.proto == IPPROTO_HOPOPTS))
			return BH_PACKET_MALFORMED;
		fault = extension(c, &ret->flow.proto, &later_fragment);
		if (fault == BH_PACKET_OK && later_fragment)
			return BH_PACKET_FRAGMENT;
	}
	return fault == BH_PACKET_OK ? transport(c, ret) : fault;
}

void bh_packet_parse_copy(const uint8_t *data, size_t len, size_t real, struct bh_packet *ret)
{
	struct cursor c = {.data = data, .len = len};

	*ret = (struct bh_packet){.len = real != 0 ? real : len, .fault = BH_PACKET_TRUNCATED};
	if (len == 0)
		return;
	if (data[0] >> 4 == 4)
		ret->fault = parse_ipv4(&c, real, ret);
	else if (data[0] >> 4 == 6)
		ret->fault = parse_ipv6(&c, real, ret);
	else
		ret->fault = BH_PACKET_MALFORMED;
}

void bh_packet_parse(const uint8_t *data, size_t len, struct bh_packet *ret)
{
	bh_packet_parse_copy(data, len, 0, ret);
}
