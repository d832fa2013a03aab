/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * gRPC calls over a unix socket, on the event loop: HTTP/2 by enforcer/http, messages framed as in
 * github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md. What is in a message is its user's
 * business. The other end is not trusted: sizes are bounded, what it says is made printable.
 */
#pragma once

#include "http/http.h"

/* Those that callers tell apart (google.rpc.Code). */
enum bh_grpc_status {
	BH_GRPC_NONE = -1, /* the call did not get so far */
	BH_GRPC_OK = 0,
	BH_GRPC_NOT_FOUND = 5,
	BH_GRPC_UNIMPLEMENTED = 12,
};

struct bh_grpc_opts {
	const char *socket; /* path */
	const char *method; /* "/runtime.v1.RuntimeService/Version" */
	const void *message; /* may be NULL with len 0: an empty one */
	size_t len;
	size_t max_bytes; /* of one message of the answer; more fails with −EFBIG */
	long timeout_ms; /* of the whole call; 0 = none (streams) */
	long connect_timeout_ms;
};

struct bh_grpc_result {
	/* 0, or −errno: as of bh_http_result; −EPROTO: that was no gRPC; −EREMOTEIO: `status` says
	 * why. */
	int err;
	int status; /* enum bh_grpc_status, or another of google.rpc.Code */
	const char *message; /* why, for people: printable; "" when !err */
	const uint8_t *answer; /* the message; NULL of streams and with err */
	size_t len;
};

struct bh_grpc_call;
/*
 * One message there, one back. `done` is called exactly once, never from within, unless cancelled.
 * What opts points to is copied. −errno: refused; then nothing is called.
 */
int bh_grpc_call(struct bh_http *http, const struct bh_grpc_opts *opts,
	void (*done)(const struct bh_grpc_result *r, void *arg), void *arg,
	struct bh_grpc_call **ret);
/* One message there, many back, each to `message` as it is complete: non-zero ends the call
 * (−ECANCELED), and must be returned by one that has cancelled it. */
int bh_grpc_stream(struct bh_http *http, const struct bh_grpc_opts *opts,
	int (*message)(const uint8_t *p, size_t n, void *arg),
	void (*done)(const struct bh_grpc_result *r, void *arg), void *arg,
	struct bh_grpc_call **ret);
/* No callback afterwards. Fine inside any callback, its own included; NULL is fine. */
void bh_grpc_cancel(struct bh_grpc_call *c);
