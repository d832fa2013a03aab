/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What is told of who holds too much of connection tracking: records, status, metrics. */
#include "answer/clock.h"
#include "audit/audit.h"
#include "config/config.h"
#include "core/state.h"
#include "flows/crowding.h"
#include "nft/nft.h"

#define REPORT_US 60000000

static void on_counter(const struct bh_nft_counter *k, void *arg)
{
	if (bh_streq(k->chain, "crowding"))
		*(uint64_t *)arg += k->packets;
}

void bh_core_crowding_count(struct bh_core *c)
{
	struct bh_crowding *x = &c->crowding;
	uint64_t n = 0;

	if (x->in_force.n == 0 || bh_nft_counters(c->nft, on_counter, &n) < 0)
		return;
	uint64_t more = n < x->counted ? n : n - x->counted; /* the table was made anew */
	x->counted = n;
	x->packets += more;
	x->untold += more;
}

static const char *what_is_done(const struct bh_crowding *x)
{
	return x->level == BH_CROWDING_PACED     ? "paced"
	       : x->level == BH_CROWDING_REFUSED ? "refused"
						 : "cut";
}

/* packets and flows: those that no record has yet, of all who are held back. */
static json_t *details(struct bh_core *c, const struct bh_crowder *w)
{
	struct bh_crowding *x = &c->crowding;
	json_t *o = json_pack("{s:s, s:s, s:I, s:i, s:I, s:I, s:I, s:I}", "workload", w->name, "id",
		w->id, "of_workload", (json_int_t)w->flows, "share", (int)c->conf->crowding_share,
		"entries", (json_int_t)c->tracking.entries, "max", (json_int_t)c->tracking.max,
		"packets", (json_int_t)x->untold, "ended", (json_int_t)x->uncut);

	json_object_set_new(o, "first", bh_clock_json(w->since));
	x->untold = x->uncut = 0;
	x->told_at = bh_clock_steady();
	return o;
}

static void tell(struct bh_core *c, const struct bh_crowder *w, const char *message)
{
	json_t *o = details(c, w);

	json_object_set_new(o, "new_flows", json_string(what_is_done(&c->crowding)));
	bh_audit_event(c->audit, "conntrack.crowded", NULL, message, NULL, o);
}

void bh_core_crowding_begun(struct bh_core *c, struct bh_crowder *w)
{
	w->told = true;
	tell(c, w,
		"a workload holds more than its share of a connection tracking that is nearly "
		"full: its new flows are held back");
}

void bh_core_crowding_ended(struct bh_core *c, const struct bh_crowder *w)
{
	json_t *o = details(c, w);

	json_object_set_new(o, "last", bh_clock_json(bh_clock_now()));
	bh_audit_event(c->audit, "conntrack.eased", NULL,
		"new flows of a workload that held too much of connection tracking pass again",
		NULL, o);
}

void bh_core_crowding_goes_on(struct bh_core *c)
{
	struct bh_crowding *x = &c->crowding;
	if (x->n == 0 || !x->who[0].told || bh_clock_steady() - x->told_at < REPORT_US)
		return;
	bh_core_crowding_count(c);
	tell(c, &x->who[0], "new flows of workloads are held back still");
}

void bh_core_crowding_stays(struct bh_core *c)
{
	if (c->crowding.n == 0)
		return;
	bh_core_crowding_count(c);
	tell(c, &c->crowding.who[0],
		"the daemon stops: new flows of workloads are held back until it is there again");
}

static void add_problem(const struct bh_core *c, const struct bh_crowder *w, json_t *problems)
{
	const struct bh_crowding *x = &c->crowding;
	const struct bh_tracking *t = &c->tracking;
	uint32_t share = bh_core_crowding_share(c);
	struct bh_buf bh_autobuf b = {0};

	bh_buf_printf(&b,
		"%s holds %zu of the %u flows that connection tracking has room for, more "
		"than its share of %u: ",
		w->name, w->flows, t->max, share);
	if (x->level == BH_CROWDING_PACED)
		bh_buf_printf(&b, "it opens at most %u new ones a second", bh_crowding_rate(share));
	else
		bh_buf_str(&b, "it opens no new ones");
	bh_buf_str(
		&b, " until there is room again (crowding.share, net.netfilter.nf_conntrack_max)");
	json_array_append_new(problems, json_string(b.s));
}

json_t *bh_core_crowding_json(const struct bh_core *c, json_t *problems)
{
	const struct bh_crowding *x = &c->crowding;
	json_t *list = json_array();

	for (size_t i = 0; i < x->n; i++) {
		const struct bh_crowder *w = &x->who[i];
		json_t *o = json_pack(
			"{s:s, s:I}", "workload", w->name, "entries", (json_int_t)w->flows);
		json_object_set_new(o, "since", bh_clock_json(w->since));
		json_array_append_new(list, o);
		add_problem(c, w, problems);
	}
	return json_pack("{s:i, s:s?, s:o, s:I, s:I, s:I}", "share", (int)c->conf->crowding_share,
		"new_flows", x->n ? what_is_done(x) : NULL, "workloads", list, "times",
		(json_int_t)x->times, "packets", (json_int_t)x->packets, "ended",
		(json_int_t)x->cut);
}

void bh_core_crowding_metrics(const struct bh_core *c, struct bh_buf *b)
{
	const struct bh_crowding *x = &c->crowding;
	const struct {
		const char *name, *type, *help;
		uint64_t v;
	} row[] = {
		{"crowding_workloads", "gauge",
			"Workloads whose new flows are held back, since they hold too many.", x->n},
		{"crowding_packets_total", "counter",
			"Packets of new flows dropped for that, counted when it changes and each "
			"minute.",
			x->packets},
		{"crowding_ended_flows_total", "counter",
			"Flows of such workloads that were ended to make room.", x->cut},
	};

	for (size_t i = 0; i < BH_ARRAY_SIZE(row); i++)
		bh_buf_printf(b,
			"# HELP bulkhead_conntrack_%s %s\n# TYPE bulkhead_conntrack_%s %s\n"
			"bulkhead_conntrack_%s %llu\n",
			row[i].name, row[i].help, row[i].name, row[i].type, row[i].name,
			(unsigned long long)row[i].v);
}
