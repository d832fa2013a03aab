/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include <pthread.h>

#include "sink/sink.h"

/* --- follow.c: the log's records after a number, over its files --- */
#define BH_FOLLOW_LINE ((size_t)512 << 10)
struct bh_follow {
	char *log;
	uint64_t sequence; /* of the last one given */
	int fd;
	bool rotated; /* fd is of a file that is complete */
	bool last_look; /* the live file was renamed; its end is read once more */
	char *buf; /* BH_FOLLOW_LINE */
	size_t at, have;
};
void bh_follow_init(struct bh_follow *f, const char *log, uint64_t after);
void bh_follow_seek(struct bh_follow *f, uint64_t after); /* begins again */
void bh_follow_finish(struct bh_follow *f);
/* 1: a record, borrowed until the next call, and *ret_rec (owned); 0: none for now; −errno. */
int bh_follow_next(struct bh_follow *f, const char **ret, size_t *ret_len, json_t **ret_rec);

/* --- transport.c: one connection --- */
struct bh_transport {
	enum bh_sink_kind kind;
	int fd;
	bool stream; /* messages are framed by their length (RFC 6587, RFC 5425) */
	struct bh_tls *tls; /* NULL: none */
};
/* −errno with a reason in ret_why. Bounded in time but for the resolver. */
int bh_transport_open(
	const struct bh_sink_opts *o, struct bh_transport *ret, char *ret_why, size_t why_size);
void bh_transport_close(struct bh_transport *t);
int bh_transport_send(struct bh_transport *t, const char *message, size_t len); /* 0, −errno */
/* Waits until the peer has all of it. −ETIMEDOUT; −EPIPE: it went away. */
int bh_transport_drain(struct bh_transport *t);
