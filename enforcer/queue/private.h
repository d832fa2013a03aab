/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The parts of a queue: the netlink socket (nfq.c), the held packets (hold.c), the thread
 * (queue.c). Inside this module only; what says nothing else runs on the queue's own thread. */
#pragma once

#include <libmnl/libmnl.h>
#include <sys/socket.h>

#include "queue/queue.h"

/* --- nfq.c: the socket --- */

#define BH_NFQ_BATCH 64 /* packets read, and verdicts sent, in one system call */
#define BH_NFQ_VERDICT_BYTES 48 /* one verdict message with a mark is 40 */
/* Largest message: the copied beginning of a packet and its attributes, under 1 KiB. */
#define BH_NFQ_MESSAGE_BYTES 4096

struct bh_nfq_packet {
	uint32_t id;
	unsigned indev, outdev, physindev, hook;
	uint32_t mark;
	const uint8_t *data; /* borrowed for the call */
	size_t len; /* of data */
	size_t real; /* of the packet */
};

struct bh_nfq {
	struct mnl_socket *nl;
	uint16_t num;
	uint32_t seq;
	void (*packet)(const struct bh_nfq_packet *p, void *arg);
	void *arg;
	bool congested; /* set when a read found that messages were lost (ENOBUFS) */
	uint32_t awaited; /* sequence number of the request whose answer is awaited; 0 = none */
	int answer;
	char *in; /* BH_NFQ_BATCH × BH_NFQ_MESSAGE_BYTES */
	char out[BH_NFQ_BATCH * BH_NFQ_VERDICT_BYTES];
	size_t out_len;
	unsigned n_out;
};

/* Opens the socket, binds the queue and configures it. Packets that arrive meanwhile go to
 * `packet`, as later ones do. Finish also after a failure. */
int bh_nfq_open(struct bh_nfq *n, const struct bh_queue_opts *opts);
void bh_nfq_unbind(struct bh_nfq *n);
void bh_nfq_finish(struct bh_nfq *n); /* any thread, when the queue's has ended */
/* Reads up to BH_NFQ_BATCH messages; `wait`: until there is one. How many; 0 = none was there. */
unsigned bh_nfq_receive(struct bh_nfq *n, bool wait);
/* A message that means nothing: whoever waits for one, or does so next, has it. Any thread. */
void bh_nfq_wake(const struct bh_nfq *n);
/* Collects a verdict (NF_ACCEPT, NF_DROP, NF_REPEAT); mark is set only if set_mark. */
void bh_nfq_verdict(struct bh_nfq *n, uint32_t id, uint32_t verdict, bool set_mark, uint32_t mark);
void bh_nfq_flush(struct bh_nfq *n); /* sends what was collected */

/* --- sched.c --- */

/* The calling thread asks for short turns on the CPU: when it has something to do, it does not wait
 * for the end of a longer one. Where the kernel does not know of them (before 6.12) nothing
 * changes. */
void bh_queue_short_turns(void);

/* --- hold.c: packets that wait for a better answer --- */

struct bh_held {
	uint32_t id;
	int64_t deadline; /* CLOCK_MONOTONIC, ns */
	struct bh_packet packet;
};

/* In order of arrival, which is the order of deadlines as all are held equally long. */
struct bh_hold {
	struct bh_held *slot;
	size_t cap, head, n;
};

void bh_hold_init(struct bh_hold *h, size_t cap);
void bh_hold_finish(struct bh_hold *h);
bool bh_hold_add(struct bh_hold *h, const struct bh_held *x); /* false = full */
/* Asks `fn` for each held packet whose deadline is not after `until`, oldest first; those for which
 * it returns true leave. */
void bh_hold_sweep(
	struct bh_hold *h, int64_t until, bool (*fn)(struct bh_held *x, void *arg), void *arg);
int64_t bh_hold_next(const struct bh_hold *h); /* earliest deadline; INT64_MAX if empty */
