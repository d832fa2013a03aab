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
	unsigned indev, outdev; /* ifindex; 0 = none */
	unsigned physindev; /* bridged: the port it came in by; 0 = none */
	unsigned hook; /* NF_INET_* of linux/netfilter.h */
	uint32_t mark;
	size_t len;
	bool held; /* asked again after BH_PACKET_HOLD */
	bool expired; /* held for as long as allowed: HOLD is not an answer now */
};

/*
 * Parses one IP packet (no link layer). Reads nothing outside data[0..len). Walks IPv6 extension
 * headers (RFC 8200), at most 16. Pure, fuzzed. Sets flow and fault; addresses are always set when
 * fault is OK or FRAGMENT, or TRUNCATED behind the IP header.
 */
void bh_packet_parse(const uint8_t *data, size_t len, struct bh_packet *ret);

enum bh_packet_verdict {
	BH_PACKET_ACCEPT,
	BH_PACKET_DROP,
	BH_PACKET_REPEAT, /* NF_REPEAT: run the chain again against the current ruleset */
	BH_PACKET_HOLD, /* keep it, ask again on recheck or at the deadline */
};

/* Called on the queue's own thread. Must not block. */
typedef enum bh_packet_verdict (*bh_packet_fn)(const struct bh_packet *p, void *arg);

struct bh_queue_opts {
	uint16_t num;
	uint32_t maxlen; /* packets in the kernel's queue, 1..65536 */
	bool fail_open; /* full queue accepts (NFQA_CFG_F_FAIL_OPEN) */
	uint32_t hold_max; /* packets held at once; beyond: asked with expired = true */
	uint32_t hold_ms; /* how long one is held */
};

struct bh_queue_stats {
	uint64_t received, accepted, dropped, repeated, held, expired;
	uint64_t malformed;
	uint64_t kernel_dropped; /* queue full: nfnetlink_queue's queue_dropped */
	uint64_t user_dropped; /* socket full: queue_user_dropped */
	uint64_t overruns; /* ENOBUFS seen on the socket */
	uint64_t lost_ids; /* gaps in packet ids: packets the kernel decided without us */
};

struct bh_queue;
/* Binds the queue in the current network namespace and starts its thread. −EBUSY when another
 * process has it; −EOPNOTSUPP without nfnetlink_queue. Takes nothing; arg must outlive stop. */
int bh_queue_start(
	const struct bh_queue_opts *opts, bh_packet_fn fn, void *arg, struct bh_queue **ret);
void bh_queue_recheck(struct bh_queue *q); /* any thread: ask again for all held packets */
void bh_queue_get_stats(struct bh_queue *q, struct bh_queue_stats *ret); /* any thread */
/* Unbinds: the kernel drops what is still queued (or accepts it, bypass). Joins. NULL is fine. */
void bh_queue_stop(struct bh_queue *q);
