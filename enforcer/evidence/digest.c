/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "evidence/digest.h"

#include <nettle/sha1.h>
#include <nettle/sha2.h>

static void sha256(const struct bh_bytes *part, size_t n, uint8_t *ret)
{
	struct sha256_ctx c;
	sha256_init(&c);
	for (size_t i = 0; i < n; i++)
		sha256_update(&c, part[i].len, part[i].p);
	sha256_digest(&c, SHA256_DIGEST_SIZE, ret);
}

static void sha1(const struct bh_bytes *part, size_t n, uint8_t *ret)
{
	struct sha1_ctx c;
	sha1_init(&c);
	for (size_t i = 0; i < n; i++)
		sha1_update(&c, part[i].len, part[i].p);
	sha1_digest(&c, SHA1_DIGEST_SIZE, ret);
}

void bh_digest(enum bh_digest d, const struct bh_bytes *part, size_t n, uint8_t *ret)
{
	if (d == BH_SHA256)
		sha256(part, n, ret);
	else
		sha1(part, n, ret);
}
