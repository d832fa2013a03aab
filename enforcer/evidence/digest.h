/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Hashes of short things, many a second, and their text. */
#pragma once

#include <bulkhead/util.h>

enum bh_digest { BH_SHA256, BH_SHA1 };
#define BH_DIGEST_MAX 32 /* bytes */

struct bh_bytes {
	const void *p;
	size_t len;
};

/* Over the n parts, one after the other; 32 or 20 bytes. */
void bh_digest(enum bh_digest d, const struct bh_bytes *part, size_t n, uint8_t *ret);
