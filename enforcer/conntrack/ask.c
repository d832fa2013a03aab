/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Asking for single entries. The flow is known as the forward hook sees it, after DNAT and before
 * SNAT: without DNAT its tuple is the entry's original one, without SNAT it is the reply turned
 * round. So both are asked for, many in one message; the kernel looks each up in its hash.
 */
#include "private.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <linux/netlink.h>

#define FLOWS_PER_SEND 64
#define ASK_ROOM (BH_CT_TUPLE_MAX + 32)

static bool can_ask(const struct bh_flow *f)
{
	return f->proto == BH_TCP || f->proto == BH_UDP || f->proto == BH_SCTP;
}

static void put_tuple(struct nlmsghdr *nlh, const struct bh_flow *f, bool reply)
{
	bool v4 = f->src.family == BH_IPV4;
	size_t len = bh_addr_size(&f->src);
	const struct bh_addr *src = reply ? &f->dst : &f->src, *dst = reply ? &f->src : &f->dst;
	uint16_t sport = reply ? f->dport : f->sport, dport = reply ? f->sport : f->dport;

	struct nlattr *tuple = mnl_attr_nest_start(nlh, reply ? CTA_TUPLE_REPLY : CTA_TUPLE_ORIG);
	struct nlattr *ip = mnl_attr_nest_start(nlh, CTA_TUPLE_IP);
	mnl_attr_put(nlh, v4 ? CTA_IP_V4_SRC : CTA_IP_V6_SRC, len, src->b);
	mnl_attr_put(nlh, v4 ? CTA_IP_V4_DST : CTA_IP_V6_DST, len, dst->b);
	mnl_attr_nest_end(nlh, ip);
	struct nlattr *proto = mnl_attr_nest_start(nlh, CTA_TUPLE_PROTO);
	mnl_attr_put_u8(nlh, CTA_PROTO_NUM, f->proto);
	mnl_attr_put_u16(nlh, CTA_PROTO_SRC_PORT, htons(sport));
	mnl_attr_put_u16(nlh, CTA_PROTO_DST_PORT, htons(dport));
	mnl_attr_nest_end(nlh, proto);
	mnl_attr_nest_end(nlh, tuple);
}

static size_t put_ask(char *buf, const struct bh_flow *f, bool reply, uint32_t seq)
{
	uint8_t family = f->src.family == BH_IPV4 ? AF_INET : AF_INET6;
	struct nlmsghdr *nlh = bh_ct_message(buf, IPCTNL_MSG_CT_GET, 0, family, seq);
	put_tuple(nlh, f, reply);
	return MNL_ALIGN(nlh->nlmsg_len);
}

struct asked {
	const struct bh_flow *flow;
	uint32_t last; /* question */
	bool found[FLOWS_PER_SEND];
	struct bh_ct_entry entry[FLOWS_PER_SEND];
};

/* Questions 2 i and 2 i + 1 are about flow i. Another flow may have such a tuple by translation. */
static void take(struct asked *a, uint32_t question, const struct nlmsghdr *nlh)
{
	size_t i = question / 2;
	const struct bh_flow *want = &a->flow[i], *got = &a->entry[i].flow;
	if (a->found[i] || !bh_ct_parse(nlh, &a->entry[i], NULL))
		return;
	a->found[i] = got->sport == want->sport && got->dport == want->dport &&
		      bh_addr_eq(&got->src, &want->src) && bh_addr_eq(&got->dst, &want->dst);
}

static int on_answer(const struct nlmsghdr *nlh, uint32_t question, void *arg)
{
	struct asked *a = arg;
	const struct nlmsgerr *e = bh_ct_error(nlh);
	if (nlh->nlmsg_type != NLMSG_ERROR)
		take(a, question, nlh);
	else if (e && e->error && e->error != -ENOENT)
		return e->error;
	return question == a->last;
}

static int ask_some(struct bh_ct *ct, struct asked *a, size_t n)
{
	_Alignas(struct nlmsghdr) char buf[2 * FLOWS_PER_SEND * ASK_ROOM];
	size_t len = 0;
	uint32_t first = ct->seq + 1;
	for (size_t i = 0; i < n; i++)
		for (int reply = 0; reply < 2; reply++) {
			uint32_t seq = first + 2 * (uint32_t)i + (uint32_t)reply;
			if (!can_ask(&a->flow[i]))
				continue;
			len += put_ask(buf + len, &a->flow[i], reply, seq);
			ct->seq = seq;
		}
	if (len == 0)
		return 0;
	a->last = ct->seq - first;
	return bh_ct_request(ct, buf, len, first, on_answer, a);
}

int bh_ct_ask(struct bh_ct *ct, const struct bh_flow *flow, size_t n,
	void (*fn)(size_t i, const struct bh_ct_entry *e, void *arg), void *arg)
{
	struct asked a;
	for (size_t at = 0; at < n; at += FLOWS_PER_SEND) {
		size_t some = n - at < FLOWS_PER_SEND ? n - at : FLOWS_PER_SEND;
		a.flow = flow + at;
		memset(a.found, 0, sizeof(a.found));
		int rc = ask_some(ct, &a, some);
		if (rc < 0)
			return rc;
		for (size_t i = 0; i < some; i++)
			fn(at + i, a.found[i] ? &a.entry[i] : NULL, arg);
	}
	return 0;
}
