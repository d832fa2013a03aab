/* SPDX-License-Identifier: GPL-3.0-or-later */
/* GET /v1/status: is it enforcing, how does it fail, and what should be done. */
#include "answer/answer.h"
#include "answer/clock.h"
#include "audit/audit.h"
#include "config/config.h"
#include "core/core.h"
#include "core/fast_path.h"
#include "core/log_failure.h"
#include "core/queues.h"
#include "core/sinks.h"
#include "core/state.h"
#include "feeds/feeds.h"
#include "flows/cache.h"
#include "flows/ends.h"
#include "flows/pace.h"
#include "flows/tracking.h"
#include "history/names.h"
#include "inventory/inventory.h"
#include "learn/learn.h"
#include "modes/modes.h"
#include "modes/quarantine.h"
#include "nft/nft.h"
#include "policies/confirm.h"
#include "policies/nobody.h"
#include "store/store.h"
#include "threats/load.h"
#include "verdict/packet.h"
#include "views/json.h"

#define SOURCES_MAX (BH_SOURCES_MAX + 32) /* and those that were found */
#define FEEDS_MAX 256
#define CLAIMS_MAX 16
#define UNENFORCEABLE_MAX 16

static void problem(json_t *list, const char *fmt, ...) BH_PRINTF(2, 3);
static void problem(json_t *list, const char *fmt, ...)
{
	char text[1024];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	json_array_append_new(list, json_string(text));
}

static const char *queue_kind(const struct bh_core *c)
{
	const struct bh_nft_caps *caps = bh_nft_get_caps(c->nft);
	return caps->native_queue ? "native" : caps->compat_queue ? "compat" : "none";
}

static void kernel_problems(struct bh_core *c, json_t *list)
{
	if (c->commit_error)
		problem(list,
			"the kernel refused the last change: %s; what was in force stays and it is "
			"tried again every 5 s",
			c->commit_error);
	if (!bh_nft_get_caps(c->nft)->native_queue && !bh_nft_get_caps(c->nft)->compat_queue)
		problem(list,
			"this kernel has neither nft_queue nor xt_NFQUEUE: denials are "
			"dropped but not recorded, nothing is learned; load one of the modules");
	if (bh_core_names_problem(c))
		problem(list, "outside addresses get no names: %s", bh_core_names_problem(c));
	if (c->bridge_nf_error)
		problem(list,
			"traffic inside one bridge does not pass the rules: %s; modprobe "
			"br_netfilter",
			c->bridge_nf_error);
	for (int i = 0; i < BH_QUEUES; i++)
		if (c->ready && !c->queue[i] && strcmp(queue_kind(c), "none"))
			problem(list,
				"queue %u could not be bound: another process has it; set "
				"queue.base in the configuration and restart",
				c->conf->queue_base + i);
}

static void other_problems(struct bh_core *c, json_t *list)
{
	struct bh_audit_stats a;
	bh_audit_get_stats(c->audit, &a);
	if (c->policies_stale)
		problem(list, "the policies' directory is not what is in force: %s",
			c->policies_stale);
	if (a.last_error)
		problem(list, "%s: %s; records wait in memory", c->conf->audit_path,
			strerror(-a.last_error));
	if (a.lost)
		problem(list, "%llu audit events were lost (see the gap records)",
			(unsigned long long)a.lost);
	const char *trouble = bh_store_trouble(c->store);
	if (trouble)
		problem(list,
			"%s/bulkhead.db: %s; flows and learned tuples wait in memory, changes by "
			"command are refused",
			c->conf->state, trouble);
	if (c->store_reset)
		problem(list,
			"%s/bulkhead.db was unreadable or gone at the start, and a new one was "
			"made (what was unreadable is beside it): what was learned and recorded is "
			"lost; modes and quarantines set by command %s",
			c->conf->state,
			bh_store_restored(c->store) ? "are in force again, from their copy"
						    : "are forgotten: set them again");
	if (bh_store_kept(c->store) < 0)
		problem(list,
			"%s/bulkhead.keep: %s; modes and quarantines that were set last have no "
			"second copy",
			c->conf->state, strerror(-bh_store_kept(c->store)));
	if (c->config_error)
		problem(list, "the configuration file is not what is in force: %s",
			c->config_error);
}

static json_t *sources_json(struct bh_core *c, json_t *problems)
{
	struct bh_source_status st[SOURCES_MAX];
	json_t *list = json_array();
	size_t n = bh_inventory_mgr_sources(c->inventory, st, SOURCES_MAX);
	for (size_t i = 0; i < n && i < SOURCES_MAX; i++) {
		json_array_append_new(
			list, json_pack("{s:s, s:b, s:b, s:I, s:s}", "name", st[i].name, "ok",
				      st[i].ok, "synced", st[i].synced, "containers",
				      (json_int_t)st[i].n_containers, "message", st[i].message));
		if (!st[i].ok)
			problem(problems, "%s%s", st[i].message,
				st[i].synced || c->ready
					? ""
					: " (never read: the rules of the run before stay)");
	}
	if (n == 0)
		problem(problems, "no source of workloads: %s",
			c->conf->sources_auto
				? "no engine's socket is at its usual place (yet: it is looked for "
				  "every second), and `sources` names none"
				: "`sources` in the configuration names none");
	return list;
}

struct claims {
	json_t *problems;
	const struct bh_workload *w;
	size_t n;
};

static void add_claim(const char *what, void *arg)
{
	struct claims *s = arg;
	if (s->n++ < CLAIMS_MAX)
		problem(s->problems, "%s/%s %s", s->w->namespace, s->w->name, what);
}

/* What containers gave themselves and do not have. */
static void claim_problems(const struct bh_inventory *inv, json_t *problems)
{
	struct claims s = {.problems = problems};
	for (size_t i = 0; i < inv->n; i++) {
		s.w = inv->workload[i];
		bh_workload_claims(s.w, add_claim, &s);
	}
	if (s.n > CLAIMS_MAX)
		problem(problems, "and %zu more such claims; `bulkhead ps -o json` shows them",
			s.n - CLAIMS_MAX);
}

/* Who cannot be governed, and why: never to be taken for fine. */
static json_t *unenforceable_json(const struct bh_inventory *inv)
{
	json_t *list = json_array();
	for (size_t i = 0; inv && i < inv->n; i++) {
		const struct bh_workload *w = inv->workload[i];
		if (w->unenforceable && json_array_size(list) < UNENFORCEABLE_MAX)
			json_array_append_new(
				list, json_pack("{s:s, s:s, s:s}", "namespace", w->namespace,
					      "name", w->name, "reason", w->unenforceable));
	}
	return list;
}

json_t *bh_core_workload_counts(struct bh_core *c)
{
	size_t mode[3] = {0}, total = 0, un = 0;
	const struct bh_inventory *inv = c->snap ? bh_engine_inventory(c->snap->engine) : NULL;
	for (size_t i = 0; inv && i < inv->n; i++) {
		total++;
		if (inv->workload[i]->unenforceable)
			un++;
		else
			mode[inv->workload[i]->mode]++;
	}
	return json_pack("{s:I, s:I, s:I, s:I, s:I, s:o}", "total", (json_int_t)total, "enforce",
		(json_int_t)mode[BH_MODE_ENFORCE], "audit", (json_int_t)mode[BH_MODE_AUDIT],
		"learn", (json_int_t)mode[BH_MODE_LEARN], "unenforceable", (json_int_t)un,
		"out_of_reach", unenforceable_json(inv));
}

static json_t *feeds_json(struct bh_core *c, json_t *problems)
{
	struct bh_feed_status st[FEEDS_MAX];
	const struct bh_feed_load *l = &c->feed_load;
	size_t n = bh_feeds_status(c->feeds, st, FEEDS_MAX), stale = 0;
	int64_t now = bh_clock_now() / 1000000;
	for (size_t i = 0; i < n && i < FEEDS_MAX; i++) {
		stale += !st[i].ok;
		if (!st[i].ok)
			problem(problems, "feed %s: %s", st[i].name, st[i].message);
	}
	for (size_t i = 0; i < c->conf->feed_exceptions.n; i++)
		if (c->conf->feed_exceptions.item[i].until <= now)
			problem(problems, "the exception from feeds of namespace %s (%s) has ended",
				c->conf->feed_exceptions.item[i].namespace,
				c->conf->feed_exceptions.item[i].reason);
	return json_pack("{s:I, s:I, s:I, s:b, s:I, s:I, s:I, s:I}", "count", (json_int_t)n,
		"indicators", l->in_force ? (json_int_t)bh_feed_index_count(l->in_force) : 0,
		"stale", (json_int_t)stale, "loading",
		l->phase != BH_LOAD_IDLE || bh_feeds_loading(c->feeds), "load_ms",
		(json_int_t)l->took_ms, "enforced_ms", (json_int_t)l->enforced_ms, "added",
		(json_int_t)l->added, "removed", (json_int_t)l->removed);
}

static json_t *kernel_json(struct bh_core *c)
{
	json_t *o = json_pack("{s:s, s:s, s:b, s:I, s:s?}", "table", "inet " BH_TABLE, "queue",
		queue_kind(c), "bridge_nf", c->bridge_nf, "commits", (json_int_t)c->commits,
		"last_error", c->commit_error);
	json_object_set_new(o, "last_commit", bh_clock_json(c->last_commit));
	return o;
}

static json_t *learn_json(struct bh_core *c)
{
	struct bh_learn_stats st;
	bh_learn_get_stats(c->learn, &st);
	return json_pack("{s:I, s:I, s:o, s:o}", "tuples", (json_int_t)st.tuples, "answered",
		(json_int_t)st.answered, "last_new", bh_clock_json(st.last_new), "names",
		bh_core_names_status(c));
}

static json_t *audit_json(struct bh_core *c)
{
	struct bh_audit_stats a;
	bh_audit_get_stats(c->audit, &a);
	char bh_autofree *key = bh_audit_public_key(c->audit);
	json_t *o = json_pack("{s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:s, s:s?}", "path",
		c->conf->audit_path, "sequence", (json_int_t)a.sequence, "written",
		(json_int_t)a.written, "aggregated", (json_int_t)a.aggregated, "lost",
		(json_int_t)(a.lost + c->events_lost), "waiting", (json_int_t)a.waiting, "signed",
		(json_int_t)a.signed_sequence, "checkpoints", (json_int_t)a.checkpoints, "key", key,
		"error", a.last_error ? strerror(-a.last_error) : NULL);
	json_object_set_new(o, "sinks", bh_core_sinks_json(c));
	return o;
}

static json_t *failing_json(const struct bh_core *c)
{
	bool queue = strcmp(queue_kind(c), "none") != 0;
	return json_pack("{s:s, s:s, s:s}", "enforce",
		"closed: without the daemon, what the rules in the kernel allow passes and all "
		"else "
		"of isolated workloads is dropped",
		"audit",
		queue ? "open: without the daemon everything passes, unrecorded"
		      : "open: everything passes, unrecorded",
		"learn",
		queue ? "open: without the daemon everything passes, unlearned"
		      : "open: everything passes, unlearned");
}

static json_t *policies_json(struct bh_core *c)
{
	return json_pack("{s:I, s:I, s:s, s:s, s:s?, s:o, s:o}", "count",
		(json_int_t)c->policies->n, "generation", (json_int_t)c->generation, "sha256",
		c->sha256, "directory", c->conf->policies, "stale", c->policies_stale, "confirm",
		bh_core_confirm_json(c), "idle", bh_core_idle_policies(c));
}

struct bh_answer bh_core_status(struct bh_core *c)
{
	json_t *problems = json_array();
	json_t *workloads = bh_core_workload_counts(c);
	bool enforcing = c->ready && json_integer_value(json_object_get(workloads, "enforce")) > 0;
	if (!c->ready)
		problem(problems,
			"nothing was committed yet: waiting for the sources of workloads; "
			"the rules of the run before, if any, stay in force");
	kernel_problems(c, problems);
	other_problems(c, problems);
	if (c->snap)
		claim_problems(bh_engine_inventory(c->snap->engine), problems);
	json_t *o = json_pack("{s:s, s:i, s:s, s:s, s:b, s:b}", "version", BH_VERSION, "pid",
		(int)getpid(), "node", c->node, "mode", bh_mode_name(bh_core_node_mode(c)),
		"enforcing", enforcing, "ready", c->ready);
	json_object_set_new(o, "started", bh_clock_json(c->started));
	json_object_set_new(o, "kernel", kernel_json(c));
	json_object_set_new(o, "workloads", workloads);
	json_object_set_new(o, "quarantine", bh_core_quarantine_json(c, problems));
	json_object_set_new(o, "policies", policies_json(c));
	json_object_set_new(o, "sources", sources_json(c, problems));
	json_object_set_new(o, "feeds", feeds_json(c, problems));
	json_object_set_new(o, "fast_path", bh_core_fast_path_json(c, problems));
	json_object_set_new(o, "learn", learn_json(c));
	json_object_set_new(o, "queues", bh_core_queues_json(c));
	json_object_set_new(o, "cache", bh_core_cache_json(c));
	json_object_set_new(o, "pace", bh_core_pace_json(c));
	json_object_set_new(o, "conntrack", bh_core_tracking_json(c, problems));
	json_object_set_new(o, "stopped", bh_core_stop_json(c, problems));
	json_object_set_new(o, "flow_ends", bh_core_ends_json(c, problems));
	json_object_set_new(o, "audit", audit_json(c));
	json_object_set_new(o, "failing", failing_json(c));
	json_object_set_new(o, "problems", problems);
	return bh_answer_json(200, o);
}
