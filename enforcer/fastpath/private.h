/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Between the files of this module. */
#pragma once

#include "fastpath/fastpath.h"

#include <linux/bpf.h>

struct bh_fast {
	int fd[BH_FAST_FDS];
	struct bh_fast_homes homes; /* what the maps hold, no others */
	bool torn; /* some of them may be missing */
	struct bh_fast_settings settings;
	struct bh_fast_gate *gate; /* a page that the kernel has, too */
	uint64_t epoch; /* of the permits that are given now, from 1 */
};

/* fastpath.c: of bpf(2), about one element. 0 or −errno. */
int bh_fast_map_call(
	enum bpf_cmd what, int fd, const void *key, void *value); /* value may be NULL */

/* permits.c */
int bh_fast_gate_open(struct bh_fast *f); /* maps it; shut. 0 or −errno */
void bh_fast_gate_finish(struct bh_fast *f);

/* start.c: runs bulkhead-fastpath, and takes its descriptors. As bh_fast_open. */
int bh_fast_load(int fd[static BH_FAST_FDS], char **ret_why);
/* start.c: for how many CPUs the kernel keeps counts (/sys/devices/system/cpu/possible); 0: not
 * known. */
long bh_fast_possible_cpus(void);
