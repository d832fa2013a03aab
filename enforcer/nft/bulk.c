/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Elements by the million: straight from sorted arrays of numbers into messages, without an object
 * of libnftnl's for each. Not more in one message than its nested attribute may hold (64 KiB).
 */
#include "private.h"

#include <arpa/inet.h>

typedef unsigned __int128 number;

#define PER_MESSAGE 900 /* times at most 2 elements of 36 bytes */

static size_t key_len(enum bh_nft_bulk_kind kind)
{
	return kind == BH_NFT_HOST4 || kind == BH_NFT_NET4 ? 4 : 16;
}

static bool is_net(enum bh_nft_bulk_kind kind)
{
	return kind == BH_NFT_NET4 || kind == BH_NFT_NET6;
}

static void put_key(struct nlmsghdr *nlh, number v, size_t len, uint32_t flags)
{
	uint8_t key[16];
	for (size_t i = len; i-- > 0; v >>= 8)
		key[i] = (uint8_t)v;
	struct nlattr *elem = mnl_attr_nest_start(nlh, NFTA_LIST_ELEM);
	struct nlattr *k = mnl_attr_nest_start(nlh, NFTA_SET_ELEM_KEY);
	mnl_attr_put(nlh, NFTA_DATA_VALUE, len, key);
	mnl_attr_nest_end(nlh, k);
	if (flags)
		mnl_attr_put_u32(nlh, NFTA_SET_ELEM_FLAGS, htonl(flags));
	mnl_attr_nest_end(nlh, elem);
}

static number at(const struct bh_nft_bulk *b, size_t i)
{
	return key_len(b->kind) == 4 ? ((const uint32_t *)b->elem)[i]
				     : ((const number *)b->elem)[i];
}

/* A network is its first address, and the one behind its last; the last of all has none. */
static void put_item(struct nlmsghdr *nlh, const struct bh_nft_bulk *b, size_t i)
{
	size_t len = key_len(b->kind);
	if (!is_net(b->kind)) {
		put_key(nlh, at(b, i), len, 0);
		return;
	}
	number last = at(b, 2 * i + 1), top = len == 4 ? UINT32_MAX : ~(number)0;
	put_key(nlh, at(b, 2 * i), len, 0);
	if (last != top)
		put_key(nlh, last + 1, len, NFT_SET_ELEM_INTERVAL_END);
}

void bh_nft_put_bulk(struct bh_nft_batch *b, const struct bh_nft_bulk *bulk)
{
	uint16_t type = bulk->del ? NFT_MSG_DELSETELEM : NFT_MSG_NEWSETELEM;
	uint16_t flags = bulk->del ? 0 : NLM_F_CREATE | NLM_F_EXCL;
	for (size_t i = 0; i < bulk->n;) {
		struct nlmsghdr *nlh =
			bh_nft_batch_add(b, BH_TABLE_INET, type, flags, BH_NFT_ELEMS, bulk->set, 0);
		mnl_attr_put_strz(nlh, NFTA_SET_ELEM_LIST_TABLE, BH_TABLE);
		mnl_attr_put_strz(nlh, NFTA_SET_ELEM_LIST_SET, bulk->set);
		struct nlattr *list = mnl_attr_nest_start(nlh, NFTA_SET_ELEM_LIST_ELEMENTS);
		for (size_t k = 0; k < PER_MESSAGE && i < bulk->n; k++, i++)
			put_item(nlh, bulk, i);
		mnl_attr_nest_end(nlh, list);
		bh_nft_batch_done(b, nlh);
	}
}

int bh_nft_bulk_apply(struct bh_nft *n, const struct bh_nft_bulk *bulk, size_t n_bulk,
	struct bh_nft_error *ret_error)
{
	bh_autobatch struct bh_nft_batch b = {0};
	for (size_t i = 0; i < n_bulk; i++)
		bh_nft_put_bulk(&b, &bulk[i]);
	return bh_nft_transact(n, &b, 0, NULL, NULL, ret_error);
}
