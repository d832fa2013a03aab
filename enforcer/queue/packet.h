/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The parser as the queue uses it: inside this module only. */
#pragma once

#include "queue/queue.h"

/* bh_packet_parse for a copy of the first `len` of `real` bytes; real = 0: not known. Then a packet
 * that claims more than `real` is TRUNCATED, and a length field of 0 is believed above 64 KiB. */
void bh_packet_parse_copy(const uint8_t *data, size_t len, size_t real, struct bh_packet *ret);
