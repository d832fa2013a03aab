/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "netlink/netlink.h"

#include <errno.h>
#include <linux/netlink.h>
#include <sys/socket.h>
#include <sys/uio.h>

ssize_t bh_netlink_recv(int fd, void *buf, size_t size, int flags)
{
	struct sockaddr_nl from = {0};
	struct iovec iov = {buf, size};
	struct msghdr m = {
		.msg_name = &from, .msg_namelen = sizeof(from), .msg_iov = &iov, .msg_iovlen = 1};
	for (;;) {
		ssize_t got = recvmsg(fd, &m, flags);
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
