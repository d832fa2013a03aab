/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Small things every module needs: cleanup attributes, growing arrays, a string builder and a
 * hash. Nothing here touches the world. Implemented in rules/base/util.c.
 *
 * Allocation failure: bh_x*() abort. A daemon that keeps its rules in the kernel fails static, so
 * dying on exhausted memory is safer than carrying half-built state through every error path;
 * everything whose size a peer decides is bounded before it is allocated.
 */
#pragma once

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BH_PRINTF(fmt, first) __attribute__((format(printf, fmt, first)))
#define BH_UNUSED __attribute__((unused))
#define BH_ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

static inline void bh_free_p(void *p)
{
	free(*(void **)p);
}

static inline void bh_close_p(int *fd)
{
	if (*fd >= 0)
		close(*fd);
}

static inline void bh_fclose_p(FILE **f)
{
	if (*f)
		fclose(*f);
}

/* Cleanup attributes: release at end of scope. Hand over with BH_TAKE_PTR / BH_TAKE_FD. */
#define bh_autofree __attribute__((cleanup(bh_free_p)))
#define bh_autoclose __attribute__((cleanup(bh_close_p)))
#define bh_autofclose __attribute__((cleanup(bh_fclose_p)))

#define BH_TAKE_PTR(p)                                                                             \
	({                                                                                         \
		__typeof__(p) taken_ = (p);                                                        \
		(p) = NULL;                                                                        \
		taken_;                                                                            \
	})
#define BH_TAKE_FD(fd)                                                                             \
	({                                                                                         \
		int taken_ = (fd);                                                                 \
		(fd) = -1;                                                                         \
		taken_;                                                                            \
	})

/* Never return NULL; abort on exhausted memory (see above). Returned memory is owned. */
void *bh_xcalloc(size_t n, size_t size);
void *bh_xrealloc(void *p, size_t n, size_t size);
char *bh_xstrdup(const char *s); /* NULL gives NULL */
char *bh_xstrndup(const char *s, size_t n);
void *bh_xmemdup(const void *p, size_t n);
char *bh_xasprintf(const char *fmt, ...) BH_PRINTF(1, 2);

/*
 * Room for one more element in array `a` of `n` used and `cap` allocated elements (both size_t
 * lvalues): BH_GROW(v->item, v->n, v->cap); v->item[v->n++] = x;
 */
#define BH_GROW(a, n, cap)                                                                         \
	do {                                                                                       \
		if ((n) == (cap)) {                                                                \
			(cap) = (cap) ? (cap)*2 : 4;                                               \
			(a) = bh_xrealloc((a), (cap), sizeof(*(a)));                               \
		}                                                                                  \
	} while (0)

/* String builder; zero-initialised is empty. `s` is NUL-terminated once anything was added. */
struct bh_buf {
	char *s;
	size_t len;
	size_t cap;
};

void bh_buf_add(struct bh_buf *b, const void *p, size_t n);
void bh_buf_str(struct bh_buf *b, const char *s);
void bh_buf_printf(struct bh_buf *b, const char *fmt, ...) BH_PRINTF(2, 3);
char *bh_buf_take(struct bh_buf *b); /* returns owned, never NULL; empties b */
void bh_buf_finish(struct bh_buf *b);
#define bh_autobuf __attribute__((cleanup(bh_buf_finish)))

/* FNV-1a 64 bit, chained through `seed` (start with BH_HASH_SEED). Not for untrusted tables that
 * need collision resistance; those bound their chains. */
#define BH_HASH_SEED 0xcbf29ce484222325ULL
uint64_t bh_hash(const void *p, size_t n, uint64_t seed);
uint64_t bh_hash_str(const char *s, uint64_t seed); /* includes the terminating NUL */

/* What ends the noun behind a number: "1 edge", "2 edges". */
static inline const char *bh_plural(uint64_t n)
{
	return n == 1 ? "" : "s";
}
static inline bool bh_streq(const char *a, const char *b)
{
	return a == b || (a && b && strcmp(a, b) == 0);
}

/* Case-sensitive comparison where NULL sorts first. */
int bh_strcmp0(const char *a, const char *b);

/* Decimal u64 with no sign, space or leading zero; 0 or -EINVAL / -ERANGE (above max). */
int bh_parse_u64(const char *s, uint64_t max, uint64_t *ret);

/* Levenshtein's distance of a[0..n) and b[0..m) without regard to case. UINT32_MAX if one is longer
 * than BH_DISTANCE_MAX: its cost is n × m. */
#define BH_DISTANCE_MAX 128
unsigned bh_text_distance(const char *a, size_t n, const char *b, size_t m);
