/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Files of test data: conformance cases (scenarios with expectations) and plain texts. */
#pragma once

#include <bulkhead/scenario.h>

/* Reads and checks a scenario. 0; -EINVAL with diagnostics (policies that don't parse included); or
 * -errno if the file can't be read. ret is untouched on failure. */
int bh_case_load(const char *path, struct bh_diags *diags, struct bh_scenario **ret);

/* The whole file, NUL-terminated, owned; NULL and errno. At most 16 MiB. */
char *bh_case_read_file(const char *path, size_t *ret_len);
/* Paths DIR/NAME of the regular files whose name starts with `prefix` and ends in ".yaml",
 * sorted; NULL-terminated, owned (each string and the array); n may be NULL. */
char **bh_case_list(const char *dir, const char *prefix, size_t *ret_n);
void bh_case_list_free(char **list);
