/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The lines of a log's file, one after the other, however it was mangled. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct bh_lines {
	int fd;
	char *buf; /* owned */
	size_t at, have;
	bool end;
};
/* 0 or −errno, with the reason (owned) in *ret_what. */
int bh_lines_open(const char *path, struct bh_lines *ret, char **ret_what);
void bh_lines_close(struct bh_lines *r);
/* 1 with a line (no newline in *ret_len); 0 at the end, *ret_len: bytes of half a line; −errno. A
 * line that is too long comes in pieces: no leaf is like that. */
int bh_lines_next(struct bh_lines *r, const char **ret, size_t *ret_len);
