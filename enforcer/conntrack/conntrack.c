/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The handle. */
#include "private.h"

#include <errno.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <sys/socket.h>
#include <sys/time.h>

#define DUMP_RCVBUF (1 << 20)
#define ANSWER_SECONDS 10 /* the kernel answers at once; never wait for ever */

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

void bh_ct_set_rcvbuf(struct mnl_socket *nl, int size)
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
	bh_ct_set_rcvbuf(nl, DUMP_RCVBUF);
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
	bh_ct_deafen(ct);
	mnl_socket_close(ct->nl);
	free(ct->rx);
	free(ct);
}
