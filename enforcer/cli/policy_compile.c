/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * bulkhead policy compile: what the kernel would hold, as nft prints and reads it. Needs no kernel,
 * no daemon and no privilege.
 */
#include "cli/decision.h"

/* The numbers that the daemon uses unless it is told otherwise. */
#define QUEUE_BASE 48620

static struct bh_policy_set *read_policies(
	const struct bh_scenario_state *st, int argc, char **argv)
{
	struct bh_diags bh_autodiags diags = {0};
	struct bh_policy_parse_opts opts = bh_scenario_policy_opts(st);
	struct bh_policy_set *set = NULL;
	struct cli_files f = {0};

	if (argc == 0)
		return bh_policy_set_ref(st->policies);
	if (cli_files_read(argc, argv, &f) != CLI_OK)
		return NULL;
	struct bh_policy_source bh_autofree *src = bh_xcalloc(f.n, sizeof(*src));
	opts.strict_empty = true;
	for (size_t i = 0; i < f.n; i++) {
		src[i] = (struct bh_policy_source){f.item[i].name, f.item[i].text, f.item[i].len};
		opts.strict_empty &= !f.item[i].in_directory;
	}
	bh_policy_set_parse(src, f.n, &opts, &diags, &set);
	cli_files_finish(&f);
	bh_diags_sort(&diags);
	cli_error_diags(&diags);
	return set;
}

struct stats {
	size_t policies, workloads, groups, chains, rules, sets, elements;
};

static int compare_names(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Groups are what the verdict maps lead to. */
static size_t count_groups(const struct bh_ruleset *rs)
{
	const char **name = NULL;
	size_t n = 0, cap = 0, groups = 0;
	for (size_t i = 0; i < rs->n_sets; i++)
		for (size_t k = 0; rs->set[i].kind == BH_MAP_VERDICT && k < rs->set[i].n; k++) {
			BH_GROW(name, n, cap);
			name[n++] = rs->set[i].elem[k].chain;
		}
	if (n)
		qsort(name, n, sizeof(*name), compare_names);
	for (size_t i = 0; i < n; i++)
		groups += i == 0 || !bh_streq(name[i - 1], name[i]);
	free(name);
	return groups;
}

static struct stats count(const struct bh_engine *e, const struct bh_ruleset *rs)
{
	struct stats s = {
		.policies = bh_engine_policies(e)->n,
		.workloads = bh_engine_inventory(e)->n,
		.groups = count_groups(rs),
		.chains = rs->n_chains,
		.sets = rs->n_sets,
	};
	for (size_t i = 0; i < rs->n_chains; i++)
		s.rules += rs->chain[i].n;
	for (size_t i = 0; i < rs->n_sets; i++)
		s.elements += rs->set[i].n;
	return s;
}

static void print_stats(struct cli *cli, const struct stats *s)
{
	const struct {
		const char *name;
		size_t n;
	} row[] = {{"policies", s->policies}, {"workloads", s->workloads}, {"groups", s->groups},
		{"chains", s->chains}, {"rules", s->rules}, {"sets", s->sets},
		{"elements", s->elements}};
	json_t *o = json_object();
	for (size_t i = 0; i < BH_ARRAY_SIZE(row); i++) {
		json_object_set_new(o, row[i].name, json_integer((json_int_t)row[i].n));
		if (!cli->json)
			printf("%-10s %zu\n", row[i].name, row[i].n);
	}
	if (cli->json)
		cli_print_json(cli, o);
	json_decref(o);
}

static void print_ruleset(struct cli *cli, const struct bh_ruleset *rs)
{
	struct bh_buf bh_autobuf text = {0};
	bh_ruleset_print(rs, &text);
	if (!cli->json) {
		fputs(text.s, stdout); /* names and comments are made of harmless characters */
		return;
	}
	json_t *o = json_pack("{s:s}", "nft", text.s);
	cli_print_json(cli, o);
	json_decref(o);
}

static int compile(
	struct cli *cli, const struct bh_scenario_state *st, struct bh_policy_set *policies)
{
	const struct bh_emit_opts opts = {
		.queue_unmatched = QUEUE_BASE,
		.queue_observed = QUEUE_BASE + 1,
		.have_nfqueue = cli->opt[2] != NULL,
	};
	struct bh_engine *e = bh_engine_compile(policies, st->inv, &st->opts);
	struct bh_ruleset *rs = bh_engine_emit(e, &opts);
	if (cli->opt[3]) {
		const struct stats s = count(e, rs);
		print_stats(cli, &s);
	} else {
		print_ruleset(cli, rs);
	}
	bh_ruleset_free(rs);
	bh_engine_unref(e);
	return CLI_OK;
}

int cli_policy_compile(struct cli *cli, int argc, char **argv)
{
	int r = CLI_FAILED;

	if (!cli->opt[0])
		return cli_usage_error(NULL,
			"policy compile needs --state FILE; `bulkhead state` prints the node's");
	struct bh_scenario *s = cli_state_load(cli->opt[0]);
	const struct bh_scenario_state *st = s ? cli_state_pick(s, cli->opt[1]) : NULL;
	struct bh_policy_set *policies = st ? read_policies(st, argc, argv) : NULL;
	if (policies)
		r = compile(cli, st, policies);
	bh_policy_set_unref(policies);
	bh_scenario_free(s);
	return r;
}
