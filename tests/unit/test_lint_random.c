/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Warnings say that something has no effect. In random worlds it is taken out: no verdict may
 * change. (Allow-alls are not of that kind.)
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <bulkhead/lint.h>

#include "lib/random_world.h"
#include "lib/reference.h"

#define SEEDS 600
#define FLOWS 400

/* Kinds of warnings, by a part of their text. */
static const char *const kind[] = {"allows nothing that", "never decides", "means nobody whom",
	"means the same as", "is contained in", "is listed by", "nothing is left",
	"nothing can match", "selects nobody", "the peer means nobody", " port called "};
static size_t seen[BH_ARRAY_SIZE(kind)];

static int kind_of(const struct bh_diag *d)
{
	for (size_t i = 0; i < BH_ARRAY_SIZE(kind); i++)
		if (strstr(d->what, kind[i]))
			return (int)i;
	return -1;
}

/* What a warning's path names. */
struct target {
	struct bh_policy *policy;
	int direction; /* -1: the policy itself */
	size_t rule;
	long peer, port, network; /* -1: not about one */
};

static long index_behind(const char *path, const char *field)
{
	const char *s = strstr(path, field);
	return s ? strtol(s + strlen(field), NULL, 10) : -1;
}

static bool stands_at(const struct target *t, const struct bh_diag *d)
{
	const struct bh_policy *p = t->policy;
	if (t->direction < 0 && !bh_streq(d->path, "spec"))
		return p->subject_line == d->line && p->subject_column == d->column;
	if (t->direction < 0)
		return p->line == d->line && p->column == d->column;
	if (t->rule >= p->n_rules[t->direction])
		return false;
	const struct bh_policy_rule *r = &p->rule[t->direction][t->rule];
	if (t->peer < 0)
		return r->line == d->line && r->column == d->column;
	return (size_t)t->peer < r->n_peers && r->peer[t->peer].line == d->line &&
	       r->peer[t->peer].column == d->column;
}

static struct target find(const struct bh_policy_set *set, const struct bh_diag *d)
{
	const char *path = d->path;
	struct target t = {.direction = -1, .peer = -1, .port = -1, .network = -1};
	long in = index_behind(path, ".ingress["), out = index_behind(path, ".egress[");
	if (in >= 0 || out >= 0) {
		t.direction = in >= 0 ? BH_INGRESS : BH_EGRESS;
		t.rule = (size_t)(in >= 0 ? in : out);
		t.peer = index_behind(path, in >= 0 ? ".from[" : ".to[");
		t.port = index_behind(path, ".ports[");
		if (t.port < 0)
			t.port = index_behind(path, ".protocols[");
		t.network = index_behind(path, ".networks[");
	}
	for (size_t i = 0; i < set->n; i++) {
		t.policy = set->policy[i];
		if (stands_at(&t, d))
			return t;
	}
	fail_msg("no place for %s: %s", path, d->what);
	return t;
}

/* Takes element i out of n of `size` at `base`, and puts it back. */
static void take_out(void *base, size_t *n, size_t size, size_t i, void *kept)
{
	char *p = base;
	memcpy(kept, p + i * size, size);
	memmove(p + i * size, p + (i + 1) * size, (--*n - i) * size);
}

static void put_back(void *base, size_t *n, size_t size, size_t i, const void *kept)
{
	char *p = base;
	memmove(p + (i + 1) * size, p + i * size, ((*n)++ - i) * size);
	memcpy(p + i * size, kept, size);
}

struct check {
	struct random_world *w;
	const struct bh_diag *diag;
	struct bh_flow flow[FLOWS];
	struct bh_decision before[FLOWS];
};

static void decide(struct check *c, size_t i, struct bh_decision *ret)
{
	reference_evaluate(c->w->policies, c->w->inv, &c->w->opts, &c->flow[i], ret);
}

static void expect_no_change(struct check *c)
{
	for (size_t i = 0; i < FLOWS; i++) {
		struct bh_decision d;
		decide(c, i, &d);
		if (d.verdict == c->before[i].verdict && d.would_deny == c->before[i].would_deny &&
			d.learn == c->before[i].learn)
			continue;
		fail_msg("%s: %s: taken out, a verdict changes from %d to %d in\n%s", c->diag->path,
			c->diag->what, (int)c->before[i].verdict, (int)d.verdict,
			c->w->policy_text);
	}
}

static void without_policy(struct check *c, struct bh_policy *p)
{
	struct bh_policy kept = *p;
	for (int d = 0; d < 2; d++) {
		p->isolates[d] = false;
		p->n_rules[d] = 0;
	}
	expect_no_change(c);
	*p = kept;
}

static void without_rule(struct check *c, const struct target *t)
{
	struct bh_policy *p = t->policy;
	struct bh_policy_rule kept;
	take_out(p->rule[t->direction], &p->n_rules[t->direction], sizeof(kept), t->rule, &kept);
	expect_no_change(c);
	put_back(p->rule[t->direction], &p->n_rules[t->direction], sizeof(kept), t->rule, &kept);
}

static void without_peer(struct check *c, const struct target *t)
{
	struct bh_policy_rule *r = &t->policy->rule[t->direction][t->rule];
	struct bh_policy_peer *peer = &r->peer[t->peer], kept;
	if (t->network >= 0 && peer->n_networks > 1) {
		struct bh_prefix network;
		take_out(peer->network, &peer->n_networks, sizeof(network), (size_t)t->network,
			&network);
		expect_no_change(c);
		put_back(peer->network, &peer->n_networks, sizeof(network), (size_t)t->network,
			&network);
		return;
	}
	if (r->n_peers == 1) { /* no peers would mean all */
		without_rule(c, t);
		return;
	}
	take_out(r->peer, &r->n_peers, sizeof(kept), (size_t)t->peer, &kept);
	expect_no_change(c);
	put_back(r->peer, &r->n_peers, sizeof(kept), (size_t)t->peer, &kept);
}

static void without_port(struct check *c, const struct target *t)
{
	struct bh_policy_rule *r = &t->policy->rule[t->direction][t->rule];
	struct bh_policy_port kept;
	if (r->n_ports == 1) {
		without_rule(c, t);
		return;
	}
	take_out(r->port, &r->n_ports, sizeof(kept), (size_t)t->port, &kept);
	expect_no_change(c);
	put_back(r->port, &r->n_ports, sizeof(kept), (size_t)t->port, &kept);
}

static void without(struct check *c)
{
	const struct target t = find(c->w->policies, c->diag);
	if (t.direction < 0)
		without_policy(c, t.policy);
	else if (t.peer >= 0)
		without_peer(c, &t);
	else if (t.port >= 0)
		without_port(c, &t);
	else
		without_rule(c, &t);
}

static void check_world(uint64_t seed)
{
	struct random_world w;
	struct bh_diags bh_autodiags diags = {0};
	struct check *c = bh_xcalloc(1, sizeof(*c));
	assert_true(random_world_init(&w, seed));
	c->w = &w;
	for (size_t i = 0; i < FLOWS; i++) {
		random_world_flow(&w, &c->flow[i]);
		decide(c, i, &c->before[i]);
	}
	bh_lint(w.policies, w.inv, &diags);
	for (size_t i = 0; i < diags.n; i++) {
		int k = kind_of(&diags.item[i]);
		if (k < 0)
			continue;
		seen[k]++;
		c->diag = &diags.item[i];
		without(c);
	}
	free(c);
	random_world_finish(&w);
}

static void test_nothing_changes(void **state BH_UNUSED)
{
	for (uint64_t seed = 1; seed <= SEEDS; seed++)
		check_world(seed);
	for (size_t i = 0; i < BH_ARRAY_SIZE(kind); i++)
		printf("%8zu  %s\n", seen[i], kind[i]);
	/* what random worlds have plenty of */
	assert_true(seen[0] > 50);
	assert_true(seen[1] > 50);
	assert_true(seen[2] > 50);
	assert_true(seen[4] > 50);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_nothing_changes)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
