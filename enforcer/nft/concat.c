/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Reading the parts of a concatenation into registers that lie behind each other, and looking the
 * set up with them or putting them into it.
 */
#include "private.h"

#include <errno.h>
#include <libnftnl/expr.h>
#include <libnftnl/rule.h>
#include <linux/if_ether.h>
#include <linux/netfilter/nf_conntrack_tuple_common.h>
#include <net/if.h>

/* Where a part is: a field of a header, or packet metadata. */
struct field {
	bool meta;
	uint32_t base, offset; /* meta: offset is the key */
	uint32_t len; /* 0: an address of the match's family */
};

static const struct field fields[] = {
	[BH_READ_IIFNAME] = {true, 0, NFT_META_IIFNAME, IFNAMSIZ},
	[BH_READ_OIFNAME] = {true, 0, NFT_META_OIFNAME, IFNAMSIZ},
	[BH_READ_ETHER_SADDR] = {false, NFT_PAYLOAD_LL_HEADER, 6, 6},
	[BH_READ_ETHER_DADDR] = {false, NFT_PAYLOAD_LL_HEADER, 0, 6},
	[BH_READ_ETHER_TYPE] = {false, NFT_PAYLOAD_LL_HEADER, 12, 2},
	[BH_READ_SADDR] = {false, NFT_PAYLOAD_NETWORK_HEADER, 0, 0},
	[BH_READ_DADDR] = {false, NFT_PAYLOAD_NETWORK_HEADER, 0, 0},
	[BH_READ_ARP_SADDR_ETHER] = {false, NFT_PAYLOAD_NETWORK_HEADER, 8, 6},
	[BH_READ_ARP_SADDR_IP] = {false, NFT_PAYLOAD_NETWORK_HEADER, 14, 4},
	[BH_READ_ND_TARGET] = {false, NFT_PAYLOAD_TRANSPORT_HEADER, 8, 16},
	[BH_READ_L4PROTO] = {true, 0, NFT_META_L4PROTO, 1},
	[BH_READ_SPORT] = {false, NFT_PAYLOAD_TRANSPORT_HEADER, 0, 2},
	[BH_READ_DPORT] = {false, NFT_PAYLOAD_TRANSPORT_HEADER, 2, 2},
	[BH_READ_CT_ORIGINAL_SADDR] = {false, 0, 0, 0},
	[BH_READ_CT_REPLY_SADDR] = {false, 0, 0, 0},
	[BH_READ_CT_ORIGINAL_DADDR] = {false, 0, 0, 0},
	[BH_READ_SADDR_24] = {false, NFT_PAYLOAD_NETWORK_HEADER, 0, 0},
	[BH_READ_SADDR_16] = {false, NFT_PAYLOAD_NETWORK_HEADER, 0, 0},
	[BH_READ_DADDR_24] = {false, NFT_PAYLOAD_NETWORK_HEADER, 0, 0},
	[BH_READ_DADDR_16] = {false, NFT_PAYLOAD_NETWORK_HEADER, 0, 0},
};

static const uint8_t masks[][4] = {
	[BH_READ_SADDR_24] = {255, 255, 255, 0},
	[BH_READ_SADDR_16] = {255, 255, 0, 0},
	[BH_READ_DADDR_24] = {255, 255, 255, 0},
	[BH_READ_DADDR_16] = {255, 255, 0, 0},
};

static bool is_ct(uint8_t read)
{
	return read == BH_READ_CT_ORIGINAL_SADDR || read == BH_READ_CT_REPLY_SADDR ||
	       read == BH_READ_CT_ORIGINAL_DADDR;
}

static bool is_masked(uint8_t read)
{
	return read < BH_ARRAY_SIZE(masks) && masks[read][0];
}

static bool is_source(uint8_t read)
{
	return read == BH_READ_SADDR || read == BH_READ_SADDR_24 || read == BH_READ_SADDR_16;
}

static bool is_addr(uint8_t read)
{
	return read == BH_READ_SADDR || read == BH_READ_DADDR || is_masked(read) || is_ct(read);
}

static bool is_link(uint8_t read)
{
	return (read >= BH_READ_ETHER_SADDR && read <= BH_READ_ETHER_TYPE) ||
	       read == BH_READ_ARP_SADDR_ETHER || read == BH_READ_ARP_SADDR_IP;
}

/* What has to be sure of the packet before its parts mean what they are taken for. */
static int need(
	struct nftnl_rule *r, const struct bh_match *m, struct bh_nft_known *known, uint8_t table)
{
	for (size_t i = 0; i < m->n_reads; i++) {
		uint8_t read = m->read[i];
		if (read >= BH_ARRAY_SIZE(fields) || (is_link(read) && table != BH_TABLE_BRIDGE) ||
			(is_addr(read) && m->family != BH_IPV4 && m->family != BH_IPV6) ||
			(is_masked(read) && m->family != BH_IPV4))
			return -EINVAL;
		if (is_ct(read)) {
			; /* matches nothing of the other family by itself, as nft counts on too */
		} else if (is_addr(read)) {
			bh_nft_need_ether(r, bh_nft_ether_of(m->family), known, table);
		} else if (read == BH_READ_ARP_SADDR_ETHER || read == BH_READ_ARP_SADDR_IP) {
			bh_nft_need_ether(r, ETH_P_ARP, known, table);
		} else if (read == BH_READ_ND_TARGET) {
			bh_nft_need_ether(r, ETH_P_IPV6, known, table);
			bh_nft_need_l4proto(r, IPPROTO_ICMPV6, known);
		}
	}
	return 0;
}

/* 16-byte registers where they can be, as nft itself counts. */
static uint32_t reg_at(size_t offset)
{
	return (uint32_t)(offset % 16 ? NFT_REG32_00 + offset / 4 : NFT_REG_1 + offset / 16);
}

static void load_ct(struct nftnl_rule *r, uint8_t family, uint8_t read, uint32_t reg)
{
	static const uint32_t key[2][2] = {
		{NFT_CT_SRC_IP, NFT_CT_SRC_IP6}, {NFT_CT_DST_IP, NFT_CT_DST_IP6}};
	struct nftnl_expr *e = bh_nft_add_expr(r, "ct");
	nftnl_expr_set_u32(
		e, NFTNL_EXPR_CT_KEY, key[read == BH_READ_CT_ORIGINAL_DADDR][family == BH_IPV6]);
	nftnl_expr_set_u8(e, NFTNL_EXPR_CT_DIR,
		read == BH_READ_CT_REPLY_SADDR ? IP_CT_DIR_REPLY : IP_CT_DIR_ORIGINAL);
	nftnl_expr_set_u32(e, NFTNL_EXPR_CT_DREG, reg);
}

static int load(struct nftnl_rule *r, const struct bh_match *m)
{
	size_t offset = 0;
	for (size_t i = 0; i < m->n_reads; i++) {
		struct field f = fields[m->read[i]];
		if (is_addr(m->read[i])) {
			f.len = bh_nft_addr_len(m->family);
			f.offset = bh_nft_addr_offset(m->family, is_source(m->read[i]));
		}
		if (offset + f.len > BH_NFT_KEY_MAX)
			return -EINVAL;
		if (is_ct(m->read[i]))
			load_ct(r, m->family, m->read[i], reg_at(offset));
		else if (f.meta)
			bh_nft_add_meta(r, f.offset, reg_at(offset));
		else
			bh_nft_add_payload(r, f.base, f.offset, f.len, reg_at(offset));
		if (is_masked(m->read[i]))
			bh_nft_add_mask(r, masks[m->read[i]], f.len, reg_at(offset));
		offset += bh_nft_pad(f.len);
	}
	return 0;
}

/* Limit before counter: the element's expressions are worked off in order, and the first that does
 * not match ends it. One expression alone has an attribute of its own. */
static void add_update(struct nftnl_rule *r, const struct bh_match *m)
{
	struct nftnl_expr *e = bh_nft_add_expr(r, "dynset");
	struct nftnl_expr *limit = m->rate ? bh_nft_limit(m->rate, m->burst, true) : NULL;
	struct nftnl_expr *counter = m->counter ? bh_nft_must(nftnl_expr_alloc("counter")) : NULL;
	nftnl_expr_set_u32(e, NFTNL_EXPR_DYNSET_SREG_KEY, NFT_REG_1);
	nftnl_expr_set_u32(e, NFTNL_EXPR_DYNSET_OP, NFT_DYNSET_OP_UPDATE);
	nftnl_expr_set_str(e, NFTNL_EXPR_DYNSET_SET_NAME, m->set);
	if (limit && counter) {
		nftnl_expr_set_u32(e, NFTNL_EXPR_DYNSET_FLAGS, NFT_DYNSET_F_EXPR);
		nftnl_expr_add_expr(e, NFTNL_EXPR_DYNSET_EXPRESSIONS, limit);
		nftnl_expr_add_expr(e, NFTNL_EXPR_DYNSET_EXPRESSIONS, counter);
	} else if (limit || counter) {
		nftnl_expr_set(e, NFTNL_EXPR_DYNSET_EXPR, limit ? limit : counter, 0);
	}
}

int bh_nft_add_concat(
	struct nftnl_rule *r, const struct bh_match *m, struct bh_nft_known *known, uint8_t table)
{
	if (!m->set || !m->n_reads || m->n_reads > BH_PARTS_MAX)
		return -EINVAL;
	int rc = need(r, m, known, table);
	if (rc == 0)
		rc = load(r, m);
	if (rc < 0)
		return rc;
	if (m->kind == BH_MATCH_CONCAT_SET)
		bh_nft_add_lookup(r, m->set, m->neg);
	else
		add_update(r, m);
	return 0;
}
