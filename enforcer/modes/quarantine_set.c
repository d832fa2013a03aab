/* SPDX-License-Identifier: GPL-3.0-or-later */
/* POST and DELETE /v1/quarantine: one entry comes, or some go. */
#include <errno.h>

#include "answer/actor.h"
#include "answer/answer.h"
#include "answer/clock.h"
#include "audit/audit.h"
#include "core/core.h"
#include "core/reconcile.h"
#include "core/state.h"
#include "history/resolve.h"
#include "inventory/inventory.h"
#include "modes/quarantine.h"
#include "revoke/revoke.h"
#include "store/store.h"

#define ALLOW_MAX 64 /* entries of one workload: a list of exceptions, not a policy */
#define REASON_MAX 1000 /* bytes */

struct change {
	bool *goes; /* by index in c->quarantine */
	size_t n_goes;
	const struct bh_quarantine_row *comes; /* NULL: none */
};

static void mark(struct change *ch, size_t i)
{
	ch->n_goes += !ch->goes[i];
	ch->goes[i] = true;
}

static void mark_those_of(struct bh_core *c, const struct bh_workload *w, struct change *ch)
{
	for (size_t i = 0; i < c->n_quarantines; i++)
		if (bh_core_quarantine_match(&c->quarantine[i], w))
			mark(ch, i);
}

static int store(struct bh_core *c, const struct change *ch)
{
	int r = 0;
	/* What others have put and cannot be written is not to fail us, nor to be lost with us. */
	bh_store_commit(c->store);
	for (size_t i = 0; i < c->n_quarantines && r == 0; i++)
		if (ch->goes[i])
			r = bh_store_drop_quarantine(
				c->store, c->quarantine[i].namespace, c->quarantine[i].name);
	if (r == 0 && ch->comes)
		r = bh_store_put_quarantine(c->store, ch->comes);
	int done = bh_store_commit(c->store);
	return r < 0 ? r : done;
}

static void take_over(struct bh_core *c, const struct change *ch)
{
	size_t n = 0;
	for (size_t i = 0; i < c->n_quarantines; i++) {
		if (ch->goes[i])
			bh_quarantine_row_finish(&c->quarantine[i]);
		else
			c->quarantine[n++] = c->quarantine[i];
	}
	c->n_quarantines = n;
	if (ch->comes)
		bh_quarantine_keep(c, ch->comes);
}

/* On disk, then on record, then in the kernel, then established flows. True, or the answer is an
 * error. *ret_cut: connections cut, −errno if they could not be looked at. */
static bool put_in_force(struct bh_core *c, const struct change *ch, const char *action,
	const struct bh_core_actor *who, json_t *details, int *ret_cut, struct bh_answer *ret)
{
	struct bh_audit_actor actor = bh_core_audit_actor(who);
	int r = store(c, ch);
	if (r < 0) {
		bh_audit_event(
			c->audit, action, "failure", bh_store_message(c->store), &actor, details);
		*ret = bh_answer_error(507, NULL, "nothing was changed: %s/bulkhead.db: %s",
			c->conf->state, bh_store_message(c->store));
		return false;
	}
	take_over(c, ch);
	bh_audit_event(c->audit, action, "success", NULL, &actor, details);
	bh_inventory_mgr_settings_changed(c->inventory);
	r = bh_core_reconcile(c);
	if (r < 0) {
		*ret = bh_answer_error(503, NULL,
			"the quarantine is stored, but the kernel refused the new rules: %s; the "
			"old ones stay in force and the daemon goes on trying",
			c->commit_error ? c->commit_error : strerror(-r));
		return false;
	}
	*ret_cut = bh_core_revoke_now(c);
	return true;
}

/* --- add --- */

static struct bh_quarantine *read_allow(const json_t *list, struct bh_answer *ret_error)
{
	struct bh_quarantine *q = bh_quarantine_new();
	const json_t *item;
	size_t i;

	if ((list && !json_is_null(list) && !json_is_array(list)) ||
		json_array_size(list) > ALLOW_MAX) {
		*ret_error = bh_answer_error(400, NULL,
			"allow must be a list of CIDR:PORT/proto, of %d at most", ALLOW_MAX);
		goto fail;
	}
	json_array_foreach(list, i, item)
	{
		const char *text = json_string_value(item), *why = "not a text";
		if (text && bh_quarantine_allow(q, text, &why) == 0)
			continue;
		char bh_autofree *shown = bh_diag_quote(text ? text : "", strlen(text ? text : ""));
		*ret_error = bh_answer_error(400, NULL, "allow \"%s\": %s", shown, why);
		goto fail;
	}
	return q;
fail:
	bh_quarantine_unref(q);
	return NULL;
}

static struct bh_workload *find_workload(
	struct bh_core *c, const char *what, struct bh_answer *ret_error)
{
	int w = bh_core_resolve(c, what, false, ret_error);
	return w >= 0 ? bh_engine_inventory(c->snap->engine)->workload[w] : NULL;
}

static json_t *row_details(const struct bh_quarantine_row *q)
{
	char bh_autofree *workload = bh_xasprintf("%s/%s", q->namespace, q->name);
	return json_pack("{s:s, s:s, s:s, s:o}", "workload", workload, "id", q->id, "reason",
		q->reason, "allow", bh_core_allow_json(q->allow));
}

static struct bh_answer answer(struct bh_core *c, int cut, const char *warning)
{
	struct bh_answer a = bh_core_quarantine(c);
	json_object_set_new(a.json, "connections_cut", json_integer(cut > 0 ? cut : 0));
	if (cut < 0)
		json_object_set_new(a.json, "warning",
			json_sprintf("new flows are decided anew, but established ones could not "
				     "be looked at: %s",
				strerror(-cut)));
	else if (warning)
		json_object_set_new(a.json, "warning", json_string(warning));
	return a;
}

static struct bh_answer add(struct bh_core *c, const struct bh_workload *w,
	const struct bh_quarantine_row *row, const struct bh_core_actor *who)
{
	bool bh_autofree *goes = bh_xcalloc(c->n_quarantines + 1, sizeof(*goes));
	struct change ch = {.goes = goes, .comes = row};
	char bh_autofree *warning = w->unenforceable
					    ? bh_xasprintf("a part of %s/%s is out of reach: %s",
						      w->namespace, w->name, w->unenforceable)
					    : NULL;
	struct bh_answer error;
	int cut = 0;

	mark_those_of(c, w, &ch);
	json_t *details = row_details(row);
	json_object_set_new(details, "replaced", json_boolean(ch.n_goes > 0));
	if (!put_in_force(c, &ch, "quarantine.add", who, details, &cut, &error))
		return error;
	return answer(c, cut, warning);
}

struct bh_answer bh_core_quarantine_add(
	struct bh_core *c, const json_t *body, const struct bh_core_actor *who)
{
	const char *what = json_string_value(json_object_get(body, "workload"));
	const json_t *why = json_object_get(body, "reason");
	const char *reason = json_string_value(why);
	struct bh_answer error = {0};

	if (!what || !*what)
		return bh_answer_error(400, NULL, "workload must name a workload");
	if ((why && !json_is_null(why) && !reason) || (reason && strlen(reason) > REASON_MAX))
		return bh_answer_error(
			400, NULL, "reason must be a text of at most %d bytes", REASON_MAX);
	struct bh_workload *w = find_workload(c, what, &error);
	if (!w)
		return error;
	if (!bh_workload_governable(w))
		return bh_answer_error(409, NULL,
			"%s/%s cannot be cut off, its traffic does not pass our rules: %s; stop it "
			"instead",
			w->namespace, w->name, w->unenforceable ? w->unenforceable : "no veth");
	struct bh_quarantine *allow = read_allow(json_object_get(body, "allow"), &error);
	if (!allow)
		return error;
	bh_workload_ref(w); /* the inventory that has it is about to be replaced */
	struct bh_quarantine_row row = {
		.namespace = w->namespace,
		.name = w->name,
		.id = w->id,
		.allow = allow,
		.reason = (char *)(reason ? reason : ""),
		.at = bh_clock_now(),
		.uid = who->uid,
		.pid = who->pid,
	};
	struct bh_answer a = add(c, w, &row, who);
	bh_workload_unref(w);
	bh_quarantine_unref(allow);
	return a;
}

/* --- rm --- */

/* Entries that the word names themselves: their workloads need not be there. */
static size_t named(struct bh_core *c, const char *what, struct change *ch, struct bh_buf *names)
{
	for (size_t i = 0; i < c->n_quarantines; i++) {
		const struct bh_quarantine_row *q = &c->quarantine[i];
		char bh_autofree *full = bh_xasprintf("%s/%s", q->namespace, q->name);
		bool id = strlen(what) >= 4 && strncmp(q->id, what, strlen(what)) == 0;
		if (!id && !bh_streq(what, full) && !bh_streq(what, q->name))
			continue;
		mark(ch, i);
		bh_buf_printf(names, "%s%s", names->len ? ", " : "", full);
	}
	return ch->n_goes;
}

static json_t *removed_details(const struct bh_core *c, const struct change *ch)
{
	json_t *list = json_array();
	for (size_t i = 0; i < c->n_quarantines; i++)
		if (ch->goes[i])
			json_array_append_new(list, row_details(&c->quarantine[i]));
	return json_pack("{s:o}", "removed", list);
}

static void choose(struct bh_core *c, const char *what, struct change *ch, struct bh_answer *error)
{
	struct bh_buf bh_autobuf names = {0};
	struct bh_answer ignored = {0};
	if (named(c, what, ch, &names) > 1) {
		*error = bh_answer_error(409, NULL, "%s means several: %s", what, names.s);
		return;
	}
	struct bh_workload *w = find_workload(c, what, &ignored);
	if (w)
		mark_those_of(c, w, ch);
	json_decref(ignored.json);
	if (ch->n_goes == 0)
		*error = bh_answer_error(404, NULL,
			"%s is not in quarantine; `bulkhead quarantine list` shows who is", what);
}

struct bh_answer bh_core_quarantine_rm(
	struct bh_core *c, const char *what, const struct bh_core_actor *who)
{
	bool bh_autofree *goes = bh_xcalloc(c->n_quarantines + 1, sizeof(*goes));
	struct change ch = {.goes = goes};
	struct bh_answer error = {0};
	int cut = 0;

	choose(c, what, &ch, &error);
	if (error.json)
		return error;
	json_t *details = removed_details(c, &ch);
	if (!put_in_force(c, &ch, "quarantine.rm", who, details, &cut, &error))
		return error;
	return answer(c, cut, NULL);
}
