/* SPDX-License-Identifier: GPL-3.0-or-later */
/* rtnetlink requests and what is read from their answers. Inside this module only. */
#pragma once

#include <libmnl/libmnl.h>
#include <linux/if.h>

#include "link/link.h"

struct bh_link {
	struct mnl_socket *nl;
	struct mnl_socket *watch;
	uint32_t seq;
	uint64_t own_netns; /* inode */
	int own_fd; /* our own network namespace */
	bool strict; /* NETLINK_GET_STRICT_CHK is on */
	char *buf; /* BH_LINK_BUFFER */
};

#define BH_LINK_BUFFER (128u << 10) /* kernel dumps come in pieces of at most 32 KiB */
#define BH_NSID_NONE (-1) /* NETNSA_NSID_NOT_ASSIGNED */
#define BH_KIND_MAX 32 /* MODULE_NAME_LEN is shorter */

/* One link as rtnetlink tells it. */
struct bh_link_info {
	unsigned ifindex, flags; /* IFF_* */
	char name[IFNAMSIZ];
	char kind[BH_KIND_MAX]; /* IFLA_INFO_KIND; "" = a device, or loopback */
	uint8_t mac[6];
	unsigned lower; /* IFLA_LINK: of a veth, the other end; 0 = none */
	int32_t lower_nsid; /* where that is; BH_NSID_NONE = the same namespace */
	unsigned master;
	int32_t target_nsid; /* as echoed; BH_NSID_NONE = not */
};

struct bh_addr_info {
	unsigned ifindex;
	struct bh_addr local;
	struct bh_prefix subnet; /* of the peer on a point-to-point link; host bits are zero */
	int32_t target_nsid;
};

/* --- netlink.c --- */

typedef void (*bh_link_message_fn)(const struct nlmsghdr *nlh, void *arg);

/*
 * Sends a request and calls fn (may be NULL) for each answer, to the end. 0, −EINTR for a dump that
 * changed while it was read (what fn got is then unusable), −errno.
 */
int bh_link_request(struct bh_link *l, struct nlmsghdr *nlh, bh_link_message_fn fn, void *arg);

/* The id that our namespace has for the one at fd, BH_NSID_NONE if it has none. 0 or −errno. */
int bh_link_get_nsid(struct bh_link *l, int fd, int32_t *ret);
/* The same, giving it one if need be. */
int bh_link_assign_nsid(struct bh_link *l, int fd, int32_t *ret);

/* Arrays that are read whole: links, or addresses, of the namespace `nsid` (BH_NSID_NONE: ours).
 * −EOPNOTSUPP when the kernel answered for another one; −EOVERFLOW when there are too many.
 * Repeated while it is interrupted. */
struct bh_link_infos {
	struct bh_link_info *item;
	size_t n, cap;
	bool overflow;
};
struct bh_addr_infos {
	struct bh_addr_info *item;
	size_t n, cap;
	bool overflow;
};
int bh_link_dump_links(struct bh_link *l, int32_t nsid, struct bh_link_infos *ret);
int bh_link_dump_addrs(struct bh_link *l, int32_t nsid, struct bh_addr_infos *ret);
/* One link of our own namespace. −ENODEV. */
int bh_link_get(struct bh_link *l, unsigned ifindex, struct bh_link_info *ret);

void bh_link_infos_finish(struct bh_link_infos *i);
void bh_addr_infos_finish(struct bh_addr_infos *i);
