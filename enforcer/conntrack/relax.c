/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Flows whose packets went another way for a while. Conntrack knows their windows of then, and
 * would take what they send now for nobody's (ct state invalid). What the kernel's own flow tables
 * do when they hand a flow back can be said from outside too: be liberal with both of its ends
 * (IP_CT_TCP_FLAG_BE_LIBERAL, linux/netfilter/nf_conntrack_tcp.h).
 */
#include "private.h"

#include <linux/netfilter/nf_conntrack_tcp.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <linux/netlink.h>

static size_t put_relax(char *buf, const struct bh_ct_name *name, uint32_t seq)
{
	const struct nf_ct_tcp_flags liberal = {
		IP_CT_TCP_FLAG_BE_LIBERAL, IP_CT_TCP_FLAG_BE_LIBERAL};
	struct nlmsghdr *nlh;

	bh_ct_put_name(buf, IPCTNL_MSG_CT_NEW, name, seq, &nlh);
	struct nlattr *info = mnl_attr_nest_start(nlh, CTA_PROTOINFO);
	struct nlattr *tcp = mnl_attr_nest_start(nlh, CTA_PROTOINFO_TCP);
	if (name->unseen) /* else it would wait for one of the original direction */
		mnl_attr_put_u8(nlh, CTA_PROTOINFO_TCP_STATE, TCP_CONNTRACK_ESTABLISHED);
	mnl_attr_put(nlh, CTA_PROTOINFO_TCP_FLAGS_ORIGINAL, sizeof(liberal), &liberal);
	mnl_attr_put(nlh, CTA_PROTOINFO_TCP_FLAGS_REPLY, sizeof(liberal), &liberal);
	mnl_attr_nest_end(nlh, tcp);
	mnl_attr_nest_end(nlh, info);
	return MNL_ALIGN(nlh->nlmsg_len);
}

int bh_ct_relax(struct bh_ct *ct, const struct bh_ct_found *f)
{
	return bh_ct_send_found(ct, f, put_relax);
}
