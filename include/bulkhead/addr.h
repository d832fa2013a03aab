/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * IPv4 and IPv6 addresses, prefixes and address ranges. Implemented in rules/base/addr.c.
 * Addresses are in network byte order; unused bytes of an IPv4 address are zero, so that whole
 * structs may be compared and hashed.
 */
#pragma once

#include <bulkhead/util.h>

enum bh_family { BH_IPV4 = 4, BH_IPV6 = 6 };

struct bh_addr {
	uint8_t family; /* enum bh_family */
	uint8_t b[16]; /* network order; IPv4 in b[0..3] */
};

struct bh_prefix {
	struct bh_addr addr; /* host bits are zero */
	uint8_t len; /* 0..32 or 0..128 */
};

struct bh_range {
	struct bh_addr first, last; /* inclusive, same family */
};

#define BH_ADDR_STRLEN 46 /* INET6_ADDRSTRLEN */
#define BH_PREFIX_STRLEN 50 /* + "/128" */

/* Strict text forms: RFC 4291 / dotted quad without leading zeros; no zone, no spaces.
 * IPv4-mapped IPv6 (::ffff:a.b.c.d) is given back as IPv4. 0 or -EINVAL. */
int bh_addr_parse(const char *s, struct bh_addr *ret);
const char *bh_addr_format(const struct bh_addr *a, char buf[static BH_ADDR_STRLEN]);
int bh_addr_cmp(const struct bh_addr *a, const struct bh_addr *b); /* IPv4 before IPv6 */
static inline bool bh_addr_eq(const struct bh_addr *a, const struct bh_addr *b)
{
	return memcmp(a, b, sizeof(*a)) == 0;
}
static inline unsigned bh_addr_bits(const struct bh_addr *a)
{
	return a->family == BH_IPV4 ? 32 : 128;
}
static inline size_t bh_addr_size(const struct bh_addr *a)
{
	return a->family == BH_IPV4 ? 4 : 16;
}
struct bh_addr bh_addr_from_bytes(enum bh_family family, const void *bytes);
bool bh_addr_is_multicast(const struct bh_addr *a); /* 224/4, ff00::/8, 255.255.255.255 */
bool bh_addr_is_link_local(const struct bh_addr *a); /* 169.254/16, fe80::/10 */
bool bh_addr_is_loopback(const struct bh_addr *a);
/* a + 1 / a - 1; false (and untouched) on wrap-around. */
bool bh_addr_next(struct bh_addr *a);
bool bh_addr_prev(struct bh_addr *a);

/* "A/len". 0, -EINVAL (not a prefix), or 1 if host bits were set (ret then holds the network). */
int bh_prefix_parse(const char *s, struct bh_prefix *ret);
const char *bh_prefix_format(const struct bh_prefix *p, char buf[static BH_PREFIX_STRLEN]);
bool bh_prefix_contains(const struct bh_prefix *p, const struct bh_addr *a);
bool bh_prefix_covers(const struct bh_prefix *outer, const struct bh_prefix *inner); /* or equal */
struct bh_range bh_prefix_range(const struct bh_prefix *p);

/* A set of addresses as sorted, disjoint, non-adjacent ranges (IPv4 first). Zero-initialised is
 * empty. add may be called in any order; then normalise once. */
struct bh_ranges {
	struct bh_range *item;
	size_t n, cap;
};
void bh_ranges_add(struct bh_ranges *r, struct bh_range x);
void bh_ranges_normalise(struct bh_ranges *r); /* sort and merge */
void bh_ranges_subtract(struct bh_ranges *r, const struct bh_ranges *minus); /* both normalised */
bool bh_ranges_contain(const struct bh_ranges *r, const struct bh_addr *a); /* normalised */
void bh_ranges_finish(struct bh_ranges *r);
/* The fewest prefixes that cover exactly [x.first, x.last]; calls fn for each, ascending. */
void bh_range_prefixes(struct bh_range x, void (*fn)(const struct bh_prefix *, void *), void *arg);
