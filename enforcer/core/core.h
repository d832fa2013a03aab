/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The core: desired state (configuration + policies + inventory + feeds) → engine → ruleset →
 * kernel, and what happens with every queued packet. The API calls these functions on the loop's
 * thread; each answers with JSON as API.md beside enforcer/api says.
 */
#pragma once

#include <jansson.h>

#include "answer/answer.h"

struct bh_core;

struct bh_answer bh_core_status(struct bh_core *c);
/* What was looked at, what was seen and what to do about it: see doctor/doctor.h. */
struct bh_answer bh_core_doctor(struct bh_core *c);
/* All that are given must hold; NULL: any. See views/filter.h. */
struct bh_workloads_query {
	const char *selector, *image, *digest, *registry, *namespace, *mode;
	bool all; /* those that are gone as well */
};
struct bh_answer bh_core_workloads(struct bh_core *c, const struct bh_workloads_query *q);
/* Everything known of one that is there, or was. */
struct bh_answer bh_core_workload(struct bh_core *c, const char *what);
/* Who had to do with it: an address, a prefix, an image or a digest. */
struct bh_answer bh_core_impact(struct bh_core *c, const char *what);
struct bh_answer bh_core_flows(struct bh_core *c, uint64_t since, size_t limit);
/* Old rows that were put together, those with the most connections first. */
struct bh_answer bh_core_flows_folded(struct bh_core *c, size_t limit);
struct bh_answer bh_core_learn_status(struct bh_core *c);
struct bh_answer bh_core_learn_export(
	struct bh_core *c, const char *ns, const char *role, bool evidence, bool force);
/* Parameters may be NULL, limit 0. */
struct bh_answer bh_core_learn_edges(
	struct bh_core *c, const char *ns, const char *role, const char *review, size_t limit);
/* body: {"action": "accept|reject|undo|widen", "edges": [id…], "namespace", "role", "selector",
 * "cidr"} */
struct bh_answer bh_core_learn_review(
	struct bh_core *c, const json_t *body, const struct bh_core_actor *who);
struct bh_answer bh_core_graph(struct bh_core *c);
struct bh_answer bh_core_drift(struct bh_core *c, uint64_t since_s); /* 0: all that is kept */
/* body: {"namespace", "role", "all": bool} */
struct bh_answer bh_core_learn_reset(
	struct bh_core *c, const json_t *body, const struct bh_core_actor *who);
struct bh_answer bh_core_policies(struct bh_core *c);
/* body: {"sources": [{"file","text"}], "dry_run": bool, "prune": bool, "comment": text,
 * "confirm_within": seconds} (borrowed) */
struct bh_answer bh_core_policy_apply(
	struct bh_core *c, const json_t *body, const struct bh_core_actor *who);
/* body: sources and prune as above, "since": seconds (starts a replay). Changes nothing. */
struct bh_answer bh_core_policy_plan(struct bh_core *c, const json_t *body);
struct bh_answer bh_core_replay(struct bh_core *c, uint64_t id); /* how far it is, or its result */
/* body: {"since": seconds}: who could and did talk to whom, and which rules were used. Its number,
 * then how far it is, or its result: the rules, or who talked. */
struct bh_answer bh_core_report_start(struct bh_core *c, const json_t *body);
struct bh_answer bh_core_report(struct bh_core *c, uint64_t id, bool rules);
/* ns "" deletes a ClusterNetworkPolicy. */
struct bh_answer bh_core_policy_delete(
	struct bh_core *c, const char *ns, const char *name, const struct bh_core_actor *who);
struct bh_answer bh_core_policy_history(struct bh_core *c);
struct bh_answer bh_core_policy_version(struct bh_core *c, uint64_t number); /* 0: in force */
/* body: {"version": null|N, "force": bool, "comment", "confirm_within"} */
struct bh_answer bh_core_policy_rollback(
	struct bh_core *c, const json_t *body, const struct bh_core_actor *who);
struct bh_answer bh_core_policy_confirm(struct bh_core *c, const struct bh_core_actor *who);
struct bh_answer bh_core_policy_cancel(struct bh_core *c, const struct bh_core_actor *who);
struct bh_answer bh_core_mode(struct bh_core *c);
/* body: {"mode": "enforce", "namespace": null|"shop", "selector": null|"tier=db", "for": SECONDS}
 */
struct bh_answer bh_core_mode_set(
	struct bh_core *c, const json_t *body, const struct bh_core_actor *who);
/* Both NULL: the node's. Then the configuration decides again. */
struct bh_answer bh_core_mode_clear(
	struct bh_core *c, const char *ns, const char *selector, const struct bh_core_actor *who);
struct bh_answer bh_core_quarantine(struct bh_core *c);
/* body: {"workload": text, "allow": ["CIDR:PORT/proto"…], "reason": text} */
struct bh_answer bh_core_quarantine_add(
	struct bh_core *c, const json_t *body, const struct bh_core_actor *who);
struct bh_answer bh_core_quarantine_rm(
	struct bh_core *c, const char *what, const struct bh_core_actor *who);
struct bh_answer bh_core_feeds(struct bh_core *c);
struct bh_answer bh_core_feed_show(struct bh_core *c, const char *name);
struct bh_answer bh_core_feed_test(struct bh_core *c, const char *address);
struct bh_answer bh_core_feed_add(
	struct bh_core *c, const json_t *body, const struct bh_core_actor *who);
struct bh_answer bh_core_feed_rm(
	struct bh_core *c, const char *name, const struct bh_core_actor *who);
struct bh_answer bh_core_feed_refresh(struct bh_core *c, const json_t *body,
	const struct bh_core_actor *who); /* {"name": null|…} */
struct bh_answer bh_core_explain(
	struct bh_core *c, const char *src, const char *dst, const char *proto, const char *port);
struct bh_answer bh_core_state(struct bh_core *c); /* text/yaml, see bulkhead/scenario.h */
struct bh_answer bh_core_metrics(struct bh_core *c); /* Prometheus text format 0.0.4 */
