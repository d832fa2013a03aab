/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the sections of a scenario are made of: labels, addresses, names; and the budget. */
#include "private.h"

#define MAX_LABELS 500

bool scenario_spend(struct loader *l, const struct bh_node *n, size_t cost)
{
	if (l->budget >= cost) {
		l->budget -= cost;
		return true;
	}
	l->budget = 0;
	if (!l->broke)
		bh_read_error(&l->r, n, NULL, "split the file",
			"too many workloads, nodes and addresses, counted over all states");
	l->broke = true;
	return false;
}

void scenario_read_labels(
	struct loader *l, const struct bh_node *map, const char *path, struct bh_labels *out)
{
	if (bh_node_is_null(map) || bh_read_map(&l->r, map, path) < 0)
		return;
	if (map->n > MAX_LABELS) {
		bh_read_error(&l->r, map, path, NULL, "more than %d labels", MAX_LABELS);
		return;
	}
	for (size_t i = 0; i < map->n; i++) {
		const char *value;
		if (strlen(map->key[i]->str) != map->key[i]->len)
			bh_read_error(
				&l->r, map->key[i], path, NULL, "must not contain a NUL character");
		else if (bh_read_string(&l->r, map->child[i], path, &value) == 0)
			bh_labels_set(out, map->key[i]->str, value);
	}
}

static int read_addr(
	struct loader *l, const struct bh_node *n, const char *path, struct bh_addr *ret)
{
	const char *text;
	if (bh_read_string(&l->r, n, path, &text) < 0)
		return -1;
	if (bh_addr_parse(text, ret) == 0)
		return 0;
	bh_autofree char *quoted = bh_diag_quote(text, n->len);
	bh_read_error(&l->r, n, path, NULL, "\"%s\" is not an IP address", quoted);
	return -1;
}

struct bh_addr *scenario_read_addrs(
	struct loader *l, const struct bh_node *seq, const char *path, bool one, size_t *ret_n)
{
	size_t n = 0;
	*ret_n = 0;
	if (bh_read_seq(&l->r, seq, path) < 0 || !scenario_spend(l, seq, seq->n))
		return NULL;
	if (seq->n > MAX_ADDRS) {
		bh_read_error(&l->r, seq, path, NULL, "more than %d addresses", MAX_ADDRS);
		return NULL;
	}
	struct bh_addr *a = bh_xcalloc(seq->n, sizeof(*a));
	for (size_t i = 0; i < seq->n; i++) {
		bool again = false;
		if (read_addr(l, seq->child[i], path, &a[n]) < 0)
			continue;
		for (size_t k = 0; k < n; k++)
			again |= one ? a[k].family == a[n].family : bh_addr_eq(&a[k], &a[n]);
		if (again)
			bh_read_error(&l->r, seq->child[i], path,
				one ? "`interfaces` for a workload with several" : NULL,
				one ? "more than one address of a family"
				    : "the address is there twice");
		else
			n++;
	}
	*ret_n = n;
	return a;
}

int scenario_name_cmp(const void *a, const void *b)
{
	const struct scenario_name *x = a, *y = b;
	int c = strcmp(x->name, y->name);
	/* Those with labels first: the rest only repeat the name. */
	return c ? c : (x->value == NULL) - (y->value == NULL);
}

struct scenario_name *scenario_sorted_names(
	struct loader *l, const struct bh_node *map, const char *path, size_t *ret_n)
{
	*ret_n = 0;
	if (bh_node_is_null(map) || bh_read_map(&l->r, map, path) < 0)
		return NULL;
	struct scenario_name *list = bh_xcalloc(map->n, sizeof(*list));
	for (size_t i = 0; i < map->n; i++) {
		const struct bh_node *k = map->key[i];
		if (k->len == 0 || strlen(k->str) != k->len)
			bh_read_error(&l->r, k, path, NULL, "not a name");
		else
			list[(*ret_n)++] = (struct scenario_name){
				.name = k->str, .key = k, .value = map->child[i]};
	}
	qsort(list, *ret_n, sizeof(*list), scenario_name_cmp);
	return list;
}
