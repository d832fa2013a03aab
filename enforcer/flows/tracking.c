/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "flows/tracking.h"

#include "answer/clock.h"
#include "audit/audit.h"
#include "conntrack/conntrack.h"
#include "core/state.h"
#include "flows/crowding.h"

#define CROWDED(t) ((uint64_t)(t)->entries * 10 >= (uint64_t)(t)->max * 9) /* max 0: may be */
#define REPORT_US 60000000
#define RECENT_US 60000000 /* for so long status tells of drops */

static char *name_of(const struct bh_inventory *inv, size_t i)
{
	return bh_xasprintf("%s/%s", inv->workload[i]->namespace, inv->workload[i]->name);
}

/* Who opened the most, and whom most of what others opened is to. */
void bh_core_tracking_counted(struct bh_core *c, const struct bh_census *s)
{
	struct bh_tracking *t = &c->tracking;
	const struct bh_inventory *inv = bh_engine_inventory(s->snap->engine);
	size_t most = 0, to = 0;

	free(BH_TAKE_PTR(t->who));
	free(BH_TAKE_PTR(t->target));
	t->others = s->others;
	t->whose = t->to_target = 0;
	for (size_t i = 1; i < inv->n; i++) {
		most = s->of[i].flows > s->of[most].flows ? i : most;
		to = s->towards[i] > s->towards[to] ? i : to;
	}
	if (inv->n > 0 && s->of[most].flows > 0) {
		t->whose = s->of[most].flows;
		t->who = name_of(inv, most);
	}
	if (inv->n > 0 && s->towards[to] > 0) {
		t->to_target = s->towards[to];
		t->target = name_of(inv, to);
	}
}

static void report(struct bh_core *c)
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
	t->told_at = bh_clock_steady();
}

/* The kernel counts others too, such as the second SYN of a connection whose first waited for the
 * daemon beside it: where there was room before and is now, it was not for want of that. */
void bh_core_tracking_look(struct bh_core *c)
{
	struct bh_tracking *t = &c->tracking;
	struct bh_ct_fill f;

	if (bh_ct_fill(c->ct, &f) < 0)
		return;
	bool counts = t->known && f.dropped > t->kernel && (CROWDED(t) || CROWDED(&f));
	uint64_t more = counts ? f.dropped - t->kernel : 0;
	t->known = true;
	t->entries = f.entries;
	t->max = f.max;
	t->kernel = f.dropped;
	t->dropped += more;
	t->untold += more;
	if (more > 0) {
		t->dropped_at = bh_clock_now();
		t->dropped_steady = bh_clock_steady();
	}
	bh_core_crowding_look(c, &f, more > 0);
}

/* since: by the steady clock; 0: never */
static bool due(int64_t since, int64_t every)
{
	return since == 0 || bh_clock_steady() - since >= every;
}

void bh_core_tracking_tick(struct bh_core *c)
{
	struct bh_tracking *t = &c->tracking;

	bh_core_tracking_look(c);
	bh_core_crowding_tick(c);
	if (t->untold > 0 && due(t->told_at, REPORT_US))
		report(c);
}

void bh_core_tracking_stop(struct bh_core *c)
{
	if (c->tracking.untold > 0)
		report(c);
}

void bh_core_tracking_finish(struct bh_core *c)
{
	free(BH_TAKE_PTR(c->tracking.who));
	free(BH_TAKE_PTR(c->tracking.target));
}

static void add_problem(const struct bh_tracking *t, const char *what, json_t *problems)
{
	struct bh_buf bh_autobuf b = {0};

	bh_buf_printf(&b, "connection tracking is %s (%u of %u flows)", what, t->entries, t->max);
	if (t->who)
		bh_buf_printf(&b, ", %zu of them opened by %s", t->whose, t->who);
	if (t->others > t->whose)
		bh_buf_printf(&b, ", %zu by the outside or the node", t->others);
	if (t->others > t->whose && t->target)
		bh_buf_printf(&b, " (most of them to %s)", t->target);
	bh_buf_str(&b, "; net.netfilter.nf_conntrack_max is the limit");
	json_array_append_new(problems, json_string(b.s));
}

json_t *bh_core_tracking_json(const struct bh_core *c, json_t *problems)
{
	const struct bh_tracking *t = &c->tracking;
	bool lately = t->dropped_at != 0 && !due(t->dropped_steady, RECENT_US);

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
	json_object_set_new(o, "others",
		json_pack("{s:I, s:s?, s:I}", "entries", (json_int_t)t->others, "most_to",
			t->target, "entries_to", (json_int_t)t->to_target));
	json_object_set_new(o, "crowding", bh_core_crowding_json(c, problems));
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
	bh_core_crowding_metrics(c, b);
}
