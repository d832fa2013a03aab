/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Change notices: the socket, and what arrives at it. Whom they concern is found in known.c. */
#include <errno.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>

#include "link/private.h"

#define WATCH_BUFFER (1 << 20)
#define MAX_NOTICES 256 /* read in one drain */

int bh_link_watch_open(struct bh_link *l)
{
	static const int groups[] = {
		RTNLGRP_LINK, RTNLGRP_IPV4_IFADDR, RTNLGRP_IPV6_IFADDR, RTNLGRP_NSID};
	int on = 1, size = WATCH_BUFFER;

	l->watch = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (!l->watch || mnl_socket_bind(l->watch, 0, MNL_SOCKET_AUTOPID) < 0)
		return -errno;
	setsockopt(mnl_socket_get_fd(l->watch), SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size));
	if (mnl_socket_setsockopt(l->watch, NETLINK_LISTEN_ALL_NSID, &on, sizeof(on)) < 0)
		return -errno;
	for (size_t i = 0; i < BH_ARRAY_SIZE(groups); i++) {
		int g = groups[i];
		if (mnl_socket_setsockopt(l->watch, NETLINK_ADD_MEMBERSHIP, &g, sizeof(g)) < 0)
			return -errno;
	}
	return 0;
}

int bh_link_watch_fd(struct bh_link *l)
{
	return mnl_socket_get_fd(l->watch);
}

/* The kernel says from which namespace a message is, unless that is ours and has no id. */
static int32_t nsid_of(struct msghdr *msg)
{
	int32_t nsid = BH_NSID_NONE;

	for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c; c = CMSG_NXTHDR(msg, c))
		if (c->cmsg_level == SOL_NETLINK && c->cmsg_type == NETLINK_LISTEN_ALL_NSID &&
			c->cmsg_len == CMSG_LEN(sizeof(nsid)))
			memcpy(&nsid, CMSG_DATA(c), sizeof(nsid));
	return nsid;
}

/* Bridges also tell of their ports' states; which port is whose comes as AF_UNSPEC. */
static bool is_of_bridge(const struct nlmsghdr *m)
{
	const struct ifinfomsg *ifi = mnl_nlmsg_get_payload(m);

	return mnl_nlmsg_get_payload_len(m) >= sizeof(*ifi) && ifi->ifi_family == AF_BRIDGE;
}

static void hear(
	struct bh_link *l, const struct nlmsghdr *m, int32_t nsid, struct bh_link_news *news)
{
	struct bh_link_notice n = {.nsid = nsid};
	bool read = false;

	switch (m->nlmsg_type) {
	case RTM_NEWLINK:
	case RTM_DELLINK:
		if (is_of_bridge(m))
			return;
		n.what = BH_NOTICE_LINK;
		n.gone = m->nlmsg_type == RTM_DELLINK;
		read = bh_link_parse_link(m, &n.link);
		break;
	case RTM_NEWADDR:
	case RTM_DELADDR:
		n.what = BH_NOTICE_ADDR;
		n.gone = m->nlmsg_type == RTM_DELADDR;
		read = bh_link_parse_addr(m, &n.addr);
		break;
	case RTM_DELNSID:
		n.what = BH_NOTICE_ID_FREED;
		read = bh_link_parse_nsid(m, &n.id);
		break;
	default:
		return;
	}
	if (read)
		bh_known_hear(l, &n, news);
	else
		l->lost = true;
}

/* Reads one datagram. False: there is none. */
static bool receive(struct bh_link *l, struct bh_link_news *news)
{
	union {
		struct cmsghdr align;
		char buf[CMSG_SPACE(sizeof(int32_t)) * 4];
	} control;
	struct sockaddr_nl from = {};
	struct iovec iov = {.iov_base = l->buf, .iov_len = BH_LINK_BUFFER};
	struct msghdr msg = {
		.msg_name = &from,
		.msg_namelen = sizeof(from),
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control),
	};
	ssize_t n = recvmsg(mnl_socket_get_fd(l->watch), &msg, MSG_DONTWAIT);

	if (n < 0) {
		l->lost |= errno == ENOBUFS;
		return errno == ENOBUFS || errno == EINTR;
	}
	if (from.nl_pid != 0) /* not the kernel */
		return true;
	if (msg.msg_flags & (MSG_TRUNC | MSG_CTRUNC))
		l->lost = true;
	int left = (int)n;
	for (const struct nlmsghdr *m = (const void *)l->buf; mnl_nlmsg_ok(m, left);
		m = mnl_nlmsg_next(m, &left))
		hear(l, m, nsid_of(&msg), news);
	return true;
}

void bh_link_watch_drain(struct bh_link *l, struct bh_link_news *news)
{
	bool more = true;

	for (int i = 0; more && i < MAX_NOTICES; i++)
		more = receive(l, news);
	bh_known_tell(l, news, !more);
}

void bh_link_news_finish(struct bh_link_news *news)
{
	free(news->netns);
	*news = (struct bh_link_news){};
}
