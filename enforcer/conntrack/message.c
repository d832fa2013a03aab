/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Messages to ctnetlink, and the kernel's answers to them. */
#include "private.h"

#include <errno.h>
#include <linux/netfilter/nfnetlink.h>
#include <sys/socket.h>

#include "netlink/netlink.h"

struct nlmsghdr *bh_ct_message(
	char *buf, uint16_t what, uint16_t flags, uint8_t family, uint32_t seq)
{
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(buf);
	nlh->nlmsg_type = NFNL_SUBSYS_CTNETLINK << 8 | what;
	nlh->nlmsg_flags = NLM_F_REQUEST | flags;
	nlh->nlmsg_seq = seq;
	struct nfgenmsg *nfg = mnl_nlmsg_put_extra_header(nlh, sizeof(*nfg));
	*nfg = (struct nfgenmsg){.nfgen_family = family, .version = NFNETLINK_V0};
	return nlh;
}

const struct nlmsgerr *bh_ct_error(const struct nlmsghdr *nlh)
{
	if (nlh->nlmsg_type != NLMSG_ERROR ||
		nlh->nlmsg_len < NLMSG_LENGTH(sizeof(struct nlmsgerr)))
		return NULL;
	return mnl_nlmsg_get_payload(nlh);
}

int bh_ct_request(struct bh_ct *ct, const void *buf, size_t len, uint32_t first,
	int (*fn)(const struct nlmsghdr *nlh, uint32_t question, void *arg), void *arg)
{
	if (mnl_socket_sendto(ct->nl, buf, len) < 0)
		return -errno;
	for (;;) {
		ssize_t got = bh_ct_recv(ct->nl, ct->rx, BH_CT_RX);
		if (got < 0)
			return got == -EAGAIN ? -ETIMEDOUT : (int)got;
		int left = (int)got;
		for (const struct nlmsghdr *nlh = (void *)ct->rx; mnl_nlmsg_ok(nlh, left);
			nlh = mnl_nlmsg_next(nlh, &left)) {
			uint32_t question = nlh->nlmsg_seq - first;
			int r = question > ct->seq - first ? 0 : fn(nlh, question, arg);
			if (r != 0)
				return r < 0 ? r : 0;
		}
	}
}

ssize_t bh_ct_recv(struct mnl_socket *nl, void *buf, size_t size)
{
	return bh_netlink_recv(mnl_socket_get_fd(nl), buf, size, 0);
}

void bh_ct_set_rcvbuf(struct mnl_socket *nl, int size)
{
	setsockopt(mnl_socket_get_fd(nl), SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size));
}
