/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The identity of namespaces, and br_netfilter's switches. What is read from a container's
 * namespace is in inspect.c, notices are in watch.c. */
#include <errno.h>
#include <fcntl.h>
#include <linux/nsfs.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "link/netns.h"
#include "link/private.h"

#ifndef NETLINK_GET_STRICT_CHK
#define NETLINK_GET_STRICT_CHK 12
#endif

int bh_netns_open(const char *path, int *ret_fd, uint64_t *ret_inode)
{
	/* NONBLOCK: a path from a file may name anything, a FIFO for instance. */
	bh_autoclose int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	struct stat st;

	if (fd < 0)
		return errno == ESRCH || errno == ENOTDIR ? -ENOENT : -errno;
	/* A namespace that was mounted on a file leaves the file behind. */
	if (ioctl(fd, NS_GET_NSTYPE) != CLONE_NEWNET)
		return -ENOENT;
	if (fstat(fd, &st) < 0)
		return -errno;
	*ret_fd = BH_TAKE_FD(fd);
	*ret_inode = st.st_ino;
	return 0;
}

int bh_link_netns_inode(const char *path, uint64_t *ret)
{
	bh_autoclose int fd = -1;

	return bh_netns_open(path, &fd, ret);
}

uint64_t bh_link_own_netns(const struct bh_link *l)
{
	return l->own_netns;
}

static int open_requests(struct bh_link *l)
{
	struct timeval timeout = {.tv_sec = 5}; /* the kernel answers at once or not at all */
	int on = 1;

	l->nl = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC);
	if (!l->nl || mnl_socket_bind(l->nl, 0, MNL_SOCKET_AUTOPID) < 0)
		return -errno;
	setsockopt(mnl_socket_get_fd(l->nl), SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout));
	/* Without it (before 4.20) an address dump ignores the target namespace and answers for
	 * ours; inspect then refuses. */
	l->strict = mnl_socket_setsockopt(l->nl, NETLINK_GET_STRICT_CHK, &on, sizeof(on)) == 0;
	return 0;
}

int bh_link_open(struct bh_link **ret)
{
	struct bh_link *l = bh_xcalloc(1, sizeof(*l));

	l->own_fd = -1;
	l->own_nsid = BH_NSID_NONE;
	l->buf = bh_xcalloc(1, BH_LINK_BUFFER);
	int r = bh_netns_open("/proc/thread-self/ns/net", &l->own_fd, &l->own_netns);
	if (r == 0)
		r = open_requests(l);
	if (r == 0)
		r = bh_link_watch_open(l);
	/* Soon enough so that notices of our own are told from others; also tried later. */
	if (r == 0)
		bh_link_assign_nsid(l, l->own_fd, &l->own_nsid);
	if (r < 0) {
		bh_link_close(l);
		return r;
	}
	*ret = l;
	return 0;
}

void bh_link_close(struct bh_link *l)
{
	if (!l)
		return;
	if (l->nl)
		mnl_socket_close(l->nl);
	if (l->watch)
		mnl_socket_close(l->watch);
	if (l->own_fd >= 0)
		close(l->own_fd);
	bh_known_finish(l);
	free(l->placed.item);
	free(l->addr);
	free(l->buf);
	free(l);
}

/* 1 = changed, 0 = was on, −errno. */
static int switch_on(const char *path)
{
	bh_autoclose int fd = open(path, O_RDWR | O_CLOEXEC);
	char value = 0;

	if (fd < 0)
		return -errno;
	ssize_t n = read(fd, &value, 1);
	if (n != 1)
		return n < 0 ? -errno : -EIO;
	if (value != '0')
		return 0;
	return pwrite(fd, "1\n", 2, 0) == 2 ? 1 : -errno;
}

int bh_link_enable_bridge_nf(void)
{
	int v4 = switch_on("/proc/sys/net/bridge/bridge-nf-call-iptables");
	int v6 = v4 < 0 ? v4 : switch_on("/proc/sys/net/bridge/bridge-nf-call-ip6tables");

	return v6 < 0 ? v6 : v4 || v6;
}
