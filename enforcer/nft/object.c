/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Tables, chains, sets and elements as messages.
 *
 * Interval sets are rbtrees, to which a range is two elements: its first address, and the address
 * behind its last with NFT_SET_ELEM_INTERVAL_END. A range that ends at the last address has no
 * second element; its first one says so to nft in its user data, and must be the last of its
 * message, which it is because elements are sorted.
 *
 * User data is nft's own (type, length, value): comments, and the byte orders without which nft
 * lists keys swapped. A verdict has none: nft 1.0.6 aborts on a map that says otherwise.
 */
#include "private.h"

#include <errno.h>
#include <libnftnl/chain.h>
#include <libnftnl/set.h>
#include <libnftnl/table.h>
#include <libnftnl/udata.h>

#define TYPE_IPV4 7 /* nft's numbers of data types (nftables, include/datatype.h) */
#define TYPE_IPV6 8
#define TYPE_SERVICE 13
#define TYPE_ICMPV6 29
#define TYPE_BITS 6 /* of a concatenation's parts */
#define BYTEORDER_NONE 0
#define BYTEORDER_BIG 2

/* Not more per message than surely fits a 64 KiB attribute, so that no range is cut in two. */
#define ELEM_BYTES_PER_MSG (48 * 1024)

static bool comment_ok(const char *comment)
{
	return !comment || strlen(comment) <= BH_COMMENT_MAX;
}

static bool name_ok(const char *name)
{
	return name && *name && strlen(name) <= BH_NAME_MAX;
}

void bh_nft_put_table(struct bh_nft_batch *b, uint16_t type, uint16_t flags, const char *name)
{
	struct nlmsghdr *nlh = bh_nft_batch_add(b, type, flags, BH_NFT_TABLE, name, 0);
	struct nftnl_table *t = bh_nft_must(nftnl_table_alloc());
	nftnl_table_set_str(t, NFTNL_TABLE_NAME, name);
	if (type == NFT_MSG_NEWTABLE)
		nftnl_table_set_u32(t, NFTNL_TABLE_FLAGS, 0); /* and wake a dormant one */
	nftnl_table_nlmsg_build_payload(nlh, t);
	nftnl_table_free(t);
	bh_nft_batch_done(b, nlh);
}

int bh_nft_put_chain(struct bh_nft_batch *b, const struct bh_chain *c, uint16_t flags)
{
	if (!name_ok(c->name) || !comment_ok(c->comment))
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
		bh_nft_batch_add(b, NFT_MSG_NEWCHAIN, flags, BH_NFT_CHAIN, c->name, 0);
	nftnl_chain_nlmsg_build_payload(nlh, nc);
	nftnl_chain_free(nc);
	bh_nft_batch_done(b, nlh);
	return 0;
}

void bh_nft_put_chain_del(struct bh_nft_batch *b, const char *name)
{
	struct nlmsghdr *nlh = bh_nft_batch_add(b, NFT_MSG_DELCHAIN, 0, BH_NFT_CHAIN, name, 0);
	mnl_attr_put_strz(nlh, NFTA_CHAIN_TABLE, BH_TABLE);
	mnl_attr_put_strz(nlh, NFTA_CHAIN_NAME, name);
	bh_nft_batch_done(b, nlh);
}

static void set_userdata(struct nftnl_set *s, bool map, const char *comment)
{
	struct nftnl_udata_buf *u = bh_nft_must(nftnl_udata_buf_alloc(256));
	nftnl_udata_put_u32(u, NFTNL_UDATA_SET_KEYBYTEORDER, BYTEORDER_BIG);
	if (map)
		nftnl_udata_put_u32(u, NFTNL_UDATA_SET_DATABYTEORDER, BYTEORDER_NONE);
	if (comment)
		nftnl_udata_put_strz(u, NFTNL_UDATA_SET_COMMENT, comment);
	nftnl_set_set_data(s, NFTNL_SET_USERDATA, nftnl_udata_buf_data(u), nftnl_udata_buf_len(u));
	nftnl_udata_buf_free(u);
}

void bh_nft_send_set(struct bh_nft_batch *b, struct nftnl_set *s, uint16_t type, uint16_t flags,
	enum bh_nft_what what, const char *name, size_t index)
{
	struct nlmsghdr *nlh = bh_nft_batch_add(b, type, flags, what, name, index);
	nftnl_set_nlmsg_build_payload(nlh, s);
	bh_nft_batch_done(b, nlh);
}

int bh_nft_put_set(struct bh_nft_batch *b, const struct bh_set *s, uint16_t flags)
{
	if (!name_ok(s->name) || !comment_ok(s->comment))
		return -EINVAL;
	uint32_t type = s->family == BH_IPV4 ? TYPE_IPV4 : TYPE_IPV6;
	uint32_t len = s->family == BH_IPV4 ? 4 : 16, set_flags = 0;
	struct nftnl_set *ns = bh_nft_must(nftnl_set_alloc());
	if (s->kind == BH_SET_PAIR) {
		type = type << TYPE_BITS | type;
		len *= 2;
	} else if (s->kind == BH_SET_INTERVAL) {
		set_flags = NFT_SET_INTERVAL;
	} else if (s->kind == BH_MAP_VERDICT) {
		set_flags = NFT_SET_MAP;
		nftnl_set_set_u32(ns, NFTNL_SET_DATA_TYPE, NFT_DATA_VERDICT);
		nftnl_set_set_u32(ns, NFTNL_SET_DATA_LEN, 0);
	}
	nftnl_set_set_str(ns, NFTNL_SET_TABLE, BH_TABLE);
	nftnl_set_set_str(ns, NFTNL_SET_NAME, s->name);
	nftnl_set_set_u32(ns, NFTNL_SET_FAMILY, NFPROTO_INET);
	nftnl_set_set_u32(ns, NFTNL_SET_ID, ++b->set_id);
	nftnl_set_set_u32(ns, NFTNL_SET_FLAGS, set_flags);
	nftnl_set_set_u32(ns, NFTNL_SET_KEY_TYPE, type);
	nftnl_set_set_u32(ns, NFTNL_SET_KEY_LEN, len);
	set_userdata(ns, s->kind == BH_MAP_VERDICT, s->comment);
	bh_nft_send_set(b, ns, NFT_MSG_NEWSET, flags, BH_NFT_SET, s->name, 0);
	nftnl_set_free(ns);
	return 0;
}

void bh_nft_put_set_del(struct bh_nft_batch *b, const char *name)
{
	struct nlmsghdr *nlh = bh_nft_batch_add(b, NFT_MSG_DELSET, 0, BH_NFT_SET, name, 0);
	mnl_attr_put_strz(nlh, NFTA_SET_TABLE, BH_TABLE);
	mnl_attr_put_strz(nlh, NFTA_SET_NAME, name);
	bh_nft_batch_done(b, nlh);
}

/* A message that names no element means all. */
void bh_nft_put_set_flush(struct bh_nft_batch *b, const struct bh_set *s)
{
	struct nlmsghdr *nlh = bh_nft_batch_add(b, NFT_MSG_DELSETELEM, 0, BH_NFT_FLUSH, s->name, 0);
	mnl_attr_put_strz(nlh, NFTA_SET_ELEM_LIST_TABLE, BH_TABLE);
	mnl_attr_put_strz(nlh, NFTA_SET_ELEM_LIST_SET, s->name);
	bh_nft_batch_done(b, nlh);
}

/* Elements on their way into messages. */
struct writer {
	struct bh_nft_batch *b;
	const char *set; /* as the kernel is told */
	uint32_t set_id; /* 0: by name alone */
	uint16_t type, flags;
	enum bh_nft_what what;
	const char *name;
	size_t index;
	struct nftnl_set *chunk;
	size_t n, bytes;
};

static void writer_open(struct writer *w)
{
	w->chunk = bh_nft_must(nftnl_set_alloc());
	nftnl_set_set_str(w->chunk, NFTNL_SET_TABLE, BH_TABLE);
	nftnl_set_set_str(w->chunk, NFTNL_SET_NAME, w->set);
	if (w->set_id)
		nftnl_set_set_u32(w->chunk, NFTNL_SET_ID, w->set_id);
	w->n = w->bytes = 0;
}

/* The iterator notices when a message is full, and goes on in the next. */
static void writer_flush(struct writer *w)
{
	int more = w->chunk && w->n > 0;
	struct nftnl_set_elems_iter *it =
		more ? bh_nft_must(nftnl_set_elems_iter_create(w->chunk)) : NULL;
	while (more > 0) {
		struct nlmsghdr *nlh =
			bh_nft_batch_add(w->b, w->type, w->flags, w->what, w->name, w->index);
		more = nftnl_set_elems_nlmsg_build_payload_iter(nlh, it);
		bh_nft_batch_done(w->b, nlh);
	}
	if (it)
		nftnl_set_elems_iter_destroy(it);
	if (w->chunk)
		nftnl_set_free(w->chunk);
	w->chunk = NULL;
}

/* Room for `n` more elements that belong together. */
static void writer_room(struct writer *w, size_t n, size_t bytes)
{
	if (w->chunk &&
		(w->n + n > BH_NFT_ELEMS_PER_MSG || w->bytes + n * bytes > ELEM_BYTES_PER_MSG))
		writer_flush(w);
	if (!w->chunk)
		writer_open(w);
}

static struct nftnl_set_elem *writer_add(
	struct writer *w, const void *key, size_t len, uint32_t flags, size_t bytes)
{
	struct nftnl_set_elem *e = bh_nft_must(nftnl_set_elem_alloc());
	nftnl_set_elem_set(e, NFTNL_SET_ELEM_KEY, key, (uint32_t)len);
	if (flags)
		nftnl_set_elem_set_u32(e, NFTNL_SET_ELEM_FLAGS, flags);
	nftnl_set_elem_add(w->chunk, e);
	w->n++;
	w->bytes += bytes;
	return e;
}

static void elem_userdata(struct nftnl_set_elem *e, const char *comment, bool open)
{
	if (!comment && !open)
		return;
	struct nftnl_udata_buf *u = bh_nft_must(nftnl_udata_buf_alloc(256));
	if (comment)
		nftnl_udata_put_strz(u, NFTNL_UDATA_SET_ELEM_COMMENT, comment);
	if (open)
		nftnl_udata_put_u32(u, NFTNL_UDATA_SET_ELEM_FLAGS, NFTNL_SET_ELEM_F_INTERVAL_OPEN);
	nftnl_set_elem_set(
		e, NFTNL_SET_ELEM_USERDATA, nftnl_udata_buf_data(u), nftnl_udata_buf_len(u));
	nftnl_udata_buf_free(u);
}

/* Upper bounds of the attributes: list entry, key with its value, flags, user data, verdict. */
static size_t elem_bytes(const struct bh_set_elem *e)
{
	size_t n = 64;
	if (e->comment)
		n += strlen(e->comment) + 24;
	if (e->chain)
		n += strlen(e->chain) + 32;
	return n;
}

static int put_elem(struct writer *w, const struct bh_set *s, const struct bh_set_elem *e)
{
	size_t size = s->family == BH_IPV4 ? 4 : 16, len = size, bytes = elem_bytes(e);
	uint8_t key[32];
	struct bh_addr behind = e->key2;
	bool add = w->type == NFT_MSG_NEWSETELEM;
	bool range = s->kind == BH_SET_INTERVAL;
	bool closed = range && bh_addr_next(&behind);
	if (e->key.family != s->family || !comment_ok(e->comment))
		return -EINVAL;
	memcpy(key, e->key.b, size);
	if (s->kind == BH_SET_PAIR) {
		memcpy(key + size, e->key2.b, size);
		len = 2 * size;
	}
	writer_room(w, 2, bytes);
	struct nftnl_set_elem *ne = writer_add(w, key, len, 0, bytes);
	if (add)
		elem_userdata(ne, e->comment, range && !closed);
	if (add && s->kind == BH_MAP_VERDICT) {
		if (!name_ok(e->chain))
			return -EINVAL;
		nftnl_set_elem_set_u32(ne, NFTNL_SET_ELEM_VERDICT, (uint32_t)NFT_JUMP);
		nftnl_set_elem_set_str(ne, NFTNL_SET_ELEM_CHAIN, e->chain);
	}
	if (closed)
		writer_add(w, behind.b, size, NFT_SET_ELEM_INTERVAL_END, bytes);
	return 0;
}

int bh_nft_put_elems(struct bh_nft_batch *b, const struct bh_set *s,
	const struct bh_set_elem *const *elem, size_t n, uint16_t type, uint16_t flags)
{
	struct writer w = {.b = b,
		.set = s->name,
		.type = type,
		.flags = flags,
		.what = BH_NFT_ELEMS,
		.name = s->name};
	int rc = 0;
	for (size_t i = 0; i < n && rc == 0; i++)
		rc = put_elem(&w, s, elem ? elem[i] : &s->elem[i]);
	writer_flush(&w);
	return rc;
}

static void put_port(struct writer *w, const struct bh_port_range *p, unsigned size, bool interval)
{
	uint32_t top = size == 1 ? 0xff : 0xffff;
	uint16_t first = htons(p->first), behind = htons((uint16_t)(p->last + 1));
	uint8_t first1 = (uint8_t)p->first, behind1 = (uint8_t)(p->last + 1);
	writer_room(w, 2, 64);
	struct nftnl_set_elem *e =
		writer_add(w, size == 1 ? (void *)&first1 : (void *)&first, size, 0, 64);
	if (interval && p->last >= top)
		elem_userdata(e, NULL, true);
	else if (interval)
		writer_add(w, size == 1 ? (void *)&behind1 : (void *)&behind, size,
			NFT_SET_ELEM_INTERVAL_END, 64);
}

uint32_t bh_nft_put_ports(struct bh_nft_batch *b, const struct bh_port_range *port, size_t n,
	unsigned size, const char *chain, size_t index)
{
	static const char name[] = "__set%d"; /* the kernel fills in the number */
	uint32_t flags = NFT_SET_ANONYMOUS | NFT_SET_CONSTANT;
	bool interval = false;
	for (size_t i = 0; i < n; i++)
		interval |= port[i].first != port[i].last;
	struct nftnl_set *s = bh_nft_must(nftnl_set_alloc());
	nftnl_set_set_str(s, NFTNL_SET_TABLE, BH_TABLE);
	nftnl_set_set_str(s, NFTNL_SET_NAME, name);
	nftnl_set_set_u32(s, NFTNL_SET_FAMILY, NFPROTO_INET);
	nftnl_set_set_u32(s, NFTNL_SET_ID, ++b->set_id);
	nftnl_set_set_u32(s, NFTNL_SET_FLAGS, flags | (interval ? NFT_SET_INTERVAL : 0));
	nftnl_set_set_u32(s, NFTNL_SET_KEY_TYPE, size == 1 ? TYPE_ICMPV6 : TYPE_SERVICE);
	nftnl_set_set_u32(s, NFTNL_SET_KEY_LEN, size);
	if (!interval)
		nftnl_set_set_u32(s, NFTNL_SET_DESC_SIZE, (uint32_t)n);
	set_userdata(s, false, NULL);
	bh_nft_send_set(b, s, NFT_MSG_NEWSET, NLM_F_CREATE, BH_NFT_PORTS, chain, index);
	nftnl_set_free(s);

	struct writer w = {.b = b,
		.set = name,
		.set_id = b->set_id,
		.type = NFT_MSG_NEWSETELEM,
		.flags = NLM_F_CREATE,
		.what = BH_NFT_PORTS,
		.name = chain,
		.index = index};
	for (size_t i = 0; i < n; i++)
		put_port(&w, &port[i], size, interval);
	writer_flush(&w);
	return b->set_id;
}
