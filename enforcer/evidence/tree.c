/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "evidence/tree.h"

#include "evidence/digest.h"
#include <errno.h>

static void hash(
	uint8_t prefix, const void *a, size_t a_len, const void *b, size_t b_len, uint8_t *ret)
{
	const struct bh_bytes part[] = {{&prefix, 1}, {a, a_len}, {b, b_len}};
	bh_digest(BH_SHA256, part, b_len ? 3 : 2, ret);
}

void bh_tree_leaf(const void *line, size_t len, uint8_t ret[static BH_TREE_HASH])
{
	hash(0, line, len, "", 0, ret);
}

void bh_tree_node(const uint8_t left[static BH_TREE_HASH], const uint8_t right[static BH_TREE_HASH],
	uint8_t ret[static BH_TREE_HASH])
{
	hash(1, left, BH_TREE_HASH, right, BH_TREE_HASH, ret);
}

void bh_tree_add(struct bh_tree *t, const uint8_t leaf[static BH_TREE_HASH])
{
	uint8_t up[BH_TREE_HASH];
	int i = 0;

	memcpy(up, leaf, sizeof(up));
	for (; t->size >> i & 1; i++)
		bh_tree_node(t->node[i], up, up);
	memcpy(t->node[i], up, sizeof(up));
	t->size++;
}

void bh_tree_root(const struct bh_tree *t, uint8_t ret[static BH_TREE_HASH])
{
	uint8_t root[BH_TREE_HASH];
	bool any = false;

	for (int i = 0; i < 64; i++) {
		if (!(t->size >> i & 1))
			continue;
		if (any)
			bh_tree_node(t->node[i], root, root);
		else
			memcpy(root, t->node[i], sizeof(root));
		any = true;
	}
	if (!any)
		bh_digest(BH_SHA256, NULL, 0, root); /* of nothing */
	memcpy(ret, root, sizeof(root));
}

void bh_tree_frontier(const struct bh_tree *t, uint8_t ret[static 64][BH_TREE_HASH], size_t *ret_n)
{
	size_t n = 0;
	for (int i = 63; i >= 0; i--)
		if (t->size >> i & 1)
			memcpy(ret[n++], t->node[i], BH_TREE_HASH);
	*ret_n = n;
}

int bh_tree_from_frontier(uint64_t size, const uint8_t *hashes, size_t n, struct bh_tree *ret)
{
	struct bh_tree t = {.size = size};
	size_t at = 0;

	if (n != (size_t)__builtin_popcountll(size))
		return -EINVAL;
	for (int i = 63; i >= 0; i--)
		if (size >> i & 1)
			memcpy(t.node[i], hashes + BH_TREE_HASH * at++, BH_TREE_HASH);
	*ret = t;
	return 0;
}

struct span {
	const struct bh_tree *start;
	const uint8_t (*leaf)[BH_TREE_HASH];
};

/* The subtree of the start tree that is exactly [from, to); NULL if there is none. */
static const uint8_t *known(const struct bh_tree *t, uint64_t from, uint64_t to)
{
	uint64_t at = 0;
	for (int i = 63; i >= 0; i--) {
		if (!(t->size >> i & 1))
			continue;
		if (at == from && to - from == UINT64_C(1) << i)
			return t->node[i];
		at += UINT64_C(1) << i;
	}
	return NULL;
}

/* The largest power of two smaller than n; n ≥ 2. */
static uint64_t split(uint64_t n)
{
	return UINT64_C(1) << (63 - __builtin_clzll(n - 1));
}

/* The hash of [from, to). Depth is at most 64. */
static void subtree(const struct span *s, uint64_t from, uint64_t to, uint8_t *ret)
{
	const uint8_t *node = known(s->start, from, to);
	uint8_t left[BH_TREE_HASH], right[BH_TREE_HASH];

	if (!node && to - from == 1)
		node = s->leaf[from - s->start->size];
	if (node) {
		memcpy(ret, node, BH_TREE_HASH);
		return;
	}
	uint64_t middle = from + split(to - from);
	subtree(s, from, middle, left);
	subtree(s, middle, to, right);
	bh_tree_node(left, right, ret);
}

void bh_tree_prove(const struct bh_tree *start, const uint8_t (*leaf)[BH_TREE_HASH], size_t n,
	uint64_t index, uint8_t ret[static 64][BH_TREE_HASH], size_t *ret_n)
{
	struct span s = {start, leaf};
	uint64_t from = 0, to = start->size + n;
	uint8_t down[64][BH_TREE_HASH];
	size_t k = 0;

	while (to - from > 1) {
		uint64_t middle = from + split(to - from);
		if (index < middle) {
			subtree(&s, middle, to, down[k++]);
			to = middle;
		} else {
			subtree(&s, from, middle, down[k++]);
			from = middle;
		}
	}
	for (size_t i = 0; i < k; i++) /* from the leaf up */
		memcpy(ret[i], down[k - 1 - i], BH_TREE_HASH);
	*ret_n = k;
}

int bh_tree_root_of_proof(const uint8_t leaf[static BH_TREE_HASH], uint64_t index, uint64_t size,
	const uint8_t (*proof)[BH_TREE_HASH], size_t n, uint8_t ret[static BH_TREE_HASH])
{
	uint64_t at = index, last = size - 1;
	uint8_t r[BH_TREE_HASH];

	if (size == 0 || index >= size)
		return -EINVAL;
	memcpy(r, leaf, sizeof(r));
	for (size_t i = 0; i < n; i++) {
		if (last == 0)
			return -EINVAL;
		if ((at & 1) || at == last) {
			bh_tree_node(proof[i], r, r);
			while (!(at & 1) && at != 0) {
				at >>= 1;
				last >>= 1;
			}
		} else {
			bh_tree_node(r, proof[i], r);
		}
		at >>= 1;
		last >>= 1;
	}
	if (last != 0)
		return -EINVAL;
	memcpy(ret, r, sizeof(r));
	return 0;
}
