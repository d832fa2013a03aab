/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Hashes of short things, many a second. libcrypto looks up an algorithm by its name for each
 * one-shot hash, which costs as much as the hash of a line, so algorithms are fetched once and
 * contexts kept, one of each for a thread.
 */
#pragma once

#include <bulkhead/util.h>

enum bh_digest { BH_SHA256, BH_SHA1 };
#define BH_DIGEST_MAX 32 /* bytes */

struct bh_bytes {
	const void *p;
	size_t len;
};

/* Over the n parts, one after the other; 32 or 20 bytes. false: libcrypto has no such algorithm
 * (SHA-1 may be switched off), or failed. */
bool bh_digest(enum bh_digest d, const struct bh_bytes *part, size_t n, uint8_t *ret);
