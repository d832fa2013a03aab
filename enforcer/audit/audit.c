/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The audit log as the rest of the daemon sees it. Invariants: a sequence number is given to a
 * record only when the record is sure of a place in the file or in the backlog, so numbers have no
 * gaps; whatever could not be recorded is counted, and the count itself becomes a `gap` record.
 */
#include <errno.h>
#include <sys/random.h>
#include <time.h>

#include "audit/private.h"

struct bh_audit {
	struct bh_audit_ident id;
	struct bh_audit_log log;
	struct bh_audit_repeats repeats;
	uint64_t sequence;
	uint64_t aggregated, lost;
	struct { /* events that found the backlog full */
		uint64_t count;
		int64_t first, last;
	} refused;
};

static int64_t now_us(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_REALTIME, &ts);
	return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

/* The line of a record, details left out where they are too long. Owned; NULL without memory. */
static char *render(json_t *rec, size_t *ret_len)
{
	char *text = json_dumps(rec, JSON_COMPACT);
	size_t len = text ? strlen(text) : 0;

	if (len + 1 > BH_AUDIT_MAX_LINE) {
		free(text);
		json_object_set_new(json_object_get(rec, "bulkhead"), "change",
			json_pack("{s:b, s:I}", "omitted", 1, "bytes", (json_int_t)len));
		text = json_dumps(rec, JSON_COMPACT);
		len = text ? strlen(text) : 0;
	}
	if (!text)
		return NULL;
	text = bh_xrealloc(text, len + 2, 1);
	text[len] = '\n';
	text[len + 1] = '\0';
	*ret_len = len + 1;
	return text;
}

/* Takes rec. Gives it a number and a place in the backlog; false: there was none. */
static bool enqueue(struct bh_audit *a, json_t *rec, int64_t when)
{
	size_t len;
	char *line = NULL;
	json_int_t repeat =
		json_integer_value(json_object_get(json_object_get(rec, "bulkhead"), "repeat"));
	uint64_t events = repeat > 1 ? (uint64_t)repeat : 1;

	if (bh_audit_log_room(&a->log)) {
		bh_audit_record_stamp(rec, &a->id, a->sequence + 1, when);
		line = render(rec, &len);
	}
	json_decref(rec);
	if (line) {
		a->sequence++;
		bh_audit_log_push(&a->log, line, len);
		return true;
	}
	if (a->refused.count == 0)
		a->refused.first = when;
	a->refused.last = when;
	a->refused.count += events;
	a->lost += events;
	return false;
}

static json_t *gap(struct bh_audit *a, const char *message, json_t *details)
{
	return bh_audit_record_event(&a->id,
		&(struct bh_audit_change){.action = "gap", .message = message, .details = details});
}

/* Writes what waits; once all of it is out, also what had to be left out. */
static int drain(struct bh_audit *a)
{
	int e = bh_audit_log_drain(&a->log);
	if (e < 0 || a->refused.count == 0)
		return e;
	json_t *rec = gap(a, "events lost: the audit log could not be written",
		json_pack("{s:s, s:I, s:o, s:o}", "class", "log", "count",
			(json_int_t)a->refused.count, "first", bh_audit_time(a->refused.first),
			"last", bh_audit_time(a->refused.last)));
	a->refused.count = 0;
	enqueue(a, rec, now_us());
	return bh_audit_log_drain(&a->log);
}

static int submit(struct bh_audit *a, json_t *rec, int64_t when)
{
	if (a->log.count > 0 || a->refused.count > 0)
		drain(a); /* in order: what was refused before belongs before this */
	if (!enqueue(a, rec, when))
		return -ENOBUFS;
	return drain(a);
}

static void submit_repeat(json_t *rec, int64_t last, void *arg)
{
	submit(arg, rec, last);
}

/* What the recovery did is in the log itself, first thing. */
static void report_recovery(struct bh_audit *a, const struct bh_audit_recovery *r)
{
	if (r->torn)
		submit(a,
			gap(a, "the last line was incomplete and has been set aside",
				json_pack("{s:s, s:I, s:o, s:o}", "class", "torn-line", "bytes",
					(json_int_t)r->torn, "saved",
					bh_audit_text(r->torn_path, 4096), "text",
					bh_audit_text(r->torn_text, BH_AUDIT_TORN_SHOWN))),
			now_us());
	if (r->aside)
		submit(a,
			gap(a, "the file held no audit record and has been set aside",
				json_pack("{s:s, s:o}", "class", "unreadable-file", "saved",
					bh_audit_text(r->aside, 4096))),
			now_us());
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
		uint64_t t = (uint64_t)now_us() ^ (uint64_t)getpid() << 48;
		memcpy(id->prefix, &t, sizeof(t));
	}
}

int bh_audit_open(const struct bh_audit_opts *opts, struct bh_audit **ret)
{
	struct bh_audit_recovery rec = {0};
	struct bh_audit_log log;
	uint64_t seed;

	int e = bh_audit_log_open(opts->path, &rec, &log);
	if (e < 0) {
		bh_audit_recovery_finish(&rec);
		return e;
	}
	struct bh_audit *a = bh_xcalloc(1, sizeof(*a));
	a->log = log;
	a->sequence = rec.sequence;
	ident_init(&a->id, opts);
	memcpy(&seed, a->id.prefix, sizeof(seed));
	bh_audit_repeats_init(&a->repeats, seed);
	report_recovery(a, &rec);
	bh_audit_recovery_finish(&rec);
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
	submit(a,
		gap(a, "too many different flows at once: these have no record of their own",
			json_pack("{s:s, s:I, s:o, s:o, s:o}", "class", "flows", "count",
				(json_int_t)total, "actions", by_action, "first",
				bh_audit_time(first), "last", bh_audit_time(last))),
		now_us());
}

void bh_audit_close(struct bh_audit *a)
{
	if (!a)
		return;
	bh_audit_repeats_expire(&a->repeats, 0, true, submit_repeat, a);
	report_overflow(a);
	drain(a);
	bh_audit_log_sync(&a->log);
	bh_audit_repeats_finish(&a->repeats);
	bh_audit_log_finish(&a->log);
	free(a->id.node);
	free(a->id.machine_id);
	free(a->id.boot_id);
	free(a->id.version);
	free(a);
}

static int reopen(struct bh_audit *a, const char *why)
{
	struct bh_audit_recovery rec = {0};
	uint64_t last = a->sequence;

	int r = bh_audit_log_reopen(&a->log, &rec);
	if (r == 1) {
		/* Also so that the new file holds a number from which to go on. */
		struct bh_audit_change c = {.action = "log.reopened",
			.message = why,
			.details = json_pack("{s:I}", "previous_sequence", (json_int_t)last)};
		if (rec.sequence > a->sequence)
			a->sequence = rec.sequence;
		report_recovery(a, &rec);
		r = submit(a, bh_audit_record_event(&a->id, &c), now_us());
		if (r == 0)
			r = bh_audit_log_sync(&a->log);
	}
	bh_audit_recovery_finish(&rec);
	return r < 0 ? r : 0;
}

int bh_audit_reopen(struct bh_audit *a)
{
	return reopen(a, "the log goes on in a new file");
}

void bh_audit_flow(struct bh_audit *a, const struct bh_audit_flow *f)
{
	struct bh_audit_flow copy = *f;
	if (copy.when == 0)
		copy.when = now_us();
	if (copy.times == 0)
		copy.times = 1;
	switch (bh_audit_repeats_note(&a->repeats, &a->id, &copy, submit_repeat, a)) {
	case BH_AUDIT_FIRST:
		submit(a, bh_audit_record_flow(&a->id, &copy), copy.when);
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

int bh_audit_event(struct bh_audit *a, const char *action, const char *outcome, const char *message,
	const struct bh_audit_actor *actor, json_t *details)
{
	struct bh_audit_change c = {.action = action,
		.outcome = outcome,
		.message = message,
		.actor = actor,
		.details = details};
	int e = submit(a, bh_audit_record_event(&a->id, &c), now_us());
	return e < 0 ? e : bh_audit_log_sync(&a->log);
}

void bh_audit_tick(struct bh_audit *a, int64_t now)
{
	if (bh_audit_log_unlinked(&a->log))
		reopen(a, "the file of the log was removed");
	bh_audit_repeats_expire(&a->repeats, now, false, submit_repeat, a);
	report_overflow(a);
	if (drain(a) == 0)
		bh_audit_log_sync(&a->log);
}

void bh_audit_get_stats(const struct bh_audit *a, struct bh_audit_stats *ret)
{
	*ret = (struct bh_audit_stats){
		.written = a->log.written,
		.aggregated = a->aggregated,
		.lost = a->lost,
		.sequence = a->sequence,
		.last_error = a->log.last_error,
	};
}
