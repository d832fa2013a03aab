/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The engine's life and its plain questions. Compilation goes: classes (who is selected), groups
 * (which rules apply), peers (who is meant), in that order, each in a file of its own.
 */
#include "internal.h"

/* Marks the workloads with too many addresses for the kernel's list of own pairs, so that the
 * evaluator and the kernel draw the same line. */
static void count_addresses(struct bh_engine *e)
{
	for (int f = 0; f < 2; f++)
		e->many[f] = bh_xcalloc(e->inv->n, sizeof(*e->many[f]));
	for (size_t i = 0; i < e->inv->n; i++) {
		const struct bh_workload *w = e->inv->workload[i];
		size_t n[2] = {0};
		for (size_t k = 0; k < w->n_ifaces; k++)
			for (size_t a = 0; a < w->iface[k].n_addrs; a++)
				n[w->iface[k].addr[a].family == BH_IPV6]++;
		for (int f = 0; f < 2; f++)
			e->many[f][i] = n[f] > BH_SELF_MAX;
	}
}

struct bh_engine *bh_engine_compile(
	struct bh_policy_set *policies, struct bh_inventory *inv, const struct bh_engine_opts *opts)
{
	struct bh_engine *e = bh_xcalloc(1, sizeof(*e));
	e->refs = 1;
	e->policies = bh_policy_set_ref(policies);
	e->inv = bh_inventory_ref(inv);
	e->opts = *opts;
	bh_compile_classes(e);
	bh_compile_groups(e);
	bh_compile_fill_peers(e);
	count_addresses(e);
	for (size_t i = 0; i < inv->n_broadcast; i++)
		bh_ranges_add(&e->ungoverned,
			(struct bh_range){.first = inv->broadcast[i], .last = inv->broadcast[i]});
	bh_ranges_normalise(&e->ungoverned);
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
	bh_groups_finish(e);
	bh_peers_finish(e);
	bh_classes_finish(e);
	bh_intern_finish(&e->names);
	bh_ranges_finish(&e->ungoverned);
	for (int f = 0; f < 2; f++)
		free(e->many[f]);
	bh_policy_set_unref(e->policies);
	bh_inventory_unref(e->inv);
	free(e);
}

const struct bh_policy_set *bh_engine_policies(const struct bh_engine *e)
{
	return e->policies;
}

const struct bh_inventory *bh_engine_inventory(const struct bh_engine *e)
{
	return e->inv;
}

const struct bh_engine_opts *bh_engine_options(const struct bh_engine *e)
{
	return &e->opts;
}

size_t bh_engine_policies_of(const struct bh_engine *e, size_t workload, enum bh_direction d,
	const struct bh_policy *const **ret)
{
	const struct bh_selection *s = e->selection[e->class[e->class_of[workload]].selection[d]];
	*ret = s->policy;
	return s->n;
}

bool bh_engine_isolated(const struct bh_engine *e, size_t workload, enum bh_direction d)
{
	const struct bh_policy *const *ignored;
	return bh_engine_policies_of(e, workload, d, &ignored) > 0;
}

size_t bh_engine_selected(const struct bh_engine *e, const struct bh_policy *p)
{
	for (size_t i = 0; i < e->policies->n; i++)
		if (e->policies->policy[i] == p)
			return e->selected[i];
	return 0;
}
