/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Which mode a workload is in. The more particular wins, and what a command set wins over what the
 * file says: a mode set for a selector (inside a namespace before one without; of several the one
 * set last), then one set for the workload's namespace, then the file's `modes` in order, then one
 * set for the node, then the file's `mode`.
 *
 * A mode that was set for a time ends by the loop's clock, so that setting the wall clock does not
 * change how long it is; what is on disk is a wall-clock time, so that it ends while no daemon
 * runs, and is moved with that clock (core/pulse.h).
 */
#include "modes/modes.h"

#include "answer/clock.h"
#include "audit/audit.h"
#include "core/reconcile.h"
#include "core/state.h"
#include "inventory/inventory.h"

struct bh_mode_override *bh_core_mode_find(const struct bh_core *c, const char *scope)
{
	for (size_t i = 0; i < c->n_overrides; i++)
		if (bh_streq(c->override[i].row.scope, scope))
			return &c->override[i];
	return NULL;
}

static void finish(struct bh_mode_override *o)
{
	free(o->row.scope);
	free(o->namespace);
	bh_selector_finish(&o->selector);
}

void bh_core_mode_drop(struct bh_core *c, struct bh_mode_override *o)
{
	size_t at = (size_t)(o - c->override);
	finish(o);
	memmove(o, o + 1, (--c->n_overrides - at) * sizeof(*o));
}

static uint64_t end_of(const struct bh_core *c, const struct bh_mode_row *r)
{
	int64_t left = r->until - bh_clock_now(), whole = r->until - r->set_at;
	if (!r->until)
		return 0;
	if (whole > 0 && left > whole)
		left = whole; /* the clock was set back before this boot */
	return uv_now(c->loop) + (left > 0 ? (uint64_t)left / 1000 : 0) + 1;
}

void bh_core_mode_keep(struct bh_core *c, const struct bh_mode_row *r)
{
	struct bh_mode_override o = {.row = *r, .ends = end_of(c, r)};
	const char *mark = strchr(r->scope, '?'), *why;
	size_t ns = mark ? (size_t)(mark - r->scope) : strlen(r->scope);

	if (mark && bh_selector_parse(mark + 1, &o.selector, &why) < 0)
		return; /* only a row that somebody edited */
	o.has_selector = mark != NULL;
	o.row.scope = bh_xstrdup(r->scope);
	o.namespace = ns ? bh_xstrndup(r->scope, ns) : NULL;
	struct bh_mode_override *have = bh_core_mode_find(c, r->scope);
	if (!have) {
		c->override = bh_xrealloc(c->override, c->n_overrides + 1, sizeof(*c->override));
		have = &c->override[c->n_overrides++];
	} else {
		finish(have);
	}
	*have = o;
}

static void load_one(const struct bh_mode_row *r, void *arg)
{
	bh_core_mode_keep(arg, r);
}

/* One whose time is over: on disk if that is possible, and in any case from now on. A row that
 * stays on disk is over at the next start too. */
static void end_one(struct bh_core *c, struct bh_mode_override *o)
{
	struct bh_mode_row was = o->row, back = o->row;
	char bh_autofree *scope = bh_xstrdup(was.scope);
	was.scope = back.scope = scope;
	back.mode = was.back;
	back.until = 0;
	back.has_back = false;
	if (was.has_back)
		bh_store_put_mode(c->store, &back);
	else
		bh_store_drop_mode(c->store, scope);
	bh_store_commit(c->store);
	if (was.has_back)
		bh_core_mode_keep(c, &back);
	else
		bh_core_mode_drop(c, o);
	bh_audit_event(c->audit, "mode.change", "success", "the time that it was set for is over",
		NULL,
		json_pack("{s:s, s:s, s:s?, s:s}", "scope", *scope ? scope : "node", "from",
			bh_mode_name(was.mode), "to", was.has_back ? bh_mode_name(was.back) : NULL,
			"cause", "deadline"));
}

void bh_core_modes_shift(struct bh_core *c, int64_t step)
{
	for (size_t i = 0; i < c->n_overrides; i++) {
		struct bh_mode_row *r = &c->override[i].row;
		r->set_at += step;
		r->until += r->until ? step : 0;
	}
}

void bh_core_modes_tick(struct bh_core *c)
{
	bool changed = false;
	for (size_t i = c->n_overrides; i-- > 0;) {
		if (!c->override[i].ends || uv_now(c->loop) < c->override[i].ends)
			continue;
		end_one(c, &c->override[i]);
		changed = true;
	}
	if (!changed)
		return;
	if (c->inventory)
		bh_inventory_mgr_settings_changed(c->inventory);
	bh_core_schedule(c);
}

void bh_core_modes_load(struct bh_core *c)
{
	bh_store_load_modes(c->store, load_one, c);
	int64_t now = bh_clock_now();
	/* Before anything is enforced: what ended while no daemon ran is over. */
	for (size_t i = c->n_overrides; i-- > 0;)
		if (c->override[i].row.until && c->override[i].row.until <= now)
			end_one(c, &c->override[i]);
}

void bh_core_modes_finish(struct bh_core *c)
{
	for (size_t i = 0; i < c->n_overrides; i++)
		finish(&c->override[i]);
	free(c->override);
}

enum bh_mode bh_core_node_mode(const struct bh_core *c)
{
	const struct bh_mode_override *o = bh_core_mode_find(c, "");
	return o ? o->row.mode : c->conf->mode;
}

static bool is_before(const struct bh_mode_override *a, const struct bh_mode_override *b)
{
	if (!a->namespace != !b->namespace)
		return a->namespace != NULL;
	if (a->row.set_at != b->row.set_at)
		return a->row.set_at > b->row.set_at;
	return strcmp(a->row.scope, b->row.scope) < 0;
}

/* Set by command for the workload, its namespace at least; NULL: nothing is. */
static const struct bh_mode_override *override_of(
	const struct bh_core *c, const struct bh_workload *w)
{
	const struct bh_mode_override *best = NULL;
	for (size_t i = 0; i < c->n_overrides; i++) {
		const struct bh_mode_override *o = &c->override[i];
		if (!o->has_selector || !bh_selector_matches(&o->selector, &w->labels) ||
			(o->namespace && !bh_streq(o->namespace, w->namespace)))
			continue;
		if (!best || is_before(o, best))
			best = o;
	}
	return best ? best : bh_core_mode_find(c, w->namespace);
}

static const struct bh_mode_rule *rule_of(const struct bh_core *c, const struct bh_workload *w)
{
	for (size_t i = 0; i < c->conf->n_modes; i++) {
		const struct bh_mode_rule *r = &c->conf->modes[i];
		if ((!r->namespace || bh_streq(r->namespace, w->namespace)) &&
			(!r->has_selector || bh_selector_matches(&r->selector, &w->labels)))
			return r;
	}
	return NULL;
}

enum bh_mode bh_core_mode_of(const struct bh_core *c, const struct bh_workload *w)
{
	const struct bh_mode_override *o = override_of(c, w);
	if (o)
		return o->row.mode;
	const struct bh_mode_rule *r = rule_of(c, w);
	return r ? r->mode : bh_core_node_mode(c);
}

static void put_scope(const char *namespace, const struct bh_selector *selector, struct bh_buf *out)
{
	if (selector) {
		bh_buf_str(out, "selector ");
		bh_selector_format(selector, out);
	}
	if (namespace)
		bh_buf_printf(out, "%snamespace %s", selector ? " in " : "", namespace);
	if (!selector && !namespace)
		bh_buf_str(out, "the node");
}

void bh_core_mode_origin(const struct bh_core *c, const struct bh_workload *w, struct bh_buf *out)
{
	const struct bh_mode_override *o = override_of(c, w);
	const struct bh_mode_rule *r = o ? NULL : rule_of(c, w);
	char until[32];

	if (!o && !r)
		o = bh_core_mode_find(c, "");
	bh_buf_str(out, o ? "set by command for " : "configured for ");
	if (o)
		put_scope(o->namespace, o->has_selector ? &o->selector : NULL, out);
	else if (r)
		put_scope(r->namespace, r->has_selector ? &r->selector : NULL, out);
	else
		bh_buf_str(out, "the node");
	if (!o || !o->row.until)
		return;
	bh_clock_text(o->row.until, until);
	bh_buf_printf(out, " until %.19sZ", until);
}
