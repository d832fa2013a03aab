/* SPDX-License-Identifier: GPL-3.0-or-later */
/* See digest.h. */
#include "answer/digest.h"

#include <nettle/sha2.h>
#include <stdio.h>

void bh_digest_hex(const uint8_t sha[static 32], char ret[static 65])
{
	for (int i = 0; i < 32; i++)
		snprintf(ret + 2 * i, 3, "%02x", sha[i]);
}

void bh_digest_sha256(const void *data, size_t len, char ret[static 65])
{
	uint8_t sum[SHA256_DIGEST_SIZE];
	struct sha256_ctx c;
	sha256_init(&c);
	sha256_update(&c, len, data); /* NULL with 0 is fine */
	sha256_digest(&c, sizeof(sum), sum);
	for (int i = 0; i < 32; i++)
		snprintf(ret + 2 * i, 3, "%02x", sum[i]);
}
