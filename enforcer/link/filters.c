/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Filters of traffic control at an interface (linux/pkt_cls.h): they get frames before any hook. */
#include <errno.h>
#include <linux/pkt_cls.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>
#include <linux/tc_act/tc_mirred.h>

#include "link/private.h"

/* Where a kind of filter has its list of actions. */
static const struct {
	const char *kind;
	uint16_t actions;
} known[] = {
	{"u32", TCA_U32_ACT},
	{"bpf", TCA_BPF_ACT},
	{"matchall", TCA_MATCHALL_ACT},
	{"flower", TCA_FLOWER_ACT},
	{"basic", TCA_BASIC_ACT},
	{"fw", TCA_FW_ACT},
};

static const char *text(const struct nlattr *a)
{
	return a && mnl_attr_validate(a, MNL_TYPE_NUL_STRING) >= 0 ? mnl_attr_get_str(a) : NULL;
}

/* To which device the action moves frames; a copy alone keeps nothing from the rules. */
static unsigned redirect(const struct nlattr *action)
{
	struct tc_mirred m;

	if (!bh_streq(text(bh_link_nested(action, TCA_ACT_KIND)), "mirred"))
		return 0;
	const struct nlattr *parms =
		bh_link_nested(bh_link_nested(action, TCA_ACT_OPTIONS), TCA_MIRRED_PARMS);
	if (!parms || mnl_attr_get_payload_len(parms) < sizeof(m))
		return 0;
	memcpy(&m, mnl_attr_get_payload(parms), sizeof(m));
	return m.eaction == TCA_EGRESS_REDIR || m.eaction == TCA_INGRESS_REDIR ? m.ifindex : 0;
}

static void note_redirect(struct bh_link_filters *ret, unsigned to)
{
	for (size_t i = 0; i < ret->n_to; i++)
		if (ret->to[i] == to)
			return;
	if (ret->n_to < BH_LINK_MAX_REDIRECTS)
		ret->to[ret->n_to++] = to;
}

static void read_actions(
	const char *kind, const struct nlattr *options, struct bh_link_filters *ret)
{
	const struct nlattr *list = NULL, *a;
	bool sends = false;

	for (size_t i = 0; i < BH_ARRAY_SIZE(known); i++)
		if (bh_streq(known[i].kind, kind))
			list = bh_link_nested(options, known[i].actions);
	if (list)
		mnl_attr_for_each_nested(a, list)
		{
			unsigned to = redirect(a);
			if (to)
				note_redirect(ret, to);
			sends |= to != 0;
		}
	ret->sending += sends;
}

static void on_filter(const struct nlmsghdr *nlh, void *arg)
{
	struct bh_link_filters *f = arg;
	const struct nlattr *a, *options = NULL;
	const char *kind = NULL;

	if (nlh->nlmsg_type != RTM_NEWTFILTER ||
		mnl_nlmsg_get_payload_len(nlh) < sizeof(struct tcmsg))
		return;
	mnl_attr_for_each(a, nlh, sizeof(struct tcmsg))
	{
		if (mnl_attr_get_type(a) == TCA_KIND)
			kind = text(a);
		if (mnl_attr_get_type(a) == TCA_OPTIONS)
			options = a;
	}
	/* The head of a priority's list, and u32's tables, are none. */
	if (!kind || !options ||
		(bh_streq(kind, "u32") && bh_link_nested(options, TCA_U32_DIVISOR)))
		return;
	if (bh_streq(kind, "bpf") &&
		bh_streq(text(bh_link_nested(options, TCA_BPF_NAME)), f->except)) {
		f->excepted = true;
		return;
	}
	if (f->n++ == 0)
		snprintf(f->kind, sizeof(f->kind), "%s", kind);
	read_actions(kind, options, f);
}

int bh_link_filters(
	struct bh_link *l, unsigned ifindex, const char *except, struct bh_link_filters *ret)
{
	/* The second is the parent of what `ingress` has, and of clsact's way in. */
	static const uint32_t parents[] = {TC_H_MAKE(TC_H_CLSACT, TC_H_MIN_EGRESS),
		TC_H_MAKE(TC_H_CLSACT, TC_H_MIN_INGRESS), TC_H_MAKE(TC_H_INGRESS, 0)};
	int r = 0;

	*ret = (struct bh_link_filters){.except = except};
	for (size_t i = 0; i < BH_ARRAY_SIZE(parents) && r == 0; i++) {
		char buf[256];
		struct nlmsghdr *nlh = mnl_nlmsg_put_header(buf);
		nlh->nlmsg_type = RTM_GETTFILTER;
		nlh->nlmsg_flags = NLM_F_DUMP;
		struct tcmsg *tc = mnl_nlmsg_put_extra_header(nlh, sizeof(*tc));
		tc->tcm_ifindex = (int)ifindex;
		tc->tcm_parent = parents[i];
		r = bh_link_request(l, nlh, on_filter, ret);
		/* One of the parents is always another kind's. */
		if (r == -EINVAL || r == -ENOENT || r == -EOPNOTSUPP)
			r = 0;
	}
	return r;
}
