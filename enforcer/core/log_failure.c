/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * `audit.on_log_failure`: what happens when records find no room any more, or none could be written
 * for ten seconds. `exit` stops the daemon; the rules stay, so that enforcing groups are closed to
 * what is new. `block-new-flows` lets no new flow of a workload pass, whatever allows it, until the
 * log is written again: established ones go on, and so does what the node does for itself, which
 * somebody has to mend the disk by. When it is over, how many packets were dropped for it is put on
 * record.
 */
#include "core/log_failure.h"

#include <signal.h>

#include "answer/clock.h"
#include "audit/audit.h"
#include "config/config.h"
#include "core/lifecycle.h"
#include "core/reconcile.h"
#include "core/state.h"
#include "nft/nft.h"

#define FAILING_MS 10000 /* a disk may be full for that long */
#define CAUGHT_UP 1024 /* records may wait when it is over */

static bool is_failing(struct bh_core *c, const struct bh_audit_stats *a)
{
	struct bh_stop *s = &c->stop;
	bool lost = a->refused != s->refused;
	bool stuck = a->waiting > 0 && a->written == s->written; /* a disk that does not answer */
	s->refused = a->refused;
	s->written = a->written;
	if (a->last_error == 0 && !lost && !stuck) {
		s->failing_since = 0;
		return false;
	}
	if (!s->failing_since)
		s->failing_since = (int64_t)uv_now(c->loop);
	return lost || (int64_t)uv_now(c->loop) - s->failing_since >= FAILING_MS;
}

static void leave(struct bh_core *c, const char *why)
{
	if (c->failed)
		return;
	c->failed = true;
	fprintf(stderr, "bulkheadd: audit log %s: %s: stopping, as audit.on_log_failure says\n",
		c->conf->audit_path, why);
	kill(getpid(), SIGTERM);
}

bool bh_core_failed(const struct bh_core *c)
{
	return c->failed;
}

static void on_counter(const struct bh_nft_counter *k, void *arg)
{
	if (bh_streq(k->chain, "stopped"))
		*(uint64_t *)arg += k->packets;
}

/* Dropped for it up to now; what the kernel counted begins anew when the table is made again. */
static uint64_t count(struct bh_core *c)
{
	uint64_t n = __atomic_load_n(&c->shared.stopped, __ATOMIC_RELAXED);
	bh_nft_counters(c->nft, on_counter, &n);
	uint64_t more = n < c->stop.counted ? n : n - c->stop.counted;
	c->stop.counted = n;
	return more;
}

/* The rules first: the record waits for the disk anyway. */
static void stop(struct bh_core *c, const char *why)
{
	c->stop.since = bh_clock_now();
	c->options_changed = true;
	if (bh_core_reconcile(c) < 0) { /* the tick tries again */
		c->stop.since = 0;
		return;
	}
	c->stop.times++;
	bh_audit_event(c->audit, "flows.stopped", NULL,
		"no new flow of a workload passes: the audit log can't be written", NULL,
		json_pack("{s:s}", "error", why));
}

static void go_on(struct bh_core *c)
{
	int64_t since = c->stop.since;
	c->stop.since = 0;
	c->options_changed = true;
	if (bh_core_reconcile(c) < 0) {
		c->stop.since = since;
		return;
	}
	uint64_t n = count(c); /* all of them: nothing more is dropped */
	c->stop.packets += n;
	json_t *o = json_pack("{s:I}", "packets", (json_int_t)n);
	json_object_set_new(o, "first", bh_clock_json(since));
	json_object_set_new(o, "last", bh_clock_json(bh_clock_now()));
	bh_audit_event(c->audit, "flows.resumed", NULL,
		"new flows pass again; meanwhile packets of new flows were dropped", NULL, o);
}

void bh_core_log_failure_tick(struct bh_core *c)
{
	struct bh_audit_stats a;
	bh_audit_get_stats(c->audit, &a);
	bool failing = is_failing(c, &a), block = c->conf->audit_failure == BH_LOG_FAILURE_BLOCK;
	const char *why = a.last_error ? strerror(-a.last_error)
			  : a.waiting  ? "the disk does not answer"
				       : "records were lost";

	if (failing && c->conf->audit_failure == BH_LOG_FAILURE_EXIT)
		leave(c, why);
	else if (failing && block && !c->stop.since && c->ready)
		stop(c, why);
	else if (c->stop.since && (!block || (!c->stop.failing_since && a.waiting < CAUGHT_UP)))
		go_on(c);
}

json_t *bh_core_stop_json(const struct bh_core *c, json_t *problems)
{
	if (c->stop.since)
		json_array_append_new(problems,
			json_string("no new flow of a workload passes, as audit.on_log_failure "
				    "says, until the audit log can be written again"));
	json_t *o = json_pack("{s:b, s:I, s:I}", "now", c->stop.since != 0, "times",
		(json_int_t)c->stop.times, "packets", (json_int_t)c->stop.packets);
	json_object_set_new(o, "since", bh_clock_json(c->stop.since));
	return o;
}
