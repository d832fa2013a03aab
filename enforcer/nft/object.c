/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Tables and chains as messages. */
#include "private.h"

#include <errno.h>
#include <libnftnl/chain.h>
#include <libnftnl/udata.h>

bool bh_nft_comment_ok(const char *comment)
{
	return !comment || strlen(comment) <= BH_COMMENT_MAX;
}

bool bh_nft_name_ok(const char *name)
{
	return name && *name && strlen(name) <= BH_NAME_MAX;
}

void bh_nft_put_table(struct bh_nft_batch *b, uint8_t table, uint16_t flags, const char *name,
	uint32_t table_flags)
{
	struct nlmsghdr *nlh =
		bh_nft_batch_add(b, table, NFT_MSG_NEWTABLE, flags, BH_NFT_TABLE, name, 0);
	mnl_attr_put_strz(nlh, NFTA_TABLE_NAME, name);
	mnl_attr_put_u32(nlh, NFTA_TABLE_FLAGS, htonl(table_flags));
	bh_nft_batch_done(b, nlh);
}

void bh_nft_put_table_del(struct bh_nft_batch *b, uint8_t table)
{
	struct nlmsghdr *nlh =
		bh_nft_batch_add(b, table, NFT_MSG_DELTABLE, 0, BH_NFT_TABLE, BH_TABLE, 0);
	mnl_attr_put_strz(nlh, NFTA_TABLE_NAME, BH_TABLE);
	bh_nft_batch_done(b, nlh);
}

int bh_nft_put_chain(struct bh_nft_batch *b, const struct bh_chain *c, uint16_t flags)
{
	if (!bh_nft_name_ok(c->name) || !bh_nft_comment_ok(c->comment))
		return -EINVAL;
	struct nftnl_chain *nc = bh_nft_must(nftnl_chain_alloc());
	nftnl_chain_set_str(nc, NFTNL_CHAIN_TABLE, BH_TABLE);
	nftnl_chain_set_str(nc, NFTNL_CHAIN_NAME, c->name);
	if (c->hook != BH_HOOK_NONE) {
		nftnl_chain_set_str(nc, NFTNL_CHAIN_TYPE, "filter");
		nftnl_chain_set_u32(nc, NFTNL_CHAIN_HOOKNUM, (uint32_t)c->hook);
		nftnl_chain_set_s32(nc, NFTNL_CHAIN_PRIO, c->priority);
		nftnl_chain_set_u32(nc, NFTNL_CHAIN_POLICY, NF_ACCEPT);
	}
	if (c->comment) {
		struct nftnl_udata_buf *u = bh_nft_must(nftnl_udata_buf_alloc(256));
		nftnl_udata_put_strz(u, NFTNL_UDATA_CHAIN_COMMENT, c->comment);
		nftnl_chain_set_data(
			nc, NFTNL_CHAIN_USERDATA, nftnl_udata_buf_data(u), nftnl_udata_buf_len(u));
		nftnl_udata_buf_free(u);
	}
	struct nlmsghdr *nlh =
		bh_nft_batch_add(b, c->table, NFT_MSG_NEWCHAIN, flags, BH_NFT_CHAIN, c->name, 0);
	nftnl_chain_nlmsg_build_payload(nlh, nc);
	nftnl_chain_free(nc);
	bh_nft_batch_done(b, nlh);
	return 0;
}

void bh_nft_put_chain_del(struct bh_nft_batch *b, uint8_t table, const char *name)
{
	struct nlmsghdr *nlh =
		bh_nft_batch_add(b, table, NFT_MSG_DELCHAIN, 0, BH_NFT_CHAIN, name, 0);
	mnl_attr_put_strz(nlh, NFTA_CHAIN_TABLE, BH_TABLE);
	mnl_attr_put_strz(nlh, NFTA_CHAIN_NAME, name);
	bh_nft_batch_done(b, nlh);
}
