/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What a bridge does with frames that never enter it. Those to the groups reserved for bridges
 * (01:80:c2:00:00:0X) meet no hook on their way, and yet their source address moves to their port:
 * with one frame of LLDP from a neighbour's MAC a workload would get what is sent to that
 * neighbour. And where the bridge speaks the spanning tree protocol, one frame makes a workload its
 * root, whose times it keeps: each container that starts would wait a minute for its network. A
 * port from which the root may not be (IEEE 802.1Q: restrictedRole) listens to nothing better than
 * the bridge itself; who claims it cuts himself off.
 */
#include <errno.h>
#include <linux/if_bridge.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>

#include "link/private.h"

#define NO_LL_LEARN (1u << BR_BOOLOPT_NO_LL_LEARN)

struct answer {
	bool found; /* the kernel knows the option */
	struct br_boolopt_multi opt;
	bool stp;
};

static void on_bridge(const struct nlmsghdr *nlh, void *arg)
{
	struct answer *a = arg;
	const struct nlattr *attr = bh_link_info(nlh, IFLA_INFO_DATA, IFLA_BR_MULTI_BOOLOPT);

	if (attr && mnl_attr_get_payload_len(attr) >= sizeof(a->opt)) {
		memcpy(&a->opt, mnl_attr_get_payload(attr), sizeof(a->opt));
		a->found = true;
	}
	attr = bh_link_info(nlh, IFLA_INFO_DATA, IFLA_BR_STP_STATE);
	a->stp = attr && mnl_attr_validate(attr, MNL_TYPE_U32) == 0 && mnl_attr_get_u32(attr) != 0;
}

/* *arg: has a bridge that may believe what comes by it. */
static void on_port(const struct nlmsghdr *nlh, void *arg)
{
	const struct nlattr *attr = bh_link_info(nlh, IFLA_INFO_SLAVE_DATA, IFLA_BRPORT_PROTECT);

	*(bool *)arg = attr && mnl_attr_validate(attr, MNL_TYPE_U8) == 0 && !mnl_attr_get_u8(attr);
}

static struct nlmsghdr *request(char *buf, uint16_t type, unsigned ifindex)
{
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(buf);
	nlh->nlmsg_type = type;
	struct ifinfomsg *ifi = mnl_nlmsg_put_extra_header(nlh, sizeof(*ifi));

	ifi->ifi_index = (int)ifindex;
	return nlh;
}

/* Asked first, here and below: a change is told to everybody who listens for changes. */
static int guard(struct bh_link *l, unsigned ifindex, bool *ret_stp)
{
	const struct br_boolopt_multi on = {.optval = NO_LL_LEARN, .optmask = NO_LL_LEARN};
	struct answer a = {};
	char buf[512];
	int r = bh_link_request(l, request(buf, RTM_GETLINK, ifindex), on_bridge, &a);

	*ret_stp = r == 0 && a.stp;
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

static int shield(struct bh_link *l, unsigned port)
{
	bool open = false;
	char buf[512];
	int r = bh_link_request(l, request(buf, RTM_GETLINK, port), on_port, &open);

	if (r < 0 || !open)
		return r;
	struct nlmsghdr *nlh = request(buf, RTM_NEWLINK, port);
	struct nlattr *info = mnl_attr_nest_start(nlh, IFLA_LINKINFO);
	mnl_attr_put_strz(nlh, IFLA_INFO_SLAVE_KIND, "bridge");
	struct nlattr *data = mnl_attr_nest_start(nlh, IFLA_INFO_SLAVE_DATA);
	mnl_attr_put_u8(nlh, IFLA_BRPORT_PROTECT, 1);
	mnl_attr_nest_end(nlh, data);
	mnl_attr_nest_end(nlh, info);
	r = bh_link_request(l, nlh, NULL, NULL);
	return r < 0 ? r : 1;
}

struct bridges {
	struct one {
		unsigned ifindex;
		bool stp;
	} * item;
	size_t n, cap;
	struct bh_link_guarded *done;
	int err;
};

static void note(struct bridges *b, int r, int *count)
{
	*count += r > 0;
	if (r < 0 && r != -ENODEV) /* it just went */
		b->err = r;
}

/* Does it speak STP? */
static bool guard_once(struct bh_link *l, struct bridges *b, unsigned ifindex)
{
	for (size_t i = 0; i < b->n; i++)
		if (b->item[i].ifindex == ifindex)
			return b->item[i].stp;
	BH_GROW(b->item, b->n, b->cap);
	struct one *one = &b->item[b->n++];
	one->ifindex = ifindex;
	note(b, guard(l, ifindex, &one->stp), &b->done->bridges);
	return one->stp;
}

int bh_link_guard_bridges(
	struct bh_link *l, const struct bh_inventory *inv, struct bh_link_guarded *ret)
{
	struct bridges b = {.done = ret};

	*ret = (struct bh_link_guarded){0};
	for (size_t i = 0; i < inv->n; i++)
		for (size_t k = 0; k < inv->workload[i]->n_ifaces; k++) {
			const struct bh_interface *f = &inv->workload[i]->iface[k];
			if (f->bridge_ifindex && guard_once(l, &b, f->bridge_ifindex) &&
				f->host_ifindex)
				note(&b, shield(l, f->host_ifindex), &ret->ports);
		}
	free(b.item);
	return b.err;
}
