/* SPDX-License-Identifier: GPL-3.0-or-later */
/* From what is wanted to what the kernel holds. */
#pragma once

struct bh_core;

void bh_core_schedule(struct bh_core *c); /* what is wanted is another: within milliseconds */
int bh_core_reconcile(struct bh_core *c); /* at once; 0 or −errno with commit_error set */
/* Who holds too much of conntrack, as crowding.h says now: at once. Nothing if it is so already. */
void bh_core_crowding_commit(struct bh_core *c);
int bh_core_rebuild(struct bh_core *c); /* puts the installed ruleset back */
