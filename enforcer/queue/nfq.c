/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The netlink side of a queue (linux/netfilter/nfnetlink_queue.h): binding, reading many packets
 * and sending many verdicts a system call. One verdict message a packet, 64 to a send, costs the
 * kernel as little as a range verdict and needs no order among the packets.
 *
 * What bounds a queue. Without fail_open it is the kernel's queue length: the socket buffer is made
 * large enough never to fill first. With fail_open it is the socket buffer: a packet let through
 * because the queue was full gets no id and moves no counter, one let through because the socket
 * was full leaves a gap in the ids, and what is not enforced must at least be counted (verified on
 * kernel 6.18; net/netfilter/nfnetlink_queue.c, __nfqnl_enqueue_packet).
 */
#include <arpa/inet.h>
#include <errno.h>
#include <libnetfilter_queue/libnetfilter_queue.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_queue.h>
#include <poll.h>
#include <time.h>

#include "queue/private.h"

/* Enough for every header chain that is not an attack, small enough to be cheap. */
#define SNAP_LENGTH 256
/* Socket memory of one message: 832 for packets up to about 100 bytes, 1,280 with SNAP_LENGTH. The
 * kernel doubles what it is asked for. */
#define BYTES_SMALL 832
#define BYTES_LARGE 1536
#define ANSWER_TIMEOUT_MS 2000

static void on_packet(struct bh_nfq *n, const struct nlmsghdr *nlh)
{
	struct nlattr *attr[NFQA_MAX + 1] = {};
	struct bh_nfq_packet p = {};

	if (nfq_nlmsg_parse(nlh, attr) < 0 || !attr[NFQA_PACKET_HDR])
		return;
	const struct nfqnl_msg_packet_hdr *hdr = mnl_attr_get_payload(attr[NFQA_PACKET_HDR]);
	p.id = ntohl(hdr->packet_id);
	p.hook = hdr->hook;
	if (attr[NFQA_IFINDEX_INDEV])
		p.indev = ntohl(mnl_attr_get_u32(attr[NFQA_IFINDEX_INDEV]));
	if (attr[NFQA_IFINDEX_OUTDEV])
		p.outdev = ntohl(mnl_attr_get_u32(attr[NFQA_IFINDEX_OUTDEV]));
	if (attr[NFQA_IFINDEX_PHYSINDEV])
		p.physindev = ntohl(mnl_attr_get_u32(attr[NFQA_IFINDEX_PHYSINDEV]));
	if (attr[NFQA_MARK])
		p.mark = ntohl(mnl_attr_get_u32(attr[NFQA_MARK]));
	if (attr[NFQA_PAYLOAD]) {
		p.data = mnl_attr_get_payload(attr[NFQA_PAYLOAD]);
		p.len = mnl_attr_get_payload_len(attr[NFQA_PAYLOAD]);
	}
	p.real = p.len;
	if (attr[NFQA_CAP_LEN])
		p.real = ntohl(mnl_attr_get_u32(attr[NFQA_CAP_LEN]));
	n->packet(&p, n->arg);
}

static void on_message(struct bh_nfq *n, const struct nlmsghdr *nlh)
{
	if (nlh->nlmsg_type == (NFNL_SUBSYS_QUEUE << 8 | NFQNL_MSG_PACKET)) {
		on_packet(n, nlh);
	} else if (nlh->nlmsg_type == NLMSG_ERROR && n->awaited != 0 &&
		   nlh->nlmsg_seq == n->awaited &&
		   mnl_nlmsg_get_payload_len(nlh) >= sizeof(struct nlmsgerr)) {
		const struct nlmsgerr *e = mnl_nlmsg_get_payload(nlh);
		n->answer = e->error;
		n->awaited = 0;
	}
	/* Other errors answer verdicts on packets that the kernel has flushed in the meantime
	 * (their interface went, a base chain was removed): nothing is left to decide. */
}

unsigned bh_nfq_receive(struct bh_nfq *n, bool wait)
{
	struct mmsghdr msg[BH_NFQ_BATCH] = {};
	struct iovec iov[BH_NFQ_BATCH];
	struct sockaddr_nl from[BH_NFQ_BATCH];

	for (size_t i = 0; i < BH_NFQ_BATCH; i++) {
		iov[i] = (struct iovec){n->in + i * BH_NFQ_MESSAGE_BYTES, BH_NFQ_MESSAGE_BYTES};
		msg[i].msg_hdr = (struct msghdr){
			.msg_iov = &iov[i],
			.msg_iovlen = 1,
			.msg_name = &from[i],
			.msg_namelen = sizeof(from[i]),
		};
	}
	int got = recvmmsg(mnl_socket_get_fd(n->nl), msg, BH_NFQ_BATCH,
		wait ? MSG_WAITFORONE : MSG_DONTWAIT, NULL);
	if (got < 0) {
		n->congested |= errno == ENOBUFS;
		/* After ENOBUFS there may be more; EINTR too. */
		return errno == ENOBUFS || errno == EINTR ? 1 : 0;
	}
	for (int i = 0; i < got; i++) {
		int left = (int)msg[i].msg_len;
		const struct nlmsghdr *nlh = iov[i].iov_base;
		if (from[i].nl_pid != 0) /* not from the kernel */
			continue;
		for (; mnl_nlmsg_ok(nlh, left); nlh = mnl_nlmsg_next(nlh, &left))
			on_message(n, nlh);
	}
	return (unsigned)got;
}

/* Sends all of it, whatever it takes: a verdict that is lost would leave its packet in the queue
 * for ever. Netlink to the kernel fails only for want of memory, which passes. */
static void send_all(const struct bh_nfq *n, const void *p, size_t len)
{
	while (mnl_socket_sendto(n->nl, p, len) < 0) {
		if (errno == EINTR)
			continue;
		if (errno != ENOMEM && errno != ENOBUFS && errno != EAGAIN)
			return;
		nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
	}
}

void bh_nfq_flush(struct bh_nfq *n)
{
	if (n->out_len > 0)
		send_all(n, n->out, n->out_len);
	n->out_len = 0;
	n->n_out = 0;
}

void bh_nfq_verdict(struct bh_nfq *n, uint32_t id, uint32_t verdict, bool set_mark, uint32_t mark)
{
	struct nlmsghdr *nlh = nfq_nlmsg_put(n->out + n->out_len, NFQNL_MSG_VERDICT, n->num);

	nfq_nlmsg_verdict_put(nlh, (int)id, (int)verdict);
	if (set_mark)
		nfq_nlmsg_verdict_put_mark(nlh, mark);
	n->out_len += MNL_ALIGN(nlh->nlmsg_len);
	if (++n->n_out == BH_NFQ_BATCH)
		bh_nfq_flush(n);
}

static int64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* Sends a request and waits for its answer; packets that come in between are served. */
static int request(struct bh_nfq *n, struct nlmsghdr *nlh)
{
	int64_t until = now_ms() + ANSWER_TIMEOUT_MS;

	nlh->nlmsg_flags |= NLM_F_ACK;
	nlh->nlmsg_seq = ++n->seq;
	n->awaited = n->seq;
	send_all(n, nlh, nlh->nlmsg_len);
	while (n->awaited != 0) {
		struct pollfd fd = {mnl_socket_get_fd(n->nl), POLLIN, 0};
		int64_t left = until - now_ms();
		if (left <= 0) {
			n->awaited = 0;
			return -ETIMEDOUT;
		}
		poll(&fd, 1, (int)left);
		bh_nfq_receive(n, false);
		bh_nfq_flush(n);
	}
	return n->answer;
}

static struct nlmsghdr *config(struct bh_nfq *n, char *buf, uint16_t family, int cmd)
{
	struct nlmsghdr *nlh = nfq_nlmsg_put(buf, NFQNL_MSG_CONFIG, n->num);

	if (cmd != NFQNL_CFG_CMD_NONE)
		nfq_nlmsg_cfg_put_cmd(nlh, family, (uint8_t)cmd);
	return nlh;
}

/* One flag a message: the kernel refuses a message with any flag that it does not know, whole. */
static void set_flag(struct bh_nfq *n, uint32_t flag)
{
	char buf[256];
	struct nlmsghdr *nlh = config(n, buf, AF_UNSPEC, NFQNL_CFG_CMD_NONE);

	mnl_attr_put_u32(nlh, NFQA_CFG_FLAGS, htonl(flag));
	mnl_attr_put_u32(nlh, NFQA_CFG_MASK, htonl(flag));
	request(n, nlh); /* refused: segmented one by one, or drops when full; both are correct */
}

/*
 * A queue that somebody has answers EPERM, as does a want of privilege. The obsolete PF_BIND, which
 * does nothing and asks for the privilege alone, tells them apart.
 */
static int bind_error(struct bh_nfq *n, int err)
{
	char buf[256];

	if (err == -EINVAL || err == -EPROTONOSUPPORT)
		return -EOPNOTSUPP; /* nfnetlink's answer for a subsystem that is not there */
	if (err == -EPERM && request(n, config(n, buf, AF_INET, NFQNL_CFG_CMD_PF_BIND)) == 0)
		return -EBUSY;
	return err;
}

/* Bind, copy mode and length in one message: a queue that is bound but has no copy mode drops. */
static int bind_queue(struct bh_nfq *n, uint32_t kernel_maxlen)
{
	char buf[256];
	struct nlmsghdr *nlh = config(n, buf, AF_UNSPEC, NFQNL_CFG_CMD_BIND);

	nfq_nlmsg_cfg_put_params(nlh, NFQNL_COPY_PACKET, SNAP_LENGTH);
	nfq_nlmsg_cfg_put_qmaxlen(nlh, kernel_maxlen);
	int r = request(n, nlh);
	return r < 0 ? bind_error(n, r) : 0;
}

static void size_buffer(struct bh_nfq *n, size_t bytes)
{
	int fd = mnl_socket_get_fd(n->nl), size = (int)(bytes / 2);

	if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size)) < 0)
		setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
}

int bh_nfq_open(struct bh_nfq *n, const struct bh_queue_opts *opts)
{
	uint32_t kernel_maxlen = opts->maxlen;
	int on = 1;

	n->num = opts->num;
	n->in = bh_xcalloc(BH_NFQ_BATCH, BH_NFQ_MESSAGE_BYTES);
	n->nl = mnl_socket_open2(NETLINK_NETFILTER, SOCK_CLOEXEC);
	if (!n->nl)
		return errno == EPROTONOSUPPORT ? -EOPNOTSUPP : -errno;
	if (mnl_socket_bind(n->nl, 0, MNL_SOCKET_AUTOPID) < 0)
		return -errno;
	if (opts->fail_open) {
		/* See the head of this file. Held packets and the batch in hand have left the
		 * socket but not the queue. Without NO_ENOBUFS a socket that was full once takes
		 * nothing more until it has been read empty. */
		kernel_maxlen = 2 * opts->maxlen + 2 * BH_NFQ_BATCH;
		size_buffer(n, (size_t)opts->maxlen * BYTES_SMALL);
		mnl_socket_setsockopt(n->nl, NETLINK_NO_ENOBUFS, &on, sizeof(on));
	} else {
		size_buffer(n, (size_t)opts->maxlen * BYTES_LARGE + 65536);
	}
	int r = bind_queue(n, kernel_maxlen);
	if (r < 0)
		return r;
	set_flag(n, NFQA_CFG_F_GSO);
	if (opts->fail_open)
		set_flag(n, NFQA_CFG_F_FAIL_OPEN);
	return 0;
}

/*
 * The kernel acknowledges it on the socket that the thread waits on anyway; an eventfd beside that
 * would cost a poll for each packet that comes alone. If the socket is full there is no answer, and
 * nobody waits.
 */
void bh_nfq_wake(const struct bh_nfq *n)
{
	const struct nlmsghdr noop = {.nlmsg_len = sizeof(noop),
		.nlmsg_type = NLMSG_NOOP,
		.nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK};

	send_all(n, &noop, sizeof(noop));
}

void bh_nfq_unbind(struct bh_nfq *n)
{
	char buf[256];
	struct nlmsghdr *nlh = config(n, buf, AF_UNSPEC, NFQNL_CFG_CMD_UNBIND);

	send_all(n, nlh, nlh->nlmsg_len);
}

void bh_nfq_finish(struct bh_nfq *n)
{
	if (n->nl)
		mnl_socket_close(n->nl);
	free(n->in);
	n->nl = NULL;
	n->in = NULL;
}
