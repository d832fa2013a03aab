/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Which policies select which workloads. Decided once per class (workloads of one namespace that
 * agree in every label key that any selector mentions), so that the cost grows with distinct label
 * sets and not with containers: every container has some label of its own, its name at least.
 */
#include "internal.h"

struct keys {
	const char **key;
	size_t n, cap;
};

static int compare_strings(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static void add_keys(struct keys *k, const struct bh_selector *s)
{
	for (size_t i = 0; i < s->n; i++) {
		BH_GROW(k->key, k->n, k->cap);
		k->key[k->n++] = s->req[i].key;
	}
}

/* All label keys of workloads that some selector asks for, sorted, unique. */
static void collect_keys(const struct bh_policy_set *set, struct keys *k)
{
	for (size_t i = 0; i < set->n; i++) {
		const struct bh_policy *p = set->policy[i];
		add_keys(k, &p->pods);
		for (int d = 0; d < 2; d++)
			for (size_t r = 0; r < p->n_rules[d]; r++)
				for (size_t j = 0; j < p->rule[d][r].n_peers; j++)
					add_keys(k, &p->rule[d][r].peer[j].pods);
	}
	if (!k->n)
		return;
	qsort(k->key, k->n, sizeof(*k->key), compare_strings);
	size_t n = 1;
	for (size_t i = 1; i < k->n; i++)
		if (strcmp(k->key[i], k->key[n - 1]) != 0)
			k->key[n++] = k->key[i];
	k->n = n;
}

static uint32_t namespace_index(const struct bh_inventory *inv, const char *name)
{
	return (uint32_t)(bh_inventory_namespace(inv, name) - inv->ns);
}

static void class_key(
	const struct bh_workload *w, uint32_t ns, const struct keys *k, struct bh_buf *key)
{
	key->len = 0;
	bh_buf_add(key, &ns, sizeof(ns));
	for (size_t i = 0; i < k->n; i++) {
		const char *value = bh_labels_get(&w->labels, k->key[i]);
		bh_buf_add(key, value ? "=" : "!", 1);
		if (value)
			bh_buf_add(key, value, strlen(value) + 1);
	}
}

static uint32_t intern_selection(
	struct bh_engine *e, struct bh_intern *t, const struct bh_policy **list, size_t n)
{
	bool is_new;
	uint32_t index = bh_intern(t, list, n * sizeof(*list), &is_new);
	if (is_new) {
		struct bh_selection *s = bh_xcalloc(1, sizeof(*s));
		s->policy = bh_xmemdup(list, n * sizeof(*list));
		s->n = n;
		BH_GROW(e->selection, e->n_selections, e->cap_selections);
		e->selection[e->n_selections++] = s;
	}
	return index;
}

/* First policy of the namespace; the set is sorted by namespace. */
static size_t first_policy(const struct bh_policy_set *set, const char *ns)
{
	size_t lo = 0, hi = set->n;
	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		if (strcmp(set->policy[mid]->namespace, ns) < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

static void select_class(struct bh_engine *e, struct bh_class *c, struct bh_intern *t,
	const struct bh_policy **list[2], size_t members)
{
	const struct bh_policy_set *set = e->policies;
	const char *ns = e->inv->ns[c->ns].name;
	const struct bh_labels *labels = &e->inv->workload[c->example]->labels;
	size_t n[2] = {0};
	for (size_t i = first_policy(set, ns); i < set->n; i++) {
		const struct bh_policy *p = set->policy[i];
		if (strcmp(p->namespace, ns) != 0)
			break;
		if (!bh_selector_matches(&p->pods, labels))
			continue;
		e->selected[i] += members;
		for (int d = 0; d < 2; d++)
			if (p->isolates[d])
				list[d][n[d]++] = p;
	}
	for (int d = 0; d < 2; d++)
		c->selection[d] = intern_selection(e, t, list[d], n[d]);
}

static void sort_into_classes(struct bh_engine *e, size_t **ret_members)
{
	const struct bh_inventory *inv = e->inv;
	struct bh_intern classes = {0};
	struct keys keys = {0};
	bh_autobuf struct bh_buf key = {0};
	size_t *members = bh_xcalloc(inv->n, sizeof(*members));
	collect_keys(e->policies, &keys);
	e->class_of = bh_xcalloc(inv->n, sizeof(*e->class_of));
	for (size_t i = 0; i < inv->n; i++) {
		bool is_new;
		uint32_t ns = namespace_index(inv, inv->workload[i]->namespace);
		class_key(inv->workload[i], ns, &keys, &key);
		uint32_t c = bh_intern(&classes, key.s, key.len, &is_new);
		if (is_new) {
			BH_GROW(e->class, e->n_classes, e->cap_classes);
			e->class[e->n_classes++] =
				(struct bh_class){.ns = ns, .example = (uint32_t)i};
		}
		e->class_of[i] = c;
		members[c]++;
	}
	bh_intern_finish(&classes);
	free(keys.key);
	*ret_members = members;
}

void bh_compile_classes(struct bh_engine *e)
{
	struct bh_intern selections = {0};
	size_t n = e->policies->n;
	bh_autofree size_t *members = NULL;
	bh_autofree const struct bh_policy **out = bh_xcalloc(n, sizeof(*out));
	bh_autofree const struct bh_policy **in = bh_xcalloc(n, sizeof(*in));
	const struct bh_policy **list[2] = {[BH_EGRESS] = out, [BH_INGRESS] = in};

	e->selected = bh_xcalloc(n, sizeof(*e->selected));
	sort_into_classes(e, &members);
	for (size_t i = 0; i < e->n_classes; i++)
		select_class(e, &e->class[i], &selections, list, members[i]);
	bh_intern_finish(&selections);
}

void bh_classes_finish(struct bh_engine *e)
{
	for (size_t i = 0; i < e->n_selections; i++) {
		free(e->selection[i]->policy);
		free(e->selection[i]);
	}
	free(e->selection);
	free(e->class);
	free(e->class_of);
	free(e->selected);
}
