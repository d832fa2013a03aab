/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * bulkhead policy plan --state: the same answer as the daemon's, over the workloads and policies of
 * a state file, so that a pipeline sees what a change opens and closes before any node does.
 */
#include <bulkhead/delta.h>

#include "answer/delta_json.h"
#include "cli/decision.h"

static struct bh_policy_set *parse(const struct bh_policy_source *src, size_t n,
	const struct bh_scenario_state *st, bool strict)
{
	struct bh_diags bh_autodiags diags = {0};
	struct bh_policy_parse_opts opts = bh_scenario_policy_opts(st);
	struct bh_policy_set *set = NULL;
	opts.strict_empty = strict;
	bh_policy_set_parse(src, n, &opts, &diags, &set);
	bh_diags_sort(&diags);
	cli_error_diags(&diags);
	return set;
}

static struct bh_policy_set *read_files(
	const struct cli_files *f, const struct bh_scenario_state *st)
{
	struct bh_policy_source bh_autofree *src = bh_xcalloc(f->n, sizeof(*src));
	bool named = true;
	for (size_t i = 0; i < f->n; i++) {
		src[i] =
			(struct bh_policy_source){f->item[i].name, f->item[i].text, f->item[i].len};
		named &= !f->item[i].in_directory;
	}
	return parse(src, f->n, st, named);
}

/* What would be in force: the files' policies, and those of before that they do not replace. */
static struct bh_policy_set *planned(
	const struct bh_scenario_state *st, const struct bh_policy_set *files, bool prune)
{
	size_t n = 0;
	struct bh_policy_source bh_autofree *src =
		bh_xcalloc(files->n + st->policies->n, sizeof(*src));
	for (size_t i = 0; i < files->n; i++)
		src[n++] = (struct bh_policy_source){files->policy[i]->file, files->policy[i]->text,
			strlen(files->policy[i]->text)};
	for (size_t i = 0; i < st->policies->n && !prune; i++) {
		const struct bh_policy *p = st->policies->policy[i];
		if (!bh_policy_set_find(files, p->namespace, p->name))
			src[n++] = (struct bh_policy_source){p->file, p->text, strlen(p->text)};
	}
	return n ? parse(src, n, st, false) : bh_policy_set_new_empty();
}

static void add_action(json_t *list, const struct bh_policy *p, const char *action)
{
	json_array_append_new(list, json_pack("{s:s, s:s, s:s, s:s}", "policy", p->ref, "namespace",
					    p->namespace, "name", p->name, "action", action));
}

/* *ret_changes: how many policies are not as before. */
static json_t *actions(const struct bh_policy_set *before, const struct bh_policy_set *files,
	bool prune, size_t *ret_changes)
{
	json_t *list = json_array();
	*ret_changes = 0;
	for (size_t i = 0; i < files->n; i++) {
		const struct bh_policy *p = files->policy[i];
		const struct bh_policy *old = bh_policy_set_find(before, p->namespace, p->name);
		bool same = old && bh_policy_equal(old, p);
		add_action(list, p, !old ? "created" : same ? "unchanged" : "changed");
		*ret_changes += !same;
	}
	for (size_t i = 0; i < before->n && prune; i++) {
		const struct bh_policy *p = before->policy[i];
		if (bh_policy_set_find(files, p->namespace, p->name))
			continue;
		add_action(list, p, "deleted");
		(*ret_changes)++;
	}
	return list;
}

static json_t *delta_json(const struct bh_scenario_state *st, struct bh_policy_set *after)
{
	struct bh_delta d = {0};
	if (bh_delta_policies(st->policies, after, st->inv, &st->opts, true, NULL, &d) < 0)
		return json_null();
	json_t *o = bh_delta_json(&d);
	bh_delta_finish(&d);
	return o;
}

static json_t *plan(const struct bh_scenario_state *st, const struct cli_files *f, bool prune)
{
	json_t *reply = NULL;
	size_t changes;
	struct bh_policy_set *files = read_files(f, st);
	struct bh_policy_set *after = files ? planned(st, files, prune) : NULL;
	if (after) {
		json_t *list = actions(st->policies, files, prune, &changes);
		reply = json_pack("{s:b, s:b, s:o, s:o}", "dry_run", true, "changes", changes > 0,
			"policies", list, "delta", delta_json(st, after));
	}
	bh_policy_set_unref(after);
	bh_policy_set_unref(files);
	return reply;
}

int cli_plan_from_state(
	const char *state, const char *in, bool prune, const struct cli_files *f, json_t **ret)
{
	struct bh_scenario *s = cli_state_load(state);
	const struct bh_scenario_state *st = s ? cli_state_pick(s, in) : NULL;
	*ret = st ? plan(st, f, prune) : NULL;
	bh_scenario_free(s);
	return *ret ? CLI_OK : CLI_FAILED;
}
