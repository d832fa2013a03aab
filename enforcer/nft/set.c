/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Sets as messages, in the shapes nft itself gives them.
 *
 * User data is nft's own (type, length, value): comments, and the byte orders without which nft
 * lists keys swapped. A verdict has none: nft 1.0.6 aborts on a map that says otherwise. A part
 * that has no type of nft's own is described by the expression that reads it (typeof), in the
 * numbers of nftables' include/expression.h and proto.h.
 */
#include "private.h"

#include <errno.h>
#include <libnftnl/expr.h>
#include <libnftnl/set.h>
#include <libnftnl/udata.h>

#define TYPE_INTEGER 4 /* nft's numbers of data types (nftables, include/datatype.h) */
#define TYPE_IPV4 7
#define TYPE_IPV6 8
#define TYPE_ETHER 9
#define TYPE_ETHERTYPE 10
#define TYPE_PROTO 12
#define TYPE_SERVICE 13
#define TYPE_ICMPV6 29
#define TYPE_IFNAME 41
#define TYPE_BITS 6 /* of a concatenation's parts */
#define BYTEORDER_NONE 0
#define BYTEORDER_HOST 1
#define BYTEORDER_BIG 2

#define EXPR_PAYLOAD 7 /* nft's numbers of expressions */
#define EXPR_META 9
#define EXPR_CONCAT 13
#define DESC_RAW 0 /* and of protocols */
#define DESC_ETHER 17
enum { UDATA_EXPR, UDATA_DATA }; /* of a typeof */
enum { UDATA_DESC, UDATA_FIELD, UDATA_BASE, UDATA_OFFSET, UDATA_BITS }; /* of a payload */

size_t bh_nft_key_len(const struct bh_set *s)
{
	size_t len = 0;
	if (s->n_parts == 1)
		return bh_part_len(s->part[0], s->family);
	for (size_t i = 0; i < s->n_parts; i++)
		len += bh_nft_pad(bh_part_len(s->part[i], s->family));
	return len;
}

void bh_nft_key(const struct bh_set *s, const struct bh_value *value, uint8_t *ret)
{
	for (size_t i = 0; i < s->n_parts; i++) {
		size_t len = bh_part_len(s->part[i], s->family), padded = bh_nft_pad(len);
		memset(ret, 0, padded);
		memcpy(ret, value[i].b, len);
		ret += padded;
	}
}

static uint32_t part_type(uint8_t part, uint8_t family)
{
	switch (part) {
	case BH_PART_ADDR:
		return family == BH_IPV4 ? TYPE_IPV4 : TYPE_IPV6;
	case BH_PART_IFNAME:
		return TYPE_IFNAME;
	case BH_PART_ETHER:
		return TYPE_ETHER;
	case BH_PART_ETHERTYPE:
		return TYPE_ETHERTYPE;
	case BH_PART_PROTO:
		return TYPE_PROTO;
	case BH_PART_SERVICE:
		return TYPE_SERVICE;
	default:
		return TYPE_INTEGER;
	}
}

/* The key as the kernel and nft are told. */
static void set_key(struct nftnl_set *ns, const struct bh_set *s)
{
	uint32_t type = s->family == BH_IPV4 ? TYPE_IPV4 : TYPE_IPV6;
	uint32_t len = s->family == BH_IPV4 ? 4 : 16;
	if (s->kind == BH_SET_PAIR) {
		type = type << TYPE_BITS | type;
		len *= 2;
	} else if (s->kind == BH_SET_CONCAT) {
		type = 0;
		len = (uint32_t)bh_nft_key_len(s);
		for (size_t i = 0; i < s->n_parts; i++)
			type = type << TYPE_BITS | part_type(s->part[i], s->family);
	}
	nftnl_set_set_u32(ns, NFTNL_SET_KEY_TYPE, type);
	nftnl_set_set_u32(ns, NFTNL_SET_KEY_LEN, len);
}

static uint32_t key_byteorder(const struct bh_set *s)
{
	if (s->kind != BH_SET_CONCAT)
		return BYTEORDER_BIG;
	if (s->n_parts > 1)
		return BYTEORDER_NONE; /* each part has its own */
	return s->part[0] == BH_PART_IFNAME ? BYTEORDER_HOST : BYTEORDER_BIG;
}

static void put_meta(struct nftnl_udata_buf *u, uint32_t key)
{
	nftnl_udata_put_u32(u, UDATA_EXPR, EXPR_META);
	struct nftnl_udata *data = nftnl_udata_nest_start(u, UDATA_DATA);
	nftnl_udata_put_u32(u, 0, key);
	nftnl_udata_nest_end(u, data);
}

/* A field of a header that nft knows; or, of DESC_RAW, bits of one. */
static void put_payload(struct nftnl_udata_buf *u, uint32_t desc, uint32_t field)
{
	nftnl_udata_put_u32(u, UDATA_EXPR, EXPR_PAYLOAD);
	struct nftnl_udata *data = nftnl_udata_nest_start(u, UDATA_DATA);
	nftnl_udata_put_u32(u, UDATA_DESC, desc);
	nftnl_udata_put_u32(u, UDATA_FIELD, field);
	if (desc == DESC_RAW) {
		nftnl_udata_put_u32(u, UDATA_BASE, 3); /* the transport header */
		nftnl_udata_put_u32(u, UDATA_OFFSET, 64);
		nftnl_udata_put_u32(u, UDATA_BITS, 128);
	}
	nftnl_udata_nest_end(u, data);
}

/* What nft needs to list a set with a part that has no type. Only what stands beside such a part is
 * known here. */
static int put_typeof(struct nftnl_udata_buf *u, const struct bh_set *s)
{
	bool needed = false;
	for (size_t i = 0; i < s->n_parts; i++)
		needed |= s->part[i] == BH_PART_ND_TARGET;
	if (!needed)
		return 0;
	struct nftnl_udata *all = nftnl_udata_nest_start(u, NFTNL_UDATA_SET_KEY_TYPEOF),
			   *data = NULL;
	if (s->n_parts > 1) {
		nftnl_udata_put_u32(u, UDATA_EXPR, EXPR_CONCAT);
		data = nftnl_udata_nest_start(u, UDATA_DATA);
	}
	for (uint8_t i = 0; i < s->n_parts; i++) {
		struct nftnl_udata *part = data ? nftnl_udata_nest_start(u, i) : NULL;
		if (s->part[i] == BH_PART_IFNAME)
			put_meta(u, NFT_META_IIFNAME);
		else if (s->part[i] == BH_PART_ETHER)
			put_payload(u, DESC_ETHER, 2 /* saddr */);
		else if (s->part[i] == BH_PART_ND_TARGET)
			put_payload(u, DESC_RAW, 0);
		else
			return -EINVAL;
		if (part)
			nftnl_udata_nest_end(u, part);
	}
	if (data)
		nftnl_udata_nest_end(u, data);
	nftnl_udata_nest_end(u, all);
	return 0;
}

static int set_userdata(struct nftnl_set *ns, const struct bh_set *s)
{
	struct nftnl_udata_buf *u = bh_nft_must(nftnl_udata_buf_alloc(256));
	nftnl_udata_put_u32(u, NFTNL_UDATA_SET_KEYBYTEORDER, key_byteorder(s));
	if (s->kind == BH_MAP_VERDICT)
		nftnl_udata_put_u32(u, NFTNL_UDATA_SET_DATABYTEORDER, BYTEORDER_NONE);
	int rc = put_typeof(u, s);
	if (rc == 0 && s->comment)
		nftnl_udata_put_strz(u, NFTNL_UDATA_SET_COMMENT, s->comment);
	nftnl_set_set_data(ns, NFTNL_SET_USERDATA, nftnl_udata_buf_data(u), nftnl_udata_buf_len(u));
	nftnl_udata_buf_free(u);
	return rc;
}

static void set_attributes(struct nftnl_set *ns, const struct bh_set *s)
{
	uint32_t flags = 0;
	if (s->kind == BH_SET_INTERVAL)
		flags |= NFT_SET_INTERVAL;
	if (s->kind == BH_MAP_VERDICT) {
		flags |= NFT_SET_MAP;
		nftnl_set_set_u32(ns, NFTNL_SET_DATA_TYPE, NFT_DATA_VERDICT);
		nftnl_set_set_u32(ns, NFTNL_SET_DATA_LEN, 0);
	}
	if (s->timeout_s) {
		flags |= NFT_SET_TIMEOUT;
		nftnl_set_set_u64(ns, NFTNL_SET_TIMEOUT, s->timeout_s * 1000ull);
	} else if (s->volatile_ == BH_VOLATILE_CACHE) {
		flags |= NFT_SET_TIMEOUT; /* each element has its own */
	}
	if (s->volatile_ == BH_VOLATILE_DYNAMIC)
		flags |= NFT_SET_EVAL;
	if (s->size)
		nftnl_set_set_u32(ns, NFTNL_SET_DESC_SIZE, s->size);
	if (s->counter)
		nftnl_set_add_expr(ns, bh_nft_must(nftnl_expr_alloc("counter")));
	nftnl_set_set_u32(ns, NFTNL_SET_FLAGS, flags);
}

static struct nftnl_set *named_set(struct bh_nft_batch *b, const char *name, uint8_t table)
{
	struct nftnl_set *ns = bh_nft_must(nftnl_set_alloc());
	nftnl_set_set_str(ns, NFTNL_SET_TABLE, BH_TABLE);
	nftnl_set_set_str(ns, NFTNL_SET_NAME, name);
	nftnl_set_set_u32(ns, NFTNL_SET_FAMILY, bh_nft_family(table));
	nftnl_set_set_u32(ns, NFTNL_SET_ID, ++b->set_id);
	return ns;
}

int bh_nft_put_set(struct bh_nft_batch *b, const struct bh_set *s, uint16_t flags)
{
	if (!bh_nft_name_ok(s->name) || !bh_nft_comment_ok(s->comment) ||
		bh_nft_key_len(s) > BH_NFT_KEY_MAX)
		return -EINVAL;
	struct nftnl_set *ns = named_set(b, s->name, s->table);
	set_attributes(ns, s);
	set_key(ns, s);
	int rc = set_userdata(ns, s);
	if (rc == 0) {
		struct nlmsghdr *nlh = bh_nft_batch_add(
			b, s->table, NFT_MSG_NEWSET, flags, BH_NFT_SET, s->name, 0);
		nftnl_set_nlmsg_build_payload(nlh, ns);
		bh_nft_batch_done(b, nlh);
	}
	nftnl_set_free(ns);
	return rc;
}

void bh_nft_put_set_del(struct bh_nft_batch *b, uint8_t table, const char *name)
{
	struct nlmsghdr *nlh = bh_nft_batch_add(b, table, NFT_MSG_DELSET, 0, BH_NFT_SET, name, 0);
	mnl_attr_put_strz(nlh, NFTA_SET_TABLE, BH_TABLE);
	mnl_attr_put_strz(nlh, NFTA_SET_NAME, name);
	bh_nft_batch_done(b, nlh);
}

/* A message that names no element means all. */
void bh_nft_put_set_flush(struct bh_nft_batch *b, const struct bh_set *s)
{
	struct nlmsghdr *nlh =
		bh_nft_batch_add(b, s->table, NFT_MSG_DELSETELEM, 0, BH_NFT_FLUSH, s->name, 0);
	mnl_attr_put_strz(nlh, NFTA_SET_ELEM_LIST_TABLE, BH_TABLE);
	mnl_attr_put_strz(nlh, NFTA_SET_ELEM_LIST_SET, s->name);
	bh_nft_batch_done(b, nlh);
}

uint32_t bh_nft_put_ports(struct bh_nft_batch *b, uint8_t table, const struct bh_port_range *port,
	size_t n, enum bh_nft_ports_type type, const char *chain, size_t index)
{
	static const char name[] = "__set%d"; /* the kernel fills in the number */
	static const uint32_t types[] = {TYPE_SERVICE, TYPE_ICMPV6, TYPE_ETHERTYPE};
	uint32_t flags = NFT_SET_ANONYMOUS | NFT_SET_CONSTANT;
	unsigned size = type == BH_NFT_ICMPV6_TYPE ? 1 : 2;
	bool interval = false;
	for (size_t i = 0; i < n; i++)
		interval |= port[i].first != port[i].last;
	struct nftnl_set *s = named_set(b, name, table);
	struct nftnl_udata_buf *u = bh_nft_must(nftnl_udata_buf_alloc(16));
	nftnl_udata_put_u32(u, NFTNL_UDATA_SET_KEYBYTEORDER, BYTEORDER_BIG);
	nftnl_set_set_data(s, NFTNL_SET_USERDATA, nftnl_udata_buf_data(u), nftnl_udata_buf_len(u));
	nftnl_udata_buf_free(u);
	nftnl_set_set_u32(s, NFTNL_SET_FLAGS, flags | (interval ? NFT_SET_INTERVAL : 0));
	nftnl_set_set_u32(s, NFTNL_SET_KEY_TYPE, types[type]);
	nftnl_set_set_u32(s, NFTNL_SET_KEY_LEN, size);
	if (!interval)
		nftnl_set_set_u32(s, NFTNL_SET_DESC_SIZE, (uint32_t)n);
	struct nlmsghdr *nlh = bh_nft_batch_add(
		b, table, NFT_MSG_NEWSET, NLM_F_CREATE, BH_NFT_PORTS, chain, index);
	nftnl_set_nlmsg_build_payload(nlh, s);
	bh_nft_batch_done(b, nlh);
	nftnl_set_free(s);
	bh_nft_put_port_elems(b, table, name, b->set_id, port, n, size, interval, chain, index);
	return b->set_id;
}
