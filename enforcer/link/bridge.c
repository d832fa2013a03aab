/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What a bridge learns from frames that never enter it. Those to the groups reserved for bridges
 * (01:80:c2:00:00:0X) meet no hook on their way, and yet their source address moves to their port:
 * with one frame of LLDP from a neighbour's MAC a workload would get what is sent to that
 * neighbour.
 */
#include <errno.h>
#include <linux/if_bridge.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>

#include "link/private.h"

#define NO_LL_LEARN (1u << BR_BOOLOPT_NO_LL_LEARN)

static const struct nlattr *find(const struct nlattr *nest, uint16_t type)
{
	const struct nlattr *attr;

	if (nest)
		mnl_attr_for_each_nested(attr, nest)
		{
			if (mnl_attr_get_type(attr) == type)
				return attr;
		}
	return NULL;
}

struct answer {
	bool found; /* the kernel knows the option */
	struct br_boolopt_multi opt;
};

static void on_link(const struct nlmsghdr *nlh, void *arg)
{
	struct answer *a = arg;
	const struct nlattr *attr, *info = NULL;

	if (nlh->nlmsg_type != RTM_NEWLINK)
		return;
	mnl_attr_for_each(attr, nlh, sizeof(struct ifinfomsg))
	{
		if (mnl_attr_get_type(attr) == IFLA_LINKINFO)
			info = attr;
	}
	attr = find(find(info, IFLA_INFO_DATA), IFLA_BR_MULTI_BOOLOPT);
	if (!attr || mnl_attr_get_payload_len(attr) < sizeof(a->opt))
		return;
	memcpy(&a->opt, mnl_attr_get_payload(attr), sizeof(a->opt));
	a->found = true;
}

static struct nlmsghdr *request(char *buf, uint16_t type, unsigned ifindex)
{
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(buf);
	nlh->nlmsg_type = type;
	struct ifinfomsg *ifi = mnl_nlmsg_put_extra_header(nlh, sizeof(*ifi));

	ifi->ifi_index = (int)ifindex;
	return nlh;
}

static int guard(struct bh_link *l, unsigned ifindex)
{
	const struct br_boolopt_multi on = {.optval = NO_LL_LEARN, .optmask = NO_LL_LEARN};
	struct answer a = {};
	char buf[512];
	int r = bh_link_request(l, request(buf, RTM_GETLINK, ifindex), on_link, &a);

	/* Asked first: a change is told to everybody who listens for changes. */
	if (r < 0 || !a.found || (a.opt.optval & NO_LL_LEARN))
		return r < 0 || a.found ? r : -EOPNOTSUPP;
	struct nlmsghdr *nlh = request(buf, RTM_NEWLINK, ifindex);
	struct nlattr *info = mnl_attr_nest_start(nlh, IFLA_LINKINFO);
	mnl_attr_put_strz(nlh, IFLA_INFO_KIND, "bridge");
	struct nlattr *data = mnl_attr_nest_start(nlh, IFLA_INFO_DATA);
	mnl_attr_put(nlh, IFLA_BR_MULTI_BOOLOPT, sizeof(on), &on);
	mnl_attr_nest_end(nlh, data);
	mnl_attr_nest_end(nlh, info);
	r = bh_link_request(l, nlh, NULL, NULL);
	return r < 0 ? r : 1;
}

static bool seen(const unsigned *item, size_t n, unsigned ifindex)
{
	for (size_t i = 0; i < n; i++)
		if (item[i] == ifindex)
			return true;
	return false;
}

int bh_link_guard_bridges(struct bh_link *l, const struct bh_inventory *inv)
{
	unsigned *item = NULL;
	size_t n = 0, cap = 0;
	int changed = 0, err = 0;

	for (size_t i = 0; i < inv->n; i++)
		for (size_t k = 0; k < inv->workload[i]->n_ifaces; k++) {
			unsigned ifindex = inv->workload[i]->iface[k].bridge_ifindex;
			if (ifindex == 0 || seen(item, n, ifindex))
				continue;
			BH_GROW(item, n, cap);
			item[n++] = ifindex;
			int r = guard(l, ifindex);
			changed += r > 0;
			if (r < 0 && r != -ENODEV) /* it just went */
				err = r;
		}
	free(item);
	return err < 0 ? err : changed;
}
