/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Policies: the directory is the truth. It is read whole, checked whole, and only then put in
 * force; with one error anywhere what is in force stays. Each set that comes in force becomes a
 * version first; the last one serves a start with a broken directory.
 */
#include "policies/policies.h"

#include <errno.h>

#include "answer/actor.h"
#include "answer/digest.h"
#include "audit/audit.h"
#include "core/change.h"
#include "core/core.h"
#include "core/reconcile.h"
#include "core/state.h"
#include "policies/confirm.h"
#include "policies/edits.h"
#include "policies/versions.h"
#include "store/store.h"

void bh_core_policies_stale(struct bh_core *c, char *why)
{
	free(c->policies_stale);
	c->policies_stale = why;
}

struct bh_policy_parse_opts bh_core_parse_opts(const struct bh_core *c)
{
	return (struct bh_policy_parse_opts){
		.default_ns = "default",
		.nodes = c->conf->n_nodes ? BH_NODES_KNOWN : BH_NODES_UNKNOWN,
	};
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
	bh_core_policies_stale(c, why);
}

static json_t *change_json(const struct bh_core *c, const struct bh_policy_set *set,
	const char *sha, const struct bh_policy_change *change)
{
	json_t *o = json_pack("{s:s, s:s, s:s, s:I, s:I, s:I}", "cause", change->cause, "from",
		c->sha256, "to", sha, "from_generation", (json_int_t)c->generation, "generation",
		(json_int_t)c->generation + 1, "policies", (json_int_t)set->n);
	json_object_set_new(o, "changes", bh_core_policy_changes_json(c->policies, set));
	if (change->comment && *change->comment)
		json_object_set_new(o, "comment", json_string(change->comment));
	if (change->confirm_s)
		json_object_set_new(o, "confirm_within", json_integer(change->confirm_s));
	return o;
}

/* The kernel first; what is in force is known only then. Takes set. */
static int enforce(struct bh_core *c, struct bh_policy_set *set, const char *sha,
	const struct bh_policy_change *change)
{
	struct bh_audit_actor by = {0};
	struct bh_policy_set *before = c->policies;
	json_t *what = change_json(c, set, sha, change);

	if (change->who)
		by = bh_core_audit_actor(change->who);
	c->policies = set;
	int r = bh_core_reconcile(c);
	bh_audit_event(c->audit, "policy.change", r < 0 ? "failure" : "success",
		r < 0 ? c->commit_error : NULL, change->who ? &by : NULL, what);
	if (r < 0) {
		c->policies = before;
		bh_policy_set_unref(set);
		return r;
	}
	bh_policy_set_unref(before);
	snprintf(c->sha256, sizeof(c->sha256), "%s", sha);
	c->generation++;
	return 0;
}

/* The same policies in other files or words: places change, the kernel does not. Takes set. */
static int replace_same(struct bh_core *c, struct bh_policy_set *set)
{
	struct bh_policy_set *before = c->policies;
	c->policies = set;
	int r = bh_core_reconcile(c);
	if (r < 0 && before) {
		c->policies = before;
		bh_policy_set_unref(set);
		return r;
	}
	bh_policy_set_unref(before);
	return 0;
}

static bool is_recorded(struct bh_core *c, const struct bh_file_set *files)
{
	struct bh_file_set have = {0};
	bool same = bh_core_version_files(c, c->generation, &have) == 0 &&
		    bh_file_sets_equal(&have, files);
	bh_file_set_finish(&have);
	return same;
}

static enum bh_install prepare(struct bh_core *c, const struct bh_policy_set *set,
	const struct bh_file_set *files, struct bh_edits *edits,
	const struct bh_policy_change *change, bool same, char **ret_why)
{
	const char *path;
	/* What takes room comes before the record: once that is on disk, what it says gets done,
	 * now or at the next start. */
	int r = edits ? bh_edits_prepare(edits, &path) : 0;
	if (r < 0) {
		*ret_why = bh_xasprintf("%s: %s", path, strerror(-r));
		return BH_INSTALL_FILES;
	}
	if (!same || !is_recorded(c, files))
		r = bh_core_version_record(c, set, files, edits, change, same);
	/* Nothing changes for the worse if only the places of what is in force are not on record.
	 */
	if (r < 0 && !(same && !edits)) {
		*ret_why = bh_xasprintf(
			"%s/bulkhead.db: %s", c->conf->state, bh_store_message(c->store));
		return BH_INSTALL_STORE;
	}
	r = edits ? bh_edits_carry_out(edits, &path) : 0;
	if (r < 0) {
		bh_core_version_forget(c, same);
		*ret_why = bh_xasprintf("%s: %s", path, strerror(-r));
		return BH_INSTALL_FILES;
	}
	return BH_INSTALLED;
}

enum bh_install bh_core_policies_install(struct bh_core *c, struct bh_policy_set *set,
	const struct bh_file_set *files, struct bh_edits *edits,
	const struct bh_policy_change *change, char **ret_why)
{
	char sha[65];
	bh_digest_hex(set->sha256, sha);
	bool same = bh_streq(sha, c->sha256);
	enum bh_install how = prepare(c, set, files, edits, change, same, ret_why);

	if (how != BH_INSTALLED) {
		bh_policy_set_unref(set);
		return how;
	}
	int r = same ? replace_same(c, set) : enforce(c, set, sha, change);
	if (r < 0) {
		if (edits)
			bh_edits_undo(edits);
		bh_core_version_forget(c, same);
		*ret_why = bh_xasprintf("the kernel refused the new rules: %s",
			c->commit_error ? c->commit_error : strerror(-r));
		return BH_INSTALL_KERNEL;
	}
	if (edits)
		bh_core_version_settled(c);
	if (change->confirm_s && !same)
		bh_core_confirm_start(c);
	bh_core_policies_stale(c, NULL);
	c->policies_retry = false;
	return BH_INSTALLED;
}

/* At the start, when the directory cannot be used: what was in force last. */
static void install_last_good(struct bh_core *c)
{
	struct bh_file_set files = {0};
	struct bh_policy_set *set = NULL;
	struct bh_diags bh_autodiags d = {0};
	struct bh_policy_parse_opts opts = bh_core_parse_opts(c);

	if (c->generation > 0 && bh_core_version_files(c, c->generation, &files) == 0 &&
		bh_policy_set_parse(files.src, files.n, &opts, &d, &set) == 0)
		c->policies = set;
	else
		c->policies = bh_policy_set_new_empty();
	bh_file_set_finish(&files);
}

/* While a version awaits its confirmation nothing else comes in force: rolling it back is then
 * sure to give what was before. The directory is read again afterwards. */
static bool must_wait(
	struct bh_core *c, const struct bh_policy_set *set, const struct bh_file_set *files)
{
	char sha[65];
	bh_digest_hex(set->sha256, sha);
	if (!c->confirm.version || (!c->policies && bh_streq(sha, c->sha256)))
		return false;
	return !is_recorded(c, files);
}

/* Takes set. */
static int install_directory(struct bh_core *c, struct bh_policy_set *set,
	const struct bh_file_set *files, const char *cause)
{
	struct bh_policy_change change = {.cause = cause};
	char *why = NULL;

	if (must_wait(c, set, files)) {
		bh_policy_set_unref(set);
		refused(c, cause,
			bh_xasprintf("version %llu awaits its confirmation; the directory is read "
				     "again when it is confirmed or rolled back",
				(unsigned long long)c->confirm.version));
		return -EBUSY;
	}
	if (c->confirm.version && c->policies) { /* nothing new */
		bh_policy_set_unref(set);
		if (!c->confirm.expired)
			bh_core_policies_stale(c, NULL);
		return 0;
	}
	enum bh_install how = bh_core_policies_install(c, set, files, NULL, &change, &why);
	if (how == BH_INSTALLED)
		return 0;
	c->policies_retry = how == BH_INSTALL_STORE;
	refused(c, cause, bh_xasprintf("%s; what was in force before stays", why));
	free(why);
	return -EIO;
}

int bh_core_policies_load(struct bh_core *c, const char *cause)
{
	struct bh_file_set files = {0};
	struct bh_policy_set *set = NULL;
	struct bh_diags bh_autodiags d = {0};
	struct bh_policy_parse_opts opts = bh_core_parse_opts(c);
	char bh_autofree *where = NULL;

	c->policies_retry = false;
	if (bh_core_version_unfinished(c, &where)) {
		c->policies_retry = true;
		refused(c, cause,
			bh_xasprintf("%s; that version is in force, and it is tried again", where));
		if (!c->policies)
			install_last_good(c);
		return -EAGAIN;
	}
	int r = bh_file_set_read(c->conf->policies, &files, &where);
	if (r == -ENOENT && !c->policies) {
		/* No directory yet: no policies, unless there were some before. */
		refused(c, cause,
			bh_xasprintf("%s: %s; create the directory, or let `bulkhead policy "
				     "apply` do it",
				c->conf->policies, strerror(ENOENT)));
		install_last_good(c);
		return 0;
	}
	if (r < 0) {
		c->policies_retry = true; /* nothing may tell when it can be read again */
		refused(c, cause,
			bh_xasprintf(
				"%s: %s; what was in force before stays", where, strerror(-r)));
	}
	if (r == 0 && (r = bh_policy_set_parse(files.src, files.n, &opts, &d, &set)) < 0)
		refused(c, cause, summary(&d));
	else if (r == 0)
		r = install_directory(c, set, &files, cause);
	if (r < 0 && !c->policies)
		install_last_good(c);
	bh_file_set_finish(&files);
	return r;
}

static json_t *policy_json(struct bh_core *c, const struct bh_policy *p)
{
	struct bh_buf bh_autobuf sel = {0}, namespaces = {0};
	bool cluster = p->tier != BH_TIER_NETWORK_POLICY;
	json_t *dirs = json_array();
	/* A ClusterNetworkPolicy isolates nobody; it speaks where it has rules. */
	if (cluster ? p->n_rules[BH_INGRESS] > 0 : p->isolates[BH_INGRESS])
		json_array_append_new(dirs, json_string("ingress"));
	if (cluster ? p->n_rules[BH_EGRESS] > 0 : p->isolates[BH_EGRESS])
		json_array_append_new(dirs, json_string("egress"));
	bh_selector_format(&p->pods, &sel);
	size_t n = c->snap ? bh_engine_selected(c->snap->engine, p) : 0;
	json_t *o = json_pack("{s:s, s:s, s:s, s:s, s:s, s:i, s:o, s:{s:I, s:I}, s:s, s:I}",
		"policy", p->ref, "tier", bh_tier_name(p->tier), "namespace", p->namespace, "name",
		p->name, "file", p->file, "line", p->line, "directions", dirs, "rules", "ingress",
		(json_int_t)p->n_rules[BH_INGRESS], "egress", (json_int_t)p->n_rules[BH_EGRESS],
		"selector", sel.s ? sel.s : "", "workloads", (json_int_t)n);
	if (cluster) {
		bh_selector_format(&p->namespaces, &namespaces);
		json_object_set_new(o, "priority", json_integer(p->priority));
		json_object_set_new(o, "namespaces", json_string(namespaces.s ? namespaces.s : ""));
	}
	return o;
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
