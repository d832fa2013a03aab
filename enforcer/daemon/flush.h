/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* Removes tables inet and bridge bulkhead, and the programs of the fast path, from this network
 * namespace; established connections go on. 0, or −errno, which it has told on standard error. */
int bh_flush(void);
