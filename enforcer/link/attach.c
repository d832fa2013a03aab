/* SPDX-License-Identifier: GPL-3.0-or-later */
/* See attach.h. Formats: linux/pkt_sched.h, pkt_cls.h, if_link.h, if_bridge.h. */
#include "link/attach.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_bridge.h>
#include <linux/if_ether.h>
#include <linux/if_link.h>
#include <linux/pkt_cls.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>

#include "link/private.h"
#include "link/tcx.h"

#define WAY_IN TC_H_MAKE(TC_H_CLSACT, TC_H_MIN_INGRESS)
#define PREFERENCE 1 /* before other filters */
#define HANDLE 1

/* --- what is there --- */

struct port {
	bool there, veth, apart, shaped, xdp;
	unsigned master;
};

static uint8_t byte_of(const struct nlattr *a, uint8_t otherwise)
{
	return a && mnl_attr_validate(a, MNL_TYPE_U8) >= 0 ? mnl_attr_get_u8(a) : otherwise;
}

static void on_port(const struct nlmsghdr *nlh, void *arg)
{
	struct port *p = arg;
	const struct nlattr *a, *xdp;
	struct bh_link_info i;

	if (nlh->nlmsg_type != RTM_NEWLINK || !bh_link_parse_link(nlh, &i))
		return;
	p->there = true;
	p->veth = bh_streq(i.kind, "veth") && i.lower_nsid != BH_NSID_NONE;
	p->master = i.master;
	p->apart = byte_of(bh_link_info(nlh, IFLA_INFO_SLAVE_DATA, IFLA_BRPORT_ISOLATED), 0) != 0 ||
		   byte_of(bh_link_info(nlh, IFLA_INFO_SLAVE_DATA, IFLA_BRPORT_STATE), 0) !=
			   BR_STATE_FORWARDING;
	mnl_attr_for_each(a, nlh, sizeof(struct ifinfomsg))
	{
		if (mnl_attr_get_type(a) == IFLA_QDISC &&
			mnl_attr_validate(a, MNL_TYPE_NUL_STRING) >= 0)
			p->shaped = !bh_streq(mnl_attr_get_str(a), "noqueue");
		if (mnl_attr_get_type(a) != IFLA_XDP)
			continue;
		xdp = bh_link_nested(a, IFLA_XDP_ATTACHED);
		p->xdp = byte_of(xdp, 0) != 0;
	}
}

static void on_bridge(const struct nlmsghdr *nlh, void *arg)
{
	if (nlh->nlmsg_type == RTM_NEWLINK)
		*(bool *)arg =
			byte_of(bh_link_info(nlh, IFLA_INFO_DATA, IFLA_BR_VLAN_FILTERING), 1) != 0;
}

static int get_link(struct bh_link *l, unsigned ifindex, bh_link_message_fn fn, void *arg)
{
	char buf[256];
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(buf);
	nlh->nlmsg_type = RTM_GETLINK;
	struct ifinfomsg *ifi = mnl_nlmsg_put_extra_header(nlh, sizeof(*ifi));
	ifi->ifi_index = (int)ifindex;
	return bh_link_request(l, nlh, fn, arg);
}

const char *bh_link_plain_name(enum bh_link_plain p)
{
	static const char *const name[] = {
		[BH_LINK_NOT_A_PORT] = "it is no port of a bridge",
		[BH_LINK_APART] = "its bridge keeps ports apart",
		[BH_LINK_SHAPED] = "its traffic is shaped",
		[BH_LINK_FILTERED] = "other programs' filters are at it",
	};
	return name[p];
}

int bh_link_is_plain(
	struct bh_link *l, unsigned ifindex, unsigned bridge, const char *name, bool *ret_attached)
{
	struct port p = {0};
	struct bh_link_filters f;
	struct bh_tcx x = {0};
	bool vlans = true;
	int r = bh_link_filters(l, ifindex, name, &f);

	if (r == 0)
		r = bh_tcx_look(ifindex, name, &x);
	*ret_attached = r == 0 && (f.excepted || x.ours);
	if (r == 0)
		r = get_link(l, ifindex, on_port, &p);
	if (r == 0 && !p.there)
		r = -ENODEV;
	if (r < 0)
		return r;
	if (!p.veth || p.master != bridge)
		return BH_LINK_NOT_A_PORT;
	r = get_link(l, bridge, on_bridge, &vlans);
	if (r < 0)
		return r;
	if (p.apart || vlans)
		return BH_LINK_APART;
	if (p.shaped)
		return BH_LINK_SHAPED;
	return p.xdp || f.n > 0 || x.others ? BH_LINK_FILTERED : BH_LINK_PLAIN;
}

/* --- putting there, taking away --- */

static struct nlmsghdr *tc_request(
	char *buf, uint16_t type, uint16_t flags, unsigned ifindex, uint32_t parent)
{
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(buf);
	nlh->nlmsg_type = type;
	nlh->nlmsg_flags = flags;
	struct tcmsg *tc = mnl_nlmsg_put_extra_header(nlh, sizeof(*tc));
	tc->tcm_ifindex = (int)ifindex;
	tc->tcm_parent = parent;
	return nlh;
}

static int put_qdisc(struct bh_link *l, unsigned ifindex)
{
	char buf[256];
	struct nlmsghdr *nlh =
		tc_request(buf, RTM_NEWQDISC, NLM_F_CREATE | NLM_F_EXCL, ifindex, TC_H_CLSACT);
	((struct tcmsg *)mnl_nlmsg_get_payload(nlh))->tcm_handle = TC_H_MAKE(TC_H_CLSACT, 0);
	mnl_attr_put_strz(nlh, TCA_KIND, "clsact");
	int r = bh_link_request(l, nlh, NULL, NULL);
	return r == -EEXIST ? 0 : r;
}

static int put_filter(struct bh_link *l, unsigned ifindex, int program, const char *name)
{
	char buf[512];
	struct nlmsghdr *nlh =
		tc_request(buf, RTM_NEWTFILTER, NLM_F_CREATE | NLM_F_REPLACE, ifindex, WAY_IN);
	struct tcmsg *tc = mnl_nlmsg_get_payload(nlh);

	tc->tcm_handle = HANDLE;
	tc->tcm_info = TC_H_MAKE(PREFERENCE << 16, htons(ETH_P_ALL));
	mnl_attr_put_strz(nlh, TCA_KIND, "bpf");
	struct nlattr *options = mnl_attr_nest_start(nlh, TCA_OPTIONS);
	mnl_attr_put_u32(nlh, TCA_BPF_FD, (uint32_t)program);
	mnl_attr_put_strz(nlh, TCA_BPF_NAME, name);
	mnl_attr_put_u32(nlh, TCA_BPF_FLAGS, TCA_BPF_FLAG_ACT_DIRECT);
	mnl_attr_nest_end(nlh, options);
	return bh_link_request(l, nlh, NULL, NULL);
}

int bh_link_attach(struct bh_link *l, unsigned ifindex, int program, const char *name)
{
	int r = bh_tcx_attach(ifindex, program, name);

	if (r != -EOPNOTSUPP)
		return r;
	r = put_qdisc(l, ifindex);
	return r < 0 ? r : put_filter(l, ifindex, program, name);
}

static int take_filter(struct bh_link *l, unsigned ifindex, bool alone)
{
	char buf[256];
	struct nlmsghdr *nlh = tc_request(buf, RTM_DELTFILTER, 0, ifindex, WAY_IN);
	struct tcmsg *tc = mnl_nlmsg_get_payload(nlh);

	tc->tcm_handle = HANDLE;
	tc->tcm_info = TC_H_MAKE(PREFERENCE << 16, htons(ETH_P_ALL));
	mnl_attr_put_strz(nlh, TCA_KIND, "bpf");
	int r = bh_link_request(l, nlh, NULL, NULL);
	if (r < 0 || !alone)
		return r;
	nlh = tc_request(buf, RTM_DELQDISC, 0, ifindex, TC_H_CLSACT);
	((struct tcmsg *)mnl_nlmsg_get_payload(nlh))->tcm_handle = TC_H_MAKE(TC_H_CLSACT, 0);
	bh_link_request(l, nlh, NULL, NULL); /* an empty one costs next to nothing */
	return 0;
}

int bh_link_detach(struct bh_link *l, unsigned ifindex, const char *name)
{
	struct bh_link_filters f;
	int n = bh_tcx_detach(ifindex, name), r = n < 0 ? n : bh_link_filters(l, ifindex, name, &f);

	if (r == 0 && f.excepted) {
		r = take_filter(l, ifindex, f.n == 0);
		n += r == 0;
	}
	if (r == -ENODEV || r == -ENOENT) /* it just went */
		return 0;
	return r < 0 ? r : n > 0;
}

int bh_link_attached(struct bh_link *l, const char *name, unsigned **ret, bool *ret_unseen)
{
	struct bh_link_survey s = {0};
	struct bh_link_filters f;
	struct bh_tcx x = {0};
	size_t n = 0, cap = 0;
	unsigned *list = NULL;
	int r = bh_link_survey(l, &s);

	*ret_unseen = false;
	for (size_t i = 0; r == 0 && i < s.n; i++) {
		if (!bh_streq(s.item[i].kind, "veth"))
			continue;
		r = bh_link_filters(l, s.item[i].ifindex, name, &f);
		if (r == 0)
			r = bh_tcx_look(s.item[i].ifindex, name, &x);
		*ret_unseen |= r == 0 && x.unseen;
		if (r == -ENODEV) /* it just went */
			r = 0;
		else if (r == 0 && (f.excepted || x.ours)) {
			BH_GROW(list, n, cap);
			list[n++] = s.item[i].ifindex;
		}
	}
	bh_link_survey_finish(&s);
	if (r < 0) {
		free(list);
		return r;
	}
	*ret = list;
	return (int)n;
}
