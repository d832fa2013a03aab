/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * `policy rollback`: the directory becomes what it was when a version was in force, every file of
 * it, and that comes in force as a version of its own. Hand-written files are files like others
 * here; but what somebody changed in the directory and nobody has read yet is not overwritten
 * without --force.
 */
#include <errno.h>

#include "answer/answer.h"
#include "core/core.h"
#include "core/files.h"
#include "core/state.h"
#include "policies/confirm.h"
#include "policies/edits.h"
#include "policies/file_set.h"
#include "policies/policies.h"
#include "policies/versions.h"
#include "store/store.h"

struct rollback {
	uint64_t to;
	bool force;
	struct bh_file_set dir, target;
	struct bh_edits edits;
	struct bh_policy_set *set;
};

static void rollback_finish(struct rollback *r)
{
	bh_file_set_finish(&r->dir);
	bh_file_set_finish(&r->target);
	bh_edits_finish(&r->edits);
	bh_policy_set_unref(r->set);
}

static bool find_target(
	struct bh_core *c, const json_t *body, struct rollback *r, struct bh_answer *ret_error)
{
	const json_t *version = json_object_get(body, "version");
	const json_t *force = json_object_get(body, "force");
	struct bh_version v = {0};

	if (version && !json_is_null(version) &&
		(!json_is_integer(version) || json_integer_value(version) < 1)) {
		*ret_error = bh_answer_error(400, NULL,
			"version must be a number, or null for the one before what is in force");
		return false;
	}
	if (force && !json_is_boolean(force)) {
		*ret_error = bh_answer_error(400, NULL, "force must be true or false");
		return false;
	}
	r->force = json_is_true(force);
	r->to = json_is_integer(version) ? (uint64_t)json_integer_value(version)
		: c->generation          ? c->generation - 1
					 : 0;
	if (r->to == 0 || r->to > c->generation || bh_store_get_version(c->store, r->to, &v) < 0) {
		*ret_error =
			json_is_integer(version)
				? bh_answer_error(404, NULL,
					  "there is no version %llu; `bulkhead policy history` "
					  "lists those that are",
					  (unsigned long long)r->to)
				: bh_answer_error(
					  409, NULL, "there is no version before the one in force");
		return false;
	}
	bh_version_finish(&v);
	return true;
}

/* The first file that is not as it was when what is in force was read. */
static const char *changed_file(const struct bh_file_set *dir, const struct bh_file_set *known)
{
	for (size_t i = 0; i < dir->n; i++) {
		const struct bh_policy_source *d = &dir->src[i];
		const struct bh_policy_source *k = bh_file_set_find(known, d->file);
		if (!k || k->len != d->len || memcmp(k->text, d->text, d->len) != 0)
			return d->file;
	}
	for (size_t i = 0; i < known->n; i++)
		if (!bh_file_set_find(dir, known->src[i].file))
			return known->src[i].file;
	return NULL;
}

static bool check_directory(struct bh_core *c, struct rollback *r, struct bh_answer *ret_error)
{
	char bh_autofree *where = NULL;
	struct bh_file_set known = {0};

	if (bh_core_version_unfinished(c, &where)) {
		*ret_error = bh_answer_error(507, NULL, "%s; nothing was changed", where);
		return false;
	}
	int e = bh_file_set_read(c->conf->policies, &r->dir, &where);
	if (e == -ENOENT)
		e = bh_file_mkdirs(c->conf->policies, 0755);
	if (e < 0) {
		*ret_error = bh_answer_error(500, NULL, "%s: %s; nothing was changed",
			where ? where : c->conf->policies, strerror(-e));
		return false;
	}
	if (r->force)
		return true;
	e = bh_core_version_files(c, c->generation, &known);
	const char *changed = e == 0 ? changed_file(&r->dir, &known) : NULL;
	if (e < 0)
		*ret_error = bh_answer_error(500, NULL, "%s/bulkhead.db: %s", c->conf->state,
			bh_store_message(c->store));
	else if (changed)
		*ret_error = bh_answer_error(409, NULL,
			"%s is not as it was when version %llu came in force: mend or apply it "
			"first, or give --force to overwrite it; nothing was changed",
			changed, (unsigned long long)c->generation);
	bh_file_set_finish(&known);
	return e == 0 && !changed;
}

static bool load_target(struct bh_core *c, struct rollback *r, struct bh_answer *ret_error)
{
	struct bh_diags bh_autodiags d = {0};
	struct bh_policy_parse_opts opts = bh_core_parse_opts(c);

	if (bh_core_version_files(c, r->to, &r->target) < 0) {
		*ret_error = bh_answer_error(500, NULL, "%s/bulkhead.db: %s", c->conf->state,
			bh_store_message(c->store));
		return false;
	}
	if (bh_policy_set_parse(r->target.src, r->target.n, &opts, &d, &r->set) < 0) {
		*ret_error = bh_answer_error(422, &d,
			"version %llu has errors by today's rules; nothing was changed",
			(unsigned long long)r->to);
		return false;
	}
	bh_edits_restore(&r->edits, &r->dir, &r->target);
	return true;
}

static json_t *files_json(const struct bh_edits *e)
{
	json_t *list = json_array();
	for (size_t i = 0; i < e->n; i++) {
		json_t *file = json_string(e->edit[i].path);
		json_array_append_new(list,
			json_pack("{s:o, s:s}", "file", file ? file : json_string("?"), "action",
				!e->edit[i].text     ? "removed"
				: e->edit[i].existed ? "changed"
						     : "created"));
	}
	return list;
}

static struct bh_answer carry_out(
	struct bh_core *c, struct rollback *r, struct bh_policy_change *change)
{
	uint64_t from = c->generation;
	char bh_autofree *comment = bh_xasprintf("to version %llu", (unsigned long long)r->to);
	char *why = NULL;

	if (!change->comment || !*change->comment)
		change->comment = comment;
	enum bh_install how = bh_core_policies_install(
		c, BH_TAKE_PTR(r->set), &r->target, &r->edits, change, &why);
	if (how != BH_INSTALLED)
		return bh_core_install_error(how, why);
	return bh_answer_json(200,
		json_pack("{s:I, s:s, s:I, s:I, s:b, s:o, s:o}", "generation",
			(json_int_t)c->generation, "sha256", c->sha256, "from", (json_int_t)from,
			"to", (json_int_t)r->to, "changed", c->generation != from, "files",
			files_json(&r->edits), "confirm", bh_core_confirm_json(c)));
}

struct bh_answer bh_core_policy_rollback(
	struct bh_core *c, const json_t *body, const struct bh_core_actor *who)
{
	struct rollback r = {0};
	struct bh_policy_change change = {.cause = "rollback", .who = who};
	struct bh_answer a = {0};

	if (!bh_core_confirm_pending(c, &a) && bh_core_change_options(body, &change, &a) &&
		find_target(c, body, &r, &a) && check_directory(c, &r, &a) &&
		load_target(c, &r, &a))
		a = carry_out(c, &r, &change);
	rollback_finish(&r);
	return a;
}
