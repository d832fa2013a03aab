/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Policies: the directory is the truth. It is read whole, checked whole, and only then put in
 * force; with one error anywhere what is in force stays. The set last in force is kept in the store
 * for a start with a broken directory.
 */
#include "core/policies.h"

#include <errno.h>

#include "core/private.h"

void bh_core_hex(const uint8_t sha[static 32], char ret[static 65])
{
	for (int i = 0; i < 32; i++)
		snprintf(ret + 2 * i, 3, "%02x", sha[i]);
}

static void stale(struct bh_core *c, char *why)
{
	free(c->policies_stale);
	c->policies_stale = why;
}

/* The first diagnostics, for a line of status; `policy check` shows them all. */
static char *summary(const struct bh_diags *d)
{
	struct bh_buf b = {0};
	for (size_t i = 0, shown = 0; i < d->n && shown < 3; i++)
		if (d->item[i].severity == BH_ERROR) {
			bh_diag_format(&d->item[i], &b);
			shown++;
		}
	if (d->n_errors > 3)
		bh_buf_printf(&b, "… and %zu more", d->n_errors - 3);
	while (b.len && b.s[b.len - 1] == '\n')
		b.s[--b.len] = '\0';
	return bh_buf_take(&b);
}

static void refused(struct bh_core *c, const char *cause, char *why)
{
	if (!bh_streq(c->policies_stale, why))
		bh_audit_event(c->audit, "policy.change", "failure", why, NULL,
			json_pack("{s:s, s:s}", "cause", cause, "directory", c->conf->policies));
	stale(c, why);
}

/* The first eight bytes of a hash: enough to know a set again over a restart. */
static uint64_t mark_of(const struct bh_policy_set *set)
{
	uint64_t mark;
	memcpy(&mark, set->sha256, sizeof(mark));
	return mark;
}

/* A start with the policies that were in force before is no change of policy. */
static bool same_as_before(const struct bh_core *c, const struct bh_policy_set *set)
{
	uint64_t mark;
	return !c->policies && c->generation > 0 &&
	       bh_store_get_u64(c->store, "policy_mark", &mark) == 0 && mark == mark_of(set);
}

int bh_core_policies_install(struct bh_core *c, struct bh_policy_set *set,
	const struct bh_file_set *files, const char *cause, const struct bh_audit_actor *actor)
{
	char sha[65], old[65];
	bh_core_hex(set->sha256, sha);
	stale(c, NULL);
	if (same_as_before(c, set))
		memcpy(c->sha256, sha, sizeof(sha));
	if (bh_streq(sha, c->sha256)) {
		/* The same policies, maybe in other files: places change, the kernel does not. */
		bh_policy_set_unref(c->policies);
		c->policies = set;
		return bh_core_reconcile(c);
	}
	memcpy(old, c->sha256, sizeof(old));
	struct bh_policy_set *before = c->policies;
	c->policies = set;
	int r = bh_core_reconcile(c);
	if (r < 0) {
		c->policies = before;
		bh_audit_event(c->audit, "policy.change", "failure", c->commit_error, actor,
			json_pack("{s:s, s:s, s:s}", "cause", cause, "from", old, "to", sha));
		bh_policy_set_unref(set);
		return r;
	}
	bh_policy_set_unref(before);
	memcpy(c->sha256, sha, sizeof(sha));
	c->generation++;
	bh_store_put_u64(c->store, "policy_generation", c->generation);
	bh_store_put_u64(c->store, "policy_mark", mark_of(set));
	if (files)
		bh_store_put_policies(c->store, files->src, files->n, sha);
	bh_store_commit(c->store);
	bh_audit_event(c->audit, "policy.change", "success", NULL, actor,
		json_pack("{s:s, s:s, s:s, s:I, s:I}", "cause", cause, "from", old, "to", sha,
			"generation", (json_int_t)c->generation, "policies", (json_int_t)set->n));
	return 0;
}

static void keep_source(const struct bh_policy_source *s, void *arg)
{
	struct bh_file_set *set = arg;
	BH_GROW(set->src, set->n, set->cap);
	set->src[set->n++] =
		(struct bh_policy_source){bh_xstrdup(s->file), bh_xmemdup(s->text, s->len), s->len};
}

/* At the start, when the directory cannot be used: what was in force last. */
static void install_last_good(struct bh_core *c)
{
	struct bh_file_set files = {0};
	struct bh_policy_set *set = NULL;
	struct bh_diags bh_autodiags d = {0};
	struct bh_policy_parse_opts opts = {.default_ns = "default"};

	if (bh_store_load_policies(c->store, keep_source, &files) == 0 && files.n > 0 &&
		bh_policy_set_parse(files.src, files.n, &opts, &d, &set) == 0) {
		bh_core_hex(set->sha256, c->sha256);
		c->policies = set;
	} else {
		c->policies = bh_policy_set_new_empty();
	}
	bh_file_set_finish(&files);
}

int bh_core_policies_load(struct bh_core *c, const char *cause)
{
	struct bh_file_set files = {0};
	struct bh_policy_set *set = NULL;
	struct bh_diags bh_autodiags d = {0};
	struct bh_policy_parse_opts opts = {.default_ns = "default"};
	char bh_autofree *where = NULL;

	int r = bh_file_set_read(c->conf->policies, &files, &where);
	if (r == -ENOENT && !c->policies) {
		/* No directory yet: no policies, unless there were some before. */
		refused(c, cause,
			bh_xasprintf("%s: %s; create the directory", c->conf->policies,
				strerror(ENOENT)));
		install_last_good(c);
		return 0;
	}
	if (r < 0)
		refused(c, cause,
			bh_xasprintf(
				"%s: %s; what was in force before stays", where, strerror(-r)));
	else if ((r = bh_policy_set_parse(files.src, files.n, &opts, &d, &set)) < 0)
		refused(c, cause, summary(&d));
	if (r < 0 && !c->policies)
		install_last_good(c);
	else if (r == 0)
		r = bh_core_policies_install(c, set, &files, cause, NULL);
	bh_file_set_finish(&files);
	return r;
}

static json_t *policy_json(struct bh_core *c, const struct bh_policy *p)
{
	struct bh_buf bh_autobuf sel = {0};
	json_t *dirs = json_array();
	if (p->isolates[BH_INGRESS])
		json_array_append_new(dirs, json_string("ingress"));
	if (p->isolates[BH_EGRESS])
		json_array_append_new(dirs, json_string("egress"));
	bh_selector_format(&p->pods, &sel);
	size_t n = c->snap ? bh_engine_selected(c->snap->engine, p) : 0;
	return json_pack("{s:s, s:s, s:s, s:i, s:o, s:{s:I, s:I}, s:s, s:I}", "namespace",
		p->namespace, "name", p->name, "file", p->file, "line", p->line, "directions", dirs,
		"rules", "ingress", (json_int_t)p->n_rules[BH_INGRESS], "egress",
		(json_int_t)p->n_rules[BH_EGRESS], "selector", sel.s, "workloads", (json_int_t)n);
}

struct bh_answer bh_core_policies(struct bh_core *c)
{
	json_t *list = json_array();
	/* The snapshot's own set: the engine knows policies by address. */
	const struct bh_policy_set *set =
		c->snap ? bh_engine_policies(c->snap->engine) : c->policies;
	for (size_t i = 0; i < set->n; i++)
		json_array_append_new(list, policy_json(c, set->policy[i]));
	return bh_answer_json(
		200, json_pack("{s:I, s:s, s:s, s:s?, s:o}", "generation",
			     (json_int_t)c->generation, "sha256", c->sha256, "directory",
			     c->conf->policies, "stale", c->policies_stale, "policies", list));
}
