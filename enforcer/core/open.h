/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the core opens at the start: the kernel, the store, the audit log, and what they keep. */
#pragma once

struct bh_core;

/* Each 0, or −errno with *why (owned, for people). In this order; nothing in the kernel changes. */
void bh_core_identify(struct bh_core *c); /* the node's names, the time of the start */
int bh_core_take_state(struct bh_core *c, char **why);
int bh_core_open_kernel(struct bh_core *c, char **why);
int bh_core_open_records(struct bh_core *c, char **why);
