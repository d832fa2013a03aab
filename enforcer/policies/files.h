/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Files as the core needs them: read whole, bounded; written so that a crash leaves old or new. */
#pragma once

#include <bulkhead/policy.h>

#define BH_FILE_MAX (4u << 20)

/* The whole of a regular file, NUL-terminated beyond len. −EFBIG above max, −errno. Owned. */
int bh_file_read(const char *path, size_t max, char **ret, size_t *ret_len);
/* Temporary file beside it, fsync, rename, fsync of the directory. mode as for open(2). */
int bh_file_write_atomic(const char *path, const char *text, size_t len, unsigned mode);
/* mkdir -p with that mode for what is made. */
int bh_file_mkdirs(const char *path, unsigned mode);

/* Policy files (*.yaml, *.yml, *.json, no leading dot) of a directory, sorted by name. */
struct bh_file_set {
	struct bh_policy_source *src; /* file is the full path; both owned */
	size_t n, cap;
};
/* 0, or −errno with *ret_path (owned) naming what could not be read. A missing directory is
 * −ENOENT. */
int bh_file_set_read(const char *dir, struct bh_file_set *ret, char **ret_path);
void bh_file_set_finish(struct bh_file_set *s);
