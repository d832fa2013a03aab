/* SPDX-License-Identifier: GPL-3.0-or-later */
/* rtnetlink requests and what is read from their answers. Inside this module only. */
#pragma once

#include <libmnl/libmnl.h>
#include <linux/if.h>

#include "link/link.h"

/* By ascending key. */
struct bh_link_table {
	struct bh_link_entry {
		uint64_t key;
		void *value;
	} * item;
	size_t n, cap;
};

struct bh_link {
	struct mnl_socket *nl;
	struct mnl_socket *watch;
	uint32_t seq;
	uint64_t own_netns; /* inode */
	int own_fd; /* our own network namespace */
	bool strict; /* NETLINK_GET_STRICT_CHK is on */
	char *buf; /* BH_LINK_BUFFER */
	int32_t own_nsid; /* our own id in ours; BH_NSID_NONE = none yet, so nothing points at us */
	struct bh_link_table by_inode, by_nsid; /* → struct bh_known, the namespaces inspected */
	struct bh_link_table hosts; /* ifindex → struct bh_known_link */
	struct bh_known **told; /* to be in the next news */
	size_t n_told, cap_told;
	bool lost; /* notices, since nothing was left to read */
	struct bh_addr_info *addr; /* the node's own, sorted; kept up by notices */
	size_t n_addrs, cap_addrs;
	bool addrs_known;
	struct bh_link_table placed; /* port → the MAC that its bridge was told, as a number */
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
	bool failed; /* duplicate address detection says it is somebody else's */
	uint32_t made; /* when, hundredths of a second since boot; wraps */
	int32_t target_nsid;
};

/* --- parse.c: false = it says nothing of use --- */

bool bh_link_parse_link(const struct nlmsghdr *nlh, struct bh_link_info *ret);
bool bh_link_parse_addr(const struct nlmsghdr *nlh, struct bh_addr_info *ret);
bool bh_link_parse_nsid(const struct nlmsghdr *nlh, int32_t *ret);

/* --- netlink.c --- */

typedef void (*bh_link_message_fn)(const struct nlmsghdr *nlh, void *arg);

/*
 * Sends a request and calls fn (may be NULL) for each answer, to the end. 0, −EINTR for a dump that
 * changed while it was read (what fn got is then unusable), −errno.
 */
int bh_link_request(struct bh_link *l, struct nlmsghdr *nlh, bh_link_message_fn fn, void *arg);
/* The attribute of that type within one that may be NULL; NULL: none. */
const struct nlattr *bh_link_nested(const struct nlattr *nest, uint16_t type);
/* What a link's message says in `type` of that part of IFLA_LINKINFO (IFLA_INFO_DATA,
 * IFLA_INFO_SLAVE_DATA); NULL: nothing. */
const struct nlattr *bh_link_info(const struct nlmsghdr *nlh, uint16_t part, uint16_t type);

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

/* --- watch.c --- */

int bh_link_watch_open(struct bh_link *l);

/* --- table.c --- */

void *bh_link_table_get(const struct bh_link_table *t, uint64_t key); /* NULL if absent */
void bh_link_table_set(struct bh_link_table *t, uint64_t key, void *value);
void bh_link_table_remove(struct bh_link_table *t, uint64_t key);

/* --- known.c: what inspections relied on, to tell whom a notice concerns --- */

/* An inspection begins: from now on what comes from the id `nsid` is about that namespace. */
struct bh_known *bh_known_begin(struct bh_link *l, uint64_t inode, int32_t nsid);
/* It is complete, and has looked at these links of the node: host sides and their masters. */
void bh_known_relies(
	struct bh_link *l, struct bh_known *k, const struct bh_link_info *link, size_t n);
void bh_known_finish(struct bh_link *l);

/* A notice of a change. */
struct bh_link_notice {
	int32_t nsid; /* from where; BH_NSID_NONE or l->own_nsid = our namespace */
	bool gone; /* RTM_DELLINK, RTM_DELADDR */
	enum { BH_NOTICE_LINK, BH_NOTICE_ADDR, BH_NOTICE_ID_FREED } what;
	union {
		int32_t id; /* of a namespace that is no more */
		struct bh_link_info link;
		struct bh_addr_info addr;
	};
};
void bh_known_hear(struct bh_link *l, const struct bh_link_notice *n, struct bh_link_news *news);
/* Hands over who is concerned by what was heard since the last time. Silence: nothing is left to
 * read. */
void bh_known_tell(struct bh_link *l, struct bh_link_news *news, bool silence);

/* --- addrs.c: the node's own addresses --- */

/* Asks the kernel, and sorts. 0 or −errno, then what was known stays. */
int bh_own_addrs_ask(struct bh_link *l);
/* True: there is one more or one less. */
bool bh_own_addrs_hear(struct bh_link *l, const struct bh_addr_info *i, bool gone);
