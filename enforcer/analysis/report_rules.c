/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Which rules of the policies in force were used, first and last, and since when they stand. */
#include "analysis/report.h"
#include "answer/clock.h"
#include "flows/flows.h"
#include "policies/file_set.h"
#include "policies/policies.h"
#include "policies/versions.h"

static void put_slot(struct bh_report *r, size_t i)
{
	const char *text = r->rule[i].text;
	size_t at = bh_hash_str(text, BH_HASH_SEED) & r->rule_mask;
	while (r->rule_slot[at])
		at = (at + 1) & r->rule_mask;
	r->rule_slot[at] = (uint32_t)i + 1;
}

static void add_rule(struct bh_report *r, size_t policy, enum bh_direction d, size_t rule, int peer)
{
	struct bh_side side = {
		.rule = {.policy = r->set->policy[policy], .rule = (int)rule, .peer = peer}};

	if (r->n_rules == BH_REPORT_RULES_MAX) {
		r->rules_omitted++;
		return;
	}
	BH_GROW(r->rule, r->n_rules, r->cap_rules);
	r->rule[r->n_rules++] = (struct bh_report_rule){.policy = policy,
		.direction = d,
		.rule = rule,
		.text = bh_core_rule_name(&side, d)};
}

void bh_core_report_rules_init(struct bh_report *r)
{
	r->policy = bh_xcalloc(r->set->n + 1, sizeof(*r->policy));
	r->look = r->n_versions;
	for (size_t i = 0; i < r->n_versions; i++)
		if (r->version[i].number == r->generation)
			r->look = i;
	for (size_t i = 0; i < r->set->n; i++) {
		const struct bh_policy *p = r->set->policy[i];
		r->policy[i].version = r->generation;
		r->policy[i].at = r->look < r->n_versions ? r->version[r->look].at : r->asked;
		for (int d = BH_EGRESS; d <= BH_INGRESS; d++)
			for (size_t k = 0; k < p->n_rules[d]; k++) {
				size_t peers = p->rule[d][k].n_peers;
				for (size_t m = 0; m < (peers ? peers : 1); m++)
					add_rule(
						r, i, (enum bh_direction)d, k, peers ? (int)m : -1);
			}
	}
	for (r->rule_mask = 63; r->rule_mask < 2 * r->n_rules;)
		r->rule_mask = r->rule_mask * 2 + 1;
	r->rule_slot = bh_xcalloc(r->rule_mask + 1, sizeof(*r->rule_slot));
	for (size_t i = 0; i < r->n_rules; i++)
		put_slot(r, i);
}

void bh_core_report_rules_finish(struct bh_report *r)
{
	for (size_t i = 0; i < r->n_rules; i++)
		free(r->rule[i].text);
	free(r->rule);
	free(r->rule_slot);
	free(r->policy);
}

/* false: no policy that it has means what it means now. */
static bool compare(
	struct bh_report *r, const struct bh_report_version *v, const struct bh_policy_set *set)
{
	bool more = false;
	for (size_t i = 0; i < r->set->n; i++) {
		struct bh_report_policy *x = &r->policy[i];
		const struct bh_policy *now = r->set->policy[i];
		const struct bh_policy *then =
			x->settled ? NULL : bh_policy_set_find(set, now->namespace, now->name);
		if (!then || !bh_policy_equal(then, now)) {
			x->settled = true;
			continue;
		}
		x->version = v->number;
		x->at = v->at;
		more = true;
	}
	return more;
}

/* Nothing older is known: who stands since then may stand longer. */
static bool end(struct bh_report *r)
{
	for (size_t i = 0; i < r->set->n; i++)
		r->policy[i].before = !r->policy[i].settled && r->policy[i].version > 1;
	return false;
}

bool bh_core_report_look_back(struct bh_core *c, struct bh_report *r)
{
	struct bh_policy_parse_opts opts = bh_core_parse_opts(c);
	struct bh_policy_set *set = NULL;
	struct bh_file_set files = {0};
	struct bh_diags diags = {0};

	if (r->look == 0 || r->look >= r->n_versions)
		return end(r);
	const struct bh_report_version *v = &r->version[--r->look];
	int e = bh_core_version_files(c, v->number, &files);
	if (e == 0)
		e = bh_policy_set_parse(files.src, files.n, &opts, &diags, &set);
	bool more = e == 0 && compare(r, v, set);
	bh_policy_set_unref(set);
	bh_diags_finish(&diags);
	bh_file_set_finish(&files);
	return e < 0 ? end(r) : more;
}

static struct bh_report_rule *find(struct bh_report *r, const char *text, size_t len)
{
	char bh_autofree *copy = bh_xstrndup(text, len);
	size_t at = bh_hash_str(copy, BH_HASH_SEED) & r->rule_mask;
	for (; r->rule_slot[at]; at = (at + 1) & r->rule_mask)
		if (bh_streq(r->rule[r->rule_slot[at] - 1].text, copy))
			return &r->rule[r->rule_slot[at] - 1];
	return NULL;
}

static void use(struct bh_report *r, const char *text, size_t len, const struct bh_flow_row *row)
{
	struct bh_report_rule *x = find(r, text, len);
	const struct bh_report_policy *p = x ? &r->policy[x->policy] : NULL;

	if (!x || row->last_seen < p->at) /* a rule of before, in the same place */
		return;
	int64_t first = row->first_seen < p->at ? p->at : row->first_seen;
	if (!x->last || first < x->first)
		x->first = first;
	if (row->last_seen > x->last)
		x->last = row->last_seen;
	x->connections += row->count;
}

/* A row names the rules of one side or of both, "…; …"; a name can have that in it as well. */
void bh_core_report_use(struct bh_report *r, const struct bh_flow_row *row)
{
	if (!row->rule)
		return;
	size_t len = strlen(row->rule);
	use(r, row->rule, len, row);
	for (const char *at = row->rule; (at = strstr(at, "; ")); at += 2) {
		size_t n = (size_t)(at - row->rule);
		use(r, row->rule, n, row);
		use(r, at + 2, len - n - 2, row);
	}
}

/* What a Pass rule passes on is recorded with the rule that decided in the end. */
static const char *state_of(const struct bh_report *r, const struct bh_report_rule *x)
{
	const struct bh_policy *p = r->set->policy[x->policy];
	if (p->rule[x->direction][x->rule].action == BH_RULE_PASS)
		return "not counted";
	if (x->last >= r->since)
		return "used";
	return r->policy[x->policy].at > r->since ? "new" : "unused";
}

json_t *bh_core_report_rules_json(const struct bh_report *r)
{
	json_t *list = json_array();

	for (size_t i = 0; i < r->n_rules; i++) {
		const struct bh_report_rule *x = &r->rule[i];
		const struct bh_policy *p = r->set->policy[x->policy];
		const struct bh_report_policy *stands = &r->policy[x->policy];
		const struct bh_policy_rule *rule = &p->rule[x->direction][x->rule];
		json_t *o = json_pack("{s:s, s:s, s:s, s:s, s:s, s:i, s:s, s:I, s:I, s:b}",
			"policy", p->ref, "tier", bh_tier_name(p->tier), "rule",
			x->text + (strncmp(x->text, p->ref, strlen(p->ref)) == 0
						  ? strlen(p->ref) + 1
						  : 0),
			"action", bh_rule_action_name(rule->action), "file", p->file, "line",
			rule->line, "state", state_of(r, x), "connections",
			(json_int_t)x->connections, "version", (json_int_t)stands->version,
			"or_longer", stands->before);
		json_object_set_new(
			o, "in_force_since", stands->at ? bh_clock_json(stands->at) : json_null());
		json_object_set_new(
			o, "first_used", x->last ? bh_clock_json(x->first) : json_null());
		json_object_set_new(o, "last_used", x->last ? bh_clock_json(x->last) : json_null());
		json_array_append_new(list, o);
	}
	return list;
}
