/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Inside this module only. */
#pragma once

#include <stdint.h>

/* Opens the network namespace at path. 0; −ENOENT when there is none; −errno. The caller owns fd.
 */
int bh_netns_open(const char *path, int *ret_fd, uint64_t *ret_inode);
