/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * bulkhead policy test: unit tests of policies. Asks nobody, needs no privilege. The engine that
 * judges is the one that the daemon loads into the kernel.
 */
#include "cli/decision.h"

struct run {
	struct cli *cli;
	size_t passed, failed;
	json_t *cases; /* NULL unless -o json */
	json_t *failures; /* of the present case */
};

struct probe { /* one that failed, with all it needs to be told */
	const struct bh_scenario *s;
	const struct bh_scenario_state *st;
	const struct bh_scenario_probe *p;
	const struct bh_engine *e;
	struct bh_decision d;
};

static void service(const struct bh_flow *f, char *buf, size_t size)
{
	char number[4];
	if (cli_is_transport(f->proto))
		snprintf(buf, size, "%s/%u", bh_proto_name(f->proto, number), f->dport);
	else
		snprintf(buf, size, "%s", bh_proto_name(f->proto, number));
}

static const char *word(bool allow)
{
	return allow ? "allow" : "deny";
}

/* The explanation below its probe, each line indented. */
static void print_indented(const char *text)
{
	while (*text) {
		size_t n = strcspn(text, "\n");
		printf("    %.*s\n", (int)n, text);
		text += n + (text[n] == '\n');
	}
}

static void print_failure(const struct probe *x)
{
	char what[16];
	struct bh_buf bh_autobuf text = {0};
	char bh_autofree *file = cli_safe(x->s->file), bh_autofree *name = cli_safe(x->s->name);
	char bh_autofree *state = x->st->name ? cli_safe(x->st->name) : NULL;
	char bh_autofree *from = cli_safe(x->p->from), bh_autofree *to = cli_safe(x->p->to);
	char bh_autofree *why = cli_decision_reason(&x->d), bh_autofree *safe_why = cli_safe(why);

	service(&x->p->flow, what, sizeof(what));
	printf("%s:%d:%d: %s%s%s: %s -> %s %s %s: expected %s, is %s (%s)\n", file, x->p->line,
		x->p->column, name, state ? ", state " : "", state ? state : "", from, to, what,
		x->p->flow.src.family == BH_IPV4 ? "ipv4" : "ipv6", word(x->p->allow),
		word(!x->p->allow), safe_why);
	bh_engine_explain(x->e, &x->p->flow, &text);
	char bh_autofree *safe = cli_safe_lines(text.s);
	print_indented(safe);
}

static json_t *failure_json(const struct probe *x)
{
	char number[4];
	const struct bh_flow *f = &x->p->flow;
	char bh_autofree *why = cli_decision_reason(&x->d);
	json_t *o = json_pack("{s:s?, s:i, s:i, s:s, s:s, s:s, s:s, s:s, s:s, s:s}", "state",
		x->st->name, "line", x->p->line, "column", x->p->column, "from", x->p->from, "to",
		x->p->to, "protocol", bh_proto_name(f->proto, number), "family",
		f->src.family == BH_IPV4 ? "ipv4" : "ipv6", "expected", word(x->p->allow), "given",
		word(!x->p->allow), "why", why);
	if (cli_is_transport(f->proto))
		json_object_set_new(o, "port", json_integer(f->dport));
	json_object_set_new(o, "explanation", cli_decision_json(x->e, f));
	return o;
}

static void run_state(
	struct run *run, const struct bh_scenario *s, const struct bh_scenario_state *st)
{
	if (!st->n_probes)
		return;
	struct bh_engine *e = bh_engine_compile(st->policies, st->inv, &st->opts);
	for (size_t i = 0; i < st->n_probes; i++) {
		struct probe x = {.s = s, .st = st, .p = &st->probe[i], .e = e};
		bh_engine_evaluate(e, &x.p->flow, &x.d);
		if ((x.d.verdict == BH_ALLOW) == x.p->allow) {
			run->passed++;
			continue;
		}
		run->failed++;
		if (run->cases)
			json_array_append_new(run->failures, failure_json(&x));
		else
			print_failure(&x);
	}
	bh_engine_unref(e);
}

static void add_case(struct run *run, const char *file, const char *name, size_t passed,
	size_t failed, const struct bh_diags *diags)
{
	char bh_autofree *safe = cli_safe(file);
	json_array_append_new(run->cases,
		json_pack("{s:s, s:s?, s:I, s:I, s:o, s:o}", "file", safe, "name", name, "passed",
			(json_int_t)passed, "failed", (json_int_t)failed, "failures", run->failures,
			"diagnostics", cli_diags_json(diags->item, diags->n)));
	run->failures = NULL;
}

/* A case that can't be read tests nothing, so it has failed. What is only a warning is left to
 * `policy check`. */
static void run_file(struct run *run, const struct cli_file *f)
{
	struct bh_diags bh_autodiags diags = {0};
	struct bh_scenario *s = NULL;
	size_t passed = run->passed, failed = run->failed;

	if (run->cases)
		run->failures = json_array();
	int r = bh_scenario_parse(f->name, f->text, f->len, BH_SCENARIO_TEST, &diags, &s);
	bh_diags_sort(&diags);
	for (size_t i = 0; r == 0 && i < s->n_states; i++)
		run_state(run, s, &s->state[i]);
	if (r < 0) {
		run->failed++;
		if (!run->cases)
			cli_print_diags(&diags, stdout);
	}
	if (run->cases)
		add_case(run, f->name, s ? s->name : NULL, run->passed - passed,
			run->failed - failed, &diags);
	bh_scenario_free(s);
}

static void run_argument(struct run *run, char *arg)
{
	struct cli_files f = {0};
	fflush(stdout); /* its complaint goes to the other stream */
	if (cli_files_read(1, &arg, &f) != CLI_OK) {
		run->failed++;
		return;
	}
	for (size_t i = 0; i < f.n; i++)
		run_file(run, &f.item[i]);
	cli_files_finish(&f);
}

int cli_policy_test(struct cli *cli, int argc, char **argv)
{
	struct run run = {.cli = cli, .cases = cli->json ? json_array() : NULL};

	for (int i = 0; i < argc; i++)
		run_argument(&run, argv[i]);
	if (cli->json) {
		json_t *all = json_pack("{s:I, s:I, s:o}", "passed", (json_int_t)run.passed,
			"failed", (json_int_t)run.failed, "cases", run.cases);
		cli_print_json(cli, all);
		json_decref(all);
	} else {
		printf("%zu passed, %zu failed\n", run.passed, run.failed);
	}
	return run.failed ? CLI_FAILED : CLI_OK;
}
