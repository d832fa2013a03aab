/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The optional rule that quarantines by itself: a workload that was denied by several distinct
 * peers within a time, or that sent to an address on a blocking feed. Off unless configured.
 *
 * It must not become a weapon against a victim. So only the workload that itself sent is counted,
 * by the veth that its packet came in by (what claims to be somebody else is refused before and
 * counts for nobody); an answer is no new flow; who was let out by hand is left alone for an hour;
 * and not more than BH_DRIFT_PER_HOUR are cut off in an hour, for then it is no break-in but a
 * wrong policy.
 */
#include "modes/drift_watch.h"

#include "answer/answer.h"
#include "answer/clock.h"
#include "audit/audit.h"
#include "core/core.h"
#include "core/state.h"
#include "verdict/shared.h"

#define HOUR_US (3600 * 1000000LL)

void bh_core_drift_finish(struct bh_core *c)
{
	struct bh_drift_watch *w = c->drift;
	for (size_t i = 0; w && i < w->n; i++)
		free(w->source[i].id);
	for (size_t i = 0; w && i < w->n_due; i++) {
		free(w->due[i].id);
		free(w->due[i].why);
	}
	for (size_t i = 0; w && i < w->n_done; i++)
		free(w->done[i].id);
	free(w);
	c->drift = NULL;
}

static struct bh_drift_watch *get_watch(struct bh_core *c)
{
	if (!c->drift)
		c->drift = bh_xcalloc(1, sizeof(*c->drift));
	return c->drift;
}

/* The workload's peers; of too many workloads the one not heard of for the longest time goes. */
static struct bh_drift_source *source_of(struct bh_drift_watch *w, const char *id)
{
	size_t oldest = 0;
	for (size_t i = 0; i < w->n; i++) {
		if (bh_streq(w->source[i].id, id))
			return &w->source[i];
		if (w->source[i].last < w->source[oldest].last)
			oldest = i;
	}
	if (w->n < BH_DRIFT_SOURCES)
		oldest = w->n++;
	else
		free(w->source[oldest].id);
	w->source[oldest] = (struct bh_drift_source){.id = bh_xstrdup(id)};
	return &w->source[oldest];
}

/* How many distinct peers denied it within `within` µs, this one included. */
static size_t note_peer(
	struct bh_drift_source *s, const struct bh_addr *peer, int64_t now, int64_t within)
{
	size_t kept = 0;
	for (size_t i = 0; i < s->n; i++)
		if (now - s->at[i] <= within && !bh_addr_eq(&s->peer[i], peer)) {
			s->peer[kept] = s->peer[i];
			s->at[kept++] = s->at[i];
		}
	if (kept == BH_DRIFT_PEERS) {
		memmove(s->peer, s->peer + 1, (kept - 1) * sizeof(s->peer[0]));
		memmove(s->at, s->at + 1, (kept - 1) * sizeof(s->at[0]));
		kept--;
	}
	s->peer[kept] = *peer;
	s->at[kept++] = now;
	s->n = kept;
	s->last = now;
	return kept;
}

/* Later, by the tick: an event must not change what other events of its batch speak of. */
static void make_due(struct bh_drift_watch *w, const char *id, char *why)
{
	for (size_t i = 0; i < w->n_due; i++)
		if (bh_streq(w->due[i].id, id)) {
			free(why);
			return;
		}
	if (w->n_due == BH_DRIFT_DUE) {
		free(why);
		return;
	}
	w->due[w->n_due++] = (struct bh_drift_due){.id = bh_xstrdup(id), .why = why};
}

void bh_core_drift_event(struct bh_core *c, const struct bh_event *e)
{
	int32_t owner = e->decision.side[BH_EGRESS].workload;
	if ((!c->conf->drift_peers && !c->conf->drift_feed_hit) || owner < 0 || !e->dropped)
		return;
	const struct bh_workload *src = bh_engine_inventory(e->snap->engine)->workload[owner];
	if (src->quarantine)
		return;
	if (e->kind == BH_EVENT_THREAT && c->conf->drift_feed_hit) {
		make_due(get_watch(c), src->id,
			bh_xasprintf("drift: it sent to %s, which feed %s lists", e->indicator,
				e->feed));
		return;
	}
	if (e->kind != BH_EVENT_DECISION || e->decision.reason != BH_REASON_UNMATCHED ||
		!c->conf->drift_peers)
		return;
	size_t n = note_peer(source_of(get_watch(c), src->id), &e->flow.dst, bh_clock_steady(),
		(int64_t)c->conf->drift_within_s * 1000000);
	if (n >= c->conf->drift_peers)
		make_due(c->drift, src->id,
			bh_xasprintf("drift: denied by %zu distinct peers within %llu s", n,
				(unsigned long long)c->conf->drift_within_s));
}

/* Was it cut off by us lately, or are there too many? Forgets what is older than an hour. */
static const char *held_back(struct bh_drift_watch *w, const char *id, int64_t now)
{
	const char *why = NULL;
	size_t kept = 0;
	for (size_t i = 0; i < w->n_done; i++) {
		if (now - w->done[i].at > HOUR_US) {
			free(w->done[i].id);
			continue;
		}
		if (bh_streq(w->done[i].id, id))
			why = "it was cut off and let out within the last hour";
		w->done[kept++] = w->done[i];
	}
	w->n_done = kept;
	if (!why && kept == BH_DRIFT_PER_HOUR)
		why = "too many were cut off within the last hour: is a policy wrong?";
	return why;
}

static void cut_off(struct bh_core *c, struct bh_drift_watch *w, const struct bh_drift_due *due)
{
	struct bh_core_actor daemon = {.uid = geteuid(), .gid = getegid(), .pid = getpid()};
	int64_t now = bh_clock_steady();
	const char *not = held_back(w, due->id, now);
	struct bh_answer a = {0};
	if (!not ) {
		json_t *body = json_pack("{s:s, s:s}", "workload", due->id, "reason", due->why);
		a = bh_core_quarantine_add(c, body, &daemon);
		json_decref(body);
	}
	if (!not &&a.status == 200) {
		w->done[w->n_done++] = (struct bh_drift_done){bh_xstrdup(due->id), now};
	} else {
		if (!not )
			not = json_string_value(json_object_get(a.json, "error"));
		bh_audit_event(c->audit, "drift.quarantine", "failure", not, NULL,
			json_pack("{s:s, s:s}", "id", due->id, "why", due->why));
	}
	json_decref(a.json);
}

void bh_core_drift_tick(struct bh_core *c)
{
	struct bh_drift_watch *w = c->drift;
	while (w && w->n_due) {
		struct bh_drift_due due = w->due[--w->n_due];
		cut_off(c, w, &due);
		for (size_t i = 0; i < w->n; i++) /* counted anew from here on */
			if (bh_streq(w->source[i].id, due.id))
				w->source[i].n = 0;
		free(due.id);
		free(due.why);
	}
}
