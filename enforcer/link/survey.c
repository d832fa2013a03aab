/* SPDX-License-Identifier: GPL-3.0-or-later */
/* All interfaces of our namespace, as somebody looks at them who wants to know what takes frames
 * past the rules. */
#include <errno.h>
#include <linux/if_bridge.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>

#include "link/private.h"

#define ATTEMPTS 10
#define LINKS_MAX 65536

static struct bh_link_seen *find(struct bh_link_survey *s, unsigned ifindex)
{
	size_t lo = 0, hi = s->n;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		if (s->item[mid].ifindex < ifindex)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo < s->n && s->item[lo].ifindex == ifindex ? &s->item[lo] : NULL;
}

const struct bh_link_seen *bh_link_seen(const struct bh_link_survey *s, unsigned ifindex)
{
	return find((struct bh_link_survey *)s, ifindex);
}

static bool is_on(const struct nlattr *a)
{
	return mnl_attr_get_payload_len(a) >= 1 && *(const uint8_t *)mnl_attr_get_payload(a) != 0;
}

static void bridge_attrs(const struct nlattr *data, struct bh_link_seen *ret)
{
	const struct nlattr *a;

	mnl_attr_for_each_nested(a, data)
	{
		if (mnl_attr_get_type(a) == IFLA_BR_NF_CALL_IPTABLES)
			ret->nf4 = is_on(a);
		if (mnl_attr_get_type(a) == IFLA_BR_NF_CALL_IP6TABLES)
			ret->nf6 = is_on(a);
		if (mnl_attr_get_type(a) == IFLA_BR_VLAN_FILTERING)
			ret->vlans = is_on(a);
	}
}

/* Answered also if none is attached: IFLA_XDP_ATTACHED then says so. */
static bool has_xdp(const struct nlattr *nest)
{
	const struct nlattr *a;

	mnl_attr_for_each_nested(a, nest)
	{
		if (mnl_attr_get_type(a) == IFLA_XDP_ATTACHED)
			return is_on(a);
	}
	return false;
}

static void on_link(const struct nlmsghdr *nlh, void *arg)
{
	struct bh_link_survey *s = arg;
	const struct nlattr *a, *inner;
	struct bh_link_info i;

	if (nlh->nlmsg_type != RTM_NEWLINK || !bh_link_parse_link(nlh, &i) || s->n >= LINKS_MAX)
		return;
	struct bh_link_seen seen = {.ifindex = i.ifindex, .master = i.master};
	memcpy(seen.name, i.name, sizeof(seen.name));
	memcpy(seen.kind, i.kind, sizeof(seen.kind));
	seen.elsewhere = bh_streq(i.kind, "veth") && i.lower_nsid != BH_NSID_NONE;
	mnl_attr_for_each(a, nlh, sizeof(struct ifinfomsg))
	{
		if (mnl_attr_get_type(a) == IFLA_XDP)
			seen.xdp = has_xdp(a);
		if (mnl_attr_get_type(a) != IFLA_LINKINFO || !bh_streq(i.kind, "bridge"))
			continue;
		mnl_attr_for_each_nested(inner, a)
		{
			if (mnl_attr_get_type(inner) == IFLA_INFO_DATA)
				bridge_attrs(inner, &seen);
		}
	}
	BH_GROW(s->item, s->n, s->cap);
	s->item[s->n++] = seen;
}

/* A frame of such a VLAN goes through the bridge's forward hook with its tag on, as no IP frame. */
static void on_port(const struct nlmsghdr *nlh, void *arg)
{
	const struct ifinfomsg *ifi = mnl_nlmsg_get_payload(nlh);
	const struct nlattr *a, *inner;

	if (nlh->nlmsg_type != RTM_NEWLINK || mnl_nlmsg_get_payload_len(nlh) < sizeof(*ifi))
		return;
	struct bh_link_seen *seen = find(arg, (unsigned)ifi->ifi_index);
	mnl_attr_for_each(a, nlh, sizeof(*ifi))
	{
		if (!seen || mnl_attr_get_type(a) != IFLA_AF_SPEC)
			continue;
		mnl_attr_for_each_nested(inner, a)
		{
			struct bridge_vlan_info v;
			if (mnl_attr_get_type(inner) != IFLA_BRIDGE_VLAN_INFO ||
				mnl_attr_get_payload_len(inner) < sizeof(v))
				continue;
			memcpy(&v, mnl_attr_get_payload(inner), sizeof(v));
			if (!(v.flags & BRIDGE_VLAN_INFO_UNTAGGED))
				seen->vlan = v.vid;
		}
	}
}

static void on_qdisc(const struct nlmsghdr *nlh, void *arg)
{
	const struct tcmsg *tc = mnl_nlmsg_get_payload(nlh);
	const struct nlattr *a;

	if (nlh->nlmsg_type != RTM_NEWQDISC || mnl_nlmsg_get_payload_len(nlh) < sizeof(*tc))
		return;
	struct bh_link_seen *seen = find(arg, (unsigned)tc->tcm_ifindex);
	mnl_attr_for_each(a, nlh, sizeof(*tc))
	{
		if (!seen || mnl_attr_get_type(a) != TCA_KIND ||
			mnl_attr_validate(a, MNL_TYPE_NUL_STRING) < 0)
			continue;
		const char *kind = mnl_attr_get_str(a);
		seen->classifies |= bh_streq(kind, "clsact") || bh_streq(kind, "ingress");
	}
}

static int dump(struct bh_link *l, uint16_t type, unsigned char family, size_t header, uint32_t ext,
	bh_link_message_fn fn, struct bh_link_survey *s)
{
	char buf[256];
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(buf);

	nlh->nlmsg_type = type;
	nlh->nlmsg_flags = NLM_F_DUMP;
	/* The first byte of all three headers. */
	*(unsigned char *)mnl_nlmsg_put_extra_header(nlh, header) = family;
	if (ext)
		mnl_attr_put_u32(nlh, IFLA_EXT_MASK, ext);
	return bh_link_request(l, nlh, fn, s);
}

static int by_ifindex(const void *a, const void *b)
{
	unsigned x = ((const struct bh_link_seen *)a)->ifindex,
		 y = ((const struct bh_link_seen *)b)->ifindex;
	return x < y ? -1 : x > y;
}

static int survey(struct bh_link *l, struct bh_link_survey *s)
{
	int r = dump(l, RTM_GETLINK, AF_UNSPEC, sizeof(struct ifinfomsg), RTEXT_FILTER_SKIP_STATS,
		on_link, s);
	if (r < 0)
		return r;
	if (s->n)
		qsort(s->item, s->n, sizeof(*s->item), by_ifindex);
	r = dump(l, RTM_GETLINK, AF_BRIDGE, sizeof(struct ifinfomsg), RTEXT_FILTER_BRVLAN, on_port,
		s);
	if (r < 0 && r != -EOPNOTSUPP)
		return r;
	return dump(l, RTM_GETQDISC, AF_UNSPEC, sizeof(struct tcmsg), 0, on_qdisc, s);
}

int bh_link_survey(struct bh_link *l, struct bh_link_survey *ret)
{
	struct bh_link_survey s = {0};
	int r = -EINTR;

	for (int i = 0; i < ATTEMPTS && r == -EINTR; i++) {
		s.n = 0;
		r = survey(l, &s);
	}
	if (r < 0)
		bh_link_survey_finish(&s);
	else
		*ret = s;
	return r;
}

void bh_link_survey_finish(struct bh_link_survey *s)
{
	free(s->item);
	*s = (struct bh_link_survey){0};
}
