/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Which mode a workload is in. The more particular wins, and what a command set wins over what the
 * file says: mode set for its namespace, then the file's `modes` in order, then mode set for the
 * node, then the file's `mode`.
 */
#include <errno.h>

#include "core/private.h"

static const struct bh_mode_override *find(const struct bh_core *c, const char *scope)
{
	for (size_t i = 0; i < c->n_overrides; i++)
		if (bh_streq(c->override[i].scope, scope))
			return &c->override[i];
	return NULL;
}

static void set(struct bh_core *c, const char *scope, enum bh_mode mode, int64_t at, uint32_t uid)
{
	struct bh_mode_override *o = (struct bh_mode_override *)find(c, scope);
	if (!o) {
		c->override = bh_xrealloc(c->override, c->n_overrides + 1, sizeof(*c->override));
		o = &c->override[c->n_overrides++];
		o->scope = bh_xstrdup(scope);
	}
	o->mode = mode;
	o->set_at = at;
	o->uid = uid;
}

static void load_one(const struct bh_mode_row *r, void *arg)
{
	set(arg, r->scope, r->mode, r->set_at, r->uid);
}

void bh_core_modes_load(struct bh_core *c)
{
	bh_store_load_modes(c->store, load_one, c);
}

enum bh_mode bh_core_node_mode(const struct bh_core *c)
{
	const struct bh_mode_override *o = find(c, "");
	return o ? o->mode : c->conf->mode;
}

enum bh_mode bh_core_mode_of(const struct bh_core *c, const struct bh_workload *w)
{
	const struct bh_mode_override *o = find(c, w->namespace);
	if (o)
		return o->mode;
	for (size_t i = 0; i < c->conf->n_modes; i++) {
		const struct bh_mode_rule *r = &c->conf->modes[i];
		if (r->namespace && !bh_streq(r->namespace, w->namespace))
			continue;
		if (r->has_selector && !bh_selector_matches(&r->selector, &w->labels))
			continue;
		return r->mode;
	}
	return bh_core_node_mode(c);
}

struct bh_answer bh_core_mode(struct bh_core *c)
{
	json_t *namespaces = json_array(), *selectors = json_array();
	for (size_t i = 0; i < c->n_overrides; i++)
		if (c->override[i].scope[0])
			json_array_append_new(namespaces,
				json_pack("{s:s, s:s, s:s}", "namespace", c->override[i].scope,
					"mode", bh_mode_name(c->override[i].mode), "set_by",
					"command"));
	for (size_t i = 0; i < c->conf->n_modes; i++) {
		const struct bh_mode_rule *r = &c->conf->modes[i];
		struct bh_buf bh_autobuf sel = {0};
		if (!r->has_selector) {
			if (!find(c, r->namespace))
				json_array_append_new(namespaces,
					json_pack("{s:s, s:s, s:s}", "namespace", r->namespace,
						"mode", bh_mode_name(r->mode), "set_by",
						"configuration"));
			continue;
		}
		bh_selector_format(&r->selector, &sel);
		json_array_append_new(
			selectors, json_pack("{s:s?, s:s, s:s}", "namespace", r->namespace,
					   "selector", sel.s, "mode", bh_mode_name(r->mode)));
	}
	return bh_answer_json(200,
		json_pack("{s:s, s:s, s:s, s:o, s:o}", "mode", bh_mode_name(bh_core_node_mode(c)),
			"set_by", find(c, "") ? "command" : "configuration", "configured",
			bh_mode_name(c->conf->mode), "namespaces", namespaces, "selectors",
			selectors));
}

static bool namespace_known(const struct bh_core *c, const char *ns)
{
	return c->snap && bh_inventory_namespace(bh_engine_inventory(c->snap->engine), ns);
}

struct bh_answer bh_core_mode_set(
	struct bh_core *c, const json_t *body, const struct bh_core_actor *who)
{
	const char *mode_text = json_string_value(json_object_get(body, "mode"));
	const json_t *ns_json = json_object_get(body, "namespace");
	const char *ns = json_string_value(ns_json);
	enum bh_mode mode;

	if (!mode_text || bh_mode_parse(mode_text, &mode) < 0)
		return bh_answer_error(400, NULL, "mode must be learn, audit or enforce");
	if (ns_json && !json_is_null(ns_json) && (!ns || !*ns))
		return bh_answer_error(400, NULL, "namespace must be a name, or null for the node");
	if (ns && bh_label_value_check(ns))
		return bh_answer_error(400, NULL, "namespace: %s", bh_label_value_check(ns));
	const struct bh_mode_override *before = find(c, ns ? ns : "");
	enum bh_mode old = before ? before->mode : bh_core_node_mode(c);
	struct bh_mode_row row = {
		.scope = (char *)(ns ? ns : ""),
		.mode = mode,
		.set_at = bh_core_now(),
		.uid = who->uid,
	};
	int r = bh_store_put_mode(c->store, &row);
	if (r == 0)
		r = bh_store_commit(c->store);
	if (r < 0)
		return bh_answer_error(507, NULL, "the mode was not changed: %s/bulkhead.db: %s",
			c->conf->state, bh_store_message(c->store));
	set(c, row.scope, mode, row.set_at, who->uid);
	bh_inventory_mgr_settings_changed(c->inventory);
	struct bh_audit_actor actor = bh_core_audit_actor(who);
	bh_audit_event(c->audit, "mode.change", "success", NULL, &actor,
		json_pack("{s:s?, s:s, s:s}", "namespace", ns, "from", bh_mode_name(old), "to",
			bh_mode_name(mode)));
	r = bh_core_reconcile(c);
	if (r < 0)
		return bh_answer_error(503, NULL,
			"the mode is stored, but the kernel refused the new rules: %s; the old "
			"ones stay "
			"in force and the daemon goes on trying",
			c->commit_error ? c->commit_error : strerror(-r));
	struct bh_answer answer = bh_core_mode(c);
	if (ns && !namespace_known(c, ns))
		json_object_set_new(answer.json, "warning",
			json_sprintf(
				"no workload is in namespace %s now; the mode waits for one", ns));
	return answer;
}
