/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * NFQUEUE: one thread a queue reads packets, asks a callback, and sends verdicts, many in one send.
 * The only module that includes libnetfilter_queue. Every packet id gets exactly one verdict.
 */
#pragma once

#include <bulkhead/flow.h>

enum bh_packet_fault {
	BH_PACKET_OK,
	BH_PACKET_TRUNCATED, /* shorter than its headers claim */
	BH_PACKET_MALFORMED, /* impossible header lengths or versions */
	BH_PACKET_FRAGMENT, /* a later fragment: no ports */
};

struct bh_packet {
	struct bh_flow flow; /* as far as fault allows */
	enum bh_packet_fault fault;
	uint8_t tcp_flags;
	size_t transport; /* where the transport header begins; 0: not in data */
	unsigned indev, outdev; /* ifindex; 0 = none */
	unsigned physindev; /* bridged: the port it came in by; 0 = none */
	unsigned hook; /* NF_INET_* of linux/netfilter.h */
	uint32_t mark;
	size_t len;
	bool held; /* asked again after BH_PACKET_HOLD */
	/* HOLD is not an answer now: held for as long as allowed or, if not held, no room. */
	bool expired;
};

/*
 * Parses one IP packet (no link layer). Reads nothing outside data[0..len). Walks IPv6 extension
 * headers (RFC 8200), at most 16. Pure, fuzzed. Sets the whole of *ret: flow, fault, tcp_flags,
 * transport and len, the rest to zero; addresses are always set when fault is OK or FRAGMENT, or
 * TRUNCATED behind the IP header. Data may be the beginning of a longer packet: that alone is no
 * fault as long as the ports are inside. IPv4-mapped IPv6 addresses stay IPv6.
 */
void bh_packet_parse(const uint8_t *data, size_t len, struct bh_packet *ret);

enum bh_packet_verdict {
	BH_PACKET_ACCEPT,
	BH_PACKET_DROP,
	BH_PACKET_REPEAT, /* NF_REPEAT: run the chain again against the current ruleset */
	BH_PACKET_HOLD, /* keep it, ask again on recheck or at the deadline */
	BH_PACKET_REJECT, /* NF_REPEAT with BH_QUEUE_REJECT_MARK: the ruleset's first rule rejects
			     it */
};

/* The bit set in the packet mark of a REJECT. A queue can only accept or drop; sending the reset or
 * ICMP error is left to the kernel, so the base chain must match this bit before anything else. */
#define BH_QUEUE_REJECT_MARK 0x40000000u

/* Called on the queue's own thread. Must not block. */
typedef enum bh_packet_verdict (*bh_packet_fn)(const struct bh_packet *p, void *arg);

struct bh_queue_opts {
	uint16_t num;
	uint32_t maxlen; /* packets in the kernel's queue, 1..65536 */
	bool fail_open; /* full queue accepts (NFQA_CFG_F_FAIL_OPEN) */
	/* Packets held at once; beyond: asked with expired = true. At most half of maxlen is used,
	 * so that held packets never fill the queue. */
	uint32_t hold_max;
	uint32_t hold_ms; /* how long one is held */
	/* Called on the queue's thread when the verdicts given so far are sent, with the callback's
	 * argument, as a rule after each batch: for whatever no packet should wait for. May be
	 * NULL. */
	void (*sent)(void *arg);
};

struct bh_queue_stats {
	uint64_t received, accepted, dropped, repeated, held, expired;
	uint64_t malformed;
	uint64_t kernel_dropped; /* queue full: nfnetlink_queue's queue_dropped */
	uint64_t user_dropped; /* socket full: queue_user_dropped */
	uint64_t overruns; /* ENOBUFS seen on the socket */
	/* Gaps in packet ids: packets that the kernel decided without us. Without fail_open they
	 * are the user_dropped ones; with it, those that were let through: bypassed. */
	uint64_t lost_ids;
	uint64_t bypassed;
	uint64_t rejected;
};

struct bh_queue;
/* Binds the queue in the current network namespace and starts its thread. −EBUSY when somebody has
 * it already; −EOPNOTSUPP without nfnetlink_queue; −EPERM without CAP_NET_ADMIN. Takes nothing; arg
 * must outlive stop. The first call of fn may come before this returns. */
int bh_queue_start(
	const struct bh_queue_opts *opts, bh_packet_fn fn, void *arg, struct bh_queue **ret);
void bh_queue_recheck(struct bh_queue *q); /* any thread: ask again for all held packets */
void bh_queue_get_stats(struct bh_queue *q, struct bh_queue_stats *ret); /* any thread */
/*
 * Asks for all held packets with expired = true, decides what already waits on the socket, unbinds
 * and joins. The kernel drops what came in between; afterwards the rule's bypass decides. NULL is
 * fine.
 */
void bh_queue_stop(struct bh_queue *q);
