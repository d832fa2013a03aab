/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The roles that an export speaks of: every ROLE end of an answered tuple, once. */
#include "private.h"

static int compare_roles(const void *a, const void *b)
{
	const struct bh_export_role *x = a, *y = b;
	return bh_end_cmp(x->end, y->end);
}

static bool is_dns_label(const char *s)
{
	size_t n = s ? strlen(s) : 0;
	if (n == 0 || n > 63 || s[0] == '-' || s[n - 1] == '-')
		return false;
	return strspn(s, "abcdefghijklmnopqrstuvwxyz0123456789-") == n;
}

/* Ends come from a store that an older release may have written: nothing about them is certain. */
static const char *check_role(const struct bh_end *e)
{
	if (!is_dns_label(e->namespace))
		return "its namespace is not a DNS label";
	if (e->selector.n == 0)
		return "it has no label that could select it";
	for (size_t i = 0; i < e->selector.n; i++)
		if (bh_label_key_check(e->selector.item[i].key) ||
			bh_label_value_check(e->selector.item[i].value))
			return "its labels do not have Kubernetes' syntax";
	return NULL;
}

static void add_end(struct bh_export_roles *r, const struct bh_end *e)
{
	if (e->kind == BH_END_ROLE)
		r->role[r->n++].end = e;
}

static void merge_equal(struct bh_export_roles *r)
{
	size_t kept = 0;
	if (r->n)
		qsort(r->role, r->n, sizeof(*r->role), compare_roles);
	for (size_t i = 0; i < r->n; i++)
		if (kept == 0 || compare_roles(&r->role[kept - 1], &r->role[i]) != 0)
			r->role[kept++] = r->role[i];
	r->n = kept;
}

static void add_evidence(
	struct bh_export_roles *r, const struct bh_end *e, const struct bh_tuple *t)
{
	if (e->kind != BH_END_ROLE)
		return;
	struct bh_export_role *x = &r->role[bh_export_roles_find(r, e)];
	x->governed = true;
	if (t->review == BH_REVIEW_REJECTED)
		return;
	if (x->tuples == 0 || t->first_seen < x->first_seen)
		x->first_seen = t->first_seen;
	if (x->tuples == 0 || t->last_seen > x->last_seen)
		x->last_seen = t->last_seen;
	x->tuples += t->folded ? t->folded : 1;
	if (__builtin_add_overflow(x->connections, t->connections, &x->connections))
		x->connections = UINT64_MAX;
	struct bh_volume v = t->volume;
	if (e == &t->dst) {
		v.bytes[0] = t->volume.bytes[1];
		v.bytes[1] = t->volume.bytes[0];
	}
	bh_volume_add(&x->volume, &v);
}

void bh_export_roles_init(struct bh_export_roles *r, const struct bh_tuple *tuple, size_t n_tuples,
	const struct bh_export_opts *opts)
{
	*r = (struct bh_export_roles){
		.role = bh_xcalloc(2 * n_tuples + opts->n_empty, sizeof(*r->role))};
	for (size_t i = 0; i < opts->n_empty; i++)
		add_end(r, &opts->empty[i]);
	for (size_t i = 0; i < n_tuples; i++)
		if (tuple[i].answered) {
			add_end(r, &tuple[i].src);
			add_end(r, &tuple[i].dst);
		}
	merge_equal(r);
	for (size_t i = 0; i < n_tuples; i++) {
		const struct bh_tuple *t = &tuple[i];
		if (t->answered && t->egress)
			add_evidence(r, &t->src, t);
		/* Talking to itself is one tuple of the role, not two. */
		if (t->answered && t->ingress && !(t->egress && bh_end_equal(&t->src, &t->dst)))
			add_evidence(r, &t->dst, t);
	}
	for (size_t i = 0; i < opts->n_empty; i++)
		r->role[bh_export_roles_find(r, &opts->empty[i])].governed = true;
	for (size_t i = 0; i < r->n; i++)
		r->role[i].unsayable = check_role(r->role[i].end);
}

void bh_export_roles_finish(struct bh_export_roles *r)
{
	for (size_t i = 0; i < r->n; i++) {
		bh_selector_finish(&r->role[i].selector);
		free(r->role[i].name);
		free(r->role[i].overlap);
	}
	free(r->role);
	*r = (struct bh_export_roles){0};
}

size_t bh_export_roles_find(const struct bh_export_roles *r, const struct bh_end *end)
{
	const struct bh_export_role key = {.end = end};
	const struct bh_export_role *x =
		bsearch(&key, r->role, r->n, sizeof(*r->role), compare_roles);
	return (size_t)(x - r->role);
}
