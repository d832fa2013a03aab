/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Inside fake_links.c, which changes the world, and fake_rtnl.c, which answers for it. */
#pragma once

#include "lib/fake_links.h"

#define N_NS 8
#define N_LINKS 48
#define N_ADDRS 48
#define N_QUEUE 16 /* more are lost */

struct fake_ns {
	bool alive;
	uint64_t inode;
	int32_t nsid; /* in ours */
};

struct fake_link {
	bool alive;
	unsigned ns, ifindex;
	char name[IFNAMSIZ];
	const char *kind;
	uint8_t mac[6];
	struct fake_link *peer, *master;
};

struct fake_addr {
	struct fake_link *link; /* NULL = free */
	struct bh_addr_info info;
};

extern struct fake_kernel {
	uint64_t random;
	struct fake_ns ns[N_NS];
	struct fake_link link[N_LINKS];
	struct fake_addr addr[N_ADDRS];
	int path[FAKE_PATHS]; /* a namespace, or −1 */
	const struct bh_link *listener;
	int pipe[2], silent[2];
	struct bh_link_notice queue[N_QUEUE];
	size_t n_queue;
	bool lost, said; /* notices, since the queue was empty; it says so once */
} fake_kernel;

int32_t fake_nsid_assign(unsigned ns);
struct bh_link_info fake_link_info(const struct fake_link *l);
