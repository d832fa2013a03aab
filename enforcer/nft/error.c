/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Which object a refused message was about, in words. For messages full of elements the extended
 * acknowledgement's offset points at the element's attribute in the message we sent, so the key is
 * read back from there.
 */
#include "private.h"

#include <errno.h>

struct key {
	const uint8_t *p;
	size_t len;
	uint32_t flags;
};

static int read_value(const struct nlattr *a, void *arg)
{
	struct key *k = arg;
	if (mnl_attr_get_type(a) == NFTA_DATA_VALUE) {
		k->p = mnl_attr_get_payload(a);
		k->len = mnl_attr_get_payload_len(a);
	}
	return MNL_CB_OK;
}

static int read_elem(const struct nlattr *a, void *arg)
{
	struct key *k = arg;
	if (mnl_attr_get_type(a) == NFTA_SET_ELEM_KEY)
		mnl_attr_parse_nested(a, read_value, k);
	else if (mnl_attr_get_type(a) == NFTA_SET_ELEM_FLAGS &&
		 mnl_attr_validate(a, MNL_TYPE_U32) >= 0)
		k->flags = ntohl(mnl_attr_get_u32(a));
	return MNL_CB_OK;
}

/* "10.0.0.1", "10.0.0.1 . 10.0.0.2", "" if it is neither. */
static void format_key(const struct key *k, char *buf, size_t size)
{
	char a[INET6_ADDRSTRLEN], b[INET6_ADDRSTRLEN];
	bool v4 = k->len == 4 || k->len == 8;
	size_t one = v4 ? 4 : 16;
	int af = v4 ? AF_INET : AF_INET6;
	buf[0] = '\0';
	if (!k->p || (k->len != one && k->len != 2 * one))
		return;
	inet_ntop(af, k->p, a, sizeof(a));
	if (k->len == one) {
		snprintf(buf, size, "%s%s",
			k->flags & NFT_SET_ELEM_INTERVAL_END ? "end of range before " : "", a);
		return;
	}
	inet_ntop(af, k->p + one, b, sizeof(b));
	snprintf(buf, size, "%s . %s", a, b);
}

static bool find_elem(const struct bh_nft_batch *b, ssize_t i, size_t at, struct key *ret)
{
	const struct nlmsghdr *nlh = (const void *)(b->buf + b->msg[i].offset);
	if (at < MNL_NLMSG_HDRLEN || at % MNL_ALIGNTO ||
		at + sizeof(struct nlattr) > nlh->nlmsg_len)
		return false;
	const struct nlattr *a = (const void *)((const uint8_t *)nlh + at);
	if (!mnl_attr_ok(a, (int)(nlh->nlmsg_len - at)))
		return false;
	*ret = (struct key){0};
	mnl_attr_parse_nested(a, read_elem, ret);
	return ret->p != NULL;
}

void bh_nft_describe(const struct bh_nft_batch *b, ssize_t i, size_t at, char *buf, size_t size)
{
	static const char *const form[] = {
		[BH_NFT_CHAIN] = "chain %s",
		[BH_NFT_SET] = "set %s",
		[BH_NFT_ELEMS] = "elements of set %s",
		[BH_NFT_FLUSH] = "the elements of set %s",
		[BH_NFT_RULES] = "the rules of chain %s",
		[BH_NFT_PROBE] = "probe for %s",
	};
	if (i < 0) {
		snprintf(buf, size, "the transaction");
		return;
	}
	const struct bh_nft_msg *m = &b->msg[i];
	const char *family = m->table == BH_TABLE_BRIDGE ? "bridge" : "inet";
	struct key k;
	if (m->what == BH_NFT_TABLE) {
		snprintf(buf, size, "table %s %s", family, m->name);
		return;
	}
	char text[2 * INET6_ADDRSTRLEN + 32];
	if (m->what == BH_NFT_RULE || m->what == BH_NFT_PORTS) {
		snprintf(buf, size, "%srule %zu of chain %s",
			m->what == BH_NFT_PORTS ? "the port set of " : "", m->index + 1, m->name);
		return;
	}
	if (m->what == BH_NFT_ELEMS && find_elem(b, i, at, &k)) {
		format_key(&k, text, sizeof(text));
		if (text[0]) {
			snprintf(buf, size, "element %s of set %s", text, m->name);
			return;
		}
	}
	if (m->what == BH_NFT_RULES && !m->name) {
		snprintf(buf, size, "the rules of table %s " BH_TABLE, family);
		return;
	}
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
	snprintf(buf, size, form[m->what], m->name);
#pragma GCC diagnostic pop
}
