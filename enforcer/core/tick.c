/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Once a second: write out what was collected, and put what was lost on record. */
#include "core/notify.h"
#include "core/private.h"
#include "policies/policies.h"

#define PATIENCE_US 15000000

/* A source that stays away must not keep the machine from booting: say that we are up, and why
 * nothing new is enforced yet. */
static void tell(struct bh_core *c)
{
	if (c->told || bh_core_now() - c->started < PATIENCE_US)
		return;
	c->told = true;
	bh_notify("READY=1\nSTATUS=waiting for a source of workloads; the rules of the run before "
		  "stay");
}

void bh_core_tick_cb(uv_timer_t *t)
{
	struct bh_core *c = t->data;
	tell(c);
	bh_audit_tick(c->audit, bh_core_now());
	bh_core_pulse_tick(c);
	bh_core_log_failure_tick(c);
	bh_core_sources_tick(c);
	bh_core_departed_purge(c);
	bh_core_queues_tick(c);
	bh_core_forged_tick(c);
	bh_core_bridge_nf(c); /* others switch it off, and runtimes load it long after us */
	bh_core_bridges(c);
	bh_core_watches_tick(c);
	bh_core_versions_tick(c);
	bh_core_modes_tick(c);
	bh_core_feeds_tick(c);
	bh_core_diverted_tick(c);
	bh_core_observe_tick(c);
	bh_core_replay_tick(c);
	bh_core_report_tick(c);
	bh_core_drift_tick(c);
	free(c->store_error);
	c->store_error = NULL;
	bh_core_history_save(c); /* before the flows, which name its numbers */
	bh_core_flows_save(c);
	bh_core_history_tick(c);
	int r = bh_learn_save(c->learn);
	if (r == 0)
		r = bh_core_names_save(c);
	if (r == 0)
		r = bh_store_commit(c->store);
	if (r < 0 && !c->store_error)
		c->store_error = bh_xstrdup(bh_store_message(c->store));
}
