/* SPDX-License-Identifier: GPL-3.0-or-later */
/* See bulkhead/image.h. */
#include <bulkhead/image.h>

#include <errno.h>

#define NAME_MAX_BYTES 255 /* registry and repository, as distribution/reference has it */
#define TAG_MAX 128
#define HEX_LEN 64 /* of SHA-256 */
#define DIGEST_HEX_MIN 32

static const char library[] = "library/";

static bool is_lower(char c)
{
	return c >= 'a' && c <= 'z';
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool is_letter(char c)
{
	return is_lower(c) || (c >= 'A' && c <= 'Z');
}

static bool is_hex(const char *s, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (!is_digit(s[i]) && !(s[i] >= 'a' && s[i] <= 'f'))
			return false;
	return true;
}

/* --- the parts --- */

static bool good_port(const char *s, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (!is_digit(s[i]))
			return false;
	return n > 0 && n <= 5;
}

/* [2001:db8::1] and perhaps a port. */
static bool good_bracketed(const char *s, size_t n)
{
	const char *end = memchr(s, ']', n);
	size_t inside = end ? (size_t)(end - s) : 0;
	for (size_t i = 1; i < inside; i++)
		if (!is_digit(s[i]) && !strchr("abcdefABCDEF:", s[i]))
			return false;
	if (inside < 3 || !memchr(s, ':', inside))
		return false;
	const char *rest = end + 1;
	size_t n_rest = n - inside - 1;
	return n_rest == 0 || (rest[0] == ':' && good_port(rest + 1, n_rest - 1));
}

/* Parts of letters, digits and inner '-', with dots between. */
static bool good_host(const char *s, size_t n)
{
	char before = '.';
	for (size_t i = 0; i < n; i++) {
		bool alnum = is_letter(s[i]) || is_digit(s[i]);
		if (!alnum && !(s[i] == '-' && before != '.') &&
			!(s[i] == '.' && before != '.' && before != '-'))
			return false;
		before = s[i];
	}
	return n > 0 && before != '.' && before != '-';
}

static bool good_registry(const char *s, size_t n)
{
	const char *colon = memchr(s, ':', n);
	if (s[0] == '[')
		return good_bracketed(s, n);
	if (!colon)
		return good_host(s, n);
	size_t host = (size_t)(colon - s);
	return good_host(s, host) && good_port(colon + 1, n - host - 1);
}

/* Between two runs of letters and digits: a dot, one or two underscores, any number of dashes. */
static bool good_separator(const char *s, size_t n)
{
	if (s[0] == '.')
		return n == 1;
	if (s[0] == '_')
		return n == 1 || (n == 2 && s[1] == '_');
	for (size_t i = 0; i < n; i++)
		if (s[i] != '-')
			return false;
	return true;
}

static bool good_component(const char *s, size_t n)
{
	size_t i = 0;
	while (i < n) {
		size_t run = i;
		while (i < n && (is_lower(s[i]) || is_digit(s[i])))
			i++;
		if (i == run)
			return false;
		if (i == n)
			return true;
		size_t separator = i;
		while (i < n && !is_lower(s[i]) && !is_digit(s[i]))
			i++;
		if (!good_separator(s + separator, i - separator))
			return false;
	}
	return false;
}

static bool good_repository(const char *s, size_t n)
{
	for (size_t i = 0;;) {
		const char *slash = memchr(s + i, '/', n - i);
		size_t len = slash ? (size_t)(slash - s) - i : n - i;
		if (!good_component(s + i, len))
			return false;
		if (!slash)
			return true;
		i += len + 1;
	}
}

static bool good_tag(const char *s, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		bool word = is_letter(s[i]) || is_digit(s[i]) || s[i] == '_';
		if (!word && (i == 0 || (s[i] != '.' && s[i] != '-')))
			return false;
	}
	return n > 0 && n <= TAG_MAX;
}

/* ALGORITHM:HEX */
static bool good_digest(const char *s, size_t n)
{
	const char *colon = memchr(s, ':', n);
	size_t algorithm = colon ? (size_t)(colon - s) : 0;
	for (size_t i = 0; i < algorithm; i++)
		if (!is_letter(s[i]) && !(i > 0 && (is_digit(s[i]) || strchr("+._-", s[i]))))
			return false;
	if (algorithm == 0)
		return false;
	size_t hex = n - algorithm - 1;
	if (algorithm == 6 && memcmp(s, "sha256", 6) == 0 && hex != HEX_LEN)
		return false;
	return hex >= DIGEST_HEX_MIN && is_hex(colon + 1, hex);
}

/* --- the whole --- */

/* What is left of the text; parts are taken off its ends. */
struct rest {
	const char *s;
	size_t n;
};

static bool take_digest(struct rest *r, struct bh_image *to)
{
	const char *at = memchr(r->s, '@', r->n);
	if (!at)
		return true;
	size_t before = (size_t)(at - r->s), n = r->n - before - 1;
	if (!good_digest(at + 1, n))
		return false;
	to->digest = bh_xstrndup(at + 1, n);
	r->n = before;
	return true;
}

static bool take_tag(struct rest *r, struct bh_image *to)
{
	const char *slash = memrchr(r->s, '/', r->n);
	const char *from = slash ? slash + 1 : r->s;
	const char *colon = memchr(from, ':', r->n - (size_t)(from - r->s));
	if (!colon)
		return true;
	size_t before = (size_t)(colon - r->s), n = r->n - before - 1;
	if (!good_tag(colon + 1, n))
		return false;
	to->tag = bh_xstrndup(colon + 1, n);
	r->n = before;
	return true;
}

/* The first of several parts is a registry's name if it could be nothing else. */
static bool is_registry(const char *s, size_t n)
{
	if (n == 9 && memcmp(s, "localhost", 9) == 0)
		return true;
	for (size_t i = 0; i < n; i++)
		if (s[i] == '.' || s[i] == ':' || (s[i] >= 'A' && s[i] <= 'Z'))
			return true;
	return false;
}

static char *lower(const char *s, size_t n)
{
	char *copy = bh_xstrndup(s, n);
	for (char *c = copy; *c; c++)
		if (*c >= 'A' && *c <= 'Z')
			*c = (char)(*c - 'A' + 'a');
	return copy;
}

static bool take_registry(struct rest *r, struct bh_image *to)
{
	const char *slash = memchr(r->s, '/', r->n);
	size_t n = slash ? (size_t)(slash - r->s) : 0;
	to->implied = !slash || !is_registry(r->s, n);
	if (to->implied) {
		to->registry = bh_xstrdup("docker.io");
		return true;
	}
	if (!good_registry(r->s, n))
		return false;
	to->registry = lower(r->s, n);
	if (bh_streq(to->registry, "index.docker.io")) { /* its name of old */
		free(to->registry);
		to->registry = bh_xstrdup("docker.io");
	}
	r->s = slash + 1;
	r->n -= n + 1;
	return true;
}

static bool take_repository(struct rest *r, struct bh_image *to)
{
	if (!good_repository(r->s, r->n))
		return false;
	bool official = bh_streq(to->registry, "docker.io") && !memchr(r->s, '/', r->n);
	to->repository = bh_xasprintf("%s%.*s", official ? library : "", (int)r->n, r->s);
	return true;
}

static bool take_id(const struct rest *r, struct bh_image *to)
{
	const char *hex = r->n == HEX_LEN + 7 && memcmp(r->s, "sha256:", 7) == 0 ? r->s + 7 : r->s;
	size_t n = r->n - (size_t)(hex - r->s);
	if (n != HEX_LEN || !is_hex(hex, n))
		return false;
	to->id = bh_xasprintf("sha256:%.*s", HEX_LEN, hex);
	return true;
}

static bool take_all(struct rest *r, struct bh_image *to)
{
	if (take_id(r, to))
		return true;
	if (!take_digest(r, to) || !take_tag(r, to) || r->n > NAME_MAX_BYTES)
		return false;
	return take_registry(r, to) && take_repository(r, to);
}

static const char *without_scheme(const char *s)
{
	const char *colon = strstr(s, "://");
	for (const char *c = s; colon && c < colon; c++)
		if (!is_lower(*c) && *c != '-')
			return s;
	return colon && colon > s ? colon + 3 : s;
}

int bh_image_parse(const char *s, struct bh_image *ret)
{
	bh_autoimage struct bh_image i = {0};
	if (!s || strnlen(s, BH_IMAGE_MAX + 1) > BH_IMAGE_MAX)
		return -EINVAL;
	s = without_scheme(s);
	struct rest r = {s, strlen(s)};
	if (!take_all(&r, &i))
		return -EINVAL;
	*ret = i;
	i = (struct bh_image){0};
	return 0;
}

void bh_image_finish(struct bh_image *i)
{
	free(i->registry);
	free(i->repository);
	free(i->tag);
	free(i->digest);
	free(i->id);
	*i = (struct bh_image){0};
}

/* --- matching --- */

static bool is_local(const struct bh_image *want, const struct bh_image *have)
{
	const char *name = want->repository;
	if (!want->implied || !bh_streq(have->registry, "localhost"))
		return false;
	if (strncmp(name, library, sizeof(library) - 1) == 0 &&
		bh_streq(name + sizeof(library) - 1, have->repository))
		return true;
	return bh_streq(name, have->repository);
}

bool bh_image_matches(const struct bh_image *want, const struct bh_image *have)
{
	if (want->id)
		return bh_streq(want->id, have->id) || bh_streq(want->id, have->digest);
	if (have->id)
		return false;
	bool same = bh_streq(want->registry, have->registry) &&
		    bh_streq(want->repository, have->repository);
	if (!same && !is_local(want, have))
		return false;
	return (!want->tag || bh_streq(want->tag, have->tag)) &&
	       (!want->digest || bh_streq(want->digest, have->digest));
}
