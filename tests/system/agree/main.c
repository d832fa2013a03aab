/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * agree [--seed N] [--probes N] [--minutes M] [--account] [--sabotage ports|peers|maps]
 *
 * World after world from the seed on, until so many probes have agreed and so many minutes are
 * over. World I of seed N is world 0 of seed N + I, so a failure is repeated with its own seed.
 * Exit 0: everybody agrees; 1: the smallest world in which they don't has been printed; 2: could
 * not run.
 */
#include "agree.h"

#include <getopt.h>
#include <time.h>

enum { PROBES_PER_STATE = 150, CHANGES_MAX = 2 };

struct options {
	uint64_t seed, probes, minutes;
	unsigned features;
	enum sabotage sabotage;
	bool account;
};

static void keep_states(
	struct trouble *t, const struct random_world *before, const struct random_world *now)
{
	if (before) {
		random_world_copy(&t->state[t->n_states], before);
		random_world_build(&t->state[t->n_states++], NULL);
	}
	random_world_copy(&t->state[t->n_states], now);
	random_world_build(&t->state[t->n_states++], NULL);
}

/* Loads and probes one state. False: they disagree, and *t says where. */
static bool try_state(struct lab *l, struct kernel *k, struct account *a,
	const struct random_world *before, struct random_world *now, struct trouble *t)
{
	struct probes p = {0};
	bool good = true;
	lab_address(l, now->inv);
	a->states++;
	if (!kernel_load(k, now)) {
		memcpy(t->why, k->why, sizeof(t->why));
		keep_states(t, before, now);
		return false;
	}
	probes_make(&p, now, PROBES_PER_STATE);
	probes_run(l, p.item, p.n);
	for (size_t i = 0; good && i < p.n; i++) {
		struct bh_decision d;
		judge(k, now, &p.item[i], &d, &t->reference);
		t->evaluator = d.verdict == BH_ALLOW;
		account_count(a, &p.item[i], &d);
		if (p.item[i].arrived == t->evaluator && t->evaluator == t->reference)
			continue;
		t->probe = p.item[i];
		t->arrived = p.item[i].arrived;
		keep_states(t, before, now);
		good = false;
	}
	free(p.item);
	return good;
}

static bool try_world(struct lab *l, struct kernel *k, const struct options *o, struct account *a,
	struct trouble *t)
{
	struct random_world now, before;
	unsigned changes;
	if (!random_world_make(&now, t->seed, o->features)) {
		fprintf(stderr, "agree: seed %llu makes policies that nobody reads\n",
			(unsigned long long)t->seed);
		exit(2);
	}
	a->worlds++;
	bool good = try_state(l, k, a, NULL, &now, t);
	changes = random_below(&now, CHANGES_MAX + 1);
	for (unsigned i = 0; good && i < changes; i++) {
		random_world_copy(&before, &now);
		good = random_world_change(&now) && try_state(l, k, a, &before, &now, t);
		random_world_finish(&before);
	}
	random_world_finish(&now);
	return good;
}

static void print_trouble(struct lab *l, struct kernel *k, struct trouble *t)
{
	bh_autobuf struct bh_buf out = {0};
	bool steady = trouble_again(l, k, t) && trouble_again(l, k, t);
	size_t tries = steady ? trouble_shrink(l, k, t) : 0;
	trouble_show(t, &out);
	printf("# %s; shrunk in %zu steps\n%s",
		steady ? "disagreement" : "a disagreement that does not repeat itself alone", tries,
		out.s);
	if (!t->why[0]) {
		out.len = 0;
		bh_engine_explain(k->engine, &t->probe.flow, &out);
		for (char *line = strtok(out.s, "\n"); line; line = strtok(NULL, "\n"))
			printf("# %s\n", line);
	}
}

static int run(const struct options *o, struct lab *l, struct kernel *k)
{
	struct account a = {0};
	time_t end = time(NULL) + (time_t)o->minutes * 60;
	unsigned long long seed = o->seed;
	for (uint64_t i = 0; a.probes < o->probes || (o->minutes && time(NULL) < end); i++) {
		struct trouble t = {.seed = o->seed + i};
		if (try_world(l, k, o, &a, &t))
			continue;
		print_trouble(l, k, &t);
		printf("not ok - agreement: seed %llu (world %llu of seed %llu)\n",
			(unsigned long long)t.seed, (unsigned long long)i, seed);
		trouble_finish(&t);
		return 1;
	}
	account_print(&a);
	printf("ok - seed %llu: kernel, evaluator and reference agree on %zu probes, %zu worlds in "
	       "%zu states (%zu loaded as a difference, %zu derived)\n",
		seed, a.probes, a.worlds, a.states, k->diffs, k->derived);
	if (!o->account)
		return 0;
	bool every = account_balanced(&a) && k->diffs >= 5 && k->derived >= 5;
	printf("%sok - seed %llu: every protocol, family, path and tier was allowed and denied, "
	       "loaded in every way\n",
		every ? "" : "not ", seed);
	return every ? 0 : 1;
}

static enum sabotage parse_sabotage(const char *s)
{
	static const char *const name[] = {"none", "ports", "peers", "maps"};
	for (size_t i = 0; i < BH_ARRAY_SIZE(name); i++)
		if (bh_streq(s, name[i]))
			return (enum sabotage)i;
	fprintf(stderr, "agree: --sabotage ports|peers|maps\n");
	exit(2);
}

static void parse_options(int argc, char **argv, struct options *o)
{
	static const struct option longopts[] = {{"seed", required_argument, NULL, 's'},
		{"probes", required_argument, NULL, 'p'}, {"minutes", required_argument, NULL, 'm'},
		{"sabotage", required_argument, NULL, 'x'}, {"account", no_argument, NULL, 'a'},
		{NULL, 0, NULL, 0}};
	int c;
	while ((c = getopt_long(argc, argv, "", longopts, NULL)) != -1) {
		uint64_t *number = c == 's' ? &o->seed : c == 'p' ? &o->probes : &o->minutes;
		if (c == 'a')
			o->account = true;
		else if (c == 'x')
			o->sabotage = parse_sabotage(optarg);
		else if (c == '?' || bh_parse_u64(optarg, UINT32_MAX, number) < 0)
			exit(2);
	}
}

int main(int argc, char **argv)
{
	struct options o = {.seed = 1, .probes = 4000, .features = RANDOM_ENFORCE | RANDOM_CLUSTER};
	struct lab lab = {0};
	struct kernel kernel = {0};
	parse_options(argc, argv, &o);
	lab_open(&lab);
	kernel_open(&kernel);
	kernel.sabotage = o.sabotage;
	int r = run(&o, &lab, &kernel);
	kernel_close(&kernel);
	lab_close(&lab);
	return r;
}
