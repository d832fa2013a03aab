/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the files of this module share. */
#pragma once

#include "conntrack.h"

#include <libmnl/libmnl.h>

#define BH_CT_RX (128 * 1024)
/* A tuple with two IPv6 addresses takes 76 bytes; there is room for what later kernels add. */
#define BH_CT_TUPLE_MAX 200

struct bh_ct {
	struct mnl_socket *nl; /* dumps and deletes */
	struct mnl_socket *events; /* NULL until listening */
	uint32_t seq;
	char *rx; /* BH_CT_RX bytes */
};

/* What names an entry to the kernel: its original tuple as the kernel wrote it, id and zone. */
struct bh_ct_name {
	uint8_t family; /* AF_* */
	uint8_t has_zone;
	uint16_t zone; /* network order, as is id */
	uint32_t id;
	uint16_t len;
	uint8_t tuple[BH_CT_TUPLE_MAX]; /* the payload of CTA_TUPLE_ORIG */
};

/* entry.c: false for a message that is not an entry, or one without its tuples. ret_name may be
 * NULL. */
bool bh_ct_parse(const struct nlmsghdr *nlh, struct bh_ct_entry *ret, struct bh_ct_name *ret_name);

/* Received bytes, or −errno (−EAGAIN: nothing there, or not in time). */
ssize_t bh_ct_recv(struct mnl_socket *nl, void *buf, size_t size);
