/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The configuration file: one YAML document, every key with a default, unknown keys an error with
 * line and column. Parsing is pure (text in, struct out); two-phase reload is the core's business.
 */
#pragma once

#include <bulkhead/diag.h>
#include <bulkhead/labels.h>
#include <bulkhead/workload.h>

#include "feeds/feeds.h"
#include "sink/sink.h"

struct bh_mode_rule { /* modes: tried in order, the first that matches decides */
	char *namespace; /* NULL = any */
	bool has_selector;
	struct bh_selector selector;
	enum bh_mode mode;
};

enum bh_source_kind {
	BH_SOURCE_DOCKER,
	BH_SOURCE_PODMAN,
	BH_SOURCE_CRI,
	BH_SOURCE_STATIC,
	BH_SOURCE_KINDS
};
extern const char *const bh_source_kind_names[BH_SOURCE_KINDS + 1]; /* the keys; then NULL */
struct bh_source_conf {
	enum bh_source_kind kind;
	char *path; /* socket or file, anchored at the configuration file. NULL: `off`, auto does
		     * not look for it */
};
#define BH_SOURCES_MAX 64

struct bh_namespace_conf {
	char *name;
	struct bh_labels labels;
};

struct bh_node_conf { /* a node that `nodes` peers of ClusterNetworkPolicy can mean */
	char *name;
	struct bh_labels labels;
	struct bh_addr *addr;
	size_t n_addrs;
};

struct bh_sink_conf { /* another receiver of audit records */
	char *name, *address, *ca; /* see sink/sink.h */
	enum bh_sink_kind kind;
	enum bh_render_format format; /* ecs */
};
/* A namespace that may talk to something listed, until then. */
struct bh_feed_exception {
	char *namespace;
	struct bh_ranges addrs; /* normalised */
	char *feed; /* NULL: whichever feed lists it */
	char *reason;
	int64_t until; /* s since the epoch */
};
struct bh_config_exceptions {
	struct bh_feed_exception *item;
	size_t n;
};
void bh_config_exceptions_finish(struct bh_config_exceptions *list);
/* Without their reasons. */
void bh_config_exceptions_copy(
	struct bh_config_exceptions *to, const struct bh_config_exceptions *from);

enum bh_audit_flows { BH_AUDIT_FLOWS_NONE, BH_AUDIT_FLOWS_NEW, BH_AUDIT_FLOWS_FULL };
struct bh_flows_conf { /* of the workloads of a namespace */
	char *namespace;
	enum bh_audit_flows flows;
};

/* When records are lost, or none could be written for ten seconds. */
enum bh_log_failure { BH_LOG_FAILURE_CONTINUE, BH_LOG_FAILURE_BLOCK, BH_LOG_FAILURE_EXIT };

struct bh_config {
	enum bh_mode mode; /* mode: learn */
	struct bh_mode_rule *modes; /* modes: [] */
	size_t n_modes;
	bool unselected_deny; /* unselected: allow */
	bool host_policy; /* host: allow */
	bool reject; /* deny: drop */
	bool table_owner_never; /* table_owner: auto */
	bool fast_path; /* fast_path: false */
	char *policies; /* policies: /etc/bulkhead/policies */
	char *state; /* state: /var/lib/bulkhead */
	char *socket; /* socket: /run/bulkhead/bulkhead.sock */
	bool sources_auto; /* sources: auto; also as an entry of the list */
	struct bh_source_conf *sources;
	size_t n_sources;
	char **namespace_labels; /* NULL-terminated; NULL: bh_namespace_labels */
	bool image_labels_ignore; /* image_labels: count */
	struct bh_namespace_conf *namespaces; /* namespaces: {} */
	size_t n_namespaces;
	struct bh_node_conf *nodes; /* nodes: {} */
	size_t n_nodes;
	struct bh_feed_conf *feeds; /* feeds: [] */
	size_t n_feeds;
	struct bh_ranges feed_allow; /* feed_allow: []; normalised */
	struct bh_config_exceptions feed_exceptions; /* feed_exceptions: [] */
	char *audit_path; /* audit.path: /var/log/bulkhead/audit.jsonl */
	uint64_t audit_rotate_size; /* audit.rotate.size: 256M, 64K..1024G; bytes */
	uint64_t audit_rotate_s; /* audit.rotate.age: 1d */
	uint64_t audit_keep; /* audit.rotate.keep: 90, 0 (all)..4000 */
	uint64_t audit_key_s; /* audit.key_interval: 30d */
	struct bh_sink_conf *sinks; /* audit.sinks: [] */
	size_t n_sinks;
	/* audit.on_log_failure: continue | block-new-flows | exit */
	enum bh_log_failure audit_failure;
	enum bh_audit_flows audit_flows; /* audit.flows: none | new | full */
	struct bh_flows_conf *flows_of; /* audit.flows_of: {} */
	size_t n_flows_of;
	uint32_t audit_aggregate_s; /* audit.flows_aggregate: 0s (each one), ..1h; seconds */
	bool learn_volume; /* learn.volume: true */
	uint16_t queue_base; /* queue.base: 48620 (and the next two), 0..65533 */
	uint32_t queue_length; /* queue.length: 16384, 256..65536 */
	/* What a single source may ask the daemon: packets per second, and how many at once. */
	uint32_t pace_rate; /* pace.rate: 1000, 0 (no limit)..1000000 */
	uint32_t pace_burst; /* pace.burst: 2000, 1..1000000 */
	/* What one workload may hold of connection tracking while that is crowded, percent. */
	uint32_t crowding_share; /* crowding.share: 12, 1..100 (no limit) */
	/* Workloads that are gone: so long and so many of them are kept. */
	/* drift.quarantine: who is cut off by itself. */
	uint32_t drift_peers; /* denied_peers: 0 (off)..64 distinct ones… */
	uint64_t drift_within_s; /* within: 60s, 1s..1d */
	bool drift_feed_hit; /* feed_hit: false */
	uint64_t history_keep_s; /* history.keep: 30d, 1s..3650d; in seconds */
	uint32_t learn_edges; /* learn.edges: 200000, 1000..2000000; kept one by one */
	uint32_t learn_flows; /* learn.flows: 200000, 1000..2000000; rows of recorded flows */
	uint32_t learn_names; /* learn.names: 32768, 0 (DNS is not read)..1000000 */
	uint32_t history_max; /* history.max: 100000, 100..1000000; those that are there included */
};

/* `file` names it in diagnostics and anchors every relative path in it: what is kept is relative to
 * the working directory, or absolute if `file` is. text may be NULL: all defaults. With any error
 * −EINVAL and ret untouched. */
int bh_config_parse(const char *file, const char *text, size_t len, struct bh_diags *diags,
	struct bh_config **ret);
void bh_config_free(struct bh_config *c);
/* The configuration in force as YAML that parses again to the same (bulkhead status -o json shows
 * the important parts; `bulkheadd --print-config` all). */
void bh_config_print(const struct bh_config *c, struct bh_buf *out);
/* One item of `feeds`, as YAML that parses again to the same. */
void bh_config_print_feed(const struct bh_feed_conf *f, struct bh_buf *out);
