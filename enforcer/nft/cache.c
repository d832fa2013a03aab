/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Elements that come and go at run time: put in by the daemon, or by packets, and read back with
 * their counters. Elements are read without libnftnl, which would allocate for each of very many.
 */
#include "private.h"

#include <errno.h>

#define READ_TRIES 16

/* A batch in which one element finds the set full is refused as a whole: half of it may fit. */
int bh_nft_cache_add(struct bh_nft *n, const struct bh_set *set, const struct bh_value *value,
	size_t count, uint64_t timeout_ms, struct bh_nft_error *ret_error)
{
	size_t done = 0;
	for (size_t some = count; some && done < count;) {
		bh_autobatch struct bh_nft_batch b = {0};
		some = some < count - done ? some : count - done;
		const struct bh_nft_keys keys = {.set = set,
			.value = value + done * set->n_parts,
			.n = some,
			.timeout_ms = timeout_ms};
		bh_nft_put_keys(&b, &keys);
		int rc = bh_nft_transact(n, &b, 0, NULL, NULL, ret_error);
		if (rc == 0)
			done += some;
		else if (rc == -ENFILE)
			some /= 2;
		else
			return done ? (int)done : rc;
	}
	return (int)done;
}

struct reader {
	const struct bh_set *set;
	void (*fn)(const struct bh_nft_elem *, void *);
	void *arg;
};

struct parsed {
	const uint8_t *key;
	size_t key_len;
	uint64_t packets, bytes, expires_ms;
};

static uint64_t get_be64(const struct nlattr *a)
{
	return mnl_attr_validate(a, MNL_TYPE_U64) < 0 ? 0 : be64toh(mnl_attr_get_u64(a));
}

static int parse_counter(const struct nlattr *a, void *arg)
{
	struct parsed *p = arg;
	if (mnl_attr_get_type(a) == NFTA_COUNTER_PACKETS)
		p->packets = get_be64(a);
	else if (mnl_attr_get_type(a) == NFTA_COUNTER_BYTES)
		p->bytes = get_be64(a);
	return MNL_CB_OK;
}

/* An expression of an element: only of counters the data is wanted, and the name comes first. */
static void parse_expr(const struct nlattr *expr, struct parsed *p)
{
	const struct nlattr *a;
	bool counter = false;
	mnl_attr_for_each_nested(a, expr)
	{
		if (mnl_attr_get_type(a) == NFTA_EXPR_NAME &&
			mnl_attr_validate(a, MNL_TYPE_NUL_STRING) >= 0)
			counter = strcmp(mnl_attr_get_str(a), "counter") == 0;
		else if (mnl_attr_get_type(a) == NFTA_EXPR_DATA && counter)
			mnl_attr_parse_nested(a, parse_counter, p);
	}
}

static void parse_elem(const struct nlattr *elem, struct parsed *p)
{
	const struct nlattr *a, *b;
	mnl_attr_for_each_nested(a, elem)
	{
		switch (mnl_attr_get_type(a)) {
		case NFTA_SET_ELEM_KEY:
			mnl_attr_for_each_nested(b, a)
			{
				if (mnl_attr_get_type(b) != NFTA_DATA_VALUE)
					continue;
				p->key = mnl_attr_get_payload(b);
				p->key_len = mnl_attr_get_payload_len(b);
			}
			break;
		case NFTA_SET_ELEM_EXPIRATION:
			p->expires_ms = get_be64(a);
			break;
		case NFTA_SET_ELEM_EXPR:
			parse_expr(a, p);
			break;
		case NFTA_SET_ELEM_EXPRESSIONS:
			mnl_attr_for_each_nested(b, a) parse_expr(b, p);
			break;
		default:
			break;
		}
	}
}

static void tell(const struct reader *r, const struct parsed *p)
{
	struct bh_value value[BH_PARTS_MAX] = {0};
	const uint8_t *key = p->key;
	if (!key || p->key_len != bh_nft_key_len(r->set))
		return;
	for (size_t i = 0; i < r->set->n_parts; i++) {
		size_t len = bh_part_len(r->set->part[i], r->set->family);
		memcpy(value[i].b, key, len);
		key += bh_nft_pad(len);
	}
	struct bh_nft_elem e = {value, p->packets, p->bytes, p->expires_ms};
	r->fn(&e, r->arg);
}

static void read_elems(const struct nlmsghdr *nlh, void *arg)
{
	const struct nlattr *a, *elem;
	mnl_attr_for_each(a, nlh, sizeof(struct nfgenmsg))
	{
		if (mnl_attr_get_type(a) != NFTA_SET_ELEM_LIST_ELEMENTS)
			continue;
		mnl_attr_for_each_nested(elem, a)
		{
			struct parsed p = {0};
			parse_elem(elem, &p);
			tell(arg, &p);
		}
	}
}

int bh_nft_elems_read(struct bh_nft *n, const struct bh_set *set,
	void (*fn)(const struct bh_nft_elem *, void *), void *arg)
{
	struct reader r = {set, fn, arg};
	int rc = -EINTR;
	if (set->kind != BH_SET_CONCAT)
		return -EINVAL;
	for (int try = 0; rc == -EINTR && try < READ_TRIES; try++)
		rc = bh_nft_request(n, NFT_MSG_GETSETELEM, NLM_F_DUMP, bh_nft_family(set->table),
			BH_TABLE, set->name, read_elems, &r);
	return rc;
}
