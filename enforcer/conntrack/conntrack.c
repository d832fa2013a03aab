/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The handle, and listening. Events come on a socket of their own, so that a walk never waits
 * behind them; and with ENOBUFS left on, because a loss that nobody notices would be a hole in the
 * records.
 */
#include "private.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_compat.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <sys/socket.h>
#include <sys/time.h>

#define EVENT_RCVBUF (8 << 20)
#define DUMP_RCVBUF (1 << 20)
#define ANSWER_SECONDS 10 /* the kernel answers at once; never wait for ever */
#define EVENTS_PER_DRAIN 16384 /* poll comes again */
#define EVENTS_SYSCTL "/proc/sys/net/netfilter/nf_conntrack_events"

ssize_t bh_ct_recv(struct mnl_socket *nl, void *buf, size_t size)
{
	struct sockaddr_nl from = {0};
	struct iovec iov = {buf, size};
	struct msghdr m = {
		.msg_name = &from, .msg_namelen = sizeof(from), .msg_iov = &iov, .msg_iovlen = 1};
	for (;;) {
		ssize_t got = recvmsg(mnl_socket_get_fd(nl), &m, 0);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return -errno;
		if (m.msg_flags & MSG_TRUNC)
			return -ENOBUFS;
		if (from.nl_pid == 0) /* only the kernel is believed */
			return got;
	}
}

/* Forcing needs CAP_NET_ADMIN over the initial user namespace; without, the default has to do. */
static void set_rcvbuf(struct mnl_socket *nl, int size)
{
	setsockopt(mnl_socket_get_fd(nl), SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size));
}

/* A request loads ctnetlink and waits for it, which joining a group does not (nfnetlink_bind in 6.1
 * and later); this one asks for the number of entries. */
static int load(struct bh_ct *ct)
{
	_Alignas(struct nlmsghdr) char buf[64];
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(buf);
	nlh->nlmsg_type = NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_GET_STATS;
	nlh->nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK;
	nlh->nlmsg_seq = ++ct->seq;
	struct nfgenmsg *nfg = mnl_nlmsg_put_extra_header(nlh, sizeof(*nfg));
	*nfg = (struct nfgenmsg){.nfgen_family = AF_UNSPEC, .version = NFNETLINK_V0};
	if (mnl_socket_sendto(ct->nl, nlh, nlh->nlmsg_len) < 0)
		return -errno;
	for (;;) {
		ssize_t got = bh_ct_recv(ct->nl, ct->rx, BH_CT_RX);
		if (got < 0)
			return got == -EAGAIN ? -ETIMEDOUT : (int)got;
		int left = (int)got;
		for (nlh = (void *)ct->rx; mnl_nlmsg_ok(nlh, left);
			nlh = mnl_nlmsg_next(nlh, &left)) {
			if (nlh->nlmsg_seq != ct->seq || nlh->nlmsg_type != NLMSG_ERROR ||
				nlh->nlmsg_len < NLMSG_LENGTH(sizeof(struct nlmsgerr)))
				continue;
			int err = ((const struct nlmsgerr *)mnl_nlmsg_get_payload(nlh))->error;
			/* nfnetlink's answer for a subsystem that is not there */
			return err == -EINVAL ? -EOPNOTSUPP : err;
		}
	}
}

int bh_ct_open(struct bh_ct **ret)
{
	struct timeval patience = {.tv_sec = ANSWER_SECONDS};
	struct mnl_socket *nl = mnl_socket_open2(NETLINK_NETFILTER, SOCK_CLOEXEC);
	if (!nl)
		return -errno;
	if (mnl_socket_bind(nl, 0, MNL_SOCKET_AUTOPID) < 0 ||
		setsockopt(mnl_socket_get_fd(nl), SOL_SOCKET, SO_RCVTIMEO, &patience,
			sizeof(patience)) < 0) {
		int err = -errno;
		mnl_socket_close(nl);
		return err;
	}
	set_rcvbuf(nl, DUMP_RCVBUF);
	struct bh_ct *ct = bh_xcalloc(1, sizeof(*ct));
	ct->nl = nl;
	ct->rx = bh_xcalloc(1, BH_CT_RX);
	int rc = load(ct);
	if (rc < 0)
		bh_ct_close(ct);
	else
		*ret = ct;
	return rc;
}

void bh_ct_close(struct bh_ct *ct)
{
	if (!ct)
		return;
	mnl_socket_close(ct->nl);
	if (ct->events)
		mnl_socket_close(ct->events);
	free(ct->rx);
	free(ct);
}

/* 0 is off; 1 is on; 2, the default since 5.19, is on for connections made while somebody
 * listens, which leaves those made before a restart of ours without their end. */
static int enable_events(void)
{
	char was = 0;
	bh_autoclose int fd = open(EVENTS_SYSCTL, O_RDWR | O_CLOEXEC);
	if (fd < 0 && (errno == EROFS || errno == EACCES))
		fd = open(EVENTS_SYSCTL, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT ? -EOPNOTSUPP : -errno;
	if (read(fd, &was, 1) != 1)
		return -EIO;
	if (was == '1' || pwrite(fd, "1", 1, 0) == 1 || was != '0')
		return 0;
	return -EROFS;
}

static int subscribe(struct mnl_socket *nl)
{
	static const int group[] = {
		NFNLGRP_CONNTRACK_NEW, NFNLGRP_CONNTRACK_UPDATE, NFNLGRP_CONNTRACK_DESTROY};
	if (mnl_socket_bind(nl, 0, MNL_SOCKET_AUTOPID) < 0)
		return -errno;
	set_rcvbuf(nl, EVENT_RCVBUF);
	for (size_t i = 0; i < BH_ARRAY_SIZE(group); i++) {
		int g = group[i];
		if (mnl_socket_setsockopt(nl, NETLINK_ADD_MEMBERSHIP, &g, sizeof(g)) < 0)
			return -errno;
	}
	return enable_events();
}

int bh_ct_listen(struct bh_ct *ct)
{
	if (ct->events)
		return 0;
	struct mnl_socket *nl = mnl_socket_open2(NETLINK_NETFILTER, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (!nl)
		return -errno;
	int rc = subscribe(nl);
	if (rc < 0)
		mnl_socket_close(nl);
	else
		ct->events = nl;
	return rc;
}

int bh_ct_fd(const struct bh_ct *ct)
{
	return ct->events ? mnl_socket_get_fd(ct->events) : -1;
}

int bh_ct_drain(struct bh_ct *ct, void (*fn)(const struct bh_ct_entry *, void *), void *arg)
{
	if (!ct->events)
		return -ENOTCONN;
	for (int seen = 0; seen < EVENTS_PER_DRAIN;) {
		ssize_t got = bh_ct_recv(ct->events, ct->rx, BH_CT_RX);
		if (got == -EAGAIN)
			return 0;
		if (got < 0)
			return (int)got;
		int left = (int)got;
		for (const struct nlmsghdr *nlh = (void *)ct->rx; mnl_nlmsg_ok(nlh, left);
			nlh = mnl_nlmsg_next(nlh, &left), seen++) {
			struct bh_ct_entry e;
			if (bh_ct_parse(nlh, &e, NULL))
				fn(&e, arg);
		}
	}
	return 0;
}
