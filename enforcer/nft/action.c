/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What a rule does in the end, as nftables expressions.
 *
 * To queue, kernels without nft_queue (WSL2 and other trimmed configurations) have the NFQUEUE
 * target of xtables behind nft_compat, which serves an inet chain as well, and which nft lists as
 * `queue`. Its parameter block is padded as xtables aligns it.
 */
#include "private.h"

#include <errno.h>
#include <libnftnl/expr.h>
#include <libnftnl/rule.h>
#include <linux/netfilter/x_tables.h>
#include <linux/netfilter/xt_NFQUEUE.h>

#define NFQUEUE_REVISION 3

static void add_verdict(struct nftnl_rule *r, int verdict, const char *chain)
{
	struct nftnl_expr *e = bh_nft_must(nftnl_expr_alloc("immediate"));
	nftnl_expr_set_u32(e, NFTNL_EXPR_IMM_DREG, NFT_REG_VERDICT);
	nftnl_expr_set_u32(e, NFTNL_EXPR_IMM_VERDICT, (uint32_t)verdict);
	if (chain)
		nftnl_expr_set_str(e, NFTNL_EXPR_IMM_CHAIN, chain);
	nftnl_rule_add_expr(r, e);
}

static void add_queue_native(struct nftnl_rule *r, uint16_t num, bool bypass)
{
	struct nftnl_expr *e = bh_nft_must(nftnl_expr_alloc("queue"));
	nftnl_expr_set_u16(e, NFTNL_EXPR_QUEUE_NUM, num);
	nftnl_expr_set_u16(e, NFTNL_EXPR_QUEUE_TOTAL, 1);
	nftnl_expr_set_u16(e, NFTNL_EXPR_QUEUE_FLAGS, bypass ? NFT_QUEUE_FLAG_BYPASS : 0);
	nftnl_rule_add_expr(r, e);
}

static void add_queue_compat(struct nftnl_rule *r, uint16_t num, bool bypass)
{
	struct xt_NFQ_info_v3 info = {
		.queuenum = num, .queues_total = 1, .flags = bypass ? NFQ_FLAG_BYPASS : 0};
	size_t size = XT_ALIGN(sizeof(info));
	uint8_t *block = bh_xcalloc(1, size);
	memcpy(block, &info, sizeof(info));
	struct nftnl_expr *e = bh_nft_must(nftnl_expr_alloc("target"));
	nftnl_expr_set_str(e, NFTNL_EXPR_TG_NAME, "NFQUEUE");
	nftnl_expr_set_u32(e, NFTNL_EXPR_TG_REV, NFQUEUE_REVISION);
	nftnl_expr_set(e, NFTNL_EXPR_TG_INFO, block, (uint32_t)size); /* takes block */
	nftnl_rule_add_expr(r, e);
	/* What nft_compat checks a target's own protocol restriction against: any protocol. */
	nftnl_rule_set_u32(r, NFTNL_RULE_COMPAT_PROTO, 0);
	nftnl_rule_set_u32(r, NFTNL_RULE_COMPAT_FLAGS, 0);
}

void bh_nft_add_queue(struct nftnl_rule *r, bool native, uint16_t num, bool bypass)
{
	if (native)
		add_queue_native(r, num, bypass);
	else
		add_queue_compat(r, num, bypass);
}

/* A copy for whoever listens to the group; nobody there, or too slow: the packet goes on as it is.
 */
void bh_nft_add_log(struct nftnl_rule *r, uint16_t group, uint32_t snap_len)
{
	struct nftnl_expr *e = bh_nft_must(nftnl_expr_alloc("log"));
	nftnl_expr_set_u16(e, NFTNL_EXPR_LOG_GROUP, group);
	nftnl_expr_set_u32(e, NFTNL_EXPR_LOG_SNAPLEN, snap_len);
	nftnl_rule_add_expr(r, e);
}

void bh_nft_add_reject(struct nftnl_rule *r, uint32_t type, uint8_t code)
{
	struct nftnl_expr *e = bh_nft_must(nftnl_expr_alloc("reject"));
	nftnl_expr_set_u32(e, NFTNL_EXPR_REJECT_TYPE, type);
	nftnl_expr_set_u8(e, NFTNL_EXPR_REJECT_CODE, code);
	nftnl_rule_add_expr(r, e);
}

int bh_nft_add_action(struct nftnl_rule *r, const struct bh_rule *rule, struct bh_nft_known *known,
	const struct bh_nft_caps *caps, uint8_t table)
{
	switch (rule->action) {
	case BH_ACT_NONE:
		return 0;
	case BH_ACT_ACCEPT:
		add_verdict(r, NF_ACCEPT, NULL);
		return 0;
	case BH_ACT_DROP:
		add_verdict(r, NF_DROP, NULL);
		return 0;
	case BH_ACT_RETURN:
		add_verdict(r, NFT_RETURN, NULL);
		return 0;
	case BH_ACT_JUMP:
	case BH_ACT_GOTO:
		if (!rule->target)
			return -EINVAL;
		add_verdict(r, rule->action == BH_ACT_JUMP ? NFT_JUMP : NFT_GOTO, rule->target);
		return 0;
	case BH_ACT_QUEUE:
		if (!caps->native_queue && !caps->compat_queue)
			return -EOPNOTSUPP;
		bh_nft_add_queue(r, caps->native_queue, rule->queue_num, rule->bypass);
		return 0;
	case BH_ACT_LOG:
		if (!caps->log)
			return -EOPNOTSUPP;
		bh_nft_add_log(r, rule->queue_num, rule->snap_len);
		return 0;
	case BH_ACT_VMAP_SADDR:
	case BH_ACT_VMAP_DADDR:
		if (!rule->target)
			return -EINVAL;
		bh_nft_add_vmap(r, rule->family, rule->action == BH_ACT_VMAP_SADDR, rule->target,
			known, table);
		return 0;
	case BH_ACT_REJECT_TCP_RESET:
		bh_nft_need_l4proto(r, IPPROTO_TCP, known);
		bh_nft_add_reject(r, NFT_REJECT_TCP_RST, 0);
		return 0;
	case BH_ACT_REJECT_ADMIN:
		bh_nft_add_reject(r, NFT_REJECT_ICMPX_UNREACH, NFT_REJECT_ICMPX_ADMIN_PROHIBITED);
		return 0;
	}
	return -EINVAL;
}
