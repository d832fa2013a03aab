/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Points in time: µs since the epoch; and how much of it passes, which is another clock. */
#pragma once

#include <jansson.h>
#include <stdint.h>

int64_t bh_clock_now(void);
/* µs since the machine booted, also while it slept. Nobody can set it: whatever lasts for a while,
 * or is older than something, goes by this one. Never 0. */
int64_t bh_clock_steady(void);
/* RFC 3339 UTC with µs; "" for 0 */
void bh_clock_text(int64_t us, char buf[static 32]);
json_t *bh_clock_json(int64_t us); /* string or null */
