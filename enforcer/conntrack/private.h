/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the files of this module share. */
#pragma once

#include "conntrack.h"

#include <libmnl/libmnl.h>

#define BH_CT_RX (128 * 1024)
/* A tuple with two IPv6 addresses takes 76 bytes; there is room for what later kernels add. */
#define BH_CT_TUPLE_MAX 200

#define BH_CT_TCP_STATES 10 /* enum tcp_conntrack, as far as it has timeouts */
/* How long conntrack keeps a flow after its last packet, by its state; seconds, 0: not known. */
struct bh_ct_timeouts {
	uint32_t tcp[BH_CT_TCP_STATES], udp, udp_stream, icmp, icmpv6;
};

struct bh_ct {
	struct mnl_socket *nl; /* dumps and deletes */
	struct mnl_socket *ends; /* NULL: nobody listens */
	int missing; /* BH_CT_NO_* */
	struct bh_ct_timeouts timeouts; /* of when listening began */
	uint32_t dropped; /* of its messages by the kernel, told already */
	bool no_filters; /* forget.c: this kernel refuses them */
	int64_t walk_us; /* forget.c: what a walk takes, as far as is known */
	uint32_t seq;
	char *rx; /* BH_CT_RX bytes */
};

/* What names an entry to the kernel: its original tuple as the kernel wrote it, id and zone. */
struct bh_ct_name {
	uint8_t family; /* AF_* */
	uint8_t has_zone;
	uint8_t unseen; /* TCP of which conntrack has seen no segment: TCP_CONNTRACK_NONE */
	uint16_t zone; /* network order, as is id */
	uint32_t id;
	uint16_t len;
	uint8_t tuple[BH_CT_TUPLE_MAX]; /* the payload of CTA_TUPLE_ORIG */
};

struct bh_ct_found {
	struct bh_ct_found_one {
		struct bh_ct_name name;
		struct bh_flow flow;
	} * item;
	size_t n, cap;
};

/* sweep.c: a message about one entry, as long as it returns; what more it says comes behind it. */
size_t bh_ct_put_name(char *buf, uint16_t what, const struct bh_ct_name *name, uint32_t seq,
	struct nlmsghdr **ret);
/* sweep.c: one such message about each. How many of them did something; an entry that is gone is no
 * error. −errno. */
int bh_ct_send_found(struct bh_ct *ct, const struct bh_ct_found *f,
	size_t (*put)(char *buf, const struct bh_ct_name *, uint32_t seq));

/* idle.c */
void bh_ct_read_timeouts(struct bh_ct_timeouts *t);
/* µs since the epoch; left: what the message says is left of the flow's timeout, seconds. */
int64_t bh_ct_last(const struct bh_ct_timeouts *t, const struct bh_ct_entry *e, uint32_t left);
/* The timeout in a message that was parsed; 0: none. */
uint32_t bh_ct_left(const struct nlmsghdr *nlh);
/* entry.c: false for a message that is not an entry, or one without its tuples. ret_name may be
 * NULL. */
bool bh_ct_parse(const struct nlmsghdr *nlh, struct bh_ct_entry *ret, struct bh_ct_name *ret_name);

/* message.c */
/* Begins a message (IPCTNL_MSG_CT_*) in buf, which is aligned for it. */
struct nlmsghdr *bh_ct_message(
	char *buf, uint16_t what, uint16_t flags, uint8_t family, uint32_t seq);
/* What a message of the kernel's says went wrong (0: nothing); NULL: it is none of these. */
const struct nlmsgerr *bh_ct_error(const struct nlmsghdr *nlh);
/* Sends messages, numbered first to ct->seq, and gives fn each answer with the question's number,
 * from 0, until it returns 1, or −errno. 0 or −errno (−ETIMEDOUT: no answer came). */
int bh_ct_request(struct bh_ct *ct, const void *buf, size_t len, uint32_t first,
	int (*fn)(const struct nlmsghdr *nlh, uint32_t question, void *arg), void *arg);
/* Forcing needs CAP_NET_ADMIN over the initial user namespace; without, the default has to do. */
void bh_ct_set_rcvbuf(struct mnl_socket *nl, int size);
/* Received bytes, or −errno (−EAGAIN: nothing there, or not in time). */
ssize_t bh_ct_recv(struct mnl_socket *nl, void *buf, size_t size);
