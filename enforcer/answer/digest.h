/* SPDX-License-Identifier: GPL-3.0-or-later */
/* SHA-256 as text. */
#pragma once

#include <stddef.h>
#include <stdint.h>

void bh_digest_hex(const uint8_t sha[static 32], char ret[static 65]);
void bh_digest_sha256(const void *data, size_t len, char ret[static 65]);
