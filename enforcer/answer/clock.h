/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Points in time: µs since the epoch. */
#pragma once

#include <jansson.h>
#include <stdint.h>

int64_t bh_clock_now(void);
/* RFC 3339 UTC with µs; "" for 0 */
void bh_clock_text(int64_t us, char buf[static 32]);
json_t *bh_clock_json(int64_t us); /* string or null */
