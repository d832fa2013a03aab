/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Names of chains and sets. They must be readable to an operator, unique, and the same in every
 * compilation as long as the thing they name is the same, so that a change of policy or inventory
 * touches little in the kernel: a slug for the reader and a hash of the identity.
 */
#include "internal.h"

#include <inttypes.h>

#define SLUG_MAX 64

/* Letters, digits, '_', '.' stay; everything else separates. nft takes these unquoted. */
static void slug(const char *text, struct bh_buf *out)
{
	size_t from = out->len;
	for (; *text && out->len - from < SLUG_MAX; text++) {
		char c = *text;
		if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
			c == '_' || c == '.')
			bh_buf_add(out, &c, 1);
		else if (c == '=')
			bh_buf_str(out, ".");
		else if (out->len > from && out->s[out->len - 1] != '-')
			bh_buf_str(out, "-");
	}
	while (out->len > from && out->s[out->len - 1] == '-')
		out->s[--out->len] = '\0';
}

/* Is the name free, or this identity's already? Takes it then. */
static bool claim(struct bh_plan *p, const struct bh_buf *name, uint32_t identity)
{
	bool is_new;
	uint32_t at = bh_intern(&p->name, name->s, name->len, &is_new);
	if (!is_new)
		return p->name_owner[at] == identity;
	size_t n = at;
	BH_GROW(p->name_owner, n, p->cap_names);
	p->name_owner[at] = identity;
	return true;
}

char *bh_compile_name(
	struct bh_plan *p, const char *prefix, const char *text, const void *identity, size_t len)
{
	bh_autobuf struct bh_buf b = {0};
	bool is_new;
	uint64_t hash = bh_hash(identity, len, BH_HASH_SEED);
	uint32_t owner = bh_intern(&p->identity, identity, len, &is_new);
	bh_buf_str(&b, prefix);
	slug(text, &b);
	size_t base = b.len;
	/* 32 bits can be made to collide by whoever writes selectors or declares ports, and two
	 * groups that shared a chain would share their rules. */
	for (unsigned attempt = 0;; attempt++) {
		b.len = base;
		bh_buf_str(&b, base ? "-" : "");
		if (attempt == 0)
			bh_buf_printf(&b, "%08" PRIx32, (uint32_t)(hash ^ hash >> 32));
		else
			bh_buf_printf(&b, "%016" PRIx64 "-%u", hash, attempt);
		if (claim(p, &b, owner))
			return bh_buf_take(&b);
	}
}
