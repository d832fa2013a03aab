/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The routes of API.md: which path and method is whose, what each accepts, what each asks the core.
 */
#include <errno.h>

#include "api/private.h"

#define FLOWS_DEFAULT 100
#define FLOWS_MAX 1000
#define EDGES_MAX 20000

static const char *query(const struct bh_api_call *call, const char *name)
{
	return MHD_lookup_connection_value(call->mhd, MHD_GET_ARGUMENT_KIND, name);
}

static struct bh_answer missing(const char *name)
{
	return bh_answer_error(400, NULL, "the parameter %s is missing", name);
}

static struct bh_answer status(struct bh_core *core, const struct bh_api_call *call BH_UNUSED)
{
	return bh_core_status(core);
}

static struct bh_answer doctor(struct bh_core *core, const struct bh_api_call *call BH_UNUSED)
{
	return bh_core_doctor(core);
}

static struct bh_answer workloads(struct bh_core *core, const struct bh_api_call *call)
{
	const char *gone = query(call, "gone");
	const struct bh_workloads_query q = {
		.selector = query(call, "selector"),
		.image = query(call, "image"),
		.digest = query(call, "digest"),
		.registry = query(call, "registry"),
		.namespace = query(call, "namespace"),
		.mode = query(call, "mode"),
		.all = bh_streq(gone, "1"),
	};
	if (gone && !bh_streq(gone, "0") && !bh_streq(gone, "1"))
		return bh_answer_error(400, NULL, "the parameter gone must be 0 or 1");
	return bh_core_workloads(core, &q);
}

static struct bh_answer workload(struct bh_core *core, const struct bh_api_call *call)
{
	const char *name = query(call, "name");
	return name && *name ? bh_core_workload(core, name) : missing("name");
}

static struct bh_answer impact(struct bh_core *core, const struct bh_api_call *call)
{
	const char *what = query(call, "what");
	return what && *what ? bh_core_impact(core, what) : missing("what");
}

static struct bh_answer flows(struct bh_core *core, const struct bh_api_call *call)
{
	uint64_t since = 0, limit = FLOWS_DEFAULT;
	const char *s = query(call, "since"), *n = query(call, "limit");
	bool folded = bh_streq(query(call, "folded"), "1");

	if (s && bh_parse_u64(s, INT64_MAX, &since) < 0)
		return bh_answer_error(400, NULL, "the parameter since must be a sequence number");
	if (n && (bh_parse_u64(n, FLOWS_MAX, &limit) < 0 || limit == 0))
		return bh_answer_error(
			400, NULL, "the parameter limit must be a number from 1 to %d", FLOWS_MAX);
	return folded ? bh_core_flows_folded(core, limit) : bh_core_flows(core, since, limit);
}

static struct bh_answer learn_status(struct bh_core *core, const struct bh_api_call *call BH_UNUSED)
{
	return bh_core_learn_status(core);
}

static struct bh_answer learn_export(struct bh_core *core, const struct bh_api_call *call)
{
	const char *ns = query(call, "namespace"), *role = query(call, "role");
	const char *evidence = query(call, "evidence"), *force = query(call, "force");

	if (evidence && !bh_streq(evidence, "0") && !bh_streq(evidence, "1"))
		return bh_answer_error(400, NULL, "the parameter evidence must be 0 or 1");
	if (force && !bh_streq(force, "0") && !bh_streq(force, "1"))
		return bh_answer_error(400, NULL, "the parameter force must be 0 or 1");
	if (ns && !*ns)
		return bh_answer_error(400, NULL, "the parameter namespace is empty");
	if (role && !*role)
		return bh_answer_error(400, NULL, "the parameter role is empty");
	return bh_core_learn_export(core, ns, role, !bh_streq(evidence, "0"), bh_streq(force, "1"));
}

static struct bh_answer learn_edges(struct bh_core *core, const struct bh_api_call *call)
{
	uint64_t limit = 0;
	const char *n = query(call, "limit");
	if (n && (bh_parse_u64(n, EDGES_MAX, &limit) < 0 || limit == 0))
		return bh_answer_error(
			400, NULL, "the parameter limit must be a number from 1 to %d", EDGES_MAX);
	return bh_core_learn_edges(
		core, query(call, "namespace"), query(call, "role"), query(call, "review"), limit);
}

static struct bh_answer learn_review(struct bh_core *core, const struct bh_api_call *call)
{
	return bh_core_learn_review(core, call->body, &call->who);
}

static struct bh_answer learn_reset(struct bh_core *core, const struct bh_api_call *call)
{
	return bh_core_learn_reset(core, call->body, &call->who);
}

static struct bh_answer graph(struct bh_core *core, const struct bh_api_call *call BH_UNUSED)
{
	return bh_core_graph(core);
}

static struct bh_answer drift(struct bh_core *core, const struct bh_api_call *call)
{
	uint64_t since = 0;
	const char *s = query(call, "since");
	if (s && bh_parse_u64(s, 366 * 86400, &since) < 0)
		return bh_answer_error(
			400, NULL, "the parameter since must be a number of seconds");
	return bh_core_drift(core, since);
}

static struct bh_answer policies(struct bh_core *core, const struct bh_api_call *call BH_UNUSED)
{
	return bh_core_policies(core);
}

static struct bh_answer policy_apply(struct bh_core *core, const struct bh_api_call *call)
{
	return bh_core_policy_apply(core, call->body, &call->who);
}

static struct bh_answer policy_delete(struct bh_core *core, const struct bh_api_call *call)
{
	/* No namespace begins with an underscore. */
	const char *ns = bh_streq(call->segment[0], "_cluster") ? "" : call->segment[0];
	return bh_core_policy_delete(core, ns, call->segment[1], &call->who);
}

static struct bh_answer policy_plan(struct bh_core *core, const struct bh_api_call *call)
{
	return bh_core_policy_plan(core, call->body);
}

static struct bh_answer replay(struct bh_core *core, const struct bh_api_call *call)
{
	uint64_t id = 0;
	if (bh_parse_u64(call->segment[0], INT64_MAX, &id) < 0)
		return bh_answer_error(400, NULL, "a replay is a number: `replay` of a plan");
	return bh_core_replay(core, id);
}

static struct bh_answer report_start(struct bh_core *core, const struct bh_api_call *call)
{
	return bh_core_report_start(core, call->body);
}

static struct bh_answer report(struct bh_core *core, const struct bh_api_call *call)
{
	const char *what = query(call, "what");
	uint64_t id = 0;
	if (bh_parse_u64(call->segment[0], INT64_MAX, &id) < 0)
		return bh_answer_error(400, NULL, "a report is a number, which POST gave");
	if (what && !bh_streq(what, "access") && !bh_streq(what, "rules"))
		return bh_answer_error(400, NULL, "what: access or rules");
	return bh_core_report(core, id, bh_streq(what, "rules"));
}

static struct bh_answer policy_history(
	struct bh_core *core, const struct bh_api_call *call BH_UNUSED)
{
	return bh_core_policy_history(core);
}

static struct bh_answer policy_version(struct bh_core *core, const struct bh_api_call *call)
{
	uint64_t number = 0;
	if (!bh_streq(call->segment[0], "current") &&
		(bh_parse_u64(call->segment[0], INT64_MAX, &number) < 0 || number == 0))
		return bh_answer_error(400, NULL, "a version is a number from 1, or \"current\"");
	return bh_core_policy_version(core, number);
}

static struct bh_answer policy_rollback(struct bh_core *core, const struct bh_api_call *call)
{
	return bh_core_policy_rollback(core, call->body, &call->who);
}

static struct bh_answer policy_confirm(struct bh_core *core, const struct bh_api_call *call)
{
	return bh_core_policy_confirm(core, &call->who);
}

static struct bh_answer policy_cancel(struct bh_core *core, const struct bh_api_call *call)
{
	return bh_core_policy_cancel(core, &call->who);
}

static struct bh_answer mode(struct bh_core *core, const struct bh_api_call *call BH_UNUSED)
{
	return bh_core_mode(core);
}

static struct bh_answer mode_set(struct bh_core *core, const struct bh_api_call *call)
{
	return bh_core_mode_set(core, call->body, &call->who);
}

static struct bh_answer mode_clear(struct bh_core *core, const struct bh_api_call *call)
{
	return bh_core_mode_clear(
		core, query(call, "namespace"), query(call, "selector"), &call->who);
}

static struct bh_answer quarantine(struct bh_core *core, const struct bh_api_call *call BH_UNUSED)
{
	return bh_core_quarantine(core);
}

static struct bh_answer quarantine_add(struct bh_core *core, const struct bh_api_call *call)
{
	return bh_core_quarantine_add(core, call->body, &call->who);
}

static struct bh_answer quarantine_rm(struct bh_core *core, const struct bh_api_call *call)
{
	const char *workload = query(call, "workload");
	if (!workload || !*workload)
		return missing("workload");
	return bh_core_quarantine_rm(core, workload, &call->who);
}

static struct bh_answer feeds(struct bh_core *core, const struct bh_api_call *call BH_UNUSED)
{
	return bh_core_feeds(core);
}

static struct bh_answer feed_show(struct bh_core *core, const struct bh_api_call *call)
{
	const char *name = query(call, "name");
	return name ? bh_core_feed_show(core, name) : missing("name");
}

static struct bh_answer feed_test(struct bh_core *core, const struct bh_api_call *call)
{
	const char *ip = query(call, "ip");
	return ip ? bh_core_feed_test(core, ip) : missing("ip");
}

static struct bh_answer feed_add(struct bh_core *core, const struct bh_api_call *call)
{
	return bh_core_feed_add(core, call->body, &call->who);
}

static struct bh_answer feed_rm(struct bh_core *core, const struct bh_api_call *call)
{
	const char *name = query(call, "name");
	return name ? bh_core_feed_rm(core, name, &call->who) : missing("name");
}

static struct bh_answer feed_refresh(struct bh_core *core, const struct bh_api_call *call)
{
	return bh_core_feed_refresh(core, call->body, &call->who);
}

static struct bh_answer explain(struct bh_core *core, const struct bh_api_call *call)
{
	const char *src = query(call, "src"), *dst = query(call, "dst");
	const char *proto = query(call, "protocol"), *port = query(call, "port");

	if (!src || !*src)
		return missing("src");
	if (!dst || !*dst)
		return missing("dst");
	if (!proto || !*proto)
		return missing("protocol");
	return bh_core_explain(core, src, dst, proto, port && *port ? port : NULL);
}

static struct bh_answer state(struct bh_core *core, const struct bh_api_call *call BH_UNUSED)
{
	return bh_core_state(core);
}

static struct bh_answer metrics(struct bh_core *core, const struct bh_api_call *call BH_UNUSED)
{
	return bh_core_metrics(core);
}

const struct bh_api_route bh_api_routes[] = {
	{"GET", "/v1/status", .fn = status},
	{"GET", "/v1/doctor", .fn = doctor},
	{"GET", "/v1/workloads",
		.query = {"selector", "image", "digest", "registry", "namespace", "mode", "gone"},
		.fn = workloads},
	{"GET", "/v1/workload", .query = {"name"}, .fn = workload},
	{"GET", "/v1/impact", .query = {"what"}, .fn = impact},
	{"GET", "/v1/flows", .query = {"since", "limit", "folded"}, .fn = flows},
	{"GET", "/v1/learn", .fn = learn_status},
	{"GET", "/v1/learn/export", .query = {"namespace", "role", "evidence", "force"},
		.fn = learn_export},
	{"GET", "/v1/learn/edges", .query = {"namespace", "role", "review", "limit"},
		.fn = learn_edges},
	{"POST", "/v1/learn/review", .changes = true, .body = true, .fn = learn_review},
	{"POST", "/v1/learn/reset", .changes = true, .body = true, .fn = learn_reset},
	{"GET", "/v1/graph", .fn = graph},
	{"GET", "/v1/drift", .query = {"since"}, .fn = drift},
	{"GET", "/v1/policies", .fn = policies},
	{"POST", "/v1/policies", .changes = true, .body = true, .fn = policy_apply},
	{"POST", "/v1/policies/plan", .changes = true, .body = true, .fn = policy_plan},
	{"GET", "/v1/policies/replay/*", .fn = replay},
	{"POST", "/v1/report", .changes = true, .body = true, .fn = report_start},
	{"GET", "/v1/report/*", .query = {"what"}, .fn = report},
	{"GET", "/v1/policies/history", .fn = policy_history},
	{"GET", "/v1/policies/versions/*", .fn = policy_version},
	{"POST", "/v1/policies/rollback", .changes = true, .body = true, .may_be_empty = true,
		.fn = policy_rollback},
	{"POST", "/v1/policies/confirm", .changes = true, .body = true, .may_be_empty = true,
		.fn = policy_confirm},
	{"POST", "/v1/policies/cancel", .changes = true, .body = true, .may_be_empty = true,
		.fn = policy_cancel},
	{"DELETE", "/v1/policies/*/*", .changes = true, .fn = policy_delete},
	{"GET", "/v1/mode", .fn = mode},
	{"PUT", "/v1/mode", .changes = true, .body = true, .fn = mode_set},
	{"DELETE", "/v1/mode", .changes = true, .query = {"namespace", "selector"},
		.fn = mode_clear},
	{"GET", "/v1/quarantine", .fn = quarantine},
	{"POST", "/v1/quarantine", .changes = true, .body = true, .fn = quarantine_add},
	{"DELETE", "/v1/quarantine", .changes = true, .query = {"workload"}, .fn = quarantine_rm},
	{"GET", "/v1/feeds", .fn = feeds},
	{"GET", "/v1/feeds/show", .query = {"name"}, .fn = feed_show},
	{"GET", "/v1/feeds/test", .query = {"ip"}, .fn = feed_test},
	{"POST", "/v1/feeds", .changes = true, .body = true, .fn = feed_add},
	{"DELETE", "/v1/feeds", .changes = true, .query = {"name"}, .fn = feed_rm},
	{"POST", "/v1/feeds/refresh", .changes = true, .body = true, .may_be_empty = true,
		.fn = feed_refresh},
	{"GET", "/v1/explain", .query = {"src", "dst", "protocol", "port"}, .fn = explain},
	{"GET", "/v1/state", .fn = state},
	{"GET", "/metrics", .fn = metrics},
};
const size_t bh_api_n_routes = BH_ARRAY_SIZE(bh_api_routes);
