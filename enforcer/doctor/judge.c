/* SPDX-License-Identifier: GPL-3.0-or-later */
/* From figures to findings. Pure. */
#include "private.h"

#define MIB (1ull << 20)
#define AHEAD_S 60 /* clocks of file systems and of the node may differ a little */

enum bh_health bh_doctor_fill(uint64_t entries, uint64_t max)
{
	if (max == 0)
		return BH_HEALTH_OK; /* the kernel does not say */
	return entries >= max              ? BH_HEALTH_FAIL
	       : entries >= max - max / 10 ? BH_HEALTH_WARN
					   : BH_HEALTH_OK;
}

enum bh_health bh_doctor_room(uint64_t available, uint64_t size)
{
	if (size == 0)
		return BH_HEALTH_OK; /* a file system that does not say */
	if (available < MIB)
		return BH_HEALTH_FAIL;
	return available < 64 * MIB || available < size / 50 ? BH_HEALTH_WARN : BH_HEALTH_OK;
}

enum bh_health bh_doctor_time(int64_t now, int64_t newest, bool synchronised)
{
	if (newest > now + AHEAD_S)
		return BH_HEALTH_FAIL;
	return synchronised ? BH_HEALTH_OK : BH_HEALTH_WARN;
}
