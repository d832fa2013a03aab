/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The verdict on a queued packet, for the queues' threads. */
#pragma once

#include "queue/queue.h"
#include "verdict/recent.h"
#include "verdict/shared.h"

/* The queues: queue.base and the numbers after it, in this order. */
enum bh_queue_purpose {
	BH_QUEUE_UNMATCHED, /* not allowed by an enforcing group, or on a feed */
	BH_QUEUE_OBSERVED, /* with bypass: learn, audit, the node's own */
	BH_QUEUE_HOLD, /* of workloads that nobody has told us of (yet) */
	BH_QUEUES,
};

#define BH_UNTOLD_MAX 64

/* A queue's callback argument, for its thread. */
struct bh_queue_ctx {
	struct bh_shared *shared;
	enum bh_queue_purpose purpose;
	bool closed; /* HOLD before the first snapshot: drop what has waited in vain */
	struct bh_recent repeated; /* held, then sent through the rules again */
	struct bh_recent vain; /* addresses (src) that were waited for in vain… */
	uint64_t vain_epoch; /* …in this state */
	struct bh_event
		untold[BH_UNTOLD_MAX]; /* decided; for the ring once the verdicts are sent */
	size_t n_untold;
};
enum bh_packet_verdict bh_verdict_packet(const struct bh_packet *p, void *arg);
void bh_verdict_sent(void *arg); /* tells the loop of what was decided */
/* An allowed flow with a feed that lists an end of it is an ALERT. */
void bh_verdict_match_alerts(struct bh_event *e);
