/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * NFLOG (linux/netfilter/nfnetlink_log.h): copies of packets. The kernel collects up to
 * KERNEL_BATCH of them, or FLUSH hundredths of a second, in one datagram, which is lost when the
 * socket is full: the packets themselves are never touched.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_log.h>
#include <sys/socket.h>

#include "dns/private.h"

#define SOCKET_BYTES (2 << 20)
#define DATAGRAM_BYTES 65536 /* the kernel's buffer: NFULNL_NLBUFSIZ */
#define COPY_BYTES 2048 /* of a packet; the rule says how much it wants */
#define KERNEL_BATCH 32
#define FLUSH 5 /* 1/100 s */
#define READS_MAX 16 /* datagrams at a time */

static int on_ack(const struct nlmsghdr *nlh, int *ret)
{
	const struct nlmsgerr *e = mnl_nlmsg_get_payload(nlh);
	if (mnl_nlmsg_get_payload_len(nlh) < sizeof(*e))
		return 0;
	*ret = e->error;
	return 1;
}

static void on_log(struct bh_nflog *n, const struct nlmsghdr *nlh)
{
	const struct nlattr *a;
	if (nlh->nlmsg_type != (NFNL_SUBSYS_ULOG << 8 | NFULNL_MSG_PACKET) ||
		mnl_nlmsg_get_payload_len(nlh) < sizeof(struct nfgenmsg))
		return;
	mnl_attr_for_each(a, nlh, sizeof(struct nfgenmsg))
	{
		if (mnl_attr_get_type(a) == NFULA_PAYLOAD)
			n->packet(mnl_attr_get_payload(a), mnl_attr_get_payload_len(a), n->arg);
	}
}

/* One datagram; an answer to a request goes to *ret_answer, if that is not NULL. 1: it had it. */
static int receive(struct bh_nflog *n, int flags, int *ret_answer)
{
	struct sockaddr_nl from = {0};
	socklen_t size = sizeof(from);
	int heard = 0;
	ssize_t got = recvfrom(mnl_socket_get_fd(n->nl), n->buf, DATAGRAM_BYTES, flags,
		(struct sockaddr *)&from, &size);
	if (got < 0)
		return -errno;
	if (from.nl_pid != 0) /* not from the kernel */
		return 0;
	int left = (int)got;
	for (const struct nlmsghdr *m = (const void *)n->buf; mnl_nlmsg_ok(m, left);
		m = mnl_nlmsg_next(m, &left)) {
		if (m->nlmsg_type == NLMSG_ERROR && ret_answer)
			heard |= on_ack(m, ret_answer);
		else
			on_log(n, m);
	}
	return heard;
}

static struct nlmsghdr *config(char *buf, uint16_t group)
{
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(buf);
	nlh->nlmsg_type = NFNL_SUBSYS_ULOG << 8 | NFULNL_MSG_CONFIG;
	nlh->nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK;
	struct nfgenmsg *g = mnl_nlmsg_put_extra_header(nlh, sizeof(*g));
	*g = (struct nfgenmsg){AF_UNSPEC, NFNETLINK_V0, htons(group)};
	return nlh;
}

static int request(struct bh_nflog *n, const struct nlmsghdr *nlh)
{
	int answer = 0, r;
	if (mnl_socket_sendto(n->nl, nlh, nlh->nlmsg_len) < 0)
		return -errno;
	do
		r = receive(n, 0, &answer);
	while (r == 0 || r == -EINTR || r == -ENOBUFS);
	return r < 0 ? r : answer;
}

static int bind_group(struct bh_nflog *n, uint16_t group)
{
	char buf[256];
	struct nlmsghdr *nlh = config(buf, group);
	struct nfulnl_msg_config_cmd cmd = {NFULNL_CFG_CMD_BIND};
	mnl_attr_put(nlh, NFULA_CFG_CMD, sizeof(cmd), &cmd);
	int r = request(n, nlh);
	/* An unknown subsystem answers EINVAL. */
	if (r < 0)
		return r == -EINVAL || r == -EPROTONOSUPPORT ? -EOPNOTSUPP : r;
	nlh = config(buf, group);
	struct nfulnl_msg_config_mode mode = {
		.copy_range = htonl(COPY_BYTES), .copy_mode = NFULNL_COPY_PACKET};
	mnl_attr_put(nlh, NFULA_CFG_MODE, sizeof(mode), &mode);
	mnl_attr_put_u32(nlh, NFULA_CFG_QTHRESH, htonl(KERNEL_BATCH));
	mnl_attr_put_u32(nlh, NFULA_CFG_TIMEOUT, htonl(FLUSH));
	mnl_attr_put_u32(nlh, NFULA_CFG_NLBUFSIZ, htonl(DATAGRAM_BYTES));
	return request(n, nlh);
}

int bh_nflog_open(struct bh_nflog *n, uint16_t group)
{
	int size = SOCKET_BYTES / 2; /* the kernel doubles it */
	n->buf = bh_xcalloc(1, DATAGRAM_BYTES);
	n->nl = mnl_socket_open2(NETLINK_NETFILTER, SOCK_CLOEXEC);
	if (!n->nl)
		return errno == EPROTONOSUPPORT ? -EOPNOTSUPP : -errno;
	if (mnl_socket_bind(n->nl, 0, MNL_SOCKET_AUTOPID) < 0)
		return -errno;
	int fd = mnl_socket_get_fd(n->nl);
	if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size)) < 0)
		setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
	return bind_group(n, group);
}

void bh_nflog_finish(struct bh_nflog *n)
{
	if (n->nl)
		mnl_socket_close(n->nl); /* the kernel takes the group from it */
	free(n->buf);
	n->nl = NULL;
	n->buf = NULL;
}

void bh_nflog_read(struct bh_nflog *n)
{
	for (unsigned i = 0; i < READS_MAX; i++) {
		int r = receive(n, MSG_DONTWAIT, NULL);
		if (r == -ENOBUFS)
			n->overruns++;
		else if (r < 0 && r != -EINTR)
			return;
	}
}
