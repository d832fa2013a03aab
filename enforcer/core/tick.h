/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Once a second. */
#pragma once

#include <uv.h>

void bh_core_tick_cb(uv_timer_t *t);
