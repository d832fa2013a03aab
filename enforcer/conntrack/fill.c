/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * How full the table is, and what the kernel dropped for want of room in it: two questions, since
 * the entries are counted for all and the drops by CPU.
 */
#include "private.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <linux/netlink.h>

static uint32_t number(const struct nlattr *a)
{
	return mnl_attr_validate(a, MNL_TYPE_U32) < 0 ? 0 : ntohl(mnl_attr_get_u32(a));
}

static int on_global(const struct nlmsghdr *nlh, uint32_t question BH_UNUSED, void *arg)
{
	struct bh_ct_fill *f = arg;
	const struct nlmsgerr *e = bh_ct_error(nlh);
	const struct nlattr *a;

	if (nlh->nlmsg_type == NLMSG_ERROR)
		return e && e->error ? e->error : -EPROTO;
	mnl_attr_for_each(a, nlh, sizeof(struct nfgenmsg))
	{
		if (mnl_attr_get_type(a) == CTA_STATS_GLOBAL_ENTRIES)
			f->entries = number(a);
		else if (mnl_attr_get_type(a) == CTA_STATS_GLOBAL_MAX_ENTRIES)
			f->max = number(a);
	}
	return 1;
}

static int on_cpu(const struct nlmsghdr *nlh, uint32_t question BH_UNUSED, void *arg)
{
	struct bh_ct_fill *f = arg;
	const struct nlmsgerr *e = bh_ct_error(nlh);
	const struct nlattr *a;

	if (nlh->nlmsg_type == NLMSG_DONE)
		return 1;
	if (nlh->nlmsg_type == NLMSG_ERROR)
		return e && e->error ? e->error : -EPROTO;
	mnl_attr_for_each(a, nlh, sizeof(struct nfgenmsg))
	{
		if (mnl_attr_get_type(a) == CTA_STATS_DROP)
			f->dropped += number(a);
	}
	return 0;
}

static int ask(struct bh_ct *ct, uint16_t what, uint16_t flags,
	int (*fn)(const struct nlmsghdr *, uint32_t, void *), struct bh_ct_fill *f)
{
	_Alignas(struct nlmsghdr) char buf[MNL_NLMSG_HDRLEN + sizeof(struct nfgenmsg)];
	uint32_t seq = ++ct->seq;
	const struct nlmsghdr *nlh = bh_ct_message(buf, what, flags, AF_UNSPEC, seq);

	return bh_ct_request(ct, nlh, nlh->nlmsg_len, seq, fn, f);
}

int bh_ct_fill(struct bh_ct *ct, struct bh_ct_fill *ret)
{
	*ret = (struct bh_ct_fill){0};
	int r = ask(ct, IPCTNL_MSG_CT_GET_STATS, 0, on_global, ret);
	return r < 0 ? r : ask(ct, IPCTNL_MSG_CT_GET_STATS_CPU, NLM_F_DUMP, on_cpu, ret);
}
