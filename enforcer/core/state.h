/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * All that the daemon keeps. One thread (the event loop) owns it; the packet threads see only
 * `shared`. What belongs to one duty is a struct of that duty's header.
 */
#pragma once

#include <uv.h>

#include "core/fast_path.h"
#include "core/log_failure.h"
#include "core/pulse.h"
#include "flows/answered.h"
#include "flows/cache.h"
#include "flows/crowding.h"
#include "flows/diverted.h"
#include "flows/ends.h"
#include "flows/flows.h"
#include "flows/forged.h"
#include "flows/pace.h"
#include "flows/passed.h"
#include "flows/tracking.h"
#include "history/history.h"
#include "policies/confirm.h"
#include "revoke/departed.h"
#include "revoke/echo.h"
#include "revoke/revoke.h"
#include "threats/load.h"
#include "threats/lookback.h"
#include "verdict/packet.h"

struct bh_core {
	uv_loop_t *loop;
	struct bh_config *conf;
	char *conf_file; /* NULL: defaults */
	char *node, *machine_id, *boot_id;
	int64_t started;
	int lock_fd;
	bool stopping, starting; /* neither reconciles */

	struct bh_http *http;
	struct bh_link *link;
	struct bh_nft *nft;
	struct bh_ct *ct;
	struct bh_store *store;
	struct bh_learn *learn;
	struct bh_core_names *names;
	struct bh_audit *audit;
	struct bh_sink **sink; /* by conf->sinks */
	size_t n_sinks;
	struct bh_feeds *feeds;
	struct bh_inventory_mgr *inventory;
	struct bh_queue *queue[BH_QUEUES];
	struct bh_queue_ctx queue_ctx[BH_QUEUES];
	struct bh_shared shared;
	struct bh_watch *watch_policies, *watch_config;

	/* desired and installed state */
	struct bh_policy_set *policies;
	char *policies_stale; /* why the directory is not what is in force; NULL = it is */
	bool policies_retry; /* because their version could not be recorded */
	uint64_t generation; /* the version in force */
	uint64_t version_undo; /* a version that is still to be forgotten; 0 = none */
	bool version_undoing; /* the store still knows of a change that failed */
	bool version_writing; /* the files of what is in force are not all written: see versions.h
			       */
	struct bh_confirm confirm;
	char sha256[65];
	struct bh_mode_override *override;
	size_t n_overrides;
	struct bh_quarantine_row *quarantine;
	size_t n_quarantines;
	bool store_reset; /* what the store knew was lost before this start */
	struct bh_ruleset *installed; /* what the kernel holds; NULL before the first commit */
	struct bh_snapshot *snap; /* the published one; a reference of our own */
	uint64_t epochs; /* snapshots made so far */
	bool options_changed; /* the base chains are to be compared as well */
	char *commit_error;
	int64_t last_commit;
	uint64_t commits;
	bool ready; /* first commit done */
	bool told; /* the service manager knows that we are up */
	bool bridge_nf;
	unsigned bridge_ticks;
	char *bridge_nf_error;
	int64_t last_tamper; /* µs since the boot; 0: never */
	bool sources_ok;
	uint32_t found; /* places where `sources: auto` found one */
	bool earlier; /* the rules of an earlier run were there at the start */

	struct bh_history history;
	struct bh_feed_load feed_load;
	struct bh_lookback lookback;
	struct bh_diverted diverted[BH_DIVERTED_MAX];
	size_t n_diverted, next_diverted;
	unsigned diverted_ticks;
	struct bh_config *added; /* its feeds were added by command; NULL: none */
	int64_t exceptions_seen; /* s: up to when ended ones were looked for */
	unsigned protect_ticks;
	struct bh_flow_batch flows;
	struct bh_drift_watch *drift; /* NULL: nothing was denied yet, or nobody asked for it */
	struct bh_replay *replay; /* the last one asked for; NULL: none */
	uv_timer_t replay_timer;
	struct bh_report *report; /* the last one asked for; NULL: none */
	uv_timer_t report_timer;
	int64_t observed; /* µs: when the learner was told of the workloads last */
	uint64_t observed_epoch;
	struct bh_verdict_cache cache;
	struct bh_echo echo;
	struct bh_passed passed;
	struct bh_answers answers;
	struct bh_ends ends;
	struct bh_pace pace;
	struct bh_tracking tracking;
	struct bh_crowding crowding;
	struct bh_forgeries forged;
	struct bh_departed departed;
	struct bh_fast_path fast_path;
	struct bh_revoking revoking;
	uint64_t departed_flows; /* removed since the start */
	uint64_t events_lost;
	struct bh_pulse pulse;
	struct bh_stop stop;
	int64_t queues_ticked; /* when their losses were looked at last */
	bool failed; /* it stops because the audit log can't be written */
	uint64_t kernel_lost[BH_QUEUES]; /* by the kernel alone, already reported as a gap */
	char *config_error; /* why the configuration file is not what is in force */

	uv_poll_t wake; /* of shared.wake */
	uv_timer_t events_timer;
	uv_timer_t confirm_timer;
	uv_timer_t reconcile_timer, tick, retry_timer;
	uv_poll_t nft_poll;
	bool handles; /* the uv handles above are initialised */
	bool reconciling; /* reconcile is scheduled */
	uint64_t reconciled_at; /* the loop's time, ms */
};
