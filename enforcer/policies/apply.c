/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * `policy apply`, `policy plan` and `policy delete`: each policy becomes a file NAMESPACE.NAME.yaml
 * (_cluster.NAME.yaml of a ClusterNetworkPolicy) in the policies' directory, so that the directory
 * stays the one truth. Everything is checked together with what is there before the first byte is
 * written; if the kernel refuses the result, the files are put back.
 */
#include <errno.h>

#include "analysis/replay.h"
#include "answer/answer.h"
#include "answer/clock.h"
#include "answer/digest.h"
#include "core/core.h"
#include "core/files.h"
#include "core/state.h"
#include "policies/confirm.h"
#include "policies/delta.h"
#include "policies/edits.h"
#include "policies/file_set.h"
#include "policies/nobody.h"
#include "policies/policies.h"
#include "policies/versions.h"

struct plan {
	struct bh_edits edits;
	struct bh_file_set files; /* the directory as it will be */
	struct bh_policy_set *now, *new, *set; /* in the directory, given, and as it will be */
	json_t *list; /* what happens to each policy */
};

static void plan_finish(struct plan *p)
{
	bh_edits_finish(&p->edits);
	bh_file_set_finish(&p->files);
	bh_policy_set_unref(p->now);
	bh_policy_set_unref(p->new);
	bh_policy_set_unref(p->set);
	json_decref(p->list);
}

/* No namespace begins with an underscore. */
static char *managed_path(const struct bh_core *c, const char *ns, const char *name)
{
	return bh_xasprintf("%s/%s.%s.yaml", c->conf->policies, *ns ? ns : "_cluster", name);
}

/* The directory as it is, parsed; a broken one can't be changed by command. */
static bool read_directory(struct bh_core *c, struct plan *p, struct bh_answer *ret_error)
{
	char bh_autofree *where = NULL;
	struct bh_diags bh_autodiags d = {0};
	struct bh_policy_parse_opts opts = bh_core_parse_opts(c);
	if (bh_core_version_unfinished(c, &where)) {
		*ret_error = bh_answer_error(507, NULL, "%s; nothing was changed", where);
		return false;
	}
	int r = bh_file_set_read(c->conf->policies, &p->files, &where);
	if (r == -ENOENT) {
		r = bh_file_mkdirs(c->conf->policies, 0755);
		if (r == 0)
			return p->now = bh_policy_set_new_empty(), true;
	}
	if (r < 0) {
		*ret_error = bh_answer_error(500, NULL, "%s: %s", where, strerror(-r));
		return false;
	}
	if (bh_policy_set_parse(p->files.src, p->files.n, &opts, &d, &p->now) < 0) {
		*ret_error = bh_answer_error(409, &d,
			"the policies' directory %s has errors; mend them first",
			c->conf->policies);
		return false;
	}
	return true;
}

static void note(struct plan *p, const struct bh_policy *q, const char *action)
{
	json_array_append_new(
		p->list, json_pack("{s:s, s:s, s:s, s:s}", "policy", q->ref, "namespace",
				 q->namespace, "name", q->name, "action", action));
}

static const char *change_of(const struct bh_policy *old, const struct bh_policy *p)
{
	if (!old)
		return "created";
	return bh_streq(old->text, p->text) ? "unchanged" : "changed";
}

static bool plan_policies(struct bh_core *c, struct plan *p, struct bh_answer *ret_error)
{
	for (size_t i = 0; i < p->new->n; i++) {
		const struct bh_policy *q = p->new->policy[i];
		char bh_autofree *path = managed_path(c, q->namespace, q->name);
		const struct bh_policy *old = bh_policy_set_find(p->now, q->namespace, q->name);
		const char *change = change_of(old, q);
		note(p, q, change);
		if (!strcmp(change, "unchanged"))
			continue;
		if (old && !bh_streq(old->file, path)) {
			*ret_error = bh_answer_error(409, NULL,
				"%s is defined in %s:%d; change it there, or remove it there "
				"first",
				q->ref, old->file, old->line);
			return false;
		}
		bh_edits_put(&p->edits, &p->files, path, q->text, strlen(q->text));
	}
	return true;
}

/* --prune: what was applied once and is not among the given is removed. Hand-written files stay. */
static void plan_prune(struct bh_core *c, struct plan *p)
{
	for (size_t i = 0; i < p->now->n; i++) {
		const struct bh_policy *q = p->now->policy[i];
		char bh_autofree *path = managed_path(c, q->namespace, q->name);
		if (!bh_streq(q->file, path) || bh_policy_set_find(p->new, q->namespace, q->name))
			continue;
		note(p, q, "deleted");
		bh_edits_put(&p->edits, &p->files, path, NULL, 0);
	}
}

static bool read_sources(const json_t *body, struct bh_policy_source **ret, size_t *ret_n,
	struct bh_answer *ret_error)
{
	const json_t *sources = json_object_get(body, "sources");
	size_t n = json_array_size(sources);
	struct bh_policy_source bh_autofree *src = bh_xcalloc(n, sizeof(*src));

	if (n == 0) {
		*ret_error =
			bh_answer_error(400, NULL, "sources: a list of {file, text} is needed");
		return false;
	}
	for (size_t i = 0; i < n; i++) {
		const json_t *s = json_array_get(sources, i), *text = json_object_get(s, "text");
		src[i].file = json_string_value(json_object_get(s, "file"));
		src[i].text = json_string_value(text);
		src[i].len = json_string_length(text);
		if (!src[i].file || !src[i].text) {
			*ret_error = bh_answer_error(
				400, NULL, "sources[%zu]: file and text must be strings", i);
			return false;
		}
	}
	*ret = BH_TAKE_PTR(src);
	*ret_n = n;
	return true;
}

static bool parse_body(
	struct bh_core *c, const json_t *body, struct plan *p, struct bh_answer *ret_error)
{
	struct bh_policy_source bh_autofree *src = NULL;
	struct bh_diags bh_autodiags d = {0};
	struct bh_policy_parse_opts opts = bh_core_parse_opts(c);
	size_t n;

	if (!read_sources(body, &src, &n, ret_error))
		return false;
	opts.strict_empty = !json_is_true(json_object_get(body, "prune"));
	if (bh_policy_set_parse(src, n, &opts, &d, &p->new) < 0) {
		*ret_error =
			bh_answer_error(422, &d, "the policies have errors; nothing was changed");
		return false;
	}
	return true;
}

/* The whole directory as it would be: what each part alone can't show, such as the same name twice.
 */
static bool check_plan(struct bh_core *c, struct plan *p, struct bh_answer *ret_error)
{
	struct bh_diags bh_autodiags d = {0};
	struct bh_policy_parse_opts opts = bh_core_parse_opts(c);
	if (bh_policy_set_parse(p->files.src, p->files.n, &opts, &d, &p->set) < 0) {
		*ret_error = bh_answer_error(
			422, &d, "together with what is there, the policies have errors");
		return false;
	}
	return true;
}

static bool make_plan(
	struct bh_core *c, const json_t *body, struct plan *p, struct bh_answer *ret_error)
{
	p->list = json_array();
	if (!parse_body(c, body, p, ret_error) || !read_directory(c, p, ret_error) ||
		!plan_policies(c, p, ret_error))
		return false;
	if (json_is_true(json_object_get(body, "prune")))
		plan_prune(c, p);
	return check_plan(c, p, ret_error);
}

static struct bh_answer carry_out(
	struct bh_core *c, struct plan *p, const struct bh_policy_change *change)
{
	char *why = NULL;
	enum bh_install how = bh_core_policies_install(
		c, BH_TAKE_PTR(p->set), &p->files, &p->edits, change, &why);
	return how == BH_INSTALLED ? (struct bh_answer){0} : bh_core_install_error(how, why);
}

struct bh_answer bh_core_policy_apply(
	struct bh_core *c, const json_t *body, const struct bh_core_actor *who)
{
	struct plan p = {0};
	struct bh_policy_change change = {.cause = "apply", .who = who};
	struct bh_answer a = {0};
	bool dry_run = json_is_true(json_object_get(body, "dry_run"));

	if (bh_core_change_options(body, &change, &a) &&
		(dry_run || !bh_core_confirm_pending(c, &a)) && make_plan(c, body, &p, &a)) {
		if (!dry_run && p.edits.n > 0)
			a = carry_out(c, &p, &change);
		if (a.status == 0)
			a = bh_answer_json(
				200, json_pack("{s:I, s:s, s:b, s:O, s:o, s:o}", "generation",
					     (json_int_t)c->generation, "sha256", c->sha256,
					     "dry_run", dry_run, "policies", p.list, "warnings",
					     bh_core_policies_of_nobody(c, p.new), "confirm",
					     bh_core_confirm_json(c)));
	}
	plan_finish(&p);
	return a;
}

#define SINCE_MAX (366 * 86400) /* seconds */

/* From when flows are replayed; 0: none are. */
static bool read_since(const json_t *body, int64_t *ret, struct bh_answer *ret_error)
{
	const json_t *v = json_object_get(body, "since");
	if (!v || json_is_null(v))
		return true;
	if (!json_is_integer(v) || json_integer_value(v) < 1 || json_integer_value(v) > SINCE_MAX) {
		*ret_error = bh_answer_error(
			400, NULL, "since must be a number of seconds from 1 to %d", SINCE_MAX);
		return false;
	}
	*ret = bh_clock_now() - json_integer_value(v) * 1000000;
	return true;
}

struct bh_answer bh_core_policy_plan(struct bh_core *c, const json_t *body)
{
	struct plan p = {0};
	struct bh_answer a = {0};
	int64_t since = 0;

	if (!read_since(body, &since, &a))
		return a;
	if (make_plan(c, body, &p, &a)) {
		char sha[65];
		bh_digest_hex(p.set->sha256, sha);
		json_t *delta = bh_core_delta_json(c, p.set);
		a = bh_answer_json(200,
			json_pack("{s:I, s:s, s:s, s:b, s:O, s:o, s:o}", "generation",
				(json_int_t)c->generation, "sha256", c->sha256, "planned_sha256",
				sha, "changes", p.edits.n > 0, "policies", p.list, "warnings",
				bh_core_policies_of_nobody(c, p.new), "delta", delta));
		if (since)
			json_object_set_new(a.json, "replay",
				json_integer((json_int_t)bh_core_replay_start(c, p.set, since)));
	}
	plan_finish(&p);
	return a;
}

struct bh_answer bh_core_policy_delete(
	struct bh_core *c, const char *ns, const char *name, const struct bh_core_actor *who)
{
	struct plan p = {0};
	struct bh_policy_change change = {.cause = "delete", .who = who};
	struct bh_answer a = {0};

	if (!bh_core_confirm_pending(c, &a) && read_directory(c, &p, &a)) {
		const struct bh_policy *old = bh_policy_set_find(p.now, ns, name);
		char bh_autofree *path = managed_path(c, ns, name);
		char bh_autofree *ref =
			*ns ? bh_xasprintf("%s/%s", ns, name) : bh_xasprintf("cnp:%s", name);
		change.comment = ref;
		if (!old) {
			a = bh_answer_error(404, NULL,
				"there is no policy %s; `bulkhead policy list` lists them", ref);
		} else if (!bh_streq(old->file, path)) {
			a = bh_answer_error(409, NULL, "%s is defined in %s:%d; remove it there",
				ref, old->file, old->line);
		} else {
			bh_edits_put(&p.edits, &p.files, path, NULL, 0);
			if (check_plan(c, &p, &a))
				a = carry_out(c, &p, &change);
		}
	}
	if (a.status == 0)
		a = bh_answer_json(200, json_pack("{s:I, s:s}", "generation",
						(json_int_t)c->generation, "sha256", c->sha256));
	plan_finish(&p);
	return a;
}
