/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Elements as messages, not more in one than fits a nested attribute.
 *
 * Interval sets are rbtrees, to which a range is two elements: its first address, and the address
 * behind its last with NFT_SET_ELEM_INTERVAL_END. A range that ends at the last address has no
 * second element; its first one says so to nft in its user data, and must be the last of its
 * message, which it is because elements are sorted.
 */
#include "private.h"

#include <errno.h>
#include <libnftnl/set.h>
#include <libnftnl/udata.h>

/* Not more per message than surely fits a 64 KiB attribute, so that no range is cut in two. */
#define ELEM_BYTES_PER_MSG (48 * 1024)

/* Elements on their way into messages. */
struct writer {
	struct bh_nft_batch *b;
	uint8_t table;
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
		struct nlmsghdr *nlh = bh_nft_batch_add(
			w->b, w->table, w->type, w->flags, w->what, w->name, w->index);
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
	size_t n = 128;
	if (e->comment)
		n += strlen(e->comment) + 24;
	if (e->chain)
		n += strlen(e->chain) + 32;
	return n;
}

static int put_concat(struct writer *w, const struct bh_set *s, const struct bh_set_elem *e)
{
	uint8_t key[BH_PARTS_MAX * sizeof(struct bh_value)];
	size_t bytes = elem_bytes(e);
	if (!e->value || e->n_values != s->n_parts || !bh_nft_comment_ok(e->comment))
		return -EINVAL;
	bh_nft_key(s, e->value, key);
	writer_room(w, 1, bytes);
	struct nftnl_set_elem *ne = writer_add(w, key, bh_nft_key_len(s), 0, bytes);
	if (w->type == NFT_MSG_NEWSETELEM)
		elem_userdata(ne, e->comment, false);
	return 0;
}

static int put_elem(struct writer *w, const struct bh_set *s, const struct bh_set_elem *e)
{
	if (s->kind == BH_SET_CONCAT)
		return put_concat(w, s, e);
	size_t size = s->family == BH_IPV4 ? 4 : 16, len = size, bytes = elem_bytes(e);
	uint8_t key[32];
	struct bh_addr behind = e->key2;
	bool add = w->type == NFT_MSG_NEWSETELEM;
	bool range = s->kind == BH_SET_INTERVAL;
	bool closed = range && bh_addr_next(&behind);
	if (e->key.family != s->family || !bh_nft_comment_ok(e->comment))
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
		if (!bh_nft_name_ok(e->chain))
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
		.table = s->table,
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

void bh_nft_put_port_elems(struct bh_nft_batch *b, uint8_t table, const char *set, uint32_t set_id,
	const struct bh_port_range *port, size_t n, unsigned size, bool interval, const char *chain,
	size_t index)
{
	struct writer w = {.b = b,
		.table = table,
		.set = set,
		.set_id = set_id,
		.type = NFT_MSG_NEWSETELEM,
		.flags = NLM_F_CREATE,
		.what = BH_NFT_PORTS,
		.name = chain,
		.index = index};
	for (size_t i = 0; i < n; i++)
		put_port(&w, &port[i], size, interval);
	writer_flush(&w);
}

void bh_nft_put_keys(struct bh_nft_batch *b, const struct bh_nft_keys *k)
{
	const struct bh_set *s = k->set;
	uint8_t key[BH_PARTS_MAX * sizeof(struct bh_value)];
	struct writer w = {.b = b,
		.table = s->table,
		.set = s->name,
		.type = NFT_MSG_NEWSETELEM,
		.flags = NLM_F_CREATE,
		.what = BH_NFT_ELEMS,
		.name = s->name};
	for (size_t i = 0; i < k->n; i++) {
		uint64_t timeout_ms = k->each_ms ? k->each_ms[i] : k->timeout_ms;
		bh_nft_key(s, k->value + i * s->n_parts, key);
		writer_room(&w, 1, 128);
		struct nftnl_set_elem *e = writer_add(&w, key, bh_nft_key_len(s), 0, 128);
		if (timeout_ms)
			nftnl_set_elem_set_u64(e, NFTNL_SET_ELEM_TIMEOUT, timeout_ms);
	}
	writer_flush(&w);
}
