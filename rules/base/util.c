/* SPDX-License-Identifier: GPL-3.0-or-later */
/* See bulkhead/util.h. */
#include <bulkhead/util.h>

#include <errno.h>

static void *checked(void *p)
{
	if (!p) {
		static const char text[] = "bulkhead: out of memory\n";
		ssize_t ignored = write(STDERR_FILENO, text, sizeof(text) - 1);
		(void)ignored;
		abort();
	}
	return p;
}

void *bh_xcalloc(size_t n, size_t size)
{
	return checked(calloc(n ? n : 1, size ? size : 1));
}

void *bh_xrealloc(void *p, size_t n, size_t size)
{
	size_t bytes;
	if (__builtin_mul_overflow(n, size, &bytes))
		return checked(NULL);
	return checked(realloc(p, bytes ? bytes : 1));
}

char *bh_xstrdup(const char *s)
{
	return s ? checked(strdup(s)) : NULL;
}

char *bh_xstrndup(const char *s, size_t n)
{
	return checked(strndup(s, n));
}

void *bh_xmemdup(const void *p, size_t n)
{
	void *copy = checked(malloc(n ? n : 1));
	if (n)
		memcpy(copy, p, n);
	return copy;
}

char *bh_xasprintf(const char *fmt, ...)
{
	va_list ap;
	char *s = NULL;
	va_start(ap, fmt);
	int n = vasprintf(&s, fmt, ap);
	va_end(ap);
	return checked(n < 0 ? NULL : s);
}

static void buf_reserve(struct bh_buf *b, size_t n)
{
	size_t need;
	if (__builtin_add_overflow(b->len, n, &need) || __builtin_add_overflow(need, 1, &need))
		checked(NULL);
	if (need <= b->cap)
		return;
	size_t cap = b->cap ? b->cap : 64;
	while (cap < need)
		cap *= 2;
	b->s = bh_xrealloc(b->s, cap, 1);
	b->cap = cap;
}

void bh_buf_add(struct bh_buf *b, const void *p, size_t n)
{
	buf_reserve(b, n);
	if (n)
		memcpy(b->s + b->len, p, n);
	b->len += n;
	b->s[b->len] = '\0';
}

void bh_buf_str(struct bh_buf *b, const char *s)
{
	bh_buf_add(b, s, strlen(s));
}

void bh_buf_printf(struct bh_buf *b, const char *fmt, ...)
{
	va_list ap, again;
	va_start(ap, fmt);
	va_copy(again, ap);
	int n = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	if (n < 0)
		checked(NULL);
	buf_reserve(b, (size_t)n);
	vsnprintf(b->s + b->len, (size_t)n + 1, fmt, again);
	va_end(again);
	b->len += (size_t)n;
}

char *bh_buf_take(struct bh_buf *b)
{
	char *s = b->s ? b->s : bh_xstrdup("");
	*b = (struct bh_buf){0};
	return s;
}

void bh_buf_finish(struct bh_buf *b)
{
	free(b->s);
	*b = (struct bh_buf){0};
}

uint64_t bh_hash(const void *p, size_t n, uint64_t seed)
{
	const uint8_t *c = p;
	for (size_t i = 0; i < n; i++)
		seed = (seed ^ c[i]) * 0x100000001b3ULL;
	return seed;
}

uint64_t bh_hash_str(const char *s, uint64_t seed)
{
	return bh_hash(s, strlen(s) + 1, seed);
}

int bh_strcmp0(const char *a, const char *b)
{
	if (!a || !b)
		return (a != NULL) - (b != NULL);
	return strcmp(a, b);
}

int bh_parse_u64(const char *s, uint64_t max, uint64_t *ret)
{
	uint64_t v = 0;
	if (!*s || (s[0] == '0' && s[1]))
		return -EINVAL;
	for (; *s; s++) {
		if (*s < '0' || *s > '9')
			return -EINVAL;
		if (__builtin_mul_overflow(v, 10, &v) ||
			__builtin_add_overflow(v, (uint64_t)(*s - '0'), &v))
			return -ERANGE;
	}
	if (v > max)
		return -ERANGE;
	*ret = v;
	return 0;
}
