/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What messages of rtnetlink say of a link or an address, be they answers or notices. */
#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/net_namespace.h>
#include <linux/rtnetlink.h>

#include "link/private.h"

static void copy_string(char *to, size_t size, const struct nlattr *attr)
{
	size_t n = mnl_attr_get_payload_len(attr);

	n = strnlen(mnl_attr_get_payload(attr), n);
	if (n > size - 1)
		n = size - 1;
	memcpy(to, mnl_attr_get_payload(attr), n);
	to[n] = '\0';
}

static uint32_t u32(const struct nlattr *attr)
{
	return mnl_attr_get_payload_len(attr) >= 4 ? mnl_attr_get_u32(attr) : 0;
}

static void link_attr(const struct nlattr *attr, struct bh_link_info *i)
{
	const struct nlattr *inner;

	switch (mnl_attr_get_type(attr)) {
	case IFLA_IFNAME:
		copy_string(i->name, sizeof(i->name), attr);
		break;
	case IFLA_ADDRESS: /* tunnels have addresses of other lengths */
		if (mnl_attr_get_payload_len(attr) == sizeof(i->mac))
			memcpy(i->mac, mnl_attr_get_payload(attr), sizeof(i->mac));
		break;
	case IFLA_LINK:
		i->lower = u32(attr);
		break;
	case IFLA_LINK_NETNSID:
		i->lower_nsid = (int32_t)u32(attr);
		break;
	case IFLA_MASTER:
		i->master = u32(attr);
		break;
	case IFLA_TARGET_NETNSID:
		i->target_nsid = (int32_t)u32(attr);
		break;
	case IFLA_LINKINFO:
		mnl_attr_for_each_nested(inner, attr)
		{
			if (mnl_attr_get_type(inner) == IFLA_INFO_KIND)
				copy_string(i->kind, sizeof(i->kind), inner);
		}
		break;
	}
}

bool bh_link_parse_link(const struct nlmsghdr *nlh, struct bh_link_info *ret)
{
	const struct ifinfomsg *ifi = mnl_nlmsg_get_payload(nlh);
	const struct nlattr *attr;

	if (mnl_nlmsg_get_payload_len(nlh) < sizeof(*ifi))
		return false;
	*ret = (struct bh_link_info){
		.ifindex = (unsigned)ifi->ifi_index,
		.flags = ifi->ifi_flags,
		.lower_nsid = BH_NSID_NONE,
		.target_nsid = BH_NSID_NONE,
	};
	mnl_attr_for_each(attr, nlh, sizeof(*ifi)) link_attr(attr, ret);
	return true;
}

static struct bh_addr read_addr(uint8_t family, const struct nlattr *attr)
{
	size_t size = family == AF_INET ? 4 : 16;

	if (mnl_attr_get_payload_len(attr) != size)
		return (struct bh_addr){};
	return bh_addr_from_bytes(
		family == AF_INET ? BH_IPV4 : BH_IPV6, mnl_attr_get_payload(attr));
}

static struct bh_prefix subnet_of(const struct bh_addr *a, unsigned len)
{
	struct bh_prefix p = {.addr = *a, .len = (uint8_t)len};

	for (unsigned bit = len; bit < bh_addr_bits(a); bit++)
		p.addr.b[bit / 8] &= (uint8_t) ~(0x80 >> bit % 8);
	return p;
}

/* IFA_LOCAL is there with IPv4, and with a peer, whom IFA_ADDRESS then names. */
static bool complete(struct bh_addr_info *i, const struct bh_addr *addr, unsigned len)
{
	const struct bh_addr *peer = addr->family != 0 ? addr : &i->local;

	if (i->local.family == 0)
		i->local = *addr;
	if (peer->family == 0 || len > bh_addr_bits(peer))
		return false;
	i->subnet = subnet_of(peer, len);
	return true;
}

/* The kernel's own account: nothing that a namespace's owner can set. */
static uint32_t made(const struct nlattr *attr)
{
	struct ifa_cacheinfo info = {};

	if (mnl_attr_get_payload_len(attr) >= sizeof(info))
		memcpy(&info, mnl_attr_get_payload(attr), sizeof(info));
	return info.cstamp;
}

bool bh_link_parse_addr(const struct nlmsghdr *nlh, struct bh_addr_info *ret)
{
	const struct ifaddrmsg *ifa = mnl_nlmsg_get_payload(nlh);
	struct bh_addr addr = {};
	const struct nlattr *attr;

	if (mnl_nlmsg_get_payload_len(nlh) < sizeof(*ifa) ||
		(ifa->ifa_family != AF_INET && ifa->ifa_family != AF_INET6))
		return false;
	*ret = (struct bh_addr_info){
		.ifindex = ifa->ifa_index,
		.failed = ifa->ifa_flags & IFA_F_DADFAILED,
		.target_nsid = BH_NSID_NONE,
	};
	mnl_attr_for_each(attr, nlh, sizeof(*ifa))
	{
		if (mnl_attr_get_type(attr) == IFA_ADDRESS)
			addr = read_addr(ifa->ifa_family, attr);
		else if (mnl_attr_get_type(attr) == IFA_LOCAL)
			ret->local = read_addr(ifa->ifa_family, attr);
		else if (mnl_attr_get_type(attr) == IFA_CACHEINFO)
			ret->made = made(attr);
		else if (mnl_attr_get_type(attr) == IFA_TARGET_NETNSID)
			ret->target_nsid = (int32_t)u32(attr);
	}
	return complete(ret, &addr, ifa->ifa_prefixlen);
}

bool bh_link_parse_nsid(const struct nlmsghdr *nlh, int32_t *ret)
{
	const struct nlattr *attr;
	bool found = false;

	if (mnl_nlmsg_get_payload_len(nlh) < sizeof(struct rtgenmsg))
		return false;
	mnl_attr_for_each(attr, nlh, sizeof(struct rtgenmsg))
	{
		if (mnl_attr_get_type(attr) != NETNSA_NSID ||
			mnl_attr_get_payload_len(attr) != sizeof(int32_t))
			continue;
		*ret = (int32_t)mnl_attr_get_u32(attr);
		found = true;
	}
	return found;
}
