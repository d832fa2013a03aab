/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Desired state → engine → ruleset → one transaction. Everything that changes what is wanted calls
 * bh_core_schedule; one reconcile, at once or a few milliseconds later, does it all. A transaction
 * that fails leaves what is enforced as it was and is tried again.
 *
 * At the start nothing is committed before every source has told its workloads once: the rules of
 * the run before stay in force until then, so that a restart opens no gap. Where there are none, a
 * source that does not answer holds the others up for a few seconds only.
 */
#include "core/reconcile.h"

#include <errno.h>

#include "answer/clock.h"
#include "audit/audit.h"
#include "config/config.h"
#include "core/fast_path.h"
#include "core/fast_permits.h"
#include "core/queues.h"
#include "core/ready.h"
#include "core/sources.h"
#include "core/state.h"
#include "flows/cache.h"
#include "flows/crowding.h"
#include "flows/ends.h"
#include "flows/passed.h"
#include "history/history.h"
#include "history/names.h"
#include "inventory/inventory.h"
#include "modes/modes.h"
#include "modes/quarantine.h"
#include "nft/nft.h"
#include "revoke/departed.h"
#include "revoke/echo.h"
#include "revoke/revoke.h"
#include "threats/load.h"
#include "threats/protect.h"
#include "verdict/packet.h"
#include "verdict/shared.h"
#include "verdict/snapshot.h"

#define DELAY_MS 5 /* after a reconcile: what follows at once is done together */
#define RETRY_MS 5000

static void on_timer(uv_timer_t *t)
{
	bh_core_reconcile(t->data);
}

void bh_core_schedule(struct bh_core *c)
{
	if (c->stopping || c->starting || c->reconciling)
		return;
	c->reconciling = true;
	/* A single start is not kept waiting; many together cost one transaction each few ms. */
	uint64_t since = uv_now(c->loop) - c->reconciled_at;
	uint64_t delay = since >= DELAY_MS ? 0 : DELAY_MS - since;
	uv_timer_start(&c->reconcile_timer, on_timer, delay, 0);
}

static enum bh_mode mode_of(const struct bh_workload *w, void *core)
{
	return bh_core_mode_of(core, w);
}

static struct bh_quarantine *quarantine_of(const struct bh_workload *w, void *core)
{
	return bh_core_quarantine_of(core, w);
}

static void add_frame(struct bh_inventory *frame, void *core)
{
	const struct bh_config *conf = ((struct bh_core *)core)->conf;
	for (size_t i = 0; i < conf->n_namespaces; i++)
		bh_inventory_add_namespace(
			frame, conf->namespaces[i].name, &conf->namespaces[i].labels);
	for (size_t i = 0; i < conf->n_nodes; i++) {
		const struct bh_node_conf *n = &conf->nodes[i];
		bh_inventory_add_node(frame, n->name, &n->labels, n->addr, n->n_addrs);
	}
}

static void on_claim(const struct bh_workload *w, const char *what, void *core)
{
	struct bh_core *c = core;
	bh_autofree char *text = bh_xasprintf("%s/%s %s", w->namespace, w->name, what);
	bh_audit_event(c->audit, "identity.refused", NULL, text, NULL,
		json_pack("{s:s, s:s, s:s}", "id", w->id, "namespace", w->namespace, "name",
			w->name));
}

static struct bh_inventory *build_inventory(struct bh_core *c)
{
	const struct bh_inventory_settings settings = {
		mode_of, add_frame, c, quarantine_of, on_claim};
	return bh_inventory_mgr_build(c->inventory, &settings);
}

static struct bh_engine *build_engine(struct bh_core *c, struct bh_inventory *inv)
{
	const struct bh_engine_opts opts = {
		.unselected_deny = c->conf->unselected_deny,
		.host_policy = c->conf->host_policy,
		.reject = c->conf->reject,
	};
	const struct bh_engine *now = c->snap ? c->snap->engine : NULL;
	struct bh_engine *e = NULL;
	if (now && bh_engine_policies(now) == c->policies &&
		bh_engine_same_options(bh_engine_options(now), &opts))
		e = bh_engine_derive(now, inv);
	return e ? e : bh_engine_compile(c->policies, inv, &opts);
}

static struct bh_snapshot *build_snapshot(struct bh_core *c)
{
	struct bh_snapshot *s = bh_xcalloc(1, sizeof(*s));
	struct bh_inventory *inv = build_inventory(c);
	s->refs = 1;
	s->engine = build_engine(c, inv);
	bh_inventory_unref(inv);
	s->feeds = bh_core_feeds_in_force(c);
	bh_config_exceptions_copy(&s->exceptions, &c->conf->feed_exceptions);
	s->node_mode = bh_core_node_mode(c);
	s->reject = c->conf->reject;
	s->stopped = c->stop.since != 0;
	s->epoch = ++c->epochs;
	return s;
}

static struct bh_emit_opts emit_opts(
	struct bh_core *c, const struct bh_snapshot *s, const struct bh_emit_crowding *crowding)
{
	const struct bh_nft_caps *caps = bh_nft_get_caps(c->nft);
	return (struct bh_emit_opts){
		.queue_unmatched = c->conf->queue_base,
		.queue_observed = (uint16_t)(c->conf->queue_base + BH_QUEUE_OBSERVED),
		.queue_hold = (uint16_t)(c->conf->queue_base + BH_QUEUE_HOLD),
		.hold_closed = s->node_mode == BH_MODE_ENFORCE,
		.pace_rate = c->conf->pace_rate,
		.pace_burst = c->conf->pace_burst,
		.have_nfqueue = caps->native_queue || caps->compat_queue,
		.stoppable = c->conf->audit_failure == BH_LOG_FAILURE_BLOCK || s->stopped,
		.stopped = s->stopped,
		.names = bh_core_names_wanted(c),
		.names_group = c->conf->queue_base,
		.crowding = crowding,
		.feed_sets = &c->feed_load.sets,
	};
}

/* Nothing known of what the kernel holds, or somebody changed it: it has to be made whole. */
static bool out_of_step(int r)
{
	return r == -ENOENT || r == -EEXIST || r == -EBUSY || r == -ERESTART || r == -ENOBUFS;
}

static int send_diff(struct bh_core *c, const struct bh_ruleset *from, const struct bh_ruleset *to,
	struct bh_diff *diff, struct bh_nft_error *err)
{
	bh_ruleset_diff(from, to, diff);
	int r = diff->n ? bh_nft_apply(c->nft, diff, err) : 0;
	return r < 0 ? r : (int)diff->n;
}

/* What a few workloads changed, and no more: at the cost of the change. */
static int commit_change(struct bh_core *c, const struct bh_snapshot *s, struct bh_nft_error *err)
{
	struct bh_ruleset *from, *to;
	struct bh_diff diff = {0};
	bh_engine_emit_change(c->snap->engine, s->engine, &from, &to);
	int r = send_diff(c, from, to, &diff, err);
	if (r > 0)
		bh_ruleset_patch(c->installed, &diff);
	bh_diff_finish(&diff);
	bh_ruleset_free(from);
	bh_ruleset_free(to);
	return r;
}

static int rebuild(struct bh_core *c, const struct bh_ruleset *to, struct bh_nft_error *err)
{
	struct bh_nft_bulk bulk[BH_FEED_BULKS];
	char name[BH_FEED_BULKS][BH_FEED_SET_NAME_MAX];
	struct bh_nft_beside beside = {bulk, bh_core_feeds_bulk(c, bulk, name), NULL, 0};
	struct bh_echo_keys *echo = bh_core_echo_keys(c, to, &beside);
	int r = bh_nft_rebuild_with(c->nft, to, &beside, err);
	bh_core_echo_rebuilt(c, echo, r == 0);
	if (r == 0)
		bh_core_feeds_rebuilt(c);
	return r;
}

static int commit_all(struct bh_core *c, const struct bh_snapshot *s, struct bh_nft_error *err)
{
	struct bh_emit_crowding crowding = bh_core_crowding_list(c, s->engine);
	const struct bh_emit_opts opts = emit_opts(c, s, &crowding);
	struct bh_ruleset *to = bh_engine_emit(s->engine, &opts);
	struct bh_diff diff = {0};
	if (!c->installed)
		bh_core_echo_recall(c, to);
	int r = c->installed ? send_diff(c, c->installed, to, &diff, err) : -ENOENT;
	bh_diff_finish(&diff);
	if (out_of_step(r)) {
		*err = (struct bh_nft_error){0};
		r = rebuild(c, to, err);
		r = r < 0 ? r : 1;
		bh_core_passed_forget(c);
	}
	if (r < 0) {
		bh_crowding_list_free(&crowding);
		bh_ruleset_free(to);
		return r;
	}
	bh_crowding_list_free(&c->crowding.in_force);
	c->crowding.in_force = crowding;
	bh_ruleset_free(c->installed);
	c->installed = to;
	return r;
}

/* The rules of who holds too much of conntrack, and no others: at once, since the table is filling,
 * and without what follows a change of what is allowed. */
static int commit_crowding(struct bh_core *c, const struct bh_emit_crowding *list)
{
	const struct bh_engine *e = c->snap->engine;
	const struct bh_emit_opts was = emit_opts(c, c->snap, &c->crowding.in_force),
				  is = emit_opts(c, c->snap, list);
	struct bh_ruleset *from = bh_engine_emit_crowding(e, &was),
			  *to = bh_engine_emit_crowding(e, &is);
	struct bh_nft_error err = {0};
	struct bh_diff diff = {0};
	int r = send_diff(c, from, to, &diff, &err);
	if (r > 0)
		bh_ruleset_patch(c->installed, &diff);
	bh_diff_finish(&diff);
	bh_ruleset_free(from);
	bh_ruleset_free(to);
	c->commits += r > 0;
	return r;
}

void bh_core_crowding_commit(struct bh_core *c)
{
	struct bh_crowding *x = &c->crowding;
	if (!c->installed || !c->snap || (x->n == 0 && x->in_force.n == 0))
		return;
	struct bh_emit_crowding list = bh_core_crowding_list(c, c->snap->engine);
	if (bh_crowding_list_equal(&list, &x->in_force)) {
		bh_crowding_list_free(&list);
		return;
	}
	bh_core_crowding_count(c);
	bh_core_fast_gate_shut(c);
	if (c->options_changed || commit_crowding(c, &list) < 0) { /* all of it, and its errors */
		bh_crowding_list_free(&list);
		c->options_changed = true;
		if (!uv_is_active((uv_handle_t *)&c->retry_timer))
			bh_core_schedule(c);
		return;
	}
	if (list.n == 0 || x->in_force.n == 0 || list.rate != x->in_force.rate)
		x->counted = 0; /* the rule that counts is another */
	bh_crowding_list_free(&x->in_force);
	x->in_force = list;
}

/* −errno with c->commit_error set, or the number of changes sent. */
static int commit(struct bh_core *c, const struct bh_snapshot *s)
{
	struct bh_nft_error err = {0};
	bool small = c->installed && c->snap && s->node_mode == c->snap->node_mode &&
		     !c->options_changed && bh_engine_is_derived(s->engine, c->snap->engine);
	int r = small ? commit_change(c, s, &err) : -ENOENT;
	if (r < 0)
		r = commit_all(c, s, &err);
	if (r == 0)
		r = bh_core_cache_flush(c, &err); /* its verdicts are those of the last state */
	free(c->commit_error);
	c->commit_error = NULL;
	if (r < 0)
		c->commit_error = bh_xasprintf("%s%s%s%s%s", err.object, err.object[0] ? ": " : "",
			strerror(-r), err.kernel[0] ? ": " : "", err.kernel);
	return r;
}

static void after_commit(struct bh_core *c, int changes)
{
	bh_core_echo_refresh(c);
	bh_core_crowding_commit(c); /* their addresses may be others' now */
	if (changes > 0) {
		c->commits++;
		c->last_commit = bh_clock_now();
		bh_core_revoke(c);
	}
	bh_core_queues_recheck(c); /* first: somebody waits */
	bh_core_fast_path_follow(c);
	bh_core_fast_gate_hold(c);
	if (!c->ready) {
		c->ready = true;
		bh_core_ready(c);
	}
}

int bh_core_reconcile(struct bh_core *c)
{
	c->reconciling = false;
	uv_timer_stop(&c->reconcile_timer);
	if (c->stopping || c->starting || !bh_core_sources_enough(c))
		return 0;
	const struct bh_inventory *from = c->snap ? bh_engine_inventory(c->snap->engine) : NULL;
	struct bh_snapshot *s = build_snapshot(c);
	/* What was seen until now is about those who are there until now. */
	bh_core_cache_before_commit(c);
	bh_core_passed_before_commit(c, bh_core_departs(from, bh_engine_inventory(s->engine)));
	bh_core_fast_path_before_commit(c, bh_engine_inventory(s->engine));
	int64_t began = bh_clock_now();
	int r = commit(c, s);
	uv_update_time(c->loop);
	c->reconciled_at = uv_now(c->loop);
	if (r < 0) {
		bh_audit_event(c->audit, "commit", "failure", c->commit_error, NULL, NULL);
		uv_timer_start(&c->retry_timer, on_timer, RETRY_MS, 0);
		bh_snapshot_unref(s);
		return r;
	}
	uv_timer_stop(&c->retry_timer);
	c->options_changed = false;
	bh_core_cache_forget(c);
	/* At once: what the next ones do from now on is theirs. */
	bh_core_ends_state(c, s, began);
	bh_core_departed_follow(c, from, bh_engine_inventory(s->engine));
	bh_core_ends_read(c); /* theirs too, while it is known who they were */
	bh_core_history_follow(
		c, from, bh_engine_inventory(s->engine), bh_inventory_mgr_synced(c->inventory));
	bh_snapshot_unref(c->snap);
	c->snap = bh_snapshot_ref(s);
	bh_shared_publish(&c->shared, s);
	bh_core_feeds_protect(c);
	bh_core_ends_follow(c);
	after_commit(c, r);
	return 0;
}

int bh_core_rebuild(struct bh_core *c)
{
	struct bh_nft_error err = {0};
	if (!c->installed)
		return 0;
	int r = rebuild(c, c->installed, &err);
	bh_core_cache_forget(c); /* the sets are empty, or nobody knows */
	bh_core_passed_forget(c);
	if (r < 0) {
		free(c->commit_error);
		c->commit_error = bh_xasprintf("%s: %s", err.object, strerror(-r));
	} else {
		bh_core_revoke(c); /* what was let in while the rules were somebody else's */
	}
	return r;
}
