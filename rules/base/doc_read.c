/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Typed reading of nodes, the same for every loader, so that all of them are equally strict and
 * word their diagnostics alike. Texts are compared with their length: "a\0b" is not "a".
 */
#include <bulkhead/doc.h>

#include <errno.h>

static size_t key_index(const struct bh_node *map, const char *key)
{
	size_t len = strlen(key);
	if (!map || map->kind != BH_NODE_MAP)
		return SIZE_MAX;
	for (size_t i = 0; i < map->n; i++)
		if (map->key[i]->len == len && memcmp(map->key[i]->str, key, len) == 0)
			return i;
	return SIZE_MAX;
}

const struct bh_node *bh_node_get(const struct bh_node *map, const char *key)
{
	size_t i = key_index(map, key);
	return i == SIZE_MAX ? NULL : map->child[i];
}

const struct bh_node *bh_node_get_key(const struct bh_node *map, const char *key)
{
	size_t i = key_index(map, key);
	return i == SIZE_MAX ? NULL : map->key[i];
}

void bh_read_error(const struct bh_reader *r, const struct bh_node *n, const char *path,
	const char *remedy, const char *fmt, ...)
{
	va_list ap;
	char *what = NULL;
	va_start(ap, fmt);
	int len = vasprintf(&what, fmt, ap);
	va_end(ap);
	bh_diag_add(r->diags, BH_ERROR, r->file, n ? n->line : 0, n ? n->column : 0, path, remedy,
		"%s", len < 0 ? fmt : what);
	if (len >= 0)
		free(what);
}

static const char *kind_name(const struct bh_node *n)
{
	if (!n)
		return "missing";
	if (n->kind != BH_NODE_SCALAR)
		return n->kind == BH_NODE_MAP ? "a mapping" : "a list";
	switch (n->type) {
	case BH_SCALAR_NULL:
		return "null";
	case BH_SCALAR_BOOL:
		return "a boolean";
	case BH_SCALAR_INT:
	case BH_SCALAR_FLOAT:
		return "a number";
	case BH_SCALAR_AMBIGUOUS:
		return "a single value";
	case BH_SCALAR_STRING:
		break;
	}
	return "a string";
}

static int wrong_kind(
	const struct bh_reader *r, const struct bh_node *n, const char *path, const char *wanted)
{
	bh_read_error(r, n, path, NULL, "must be %s, not %s", wanted, kind_name(n));
	return -EINVAL;
}

static int ambiguous(const struct bh_reader *r, const struct bh_node *n, const char *path,
	const char *wanted, const char *remedy)
{
	bh_autofree char *quoted = bh_diag_quote(n->str, n->len);
	bh_read_error(r, n, path, remedy,
		"must be %s; some YAML readers take %s for something else", wanted, quoted);
	return -EINVAL;
}

int bh_read_word(const struct bh_reader *r, const struct bh_node *n, const char *path,
	const char *words, const char **ret)
{
	if (!n || n->kind != BH_NODE_SCALAR || n->type == BH_SCALAR_NULL) {
		bh_read_error(r, n, path, words, "must be a string, not %s", kind_name(n));
		return -EINVAL;
	}
	if (n->type != BH_SCALAR_STRING) {
		bh_autofree char *quoted = bh_diag_quote(n->str, n->len);
		bh_autofree char *in_quotes = bh_xasprintf("write it in quotes: \"%s\"", quoted);
		const char *remedy = words ? words : in_quotes;
		if (n->type == BH_SCALAR_AMBIGUOUS)
			return ambiguous(r, n, path, "a string", remedy);
		bh_read_error(r, n, path, remedy, "must be a string, not %s", kind_name(n));
		return -EINVAL;
	}
	if (strlen(n->str) != n->len) {
		bh_read_error(r, n, path, NULL, "must not contain a NUL character");
		return -EINVAL;
	}
	*ret = n->str;
	return 0;
}

int bh_read_string(
	const struct bh_reader *r, const struct bh_node *n, const char *path, const char **ret)
{
	return bh_read_word(r, n, path, NULL, ret);
}

/* Of a scalar that is an INT: [-+]digits or 0xdigits. */
static int parse_int(const char *s, int64_t *ret)
{
	bool negative = *s == '-';
	int base = 10;
	int64_t v = 0;
	if (*s == '-' || *s == '+')
		s++;
	if (s[0] == '0' && s[1] == 'x') {
		base = 16;
		s += 2;
	}
	for (; *s; s++) {
		int digit = *s <= '9' ? *s - '0' : (*s | 0x20) - 'a' + 10;
		if (__builtin_mul_overflow(v, base, &v) ||
			__builtin_add_overflow(v, negative ? -digit : digit, &v))
			return -ERANGE;
	}
	*ret = v;
	return 0;
}

/* What would be one is said where it can be told: 080, 8e1 and "80" are all meant as 80. */
static int not_an_int(const struct bh_reader *r, const struct bh_node *n, const char *path)
{
	static const char wanted[] = "a whole number";
	if (!n || n->kind != BH_NODE_SCALAR)
		return wrong_kind(r, n, path, wanted);
	if (n->type == BH_SCALAR_AMBIGUOUS)
		return ambiguous(r, n, path, wanted, "write it in decimal digits alone");
	if (n->type == BH_SCALAR_FLOAT) {
		bh_autofree char *quoted = bh_diag_quote(n->str, n->len);
		bh_read_error(r, n, path, "write it in decimal digits alone", "must be %s, not %s",
			wanted, quoted);
		return -EINVAL;
	}
	if (n->type == BH_SCALAR_STRING && n->len && strspn(n->str, "0123456789") == n->len) {
		bh_read_error(r, n, path, "write the number without quotes",
			"must be %s, not a string", wanted);
		return -EINVAL;
	}
	return wrong_kind(r, n, path, wanted);
}

int bh_read_int(const struct bh_reader *r, const struct bh_node *n, const char *path, int64_t min,
	int64_t max, int64_t *ret)
{
	int64_t v;
	if (!n || n->kind != BH_NODE_SCALAR || n->type != BH_SCALAR_INT)
		return not_an_int(r, n, path);
	if (parse_int(n->str, &v) < 0 || v < min || v > max) {
		bh_read_error(r, n, path, NULL, "must be from %lld to %lld", (long long)min,
			(long long)max);
		return -EINVAL;
	}
	*ret = v;
	return 0;
}

int bh_read_bool(const struct bh_reader *r, const struct bh_node *n, const char *path, bool *ret)
{
	if (n && n->kind == BH_NODE_SCALAR && n->type == BH_SCALAR_AMBIGUOUS)
		return ambiguous(r, n, path, "true or false", NULL);
	if (!n || n->kind != BH_NODE_SCALAR || n->type != BH_SCALAR_BOOL)
		return wrong_kind(r, n, path, "true or false");
	*ret = n->str[0] == 't' || n->str[0] == 'T';
	return 0;
}

int bh_read_map(const struct bh_reader *r, const struct bh_node *n, const char *path)
{
	return n && n->kind == BH_NODE_MAP ? 0 : wrong_kind(r, n, path, "a mapping");
}

int bh_read_seq(const struct bh_reader *r, const struct bh_node *n, const char *path)
{
	return n && n->kind == BH_NODE_SEQ ? 0 : wrong_kind(r, n, path, "a list");
}

static char *suggest(const struct bh_node *key, const char *const *known)
{
	const char *best = NULL;
	unsigned least = 3; /* two slips at most, and less than half of the word */
	for (size_t i = 0; known[i] && key->len <= BH_DISTANCE_MAX; i++) {
		size_t len = strlen(known[i]);
		if (len > BH_DISTANCE_MAX)
			continue;
		unsigned d = bh_text_distance(key->str, key->len, known[i], len);
		if (d < least && d * 2 < len) {
			least = d;
			best = known[i];
		}
	}
	if (best)
		return bh_xasprintf("did you mean \"%s\"?", best);
	struct bh_buf b = {0};
	bh_buf_str(&b, "known here: ");
	for (size_t i = 0; known[i]; i++)
		bh_buf_printf(&b, i ? ", %s" : "%s", known[i]);
	return bh_buf_take(&b);
}

int bh_read_known_keys(const struct bh_reader *r, const struct bh_node *map, const char *path,
	const char *const *known)
{
	int unknown = 0;
	for (size_t i = 0; map && i < map->n; i++) {
		const struct bh_node *key = map->key[i];
		size_t k = 0;
		while (known[k] &&
			(strlen(known[k]) != key->len || memcmp(known[k], key->str, key->len) != 0))
			k++;
		if (known[k])
			continue;
		unknown++;
		/* What nobody will see is not worth the search. */
		bh_autofree char *remedy = r->diags->n < BH_DIAGS_MAX ? suggest(key, known) : NULL;
		bh_autofree char *quoted = bh_diag_quote(key->str, key->len);
		bh_read_error(r, key, path, remedy, "unknown field \"%s\"", quoted);
	}
	return unknown;
}
