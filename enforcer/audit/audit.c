/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The audit log as the rest of the daemon sees it. Invariant: whatever could not be recorded is
 * counted, and the count itself becomes a `gap` record as soon as there is room.
 */
#include <errno.h>
#include <sys/random.h>

#include "audit/private.h"

#define PATIENCE_MS 500

struct bh_audit {
	struct bh_audit_ident id;
	struct bh_audit_writer *writer;
	struct bh_audit_repeats repeats;
	struct bh_audit_text scratch; /* of the record being made */
	uint64_t aggregated, lost, all_refused;
	uint64_t ticket; /* of the last record given to the writer */
	uint64_t slow; /* a ticket that was waited for in vain; 0: none */
	struct bh_audit_refused { /* events that found no room */
		uint64_t count;
		int64_t first, last;
	} refused[2]; /* by may_drop */
};

/* false: there was no room for it. */
static bool push(struct bh_audit *a, const struct bh_audit_text *rec, uint64_t events, int64_t when,
	bool urgent, bool may_drop)
{
	struct bh_audit_item it = {.events = events, .urgent = urgent};
	struct bh_audit_refused *r = &a->refused[may_drop];

	bh_audit_record_item(rec, &it);
	if (bh_audit_writer_push(a->writer, &it, may_drop, &a->ticket) == 0)
		return true;
	free(it.text);
	if (r->count == 0)
		r->first = when;
	r->last = when;
	r->count += it.events;
	a->lost += it.events;
	a->all_refused += it.events;
	return false;
}

/* Takes details. */
static bool push_gap(struct bh_audit *a, const char *message, json_t *details)
{
	int64_t now = bh_audit_now();
	bh_audit_record_event(&a->id,
		&(struct bh_audit_change){.action = "gap", .message = message, .details = details},
		now, &a->scratch);
	return push(a, &a->scratch, 1, now, false, false);
}

/* What found no room goes on record before whatever comes next. */
static void report_refused(struct bh_audit *a)
{
	for (int may_drop = 0; may_drop < 2; may_drop++) {
		struct bh_audit_refused r = a->refused[may_drop];
		if (r.count == 0)
			continue;
		uint64_t lost = a->lost, refused = a->all_refused;
		a->refused[may_drop].count = 0;
		bool ok = push_gap(a,
			may_drop ? "allowed flows lost: the audit log could not keep up"
				 : "events lost: the audit log could not be written",
			json_pack("{s:s, s:I, s:o, s:o}", "class", may_drop ? "allowed" : "log",
				"count", (json_int_t)r.count, "first", bh_audit_time(r.first),
				"last", bh_audit_time(r.last)));
		if (!ok) {
			a->refused[0].count = 0; /* the report itself is no event */
			a->refused[may_drop] = r;
			a->lost = lost;
			a->all_refused = refused;
			return;
		}
	}
}

static void submit_repeat(const struct bh_audit_text *rec, uint64_t count, int64_t last, void *arg)
{
	struct bh_audit *a = arg;
	report_refused(a);
	push(a, rec, count, last, false, false);
}

static void ident_init(struct bh_audit_ident *id, const struct bh_audit_opts *o)
{
	*id = (struct bh_audit_ident){
		.node = bh_xstrdup(o->node),
		.machine_id = bh_xstrdup(o->machine_id),
		.boot_id = bh_xstrdup(o->boot_id),
		.version = bh_xstrdup(o->version),
	};
	if (getrandom(id->prefix, sizeof(id->prefix), 0) != sizeof(id->prefix)) {
		uint64_t t = (uint64_t)bh_audit_now() ^ (uint64_t)getpid() << 48;
		memcpy(id->prefix, &t, sizeof(t));
	}
	bh_audit_ident_render(id);
}

static void release(struct bh_audit *a)
{
	free(a->id.node);
	free(a->id.machine_id);
	free(a->id.boot_id);
	free(a->id.version);
	free(a->id.fixed);
	bh_buf_finish(&a->scratch.b);
	free(a);
}

int bh_audit_open(const struct bh_audit_opts *opts, struct bh_audit **ret)
{
	struct bh_audit *a = bh_xcalloc(1, sizeof(*a));
	uint64_t seed;

	ident_init(&a->id, opts);
	int e = bh_audit_writer_start(opts, &a->id, &a->writer);
	if (e < 0) {
		release(a);
		return e;
	}
	memcpy(&seed, a->id.prefix, sizeof(seed));
	bh_audit_repeats_init(&a->repeats, seed);
	*ret = a;
	return 0;
}

static void report_overflow(struct bh_audit *a)
{
	struct bh_audit_repeats *t = &a->repeats;
	uint64_t total = 0;

	if (t->n_overflow == 0)
		return;
	json_t *by_action = json_object();
	int64_t first = t->overflow[0].first, last = t->overflow[0].last;
	for (size_t i = 0; i < t->n_overflow; i++) {
		const struct bh_audit_overflow *o = &t->overflow[i];
		json_object_set_new(by_action, o->action, json_integer((json_int_t)o->count));
		total += o->count;
		first = o->first < first ? o->first : first;
		last = o->last > last ? o->last : last;
	}
	t->n_overflow = 0;
	report_refused(a);
	push_gap(a, "too many different flows at once: these have no record of their own",
		json_pack("{s:s, s:I, s:o, s:o, s:o}", "class", "flows", "count", (json_int_t)total,
			"actions", by_action, "first", bh_audit_time(first), "last",
			bh_audit_time(last)));
}

void bh_audit_close(struct bh_audit *a)
{
	if (!a)
		return;
	bh_audit_repeats_expire(&a->repeats, 0, true, submit_repeat, a);
	report_overflow(a);
	report_refused(a);
	bh_audit_writer_stop(a->writer);
	bh_audit_repeats_finish(&a->repeats);
	release(a);
}

void bh_audit_reopen(struct bh_audit *a)
{
	bh_audit_writer_reopen(a->writer);
}

int bh_audit_settle(struct bh_audit *a, unsigned ms)
{
	return bh_audit_writer_wait(a->writer, a->ticket, ms);
}

static bool may_drop(const struct bh_audit_flow *f)
{
	return f->verdict == BH_ALLOW && f->reason != BH_REASON_THREAT &&
	       strcmp(f->action, "would-deny") != 0;
}

void bh_audit_flow(struct bh_audit *a, const struct bh_audit_flow *f)
{
	struct bh_audit_flow copy = *f;
	if (copy.when == 0)
		copy.when = bh_audit_now();
	if (copy.times == 0)
		copy.times = 1;
	if (copy.volume) {
		report_refused(a);
		bh_audit_record_flow(&a->id, &copy, &a->scratch);
		push(a, &a->scratch, copy.volume->flows, copy.when, false, may_drop(f));
		return;
	}
	switch (bh_audit_repeats_note(&a->repeats, &a->id, &copy, submit_repeat, a)) {
	case BH_AUDIT_FIRST:
		report_refused(a);
		bh_audit_record_flow(&a->id, &copy, &a->scratch);
		push(a, &a->scratch, 1, copy.when, false, may_drop(f));
		if (--copy.times == 0)
			break;
		bh_audit_repeats_note(&a->repeats, &a->id, &copy, submit_repeat, a);
		a->aggregated += copy.times;
		break;
	case BH_AUDIT_AGAIN:
		a->aggregated += copy.times;
		break;
	case BH_AUDIT_FULL:
		a->lost += copy.times;
		break;
	}
}

/* A disk that was waited for in vain is not waited for again before it has caught up: commands stay
 * usable, and what they changed is on record a little later. */
static int wait_for(struct bh_audit *a)
{
	int e = bh_audit_writer_wait(
		a->writer, a->slow ? a->slow : a->ticket, a->slow ? 0 : PATIENCE_MS);
	if (e == 0 && a->slow) {
		a->slow = 0;
		return wait_for(a);
	}
	a->slow = e == -ETIMEDOUT ? (a->slow ? a->slow : a->ticket) : 0;
	return e;
}

int bh_audit_event(struct bh_audit *a, const char *action, const char *outcome, const char *message,
	const struct bh_audit_actor *actor, json_t *details)
{
	struct bh_audit_change c = {.action = action,
		.outcome = outcome,
		.message = message,
		.actor = actor,
		.details = details};
	int64_t now = bh_audit_now();

	report_refused(a);
	bh_audit_record_event(&a->id, &c, now, &a->scratch);
	if (!push(a, &a->scratch, 1, now, true, false))
		return -ENOBUFS;
	return actor ? wait_for(a) : 0;
}

void bh_audit_tick(struct bh_audit *a, int64_t now)
{
	bh_audit_repeats_expire(&a->repeats, now, false, submit_repeat, a);
	report_overflow(a);
	report_refused(a);
	bh_audit_writer_tick(a->writer);
}

void bh_audit_get_stats(const struct bh_audit *a, struct bh_audit_stats *ret)
{
	bh_audit_writer_get_stats(a->writer, ret);
	ret->aggregated = a->aggregated;
	ret->lost = a->lost;
	ret->refused = a->all_refused;
}

int64_t bh_audit_ended(const struct bh_audit *a)
{
	return bh_audit_writer_ended(a->writer);
}

char *bh_audit_public_key(const struct bh_audit *a)
{
	return bh_audit_writer_public_key(a->writer);
}
