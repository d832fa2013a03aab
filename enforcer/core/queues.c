/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The queues as the loop sees them: starting, stopping, what they lost, what status says of them.
 */
#include "core/queues.h"

#include <errno.h>

#include "answer/clock.h"
#include "core/state.h"
#include "flows/gap.h"
#include "modes/modes.h"
#include "nft/nft.h"
#include "queue/queue.h"
#include "verdict/packet.h"

#define HOLD_MAX 1024 /* packets of unknown workloads that wait, each queue */
#define HOLD_MS 2000

static const char *const purpose_name[] = {
	[BH_QUEUE_UNMATCHED] = "unmatched",
	[BH_QUEUE_OBSERVED] = "observed",
	[BH_QUEUE_HOLD] = "hold",
};

int bh_core_queues_start(struct bh_core *c, char **why)
{
	const struct bh_nft_caps *caps = bh_nft_get_caps(c->nft);
	if (!caps->native_queue && !caps->compat_queue)
		return 0; /* said by status */
	for (int i = 0; i < BH_QUEUES; i++) {
		c->queue_ctx[i] = (struct bh_queue_ctx){
			.shared = &c->shared,
			.purpose = (enum bh_queue_purpose)i,
			.closed = bh_core_node_mode(c) == BH_MODE_ENFORCE,
		};
		struct bh_queue_opts o = {
			.num = (uint16_t)(c->conf->queue_base + i),
			.maxlen = c->conf->queue_length,
			.fail_open = i == BH_QUEUE_OBSERVED,
			.hold_max = HOLD_MAX,
			.hold_ms = HOLD_MS,
			.sent = bh_verdict_sent,
		};
		int r = bh_queue_start(&o, bh_verdict_packet, &c->queue_ctx[i], &c->queue[i]);
		if (r == -EBUSY)
			*why = bh_xasprintf("NFQUEUE %u is taken by another process (another "
					    "bulkheadd?): stop it, or set queue.base in the "
					    "configuration",
				o.num);
		else if (r < 0)
			*why = bh_xasprintf("NFQUEUE %u: %s", o.num, strerror(-r));
		if (r < 0)
			return r;
	}
	return 0;
}

void bh_core_queues_stop(struct bh_core *c)
{
	for (int i = 0; i < BH_QUEUES; i++) {
		bh_queue_stop(c->queue[i]);
		c->queue[i] = NULL;
	}
}

void bh_core_queues_recheck(struct bh_core *c)
{
	for (int i = 0; i < BH_QUEUES; i++)
		if (c->queue[i])
			bh_queue_recheck(c->queue[i]);
}

/* What the kernel decided without us goes on record. */
void bh_core_queues_tick(struct bh_core *c)
{
	static const char *const gap[] = {
		[BH_QUEUE_UNMATCHED] = "packets of enforcing groups were dropped unrecorded: the "
				       "queue was full",
		[BH_QUEUE_OBSERVED] =
			"packets in learn or audit passed unrecorded: the queue was full",
		[BH_QUEUE_HOLD] = "packets of unknown workloads were dropped unrecorded: the queue "
				  "was full",
	};
	int64_t since = c->queues_ticked;

	c->queues_ticked = bh_clock_now();
	for (int i = 0; i < BH_QUEUES; i++) {
		struct bh_queue_stats s;
		if (!c->queue[i])
			continue;
		bh_queue_get_stats(c->queue[i], &s);
		uint64_t lost = s.kernel_dropped + s.lost_ids;
		if (lost <= c->kernel_lost[i])
			continue;
		bh_core_gap(c, purpose_name[i], (int64_t)(lost - c->kernel_lost[i]), since, gap[i]);
		c->kernel_lost[i] = lost;
	}
}

/* The counters that status and /metrics show, by the same names. */
static const struct {
	const char *name;
	size_t at;
} shown[] = {
#define SHOWN(field)                                                                               \
	{                                                                                          \
#field, offsetof(struct bh_queue_stats, field)                                     \
	}
	SHOWN(received),
	SHOWN(accepted),
	SHOWN(dropped),
	SHOWN(rejected),
	SHOWN(repeated),
	SHOWN(held),
	SHOWN(expired),
	SHOWN(malformed),
	SHOWN(bypassed),
	SHOWN(kernel_dropped),
	SHOWN(user_dropped),
	SHOWN(overruns),
#undef SHOWN
};

static uint64_t value(const struct bh_queue_stats *s, size_t k)
{
	uint64_t v;
	memcpy(&v, (const char *)s + shown[k].at, sizeof(v));
	return v;
}

json_t *bh_core_queues_json(struct bh_core *c)
{
	json_t *list = json_array();
	for (int i = 0; i < BH_QUEUES; i++) {
		struct bh_queue_stats s;
		if (!c->queue[i])
			continue;
		bh_queue_get_stats(c->queue[i], &s);
		json_t *q = json_pack(
			"{s:i, s:s}", "num", c->conf->queue_base + i, "purpose", purpose_name[i]);
		for (size_t k = 0; k < BH_ARRAY_SIZE(shown); k++)
			json_object_set_new(
				q, shown[k].name, json_integer((json_int_t)value(&s, k)));
		json_array_append_new(list, q);
	}
	return list;
}

void bh_core_queues_metrics(struct bh_core *c, struct bh_buf *b)
{
	bh_buf_str(b, "# HELP bulkhead_queue_packets_total Packets of a queue by outcome.\n"
		      "# TYPE bulkhead_queue_packets_total counter\n");
	for (int i = 0; i < BH_QUEUES; i++) {
		struct bh_queue_stats s;
		if (!c->queue[i])
			continue;
		bh_queue_get_stats(c->queue[i], &s);
		for (size_t k = 0; k < BH_ARRAY_SIZE(shown); k++)
			bh_buf_printf(b,
				"bulkhead_queue_packets_total{queue=\"%s\",outcome=\"%s\"} %llu\n",
				purpose_name[i], shown[k].name, (unsigned long long)value(&s, k));
	}
}
