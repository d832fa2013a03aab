/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The smallest world in which a disagreement stays: one thing after another is taken away, and put
 * back if without it everybody agrees. Each attempt is loaded and probed in the kernel.
 */
#include "agree.h"

enum { TRIES_MAX = 4000 };

/* --- one attempt --- */

static bool load(struct lab *l, struct kernel *k, struct trouble *t)
{
	kernel_forget(k);
	for (size_t i = 0; i < t->n_states; i++) {
		lab_address(l, t->state[i].inv);
		if (!kernel_load(k, &t->state[i]))
			return false;
	}
	return true;
}

bool trouble_again(struct lab *l, struct kernel *k, struct trouble *t)
{
	struct random_world *w = &t->state[t->n_states - 1];
	struct probe *p = &t->probe;
	struct bh_decision d;
	if (!load(l, k, t)) {
		kernel_forget(k);
		bool same = t->why[0] != '\0';
		memcpy(t->why, k->why, same ? sizeof(t->why) : 0);
		return same;
	}
	if (t->why[0] || lab_holder(w->inv, &p->flow.src) != p->from ||
		lab_holder(w->inv, &p->flow.dst) != p->to)
		return false;
	probes_run(l, p, 1);
	judge(k, w, p, &d, &t->reference);
	t->evaluator = d.verdict == BH_ALLOW;
	t->arrived = p->arrived;
	return t->evaluator != t->arrived || t->evaluator != t->reference;
}

/* --- all of them, until none helps --- */

static bool build_quietly(struct random_world *w)
{
	struct bh_diags diags = {0};
	bool good = random_world_build(w, &diags);
	bh_diags_finish(&diags);
	return good;
}

/* Are the worlds in `next` (taken) in trouble as well? If so they are the trouble's now. */
static bool replace(struct lab *l, struct kernel *k, struct trouble *t, struct random_world *next)
{
	struct random_world old[2];
	bool good = true;
	for (size_t s = 0; s < t->n_states; s++)
		good = good && build_quietly(&next[s]);
	memcpy(old, t->state, sizeof(old));
	memcpy(t->state, next, t->n_states * sizeof(*next));
	bool still = good && trouble_again(l, k, t);
	if (!still)
		memcpy(t->state, old, sizeof(old));
	for (size_t s = 0; s < t->n_states; s++)
		random_world_finish(still ? &old[s] : &next[s]);
	return still;
}

/*
 * The at-th thing goes from state s; `both`: from the other one too, for what a change is made from
 * often depends on what doesn't change. Returns what became of it.
 */
static enum edit attempt(
	struct lab *l, struct kernel *k, struct trouble *t, size_t s, size_t at, bool both)
{
	struct random_world next[2] = {0};
	for (size_t i = 0; i < t->n_states; i++)
		random_world_copy(&next[i], &t->state[i]);
	enum edit e = edit_world(&next[s], at);
	if (e == EDITED && both && !mirror(&t->state[s], &next[s], &next[!s]))
		e = NOTHING_TO_EDIT;
	if (e == EDITED)
		return replace(l, k, t, next) ? EDITED : NOTHING_TO_EDIT;
	for (size_t i = 0; i < t->n_states; i++)
		random_world_finish(&next[i]);
	return e;
}

/* Many of these at once would be quicker; worlds are small. Returns whether anything went. */
static bool shrink_state(
	struct lab *l, struct kernel *k, struct trouble *t, size_t s, size_t *tries)
{
	bool any = false;
	for (size_t at = 0; *tries < TRIES_MAX;) {
		enum edit e = NOTHING_TO_EDIT;
		if (t->n_states == 2)
			e = attempt(l, k, t, s, at, true);
		if (e == NOTHING_TO_EDIT)
			e = attempt(l, k, t, s, at, false);
		(*tries)++;
		if (e == NO_MORE)
			break;
		any |= e == EDITED;
		at += e != EDITED; /* else what was next is the at-th now */
	}
	return any;
}

/* Does it need the state before at all? */
static void forget_first(struct lab *l, struct kernel *k, struct trouble *t)
{
	if (t->n_states < 2)
		return;
	struct random_world first = t->state[0];
	t->state[0] = t->state[1];
	t->n_states = 1;
	if (trouble_again(l, k, t)) {
		random_world_finish(&first);
		return;
	}
	t->state[1] = t->state[0];
	t->state[0] = first;
	t->n_states = 2;
}

static void tidy(struct random_world *w)
{
	for (size_t i = 0; i < w->n_policies; i++) {
		char *text = prune(w->policy[i], SIZE_MAX);
		free(w->policy[i]);
		w->policy[i] = text;
	}
	random_world_build(w, NULL);
}

/* A probe that is nothing special says more. */
static void simplify_probe(struct lab *l, struct kernel *k, struct trouble *t)
{
	bool *flag[] = {&t->probe.special, &t->probe.direct};
	for (size_t i = 0; !t->why[0] && i < BH_ARRAY_SIZE(flag); i++) {
		bool was = *flag[i];
		*flag[i] = false;
		if (was && !trouble_again(l, k, t))
			*flag[i] = was;
	}
}

size_t trouble_shrink(struct lab *l, struct kernel *k, struct trouble *t)
{
	size_t tries = 0;
	bool any = true;
	forget_first(l, k, t);
	simplify_probe(l, k, t);
	while (any && tries < TRIES_MAX) {
		any = false;
		for (size_t s = t->n_states; s-- > 0;)
			any |= shrink_state(l, k, t, s, &tries);
	}
	for (size_t s = 0; s < t->n_states; s++)
		tidy(&t->state[s]);
	trouble_again(l, k, t); /* the verdicts of what is left */
	return tries;
}

void trouble_finish(struct trouble *t)
{
	for (size_t i = 0; i < t->n_states; i++)
		random_world_finish(&t->state[i]);
	t->n_states = 0;
}
