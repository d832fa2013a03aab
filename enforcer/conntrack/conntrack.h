/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * ctnetlink (linux/netfilter/nfnetlink_conntrack.h) over libmnl: walk, delete, listen. All in the
 * network namespace the process is in. Single-threaded.
 */
#pragma once

#include <bulkhead/flow.h>

enum bh_ct_event { BH_CT_NEW, BH_CT_UPDATE, BH_CT_DESTROY, BH_CT_DUMP };

struct bh_ct_entry {
	enum bh_ct_event event;
	/* src and sport of the original direction; dst and dport after DNAT (taken from the reply
	 * tuple's source), which is what the forward hook and the policies see. */
	struct bh_flow flow;
	struct bh_addr orig_dst; /* before DNAT */
	uint16_t orig_dport;
	uint32_t status; /* IPS_* bits of linux/netfilter/nf_conntrack_common.h */
	uint8_t tcp_state; /* TCP_CONNTRACK_*; 0 where not TCP or unknown */
	bool answered; /* TCP, SCTP: the handshake was completed; else IPS_SEEN_REPLY */
	uint32_t id, mark;
	uint64_t packets[2], bytes[2]; /* original, reply; 0 without nf_conntrack_acct */
};

struct bh_ct;
/* −EOPNOTSUPP where the kernel has no ctnetlink. */
int bh_ct_open(struct bh_ct **ret);
void bh_ct_close(struct bh_ct *ct); /* NULL is fine */

/* fn of sweep, ask and drain must not call back into ct. */

/* Calls fn for every entry of both families; those for which it returns true are deleted (by tuple
 * and id, so that a successor of the same tuple is not hit). Returns the number deleted or −errno.
 * ret_seen, may be NULL: how many there were. */
int bh_ct_sweep(struct bh_ct *ct, bool (*fn)(const struct bh_ct_entry *, void *), void *arg,
	size_t *ret_seen);

/*
 * Asks for single flows of TCP, UDP or SCTP as the forward hook sees them (after DNAT), a few µs
 * each. fn is told of each of the n, with its entry, or NULL: there is none (yet, or any more), or
 * it can't be asked for: of other protocols, or translated at both ends. 0 or −errno.
 */
int bh_ct_ask(struct bh_ct *ct, const struct bh_flow *flow, size_t n,
	void (*fn)(size_t i, const struct bh_ct_entry *e, void *arg), void *arg);

/* Events on a socket of their own: poll fd (−1 before listen), then drain calls fn for each and
 * returns 0. −ENOBUFS: some were lost (the caller counts a gap); draining may go on. Listening
 * turns net.netfilter.nf_conntrack_events on; −EOPNOTSUPP where the kernel has none. */
int bh_ct_listen(struct bh_ct *ct);
int bh_ct_fd(const struct bh_ct *ct);
int bh_ct_drain(struct bh_ct *ct, void (*fn)(const struct bh_ct_entry *, void *), void *arg);
