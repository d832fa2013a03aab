/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * rtnetlink (linux/rtnetlink.h) as this module needs it: one request at a time, read to its end.
 *
 * Invariant: after every request the socket is empty. Answers are therefore never abandoned half
 * way, not even interrupted dumps; left-overs of a request that failed are told by their sequence
 * number.
 */
#include <errno.h>
#include <linux/if_link.h>
#include <linux/net_namespace.h>
#include <linux/rtnetlink.h>

#include "link/private.h"

#define DUMP_ATTEMPTS 10
/* What a container can put into its namespace is bounded here, before anything else sees it. More
 * is an error, not a partial answer: what is left out could be the very interface that governs. */
#define MAX_INFOS 65536

struct answer {
	bool done, interrupted;
	int err;
};

static void read_message(
	const struct nlmsghdr *nlh, bh_link_message_fn fn, void *arg, struct answer *a)
{
	if (nlh->nlmsg_flags & NLM_F_DUMP_INTR)
		a->interrupted = true;
	if (nlh->nlmsg_type == NLMSG_DONE) {
		a->done = true;
		if (mnl_nlmsg_get_payload_len(nlh) >= sizeof(int))
			a->err = *(const int *)mnl_nlmsg_get_payload(nlh);
	} else if (nlh->nlmsg_type == NLMSG_ERROR) {
		const struct nlmsgerr *e = mnl_nlmsg_get_payload(nlh);
		a->done = true;
		a->err = mnl_nlmsg_get_payload_len(nlh) >= sizeof(*e) ? e->error : -EBADMSG;
	} else if (fn) {
		fn(nlh, arg);
	}
}

int bh_link_request(struct bh_link *l, struct nlmsghdr *nlh, bh_link_message_fn fn, void *arg)
{
	struct answer a = {};
	int lost = 0;

	nlh->nlmsg_flags |= NLM_F_REQUEST | NLM_F_ACK;
	nlh->nlmsg_seq = ++l->seq;
	if (mnl_socket_sendto(l->nl, nlh, nlh->nlmsg_len) < 0)
		return -errno;
	while (!a.done) {
		ssize_t n = mnl_socket_recvfrom(l->nl, l->buf, BH_LINK_BUFFER);
		if (n < 0 && (errno == EINTR || errno == ENOSPC || errno == ENOBUFS)) {
			if (errno != EINTR)
				lost = -errno;
			continue;
		}
		if (n < 0)
			return -errno;
		int left = (int)n;
		for (const struct nlmsghdr *m = (const void *)l->buf; mnl_nlmsg_ok(m, left);
			m = mnl_nlmsg_next(m, &left))
			if (m->nlmsg_seq == l->seq && !a.done)
				read_message(m, fn, arg, &a);
	}
	if (a.err != 0)
		return a.err;
	return lost != 0 ? lost : a.interrupted ? -EINTR : 0;
}

/* --- namespace ids --- */

static void on_nsid(const struct nlmsghdr *nlh, void *arg)
{
	if (nlh->nlmsg_type == RTM_NEWNSID)
		bh_link_parse_nsid(nlh, arg);
}

static struct nlmsghdr *nsid_request(char *buf, uint16_t type, int fd)
{
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(buf);

	nlh->nlmsg_type = type;
	mnl_nlmsg_put_extra_header(nlh, sizeof(struct rtgenmsg));
	mnl_attr_put_u32(nlh, NETNSA_FD, (uint32_t)fd);
	return nlh;
}

int bh_link_get_nsid(struct bh_link *l, int fd, int32_t *ret)
{
	char buf[256];
	int32_t nsid = BH_NSID_NONE;
	int r = bh_link_request(l, nsid_request(buf, RTM_GETNSID, fd), on_nsid, &nsid);

	if (r == 0)
		*ret = nsid;
	return r;
}

int bh_link_assign_nsid(struct bh_link *l, int fd, int32_t *ret)
{
	char buf[256];
	int32_t nsid = BH_NSID_NONE;
	int r = bh_link_get_nsid(l, fd, &nsid);

	if (r == 0 && nsid == BH_NSID_NONE) {
		struct nlmsghdr *nlh = nsid_request(buf, RTM_NEWNSID, fd);
		mnl_attr_put_u32(nlh, NETNSA_NSID, (uint32_t)BH_NSID_NONE); /* any */
		r = bh_link_request(l, nlh, NULL, NULL);
		if (r == 0 || r == -EEXIST) /* somebody else was quicker */
			r = bh_link_get_nsid(l, fd, &nsid);
	}
	if (r == 0 && nsid == BH_NSID_NONE)
		r = -EOPNOTSUPP;
	if (r == 0)
		*ret = nsid;
	return r;
}

/* --- links --- */

static void on_link(const struct nlmsghdr *nlh, void *arg)
{
	struct bh_link_infos *to = arg;
	struct bh_link_info i;

	if (nlh->nlmsg_type != RTM_NEWLINK || !bh_link_parse_link(nlh, &i))
		return;
	if (to->n == MAX_INFOS) {
		to->overflow = true;
		return;
	}
	BH_GROW(to->item, to->n, to->cap);
	to->item[to->n++] = i;
}

/* With statistics left out the kernel goes through all interfaces of the node before a dump, also
 * of another namespace, to see how long a message may get: there they are asked for with theirs. */
static struct nlmsghdr *link_request(char *buf, unsigned ifindex, bool statistics)
{
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(buf);

	nlh->nlmsg_type = RTM_GETLINK;
	struct ifinfomsg *ifi = mnl_nlmsg_put_extra_header(nlh, sizeof(*ifi));
	ifi->ifi_index = (int)ifindex;
	if (!statistics)
		mnl_attr_put_u32(nlh, IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS);
	return nlh;
}

static bool all_links_of(const struct bh_link_infos *i, int32_t nsid)
{
	for (size_t k = 0; k < i->n; k++)
		if (i->item[k].target_nsid != nsid)
			return false;
	return true;
}

int bh_link_dump_links(struct bh_link *l, int32_t nsid, struct bh_link_infos *ret)
{
	int r = -EINTR;

	for (int i = 0; i < DUMP_ATTEMPTS && r == -EINTR; i++) {
		char buf[256];
		struct nlmsghdr *nlh = link_request(buf, 0, nsid != BH_NSID_NONE);
		nlh->nlmsg_flags |= NLM_F_DUMP;
		if (nsid != BH_NSID_NONE)
			mnl_attr_put_u32(nlh, IFLA_TARGET_NETNSID, (uint32_t)nsid);
		ret->n = 0;
		r = bh_link_request(l, nlh, on_link, ret);
	}
	if (r == 0 && ret->overflow)
		return -EOVERFLOW;
	return r == 0 && !all_links_of(ret, nsid) ? -EOPNOTSUPP : r;
}

int bh_link_get(struct bh_link *l, unsigned ifindex, struct bh_link_info *ret)
{
	char buf[256];
	struct bh_link_infos one = {};
	int r = bh_link_request(l, link_request(buf, ifindex, false), on_link, &one);

	if (r == 0 && one.n == 1 && one.item[0].ifindex == ifindex)
		*ret = one.item[0];
	else if (r == 0)
		r = -ENODEV;
	bh_link_infos_finish(&one);
	return r;
}

void bh_link_infos_finish(struct bh_link_infos *i)
{
	free(i->item);
	*i = (struct bh_link_infos){};
}

/* --- addresses --- */

static void on_addr(const struct nlmsghdr *nlh, void *arg)
{
	struct bh_addr_infos *to = arg;
	struct bh_addr_info i;

	if (nlh->nlmsg_type != RTM_NEWADDR || !bh_link_parse_addr(nlh, &i) || i.failed)
		return;
	if (to->n == MAX_INFOS) {
		to->overflow = true;
		return;
	}
	BH_GROW(to->item, to->n, to->cap);
	to->item[to->n++] = i;
}

static bool all_addrs_of(const struct bh_addr_infos *i, int32_t nsid)
{
	for (size_t k = 0; k < i->n; k++)
		if (i->item[k].target_nsid != nsid)
			return false;
	return true;
}

int bh_link_dump_addrs(struct bh_link *l, int32_t nsid, struct bh_addr_infos *ret)
{
	int r = -EINTR;

	for (int i = 0; i < DUMP_ATTEMPTS && r == -EINTR; i++) {
		char buf[256];
		struct nlmsghdr *nlh = mnl_nlmsg_put_header(buf);
		nlh->nlmsg_type = RTM_GETADDR;
		nlh->nlmsg_flags |= NLM_F_DUMP;
		mnl_nlmsg_put_extra_header(nlh, sizeof(struct ifaddrmsg));
		if (nsid != BH_NSID_NONE)
			mnl_attr_put_u32(nlh, IFA_TARGET_NETNSID, (uint32_t)nsid);
		ret->n = 0;
		r = bh_link_request(l, nlh, on_addr, ret);
	}
	if (r == 0 && ret->overflow)
		return -EOVERFLOW;
	return r == 0 && !all_addrs_of(ret, nsid) ? -EOPNOTSUPP : r;
}

void bh_addr_infos_finish(struct bh_addr_infos *i)
{
	free(i->item);
	*i = (struct bh_addr_infos){};
}

const struct nlattr *bh_link_nested(const struct nlattr *nest, uint16_t type)
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

const struct nlattr *bh_link_info(const struct nlmsghdr *nlh, uint16_t part, uint16_t type)
{
	const struct nlattr *attr, *info = NULL;

	if (nlh->nlmsg_type != RTM_NEWLINK)
		return NULL;
	mnl_attr_for_each(attr, nlh, sizeof(struct ifinfomsg))
	{
		if (mnl_attr_get_type(attr) == IFLA_LINKINFO)
			info = attr;
	}
	return bh_link_nested(bh_link_nested(info, part), type);
}
