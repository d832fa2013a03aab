/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The handle. */
#include "private.h"

#include <errno.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <sys/socket.h>
#include <sys/time.h>

#define DUMP_RCVBUF (1 << 20)
#define WALK_US 9000 /* of 262,144 buckets, what the kernel makes with 4 GiB or more */
#define ANSWER_SECONDS 10 /* the kernel answers at once; never wait for ever */

static int on_load(const struct nlmsghdr *nlh, uint32_t question BH_UNUSED, void *arg BH_UNUSED)
{
	const struct nlmsgerr *e = bh_ct_error(nlh);
	if (!e)
		return 0;
	/* nfnetlink's answer for a subsystem that is not there */
	return e->error == -EINVAL ? -EOPNOTSUPP : e->error ? e->error : 1;
}

/* A request loads ctnetlink and waits for it, which joining a group does not (nfnetlink_bind in 6.1
 * and later); this one asks for the number of entries. */
static int load(struct bh_ct *ct)
{
	_Alignas(struct nlmsghdr) char buf[64];
	uint32_t seq = ++ct->seq;
	struct nlmsghdr *nlh =
		bh_ct_message(buf, IPCTNL_MSG_CT_GET_STATS, NLM_F_ACK, AF_UNSPEC, seq);
	return bh_ct_request(ct, buf, nlh->nlmsg_len, seq, on_load, NULL);
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
	ct->walk_us = WALK_US;
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
