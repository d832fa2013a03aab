/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * An HTTP server on a unix socket that answers by script, well or badly, on the test's own loop:
 * plays the Docker engine and any other server.
 */
#pragma once

#include <bulkhead/util.h>
#include <uv.h>

enum fake_kind {
	FAKE_ANSWER, /* status, body with its length */
	FAKE_STREAM, /* status, then chunks as fake_push gives them */
	FAKE_SILENT, /* takes the request and says nothing */
	FAKE_CLOSE, /* closes without a word */
	FAKE_RAW, /* `body` is the whole answer, then closes */
	FAKE_HUGE, /* claims 1 GiB and sends until it is stopped */
	FAKE_HUGE_CHUNKED, /* the same without saying how much */
};

struct fake;
struct fake *fake_new(uv_loop_t *loop, const char *path); /* listens; replaces the socket file */
void fake_free(struct fake *f); /* memory goes when the loop has run */

/* What requests whose path starts with `prefix` get; the longest prefix counts. Without any: 404.
 */
void fake_route(
	struct fake *f, const char *prefix, enum fake_kind kind, int status, const char *body);
void fake_headers(struct fake *f, const char *prefix, const char *lines); /* "A: b\r\n…" */
void fake_delay(struct fake *f, const char *prefix, unsigned ms);
void fake_push(struct fake *f, const char *text); /* one chunk to every open stream */
void fake_end_streams(struct fake *f); /* properly */
void fake_break_streams(struct fake *f); /* in the middle */
size_t fake_hits(const struct fake *f, const char *prefix);
const char *fake_request(const struct fake *f, size_t i); /* path of the i-th request, or NULL */
size_t fake_most_waiting(const struct fake *f); /* requests waiting for an answer at once */
