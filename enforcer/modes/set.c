/* SPDX-License-Identifier: GPL-3.0-or-later */
/* GET, PUT and DELETE /v1/mode: what is set, by command and by the file, and setting it. */
#include <errno.h>

#include "answer/actor.h"
#include "answer/answer.h"
#include "answer/clock.h"
#include "audit/audit.h"
#include "core/core.h"
#include "core/reconcile.h"
#include "core/state.h"
#include "inventory/inventory.h"
#include "modes/modes.h"
#include "store/store.h"

#define OVERRIDES_MAX 256 /* each workload is compared with all of them */
#define FOR_MAX (366 * 86400) /* seconds */

static json_t *override_json(const struct bh_mode_override *o)
{
	json_t *j = json_pack("{s:s?, s:s, s:s}", "namespace", o->namespace, "mode",
		bh_mode_name(o->row.mode), "set_by", "command");
	if (o->has_selector) {
		struct bh_buf bh_autobuf sel = {0};
		bh_selector_format(&o->selector, &sel);
		json_object_set_new(j, "selector", json_string(sel.s));
	}
	json_object_set_new(j, "until", bh_clock_json(o->row.until));
	json_object_set_new(
		j, "then", o->row.has_back ? json_string(bh_mode_name(o->row.back)) : json_null());
	return j;
}

static void add_configured(const struct bh_core *c, json_t *namespaces, json_t *selectors)
{
	for (size_t i = 0; i < c->conf->n_modes; i++) {
		const struct bh_mode_rule *r = &c->conf->modes[i];
		struct bh_buf bh_autobuf sel = {0};
		if (!r->has_selector && bh_core_mode_find(c, r->namespace ? r->namespace : ""))
			continue;
		json_t *j = json_pack("{s:s?, s:s, s:s, s:n, s:n}", "namespace", r->namespace,
			"mode", bh_mode_name(r->mode), "set_by", "configuration", "until", "then");
		if (r->has_selector) {
			bh_selector_format(&r->selector, &sel);
			json_object_set_new(j, "selector", json_string(sel.s));
		}
		json_array_append_new(r->has_selector ? selectors : namespaces, j);
	}
}

struct bh_answer bh_core_mode(struct bh_core *c)
{
	json_t *namespaces = json_array(), *selectors = json_array();
	const struct bh_mode_override *node = bh_core_mode_find(c, "");

	for (size_t i = 0; i < c->n_overrides; i++)
		if (&c->override[i] != node)
			json_array_append_new(c->override[i].has_selector ? selectors : namespaces,
				override_json(&c->override[i]));
	add_configured(c, namespaces, selectors);
	json_t *o = json_pack("{s:s, s:s, s:s, s:o, s:o}", "mode",
		bh_mode_name(bh_core_node_mode(c)), "set_by", node ? "command" : "configuration",
		"configured", bh_mode_name(c->conf->mode), "namespaces", namespaces, "selectors",
		selectors);
	json_object_set_new(o, "until", bh_clock_json(node ? node->row.until : 0));
	json_object_set_new(o, "then",
		node && node->row.has_back ? json_string(bh_mode_name(node->row.back))
					   : json_null());
	return bh_answer_json(200, o);
}

/* Whom it is for, as the store names it; owned. False: the answer is an error. */
static bool read_scope(
	const char *ns, const char *selector, char **ret_scope, struct bh_answer *ret_error)
{
	struct bh_selector sel = {0};
	struct bh_buf bh_autobuf text = {0};
	const char *why = ns ? bh_label_value_check(ns) : NULL;

	if (ns && (!*ns || why)) {
		*ret_error = bh_answer_error(400, NULL, "namespace: %s",
			why ? why : "must be a name, or absent for the node");
		return false;
	}
	if (selector && bh_selector_parse(selector, &sel, &why) < 0) {
		*ret_error = bh_answer_error(
			400, NULL, "selector: %s; write it as \"app=web,tier in (db,cache)\"", why);
		return false;
	}
	bh_buf_str(&text, ns ? ns : "");
	if (selector) {
		bh_buf_str(&text, "?");
		bh_selector_format(&sel, &text);
	}
	bh_selector_finish(&sel);
	*ret_scope = bh_buf_take(&text);
	return true;
}

static size_t count_meant(const struct bh_core *c, const char *ns, const char *selector)
{
	const struct bh_inventory *inv = c->snap ? bh_engine_inventory(c->snap->engine) : NULL;
	struct bh_selector sel = {0};
	const char *why;
	size_t n = 0;
	if (selector)
		bh_selector_parse(selector, &sel, &why);
	for (size_t i = 0; inv && i < inv->n; i++)
		n += (!ns || bh_streq(ns, inv->workload[i]->namespace)) &&
		     bh_selector_matches(&sel, &inv->workload[i]->labels);
	bh_selector_finish(&sel);
	return n;
}

static struct bh_answer not_stored(struct bh_core *c)
{
	return bh_answer_error(507, NULL, "the mode was not changed: %s/bulkhead.db: %s",
		c->conf->state, bh_store_message(c->store));
}

/* After the override has changed: on record, and in the kernel. */
static struct bh_answer put_in_force(
	struct bh_core *c, const struct bh_core_actor *who, json_t *details)
{
	struct bh_audit_actor actor = bh_core_audit_actor(who);
	bh_inventory_mgr_settings_changed(c->inventory);
	bh_audit_event(c->audit, "mode.change", "success", NULL, &actor, details);
	int r = bh_core_reconcile(c);
	if (r < 0)
		return bh_answer_error(503, NULL,
			"the mode is stored, but the kernel refused the new rules: %s; the old "
			"ones stay in force and the daemon goes on trying",
			c->commit_error ? c->commit_error : strerror(-r));
	return bh_core_mode(c);
}

struct wanted {
	const char *ns, *selector;
	enum bh_mode mode;
	int64_t seconds; /* 0: for good */
};

static bool text_or_null(const json_t *body, const char *key, const char **ret)
{
	const json_t *v = json_object_get(body, key);
	*ret = json_string_value(v);
	return !v || json_is_null(v) || *ret;
}

static bool read_wanted(const json_t *body, struct wanted *w, struct bh_answer *ret_error)
{
	const char *mode = json_string_value(json_object_get(body, "mode"));
	const json_t *seconds = json_object_get(body, "for");

	if (!mode || bh_mode_parse(mode, &w->mode) < 0)
		*ret_error = bh_answer_error(400, NULL, "mode must be learn, audit or enforce");
	else if (!text_or_null(body, "namespace", &w->ns))
		*ret_error = bh_answer_error(
			400, NULL, "namespace must be a name, or null for the node");
	else if (!text_or_null(body, "selector", &w->selector))
		*ret_error = bh_answer_error(400, NULL, "selector must be a text, or null");
	else if (seconds && !json_is_null(seconds) &&
		 (!json_is_integer(seconds) || json_integer_value(seconds) < 1 ||
			 json_integer_value(seconds) > FOR_MAX))
		*ret_error = bh_answer_error(
			400, NULL, "for must be a number of seconds from 1 to %d", FOR_MAX);
	else {
		w->seconds = json_integer_value(seconds);
		return true;
	}
	return false;
}

/* What comes after a mode for a time: what was set for good before, at most. */
static void set_back(const struct bh_mode_override *before, struct bh_mode_row *row)
{
	if (!before)
		return;
	row->has_back = before->row.until ? before->row.has_back : true;
	row->back = before->row.until ? before->row.back : before->row.mode;
}

static json_t *change_json(const struct bh_core *c, const struct wanted *w, const char *from,
	const struct bh_mode_row *row)
{
	json_t *o = json_pack("{s:s?, s:s?, s:s?, s:s?}", "namespace", w->ns, "selector",
		w->selector, "from", from, "to", row ? bh_mode_name(row->mode) : NULL);
	if (row && row->until)
		json_object_set_new(o, "until", bh_clock_json(row->until));
	if (!row)
		json_object_set_new(o, "configured", json_string(bh_mode_name(c->conf->mode)));
	return o;
}

/* Later than all that are set: the last one set wins, also if the clock is behind since a boot. */
static int64_t latest(const struct bh_core *c, int64_t now)
{
	for (size_t i = 0; i < c->n_overrides; i++)
		if (c->override[i].row.set_at >= now)
			now = c->override[i].row.set_at + 1;
	return now;
}

struct bh_answer bh_core_mode_set(
	struct bh_core *c, const json_t *body, const struct bh_core_actor *who)
{
	struct wanted w = {0};
	struct bh_answer error = {0};
	char bh_autofree *scope = NULL;

	if (!read_wanted(body, &w, &error) || !read_scope(w.ns, w.selector, &scope, &error))
		return error;
	bh_core_clock_look(c);
	const struct bh_mode_override *before = bh_core_mode_find(c, scope);
	if (!before && c->n_overrides >= OVERRIDES_MAX)
		return bh_answer_error(409, NULL,
			"%d modes are set already: remove some with `bulkhead mode clear`",
			OVERRIDES_MAX);
	int64_t now = bh_clock_now();
	struct bh_mode_row row = {
		.scope = scope,
		.mode = w.mode,
		.set_at = latest(c, now),
		.uid = who->uid,
	};
	if (w.seconds) {
		row.until = now + w.seconds * 1000000;
		set_back(before, &row);
	}
	const char *from = before        ? bh_mode_name(before->row.mode)
			   : !*scope     ? bh_mode_name(c->conf->mode)
			   : !w.selector ? bh_mode_name(bh_core_node_mode(c))
					 : NULL;
	int r = bh_store_put_mode(c->store, &row);
	int done = bh_store_commit(c->store);
	if (r < 0 || done < 0)
		return not_stored(c);
	bh_core_mode_keep(c, &row);
	struct bh_answer a = put_in_force(c, who, change_json(c, &w, from, &row));
	if (a.status == 200 && *scope && count_meant(c, w.ns, w.selector) == 0)
		json_object_set_new(a.json, "warning",
			json_sprintf("no workload is %s%s%s now; the mode waits for one",
				w.selector ? "meant by that selector" : "in namespace ",
				w.selector ? "" : w.ns, w.selector && w.ns ? " there" : ""));
	return a;
}

struct bh_answer bh_core_mode_clear(
	struct bh_core *c, const char *ns, const char *selector, const struct bh_core_actor *who)
{
	struct wanted w = {.ns = ns, .selector = selector};
	struct bh_answer error = {0};
	char bh_autofree *scope = NULL;

	if (!read_scope(ns, selector, &scope, &error))
		return error;
	struct bh_mode_override *o = bh_core_mode_find(c, scope);
	if (!o)
		return bh_answer_error(404, NULL,
			"no mode was set by command for that; `bulkhead mode get` lists what was");
	int r = bh_store_drop_mode(c->store, scope);
	int done = bh_store_commit(c->store);
	if (r < 0 || done < 0)
		return not_stored(c);
	json_t *details = change_json(c, &w, bh_mode_name(o->row.mode), NULL);
	bh_core_mode_drop(c, o);
	return put_in_force(c, who, details);
}
