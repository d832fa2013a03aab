/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Where the daemon's other parts are: beside it, as where it was built; else where they are
 * installed. */
#pragma once

#include <bulkhead/util.h>

/* The path of `name`; owned. */
static inline char *bh_beside(const char *name, const char *installed_dir)
{
	char self[4096];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
	self[n > 0 ? n : 0] = '\0';
	char *slash = strrchr(self, '/');
	if (slash)
		*slash = '\0';
	char bh_autofree *beside = bh_xasprintf("%s/%s", self, name);
	return slash && access(beside, R_OK) == 0 ? BH_TAKE_PTR(beside)
						  : bh_xasprintf("%s/%s", installed_dir, name);
}
