/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Shared by http.c (requests, their time and their end) and the ways that they go: local.c (a unix
 * socket) with h1.c and h2.c on it, fetcher.c (a process of its own that fetches from strangers).
 */
#pragma once

#include <http_parser.h>
#include <nghttp2/nghttp2.h>

#include "http/http.h"

#define BH_HTTP_DEFAULT_MAX (16u << 20)
#define BH_HTTP_MAX_HEADERS (256u << 10)
#define BH_HTTP_MAX_ERROR_BODY 4096u
#define BH_HTTP_READ_SIZE 65536u

struct bh_http_fetcher;
struct bh_http {
	uv_loop_t *loop;
	struct bh_http_request *first, *last; /* oldest first */
	struct bh_http_fetcher *fetchers;
	unsigned n_fetching; /* of them are at work */
	unsigned handles; /* of the loop's, not yet closed; the last one frees once `closing` */
	bool closing;
	char buf[BH_HTTP_READ_SIZE];
};

/* What is spoken on a connection. All may finish the request. */
struct bh_http_protocol {
	int (*begin)(struct bh_http_request *r); /* it is there. −errno */
	void (*data)(struct bh_http_request *r, const char *p, size_t n);
	void (*end)(struct bh_http_request *r, int err); /* err 0: orderly */
	void (*free)(struct bh_http_request *r);
};
extern const struct bh_http_protocol bh_http_h1, bh_http_h2;

struct bh_http_request {
	struct bh_http *http;
	struct bh_http_request *prev, *next;
	bool over; /* told or cancelled: nobody hears of it any more; freed when the loop let go */
	unsigned handles;
	int (*data)(const char *p, size_t n, void *arg);
	void (*opened)(void *arg);
	void (*done)(const struct bh_http_result *r, void *arg);
	void *arg;
	/* its time: all in ms of uv_now() */
	uv_timer_t timer;
	uint64_t began, heard;
	long timeout, connect_timeout, idle_timeout; /* 0: none */
	bool connected;
	int later; /* −errno to be told by the timer … */
	char *later_message; /* … and why */
	/* the question */
	char *method_path, *host; /* of the URL */
	struct bh_buf headers; /* "Name: value\0" each */
	char *body_out;
	size_t body_out_len, body_out_sent;
	bool has_body;
	/* the answer */
	long status;
	size_t max_bytes, header_bytes;
	bool opened_called;
	struct bh_sieve *sieve; /* NULL: everything is kept */
	size_t sieved; /* bytes that went into it */
	struct bh_buf body;
	char *content_type, *etag, *last_modified;
	const char *const *keep;
	char *kept[BH_HTTP_MAX_KEPT];
	/* local.c */
	uv_pipe_t pipe;
	uv_connect_t connect;
	const struct bh_http_protocol *protocol;
	int write_error;
	/* h1.c */
	http_parser parser;
	struct bh_buf name, value;
	bool in_value;
	/* h2.c */
	nghttp2_session *session;
	bool sending;
	/* fetcher.c */
	char *frame, *key;
	long allowed; /* ms, once it is asked */
	size_t frame_len;
	struct bh_http_fetcher *fetcher;
};

/* --- http.c --- */
/* The end: calls done() unless it is over already. message NULL: strerror. */
void bh_http_finish(struct bh_http_request *r, int err, const char *message);
void bh_http_finish_later(struct bh_http_request *r, int err, char *take_message);
void bh_http_schedule(struct bh_http_request *r); /* after a change of its times */
void bh_http_hold(struct bh_http_request *r); /* a handle more that points to it … */
void bh_http_let_go(struct bh_http_request *r); /* … and one less, in its close callback */
void bh_http_drop_handle(struct bh_http *h); /* one that belonged to none */
/* What comes of an answer, from whatever protocol. false: the request is over. */
bool bh_http_on_header(struct bh_http_request *r, const char *name, size_t name_len,
	const char *value, size_t value_len);
void bh_http_forget_headers(struct bh_http_request *r); /* of an interim answer */
bool bh_http_on_head_end(struct bh_http_request *r); /* r->status is set */
bool bh_http_on_body(struct bh_http_request *r, const char *p, size_t n);

/* --- local.c --- */
int bh_http_local_start(struct bh_http_request *r, const char *path);
void bh_http_local_stop(struct bh_http_request *r);
int bh_http_local_write(struct bh_http_request *r, const void *p, size_t n); /* copies */

/* --- fetcher.c --- */
int bh_http_fetch_start(struct bh_http_request *r, const struct bh_http_opts *o);
void bh_http_fetch_stop(struct bh_http_request *r);
void bh_http_fetch_close(struct bh_http *h);
