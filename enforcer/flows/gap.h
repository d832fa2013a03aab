/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What is on no record, as a record. */
#pragma once

#include <stdint.h>

struct bh_core;

/* A gap record. count −1: nobody knows how many; since 0: nor since when. */
void bh_core_gap(
	struct bh_core *c, const char *class, int64_t count, int64_t since, const char *message);
