/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Where a reader stands in its document, and the steps that every reader takes. */
#include "private.h"

void bh_policy_ctx_init(struct bh_policy_ctx *c, const char *file,
	const struct bh_policy_parse_opts *opts, struct bh_diags *diags)
{
	static const struct bh_policy_parse_opts none;
	*c = (struct bh_policy_ctx){
		.r = {.file = file, .diags = diags},
		.opts = opts ? opts : &none,
		.errors = diags->n_errors,
	};
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

const char *bh_policy_one_of(struct bh_policy_ctx *c, const struct bh_node *n,
	const char *const *keys, const char *apart)
{
	const char *found = NULL;
	if (bh_read_map(&c->r, n, c->path.s) < 0)
		return NULL;
	int unknown = bh_read_known_keys(&c->r, n, c->path.s, keys);
	for (size_t i = 0; keys[i]; i++) {
		if (!bh_policy_field(n, keys[i]))
			continue;
		if (found) {
			bh_policy_error(c, bh_node_get_key(n, keys[i]), apart,
				"%s and %s exclude each other", found, keys[i]);
			return NULL;
		}
		found = keys[i];
	}
	if (found || unknown)
		return found;
	struct bh_buf bh_autobuf remedy = {0};
	for (size_t i = 0; keys[i]; i++)
		bh_buf_printf(&remedy, "%s%s", !i ? "" : keys[i + 1] ? ", " : " or ", keys[i]);
	bh_policy_error(c, n, remedy.s, "exactly one field must be set, not none");
	return NULL;
}

void bh_policy_check_count(
	struct bh_policy_ctx *c, const struct bh_node *map, const char *key, size_t min, size_t max)
{
	const struct bh_node *seq = bh_policy_field(map, key);
	if (!seq || seq->kind != BH_NODE_SEQ || (seq->n >= min && seq->n <= max))
		return;
	size_t at = bh_policy_push(c, key);
	if (seq->n < min)
		bh_policy_error(c, seq, NULL, "at least %zu item%s needed", min,
			min == 1 ? " is" : "s are");
	else
		bh_policy_error(c, seq->child[max], "make it several rules or policies",
			"%zu items, at most %zu are allowed", seq->n, max);
	bh_policy_pop(c, at);
}

bool bh_policy_read_word(struct bh_policy_ctx *c, const struct bh_node *n, const char *const *words,
	const char *remedy, size_t *ret)
{
	const char *text;
	if (bh_read_word(&c->r, n, c->path.s, remedy, &text) < 0)
		return false;
	for (size_t i = 0; words[i]; i++)
		if (bh_streq(text, words[i])) {
			*ret = i;
			return true;
		}
	bh_autofree char *quoted = bh_diag_quote(n->str, n->len);
	bh_policy_error(c, n, remedy, "unknown value \"%s\"", quoted);
	return false;
}

bool bh_policy_is_item(struct bh_policy_ctx *c, const struct bh_node *n)
{
	if (!bh_node_is_null(n))
		return true;
	bh_policy_error(c, n, "remove the item, or write what is meant", "empty list item");
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
