/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Where a reader stands in its document, and the steps that every reader takes. */
#include "private.h"

void bh_policy_ctx_init(struct bh_policy_ctx *c, const char *file, struct bh_diags *diags)
{
	*c = (struct bh_policy_ctx){.r = {.file = file, .diags = diags}};
	bh_buf_str(&c->path, "");
}

void bh_policy_ctx_finish(struct bh_policy_ctx *c)
{
	bh_buf_finish(&c->path);
}

size_t bh_policy_push(struct bh_policy_ctx *c, const char *key)
{
	size_t at = c->path.len;
	if (at)
		bh_buf_str(&c->path, ".");
	bh_buf_str(&c->path, key);
	return at;
}

size_t bh_policy_push_index(struct bh_policy_ctx *c, size_t i)
{
	size_t at = c->path.len;
	bh_buf_printf(&c->path, "[%zu]", i);
	return at;
}

size_t bh_policy_push_quoted(struct bh_policy_ctx *c, const struct bh_node *key)
{
	size_t at = c->path.len;
	bh_autofree char *quoted = bh_diag_quote(key->str, key->len);
	bh_buf_printf(&c->path, "[%s]", quoted);
	return at;
}

void bh_policy_pop(struct bh_policy_ctx *c, size_t at)
{
	c->path.len = at;
	c->path.s[at] = '\0';
}

const struct bh_node *bh_policy_field(const struct bh_node *map, const char *key)
{
	const struct bh_node *n = bh_node_get(map, key);
	return bh_node_is_null(n) ? NULL : n;
}

const struct bh_node *bh_policy_required(
	struct bh_policy_ctx *c, const struct bh_node *map, const char *key, const char *remedy)
{
	const struct bh_node *n = bh_policy_field(map, key);
	if (n)
		return n;
	const struct bh_node *at_key = bh_node_get_key(map, key);
	size_t at = bh_policy_push(c, key);
	bh_policy_error(
		c, at_key ? at_key : map, remedy, "required, but %s", at_key ? "null" : "missing");
	bh_policy_pop(c, at);
	return NULL;
}

bool bh_policy_is_map(
	struct bh_policy_ctx *c, const struct bh_node *n, const char *const *known_keys)
{
	if (bh_read_map(&c->r, n, c->path.s) < 0)
		return false;
	bh_read_known_keys(&c->r, n, c->path.s, known_keys);
	return true;
}

bool bh_policy_is_item(struct bh_policy_ctx *c, const struct bh_node *n)
{
	if (!bh_node_is_null(n))
		return true;
	bh_policy_error(c, n, "remove the item, or write what it is to allow", "empty list item");
	return false;
}

void bh_policy_each(struct bh_policy_ctx *c, const struct bh_node *map, const char *key,
	void (*fn)(struct bh_policy_ctx *c, const struct bh_node *item, void *arg), void *arg)
{
	const struct bh_node *seq = bh_policy_field(map, key);
	if (!seq)
		return;
	size_t at = bh_policy_push(c, key);
	if (bh_read_seq(&c->r, seq, c->path.s) == 0)
		for (size_t i = 0; i < seq->n; i++) {
			size_t item = bh_policy_push_index(c, i);
			if (bh_policy_is_item(c, seq->child[i]))
				fn(c, seq->child[i], arg);
			bh_policy_pop(c, item);
		}
	bh_policy_pop(c, at);
}
