/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What crosses between the loop and the packet threads: the published snapshot, and the ring of
 * events, each behind its own short lock. The ring is bounded; what does not fit is counted, never
 * waited for.
 */
#pragma once

#include <pthread.h>

#include "verdict/snapshot.h"

enum bh_event_kind {
	BH_EVENT_DECISION, /* the engine decided */
	BH_EVENT_THREAT, /* a blocking feed lists an end */
	BH_EVENT_ALERT, /* an alert-only feed lists an end; the decision stands beside it */
	BH_EVENT_SPOOF, /* came in by a workload's veth with a source that is not its own */
};

struct bh_event {
	enum bh_event_kind kind;
	struct bh_snapshot *snap; /* owned by the event: indexes in `decision` belong to it */
	struct bh_flow flow;
	struct bh_decision decision;
	bool dropped; /* the verdict given */
	uint8_t tcp_flags;
	/* Further packets of the tuple that the kernel's cache decided; 0: the packet itself. */
	uint64_t cached;
	int32_t spoofer; /* SPOOF: workload whose veth it was */
	int64_t when; /* µs since the epoch */
	char feed[65];
	char indicator[2 * BH_ADDR_STRLEN + 2];
};

#define BH_RING_SIZE 16384 /* events; further ones are counted as lost */
#define BH_RING_HURRY 1024 /* so many wait that the loop does not go on collecting */

struct bh_shared {
	pthread_mutex_t snap_lock;
	struct bh_snapshot *snap;
	char apart[64]; /* what each packet's thread takes, and what the loop does: other cache
			   lines */
	pthread_mutex_t ring_lock;
	struct bh_event *ring; /* BH_RING_SIZE */
	size_t head, count;
	uint64_t lost[2]; /* by dropped */
	uint64_t stopped; /* packets dropped because nothing new passes; atomic */
	bool told; /* behind ring_lock: the loop knows that it has to look */
	int wake; /* eventfd */
};
int bh_shared_init(struct bh_shared *s); /* 0 or −errno; finish also after a failure */
void bh_shared_finish(struct bh_shared *s); /* the ring is empty */
void bh_shared_publish(struct bh_shared *s, struct bh_snapshot *snap); /* takes snap */
struct bh_snapshot *bh_shared_current(struct bh_shared *s); /* a reference, or NULL */
/* Takes the events' snapshots. Wakes the loop if it does not know of any, or is to hurry. */
void bh_shared_push(struct bh_shared *s, const struct bh_event *e, size_t n);
/* How many; 0: the next push wakes. */
size_t bh_shared_take(struct bh_shared *s, struct bh_event *ret, size_t max, uint64_t ret_lost[2]);
bool bh_shared_hurry(struct bh_shared *s); /* BH_RING_HURRY or more wait */
