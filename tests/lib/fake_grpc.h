/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A gRPC server on a unix socket that answers by script, well or badly, on the test's own loop:
 * plays containerd and CRI-O. HTTP/2 is nghttp2's.
 */
#pragma once

#include <bulkhead/util.h>
#include <uv.h>

enum fakegrpc_kind {
	GRPC_ANSWER, /* the message, status 0 */
	GRPC_ERROR, /* the status, with the body as its message; no answer */
	GRPC_EARLY, /* the same, without waiting for the request's message */
	GRPC_BYTES, /* the body as it is, without a frame; status 0 */
	GRPC_CUT, /* a frame with the body, but no status */
	GRPC_SILENT, /* takes the request and says nothing */
	GRPC_CLOSE, /* closes the connection */
	GRPC_HUGE, /* a frame that claims 1 GiB, and sends until it is stopped */
	GRPC_STREAM, /* messages as fakegrpc_push gives them */
	GRPC_WEB, /* HTTP 404, text/plain */
};

struct fakegrpc;
struct fakegrpc *fakegrpc_new(uv_loop_t *loop, const char *path); /* replaces the socket file */
void fakegrpc_free(struct fakegrpc *f); /* memory goes when the loop has run */
void fakegrpc_mute(struct fakegrpc *f, bool mute); /* accepts, and says nothing at all */

/* What calls of the method get ("/package.Service/Method"). Without any: Unimplemented. */
void fakegrpc_route(struct fakegrpc *f, const char *method, enum fakegrpc_kind kind, int status,
	const void *body, size_t len);
void fakegrpc_push(struct fakegrpc *f, const char *method, const void *bytes, size_t len);
void fakegrpc_end(struct fakegrpc *f, const char *method); /* streams, with status 0 */
void fakegrpc_break(struct fakegrpc *f); /* every connection */
size_t fakegrpc_hits(const struct fakegrpc *f, const char *method);
size_t fakegrpc_streams(const struct fakegrpc *f, const char *method); /* open now */
/* The last request of the method, with its frame; NULL = none. */
const struct bh_buf *fakegrpc_request(const struct fakegrpc *f, const char *method);
