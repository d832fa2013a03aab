/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Tells the service manager that we are up. */
#pragma once

struct bh_core;

void bh_core_ready(struct bh_core *c); /* after the first commit */
void bh_core_ready_tick(struct bh_core *c); /* or when that takes too long */
