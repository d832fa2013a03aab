/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The ends that people think in: roles, the host, other nodes. What is outside comes later, for
 * each of them as far as its own policies look. */
#include "private.h"

#include <bulkhead/baseline.h>

struct ranked {
	const struct bh_buf *key;
	size_t index;
};

static int compare_keys(const struct bh_buf *a, const struct bh_buf *b)
{
	size_t n = a->len < b->len ? a->len : b->len;
	int r = n ? memcmp(a->s, b->s, n) : 0;
	return r ? r : (a->len > b->len) - (a->len < b->len);
}

static int compare_ranked(const void *a, const void *b)
{
	return compare_keys(((const struct ranked *)a)->key, ((const struct ranked *)b)->key);
}

size_t bh_delta_rank(const struct bh_buf *key, size_t n, uint32_t *ret_rank)
{
	bh_autofree struct ranked *sorted = bh_xcalloc(n, sizeof(*sorted));
	uint32_t rank = 0;
	for (size_t i = 0; i < n; i++)
		sorted[i] = (struct ranked){&key[i], i};
	if (n)
		qsort(sorted, n, sizeof(*sorted), compare_ranked);
	for (size_t i = 0; i < n; i++) {
		if (i && compare_keys(sorted[i - 1].key, sorted[i].key) != 0)
			rank++;
		ret_rank[sorted[i].index] = rank;
	}
	return n ? (size_t)rank + 1 : 0;
}

/* Namespace first, so that ranks are in the order that people expect. */
static void role_key(const struct bh_workload *w, const struct bh_labels *role, struct bh_buf *key)
{
	bh_autofree char *name = bh_role_name(role);
	bh_buf_add(key, w->namespace, strlen(w->namespace) + 1);
	bh_buf_add(key, name, strlen(name) + 1);
	for (size_t i = 0; i < role->n; i++) {
		bh_buf_add(key, role->item[i].key, strlen(role->item[i].key) + 1);
		bh_buf_add(key, role->item[i].value, strlen(role->item[i].value) + 1);
	}
}

static struct bh_delta_party *add_party(struct bh_delta_world *w, enum bh_delta_end_kind kind)
{
	BH_GROW(w->party, w->n_parties, w->cap_parties);
	w->party[w->n_parties] = (struct bh_delta_party){.kind = kind};
	return &w->party[w->n_parties++];
}

static bool same_name(const struct bh_delta_party *a, const struct bh_delta_party *b)
{
	return bh_streq(a->namespace, b->namespace) && bh_streq(a->name, b->name);
}

static void add_labels(struct bh_delta_party *p)
{
	struct bh_buf b = {0};
	bh_buf_printf(&b, "%s{", p->name);
	for (size_t i = 0; i < p->selector.n; i++)
		bh_buf_printf(&b, "%s%s=%s", i ? "," : "", p->selector.item[i].key,
			p->selector.item[i].value);
	bh_buf_str(&b, "}");
	free(p->name);
	p->name = bh_buf_take(&b);
}

/* Roles whose short names are the same get their labels behind it. They stand side by side. */
static void separate_names(struct bh_delta_world *w)
{
	for (size_t i = 0, end; i < w->n_roles; i = end) {
		for (end = i + 1; end < w->n_roles; end++)
			if (!same_name(&w->party[i], &w->party[end]))
				break;
		for (size_t k = i; k < end && end > i + 1; k++)
			add_labels(&w->party[k]);
	}
}

static void find_roles(struct bh_delta_world *w)
{
	const struct bh_inventory *inv = w->inv;
	struct bh_labels *role = bh_xcalloc(inv->n, sizeof(*role));
	struct bh_buf *key = bh_xcalloc(inv->n, sizeof(*key));
	for (size_t i = 0; i < inv->n; i++) {
		bh_role_of(inv->workload[i], &role[i]);
		role_key(inv->workload[i], &role[i], &key[i]);
	}
	w->role = bh_xcalloc(inv->n, sizeof(*w->role));
	w->n_roles = bh_delta_rank(key, inv->n, w->role);
	for (size_t i = 0; i < w->n_roles; i++)
		add_party(w, BH_DELTA_ROLE);
	for (size_t i = 0; i < inv->n; i++) {
		struct bh_delta_party *p = &w->party[w->role[i]];
		if (!p->name) {
			p->namespace = bh_xstrdup(inv->workload[i]->namespace);
			p->name = bh_role_name(&role[i]);
			bh_labels_copy(&p->selector, &role[i]);
		}
		bh_labels_finish(&role[i]);
		bh_buf_finish(&key[i]);
	}
	free(role);
	free(key);
	separate_names(w);
}

void bh_delta_find_parties(struct bh_delta_world *w)
{
	find_roles(w);
	add_party(w, BH_DELTA_HOST);
	for (size_t i = 0; i < w->inv->n_nodes; i++)
		add_party(w, BH_DELTA_NODE)->name = bh_xstrdup(w->inv->node[i].name);
}

void bh_delta_party_finish(struct bh_delta_party *p)
{
	free(p->namespace);
	free(p->name);
	bh_labels_finish(&p->selector);
	free(p->atom);
	bh_delta_starts_finish(&p->starts[0]);
	bh_delta_starts_finish(&p->starts[1]);
	free(p->asks.item);
	free(p->serves.item);
	free(p->block);
	*p = (struct bh_delta_party){0};
}
