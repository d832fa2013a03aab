/* SPDX-License-Identifier: GPL-3.0-or-later */
/* UTF-8 as RFC 3629 has it: no overlong forms, no surrogates, nothing above U+10FFFF. Header only.
 */
#pragma once

#include <bulkhead/util.h>

/* Bytes of the character at s (n > 0 are there), its code point in *ret; 0 if it is not UTF-8. */
static inline size_t bh_utf8_decode(const char *s, size_t n, uint32_t *ret)
{
	const uint8_t *u = (const uint8_t *)s;
	static const uint32_t least[5] = {0, 0, 0x80, 0x800, 0x10000};
	size_t len = u[0] < 0x80                    ? 1
		     : u[0] >= 0xc2 && u[0] <= 0xdf ? 2
		     : (u[0] & 0xf0) == 0xe0        ? 3
		     : u[0] >= 0xf0 && u[0] <= 0xf4 ? 4
						    : 0;
	if (len == 0 || len > n)
		return 0;
	uint32_t c = len == 1 ? u[0] : u[0] & (0x7fu >> len);
	for (size_t i = 1; i < len; i++) {
		if ((u[i] & 0xc0) != 0x80)
			return 0;
		c = c << 6 | (u[i] & 0x3f);
	}
	if (c < least[len] || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff))
		return 0;
	*ret = c;
	return len;
}

/* Would printing it control a terminal or reorder the line (C0, C1, separators, bidi)? */
static inline bool bh_utf8_unsafe(uint32_t c)
{
	return c < 0x20 || (c >= 0x7f && c < 0xa0) || c == 0x2028 || c == 0x2029 ||
	       (c >= 0x202a && c <= 0x202e) || (c >= 0x2066 && c <= 0x2069) || c == 0x200e ||
	       c == 0x200f || c == 0x61c || c == 0xfeff;
}
