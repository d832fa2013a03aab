/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The engine's life and its plain questions. An engine is a plan seen for one inventory: of which
 * class and in which groups every workload is.
 */
#include "internal.h"

void bh_engine_place(struct bh_engine *e, size_t i)
{
	const struct bh_workload *w = e->inv->workload[i];
	struct bh_place *at = &e->place[i];
	at->class = bh_class_of(e->plan, e->inv, w);
	bh_groups_of(e->plan, w, at->class, at->group);
	at->mode = (uint8_t)w->mode;
	at->quarantined = w->quarantine != NULL;
	const struct bh_class *c = e->plan->class.item[at->class];
	for (int d = 0; d < 2; d++) {
		const struct bh_selection *s = e->plan->selection.item[c->selection[d]];
		at->isolated[d] = s->n_np > 0;
	}
}

static void count_members(struct bh_engine *e)
{
	e->members = bh_xcalloc(e->n_groups, sizeof(*e->members));
	for (int d = 0; d < 2; d++)
		for (size_t i = 0; i < e->inv->n; i++)
			if (e->place[i].group[d] >= 0)
				e->members[e->place[i].group[d]]++;
}

/* The pool as it is now; the plan's own arrays move when it grows. */
void bh_engine_take_pool(struct bh_engine *e)
{
	const struct bh_plan *p = e->plan;
	e->n_classes = p->class.n;
	e->class = bh_xmemdup(p->class.item, p->class.n * sizeof(*e->class));
	e->n_selections = p->selection.n;
	e->selection = bh_xmemdup(p->selection.item, p->selection.n * sizeof(*e->selection));
	e->n_groups = p->group.n;
	e->group = bh_xmemdup(p->group.item, p->group.n * sizeof(*e->group));
	e->n_ksets = p->kset.n;
	e->kset = bh_xmemdup(p->kset.item, p->kset.n * sizeof(*e->kset));
	count_members(e);
	e->kset_uses = bh_xcalloc(e->n_ksets, sizeof(*e->kset_uses));
	e->name_uses = bh_xcalloc(p->n_port_names, sizeof(*e->name_uses));
	for (size_t i = 0; i < e->n_groups; i++)
		if (e->members[i])
			bh_group_uses(e, e->group[i], e->kset_uses, e->name_uses);
}

struct bh_engine *bh_engine_new(struct bh_plan *plan, struct bh_inventory *inv)
{
	struct bh_engine *e = bh_xcalloc(1, sizeof(*e));
	e->refs = 1;
	e->plan = plan;
	e->inv = bh_inventory_ref(inv);
	e->place = bh_xcalloc(inv->n, sizeof(*e->place));
	e->served = bh_xcalloc(plan->n_port_names, sizeof(*e->served));
	for (size_t i = 0; i < inv->n_broadcast; i++)
		bh_ranges_add(&e->ungoverned,
			(struct bh_range){.first = inv->broadcast[i], .last = inv->broadcast[i]});
	bh_ranges_normalise(&e->ungoverned);
	return e;
}

struct bh_engine *bh_engine_compile(
	struct bh_policy_set *policies, struct bh_inventory *inv, const struct bh_engine_opts *opts)
{
	struct bh_engine *e = bh_engine_new(bh_plan_new(policies, inv, opts), inv);
	for (size_t i = 0; i < inv->n; i++) {
		bh_engine_place(e, i);
		bh_served_add(e, inv->workload[i], 1);
	}
	bh_engine_take_pool(e);
	return e;
}

struct bh_engine *bh_engine_ref(struct bh_engine *e)
{
	__atomic_add_fetch(&e->refs, 1, __ATOMIC_RELAXED);
	return e;
}

void bh_engine_unref(struct bh_engine *e)
{
	if (!e || __atomic_sub_fetch(&e->refs, 1, __ATOMIC_ACQ_REL) > 0)
		return;
	bh_served_finish(e);
	free(e->class);
	free(e->selection);
	free(e->group);
	free(e->place);
	free(e->members);
	free(e->kset);
	free(e->kset_uses);
	free(e->name_uses);
	bh_ranges_finish(&e->ungoverned);
	bh_inventory_unref(e->inv);
	bh_plan_unref(e->plan);
	free(e);
}

const struct bh_policy_set *bh_engine_policies(const struct bh_engine *e)
{
	return e->plan->policies;
}

const struct bh_inventory *bh_engine_inventory(const struct bh_engine *e)
{
	return e->inv;
}

const struct bh_engine_opts *bh_engine_options(const struct bh_engine *e)
{
	return &e->plan->opts;
}

static const struct bh_selection *selection_of(
	const struct bh_engine *e, size_t workload, enum bh_direction d)
{
	return e->selection[e->class[e->place[workload].class] -> selection[d]];
}

size_t bh_engine_policies_of(const struct bh_engine *e, size_t workload, enum bh_direction d,
	const struct bh_policy *const **ret)
{
	const struct bh_selection *s = selection_of(e, workload, d);
	*ret = s->policy;
	return s->n;
}

bool bh_engine_isolated(const struct bh_engine *e, size_t workload, enum bh_direction d)
{
	return e->place[workload].isolated[d];
}

size_t bh_engine_selected(const struct bh_engine *e, const struct bh_policy *p)
{
	const struct bh_policy_set *set = e->plan->policies;
	size_t n = 0, index = 0;
	while (index < set->n && set->policy[index] != p)
		index++;
	for (size_t i = 0; index < set->n && i < e->inv->n; i++)
		n += bh_bit(e->class[e->place[i].class] -> policy, index);
	return n;
}

size_t *bh_engine_idle_policies(const struct bh_engine *e, size_t *ret_n)
{
	size_t n = e->plan->policies->n, words = (n + 63) / 64;
	uint64_t bh_autofree *any = bh_xcalloc(words + 1, sizeof(*any));
	size_t *idle = bh_xcalloc(n + 1, sizeof(*idle));

	for (size_t i = 0; i < e->inv->n; i++)
		for (size_t k = 0; k < words; k++)
			any[k] |= e->class[e->place[i].class]->policy[k];
	*ret_n = 0;
	for (size_t i = 0; i < n; i++)
		if (!bh_bit(any, i))
			idle[(*ret_n)++] = i;
	return idle;
}

bool bh_engine_is_derived(const struct bh_engine *e, const struct bh_engine *from)
{
	return e->plan == from->plan;
}

bool bh_engine_same_options(const struct bh_engine_opts *a, const struct bh_engine_opts *b)
{
	return a->unselected_deny == b->unselected_deny && a->host_policy == b->host_policy &&
	       a->reject == b->reject;
}
