/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What happens when the log can't be written. */
#pragma once

#include <jansson.h>
#include <stdint.h>

struct bh_core;

struct bh_stop {
	int64_t failing_since; /* the loop's time, ms; 0: it can */
	uint64_t refused, written; /* by the log, seen already */
	int64_t since; /* µs since the epoch: nothing new passes; 0: it does */
	uint64_t counted; /* of the kernel's counter and the queues', told already */
	uint64_t times, packets; /* since the start */
};

void bh_core_log_failure_tick(struct bh_core *c);
json_t *bh_core_stop_json(const struct bh_core *c, json_t *problems);
