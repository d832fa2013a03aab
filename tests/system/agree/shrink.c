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
		return t->refused;
	}
	if (t->refused || lab_holder(w->inv, &p->flow.src) != p->from ||
		lab_holder(w->inv, &p->flow.dst) != p->to)
		return false;
	probes_run(l, p, 1);
	judge(k, w, p, &d, &t->reference);
	t->evaluator = d.verdict == BH_ALLOW;
	t->arrived = p->arrived;
	return t->evaluator != t->arrived || t->evaluator != t->reference;
}

/* --- what can be taken away: the at-th thing of a world --- */

enum edit { EDITED, NOTHING_TO_EDIT, NO_MORE };

static bool within(size_t *at, size_t n)
{
	if (*at < n)
		return true;
	*at -= n;
	return false;
}

static enum edit drop_label(struct bh_labels *l, size_t i)
{
	bh_autofree char *key = bh_xstrdup(l->item[i].key);
	bh_labels_remove(l, key);
	return EDITED;
}

static void drop_port(struct bh_workload *w, size_t i)
{
	free(w->port[i].name);
	memmove(&w->port[i], &w->port[i + 1], (--w->n_ports - i) * sizeof(*w->port));
}

static enum edit clear_flag(bool *flag)
{
	bool was = *flag;
	*flag = false;
	return was ? EDITED : NOTHING_TO_EDIT;
}

static enum edit make_plain(struct bh_workload *w, size_t what)
{
	bool changed = what ? w->unenforceable != NULL : w->mode != BH_MODE_ENFORCE;
	if (what) {
		free(w->unenforceable);
		w->unenforceable = NULL;
	} else {
		w->mode = BH_MODE_ENFORCE;
	}
	return changed ? EDITED : NOTHING_TO_EDIT;
}

static enum edit edit_workload(struct bh_workload *w, size_t *at)
{
	if (within(at, 2))
		return make_plain(w, *at);
	if (within(at, w->labels.n))
		return drop_label(&w->labels, *at);
	if (within(at, w->n_ports)) {
		drop_port(w, *at);
		return EDITED;
	}
	for (size_t i = 0; i < w->n_ifaces; i++) {
		struct bh_interface *f = &w->iface[i];
		if (!within(at, f->n_addrs))
			continue;
		memmove(&f->addr[*at], &f->addr[*at + 1], (--f->n_addrs - *at) * sizeof(*f->addr));
		return EDITED;
	}
	return NO_MORE;
}

static enum edit edit_node(struct random_world *w, size_t i, size_t *at)
{
	struct bh_node_info *n = &w->node[i];
	if (within(at, n->labels.n))
		return drop_label(&n->labels, *at);
	if (!within(at, 1))
		return NO_MORE;
	if (i == 0) /* the node itself stays */
		return NOTHING_TO_EDIT;
	free(n->name);
	bh_labels_finish(&n->labels);
	free(n->addr);
	memmove(n, n + 1, (--w->n_nodes - i) * sizeof(*n));
	return EDITED;
}

static enum edit edit_policy(char **text, size_t *at)
{
	char *less = prune(*text, *at);
	if (!less) {
		size_t n = 0; /* how many there are, so that the next policy is counted from 0 */
		bh_autofree char *part = NULL;
		while ((part = prune(*text, n))) {
			free(BH_TAKE_PTR(part));
			n++;
		}
		*at -= n;
		return NO_MORE;
	}
	free(*text);
	*text = less;
	return EDITED;
}

static enum edit edit_world(struct random_world *w, size_t at)
{
	bool *flag[] = {&w->opts.unselected_deny, &w->opts.host_policy, &w->opts.reject};
	enum edit e = NO_MORE;
	if (within(&at, w->n_policies)) {
		random_world_drop_policy(w, at);
		return EDITED;
	}
	if (within(&at, w->n_workloads)) {
		random_world_drop_workload(w, at);
		return EDITED;
	}
	if (within(&at, BH_ARRAY_SIZE(flag)))
		return clear_flag(flag[at]);
	for (size_t i = 0; e == NO_MORE && i < w->n_policies; i++)
		e = edit_policy(&w->policy[i], &at);
	for (size_t i = 0; e == NO_MORE && i < w->n_workloads; i++)
		e = edit_workload(w->workload[i], &at);
	for (size_t i = 0; e == NO_MORE && i < w->n_ns; i++)
		if (within(&at, w->ns[i].labels.n))
			e = drop_label(&w->ns[i].labels, at);
	for (size_t i = 0; e == NO_MORE && i < w->n_nodes; i++)
		e = edit_node(w, i, &at);
	return e;
}

/* --- all of them, until none helps --- */

static bool build_quietly(struct random_world *w)
{
	struct bh_diags diags = {0};
	bool good = random_world_build(w, &diags);
	bh_diags_finish(&diags);
	return good;
}

/* Is the trouble still there with `w` in the place of state `s`? If so it stays there. */
static bool replace(
	struct lab *l, struct kernel *k, struct trouble *t, size_t s, struct random_world *w)
{
	struct random_world old = t->state[s];
	if (!build_quietly(w)) {
		random_world_finish(w);
		return false;
	}
	t->state[s] = *w;
	bool still = trouble_again(l, k, t);
	if (!still)
		t->state[s] = old;
	random_world_finish(still ? &old : w);
	return still;
}

/* Many of these at once would be quicker; worlds are small. Returns whether anything went. */
static bool shrink_state(
	struct lab *l, struct kernel *k, struct trouble *t, size_t s, size_t *tries)
{
	bool any = false;
	for (size_t at = 0; *tries < TRIES_MAX;) {
		struct random_world w;
		random_world_copy(&w, &t->state[s]);
		enum edit e = edit_world(&w, at);
		if (e == EDITED) {
			(*tries)++;
			if (replace(l, k, t, s, &w)) {
				any = true;
				continue; /* what was next is the at-th now */
			}
		} else {
			random_world_finish(&w);
		}
		if (e == NO_MORE)
			break;
		at++;
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
	for (size_t i = 0; !t->refused && i < BH_ARRAY_SIZE(flag); i++) {
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
