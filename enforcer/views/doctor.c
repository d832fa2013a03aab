/* SPDX-License-Identifier: GPL-3.0-or-later */
/* GET /v1/doctor: what the daemon knows of itself, and then the node as it is. */
#include "doctor/doctor.h"

#include "config/config.h"
#include "core/core.h"
#include "core/queues.h"
#include "core/state.h"
#include "modes/modes.h"
#include "nft/nft.h"
#include "policies/nobody.h"
#include "queue/queue.h"
#include "views/json.h"

#define NAMED_MAX 8

/* What is said below, with what was seen, need not be said twice. */
static bool said_elsewhere(const char *problem)
{
	static const char *const begins[] = {"nothing was committed yet", "the kernel refused",
		"the policies' directory is not", "the configuration file is not",
		"traffic inside one bridge", "connection tracking is", "queue ",
		"this kernel has neither"};
	for (size_t i = 0; i < BH_ARRAY_SIZE(begins); i++)
		if (strncmp(problem, begins[i], strlen(begins[i])) == 0)
			return true;
	return false;
}

/* Is what was asked for what is in force? */
static void in_force(struct bh_core *c, json_t *checks)
{
	static const char check[] = "in-force";
	size_t before = bh_findings_count(checks, BH_HEALTH_FAIL);
	if (!c->ready)
		bh_finding(checks, check, BH_HEALTH_FAIL,
			"bulkhead status: which source of workloads has not answered",
			"nothing was committed yet: the rules of the run before, if any, stay");
	if (c->commit_error)
		bh_finding(checks, check, BH_HEALTH_FAIL, "journalctl -u bulkhead; dmesg",
			"the kernel refused the last change: %s; what was in force stays",
			c->commit_error);
	if (c->policies_stale)
		bh_finding(checks, check, BH_HEALTH_FAIL, "bulkhead policy check, of the directory",
			"the policies' directory is not what is in force: %s", c->policies_stale);
	if (c->config_error)
		bh_finding(checks, check, BH_HEALTH_FAIL, "bulkheadd --check-config",
			"the configuration file is not what is in force: %s", c->config_error);
	if (bh_findings_count(checks, BH_HEALTH_FAIL) == before)
		bh_finding(checks, check, BH_HEALTH_OK, NULL,
			"%zu policies, version %llu, are in force: %llu commits, none refused",
			c->policies->n, (unsigned long long)c->generation,
			(unsigned long long)c->commits);
}

/* "a, b and 3 more" of those that are counted. */
struct names {
	struct bh_buf b;
	size_t n;
};

static void name_one(struct names *n, const struct bh_workload *w)
{
	if (n->n++ < NAMED_MAX)
		bh_buf_printf(&n->b, "%s%s/%s", n->n > 1 ? ", " : "", w->namespace, w->name);
}

static const char *names_text(struct names *n)
{
	if (n->n > NAMED_MAX)
		bh_buf_printf(&n->b, " and %zu more", n->n - NAMED_MAX);
	return n->b.s;
}

static bool selected(const struct bh_engine *e, size_t i)
{
	return bh_engine_isolated(e, i, BH_INGRESS) || bh_engine_isolated(e, i, BH_EGRESS);
}

/* meant: somebody believes that it is isolated, and it is not. */
static void out_of_reach(const struct bh_engine *e, bool meant, json_t *checks)
{
	const struct bh_inventory *inv = bh_engine_inventory(e);
	size_t n = 0;
	for (size_t i = 0; i < inv->n; i++) {
		const struct bh_workload *w = inv->workload[i];
		if (!w->unenforceable || selected(e, i) != meant || n++ >= NAMED_MAX)
			continue;
		bh_finding(checks, "reach", meant ? BH_HEALTH_FAIL : BH_HEALTH_WARN,
			"give it a network of its own, on a bridge (not host, macvlan or ipvlan)",
			"%s/%s can't be governed: %s%s", w->namespace, w->name, w->unenforceable,
			meant ? "; policies select it, and do nothing" : "");
	}
	if (n > NAMED_MAX)
		bh_finding(checks, "reach", meant ? BH_HEALTH_FAIL : BH_HEALTH_WARN,
			"bulkhead ps: their column MODE", "and %zu more", n - NAMED_MAX);
}

static void workloads(struct bh_core *c, json_t *checks)
{
	const struct bh_engine *e = c->snap->engine;
	const struct bh_inventory *inv = bh_engine_inventory(e);
	struct names observed = {0}, open = {0};
	size_t enforced = 0, governed = 0;
	for (size_t i = 0; i < inv->n; i++) {
		const struct bh_workload *w = inv->workload[i];
		if (w->unenforceable)
			continue;
		governed++;
		if (w->mode != BH_MODE_ENFORCE)
			name_one(&observed, w);
		else if (!selected(e, i) && !c->conf->unselected_deny)
			name_one(&open, w);
		else
			enforced++;
	}
	out_of_reach(e, true, checks);
	out_of_reach(e, false, checks);
	if (observed.n)
		bh_finding(checks, "mode", BH_HEALTH_WARN,
			"bulkhead learn status; bulkhead policy plan --since 7d; bulkhead mode set "
			"enforce",
			"%zu of %zu workloads are in learn or audit: nothing is denied to %s",
			observed.n, governed, names_text(&observed));
	if (open.n)
		bh_finding(checks, "open", BH_HEALTH_WARN,
			"bulkhead learn export; or `unselected: deny` in the configuration",
			"%zu of %zu workloads are selected by no policy, and open: %s", open.n,
			governed, names_text(&open));
	if (!observed.n && !open.n)
		bh_finding(checks, "mode", BH_HEALTH_OK, NULL,
			"%zu workloads, all enforced and isolated", enforced);
	bh_buf_finish(&observed.b);
	bh_buf_finish(&open.b);
}

static void policies(struct bh_core *c, json_t *checks)
{
	json_t *list = bh_core_idle_policies(c), *o;
	size_t i;
	json_array_foreach(list, i, o) bh_finding(checks, "policies", BH_HEALTH_WARN,
		"bulkhead ps -o wide: the labels there are", "%s", json_string_value(o));
	if (i == 0 && c->policies->n)
		bh_finding(checks, "policies", BH_HEALTH_OK, NULL,
			"each of %zu policies selects somebody", c->policies->n);
	json_decref(list);
	if (!c->conf->host_policy)
		bh_finding(checks, "host", BH_HEALTH_WARN, "`host: policy` in the configuration",
			"host: allow: workloads reach every socket of the node, and by userland "
			"proxies (docker-proxy) ports of each other");
	else
		bh_finding(checks, "host", BH_HEALTH_OK, NULL,
			"host: policy: the node is an outside address to its workloads");
}

static void queues(struct bh_core *c, json_t *checks)
{
	const struct bh_nft_caps *caps = bh_nft_get_caps(c->nft);
	unsigned long long lost = 0;
	size_t bound = 0;
	if (!caps->native_queue && !caps->compat_queue) {
		bh_finding(checks, "queues", BH_HEALTH_WARN,
			"modprobe nft_queue || modprobe xt_NFQUEUE",
			"this kernel has neither nft_queue nor xt_NFQUEUE: denials are dropped and "
			"not recorded, nothing is learned");
		return;
	}
	for (int i = 0; i < BH_QUEUES; i++) {
		struct bh_queue_stats s;
		if (!c->queue[i])
			continue;
		bh_queue_get_stats(c->queue[i], &s);
		lost += s.kernel_dropped + s.lost_ids;
		bound++;
	}
	if (bound < BH_QUEUES && c->ready)
		bh_finding(checks, "queues", BH_HEALTH_FAIL,
			"set queue.base in the configuration and restart",
			"%zu of %d queues from %u on are the daemon's: another process has the "
			"others",
			bound, BH_QUEUES, c->conf->queue_base);
	else if (lost)
		bh_finding(checks, "queues", BH_HEALTH_WARN,
			"bulkhead flows: who floods; queue.length, pace.rate in the configuration",
			"%llu packets were decided without the daemon since its start: queues were "
			"full",
			lost);
	else if (c->ready)
		bh_finding(checks, "queues", BH_HEALTH_OK, NULL,
			"queues %u to %u (%s) are the daemon's, and nothing was lost",
			c->conf->queue_base, c->conf->queue_base + BH_QUEUES - 1,
			caps->native_queue ? "nft_queue" : "xt_NFQUEUE");
}

/* A program that was replaced on disk: what was mended in the new one is not in force. */
static void program(json_t *checks)
{
	char path[4096];
	ssize_t n = readlink("/proc/self/exe", path, sizeof(path) - 1);
	path[n > 0 ? n : 0] = '\0';
	char *gone = strstr(path, " (deleted)");
	if (gone)
		*gone = '\0';
	if (gone && bh_streq(gone + 1, "(deleted)"))
		bh_finding(checks, "daemon", BH_HEALTH_WARN,
			"systemctl restart bulkhead: rules stay",
			"bulkheadd " BH_VERSION " runs, and %s was replaced or removed since",
			path);
	else
		bh_finding(checks, "daemon", BH_HEALTH_OK, NULL,
			"bulkheadd " BH_VERSION " answers, pid %d", (int)getpid());
}

static void problems(struct bh_core *c, json_t *checks)
{
	struct bh_answer status = bh_core_status(c);
	const json_t *list = json_object_get(status.json, "problems"), *o;
	size_t i;
	json_array_foreach(list, i, o)
	{
		const char *text = json_string_value(o);
		if (text && !said_elsewhere(text))
			bh_finding(checks, "status", BH_HEALTH_WARN, NULL, "%s", text);
	}
	json_decref(status.json);
}

struct bh_answer bh_core_doctor(struct bh_core *c)
{
	json_t *checks = json_array();
	const struct bh_doctor d = {
		.nft = c->nft,
		.link = c->link,
		.conf = c->conf,
		.conf_file = c->conf_file,
		.inv = c->snap ? bh_engine_inventory(c->snap->engine) : NULL,
		.rules = c->installed,
		.whole = true,
		.daemon = true,
	};
	program(checks);
	in_force(c, checks);
	if (c->snap)
		workloads(c, checks);
	if (c->snap)
		policies(c, checks);
	queues(c, checks);
	bh_doctor_node(&d, checks);
	problems(c, checks);
	return bh_answer_json(200, json_pack("{s:s, s:o}", "node", c->node, "checks", checks));
}
