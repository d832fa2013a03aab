/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Matches and actions as nftables expressions, in the shapes nft itself generates: its listing
 * recognises a rule by them. That includes the implied checks of the network and transport
 * protocol, made once per rule before the first match that needs them: nft hides them behind
 * `ip saddr` or `tcp dport`, and the kernel must not read ports out of something else.
 */
#include "private.h"

#include <errno.h>
#include <libnftnl/expr.h>
#include <libnftnl/rule.h>
#include <linux/if_ether.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/nf_conntrack_tuple_common.h>
#include <net/if.h>
#include <netinet/ip6.h>

#define CT_STATE_INVALID 1 /* NF_CT_STATE_BIT() of the kernel */
#define CT_STATE_ESTABLISHED 2
#define CT_STATE_RELATED 4
#define CT_STATE_NEW 8
#define TCP_FLAGS_OFFSET 13
#define TCP_FIN_SYN_RST_ACK 0x17
#define TCP_SYN 0x02

struct nftnl_expr *bh_nft_add_expr(struct nftnl_rule *r, const char *name)
{
	struct nftnl_expr *e = bh_nft_must(nftnl_expr_alloc(name));
	nftnl_rule_add_expr(r, e);
	return e;
}

void bh_nft_add_meta(struct nftnl_rule *r, uint32_t key, uint32_t reg)
{
	struct nftnl_expr *e = bh_nft_add_expr(r, "meta");
	nftnl_expr_set_u32(e, NFTNL_EXPR_META_KEY, key);
	nftnl_expr_set_u32(e, NFTNL_EXPR_META_DREG, reg);
}

void bh_nft_add_payload(
	struct nftnl_rule *r, uint32_t base, uint32_t offset, uint32_t len, uint32_t reg)
{
	struct nftnl_expr *e = bh_nft_add_expr(r, "payload");
	nftnl_expr_set_u32(e, NFTNL_EXPR_PAYLOAD_DREG, reg);
	nftnl_expr_set_u32(e, NFTNL_EXPR_PAYLOAD_BASE, base);
	nftnl_expr_set_u32(e, NFTNL_EXPR_PAYLOAD_OFFSET, offset);
	nftnl_expr_set_u32(e, NFTNL_EXPR_PAYLOAD_LEN, len);
}

static void add_cmp(struct nftnl_rule *r, uint32_t op, const void *data, uint32_t len)
{
	struct nftnl_expr *e = bh_nft_add_expr(r, "cmp");
	nftnl_expr_set_u32(e, NFTNL_EXPR_CMP_SREG, NFT_REG_1);
	nftnl_expr_set_u32(e, NFTNL_EXPR_CMP_OP, op);
	nftnl_expr_set(e, NFTNL_EXPR_CMP_DATA, data, len);
}

void bh_nft_add_mask(struct nftnl_rule *r, const void *mask, uint32_t len, uint32_t reg)
{
	static const uint8_t zero[16];
	struct nftnl_expr *e = bh_nft_add_expr(r, "bitwise");
	nftnl_expr_set_u32(e, NFTNL_EXPR_BITWISE_SREG, reg);
	nftnl_expr_set_u32(e, NFTNL_EXPR_BITWISE_DREG, reg);
	nftnl_expr_set_u32(e, NFTNL_EXPR_BITWISE_LEN, len);
	nftnl_expr_set(e, NFTNL_EXPR_BITWISE_MASK, mask, len);
	nftnl_expr_set(e, NFTNL_EXPR_BITWISE_XOR, zero, len);
}

struct nftnl_expr *bh_nft_add_lookup(struct nftnl_rule *r, const char *set, bool neg)
{
	struct nftnl_expr *e = bh_nft_add_expr(r, "lookup");
	nftnl_expr_set_u32(e, NFTNL_EXPR_LOOKUP_SREG, NFT_REG_1);
	nftnl_expr_set_str(e, NFTNL_EXPR_LOOKUP_SET, set);
	if (neg)
		nftnl_expr_set_u32(e, NFTNL_EXPR_LOOKUP_FLAGS, NFT_LOOKUP_F_INV);
	return e;
}

uint16_t bh_nft_ether_of(uint8_t family)
{
	return family == BH_IPV4 ? ETH_P_IP : ETH_P_IPV6;
}

/* In family bridge the type in the frame counts, not what the kernel made of it (meta protocol): of
 * a tagged frame it may have taken off the tag already, and nft_payload puts it back for us. */
void bh_nft_need_ether(
	struct nftnl_rule *r, uint16_t ether, struct bh_nft_known *known, uint8_t table)
{
	uint8_t proto = ether == ETH_P_IP ? NFPROTO_IPV4 : NFPROTO_IPV6;
	uint16_t type = htons(ether);
	if (known->ether == ether)
		return;
	if (table == BH_TABLE_BRIDGE) {
		bh_nft_add_payload(
			r, NFT_PAYLOAD_LL_HEADER, 12u + known->tag, sizeof(type), NFT_REG_1);
		add_cmp(r, NFT_CMP_EQ, &type, sizeof(type));
	} else {
		bh_nft_add_meta(r, NFT_META_NFPROTO, NFT_REG_1);
		add_cmp(r, NFT_CMP_EQ, &proto, sizeof(proto));
	}
	known->ether = ether;
}

static void need_ip(struct nftnl_rule *r, uint8_t family, struct bh_nft_known *known, uint8_t table)
{
	bh_nft_need_ether(r, bh_nft_ether_of(family), known, table);
}

void bh_nft_need_l4proto(struct nftnl_rule *r, uint8_t proto, struct bh_nft_known *known)
{
	if (known->l4proto == proto && proto)
		return;
	bh_nft_add_meta(r, NFT_META_L4PROTO, NFT_REG_1);
	add_cmp(r, NFT_CMP_EQ, &proto, sizeof(proto));
	known->l4proto = proto;
}

uint32_t bh_nft_addr_offset(uint8_t family, bool source)
{
	if (family == BH_IPV4)
		return source ? 12 : 16;
	return source ? 8 : 24;
}

uint32_t bh_nft_addr_len(uint8_t family)
{
	return family == BH_IPV4 ? 4 : 16;
}

static void load_addr(struct nftnl_rule *r, uint8_t family, bool source, uint32_t len, uint32_t reg)
{
	bh_nft_add_payload(
		r, NFT_PAYLOAD_NETWORK_HEADER, bh_nft_addr_offset(family, source), len, reg);
}

void bh_nft_add_vmap(struct nftnl_rule *r, uint8_t family, bool source, const char *map,
	struct bh_nft_known *known, uint8_t table)
{
	need_ip(r, family, known, table);
	load_addr(r, family, source, bh_nft_addr_len(family), NFT_REG_1);
	struct nftnl_expr *e = bh_nft_add_lookup(r, map, false);
	nftnl_expr_set_u32(e, NFTNL_EXPR_LOOKUP_DREG, NFT_REG_VERDICT);
}

static void match_set(struct nftnl_rule *r, const struct bh_match *m, bool source,
	struct bh_nft_known *known, uint8_t table)
{
	need_ip(r, m->family, known, table);
	load_addr(r, m->family, source, bh_nft_addr_len(m->family), NFT_REG_1);
	bh_nft_add_lookup(r, m->set, m->neg);
}

/* The parts of a concatenation lie behind each other: 4-byte registers for IPv4. */
static void match_pair(
	struct nftnl_rule *r, const struct bh_match *m, struct bh_nft_known *known, uint8_t table)
{
	uint32_t len = bh_nft_addr_len(m->family);
	need_ip(r, m->family, known, table);
	load_addr(r, m->family, true, len, NFT_REG_1);
	load_addr(r, m->family, false, len, m->family == BH_IPV4 ? NFT_REG32_01 : NFT_REG_2);
	bh_nft_add_lookup(r, m->set, m->neg);
}

/* Whole bytes are loaded alone, as nft does; else the address is masked. */
static void match_prefix(struct nftnl_rule *r, const struct bh_match *m, bool source,
	struct bh_nft_known *known, uint8_t table)
{
	const struct bh_prefix *p = &m->prefix;
	uint32_t len = bh_nft_addr_len(p->addr.family), op = m->neg ? NFT_CMP_NEQ : NFT_CMP_EQ;
	uint8_t mask[16] = {0};
	need_ip(r, p->addr.family, known, table);
	if (p->len && p->len % 8 == 0) {
		load_addr(r, p->addr.family, source, p->len / 8, NFT_REG_1);
		add_cmp(r, op, p->addr.b, p->len / 8);
		return;
	}
	for (unsigned i = 0; i < p->len; i++)
		mask[i / 8] |= (uint8_t)(0x80 >> i % 8);
	load_addr(r, p->addr.family, source, len, NFT_REG_1);
	bh_nft_add_mask(r, mask, len, NFT_REG_1);
	add_cmp(r, op, p->addr.b, len);
}

static void match_ip_option(
	struct nftnl_rule *r, const struct bh_match *m, struct bh_nft_known *known)
{
	static const uint8_t present = 1;
	need_ip(r, BH_IPV4, known, BH_TABLE_INET);
	struct nftnl_expr *e = bh_nft_add_expr(r, "exthdr");
	nftnl_expr_set_u32(e, NFTNL_EXPR_EXTHDR_DREG, NFT_REG_1);
	nftnl_expr_set_u8(e, NFTNL_EXPR_EXTHDR_TYPE, m->proto);
	nftnl_expr_set_u32(e, NFTNL_EXPR_EXTHDR_OFFSET, 0);
	nftnl_expr_set_u32(e, NFTNL_EXPR_EXTHDR_LEN, 1);
	nftnl_expr_set_u32(e, NFTNL_EXPR_EXTHDR_OP, NFT_EXTHDR_OP_IPV4);
	nftnl_expr_set_u32(e, NFTNL_EXPR_EXTHDR_FLAGS, NFT_EXTHDR_F_PRESENT);
	add_cmp(r, NFT_CMP_EQ, &present, sizeof(present));
}

static void match_hops(
	struct nftnl_rule *r, const struct bh_match *m, struct bh_nft_known *known, uint8_t table)
{
	need_ip(r, BH_IPV6, known, table);
	bh_nft_add_payload(
		r, NFT_PAYLOAD_NETWORK_HEADER, offsetof(struct ip6_hdr, ip6_hlim), 1, NFT_REG_1);
	add_cmp(r, NFT_CMP_EQ, &m->proto, sizeof(m->proto));
}

static void match_fragment(struct nftnl_rule *r, struct bh_nft_known *known, uint8_t table)
{
	static const uint8_t present = 1;
	need_ip(r, BH_IPV6, known, table);
	struct nftnl_expr *e = bh_nft_add_expr(r, "exthdr");
	nftnl_expr_set_u32(e, NFTNL_EXPR_EXTHDR_DREG, NFT_REG_1);
	nftnl_expr_set_u8(e, NFTNL_EXPR_EXTHDR_TYPE, IPPROTO_FRAGMENT);
	nftnl_expr_set_u32(e, NFTNL_EXPR_EXTHDR_OFFSET, 0);
	nftnl_expr_set_u32(e, NFTNL_EXPR_EXTHDR_LEN, 1);
	nftnl_expr_set_u32(e, NFTNL_EXPR_EXTHDR_OP, NFT_EXTHDR_OP_IPV6);
	nftnl_expr_set_u32(e, NFTNL_EXPR_EXTHDR_FLAGS, NFT_EXTHDR_F_PRESENT);
	add_cmp(r, NFT_CMP_EQ, &present, sizeof(present));
}

static void match_ct(struct nftnl_rule *r, uint32_t key, uint32_t bits, uint32_t cmp)
{
	static const uint32_t zero;
	struct nftnl_expr *e = bh_nft_add_expr(r, "ct");
	nftnl_expr_set_u32(e, NFTNL_EXPR_CT_KEY, key);
	nftnl_expr_set_u32(e, NFTNL_EXPR_CT_DREG, NFT_REG_1);
	bh_nft_add_mask(r, &bits, sizeof(bits), NFT_REG_1);
	add_cmp(r, cmp, &zero, sizeof(zero));
}

static void match_ct_bits(struct nftnl_rule *r, uint32_t key, uint32_t bits)
{
	match_ct(r, key, bits, NFT_CMP_NEQ);
}

static void match_ct_reply(struct nftnl_rule *r)
{
	static const uint8_t reply = IP_CT_DIR_REPLY;
	struct nftnl_expr *e = bh_nft_add_expr(r, "ct");
	nftnl_expr_set_u32(e, NFTNL_EXPR_CT_KEY, NFT_CT_DIRECTION);
	nftnl_expr_set_u32(e, NFTNL_EXPR_CT_DREG, NFT_REG_1);
	add_cmp(r, NFT_CMP_EQ, &reply, sizeof(reply));
}

static void match_range(struct nftnl_rule *r, const struct bh_port_range *p, bool neg)
{
	uint16_t first = htons(p->first), last = htons(p->last);
	if (neg) {
		struct nftnl_expr *e = bh_nft_add_expr(r, "range");
		nftnl_expr_set_u32(e, NFTNL_EXPR_RANGE_SREG, NFT_REG_1);
		nftnl_expr_set_u32(e, NFTNL_EXPR_RANGE_OP, NFT_RANGE_NEQ);
		nftnl_expr_set(e, NFTNL_EXPR_RANGE_FROM_DATA, &first, sizeof(first));
		nftnl_expr_set(e, NFTNL_EXPR_RANGE_TO_DATA, &last, sizeof(last));
		return;
	}
	add_cmp(r, NFT_CMP_GTE, &first, sizeof(first));
	add_cmp(r, NFT_CMP_LTE, &last, sizeof(last));
}

static void lookup_anonymous(struct nftnl_rule *r, const struct bh_match *m,
	enum bh_nft_ports_type type, const struct bh_nft_place *place)
{
	uint32_t id = bh_nft_put_ports(
		place->b, place->table, m->port, m->n_ports, type, place->chain, place->index);
	struct nftnl_expr *e = bh_nft_add_lookup(r, "__set%d", m->neg);
	nftnl_expr_set_u32(e, NFTNL_EXPR_LOOKUP_SET_ID, id);
}

static int match_port(struct nftnl_rule *r, const struct bh_match *m, bool source,
	struct bh_nft_known *known, const struct bh_nft_place *place)
{
	bh_nft_need_l4proto(r, m->proto, known);
	if (!m->n_ports)
		return 0;
	bh_nft_add_payload(r, NFT_PAYLOAD_TRANSPORT_HEADER, source ? 0 : 2, 2, NFT_REG_1);
	if (m->n_ports > 1) {
		lookup_anonymous(r, m, BH_NFT_PORT, place);
	} else if (m->port[0].first != m->port[0].last) {
		match_range(r, &m->port[0], m->neg);
	} else {
		uint16_t port = htons(m->port[0].first);
		add_cmp(r, m->neg ? NFT_CMP_NEQ : NFT_CMP_EQ, &port, sizeof(port));
	}
	return 0;
}

/* One port, of whatever protocol the transport header is. */
static int match_th_port(struct nftnl_rule *r, const struct bh_match *m)
{
	if (m->n_ports != 1 || m->port[0].first != m->port[0].last)
		return -EINVAL;
	uint16_t port = htons(m->port[0].first);
	bh_nft_add_payload(r, NFT_PAYLOAD_TRANSPORT_HEADER, m->kind == BH_MATCH_TH_SPORT ? 0 : 2, 2,
		NFT_REG_1);
	add_cmp(r, NFT_CMP_EQ, &port, sizeof(port));
	return 0;
}

static int match_icmpv6(struct nftnl_rule *r, const struct bh_match *m, struct bh_nft_known *known,
	const struct bh_nft_place *place)
{
	for (size_t i = 0; i < m->n_ports; i++)
		if (m->port[i].first > 255)
			return -EINVAL;
	need_ip(r, BH_IPV6, known, place->table);
	bh_nft_need_l4proto(r, IPPROTO_ICMPV6, known);
	if (!m->n_ports)
		return 0;
	bh_nft_add_payload(r, NFT_PAYLOAD_TRANSPORT_HEADER, 0, 1, NFT_REG_1);
	if (m->n_ports > 1) {
		lookup_anonymous(r, m, BH_NFT_ICMPV6_TYPE, place);
	} else {
		uint8_t type = (uint8_t)m->port[0].first;
		add_cmp(r, m->neg ? NFT_CMP_NEQ : NFT_CMP_EQ, &type, sizeof(type));
	}
	return 0;
}

static void match_tcp_not_syn(struct nftnl_rule *r, struct bh_nft_known *known)
{
	static const uint8_t mask = TCP_FIN_SYN_RST_ACK, syn = TCP_SYN;
	bh_nft_need_l4proto(r, IPPROTO_TCP, known);
	bh_nft_add_payload(r, NFT_PAYLOAD_TRANSPORT_HEADER, TCP_FLAGS_OFFSET, 1, NFT_REG_1);
	bh_nft_add_mask(r, &mask, sizeof(mask), NFT_REG_1);
	add_cmp(r, NFT_CMP_NEQ, &syn, sizeof(syn));
}

/* An interface's name, or its kind: strings of one length to the kernel. */
static void match_interface(struct nftnl_rule *r, uint32_t key, const char *is)
{
	char text[IFNAMSIZ] = "";
	snprintf(text, sizeof(text), "%s", is);
	bh_nft_add_meta(r, key, NFT_REG_1);
	add_cmp(r, NFT_CMP_EQ, text, sizeof(text));
}

/* Types one by one, or a set of them. */
static int match_ether_type(struct nftnl_rule *r, const struct bh_match *m,
	struct bh_nft_known *known, const struct bh_nft_place *place)
{
	if (place->table != BH_TABLE_BRIDGE || !m->n_ports)
		return -EINVAL;
	for (size_t i = 0; i < m->n_ports; i++)
		if (m->port[i].first != m->port[i].last)
			return -EINVAL;
	if (m->n_ports == 1 && !m->neg) {
		bh_nft_need_ether(r, m->port[0].first, known, place->table);
		return 0;
	}
	bh_nft_add_payload(r, NFT_PAYLOAD_LL_HEADER, 12, 2, NFT_REG_1);
	if (m->n_ports > 1) {
		lookup_anonymous(r, m, BH_NFT_ETHER_TYPE, place);
	} else {
		uint16_t type = htons(m->port[0].first);
		add_cmp(r, NFT_CMP_NEQ, &type, sizeof(type));
	}
	return 0;
}

static int match_vlan_zero(struct nftnl_rule *r, const struct bh_match *m,
	struct bh_nft_known *known, const struct bh_nft_place *place)
{
	static const uint16_t zero;
	const uint16_t id = htons(0x0fff);
	if (place->table != BH_TABLE_BRIDGE || m->n_ports < 1 || m->n_ports > 2)
		return -EINVAL;
	bh_nft_need_ether(r, m->port[0].first, known, place->table);
	bh_nft_add_payload(r, NFT_PAYLOAD_LL_HEADER, ETH_HLEN, sizeof(id), NFT_REG_1);
	bh_nft_add_mask(r, &id, sizeof(id), NFT_REG_1);
	add_cmp(r, NFT_CMP_EQ, &zero, sizeof(zero));
	*known = (struct bh_nft_known){.tag = 4};
	if (m->n_ports == 2)
		bh_nft_need_ether(r, m->port[1].first, known, place->table);
	return 0;
}

struct nftnl_expr *bh_nft_limit(uint32_t rate, uint32_t burst, bool over)
{
	struct nftnl_expr *e = bh_nft_must(nftnl_expr_alloc("limit"));
	nftnl_expr_set_u64(e, NFTNL_EXPR_LIMIT_RATE, rate);
	nftnl_expr_set_u64(e, NFTNL_EXPR_LIMIT_UNIT, 1);
	nftnl_expr_set_u32(e, NFTNL_EXPR_LIMIT_BURST, burst);
	nftnl_expr_set_u32(e, NFTNL_EXPR_LIMIT_TYPE, NFT_LIMIT_PKTS);
	nftnl_expr_set_u32(e, NFTNL_EXPR_LIMIT_FLAGS, over ? NFT_LIMIT_F_INV : 0);
	return e;
}

static void match_mark(struct nftnl_rule *r, const struct bh_match *m)
{
	bh_nft_add_meta(r, NFT_META_MARK, NFT_REG_1);
	if (m->mask != UINT32_MAX)
		bh_nft_add_mask(r, &m->mask, sizeof(m->mask), NFT_REG_1);
	add_cmp(r, m->neg ? NFT_CMP_NEQ : NFT_CMP_EQ, &m->mark, sizeof(m->mark));
}

/* Of the link and of IPv6's header. */
static int add_link_match(struct nftnl_rule *r, const struct bh_match *m,
	struct bh_nft_known *known, const struct bh_nft_place *place)
{
	switch (m->kind) {
	case BH_MATCH_IP6_HOPS:
		match_hops(r, m, known, place->table);
		return 0;
	case BH_MATCH_IP6_FRAGMENT:
		match_fragment(r, known, place->table);
		return 0;
	case BH_MATCH_IIF_LO:
		match_interface(r, NFT_META_IIFNAME, "lo");
		return 0;
	case BH_MATCH_OIF_LO:
		match_interface(r, NFT_META_OIFNAME, "lo");
		return 0;
	case BH_MATCH_IIF_BRIDGE:
		match_interface(r, NFT_META_IIFKIND, "bridge");
		return 0;
	case BH_MATCH_ETHER_TYPE:
		return match_ether_type(r, m, known, place);
	case BH_MATCH_VLAN_ZERO:
		return match_vlan_zero(r, m, known, place);
	default:
		return -EINVAL;
	}
}

int bh_nft_add_match(struct nftnl_rule *r, const struct bh_match *m, struct bh_nft_known *known,
	const struct bh_nft_place *place)
{
	switch (m->kind) {
	case BH_MATCH_NFPROTO:
		need_ip(r, m->family, known, place->table);
		return 0;
	case BH_MATCH_CT_ESTABLISHED:
		match_ct_bits(r, NFT_CT_STATE, CT_STATE_ESTABLISHED);
		return 0;
	case BH_MATCH_CT_RELATED:
		match_ct_bits(r, NFT_CT_STATE, CT_STATE_RELATED);
		return 0;
	case BH_MATCH_IP_OPTION:
		match_ip_option(r, m, known);
		return 0;
	case BH_MATCH_CT_UNKNOWN:
		match_ct_bits(r, NFT_CT_STATE, CT_STATE_INVALID | CT_STATE_NEW);
		return 0;
	case BH_MATCH_CT_DNAT:
		match_ct_bits(r, NFT_CT_STATUS, IPS_DST_NAT);
		return 0;
	case BH_MATCH_CT_CONFIRMED:
		match_ct_bits(r, NFT_CT_STATUS, IPS_CONFIRMED);
		return 0;
	case BH_MATCH_CT_UNCONFIRMED:
		match_ct(r, NFT_CT_STATUS, IPS_CONFIRMED, NFT_CMP_EQ);
		return 0;
	case BH_MATCH_CT_REPLY:
		match_ct_reply(r);
		return 0;
	case BH_MATCH_TH_DPORT:
	case BH_MATCH_TH_SPORT:
		return match_th_port(r, m);
	case BH_MATCH_SADDR_SET:
	case BH_MATCH_DADDR_SET:
		match_set(r, m, m->kind == BH_MATCH_SADDR_SET, known, place->table);
		return 0;
	case BH_MATCH_PAIR_SET:
		match_pair(r, m, known, place->table);
		return 0;
	case BH_MATCH_SADDR_PREFIX:
	case BH_MATCH_DADDR_PREFIX:
		match_prefix(r, m, m->kind == BH_MATCH_SADDR_PREFIX, known, place->table);
		return 0;
	case BH_MATCH_L4PROTO:
		bh_nft_need_l4proto(r, m->proto, known);
		return 0;
	case BH_MATCH_DPORT:
	case BH_MATCH_SPORT:
		return match_port(r, m, m->kind == BH_MATCH_SPORT, known, place);
	case BH_MATCH_TCP_NOT_SYN:
		match_tcp_not_syn(r, known);
		return 0;
	case BH_MATCH_ICMPV6_TYPES:
		return match_icmpv6(r, m, known, place);
	case BH_MATCH_LIMIT:
		nftnl_rule_add_expr(r, bh_nft_limit(m->rate, m->burst, false));
		return 0;
	case BH_MATCH_MARK:
		match_mark(r, m);
		return 0;
	case BH_MATCH_CONCAT_SET:
	case BH_MATCH_UPDATE:
		return bh_nft_add_concat(r, m, known, place->table);
	default:
		return add_link_match(r, m, known, place);
	}
}
