/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Connections that the fast path opens by itself (fastpath/fastpath.h: permits). */
#pragma once

struct bh_core;
struct bh_event;

/* Rules or the cache let a flow pass lately, by the state in force: further ones may not have to
 * ask. */
void bh_core_fast_permit(struct bh_core *c, const struct bh_event *e);
void bh_core_fast_permits_read(struct bh_core *c); /* once a second: counts → records */
/* Before anything changes of what is allowed: all connections meet the rules, until the gate is
 * held open again, once the change is made and then once a second. */
void bh_core_fast_gate_shut(struct bh_core *c);
void bh_core_fast_gate_hold(struct bh_core *c);
