/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The ends of flows, as the kernel tells them: one message each, with what the flow carried. Only
 * those: what is told of new and changed flows costs each connection a good part of its time.
 *
 * They come on a socket of their own, so that a walk never waits behind them. What finds its buffer
 * full is dropped, and counted by the kernel message by message (SO_MEMINFO, since 4.12), so that a
 * loss is known to the number. (It could keep what finds no room and try again,
 * NETLINK_BROADCAST_ERROR, but then flows that have ended fill the table that new ones need.)
 */
#include "private.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/sock_diag.h>
#include <sys/socket.h>

#define RCVBUF (8 << 20) /* some 10,000 of them */
#define SYSCTL "/proc/sys/net/netfilter/"

/* -EOPNOTSUPP: the kernel has no such thing. −EROFS, −EACCES: it is off, and stays so. */
static int turn_on(const char *path)
{
	char was = 0;
	bh_autoclose int fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd < 0 && (errno == EROFS || errno == EACCES))
		fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT ? -EOPNOTSUPP : -errno;
	if (read(fd, &was, 1) != 1)
		return -EIO;
	if (was == '1' || pwrite(fd, "1", 1, 0) == 1)
		return 0;
	return was == '0' ? -EROFS : 0;
}

static int subscribe(struct mnl_socket *nl)
{
	int group = NFNLGRP_CONNTRACK_DESTROY;
	if (mnl_socket_bind(nl, 0, MNL_SOCKET_AUTOPID) < 0)
		return -errno;
	bh_ct_set_rcvbuf(nl, RCVBUF);
	if (mnl_socket_setsockopt(nl, NETLINK_ADD_MEMBERSHIP, &group, sizeof(group)) < 0)
		return -errno;
	return 0;
}

int bh_ct_listen(struct bh_ct *ct)
{
	if (ct->ends)
		return ct->missing;
	/* 0 is off; 1 is on; 2, the default since 5.19, is on for connections made while somebody
	 * listens, which leaves those made before a restart of ours without their end. */
	int r = turn_on(SYSCTL "nf_conntrack_events");
	if (r < 0)
		return r;
	ct->missing = (turn_on(SYSCTL "nf_conntrack_acct") < 0 ? BH_CT_NO_COUNTS : 0) |
		      (turn_on(SYSCTL "nf_conntrack_timestamp") < 0 ? BH_CT_NO_TIMES : 0);
	struct mnl_socket *nl = mnl_socket_open2(NETLINK_NETFILTER, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (!nl)
		return -errno;
	if ((r = subscribe(nl)) < 0) {
		mnl_socket_close(nl);
		return r;
	}
	ct->ends = nl;
	ct->dropped = 0;
	bh_ct_read_timeouts(&ct->timeouts);
	return ct->missing;
}

void bh_ct_deafen(struct bh_ct *ct)
{
	if (ct->ends)
		mnl_socket_close(ct->ends);
	ct->ends = NULL;
}

bool bh_ct_listens(const struct bh_ct *ct)
{
	return ct->ends != NULL;
}

/* How many more were dropped than the last time; the counter is of 32 bits and turns round. */
static uint64_t more_dropped(struct bh_ct *ct)
{
	uint32_t info[SK_MEMINFO_VARS] = {0};
	socklen_t len = sizeof(info);
	if (getsockopt(mnl_socket_get_fd(ct->ends), SOL_SOCKET, SO_MEMINFO, info, &len) < 0 ||
		len <= SK_MEMINFO_DROPS * sizeof(info[0]))
		return 0;
	uint32_t more = info[SK_MEMINFO_DROPS] - ct->dropped;
	ct->dropped = info[SK_MEMINFO_DROPS];
	return more;
}

int bh_ct_drain(struct bh_ct *ct, size_t max, void (*fn)(const struct bh_ct_entry *, void *),
	void *arg, uint64_t *ret_lost)
{
	size_t seen = 0;
	int r = 0;
	*ret_lost = 0;
	if (!ct->ends)
		return -ENOTCONN;
	while (seen < max) {
		ssize_t got = bh_ct_recv(ct->ends, ct->rx, BH_CT_RX);
		if (got == -ENOBUFS) /* told once; what is there can be read */
			continue;
		if (got < 0) {
			r = got == -EAGAIN ? 0 : (int)got;
			break;
		}
		int left = (int)got;
		for (const struct nlmsghdr *nlh = (void *)ct->rx; mnl_nlmsg_ok(nlh, left);
			nlh = mnl_nlmsg_next(nlh, &left), seen++) {
			struct bh_ct_entry e;
			if (!bh_ct_parse(nlh, &e, NULL) || e.event != BH_CT_DESTROY)
				continue;
			e.last = bh_ct_last(&ct->timeouts, &e, bh_ct_left(nlh));
			fn(&e, arg);
		}
	}
	*ret_lost = more_dropped(ct);
	return r < 0 ? r : (int)seen;
}
