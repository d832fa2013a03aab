/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A plan's life: what can be known from the policies alone, and the pool of what was made since.
 * Made anew whenever policies, options, namespaces' labels or nodes change; engines for another
 * inventory share it.
 */
#include "internal.h"

static int compare_strings(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

struct keys {
	const char **key;
	size_t n, cap;
};

static void add_keys(struct keys *k, const struct bh_selector *s)
{
	for (size_t i = 0; i < s->n; i++) {
		BH_GROW(k->key, k->n, k->cap);
		k->key[k->n++] = s->req[i].key;
	}
}

/* Every container has some label of its own, its name at least: only keys that are asked for tell
 * workloads apart. */
static void collect_keys(struct bh_plan *plan)
{
	struct keys k = {0};
	size_t n = 0;
	for (size_t i = 0; i < plan->policies->n; i++) {
		const struct bh_policy *p = plan->policies->policy[i];
		add_keys(&k, &p->pods);
		for (int d = 0; d < 2; d++)
			for (size_t r = 0; r < p->n_rules[d]; r++)
				for (size_t j = 0; j < p->rule[d][r].n_peers; j++)
					add_keys(&k, &p->rule[d][r].peer[j].pods);
	}
	if (k.n)
		qsort(k.key, k.n, sizeof(*k.key), compare_strings);
	for (size_t i = 0; i < k.n; i++)
		if (!n || strcmp(k.key[i], k.key[n - 1]) != 0)
			k.key[n++] = k.key[i];
	plan->label_key = k.key;
	plan->n_label_keys = n;
}

struct asked {
	const struct bh_policy *policy;
	uint32_t index;
};

static int compare_asked(const void *a, const void *b)
{
	const struct asked *x = a, *y = b;
	if (x->policy->tier != y->policy->tier)
		return x->policy->tier < y->policy->tier ? -1 : 1;
	if (x->policy->priority != y->policy->priority)
		return x->policy->priority < y->policy->priority ? -1 : 1;
	return (x->index > y->index) - (x->index < y->index); /* the set is sorted by name */
}

static void order_policies(struct bh_plan *plan)
{
	size_t n = plan->policies->n;
	struct asked *a = bh_xcalloc(n, sizeof(*a));
	for (size_t i = 0; i < n; i++)
		a[i] = (struct asked){plan->policies->policy[i], (uint32_t)i};
	if (n)
		qsort(a, n, sizeof(*a), compare_asked);
	plan->asked = bh_xcalloc(n, sizeof(*plan->asked));
	for (size_t i = 0; i < n; i++)
		plan->asked[i] = a[i].index;
	free(a);
}

struct bh_plan *bh_plan_new(struct bh_policy_set *policies, const struct bh_inventory *inv,
	const struct bh_engine_opts *opts)
{
	struct bh_plan *p = bh_xcalloc(1, sizeof(*p));
	p->refs = 1;
	p->policies = bh_policy_set_ref(policies);
	p->opts = *opts;
	collect_keys(p);
	order_policies(p);
	bh_plan_peers(p, inv);
	return p;
}

struct bh_plan *bh_plan_ref(struct bh_plan *p)
{
	__atomic_add_fetch(&p->refs, 1, __ATOMIC_RELAXED);
	return p;
}

static void pointers_finish(struct bh_pointers *p)
{
	free(p->item);
	bh_intern_finish(&p->key);
}

void bh_plan_unref(struct bh_plan *p)
{
	if (!p || __atomic_sub_fetch(&p->refs, 1, __ATOMIC_ACQ_REL) > 0)
		return;
	for (size_t i = 0; i < p->view.n; i++)
		bh_view_free(p->view.item[i]);
	for (size_t i = 0; i < p->class.n; i++)
		bh_class_free(p->class.item[i]);
	for (size_t i = 0; i < p->selection.n; i++)
		bh_selection_free(p->selection.item[i]);
	for (size_t i = 0; i < p->group.n; i++)
		bh_group_free(p->group.item[i]);
	for (size_t i = 0; i < p->kset.n; i++)
		bh_kset_free(p->kset.item[i]);
	pointers_finish(&p->view);
	pointers_finish(&p->class);
	pointers_finish(&p->selection);
	pointers_finish(&p->group);
	pointers_finish(&p->kset);
	bh_peers_finish(p);
	bh_intern_finish(&p->seat_key);
	free(p->seat);
	bh_intern_finish(&p->name);
	bh_intern_finish(&p->identity);
	free(p->name_owner);
	free(p->label_key);
	free(p->asked);
	bh_policy_set_unref(p->policies);
	free(p);
}
