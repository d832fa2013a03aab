/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The Merkle tree of RFC 6962, section 2.1, over the lines of the audit log: a leaf is
 * SHA-256(0x00 ‖ line) of the line's exact bytes without its newline, a node is
 * SHA-256(0x01 ‖ left ‖ right). What has to be kept of a tree to go on is one hash for each bit
 * that is set in its size.
 */
#pragma once

#include <bulkhead/util.h>

#define BH_TREE_HASH 32

struct bh_tree { /* zero-initialised is empty */
	uint64_t size;
	uint8_t node[64][BH_TREE_HASH]; /* [i] is valid where bit i of size is set: 2^i leaves */
};

void bh_tree_leaf(const void *line, size_t len, uint8_t ret[static BH_TREE_HASH]);
void bh_tree_node(const uint8_t left[static BH_TREE_HASH], const uint8_t right[static BH_TREE_HASH],
	uint8_t ret[static BH_TREE_HASH]);
void bh_tree_add(struct bh_tree *t, const uint8_t leaf[static BH_TREE_HASH]);
void bh_tree_root(const struct bh_tree *t, uint8_t ret[static BH_TREE_HASH]);

/* The hashes of a tree, largest subtree first; *ret_n of them. */
void bh_tree_frontier(const struct bh_tree *t, uint8_t ret[static 64][BH_TREE_HASH], size_t *ret_n);
/* −EINVAL unless n is how many a tree of that size has. */
int bh_tree_from_frontier(uint64_t size, const uint8_t *hashes, size_t n, struct bh_tree *ret);

/*
 * The inclusion proof (RFC 6962, 2.1.1) of leaf `index` in the tree that begins with `start` and
 * goes on with the given leaves. start.size ≤ index < start.size + n. *ret_n hashes, at most 64.
 */
void bh_tree_prove(const struct bh_tree *start, const uint8_t (*leaf)[BH_TREE_HASH], size_t n,
	uint64_t index, uint8_t ret[static 64][BH_TREE_HASH], size_t *ret_n);
/* The root that a proof leads to (RFC 9162, 2.1.3.2). −EINVAL if the proof has the wrong length. */
int bh_tree_root_of_proof(const uint8_t leaf[static BH_TREE_HASH], uint64_t index, uint64_t size,
	const uint8_t (*proof)[BH_TREE_HASH], size_t n, uint8_t ret[static BH_TREE_HASH]);
