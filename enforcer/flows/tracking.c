/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "flows/tracking.h"

#include "answer/clock.h"
#include "audit/audit.h"
#include "conntrack/conntrack.h"
#include "core/state.h"

#define CROWDED(t) ((uint64_t)(t)->entries * 10 >= (uint64_t)(t)->max * 9) /* max 0: may be */
#define REPORT_US 60000000
#define RECENT_US 60000000 /* for so long status tells of drops */
#define COUNT_US 60000000 /* a walk through a full table takes some tenths of a second */

struct census {
	const struct bh_inventory *inv;
	size_t *n; /* by workload */
};

static bool count_one(const struct bh_ct_entry *e, void *arg)
{
	struct census *s = arg;
	int owner = bh_inventory_owner(s->inv, &e->flow.src);

	if (owner >= 0)
		s->n[owner]++;
	return false; /* none is deleted */
}

/* Who opened the most. */
static void take_census(struct bh_core *c)
{
	struct bh_tracking *t = &c->tracking;
	struct census s = {.inv = bh_engine_inventory(c->snap->engine)};
	size_t most = 0;

	t->counted_at = bh_clock_now();
	free(t->who);
	t->who = NULL;
	if (s.inv->n == 0)
		return;
	s.n = bh_xcalloc(s.inv->n, sizeof(*s.n));
	if (bh_ct_sweep(c->ct, count_one, &s, NULL) == 0) {
		for (size_t i = 1; i < s.inv->n; i++)
			if (s.n[i] > s.n[most])
				most = i;
		t->whose = s.n[most];
		if (t->whose > 0)
			t->who = bh_xasprintf("%s/%s", s.inv->workload[most]->namespace,
				s.inv->workload[most]->name);
	}
	free(s.n);
}

static void report(struct bh_core *c, int64_t now)
{
	struct bh_tracking *t = &c->tracking;
	json_t *o = json_pack("{s:I, s:I, s:I, s:s?, s:I}", "count", (json_int_t)t->untold,
		"entries", (json_int_t)t->entries, "max", (json_int_t)t->max, "workload", t->who,
		"of_workload", (json_int_t)(t->who ? t->whose : 0));

	bh_audit_event(c->audit, "conntrack.full", "failure",
		"the kernel dropped packets of new flows, whatever rules say: its connection "
		"tracking had no room",
		NULL, o);
	t->untold = 0;
	t->told_at = now;
}

/* The kernel counts others too, such as the second SYN of a connection whose first waited for the
 * daemon beside it: where there was room before and is now, it was not for want of that. */
static bool read_fill(struct bh_core *c, int64_t now)
{
	struct bh_tracking *t = &c->tracking;
	struct bh_ct_fill f;

	if (bh_ct_fill(c->ct, &f) < 0)
		return false;
	bool counts = t->known && f.dropped > t->kernel && (CROWDED(t) || CROWDED(&f));
	uint64_t more = counts ? f.dropped - t->kernel : 0;
	t->known = true;
	t->entries = f.entries;
	t->max = f.max;
	t->kernel = f.dropped;
	t->dropped += more;
	t->untold += more;
	if (more > 0)
		t->dropped_at = now;
	return true;
}

static bool due(int64_t since, int64_t every, int64_t now)
{
	return since == 0 || now - since >= every || now < since;
}

void bh_core_tracking_tick(struct bh_core *c)
{
	struct bh_tracking *t = &c->tracking;
	int64_t now = bh_clock_now();

	if (!read_fill(c, now))
		return;
	bool crowded = t->untold > 0 || (t->max > 0 && CROWDED(t));
	if (crowded && c->snap && due(t->counted_at, COUNT_US, now))
		take_census(c);
	if (t->untold > 0 && due(t->told_at, REPORT_US, now))
		report(c, now);
}

void bh_core_tracking_stop(struct bh_core *c)
{
	if (c->tracking.untold > 0)
		report(c, bh_clock_now());
}

void bh_core_tracking_finish(struct bh_core *c)
{
	free(c->tracking.who);
	c->tracking.who = NULL;
}

static void add_problem(const struct bh_tracking *t, const char *what, json_t *problems)
{
	struct bh_buf bh_autobuf b = {0};

	bh_buf_printf(&b, "connection tracking is %s (%u of %u flows)", what, t->entries, t->max);
	if (t->who)
		bh_buf_printf(&b, ", %zu of them opened by %s", t->whose, t->who);
	bh_buf_str(&b, "; net.netfilter.nf_conntrack_max is the limit");
	json_array_append_new(problems, json_string(b.s));
}

json_t *bh_core_tracking_json(const struct bh_core *c, json_t *problems)
{
	const struct bh_tracking *t = &c->tracking;
	bool lately = t->dropped_at != 0 && !due(t->dropped_at, RECENT_US, bh_clock_now());

	if (!t->known)
		return json_null();
	if (lately)
		add_problem(t, "full: the kernel drops new flows of everybody", problems);
	else if (t->max > 0 && CROWDED(t))
		add_problem(t, "nearly full", problems);
	json_t *o = json_pack("{s:I, s:I, s:I}", "entries", (json_int_t)t->entries, "max",
		(json_int_t)t->max, "dropped", (json_int_t)t->dropped);
	json_object_set_new(o, "last_dropped", bh_clock_json(t->dropped_at));
	json_object_set_new(o, "most",
		t->who ? json_pack(
				 "{s:s, s:I}", "workload", t->who, "entries", (json_int_t)t->whose)
		       : json_null());
	return o;
}

static void one(struct bh_buf *b, const char *name, const char *type, const char *help, uint64_t v)
{
	bh_buf_printf(b,
		"# HELP bulkhead_conntrack_%s %s\n# TYPE bulkhead_conntrack_%s %s\n"
		"bulkhead_conntrack_%s %llu\n",
		name, help, name, type, name, (unsigned long long)v);
}

void bh_core_tracking_metrics(const struct bh_core *c, struct bh_buf *b)
{
	const struct bh_tracking *t = &c->tracking;

	if (!t->known)
		return;
	one(b, "entries", "gauge", "Flows that the kernel tracks.", t->entries);
	one(b, "max", "gauge", "Flows that it tracks at most.", t->max);
	one(b, "dropped_total", "counter",
		"Packets that it dropped for want of room since the start.", t->dropped);
}
