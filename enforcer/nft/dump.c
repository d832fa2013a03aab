/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What the kernel says that our table holds. Dumps are pieces of a moving picture: the kernel
 * flags those that were changed meanwhile, and then the whole answer is void (−EINTR). The kernel
 * filters some dumps by table and others not, so all are filtered here as well.
 */
#include "private.h"

#include <errno.h>
#include <libnftnl/chain.h>
#include <libnftnl/expr.h>
#include <libnftnl/rule.h>
#include <libnftnl/set.h>
#include <libnftnl/udata.h>

#define DUMP_TRIES 16

static bool ours(const char *table)
{
	return table && strcmp(table, BH_TABLE) == 0;
}

static bool of_family(const struct nlmsghdr *nlh, uint8_t family)
{
	return ((const struct nfgenmsg *)mnl_nlmsg_get_payload(nlh))->nfgen_family == family;
}

static void find_chain(const struct nlmsghdr *nlh, void *arg)
{
	struct bh_nft_found *f = arg;
	struct nftnl_chain *c = bh_nft_must(nftnl_chain_alloc());
	if (nftnl_chain_nlmsg_parse(nlh, c) == 0 && of_family(nlh, f->family) &&
		ours(nftnl_chain_get_str(c, NFTNL_CHAIN_TABLE)) &&
		nftnl_chain_is_set(c, NFTNL_CHAIN_NAME)) {
		struct bh_nft_found_chain have = {.hook = -1};
		const char *type = nftnl_chain_get_str(c, NFTNL_CHAIN_TYPE);
		have.name = bh_xstrdup(nftnl_chain_get_str(c, NFTNL_CHAIN_NAME));
		if (nftnl_chain_is_set(c, NFTNL_CHAIN_HOOKNUM)) {
			have.hook = (int)nftnl_chain_get_u32(c, NFTNL_CHAIN_HOOKNUM);
			have.priority = nftnl_chain_get_s32(c, NFTNL_CHAIN_PRIO);
			have.plain = type && strcmp(type, "filter") == 0 &&
				     !nftnl_chain_is_set(c, NFTNL_CHAIN_DEV) &&
				     !nftnl_chain_is_set(c, NFTNL_CHAIN_DEVICES);
		}
		BH_GROW(f->chain, f->n_chains, f->cap_chains);
		f->chain[f->n_chains++] = have;
	}
	nftnl_chain_free(c);
}

/* Anonymous sets go with their rules. */
static void find_set(const struct nlmsghdr *nlh, void *arg)
{
	struct bh_nft_found *f = arg;
	struct nftnl_set *s = bh_nft_must(nftnl_set_alloc());
	if (nftnl_set_nlmsg_parse(nlh, s) == 0 && of_family(nlh, f->family) &&
		ours(nftnl_set_get_str(s, NFTNL_SET_TABLE)) &&
		nftnl_set_is_set(s, NFTNL_SET_NAME) &&
		!(nftnl_set_get_u32(s, NFTNL_SET_FLAGS) & NFT_SET_ANONYMOUS)) {
		BH_GROW(f->set, f->n_sets, f->cap_sets);
		f->set[f->n_sets++] = bh_xstrdup(nftnl_set_get_str(s, NFTNL_SET_NAME));
	}
	nftnl_set_free(s);
}

/* Stateful objects and flow tables: their table is attribute 1. */
static void find_alien(const struct nlmsghdr *nlh, void *arg)
{
	struct bh_nft_found *f = arg;
	const struct nlattr *a;
	mnl_attr_for_each(a, nlh, sizeof(struct nfgenmsg))
	{
		if (mnl_attr_get_type(a) == NFTA_OBJ_TABLE &&
			mnl_attr_validate(a, MNL_TYPE_NUL_STRING) >= 0)
			f->alien |= of_family(nlh, f->family) && ours(mnl_attr_get_str(a));
	}
}

static void find_table(const struct nlmsghdr *nlh, void *arg)
{
	struct bh_nft_found *f = arg;
	const struct nlattr *a;
	f->table = true;
	mnl_attr_for_each(a, nlh, sizeof(struct nfgenmsg))
	{
		if (mnl_attr_get_type(a) == NFTA_TABLE_FLAGS &&
			mnl_attr_validate(a, MNL_TYPE_U32) >= 0)
			f->flags = ntohl(mnl_attr_get_u32(a));
	}
}

static int find_all(struct bh_nft *n, struct bh_nft_found *f)
{
	static const struct {
		uint16_t type;
		const char *table;
		void (*fn)(const struct nlmsghdr *, void *);
	} dumps[] = {
		{NFT_MSG_GETCHAIN, NULL, find_chain},
		{NFT_MSG_GETSET, BH_TABLE, find_set},
		{NFT_MSG_GETOBJ, NULL, find_alien},
		{NFT_MSG_GETFLOWTABLE, NULL, find_alien},
	};
	int rc = 0;
	for (size_t i = 0; i < BH_ARRAY_SIZE(dumps) && rc == 0; i++)
		rc = bh_nft_request(n, dumps[i].type, NLM_F_DUMP, f->family, dumps[i].table, NULL,
			dumps[i].fn, f);
	return rc;
}

int bh_nft_find(struct bh_nft *n, uint8_t table, struct bh_nft_found *ret)
{
	ret->family = bh_nft_family(table);
	int rc = bh_nft_request(
		n, NFT_MSG_GETTABLE, 0, ret->family, BH_TABLE, NULL, find_table, ret);
	if (rc < 0)
		return rc == -ENOENT ? 0 : rc;
	return find_all(n, ret);
}

void bh_nft_found_finish(struct bh_nft_found *f)
{
	for (size_t i = 0; i < f->n_chains; i++)
		free(f->chain[i].name);
	for (size_t i = 0; i < f->n_sets; i++)
		free(f->set[i]);
	free(f->chain);
	free(f->set);
	*f = (struct bh_nft_found){0};
}

/* Counters are collected first, so that nobody is told about a dump that was void. */
struct counters {
	struct counted {
		char *chain, *comment;
		uint64_t packets, bytes;
	} * item;
	size_t n, cap;
};

static void counters_finish(struct counters *c)
{
	for (size_t i = 0; i < c->n; i++) {
		free(c->item[i].chain);
		free(c->item[i].comment);
	}
	free(c->item);
	*c = (struct counters){0};
}

static int find_comment(const struct nftnl_udata *u, void *arg)
{
	const char **comment = arg;
	const char *text = nftnl_udata_get(u);
	uint8_t len = nftnl_udata_len(u);
	if (nftnl_udata_type(u) == NFTNL_UDATA_RULE_COMMENT && len && !text[len - 1])
		*comment = text;
	return 0;
}

static void count_rule(struct counters *c, struct nftnl_rule *r)
{
	struct nftnl_expr_iter *it = bh_nft_must(nftnl_expr_iter_create(r));
	const char *comment = NULL, *chain = nftnl_rule_get_str(r, NFTNL_RULE_CHAIN);
	struct nftnl_expr *e;
	uint32_t len = 0;
	const void *udata = nftnl_rule_get_data(r, NFTNL_RULE_USERDATA, &len);
	if (udata)
		nftnl_udata_parse(udata, len, find_comment, &comment);
	while ((e = nftnl_expr_iter_next(it))) {
		const char *name = nftnl_expr_get_str(e, NFTNL_EXPR_NAME);
		if (!name || strcmp(name, "counter") != 0)
			continue;
		BH_GROW(c->item, c->n, c->cap);
		c->item[c->n++] = (struct counted){
			.chain = bh_xstrdup(chain),
			.comment = bh_xstrdup(comment),
			.packets = nftnl_expr_get_u64(e, NFTNL_EXPR_CTR_PACKETS),
			.bytes = nftnl_expr_get_u64(e, NFTNL_EXPR_CTR_BYTES),
		};
		break;
	}
	nftnl_expr_iter_destroy(it);
}

static void read_rule(const struct nlmsghdr *nlh, void *arg)
{
	struct nftnl_rule *r = bh_nft_must(nftnl_rule_alloc());
	if (nftnl_rule_nlmsg_parse(nlh, r) == 0 && ours(nftnl_rule_get_str(r, NFTNL_RULE_TABLE)) &&
		nftnl_rule_is_set(r, NFTNL_RULE_CHAIN))
		count_rule(arg, r);
	nftnl_rule_free(r);
}

int bh_nft_counters(struct bh_nft *n, void (*fn)(const struct bh_nft_counter *, void *), void *arg)
{
	__attribute__((cleanup(counters_finish))) struct counters all = {0};
	int rc = -EINTR;
	for (int try = 0; rc == -EINTR && try < DUMP_TRIES; try++) {
		counters_finish(&all);
		rc = bh_nft_request(n, NFT_MSG_GETRULE, NLM_F_DUMP, NFPROTO_INET, BH_TABLE, NULL,
			read_rule, &all);
		if (rc == 0 && n->caps.bridge)
			rc = bh_nft_request(n, NFT_MSG_GETRULE, NLM_F_DUMP, NFPROTO_BRIDGE,
				BH_TABLE, NULL, read_rule, &all);
	}
	if (rc < 0)
		return rc;
	for (size_t i = 0; i < all.n; i++) {
		struct bh_nft_counter c = {all.item[i].chain, all.item[i].comment,
			all.item[i].packets, all.item[i].bytes};
		fn(&c, arg);
	}
	return 0;
}
