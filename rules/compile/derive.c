/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * From one engine to the next when a few workloads came, went or changed: the plan is shared, the
 * others keep their class and groups, and the kernel is told of no more than what changed.
 */
#include "internal.h"

/* The walk through two sorted inventories in which what did not change is the same object. */
struct walk {
	const struct bh_inventory *from, *to;
	size_t i, j;
};
enum step { WALK_SAME, WALK_GONE, WALK_NEW, WALK_END };

static int compare(const struct bh_workload *a, const struct bh_workload *b)
{
	int c = strcmp(a->namespace, b->namespace);
	c = c ? c : strcmp(a->name, b->name);
	return c ? c : bh_strcmp0(a->id, b->id);
}

/* *ret_i and *ret_j: the indexes it is about, as far as they apply. One that changed is gone and
 * new. */
static enum step walk_next(struct walk *w, size_t *ret_i, size_t *ret_j)
{
	*ret_i = w->i;
	*ret_j = w->j;
	if (w->i == w->from->n && w->j == w->to->n)
		return WALK_END;
	if (w->i == w->from->n) {
		w->j++;
		return WALK_NEW;
	}
	if (w->j == w->to->n) {
		w->i++;
		return WALK_GONE;
	}
	const struct bh_workload *a = w->from->workload[w->i], *b = w->to->workload[w->j];
	if (a == b) {
		w->i++;
		w->j++;
		return WALK_SAME;
	}
	if (compare(a, b) <= 0) {
		w->i++;
		return WALK_GONE;
	}
	w->j++;
	return WALK_NEW;
}

/* A namespace that went and came again with other labels: what was decided of it is wrong now. */
static bool views_hold(const struct bh_plan *p, const struct bh_inventory *inv)
{
	for (size_t i = 0; i < p->view.n; i++) {
		const struct bh_view *v = p->view.item[i];
		const struct bh_namespace *ns = bh_inventory_namespace(inv, v->namespace);
		if (ns && !bh_labels_equal(&ns->labels, &v->labels))
			return false;
	}
	return true;
}

static bool derivable(const struct bh_engine *from, const struct bh_inventory *inv)
{
	const struct bh_plan *p = from->plan;
	const unsigned bearable = BH_FRAME_NS_ADDED | BH_FRAME_NS_REMOVED | BH_FRAME_HOSTS;
	unsigned changes = bh_inventory_frame_changes(from->inv, inv);
	if (changes & ~bearable)
		return false;
	if ((changes & BH_FRAME_NS_ADDED) && !views_hold(p, inv))
		return false;
	/* What nobody is in any more stays in the pool: now and then it is made anew. */
	return p->class.n <= 2 * inv->n + 1000 && p->group.n <= 4 * inv->n + 1000;
}

struct bh_engine *bh_engine_derive(const struct bh_engine *from, struct bh_inventory *inv)
{
	struct walk w = {.from = from->inv, .to = inv};
	size_t i, j;
	if (!derivable(from, inv))
		return NULL;
	struct bh_engine *e = bh_engine_new(bh_plan_ref(from->plan), inv);
	bh_served_copy(e, from);
	for (enum step s; (s = walk_next(&w, &i, &j)) != WALK_END;) {
		if (s == WALK_SAME) {
			e->place[j] = from->place[i];
		} else if (s == WALK_GONE) {
			bh_served_add(e, from->inv->workload[i], -1);
		} else {
			bh_served_add(e, inv->workload[j], 1);
			bh_engine_place(e, j);
		}
	}
	/* Rules are written for each number of a port's name. */
	if (!bh_served_same(from, e)) {
		bh_engine_unref(e);
		return NULL;
	}
	bh_engine_take_pool(e);
	return e;
}

/* --- what changes in the kernel --- */

/* Sets that both engines have, with the elements of changed workloads only: one for each engine. */
struct pair {
	struct bh_ruleset *rs[2];
	const struct bh_engine *e[2];
	uint32_t *changed[2]; /* workloads: gone, new */
	size_t n[2], cap[2];
};

static bool in_both(const struct pair *p, size_t kset)
{
	return kset < p->e[0]->n_ksets && p->e[0]->kset_uses[kset] && p->e[1]->kset_uses[kset];
}

static void find_changed(struct pair *p)
{
	struct walk w = {.from = p->e[0]->inv, .to = p->e[1]->inv};
	size_t i, j;
	for (enum step s; (s = walk_next(&w, &i, &j)) != WALK_END;) {
		int k = s == WALK_NEW;
		if (s == WALK_SAME)
			continue;
		BH_GROW(p->changed[k], p->n[k], p->cap[k]);
		p->changed[k][p->n[k]++] = (uint32_t)(k ? j : i);
	}
}

static bool touches(const struct pair *p, const struct bh_kset *s)
{
	for (int k = 0; k < 2; k++)
		for (size_t i = 0; i < p->n[k]; i++)
			if (bh_kset_has(s, p->e[k]->class[p->e[k]->place[p->changed[k][i]].class]))
				return true;
	return false;
}

static void put_kset(struct pair *p, const struct bh_kset *s, uint8_t family)
{
	bh_autobuf struct bh_buf name = {0};
	bh_kset_name(s, family, &name);
	for (int k = 0; k < 2; k++) {
		const struct bh_engine *e = p->e[k];
		struct bh_set *set =
			bh_ruleset_add_set(p->rs[k], name.s, BH_SET_ADDR, family, s->text);
		for (size_t i = 0; i < p->n[k]; i++) {
			uint32_t w = p->changed[k][i];
			if (bh_kset_has(s, e->class[e->place[w].class]))
				bh_emit_addresses(e, w, set, NULL);
		}
	}
}

static void put_named(struct pair *p, size_t name, uint16_t port, uint8_t family)
{
	const struct bh_port_name *n = &p->e[0]->plan->port_name[name];
	for (int k = 0; k < 2; k++) {
		const struct bh_engine *e = p->e[k];
		struct bh_set *set = bh_emit_named_set(p->rs[k], n, port, family);
		for (size_t i = 0; i < p->n[k]; i++)
			if (bh_serves(e->inv->workload[p->changed[k][i]], n, port))
				bh_emit_addresses(e, p->changed[k][i], set, NULL);
	}
}

static void put_shared_sets(struct pair *p)
{
	for (size_t i = 0; i < p->e[1]->n_ksets; i++) {
		const struct bh_kset *s = p->e[1]->kset[i];
		if (s->kind != BH_KSET_WORKLOADS || !in_both(p, i) || !touches(p, s))
			continue;
		put_kset(p, s, BH_IPV4);
		put_kset(p, s, BH_IPV6);
	}
	for (size_t i = 0; i < p->e[0]->plan->n_port_names; i++) {
		const struct bh_served_name *s = &p->e[0]->served[i];
		if (!p->e[0]->name_uses[i] || !p->e[1]->name_uses[i])
			continue;
		for (size_t k = 0; k < s->n; k++) {
			put_named(p, i, s->item[k].port, BH_IPV4);
			put_named(p, i, s->item[k].port, BH_IPV6);
		}
	}
}

/* Chains that only one of the two has, with the sets that only they use. */
static void put_groups(struct pair *p, int k)
{
	const struct bh_engine *e = p->e[k], *other = p->e[!k];
	struct bh_emit_use use = {.e = e, .rs = p->rs[k], .known = other};
	for (size_t i = 0; i < e->n_groups; i++)
		if (e->members[i] && (i >= other->n_groups || !other->members[i]))
			bh_emit_group(&use, e->group[i]);
	bh_emit_use_finish(&use);
}

void bh_engine_emit_change(const struct bh_engine *from, const struct bh_engine *to,
	struct bh_ruleset **ret_from, struct bh_ruleset **ret_to)
{
	struct pair p = {.e = {from, to}};
	find_changed(&p);
	for (int k = 0; k < 2; k++) {
		p.rs[k] = bh_ruleset_new();
		bh_emit_workloads(p.rs[k], p.e[k], p.changed[k], p.n[k]);
		bh_emit_node_sets(p.rs[k], p.e[k]);
		bh_emit_cache_sets(p.rs[k]); /* for their flush */
		put_groups(&p, k);
	}
	put_shared_sets(&p);
	for (int k = 0; k < 2; k++) {
		bh_ruleset_seal(p.rs[k]);
		free(p.changed[k]);
	}
	*ret_from = p.rs[0];
	*ret_to = p.rs[1];
}
