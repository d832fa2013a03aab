/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Which policies select which workloads, and which peers mean them. Decided once per class
 * (workloads of one namespace that agree in every label key that any selector mentions), so that
 * the cost grows with distinct label sets and not with containers.
 */
#include "internal.h"

static void *add_pointer(struct bh_pointers *p, void *item)
{
	BH_GROW(p->item, p->n, p->cap);
	return p->item[p->n++] = item;
}

static void class_key(const struct bh_plan *p, const struct bh_workload *w, struct bh_buf *key)
{
	key->len = 0;
	bh_buf_add(key, w->namespace, strlen(w->namespace) + 1);
	for (size_t i = 0; i < p->n_label_keys; i++) {
		const char *value = bh_labels_get(&w->labels, p->label_key[i]);
		bh_buf_add(key, value ? "=" : "!", 1);
		if (value)
			bh_buf_add(key, value, strlen(value) + 1);
	}
}

static void view_policies(struct bh_plan *p, const struct bh_namespace *ns, struct bh_view *v)
{
	size_t cap = 0;
	for (size_t i = 0; i < p->policies->n; i++) {
		const struct bh_policy *q = p->policies->policy[i];
		if (q->tier == BH_TIER_NETWORK_POLICY
				? !bh_streq(q->namespace, ns->name)
				: !bh_selector_matches(&q->namespaces, &ns->labels))
			continue;
		BH_GROW(v->policy, v->n_policies, cap);
		v->policy[v->n_policies++] = (uint32_t)i;
	}
}

static void view_peers(struct bh_plan *p, const struct bh_namespace *ns, struct bh_view *v)
{
	size_t cap = 0;
	for (size_t i = 0; i < p->n_peers; i++) {
		const struct bh_peer *q = &p->peer[i];
		if (q->addresses ||
			(q->namespace ? !bh_streq(q->namespace, ns->name)
				      : !bh_selector_matches(&q->said->namespaces, &ns->labels)))
			continue;
		BH_GROW(v->peer, v->n_peers, cap);
		v->peer[v->n_peers++] = (uint32_t)i;
	}
}

/* What a namespace's name and labels leave to ask of its workloads. */
static const struct bh_view *view_of(
	struct bh_plan *p, const struct bh_inventory *inv, const char *namespace)
{
	bool is_new;
	uint32_t at = bh_intern(&p->view.key, namespace, strlen(namespace), &is_new);
	if (is_new) {
		struct bh_view *v = bh_xcalloc(1, sizeof(*v));
		const struct bh_namespace *ns = bh_inventory_namespace(inv, namespace);
		v->namespace = bh_xstrdup(namespace);
		bh_labels_copy(&v->labels, &ns->labels);
		view_policies(p, ns, v);
		view_peers(p, ns, v);
		add_pointer(&p->view, v);
	}
	return p->view.item[at];
}

void bh_view_free(struct bh_view *v)
{
	free(v->namespace);
	bh_labels_finish(&v->labels);
	free(v->policy);
	free(v->peer);
	free(v);
}

static uint32_t intern_selection(struct bh_plan *p, const struct bh_class *c, enum bh_direction d)
{
	struct bh_selection s = {0};
	bool is_new;
	bh_autofree uint32_t *index = bh_xcalloc(p->policies->n, sizeof(*index));
	for (size_t i = 0; i < p->policies->n; i++) {
		const struct bh_policy *q = p->policies->policy[p->asked[i]];
		if (!bh_bit(c->policy, p->asked[i]) || (!q->isolates[d] && !q->n_rules[d]))
			continue;
		index[s.n++] = p->asked[i];
		s.n_admin += q->tier == BH_TIER_ADMIN;
		s.n_np += q->tier == BH_TIER_NETWORK_POLICY;
	}
	uint32_t at = bh_intern(&p->selection.key, index, s.n * sizeof(*index), &is_new);
	if (is_new) {
		s.index = bh_xmemdup(index, s.n * sizeof(*index));
		s.policy = bh_xcalloc(s.n, sizeof(*s.policy));
		for (size_t i = 0; i < s.n; i++)
			s.policy[i] = p->policies->policy[index[i]];
		add_pointer(&p->selection, bh_xmemdup(&s, sizeof(s)));
	}
	return at;
}

static void set_bit(uint64_t *set, uint32_t i)
{
	set[i / 64] |= UINT64_C(1) << (i % 64);
}

static struct bh_class *new_class(
	struct bh_plan *p, const struct bh_inventory *inv, const struct bh_workload *w)
{
	struct bh_class *c = bh_xcalloc(1, sizeof(*c));
	const struct bh_view *v = view_of(p, inv, w->namespace);
	c->policy = bh_xcalloc(p->policies->n / 64 + 1, sizeof(*c->policy));
	c->peer = bh_xcalloc(p->n_peers / 64 + 1, sizeof(*c->peer));
	for (size_t i = 0; i < v->n_policies; i++)
		if (bh_selector_matches(&p->policies->policy[v->policy[i]]->pods, &w->labels))
			set_bit(c->policy, v->policy[i]);
	for (size_t i = 0; i < v->n_peers; i++) {
		const struct bh_policy_peer *said = p->peer[v->peer[i]].said;
		if (!said->has_pods || bh_selector_matches(&said->pods, &w->labels))
			set_bit(c->peer, v->peer[i]);
	}
	for (int d = 0; d < 2; d++)
		c->selection[d] = intern_selection(p, c, (enum bh_direction)d);
	return c;
}

uint32_t bh_class_of(struct bh_plan *p, const struct bh_inventory *inv, const struct bh_workload *w)
{
	bh_autobuf struct bh_buf key = {0};
	bool is_new;
	class_key(p, w, &key);
	uint32_t at = bh_intern(&p->class.key, key.s, key.len, &is_new);
	if (is_new)
		add_pointer(&p->class, new_class(p, inv, w));
	return at;
}

void bh_class_free(struct bh_class *c)
{
	free(c->peer);
	free(c->policy);
	free(c);
}

void bh_selection_free(struct bh_selection *s)
{
	free(s->policy);
	free(s->index);
	free(s);
}
