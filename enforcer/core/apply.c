/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * `policy apply` and `policy delete`: each policy becomes a file NAMESPACE.NAME.yaml in the
 * policies' directory, so that the directory stays the one truth. Everything is checked together
 * with what is there before the first byte is written; if the kernel refuses the result, the files
 * are put back.
 */
#include <errno.h>

#include "core/policies.h"
#include "core/private.h"

/* One file to write (text) or to remove (text NULL), with what stood there before. */
struct edit {
	char *path, *text, *before;
	size_t len, before_len;
	bool existed, done;
};

struct plan {
	struct edit *edit;
	size_t n, cap;
	struct bh_file_set files; /* the directory as it will be */
	struct bh_policy_set *set;
};

static void plan_finish(struct plan *p)
{
	for (size_t i = 0; i < p->n; i++) {
		free(p->edit[i].path);
		free(p->edit[i].text);
		free(p->edit[i].before);
	}
	free(p->edit);
	bh_file_set_finish(&p->files);
	bh_policy_set_unref(p->set);
}

static char *managed_path(const struct bh_core *c, const char *ns, const char *name)
{
	return bh_xasprintf("%s/%s.%s.yaml", c->conf->policies, ns, name);
}

static struct bh_policy_source *file_of(struct bh_file_set *s, const char *path)
{
	for (size_t i = 0; i < s->n; i++)
		if (bh_streq(s->src[i].file, path))
			return &s->src[i];
	return NULL;
}

/* Puts text (owned, may be NULL: removes) at path, in the plan and in its picture of the directory.
 */
static void plan_edit(struct plan *p, const char *path, char *text)
{
	struct bh_policy_source *have = file_of(&p->files, path);
	BH_GROW(p->edit, p->n, p->cap);
	struct edit *e = &p->edit[p->n++];
	*e = (struct edit){
		.path = bh_xstrdup(path),
		.text = text,
		.len = text ? strlen(text) : 0,
		.existed = have != NULL,
		.before = have ? bh_xmemdup(have->text, have->len) : NULL,
		.before_len = have ? have->len : 0,
	};
	if (have && text) {
		free((char *)have->text);
		have->text = bh_xstrdup(text);
		have->len = e->len;
	} else if (have) {
		free((char *)have->file);
		free((char *)have->text);
		*have = p->files.src[--p->files.n];
	} else {
		BH_GROW(p->files.src, p->files.n, p->files.cap);
		p->files.src[p->files.n++] =
			(struct bh_policy_source){bh_xstrdup(path), bh_xstrdup(text), e->len};
	}
}

static int write_edit(struct edit *e, bool undo)
{
	const char *text = undo ? e->before : e->text;
	if (undo ? !e->existed : !text)
		return unlink(e->path) < 0 && errno != ENOENT ? -errno : 0;
	return bh_file_write_atomic(e->path, text, undo ? e->before_len : e->len, 0644);
}

static void undo(struct plan *p)
{
	for (size_t i = p->n; i-- > 0;)
		if (p->edit[i].done)
			write_edit(&p->edit[i], true);
}

/* Files first (what is acknowledged must survive a crash), then the kernel; both or neither. */
static struct bh_answer carry_out(
	struct bh_core *c, struct plan *p, const char *cause, const struct bh_core_actor *who)
{
	for (size_t i = 0; i < p->n; i++) {
		int r = write_edit(&p->edit[i], false);
		if (r < 0) {
			undo(p);
			return bh_answer_error(507, NULL, "%s: %s; nothing was changed",
				p->edit[i].path, strerror(-r));
		}
		p->edit[i].done = true;
	}
	struct bh_audit_actor actor = bh_core_audit_actor(who);
	int r = bh_core_policies_install(c, BH_TAKE_PTR(p->set), &p->files, cause, &actor);
	if (r < 0) {
		undo(p);
		return bh_answer_error(503, NULL,
			"the kernel refused the new rules: %s; nothing was changed",
			c->commit_error ? c->commit_error : strerror(-r));
	}
	return (struct bh_answer){0};
}

/* The directory as it is, parsed; a broken one can't be changed by command. */
static bool read_directory(struct bh_core *c, struct plan *p, struct bh_policy_set **ret_now,
	struct bh_answer *ret_error)
{
	char bh_autofree *where = NULL;
	struct bh_diags bh_autodiags d = {0};
	struct bh_policy_parse_opts opts = {.default_ns = "default"};
	int r = bh_file_set_read(c->conf->policies, &p->files, &where);
	if (r == -ENOENT) {
		r = bh_file_mkdirs(c->conf->policies, 0755);
		if (r == 0)
			return *ret_now = bh_policy_set_new_empty(), true;
	}
	if (r < 0) {
		*ret_error = bh_answer_error(500, NULL, "%s: %s", where, strerror(-r));
		return false;
	}
	if (bh_policy_set_parse(p->files.src, p->files.n, &opts, &d, ret_now) < 0) {
		*ret_error = bh_answer_error(409, &d,
			"the policies' directory %s has errors; mend them first",
			c->conf->policies);
		return false;
	}
	return true;
}

static const char *change_of(const struct bh_policy_set *now, const struct bh_policy *p)
{
	const struct bh_policy *old = bh_policy_set_find(now, p->namespace, p->name);
	if (!old)
		return "created";
	return bh_streq(old->text, p->text) ? "unchanged" : "changed";
}

static bool plan_policies(struct bh_core *c, const struct bh_policy_set *now,
	const struct bh_policy_set *new, struct plan *p, json_t *list, struct bh_answer *ret_error)
{
	for (size_t i = 0; i < new->n; i++) {
		const struct bh_policy *q = new->policy[i];
		char bh_autofree *path = managed_path(c, q->namespace, q->name);
		const struct bh_policy *old = bh_policy_set_find(now, q->namespace, q->name);
		if (old && !bh_streq(old->file, path)) {
			*ret_error = bh_answer_error(409, NULL,
				"%s/%s is defined in %s:%d; change it there, or remove it there "
				"first",
				q->namespace, q->name, old->file, old->line);
			return false;
		}
		const char *change = change_of(now, q);
		json_array_append_new(list, json_pack("{s:s, s:s, s:s}", "namespace", q->namespace,
						    "name", q->name, "action", change));
		if (strcmp(change, "unchanged"))
			plan_edit(p, path, bh_xstrdup(q->text));
	}
	return true;
}

static bool parse_body(const json_t *body, struct bh_policy_set **ret, struct bh_answer *ret_error)
{
	const json_t *sources = json_object_get(body, "sources");
	size_t n = json_array_size(sources);
	struct bh_diags bh_autodiags d = {0};
	struct bh_policy_parse_opts opts = {.default_ns = "default", .strict_empty = true};
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
	if (bh_policy_set_parse(src, n, &opts, &d, ret) < 0) {
		*ret_error =
			bh_answer_error(422, &d, "the policies have errors; nothing was changed");
		return false;
	}
	return true;
}

/* The whole directory as it would be: what each part alone can't show, such as the same name twice.
 */
static bool check_plan(struct plan *p, struct bh_answer *ret_error)
{
	struct bh_diags bh_autodiags d = {0};
	struct bh_policy_parse_opts opts = {.default_ns = "default"};
	if (bh_policy_set_parse(p->files.src, p->files.n, &opts, &d, &p->set) < 0) {
		*ret_error = bh_answer_error(
			422, &d, "together with what is there, the policies have errors");
		return false;
	}
	return true;
}

static json_t *outcome(const struct bh_core *c, bool dry_run, json_t *list)
{
	return json_pack("{s:I, s:s, s:b, s:o}", "generation", (json_int_t)c->generation, "sha256",
		c->sha256, "dry_run", dry_run, "policies", list);
}

struct bh_answer bh_core_policy_apply(
	struct bh_core *c, const json_t *body, const struct bh_core_actor *who)
{
	struct plan p = {0};
	struct bh_policy_set *new = NULL, *now = NULL;
	struct bh_answer a = {0};
	json_t *list = json_array();
	bool dry_run = json_is_true(json_object_get(body, "dry_run"));

	if (parse_body(body, &new, &a) && read_directory(c, &p, &now, &a) &&
		plan_policies(c, now, new, &p, list, &a) && check_plan(&p, &a)) {
		if (!dry_run && p.n > 0)
			a = carry_out(c, &p, "apply", who);
		if (a.status == 0)
			a = bh_answer_json(200, outcome(c, dry_run, json_incref(list)));
	}
	json_decref(list);
	bh_policy_set_unref(new);
	bh_policy_set_unref(now);
	plan_finish(&p);
	return a;
}

struct bh_answer bh_core_policy_delete(
	struct bh_core *c, const char *ns, const char *name, const struct bh_core_actor *who)
{
	struct plan p = {0};
	struct bh_policy_set *now = NULL;
	struct bh_answer a = {0};

	if (read_directory(c, &p, &now, &a)) {
		const struct bh_policy *old = bh_policy_set_find(now, ns, name);
		char bh_autofree *path = managed_path(c, ns, name);
		if (!old) {
			a = bh_answer_error(404, NULL, "there is no policy %s/%s", ns, name);
		} else if (!bh_streq(old->file, path)) {
			a = bh_answer_error(409, NULL, "%s/%s is defined in %s:%d; remove it there",
				ns, name, old->file, old->line);
		} else {
			plan_edit(&p, path, NULL);
			if (check_plan(&p, &a))
				a = carry_out(c, &p, "delete", who);
		}
	}
	if (a.status == 0)
		a = bh_answer_json(200, json_pack("{s:I, s:s}", "generation",
						(json_int_t)c->generation, "sha256", c->sha256));
	bh_policy_set_unref(now);
	plan_finish(&p);
	return a;
}
