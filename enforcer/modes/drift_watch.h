/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the rule that quarantines by itself remembers. All of it bounded; nothing is kept on disk.
 */
#pragma once

#include <bulkhead/addr.h>

struct bh_core;
struct bh_event;

#define BH_DRIFT_SOURCES 256
#define BH_DRIFT_PEERS 64 /* of each; as many as can be asked for */
#define BH_DRIFT_DUE 16
#define BH_DRIFT_PER_HOUR 4

struct bh_drift_source {
	char *id; /* of the workload */
	struct bh_addr peer[BH_DRIFT_PEERS]; /* that denied it, the newest last */
	int64_t at[BH_DRIFT_PEERS]; /* µs since the boot */
	size_t n;
	int64_t last;
};
struct bh_drift_due {
	char *id, *why;
};
struct bh_drift_done {
	char *id;
	int64_t at; /* µs since the boot */
};
struct bh_drift_watch {
	struct bh_drift_source source[BH_DRIFT_SOURCES];
	size_t n;
	struct bh_drift_due due[BH_DRIFT_DUE];
	size_t n_due;
	struct bh_drift_done done[BH_DRIFT_PER_HOUR];
	size_t n_done;
};

void bh_core_drift_event(struct bh_core *c, const struct bh_event *e);
void bh_core_drift_tick(struct bh_core *c);
void bh_core_drift_finish(struct bh_core *c);
