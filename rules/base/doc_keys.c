/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Duplicate keys. Sorted rather than hashed: the keys are hostile, and a sort has no bad case. */
#include "doc_private.h"

#include <errno.h>

int doc_compare_keys(const struct bh_node *a, const struct bh_node *b)
{
	size_t n = a->len < b->len ? a->len : b->len;
	int c = memcmp(a->str, b->str, n);
	return c ? c : (a->len > b->len) - (a->len < b->len);
}

static int key_place_cmp(const void *pa, const void *pb)
{
	const struct bh_node *a = *(struct bh_node *const *)pa, *b = *(struct bh_node *const *)pb;
	int c = doc_compare_keys(a, b);
	if (c == 0)
		c = (a->line > b->line) - (a->line < b->line);
	return c ? c : (a->column > b->column) - (a->column < b->column);
}

int doc_check_keys(const char *file, const struct bh_node *map, struct bh_diags *diags)
{
	int r = 0;
	if (map->n < 2)
		return 0;
	bh_autofree struct bh_node **key = bh_xmemdup(map->key, map->n * sizeof(*map->key));
	qsort(key, map->n, sizeof(*key), key_place_cmp);
	for (size_t i = 1, first = 0; i < map->n; i++) {
		if (doc_compare_keys(key[first], key[i]) != 0) {
			first = i;
			continue;
		}
		bh_autofree char *quoted = bh_diag_quote(key[i]->str, key[i]->len);
		r = -EINVAL;
		bh_diag_add(diags, BH_ERROR, file, key[i]->line, key[i]->column, NULL,
			"remove one of the two", "the key \"%s\" stands twice, first in line %d",
			quoted, key[first]->line);
	}
	return r;
}
