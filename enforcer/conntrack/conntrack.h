/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * ctnetlink (linux/netfilter/nfnetlink_conntrack.h) over libmnl: walk, delete, listen. All in the
 * network namespace the process is in. A handle is for one thread at a time.
 */
#pragma once

#include <bulkhead/flow.h>

enum bh_ct_event { BH_CT_THERE, BH_CT_DESTROY };

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
	/* µs since the epoch; 0: not known (began without nf_conntrack_timestamp); stop 0: goes on
	 */
	int64_t start, stop;
	int64_t last; /* of an end: its last packet, to a second, as far as it can be told; else
			 stop */
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

/* Removes all flows from, or to, these addresses (sorted), before or after DNAT, by the quickest
 * way. Returns about how many, as others come and go meanwhile, or −errno. */
int bh_ct_forget(struct bh_ct *ct, const struct bh_addr *addr, size_t n);

/* A sweep in two steps, the walk by itself: the kernel goes through its whole table, of all
 * namespaces, and one that is empty takes it milliseconds. Both return what sweep does, find 0. */
struct bh_ct_found;
int bh_ct_find(struct bh_ct *ct, bool (*fn)(const struct bh_ct_entry *, void *), void *arg,
	size_t *ret_seen, struct bh_ct_found **ret);
/* Ends before the end of the table when fn has made *stop true. Then the kernel has more to say,
 * and the handle is good for nothing but closing. */
int bh_ct_find_until(struct bh_ct *ct, bool (*fn)(const struct bh_ct_entry *, void *), void *arg,
	const bool *stop, size_t *ret_seen, struct bh_ct_found **ret);
void bh_ct_found_keep(/* only those for which fn returns true */
	struct bh_ct_found *f, bool (*fn)(const struct bh_flow *, void *), void *arg);
int bh_ct_delete(struct bh_ct *ct, const struct bh_ct_found *f);
/*
 * From now on conntrack takes what these TCP flows send as theirs, whatever their sequence numbers
 * are: it has not seen all of them (the fast path). Returns how many are still there, or −errno.
 */
int bh_ct_relax(struct bh_ct *ct, const struct bh_ct_found *f);
void bh_ct_found_free(struct bh_ct_found *f); /* NULL is fine */

struct bh_ct_fill {
	uint32_t entries,
		max; /* of this network namespace; max 0: the kernel (before 4.18) does not say */
	uint64_t dropped; /* packets, since the namespace was made: mostly of new flows without
			     room. Each CPU's share begins anew after 2^32. */
};
/* A few µs, and some for each CPU. 0 or −errno. */
int bh_ct_fill(struct bh_ct *ct, struct bh_ct_fill *ret);

/*
 * Asks for single flows of TCP, UDP or SCTP as the forward hook sees them (after DNAT), a few µs
 * each. fn is told of each of the n, with its entry, or NULL: there is none (yet, or any more), or
 * it can't be asked for: of other protocols, or translated at both ends. 0 or −errno.
 */
int bh_ct_ask(struct bh_ct *ct, const struct bh_flow *flow, size_t n,
	void (*fn)(size_t i, const struct bh_ct_entry *e, void *arg), void *arg);

/*
 * Ends of flows, with what they carried. Listening turns net.netfilter.nf_conntrack_events, _acct
 * and _timestamp on, and leaves them so: flows that begin later have all of it. Returns 0, or what
 * the ends will be without (BH_CT_NO_*); −EOPNOTSUPP where the kernel has no events, −errno.
 */
#define BH_CT_NO_COUNTS 1
#define BH_CT_NO_TIMES 2
int bh_ct_listen(struct bh_ct *ct);
void bh_ct_deafen(struct bh_ct *ct); /* no more */
bool bh_ct_listens(const struct bh_ct *ct);
/* Reads ends that are there, not many more than `max`, without waiting. Returns how many, or
 * −errno. *ret_lost: how many more the kernel had no room for since the last time. */
int bh_ct_drain(struct bh_ct *ct, size_t max, void (*fn)(const struct bh_ct_entry *, void *),
	void *arg, uint64_t *ret_lost);
