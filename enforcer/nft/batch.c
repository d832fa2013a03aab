/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * One transaction: BATCH_BEGIN, messages, BATCH_END in a single sendmsg (nfnetlink_rcv_batch in
 * the kernel's net/netfilter/nfnetlink.c). The kernel works it off before sendmsg returns, so all
 * answers are in the receive queue by then.
 *
 * What counts as committed: no error at all AND the acknowledgement of the last real message.
 * Asking for the acknowledgement on BATCH_END would be nicer, but 6.1 does not answer there; and a
 * batch that was dropped half-way (signal, missing end) answers nothing, so silence is failure.
 */
#include "private.h"

#include <errno.h>
#include <libnftnl/common.h>
#include <limits.h>
#include <linux/netlink.h>
#include <sys/socket.h>

#include "netlink/netlink.h"

#define TRIES 3 /* for EINTR: kernels such as 6.1 drop a batch for any pending signal */

void bh_nft_batch_finish(struct bh_nft_batch *b)
{
	free(b->buf);
	free(b->msg);
	*b = (struct bh_nft_batch){0};
}

static void reserve(struct bh_nft_batch *b, size_t room)
{
	if (b->cap - b->len >= room)
		return;
	size_t cap = b->cap ? b->cap : 2 * BH_NFT_MSG_ROOM;
	while (cap - b->len < room)
		cap *= 2;
	b->buf = bh_xrealloc(b->buf, cap, 1);
	b->cap = cap;
}

/* BATCH_BEGIN or BATCH_END. */
static size_t build_frame(void *buf, uint16_t type, uint32_t seq, uint32_t gen)
{
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(buf);
	nlh->nlmsg_type = type;
	nlh->nlmsg_flags = NLM_F_REQUEST;
	nlh->nlmsg_seq = seq;
	struct nfgenmsg *nfg = mnl_nlmsg_put_extra_header(nlh, sizeof(*nfg));
	nfg->nfgen_family = AF_UNSPEC;
	nfg->version = NFNETLINK_V0;
	nfg->res_id = htons(NFNL_SUBSYS_NFTABLES);
	if (gen)
		mnl_attr_put_u32(nlh, NFNL_BATCH_GENID, htonl(gen));
	return MNL_ALIGN(nlh->nlmsg_len);
}

struct nlmsghdr *bh_nft_batch_add(struct bh_nft_batch *b, uint8_t table, uint16_t type,
	uint16_t flags, enum bh_nft_what what, const char *name, size_t index)
{
	reserve(b, BH_NFT_MSG_ROOM);
	BH_GROW(b->msg, b->n, b->cap_msgs);
	b->msg[b->n] = (struct bh_nft_msg){b->len, what, table, name, index};
	b->n++;
	return nftnl_nlmsg_build_hdr((char *)b->buf + b->len, type, bh_nft_family(table), flags, 0);
}

void bh_nft_batch_done(struct bh_nft_batch *b, const struct nlmsghdr *nlh)
{
	b->len += MNL_ALIGN(nlh->nlmsg_len);
}

/* The socket takes a message of at most its send buffer, and truncates nothing silently. */
static int widen(struct bh_nft *n, size_t len)
{
	int fd = mnl_socket_get_fd(n->nl), have = 0;
	socklen_t size = sizeof(have);
	if (len > INT_MAX / 2)
		return -EMSGSIZE;
	if (getsockopt(fd, SOL_SOCKET, SO_SNDBUF, &have, &size) < 0)
		return -errno;
	int want = (int)len + 4096;
	if (have >= want)
		return 0;
	if (setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &want, sizeof(want)) < 0)
		return -errno;
	return 0;
}

/* The answers to one transaction. */
struct answer {
	const struct bh_nft_batch *batch;
	void (*fn)(ssize_t, int, void *);
	void *arg;
	struct bh_nft_error *error;
	bool acked;
	int err; /* of the first message refused */
};

/* The extended acknowledgement follows the echoed header (NETLINK_CAP_ACK). */
static void extended(const struct nlmsghdr *nlh, const struct nlmsgerr *e, size_t *ret_at,
	char *kernel, size_t size)
{
	size_t skip = sizeof(*e);
	if (!(nlh->nlmsg_flags & NLM_F_ACK_TLVS))
		return;
	if (!(nlh->nlmsg_flags & NLM_F_CAPPED) && e->msg.nlmsg_len > sizeof(e->msg))
		skip += MNL_ALIGN(e->msg.nlmsg_len - sizeof(e->msg));
	if (skip > mnl_nlmsg_get_payload_len(nlh))
		return;
	const struct nlattr *a;
	mnl_attr_for_each(a, nlh, skip)
	{
		if (mnl_attr_get_type(a) == NLMSGERR_ATTR_MSG &&
			mnl_attr_validate(a, MNL_TYPE_STRING) >= 0)
			snprintf(kernel, size, "%.*s", (int)mnl_attr_get_payload_len(a),
				mnl_attr_get_str(a));
		else if (mnl_attr_get_type(a) == NLMSGERR_ATTR_OFFS &&
			 mnl_attr_validate(a, MNL_TYPE_U32) >= 0)
			*ret_at = mnl_attr_get_u32(a);
	}
}

static void take_answer(struct answer *a, const struct nlmsghdr *nlh)
{
	if (nlh->nlmsg_type != NLMSG_ERROR ||
		nlh->nlmsg_len < NLMSG_LENGTH(sizeof(struct nlmsgerr)))
		return;
	const struct nlmsgerr *e = mnl_nlmsg_get_payload(nlh);
	uint32_t at_msg = nlh->nlmsg_seq - a->batch->seq; /* 0: BATCH_BEGIN */
	if (at_msg > a->batch->n + 1)
		return; /* left over from an earlier request */
	ssize_t i = at_msg <= a->batch->n ? (ssize_t)at_msg - 1 : -1;
	if (e->error == 0) {
		a->acked |= at_msg == a->batch->n;
		return;
	}
	if (a->fn)
		a->fn(i, e->error, a->arg);
	if (a->err)
		return;
	a->err = e->error;
	if (!a->error)
		return;
	size_t at = 0;
	a->error->err = e->error;
	a->error->kernel[0] = '\0';
	extended(nlh, e, &at, a->error->kernel, sizeof(a->error->kernel));
	bh_nft_describe(a->batch, i, at, a->error->object, sizeof(a->error->object));
}

static int collect(struct bh_nft *n, struct answer *a)
{
	for (;;) {
		ssize_t got = bh_netlink_recv(
			mnl_socket_get_fd(n->nl), n->rx, BH_NFT_MSG_ROOM, MSG_DONTWAIT);
		if (got == -EAGAIN)
			break;
		if (got == -ENOBUFS && a->err)
			continue; /* more errors than fit: the first is enough */
		if (got < 0)
			return (int)got;
		int left = (int)got;
		for (const struct nlmsghdr *nlh = (const void *)n->rx; mnl_nlmsg_ok(nlh, left);
			nlh = mnl_nlmsg_next(nlh, &left))
			take_answer(a, nlh);
	}
	if (a->err)
		return a->err;
	return a->acked ? 0 : -EIO;
}

static int send_once(struct bh_nft *n, const struct iovec iov[3], struct answer *a)
{
	struct sockaddr_nl to = {.nl_family = AF_NETLINK};
	struct msghdr m = {.msg_name = &to,
		.msg_namelen = sizeof(to),
		.msg_iov = (struct iovec *)iov,
		.msg_iovlen = 3};
	if (sendmsg(mnl_socket_get_fd(n->nl), &m, 0) < 0)
		return -errno;
	return collect(n, a);
}

/* Numbers the messages and asks for the acknowledgement of the last. */
static void number(struct bh_nft *n, struct bh_nft_batch *b)
{
	struct nlmsghdr *nlh = NULL;
	b->seq = n->seq + 1;
	for (size_t i = 0; i < b->n; i++) {
		nlh = (struct nlmsghdr *)(b->buf + b->msg[i].offset);
		nlh->nlmsg_seq = b->seq + 1 + (uint32_t)i;
	}
	nlh->nlmsg_flags |= NLM_F_ACK;
	n->seq = b->seq + 1 + (uint32_t)b->n;
}

int bh_nft_transact(struct bh_nft *n, struct bh_nft_batch *b, uint32_t gen,
	void (*fn)(ssize_t, int, void *), void *arg, struct bh_nft_error *ret_error)
{
	struct bh_nft_error ignored;
	struct bh_nft_error *error = ret_error ? ret_error : &ignored;
	_Alignas(struct nlmsghdr) uint8_t begin[64], end[64];
	*error = (struct bh_nft_error){0};
	if (!b->n)
		return 0;
	int rc = widen(n, b->len + sizeof(begin) + sizeof(end));
	bool paused = bh_nft_watch_pause(n, b->len);
	for (int try = 0; rc == 0 && try < TRIES; try++) {
		number(n, b);
		struct iovec iov[3] = {
			{begin, build_frame(begin, NFNL_MSG_BATCH_BEGIN, b->seq, gen)},
			{b->buf, b->len},
			{end, build_frame(end, NFNL_MSG_BATCH_END, n->seq, 0)},
		};
		*error = (struct bh_nft_error){0};
		struct answer a = {.batch = b, .fn = fn, .arg = arg, .error = error};
		rc = send_once(n, iov, &a);
		if (rc == 0)
			n->commits++;
		if (rc != -EINTR || try + 1 == TRIES)
			break;
		rc = 0;
	}
	if (paused)
		bh_nft_watch_resume(n);
	if (rc < 0 && !error->err) {
		error->err = rc;
		snprintf(error->object, sizeof(error->object), "the transaction");
	}
	return rc;
}
