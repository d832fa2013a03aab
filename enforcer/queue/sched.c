/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * How a queue's thread is scheduled. A packet waits for its verdict while records, which nothing
 * waits for, are made on another thread; with the default turns of a few milliseconds the verdict
 * may have to wait for the end of one. Shorter turns come sooner and take no more time in all, so a
 * flood starves nobody, as real-time priorities would.
 */
#include <linux/sched.h>
#include <linux/sched/types.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#include "queue/private.h"

#define TURN_NS 100000 /* the shortest there is */

void bh_queue_short_turns(void)
{
	struct sched_attr a = {
		.size = sizeof(a),
		.sched_policy = SCHED_NORMAL,
		.sched_nice = getpriority(PRIO_PROCESS, 0), /* of this thread; is set as well */
		.sched_runtime = TURN_NS,
	};

	syscall(SYS_sched_setattr, 0, &a, 0);
}
