/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A rule as a message: matches, counter, action, and the comment in nft's user data. */
#include "private.h"

#include <errno.h>
#include <libnftnl/expr.h>
#include <libnftnl/rule.h>
#include <libnftnl/udata.h>

void bh_nft_put_rules_del(struct bh_nft_batch *b, uint8_t table, const char *chain)
{
	struct nlmsghdr *nlh =
		bh_nft_batch_add(b, table, NFT_MSG_DELRULE, 0, BH_NFT_RULES, chain, 0);
	mnl_attr_put_strz(nlh, NFTA_RULE_TABLE, BH_TABLE);
	if (chain)
		mnl_attr_put_strz(nlh, NFTA_RULE_CHAIN, chain);
	bh_nft_batch_done(b, nlh);
}

static int set_comment(struct nftnl_rule *r, const char *comment)
{
	if (!comment)
		return 0;
	if (strlen(comment) > BH_COMMENT_MAX)
		return -EINVAL;
	struct nftnl_udata_buf *u = bh_nft_must(nftnl_udata_buf_alloc(256));
	nftnl_udata_put_strz(u, NFTNL_UDATA_RULE_COMMENT, comment);
	nftnl_rule_set_data(
		r, NFTNL_RULE_USERDATA, nftnl_udata_buf_data(u), nftnl_udata_buf_len(u));
	nftnl_udata_buf_free(u);
	return 0;
}

static int fill(struct nftnl_rule *nr, const struct bh_rule *rule, const struct bh_nft_caps *caps,
	const struct bh_nft_place *place)
{
	struct bh_nft_known known = {0};
	int rc = 0;
	for (size_t i = 0; i < rule->n && rc == 0; i++)
		rc = bh_nft_add_match(nr, &rule->match[i], &known, place);
	if (rc == 0 && rule->counter)
		nftnl_rule_add_expr(nr, bh_nft_must(nftnl_expr_alloc("counter")));
	if (rc == 0)
		rc = bh_nft_add_action(nr, rule, &known, caps, place->table);
	return rc ? rc : set_comment(nr, rule->comment);
}

int bh_nft_put_rules(
	struct bh_nft_batch *b, const struct bh_nft_caps *caps, const struct bh_chain *c)
{
	int rc = 0;
	for (size_t i = 0; i < c->n && rc == 0; i++) {
		struct bh_nft_place place = {b, c->table, c->name, i};
		struct nftnl_rule *nr = bh_nft_must(nftnl_rule_alloc());
		nftnl_rule_set_str(nr, NFTNL_RULE_TABLE, BH_TABLE);
		nftnl_rule_set_str(nr, NFTNL_RULE_CHAIN, c->name);
		rc = fill(nr, &c->rule[i], caps, &place);
		/* The message comes after those of the rule's anonymous sets. */
		struct nlmsghdr *nlh = bh_nft_batch_add(b, c->table, NFT_MSG_NEWRULE,
			NLM_F_CREATE | NLM_F_APPEND, BH_NFT_RULE, c->name, i);
		if (rc == 0)
			nftnl_rule_nlmsg_build_payload(nlh, nr);
		bh_nft_batch_done(b, nlh);
		nftnl_rule_free(nr);
	}
	return rc;
}
