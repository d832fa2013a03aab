/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Who touched our tables. The kernel announces each change with the port id of the socket that
 * asked for it, and ends every transaction with NFT_MSG_NEWGEN, which has the new generation id.
 *
 * A large transaction of our own can overrun the socket, and if that counted as "somebody changed
 * it", the repair would overrun it again, for ever. So the generations are kept in account: up to
 * known_gen every announcement was received; if after a loss the generations since then are as many
 * as our own transactions since then, then what was lost was ours.
 *
 * The kernel makes an announcement, with memory of its own, for every single element and rule; as
 * long as anybody listens that is most of what a large transaction costs. So while one of ours is
 * under way nothing is listened to, if the tables belong to our socket: then the kernel refuses
 * what we would hear of.
 */
#include "private.h"

#include <errno.h>
#include <linux/netfilter/nfnetlink_compat.h>
#include <sys/socket.h>

#include "netlink/netlink.h"

#define RCVBUF (8 << 20)
#define LARGE 4096 /* bytes of a transaction: below, turning away costs more than it saves */
#define MESSAGES_PER_DRAIN 65536 /* a flood by others must not keep us here; poll comes again */

static int listen_to_changes(struct bh_nft *n, bool on)
{
	int group = NFNLGRP_NFTABLES;
	int r = mnl_socket_setsockopt(n->watch,
		on ? NETLINK_ADD_MEMBERSHIP : NETLINK_DROP_MEMBERSHIP, &group, sizeof(group));
	return r < 0 ? -errno : 0;
}

static int subscribe(struct bh_nft *n)
{
	int size = RCVBUF;
	if (mnl_socket_bind(n->watch, 0, MNL_SOCKET_AUTOPID) < 0)
		return -errno;
	setsockopt(mnl_socket_get_fd(n->watch), SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size));
	int rc = listen_to_changes(n, true);
	if (rc < 0)
		return rc;
	n->known_commits = n->commits;
	return bh_nft_generation(n, &n->known_gen);
}

bool bh_nft_watch_pause(struct bh_nft *n, size_t len)
{
	return n->watch && n->own && n->caps.owner && len >= LARGE &&
	       listen_to_changes(n, false) == 0;
}

void bh_nft_watch_resume(struct bh_nft *n)
{
	uint32_t now;
	listen_to_changes(n, true); /* needs no memory: it was on before */
	if (bh_nft_generation(n, &now) < 0)
		return; /* what is missing then counts as lost */
	n->known_gen = now;
	n->known_commits = n->commits;
}

int bh_nft_watch_fd(struct bh_nft *n)
{
	if (n->watch)
		return mnl_socket_get_fd(n->watch);
	n->watch = mnl_socket_open2(NETLINK_NETFILTER, SOCK_CLOEXEC | SOCK_NONBLOCK);
	int rc = n->watch ? subscribe(n) : -errno;
	if (rc == 0)
		return mnl_socket_get_fd(n->watch);
	if (n->watch)
		mnl_socket_close(n->watch);
	n->watch = NULL;
	return rc;
}

/* Every kind of announcement has the table's name in attribute 1. */
static bool concerns_us(const struct nlmsghdr *nlh)
{
	const struct nfgenmsg *nfg = mnl_nlmsg_get_payload(nlh);
	const struct nlattr *a;
	if (nfg->nfgen_family != NFPROTO_INET && nfg->nfgen_family != NFPROTO_BRIDGE)
		return false;
	mnl_attr_for_each(a, nlh, sizeof(*nfg))
	{
		if (mnl_attr_get_type(a) == NFTA_TABLE_NAME &&
			mnl_attr_validate(a, MNL_TYPE_NUL_STRING) >= 0)
			return strcmp(mnl_attr_get_str(a), BH_TABLE) == 0;
	}
	return false;
}

/* What was still unread at a pause is older than what is known since. */
static void note_generation(struct bh_nft *n, const struct nlmsghdr *nlh)
{
	const struct nlattr *a;
	mnl_attr_for_each(a, nlh, sizeof(struct nfgenmsg))
	{
		if (mnl_attr_get_type(a) != NFTA_GEN_ID || mnl_attr_validate(a, MNL_TYPE_U32) < 0)
			continue;
		uint32_t gen = ntohl(mnl_attr_get_u32(a));
		if ((int32_t)(gen - n->known_gen) <= 0)
			return;
		n->known_gen = gen;
	}
	if (nlh->nlmsg_pid == n->portid)
		n->known_commits++;
}

/* 1 if it was somebody else's change of our tables. lost: do not take generations from it. */
static int take(struct bh_nft *n, const struct nlmsghdr *nlh, bool lost)
{
	if (NFNL_SUBSYS_ID(nlh->nlmsg_type) != NFNL_SUBSYS_NFTABLES ||
		nlh->nlmsg_len < NLMSG_LENGTH(sizeof(struct nfgenmsg)))
		return 0;
	if (NFNL_MSG_TYPE(nlh->nlmsg_type) == NFT_MSG_NEWGEN) {
		if (!lost)
			note_generation(n, nlh);
		return 0;
	}
	return nlh->nlmsg_pid != n->portid && concerns_us(nlh);
}

/* After a loss: were all the generations we did not hear of our own? */
static int settle(struct bh_nft *n)
{
	uint32_t now;
	int rc = bh_nft_generation(n, &now);
	if (rc < 0)
		return rc;
	bool own = now - n->known_gen == n->commits - n->known_commits;
	n->known_gen = now;
	n->known_commits = n->commits;
	return own ? 0 : -ENOBUFS;
}

int bh_nft_watch_drain(struct bh_nft *n)
{
	bool lost = false;
	int changes = 0;
	if (!n->watch)
		return 0;
	for (int seen = 0; lost || seen < MESSAGES_PER_DRAIN;) { /* after a loss: to the end */
		ssize_t got = bh_netlink_recv(
			mnl_socket_get_fd(n->watch), n->rx, BH_NFT_MSG_ROOM, MSG_DONTWAIT);
		if (got == -EAGAIN)
			break;
		if (got == -ENOBUFS) {
			lost = true;
			continue;
		}
		if (got < 0)
			return (int)got;
		int left = (int)got;
		for (const struct nlmsghdr *nlh = (const void *)n->rx; mnl_nlmsg_ok(nlh, left);
			nlh = mnl_nlmsg_next(nlh, &left), seen++)
			changes += take(n, nlh, lost);
	}
	int rc = lost ? settle(n) : 0;
	return rc < 0 ? rc : changes;
}
