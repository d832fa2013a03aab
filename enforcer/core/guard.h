/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What enforcement rests on besides our own rules. */
#pragma once

#include <uv.h>

struct bh_core;

void bh_core_bridge_nf(struct bh_core *c);
void bh_core_bridges(
	struct bh_core *c); /* those that workloads hang on: no_linklocal_learn, and who is where */
void bh_core_nft_cb(uv_poll_t *p, int status, int events);
