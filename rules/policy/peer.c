/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Peers of a rule: selectors, or one ipBlock (ValidateNetworkPolicyPeer and ValidateIPBlock of the
 * API server's pkg/apis/networking/validation).
 */
#include "private.h"

struct except {
	struct bh_ip_block *block;
	size_t cap;
	bool have_cidr;
};

static void read_except(struct bh_policy_ctx *c, const struct bh_node *n, void *arg)
{
	struct except *x = arg;
	struct bh_prefix p;
	char outer[BH_PREFIX_STRLEN];
	if (!bh_policy_read_cidr(c, n, &p))
		return;
	const struct bh_prefix *cidr = &x->block->cidr;
	if (x->have_cidr && (p.len <= cidr->len || !bh_prefix_covers(cidr, &p))) {
		bh_policy_error(c, n, "a smaller range inside cidr",
			"except must lie strictly inside %s", bh_prefix_format(cidr, outer));
		return;
	}
	BH_GROW(x->block->except, x->block->n_except, x->cap);
	x->block->except[x->block->n_except++] = p;
}

static void read_block(struct bh_policy_ctx *c, const struct bh_node *n, struct bh_ip_block *ret)
{
	static const char *const keys[] = {"cidr", "except", NULL};
	struct except x = {.block = ret};
	if (!bh_policy_is_map(c, n, keys))
		return;
	const struct bh_node *cidr = bh_policy_required(c, n, "cidr", "ADDRESS/LENGTH");
	if (cidr) {
		size_t at = bh_policy_push(c, "cidr");
		x.have_cidr = bh_policy_read_cidr(c, cidr, &ret->cidr);
		bh_policy_pop(c, at);
	}
	bh_policy_each(c, n, "except", read_except, &x);
}

static bool read_side(struct bh_policy_ctx *c, const struct bh_node *peer, const char *key,
	struct bh_selector *ret)
{
	const struct bh_node *n = bh_policy_field(peer, key);
	if (!n)
		return false;
	size_t at = bh_policy_push(c, key);
	bh_policy_read_selector(c, n, ret);
	bh_policy_pop(c, at);
	return true;
}

void bh_policy_read_peer(
	struct bh_policy_ctx *c, const struct bh_node *n, struct bh_policy_peer *ret)
{
	static const char *const keys[] = {"podSelector", "namespaceSelector", "ipBlock", NULL};
	ret->line = n->line;
	ret->column = n->column;
	if (!bh_policy_is_map(c, n, keys))
		return;
	ret->has_pods = read_side(c, n, "podSelector", &ret->pods);
	ret->has_namespaces = read_side(c, n, "namespaceSelector", &ret->namespaces);
	const struct bh_node *block = bh_policy_field(n, "ipBlock");
	if (block) {
		size_t at = bh_policy_push(c, "ipBlock");
		ret->block = bh_xcalloc(1, sizeof(*ret->block));
		read_block(c, block, ret->block);
		bh_policy_pop(c, at);
	}
	if (block && (ret->has_pods || ret->has_namespaces))
		bh_policy_error(c, n, "make it two peers: a list item each",
			"ipBlock cannot be combined with selectors");
	else if (!block && !ret->has_pods && !ret->has_namespaces)
		bh_policy_error(c, n,
			"give podSelector, namespaceSelector or ipBlock; {} as selector means all",
			"a peer must say whom it means");
}
