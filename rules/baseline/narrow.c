/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A role's labels may select more than the role: {tier: web} also selects {tier: web, canary: "1"},
 * which is a role of its own. A policy written for the one would isolate the other, or let it in
 * as a peer. So for each such intruder, a requirement is added that it fails and every member of
 * the role meets. One always exists: a role consists of the labels that come first in precedence,
 * so the intruder has a role label that members lack.
 */
#include "private.h"

/* A workload of the inventory, and its role. */
struct resident {
	const struct bh_workload *workload;
	struct bh_labels role;
};

struct scene {
	struct resident *resident; /* sorted by namespace, as the inventory is */
	size_t n;
};

static void scene_init(struct scene *s, const struct bh_inventory *inv)
{
	*s = (struct scene){0};
	if (!inv)
		return;
	s->resident = bh_xcalloc(inv->n, sizeof(*s->resident));
	for (s->n = 0; s->n < inv->n; s->n++) {
		s->resident[s->n].workload = inv->workload[s->n];
		bh_role_of(inv->workload[s->n], &s->resident[s->n].role);
	}
}

static void scene_finish(struct scene *s)
{
	for (size_t i = 0; i < s->n; i++)
		bh_labels_finish(&s->resident[i].role);
	free(s->resident);
}

/* The residents of one namespace: [*ret_lo, *ret_hi). */
static void find_namespace(
	const struct scene *s, const char *namespace, size_t *ret_lo, size_t *ret_hi)
{
	size_t lo = 0, hi = s->n;
	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		if (bh_strcmp0(s->resident[mid].workload->namespace, namespace) < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	*ret_lo = lo;
	while (hi < s->n && bh_streq(s->resident[hi].workload->namespace, namespace))
		hi++;
	*ret_hi = hi;
}

/* Adds what shuts out a workload with these labels and this role. */
static bool exclude(struct bh_export_role *r, const struct resident *resident, size_t n,
	const struct bh_labels *labels, const struct bh_labels *role)
{
	if (!bh_selector_matches(&r->selector, labels))
		return true;
	for (size_t i = 0; i < role->n; i++) {
		const char *key = role->item[i].key, *value = role->item[i].value;
		bool key_taken = false, value_taken = false;
		if (bh_labels_get(&r->end->selector, key))
			continue;
		for (size_t k = 0; k < n; k++) {
			const char *has = bh_labels_get(&resident[k].workload->labels, key);
			if (!has || !bh_labels_equal(&resident[k].role, &r->end->selector))
				continue;
			key_taken = true;
			value_taken |= bh_streq(has, value);
		}
		if (value_taken)
			continue;
		bh_selector_add(&r->selector, key, key_taken ? BH_SEL_NOT_IN : BH_SEL_NOT_EXISTS,
			&value, key_taken ? 1 : 0);
		return true;
	}
	return false;
}

static void narrow_role(struct bh_export_roles *roles, size_t i, const struct scene *s)
{
	struct bh_export_role *r = &roles->role[i];
	const char *ns = r->end->namespace;
	size_t lo, hi;
	find_namespace(s, ns, &lo, &hi);
	const struct resident *resident = s->resident ? s->resident + lo : NULL;

	for (size_t k = 0; k < r->end->selector.n; k++) {
		const char *value = r->end->selector.item[k].value;
		bh_selector_add(&r->selector, r->end->selector.item[k].key, BH_SEL_IN, &value, 1);
	}
	for (size_t k = lo; k < hi; k++) {
		const struct bh_workload *w = s->resident[k].workload;
		const struct bh_labels *role = &s->resident[k].role;
		if (!bh_labels_equal(role, &r->end->selector) &&
			!exclude(r, resident, hi - lo, &w->labels, role) && !r->overlap)
			r->overlap = bh_xasprintf("%s/%s", ns, w->name);
	}
	/* Roles that were seen and are not running now: their own labels are all that is known. */
	for (size_t k = i; k-- > 0 && bh_streq(roles->role[k].end->namespace, ns);)
		exclude(r, resident, hi - lo, &roles->role[k].end->selector,
			&roles->role[k].end->selector);
	for (size_t k = i + 1; k < roles->n && bh_streq(roles->role[k].end->namespace, ns); k++)
		exclude(r, resident, hi - lo, &roles->role[k].end->selector,
			&roles->role[k].end->selector);
}

void bh_export_roles_narrow(struct bh_export_roles *r, const struct bh_inventory *inv)
{
	struct scene s;
	scene_init(&s, inv);
	for (size_t i = 0; i < r->n; i++)
		narrow_role(r, i, &s);
	scene_finish(&s);
}
