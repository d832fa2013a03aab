/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Versions: each set of policies that came into force, with its files, who did it and why. The
 * version is on disk before anything else happens, with a mark that its files are being written: a
 * daemon that dies in between finishes the work at its next start.
 */
#include "policies/versions.h"

#include <errno.h>
#include <pwd.h>

#include "answer/answer.h"
#include "answer/clock.h"
#include "answer/digest.h"
#include "core/core.h"
#include "core/files.h"
#include "core/state.h"
#include "policies/confirm.h"
#include "policies/edits.h"
#include "policies/policies.h"
#include "store/store.h"

#define WRITING "policy_writing" /* the version whose files are being written; 0 = none is */
#define WRITING_ALL "policy_writing_all" /* 1: its files took the place of others of its own */

struct loading {
	const char *dir;
	struct bh_file_set *set;
};

static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');
	return slash ? slash + 1 : path;
}

static void keep_file(const struct bh_policy_source *s, void *arg)
{
	struct loading *l = arg;
	BH_GROW(l->set->src, l->set->n, l->set->cap);
	char *text = bh_xcalloc(s->len + 1, 1);
	memcpy(text, s->text, s->len);
	l->set->src[l->set->n++] = (struct bh_policy_source){
		bh_xasprintf("%s/%s", l->dir, base_name(s->file)), text, s->len};
}

int bh_core_version_files(struct bh_core *c, uint64_t number, struct bh_file_set *ret)
{
	struct bh_file_set set = {0};
	struct loading l = {c->conf->policies, &set};
	int r = bh_store_load_version_files(c->store, number, keep_file, &l);
	if (r < 0)
		bh_file_set_finish(&set);
	else
		*ret = set;
	return r;
}

static char *user_name(uint32_t uid)
{
	char buf[4096];
	struct passwd pw, *found = NULL;
	if (getpwuid_r(uid, &pw, buf, sizeof(buf), &found) == 0 && found && *pw.pw_name)
		return bh_xstrdup(pw.pw_name);
	return bh_xasprintf("%u", uid);
}

static int put_row(struct bh_core *c, const struct bh_policy_set *set, uint64_t number,
	const struct bh_policy_source *src, size_t n, const struct bh_policy_change *change)
{
	char sha[65];
	const struct bh_core_actor *who = change->who;
	bool directory = strncmp(change->cause, "confirm", 7) != 0;
	char bh_autofree *user =
		who ? user_name(who->uid) : bh_xstrdup(directory ? "directory" : "daemon");
	bh_digest_hex(set->sha256, sha);
	struct bh_version v = {
		.number = number,
		.sha256 = sha,
		.at = bh_clock_now(),
		.cause = (char *)change->cause,
		.user = user,
		.by_user = who != NULL,
		.uid = who ? who->uid : 0,
		.pid = who ? who->pid : 0,
		.comment = (char *)(change->comment ? change->comment : ""),
		.policies = set->n,
	};
	return bh_store_put_version(c->store, &v, src, n);
}

static int put_version(struct bh_core *c, const struct bh_policy_set *set,
	const struct bh_policy_source *src, size_t n, const struct bh_policy_change *change)
{
	uint64_t number = c->generation + 1;
	struct bh_confirm trial = {0};
	int r = put_row(c, set, number, src, n, change);
	if (r == 0)
		r = bh_store_put_u64(c->store, "policy_generation", number);
	if (change->confirm_s) {
		trial.version = number;
		trial.back = c->generation;
		trial.within = (int64_t)change->confirm_s * 1000000;
		trial.deadline = bh_clock_now() + trial.within;
	}
	return r < 0 ? r : bh_core_confirm_put(c, &trial);
}

/* r: of what was put. With it on disk nothing is left to be undone. */
static int written(struct bh_core *c, int r)
{
	int done = bh_store_commit(c->store);
	if (r == 0)
		r = done;
	if (r == 0) {
		c->version_undo = 0;
		c->version_undoing = c->version_writing = false;
	}
	return r;
}

int bh_core_version_record(struct bh_core *c, const struct bh_policy_set *set,
	const struct bh_file_set *files, const struct bh_edits *edits,
	const struct bh_policy_change *change, bool same)
{
	struct bh_policy_source bh_autofree *src = bh_xcalloc(files->n, sizeof(*src));
	for (size_t i = 0; i < files->n; i++) {
		src[i] = files->src[i];
		src[i].file = base_name(src[i].file);
	}
	bh_core_clock_look(c);
	/* What others have put and cannot be written is not to fail us, nor to be lost with us. */
	bh_store_commit(c->store);
	int r = same ? bh_store_put_version_files(c->store, c->generation, src, files->n)
		     : put_version(c, set, src, files->n, change);
	bool writes = edits && edits->n;
	if (r == 0)
		r = bh_store_put_u64(c->store, WRITING, writes ? c->generation + !same : 0);
	if (r == 0)
		r = bh_store_put_u64(c->store, WRITING_ALL, same);
	return written(c, r);
}

static int forget(struct bh_core *c)
{
	int r = bh_store_put_u64(c->store, WRITING, 0);
	if (r == 0 && c->version_undo) {
		r = bh_store_drop_version(c->store, c->version_undo);
		if (r == 0)
			r = bh_store_put_u64(c->store, "policy_generation", c->generation);
		if (r == 0) /* what was on trial before is so still */
			r = bh_core_confirm_put(c, &c->confirm);
	}
	return written(c, r);
}

void bh_core_version_forget(struct bh_core *c, bool same)
{
	c->version_undo = same ? 0 : c->generation + 1;
	c->version_undoing = true;
	if (same) /* the version in force has to know its files again */
		c->policies_retry = true;
	forget(c);
}

void bh_core_version_settled(struct bh_core *c)
{
	c->version_writing = false;
	bh_store_put_u64(c->store, WRITING, 0);
	bh_store_commit(c->store); /* if it can't now, a later one will */
}

void bh_core_versions_tick(struct bh_core *c)
{
	if (c->version_undoing)
		forget(c);
	if (c->policies_retry && (!c->confirm.version || c->version_writing))
		bh_core_policies_load(c, "directory changed");
}

static void drop_spares(const struct bh_file_set *s)
{
	for (size_t i = 0; i < s->n; i++) {
		char bh_autofree *spare = bh_file_spare(s->src[i].file);
		unlink(spare);
	}
}

/* The daemon died while it wrote the files of the version that it had recorded: the rest of them is
 * written. What else is in the directory may be somebody's and stays, where that can be told. */
static int finish_writing(struct bh_core *c, char **ret_why)
{
	struct bh_file_set dir = {0}, from = {0}, to = {0};
	struct bh_edits e = {0};
	char bh_autofree *where = NULL;
	const char *path = c->conf->policies;
	uint64_t all = 0;

	bh_store_get_u64(c->store, WRITING_ALL, &all);
	int r = bh_file_set_read(c->conf->policies, &dir, &where);
	if (r == 0)
		r = bh_core_version_files(c, c->generation, &to);
	if (r == 0)
		r = bh_core_version_files(c, c->generation - 1, &from);
	if (r == 0) {
		if (all)
			bh_edits_restore(&e, &dir, &to);
		else
			bh_edits_between(&e, &dir, &from, &to);
		r = bh_edits_prepare(&e, &path);
	}
	if (r == 0)
		r = bh_edits_carry_out(&e, &path);
	if (r == 0) {
		drop_spares(&from);
		drop_spares(&to);
		bh_core_version_settled(c);
	} else {
		*ret_why = bh_xasprintf("not all files of version %llu could be written: %s: %s",
			(unsigned long long)c->generation, path, strerror(-r));
	}
	bh_edits_finish(&e);
	bh_file_set_finish(&dir);
	bh_file_set_finish(&from);
	bh_file_set_finish(&to);
	return r;
}

bool bh_core_version_unfinished(struct bh_core *c, char **ret_why)
{
	return c->version_writing && finish_writing(c, ret_why) < 0;
}

void bh_core_versions_load(struct bh_core *c)
{
	struct bh_version v = {0};
	uint64_t writing = 0;
	char bh_autofree *why = NULL;
	bh_store_get_u64(c->store, "policy_generation", &c->generation);
	if (bh_store_get_version(c->store, c->generation, &v) == 0)
		snprintf(c->sha256, sizeof(c->sha256), "%s", v.sha256);
	bh_version_finish(&v);
	bh_core_confirm_load(c);
	if (bh_store_get_u64(c->store, WRITING, &writing) == 0 && writing &&
		writing == c->generation) {
		c->version_writing = true;
		bh_core_version_unfinished(c, &why); /* told when the directory is to be read */
	}
}

/* --- what commands see of it --- */

static json_t *text_json(const char *s)
{
	json_t *o = json_string(s ? s : "");
	return o ? o : json_string("?"); /* a file's name that is not UTF-8 */
}

static json_t *version_json(const struct bh_core *c, const struct bh_version *v)
{
	json_t *o = json_pack("{s:I, s:o, s:o, s:o, s:o, s:o, s:o, s:I, s:b}", "version",
		(json_int_t)v->number, "sha256", text_json(v->sha256), "at", bh_clock_json(v->at),
		"cause", text_json(v->cause), "user", text_json(v->user), "uid",
		v->by_user ? json_integer(v->uid) : json_null(), "pid",
		v->by_user ? json_integer(v->pid) : json_null(), "policies",
		(json_int_t)v->policies, "in_force", v->number == c->generation);
	json_object_set_new(o, "comment", text_json(v->comment));
	if (v->number == c->confirm.version)
		json_object_set_new(o, "confirm_by", bh_clock_json(c->confirm.deadline));
	return o;
}

struct history {
	const struct bh_core *c;
	json_t *list;
};

static void add_version(const struct bh_version *v, void *arg)
{
	struct history *h = arg;
	if (v->number <=
		h->c->generation) /* a later one was refused and is about to be forgotten */
		json_array_append_new(h->list, version_json(h->c, v));
}

struct bh_answer bh_core_policy_history(struct bh_core *c)
{
	struct history h = {c, json_array()};
	int r = bh_store_list_versions(c->store, add_version, &h);
	if (r < 0) {
		json_decref(h.list);
		return bh_answer_error(500, NULL, "%s/bulkhead.db: %s", c->conf->state,
			bh_store_message(c->store));
	}
	return bh_answer_json(
		200, json_pack("{s:I, s:I, s:o}", "in_force", (json_int_t)c->generation, "kept",
			     (json_int_t)BH_VERSIONS_KEPT, "versions", h.list));
}

static json_t *policy_texts(const struct bh_policy_set *set)
{
	json_t *list = json_array();
	for (size_t i = 0; i < set->n; i++) {
		const struct bh_policy *p = set->policy[i];
		json_array_append_new(list, json_pack("{s:s, s:s, s:s, s:o, s:i, s:o}", "policy",
						    p->ref, "namespace", p->namespace, "name",
						    p->name, "file", text_json(base_name(p->file)),
						    "line", p->line, "text", text_json(p->text)));
	}
	return list;
}

struct bh_answer bh_core_policy_version(struct bh_core *c, uint64_t number)
{
	struct bh_version v = {0};
	struct bh_file_set files = {0};
	struct bh_policy_set *set = NULL;
	struct bh_diags bh_autodiags d = {0};
	struct bh_policy_parse_opts opts = {.default_ns = "default", .nodes = BH_NODES_UNSURE};

	if (number == 0)
		number = c->generation;
	if (number > c->generation || bh_store_get_version(c->store, number, &v) < 0)
		return bh_answer_error(404, NULL,
			"there is no version %llu; `bulkhead policy history` lists those that are",
			(unsigned long long)number);
	struct bh_answer a;
	if (bh_core_version_files(c, number, &files) < 0)
		a = bh_answer_error(500, NULL, "%s/bulkhead.db: %s", c->conf->state,
			bh_store_message(c->store));
	else if (bh_policy_set_parse(files.src, files.n, &opts, &d, &set) < 0)
		a = bh_answer_error(
			500, &d, "version %llu can no longer be read", (unsigned long long)number);
	else
		a = bh_answer_json(200, json_pack("{s:o, s:o}", "version", version_json(c, &v),
						"policies", policy_texts(set)));
	bh_policy_set_unref(set);
	bh_file_set_finish(&files);
	bh_version_finish(&v);
	return a;
}
