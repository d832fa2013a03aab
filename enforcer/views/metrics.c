/* SPDX-License-Identifier: GPL-3.0-or-later */
/* GET /metrics: Prometheus text. */
#include "answer/answer.h"
#include "audit/audit.h"
#include "core/core.h"
#include "core/fast_path.h"
#include "core/queues.h"
#include "core/sinks.h"
#include "core/state.h"
#include "flows/tracking.h"
#include "learn/learn.h"
#include "nft/nft.h"
#include "views/json.h"

struct metrics {
	struct bh_buf text;
	uint64_t denied, threat, observed;
};

static void gauge(struct bh_buf *b, const char *name, const char *type, const char *help, double v)
{
	bh_buf_printf(b, "# HELP bulkhead_%s %s\n# TYPE bulkhead_%s %s\nbulkhead_%s %.17g\n", name,
		help, name, type, name, v);
}

static void on_counter(const struct bh_nft_counter *k, void *arg)
{
	struct metrics *m = arg;
	if (bh_streq(k->chain, "unmatched"))
		m->denied += k->packets;
	else if (bh_streq(k->chain, "threat"))
		m->threat += k->packets;
	else if (bh_streq(k->chain, "observed"))
		m->observed += k->packets;
}

struct bh_answer bh_core_metrics(struct bh_core *c)
{
	struct metrics m = {0};
	struct bh_audit_stats a;
	struct bh_learn_stats l;
	struct bh_fast_counts fast;
	json_t *w = bh_core_workload_counts(c);
	static const char *const key[] = {"enforce", "audit", "learn", "unenforceable"};

	bh_nft_counters(c->nft, on_counter, &m);
	bh_audit_get_stats(c->audit, &a);
	bh_learn_get_stats(c->learn, &l);
	gauge(&m.text, "ready", "gauge", "1 once the rules of this run are in the kernel.",
		c->ready);
	gauge(&m.text, "unmatched_packets", "gauge",
		"Packets that enforcing groups did not allow, since the rule was made.",
		(double)m.denied);
	gauge(&m.text, "threat_packets", "gauge",
		"Packets to or from listed addresses, since the rule was made.", (double)m.threat);
	gauge(&m.text, "observed_packets", "gauge",
		"Packets that learning and auditing groups let pass, since the rule was made.",
		(double)m.observed);
	gauge(&m.text, "audit_records_total", "counter", "Audit records written.",
		(double)a.written);
	gauge(&m.text, "audit_waiting", "gauge", "Audit records that are not in the file yet.",
		(double)a.waiting);
	gauge(&m.text, "audit_signed_sequence", "gauge",
		"The last audit record that a checkpoint covers.", (double)a.signed_sequence);
	gauge(&m.text, "audit_checkpoints_total", "counter", "Checkpoints signed.",
		(double)a.checkpoints);
	gauge(&m.text, "audit_lost_total", "counter", "Audit events lost.",
		(double)(a.lost + c->events_lost));
	gauge(&m.text, "unlisted_flows_total", "counter",
		"Allowed flows that are missing from the flow list.", (double)c->passed.unlisted);
	gauge(&m.text, "new_flows_stopped", "gauge",
		"1 while no new flow of a workload passes, as audit.on_log_failure says.",
		c->stop.since != 0);
	gauge(&m.text, "stopped_packets_total", "counter",
		"Packets of new flows dropped because of that.", (double)c->stop.packets);
	gauge(&m.text, "flow_ends_total", "counter",
		"Ends of workloads' flows that conntrack told.", (double)c->ends.seen);
	gauge(&m.text, "flow_ends_lost_total", "counter",
		"Ends of the node's flows that were lost.", (double)c->ends.lost);
	bh_core_fast_path_counts(c, &fast);
	gauge(&m.text, "fast_path_packets_total", "counter",
		"Packets that went from veth to veth, past the bridge.", (double)fast.packets);
	gauge(&m.text, "fast_path_bytes_total", "counter", "Bytes of those packets.",
		(double)fast.bytes);
	gauge(&m.text, "fast_path_connections_total", "counter",
		"Connections that began on the fast path.", (double)c->fast_path.begun);
	gauge(&m.text, "learned_tuples", "gauge", "Baseline tuples that were answered.",
		(double)l.answered);
	gauge(&m.text, "policies", "gauge", "Policies in force.", (double)c->policies->n);
	gauge(&m.text, "commits_total", "counter", "Transactions committed.", (double)c->commits);
	gauge(&m.text, "cache_entries", "gauge", "Verdicts in the kernel's cache.",
		(double)c->cache.mirror.n);
	gauge(&m.text, "cache_hits_total", "counter", "Packets that the kernel's cache decided.",
		(double)c->cache.hits);
	gauge(&m.text, "departed_flows_total", "counter",
		"Connections removed because the workload that they belonged to was gone.",
		(double)c->departed_flows);
	gauge(&m.text, "forged_packets_total", "counter",
		"Frames and packets with a forged source, dropped.", (double)c->forged.packets);
	gauge(&m.text, "paced_packets_total", "counter",
		"Packets of sources faster than their pace, decided before the queue.",
		(double)c->pace.packets);
	bh_buf_str(&m.text, "# HELP bulkhead_workloads Workloads by mode.\n"
			    "# TYPE bulkhead_workloads gauge\n");
	for (size_t i = 0; i < BH_ARRAY_SIZE(key); i++)
		bh_buf_printf(&m.text, "bulkhead_workloads{mode=\"%s\"} %lld\n", key[i],
			(long long)json_integer_value(json_object_get(w, key[i])));
	json_decref(w);
	bh_core_tracking_metrics(c, &m.text);
	bh_core_queues_metrics(c, &m.text);
	bh_core_sinks_metrics(c, &m.text);
	return bh_answer_text(200, "text/plain; version=0.0.4", bh_buf_take(&m.text));
}
