/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Stopping: everything is written out, the rules stay where they are. */
#include "analysis/replay.h"
#include "analysis/report.h"
#include "answer/clock.h"
#include "audit/audit.h"
#include "config/config.h"
#include "conntrack/conntrack.h"
#include "core/fast_permits.h"
#include "core/lifecycle.h"
#include "core/queues.h"
#include "core/sinks.h"
#include "core/state.h"
#include "core/watches.h"
#include "feeds/feeds.h"
#include "flows/cache.h"
#include "flows/ends.h"
#include "flows/events.h"
#include "flows/flows.h"
#include "flows/forged.h"
#include "flows/observe.h"
#include "flows/pace.h"
#include "flows/passed.h"
#include "flows/tracking.h"
#include "history/history.h"
#include "history/names.h"
#include "http/http.h"
#include "inventory/inventory.h"
#include "learn/learn.h"
#include "link/link.h"
#include "modes/drift_watch.h"
#include "modes/modes.h"
#include "modes/quarantine.h"
#include "nft/nft.h"
#include "revoke/revoke.h"
#include "store/store.h"
#include "threats/load.h"
#include "threats/lookback.h"
#include "verdict/shared.h"
#include "verdict/snapshot.h"

static void close_handle(uv_handle_t *h)
{
	if (!uv_is_closing(h))
		uv_close(h, NULL);
}

static void drain_ring(struct bh_core *c)
{
	struct bh_event e;
	uint64_t lost[2];
	while (bh_shared_take(&c->shared, &e, 1, lost) == 1)
		bh_snapshot_unref(e.snap);
}

void bh_core_stop(struct bh_core *c)
{
	if (c->stopping)
		return;
	c->stopping = true;
	if (c->handles && c->audit)
		bh_core_queues_tick(c);
	bh_core_queues_stop(c);
	bh_core_revoke_stop(c);
	bh_core_names_stop(c);
	if (c->handles) {
		if (c->audit) {
			while (bh_core_events_take(c))
				;
			bh_core_pace_stop(c);
			bh_core_crowding_stop(c);
			bh_core_tracking_stop(c);
			bh_core_cache_read(c);
			bh_core_passed_read(c);
			bh_core_fast_gate_shut(c);
			if (c->ct)
				bh_core_ends_stop(c);
		}
		if (c->store) {
			bh_core_history_stop(c);
			bh_core_flows_save(c);
		}
		uv_handle_t *all[] = {(uv_handle_t *)&c->reconcile_timer,
			(uv_handle_t *)&c->revoking.timer, (uv_handle_t *)&c->revoking.done,
			(uv_handle_t *)&c->tick, (uv_handle_t *)&c->retry_timer,
			(uv_handle_t *)&c->feed_load.timer, (uv_handle_t *)&c->lookback.timer,
			(uv_handle_t *)&c->confirm_timer, (uv_handle_t *)&c->wake,
			(uv_handle_t *)&c->events_timer, (uv_handle_t *)&c->nft_poll,
			(uv_handle_t *)&c->cache.send_timer, (uv_handle_t *)&c->cache.read_timer,
			(uv_handle_t *)&c->passed.timer, (uv_handle_t *)&c->answers.timer,
			(uv_handle_t *)&c->ends.timer, (uv_handle_t *)&c->pace.timer,
			(uv_handle_t *)&c->crowding.timer, (uv_handle_t *)&c->crowding.thread.done,
			(uv_handle_t *)&c->fast_path.timer, (uv_handle_t *)&c->replay_timer,
			(uv_handle_t *)&c->report_timer};
		for (size_t i = 0; i < BH_ARRAY_SIZE(all); i++)
			close_handle(all[i]);
	}
	drain_ring(c);
	bh_core_watches_stop(c);
	if (c->inventory)
		bh_inventory_mgr_free(c->inventory);
	if (c->feeds)
		bh_feeds_free(c->feeds);
	if (c->http)
		bh_http_close(c->http);
	if (c->learn) {
		bh_core_observe(c, 0);
		bh_learn_save(c->learn);
	}
	if (c->audit)
		bh_audit_event(c->audit, "stop", "success",
			"the rules stay in the kernel: allowed flows pass, denied ones are dropped",
			NULL,
			json_pack("{s:s, s:I}", "cause",
				c->failed ? "the audit log can't be written" : "asked to", "uptime",
				(json_int_t)((bh_clock_steady() - c->pulse.started) / 1000000)));
}

void bh_core_free(struct bh_core *c)
{
	if (!c)
		return;
	bh_core_feeds_finish(c);
	bh_core_lookback_finish(c);
	bh_config_free(c->added);
	bh_core_names_finish(c);
	bh_learn_free(c->learn);
	bh_store_close(c->store);
	bh_core_sinks_stop(c); /* the last records go when it starts again */
	bh_audit_close(c->audit);
	bh_shared_finish(&c->shared);
	bh_snapshot_unref(c->snap);
	bh_ruleset_free(c->installed);
	bh_policy_set_unref(c->policies);
	bh_core_fast_path_finish(c);
	bh_ct_close(c->ct);
	bh_ct_close(c->revoking.ct);
	if (c->link)
		bh_link_close(c->link);
	bh_nft_close(c->nft);
	bh_core_modes_finish(c);
	bh_core_replay_finish(c);
	bh_core_report_finish(c);
	bh_core_drift_finish(c);
	bh_core_quarantine_finish(c);
	bh_core_history_finish(c);
	bh_core_cache_finish(c);
	bh_core_echo_finish(c);
	bh_core_passed_finish(c);
	bh_core_ends_finish(c);
	bh_core_pace_finish(c);
	bh_core_crowding_finish(c);
	bh_core_tracking_finish(c);
	bh_core_forged_finish(c);
	free(c->departed.addr);
	free(c->flows.row);
	free(c->flows.slot);
	free(c->policies_stale);
	free(c->commit_error);
	free(c->config_error);
	free(c->bridge_nf_error);
	free(c->conf_file);
	free(c->node);
	free(c->machine_id);
	free(c->boot_id);
	bh_config_free(c->conf);
	if (c->lock_fd >= 0)
		close(c->lock_fd);
	free(c);
}
