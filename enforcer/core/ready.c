/* SPDX-License-Identifier: GPL-3.0-or-later */
/* See ready.h. */
#include "core/ready.h"

#include "answer/clock.h"
#include "core/notify.h"
#include "core/state.h"

#define PATIENCE_US 15000000

void bh_core_ready(struct bh_core *c)
{
	c->told = true;
	bh_notify("READY=1\nSTATUS=rules are in force");
}

/* A source that stays away must not keep the machine from booting: say that we are up, and why
 * nothing new is enforced yet. */
void bh_core_ready_tick(struct bh_core *c)
{
	if (c->told || bh_clock_steady() - c->pulse.started < PATIENCE_US)
		return;
	c->told = true;
	bh_notify("READY=1\nSTATUS=waiting for a source of workloads; the rules of the run before "
		  "stay");
}
