/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The handle: its sockets, plain requests, and what concerns the table as a whole. Nothing here
 * keeps state about the table; the kernel has it, and other files ask.
 */
#include "private.h"

#include <errno.h>
#include <libnftnl/common.h>
#include <linux/netlink.h>
#include <sys/socket.h>
#include <sys/time.h>

#include "netlink/netlink.h"

#define RCVBUF (4 << 20) /* for the answers to a batch in which everything is refused */
#define ANSWER_SECONDS 10 /* the kernel answers at once; never wait for ever */

static int configure(struct bh_nft *n)
{
	int fd = mnl_socket_get_fd(n->nl), on = 1, size = RCVBUF;
	struct timeval patience = {.tv_sec = ANSWER_SECONDS};
	if (mnl_socket_bind(n->nl, 0, MNL_SOCKET_AUTOPID) < 0)
		return -errno;
	n->portid = mnl_socket_get_portid(n->nl);
	/* Forcing needs CAP_NET_ADMIN over the initial user namespace; without, the default has
	 * to do. */
	setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size));
	if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)) < 0 ||
		mnl_socket_setsockopt(n->nl, NETLINK_CAP_ACK, &on, sizeof(on)) < 0 ||
		mnl_socket_setsockopt(n->nl, NETLINK_EXT_ACK, &on, sizeof(on)) < 0)
		return -errno;
	return 0;
}

int bh_nft_open(struct bh_nft **ret)
{
	struct bh_nft *n = bh_xcalloc(1, sizeof(*n));
	n->rx = bh_xcalloc(1, BH_NFT_MSG_ROOM);
	n->nl = mnl_socket_open2(NETLINK_NETFILTER, SOCK_CLOEXEC);
	int rc = n->nl ? configure(n) : -errno;
	if (rc == 0)
		rc = bh_nft_probe(n);
	if (rc < 0) {
		bh_nft_close(n);
		return rc;
	}
	*ret = n;
	return 0;
}

void bh_nft_close(struct bh_nft *n)
{
	if (!n)
		return;
	if (n->nl)
		mnl_socket_close(n->nl);
	if (n->watch)
		mnl_socket_close(n->watch);
	free(n->rx);
	free(n);
}

const struct bh_nft_caps *bh_nft_get_caps(const struct bh_nft *n)
{
	return &n->caps;
}

void bh_nft_set_owner(struct bh_nft *n, bool owner)
{
	n->own = owner;
}

/* What became of a request so far. */
struct answers {
	void (*fn)(const struct nlmsghdr *, void *);
	void *arg;
	bool changed; /* the ruleset, under way */
	bool any;
	uint16_t generation; /* of the first: dumps of elements signal a change in no other way */
};

static void note_generation(struct answers *a, const struct nlmsghdr *nlh)
{
	const struct nfgenmsg *nfg = mnl_nlmsg_get_payload(nlh);
	if (!a->any)
		a->generation = nfg->res_id;
	a->any = true;
	if (nfg->res_id != a->generation)
		a->changed = true;
}

/* One answer: 1 when it was the last, 0 to go on, −errno. */
static int take(struct bh_nft *n, const struct nlmsghdr *nlh, struct answers *a)
{
	if (nlh->nlmsg_seq != n->seq)
		return 0; /* of an earlier request that was given up */
	if (nlh->nlmsg_flags & NLM_F_DUMP_INTR)
		a->changed = true;
	if (nlh->nlmsg_type == NLMSG_DONE)
		return 1;
	if (nlh->nlmsg_type == NLMSG_ERROR) {
		if (nlh->nlmsg_len < NLMSG_LENGTH(sizeof(struct nlmsgerr)))
			return -EBADMSG;
		int err = ((const struct nlmsgerr *)mnl_nlmsg_get_payload(nlh))->error;
		return err ? err : 1;
	}
	if (nlh->nlmsg_type < NLMSG_MIN_TYPE ||
		nlh->nlmsg_len < NLMSG_LENGTH(sizeof(struct nfgenmsg)))
		return 0;
	if (nlh->nlmsg_flags & NLM_F_MULTI)
		note_generation(a, nlh);
	if (a->fn && !a->changed)
		a->fn(nlh, a->arg);
	return 0;
}

static int receive(struct bh_nft *n, struct answers *a)
{
	for (;;) {
		ssize_t got = bh_netlink_recv(mnl_socket_get_fd(n->nl), n->rx, BH_NFT_MSG_ROOM, 0);
		if (got < 0)
			return got == -EAGAIN ? -ETIMEDOUT : (int)got;
		int left = (int)got;
		for (const struct nlmsghdr *nlh = (const void *)n->rx; mnl_nlmsg_ok(nlh, left);
			nlh = mnl_nlmsg_next(nlh, &left)) {
			int rc = take(n, nlh, a);
			if (rc < 0)
				return rc;
			if (rc > 0)
				return a->changed ? -EINTR : 0;
		}
	}
}

int bh_nft_request(struct bh_nft *n, uint16_t type, uint16_t flags, uint8_t family,
	const char *table, const char *object, void (*fn)(const struct nlmsghdr *, void *),
	void *arg)
{
	struct answers a = {.fn = fn, .arg = arg};
	_Alignas(struct nlmsghdr) char buf[512];
	/* A dump ends with NLMSG_DONE; anything else is asked to say that it is done. */
	uint16_t end = flags & NLM_F_DUMP ? 0 : NLM_F_ACK;
	struct nlmsghdr *nlh =
		nftnl_nlmsg_build_hdr(buf, type, family, (uint16_t)(flags | end), ++n->seq);
	/* The same numbers in every kind of message. */
	if (table)
		mnl_attr_put_strz(nlh, NFTA_SET_ELEM_LIST_TABLE, table);
	if (object)
		mnl_attr_put_strz(nlh, NFTA_SET_ELEM_LIST_SET, object);
	if (mnl_socket_sendto(n->nl, nlh, nlh->nlmsg_len) < 0)
		return -errno;
	return receive(n, &a);
}

struct generation {
	uint32_t id;
};

static void read_generation(const struct nlmsghdr *nlh, void *arg)
{
	struct generation *g = arg;
	const struct nlattr *a;
	mnl_attr_for_each(a, nlh, sizeof(struct nfgenmsg))
	{
		if (mnl_attr_get_type(a) == NFTA_GEN_ID && mnl_attr_validate(a, MNL_TYPE_U32) >= 0)
			g->id = ntohl(mnl_attr_get_u32(a));
	}
}

int bh_nft_generation(struct bh_nft *n, uint32_t *ret)
{
	struct generation g = {0};
	int rc = bh_nft_request(n, NFT_MSG_GETGEN, 0, AF_UNSPEC, NULL, NULL, read_generation, &g);
	if (rc < 0)
		return rc;
	*ret = g.id;
	return 0;
}

static int table_exists(struct bh_nft *n, uint8_t table)
{
	int rc = bh_nft_request(
		n, NFT_MSG_GETTABLE, 0, bh_nft_family(table), BH_TABLE, NULL, NULL, NULL);
	return rc == -ENOENT ? 0 : rc < 0 ? rc : 1;
}

int bh_nft_exists(struct bh_nft *n)
{
	return table_exists(n, BH_TABLE_INET);
}

static void read_owner(const struct nlmsghdr *nlh, void *arg)
{
	uint32_t *owner = arg;
	const struct nlattr *a;
	mnl_attr_for_each(a, nlh, sizeof(struct nfgenmsg))
	{
		if (mnl_attr_get_type(a) == NFTA_TABLE_OWNER &&
			mnl_attr_validate(a, MNL_TYPE_U32) >= 0)
			*owner = ntohl(mnl_attr_get_u32(a));
	}
}

int bh_nft_taken(struct bh_nft *n)
{
	for (uint8_t t = BH_TABLE_INET; t <= BH_TABLE_BRIDGE; t++) {
		uint32_t owner = 0;
		int rc = bh_nft_request(n, NFT_MSG_GETTABLE, 0, bh_nft_family(t), BH_TABLE, NULL,
			read_owner, &owner);
		if (rc == 0 && owner && owner != n->portid)
			return 1;
		if (rc < 0 && rc != -ENOENT && (t == BH_TABLE_INET || n->caps.bridge))
			return rc;
	}
	return 0;
}

int bh_nft_flush(struct bh_nft *n)
{
	bh_autobatch struct bh_nft_batch b = {0};
	for (uint8_t t = BH_TABLE_INET; t <= BH_TABLE_BRIDGE; t++) {
		if (t == BH_TABLE_BRIDGE && !n->caps.bridge)
			continue;
		int rc = table_exists(n, t);
		if (rc < 0)
			return rc;
		if (rc)
			bh_nft_put_table_del(&b, t);
	}
	return bh_nft_transact(n, &b, 0, NULL, NULL, NULL);
}
