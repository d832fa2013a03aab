/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * HTTP requests on the event loop, in two variants behind this header. The daemon's (lib_http)
 * speaks HTTP/1.1 and HTTP/2 over unix sockets by itself, for the Docker API (streamed events) and
 * below gRPC (trailers), and has what is on the network fetched by a process without privileges,
 * bulkhead-fetch. That process has the other one (lib_http_curl): libcurl's multi interface driven
 * by libuv. Callbacks run on the loop's thread. The process must ignore SIGPIPE: a peer that goes
 * away would end it.
 */
#pragma once

#include <bulkhead/util.h>
#include <uv.h>

#include "http/sieve.h"

struct bh_http; /* one per loop */
int bh_http_open(uv_loop_t *loop, struct bh_http **ret);
void bh_http_close(
	struct bh_http *h); /* cancels everything without callbacks; frees after the loop ran */

#define BH_HTTP_MAX_KEPT 2
/* An image of tens of megabytes, some containers of it, and an engine's list of all has hundreds:
 * it costs no memory, and the time of a request is bounded. */
#define BH_HTTP_MAX_SIEVED (2048u << 20)

struct bh_http_opts {
	const char *url;
	/* NULL = TCP: by bulkhead-fetch, which knows no streams, no body, no http2 and no `keep`.
	 */
	const char *unix_socket;
	size_t max_bytes; /* of the body; more fails with -EFBIG (not for streams); 0 = 16 MiB */
	/* Non-NULL: a 2xx answer is JSON, of which this is kept, and max_bytes is of that (of the
	 * whole BH_HTTP_MAX_SIEVED). Borrowed until the request is over. Not for streams, not TCP.
	 */
	const struct bh_sieve_path *wanted;
	long timeout_ms; /* whole request; 0 = none (streams) */
	long connect_timeout_ms; /* 0 = 10 s */
	long idle_timeout_s; /* abort when slower than 1 byte/s for so long; 0 = none */
	const char *if_none_match, *if_modified_since; /* may be NULL */
	const char *const *headers; /* more of them, "Name: value"; NULL-terminated; may be NULL */
	const char *proxy; /* URL; NULL: as the environment says */
	const char *ca_file; /* PEM: who is trusted instead of the system's; may be NULL */
	const char *ca_pem; /* the same as text, which is what libcurl's variant takes; or NULL */
	bool follow; /* up to 3 redirects, http(s) only, never from https to http; not on sockets */
	/* Non-NULL makes it a POST; bytes, copied. With its content type. Without any bytes the
	 * request ends with its head. */
	const void *body;
	size_t body_len;
	const char *body_type;
	bool http2; /* for http: without asking first ("prior knowledge") */
	/* Names of headers or trailers that the result is to have; NULL-terminated, at most
	 * BH_HTTP_MAX_KEPT, borrowed until the request is over. */
	const char *const *keep;
	/* Streams: the headers of a 2xx answer have come. May be NULL; gets the request's arg. */
	void (*opened)(void *arg);
};

struct bh_http_result {
	int err; /* 0, or −errno: −ECONNREFUSED, −ENOENT, −ETIMEDOUT, −EFBIG, −EPROTO … */
	const char *message; /* why, for people, when err; else "" */
	long status; /* 0 if none */
	const char *body; /* NUL-terminated for convenience; empty for streams */
	size_t len;
	const char *content_type, *etag, *last_modified; /* may be NULL */
	const char *kept[BH_HTTP_MAX_KEPT]; /* in the order of opts->keep; NULL = absent */
};

/*
 * `data` non-NULL makes it a stream: chunks of a 2xx answer go there as they come (non-zero return
 * aborts, -ECANCELED) and the body is not kept; of any other answer up to 4 KiB are kept as body.
 * `done` is called exactly once, never from within bh_http_get, unless cancelled. Strings of opts
 * are copied. -errno: a URL or option that is refused; then nothing is called.
 */
struct bh_http_request;
int bh_http_get(struct bh_http *h, const struct bh_http_opts *opts,
	int (*data)(const char *p, size_t n, void *arg),
	void (*done)(const struct bh_http_result *r, void *arg), void *arg,
	struct bh_http_request **ret);
/* No callback afterwards. Fine inside any callback, its own included; NULL is fine. */
void bh_http_cancel(struct bh_http_request *r);
