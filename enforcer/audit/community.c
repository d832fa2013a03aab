/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Community ID 1.0: the flow hash by which an auditor joins these records with those of Zeek,
 * Suricata and packet captures. github.com/corelight/community-id-spec; its ICMP mapping is Zeek's.
 */
#include <nettle/base64.h>

#include <netinet/in.h>

#include "audit/private.h"
#include "evidence/digest.h"

#define SHA1_BYTES 20

/* A request and its reply have one id: the type and its counterpart stand in for the ports. */
static const uint8_t icmp_pairs[][2] = {{8, 0}, {13, 14}, {15, 16}, {10, 9}, {17, 18}};
static const uint8_t icmp6_pairs[][2] = {
	{128, 129}, {130, 131}, {133, 134}, {135, 136}, {139, 140}, {144, 145}};

static int counterpart(uint8_t type, const uint8_t (*pair)[2], size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (pair[i][0] == type)
			return pair[i][1];
		if (pair[i][1] == type)
			return pair[i][0];
	}
	return -1;
}

struct ports {
	bool have, one_way;
	uint16_t src, dst;
};

static struct ports ports_of(const struct bh_flow *f)
{
	int other;

	switch (f->proto) {
	case IPPROTO_TCP:
	case IPPROTO_UDP:
	case IPPROTO_SCTP:
		return (struct ports){.have = true, .src = f->sport, .dst = f->dport};
	case IPPROTO_ICMP:
		other = counterpart(f->icmp_type, icmp_pairs, BH_ARRAY_SIZE(icmp_pairs));
		break;
	case IPPROTO_ICMPV6:
		other = counterpart(f->icmp_type, icmp6_pairs, BH_ARRAY_SIZE(icmp6_pairs));
		break;
	default:
		return (struct ports){0};
	}
	return (struct ports){
		.have = true,
		.one_way = other < 0,
		.src = f->icmp_type,
		.dst = other < 0 ? f->icmp_code : (uint16_t)other,
	};
}

void bh_audit_community_id(const struct bh_flow *f, char ret[static BH_AUDIT_COMMUNITY_ID])
{
	struct ports p = ports_of(f);
	const struct bh_addr *a = &f->src, *b = &f->dst;
	size_t size = bh_addr_size(a);
	uint8_t in[2 + 16 + 16 + 2 + 4] = {0}, digest[BH_DIGEST_MAX];
	size_t n = 2; /* the seed, 0 */

	int order = memcmp(a->b, b->b, size);
	if (!p.one_way && (order > 0 || (order == 0 && p.src > p.dst))) {
		const struct bh_addr *t = a;
		uint16_t port = p.src;
		a = b, b = t;
		p.src = p.dst, p.dst = port;
	}
	memcpy(in + n, a->b, size);
	memcpy(in + n + size, b->b, size);
	n += 2 * size;
	in[n] = f->proto;
	n += 2;
	if (p.have) {
		in[n++] = p.src >> 8;
		in[n++] = p.src & 0xff;
		in[n++] = p.dst >> 8;
		in[n++] = p.dst & 0xff;
	}
	const struct bh_bytes all = {in, n};
	bh_digest(BH_SHA1, &all, 1, digest);
	memcpy(ret, "1:", 2);
	base64_encode_raw(ret + 2, SHA1_BYTES, digest);
	ret[2 + BASE64_ENCODE_RAW_LENGTH(SHA1_BYTES)] = '\0';
}
