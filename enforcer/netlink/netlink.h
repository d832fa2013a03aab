/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What modules that talk netlink to the kernel share. */
#pragma once

#include <stddef.h>
#include <sys/types.h>

/* One datagram from the kernel: what somebody else sends is passed over. flags: of recvmsg().
 * Bytes, or −errno: −EAGAIN, nothing there or not in time; −ENOBUFS, some was lost, or longer than
 * size. */
ssize_t bh_netlink_recv(int fd, void *buf, size_t size, int flags);
