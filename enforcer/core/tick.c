/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Once a second: write out what was collected, and put what was lost on record. */
#include "core/tick.h"

#include "analysis/replay.h"
#include "analysis/report.h"
#include "answer/clock.h"
#include "audit/audit.h"
#include "core/fast_path.h"
#include "core/guard.h"
#include "core/log_failure.h"
#include "core/pulse.h"
#include "core/queues.h"
#include "core/ready.h"
#include "core/sources.h"
#include "core/state.h"
#include "core/watches.h"
#include "flows/diverted.h"
#include "flows/flows.h"
#include "flows/forged.h"
#include "flows/observe.h"
#include "flows/tracking.h"
#include "history/history.h"
#include "history/names.h"
#include "learn/learn.h"
#include "modes/drift_watch.h"
#include "modes/modes.h"
#include "policies/versions.h"
#include "revoke/departed.h"
#include "store/store.h"
#include "threats/protect.h"

void bh_core_tick_cb(uv_timer_t *t)
{
	struct bh_core *c = t->data;
	bh_core_ready_tick(c);
	bh_audit_tick(c->audit, bh_clock_now());
	bh_core_pulse_tick(c);
	bh_core_log_failure_tick(c);
	bh_core_sources_tick(c);
	bh_core_departed_purge(c);
	bh_core_echo_tick(c);
	bh_core_queues_tick(c);
	bh_core_tracking_tick(c);
	bh_core_forged_tick(c);
	bh_core_bridge_nf(c); /* others switch it off, and runtimes load it long after us */
	bh_core_bridges(c);
	bh_core_fast_path_tick(c);
	bh_core_watches_tick(c);
	bh_core_versions_tick(c);
	bh_core_modes_tick(c);
	bh_core_feeds_tick(c);
	bh_core_diverted_tick(c);
	bh_core_observe_tick(c);
	bh_core_replay_tick(c);
	bh_core_report_tick(c);
	bh_core_drift_tick(c);
	bh_core_history_save(c); /* before the flows, which name its numbers */
	bh_core_flows_save(c);
	bh_core_history_tick(c);
	int r = bh_learn_save(c->learn);
	if (r == 0)
		r = bh_core_names_save(c);
	if (r == 0)
		bh_store_commit(c->store); /* status tells of trouble */
}
