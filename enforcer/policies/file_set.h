/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The policies' files: those of the directory, or of a version. */
#pragma once

#include <bulkhead/policy.h>

/* Policy files (*.yaml, *.yml, *.json, no leading dot) of a directory, sorted by name. */
struct bh_file_set {
	struct bh_policy_source *src; /* file is the full path; both owned */
	size_t n, cap;
};
/* 0, or −errno with *ret_path (owned) naming what could not be read. A missing directory is
 * −ENOENT. */
int bh_file_set_read(const char *dir, struct bh_file_set *ret, char **ret_path);
void bh_file_set_finish(struct bh_file_set *s);
struct bh_policy_source *bh_file_set_find(const struct bh_file_set *s, const char *path);
/* The same names with the same texts? */
bool bh_file_sets_equal(const struct bh_file_set *a, const struct bh_file_set *b);
