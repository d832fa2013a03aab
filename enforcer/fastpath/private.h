/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Between the files of this module. */
#pragma once

#include "fastpath/fastpath.h"

/* start.c: runs bulkhead-fastpath, and takes its descriptors. As bh_fast_open. */
int bh_fast_load(int fd[static BH_FAST_FDS], char **ret_why);
/* start.c: for how many CPUs the kernel keeps counts (/sys/devices/system/cpu/possible); 0: not
 * known. */
long bh_fast_possible_cpus(void);
