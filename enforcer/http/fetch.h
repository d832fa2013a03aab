/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What the daemon and bulkhead-fetch say to each other over its stdin and stdout. A message is a
 * line of decimal numbers, then so many bytes of strings, each ended by a NUL, then (answers) the
 * body. Both come from the same build.
 *
 * A question's line has: bytes of strings, max_bytes, timeout_ms, connect_timeout_ms,
 * idle_timeout_s, follow. Its strings are "KEY=VALUE", the same key several times where that makes
 * sense.
 *
 * An answer's line has: err (0 or −errno), status, bytes of strings, bytes of body. A string that
 * is absent is absent.
 */
#pragma once

#include "http/http.h"

#define BH_FETCH_LINE 128 /* bytes; no number line is longer */
#define BH_FETCH_STRINGS ((size_t)4 << 20) /* bytes; a file of CAs is among them */
#define BH_FETCH_ANSWER ((size_t)1 << 20) /* the same of an answer */

/* The message of a question; owned. ca: the text of the file, NULL if there is none. */
char *bh_fetch_question(const struct bh_http_opts *o, const char *ca, size_t *ret_len);
/* The message of an answer but for its body. */
void bh_fetch_answer(const struct bh_http_result *r, struct bh_buf *out);
/* The value at KEY= in strings of n bytes that end with a NUL; *at (0 at first) is where to go on.
 * NULL: none. */
const char *bh_fetch_find(const char *strings, size_t n, const char *key, size_t *at);

/* For the tests: where the program is, instead of beside ourselves or where it is installed. */
extern const char *bh_fetch_program;
