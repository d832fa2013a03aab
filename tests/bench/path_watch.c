/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * When the kernel's rules change: prints a line for each address of the server's range that a
 * transaction put into a set, with the time (ns, monotonic) at which the kernel told that the
 * transaction is in force. Runs until it is terminated.
 */
#include "bench/path.h"

#include <arpa/inet.h>
#include <err.h>
#include <libmnl/libmnl.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>

#define ADDRESSES 256

static bool fresh[ADDRESSES]; /* in the transaction that is being told */

/* A data value of four bytes is an address, or looks like one: the range is ours alone. */
static void look(const struct path_lab *lab, const struct nlmsghdr *h)
{
	const uint8_t *p = (const uint8_t *)h;
	static const struct nlattr head = {8, NFTA_DATA_VALUE};
	for (size_t i = 0; i + 8 <= h->nlmsg_len; i += 4) {
		uint32_t v;
		memcpy(&v, p + i + 4, sizeof(v));
		v = ntohl(v) - lab->target;
		if (memcmp(p + i, &head, sizeof(head)) == 0 && v < lab->n_targets && v < ADDRESSES)
			fresh[v] = true;
	}
}

static void tell(const struct path_lab *lab, int64_t now)
{
	for (uint32_t i = 0; i < ADDRESSES; i++) {
		struct in_addr a = {htonl(lab->target + i)};
		if (fresh[i])
			printf("{\"address\": \"%s\", \"at\": %lld}\n", inet_ntoa(a),
				(long long)now);
		fresh[i] = false;
	}
	fflush(stdout);
}

void path_watch(struct path_opts *o)
{
	static char buf[1 << 16];
	int group = NFNLGRP_NFTABLES, size = 32 << 20;
	path_enter(o->lab[0].node);
	struct mnl_socket *nl = mnl_socket_open(NETLINK_NETFILTER);
	if (!nl || mnl_socket_bind(nl, 0, MNL_SOCKET_AUTOPID) < 0)
		err(1, "netlink");
	setsockopt(mnl_socket_get_fd(nl), SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size));
	if (mnl_socket_setsockopt(nl, NETLINK_ADD_MEMBERSHIP, &group, sizeof(group)) < 0)
		err(1, "nftables notices");
	puts("ready");
	fflush(stdout);
	for (;;) {
		ssize_t n = mnl_socket_recvfrom(nl, buf, sizeof(buf));
		int64_t now = path_now();
		int left = (int)n;
		if (n < 0)
			err(1, "nftables notices");
		for (const struct nlmsghdr *h = (void *)buf; mnl_nlmsg_ok(h, left);
			h = mnl_nlmsg_next(h, &left)) {
			if (h->nlmsg_type == (NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_NEWSETELEM))
				look(&o->lab[0], h);
			if (h->nlmsg_type == (NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_NEWGEN))
				tell(&o->lab[0], now);
		}
	}
}
