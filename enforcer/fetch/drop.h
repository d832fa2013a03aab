/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What bulkhead-fetch gives up. */
#pragma once

#define BH_FETCH_PRIVILEGED 3 /* exit code: it could not, and did nothing */

/*
 * Becomes nobody (if root), without capabilities, unable to gain privileges or to write a file, the
 * first to go when memory runs out, dead when its parent is; closes all descriptors but 0, 1, 2.
 * NULL, or what could not be done, with errno.
 */
const char *bh_fetch_drop(void);
