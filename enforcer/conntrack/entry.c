/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A ctnetlink message as an entry.
 *
 * "Answered" is taken from the status bits, which every message carries, and not from the protocol
 * state, which has forgotten by the end how it got there: IPS_ASSURED is set for TCP by the packet
 * that completes the handshake (net/netfilter/nf_conntrack_proto_tcp.c), for SCTP by COOKIE ACK,
 * and stays until the end. So a port that resets, and a half-open scan of an open one, are not
 * answered; neither is an SCTP port that aborts, although it sent a reply.
 */
#include "private.h"

#include <arpa/inet.h>
#include <endian.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/nf_conntrack_tcp.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <netinet/in.h>

/* Attributes by type; those beyond `max` and those of a wrong shape are left out. */
struct table {
	const struct nlattr **tb;
	uint16_t max;
};

static int collect(const struct nlattr *a, void *arg)
{
	struct table *t = arg;
	uint16_t type = mnl_attr_get_type(a);
	if (type <= t->max)
		t->tb[type] = a;
	return MNL_CB_OK;
}

static void parse_nested(const struct nlattr *nest, const struct nlattr **tb, uint16_t max)
{
	struct table t = {tb, max};
	if (nest)
		mnl_attr_parse_nested(nest, collect, &t);
}

static bool is_size(const struct nlattr *a, size_t size)
{
	return a && mnl_attr_get_payload_len(a) == size;
}

static uint32_t get_be32(const struct nlattr *a)
{
	return is_size(a, 4) ? ntohl(mnl_attr_get_u32(a)) : 0;
}

static uint16_t get_be16(const struct nlattr *a)
{
	return is_size(a, 2) ? ntohs(mnl_attr_get_u16(a)) : 0;
}

static uint8_t get_u8(const struct nlattr *a)
{
	return is_size(a, 1) ? mnl_attr_get_u8(a) : 0;
}

/* One direction. */
struct tuple {
	struct bh_addr src, dst;
	uint8_t proto, icmp_type, icmp_code;
	uint16_t sport, dport;
};

static bool parse_addrs(const struct nlattr *nest, uint8_t family, struct tuple *ret)
{
	const struct nlattr *tb[CTA_IP_MAX + 1] = {0};
	bool v4 = family == AF_INET;
	size_t size = v4 ? 4 : 16;
	parse_nested(nest, tb, CTA_IP_MAX);
	const struct nlattr *src = tb[v4 ? CTA_IP_V4_SRC : CTA_IP_V6_SRC];
	const struct nlattr *dst = tb[v4 ? CTA_IP_V4_DST : CTA_IP_V6_DST];
	if (!is_size(src, size) || !is_size(dst, size))
		return false;
	ret->src = bh_addr_from_bytes(v4 ? BH_IPV4 : BH_IPV6, mnl_attr_get_payload(src));
	ret->dst = bh_addr_from_bytes(v4 ? BH_IPV4 : BH_IPV6, mnl_attr_get_payload(dst));
	return true;
}

static bool parse_tuple(const struct nlattr *nest, uint8_t family, struct tuple *ret)
{
	const struct nlattr *tb[CTA_TUPLE_MAX + 1] = {0}, *p[CTA_PROTO_MAX + 1] = {0};
	*ret = (struct tuple){0};
	parse_nested(nest, tb, CTA_TUPLE_MAX);
	if (!parse_addrs(tb[CTA_TUPLE_IP], family, ret))
		return false;
	parse_nested(tb[CTA_TUPLE_PROTO], p, CTA_PROTO_MAX);
	if (!is_size(p[CTA_PROTO_NUM], 1))
		return false;
	ret->proto = get_u8(p[CTA_PROTO_NUM]);
	switch (ret->proto) {
	case IPPROTO_TCP:
	case IPPROTO_UDP:
	case IPPROTO_SCTP:
		ret->sport = get_be16(p[CTA_PROTO_SRC_PORT]);
		ret->dport = get_be16(p[CTA_PROTO_DST_PORT]);
		break;
	case IPPROTO_ICMP:
		ret->icmp_type = get_u8(p[CTA_PROTO_ICMP_TYPE]);
		ret->icmp_code = get_u8(p[CTA_PROTO_ICMP_CODE]);
		break;
	case IPPROTO_ICMPV6:
		ret->icmp_type = get_u8(p[CTA_PROTO_ICMPV6_TYPE]);
		ret->icmp_code = get_u8(p[CTA_PROTO_ICMPV6_CODE]);
		break;
	}
	return true;
}

static uint8_t parse_tcp_state(const struct nlattr *nest)
{
	const struct nlattr *tb[CTA_PROTOINFO_MAX + 1] = {0}, *t[CTA_PROTOINFO_TCP_MAX + 1] = {0};
	parse_nested(nest, tb, CTA_PROTOINFO_MAX);
	parse_nested(tb[CTA_PROTOINFO_TCP], t, CTA_PROTOINFO_TCP_MAX);
	return get_u8(t[CTA_PROTOINFO_TCP_STATE]);
}

static uint64_t get_be64(const struct nlattr *a)
{
	return is_size(a, 8) ? be64toh(mnl_attr_get_u64(a)) : 0;
}

static void parse_counters(const struct nlattr *nest, uint64_t *packets, uint64_t *bytes)
{
	const struct nlattr *tb[CTA_COUNTERS_MAX + 1] = {0};
	parse_nested(nest, tb, CTA_COUNTERS_MAX);
	*packets = get_be64(tb[CTA_COUNTERS_PACKETS]);
	*bytes = get_be64(tb[CTA_COUNTERS_BYTES]);
}

static void parse_times(const struct nlattr *nest, struct bh_ct_entry *e)
{
	const struct nlattr *tb[CTA_TIMESTAMP_MAX + 1] = {0};
	parse_nested(nest, tb, CTA_TIMESTAMP_MAX);
	e->start = (int64_t)(get_be64(tb[CTA_TIMESTAMP_START]) / 1000);
	e->stop = (int64_t)(get_be64(tb[CTA_TIMESTAMP_STOP]) / 1000);
}

static bool is_answered(uint8_t proto, uint32_t status)
{
	if (proto == IPPROTO_TCP || proto == IPPROTO_SCTP)
		return status & IPS_ASSURED;
	return status & IPS_SEEN_REPLY;
}

static bool parse_flow(const struct nlattr **tb, uint8_t family, struct bh_ct_entry *e)
{
	struct tuple orig, reply;
	if (!tb[CTA_TUPLE_ORIG] || !tb[CTA_TUPLE_REPLY] ||
		!parse_tuple(tb[CTA_TUPLE_ORIG], family, &orig) ||
		!parse_tuple(tb[CTA_TUPLE_REPLY], family, &reply))
		return false;
	e->flow = (struct bh_flow){
		.src = orig.src,
		.dst = reply.src,
		.proto = orig.proto,
		.sport = orig.sport,
		.dport = reply.sport,
		.icmp_type = orig.icmp_type,
		.icmp_code = orig.icmp_code,
	};
	e->orig_dst = orig.dst;
	e->orig_dport = orig.dport;
	return true;
}

static bool parse_name(const struct nlattr **tb, uint8_t family, struct bh_ct_name *ret)
{
	size_t len = mnl_attr_get_payload_len(tb[CTA_TUPLE_ORIG]);
	if (len > sizeof(ret->tuple) || !is_size(tb[CTA_ID], 4))
		return false;
	*ret = (struct bh_ct_name){.family = family, .len = (uint16_t)len};
	memcpy(ret->tuple, mnl_attr_get_payload(tb[CTA_TUPLE_ORIG]), len);
	ret->id = mnl_attr_get_u32(tb[CTA_ID]);
	ret->has_zone = is_size(tb[CTA_ZONE], 2);
	if (ret->has_zone)
		ret->zone = mnl_attr_get_u16(tb[CTA_ZONE]);
	return true;
}

static bool event_of(const struct nlmsghdr *nlh, enum bh_ct_event *ret)
{
	if (nlh->nlmsg_len < NLMSG_LENGTH(sizeof(struct nfgenmsg)) ||
		NFNL_SUBSYS_ID(nlh->nlmsg_type) != NFNL_SUBSYS_CTNETLINK)
		return false;
	if (NFNL_MSG_TYPE(nlh->nlmsg_type) == IPCTNL_MSG_CT_DELETE)
		*ret = BH_CT_DESTROY;
	else if (NFNL_MSG_TYPE(nlh->nlmsg_type) == IPCTNL_MSG_CT_NEW)
		*ret = BH_CT_THERE;
	else
		return false;
	return true;
}

bool bh_ct_parse(const struct nlmsghdr *nlh, struct bh_ct_entry *ret, struct bh_ct_name *ret_name)
{
	const struct nlattr *tb[CTA_MAX + 1] = {0};
	struct table t = {tb, CTA_MAX};
	struct bh_ct_entry e = {0};
	if (!event_of(nlh, &e.event))
		return false;
	const struct nfgenmsg *nfg = mnl_nlmsg_get_payload(nlh);
	uint8_t family = nfg->nfgen_family;
	if (family != AF_INET && family != AF_INET6)
		return false;
	if (mnl_attr_parse(nlh, sizeof(*nfg), collect, &t) < 0 || !parse_flow(tb, family, &e))
		return false;
	if (ret_name && !parse_name(tb, family, ret_name))
		return false;
	e.status = get_be32(tb[CTA_STATUS]);
	e.tcp_state = e.flow.proto == IPPROTO_TCP ? parse_tcp_state(tb[CTA_PROTOINFO]) : 0;
	if (ret_name)
		ret_name->unseen = e.flow.proto == IPPROTO_TCP && tb[CTA_PROTOINFO] &&
				   e.tcp_state == TCP_CONNTRACK_NONE;
	e.answered = is_answered(e.flow.proto, e.status);
	e.id = get_be32(tb[CTA_ID]);
	e.mark = get_be32(tb[CTA_MARK]);
	parse_counters(tb[CTA_COUNTERS_ORIG], &e.packets[0], &e.bytes[0]);
	parse_counters(tb[CTA_COUNTERS_REPLY], &e.packets[1], &e.bytes[1]);
	parse_times(tb[CTA_TIMESTAMP], &e);
	*ret = e;
	return true;
}

uint32_t bh_ct_left(const struct nlmsghdr *nlh)
{
	const struct nlattr *tb[CTA_MAX + 1] = {0};
	struct table t = {tb, CTA_MAX};
	if (mnl_attr_parse(nlh, sizeof(struct nfgenmsg), collect, &t) < 0)
		return 0;
	return get_be32(tb[CTA_TIMEOUT]);
}
