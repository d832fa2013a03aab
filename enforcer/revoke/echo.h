/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Ways back of flows that were cut. */
#pragma once

#include <bulkhead/flow.h>

struct bh_core;

void bh_core_echo_cut(struct bh_core *c, const struct bh_flow *cut);
bool bh_core_echo_may_be(const struct bh_flow *f); /* by the flow alone; of any thread */
bool bh_core_echo_is(const struct bh_core *c, const struct bh_flow *f);
void bh_core_echo_send(struct bh_core *c); /* those that the kernel does not know yet */
void bh_core_echo_refresh(struct bh_core *c); /* the sets were emptied, or the state is another */
