/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Cutting established connections that the state in force denies. */
#pragma once

#include <uv.h>

struct bh_core;

void bh_core_revoke(struct bh_core *c); /* from the loop at once, and again after 100 ms */
int bh_core_revoke_now(struct bh_core *c); /* before it returns: how many, or −errno */
