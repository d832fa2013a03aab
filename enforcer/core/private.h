/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What the core's files share. One thread (the event loop) owns struct bh_core; the packet threads
 * see only `shared`: the published snapshot and the event ring, each behind its own short lock.
 */
#pragma once

#include <bulkhead/engine.h>
#include <pthread.h>
#include <uv.h>

#include "audit/audit.h"
#include "config/config.h"
#include "conntrack/conntrack.h"
#include "core/core.h"
#include "core/lifecycle.h"
#include "feeds/feeds.h"
#include "flows/mirror.h"
#include "history/history.h"
#include "http/http.h"
#include "inventory/inventory.h"
#include "learn/learn.h"
#include "learn/names.h"
#include "link/link.h"
#include "nft/nft.h"
#include "queue/queue.h"
#include "store/store.h"
#include "threats/load.h"
#include "threats/lookback.h"
#include "verdict/recent.h"

/* --- what packet threads read: immutable once published --- */
struct bh_snapshot {
	int refs;
	char apart[64]; /* what changes all the time is in another cache line than what is read */
	struct bh_engine *engine;
	struct bh_feed_index *feeds;
	struct bh_config_exceptions exceptions; /* from feeds; without reasons */
	enum bh_mode node_mode;
	bool reject;
	bool stopped; /* nothing new passes, for it could not be recorded */
	uint64_t epoch; /* of the run's snapshots, ascending from 1 */
};
struct bh_snapshot *bh_snapshot_ref(struct bh_snapshot *s);
void bh_snapshot_unref(struct bh_snapshot *s);
void bh_snapshot_unref_many(struct bh_snapshot *s, int n);

/* --- what packet threads tell the loop --- */
enum bh_event_kind {
	BH_EVENT_DECISION, /* the engine decided */
	BH_EVENT_THREAT, /* a blocking feed lists an end */
	BH_EVENT_ALERT, /* an alert-only feed lists an end; the decision stands beside it */
	BH_EVENT_SPOOF, /* came in by a workload's veth with a source that is not its own */
};

struct bh_event {
	enum bh_event_kind kind;
	struct bh_snapshot *snap; /* owned by the event: indexes in `decision` belong to it */
	struct bh_flow flow;
	struct bh_decision decision;
	bool dropped; /* the verdict given */
	uint8_t tcp_flags;
	/* Further packets of the tuple that the kernel's cache decided; 0: the packet itself. */
	uint64_t cached;
	int32_t spoofer; /* SPOOF: workload whose veth it was */
	int64_t when; /* µs since the epoch */
	char feed[65];
	char indicator[2 * BH_ADDR_STRLEN + 2];
};

#define BH_RING_SIZE 16384 /* events; further ones are counted as lost */
#define BH_RING_HURRY 1024 /* so many wait that the loop does not go on collecting */

struct bh_shared {
	pthread_mutex_t snap_lock;
	struct bh_snapshot *snap;
	char apart[64]; /* what each packet's thread takes, and what the loop does: other cache
			   lines */
	pthread_mutex_t ring_lock;
	struct bh_event *ring; /* BH_RING_SIZE */
	size_t head, count;
	uint64_t lost[2]; /* by dropped */
	uint64_t stopped; /* packets dropped because nothing new passes; atomic */
	bool told; /* behind ring_lock: the loop knows that it has to look */
	int wake; /* eventfd */
};
int bh_shared_init(struct bh_shared *s); /* 0 or −errno; finish also after a failure */
void bh_shared_finish(struct bh_shared *s); /* the ring is empty */
void bh_shared_publish(struct bh_shared *s, struct bh_snapshot *snap); /* takes snap */
struct bh_snapshot *bh_shared_current(struct bh_shared *s); /* a reference, or NULL */
/* Takes the events' snapshots. Wakes the loop if it does not know of any, or is to hurry. */
void bh_shared_push(struct bh_shared *s, const struct bh_event *e, size_t n);
/* How many; 0: the next push wakes. */
size_t bh_shared_take(struct bh_shared *s, struct bh_event *ret, size_t max, uint64_t ret_lost[2]);
bool bh_shared_hurry(struct bh_shared *s); /* BH_RING_HURRY or more wait */

/* The queues: queue.base and the numbers after it, in this order. */
enum bh_queue_purpose {
	BH_QUEUE_UNMATCHED, /* not allowed by an enforcing group, or on a feed */
	BH_QUEUE_OBSERVED, /* with bypass: learn, audit, the node's own */
	BH_QUEUE_HOLD, /* of workloads that nobody has told us of (yet) */
	BH_QUEUES,
};
const char *bh_queue_purpose_name(enum bh_queue_purpose p);

#define BH_UNTOLD_MAX 64

/* A queue's callback argument, for its thread. */
struct bh_queue_ctx {
	struct bh_shared *shared;
	enum bh_queue_purpose purpose;
	bool closed; /* HOLD before the first snapshot: drop what has waited in vain */
	struct bh_recent repeated; /* held, then sent through the rules again */
	struct bh_recent vain; /* addresses (src) that were waited for in vain… */
	uint64_t vain_epoch; /* …in this state */
	struct bh_event
		untold[BH_UNTOLD_MAX]; /* decided; for the ring once the verdicts are sent */
	size_t n_untold;
};
enum bh_packet_verdict bh_core_packet(const struct bh_packet *p, void *arg);
void bh_core_packets_sent(void *arg); /* tells the loop of what was decided */
/* An allowed flow with a feed that lists an end of it is an ALERT. */
void bh_core_match_alerts(struct bh_event *e);

/* --- flows waiting for the next write to the store --- */
struct bh_flow_batch {
	struct bh_flow_row *row;
	size_t n, cap;
	uint32_t *slot; /* hash → row index + 1 */
	size_t mask;
};
#define BH_FLOW_BATCH_MAX 8192

/* --- what the kernel decides for us: cache.c, pace.c --- */
struct bh_verdict_cache {
	struct bh_mirror mirror;
	uint32_t *wanted; /* indexes of entries that wait to be sent; BH_MIRROR_MAX */
	size_t n_wanted;
	struct bh_value *value; /* scratch */
	uint64_t added, hits, full, errors;
	uv_timer_t send_timer, read_timer;
};

/* Flows that rules allow, as the kernel counts them: passed.c */
struct bh_passed {
	struct bh_mirror mirror;
	uint64_t beyond; /* of the kernel's count of what it does not list, told already */
	uint64_t unlisted; /* since the start */
	uv_timer_t timer;
};

/* Ends of flows: ends.c */
#define BH_PAST_MAX 8
struct bh_past { /* a state that is or was in force */
	struct bh_snapshot *snap;
	int64_t since; /* µs since the epoch */
	uint64_t generation; /* of its policies; of the newest it is the core's */
};
struct bh_ended {
	struct bh_volume volume;
	int64_t begin, last; /* µs since the epoch; 0: not known */
	uint64_t generation; /* of the policies that decided it */
	/* By end (source, destination): not who the state says; then who it was, owned by whoever
	 * made it, NULL: not known. */
	bool other[2];
	struct bh_workload *who[2];
};
struct bh_end_sum {
	struct bh_event event; /* owns its snapshot; flow.sport 0: they differ */
	struct bh_ended end;
};
#define BH_END_SUMS_MAX 4096
struct bh_ends {
	struct bh_past
		past[BH_PAST_MAX]; /* the newest last; none unless conntrack is listened to */
	size_t n_past;
	struct bh_end_sum *sum; /* BH_END_SUMS_MAX */
	uint32_t *slot; /* hash → index + 1; twice as many */
	size_t n_sums;
	uint64_t summed_since; /* the loop's time, ms */
	uint64_t seen, lost; /* since the start; of our workloads, of the node */
	int64_t read_at; /* µs since the epoch */
	int error; /* errno: it can't be listened to */
	int missing; /* BH_CT_NO_* */
	uv_timer_t timer;
};

/* Which flows were answered: answered.c */
struct bh_answers {
	uv_timer_t timer;
	bool walk; /* the whole table is to be walked */
	uint64_t walk_at; /* not before; the loop's time, ms */
};

#define BH_PACED_MAX 1024
/* Forged frames and packets that the guard counted: forged.c */
#define BH_FORGED_MAX 512
struct bh_forgeries {
	struct bh_forged *item; /* BH_FORGED_MAX */
	size_t n;
	uint64_t packets; /* since the start */
	unsigned ticks;
};

/* Dropped for their destination before DNAT: diverted.c */
#define BH_DIVERTED_MAX 256
struct bh_diverted {
	struct bh_flow flow; /* dst: before DNAT */
	uint64_t packets;
};

struct bh_pace {
	struct bh_paced *source; /* BH_PACED_MAX */
	size_t n;
	uint64_t packets; /* of all sources, since the start */
	bool crowded; /* more sources than there is room for */
	int64_t crowded_told; /* µs since the epoch */
	uv_timer_t timer;
};

/* A mode set at run time, for the node, a namespace, a selector, or a selector in a namespace. */
/* Addresses whose flows are to be removed: departed.c */
struct bh_departed {
	struct bh_addr *addr; /* sorted */
	size_t n, cap;
};

struct bh_mode_override {
	struct bh_mode_row row; /* its scope is owned */
	char *namespace; /* NULL = any */
	bool has_selector;
	struct bh_selector selector;
	uint64_t ends; /* the loop's time, ms; 0 = never */
};

/* Why a workload is cut off: the same container, or the one that has its name now. */
#define BH_QUARANTINE_BY_ID 1
#define BH_QUARANTINE_BY_NAME 2
unsigned bh_core_quarantine_match(const struct bh_quarantine_row *q, const struct bh_workload *w);

/* A version that is taken back unless somebody confirms it in time. version 0: there is none. */
struct bh_confirm {
	uint64_t version, back; /* which is on trial; which comes back (0: no policies) */
	int64_t deadline; /* µs since the epoch */
	int64_t within; /* µs */
	bool expired; /* its time is over, but it could not be taken back everywhere yet */
};

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
	char *bridge_nf_error;
	int64_t last_tamper;
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
	struct bh_mirror echo; /* see echo.c */
	struct bh_passed passed;
	struct bh_answers answers;
	struct bh_ends ends;
	struct bh_pace pace;
	struct bh_forgeries forged;
	struct bh_departed departed;
	uint64_t departed_flows; /* removed since the start */
	uint64_t events_lost;
	struct bh_pulse { /* pulse.c; µs since the epoch but for the offset */
		int64_t ticked, beat;
		int64_t clock_offset; /* of the clock to the time since boot */
	} pulse;
	struct bh_stop { /* log_failure.c: what happens when the log can't be written */
		int64_t failing_since; /* the loop's time, ms; 0: it can */
		uint64_t refused, written; /* by the log, seen already */
		int64_t since; /* µs since the epoch: nothing new passes; 0: it does */
		uint64_t counted; /* of the kernel's counter and the queues', told already */
		uint64_t times, packets; /* since the start */
	} stop;
	int64_t queues_ticked; /* when their losses were looked at last */
	bool failed; /* it stops because the audit log can't be written */
	uint64_t kernel_lost[BH_QUEUES]; /* by the kernel alone, already reported as a gap */
	char *store_error;
	char *config_error; /* why the configuration file is not what is in force */

	uv_poll_t wake; /* of shared.wake */
	uv_timer_t events_timer;
	uv_timer_t confirm_timer;
	uv_timer_t reconcile_timer, sweep_timer, tick, retry_timer;
	uv_poll_t nft_poll;
	bool handles; /* the uv handles above are initialised */
	bool reconciling; /* reconcile is scheduled */
	uint64_t reconciled_at; /* the loop's time, ms */
	unsigned sweeps; /* further conntrack sweeps that are under way or done */
};

/* reconcile.c */
void bh_core_schedule(struct bh_core *c);
void bh_core_reconcile_cb(uv_timer_t *t);
int bh_core_reconcile(struct bh_core *c); /* at once; 0 or −errno with commit_error set */
void bh_core_ready(struct bh_core *c); /* after the first commit: lifecycle.c */
int bh_core_rebuild(struct bh_core *c); /* puts the installed ruleset back */
/* sources.c */
void bh_core_sources_start(struct bh_core *c);
void bh_core_sources_settings(struct bh_core *c); /* the configuration is another */
void bh_core_sources_tick(struct bh_core *c); /* looks for new ones */
/* Whether to commit what they say: all were heard once, or there is no earlier run's rules to be
 * kept for those that are not. */
bool bh_core_sources_enough(const struct bh_core *c);
/* queues.c */
int bh_core_queues_start(struct bh_core *c, char **why);
void bh_core_queues_stop(struct bh_core *c);
void bh_core_queues_recheck(struct bh_core *c); /* held packets are asked for again */
void bh_core_queues_tick(struct bh_core *c);
json_t *bh_core_queues_json(struct bh_core *c);
void bh_core_queues_metrics(struct bh_core *c, struct bh_buf *b);
/* echo.c: ways back of flows that were cut */
void bh_core_echo_cut(struct bh_core *c, const struct bh_flow *cut);
bool bh_core_echo_is(const struct bh_core *c, const struct bh_flow *f);
void bh_core_echo_send(struct bh_core *c); /* those that the kernel does not know yet */
void bh_core_echo_refresh(struct bh_core *c); /* the sets were emptied, or the state is another */
/* view_flows.c: connections that may be of that time (µs), and have no row of their own any more */
uint64_t bh_core_flows_folded_since(struct bh_core *c, int64_t since);
/* names.c: what DNS answers call outside addresses */
int bh_core_names_start(struct bh_core *c); /* 0 or −errno of the store */
bool bh_core_names_wanted(const struct bh_core *c); /* DNS is to be copied to us */
void bh_core_names_stop(struct bh_core *c); /* closes the handle, saves */
void bh_core_names_finish(struct bh_core *c);
int bh_core_names_save(struct bh_core *c); /* and commits */
void bh_core_names_forget(struct bh_core *c, const struct bh_end *end);
/* What `end`, else the node, was told; borrowed until the next packet. How many. */
size_t bh_core_names_of(struct bh_core *c, const struct bh_end *end, const struct bh_addr *addr,
	const char *ret[static BH_NAMES_PER_ADDR]);
json_t *bh_core_names_json(/* an array; NULLs: empty */
	struct bh_core *c, const struct bh_end *end, const struct bh_addr *addr);
/* The role of whoever it was; NULL: not known. Borrowed until the next call. */
const struct bh_end *bh_core_stay_end(struct bh_core *c, uint64_t stay);
json_t *bh_core_names_status(const struct bh_core *c);
const char *bh_core_names_problem(const struct bh_core *c); /* NULL: none */
/* departed.c: what belonged to workloads that are gone */
bool bh_core_departs(const struct bh_inventory *from, const struct bh_inventory *to);
/* Adds the addresses that are behind another interface in `to`, or behind none. */
void bh_departed_collect(
	struct bh_departed *d, const struct bh_inventory *from, const struct bh_inventory *to);
void bh_core_departed_follow(/* from: NULL at the start */
	struct bh_core *c, const struct bh_inventory *from, const struct bh_inventory *to);
void bh_core_departed_purge(struct bh_core *c); /* what is left to be removed */
/* diverted.c */
void bh_core_diverted_tick(struct bh_core *c);
/* feed_edit.c */
void bh_core_feeds_load_added(struct bh_core *c);
void bh_core_feeds_configure(struct bh_core *c); /* what the file and commands say */
bool bh_core_feed_is_added(const struct bh_core *c, const char *name);
/* feed_policy.c */
/* May the namespace of `other` talk to what blocking feeds list in this direction? now: µs. */
bool bh_core_feeds_excepted(const struct bh_snapshot *s, const struct bh_addr *listed, unsigned as,
	const struct bh_addr *other, int64_t now);
void bh_core_exceptions_copy(
	struct bh_config_exceptions *to, const struct bh_config_exceptions *from);
void bh_core_feeds_protect(struct bh_core *c);
void bh_core_feeds_tick(struct bh_core *c);
/* Texts of /etc/resolv.conf, /proc/net/route and /proc/net/ipv6_route: whom the node depends on. */
void bh_core_parse_resolvers(const char *text, struct bh_ranges *r);
void bh_core_parse_routes4(const char *text, struct bh_ranges *r);
void bh_core_parse_routes6(const char *text, struct bh_ranges *r);
/* revoke.c */
bool bh_core_denied(const struct bh_snapshot *s, const struct bh_flow *f); /* by policy or feed */
void bh_core_revoke(struct bh_core *c); /* from the loop at once, and again after 100 ms */
int bh_core_revoke_now(struct bh_core *c); /* before it returns: how many, or −errno */
void bh_core_sweep_cb(uv_timer_t *t);
/* events.c */
void bh_core_events_init(struct bh_core *c);
size_t bh_core_events_take(struct bh_core *c); /* some of the ring's; how many */
void bh_core_learned(const struct bh_tuple *t, const struct bh_flow *f, void *arg);
/* Records, learns and counts what was decided. */
void bh_core_event(struct bh_core *c, const struct bh_event *e);
/* Records it only. */
void bh_core_audit_event(struct bh_core *c, const struct bh_event *e);
void bh_core_audit_end(struct bh_core *c, const struct bh_event *e, const struct bh_ended *end);
/* What `audit.flows` says of its ends; the most of the two. end may be NULL. */
enum bh_audit_flows bh_core_flows_level(
	const struct bh_core *c, const struct bh_event *e, const struct bh_ended *end);
void bh_core_learn_ended(
	struct bh_core *c, const struct bh_event *e, const struct bh_volume *volume);
bool bh_core_learns(const struct bh_decision *d); /* may a side learn from it? */
/* The queue never saw this very flow of a cached tuple: it is told of and answered at once. */
void bh_core_learn_answered(struct bh_core *c, const struct bh_event *e);
/* answered.c */
void bh_core_answers_init(struct bh_core *c);
void bh_core_answers_wait(struct bh_core *c); /* flows wait for their answer */
/* The kernel's cache let more flows of this one's tuple pass: one may have been answered. */
void bh_core_answers_check(struct bh_core *c, const struct bh_flow *f);
void bh_core_answered(struct bh_core *c, const struct bh_flow *f);
/* ends.c */
void bh_core_ends_init(struct bh_core *c);
void bh_core_ends_stop(struct bh_core *c);
void bh_core_ends_finish(struct bh_core *c);
/* Around a new state: it is in the kernel since `since` (µs); what ended until now is read, while
 * c->snap is still the one before; then, whether ends are wanted at all. */
void bh_core_ends_state(struct bh_core *c, struct bh_snapshot *s, int64_t since);
void bh_core_ends_read(struct bh_core *c);
void bh_core_ends_follow(struct bh_core *c);
json_t *bh_core_ends_json(const struct bh_core *c, json_t *problems);
/* passed.c */
void bh_core_passed_init(struct bh_core *c);
void bh_core_passed_finish(struct bh_core *c);
void bh_core_passed_read(struct bh_core *c);
/* As of the cache: while the rules that allowed them are in force. */
/* departs: somebody's address is going to be another's. */
void bh_core_passed_before_commit(struct bh_core *c, bool departs);
void bh_core_passed_forget(struct bh_core *c); /* the sets were emptied */
/* cache.c */
void bh_core_cache_init(struct bh_core *c);
void bh_core_cache_finish(struct bh_core *c);
void bh_core_cache_offer(struct bh_core *c, const struct bh_event *e); /* if it can be cached */
struct bh_cached *bh_core_cached(const struct bh_core *c, const struct bh_flow *f); /* or NULL */
void bh_core_cache_send_cb(uv_timer_t *t);
void bh_core_cache_read_cb(uv_timer_t *t);
void bh_core_cache_read(struct bh_core *c); /* counters → records */
/* Around a transaction: counts are taken before, everything is forgotten once the sets are empty.
 * Flush empties them where no transaction did. */
void bh_core_cache_before_commit(struct bh_core *c);
int bh_core_cache_flush(struct bh_core *c, struct bh_nft_error *err);
void bh_core_cache_forget(struct bh_core *c);
void bh_core_write_tuple(const struct bh_flow *f, struct bh_value v[static 4]);
json_t *bh_core_cache_json(const struct bh_core *c);
/* forged.c */
void bh_core_forged_tick(struct bh_core *c);
void bh_core_forged_finish(struct bh_core *c);
/* pace.c */
void bh_core_pace_init(struct bh_core *c);
void bh_core_pace_finish(struct bh_core *c);
void bh_core_pace_cb(uv_timer_t *t);
void bh_core_pace_stop(struct bh_core *c); /* tells all that is counted */
json_t *bh_core_pace_json(const struct bh_core *c);
/* flows.c */
void bh_core_flow_row(struct bh_core *c, struct bh_flow_row *r); /* takes what is in r */
void bh_core_flow_note(struct bh_core *c, const struct bh_event *e);
/* The row of such an event; owned. */
void bh_core_flow_fill(const struct bh_core *c, const struct bh_event *e, struct bh_flow_row *r);
void bh_core_flows_save(struct bh_core *c);
/* The end of a flow as people read it: "ns/name", "host" or the address. */
void bh_core_end_name(
	const struct bh_inventory *inv, int32_t owner, const struct bh_addr *a, struct bh_buf *out);
/* resolve.c */
/*
 * The index of the published inventory's workload that the word means. Else −errno and *ret_error,
 * which lists candidates or the nearest names; or_address: an address would have done too.
 */
int bh_core_resolve(
	struct bh_core *c, const char *what, bool or_address, struct bh_answer *ret_error);
/* The last stay of the workload that is gone and that the word means (owned). −ENOENT, with
 * ret_error untouched: none. */
int bh_core_resolve_gone(
	struct bh_core *c, const char *what, struct bh_stay *ret, struct bh_answer *ret_error);
/* modes.c */
void bh_core_modes_load(struct bh_core *c);
void bh_core_modes_tick(struct bh_core *c); /* those whose time is over */
void bh_core_modes_finish(struct bh_core *c);
/* The one with this scope, or NULL. */
struct bh_mode_override *bh_core_mode_find(const struct bh_core *c, const char *scope);
void bh_core_mode_keep(struct bh_core *c, const struct bh_mode_row *r); /* adds or replaces */
void bh_core_mode_drop(struct bh_core *c, struct bh_mode_override *o);
/* What decides the workload's mode, "set for namespace shop until …", for people. */
void bh_core_mode_origin(const struct bh_core *c, const struct bh_workload *w, struct bh_buf *out);
enum bh_mode bh_core_node_mode(const struct bh_core *c);
enum bh_mode bh_core_mode_of(const struct bh_core *c, const struct bh_workload *w);
/* quarantine.c */
int bh_core_quarantine_load(struct bh_core *c);
void bh_core_quarantine_finish(struct bh_core *c);
/* What is decided of the workload; NULL: it is in none. Borrowed. */
struct bh_quarantine *bh_core_quarantine_of(const struct bh_core *c, const struct bh_workload *w);
/* view_quarantine.c */
json_t *bh_core_allow_json(const struct bh_quarantine *q);
json_t *bh_core_quarantine_json(const struct bh_core *c, json_t *problems); /* for status */
json_t *bh_core_quarantine_row_json(const struct bh_core *c, const struct bh_quarantine_row *q);
/* view_workloads.c, view_stays.c */
json_t *bh_core_labels_json(const struct bh_labels *l);
json_t *bh_core_workload_json(const struct bh_core *c, size_t i); /* of the published inventory */
/* Each {"image", "digest"}, as far as known: the first, then the others'. */
json_t *bh_core_images_json(const char *image, const char *digest, const struct bh_images *others);
json_t *bh_core_stay_json(const struct bh_stay *y);
/* policies.c */
int bh_core_policies_load(struct bh_core *c, const char *cause); /* from the directory */
/* report.c */
void bh_core_report_tick(struct bh_core *c); /* forgets an old result */
void bh_core_report_finish(struct bh_core *c);

/* replay.c: recorded flows against a set of policies; since: µs. Its number. */
uint64_t bh_core_replay_start(struct bh_core *c, struct bh_policy_set *set, int64_t since);
void bh_core_replay_tick(struct bh_core *c); /* forgets an old result */
void bh_core_replay_finish(struct bh_core *c);
/* drift_watch.c: quarantines by itself, where that is configured */
void bh_core_drift_event(struct bh_core *c, const struct bh_event *e);
void bh_core_drift_tick(struct bh_core *c);
void bh_core_drift_finish(struct bh_core *c);
/* roles.c: tells the learner which workloads there are, if the last time was `after` µs ago */
void bh_core_observe(struct bh_core *c, int64_t after);
void bh_core_observe_tick(struct bh_core *c);
/* guard.c */
void bh_core_bridge_nf(struct bh_core *c);
void bh_core_bridges(struct bh_core *c); /* no_linklocal_learn of those that workloads hang on */
void bh_core_nft_cb(uv_poll_t *p, int status, int events);
/* watches.c */
void bh_core_watches_start(struct bh_core *c);
void bh_core_watches_stop(struct bh_core *c);
/* Watches a directory that was not there before. */
void bh_core_watch_policies(struct bh_core *c);
void bh_core_watches_tick(struct bh_core *c); /* directories that were replaced, or came */
/* change.c */
void bh_core_sha256_hex(const void *data, size_t len, char ret[static 65]);
/* [{"policy", "change": added|removed|changed}], at most 100, and how many there are. */
json_t *bh_core_policy_changes_json(
	const struct bh_policy_set *from, const struct bh_policy_set *to);
/* The lines of the printed configuration that differ: {"from": sha, "to": sha, "lines": ["-…",
 * "+…"]}. */
json_t *bh_core_config_changes_json(const struct bh_config *from, const struct bh_config *to);
/* sinks.c */
int bh_core_sinks_start(struct bh_core *c, char **why);
void bh_core_sinks_stop(struct bh_core *c);
json_t *bh_core_sinks_json(struct bh_core *c);
void bh_core_sinks_metrics(struct bh_core *c, struct bh_buf *b);
/* pulse.c */
void bh_core_pulse_tick(struct bh_core *c);
/* The clock says `now`, the time since boot is `boot`; both µs. What it gained or lost since the
 * last call, if that is more than a second, goes on record. */
void bh_core_clock_check(struct bh_core *c, int64_t now, int64_t boot);
/* log_failure.c */
void bh_core_log_failure_tick(struct bh_core *c);
json_t *bh_core_stop_json(const struct bh_core *c, json_t *problems);
/* A gap record. count −1: nobody knows how many; since 0: nor since when. */
void bh_core_gap(
	struct bh_core *c, const char *class, int64_t count, int64_t since, const char *message);
/* status.c: how many workloads there are, by mode and in all */
json_t *bh_core_workload_counts(struct bh_core *c);
/* tick.c */
void bh_core_tick_cb(uv_timer_t *t);
/* actor → audit */
struct bh_audit_actor bh_core_audit_actor(const struct bh_core_actor *who);
/* RFC 3339 UTC with µs; "" for 0 */
void bh_core_time(int64_t us, char buf[static 32]);
int64_t bh_core_now(void); /* µs since the epoch */
json_t *bh_core_volume_json(const struct bh_volume *v); /* null: no flow's end was seen */
/* Adds a flow's volume as one of its ends sees it: its source, or (the two ways exchanged) not. */
void bh_core_volume_add(struct bh_volume *to, const struct bh_volume *v, bool source);
json_t *bh_core_time_json(int64_t us); /* string or null */
/* "shop/web egress rule 0 peer 1", "cnp:no-db ingress rule 2 \"name\" peer 0 (Deny)": the rule
 * that decides the side; NULL if none does. Owned. */
char *bh_core_rule_name(const struct bh_side *s, enum bh_direction d);
