/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Labels and selectors. Both are kept sorted and free of repetitions at all times, so that equality
 * is element by element, and hashes and printed forms are canonical. The semantics and the syntax
 * are those of k8s.io/apimachinery (pkg/labels/selector.go, pkg/util/validation).
 */
#include <bulkhead/labels.h>

/* Index of `key`, or where it belongs. */
static size_t label_index(const struct bh_labels *l, const char *key, bool *found)
{
	size_t lo = 0, hi = l->n;
	*found = false;
	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		int c = strcmp(l->item[mid].key, key);
		if (c == 0) {
			*found = true;
			return mid;
		}
		if (c < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

void bh_labels_set(struct bh_labels *l, const char *key, const char *value)
{
	bool found;
	size_t i = label_index(l, key, &found);
	char *copy = bh_xstrdup(value);
	if (found) {
		free(l->item[i].value);
		l->item[i].value = copy;
		return;
	}
	char *key_copy = bh_xstrdup(key);
	BH_GROW(l->item, l->n, l->cap);
	memmove(&l->item[i + 1], &l->item[i], (l->n - i) * sizeof(*l->item));
	l->item[i] = (struct bh_label){key_copy, copy};
	l->n++;
}

const char *bh_labels_get(const struct bh_labels *l, const char *key)
{
	bool found;
	size_t i = label_index(l, key, &found);
	return found ? l->item[i].value : NULL;
}

void bh_labels_remove(struct bh_labels *l, const char *key)
{
	bool found;
	size_t i = label_index(l, key, &found);
	if (!found)
		return;
	free(l->item[i].key);
	free(l->item[i].value);
	l->n--;
	memmove(&l->item[i], &l->item[i + 1], (l->n - i) * sizeof(*l->item));
}

void bh_labels_copy(struct bh_labels *to, const struct bh_labels *from)
{
	struct bh_labels l = {0};
	if (from->n)
		l.item = bh_xcalloc(from->n, sizeof(*l.item));
	l.cap = from->n;
	for (; l.n < from->n; l.n++)
		l.item[l.n] = (struct bh_label){
			bh_xstrdup(from->item[l.n].key), bh_xstrdup(from->item[l.n].value)};
	*to = l;
}

bool bh_labels_equal(const struct bh_labels *a, const struct bh_labels *b)
{
	if (a->n != b->n)
		return false;
	for (size_t i = 0; i < a->n; i++)
		if (strcmp(a->item[i].key, b->item[i].key) != 0 ||
			strcmp(a->item[i].value, b->item[i].value) != 0)
			return false;
	return true;
}

uint64_t bh_labels_hash(const struct bh_labels *l, uint64_t seed)
{
	for (size_t i = 0; i < l->n; i++)
		seed = bh_hash_str(l->item[i].value, bh_hash_str(l->item[i].key, seed));
	return seed;
}

void bh_labels_finish(struct bh_labels *l)
{
	for (size_t i = 0; i < l->n; i++) {
		free(l->item[i].key);
		free(l->item[i].value);
	}
	free(l->item);
	*l = (struct bh_labels){0};
}

/* Locale must not matter, hence no <ctype.h>. */
static bool is_lower(char c)
{
	return c >= 'a' && c <= 'z';
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool is_alnum(char c)
{
	return is_lower(c) || is_digit(c) || (c >= 'A' && c <= 'Z');
}

/* A "qualified name" part: [A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])? */
static bool is_name(const char *s, size_t n)
{
	if (n == 0 || !is_alnum(s[0]) || !is_alnum(s[n - 1]))
		return false;
	for (size_t i = 0; i < n; i++)
		if (!is_alnum(s[i]) && s[i] != '-' && s[i] != '_' && s[i] != '.')
			return false;
	return true;
}

/* RFC 1123 subdomain, lower case, as Kubernetes wants it: labels of [a-z0-9-] joined by dots. */
static bool is_subdomain(const char *s, size_t n)
{
	char before = '.';
	for (size_t i = 0; i <= n; i++) {
		char c = i < n ? s[i] : '.';
		bool edge = c == '.' || c == '-';
		if (!edge && !is_lower(c) && !is_digit(c))
			return false;
		if ((c == '.' && (before == '.' || before == '-')) || (c == '-' && before == '.'))
			return false;
		before = c;
	}
	return true;
}

const char *bh_label_key_check(const char *key)
{
	const char *slash = strchr(key, '/');
	const char *name = slash ? slash + 1 : key;
	size_t n = strlen(name);

	if (slash && slash == key)
		return "the prefix before the slash must not be empty";
	if (slash && slash - key > 253)
		return "the prefix before the slash must have at most 253 characters";
	if (slash && !is_subdomain(key, (size_t)(slash - key)))
		return "the prefix before the slash must be a DNS subdomain in lower case";
	if (n == 0)
		return "a label's name must not be empty";
	if (strchr(name, '/'))
		return "a label's key has at most one slash";
	if (n > 63)
		return "a label's name must have at most 63 characters";
	if (!is_name(name, n))
		return "a label's name consists of letters, digits, '-', '_' and '.', and starts "
		       "and "
		       "ends with a letter or digit";
	return NULL;
}

const char *bh_label_value_check(const char *value)
{
	size_t n = strlen(value);
	if (n == 0)
		return NULL;
	if (n > 63)
		return "a label's value must have at most 63 characters";
	if (!is_name(value, n))
		return "a label's value consists of letters, digits, '-', '_' and '.', and starts "
		       "and "
		       "ends with a letter or digit";
	return NULL;
}

char *bh_label_value_of(const char *text)
{
	const size_t most = 63 - strlen("-00000000");
	uint64_t hash = bh_hash_str(text, BH_HASH_SEED);
	char bh_autofree *kept = bh_xstrdup(text);
	size_t n = 0;

	if (*text && !bh_label_value_check(text))
		return BH_TAKE_PTR(kept);
	for (const char *s = text; *s && n < most; s++)
		if (is_name(s, 1) || (n > 0 && strchr("-_.", *s)))
			kept[n++] = *s;
	kept[n] = '\0';
	return bh_xasprintf("%s%s%08x", kept, n ? "-" : "", (unsigned)(hash ^ hash >> 32));
}
