/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The policy engine's benchmark: compile, load, starts and memory for nine sizes of world, and the
 * decision on one flow. Prints what was measured beside its baseline and what was aimed at, and
 * judges nothing: a slow machine is no failure. See world.h for the worlds, shapes.c for the worst
 * cases of the evaluation.
 */
#include "bench/policy.h"

#include <err.h>
#include <getopt.h>

#define AIM_COMPILE 1000.0 /* ms, at 1,000 policies and 10,000 workloads */
#define AIM_LOAD 2000.0 /* ms, there too */
#define AIM_START 5.0 /* ms, at any size */
#define AIM_EVAL 1000.0 /* ns */
#define AIM_FLAT 2.0 /* 1,000 policies may cost so many times what one costs */

static const size_t policies[] = {10, 100, 1000}, workloads[] = {100, 1000, 10000};
static const size_t eval_policies[] = {1, 10, 100, 1000};

static unsigned missed;

struct limits {
	const char *only;
	size_t max; /* policies, workloads */
	size_t policies, workloads; /* one size alone; 0: all */
};

static const char *judge(bool met)
{
	missed += !met;
	return met ? "met" : "MISSED";
}

static void line(const char *what, const struct bench_stat *s, const char *unit, const char *more)
{
	char text[64], what_unit[80];
	snprintf(what_unit, sizeof(what_unit), "%s %s", bench_text(s, text), unit);
	printf("  %-22s %-*s%s\n", what, *more ? 27 : 0, what_unit, more);
}

/* A busy machine shows in the clock, not in the CPU time. */
static void cpu_line(const struct bench_stat *s)
{
	line("  of CPU", s, "ms", "");
}

static void print_starts(const struct bench_size_result *r)
{
	const struct bench_starts *s = &r->starts;
	double worst = bench_max(&s->start);
	char more[256], text[64];
	snprintf(more, sizeof(more),
		"aim %.0f: median %s, worst %s; n = %zu, %zu compiled in full, at most %zu changes",
		AIM_START, judge(bench_median(&s->start) <= AIM_START), judge(worst <= AIM_START),
		s->start.n, s->full, s->changed);
	line("one start", &s->start, "ms", more);
	cpu_line(&s->cpu);
	for (int i = 0; i < STEPS; i++)
		printf("    %-20s %s\n", bench_step_name[i], bench_text(&s->step[i], text));
	line("one removal", &s->removal, "ms", "");
}

static void print_tool(const char *what, const struct bench_stat *s, bool capped)
{
	if (s->n)
		line(what, s, "ms", "");
	else if (capped)
		printf("  %-22s over %d s\n", what, BENCH_NFT_CAP);
}

static void print_size(const struct bench_size *s, const struct bench_size_result *r)
{
	bool largest = s->world.policies == 1000 && s->world.workloads == 10000;
	char more[128] = "", a[64], b[64], c[64];
	printf("\n%zu policies, %zu workloads, %zu namespaces\n", s->world.policies,
		s->world.workloads, s->world.namespaces);
	printf("  %-22s %zu sets, %zu elements, %zu chains, %zu rules; %.1f MB as text\n",
		"produced", r->sets, r->elements, r->chains, r->rules, (double)r->text / 1e6);
	line("parse", &r->parse, "ms", "");
	if (largest)
		snprintf(more, sizeof(more), "aim %.0f: %s", AIM_COMPILE,
			judge(bench_max(&r->full) <= AIM_COMPILE));
	line("full compile", &r->full, "ms", more);
	cpu_line(&r->full_cpu);
	printf("    seal %s, compile %s, emit %s\n", bench_text(&r->seal, a),
		bench_text(&r->compile, b), bench_text(&r->emit, c));
	if (largest)
		snprintf(more, sizeof(more), "aim %.0f: %s", AIM_LOAD,
			judge(bench_max(&r->load) <= AIM_LOAD));
	line("full load", &r->load, "ms", more);
	cpu_line(&r->load_cpu);
	print_tool("  the same by nft -f", &r->tool_load, r->tool_capped);
	print_starts(r);
	print_tool("  by nft -f of it all", &r->tool_start, r->tool_capped);
	printf("  %-22s %.0f MiB at the peak, %.0f of them policies and inventory\n", "memory",
		r->peak, r->given);
	fflush(stdout);
}

static void run_size(const struct bench_opts *o, size_t n_policies, size_t n_workloads)
{
	static struct bench_size_result r;
	struct bench_size s = {*o, bench_world_size(n_policies, n_workloads, o->cnp, o->seed)};
	memset(&r, 0, sizeof(r));
	if (bench_in_child(bench_size_run, &s, &r, sizeof(r)) < 0)
		errx(1, "%zu policies, %zu workloads: the measurement failed", n_policies,
			n_workloads);
	print_size(&s, &r);
}

static void run_sizes(const struct bench_opts *o, const struct limits *l)
{
	printf("\n== Compile, load, one start: median (fastest-slowest) of %u rounds\n", o->rounds);
	if (l->policies || l->workloads) {
		run_size(o, l->policies ? l->policies : 1000, l->workloads ? l->workloads : 10000);
		return;
	}
	for (size_t p = 0; p < BH_ARRAY_SIZE(policies); p++)
		for (size_t w = 0; w < BH_ARRAY_SIZE(workloads); w++)
			if (policies[p] <= l->max && workloads[w] <= l->max)
				run_size(o, policies[p], workloads[w]);
}

struct shape_table {
	struct bench_eval_result r[BH_ARRAY_SIZE(eval_policies)];
};

static void print_row(const char *what, const struct shape_table *t, int kind)
{
	char text[64];
	printf("  %-19s", what);
	for (size_t p = 0; p < BH_ARRAY_SIZE(eval_policies); p++)
		printf("  %-22s", bench_text(kind < 0 ? &t->r[p].naive : &t->r[p].ns[kind], text));
	printf("\n");
}

static void judge_shape(const struct shape_table *t)
{
	double slowest = 0, growth = 0;
	for (int k = 0; k < KINDS; k++) {
		double first = 0, last = 0;
		for (size_t p = 0; p < BH_ARRAY_SIZE(eval_policies); p++) {
			const struct bench_stat *s = &t->r[p].ns[k];
			last = s->n ? bench_median(s) : last;
			first = first > 0 ? first : last;
			slowest = bench_max(s) > slowest ? bench_max(s) : slowest;
		}
		if (first > 0 && last / first > growth)
			growth = last / first;
	}
	printf("  slowest %.0f ns, aim %.0f: %s; %zu policies cost at most %.1f times what the "
	       "fewest cost, aim %.0f: %s\n",
		slowest, AIM_EVAL, judge(slowest < AIM_EVAL),
		eval_policies[BH_ARRAY_SIZE(eval_policies) - 1], growth, AIM_FLAT,
		judge(growth <= AIM_FLAT));
}

static void run_shape(const struct bench_opts *o, const char *shape, size_t n_workloads)
{
	static struct shape_table t;
	memset(&t, 0, sizeof(t));
	for (size_t p = 0; p < BH_ARRAY_SIZE(eval_policies); p++) {
		struct bench_eval v = {*o, shape, eval_policies[p], n_workloads};
		if (bench_in_child(bench_eval_run, &v, &t.r[p], sizeof(t.r[p])) < 0)
			errx(1, "evaluation, %zu policies: failed", eval_policies[p]);
	}
	printf("\n%-21s", shape ? shape : "spread");
	for (size_t p = 0; p < BH_ARRAY_SIZE(eval_policies); p++)
		printf("  %zu %-20s", eval_policies[p], p ? "policies" : "policy");
	printf("\n");
	for (int k = 0; k < KINDS; k++)
		print_row(bench_kind_name[k], &t, k);
	print_row("naive, all of these", &t, -1);
	judge_shape(&t);
	fflush(stdout);
}

static void run_eval(const struct bench_opts *o, const struct limits *l)
{
	printf("\n== Decision on one new flow: ns of CPU, median (fastest-slowest) of %u rounds "
	       "over up "
	       "to "
	       "%d flows of a kind\n",
		o->rounds, BENCH_FLOWS);
	run_shape(o, NULL, l->max < 10000 ? l->max : 10000);
	for (size_t i = 0; bench_shapes[i]; i++)
		run_shape(o, bench_shapes[i], 0);
}

static void usage(void)
{
	fputs("usage: bench_policy [--rounds N] [--seed N] [--cnp PERCENT] [--no-nft]\n"
	      "                    [--only sizes|eval] [--max N | --policies N --workloads N]\n"
	      "--max N leaves out sizes with more policies or workloads than N; with --policies "
	      "or\n"
	      "--workloads one size is measured, of 1000 and 10000 where not given.\n",
		stderr);
	exit(2);
}

static uint64_t number(uint64_t least, uint64_t most)
{
	uint64_t v;
	if (bh_parse_u64(optarg, most, &v) < 0 || v < least)
		usage();
	return v;
}

static void option(int c, struct bench_opts *o, struct limits *l)
{
	switch (c) {
	case 'r':
		o->rounds = (unsigned)number(1, BENCH_ROUNDS_MAX);
		break;
	case 's':
		o->seed = number(0, UINT32_MAX);
		break;
	case 'c':
		o->cnp = (unsigned)number(0, 100);
		break;
	case 'm':
		l->max = (size_t)number(100, UINT32_MAX);
		break;
	case 'p':
		l->policies = (size_t)number(1, 9999);
		break;
	case 'w':
		l->workloads = (size_t)number(1, 60000);
		break;
	case 'n':
		o->tool = false;
		break;
	case 'o':
		l->only = optarg;
		break;
	default:
		usage();
	}
}

int main(int argc, char **argv)
{
	static const struct option options[] = {{"rounds", 1, 0, 'r'}, {"seed", 1, 0, 's'},
		{"cnp", 1, 0, 'c'}, {"max", 1, 0, 'm'}, {"policies", 1, 0, 'p'},
		{"workloads", 1, 0, 'w'}, {"no-nft", 0, 0, 'n'}, {"only", 1, 0, 'o'}, {0}};
	struct bench_opts o = {.rounds = 7, .cnp = 5, .seed = 1, .tool = true};
	struct limits l = {.only = "sizes and eval", .max = SIZE_MAX};
	for (int c; (c = getopt_long(argc, argv, "", options, NULL)) != -1;)
		option(c, &o, &l);
	bool sizes = strstr(l.only, "sizes"), eval = strstr(l.only, "eval");
	if (optind != argc || (!sizes && !eval))
		usage();
	printf("seed %lu, %u %% ClusterNetworkPolicies\n", (unsigned long)o.seed, o.cnp);
	if (sizes)
		run_sizes(&o, &l);
	if (eval)
		run_eval(&o, &l);
	printf("\n%u aims missed\n", missed);
	return 0;
}
