/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Files: read whole, bounded; written so that a crash leaves old or new. */
#pragma once

#include <stddef.h>

#define BH_FILE_MAX (4u << 20)

/* The whole of a regular file, NUL-terminated beyond len. −EFBIG above max, −errno. Owned. */
int bh_file_read(const char *path, size_t max, char **ret, size_t *ret_len);
/* Temporary file beside it, fsync, rename, fsync of the directory. mode as for open(2). */
int bh_file_write_atomic(const char *path, const char *text, size_t len, unsigned mode);
/* The first half of that alone, and the temporary file's name (owned). −errno: there is none. */
int bh_file_write_spare(const char *path, const char *text, size_t len, unsigned mode);
char *bh_file_spare(const char *path);
int bh_file_sync_directory(const char *path); /* in which it is */
/* mkdir -p with that mode for what is made. */
int bh_file_mkdirs(const char *path, unsigned mode);
